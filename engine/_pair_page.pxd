"""Pages of sorted (key, id) pairs: how one is packed and read back.

Pairs stand by key, and of one key the highest id first.  So that plain ascending order says both, an id is turned:
all its bits the other way.  The *place* of a pair is its key and its turned id, 16 octets, big-endian; a page is
stored under the place of its last pair, so that one seek finds the page that a pair would be in.

    octet 0    the version
          1    rest: how many low bits of a step stand as they are
          2    width: bits of an id's offset
          3    how many pairs, 16 bits
          5    the first key, 64 bits
         13    the lowest id, 64 bits
         21    the ids, each as its offset from the lowest, `width` bits
    then, from a whole octet on, the step from each key to the next: step >> rest zeros and a one, and the rest (Rice
    and Plaunt 1971); or ESCAPE zeros and the 64 bits of a step that is far out of the ordinary.

All little-endian, bits lowest first.  What lies in a file may have been written by anybody: every page is checked
while it is read, up to its last pair, which must be the one it is stored under.  All of it is inline, so there is
no .pyx.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from engine._octets cimport load, store

cdef extern from *:
    int trailing_zeros "__builtin_ctzll"(unsigned long long word) noexcept nogil
    int leading_zeros "__builtin_clzll"(unsigned long long word) noexcept nogil

cdef enum:
    VERSION = 1
    HEADER = 21
    # What is left of a page of LMDB that overflows: exactly one.
    PAGE_OCTETS = 4080
    # A page in memory, with room behind it for whole words to be read and written.
    FRAME = 4112
    # Bounds the work of a look-up, and what a page may claim to hold.
    PAIRS_MOST = 2048
    # So many pairs say how large the steps are.
    SAMPLE = 512
    ESCAPE = 16
    REST_MOST = 56
    PLACE = 16

cdef struct Pair:
    uint64_t key
    uint64_t turned

cdef struct Slip:  # What is to be known of a page beside its octets.
    int octets
    Pair last
    uint64_t lowest

cdef struct Shape:  # The header of a page that may be one.
    int rest
    int width
    int count
    uint64_t first
    uint64_t lowest
    int steps_bit
    int end_bit

cdef struct Bits:
    uint8_t* at
    uint64_t held
    int count

cdef struct Stored:  # A page as it was read, and the place it is stored under.
    const uint8_t* octets
    Py_ssize_t length
    Pair last
    Shape shape


# -- octets and bits

cdef inline uint64_t load_high(const uint8_t* octets) noexcept nogil:
    """Eight octets, the first one highest."""
    return (
        <uint64_t>octets[7]
        | <uint64_t>octets[6] << 8
        | <uint64_t>octets[5] << 16
        | <uint64_t>octets[4] << 24
        | <uint64_t>octets[3] << 32
        | <uint64_t>octets[2] << 40
        | <uint64_t>octets[1] << 48
        | <uint64_t>octets[0] << 56
    )


cdef inline void store_high(uint64_t value, uint8_t* octets) noexcept nogil:
    """The reverse of `load_high`."""
    cdef int i
    for i in range(8):
        octets[i] = <uint8_t>(value >> 8 * (7 - i))


cdef inline Pair place_of(const uint8_t* octets) noexcept nogil:
    cdef Pair pair
    pair.key = load_high(octets)
    pair.turned = load_high(octets + 8)
    return pair


cdef inline bint before(const Pair* one, const Pair* other) noexcept nogil:
    return (one.key < other.key) | ((one.key == other.key) & (one.turned < other.turned))


cdef inline bint same(const Pair* one, const Pair* other) noexcept nogil:
    return one.key == other.key and one.turned == other.turned


cdef inline int bit_length(uint64_t value) noexcept nogil:
    return 64 - leading_zeros(value) if value else 0


cdef inline uint64_t bits_at(const uint8_t* page, int bit, int width) noexcept nogil:
    """`width` bits, at most 56, from `bit` on."""
    return load(page + (bit >> 3)) >> (bit & 7) & ((<uint64_t>1 << width) - 1)


cdef inline uint64_t wide_bits_at(const uint8_t* page, int bit, int width) noexcept nogil:
    """`width` bits, at most 64, from `bit` on."""
    if width <= 56:
        return bits_at(page, bit, width)
    return bits_at(page, bit, 32) | bits_at(page, bit + 32, width - 32) << 32


cdef inline void put(Bits* out, uint64_t value, int width) noexcept nogil:
    """`width` bits more, at most 32; writes up to 4 octets at a time."""
    cdef int i
    out.held |= value << out.count
    out.count += width
    if out.count >= 32:
        for i in range(4):
            out.at[i] = <uint8_t>(out.held >> 8 * i)
        out.at += 4
        out.held >>= 32
        out.count -= 32


cdef inline void put_wide(Bits* out, uint64_t value, int width) noexcept nogil:
    if width > 32:
        put(out, value & <uint64_t>0xFFFFFFFF, 32)
        value >>= 32
        width -= 32
    put(out, value, width)


cdef inline uint8_t* ended(Bits* out) noexcept nogil:
    """Where the next whole octet begins."""
    while out.count > 0:
        out.at[0] = <uint8_t>out.held
        out.at += 1
        out.held >>= 8
        out.count -= 8
    return out.at


# -- packing

cdef inline int step_bits(uint64_t step, int rest) noexcept nogil:
    return <int>(step >> rest) + 1 + rest if step >> rest < ESCAPE else ESCAPE + 64


cdef inline int usual_rest(const Pair* pairs, Py_ssize_t count) noexcept nogil:
    """The `rest` that suits the steps among the first pairs.

    The mean of their lengths in bits: unlike their mean, it does not mind that a country ends between two.
    """
    cdef Py_ssize_t i
    cdef Py_ssize_t length = 0
    if count < 2:
        return 0
    count = min(count, SAMPLE)
    for i in range(1, count):
        length += bit_length(pairs[i].key - pairs[i - 1].key)
    return min(<int>(length / (count - 1)), REST_MOST)


cdef inline Py_ssize_t pack_page(const Pair* pairs, Py_ssize_t count, uint8_t* page, Slip* slip) noexcept nogil:
    """How many of the pairs, at least one, went into the page; it has FRAME octets of room."""
    cdef int rest = usual_rest(pairs, count)
    cdef uint64_t lowest = ~pairs[0].turned
    cdef uint64_t highest = lowest
    cdef uint64_t id
    cdef uint64_t step
    cdef int width = 0
    cdef int wider
    cdef Py_ssize_t steps = 0
    cdef Py_ssize_t more
    cdef Py_ssize_t taken = 1
    cdef Py_ssize_t i
    cdef Bits out
    count = min(count, <Py_ssize_t>PAIRS_MOST)
    while taken < count:
        id = ~pairs[taken].turned
        wider = bit_length(max(highest, id) - min(lowest, id))
        more = steps + step_bits(pairs[taken].key - pairs[taken - 1].key, rest)
        if HEADER + (((taken + 1) * wider + 7) >> 3) + ((more + 7) >> 3) > PAGE_OCTETS:
            break
        lowest = min(lowest, id)
        highest = max(highest, id)
        width = wider
        steps = more
        taken += 1

    page[0] = VERSION
    page[1] = <uint8_t>rest
    page[2] = <uint8_t>width
    page[3] = <uint8_t>taken
    page[4] = <uint8_t>(taken >> 8)
    store(pairs[0].key, page + 5)
    store(lowest, page + 13)
    out.at = page + HEADER
    out.held = 0
    out.count = 0
    for i in range(taken):
        put_wide(&out, ~pairs[i].turned - lowest, width)
    out.at = ended(&out)
    out.held = 0
    out.count = 0
    for i in range(1, taken):
        step = pairs[i].key - pairs[i - 1].key
        if step >> rest < ESCAPE:
            put(&out, <uint64_t>1 << (step >> rest), <int>(step >> rest) + 1)
            put_wide(&out, step & ((<uint64_t>1 << rest) - 1), rest)
        else:
            put(&out, 0, ESCAPE)
            put_wide(&out, step, 64)
    slip.octets = <int>(ended(&out) - page)
    slip.last = pairs[taken - 1]
    slip.lowest = lowest
    return taken


# -- reading

cdef inline bint read_shape(const uint8_t* page, Py_ssize_t octets, Shape* shape) noexcept nogil:
    """Whether it can be a page."""
    if octets < HEADER or octets > PAGE_OCTETS or page[0] != VERSION:
        return False
    shape.rest = page[1]
    shape.width = page[2]
    shape.count = page[3] | page[4] << 8
    if shape.rest > REST_MOST or shape.width > 64 or not 0 < shape.count <= PAIRS_MOST:
        return False
    shape.first = load(page + 5)
    shape.lowest = load(page + 13)
    shape.steps_bit = 8 * (HEADER + ((shape.count * shape.width + 7) >> 3))
    shape.end_bit = 8 * <int>octets
    return shape.steps_bit <= shape.end_bit


cdef inline bint read_step(const uint8_t* frame, const Shape* shape, int* bit, uint64_t* key) noexcept nogil:
    """The key after `key`; whether there is one.  Where it ends beyond the page, the next call says no."""
    cdef uint64_t window
    cdef uint64_t step
    cdef int zeros
    if bit[0] >= shape.end_bit:
        return False
    window = load(frame + (bit[0] >> 3)) >> (bit[0] & 7)
    if window & ((1 << ESCAPE) - 1):
        zeros = trailing_zeros(window)
        bit[0] += zeros + 1
        step = <uint64_t>zeros << shape.rest | bits_at(frame, bit[0], shape.rest)
        bit[0] += shape.rest
    else:
        step = wide_bits_at(frame, bit[0] + ESCAPE, 64)
        bit[0] += ESCAPE + 64
    key[0] += step
    return key[0] >= step


cdef inline bint is_end(const Shape* shape, int bit) noexcept nogil:
    """Whether the steps end here: in the last octet."""
    return shape.end_bit - 8 < bit <= shape.end_bit


cdef inline uint64_t turned_at(const uint8_t* frame, const Shape* shape, int place) noexcept nogil:
    return ~(shape.lowest + wide_bits_at(frame, 8 * HEADER + place * shape.width, shape.width))


cdef inline void copy_page(const Stored* stored, uint8_t* frame) noexcept nogil:
    """Nothing but zeros behind it: whole words are read beyond its end."""
    memcpy(frame, stored.octets, stored.length)
    memset(frame + stored.length, 0, FRAME - stored.length)


cdef inline bint unpack_page(const Stored* stored, Pair* pairs) noexcept nogil:
    """Whether it was a page; room for all of its pairs is the caller's."""
    cdef const Shape* shape = &stored.shape
    cdef uint8_t[FRAME] frame
    cdef int bit = shape.steps_bit
    cdef uint64_t key = shape.first
    cdef bint is_rising = True
    cdef int i
    copy_page(stored, frame)
    pairs[0].key = key
    pairs[0].turned = turned_at(frame, shape, 0)
    for i in range(1, shape.count):
        if not read_step(frame, shape, &bit, &key):
            return False
        pairs[i].key = key
        pairs[i].turned = turned_at(frame, shape, i)
        is_rising = is_rising and before(&pairs[i - 1], &pairs[i])
    return is_rising and is_end(shape, bit) and same(&pairs[shape.count - 1], &stored.last)
