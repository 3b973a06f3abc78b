"""Occasions: an index of people by day, and the rules of the calendars, say the same of every day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.marketing import festivals, house_days
from engine.crm.marketing.festivals import Festival, Listed
from engine.crm.marketing.occasions import Kept, Occasion
from engine.crm.people import dates
from engine.crm.people.dates import CHINESE, GREGORIAN, Day, Feb29, LeapMonth

DAY = timedelta(days=1)
gregorian = st.dates(date(2000, 1, 1), date(2000, 12, 31)).map(lambda on: Day(GREGORIAN, on.month, on.day))
chinese = st.builds(Day, st.just(CHINESE), st.integers(1, 12), st.integers(1, 29), st.just(0), st.booleans())


@given(
    gregorian | chinese,
    st.integers(1950, 2090),
    st.sampled_from(["first", "leap"]),
    st.sampled_from(["before", "after"]),
)
def test_somebody_stands_under_the_day_on_which_his_comes_and_under_no_other(
    day: Day, year: int, leap_month: LeapMonth, feb29: Feb29
) -> None:
    occasion = Occasion("birthday", "", leap_month, feb29)
    key = (day.calendar, day.month, day.day, int(day.leap))
    on = dates.occurrence(day, year, leap_month=leap_month, feb29=feb29)
    assert key in occasion.keys_on(on)
    assert key not in occasion.keys_on(on - DAY)
    assert key not in occasion.keys_on(on + DAY)


@pytest.mark.parametrize("festival", festivals.shipped().values(), ids=lambda festival: festival.id)
def test_a_festival_comes_on_its_dates_and_once_in_each_of_its_years(festival: Festival) -> None:
    wanted = [on for year in range(2024, 2036) for on in festivals.date_in(festival, year)]
    on, found = date(2024, 1, 1), dict[date, int]()
    while on.year < 2036:
        if (year := house_days.year_on(festival, on)) is not None:
            found[on] = year
        on += DAY
    assert list(found) == wanted
    assert len(set(found.values())) == len(found)
    for on in wanted:
        assert house_days.next_on(festival, on) == on
        assert house_days.next_on(festival, on - DAY) == on


def test_a_festival_whose_last_date_went_by_never_comes_again() -> None:
    past = Festival("past", {"en": "x"}, Listed((date(2020, 1, 1), date(2021, 1, 1))))
    assert house_days.next_on(past, date(2020, 1, 2)) == date(2021, 1, 1)
    assert house_days.next_on(past, date(2021, 1, 2)) is None


@pytest.mark.parametrize(
    ("kept", "after", "found"),
    [
        (Kept(Day(GREGORIAN, 5, 20, 2030), 2030), date(2026, 1, 1), date(2030, 5, 20)),
        (Kept(Day(GREGORIAN, 5, 20), 0), date(2026, 5, 21), date(2027, 5, 20)),
        (Kept(Day(GREGORIAN, 5, 20, 2026), 2026, is_once=True), date(2026, 1, 1), date(2026, 5, 20)),
        (Kept(Day(GREGORIAN, 5, 20, 2026), 2026, is_once=True), date(2026, 5, 21), None),
        (Kept(Day(CHINESE, 12, 23, 2027), 2027), date(2026, 1, 1), date(2028, 1, 19)),
    ],
)
def test_a_day_with_a_year_comes_from_that_year_on(kept: Kept, after: date, found: date | None) -> None:
    assert Occasion("birthday", "", "first", "before")._next(kept, after) == found
