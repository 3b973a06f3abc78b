"""Dates that come again every year, as people say them: Gregorian or Chinese, with their year or without.

A date is kept as it was said, with its calendar, and never converted: the public tables of the Chinese calendar differ
on three months of the past (from 1933-07-22, 1954-11-25 and 1978-09-02), so that a birthday converted may be wrong by a
day.

The table is borax's.  It reaches from 1901-01-01 to 2099-12-31, in lunar years from 1900 to 2099; whatever lies outside
is refused, not passed over.  A lunar year has the number of the Gregorian year that it begins in, and its last weeks
lie in the next one.  Of three months to come the new moon is so near to midnight (2057-09-28, 2089-09-04, 2097-08-07)
that others begin them a day earlier.

Where a year lacks a date, RFC 7529 §4.1 calls it SKIP=BACKWARD to take the one before and SKIP=FORWARD to take the one
after: day 30 of a short lunar month goes backward, a leap month that a year has not goes back to the ordinary one, and
29 February goes as the caller says.
"""

import re
from bisect import bisect_right
from calendar import isleap, monthrange
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple

import msgspec
from borax.calendars.lunardate import MIN_SOLAR_DATE, LCalendars

from engine.crm.people.zones import clock
from engine.errors import Invalid, InvalidParam

GREGORIAN: Final = 0
CHINESE: Final = 1

FIRST_YEAR: Final = 1901
LAST_YEAR: Final = 2099
FIRST_LUNAR_YEAR: Final = 1900  # its last weeks are January and February 1901

# Before it no date is Gregorian; what a customer says of that time is a slip of the hand.
_FIRST_SAID: Final = 1583

LeapMonth = Literal["first", "leap"]
Feb29 = Literal["before", "after"]


class Day(msgspec.Struct, frozen=True, array_like=True):
    """A day of the year as somebody said it.  `year` is 0 where it was not said, and else of the same calendar.

    Native code reads calendar, month, day and leap by their places.
    """

    calendar: int
    month: int
    day: int
    year: int = 0
    leap: bool = False


class Window(msgspec.Struct, frozen=True):
    """The days of the year that have an occurrence in a span of dates: one bit each.

    Bit i is `octets[i >> 3] >> (i & 7) & 1`.  In `gregorian` (47 octets) i is (month - 1) * 31 + day - 1, in `chinese`
    (90 octets) it is ((month - 1) * 30 + day - 1) * 2 + leap.
    """

    gregorian: bytes
    chinese: bytes


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    calendar: Literal["gregorian", "chinese"]
    month: int
    day: int
    leap: bool = False
    year: int | None = None


class _Month(NamedTuple):
    """A month of the Chinese calendar; `first` is the ordinal of its first day."""

    first: int
    days: int
    year: int
    month: int
    leap: bool


_TEXT: Final = re.compile(r"(?:([0-9]{4})|-)-([0-9]{2})-([0-9]{2})")
_GREGORIAN_OCTETS: Final = (12 * 31 + 7) // 8
_CHINESE_OCTETS: Final = 12 * 30 * 2 // 8
# No two occurrences of a day lie further apart: a lunar year has 385 days at most, and a leap month 30.
_ROUND_DAYS: Final = 385 + 30


def parse(said: str | Mapping[str, object], field: str) -> Day:
    """The date that was said: "1990-10-02", "--10-02", or a mapping of calendar, month, day, and perhaps leap and year.

    Raises Invalid naming `field` for what is no such date, does not exist, or is beyond the table.
    """
    if isinstance(said, str):
        found = _TEXT.fullmatch(said)
        if found is None:
            raise _wrong(field, "is not a date as 1990-10-02, or --10-02 where the year is not known")
        year = None if found[1] is None else int(found[1])
        return _checked(GREGORIAN, int(found[2]), int(found[3]), year, False, field)
    try:
        it = msgspec.convert(said, _Said)
    except msgspec.ValidationError as error:
        raise _wrong(field, f"is not a date: {error}".replace("`", "")) from error
    return _checked(CHINESE if it.calendar == "chinese" else GREGORIAN, it.month, it.day, it.year, it.leap, field)


def said(day: Day) -> str | dict[str, object]:
    """As `parse` takes it: a text for a Gregorian date, a mapping with every key for a Chinese one."""
    if day.calendar == GREGORIAN:
        return f"{f'{day.year:04}' if day.year else '-'}-{day.month:02}-{day.day:02}"
    year = day.year or None
    return {"calendar": "chinese", "month": day.month, "day": day.day, "leap": day.leap, "year": year}


def occurrence(day: Day, year: int, *, leap_month: LeapMonth = "first", feb29: Feb29 = "before") -> date:
    """When `day` comes in `year`, of its own calendar: a lunar year's last months are in the next Gregorian year.

    Somebody born in a leap month has it in the ordinary one; in a year with that leap month, there if `leap_month` says
    so.  `feb29` is for the years without one: 28 February or 1 March.  Raises Invalid for a year beyond the table.
    """
    if day.calendar == GREGORIAN:
        _within(year, FIRST_YEAR)
        if day.month == 2 and day.day == 29 and not isleap(year):
            return date(year, 2, 28) if feb29 == "before" else date(year, 3, 1)
        return date(year, day.month, day.day)
    _within(year, FIRST_LUNAR_YEAR)
    months = _named()
    leap = day.leap and leap_month == "leap"
    month = months.get((year, day.month, leap)) or months[year, day.month, False]
    return date.fromordinal(month.first + min(day.day, month.days) - 1)


def next_occurrence(day: Day, on_or_after: date, *, leap_month: LeapMonth = "first", feb29: Feb29 = "before") -> date:
    """The first occurrence of `day` that is not before `on_or_after`.

    Raises Invalid where either of them is beyond the table.
    """
    year = lunar_of(on_or_after).year if day.calendar == CHINESE else on_or_after.year
    found = occurrence(day, year, leap_month=leap_month, feb29=feb29)
    if found < on_or_after:
        return occurrence(day, year + 1, leap_month=leap_month, feb29=feb29)
    return found


@lru_cache(maxsize=256)
def window(
    first: date,
    days: int,
    calendar: int | None = None,
    *,
    leap_month: LeapMonth = "first",
    feb29: Feb29 = "before",
) -> Window:
    """Which days of the year occur on one of the `days` dates from `first` on; of one calendar alone if it is given.

    Raises Invalid for less than a day, and where the last of them is beyond the table.
    """
    _within(first.year, FIRST_YEAR)
    if days < 1:
        raise _wrong("days", "is less than 1")
    if days > (date(LAST_YEAR, 12, 31) - first).days + 1:
        raise _wrong("days", f"reaches beyond {LAST_YEAR}, where the table of the calendars ends")
    gregorian = chinese = 0
    for ordinal in range(first.toordinal(), first.toordinal() + min(days, _ROUND_DAYS)):
        if calendar != CHINESE:
            gregorian |= _gregorian_bits(date.fromordinal(ordinal), feb29)
        if calendar != GREGORIAN:
            chinese |= _chinese_bits(ordinal, leap_month)
    return Window(gregorian.to_bytes(_GREGORIAN_OCTETS, "little"), chinese.to_bytes(_CHINESE_OCTETS, "little"))


def holds(found: Window, day: Day) -> bool:
    """Whether `day` has an occurrence in that window."""
    if day.calendar == GREGORIAN:
        octets, bit = found.gregorian, (day.month - 1) * 31 + day.day - 1
    else:
        octets, bit = found.chinese, ((day.month - 1) * 30 + day.day - 1) * 2 + day.leap
    return octets[bit >> 3] >> (bit & 7) & 1 == 1


def lunar_of(on: date) -> Day:
    """The Chinese date of a day, with its lunar year.  Not for what customers say, which stays as they said it.

    Raises Invalid for a day beyond the table.
    """
    _within(on.year, FIRST_YEAR)
    month = _month_at(on.toordinal())
    return Day(CHINESE, month.month, on.toordinal() - month.first + 1, month.year, month.leap)


def solar_of(day: Day) -> date:
    """The day on which a date with a year fell or will fall.

    Raises Invalid for a date without a year, that does not exist, or that is beyond the table.
    """
    if not day.year:
        raise _wrong("year", "is not known")
    _checked(day.calendar, day.month, day.day, day.year, day.leap, "date")
    if day.calendar == GREGORIAN:
        return date(day.year, day.month, day.day)
    return date.fromordinal(_named()[day.year, day.month, day.leap].first + day.day - 1)


def new_years_eve(lunar_year: int) -> date:
    """The last day of a lunar year, 29 or 30 of its twelfth month: the day before the next year's first.

    Raises Invalid for a year beyond the table.
    """
    _within(lunar_year, FIRST_LUNAR_YEAR)
    return date.fromordinal(_named()[lunar_year + 1, 1, False].first - 1)


def leap_month_of(lunar_year: int) -> int:
    """After which month a lunar year has a leap month, which bears the same number; 0 if it has none.

    Raises Invalid for a year beyond the table.
    """
    _within(lunar_year, FIRST_LUNAR_YEAR)
    return int(LCalendars.leap_month(lunar_year))


def today(now_ms: int, zone: str) -> date:
    """The day that it is in a time zone.  Raises Invalid naming `time_zone`."""
    return datetime.fromtimestamp(now_ms // 1000, clock(zone)).date()


def moment_ms(on: date, minute: int, zone: str) -> int:
    """When clocks in a time zone show `minute`, counted from 00:00, on that day; in epoch milliseconds.

    The first time where they show it twice, and as much later as the clocks jump where they never do.  Raises Invalid
    naming `time_zone`.
    """
    shown = datetime.combine(on, time(), clock(zone)) + timedelta(minutes=minute)
    return int(shown.timestamp()) * 1000


def _wrong(field: str, reason: str) -> Invalid:
    return Invalid(InvalidParam(field, reason))


def _within(year: int, first: int) -> None:
    if not first <= year <= LAST_YEAR:
        raise _wrong("year", f"{year} is beyond the table of the calendars, which is from {first} to {LAST_YEAR}")


def _checked(calendar: int, month: int, day: int, year: int | None, leap: bool, field: str) -> Day:
    """A date that exists, in its year if that is known or else in any."""
    first = FIRST_LUNAR_YEAR if calendar == CHINESE else _FIRST_SAID
    if year is not None and not first <= year <= LAST_YEAR:
        raise _wrong(field, f"has the year {year}, which is not {first} to {LAST_YEAR}")
    if not 1 <= month <= 12:
        raise _wrong(field, f"has the month {month}, which is not 1 to 12")
    if calendar == CHINESE:
        last = _longest(month, leap) if year is None else _days_in(year, month, leap)
        name = f"leap month {month}" if leap else f"month {month}"
    elif leap:
        raise _wrong(field, "has a leap month, and the Gregorian calendar has none")
    else:
        last = monthrange(year or 2000, month)[1]
        name = f"month {month}"
    if not last:
        raise _wrong(field, f"does not exist: there is no {name} in {year or f'{first} to {LAST_YEAR}'}")
    if not 1 <= day <= last:
        raise _wrong(field, f"does not exist: {name} has the days 1 to {last}, not {day}")
    return Day(calendar, month, day, year or 0, leap)


def _gregorian_bits(on: date, feb29: Feb29) -> int:
    bit = (on.month - 1) * 31 + on.day - 1
    bits = 1 << bit
    if not isleap(on.year) and (on.month, on.day) == ((2, 28) if feb29 == "before" else (3, 1)):
        bits |= 1 << 31 + 28
    return bits


def _chinese_bits(ordinal: int, leap_month: LeapMonth) -> int:
    month = _month_at(ordinal)
    day = ordinal - month.first + 1
    bit = ((month.month - 1) * 30 + day - 1) * 2
    bits = 1 << bit
    if day == month.days == 29:
        bits |= 1 << bit + 2
    if leap_month == "leap":
        if month.leap:
            return bits << 1
        if (month.year, month.month, True) in _named():
            return bits
    elif month.leap:
        return 0
    return bits | bits << 1


def _month_at(ordinal: int) -> _Month:
    firsts, months = _months()
    return months[bisect_right(firsts, ordinal) - 1]


@cache
def _months() -> tuple[list[int], list[_Month]]:
    """The ordinals of first days, and the months; a year more than is answered for, whose first day ends the last."""
    months: list[_Month] = []
    first = MIN_SOLAR_DATE.toordinal()
    for year in range(FIRST_LUNAR_YEAR, LAST_YEAR + 2):
        for month, days, leap in LCalendars.iter_year_month(year):
            months.append(_Month(first, days, year, month, bool(leap)))
            first += days
    return [month.first for month in months], months


@cache
def _named() -> dict[tuple[int, int, bool], _Month]:
    return {(month.year, month.month, month.leap): month for month in _months()[1]}


def _days_in(year: int, month: int, leap: bool) -> int:
    found = _named().get((year, month, leap))
    return found.days if found else 0


@cache
def _longest(month: int, leap: bool) -> int:
    """The most days that a month of this name has in any year; 0 if no year has it."""
    return max(_days_in(year, month, leap) for year in range(FIRST_LUNAR_YEAR, LAST_YEAR + 1))
