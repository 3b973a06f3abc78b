"""The check of the year can fail: one ledger for each rule that breaks it, and one beside it that does not."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.config import Limits
from tests.engine.traffic.test_year import PLACES
from tests.engine.traffic.year_rack import Given, read
from tests.engine.traffic.year_rules import most, over_quota, torn, two_at_once, unasked, woken

SIM = 262_010_000_000_001
BEGIN_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE_MS, HOUR_MS, DAY_MS, MONTH_MS = 60_000, 3_600_000, 86_400_000, 30 * 86_400_000

MARKETING = {"berlin": 4915190000001, "new york": 12129000001, "sydney": 61290000001, "chile": 56990000001}
SERVICE = {"berlin": 4915140000001, "india": 919840000001, "sydney": 61240000001, "chile": 56940000001}
ALWAYS = 4915120000001


def at(zone: str, *wall: int) -> int:
    moment = datetime(2026, *wall, tzinfo=ZoneInfo(zone))  # type: ignore[misc, arg-type]
    return int(moment.astimezone(UTC).timestamp() * 1000)


def given(number: int, *times_ms: int, sequence: int = 1) -> list[Given]:
    return [Given(at_ms, SIM, number, sequence) for at_ms in times_ms]


@pytest.mark.parametrize(
    ("name", "length_ms"),
    [("minute", MINUTE_MS), ("hour", HOUR_MS), ("day", DAY_MS), ("month", MONTH_MS)],
)
def test_one_part_too_many_is_found_to_the_millisecond(name: str, length_ms: int) -> None:
    limits = {SIM: Limits(**{name: 2})}
    assert list(over_quota(given(ALWAYS, 0, 1, length_ms + 1, length_ms + 2), limits)) == []
    assert len(list(over_quota(given(ALWAYS, 0, 1, length_ms), limits))) == 1
    assert list(over_quota(given(ALWAYS, 0, 1, length_ms), {SIM + 1: limits[SIM]})) == []


@pytest.mark.parametrize(("name", "length_ms"), [("day_recipients", DAY_MS), ("month_recipients", MONTH_MS)])
def test_one_recipient_too_many_is_found(name: str, length_ms: int) -> None:
    limits = {SIM: Limits(**{name: 2})}
    two = given(ALWAYS, 0, 5) + given(ALWAYS + 1, 1, 9)
    assert list(over_quota(two, limits)) == []
    assert list(over_quota(two + given(ALWAYS + 2, 6 + length_ms), limits)) == []
    assert len(list(over_quota(two + given(ALWAYS + 2, 5 + length_ms), limits))) == 1


def test_midnight_and_the_first_of_a_month_give_nothing_back() -> None:
    midnight_ms = at("Europe/Berlin", 3, 1)
    ledger = given(ALWAYS, midnight_ms - 10, midnight_ms + 10)
    assert len(list(over_quota(ledger, {SIM: Limits(day=1)}))) == 1
    assert len(list(over_quota(ledger, {SIM: Limits(month=1)}))) == 1


@pytest.mark.parametrize(
    ("number", "at_ms", "is_found"),
    [
        pytest.param(SERVICE["berlin"], at("Europe/Berlin", 1, 7, 8), False, id="in the first minute"),
        pytest.param(SERVICE["berlin"], at("Europe/Berlin", 1, 7, 8) - 1, True, id="just before the morning"),
        pytest.param(SERVICE["berlin"], at("Europe/Berlin", 1, 7, 21) - 1, False, id="in the last second"),
        pytest.param(SERVICE["berlin"], at("Europe/Berlin", 1, 7, 21), True, id="just in the evening"),
        pytest.param(SERVICE["berlin"], at("UTC", 7, 7, 6), False, id="at 8 in summer"),
        pytest.param(SERVICE["berlin"], at("UTC", 1, 7, 6), True, id="at 7 in winter"),
        pytest.param(SERVICE["sydney"], at("UTC", 1, 7, 21), False, id="at 8 in the summer of the south"),
        pytest.param(SERVICE["sydney"], at("UTC", 7, 7, 21), True, id="at 7 in the winter of the south"),
        pytest.param(MARKETING["new york"], at("UTC", 3, 6, 13, 30), True, id="before the change, an hour too soon"),
        pytest.param(MARKETING["new york"], at("UTC", 3, 9, 13, 30), False, id="behind the change"),
        pytest.param(SERVICE["india"], at("UTC", 7, 7, 2, 29), True, id="half an hour that other zones do not have"),
        pytest.param(SERVICE["india"], at("UTC", 7, 7, 2, 30), False, id="on the half hour"),
        pytest.param(MARKETING["berlin"], at("Europe/Berlin", 1, 4, 10), True, id="on a Sunday"),
        pytest.param(MARKETING["berlin"], at("Europe/Berlin", 1, 3, 10), False, id="on a Saturday morning"),
        pytest.param(MARKETING["berlin"], at("Europe/Berlin", 1, 3, 15), True, id="on a Saturday afternoon"),
        pytest.param(MARKETING["sydney"], at("UTC", 1, 4, 22, 30), False, id="a Monday there, a Sunday here"),
        pytest.param(MARKETING["berlin"], at("Europe/Berlin", 1, 7, 13), True, id="at noon"),
        pytest.param(SERVICE["chile"], at("America/Santiago", 7, 7, 8), False, id="both clocks of a country"),
        pytest.param(SERVICE["chile"], at("America/Santiago", 7, 7, 20), True, id="one clock of a country is late"),
        pytest.param(ALWAYS, at("Europe/Berlin", 1, 4, 3), False, id="what may go at night"),
    ],
)
def test_who_was_woken_is_found(number: int, at_ms: int, is_found: bool) -> None:
    assert (list(woken(given(number, at_ms), PLACES)) != []) is is_found


def test_a_second_part_may_follow_into_the_evening_but_not_into_the_night() -> None:
    closed_ms = at("Europe/Berlin", 1, 7, 21)
    assert list(woken(given(SERVICE["berlin"], closed_ms + 20_000, sequence=2), PLACES)) == []
    assert list(woken(given(SERVICE["berlin"], closed_ms + HOUR_MS, sequence=2), PLACES)) != []


def test_what_went_twice_is_found() -> None:
    assert list(unasked(given(ALWAYS, 0, 9), {ALWAYS: 2})) == []
    assert len(list(unasked(given(ALWAYS, 0, 9), {ALWAYS: 1}))) == 1
    assert len(list(unasked(given(ALWAYS, 0), {}))) == 1


def test_a_second_part_that_comes_late_is_found() -> None:
    first = given(ALWAYS, 0)
    assert list(torn(first + given(ALWAYS, 5_000, sequence=2), PLACES, 5_000)) == []
    assert list(torn(first + given(ALWAYS + 1, 9_000, sequence=2), PLACES, 5_000)) == []
    assert len(list(torn(first + given(ALWAYS, 5_001, sequence=2), PLACES, 5_000))) == 1


def test_a_second_part_may_wait_for_the_morning() -> None:
    evening_ms, morning_ms = at("Europe/Berlin", 1, 7, 20, 59), at("Europe/Berlin", 1, 8, 8)
    for number, is_found in ((SERVICE["berlin"], False), (ALWAYS, True)):
        late = given(number, evening_ms) + given(number, morning_ms, sequence=2)
        assert (list(torn(late, PLACES, HOUR_MS)) != []) is is_found


def test_a_ledger_that_a_sim_cannot_have_is_found() -> None:
    assert list(two_at_once(given(ALWAYS, 0, 5_000), 5_000)) == []
    assert len(list(two_at_once(given(ALWAYS, 0, 4_999), 5_000))) == 1


def test_what_is_read_from_a_part_is_what_the_specification_says() -> None:
    """3GPP TS 23.040 §9.2.2.2 and §9.2.3.24.1: one part for +4917012345678, and the second of two."""
    assert read(b"0001000D91947110325476F80000" + b"05C8329BFD06") == (4917012345678, 1)
    assert read(b"0051000D91947110325476F80000A7" + b"0C" + b"0500032A0202" + b"906536FB0D") == (4917012345678, 2)


@pytest.mark.parametrize(
    ("limits", "parts"),
    [
        pytest.param(Limits(minute=3), 30, id="parts"),
        pytest.param(Limits(day=7), 7, id="parts of a day"),
        pytest.param(Limits(day_recipients=4), 4, id="strangers"),
        pytest.param(Limits(), 120, id="nothing but the air"),
    ],
)
def test_the_most_is_what_the_limits_leave(limits: Limits, parts: int) -> None:
    supply = ((ALWAYS + place, 1) for place in range(1000))
    assert most(limits, supply, BEGIN_MS, BEGIN_MS + 10 * MINUTE_MS, 5_000) == parts


def test_the_most_finds_those_who_count_already() -> None:
    supply = ((ALWAYS + place % 5, 1) for place in range(1000))
    span_ms = int(timedelta(minutes=10).total_seconds() * 1000)
    assert most(Limits(day_recipients=1), supply, BEGIN_MS, BEGIN_MS + span_ms, 5_000) > 4
