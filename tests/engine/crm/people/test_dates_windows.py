"""engine/crm/people/dates.py: which days of the year occur in a span of dates."""

from collections.abc import Iterator
from datetime import date, timedelta
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.people import dates
from engine.crm.people.dates import CHINESE, GREGORIAN, Day, Feb29, LeapMonth, Window
from engine.errors import Invalid

# Leap months 6, 5, 3, 11 and 6 again, and three Gregorian leap years.
SPAN = (date(2025, 1, 1), date(2037, 12, 31))

EVERY_GREGORIAN = [
    Day(GREGORIAN, month, day)
    for month in range(1, 13)
    for day in range(1, 32)
    if day <= (29 if month == 2 else 30 if month in {4, 6, 9, 11} else 31)
]
EVERY_CHINESE = [
    Day(CHINESE, month, day, leap=leap) for month in range(1, 13) for day in range(1, 31) for leap in (False, True)
]


def bit_of(day: Day) -> int:
    if day.calendar == GREGORIAN:
        return (day.month - 1) * 31 + day.day - 1
    return ((day.month - 1) * 30 + day.day - 1) * 2 + day.leap


def bits_of(window: Window) -> tuple[int, int]:
    assert (len(window.gregorian), len(window.chinese)) == (47, 90)
    return int.from_bytes(window.gregorian, "little"), int.from_bytes(window.chinese, "little")


def walk(every: list[Day], **policies: Any) -> dict[date, int]:
    """For each date of SPAN the bits of the days that have an occurrence there, asked of `next_occurrence`."""
    found = dict.fromkeys(span(*SPAN), 0)
    for day in every:
        on = dates.next_occurrence(day, SPAN[0], **policies)
        while on <= SPAN[1]:
            found[on] |= 1 << bit_of(day)
            on = dates.next_occurrence(day, on + timedelta(days=1), **policies)
    return found


def span(first: date, last: date) -> Iterator[date]:
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(ordinal)


@pytest.mark.parametrize("feb29", ["before", "after"])
@pytest.mark.parametrize("leap_month", ["first", "leap"])
def test_a_window_has_just_the_days_whose_next_occurrence_is_in_it(leap_month: LeapMonth, feb29: Feb29) -> None:
    """Every day of the year, from every date of 13 years; then longer windows are made of those of a day."""
    gregorian = walk(EVERY_GREGORIAN, feb29=feb29)
    lunar = walk(EVERY_CHINESE, leap_month=leap_month)
    ask = dates.window.__wrapped__
    for on in span(*SPAN):
        assert bits_of(ask(on, 1, leap_month=leap_month, feb29=feb29)) == (gregorian[on], lunar[on])
    for length in (2, 7, 14, 60, 366):
        for first in list(span(SPAN[0], SPAN[1] - timedelta(days=length)))[::37]:
            expected = [0, 0]
            for on in span(first, first + timedelta(days=length - 1)):
                expected[0] |= gregorian[on]
                expected[1] |= lunar[on]
            assert bits_of(ask(first, length, leap_month=leap_month, feb29=feb29)) == tuple(expected)


@given(
    st.sampled_from(EVERY_GREGORIAN + EVERY_CHINESE),
    st.dates(date(1901, 1, 1), date(2096, 1, 1)),
    st.integers(1, 700),
    st.sampled_from(["first", "leap"]),
)
def test_a_day_is_in_the_window_if_it_comes_before_its_end(day: Day, first: date, length: int, policy: Any) -> None:
    comes = dates.next_occurrence(day, first, leap_month=policy) < first + timedelta(days=length)
    assert dates.holds(dates.window(first, length, leap_month=policy), day) is comes


def test_a_window_of_one_calendar_leaves_out_the_other() -> None:
    both = dates.window(date(2026, 9, 25), 7)
    assert dates.window(date(2026, 9, 25), 7, CHINESE) == Window(bytes(47), both.chinese)
    assert dates.window(date(2026, 9, 25), 7, GREGORIAN) == Window(both.gregorian, bytes(90))


def test_mid_autumn_week_has_who_was_born_then_by_either_calendar() -> None:
    week = dates.window(date(2026, 9, 25), 7)
    among = [
        Day(CHINESE, 8, 15),
        dates.parse("--09-25", "birthday"),
        dates.parse("1990-10-01", "birthday"),
        Day(CHINESE, 8, 21),
    ]
    beside = [
        dates.parse("1990-10-02", "birthday"),
        dates.parse("--09-24", "birthday"),
        dates.parse("2000-02-29", "birthday"),
        Day(CHINESE, 8, 22),
        Day(CHINESE, 8, 14),
    ]
    assert [dates.holds(week, day) for day in among + beside] == [True] * 4 + [False] * 5
    assert dates.holds(dates.window(date(2026, 9, 25), 14), beside[0])


def test_a_window_may_be_longer_than_any_year() -> None:
    everything = dates.window(date(2026, 9, 25), 20_000, leap_month="leap")
    assert all(dates.holds(everything, day) for day in EVERY_GREGORIAN + EVERY_CHINESE)


@pytest.mark.parametrize("length", [0, -1, 26_762, 10**12])
def test_a_window_of_no_days_or_beyond_the_table_is_refused(length: int) -> None:
    with pytest.raises(Invalid) as refused:
        dates.window(date(2026, 9, 25), length)
    assert refused.value.params[0].name == "days"


def test_a_window_may_end_with_the_table() -> None:
    assert dates.holds(dates.window(date(2026, 9, 25), 26_761), Day(GREGORIAN, 12, 31))
    assert dates.holds(dates.window(date(2099, 12, 31), 1), Day(CHINESE, 11, 20))


@pytest.mark.parametrize(("length", "most_ms"), [(7, 2), (366, 30)])
def test_a_window_is_quick(length: int, most_ms: float) -> None:
    dates.window(date(2026, 1, 1), 1)
    taken = []
    for day in range(1, 8):
        begun = perf_counter()
        dates.window(date(2026, 5, day), length)
        taken.append(perf_counter() - begun)
    assert min(taken) * 1000 < most_ms
