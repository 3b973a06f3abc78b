"""Sets of 128-bit digests: many small tables, each of which grows alone, so that no insertion waits for a large one.

All of it is inline, so there is no .pyx.  A set is an array of SHARDS tables that its owner allocates as zeros and
gives back with `dispose`.  Digests must be spread evenly, as those of a keyed hash are: their own bits place them.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint32_t, uint64_t


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
    Digest* slots  # open addressing, linear probing; two zero words are a free slot
    uint32_t room  # 0 or a power of two
    uint32_t count  # at most three quarters of the room


cdef inline Digest sound(Digest digest) noexcept nogil:
    """`digest`, or another where it is the mark of a free slot, which one in 2 ** 128 is."""
    if digest.low == 0 and digest.high == 0:
        digest.low = 1
    return digest


cdef inline Digest* place(const Shard* shard, Digest digest) noexcept nogil:
    """The slot where `digest` stands, or the free one where it would.  The table must have room."""
    cdef uint32_t mask = shard.room - 1
    cdef uint32_t at = <uint32_t>digest.low & mask
    while shard.slots[at].low != digest.low or shard.slots[at].high != digest.high:
        if shard.slots[at].low == 0 and shard.slots[at].high == 0:
            break
        at = (at + 1) & mask
    return &shard.slots[at]


cdef inline void expect(const Shard* shards, Digest digest) noexcept nogil:
    """Have the memory fetched that the next call for `digest` reads.

    A large set lies outside every cache, and to wait for one slot takes longer than all else that is done for a row.
    """
    cdef const Shard* shard = &shards[digest.high >> SHARD_SHIFT]
    if shard.room:
        fetch(&shard.slots[<uint32_t>digest.low & (shard.room - 1)])


cdef inline bint holds(const Shard* shards, Digest digest) noexcept nogil:
    """Whether `digest` is in the set."""
    cdef const Shard* shard
    cdef const Digest* slot
    digest = sound(digest)
    shard = &shards[digest.high >> SHARD_SHIFT]
    if shard.count == 0:
        return False
    slot = place(shard, digest)
    return slot.low != 0 or slot.high != 0


cdef inline int enlarge(Shard* shard) except -1:
    """Double one table, which stays as it is where there is no memory: MemoryError."""
    cdef Shard larger
    cdef uint32_t at
    larger.room = 2 * shard.room if shard.room else FIRST_ROOM
    larger.count = shard.count
    larger.slots = <Digest*>PyMem_Calloc(larger.room, sizeof(Digest))
    if larger.slots == NULL:
        raise MemoryError
    for at in range(shard.room):
        if shard.slots[at].low != 0 or shard.slots[at].high != 0:
            place(&larger, shard.slots[at])[0] = shard.slots[at]
    PyMem_Free(shard.slots)
    shard[0] = larger
    return 0


cdef inline bint insert(Shard* shards, Digest digest) except -1:
    """Whether `digest` is new.  Raises MemoryError, and nothing has changed then."""
    cdef Shard* shard
    cdef Digest* slot
    digest = sound(digest)
    shard = &shards[digest.high >> SHARD_SHIFT]
    if shard.room == 0:
        enlarge(shard)
    slot = place(shard, digest)
    if slot.low != 0 or slot.high != 0:
        return False
    if 4 * (shard.count + 1) > 3 * shard.room:
        enlarge(shard)
        slot = place(shard, digest)
    slot[0] = digest
    shard.count += 1
    return True


cdef inline bint take_out(Shard* shards, Digest digest) noexcept nogil:
    """Whether `digest` was in the set, which it is no longer.  The table keeps its room."""
    cdef Shard* shard
    cdef Digest* slots
    cdef uint32_t mask
    cdef uint32_t hole
    cdef uint32_t at
    if not holds(shards, digest):
        return False
    digest = sound(digest)
    shard = &shards[digest.high >> SHARD_SHIFT]
    slots = shard.slots
    mask = shard.room - 1
    hole = <uint32_t>(place(shard, digest) - slots)
    at = (hole + 1) & mask
    # Who follows without a gap and stands no nearer to home than the hole is moves into it: no tombstones remain.
    while slots[at].low != 0 or slots[at].high != 0:
        if ((at - <uint32_t>slots[at].low) & mask) >= ((at - hole) & mask):
            slots[hole] = slots[at]
            hole = at
        at = (at + 1) & mask
    slots[hole].low = 0
    slots[hole].high = 0
    shard.count -= 1
    return True


cdef inline size_t octets_of(const Shard* shards) noexcept nogil:
    """Memory of the tables and of their array."""
    cdef size_t rooms = 0
    cdef Py_ssize_t number
    for number in range(SHARDS):
        rooms += shards[number].room
    return rooms * sizeof(Digest) + SHARDS * sizeof(Shard)


cdef inline void dispose(Shard* shards) noexcept:
    """Give the tables back, and their array; NULL is none."""
    cdef Py_ssize_t number
    if shards == NULL:
        return
    for number in range(SHARDS):
        PyMem_Free(shards[number].slots)
    PyMem_Free(shards)
