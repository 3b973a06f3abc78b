"""Fields of a TPDU that say something about a text: addresses, time stamps, validity, data coding.

Owns 3GPP TS 23.040 §9.1.2 and §9.2.3 field by field, and the `Reader` through which untrusted octets are
taken: it raises CodecError with the field and the octet where the input ended.  Knows neither which TPDU has
which fields nor the user data.
"""

from cpython.unicode cimport PyUnicode_1BYTE_KIND, PyUnicode_DATA, PyUnicode_FromKindAndData, PyUnicode_KIND
from libc.stdint cimport int64_t, uint8_t

from engine cimport _gsm7
from engine._octets cimport Writer, claim, put
from engine._segmentation cimport GSM7, OCTETS, UCS2

from engine.errors import CodecError

cdef extern from "Python.h":
    # cpython.unicode declares it without nogil, though it is a macro over plain memory.
    Py_UCS4 PyUnicode_READ(int kind, const void* characters, Py_ssize_t index) noexcept nogil

cdef enum:
    INTERNATIONAL = 0x91  # type of address, §9.1.2.5, in the ISDN numbering plan
    NATIONAL = 0x81
    ALPHANUMERIC_TYPE = 5  # bits 6 to 4 of the type of address
    INTERNATIONAL_TYPE = 1
    MOST_DIGITS = 20  # semi-octets of an address: §9.1.2.5

    MINUTE_S = 60
    HOUR_S = 3600
    DAY_S = 86400
    WEEK_S = 604800

cdef const char* DIGITS = b"0123456789*#abc"  # §9.1.2.3; the sixteenth is the filler


cdef int octet(Reader* source, str field) except -1:
    """The next octet, which belongs to `field`."""
    cdef int value
    if source.at >= source.end:
        raise CodecError("ends too early", field, source.at - source.start)
    value = source.at[0]
    source.at += 1
    return value


cdef const uint8_t* span(Reader* source, Py_ssize_t count, str field) except NULL:
    """The next `count` octets, which belong to `field`."""
    cdef const uint8_t* at = source.at
    if source.end - at < count:
        raise CodecError("ends too early", field, source.end - source.start)
    source.at = at + count
    return at


cdef int write_address(str number, Writer* out) except -1:
    """Write TP-DA: E.164 behind a plus, or up to 20 of 0-9 * # a b c as they are dialled."""
    cdef int kind = PyUnicode_KIND(number)
    cdef const void* characters = PyUnicode_DATA(number)
    cdef Py_ssize_t length = len(number)
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t i
    cdef Py_UCS4 character
    cdef bint international = length > 0 and PyUnicode_READ(kind, characters, 0) == c"+"
    cdef int digit
    cdef uint8_t* at
    if international:
        begin = 1
    if not 1 <= length - begin <= MOST_DIGITS:
        raise CodecError("not 1 to 20 digits", "destination")
    put(out, <int>(length - begin))
    put(out, INTERNATIONAL if international else NATIONAL)
    at = claim(out, <int>((length - begin + 1) >> 1))
    if at == NULL:
        return 0
    for i in range(begin, length):
        character = PyUnicode_READ(kind, characters, i)
        if c"0" <= character <= c"9":
            digit = <int>character - c"0"
        elif international:
            digit = -1
        elif character == c"*":
            digit = 10
        elif character == c"#":
            digit = 11
        elif c"a" <= character <= c"c":
            digit = 12 + <int>character - c"a"
        else:
            digit = -1
        if digit < 0:
            raise CodecError("not a digit that can be dialled", "destination", i)
        if (i - begin) & 1:
            at[0] = <uint8_t>((at[0] & 0x0F) | digit << 4)
            at += 1
        else:
            at[0] = <uint8_t>(0xF0 | digit)
    return 0


cdef str read_digits(Reader* source, const uint8_t* octets, int count, bint international, str field):
    """Number of `count` semi-octets; a filler may end it, for some count it in."""
    cdef char text[1 + 2 * 128]
    cdef int length = 0
    cdef int digit
    cdef int i
    if count > 0 and (octets[(count - 1) >> 1] >> (0 if count & 1 else 4)) & 0x0F == 0x0F:
        count -= 1
    if count == 0:
        return ""
    if international:
        text[0] = c"+"
        length = 1
    for i in range(count):
        digit = (octets[i >> 1] >> (4 if i & 1 else 0)) & 0x0F
        if digit == 0x0F:
            raise CodecError("a filler between digits", field, octets + (i >> 1) - source.start)
        text[length] = DIGITS[digit]
        length += 1
    return PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, text, length)


cdef str read_address(Reader* source, str field, bint* alphanumeric):
    """TP-OA, TP-DA or TP-RA.  §9.1.2.5: its length counts semi-octets."""
    cdef int length = octet(source, field)
    cdef int kind
    cdef const uint8_t* octets
    if length > MOST_DIGITS:
        raise CodecError("more than 20 semi-octets", field, source.at - 1 - source.start)
    kind = (octet(source, field) >> 4) & 7
    octets = span(source, (length + 1) >> 1, field)
    alphanumeric[0] = kind == ALPHANUMERIC_TYPE
    if kind == ALPHANUMERIC_TYPE:
        return _gsm7.read(octets, 0, 4 * length // 7)
    return read_digits(source, octets, length, kind == INTERNATIONAL_TYPE, field)


cdef str read_service_centre(Reader* source):
    """The address before a TPDU, "" if there is none.  Its length counts octets, the type among them."""
    cdef int length = octet(source, "service_centre")
    cdef int kind
    cdef const uint8_t* octets
    if length == 0:
        return ""
    if 2 * (length - 1) > MOST_DIGITS:
        raise CodecError("more than 20 digits", "service_centre", source.at - 1 - source.start)
    kind = (octet(source, "service_centre") >> 4) & 7
    octets = span(source, length - 1, "service_centre")
    if kind == ALPHANUMERIC_TYPE:
        return _gsm7.read(octets, 0, 8 * (length - 1) // 7)
    return read_digits(source, octets, 2 * (length - 1), kind == INTERNATIONAL_TYPE, "service_centre")


cdef inline int swapped(uint8_t octet) noexcept nogil:
    """Two decimal digits, low nibble first; -1 if they are none."""
    if octet & 0x0F > 9 or octet >> 4 > 9:
        return -1
    return (octet & 0x0F) * 10 + (octet >> 4)


cdef int64_t days_since_epoch(int year, int month, int day) noexcept nogil:
    """Days from 1970-01-01 to a date.  Years are taken to begin in March, so that a leap day ends one."""
    cdef int y = year - 1 if month <= 2 else year
    cdef int day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return <int64_t>y * 365 + y // 4 - y // 100 + y // 400 + day_of_year - 719468


cdef object read_time(const uint8_t* stamp):
    """Milliseconds since the epoch, UTC; None for what is no date.

    §9.2.3.11: seven octets of swapped digits.  Years are 2000 to 2099.  The seventh octet is the zone in
    quarters of an hour, its bit 3 the minus sign.
    """
    cdef int year = swapped(stamp[0])
    cdef int month = swapped(stamp[1])
    cdef int day = swapped(stamp[2])
    cdef int hour = swapped(stamp[3])
    cdef int minute = swapped(stamp[4])
    cdef int second = swapped(stamp[5])
    cdef int quarters = swapped(stamp[6] & 0xF7)
    cdef int days
    if year < 0 or hour < 0 or minute < 0 or second < 0 or quarters < 0 or not 1 <= month <= 12:
        return None
    if month == 2:
        days = 29 if year % 4 == 0 else 28  # 2000 was a leap year, and 2100 cannot be said
    else:
        days = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    if not 1 <= day <= days or hour > 23 or minute > 59 or second > 59:
        return None
    if stamp[6] & 0x08:
        quarters = -quarters
    return 1000 * (
        days_since_epoch(2000 + year, month, day) * DAY_S
        + hour * HOUR_S
        + minute * MINUTE_S
        + second
        - quarters * 15 * MINUTE_S
    )


cdef int relative_validity(int64_t seconds) noexcept nogil:
    """TP-VP in relative format, the next longer value there is; 63 weeks is the longest.  §9.2.3.12.1."""
    if seconds <= 0:
        return 0
    if seconds <= 12 * HOUR_S:
        return <int>((seconds + 5 * MINUTE_S - 1) // (5 * MINUTE_S)) - 1
    if seconds <= DAY_S:
        return 143 + <int>((seconds - 12 * HOUR_S + 30 * MINUTE_S - 1) // (30 * MINUTE_S))
    if seconds <= 30 * DAY_S:
        return 166 + <int>((seconds + DAY_S - 1) // DAY_S)
    if seconds <= 63 * WEEK_S:
        return 192 + <int>((seconds + WEEK_S - 1) // WEEK_S)
    return 255


cdef int relative_seconds(int validity) noexcept nogil:
    """The reverse of `relative_validity`."""
    if validity <= 143:
        return (validity + 1) * 5 * MINUTE_S
    if validity <= 167:
        return 12 * HOUR_S + (validity - 143) * 30 * MINUTE_S
    if validity <= 196:
        return (validity - 166) * DAY_S
    return (validity - 192) * WEEK_S


cdef object enhanced_seconds(const uint8_t* validity):
    """Seconds of an enhanced TP-VP, None where it says none or nothing we know.  §9.2.3.12.3."""
    cdef int at = 1
    cdef int form = validity[0] & 7
    cdef int hours
    cdef int minutes
    cdef int seconds
    if validity[0] & 0x80:  # an extension octet follows; we know none that has a meaning
        at = 2
    if form == 1:
        return relative_seconds(validity[at])
    if form == 2:
        return validity[at] if validity[at] else None
    if form == 3:
        hours = swapped(validity[at])
        minutes = swapped(validity[at + 1])
        seconds = swapped(validity[at + 2])
        if hours >= 0 and 0 <= minutes <= 59 and 0 <= seconds <= 59:
            return hours * HOUR_S + minutes * MINUTE_S + seconds
    return None


cdef int alphabet_of(int coding) noexcept nogil:
    """Which alphabet a TP-DCS names.  TS 23.038 §4: what is reserved is read as GSM 7-bit."""
    cdef int group = coding >> 4
    if group < 8:  # general, and the same marked for automatic deletion
        if coding & 0x20:
            return OCTETS  # compressed: we keep what we cannot unpack
        if coding & 0x0C == 0x04:
            return OCTETS
        return UCS2 if coding & 0x0C == 0x08 else GSM7
    if group == 0x0E:
        return UCS2  # message waiting, store, UCS2
    if group == 0x0F:
        return OCTETS if coding & 0x04 else GSM7
    return GSM7


cdef object class_of(int coding):
    """0 to 3 (0 is flash), or None where the TP-DCS names no class."""
    if coding >> 4 == 0x0F or coding & 0x90 == 0x10:
        return coding & 3
    return None
