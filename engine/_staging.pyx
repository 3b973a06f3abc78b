"""New customers of an import's stage, from columns to the octets that the store keeps of them.

Owns one promise: a record is what the store's codec writes of it.  Entries come in the order of their keys, whatever
table they are for.  Knows no store; numbers are sorted without the interpreter, best in a thread of its own.
"""

cimport cython
from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from engine._pair_page cimport Pair, load_high, store_high
from engine._runs cimport sort

cdef enum:
    ID = 8  # octets of an id, and of a number
    # Of a record: id, number, name, lifecycle, region, tags and reference differ from one to the next.
    DIFFERING = 7
    INTEGER_MOST = 9  # octets of a whole number in msgpack
    TEXT_AHEAD_MOST = 5  # octets before a text or an array there
    PURPOSES_MOST = 8

cdef uint32_t NO_RANK = <uint32_t>-1

cdef bytes NOTHING = b""
cdef array.array PLACES = array.array("I")


cdef inline bytes octets_of(uint64_t value):
    cdef uint8_t octets[ID]
    store_high(value, octets)
    return PyBytes_FromStringAndSize(<const char*>octets, ID)


cdef inline uint8_t* write_sized(uint8_t* at, uint8_t kind, uint64_t value, int octets) noexcept nogil:
    cdef int i
    at[0] = kind
    for i in range(octets):
        at[1 + i] = <uint8_t>(value >> 8 * (octets - 1 - i))
    return at + 1 + octets


cdef inline uint8_t* write_integer(uint8_t* at, uint64_t value) noexcept nogil:
    """As msgpack has it in the fewest octets."""
    if value < 0x80:
        at[0] = <uint8_t>value
        return at + 1
    if value <= 0xFF:
        return write_sized(at, 0xCC, value, 1)
    if value <= 0xFFFF:
        return write_sized(at, 0xCD, value, 2)
    if value >> 32 == 0:
        return write_sized(at, 0xCE, value, 4)
    return write_sized(at, 0xCF, value, 8)


cdef inline uint8_t* write_text(uint8_t* at, const char* text, Py_ssize_t octets) noexcept nogil:
    if octets < 32:
        at[0] = <uint8_t>(0xA0 | octets)
        at += 1
    elif octets <= 0xFF:
        at = write_sized(at, 0xD9, octets, 1)
    elif octets <= 0xFFFF:
        at = write_sized(at, 0xDA, octets, 2)
    else:
        at = write_sized(at, 0xDB, octets, 4)
    memcpy(at, text, octets)
    return at + octets


cdef inline uint8_t* write_piece(uint8_t* at, bytes piece) noexcept:
    memcpy(at, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))
    return at + PyBytes_GET_SIZE(piece)


# -- records, and what is in the order of their ids

@cython.final
@cython.auto_pickle(False)
cdef class _Tags:
    """Those of a row, as its record has them, and as the index of tags begins."""

    cdef bytes packed
    cdef list numbers


@cython.final
@cython.auto_pickle(False)
cdef class _Keys:
    """Keys of an index: a few octets that many have alike, and the id."""

    cdef Pair* pairs
    cdef Py_ssize_t count
    cdef Py_ssize_t size
    cdef int octets
    cdef uint64_t first

    def __cinit__(self, int octets, uint64_t first):
        self.octets = octets
        self.first = first

    def __dealloc__(self):
        PyMem_Free(self.pairs)

    cdef int add(self, uint32_t beginning, Py_ssize_t at) except -1:
        cdef Py_ssize_t size = self.size
        cdef void* grown
        if self.count == size:
            size = max(512, 2 * size)
            grown = PyMem_Realloc(self.pairs, 2 * size * sizeof(Pair))  # the half of it to sort in
            if grown == NULL:
                raise MemoryError
            self.pairs = <Pair*>grown
            self.size = size
        self.pairs[self.count].key = beginning
        self.pairs[self.count].turned = at
        self.count += 1
        return 0

    def items(self):
        """Entries in order."""
        cdef uint8_t key[4 + ID]
        cdef Pair* pairs = sort(self.pairs, self.pairs + self.size, self.count)
        cdef Py_ssize_t i
        cdef int octet
        for i in range(self.count):
            for octet in range(self.octets):
                key[octet] = <uint8_t>(pairs[i].key >> 8 * (self.octets - 1 - octet))
            store_high(self.first + pairs[i].turned, key + self.octets)
            yield PyBytes_FromStringAndSize(<const char*>key, self.octets + ID), NOTHING


@cython.final
@cython.auto_pickle(False)
cdef class Newcomers:
    """The new customers of a stage: number `at` of them is row `places[at]` of the columns and has the id `first + at`.

    `pieces` are the octets of a record before, between and behind the fields in which they differ.  Whoever brings no
    lifecycle, no region, no tags has those of `given`.
    """

    cdef list pieces
    cdef array.array numbers
    cdef array.array places
    cdef list names
    cdef list lifecycles
    cdef list regions
    cdef list tags
    cdef uint64_t first
    cdef uint64_t references
    cdef tuple given_tags
    cdef uint32_t given_region
    cdef uint8_t given_lifecycle
    cdef dict known  # tags that were met
    cdef uint8_t* room
    cdef Py_ssize_t size
    cdef Py_ssize_t fixed  # octets of a record, at most, beside those of name and tags
    cdef int64_t* marks  # what tells whether a record is as it was written

    def __cinit__(
        self, list pieces not None, array.array numbers not None, list names not None, list lifecycles not None,
        list regions not None, list tags not None, array.array places not None, uint64_t first, uint64_t references,
        tuple given not None,
    ):
        cdef Py_ssize_t rows = len(numbers)
        cdef Py_ssize_t at
        cdef bytes piece
        if len(pieces) != DIFFERING + 1 or numbers.typecode != "Q" or places.typecode != "I":
            raise ValueError("there are eight pieces, numbers of 64 bits and places of 32")
        if len(names) != rows or len(lifecycles) != rows or len(regions) != rows or len(tags) != rows:
            raise ValueError("the columns are not of one length")
        for at in range(len(places)):
            if places.data.as_uints[at] >= <size_t>rows:
                raise ValueError(f"there is no row {places[at]}")
        self.pieces = pieces
        self.numbers, self.places = numbers, places
        self.names, self.lifecycles, self.regions, self.tags = names, lifecycles, regions, tags
        self.first, self.references = first, references
        self.given_tags, self.given_region, self.given_lifecycle = given
        self.known = {}
        self.marks = <int64_t*>PyMem_Malloc(max(1, len(places)) * sizeof(int64_t))
        if self.marks == NULL:
            raise MemoryError
        memset(self.marks, 0, len(places) * sizeof(int64_t))
        self.fixed = (DIFFERING - 2) * INTEGER_MOST + TEXT_AHEAD_MOST
        for piece in pieces:
            self.fixed += len(piece)

    def __dealloc__(self):
        PyMem_Free(self.room)
        PyMem_Free(self.marks)

    def __len__(self):
        return len(self.places)

    cdef _Tags tags_of(self, tuple own):
        cdef _Tags tags = <_Tags>self.known.get(own)
        cdef uint8_t head[TEXT_AHEAD_MOST + INTEGER_MOST]
        cdef uint8_t* at
        cdef uint64_t number
        if tags is not None:
            return tags
        tags = _Tags.__new__(_Tags)
        tags.numbers = sorted({*own, *self.given_tags})
        if len(tags.numbers) < 16:
            head[0] = <uint8_t>(0x90 | len(tags.numbers))
            at = head + 1
        else:
            at = write_sized(head, 0xDC, len(tags.numbers), 2)
        packed = [PyBytes_FromStringAndSize(<const char*>head, at - head)]
        for number in tags.numbers:
            packed.append(PyBytes_FromStringAndSize(<const char*>head, write_integer(head, number) - head))
        tags.packed = NOTHING.join(packed)
        self.known[own] = tags
        return tags

    cdef uint8_t* make_room(self, Py_ssize_t octets) except NULL:
        cdef void* grown
        if octets > self.size:
            grown = PyMem_Realloc(self.room, 2 * octets)
            if grown == NULL:
                raise MemoryError
            self.room = <uint8_t*>grown
            self.size = 2 * octets
        return self.room

    cdef bytes record(self, Py_ssize_t at):
        """What is stored of newcomer `at`."""
        cdef Py_ssize_t place = self.places.data.as_uints[at]
        cdef _Tags tags = self.tags_of(<tuple?>self.tags[place])
        cdef Py_ssize_t octets
        cdef const char* name = PyUnicode_AsUTF8AndSize(self.names[place], &octets)
        cdef uint8_t* end = self.make_room(self.fixed + octets + len(tags.packed))
        end = write_integer(write_piece(end, <bytes>self.pieces[0]), self.first + at)
        end = write_integer(write_piece(end, <bytes>self.pieces[1]), self.numbers.data.as_ulonglongs[place])
        end = write_text(write_piece(end, <bytes>self.pieces[2]), name, octets)
        end = write_integer(write_piece(end, <bytes>self.pieces[3]), self.lifecycle_of(place))
        end = write_integer(write_piece(end, <bytes>self.pieces[4]), self.region_of(place))
        end = write_piece(write_piece(end, <bytes>self.pieces[5]), tags.packed)
        end = write_integer(write_piece(end, <bytes>self.pieces[6]), self.references + at)
        end = write_piece(end, <bytes>self.pieces[7])
        return PyBytes_FromStringAndSize(<const char*>self.room, end - self.room)

    cdef uint8_t lifecycle_of(self, Py_ssize_t place) except? 255:
        said = self.lifecycles[place]
        return self.given_lifecycle if said is None else <uint8_t>said

    cdef uint32_t region_of(self, Py_ssize_t place) except? 0:
        cdef uint32_t region = <uint32_t>self.regions[place]
        return region or self.given_region

    def build(self, Py_ssize_t first, Py_ssize_t behind):
        """Entries of newcomers `first` to `behind`: records, references, tags, regions, lifecycles; each in order.

        Each is made when it is asked for.
        """
        cdef _Keys tagged = _Keys.__new__(_Keys, 4, self.first)
        cdef _Keys placed = _Keys.__new__(_Keys, 4, self.first)
        cdef _Keys lived = _Keys.__new__(_Keys, 1, self.first)
        cdef Py_ssize_t at
        cdef Py_ssize_t place
        cdef uint32_t region
        cdef uint32_t number
        self.check(first, behind)
        for at in range(first, behind):
            place = self.places.data.as_uints[at]
            for number in self.tags_of(<tuple?>self.tags[place]).numbers:
                tagged.add(number, at)
            region = self.region_of(place)
            if region:
                placed.add(region, at)
            lived.add(self.lifecycle_of(place), at)
        return (
            self.build_records(first, behind), self.build_references(first, behind),
            tagged.items(), placed.items(), lived.items(),
        )

    cdef int check(self, Py_ssize_t first, Py_ssize_t behind) except -1:
        if not 0 <= first <= behind <= len(self.places):
            raise ValueError(f"there are no newcomers {first} to {behind}")
        return 0

    def build_records(self, Py_ssize_t first, Py_ssize_t behind):
        """Records of newcomers `first` to `behind`."""
        cdef Py_ssize_t at
        cdef bytes record
        self.check(first, behind)
        for at in range(first, behind):
            record = self.record(at)
            self.marks[at] = hash(record)
            yield octets_of(self.first + at), record

    def build_references(self, Py_ssize_t first, Py_ssize_t behind):
        """Entries of their references."""
        cdef Py_ssize_t at
        for at in range(first, behind):
            yield octets_of(self.references + at), octets_of(self.first + at)

    # -- whether they are as they were written

    def mark(self, Py_ssize_t at, bytes record not None):
        """Remember the record of newcomer `at` as it is written."""
        if not 0 <= at < len(self.places):
            raise ValueError(f"there is no newcomer {at}")
        self.marks[at] = hash(record)

    def changed(self, list items not None, Py_ssize_t first, Py_ssize_t behind, set gone not None):
        """Which of the newcomers `first` to `behind`, but for those in `gone`, are not as they were written.

        `items` are the packed ids and records of that stretch, in order.
        """
        cdef list found = []
        cdef Py_ssize_t item = 0
        cdef Py_ssize_t at
        cdef uint64_t last = 0
        cdef bint is_there
        cdef bytes key
        self.check(first, behind)
        for at in range(first, behind):
            is_there = False
            while item < len(items):
                key = <bytes?>(<tuple?>items[item])[0]
                last = load_high(<const uint8_t*>PyBytes_AS_STRING(key)) if len(key) == ID else 0
                if last >= self.first + at:
                    is_there = last == self.first + at
                    break
                item += 1
            if is_there and self.marks[at] == hash((<tuple>items[item])[1]):
                continue
            if not gone or at not in gone:
                found.append(at)
        return found


# -- numbers

@cython.final
@cython.auto_pickle(False)
cdef class Order:
    """Numbers in order, each with its place in the column; of those that are alike the first place first."""

    cdef Pair* room
    cdef Pair* pairs
    cdef Py_ssize_t count
    cdef Py_ssize_t rows

    def __cinit__(self, array.array numbers not None):
        cdef Py_ssize_t i
        if numbers.typecode != "Q":
            raise ValueError("numbers have 64 bits")
        self.count = self.rows = len(numbers)
        self.room = self.pairs = <Pair*>PyMem_Malloc(max(1, 2 * self.count) * sizeof(Pair))
        if self.room == NULL:
            raise MemoryError
        for i in range(self.count):
            self.pairs[i].key = numbers.data.as_ulonglongs[i]
            self.pairs[i].turned = i

    def __dealloc__(self):
        PyMem_Free(self.room)

    def __len__(self):
        return self.count

    def sort(self):
        """Put them in order.  Nothing else may be asked of it meanwhile."""
        with nogil:
            self.pairs = sort(self.pairs, self.room if self.pairs != self.room else self.room + self.rows, self.count)

    cdef int check(self, Py_ssize_t first, Py_ssize_t behind) except -1:
        if not 0 <= first <= behind <= self.count:
            raise ValueError(f"there are no numbers {first} to {behind}")
        return 0

    def twice(self):
        """Places of those that stand further ahead as well."""
        cdef Py_ssize_t i
        cdef list found = []
        for i in range(1, self.count):
            if self.pairs[i].key == self.pairs[i - 1].key:
                found.append(self.pairs[i].turned)
        return found

    def keys(self, Py_ssize_t first, Py_ssize_t behind):
        """Numbers `first` to `behind`, packed."""
        cdef Py_ssize_t i
        self.check(first, behind)
        return [octets_of(self.pairs[i].key) for i in range(first, behind)]

    def places(self, Py_ssize_t first, Py_ssize_t behind):
        """The places of numbers `first` to `behind`."""
        cdef Py_ssize_t i
        self.check(first, behind)
        return [self.pairs[i].turned for i in range(first, behind)]

    def keep_but(self, set gone not None):
        """Forget those at the places in `gone`; the places of all others, ascending.

        From now on a place is the rank that it has among these.
        """
        cdef array.array places
        cdef uint32_t* ranks = <uint32_t*>PyMem_Malloc(max(1, self.rows) * sizeof(uint32_t))
        cdef Py_ssize_t place
        cdef Py_ssize_t kept = 0
        cdef Py_ssize_t i
        if ranks == NULL:
            raise MemoryError
        try:
            memset(ranks, 0, self.rows * sizeof(uint32_t))
            for place in gone:
                if not 0 <= place < self.rows:
                    raise ValueError(f"there is no place {place}")
                ranks[place] = NO_RANK
            for i in range(self.rows):
                if ranks[i] != NO_RANK:
                    ranks[i] = <uint32_t>kept
                    kept += 1
            places = array.clone(PLACES, kept, False)
            for i in range(self.rows):
                if ranks[i] != NO_RANK:
                    places.data.as_uints[ranks[i]] = <uint32_t>i
            kept = 0
            for i in range(self.count):
                if ranks[self.pairs[i].turned] != NO_RANK:
                    self.pairs[kept].key = self.pairs[i].key
                    self.pairs[kept].turned = ranks[self.pairs[i].turned]
                    kept += 1
            self.count = kept
        finally:
            PyMem_Free(ranks)
        return places

    def numbers(self, Py_ssize_t first, Py_ssize_t behind, uint64_t first_id):
        """Entries of numbers `first` to `behind`, whose holders' ids are `first_id` and the place."""
        cdef Py_ssize_t i
        self.check(first, behind)
        return [
            (octets_of(self.pairs[i].key), octets_of(first_id + self.pairs[i].turned)) for i in range(first, behind)
        ]

    def consents(
        self, Py_ssize_t first, Py_ssize_t behind, list tails not None, bytes said not None
    ):
        """Entries of what the holders of numbers `first` to `behind` agreed to, made when they are asked for.

        `tails` are (purpose, the id of the first row of consent), by purpose; each row is `said`.
        """
        cdef uint8_t purposes[PURPOSES_MOST]
        cdef uint64_t ids[PURPOSES_MOST]
        cdef uint8_t octets[2 * ID + 1]
        cdef int count = len(tails)
        cdef Py_ssize_t i
        cdef int tail
        self.check(first, behind)
        if count > PURPOSES_MOST:
            raise ValueError(f"{count} purposes are too many")
        for tail in range(count):
            purposes[tail], ids[tail] = tails[tail]
        for i in range(first, behind):
            store_high(self.pairs[i].key, octets)
            for tail in range(count):
                octets[ID] = purposes[tail]
                store_high(ids[tail] + self.pairs[i].turned, octets + ID + 1)
                yield PyBytes_FromStringAndSize(<const char*>octets, 2 * ID + 1), said
