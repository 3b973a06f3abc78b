"""UCS2 (3GPP TS 23.038 §6.2.3) as phones speak it: UTF-16, high octet first.

Owns 16-bit code units: counting them, cutting a text so that no surrogate pair is halved, writing and
reading them.  The standard knows no pairs, but phones do: half an emoji shows as two boxes on two parts.
Knows nothing of headers, parts or TPDUs.

The C functions take a str as CPython holds it (`kind` octets per character) with `begin` and `end` in
characters, checked by the caller.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeUTF16, PyUnicode_KIND
from libc.stdint cimport uint8_t, uint32_t

from engine._octets cimport Writer, claim, writer

from engine.errors import CodecError

cdef extern from "Python.h":
    # cpython.unicode declares it without nogil, though it is a macro over plain memory.
    Py_UCS4 PyUnicode_READ(int kind, const void* characters, Py_ssize_t index) noexcept nogil


cdef Py_ssize_t measure(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t* units
) noexcept nogil:
    """Count the code units of characters `begin` to `end`; returns where it stopped.

    That is `end`, or the first lone surrogate: UTF-16 has no octets for it.
    """
    cdef Py_ssize_t i
    cdef Py_ssize_t count = 0
    cdef Py_UCS4 character
    if kind == 1:  # Latin-1: neither pairs nor halves
        units[0] = end - begin
        return end
    for i in range(begin, end):
        character = PyUnicode_READ(kind, characters, i)
        if 0xD800 <= character <= 0xDFFF:
            units[0] = count
            return i
        count += 2 if character > 0xFFFF else 1
    units[0] = count
    return end


cdef Py_ssize_t fit(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, int room, int* units
) noexcept nogil:
    """Where a part of `room` code units that starts at `begin` ends: a pair on its edge moves whole."""
    cdef Py_ssize_t i
    cdef int count = 0
    cdef int width
    for i in range(begin, end):
        width = 2 if PyUnicode_READ(kind, characters, i) > 0xFFFF else 1
        if count + width > room:
            units[0] = count
            return i
        count += width
    units[0] = count
    return end


cdef void write(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, int units, Writer* out
) noexcept nogil:
    """Write characters `begin` to `end`, which are `units` code units, high octet first."""
    cdef uint8_t* at = claim(out, 2 * units)
    cdef Py_ssize_t i
    cdef uint32_t character
    cdef uint32_t half
    if at == NULL:
        return
    for i in range(begin, end):
        character = PyUnicode_READ(kind, characters, i)
        if character > 0xFFFF:
            half = 0xD800 + ((character - 0x10000) >> 10)
            at[0] = <uint8_t>(half >> 8)
            at[1] = <uint8_t>half
            at += 2
            character = 0xDC00 + (character & 0x3FF)
        at[0] = <uint8_t>(character >> 8)
        at[1] = <uint8_t>character
        at += 2


cdef str read(const uint8_t* octets, Py_ssize_t count):
    """The text of `count` octets; U+FFFD stands for half a pair, and for an odd octet at the end."""
    cdef int big_endian = 1  # said here, so a byte order mark is a character like any other
    return PyUnicode_DecodeUTF16(<const char*>octets, count, "replace", &big_endian)


def count_units(str text not None):
    """Code units of 16 bits: a character beyond U+FFFF is two.  Raises CodecError at a lone surrogate."""
    cdef Py_ssize_t units = 0
    cdef Py_ssize_t stop = measure(PyUnicode_KIND(text), PyUnicode_DATA(text), 0, len(text), &units)
    if stop < len(text):
        raise CodecError("half a surrogate pair", "text", stop)
    return units


def cut(str text not None, int room):
    """UTF-16BE pieces of at most `room` code units each, no pair halved; one empty piece for an empty text.

    Raises CodecError at a lone surrogate, or where `room` is less than the two units a pair needs.
    """
    cdef int kind = PyUnicode_KIND(text)
    cdef const void* characters = PyUnicode_DATA(text)
    cdef Py_ssize_t length = len(text)
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t end
    cdef int units = 0
    cdef Writer out
    cdef bytes piece
    if room < 2:
        raise CodecError("a surrogate pair needs two code units", "room")
    count_units(text)
    pieces = []
    while True:
        end = fit(kind, characters, begin, length, room, &units)
        piece = PyBytes_FromStringAndSize(NULL, 2 * units)
        out = writer(<uint8_t*>PyBytes_AS_STRING(piece), 2 * units)
        write(kind, characters, begin, end, units, &out)
        pieces.append(piece)
        begin = end
        if begin == length:
            return pieces


def decode(bytes octets not None):
    """The text of UTF-16BE `octets`; U+FFFD stands for half a pair, and for an odd octet at the end."""
    return read(<const uint8_t*>PyBytes_AS_STRING(octets), len(octets))
