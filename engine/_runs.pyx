"""Runs of (key, id) pairs: sorted and packed into pages, looked up, merged.

The pages are those of _pair_page.pxd, and come and go as (what they are stored under, octets).  Knows no LMDB; of
tables it knows the name, to say which one holds a broken page.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from engine._octets cimport load
from engine._pair_page cimport (
    FRAME,
    PAIRS_LEAST,
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


NO_PAGE = "this is no page of pairs"


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


cdef Py_ssize_t without_twins(Pair* pairs, Py_ssize_t count) noexcept nogil:
    """How many are left."""
    cdef Py_ssize_t i
    cdef Py_ssize_t kept = 1
    if count == 0:
        return 0
    for i in range(1, count):
        if before(&pairs[kept - 1], &pairs[i]):
            pairs[kept] = pairs[i]
            kept += 1
    return kept


# -- packing

cdef bytes place_octets(Pair pair):
    cdef uint8_t[PLACE] octets
    cdef int i
    for i in range(8):
        octets[i] = <uint8_t>(pair.key >> 8 * (7 - i))
        octets[8 + i] = <uint8_t>(pair.turned >> 8 * (7 - i))
    return PyBytes_FromStringAndSize(<char*>octets, PLACE)


cdef Py_ssize_t pack_pages(
    const Pair* pairs, Py_ssize_t count, bint whole, uint8_t* frames, Slip* slips
) noexcept nogil:
    """How many pages.  Unless `whole`, what would not fill the last one is left, but for the only one."""
    cdef Py_ssize_t taken = 0
    cdef Py_ssize_t pages = 0
    while taken < count:
        taken += pack_page(pairs + taken, count - taken, frames + pages * FRAME, &slips[pages])
        if taken == count and pages and not whole:
            break
        pages += 1
    return pages


cdef tuple paged(const Pair* pairs, Py_ssize_t count, bint whole):
    """([(place, page)], pairs in them, lowest id)"""
    cdef Py_ssize_t room = count // PAIRS_LEAST + 2
    cdef uint8_t* frames = <uint8_t*>PyMem_Malloc(room * FRAME)
    cdef Slip* slips = <Slip*>PyMem_Malloc(room * sizeof(Slip))
    cdef Py_ssize_t pages
    cdef Py_ssize_t i
    cdef Py_ssize_t held = 0
    cdef uint64_t lowest = 0
    cdef list packed = []
    try:
        if frames == NULL or slips == NULL:
            raise MemoryError
        with nogil:
            pages = pack_pages(pairs, count, whole, frames, slips)
        for i in range(pages):
            held += slips[i].pairs
            lowest = min(lowest, slips[i].lowest) if i else slips[i].lowest
            page = PyBytes_FromStringAndSize(<char*>frames + i * FRAME, slips[i].octets)
            packed.append((place_octets(slips[i].last), page))
    finally:
        PyMem_Free(frames)
        PyMem_Free(slips)
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
            count = without_twins(ordered, count)
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

cdef inline void settle(Stretch* heap, Py_ssize_t count, Py_ssize_t place) noexcept nogil:
    """Let what stands at `place` of a heap sink to where it belongs."""
    cdef Stretch sinking = heap[place]
    cdef Py_ssize_t below
    while True:
        below = 2 * place + 1
        if below >= count:
            break
        if below + 1 < count and before(heap[below + 1].at, heap[below].at):
            below += 1
        if not before(heap[below].at, sinking.at):
            break
        heap[place] = heap[below]
        place = below
    heap[place] = sinking


cdef Py_ssize_t merge_stretches(Stretch* heap, Py_ssize_t count, uint64_t horizon, Pair* merged) noexcept nogil:
    """How many pairs all stretches have together, each once, without ids below the horizon.  None is empty."""
    cdef uint64_t most = ~horizon
    cdef Pair* out = merged
    cdef Py_ssize_t i
    for i in range(count - 1, -1, -1):
        settle(heap, count, i)
    while count:
        if heap[0].at.turned <= most and (out == merged or before(out - 1, heap[0].at)):
            out[0] = heap[0].at[0]
            out += 1
        heap[0].at += 1
        if heap[0].at == heap[0].end:
            count -= 1
            heap[0] = heap[count]
        settle(heap, count, 0)
    return out - merged


cdef Py_ssize_t unpack_source(const Source* source, const Stored* pages, Pair* pairs, Stretch* stretch) noexcept nogil:
    """The first page that is none, or that does not follow the one before it; -1 where all are good."""
    cdef Pair* at = pairs
    cdef Py_ssize_t i
    for i in range(source.pages):
        if not unpack_page(&pages[i], at) or (i and not before(at - 1, at)):
            return i
        at += pages[i].shape.count
    stretch.at = pairs
    stretch.end = at
    if source.has_after:
        while stretch.at < stretch.end and not before(&source.after, stretch.at):
            stretch.at += 1
    return -1


@cython.final
@cython.auto_pickle(False)
cdef class _Blend:
    """The pairs of several runs' pages in order, each once."""

    cdef Pair* unpacked
    cdef Pair* pairs
    cdef Source* sources
    cdef Stored* pages
    cdef Stretch* heap
    cdef Py_ssize_t count

    def __cinit__(self, str table, list sources, bytes until, uint64_t horizon):
        """`sources` are (place up to which pairs no longer count, or nothing; [(key, page)] in order)."""
        cdef Py_ssize_t of_source
        cdef Py_ssize_t page = 0
        cdef Py_ssize_t room = 0
        cdef Py_ssize_t broken = -1
        cdef Py_ssize_t used = 0
        cdef Py_ssize_t stretches = 0
        cdef Py_ssize_t i
        cdef Pair last
        cdef bint has_last = len(until) == PLACE
        cdef list keys = []
        for _, stored in sources:
            page += len(<list>stored)
        self.sources = <Source*>PyMem_Malloc(len(sources) * sizeof(Source))
        self.heap = <Stretch*>PyMem_Malloc(len(sources) * sizeof(Stretch))
        self.pages = <Stored*>PyMem_Malloc(page * sizeof(Stored))
        if self.sources == NULL or self.heap == NULL or self.pages == NULL:
            raise MemoryError
        page = 0
        for i, (after, stored) in enumerate(sources):
            self.sources[i].pages = len(<list>stored)
            self.sources[i].has_after = len(<bytes>after) == PLACE
            if self.sources[i].has_after:
                self.sources[i].after = place_of(<const uint8_t*>PyBytes_AS_STRING(after))
            for key, octets in <list>stored:
                open_page(table, <bytes?>key, <bytes?>octets, &self.pages[page])
                keys.append(key)
                room += self.pages[page].shape.count
                page += 1
        self.unpacked = <Pair*>PyMem_Malloc(room * sizeof(Pair))
        self.pairs = <Pair*>PyMem_Malloc(room * sizeof(Pair))
        if self.unpacked == NULL or self.pairs == NULL:
            raise MemoryError
        if has_last:
            last = place_of(<const uint8_t*>PyBytes_AS_STRING(until))
        of_source = len(sources)
        with nogil:
            page = 0
            for i in range(of_source):
                broken = unpack_source(
                    &self.sources[i], self.pages + page, self.unpacked + used, &self.heap[stretches]
                )
                if broken >= 0:
                    broken += page
                    break
                page += self.sources[i].pages
                used = self.heap[stretches].end - self.unpacked
                while has_last and self.heap[stretches].end > self.heap[stretches].at and before(
                    &last, self.heap[stretches].end - 1
                ):
                    self.heap[stretches].end -= 1
                stretches += self.heap[stretches].at < self.heap[stretches].end
            if broken < 0:
                self.count = merge_stretches(self.heap, stretches, horizon, self.pairs)
        if broken >= 0:
            raise RecordBroken(table, keys[broken], NO_PAGE)

    def __dealloc__(self):
        PyMem_Free(self.sources)
        PyMem_Free(self.heap)
        PyMem_Free(self.pages)
        PyMem_Free(self.unpacked)
        PyMem_Free(self.pairs)


def merge(str table not None, list sources not None, bytes until not None, uint64_t horizon):
    """([(place, page)] in order, how many pairs, the lowest id, the place up to which all is done).

    `sources` are (place up to which pairs no longer count, or nothing; [(key, page)] in order).  Pairs behind the
    place `until` are left; without one, everything is packed.  With one, what would not fill the last page is left
    as well, for the next time: so pages stay full, however small the steps.  Ids below `horizon` are dropped.
    Raises RecordBroken.
    """
    cdef _Blend blend = _Blend(table, sources, until, horizon)
    packed, held, lowest = paged(blend.pairs, blend.count, len(until) == 0)
    return packed, held, lowest, until if held == blend.count else packed[len(packed) - 1][0]


def blend(str table not None, list sources not None, bytes until not None):
    """[(key, id)] of the sources, as `merge` reads them, each once.  Raises RecordBroken."""
    cdef _Blend blended = _Blend(table, sources, until, 0)
    cdef Py_ssize_t i
    return [(blended.pairs[i].key, ~blended.pairs[i].turned) for i in range(blended.count)]
