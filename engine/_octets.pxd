"""Octets: hex digits in and out, and a writer that refuses to pass its end.

All of it is inline, so there is no .pyx.  Knows nothing of SMS.
"""

from libc.stdint cimport uint8_t


cdef struct Writer:
    uint8_t* at  # where the next octet goes
    uint8_t* end  # one past the last octet there is room for
    bint full  # something was refused: what stands before `at` is not the whole


cdef inline Writer writer(uint8_t* buffer, int room) noexcept nogil:
    """A writer over `room` octets of `buffer`."""
    cdef Writer out
    out.at = buffer
    out.end = buffer + room
    out.full = False
    return out


cdef inline uint8_t* claim(Writer* out, int octets) noexcept nogil:
    """Room for `octets` more, which the caller fills; NULL, and `full` from then on, where there is none.

    One check per field and not per octet: a loop over `put` reloads its bounds after every octet it writes,
    since the compiler must assume that octets may alias them.
    """
    cdef uint8_t* start = out.at
    if out.full or out.end - start < octets:
        out.full = True
        return NULL
    out.at = start + octets
    return start


cdef inline void put(Writer* out, int octet) noexcept nogil:
    """One more octet, where there is room."""
    cdef uint8_t* at = claim(out, 1)
    if at != NULL:
        at[0] = <uint8_t>octet


cdef inline int hex_value(int character) noexcept nogil:
    """0 to 15, in either case; -1 if `character` is no hex digit."""
    if 48 <= character <= 57:
        return character - 48
    if 65 <= character <= 70:
        return character - 55
    if 97 <= character <= 102:
        return character - 87
    return -1


cdef inline void write_hex(const uint8_t* octets, Py_ssize_t count, uint8_t* digits) noexcept nogil:
    """Two upper-case digits for each of `count` octets; the caller vouches for the room."""
    cdef Py_ssize_t i
    cdef int high
    cdef int low
    for i in range(count):
        high = octets[i] >> 4
        low = octets[i] & 0x0F
        digits[2 * i] = <uint8_t>(high + (48 if high < 10 else 55))
        digits[2 * i + 1] = <uint8_t>(low + (48 if low < 10 else 55))
