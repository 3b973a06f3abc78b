"""Octets of an upload to rows of a campaign: what is plain is read here, the rest goes to a callback.

Owns lines and row numbers.  Duplicates are left out and suppressed numbers told, so that most rows go from the socket
into a sheet without one Python object.  What a strange line says is for the callback to judge, and it may judge every
line: what is plain here means the same there.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from engine._digests cimport Digest
from engine._numbers cimport key_of, key_of_spaced
from engine._plain cimport (
    LANGUAGE, REFERENCE, TO, VALUE, VALUES_MOST, Fields, Heading, is_blank, read_csv, read_json
)
from engine._seen cimport Seen
from engine._sheet cimport Sheet, Span
from engine._suppressed cimport Suppressed

from engine.errors import Invalid, InvalidParam

cdef enum:
    LINE_LONGEST = 65_536  # octets
    NAME_LONGEST = 65_535  # octets a sheet can tell of
    NUMBER_BITS = 56  # of a row of a sheet


cdef struct Stretch:
    uint64_t first  # row
    uint64_t other  # how many rows, or the number that the row has


cdef struct Stretches:
    Stretch* items
    Py_ssize_t count
    Py_ssize_t room


cdef void* grown(void* items, Py_ssize_t octets) except NULL:
    cdef void* place = PyMem_Realloc(items, octets)
    if place == NULL:
        raise MemoryError
    return place


cdef int append(Stretches* stretches, uint64_t first, uint64_t other) except -1:
    cdef Py_ssize_t room
    if stretches.count == stretches.room:
        room = max(2 * stretches.room, 64)
        stretches.items = <Stretch*>grown(stretches.items, room * sizeof(Stretch))
        stretches.room = room
    stretches.items[stretches.count].first = first
    stretches.items[stretches.count].other = other
    stretches.count += 1
    return 0


cdef list emptied(Stretches* stretches):
    """What is in it, as pairs; nothing is in it afterwards."""
    cdef Py_ssize_t i
    cdef list pairs = [(stretches.items[i].first, stretches.items[i].other) for i in range(stretches.count)]
    stretches.count = 0
    return pairs


cdef Span span_of(text) except *:
    """The octets of a text in UTF-8, which live as long as the text.  Raises TypeError, UnicodeEncodeError."""
    cdef Span span
    span.at = <const uint8_t*>PyUnicode_AsUTF8AndSize(text, &span.length)
    return span


@cython.final
@cython.auto_pickle(False)
cdef class Take:
    """What came between two cuts.  `accepted` rows stand in `sheets`, those of suppressed numbers among them.

    `numbers` has 8 octets, lowest first, for each accepted row, in order; `duplicates` are (first row, rows).
    """

    cdef readonly list sheets
    cdef readonly bytes numbers
    cdef readonly Py_ssize_t accepted
    cdef readonly list suppressed
    cdef readonly list duplicates
    cdef readonly list invalid
    cdef readonly uint64_t rows


@cython.final
@cython.auto_pickle(False)
cdef class Intake:
    """One upload.  After an exception there is no use for it but to be thrown away."""

    # Set by the callback while a quoted cell goes on in the next line: every line goes to the callback then.
    cdef public bint open
    cdef readonly uint64_t row
    cdef uint64_t cut_row
    cdef bint is_feeding
    cdef Seen seen
    cdef Suppressed suppressed
    cdef object strange
    cdef list names  # what the headings point into
    cdef Heading* headings  # NULL: NDJSON
    cdef Py_ssize_t columns
    cdef uint8_t* rest  # a line whose end has not come
    cdef Py_ssize_t rest_octets
    cdef Py_ssize_t rest_room
    cdef Fields fields
    cdef Sheet sheet
    cdef list sheets
    cdef list invalid
    cdef uint8_t* numbers
    cdef Py_ssize_t accepted
    cdef Py_ssize_t numbers_room  # in rows
    cdef Stretches listed  # rows of suppressed numbers
    cdef Stretches duplicates

    def __cinit__(self, Seen seen not None, Suppressed suppressed not None, tuple columns, strange):
        self.seen = seen
        self.suppressed = suppressed
        self.strange = strange
        self.sheets = []
        self.invalid = []
        if columns is not None:
            self.take_columns(columns)

    def __dealloc__(self):
        PyMem_Free(self.headings)
        PyMem_Free(self.rest)
        PyMem_Free(self.numbers)
        PyMem_Free(self.listed.items)
        PyMem_Free(self.duplicates.items)

    cdef int take_columns(self, tuple columns) except -1:
        cdef Heading* heading
        cdef bytes name
        if "to" not in columns or len(set(columns)) != len(columns):
            raise ValueError("the columns lack `to`, or have one twice")
        self.names = [column.encode() for column in columns]
        self.columns = len(self.names)
        self.headings = <Heading*>grown(NULL, self.columns * sizeof(Heading))
        heading = self.headings
        for name in self.names:
            heading.column = {b"to": TO, b"client_ref": REFERENCE, b"language": LANGUAGE}.get(name, VALUE)
            heading.name.at = <const uint8_t*>PyBytes_AS_STRING(name)
            heading.name.length = PyBytes_GET_SIZE(name)
            if heading.name.length > NAME_LONGEST:
                raise ValueError("the name of a column is too long")
            heading += 1
        return 0

    @property
    def taken(self):
        """Rows since the last cut, whatever became of them."""
        return self.row - self.cut_row

    def feed(self, bytes octets not None):
        """Take octets, in any pieces.

        Raises Invalid for a line of more than 65,536 octets, and what the callback raises.
        """
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(octets)
        cdef const uint8_t* end = at + PyBytes_GET_SIZE(octets)
        cdef const uint8_t* stop
        cdef Py_ssize_t length
        if self.is_feeding:
            raise RuntimeError("the callback of an intake cannot feed it")
        self.is_feeding = True
        try:
            while at < end:
                stop = <const uint8_t*>memchr(at, c"\n", end - at)
                if stop == NULL:
                    self.put_by(at, end - at)
                    return
                if self.rest_octets:
                    self.put_by(at, stop - at)
                    length = self.rest_octets
                    self.rest_octets = 0
                    self.read(self.rest, self.rest + length)
                else:
                    if stop - at > LINE_LONGEST:
                        self.refuse_line()
                    self.read(at, stop)
                at = stop + 1
        finally:
            self.is_feeding = False

    def end(self):
        """Take the last line, where it has no line end.  Raises what the callback raises."""
        cdef Py_ssize_t length = self.rest_octets
        if self.is_feeding:
            raise RuntimeError("the callback of an intake cannot end it")
        self.rest_octets = 0
        self.is_feeding = True
        try:
            if length:
                self.read(self.rest, self.rest + length)
        finally:
            self.is_feeding = False

    cdef int refuse_line(self) except -1:
        raise Invalid(InvalidParam("body", f"has a line of more than {LINE_LONGEST} octets"))

    cdef int put_by(self, const uint8_t* octets, Py_ssize_t count) except -1:
        """Keep a piece of a line until its end comes."""
        cdef Py_ssize_t room
        if count > LINE_LONGEST - self.rest_octets:
            self.refuse_line()
        if count > self.rest_room - self.rest_octets:
            room = max(self.rest_octets + count, 2 * self.rest_room, 256)
            self.rest = <uint8_t*>grown(self.rest, room)
            self.rest_room = room
        if count:
            memcpy(self.rest + self.rest_octets, octets, count)
        self.rest_octets += count
        return 0

    cdef int read(self, const uint8_t* at, const uint8_t* end) except -1:
        """One line without its end."""
        cdef const uint8_t* behind
        cdef uint64_t number
        cdef bint is_plain
        if self.open:
            return self.ask(at, end)
        if self.row == 0 and self.headings == NULL and end - at >= 3 and memcmp(at, b"\xEF\xBB\xBF", 3) == 0:
            at += 3
        if at == end or is_blank(at[0]):
            behind = at
            while behind < end and is_blank(behind[0]):
                behind += 1
            if behind == end:
                return 0
        if self.headings == NULL:
            is_plain = read_json(at, end, &self.fields)
        else:
            is_plain = read_csv(at, end, self.headings, self.columns, &self.fields)
        if is_plain:
            number = <uint64_t>key_of(self.fields.to.at, self.fields.to.length)
            if number == 0:
                number = <uint64_t>key_of_spaced(self.fields.to.at, self.fields.to.length)
            if number:
                self.row += 1
                return self.keep(number)
        return self.ask(at, end)

    cdef int ask(self, const uint8_t* at, const uint8_t* end) except -1:
        """Let the callback read a line."""
        found = self.strange(self.row + 1, PyBytes_FromStringAndSize(<const char*>at, end - at))
        if found is not None:
            self.take(found)
        return 0

    def add(self, found):
        """Count one more row, which was read elsewhere: what a callback gives.  Raises TypeError, ValueError."""
        self.take(found)

    cdef int take(self, found) except -1:
        cdef uint64_t number
        cdef dict values
        if isinstance(found, InvalidParam):
            self.row += 1
            self.invalid.append((self.row, found))
            return 0
        number, reference, language, values = found
        if number == 0:
            raise ValueError("0 is not the key of a number")
        if number >> NUMBER_BITS:
            # The library finds 19 digits possible, in Japan.
            return self.take(InvalidParam("to", "has more digits than can be kept", self.row + 1))
        if len(values) > VALUES_MOST:
            raise ValueError(f"{len(values)} values, of at most {VALUES_MOST}")
        self.fields.reference = span_of(reference)
        self.fields.language = span_of(language)
        self.fields.count = 0
        for name, value in values.items():
            self.fields.names[self.fields.count] = span_of(name)
            self.fields.values[self.fields.count] = span_of(value)
            self.fields.count += 1
            if self.fields.names[self.fields.count - 1].length > NAME_LONGEST:
                reason = f"have a name of more than {NAME_LONGEST} octets"
                return self.take(InvalidParam("values", reason, self.row + 1))
        self.row += 1
        return self.keep(number)

    cdef int keep(self, uint64_t number) except -1:
        """The row in `fields`: into a sheet, unless there was one of its key."""
        cdef Stretch* last
        cdef Digest reference
        cdef Digest listed
        cdef bint is_new
        # What is in no cache takes 100 ns and more to come: the other set's digest is made meanwhile.
        if self.fields.reference.length:
            reference = self.seen.expect_reference(self.fields.reference.at, self.fields.reference.length)
            listed = self.suppressed.expect_number(number)
            is_new = self.seen.add_digest(reference)
        else:
            self.seen.expect_number(number)
            listed = self.suppressed.expect_number(number)
            is_new = self.seen.add_number(number)
        if not is_new:
            if self.duplicates.count:
                last = &self.duplicates.items[self.duplicates.count - 1]
                if last.first + last.other == self.row:
                    last.other += 1
                    return 0
            return append(&self.duplicates, self.row, 1)
        if self.sheet is None or not self.put(number):
            self.sheet = Sheet()
            self.sheets.append(self.sheet)
            if not self.put(number):
                raise ValueError("a sheet without rows did not take one")
        if self.accepted == self.numbers_room:
            self.make_room()
        self.write_number(number)
        if self.suppressed.has_digest(listed):
            append(&self.listed, self.row, number)
        return 0

    cdef inline bint put(self, uint64_t number) except -1:
        return self.sheet.add(
            number,
            self.fields.reference,
            self.fields.language,
            self.fields.count,
            self.fields.names,
            self.fields.values,
        )

    cdef int make_room(self) except -1:
        cdef Py_ssize_t room = max(2 * self.numbers_room, 512)
        self.numbers = <uint8_t*>grown(self.numbers, 8 * room)
        self.numbers_room = room
        return 0

    cdef inline void write_number(self, uint64_t number) noexcept:
        """The caller has made room."""
        cdef uint8_t* at = self.numbers + 8 * self.accepted
        cdef int i
        for i in range(8):
            at[i] = <uint8_t>(number >> 8 * i)
        self.accepted += 1

    def cut(self):
        """All that came since the last cut; an unfinished line stays."""
        cdef Take take = Take.__new__(Take)
        take.sheets = self.sheets
        take.numbers = PyBytes_FromStringAndSize(<const char*>self.numbers, 8 * self.accepted)
        take.accepted = self.accepted
        take.suppressed = emptied(&self.listed)
        take.duplicates = emptied(&self.duplicates)
        take.invalid = self.invalid
        take.rows = self.row - self.cut_row
        self.sheet = None
        self.sheets = []
        self.invalid = []
        self.accepted = 0
        self.cut_row = self.row
        return take
