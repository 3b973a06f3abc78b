"""Sets of route classes: 256 bits.

All of it is inline, so there is no .pyx.  Class numbers are judged by whoever calls.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint64_t

cdef extern from *:
    int trailing_zeros "__builtin_ctzll" (unsigned long long word) noexcept nogil

cdef enum:
    CLASSES = 256
    WORDS = 4
    KNOWN_MOST = 1024  # more than there are SIMs

cdef struct Classes:
    uint64_t[4] words


cdef inline void put(Classes* classes, int number) noexcept nogil:
    classes.words[number >> 6] |= <uint64_t>1 << (number & 63)


cdef inline void take(Classes* classes, int number) noexcept nogil:
    classes.words[number >> 6] &= ~(<uint64_t>1 << (number & 63))


cdef inline bint meet(const Classes* one, const Classes* other) noexcept nogil:
    """Whether they have a class in common."""
    return (
        one.words[0] & other.words[0]
        | one.words[1] & other.words[1]
        | one.words[2] & other.words[2]
        | one.words[3] & other.words[3]
    ) != 0


cdef inline bint is_empty(const Classes* classes) noexcept nogil:
    return (classes.words[0] | classes.words[1] | classes.words[2] | classes.words[3]) == 0


cdef inline int following(const Classes* one, const Classes* other, int number) noexcept nogil:
    """The lowest class that both have from `number` on, -1 where there is none."""
    cdef int place = number >> 6
    cdef uint64_t word
    if number >= CLASSES:
        return -1
    word = one.words[place] & other.words[place] & ~(((<uint64_t>1) << (number & 63)) - 1)
    while word == 0:
        place += 1
        if place == WORDS:
            return -1
        word = one.words[place] & other.words[place]
    return (place << 6) + trailing_zeros(word)


cdef inline const Classes* read(dict known, mask) except NULL:
    """The classes whose bits are set in an integer, None for all; 0 is always one.  `known` keeps what was read."""
    cdef bytes octets = <bytes>known.get(mask)
    if octets is None:
        if len(known) >= KNOWN_MOST:
            known.clear()
        every = b"\xff" * sizeof(Classes)
        wanted = int.from_bytes(every, "little") & (-1 if mask is None else mask | 1)
        octets = known[mask] = wanted.to_bytes(sizeof(Classes), "little")
    return <const Classes*>PyBytes_AS_STRING(octets)
