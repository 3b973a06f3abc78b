"""Sheets: some hundred recipients in one value of the store, ascending, each as short as it can be said.

    octet 0     version, 1              rows: 7 octets of number, 1 that tells what follows,
          1     columns                       [reference] [language] [values]
          2-3   rows                    names of the columns of values, behind the rows
          4-11  id of the first row
          12-15 where the names begin

Integers have their lowest octet first; lengths in rows are base 128.  A column is a name of a merge value: most rows of
an upload have the same, so that a row holds only what stands under them.  Knows no store and no campaign.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from engine._seen cimport Seen

cdef enum:
    VERSION = 1
    HEADER = 16
    COLUMNS_MOST = 255
    # LMDB gives a value that is longer than half a page whole pages of its own, less 16 octets: two of them here, and
    # rows that are only a number fill one.
    OCTETS_MOST = 8176
    ROWS_MOST_ = 508
    ROW_FIXED = 8
    # Bits of a row's octet.
    HAS_REFERENCE = 1
    HAS_LANGUAGE = 2
    HAS_VALUES = 4

ROWS_MOST = ROWS_MOST_


cdef inline uint64_t read_integer(const uint8_t* at, int octets) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(octets):
        value |= <uint64_t>at[i] << (8 * i)
    return value


cdef inline void write_integer(uint8_t* at, uint64_t value, int octets) noexcept nogil:
    cdef int i
    for i in range(octets):
        at[i] = <uint8_t>(value >> (8 * i))


cdef inline uint8_t* write_length(uint8_t* at, uint64_t value) noexcept nogil:
    while value > 127:
        at[0] = <uint8_t>(value | 128)
        at += 1
        value >>= 7
    at[0] = <uint8_t>value
    return at + 1


cdef inline uint8_t* write_span(uint8_t* at, Span span, uint64_t more) noexcept nogil:
    """The length of `span` plus `more`, then its octets."""
    at = write_length(at, <uint64_t>span.length + more)
    if span.length:
        memcpy(at, span.at, span.length)
    return at + span.length


cdef inline bint alike(bytes known, Span name) noexcept:
    return PyBytes_GET_SIZE(known) == name.length and not memcmp(PyBytes_AS_STRING(known), name.at, name.length)


@cython.final
@cython.auto_pickle(False)
cdef class Sheet:
    """A sheet that is being filled; `rows` tells how many it has."""

    def __cinit__(self):
        self.names = []
        self.used = HEADER

    def __dealloc__(self):
        PyMem_Free(self.octets)

    cdef int make_room(self, Py_ssize_t octets) except -1:
        cdef Py_ssize_t room = self.used + octets
        cdef void* grown
        if room <= self.room:
            return 0
        room = max(room, self.room * 2, 1024)
        grown = PyMem_Realloc(self.octets, room)
        if grown == NULL:
            raise MemoryError
        self.octets = <uint8_t*>grown
        self.room = room
        return 0

    cdef int column(self, Span name, int expected) except -2:
        """Where `name` stands among the columns, most likely at `expected`; -1 where it does not."""
        cdef int place
        if expected < len(self.names) and alike(<bytes>self.names[expected], name):
            return expected
        for place in range(len(self.names)):
            if alike(<bytes>self.names[place], name):
                return place
        return -1

    cdef bint add(
        self, uint64_t number, Span reference, Span language, int count, const Span* names, const Span* values
    ) except -1:
        """One more row; False where the sheet is full.  A sheet without rows takes any that is within the limits.

        `count` is 0 to 255; no two names are alike.
        """
        cdef Py_ssize_t needed = ROW_FIXED + reference.length + language.length + 20 + 5 * (count + len(self.names))
        cdef Py_ssize_t new_names = 0
        cdef int places[COLUMNS_MOST]
        cdef int by_column[COLUMNS_MOST]
        cdef int fresh = 0
        cdef int place
        cdef int last = -1
        cdef int i
        cdef uint8_t* at
        if self.rows == ROWS_MOST_ or count > COLUMNS_MOST:
            return False
        for i in range(count):
            needed += values[i].length
            place = self.column(names[i], i)
            if place < 0:
                place = len(self.names) + fresh
                fresh += 1
                new_names += 2 + names[i].length
                if place >= COLUMNS_MOST:
                    return False
            places[i] = place
            last = max(last, place)
        if self.rows and self.used + needed + self.names_octets + new_names > OCTETS_MOST:
            return False
        self.make_room(needed + 5 * fresh)
        for i in range(count):
            if places[i] >= len(self.names):
                self.names.append(PyBytes_FromStringAndSize(<const char*>names[i].at, names[i].length))
        self.names_octets += new_names
        at = self.octets + self.used
        write_integer(at, number, 7)
        at[7] = (
            (HAS_REFERENCE if reference.length else 0)
            | (HAS_LANGUAGE if language.length else 0)
            | (HAS_VALUES if count else 0)
        )
        at += ROW_FIXED
        if reference.length:
            at = write_span(at, reference, 0)
        if language.length:
            at = write_span(at, language, 0)
        if count:
            for i in range(last + 1):
                by_column[i] = -1
            for i in range(count):
                by_column[places[i]] = i
            at = write_length(at, last + 1)
            for i in range(last + 1):
                if by_column[i] < 0:
                    at = write_length(at, 0)
                else:
                    at = write_span(at, values[by_column[i]], 1)
        self.used = at - self.octets
        self.rows += 1
        return True

    def put(self, uint64_t number, bytes reference, bytes language, list names, list values):
        """`add` for Python: octets are UTF-8; whether the row was taken.  Raises ValueError beyond 255 values."""
        cdef Span spans[2 * COLUMNS_MOST]
        cdef Span reference_span
        cdef Span language_span
        cdef int count = len(names)
        cdef int i
        if count > COLUMNS_MOST or len(values) != count:
            raise ValueError(f"{count} names and {len(values)} values of at most {COLUMNS_MOST}")
        if number >> 56:
            raise ValueError(f"{number} does not fit into 7 octets")
        reference_span = span_of(reference)
        language_span = span_of(language)
        for i in range(count):
            spans[i] = span_of(names[i])
            spans[COLUMNS_MOST + i] = span_of(values[i])
        return self.add(number, reference_span, language_span, count, spans, spans + COLUMNS_MOST)

    def closed(self, uint64_t first_id):
        """The value to store, for rows whose messages have the ids from `first_id` on."""
        cdef Py_ssize_t names_at = self.used
        cdef uint8_t* at
        cdef bytes name
        self.make_room(self.names_octets + HEADER)
        at = self.octets
        at[0] = VERSION
        at[1] = <uint8_t>len(self.names)
        write_integer(at + 2, self.rows, 2)
        write_integer(at + 4, first_id, 8)
        write_integer(at + 12, names_at, 4)
        at += names_at
        for name in self.names:
            write_integer(at, len(name), 2)
            memcpy(at + 2, PyBytes_AS_STRING(name), len(name))
            at += 2 + len(name)
        return PyBytes_FromStringAndSize(<char*>self.octets, at - self.octets)


cdef Span span_of(bytes octets) except *:
    cdef Span span
    span.at = <const uint8_t*>PyBytes_AS_STRING(octets)
    span.length = PyBytes_GET_SIZE(octets)
    return span


# -- reading

cdef int refuse(str what) except -1:
    raise ValueError(f"a sheet of recipients is broken: {what}")


cdef int begin_walk(const uint8_t* octets, Py_ssize_t length, Walk* walk) except -1:
    """Stand before the first row.  Raises ValueError where the octets are no sheet."""
    cdef uint64_t names_at
    if length < HEADER or octets[0] != VERSION:
        refuse("it has no header of version 1")
    names_at = read_integer(octets + 12, 4)
    if names_at < HEADER or names_at > <uint64_t>length:
        refuse("its names begin outside of it")
    walk.at = octets + HEADER
    walk.end = octets + names_at
    walk.left = <int>read_integer(octets + 2, 2)
    return 0


cdef inline int read_length(Walk* walk, uint64_t* length) except -1:
    cdef int shift = 0
    cdef uint8_t octet
    length[0] = 0
    while True:
        if walk.at >= walk.end or shift > 28:
            refuse("a length does not end")
        octet = walk.at[0]
        walk.at += 1
        length[0] |= <uint64_t>(octet & 127) << shift
        if octet < 128:
            return 0
        shift += 7


cdef inline int read_span(Walk* walk, Span* span) except -1:
    cdef uint64_t length
    read_length(walk, &length)
    if length > <uint64_t>(walk.end - walk.at):
        refuse("a row passes its end")
    span.at = walk.at
    span.length = <Py_ssize_t>length
    walk.at += length
    return 0


cdef bint next_row(Walk* walk, Row* row) except -1:
    """The next row, checked whole; False behind the last.  Raises ValueError where it is broken."""
    cdef uint8_t what
    cdef uint64_t length
    cdef uint64_t given
    cdef uint64_t _i
    if walk.left == 0:
        return False
    walk.left -= 1
    if walk.end - walk.at < ROW_FIXED:
        refuse("a row is missing")
    row.number = read_integer(walk.at, 7)
    what = walk.at[7]
    walk.at += ROW_FIXED
    row.reference.length = row.language.length = 0
    row.reference.at = row.language.at = walk.at
    row.given = 0
    row.values = walk.at
    if what & HAS_REFERENCE:
        read_span(walk, &row.reference)
    if what & HAS_LANGUAGE:
        read_span(walk, &row.language)
    if what & HAS_VALUES:
        read_length(walk, &given)
        if given > COLUMNS_MOST:
            refuse("a row has more values than columns")
        row.given = <int>given
        row.values = walk.at
        for _i in range(given):
            read_length(walk, &length)
            if length:
                if length - 1 > <uint64_t>(walk.end - walk.at):
                    refuse("a value passes its end")
                walk.at += length - 1
    return True


cdef list names_of(const uint8_t* octets, Py_ssize_t length):
    cdef Py_ssize_t at = <Py_ssize_t>read_integer(octets + 12, 4)
    cdef Py_ssize_t name
    cdef int _i
    cdef list names = []
    for _i in range(octets[1]):
        if length - at < 2:
            refuse("a name is missing")
        name = <Py_ssize_t>read_integer(octets + at, 2)
        at += 2
        if length - at < name:
            refuse("a name passes its end")
        names.append(PyUnicode_DecodeUTF8(<const char*>octets + at, name, NULL))
        at += name
    return names


def count(bytes sheet not None):
    """How many rows a stored sheet has.  Raises ValueError where it is none."""
    cdef Walk walk
    begin_walk(<const uint8_t*>PyBytes_AS_STRING(sheet), PyBytes_GET_SIZE(sheet), &walk)
    return walk.left


def first_id(bytes sheet not None):
    """The id of the message of its first row.  Raises ValueError where it is no sheet."""
    cdef Walk walk
    begin_walk(<const uint8_t*>PyBytes_AS_STRING(sheet), PyBytes_GET_SIZE(sheet), &walk)
    return read_integer(<const uint8_t*>PyBytes_AS_STRING(sheet) + 4, 8)


def rows(bytes sheet not None, int first=0, int limit=ROWS_MOST_):
    """Up to `limit` rows from number `first` on, each (number, client_ref, language, values or None).

    Raises ValueError where it is no sheet.
    """
    cdef const uint8_t* octets = <const uint8_t*>PyBytes_AS_STRING(sheet)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(sheet)
    cdef Walk walk
    cdef Walk inside
    cdef Row row
    cdef list names = None
    cdef list found = []
    cdef dict values
    cdef uint64_t value
    cdef int i
    begin_walk(octets, length, &walk)
    while limit > 0 and next_row(&walk, &row):
        if first > 0:
            first -= 1
            continue
        limit -= 1
        values = None
        if row.given:
            if names is None:
                names = names_of(octets, length)
            if row.given > len(names):
                refuse("a row has more values than columns")
            values = {}
            inside.at = row.values
            inside.end = walk.end
            for i in range(row.given):
                read_length(&inside, &value)
                if value:
                    values[names[i]] = PyUnicode_DecodeUTF8(<const char*>inside.at, <Py_ssize_t>(value - 1), NULL)
                    inside.at += value - 1
        found.append(
            (
                row.number,
                PyUnicode_DecodeUTF8(<const char*>row.reference.at, row.reference.length, NULL),
                PyUnicode_DecodeUTF8(<const char*>row.language.at, row.language.length, NULL),
                values,
            )
        )
    return found


def show(Seen seen not None, bytes sheet not None):
    """Let `seen` know the keys of all rows: the reference where a row has one, else its number.  Raises ValueError."""
    cdef Walk walk
    cdef Row row
    begin_walk(<const uint8_t*>PyBytes_AS_STRING(sheet), PyBytes_GET_SIZE(sheet), &walk)
    while next_row(&walk, &row):
        if row.reference.length:
            seen.add_reference(row.reference.at, row.reference.length)
        else:
            seen.add_number(row.number)
