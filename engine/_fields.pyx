"""Fields of a TPDU that say something about a text: addresses, time stamps, validity, data coding.

Owns 3GPP TS 23.040 §9.1.2 and §9.2.3 field by field, and the `Reader` through which untrusted octets are
taken.  What is wrong with them is a CodecError with the field and the octet: raised, or kept in a list of faults
where the reader is to make the best of it.  Knows neither which TPDU has which fields nor the user data.
"""

from cpython.unicode cimport PyUnicode_1BYTE_KIND, PyUnicode_DATA, PyUnicode_FromKindAndData, PyUnicode_KIND
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from engine cimport _gsm7
from engine._octets cimport Writer, claim, put

from engine.errors import CodecError

cdef extern from "Python.h":
    # cpython.unicode declares it without nogil, though it is a macro over plain memory.
    Py_UCS4 PyUnicode_READ(int kind, const void* characters, Py_ssize_t index) noexcept nogil

cdef enum:
    INTERNATIONAL = 0x91  # type of address, §9.1.2.5, in the ISDN numbering plan
    UNKNOWN = 0x81
    ALPHANUMERIC = 0xD0
    ALPHANUMERIC_TYPE = 5  # bits 6 to 4 of the type of address
    INTERNATIONAL_TYPE = 1
    MOST_DIGITS = 20  # semi-octets of an address: §9.1.2.5
    LONGEST_ADDRESS = 255  # octets, whatever is allowed
    MOST_LETTERS = 11  # characters of a name in as many semi-octets

    MINUTE_S = 60
    HOUR_S = 3600
    DAY_S = 86400
    WEEK_S = 604800
    LONGEST_CLOCK_S = 99 * HOUR_S + 59 * MINUTE_S + 59

    # Formats of an enhanced validity, §9.2.3.12.3.
    RELATIVE_FORMAT = 1
    SECONDS_FORMAT = 2
    CLOCK_FORMAT = 3
    SINGLE_SHOT = 0x40

cdef const char* DIGITS = b"0123456789*#abc"  # §9.1.2.3; the sixteenth is the filler


cdef int fault(list faults, str reason, str field, Py_ssize_t offset) except -1:
    """Raise what is wrong, or keep it where somebody keeps `faults`."""
    error = CodecError(reason, field, None if offset < 0 else offset)
    if faults is None:
        raise error
    faults.append(error)
    return 0


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


cdef int number_of(object value, str field) except -1:
    """A field of one octet.  Raises TypeError for what is no int."""
    if not isinstance(value, int):
        raise TypeError(f"{field} is an int")
    if not 0 <= value <= 255:
        raise CodecError("not 0 to 255", field)
    return value


# Addresses


cdef inline int dialled(Py_UCS4 character) noexcept nogil:
    """The semi-octet of a digit, `*`, `#` or a letter that can be dialled; -1 of anything else."""
    if c"0" <= character <= c"9":
        return <int>character - c"0"
    if character == c"*":
        return 10
    if character == c"#":
        return 11
    if c"a" <= character <= c"c":
        return 12 + <int>character - c"a"
    return -1


cdef inline bint write_decimals(const uint8_t* digits, Py_ssize_t count, uint8_t* octets) noexcept nogil:
    """Two digits to an octet, the first one low, a filler behind an odd one; whether all of them were 0 to 9."""
    cdef uint8_t strange = 0
    cdef uint8_t low
    cdef uint8_t high
    cdef Py_ssize_t i
    for i in range(count >> 1):
        low = <uint8_t>(digits[2 * i] - c"0")
        high = <uint8_t>(digits[2 * i + 1] - c"0")
        strange |= <uint8_t>(low > 9) | <uint8_t>(high > 9)
        octets[i] = <uint8_t>(low | high << 4)
    if count & 1:
        low = <uint8_t>(digits[count - 1] - c"0")
        strange |= <uint8_t>(low > 9)
        octets[count >> 1] = 0xF0 | low
    return not strange


cdef int write_address(str number, str field, Writer* out, bint any=False) except -1:
    """Write an address: E.164 behind a plus, or up to 20 of 0-9 * # a b c as they are dialled.

    With `any` these may follow a plus too: one that was read can be written again.
    """
    cdef int kind = PyUnicode_KIND(number)
    cdef const void* characters = PyUnicode_DATA(number)
    cdef Py_ssize_t length = len(number)
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t i
    cdef bint international = length > 0 and PyUnicode_READ(kind, characters, 0) == c"+"
    cdef int digit
    cdef uint8_t* at
    if international:
        begin = 1
    if not 1 <= length - begin <= MOST_DIGITS:
        raise CodecError("not 1 to 20 digits", field)
    at = claim(out, 2 + <int>((length - begin + 1) >> 1))
    if at == NULL:
        return 0
    at[0] = <uint8_t>(length - begin)
    at[1] = INTERNATIONAL if international else UNKNOWN
    at += 2
    if kind == 1 and write_decimals(<const uint8_t*>characters + begin, length - begin, at):
        return 0
    for i in range(begin, length):
        digit = dialled(PyUnicode_READ(kind, characters, i))
        if digit < 0 or (international and digit > 9 and not any):
            raise CodecError("not a digit that can be dialled", field, i)
        if (i - begin) & 1:
            at[0] = <uint8_t>((at[0] & 0x0F) | digit << 4)
            at += 1
        else:
            at[0] = <uint8_t>(0xF0 | digit)
    return 0


cdef int write_anyone(str sender, int address_type, str field, Writer* out) except -1:
    """Write an address that may be a name too: what cannot be dialled is one.

    `address_type` is that of an address which was read, ANY_TYPE where the writer is to choose.
    """
    cdef uint8_t septets[MOST_LETTERS + 1]
    cdef Py_ssize_t count = 0
    cdef uint8_t* begin = out.at
    cdef uint8_t* at
    cdef bint named = address_type != ANY_TYPE and (address_type >> 4) & 7 == ALPHANUMERIC_TYPE
    if not sender:
        # A number without digits: nobody can be reached there, but networks do send it.
        put(out, 0)
        put(out, UNKNOWN if address_type == ANY_TYPE else address_type)
        return 0
    if address_type == ANY_TYPE:
        for i, character in enumerate(sender):
            if dialled(character) < 0 and not (i == 0 and character == "+" and len(sender) > 1):
                named = True
    if not named:
        write_address(sender, field, out, address_type != ANY_TYPE)
        if address_type != ANY_TYPE and not out.full:
            begin[1] = <uint8_t>address_type
        return 0
    if _gsm7.spread(
        PyUnicode_KIND(sender), PyUnicode_DATA(sender), len(sender), 0, 0, septets, MOST_LETTERS, &count
    ) < len(sender):
        raise CodecError("neither a number nor a name of at most 11 GSM 7-bit characters", field)
    put(out, <int>(7 * count + 3) >> 2)
    put(out, ALPHANUMERIC if address_type == ANY_TYPE else address_type)
    at = claim(out, <int>(7 * count + 7) >> 3)
    if at != NULL:
        _gsm7.pack_septets(septets, <int>count, 0, at)
    return 0


cdef int write_service_centre(str number, Writer* out) except -1:
    """Write the address before a TPDU, one octet of nothing for "": the SIM names it then.

    Its length counts octets, the type among them.
    """
    cdef uint8_t* begin = out.at
    if not number:
        put(out, 0)
        return 0
    write_address(number, "service_centre", out)
    if not out.full:
        begin[0] = <uint8_t>(1 + ((begin[0] + 1) >> 1))
    return 0


cdef str read_digits(Reader* source, const uint8_t* octets, int count, bint international, str field, list faults):
    """Number of `count` semi-octets; a filler may end it, for some count it in."""
    cdef char text[1 + 2 * LONGEST_ADDRESS]
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
            fault(faults, "a filler between digits", field, octets + (i >> 1) - source.start)
            break
        text[length] = DIGITS[digit]
        length += 1
    if length == (1 if international else 0):
        return ""
    return PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, text, length)


cdef str read_any(Reader* source, int address_type, int semi_octets, str field, list faults):
    """The number or the name in the next octets."""
    cdef uint8_t padded[LONGEST_ADDRESS + 8]
    cdef Py_ssize_t count = (semi_octets + 1) >> 1
    cdef const uint8_t* octets
    if source.end - source.at < count:
        fault(faults, "ends too early", field, source.end - source.start)
        source.ended = True
        count = source.end - source.at
        semi_octets = <int>(2 * count)
    octets = source.at
    source.at += count
    if (address_type >> 4) & 7 == ALPHANUMERIC_TYPE:
        memcpy(padded, octets, count)
        return _gsm7.read(padded, 0, 4 * semi_octets // 7)
    return read_digits(
        source, octets, semi_octets, (address_type >> 4) & 7 == INTERNATIONAL_TYPE, field, faults
    )


cdef str read_address(Reader* source, str field, int* address_type, list faults):
    """TP-OA, TP-DA or TP-RA.  §9.1.2.5: its length counts semi-octets."""
    cdef int length = octet(source, field)
    if length > MOST_DIGITS:
        fault(faults, "more than 20 semi-octets", field, source.at - 1 - source.start)
    address_type[0] = octet(source, field)
    return read_any(source, address_type[0], length, field, faults)


cdef str read_service_centre(Reader* source, list faults):
    """The address before a TPDU, "" if there is none.  Its length counts octets, the type among them."""
    cdef int length = octet(source, "service_centre")
    cdef int address_type
    if length == 0:
        return ""
    if 2 * (length - 1) > MOST_DIGITS:
        fault(faults, "more than 20 digits", "service_centre", source.at - 1 - source.start)
    address_type = octet(source, "service_centre")
    return read_any(source, address_type, 2 * (length - 1), "service_centre", faults)


# Time stamps


cdef inline int swapped(uint8_t octet) noexcept nogil:
    """Two decimal digits, low nibble first; -1 if they are none."""
    if octet & 0x0F > 9 or octet >> 4 > 9:
        return -1
    return (octet & 0x0F) * 10 + (octet >> 4)


cdef inline uint8_t swap(int number) noexcept nogil:
    """The reverse of `swapped`, 0 to 99."""
    return <uint8_t>(number // 10 | number % 10 << 4)


cdef int64_t days_since_epoch(int year, int month, int day) noexcept nogil:
    """Days from 1970-01-01 to a date.  Years are taken to begin in March, so that a leap day ends one."""
    cdef int y = year - 1 if month <= 2 else year
    cdef int day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return <int64_t>y * 365 + y // 4 - y // 100 + y // 400 + day_of_year - 719468


cdef object read_time(const uint8_t* stamp, int* zone):
    """Milliseconds since the epoch, UTC; None for what is no date.  `zone` is in quarters of an hour east.

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
    zone[0] = 0
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
    zone[0] = quarters
    return 1000 * (
        days_since_epoch(2000 + year, month, day) * DAY_S
        + hour * HOUR_S
        + minute * MINUTE_S
        + second
        - quarters * 15 * MINUTE_S
    )


cdef int zone_of(object zone, str field) except -100:
    """A zone in quarters of an hour east, as far as a time stamp can say it."""
    if not isinstance(zone, int):
        raise TypeError(f"the zone of {field} is an int")
    if not -79 <= zone <= 79:
        raise CodecError("a zone is -79 to 79 quarters of an hour", field)
    return zone


cdef int write_time(object time_ms, int zone, str field, uint8_t* stamp) except -1:
    """Seven octets of a moment in its zone; an impossible date, all zero, for None."""
    cdef int64_t seconds
    cdef int64_t days
    cdef int of_day
    cdef int era_day
    cdef int year
    cdef int month
    if time_ms is None:
        memset(stamp, 0, 7)
        return 0
    if not -(1 << 52) < time_ms < 1 << 52:
        raise CodecError("not between 2000 and 2099", field)
    seconds = <int64_t>time_ms // 1000 + zone * 15 * MINUTE_S
    if <int64_t>time_ms < 0:
        seconds = -1
    days = seconds // DAY_S - 10957  # since 2000-01-01
    if seconds < 0 or not 0 <= days < 36525:
        raise CodecError("not between 2000 and 2099", field)
    of_day = <int>(seconds % DAY_S)
    # Every fourth year is a leap year here.  Years are taken to begin in March, with that of 1996 the first, so that
    # the fourth of each four is the long one.
    era_day = <int>days + 1401
    year = (4 * era_day + 3) // 1461
    era_day -= 1461 * year // 4
    month = (5 * era_day + 2) // 153
    stamp[2] = swap(era_day - (153 * month + 2) // 5 + 1)
    stamp[1] = swap(month + 3 if month < 10 else month - 9)
    stamp[0] = swap(year - 4 + (0 if month < 10 else 1))
    stamp[3] = swap(of_day // HOUR_S)
    stamp[4] = swap(of_day % HOUR_S // MINUTE_S)
    stamp[5] = swap(of_day % MINUTE_S)
    stamp[6] = <uint8_t>(swap(zone if zone >= 0 else -zone) | (0x08 if zone < 0 else 0))
    return 0


# Validity

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


cdef int write_enhanced(int64_t seconds, bint single_shot, uint8_t* validity) noexcept nogil:
    """Seven octets of TP-VP in the enhanced format: whole seconds as long as it can say them.  §9.2.3.12.3.

    Negative `seconds` stand for no validity.
    """
    memset(validity, 0, 7)
    if single_shot:
        validity[0] = SINGLE_SHOT
    if seconds < 0:
        return 0
    if 1 <= seconds <= 255:
        validity[0] |= SECONDS_FORMAT
        validity[1] = <uint8_t>seconds
    elif seconds <= LONGEST_CLOCK_S:
        validity[0] |= CLOCK_FORMAT
        validity[1] = swap(<int>seconds // HOUR_S)
        validity[2] = swap(<int>seconds % HOUR_S // MINUTE_S)
        validity[3] = swap(<int>seconds % MINUTE_S)
    else:
        validity[0] |= RELATIVE_FORMAT
        validity[1] = <uint8_t>relative_validity(seconds)
    return 0


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


# Data coding


cdef bint is_compressed(int coding) noexcept nogil:
    """Whether a TP-DCS says that the text is compressed (TS 23.042), which nobody unpacks."""
    return coding >> 4 < 8 and coding & 0x20 != 0


cdef int alphabet_of(int coding) noexcept nogil:
    """Which alphabet a TP-DCS names.  TS 23.038 §4: what is reserved is read as GSM 7-bit."""
    cdef int group = coding >> 4
    if group < 8:  # general, and the same marked for automatic deletion
        if coding & 0x20 or coding & 0x0C == 0x04:
            return OCTETS
        return UCS2 if coding & 0x0C == 0x08 else GSM7
    if group == 0x0E:
        return UCS2  # message waiting, store, UCS2
    if group == 0x0F:
        return OCTETS if coding & 0x04 else GSM7
    return GSM7


cdef int coding_of(int alphabet, object message_class) except -1:
    """The TP-DCS of the general group for an alphabet, and a class of 0 to 3 or None."""
    cdef int coding = 0x08 if alphabet == UCS2 else (0x04 if alphabet == OCTETS else 0)
    if message_class is not None:
        if number_of(message_class, "message_class") > 3:
            raise CodecError("not 0 to 3", "message_class")
        coding |= 0x10 | <int>message_class
    return coding


cdef object class_of(int coding):
    """0 to 3 (0 is flash), or None where the TP-DCS names no class."""
    if coding >> 4 == 0x0F or coding & 0x90 == 0x10:
        return coding & 3
    return None
