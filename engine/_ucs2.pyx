"""UCS2 (3GPP TS 23.038 §6.2.3) as phones speak it: UTF-16, high octet first.

Owns 16-bit code units: spreading a text into them, cutting so that no surrogate pair is halved, writing and
reading them.  The standard knows no pairs, but phones do: half an emoji shows as two boxes on two parts.
Knows nothing of headers, parts or TPDUs.

The C functions take a str as CPython holds it (`kind` octets per character).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport (
    PyUnicode_2BYTE_KIND,
    PyUnicode_DATA,
    PyUnicode_DecodeUTF16,
    PyUnicode_FromKindAndData,
    PyUnicode_KIND,
)
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from engine.errors import CodecError

cdef enum:
    LONGEST = 80  # code units in one user data field, with some to spare


cdef Py_ssize_t spread(
    int kind, const void* characters, Py_ssize_t length, uint16_t* units, Py_ssize_t room, Py_ssize_t* count
) noexcept nogil:
    """Write the code units of a text; returns the character where it stopped.

    That is `length`, or the first lone surrogate, for UTF-16 has no octets for it, or the first character for
    which `room` is left no more.
    """
    cdef const uint8_t* narrow = <const uint8_t*>characters
    cdef const uint16_t* plain = <const uint16_t*>characters
    cdef const uint32_t* wide = <const uint32_t*>characters
    cdef Py_ssize_t most = length if length < room else room
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t i
    cdef uint16_t halves = 0
    cdef uint32_t one
    if kind == 1:
        for i in range(most):
            units[i] = narrow[i]
        count[0] = most
        return most
    if kind == 2:
        for i in range(most):
            units[i] = plain[i]
            halves |= <uint16_t>(1 if plain[i] & 0xF800 == 0xD800 else 0)
        if halves:
            i = 0
            while plain[i] & 0xF800 != 0xD800:
                i += 1
            most = i
        count[0] = most
        return most
    for i in range(length):
        one = wide[i]
        if 0xD800 <= one <= 0xDFFF or n + (2 if one > 0xFFFF else 1) > room:
            count[0] = n
            return i
        if one > 0xFFFF:
            units[n] = <uint16_t>(0xD800 + ((one - 0x10000) >> 10))
            n += 1
            one = 0xDC00 + (one & 0x3FF)
        units[n] = <uint16_t>one
        n += 1
    count[0] = n
    return length


cdef void write(const uint16_t* units, Py_ssize_t count, uint8_t* octets) noexcept nogil:
    """Write code units, high octet first; the caller vouches for the room."""
    cdef Py_ssize_t i
    for i in range(count):
        octets[2 * i] = <uint8_t>(units[i] >> 8)
        octets[2 * i + 1] = <uint8_t>units[i]


cdef bint is_broken(const uint8_t* octets, Py_ssize_t count) noexcept nogil:
    """Whether the octets say what a text cannot: half a pair, or an odd octet at the end."""
    cdef Py_ssize_t i
    cdef uint16_t unit
    cdef uint16_t halves = 0
    cdef bint open_pair = False
    for i in range(count >> 1):
        halves |= <uint16_t>(1 if octets[2 * i] & 0xF8 == 0xD8 else 0)
    if halves:
        for i in range(count >> 1):
            unit = <uint16_t>(octets[2 * i] << 8 | octets[2 * i + 1])
            if is_low(unit) != open_pair:
                return True
            open_pair = is_high(unit)
    return open_pair or count & 1


cdef str read(const uint8_t* octets, Py_ssize_t count):
    """The text of `count` octets; U+FFFD stands for half a pair, and for an odd octet at the end."""
    cdef uint16_t units[LONGEST]
    cdef uint16_t halves = 0
    cdef int big_endian = 1  # said here, so a byte order mark is a character like any other
    cdef Py_ssize_t i
    if count <= 2 * LONGEST and not count & 1:
        for i in range(count >> 1):
            units[i] = <uint16_t>(octets[2 * i] << 8 | octets[2 * i + 1])
            halves |= <uint16_t>(1 if units[i] & 0xF800 == 0xD800 else 0)
        if not halves:
            return PyUnicode_FromKindAndData(PyUnicode_2BYTE_KIND, units, count >> 1)
    return PyUnicode_DecodeUTF16(<const char*>octets, count, "replace", &big_endian)


# Faces


def count_units(str text not None):
    """Code units of 16 bits: a character beyond U+FFFF is two.  Raises CodecError at a lone surrogate."""
    return len(encode(text)) // 2


def encode(str text not None):
    """UTF-16BE octets.  Raises CodecError at a lone surrogate."""
    cdef Py_ssize_t length = len(text)
    cdef Py_ssize_t room = 2 * length
    cdef Py_ssize_t count = 0
    cdef bytes units = PyBytes_FromStringAndSize(NULL, 2 * room)
    cdef bytes octets
    cdef Py_ssize_t stop = spread(
        PyUnicode_KIND(text), PyUnicode_DATA(text), length, <uint16_t*>PyBytes_AS_STRING(units), room, &count
    )
    if stop < length:
        raise CodecError("half a surrogate pair", "text", stop)
    octets = PyBytes_FromStringAndSize(NULL, 2 * count)
    write(<const uint16_t*>PyBytes_AS_STRING(units), count, <uint8_t*>PyBytes_AS_STRING(octets))
    return octets


def cut(str text not None, int room):
    """UTF-16BE pieces of at most `room` code units each, no pair halved; one empty piece for an empty text.

    Raises CodecError at a lone surrogate, or where `room` is less than the two units a pair needs.
    """
    cdef bytes octets
    cdef const uint8_t* at
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t end
    if room < 2:
        raise CodecError("a surrogate pair needs two code units", "room")
    octets = encode(text)
    at = <const uint8_t*>PyBytes_AS_STRING(octets)
    pieces = []
    while True:
        if (len(octets) - begin) >> 1 <= room:
            pieces.append(octets[begin:])
            return pieces
        end = begin + 2 * <Py_ssize_t>room
        if at[end] & 0xFC == 0xDC:
            end -= 2
        pieces.append(octets[begin:end])
        begin = end


def decode(bytes octets not None):
    """The text of UTF-16BE `octets`; U+FFFD stands for half a pair, and for an odd octet at the end."""
    return read(<const uint8_t*>PyBytes_AS_STRING(octets), len(octets))
