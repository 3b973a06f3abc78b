"""The GSM 7-bit default alphabet, its extension table, and septets packed into octets.

Owns which characters the alphabet has and how many septets each takes (3GPP TS 23.038 §6.2.1).  Septets are
packed low bits first (§6.1.2.1.1), behind fill bits where a header stands before them.  Knows nothing of
headers, addresses or TPDUs.

The C functions take a str as CPython holds it (`kind` octets per character) with `begin` and `end` in
characters, checked by the caller.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport (
    PyUnicode_2BYTE_KIND,
    PyUnicode_DATA,
    PyUnicode_FromKindAndData,
    PyUnicode_KIND,
)
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from engine._octets cimport Writer, claim, writer

from engine.errors import CodecError

cdef extern from "Python.h":
    # cpython.unicode declares it without nogil, though it is a macro over plain memory.
    Py_UCS4 PyUnicode_READ(int kind, const void* characters, Py_ssize_t index) noexcept nogil

# The whole table, in its order.  0x1B is the escape, which is no character.
DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Septet behind the escape → character.
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

cdef enum:
    ESCAPE = 0x1B
    ESCAPED = ESCAPE << 7  # this bit pattern above a septet: it stands in the extension table
    ABSENT = 0xFFFF  # the alphabet has no such character
    KNOWN = 0x0400  # one past the last code point of the map below; Greek capitals end at U+03A9
    EURO = 0x20AC  # the only character of both tables beyond it
    LONGEST = 255  # septets in one read: TP-UDL is one octet

cdef uint16_t SEPTETS[KNOWN]  # code point → septet, escaped septet or ABSENT
cdef uint16_t CHARACTERS[128]
cdef uint16_t EXTENDED[128]


cdef int fill_tables() except -1:
    cdef Py_UCS4 character
    cdef int septet
    for septet in range(KNOWN):
        SEPTETS[septet] = ABSENT
    for septet in range(128):
        character = DEFAULT[septet]
        CHARACTERS[septet] = <uint16_t>character
        # §6.2.1.1: a code without a meaning behind the escape shows as that of the main table.
        EXTENDED[septet] = <uint16_t>character
        if septet != ESCAPE:
            SEPTETS[character] = <uint16_t>septet
    # An escape with nothing behind it, or a second escape, shows as a space (§6.2.1, notes to both tables).
    CHARACTERS[ESCAPE] = 0x20
    EXTENDED[ESCAPE] = 0x20
    for septet, text in EXTENSION.items():
        character = text[0]
        EXTENDED[septet] = <uint16_t>character
        if character < KNOWN:
            SEPTETS[character] = <uint16_t>(ESCAPED | septet)
    return 0


fill_tables()


cdef inline int septets_of(Py_UCS4 character) noexcept nogil:
    """The septet of `character`, with ESCAPED above it where it takes two, or ABSENT."""
    if character < KNOWN:
        return SEPTETS[character]
    if character == EURO:
        return ESCAPED | 0x65
    return ABSENT


cdef Py_ssize_t measure(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t* septets
) noexcept nogil:
    """Count the septets of characters `begin` to `end`; returns where it stopped.

    That is `end`, or the first character the alphabet does not have.
    """
    cdef Py_ssize_t i
    cdef Py_ssize_t count = 0
    cdef int septet
    for i in range(begin, end):
        septet = septets_of(PyUnicode_READ(kind, characters, i))
        if septet == ABSENT:
            septets[0] = count
            return i
        count += 1 + (septet >= ESCAPED)
    septets[0] = count
    return end


cdef Py_ssize_t fit(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, int room, int* septets
) noexcept nogil:
    """Where a part of `room` septets that starts at `begin` ends: an escape pair on its edge moves whole."""
    cdef Py_ssize_t i
    cdef int count = 0
    cdef int width
    for i in range(begin, end):
        width = 1 + (septets_of(PyUnicode_READ(kind, characters, i)) >= ESCAPED)
        if count + width > room:
            septets[0] = count
            return i
        count += width
    septets[0] = count
    return end


cdef void write(
    int kind,
    const void* characters,
    Py_ssize_t begin,
    Py_ssize_t end,
    int septets,
    int fill_bits,
    Writer* out,
) noexcept nogil:
    """Pack characters `begin` to `end`, which are `septets` septets, behind `fill_bits` zero bits."""
    cdef uint8_t* at = claim(out, (fill_bits + 7 * septets + 7) >> 3)
    cdef uint64_t bits = 0
    cdef int waiting = fill_bits  # bits that fill no octet yet
    cdef int septet
    cdef Py_ssize_t i
    if at == NULL:
        return
    for i in range(begin, end):
        septet = septets_of(PyUnicode_READ(kind, characters, i))
        if septet >= ESCAPED:
            bits |= <uint64_t>ESCAPE << waiting
            waiting += 7
        bits |= <uint64_t>(septet & 0x7F) << waiting
        waiting += 7
        while waiting >= 8:
            at[0] = <uint8_t>bits
            at += 1
            bits >>= 8
            waiting -= 8
    if waiting > 0:
        at[0] = <uint8_t>bits


cdef str read(const uint8_t* octets, int first_bit, int septets):
    """The text of at most 255 `septets` from bit `first_bit` on; the caller vouches for the octets."""
    cdef uint16_t text[LONGEST]
    cdef int length = 0
    cdef int bit = first_bit
    cdef int last = (first_bit + 7 * septets - 1) >> 3
    cdef bint escaped = False
    cdef int septet
    cdef int at
    for _ in range(septets):
        at = bit >> 3
        septet = octets[at]
        if at < last:  # the octet behind the last one is not ours to look at
            septet |= octets[at + 1] << 8
        septet = (septet >> (bit & 7)) & 0x7F
        bit += 7
        if escaped:
            text[length] = EXTENDED[septet]
            length += 1
            escaped = False
        elif septet == ESCAPE:
            escaped = True
        else:
            text[length] = CHARACTERS[septet]
            length += 1
    if escaped:
        text[length] = CHARACTERS[ESCAPE]
        length += 1
    return PyUnicode_FromKindAndData(PyUnicode_2BYTE_KIND, text, length)


def count_septets(str text not None):
    """Septets: a character of the extension table is two.  Raises CodecError at one the alphabet lacks."""
    cdef Py_ssize_t septets = 0
    cdef Py_ssize_t stop = measure(PyUnicode_KIND(text), PyUnicode_DATA(text), 0, len(text), &septets)
    if stop < len(text):
        raise CodecError("not in the GSM 7-bit alphabet", "text", stop)
    return septets


def pack(str text not None, int fill_bits=0):
    """The octets of `text`, its first septet behind `fill_bits` (0 to 6) zero bits.

    Raises CodecError at a character that the alphabet does not have, and for texts beyond 2**28 septets.
    """
    cdef Py_ssize_t septets = count_septets(text)
    cdef Writer out
    cdef bytes octets
    cdef int room
    if not 0 <= fill_bits <= 6:
        raise CodecError("fill bits reach the next septet: 0 to 6", "fill_bits")
    if septets > 1 << 28:
        raise CodecError("too long", "text")
    room = <int>((fill_bits + 7 * septets + 7) >> 3)
    octets = PyBytes_FromStringAndSize(NULL, room)
    out = writer(<uint8_t*>PyBytes_AS_STRING(octets), room)
    write(PyUnicode_KIND(text), PyUnicode_DATA(text), 0, len(text), <int>septets, fill_bits, &out)
    return octets


def unpack(bytes octets not None, int septets, int fill_bits=0):
    """The text of 0 to 255 `septets` behind 0 to 6 `fill_bits`.  Raises CodecError where octets lack."""
    if not 0 <= fill_bits <= 6:
        raise CodecError("fill bits reach the next septet: 0 to 6", "fill_bits")
    if not 0 <= septets <= LONGEST:
        raise CodecError("0 to 255 septets can be read at once", "septets")
    if (fill_bits + 7 * septets + 7) >> 3 > len(octets):
        raise CodecError("too few octets", "user_data", len(octets))
    return read(<const uint8_t*>PyBytes_AS_STRING(octets), fill_bits, septets)
