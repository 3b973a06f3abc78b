"""Runs of (key, id) pairs: sorted and packed into pages, looked up, merged.

The pages are those of _pair_page.pxd, and come and go as (what they are stored under, octets).  Knows no LMDB; of
tables it knows the name, to say which one holds a broken page.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from engine._octets cimport load
from engine._pair_page cimport (
    FRAME,
    PLACE,
    Pair,
    Slip,
    Stored,
    before,
    bit_length,
    copy_page,
    is_end,
    pack_page,
    place_of,
    read_shape,
    read_step,
    same,
    trailing_zeros,
    turned_at,
    unpack_page,
)

from engine.errors import RecordBroken

cdef enum:
    DIGIT = 11
    # What a page is stored under: whose it is, 9 octets, and its place.
    KEY = 9 + PLACE
    # Fewer pairs than this are sorted by insertion.
    FEW = 48

cdef struct Stretch:  # Pairs in order.
    const Pair* at
    const Pair* end

cdef struct Source:  # The pages of one run; the pairs up to `after` no longer count.
    Py_ssize_t pages
    bint has_after
    Pair after


cdef str NO_PAGE = "this is no page of pairs"


# -- sorting

cdef void insert_sorted(Pair* pairs, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t hole
    cdef Pair pair
    for i in range(1, count):
        pair = pairs[i]
        hole = i
        while hole and before(&pair, &pairs[hole - 1]):
            pairs[hole] = pairs[hole - 1]
            hole -= 1
        pairs[hole] = pair


cdef void deal(const Pair* pairs, Pair* dealt, Py_ssize_t count, bint by_key, int shift) noexcept nogil:
    """One pass of a radix sort: into `dealt` by DIGIT bits, those of the same in the order they had."""
    cdef uint32_t[1 << DIGIT] starts
    cdef uint32_t mask = (1 << DIGIT) - 1
    cdef uint32_t digit
    cdef uint32_t start = 0
    cdef uint32_t size
    cdef Py_ssize_t i
    memset(starts, 0, sizeof(starts))
    for i in range(count):
        starts[((pairs[i].key if by_key else pairs[i].turned) >> shift) & mask] += 1
    for i in range(1 << DIGIT):
        size = starts[i]
        starts[i] = start
        start += size
    for i in range(count):
        digit = ((pairs[i].key if by_key else pairs[i].turned) >> shift) & mask
        dealt[starts[digit]] = pairs[i]
        starts[digit] += 1


cdef Pair* sort(Pair* pairs, Pair* spare, Py_ssize_t count) noexcept nogil:
    """The pairs in order, where they were or in `spare`.  Digits in which all are alike cost no pass."""
    cdef uint64_t keys = 0
    cdef uint64_t ids = 0
    cdef bint is_rising = True
    cdef Py_ssize_t i
    cdef int shift
    if count < FEW:
        insert_sorted(pairs, count)
        return pairs
    for i in range(1, count):
        keys |= pairs[i].key ^ pairs[0].key
        ids |= pairs[i].turned ^ pairs[0].turned
        is_rising = is_rising and pairs[i].turned > pairs[i - 1].turned
    if not is_rising and ids:
        shift = trailing_zeros(ids)
        while shift < bit_length(ids):
            deal(pairs, spare, count, False, shift)
            pairs, spare = spare, pairs
            shift += DIGIT
    if keys:
        shift = trailing_zeros(keys)
        while shift < bit_length(keys):
            deal(pairs, spare, count, True, shift)
            pairs, spare = spare, pairs
            shift += DIGIT
    return pairs


# -- packing

cdef bytes place_octets(Pair pair):
    cdef uint8_t[PLACE] octets
    cdef int i
    for i in range(8):
        octets[i] = <uint8_t>(pair.key >> 8 * (7 - i))
        octets[8 + i] = <uint8_t>(pair.turned >> 8 * (7 - i))
    return PyBytes_FromStringAndSize(<char*>octets, PLACE)


cdef tuple paged(const Pair* pairs, Py_ssize_t count, bint whole):
    """([(place, page)], how many pairs, the lowest id); unless `whole`, no last page that is not full beside others.

    Straight into Python's octets: room for all pages aside would be fetched from the system anew each time, which
    takes as long as the packing.
    """
    cdef uint8_t[FRAME] frame
    cdef Slip slip
    cdef Py_ssize_t held = 0
    cdef Py_ssize_t taken
    cdef uint64_t lowest = 0
    cdef list packed = []
    while held < count:
        taken = pack_page(pairs + held, count - held, frame, &slip)
        if held and held + taken == count and not whole:
            break
        lowest = min(lowest, slip.lowest) if held else slip.lowest
        packed.append((place_octets(slip.last), PyBytes_FromStringAndSize(<char*>frame, slip.octets)))
        held += taken
    return packed, held, lowest


def pack(bytes pairs not None):
    """([(place, page)] in order, how many pairs, the lowest id) of packed pairs, 16 octets each, in any order.

    A pair that comes twice is kept once.  Raises ValueError for octets that are no whole pairs.
    """
    cdef Py_ssize_t count = PyBytes_GET_SIZE(pairs) // 16
    cdef const uint8_t* octets = <const uint8_t*>PyBytes_AS_STRING(pairs)
    cdef Pair* room
    cdef Pair* ordered
    cdef Py_ssize_t i
    if PyBytes_GET_SIZE(pairs) % 16:
        raise ValueError(f"{PyBytes_GET_SIZE(pairs)} octets are no whole pairs")
    if count > 0xFFFFFFFF:
        raise ValueError(f"{count} pairs are too many for one run")
    room = <Pair*>PyMem_Malloc(2 * count * sizeof(Pair))
    if room == NULL:
        raise MemoryError
    try:
        with nogil:
            # From the last to the first: ids mostly come in ascending, and so lie the way they must.
            for i in range(count):
                room[count - 1 - i].key = load(octets + 16 * i)
                room[count - 1 - i].turned = ~load(octets + 16 * i + 8)
            ordered = sort(room, room + count, count)
            count = distinct(ordered, count, 0, NULL, 0)
        return paged(ordered, count, True)
    finally:
        PyMem_Free(room)


# -- reading

cdef bint open_page(str table, bytes key, bytes page, Stored* stored) except -1:
    """Fill `stored`, which lives as long as `page`.  Raises RecordBroken."""
    stored.octets = <const uint8_t*>PyBytes_AS_STRING(page)
    stored.length = PyBytes_GET_SIZE(page)
    if PyBytes_GET_SIZE(key) != KEY or not read_shape(stored.octets, stored.length, &stored.shape):
        raise RecordBroken(table, key, NO_PAGE)
    stored.last = place_of(<const uint8_t*>PyBytes_AS_STRING(key) + KEY - PLACE)
    return True


def find(str table not None, bytes key not None, bytes page not None, uint64_t wanted, uint64_t limit):
    """The ids of `wanted` in a page, highest first, below `limit` if that is not 0.

    `key` is what the page is stored under; its last octets are the place.  Raises RecordBroken.
    """
    cdef Stored stored
    cdef uint8_t[FRAME] frame
    cdef Pair pair
    cdef uint64_t previous = 0
    cdef int bit
    cdef int i
    cdef int begin = 0
    cdef int end = 0
    cdef list ids = []
    open_page(table, key, page, &stored)
    copy_page(&stored, frame)
    bit = stored.shape.steps_bit
    pair.key = stored.shape.first
    for i in range(stored.shape.count):
        if i and not read_step(frame, &stored.shape, &bit, &pair.key):
            raise RecordBroken(table, key, NO_PAGE)
        begin += pair.key < wanted
        end += pair.key <= wanted
    pair.turned = turned_at(frame, &stored.shape, stored.shape.count - 1)
    if not is_end(&stored.shape, bit) or not same(&pair, &stored.last):
        raise RecordBroken(table, key, NO_PAGE)
    for i in range(begin, end):
        pair.turned = turned_at(frame, &stored.shape, i)
        if i > begin and pair.turned <= previous:
            raise RecordBroken(table, key, NO_PAGE)
        previous = pair.turned
        if limit == 0 or ~pair.turned < limit:
            ids.append(~pair.turned)
    return ids


# -- merging

cdef Pair* merge_two(const Stretch* one, const Stretch* other, Pair* out) noexcept nogil:
    """The end of the pairs of both, in order, from `out` on.

    Without a branch on which is next: nobody can foretell it, and to guess wrong takes longer than the rest.
    """
    cdef const Pair* left = one.at
    cdef const Pair* right = other.at
    cdef bint is_right
    while left < one.end and right < other.end:
        is_right = before(right, left)
        out[0] = (right if is_right else left)[0]
        right += is_right
        left += 1 - is_right
        out += 1
    memcpy(out, left, (one.end - left) * sizeof(Pair))
    out += one.end - left
    memcpy(out, right, (other.end - right) * sizeof(Pair))
    return out + (other.end - right)


cdef Pair* merge_stretches(Stretch* stretches, Py_ssize_t count, Pair* room, Pair* spare) noexcept nogil:
    """Where the pairs of all stretches, of which there is one at least, are in order: `room` has them now.

    By two and two until there is one: of eight, with all else that a merge does, a third quicker than by a heap.
    """
    cdef Py_ssize_t i
    cdef Pair* out
    cdef Pair* end
    while count > 1:
        out = spare
        if count & 1:
            # Its partner is empty.
            stretches[count] = stretches[count - 1]
            stretches[count].at = stretches[count].end
            count += 1
        for i in range(count >> 1):
            end = merge_two(&stretches[2 * i], &stretches[2 * i + 1], out)
            stretches[i].at = out
            stretches[i].end = end
            out = end
        count >>= 1
        room, spare = spare, room
    return <Pair*>stretches[0].at


cdef struct Reach:  # Ids from the first to the last.
    uint64_t first
    uint64_t last


cdef bint is_spared(uint64_t identifier, const Reach* spared, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = count
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) >> 1
        if spared[middle].last < identifier:
            low = middle + 1
        else:
            high = middle
    return low < count and spared[low].first <= identifier


cdef Py_ssize_t distinct(
    Pair* pairs, Py_ssize_t count, uint64_t horizon, const Reach* spared, Py_ssize_t reaches
) noexcept nogil:
    """How many are left without twins and without ids below the horizon that are not spared."""
    cdef uint64_t most = ~horizon
    cdef Py_ssize_t kept = 0
    cdef Py_ssize_t i
    for i in range(count):
        if pairs[i].turned > most and not is_spared(~pairs[i].turned, spared, reaches):
            continue
        if kept == 0 or before(&pairs[kept - 1], &pairs[i]):
            pairs[kept] = pairs[i]
            kept += 1
    return kept


cdef Py_ssize_t unpack_source(const Source* source, const Stored* pages, Pair* pairs, Stretch* stretch) noexcept nogil:
    """Which page is none, or does not follow the one before it; -1 where all are good."""
    cdef Pair* at = pairs
    cdef Py_ssize_t i
    for i in range(source.pages):
        if not unpack_page(&pages[i], at) or (i and not before(at - 1, at)):
            return i
        at += pages[i].shape.count
    stretch.at = pairs
    stretch.end = at
    while source.has_after and stretch.at < stretch.end and not before(&source.after, stretch.at):
        stretch.at += 1
    return -1


@cython.final
@cython.auto_pickle(False)
cdef class _Blend:
    """The pairs of several runs' pages in order, each once."""

    cdef Source* sources
    cdef Stored* stored
    cdef Stretch* stretches
    cdef Pair* room
    cdef Pair* spare
    cdef Pair* pairs
    cdef Py_ssize_t count

    def __cinit__(self, str table, list sources, bytes until, uint64_t horizon, bytes spared):
        cdef Py_ssize_t pages = 0
        cdef Py_ssize_t room = 0
        cdef Py_ssize_t broken
        cdef Py_ssize_t i
        cdef list keys = [key for _, stored in sources for key, _ in stored]
        self.sources = <Source*>PyMem_Malloc(len(sources) * sizeof(Source))
        self.stored = <Stored*>PyMem_Malloc(len(keys) * sizeof(Stored))
        self.stretches = <Stretch*>PyMem_Malloc((len(sources) + 1) * sizeof(Stretch))
        if self.sources == NULL or self.stored == NULL or self.stretches == NULL:
            raise MemoryError
        for i, (after, stored) in enumerate(sources):
            self.sources[i].pages = len(stored)
            self.sources[i].has_after = len(after) == PLACE
            if self.sources[i].has_after:
                self.sources[i].after = place_of(<const uint8_t*>PyBytes_AS_STRING(<bytes?>after))
            for key, page in stored:
                open_page(table, <bytes?>key, <bytes?>page, &self.stored[pages])
                room += self.stored[pages].shape.count
                pages += 1
        self.room = <Pair*>PyMem_Malloc(room * sizeof(Pair))
        self.spare = <Pair*>PyMem_Malloc(room * sizeof(Pair))
        if self.room == NULL or self.spare == NULL:
            raise MemoryError
        broken = self.fill(len(sources), until if len(until) == PLACE else None, horizon, spared)
        if broken >= 0:
            raise RecordBroken(table, keys[broken], NO_PAGE)

    cdef Py_ssize_t fill(self, Py_ssize_t count, bytes until, uint64_t horizon, bytes spared) noexcept:
        """Which page of all is broken; -1 where none is."""
        cdef const Reach* reaches = <const Reach*>PyBytes_AS_STRING(spared)
        cdef Py_ssize_t reach_count = PyBytes_GET_SIZE(spared) // <Py_ssize_t>sizeof(Reach)
        cdef bint has_last = until is not None
        cdef Pair last
        cdef Pair* room = self.room
        cdef Stored* stored = self.stored
        cdef Stretch* stretch = self.stretches
        cdef Py_ssize_t broken
        cdef Py_ssize_t i
        if has_last:
            last = place_of(<const uint8_t*>PyBytes_AS_STRING(until))
        with nogil:
            for i in range(count):
                broken = unpack_source(&self.sources[i], stored, room, stretch)
                if broken >= 0:
                    return stored - self.stored + broken
                stored += self.sources[i].pages
                room += stretch.end - room
                while has_last and stretch.at < stretch.end and before(&last, stretch.end - 1):
                    stretch.end -= 1
                self.count += stretch.end - stretch.at
                stretch += stretch.at < stretch.end
            if self.count:
                self.pairs = merge_stretches(self.stretches, stretch - self.stretches, self.room, self.spare)
                self.count = distinct(self.pairs, self.count, horizon, reaches, reach_count)
        return -1

    def __dealloc__(self):
        PyMem_Free(self.sources)
        PyMem_Free(self.stored)
        PyMem_Free(self.stretches)
        PyMem_Free(self.room)
        PyMem_Free(self.spare)


def merge(
    str table not None, list sources not None, bytes until not None, uint64_t horizon, bytes spared not None = b""
):
    """([(place, page)] in order, how many pairs, the lowest id, the place up to which all is done).

    `sources` are (place up to which pairs no longer count, or nothing; [(key, page)] in order).  Pairs behind the
    place `until` are left; without one, everything is packed.  With one, what would not fill the last page is left
    as well, for the next time: so pages stay full, however small the steps.  Ids below `horizon` are dropped, but for
    those in `spared`: packed (u64 first, u64 last), in the machine's order of octets, the lowest first.  Raises
    RecordBroken.
    """
    cdef _Blend blend = _Blend(table, sources, until, horizon, spared)
    packed, held, lowest = paged(blend.pairs, blend.count, len(until) == 0)
    return packed, held, lowest, until if held == blend.count else packed[len(packed) - 1][0]


def blend(str table not None, list sources not None, bytes until not None):
    """[(key, id)] of the sources, as `merge` reads them, each once.  Raises RecordBroken."""
    cdef _Blend blended = _Blend(table, sources, until, 0, b"")
    cdef Py_ssize_t i
    return [(blended.pairs[i].key, ~blended.pairs[i].turned) for i in range(blended.count)]
