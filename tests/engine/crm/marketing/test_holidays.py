"""engine/crm/marketing/holidays.py: days off, and the days that make up for them."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.crm.marketing import holidays
from engine.crm.marketing.holidays import Holidays
from engine.errors import Invalid, InvalidParam

MAKE_UP_2026 = ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]


@pytest.fixture(scope="module")
def china() -> Holidays:
    table = holidays.find("CN", 2026)
    assert table is not None
    return table


def year(*told: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"country": "CN", "year": 2026, "holidays": told, **changes}).encode()


def holiday(first: str, last: str, *moved: tuple[str, str]) -> dict[str, Any]:
    pairs = [{"day_off": day_off, "workday": workday} for day_off, workday in moved]
    return {"name": {"en": "Spring"}, "from": first, "to": last, "moved": pairs}


def refusal(octets: bytes) -> tuple[InvalidParam, ...]:
    with pytest.raises(Invalid) as refused:
        holidays.parse(octets)
    return refused.value.params


def test_14_february_2026_is_a_saturday_that_is_worked(china: Holidays) -> None:
    saturday = date(2026, 2, 14)
    assert saturday.weekday() == 5
    assert holidays.is_make_up_workday(china, saturday)
    assert holidays.is_working_day(china, saturday)
    assert not holidays.is_day_off(china, saturday)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param("2026-01-01", "2026-01-03", id="New Year"),
        pytest.param("2026-02-15", "2026-02-23", id="Spring Festival"),
        pytest.param("2026-04-04", "2026-04-06", id="Qingming"),
        pytest.param("2026-05-01", "2026-05-05", id="Labour Day"),
        pytest.param("2026-06-19", "2026-06-21", id="Dragon Boat"),
        pytest.param("2026-09-25", "2026-09-27", id="Mid-Autumn"),
        pytest.param("2026-10-01", "2026-10-07", id="National Day"),
    ],
)
def test_a_holiday_of_2026_is_off_from_its_first_day_to_its_last(china: Holidays, first: str, last: str) -> None:
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    for ordinal in range(begin.toordinal(), end.toordinal() + 1):
        assert holidays.is_day_off(china, date.fromordinal(ordinal))
        assert not holidays.is_working_day(china, date.fromordinal(ordinal))
    assert not holidays.is_day_off(china, end + timedelta(days=1))
    if begin > date(2026, 1, 1):
        assert not holidays.is_day_off(china, begin - timedelta(days=1))


def test_33_days_are_off_and_6_made_up_for(china: Holidays) -> None:
    assert len(china.days_off) == 33
    assert sorted(map(str, china.make_up_workdays)) == MAKE_UP_2026


def test_every_day_of_2026_is_worked_or_not(china: Holidays) -> None:
    """As many are worked as without holidays, but for the 13 that the law gives."""
    every = [date(2026, 1, 1) + timedelta(days=day) for day in range(365)]
    worked = sum(holidays.is_working_day(china, on) for on in every)
    by_weekday = sum(on.weekday() < 5 for on in every)
    off_on_weekdays = sum(on.weekday() < 5 for on in china.days_off)
    assert worked == by_weekday - off_on_weekdays + len(MAKE_UP_2026)
    assert worked == 248


def test_a_mere_sunday_is_not_worked_and_no_day_off(china: Holidays) -> None:
    sunday = date(2026, 3, 1)
    assert not holidays.is_day_off(china, sunday)
    assert not holidays.is_make_up_workday(china, sunday)
    assert not holidays.is_working_day(china, sunday)
    assert holidays.is_working_day(china, sunday + timedelta(days=1))


def test_a_day_off_tells_its_name(china: Holidays) -> None:
    assert china.days_off[date(2026, 2, 17)] == {"en": "Spring Festival", "zh-Hans": "春节"}


@pytest.mark.parametrize("ask", [holidays.is_day_off, holidays.is_make_up_workday, holidays.is_working_day])
def test_a_year_that_is_not_known_is_refused_and_not_guessed(china: Holidays, ask: Any) -> None:
    with pytest.raises(Invalid) as refused:
        ask(china, date(2027, 1, 1))
    assert refused.value.params == (InvalidParam("date", "is in 2027: of CN that year's holidays are not known"),)


def test_a_year_that_nobody_has_decided_is_not_found(tmp_path: Path) -> None:
    assert holidays.find("CN", 2098) is None
    assert holidays.find("CN", 2098, tmp_path) is None
    assert holidays.find("ZZ", 2026) is None


@pytest.mark.parametrize("country", ["", "cn", "CHN", "C", "..", "C/", "１２", "ÄÖ"])
def test_what_is_no_country_opens_no_file(country: str) -> None:
    with pytest.raises(Invalid) as refused:
        holidays.find(country, 2026)
    assert refused.value.params[0].name == "country"


def test_the_houses_own_file_goes_before_ours(tmp_path: Path, china: Holidays) -> None:
    (tmp_path / "CN-2026.json").write_bytes(year(holiday("2026-03-01", "2026-03-02")))
    own = holidays.find("CN", 2026, tmp_path)
    assert own is not None
    assert set(own.days_off) == {date(2026, 3, 1), date(2026, 3, 2)}
    assert holidays.find("CN", 2026) == china
    (tmp_path / "CN-2026.json").unlink()
    assert holidays.find("CN", 2026, tmp_path) == china


def test_a_file_under_the_name_of_another_year_is_refused(tmp_path: Path) -> None:
    (tmp_path / "CN-2027.json").write_bytes(year())
    with pytest.raises(Invalid, match=r"the file CN-2027\.json is what CN-2026\.json should be"):
        holidays.find("CN", 2027, tmp_path)


def test_years_are_put_together(china: Holidays) -> None:
    """What the next year moves into this one's December counts, once that year is known."""
    told = holiday("2027-01-01", "2027-01-04", ("2027-01-04", "2026-12-26"))
    both = holidays.together(china, holidays.parse(year(told, year=2027)))
    assert both.years == {2026, 2027}
    assert holidays.is_make_up_workday(both, date(2026, 12, 26))
    assert holidays.is_make_up_workday(both, date(2026, 2, 14))
    assert holidays.is_day_off(both, date(2027, 1, 4))
    assert holidays.is_day_off(both, date(2026, 10, 1))


def test_only_years_of_one_country_are_put_together(china: Holidays) -> None:
    for tables in ((china, holidays.parse(year(country="SG"))), ()):
        with pytest.raises(Invalid):
            holidays.together(*tables)


def test_a_weekend_may_be_friday_and_saturday() -> None:
    table = holidays.parse(year(country="KW", weekend=["friday", "saturday"]))
    working = [holidays.is_working_day(table, date(2026, 3, day)) for day in range(1, 8)]
    assert working == [True, True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param(holiday("2026-03-05", "2026-03-04"), "is not 1 to 31 days", id="it ends before it begins"),
        pytest.param(holiday("2026-03-01", "2026-04-30"), "is not 1 to 31 days", id="it is too long"),
        pytest.param(holiday("2025-12-31", "2026-01-02"), "is not within 2026", id="it begins in another year"),
        pytest.param(holiday("2026-12-31", "2027-01-02"), "is not within 2026", id="it ends in another year"),
        pytest.param(
            holiday("2026-03-05", "2026-03-06", ("2026-03-09", "2026-03-07")),
            "the day off 2026-03-09 is not of this holiday",
            id="it moves what is not its own",
        ),
        pytest.param(
            holiday("2026-03-05", "2026-03-08", ("2026-03-07", "2026-03-14")),
            "the day off 2026-03-07 is of the weekend: nothing makes up for it",
            id="it moves a Saturday",
        ),
        pytest.param(
            holiday("2026-03-05", "2026-03-06", ("2026-03-06", "2026-03-09")),
            "the workday 2026-03-09 is not of the weekend",
            id="a Monday is worked anyway",
        ),
        pytest.param(
            holiday("2026-03-05", "2026-03-08", ("2026-03-06", "2026-03-07")),
            "the workday 2026-03-07 is a day off",
            id="a day both off and worked",
        ),
        pytest.param(
            holiday("2026-03-05", "2026-03-08", ("2026-03-06", "2026-05-09")),
            "the workday 2026-05-09 is more than 31 days from 2026-03-06",
            id="a workday far away",
        ),
    ],
)
def test_a_wrong_holiday_is_named_by_its_row_and_reason(told: dict[str, Any], reason: str) -> None:
    (param,) = refusal(year(holiday("2026-01-01", "2026-01-01"), told))
    assert (param.name, param.row) == ("holidays", 2)
    assert param.reason.endswith(reason)


def test_a_day_is_off_once_and_moved_once() -> None:
    params = refusal(
        year(
            holiday("2026-03-05", "2026-03-06", ("2026-03-06", "2026-03-14")),
            holiday("2026-03-06", "2026-03-09", ("2026-03-06", "2026-03-14")),
        )
    )
    assert [(param.reason, param.row) for param in params] == [
        ("2026-03-06 is there twice", 2),
        ("2026-03-06 is moved twice", 2),
        ("2026-03-14 is moved twice", 2),
    ]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected object, got array"),
        (b"[" * 100_000, "Expected object, got array"),
        (b'{"country": "\xff"}', "'utf-8' codec can't decode"),
        (year(country="China"), "Expected str matching regex"),
        (year(country="CN\n"), "Expected str matching regex"),
        (year(year=2100), "Expected int <= 2099 - at $.year"),
        (year(colour="red"), "Object contains unknown field colour"),
        (year(weekend=["sun"]), "Invalid enum value 'sun' - at $.weekend[0]"),
        (year({"name": {"en": "x"}, "from": "2026-02-30", "to": "2026-03-01"}), "Invalid RFC3339 encoded date"),
        (year({"name": {}, "from": "2026-02-03", "to": "2026-03-01"}), "Expected object of length >= 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_year_of_holidays_is_refused(octets: bytes, reason: str) -> None:
    (param,) = refusal(octets)
    assert param.name == "holidays"
    assert param.reason.startswith(f"is not a year of holidays: {reason}")
