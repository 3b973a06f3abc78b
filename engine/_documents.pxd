"""Inline: a stored record, an array of msgpack, by its fields; and what is asked of their values.

The octets are hostile until they were read: whoever finds that they are no record sets `broken`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from engine._walk cimport array, big, integer, mapping, step


cdef enum:
    FIELDS_MOST = 64


cdef enum:
    EQ, NE, LT, LE, GT, GE, CONTAINS, STARTS


cdef struct Document:
    # A stored array, of which the beginnings of the fields are found as they are asked for.
    const uint8_t* end
    int count
    int known
    const uint8_t* starts[FIELDS_MOST]


cdef inline bint open_document(Document* doc, const uint8_t* at, const uint8_t* end) noexcept:
    cdef uint32_t count = 0
    at = array(at, end, &count)
    if at == NULL:
        return False
    doc.end = end
    doc.count = <int>min(count, <uint32_t>FIELDS_MOST)
    doc.known = 0
    doc.starts[0] = at
    return True


cdef inline const uint8_t* field_of(Document* doc, int field, bint* broken) noexcept:
    """Where a field begins; NULL where the record is older than the field, or broken."""
    cdef const uint8_t* at
    if field >= doc.count:
        return NULL
    while doc.known < field:
        at = step(doc.starts[doc.known], doc.end)
        if at == NULL:
            broken[0] = True
            return NULL
        doc.known += 1
        doc.starts[doc.known] = at
    if doc.starts[field] >= doc.end:
        broken[0] = True
        return NULL
    return doc.starts[field]


cdef inline const uint8_t* entry_of(const uint8_t* at, const uint8_t* end, int32_t key, bint* broken) noexcept:
    """Where the value begins that a map has under a number; NULL where it has none."""
    cdef uint32_t count = 0
    cdef int64_t found = 0
    at = mapping(at, end, &count)
    if at == NULL:
        broken[0] = True
        return NULL
    for _ in range(count):
        if not integer(at, end, &found):
            broken[0] = True
            return NULL
        at = step(at, end)
        if at == NULL or at >= end:
            broken[0] = True
            return NULL
        if found == key:
            return at
        at = step(at, end)
        if at == NULL:
            broken[0] = True
            return NULL
    return NULL


cdef inline bint compared(int64_t mine, int comparison, int64_t other) noexcept:
    if comparison == EQ:
        return mine == other
    if comparison == NE:
        return mine != other
    if comparison == LT:
        return mine < other
    if comparison == LE:
        return mine <= other
    if comparison == GT:
        return mine > other
    return mine >= other


cdef inline bint is_plain(const uint8_t* at, uint32_t octets) noexcept:
    """Whether folding changes nothing but the case of ASCII: beside that there is only Han (U+3400 to 9FFF)."""
    cdef uint32_t place = 0
    cdef uint32_t sign
    while place < octets:
        if at[place] < 0x80:
            place += 1
        elif at[place] & 0xf0 == 0xe0 and octets - place >= 3:
            sign = (at[place] & 0x0f) << 12 | (at[place + 1] & 0x3f) << 6 | at[place + 2] & 0x3f
            if not 0x3400 <= sign <= 0x9fff:
                return False
            place += 3
        else:
            return False
    return True


cdef inline bint contains(const uint8_t* within, Py_ssize_t octets, const uint8_t* sought, Py_ssize_t length) noexcept:
    cdef Py_ssize_t place
    if not length:
        return True
    for place in range(octets - length + 1):
        if within[place] == sought[0] and not memcmp(within + place, sought, <size_t>length):
            return True
    return False


cdef inline void month_and_day(int64_t ordinal, int64_t* month, int64_t* day) noexcept:
    """Of a date by its number (1 is 0001-01-01, as datetime.date.toordinal has it), in a year that begins in March."""
    cdef int64_t of_era = (ordinal + 305) % 146097
    cdef int64_t year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef int64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef int64_t since_march = (5 * of_year + 2) // 153
    day[0] = of_year - (153 * since_march + 2) // 5 + 1
    month[0] = since_march + 3 if since_march < 10 else since_march - 9


cdef inline int64_t plus(int64_t sum_, int64_t more) noexcept:
    """The sum, or the end of what 64 bits can say."""
    if more > 0 and sum_ > INT64_MAX - more:
        return INT64_MAX
    if more < 0 and sum_ < INT64_MIN - more:
        return INT64_MIN
    return sum_ + more


cdef inline bint is_among(const int64_t* operands, int count, int64_t value) noexcept:
    """Whether it is one of them, which are sorted."""
    cdef int low = 0
    cdef int high = count
    cdef int middle
    while low < high:
        middle = (low + high) >> 1
        if operands[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < count and operands[low] == value


cdef inline int day_bit(const uint8_t* at, const uint8_t* end, int* calendar, bint* broken) noexcept:
    """The bit of a day in a window of its calendar, -1 where no calendar has it.

    It stands there as [calendar, month, day, year, leap], or as the number of a date.
    """
    cdef uint32_t count = 0
    cdef int64_t parts[5]
    cdef int64_t ordinal = 0
    cdef int place
    if integer(at, end, &ordinal):
        calendar[0] = 0
        month_and_day(ordinal, &parts[1], &parts[2])
        return <int>((parts[1] - 1) * 31 + parts[2] - 1) if ordinal > 0 else -1
    at = array(at, end, &count)
    for place in range(5):
        parts[place] = 0
        if at == NULL or count < 5 or at >= end:
            broken[0] = True
            return -1
        if at[0] == 0xc2 or at[0] == 0xc3:
            parts[place] = at[0] & 1
        elif not integer(at, end, &parts[place]):
            broken[0] = True
            return -1
        at = step(at, end)
    if not (0 <= parts[0] <= 1 and 1 <= parts[1] <= 12 and 1 <= parts[2] <= (30 if parts[0] else 31)):
        return -1
    calendar[0] = <int>parts[0]
    if parts[0]:
        return <int>(((parts[1] - 1) * 30 + parts[2] - 1) * 2 + (parts[4] & 1))
    return <int>((parts[1] - 1) * 31 + parts[2] - 1)


cdef inline uint64_t key_id(bytes key) except? 0:
    if key is None or PyBytes_GET_SIZE(key) < 8:
        raise ValueError("a key is too short")
    return big(<const uint8_t*>PyBytes_AS_STRING(key), 8)
