"""Inline: one step through msgpack, over octets that are hostile until they were read.

Every function is given where the octets end, and answers 0 where they end too early or mean something else.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef inline uint64_t big(const uint8_t* at, int octets) noexcept nogil:
    """The number in so many octets, the highest first."""
    cdef uint64_t value = 0
    cdef int place
    for place in range(octets):
        value = value << 8 | at[place]
    return value


cdef inline bint is_nil(const uint8_t* at) noexcept nogil:
    """Whether nothing stands here."""
    return at[0] == 0xc0


cdef inline const uint8_t* header(
    const uint8_t* at, const uint8_t* end, uint8_t fixed, uint8_t mask, uint8_t of16, uint32_t* count
) noexcept nogil:
    """Behind the header of an array or a map, whose length is left in `count`; NULL where it is none."""
    if at >= end:
        return NULL
    if at[0] & mask == fixed:
        count[0] = at[0] & <uint8_t>~mask
        return at + 1
    if at[0] == of16 and end - at >= 3:
        count[0] = <uint32_t>big(at + 1, 2)
        return at + 3
    if at[0] == of16 + 1 and end - at >= 5:
        count[0] = <uint32_t>big(at + 1, 4)
        return at + 5
    return NULL


cdef inline const uint8_t* array(const uint8_t* at, const uint8_t* end, uint32_t* count) noexcept nogil:
    """Behind the header of an array; NULL where it is none."""
    return header(at, end, 0x90, 0xf0, 0xdc, count)


cdef inline const uint8_t* mapping(const uint8_t* at, const uint8_t* end, uint32_t* count) noexcept nogil:
    """Behind the header of a map; NULL where it is none."""
    return header(at, end, 0x80, 0xf0, 0xde, count)


cdef inline bint integer(const uint8_t* at, const uint8_t* end, int64_t* value) noexcept nogil:
    """Whether a whole number of 64 bits stands here."""
    cdef uint8_t kind
    cdef int octets
    cdef uint64_t read
    if at >= end:
        return False
    kind = at[0]
    if kind < 0x80:
        value[0] = kind
        return True
    if kind >= 0xe0:
        value[0] = <int64_t>kind - 256
        return True
    if not 0xcc <= kind <= 0xd3:
        return False
    octets = 1 << (kind & 3)
    if end - at < 1 + octets:
        return False
    read = big(at + 1, octets)
    if kind < 0xd0:
        if read >> 63:
            return False
        value[0] = <int64_t>read
    elif octets == 8:
        value[0] = <int64_t>read
    else:
        value[0] = <int64_t>read - (<int64_t>(read >> (8 * octets - 1)) << (8 * octets))
    return True


cdef inline const uint8_t* text(const uint8_t* at, const uint8_t* end, uint32_t* octets) noexcept nogil:
    """Where the octets of a text begin; NULL where none stands here."""
    cdef int wide
    if at >= end:
        return NULL
    if at[0] & 0xe0 == 0xa0:
        octets[0] = at[0] & 0x1f
        at += 1
    elif 0xd9 <= at[0] <= 0xdb:
        wide = 1 << (at[0] - 0xd9)
        if end - at < 1 + wide:
            return NULL
        octets[0] = <uint32_t>big(at + 1, wide)
        at += 1 + wide
    else:
        return NULL
    return at if <uint64_t>(end - at) >= octets[0] else NULL


cdef inline const uint8_t* step(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Behind the value that begins here, with all that it holds; NULL where it does not end."""
    # How many values are still to come: one array more adds what it holds.
    cdef uint64_t todo = 1
    cdef uint64_t room
    cdef uint8_t kind
    cdef uint32_t count = 0
    cdef uint64_t length
    while todo:
        todo -= 1
        if at >= end:
            return NULL
        kind = at[0]
        room = <uint64_t>(end - at)
        if kind < 0x80 or kind >= 0xe0 or kind == 0xc0 or kind == 0xc2 or kind == 0xc3:
            length = 1
        elif kind < 0x90:
            length = 1
            todo += 2 * (kind & 0x0f)
        elif kind < 0xa0:
            length = 1
            todo += kind & 0x0f
        elif kind < 0xc0:
            length = 1 + (kind & 0x1f)
        elif 0xcc <= kind <= 0xd3:
            length = 1 + (1 << (kind & 3))
        elif kind == 0xca:
            length = 5
        elif kind == 0xcb:
            length = 9
        elif 0xd9 <= kind <= 0xdb or 0xc4 <= kind <= 0xc6:
            count = 1 << (kind - (0xd9 if kind >= 0xd9 else 0xc4))
            if room < 1 + count:
                return NULL
            length = 1 + count + big(at + 1, <int>count)
        elif 0xdc <= kind <= 0xdf:
            count = 2 if not kind & 1 else 4
            if room < 1 + count:
                return NULL
            length = 1 + count
            todo += big(at + 1, <int>count) * (2 if kind >= 0xde else 1)
        else:
            return NULL
        if room < length:
            return NULL
        # Each value takes an octet at least.
        if todo > <uint64_t>(end - at):
            return NULL
        at += length
    return at
