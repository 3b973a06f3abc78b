"""Plain lines of an upload: what is told from octets alone, and the spans of it.

All of it is inline, so there is no .pyx.  A plain line of NDJSON is an object with the keys of a row, each at most
once, whose strings mean the octets they hold; a plain record of CSV has no quotes; both are UTF-8.  Refusing is always
right, for somebody else judges what is refused here.

The octets are anybody's.  Each pointer goes together with the end of its line, and nothing is read at or behind that.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

from engine._octets cimport load
from engine._sheet cimport Span

cdef extern from *:
    int trailing_zeros "__builtin_ctzll" (unsigned long long word) noexcept nogil

cdef enum:
    # What recipients allow, there in characters: a text of fewer octets has no more of those.
    REFERENCE_LONGEST = 200
    LANGUAGE_LONGEST = 35
    NAME_LONGEST = 200
    VALUE_LONGEST = 1000
    VALUES_MOST = 50
    WORD = 8  # octets that `load` takes together

cdef enum Column:
    TO
    REFERENCE
    LANGUAGE
    VALUE


cdef struct Fields:
    Span to
    Span reference
    Span language
    int count  # of values
    Span names[VALUES_MOST]
    Span values[VALUES_MOST]


cdef struct Heading:
    Column column
    Span name  # of a value


# -- octets

cdef inline bint is_blank(uint8_t octet) noexcept nogil:
    """As bytes.strip() sees it."""
    return octet == c" " or 9 <= octet <= 13


cdef inline uint64_t every(uint8_t octet) noexcept nogil:
    """A word of one octet."""
    return 0x0101010101010101ULL * octet


cdef inline uint64_t below(uint64_t word, uint8_t octet) noexcept nogil:
    """The top bit of the first octet of `word` that is less than `octet`, and perhaps of octets behind it."""
    return (word - every(octet)) & ~word & every(0x80)


cdef inline bint continues(uint8_t octet) noexcept nogil:
    return octet & 0xC0 == 0x80


cdef inline int rune(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """How many octets the character at `at` has that is not ASCII; 0 where it is none.

    RFC 3629 §4: no longer form than is needed, no surrogates, nothing beyond U+10FFFF.
    """
    cdef Py_ssize_t left = end - at
    cdef uint8_t lead = at[0]
    if lead < 0xC2:
        return 0
    if lead < 0xE0:
        return 2 if left > 1 and continues(at[1]) else 0
    if lead < 0xF0:
        if left < 3 or not continues(at[1]) or not continues(at[2]):
            return 0
        if (lead == 0xE0 and at[1] < 0xA0) or (lead == 0xED and at[1] > 0x9F):
            return 0
        return 3
    if lead > 0xF4 or left < 4 or not continues(at[1]) or not continues(at[2]) or not continues(at[3]):
        return 0
    if (lead == 0xF0 and at[1] < 0x90) or (lead == 0xF4 and at[1] > 0x8F):
        return 0
    return 4


cdef inline const uint8_t* text_end(const uint8_t* at, const uint8_t* end, uint8_t stop) noexcept nogil:
    """The first octet that is a quote, `stop`, a control character or no UTF-8; `end` where there is none."""
    cdef uint64_t word
    cdef uint64_t found
    cdef int octets
    while at < end:
        if end - at >= WORD:
            word = load(at)
            found = (
                below(word ^ every(c'"'), 1) | below(word ^ every(stop), 1) | below(word, 0x20) | word & every(0x80)
            )
            if not found:
                at += WORD
                continue
            # Octets behind the first may be flagged without a reason, the first never is.
            at += trailing_zeros(found) >> 3
        if at[0] < 0x80:
            if at[0] == c'"' or at[0] == stop or at[0] < 0x20:
                return at
            at += 1
            continue
        octets = rune(at, end)
        if not octets:
            return at
        at += octets
    return end


# -- plain lines

cdef inline const uint8_t* skip_space(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """RFC 8259 §2, without the line feed, which no line has."""
    while at < end and (at[0] == c" " or at[0] == c"\t" or at[0] == c"\r"):
        at += 1
    return at


cdef inline const uint8_t* skip_sign(const uint8_t* at, const uint8_t* end, uint8_t sign) noexcept nogil:
    """Behind `sign` and the space around it; NULL where it is not there."""
    at = skip_space(at, end)
    if at == end or at[0] != sign:
        return NULL
    return skip_space(at + 1, end)


cdef inline const uint8_t* read_string(const uint8_t* at, const uint8_t* end, Span* span) noexcept nogil:
    """Behind the closing quote; NULL where it is no string, or one that means something else than its octets."""
    if at == end or at[0] != c'"':
        return NULL
    span.at = at + 1
    at = text_end(at + 1, end, c"\\")
    if at == end or at[0] != c'"':
        return NULL
    span.length = at - span.at
    return at + 1


cdef inline bint same(Span one, const void* other, Py_ssize_t length) noexcept nogil:
    return one.length == length and memcmp(one.at, other, length) == 0


cdef inline const uint8_t* read_values(const uint8_t* at, const uint8_t* end, Fields* fields) noexcept nogil:
    """Behind the closing brace of the values; NULL where a callback must see them."""
    cdef const uint8_t* behind
    cdef Span name
    cdef Span value
    cdef int i
    at = skip_sign(at, end, c"{")
    if at == NULL:
        return NULL
    if at < end and at[0] == c"}":
        return at + 1
    while True:
        at = read_string(at, end, &name)
        if at == NULL:
            return NULL
        at = skip_sign(at, end, c":")
        if at == NULL:
            return NULL
        at = read_string(at, end, &value)
        if at == NULL or value.length > VALUE_LONGEST or name.length > NAME_LONGEST or fields.count == VALUES_MOST:
            return NULL
        for i in range(fields.count):
            if same(fields.names[i], name.at, name.length):
                return NULL
        fields.names[fields.count] = name
        fields.values[fields.count] = value
        fields.count += 1
        behind = skip_sign(at, end, c",")
        if behind == NULL:
            at = skip_space(at, end)
            return at + 1 if at < end and at[0] == c"}" else NULL
        at = behind


cdef inline bint read_json(const uint8_t* at, const uint8_t* end, Fields* fields) noexcept nogil:
    """Whether the line is one plain object; its strings are in `fields` then."""
    cdef const uint8_t* behind
    cdef Span key
    cdef Span* field
    cdef bint has_values = False
    fields.to.at = fields.reference.at = fields.language.at = NULL
    fields.to.length = fields.reference.length = fields.language.length = 0
    fields.count = 0
    at = skip_sign(at, end, c"{")
    if at == NULL:
        return False
    while True:
        at = read_string(at, end, &key)
        if at == NULL:
            return False
        at = skip_sign(at, end, c":")
        if at == NULL:
            return False
        field = NULL
        if same(key, b"to", 2):
            field = &fields.to
        elif same(key, b"client_ref", 10):
            field = &fields.reference
        elif same(key, b"language", 8):
            field = &fields.language
        elif has_values or not same(key, b"values", 6):
            return False
        if field == NULL:
            has_values = True
            at = read_values(at, end, fields)
        elif field.at != NULL:
            return False
        else:
            at = read_string(at, end, field)
        if at == NULL:
            return False
        behind = skip_sign(at, end, c",")
        if behind == NULL:
            break
        at = behind
    at = skip_sign(at, end, c"}")
    return (
        at == end and fields.reference.length <= REFERENCE_LONGEST and fields.language.length <= LANGUAGE_LONGEST
    )


cdef inline bint read_csv(
    const uint8_t* at, const uint8_t* end, const Heading* headings, Py_ssize_t columns, Fields* fields
) noexcept nogil:
    """Whether the line is a plain record of so many columns; its cells are in `fields` then, without empty values."""
    cdef const uint8_t* stop
    cdef const Heading* heading = headings
    cdef Span cell
    fields.to.length = fields.reference.length = fields.language.length = 0
    fields.count = 0
    if at < end and (end - 1)[0] == c"\r":
        end -= 1
    while heading < headings + columns:
        stop = text_end(at, end, c",")
        if stop < end and stop[0] != c",":
            return False
        cell.at = at
        cell.length = stop - at
        if heading.column == TO:
            fields.to = cell
        elif heading.column == REFERENCE:
            if cell.length > REFERENCE_LONGEST:
                return False
            fields.reference = cell
        elif heading.column == LANGUAGE:
            if cell.length > LANGUAGE_LONGEST:
                return False
            fields.language = cell
        elif cell.length:
            if cell.length > VALUE_LONGEST or fields.count == VALUES_MOST:
                return False
            fields.names[fields.count] = heading.name
            fields.values[fields.count] = cell
            fields.count += 1
        heading += 1
        if stop == end:
            return heading == headings + columns
        at = stop + 1
    return False
