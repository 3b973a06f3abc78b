"""The GSM 7-bit alphabets, and septets packed into octets.

Owns which characters the default alphabet and its extension table have (3GPP TS 23.038 §6.2.1), how a national
locking shift table takes the place of the one and a single shift table that of the other, and how septets are
packed: low bits first (§6.1.2.1.1), behind fill bits where a header stands before them.  Knows nothing of headers,
addresses or TPDUs.

A text becomes septets one to an octet before it is packed, eight at a time: cutting, and finding an escape at an
edge, are then a look at one octet.  The C functions take a str as CPython holds it (`kind` octets per character).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport (
    PyUnicode_2BYTE_KIND,
    PyUnicode_DATA,
    PyUnicode_FromKindAndData,
    PyUnicode_KIND,
)
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

from engine._national cimport locking_characters, locking_septet, single_characters, single_septet
from engine._octets cimport load, store

from engine.errors import CodecError

cdef extern from "Python.h":
    # cpython.unicode declares it without nogil, though it is a macro over plain memory.
    Py_UCS4 PyUnicode_READ(int kind, const void* characters, Py_ssize_t index) noexcept nogil
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)

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
    ESCAPED = 0x80  # above a septet: it stands in the extension table
    ABSENT = 0x1FF  # the tables have no such character
    EMPTY = 0xFF  # the same in the table below: no septet behind a default escape is 0x7F
    KNOWN = 0x0400  # one past the last code point of the map below; Greek capitals end at U+03A9
    EURO = 0x20AC  # the only character of both tables beyond it
    LATIN = 0x100
    SPACE = 0x20
    PACKED = 267  # octets of LONGEST septets behind six fill bits
    MOST_SEPTETS = 255  # TP-UDL is one octet

cdef uint64_t HIGH_BITS = 0x8080808080808080ULL
cdef uint8_t SEPTETS[KNOWN]  # code point → septet, escaped septet or EMPTY
cdef uint16_t CHARACTERS[128]
cdef uint16_t EXTENDED[128]  # 0 where the extension table has nothing
cdef uint8_t LATIN_CHARACTERS[128]  # 0 where the character is none of Latin-1, or the septet is the escape


cdef int fill_tables() except -1:
    cdef Py_UCS4 one
    cdef int septet
    for septet in range(KNOWN):
        SEPTETS[septet] = EMPTY
    for septet in range(128):
        one = DEFAULT[septet]
        CHARACTERS[septet] = <uint16_t>one
        EXTENDED[septet] = 0
        LATIN_CHARACTERS[septet] = <uint8_t>one if one < LATIN and septet != ESCAPE else 0
        if septet != ESCAPE:
            SEPTETS[one] = <uint8_t>septet
    for septet, text in EXTENSION.items():
        one = text[0]
        EXTENDED[septet] = <uint16_t>one
        if one < KNOWN:
            SEPTETS[one] = <uint8_t>(ESCAPED | septet)
    return 0


fill_tables()


# Characters to septets


cdef inline int septet_of(Py_UCS4 one) noexcept nogil:
    """The septet of a character, with ESCAPED above it where it takes two, or ABSENT."""
    cdef int found
    if one < KNOWN:
        found = SEPTETS[one]
        return ABSENT if found == EMPTY else found
    if one == EURO:
        return ESCAPED | 0x65
    return ABSENT


cdef int shifted_septet_of(Py_UCS4 one, int single, int locking) noexcept nogil:
    """The same where a national table takes the place of the main table, of the extension table, or of both."""
    cdef int septet = septet_of(one)
    cdef int found
    if locking:
        found = locking_septet(locking, one)
        if found >= 0:
            return found
    elif septet < ESCAPED:
        return septet
    if single:
        found = single_septet(single, one)
        return ABSENT if found < 0 else ESCAPED | found
    return septet if septet >= ESCAPED else ABSENT


cdef inline uint8_t own_septet(uint8_t one) noexcept nogil:
    """A character of ASCII that has the same number in the default alphabet; of any other, a number above 127.

    Letters, digits, most signs and the ends of lines.  Without branches, or it would be no vector instructions.
    """
    cdef uint8_t letter = <uint8_t>(<uint8_t>((one | 0x20) - 0x61) < 26)
    cdef uint8_t sign = <uint8_t>(<uint8_t>(one - 0x20) < 32) & <uint8_t>(one != c"$")
    cdef uint8_t end_of_line = <uint8_t>(one == 10) | <uint8_t>(one == 13)
    return one | <uint8_t>(((letter | sign | end_of_line) - 1) & 0x80)


cdef Py_ssize_t spread(
    int kind,
    const void* characters,
    Py_ssize_t length,
    int single,
    int locking,
    uint8_t* septets,
    Py_ssize_t room,
    Py_ssize_t* count,
) noexcept nogil:
    """Write the septets of a text, one to an octet; returns the character where it stopped.

    That is `length`, or the first character that the tables do not have, or for which `room` is left no more.
    `single` and `locking` are national language identifiers, 0 for the default tables.
    """
    cdef const uint8_t* latin = <const uint8_t*>characters
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t i
    cdef Py_ssize_t n
    cdef int septet
    cdef bint shifted = single != 0 or locking != 0
    if kind == 1 and not shifted and length <= room:
        # Nearly all texts end here.  Most characters are their own septets, which a loop of vector instructions
        # finds out; the others are looked up.
        for i in range(length):
            septets[i] = own_septet(latin[i])
        while begin + 8 <= length:
            if load(septets + begin) & HIGH_BITS:
                for i in range(begin, begin + 8):
                    septets[i] = SEPTETS[latin[i]]
                if load(septets + begin) & HIGH_BITS:
                    break
            begin += 8
        while begin < length:
            septets[begin] = SEPTETS[latin[begin]]
            if septets[begin] >= ESCAPED:
                break
            begin += 1
        if begin == length:
            count[0] = length
            return length
    n = begin
    for i in range(begin, length):
        if shifted:
            septet = shifted_septet_of(PyUnicode_READ(kind, characters, i), single, locking)
        else:
            septet = septet_of(PyUnicode_READ(kind, characters, i))
        if septet == ABSENT or n + 2 > room:
            if septet >= ESCAPED or n + 1 > room:
                count[0] = n
                return i
        if septet >= ESCAPED:
            septets[n] = ESCAPE
            n += 1
        septets[n] = <uint8_t>(septet & 0x7F)
        n += 1
    count[0] = n
    return length


cdef void pack_septets(const uint8_t* septets, int count, int fill_bits, uint8_t* octets) noexcept nogil:
    """Pack `count` septets behind `fill_bits` (0 to 6) zero bits; the caller vouches for the room."""
    cdef uint64_t eight
    cdef uint64_t waiting = 0  # bits that fill no octet yet
    cdef uint8_t rest[8]
    cdef int left
    cdef int i
    while count >= 8:
        eight = load(septets)
        # Neighbours are joined to 14 bits, these to 28, and these to 56.
        eight = (eight & 0x007F007F007F007FULL) | (eight & 0x7F007F007F007F00ULL) >> 1
        eight = (eight & 0x00003FFF00003FFFULL) | (eight & 0x3FFF00003FFF0000ULL) >> 2
        eight = (eight & 0x000000000FFFFFFFULL) | (eight & 0x0FFFFFFF00000000ULL) >> 4
        eight = eight << fill_bits | waiting
        waiting = eight >> 56
        if count >= 16:
            store(eight, octets)  # its eighth octet is written again by the next turn
        else:
            store(eight, rest)
            memcpy(octets, rest, 7)
        octets += 7
        septets += 8
        count -= 8
    left = fill_bits
    for i in range(count):
        waiting |= <uint64_t>septets[i] << left
        left += 7
    while left > 0:
        octets[0] = <uint8_t>waiting
        waiting >>= 8
        octets += 1
        left -= 8


# Septets to characters


cdef Py_UCS4 character(int septet, bint escaped, int single, int locking) noexcept nogil:
    """What a septet shows as, alone or behind an escape.

    A code without a meaning behind the escape shows as that of the main table (§6.2.1.1, §6.2.1.2.2); an escape
    with a second one behind it, and a code the main table leaves open, as a space.
    """
    cdef Py_UCS4 found = 0
    if septet == ESCAPE:
        return SPACE
    if escaped:
        found = single_characters(single)[septet] if single else EXTENDED[septet]
    if found == 0:
        found = locking_characters(locking)[septet] if locking else CHARACTERS[septet]
    return found if found else SPACE


cdef void unpack_septets(const uint8_t* octets, int first_bit, int count, uint8_t* septets) noexcept nogil:
    """`count` septets from bit `first_bit` on, one to an octet.

    May read seven octets behind the last one it needs, and write seven septets behind the last.
    """
    cdef uint64_t eight
    cdef int done = 0
    octets += first_bit >> 3
    first_bit &= 7
    while done < count:
        eight = load(octets) >> first_bit
        eight = (eight & 0x000000000FFFFFFFULL) | (eight & 0x00FFFFFFF0000000ULL) << 4
        eight = (eight & 0x00003FFF00003FFFULL) | (eight & 0x0FFFC0000FFFC000ULL) << 2
        eight = (eight & 0x007F007F007F007FULL) | (eight & 0x3F803F803F803F80ULL) << 1
        store(eight, septets + done)
        octets += 7
        done += 8


cdef str text_of(const uint8_t* septets, Py_ssize_t count, int single, int locking):
    """The text of any number of septets."""
    cdef uint8_t short_latin[LONGEST + 8]
    cdef uint16_t short_text[LONGEST + 8]
    cdef uint16_t* text = short_text
    cdef uint8_t high = 0
    cdef uint8_t least = 0xFF
    cdef Py_ssize_t length = 0
    cdef Py_ssize_t i
    cdef bint escaped = False
    cdef object result
    if count <= LONGEST and not locking:
        # Nearly all texts are Latin-1 without escapes: one table, and two loops that are vector instructions.
        for i in range(count):
            short_latin[i] = LATIN_CHARACTERS[septets[i]]
        for i in range(count):
            high |= short_latin[i]
        for i in range(count):
            least = short_latin[i] if short_latin[i] < least else least
        if least > 0:
            result = PyUnicode_New(count, 127 if high < 128 else 255)
            memcpy(PyUnicode_DATA(result), short_latin, count)
            return result
    if count > LONGEST:
        text = <uint16_t*>PyMem_Malloc(2 * count)
        if text == NULL:
            raise MemoryError
    for i in range(count):
        if septets[i] == ESCAPE and not escaped:
            escaped = True
            continue
        text[length] = <uint16_t>character(septets[i], escaped, single, locking)
        length += 1
        escaped = False
    if escaped:
        text[length] = SPACE
        length += 1
    try:
        return PyUnicode_FromKindAndData(PyUnicode_2BYTE_KIND, text, length)
    finally:
        if text != short_text:
            PyMem_Free(text)


cdef str read(const uint8_t* octets, int first_bit, int count):
    """The text of at most LONGEST septets in the default alphabet; reads as far as `unpack_septets` does."""
    cdef uint8_t septets[LONGEST + 8]
    unpack_septets(octets, first_bit, count, septets)
    return text_of(septets, count, 0, 0)


# Faces


def count_septets(str text not None):
    """Septets: a character of the extension table is two.  Raises CodecError at one the alphabet lacks."""
    return len(septets_of(text))


def septets_of(str text not None, int single=0, int locking=0):
    """The septets of `text`, one to an octet, with the national tables of these languages (0 is the default table).

    Raises CodecError at a character the tables do not have.
    """
    cdef Py_ssize_t length = len(text)
    cdef bytes septets = PyBytes_FromStringAndSize(NULL, 2 * length)
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t stop
    check_languages(single, locking)
    stop = spread(
        PyUnicode_KIND(text),
        PyUnicode_DATA(text),
        length,
        single,
        locking,
        <uint8_t*>PyBytes_AS_STRING(septets),
        2 * length,
        &count,
    )
    if stop < length:
        raise CodecError("not in the GSM 7-bit alphabet", "text", stop)
    return septets[:count]


def characters_of(bytes septets not None, int single=0, int locking=0):
    """The text of `septets`, one to an octet: the reverse of `septets_of`."""
    cdef const uint8_t* octets = <const uint8_t*>PyBytes_AS_STRING(septets)
    cdef Py_ssize_t i
    check_languages(single, locking)
    for i in range(len(septets)):
        if octets[i] > 127:
            raise CodecError("more than seven bits", "septets", i)
    return text_of(octets, len(septets), single, locking)


cdef int check_languages(int single, int locking) except -1:
    if single and single_characters(single) == NULL:
        raise CodecError("no national single shift table", "single")
    if locking and locking_characters(locking) == NULL:
        raise CodecError("no national locking shift table", "locking")
    return 0


def pack(str text not None, int fill_bits=0):
    """The octets of `text`, its first septet behind `fill_bits` (0 to 6) zero bits.

    Raises CodecError at a character that the alphabet does not have, and for texts beyond 2**28 septets.
    """
    cdef bytes septets = septets_of(text)
    cdef Py_ssize_t count = len(septets)
    cdef bytes octets
    if not 0 <= fill_bits <= 6:
        raise CodecError("fill bits reach the next septet: 0 to 6", "fill_bits")
    if count > 1 << 28:
        raise CodecError("too long", "text")
    octets = PyBytes_FromStringAndSize(NULL, (fill_bits + 7 * count + 7) >> 3)
    pack_septets(<const uint8_t*>PyBytes_AS_STRING(septets), <int>count, fill_bits, <uint8_t*>PyBytes_AS_STRING(octets))
    return octets


def unpack(bytes octets not None, int septets, int fill_bits=0):
    """The text of 0 to 255 `septets` behind 0 to 6 `fill_bits`.  Raises CodecError where octets lack."""
    cdef uint8_t padded[PACKED + 8]
    cdef Py_ssize_t needed
    if not 0 <= fill_bits <= 6:
        raise CodecError("fill bits reach the next septet: 0 to 6", "fill_bits")
    if not 0 <= septets <= MOST_SEPTETS:
        raise CodecError("0 to 255 septets can be read at once", "septets")
    needed = (fill_bits + 7 * septets + 7) >> 3
    if needed > len(octets):
        raise CodecError("too few octets", "user_data", len(octets))
    memcpy(padded, PyBytes_AS_STRING(octets), needed)
    return read(padded, fill_bits, septets)
