"""engine/crm/people/dates.py: dates as people say them, and when they come again."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from borax.calendars import LunarDate
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.people import dates
from engine.crm.people.dates import CHINESE, GREGORIAN, Day, Feb29, LeapMonth
from engine.errors import Invalid

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "dates.json").read_text("utf-8"))

FIRST = date(1901, 1, 1)
LAST = date(2099, 12, 31)


def chinese(month: int, day: int, *, leap: bool = False, year: int | None = None) -> dict[str, object]:
    return {"calendar": "chinese", "month": month, "day": day, "leap": leap, "year": year}


def refusal(said: Any, field: str = "birthday") -> str:
    with pytest.raises(Invalid) as refused:
        dates.parse(said, field)
    (param,) = refused.value.params
    assert param.name == field
    return param.reason


def instant_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


# What is known.


@pytest.mark.parametrize("row", VECTORS["festivals"], ids=lambda row: f"{row['festival']} {row['lunar_year']}")
def test_a_lunar_festival_falls_where_it_is_known_to(row: dict[str, Any]) -> None:
    day = Day(CHINESE, row["month"], row["day"])
    expected = date.fromisoformat(row["date"])
    assert dates.occurrence(day, row["lunar_year"]) == expected
    assert dates.next_occurrence(day, expected) == expected
    assert dates.solar_of(msgspec.structs.replace(day, year=row["lunar_year"])) == expected
    assert dates.lunar_of(expected) == msgspec.structs.replace(day, year=row["lunar_year"])


@pytest.mark.parametrize("row", VECTORS["new_years_eve"], ids=lambda row: str(row["year"]))
def test_new_years_eve_is_the_day_before_the_first_and_not_the_thirtieth(row: dict[str, Any]) -> None:
    lunar_year = row["year"] - 1
    eve = dates.new_years_eve(lunar_year)
    assert eve == date.fromisoformat(row["date"])
    assert dates.lunar_of(eve) == Day(CHINESE, 12, 30 if lunar_year == 2029 else 29, lunar_year)


@pytest.mark.parametrize(("year", "month"), VECTORS["leap_months"].items())
def test_a_year_has_its_leap_month(year: str, month: int) -> None:
    assert dates.leap_month_of(int(year)) == month


def test_most_years_have_no_leap_month() -> None:
    assert [year for year in range(2025, 2040) if dates.leap_month_of(year)] == sorted(map(int, VECTORS["leap_months"]))


@pytest.mark.parametrize("row", VECTORS["birthdays"], ids=str)
def test_a_lunar_birthday_comes_where_the_policy_says(row: dict[str, Any]) -> None:
    born = dates.parse({"calendar": "chinese", **row["born"]}, "birthday")
    expected = date.fromisoformat(row["date"])
    policy: LeapMonth = row["leap_policy"]
    assert dates.occurrence(born, row["year"], leap_month=policy) == expected
    assert dates.next_occurrence(born, date(row["year"], 3, 1), leap_month=policy) == expected
    assert dates.holds(dates.window(expected, 1, leap_month=policy), born)


@pytest.mark.parametrize("row", VECTORS["gregorian"], ids=str)
def test_a_birthday_on_29_february_comes_where_the_policy_says(row: dict[str, Any]) -> None:
    born = dates.parse(row["born"], "birthday")
    expected = date.fromisoformat(row["date"])
    policy: Feb29 = row["feb29"]
    assert dates.occurrence(born, row["year"], feb29=policy) == expected
    assert dates.next_occurrence(born, date(row["year"], 1, 1), feb29=policy) == expected
    assert dates.holds(dates.window(expected, 1, feb29=policy), born)


@pytest.mark.parametrize("row", VECTORS["local_midnight"], ids=lambda row: row["time_zone"])
def test_a_birthday_begins_at_the_midnight_of_its_holder(row: dict[str, Any]) -> None:
    on = dates.today(instant_ms(row["now"]), row["time_zone"])
    born = dates.parse(row["birthday"], "birthday")
    assert (dates.next_occurrence(born, on) == on) is row["is_birthday"]
    hour, minute = map(int, row["send_at_local"].split(":"))
    assert dates.moment_ms(on, hour * 60 + minute, row["time_zone"]) == instant_ms(row["send_at"])
    assert dates.today(instant_ms(row["now"]), "UTC") == on - timedelta(days=1)


def test_who_was_born_on_3_august_2025_was_born_in_a_leap_month() -> None:
    assert dates.lunar_of(date(2025, 8, 3)) == Day(CHINESE, 6, 10, 2025, leap=True)


def test_the_eighth_month_is_short_until_2028_and_long_in_2029() -> None:
    eighth = Day(CHINESE, 8, 30)
    lasts = [dates.lunar_of(dates.occurrence(eighth, year)).day for year in range(2025, 2030)]
    assert lasts == [29, 29, 29, 29, 30]


@pytest.mark.parametrize(
    ("policy", "month"),
    [pytest.param("first", date(2033, 12, 8), id="first"), pytest.param("leap", date(2034, 1, 7), id="leap")],
)
def test_the_leap_eleventh_month_of_2033_ends_in_the_next_year(policy: LeapMonth, month: date) -> None:
    born = Day(CHINESE, 11, 17, leap=True)
    assert dates.occurrence(born, 2033, leap_month=policy) == month
    assert dates.lunar_of(month) == Day(CHINESE, 11, 17, 2033, leap=policy == "leap")


def test_a_lunar_year_ends_in_the_next_gregorian_one() -> None:
    laba = Day(CHINESE, 12, 8)
    assert dates.occurrence(laba, 2025) == date(2026, 1, 26)
    assert dates.next_occurrence(laba, date(2026, 1, 1)) == date(2026, 1, 26)
    assert dates.next_occurrence(laba, date(2026, 1, 27)) == date(2027, 1, 15)


def test_the_day_itself_is_its_next_occurrence() -> None:
    born = Day(GREGORIAN, 9, 25)
    assert dates.next_occurrence(born, date(2026, 9, 25)) == date(2026, 9, 25)
    assert dates.next_occurrence(born, date(2026, 9, 26)) == date(2027, 9, 25)


# What is said.


@pytest.mark.parametrize(
    ("said", "day"),
    [
        pytest.param("1990-10-02", Day(GREGORIAN, 10, 2, 1990), id="with its year"),
        pytest.param("--09-25", Day(GREGORIAN, 9, 25), id="without its year"),
        pytest.param("--02-29", Day(GREGORIAN, 2, 29), id="29 February of a year not told"),
        pytest.param("2000-02-29", Day(GREGORIAN, 2, 29, 2000), id="29 February of a leap year"),
        pytest.param(chinese(8, 15), Day(CHINESE, 8, 15), id="lunar"),
        pytest.param(chinese(6, 10, leap=True), Day(CHINESE, 6, 10, leap=True), id="in a leap month"),
        pytest.param(chinese(6, 10, leap=True, year=2025), Day(CHINESE, 6, 10, 2025, leap=True), id="in its year"),
        pytest.param(chinese(1, 1, year=1900), Day(CHINESE, 1, 1, 1900), id="the first of the table"),
        pytest.param(chinese(12, 30, year=2099), Day(CHINESE, 12, 30, 2099), id="the last of the table"),
    ],
)
def test_what_is_said_is_kept_and_said_again(said: str | dict[str, object], day: Day) -> None:
    assert dates.parse(said, "birthday") == day
    assert dates.said(day) == said


@pytest.mark.parametrize(
    ("said", "day"),
    [
        pytest.param({"calendar": "chinese", "month": 8, "day": 15}, Day(CHINESE, 8, 15), id="only what is needed"),
        pytest.param({"calendar": "gregorian", "month": 2, "day": 29}, Day(GREGORIAN, 2, 29), id="Gregorian"),
        pytest.param(
            {"calendar": "gregorian", "month": 10, "day": 2, "leap": False, "year": 1990},
            Day(GREGORIAN, 10, 2, 1990),
            id="Gregorian, every key",
        ),
    ],
)
def test_a_date_can_be_said_in_other_ways(said: dict[str, object], day: Day) -> None:
    assert dates.parse(said, "birthday") == day


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(text, id=repr(text))
        for text in (
            *("", "1990", "1990-10", "1990-1-2", "90-10-02", "-09-25", "---09-25", "19901002", "1990/10/02"),
            *("1990-10-02 ", " 1990-10-02", "1990-10-02\n", "1990-10-02T00:00", "１９９０-10-02", "+1990-10-02"),
            *("--9-25", "tomorrow", "--09-25-1990"),
        )
    ],
)
def test_a_text_that_is_no_date_is_refused(said: str) -> None:
    assert refusal(said) == "is not a date as 1990-10-02, or --10-02 where the year is not known"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("2100-01-01", "has the year 2100, which is not 1583 to 2099"),
        ("0000-01-01", "has the year 0, which is not 1583 to 2099"),
        ("0190-01-01", "has the year 190, which is not 1583 to 2099"),
        ("--13-01", "has the month 13, which is not 1 to 12"),
        ("--00-01", "has the month 0, which is not 1 to 12"),
        ("--01-00", "does not exist: month 1 has the days 1 to 31, not 0"),
        ("--02-30", "does not exist: month 2 has the days 1 to 29, not 30"),
        ("2001-02-29", "does not exist: month 2 has the days 1 to 28, not 29"),
        ("2026-11-31", "does not exist: month 11 has the days 1 to 30, not 31"),
        (chinese(8, 31), "does not exist: month 8 has the days 1 to 30, not 31"),
        (chinese(8, 0), "does not exist: month 8 has the days 1 to 30, not 0"),
        (chinese(0, 1), "has the month 0, which is not 1 to 12"),
        (chinese(13, 1), "has the month 13, which is not 1 to 12"),
        (chinese(8, 30, year=2026), "does not exist: month 8 has the days 1 to 29, not 30"),
        (chinese(6, 1, leap=True, year=2026), "does not exist: there is no leap month 6 in 2026"),
        (chinese(6, 30, leap=True, year=2025), "does not exist: leap month 6 has the days 1 to 29, not 30"),
        (chinese(12, 1, leap=True), "does not exist: there is no leap month 12 in 1900 to 2099"),
        (chinese(1, 1, year=2100), "has the year 2100, which is not 1900 to 2099"),
        (chinese(1, 1, year=1899), "has the year 1899, which is not 1900 to 2099"),
        (chinese(1, 1, year=0), "has the year 0, which is not 1900 to 2099"),
        (
            {"calendar": "gregorian", "month": 6, "day": 1, "leap": True},
            "has a leap month, and the Gregorian calendar has none",
        ),
        ({"month": 6, "day": 1}, "is not a date: Object missing required field calendar"),
        ({"calendar": "chinese", "month": 6}, "is not a date: Object missing required field day"),
        ({"calendar": "lunar", "month": 6, "day": 1}, "is not a date: Invalid enum value 'lunar' - at $.calendar"),
        ({**chinese(6, 1), "Year": 2025}, "is not a date: Object contains unknown field Year"),
        ({**chinese(6, 1), "month": True}, "is not a date: Expected int, got bool - at $.month"),
        ({**chinese(6, 1), "day": "1"}, "is not a date: Expected int, got str - at $.day"),
        ({**chinese(6, 1), "day": 1.5}, "is not a date: Expected int, got float - at $.day"),
        ({**chinese(6, 1), "leap": 1}, "is not a date: Expected bool, got int - at $.leap"),
        (19901002, "is not a date: Expected object, got int"),
        (None, "is not a date: Expected object, got null"),
        ([0, 10, 2], "is not a date: Expected object, got array"),
    ],
    ids=str,
)
def test_what_is_no_date_or_does_not_exist_is_refused_by_name(said: object, reason: str) -> None:
    assert refusal(said) == reason


def test_a_refusal_names_the_field_it_was_given() -> None:
    refusal("x", "special_days.wedding")


def test_native_code_finds_calendar_month_day_and_leap_by_their_places() -> None:
    packed = msgspec.msgpack.encode(Day(CHINESE, 6, 10, 2025, leap=True))
    assert msgspec.msgpack.decode(packed) == [1, 6, 10, 2025, True]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(Day(GREGORIAN, 10, 2))) == [0, 10, 2, 0, False]


days_of_the_table = st.dates(FIRST, LAST)


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Any date that can be said: of a day that was, its year perhaps left out."""
    on = draw(days_of_the_table)
    day = dates.lunar_of(on) if draw(st.booleans()) else Day(GREGORIAN, on.month, on.day, on.year)
    return day if draw(st.booleans()) else msgspec.structs.replace(day, year=0)


@given(days())
def test_every_date_is_read_as_it_was_said(day: Day) -> None:
    said = dates.said(day)
    assert dates.parse(said, "birthday") == day
    assert dates.parse(json.loads(json.dumps(said)), "birthday") == day


# The calendars.


@given(days_of_the_table)
def test_a_day_goes_to_the_chinese_calendar_and_back(on: date) -> None:
    assert dates.solar_of(dates.lunar_of(on)) == on


@given(days_of_the_table)
def test_a_chinese_date_is_as_the_library_says(on: date) -> None:
    theirs = LunarDate.from_solar(on)
    assert dates.lunar_of(on) == Day(CHINESE, theirs.month, theirs.day, theirs.year, bool(theirs.leap))


def test_every_day_of_the_table_follows_the_one_before() -> None:
    before = dates.lunar_of(FIRST)
    for ordinal in range(FIRST.toordinal() + 1, LAST.toordinal() + 1):
        day = dates.lunar_of(date.fromordinal(ordinal))
        assert day.day == 1 or day == msgspec.structs.replace(before, day=before.day + 1)
        if day.day == 1:
            assert before.day in {29, 30}
            assert (day.year, day.month) in {
                (before.year, before.month + (not day.leap)),
                (before.year + 1, before.month - 11),
            }
        before = day


@given(days(), days_of_the_table, st.sampled_from(["first", "leap"]), st.sampled_from(["before", "after"]))
def test_the_next_occurrence_is_within_a_year_and_a_leap_month(
    day: Day, on: date, leap_month: LeapMonth, feb29: Feb29
) -> None:
    try:
        found = dates.next_occurrence(day, on, leap_month=leap_month, feb29=feb29)
    except Invalid as refused:
        assert on.year >= 2098
        assert refused.params[0].name == "year"  # noqa: PT017
        return
    assert on <= found <= on + timedelta(days=415)
    year = dates.lunar_of(found).year if day.calendar == CHINESE and found <= LAST else found.year
    if found <= LAST:
        assert dates.occurrence(day, year, leap_month=leap_month, feb29=feb29) == found


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(lambda: dates.occurrence(Day(GREGORIAN, 10, 2), 2100), id="an anniversary in 2100"),
        pytest.param(lambda: dates.occurrence(Day(GREGORIAN, 10, 2), 1900), id="an anniversary in 1900"),
        pytest.param(lambda: dates.occurrence(Day(CHINESE, 8, 15), 2100), id="a lunar one in 2100"),
        pytest.param(lambda: dates.occurrence(Day(CHINESE, 8, 15), 1899), id="a lunar one in 1899"),
        pytest.param(lambda: dates.next_occurrence(Day(GREGORIAN, 1, 1), date(2099, 1, 2)), id="the next is in 2100"),
        pytest.param(lambda: dates.next_occurrence(Day(CHINESE, 1, 1), date(2099, 1, 22)), id="the next lunar is"),
        pytest.param(lambda: dates.next_occurrence(Day(GREGORIAN, 1, 2), date(2100, 1, 1)), id="from 2100 on"),
        pytest.param(lambda: dates.next_occurrence(Day(CHINESE, 1, 2), date(1900, 12, 31)), id="from 1900 on"),
        pytest.param(lambda: dates.lunar_of(date(2100, 1, 1)), id="a day of 2100"),
        pytest.param(lambda: dates.lunar_of(date(1900, 12, 31)), id="a day of 1900"),
        pytest.param(lambda: dates.solar_of(Day(CHINESE, 1, 1)), id="a year that was not said"),
        pytest.param(lambda: dates.new_years_eve(2100), id="an eve in 2101"),
        pytest.param(lambda: dates.leap_month_of(2100), id="the leap month of 2100"),
        pytest.param(lambda: dates.window(date(2100, 1, 1), 1), id="a window in 2100"),
        pytest.param(lambda: dates.window(date(1900, 1, 1), 1), id="a window in 1900"),
    ],
)
def test_a_year_beyond_the_table_is_refused_by_name(asked: Any) -> None:
    with pytest.raises(Invalid) as refused:
        asked()
    assert [param.name for param in refused.value.params] == ["year"]


@pytest.mark.parametrize(
    "day",
    [
        pytest.param(Day(CHINESE, 1, 1, 2100), id="beyond the table"),
        pytest.param(Day(CHINESE, 6, 1, 2026, leap=True), id="no such leap month"),
        pytest.param(Day(CHINESE, 8, 30, 2026), id="no such day"),
        pytest.param(Day(GREGORIAN, 2, 29, 2026), id="no 29 February"),
    ],
)
def test_a_date_that_never_was_has_no_day(day: Day) -> None:
    with pytest.raises(Invalid) as refused:
        dates.solar_of(day)
    assert refused.value.params[0].name == "date"


def test_the_table_reaches_to_its_last_day() -> None:
    assert dates.next_occurrence(Day(CHINESE, 11, 20), date(2099, 12, 31)) == date(2099, 12, 31)
    assert dates.next_occurrence(Day(CHINESE, 12, 8), date(2099, 12, 31)) == date(2100, 1, 17)
    assert dates.new_years_eve(2099) == date(2100, 2, 8)
    assert dates.lunar_of(FIRST) == Day(CHINESE, 11, 11, 1900)


# Clocks.


@pytest.mark.parametrize(
    ("zone", "on", "minute", "expected"),
    [
        pytest.param("Asia/Shanghai", "2026-09-25", 540, "2026-09-25T01:00:00Z", id="nine in Shanghai"),
        pytest.param("Europe/Berlin", "2026-03-29", 150, "2026-03-29T01:30:00Z", id="a time that clocks jump over"),
        pytest.param("Europe/Berlin", "2026-10-25", 150, "2026-10-25T00:30:00Z", id="a time that clocks show twice"),
        pytest.param("America/New_York", "2026-09-25", 0, "2026-09-25T04:00:00Z", id="midnight in New York"),
        pytest.param("UTC", "2026-09-25", 1439, "2026-09-25T23:59:00Z", id="the last minute"),
    ],
)
def test_a_time_of_day_is_shown_by_the_clocks_of_the_zone(zone: str, on: str, minute: int, expected: str) -> None:
    assert dates.moment_ms(date.fromisoformat(on), minute, zone) == instant_ms(expected)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Pacific/Kiritimati", date(2026, 9, 26)), ("UTC", date(2026, 9, 25)), ("Pacific/Pago_Pago", date(2026, 9, 25))],
)
def test_today_depends_on_where(zone: str, expected: date) -> None:
    noon_ms = int(datetime(2026, 9, 25, 12, tzinfo=UTC).timestamp()) * 1000
    assert dates.today(noon_ms, zone) == expected


def test_a_zone_that_there_is_not_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        dates.today(0, "Europe/Nowhere")
    assert refused.value.params[0].name == "time_zone"
