"""Numbers that must get nothing more, as the keyed digests under which they are stored: BLAKE2b-128 (RFC 7693).

A digest is that of the number's eight octets, highest first, with the pepper as the key.  The block of the key, which
comes first, is compressed once; a number then costs one compression.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from engine._digests cimport SHARDS, Digest, Shard, dispose, expect, holds, insert, take_out
from engine._octets cimport load, store


cdef enum:
    MOST_PEPPER = 64  # the longest key
    DIGEST_OCTETS = 16
    BLOCK_OCTETS = 128
    NUMBER_OCTETS = 8
    ROUNDS = 12

# The initial words, as of SHA-512: RFC 7693 §2.6.
cdef uint64_t[8] INITIAL
INITIAL[:] = [
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
]

# Which words of a block a round takes, in order, a hex digit each: RFC 7693 §2.7.
cdef const char* SCHEDULE = (
    b"0123456789abcdef"
    b"ea489fd61c02b753"
    b"b8c052fdae367194"
    b"7931dcbe265a40f8"
    b"905724afe1bc683d"
    b"2c6a0b834d75fe19"
    b"c51fed4a0763928b"
    b"db7ec13950f4862a"
    b"6fe9b308c2d714a5"
    b"a2847615fb9e3cd0"
    b"0123456789abcdef"
    b"ea489fd61c02b753"
)


cdef inline uint64_t turned(uint64_t word, int bits) noexcept nogil:
    return word >> bits | word << (64 - bits)


cdef inline void mix(uint64_t* a, uint64_t* b, uint64_t* c, uint64_t* d, uint64_t x, uint64_t y) noexcept nogil:
    """The function G of RFC 7693 §3.1."""
    a[0] += b[0] + x
    d[0] = turned(d[0] ^ a[0], 32)
    c[0] += d[0]
    b[0] = turned(b[0] ^ c[0], 24)
    a[0] += b[0] + y
    d[0] = turned(d[0] ^ a[0], 16)
    c[0] += d[0]
    b[0] = turned(b[0] ^ c[0], 63)


cdef inline void stir(uint64_t* v, const uint64_t* words) noexcept nogil:
    """A round, with the words in the order in which it takes them."""
    mix(&v[0], &v[4], &v[8], &v[12], words[0], words[1])
    mix(&v[1], &v[5], &v[9], &v[13], words[2], words[3])
    mix(&v[2], &v[6], &v[10], &v[14], words[4], words[5])
    mix(&v[3], &v[7], &v[11], &v[15], words[6], words[7])
    mix(&v[0], &v[5], &v[10], &v[15], words[8], words[9])
    mix(&v[1], &v[6], &v[11], &v[12], words[10], words[11])
    mix(&v[2], &v[7], &v[8], &v[13], words[12], words[13])
    mix(&v[3], &v[4], &v[9], &v[14], words[14], words[15])


cdef inline void begin(uint64_t* v, const uint64_t* state, uint64_t octets) noexcept nogil:
    """The work of a block that ends after `octets` in all: RFC 7693 §3.2."""
    memcpy(v, state, sizeof(INITIAL))
    memcpy(v + 8, INITIAL, sizeof(INITIAL))
    v[12] ^= octets


cdef void compress(uint64_t* state, const uint8_t* block) noexcept nogil:
    """The first block into the state, where others follow."""
    cdef uint64_t v[16]
    cdef uint64_t words[16]
    cdef char digit
    cdef int turn
    cdef int i
    begin(v, state, BLOCK_OCTETS)
    for turn in range(ROUNDS):
        for i in range(16):
            digit = SCHEDULE[16 * turn + i]
            words[i] = load(block + 8 * (digit - c"0" if digit <= c"9" else digit - c"a" + 10))
        stir(v, words)
    for i in range(8):
        state[i] ^= v[i] ^ v[i + 8]


cdef inline void stir_one(uint64_t* v, int place, uint64_t word) noexcept nogil:
    """A round whose words are all zero but the one that it takes at `place`."""
    cdef uint64_t words[16]
    memset(words, 0, sizeof(words))
    words[place] = word
    stir(v, words)


@cython.final
@cython.auto_pickle(False)
cdef class Suppressed:
    """A set of digests, and what makes digests of numbers."""

    def __cinit__(self, bytes pepper not None):
        """Raises ValueError where the pepper is empty or longer than 64 octets."""
        cdef uint8_t block[BLOCK_OCTETS]
        cdef Py_ssize_t length = len(pepper)
        if not 1 <= length <= MOST_PEPPER:
            raise ValueError(f"a pepper has 1 to {MOST_PEPPER} octets, not {length}")
        self.shards = <Shard*>PyMem_Calloc(SHARDS, sizeof(Shard))
        if self.shards == NULL:
            raise MemoryError
        memset(block, 0, BLOCK_OCTETS)
        memcpy(block, <const char*>pepper, length)
        memcpy(self.keyed, INITIAL, sizeof(INITIAL))
        self.keyed[0] ^= 0x01010000 ^ <uint64_t>length << 8 ^ DIGEST_OCTETS
        compress(self.keyed, block)

    def __dealloc__(self):
        dispose(self.shards)

    def __len__(self):
        return self.count

    def __contains__(self, uint64_t number):
        """Whether the digest of `number` is in the set.  Raises OverflowError for what is no number of 64 bits."""
        return self.has(number)

    def digest(self, uint64_t number):
        """The 16 octets under which `number` stands.  Raises OverflowError for what is no number of 64 bits."""
        cdef Digest digest = self.digest_of(number)
        cdef uint8_t octets[DIGEST_OCTETS]
        store(digest.low, octets)
        store(digest.high, octets + 8)
        return octets[:DIGEST_OCTETS]

    def load(self, digests):
        """Add each of `digests`, as `add` does; those before one that it refuses are in the set."""
        for digest in digests:
            self.add(digest)

    def add(self, bytes digest not None):
        """Put a digest into the set, where it may be already.  Raises ValueError where it has not 16 octets."""
        self.count += insert(self.shards, parsed(digest))

    def discard(self, bytes digest not None):
        """Take a digest out of the set, where it need not be.  Raises ValueError where it has not 16 octets."""
        self.count -= take_out(self.shards, parsed(digest))

    cdef Digest digest_of(self, uint64_t number) noexcept nogil:
        cdef uint64_t v[16]
        cdef uint64_t word = reversed_octets(number)
        cdef Digest digest
        begin(v, self.keyed, BLOCK_OCTETS + NUMBER_OCTETS)
        v[14] = ~v[14]
        # Where word 0 stands in each line of SCHEDULE.  Known to the compiler, the sums with the other words, which
        # are zero, fall away: 100 ns, where a loop over SCHEDULE takes 250.
        stir_one(v, 0, word)
        stir_one(v, 10, word)
        stir_one(v, 3, word)
        stir_one(v, 13, word)
        stir_one(v, 1, word)
        stir_one(v, 4, word)
        stir_one(v, 8, word)
        stir_one(v, 9, word)
        stir_one(v, 6, word)
        stir_one(v, 15, word)
        stir_one(v, 0, word)
        stir_one(v, 10, word)
        digest.low = self.keyed[0] ^ v[0] ^ v[8]
        digest.high = self.keyed[1] ^ v[1] ^ v[9]
        return digest

    cdef bint has(self, uint64_t number) noexcept:
        """Whether the digest of `number`, all of it, is in the set."""
        return self.count > 0 and holds(self.shards, self.digest_of(number))

    cdef Digest expect_number(self, uint64_t number) noexcept nogil:
        """The digest for `has_digest`, having the memory fetched that it reads, best called 100 ns later.

        An empty set gives zeros, for to make the digest would be work for nothing: between the two calls nothing may
        be added.
        """
        cdef Digest digest
        digest.low = digest.high = 0
        if self.count > 0:
            digest = self.digest_of(number)
            expect(self.shards, digest)
        return digest

    cdef bint has_digest(self, Digest digest) noexcept nogil:
        """Whether the digest that `expect_number` gave, all of it, is in the set."""
        return self.count > 0 and holds(self.shards, digest)


cdef inline uint64_t reversed_octets(uint64_t number) noexcept nogil:
    cdef uint8_t octets[NUMBER_OCTETS]
    cdef int i
    for i in range(NUMBER_OCTETS):
        octets[i] = <uint8_t>(number >> 8 * (NUMBER_OCTETS - 1 - i))
    return load(octets)


cdef Digest parsed(bytes octets) except *:
    cdef Digest digest
    cdef const uint8_t* at = octets
    if len(octets) != DIGEST_OCTETS:
        raise ValueError(f"a digest has {DIGEST_OCTETS} octets, not {len(octets)}")
    digest.low = load(at)
    digest.high = load(at + 8)
    return digest
