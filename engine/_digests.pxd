"""Sets of 128-bit digests: many small tables, each of which grows alone, so that no insertion waits for a large one.

All of it is inline, so there is no .pyx.  A set is an array of SHARDS tables that its owner allocates as zeros and
gives back with `dispose`.  Digests must be spread evenly, as those of a keyed hash are: their own bits place them.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from *:
    void fetch "__builtin_prefetch" (const void* memory) noexcept nogil


cdef enum:
    SHARDS = 4096  # at five million digests a table holds 1,200: grown in a few microseconds
    SHARD_SHIFT = 52
    FIRST_ROOM = 4


cdef struct Digest:
    uint64_t low  # says where in its table
    uint64_t high  # says which table


cdef struct Shard:
    Digest* slots  # open addressing, linear probing; behind the last slot stand their tags, an octet each
    uint32_t room  # 0 or a power of two
    uint32_t count  # at most three quarters of the room


cdef inline uint8_t* tags_of(const Shard* shard) noexcept nogil:
    """0 for a free slot, else what `tag_of` the digest there says.

    Who is not in the set, as nearly all who are asked for, is told by the tags: they fit a cache that the slots of
    a large set do not, and to wait for one slot takes longer than to make the digest.
    """
    return <uint8_t*>(shard.slots + shard.room)


cdef inline uint8_t tag_of(Digest digest) noexcept nogil:
    return <uint8_t>(digest.low >> 57) | 0x80


cdef inline uint32_t place(const Shard* shard, Digest digest) noexcept nogil:
    """The slot where `digest` stands, or the free one where it would.  The table must have room."""
    cdef const uint8_t* tags = tags_of(shard)
    cdef uint32_t mask = shard.room - 1
    cdef uint32_t at = <uint32_t>digest.low & mask
    cdef uint8_t tag = tag_of(digest)
    while tags[at] != 0:
        if tags[at] == tag and shard.slots[at].low == digest.low and shard.slots[at].high == digest.high:
            break
        at = (at + 1) & mask
    return at


cdef inline void expect(const Shard* shards, Digest digest) noexcept nogil:
    """Have the memory fetched that the next call for `digest` reads first."""
    cdef const Shard* shard = &shards[digest.high >> SHARD_SHIFT]
    if shard.room:
        fetch(tags_of(shard) + (<uint32_t>digest.low & (shard.room - 1)))


cdef inline bint holds(const Shard* shards, Digest digest) noexcept nogil:
    """Whether `digest` is in the set."""
    cdef const Shard* shard = &shards[digest.high >> SHARD_SHIFT]
    return shard.count > 0 and tags_of(shard)[place(shard, digest)] != 0


cdef inline void settle(Shard* shard, uint32_t at, Digest digest) noexcept nogil:
    shard.slots[at] = digest
    tags_of(shard)[at] = tag_of(digest)


cdef inline int enlarge(Shard* shard) except -1:
    """Double one table, which stays as it is where there is no memory: MemoryError."""
    cdef const uint8_t* tags = tags_of(shard)
    cdef Shard larger
    cdef uint32_t at
    larger.room = 2 * shard.room if shard.room else FIRST_ROOM
    larger.count = shard.count
    larger.slots = <Digest*>PyMem_Calloc(larger.room, sizeof(Digest) + 1)
    if larger.slots == NULL:
        raise MemoryError
    for at in range(shard.room):
        if tags[at] != 0:
            settle(&larger, place(&larger, shard.slots[at]), shard.slots[at])
    PyMem_Free(shard.slots)
    shard[0] = larger
    return 0


cdef inline bint insert(Shard* shards, Digest digest) except -1:
    """Whether `digest` is new.  Raises MemoryError, and nothing has changed then."""
    cdef Shard* shard = &shards[digest.high >> SHARD_SHIFT]
    cdef uint32_t at
    if shard.room == 0:
        enlarge(shard)
    at = place(shard, digest)
    if tags_of(shard)[at] != 0:
        return False
    if 4 * (shard.count + 1) > 3 * shard.room:
        enlarge(shard)
        at = place(shard, digest)
    settle(shard, at, digest)
    shard.count += 1
    return True


cdef inline bint take_out(Shard* shards, Digest digest) noexcept nogil:
    """Whether `digest` was in the set, which it is no longer.  The table keeps its room."""
    cdef Shard* shard = &shards[digest.high >> SHARD_SHIFT]
    cdef uint8_t* tags = tags_of(shard)
    cdef uint32_t mask = shard.room - 1
    cdef uint32_t hole
    cdef uint32_t at
    if not holds(shards, digest):
        return False
    hole = place(shard, digest)
    at = (hole + 1) & mask
    # Who follows without a gap and stands no nearer to home than the hole is moves into it: no tombstones remain.
    while tags[at] != 0:
        if ((at - <uint32_t>shard.slots[at].low) & mask) >= ((at - hole) & mask):
            settle(shard, hole, shard.slots[at])
            hole = at
        at = (at + 1) & mask
    tags[hole] = 0
    shard.count -= 1
    return True


cdef inline size_t octets_of(const Shard* shards) noexcept nogil:
    """Memory of the tables and of their array."""
    cdef size_t rooms = 0
    cdef Py_ssize_t number
    for number in range(SHARDS):
        rooms += shards[number].room
    return rooms * (sizeof(Digest) + 1) + SHARDS * sizeof(Shard)


cdef inline void dispose(Shard* shards) noexcept:
    """Give the tables back, and their array; NULL is none."""
    cdef Py_ssize_t number
    if shards == NULL:
        return
    for number in range(SHARDS):
        PyMem_Free(shards[number].slots)
    PyMem_Free(shards)
