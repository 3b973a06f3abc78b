"""Which recipients one campaign has had already: numbers as they are, references as keyed digests of 128 bits.

Both stand in many small tables, each of which grows alone: no call waits for a large one.  A file's sender chooses
numbers and references but not where they stand, for a secret places them: a chosen million cannot fall into one
table.  A number takes 11 to 22 octets, a reference 23 to 46; the first of either 64 KB more.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from engine._digests cimport (
    FIRST_ROOM,
    SHARD_SHIFT,
    SHARDS,
    Digest,
    Shard,
    dispose,
    expect,
    fetch,
    insert,
    octets_of,
)
from engine._octets cimport load, store


cdef enum:
    SECRET_OCTETS = 16


# SipHash (Aumasson and Bernstein 2012).  1-3 places a number, which is then compared; 2-4 with 128 bits stands for a
# reference, and two of the same digest are one.
cdef struct Sip:
    uint64_t a
    uint64_t b
    uint64_t c
    uint64_t d


cdef inline uint64_t turned(uint64_t word, int bits) noexcept nogil:
    return word << bits | word >> (64 - bits)


cdef inline void stir(Sip* state) noexcept nogil:
    """SipRound."""
    state.a += state.b
    state.b = turned(state.b, 13) ^ state.a
    state.a = turned(state.a, 32)
    state.c += state.d
    state.d = turned(state.d, 16) ^ state.c
    state.a += state.d
    state.d = turned(state.d, 21) ^ state.a
    state.c += state.b
    state.b = turned(state.b, 17) ^ state.c
    state.c = turned(state.c, 32)


cdef inline Sip begun(uint64_t first_key, uint64_t second_key) noexcept nogil:
    cdef Sip state
    state.a = first_key ^ <uint64_t>0x736F6D6570736575
    state.b = second_key ^ <uint64_t>0x646F72616E646F6D
    state.c = first_key ^ <uint64_t>0x6C7967656E657261
    state.d = second_key ^ <uint64_t>0x7465646279746573
    return state


cdef inline void absorb(Sip* state, uint64_t word) noexcept nogil:
    """One word by two rounds."""
    state.d ^= word
    stir(state)
    stir(state)
    state.a ^= word


cdef inline uint64_t squeeze(Sip* state) noexcept nogil:
    """Half a digest by four rounds."""
    stir(state)
    stir(state)
    stir(state)
    stir(state)
    return state.a ^ state.b ^ state.c ^ state.d


cdef inline uint64_t* place(const Numbers* shard, uint64_t number, uint64_t spread) noexcept nogil:
    """The slot where `number` stands, or the free one where it would.  The table must have room."""
    cdef uint32_t mask = shard.room - 1
    cdef uint32_t at = <uint32_t>spread & mask
    while shard.slots[at] != number and shard.slots[at] != 0:
        at = (at + 1) & mask
    return &shard.slots[at]


@cython.final
@cython.auto_pickle(False)
cdef class Seen:
    """The rows of one campaign so far, by reference where they have one, else by number."""

    def __cinit__(self, bytes secret not None):
        """Raises ValueError where the secret has not 16 octets."""
        cdef const uint8_t* octets = secret
        if len(secret) != SECRET_OCTETS:
            raise ValueError(f"a secret has {SECRET_OCTETS} octets, not {len(secret)}")
        self.first_key = load(octets)
        self.second_key = load(octets + 8)

    def __dealloc__(self):
        cdef Py_ssize_t number
        if self.numbers != NULL:
            for number in range(SHARDS):
                PyMem_Free(self.numbers[number].slots)
            PyMem_Free(self.numbers)
        dispose(self.references)

    def __len__(self):
        return self.count

    @property
    def octets(self):
        """Memory that the tables hold."""
        cdef size_t rooms = 0
        cdef size_t held = 0
        cdef Py_ssize_t number
        if self.numbers != NULL:
            for number in range(SHARDS):
                rooms += self.numbers[number].room
            held = rooms * sizeof(uint64_t) + SHARDS * sizeof(Numbers)
        if self.references != NULL:
            held += octets_of(self.references)
        return held

    def add(self, uint64_t number, str reference not None):
        """Whether the row is new: by `reference` where it is not empty, else by `number`.

        Raises ValueError for number 0 without a reference, UnicodeEncodeError for a reference that is no text, and
        MemoryError; nothing has changed then.
        """
        cdef Py_ssize_t length = 0
        cdef const char* text = PyUnicode_AsUTF8AndSize(reference, &length)
        if length:
            return self.add_reference(<const uint8_t*>text, length)
        return self.add_number(number)

    def give_back(self, int tables):
        """Forget what up to `tables` tables hold, and give their memory back; whether others are left.

        For a set that nobody needs any more: five million rows given back at once hold everything up for 15 ms.
        """
        cdef Py_ssize_t number
        while tables > 0 and self.given_back < 2 * SHARDS:
            number = self.given_back % SHARDS
            if self.given_back < SHARDS:
                if self.numbers != NULL:
                    self.count -= self.numbers[number].count
                    PyMem_Free(self.numbers[number].slots)
                    memset(&self.numbers[number], 0, sizeof(Numbers))
            elif self.references != NULL:
                self.count -= self.references[number].count
                PyMem_Free(self.references[number].slots)
                memset(&self.references[number], 0, sizeof(Shard))
            self.given_back += 1
            tables -= 1
        return self.given_back < 2 * SHARDS

    def digest(self, str reference not None):
        """The 16 octets that stand for `reference`: SipHash-2-4-128 of its UTF-8, by the secret."""
        cdef Py_ssize_t length = 0
        cdef const char* text = PyUnicode_AsUTF8AndSize(reference, &length)
        cdef Digest digest = self.digest_of(<const uint8_t*>text, length)
        cdef uint8_t octets[16]
        store(digest.low, octets)
        store(digest.high, octets + 8)
        return octets[:16]

    cdef Digest digest_of(self, const uint8_t* text, Py_ssize_t length) noexcept nogil:
        cdef Sip state = begun(self.first_key, self.second_key)
        cdef Digest digest
        cdef uint64_t word = <uint64_t>length << 56
        cdef Py_ssize_t whole = length & ~7
        cdef Py_ssize_t at
        state.b ^= 0xEE
        for at in range(0, whole, 8):
            absorb(&state, load(text + at))
        for at in range(whole, length):
            word |= <uint64_t>text[at] << (8 * (at - whole))
        absorb(&state, word)
        state.c ^= 0xEE
        digest.low = squeeze(&state)
        state.b ^= 0xDD
        digest.high = squeeze(&state)
        return digest

    cdef uint64_t spread(self, uint64_t number) noexcept nogil:
        """SipHash-1-3 of a number's eight octets: the top bits say which table, the low ones where in it."""
        cdef Sip state = begun(self.first_key, self.second_key)
        state.d ^= number
        stir(&state)
        state.a ^= number
        state.d ^= <uint64_t>8 << 56
        stir(&state)
        state.a ^= <uint64_t>8 << 56
        state.c ^= 0xFF
        stir(&state)
        stir(&state)
        stir(&state)
        return state.a ^ state.b ^ state.c ^ state.d

    cdef int enlarge(self, Numbers* shard) except -1:
        """Double one table, which stays as it is where there is no memory: MemoryError."""
        cdef Numbers larger
        cdef uint64_t number
        cdef uint32_t at
        larger.room = 2 * shard.room if shard.room else FIRST_ROOM
        larger.count = shard.count
        larger.slots = <uint64_t*>PyMem_Calloc(larger.room, sizeof(uint64_t))
        if larger.slots == NULL:
            raise MemoryError
        for at in range(shard.room):
            number = shard.slots[at]
            if number != 0:
                place(&larger, number, self.spread(number))[0] = number
        PyMem_Free(shard.slots)
        shard[0] = larger
        return 0

    cdef void expect_number(self, uint64_t number) noexcept nogil:
        """Have the memory fetched that `add_number` reads, which is best called 100 ns later."""
        cdef uint64_t spread
        cdef const Numbers* shard
        if self.numbers != NULL:
            spread = self.spread(number)
            shard = &self.numbers[spread >> SHARD_SHIFT]
            if shard.room:
                fetch(&shard.slots[<uint32_t>spread & (shard.room - 1)])

    cdef bint add_number(self, uint64_t number) except -1:
        """Whether `number` is new.  Raises ValueError for 0, and MemoryError; nothing has changed then."""
        cdef uint64_t spread
        cdef Numbers* shard
        cdef uint64_t* slot
        if number == 0:
            raise ValueError("0 is no telephone number")
        if self.numbers == NULL:
            self.numbers = <Numbers*>PyMem_Calloc(SHARDS, sizeof(Numbers))
            if self.numbers == NULL:
                raise MemoryError
        spread = self.spread(number)
        shard = &self.numbers[spread >> SHARD_SHIFT]
        if shard.room == 0:
            self.enlarge(shard)
        slot = place(shard, number, spread)
        if slot[0] != 0:
            return False
        if 4 * (shard.count + 1) > 3 * shard.room:
            self.enlarge(shard)
            slot = place(shard, number, spread)
        slot[0] = number
        shard.count += 1
        self.count += 1
        return True

    cdef Digest expect_reference(self, const uint8_t* text, Py_ssize_t length) noexcept nogil:
        """The digest of a reference, having the memory fetched that `add_digest` reads, best called 100 ns later."""
        cdef Digest digest = self.digest_of(text, length)
        if self.references != NULL:
            expect(self.references, digest)
        return digest

    cdef bint add_digest(self, Digest digest) except -1:
        """`add_reference`, where its digest is known."""
        cdef bint new
        if self.references == NULL:
            self.references = <Shard*>PyMem_Calloc(SHARDS, sizeof(Shard))
            if self.references == NULL:
                raise MemoryError
        new = insert(self.references, digest)
        self.count += new
        return new

    cdef bint add_reference(self, const uint8_t* text, Py_ssize_t length) except -1:
        """Whether the reference of `length` octets of UTF-8 is new.  Raises MemoryError; nothing has changed then."""
        return self.add_digest(self.digest_of(text, length))
