"""engine/crm/marketing/festivals.py: when festivals come, and tables that users bring."""

import json
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.marketing import festivals
from engine.crm.marketing.festivals import TERMS, Chinese, Festival, Fixed, Listed, NthWeekday, SolarTerm, Spec
from engine.errors import Invalid, InvalidParam

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "dates.json").read_text("utf-8"))
SHIPPED = festivals.shipped()


def dates_of(spec: Spec, year: int) -> list[str]:
    return [str(on) for on in festivals.date_in(Festival("own", {"en": "Own"}, spec), year)]


def entry(**changes: Any) -> dict[str, Any]:
    row = {"id": "own_day", "name": {"en": "Own day"}, "kind": "fixed", "spec": {"month": 5, "day": 4}}
    return {key: value for key, value in {**row, **changes}.items() if value is not None}


def refusal(*rows: object) -> tuple[InvalidParam, ...]:
    with pytest.raises(Invalid) as refused:
        festivals.parse(json.dumps(rows).encode())
    return refused.value.params


# The table that is shipped.


@pytest.mark.parametrize("row", VECTORS["festivals"], ids=lambda row: f"{row['festival']} {row['lunar_year']}")
def test_a_lunar_festival_falls_where_it_is_known_to(row: dict[str, Any]) -> None:
    on = date.fromisoformat(row["date"])
    assert festivals.date_in(SHIPPED[row["festival"]], on.year) == [on]


@pytest.mark.parametrize("row", VECTORS["new_years_eve"], ids=lambda row: str(row["year"]))
def test_new_years_eve_falls_on_the_day_before_the_spring_festival(row: dict[str, Any]) -> None:
    assert festivals.date_in(SHIPPED["new_years_eve"], row["year"]) == [date.fromisoformat(row["date"])]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("new_years_day", "2026-01-01"),
        ("laba", "2026-01-26"),
        ("lantern", "2026-03-03"),
        ("valentines_day", "2026-02-14"),
        ("womens_day", "2026-03-08"),
        ("qingming", "2026-04-05"),
        ("labour_day", "2026-05-01"),
        ("mothers_day", "2026-05-10"),
        ("fathers_day", "2026-06-21"),
        ("national_day", "2026-10-01"),
        ("thanksgiving", "2026-11-26"),
        ("black_friday", "2026-11-27"),
        ("winter_solstice", "2026-12-22"),
        ("christmas", "2026-12-25"),
    ],
)
def test_the_festivals_of_2026(name: str, expected: str) -> None:
    assert [str(on) for on in festivals.date_in(SHIPPED[name], 2026)] == [expected]


def test_every_festival_has_its_name_in_english_and_chinese_and_comes_in_2026() -> None:
    for festival in SHIPPED.values():
        assert {"en", "zh-Hans"} <= set(festival.name), festival.id
        assert len(festivals.date_in(festival, 2026)) == 1, festival.id


def test_a_festival_is_never_out_of_the_table_within_its_years() -> None:
    for festival in SHIPPED.values():
        for year in (1901, 1902, 2098, 2099):
            assert len(festivals.date_in(festival, year)) <= 2
    for year in range(1901, 2100):
        assert len(festivals.date_in(SHIPPED["new_years_eve"], year)) == 1


def test_the_table_is_not_changed_by_who_reads_it() -> None:
    with pytest.raises(TypeError):
        festivals.shipped()["own"] = SHIPPED["laba"]  # type: ignore[index]


# The kinds.


def test_a_festival_late_in_its_lunar_year_may_come_twice_in_a_year_or_not_at_all() -> None:
    laba = SHIPPED["laba"]
    counts = [len(festivals.date_in(laba, year)) for year in range(1901, 2100)]
    assert set(counts) == {0, 1, 2}
    assert sum(counts) == len(counts)
    assert [str(on) for on in festivals.date_in(laba, 2028)] == ["2028-01-04"]


def test_a_lunar_festival_keeps_to_the_ordinary_month() -> None:
    """Lunar 2025 has two sixth months: from 25 June and from 25 July."""
    assert dates_of(Chinese(6, 1), 2025) == ["2025-06-25"]


def test_the_thirtieth_of_a_short_month_is_its_last_day() -> None:
    assert dates_of(Chinese(8, 30), 2026) == ["2026-10-09"]
    assert dates_of(Chinese(8, 30), 2029) == ["2029-10-07"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(NthWeekday(5, "sunday", 2), ["2026-05-10"], id="the second Sunday"),
        pytest.param(NthWeekday(5, "friday", 1), ["2026-05-01"], id="the first, on the first"),
        pytest.param(NthWeekday(5, "sunday", 5), ["2026-05-31"], id="the fifth, on the last"),
        pytest.param(NthWeekday(6, "sunday", 5), [], id="no fifth"),
        pytest.param(NthWeekday(5, "monday", -1), ["2026-05-25"], id="the last"),
        pytest.param(NthWeekday(5, "sunday", -5), ["2026-05-03"], id="the fifth from the end"),
        pytest.param(NthWeekday(6, "sunday", -5), [], id="no fifth from the end"),
        pytest.param(NthWeekday(11, "thursday", 4, 1), ["2026-11-27"], id="the day after"),
    ],
)
def test_a_weekday_of_a_month(spec: NthWeekday, expected: list[str]) -> None:
    assert dates_of(spec, 2026) == expected


def test_29_february_comes_in_leap_years_alone() -> None:
    assert dates_of(Fixed(2, 29), 2027) == []
    assert dates_of(Fixed(2, 29), 2028) == ["2028-02-29"]


@pytest.mark.parametrize(
    ("spec", "year", "expected"),
    [
        pytest.param(Fixed(1, 1, -1), 2026, ["2026-12-31"], id="back into the year before"),
        pytest.param(Fixed(12, 31, 1), 2026, ["2026-01-01"], id="on into the next"),
        pytest.param(Fixed(1, 1, -1), 2099, ["2099-12-31"], id="at the end of the table"),
        pytest.param(Fixed(12, 31, 1), 1901, ["1901-01-01"], id="at its begin"),
        pytest.param(Fixed(3, 1, -1), 2028, ["2028-02-29"], id="the day before 1 March"),
        pytest.param(Listed((date(2027, 1, 1),), -1), 2026, ["2026-12-31"], id="listed for the next year"),
        pytest.param(SolarTerm("qingming", -1), 2026, ["2026-04-04"], id="the day before Qingming"),
    ],
)
def test_a_festival_may_be_counted_from_another_day(spec: Spec, year: int, expected: list[str]) -> None:
    assert dates_of(spec, year) == expected


def test_listed_days_come_in_order_and_once() -> None:
    listed = Listed((date(2026, 7, 3), date(2025, 7, 4), date(2026, 1, 9), date(2026, 7, 3)))
    assert dates_of(listed, 2026) == ["2026-01-09", "2026-07-03"]
    assert dates_of(listed, 2027) == []


def test_the_solar_terms_of_2026_follow_one_another_every_two_weeks() -> None:
    found = [festivals.date_in(Festival("own", {"en": "Own"}, SolarTerm(term)), 2026)[0] for term in TERMS]
    assert (str(found[0]), str(found[-1])) == ("2026-01-05", "2026-12-22")
    assert {(later - earlier).days for earlier, later in pairwise(found)} <= {14, 15, 16}


@pytest.mark.parametrize("year", [1900, 2100, 0, -1, 10_000])
def test_a_year_beyond_the_table_is_refused(year: int) -> None:
    with pytest.raises(Invalid) as refused:
        festivals.date_in(SHIPPED["christmas"], year)
    assert refused.value.params[0].name == "year"


offsets = st.integers(-30, 30)
months = st.integers(1, 12)
specs = st.one_of(
    st.builds(Fixed, months, st.integers(1, 28), offsets),
    st.builds(Chinese, months, st.integers(1, 30), offsets),
    st.builds(NthWeekday, months, st.sampled_from(festivals.WEEKDAYS), st.sampled_from([-5, -1, 1, 4, 5]), offsets),
    st.builds(SolarTerm, st.sampled_from(TERMS), offsets),
    st.builds(Listed, st.lists(st.dates(date(1901, 1, 1), date(2099, 12, 31)), min_size=1).map(tuple), offsets),
)


@given(specs, st.integers(1901, 2099))
def test_whatever_comes_in_a_year_lies_in_it(spec: Spec, year: int) -> None:
    found = festivals.date_in(Festival("own", {"en": "Own"}, spec), year)
    assert found == sorted(set(found))
    assert all(on.year == year for on in found)


@given(specs)
def test_a_festival_is_read_as_it_was_said(spec: Spec) -> None:
    festival = Festival("own", {"en": "Own", "zh-Hans": "自己"}, spec)
    octets = msgspec.json.encode([festivals.said(festival)])
    assert festivals.parse(octets) == {"own": festival}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(festival), type=Festival) == festival


# Tables that users bring.


def test_a_table_keeps_its_order() -> None:
    rows = [entry(id="b"), entry(id="a"), entry(id="c")]
    assert list(festivals.parse(json.dumps(rows).encode())) == ["b", "a", "c"]
    assert festivals.parse(b"[]") == {}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(entry(kind="moon"), "Invalid enum value 'moon' - at $.kind", id="no such kind"),
        pytest.param(entry(spec={"month": 2, "day": 30}), "month 2 has the days 1 to 29, not 30", id="no such day"),
        pytest.param(entry(spec={"month": 13, "day": 1}), "Expected int <= 12 - at spec.month", id="no such month"),
        pytest.param(entry(spec={"month": 5}), "Object missing required field day - at spec", id="no day"),
        pytest.param(
            entry(spec={"month": 5, "day": 4, "nth": 1}), "Object contains unknown field nth - at spec", id="too much"
        ),
        pytest.param(
            entry(spec={"month": 5, "day": 4, "offset_days": 31}), "Expected int <= 30 - at spec.offset_days", id="far"
        ),
        pytest.param(
            entry(kind="chinese", spec={"month": 5, "day": 31}), "Expected int <= 30 - at spec.day", id="lunar 31"
        ),
        pytest.param(
            entry(kind="nth_weekday", spec={"month": 5, "weekday": "sun", "nth": 2}),
            "Invalid enum value 'sun' - at spec.weekday",
            id="no such weekday",
        ),
        pytest.param(
            entry(kind="nth_weekday", spec={"month": 5, "weekday": "sunday", "nth": 0}),
            "Invalid enum value 0 - at spec.nth",
            id="a zeroth",
        ),
        pytest.param(
            entry(kind="listed", spec={"dates": []}), "Expected array of length >= 1 - at spec.dates", id="none listed"
        ),
        pytest.param(
            entry(kind="listed", spec={"dates": ["2100-01-01"]}), "2100-01-01 is not in 1901 to 2099", id="beyond"
        ),
        pytest.param(
            entry(kind="listed", spec={"dates": ["2026-02-30"]}), "Invalid RFC3339 encoded date", id="no such date"
        ),
        pytest.param(entry(name={}), "Expected object of length >= 1 - at $.name", id="no name"),
        pytest.param(entry(name={"en": ""}), "Expected str of length >= 1 - at $.name[...]", id="an empty name"),
        pytest.param(entry(name={"English!": "x"}), "Expected str matching regex", id="no such language"),
        pytest.param(entry(name=None), "Object missing required field name", id="nameless"),
        pytest.param(entry(colour="red"), "Object contains unknown field colour", id="a field too many"),
    ],
)
def test_a_wrong_entry_is_named_with_its_row_and_reason(row: dict[str, Any], reason: str) -> None:
    (param,) = refusal(entry(id="first"), row)
    assert (param.name, param.row) == ("own_day", 2)
    assert param.reason.startswith(f"is not a festival: {reason}")


def test_a_solar_term_that_there_is_not_is_answered_with_those_there_are() -> None:
    (param,) = refusal(entry(kind="solar_term", spec={"term": "summer"}))
    assert param.reason == f"is not a festival: term is none of {', '.join(TERMS)} - at spec"


def test_everything_wrong_is_told_at_once() -> None:
    params = refusal(entry(), 7, entry(id="Bad Id"), entry(), entry(id="x", kind="moon"))
    assert [(param.name, param.row) for param in params] == [
        ("festivals", 2),
        ("festivals", 3),
        ("own_day", 4),
        ("x", 5),
    ]
    assert params[2].reason == "is there twice"


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no list"),
        pytest.param(b"[", id="cut off"),
        pytest.param(b"[]]", id="too much"),
        pytest.param(b"[" * 100_000, id="very deep"),
        pytest.param(b"\xff\xfe[\0]\0", id="UTF-16"),
        pytest.param(b'["\xff"]', id="not UTF-8"),
        pytest.param(json.dumps([entry(id=f"x{number}") for number in range(501)]).encode(), id="too many"),
    ],
)
def test_what_is_no_table_is_refused(octets: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        festivals.parse(octets)
    assert refused.value.params[0].name == "festivals"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_rows_are_read_or_refused(rows: Any) -> None:
    try:
        festivals.parse(json.dumps(rows).encode())
    except Invalid as refused:
        assert refused.params  # noqa: PT017
