"""The plain evaluator: the vectors, and every rule where it turns."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given

from bench.baseline.conditions import World, matches
from engine.crm.people.condition_json import from_json
from engine.crm.people.condition_text import parse
from engine.crm.people.conditions import Condition, Field, Op
from tests.engine.condition_strategies import TRIPLES, Person, Triple, triple, world

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "segments.json").read_text(encoding="utf-8"))
REGIONS = {"JS": "CN", "NJ": "JS", "SZ": "JS", "A": "B", "B": "A"}


def ms_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


NOW = "2026-09-25T12:00:00.000+08:00"


def holds(text: str | Condition, person: Person, now: str = NOW, zone: str = "Asia/Shanghai") -> bool:
    condition = parse(text) if isinstance(text, str) else text
    return matches(condition, person, World(ms_of(now), zone, REGIONS, {"golden": parse("tier = gold")}))


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("vector", VECTORS["conditions"], ids=lambda vector: vector["text"])
def test_takes_whom_the_vector_names(vector: dict[str, Any], form: str) -> None:
    condition = parse(vector["text"]) if form == "text" else from_json(vector["json"])
    now = f"{VECTORS['today']}T12:00:00+08:00"
    taken = [name for name, person in VECTORS["people"].items() if holds(condition, person, now, VECTORS["time_zone"])]
    assert taken == vector["match"]


# Missing values


@pytest.mark.parametrize("person", [{}, {"x": None}, {"x": ""}, {"x": []}], ids=str)
@pytest.mark.parametrize(
    "text",
    ["x = a", "x != a", "x ~ a", 'x ^= ""', "x in (a, b)", "x < 1", "x is set", "x in last 7d", "x in next 7d",
     "x older than 7d", "x anniversary", "x in last 7h", "x.y = 1"],
)  # fmt: skip
def test_of_a_missing_value_only_its_being_missing_holds(text: str, person: Person) -> None:
    assert not holds(text, person)
    assert holds(f"not {text}", person)
    assert holds("x is missing", person)


@pytest.mark.parametrize("value", [0, False, " ", ["a"], "--01-01"])
def test_what_is_nought_or_false_is_there(value: object) -> None:
    assert holds("x is set", {"x": value})
    assert not holds("x is missing", {"x": value})


# Values of their types


@pytest.mark.parametrize(
    ("text", "value", "is_so"),
    [
        ("x = nanjing", "ＮＡＮＪＩＮＧ", True),
        ("x = STRASSE", "Straße", True),
        ("x ~ ß", "Strasse", True),
        ("x ^= fi", "ﬁsh", True),
        ("x ^= is", "fish", False),
        ('x ~ ""', "a", True),
        ("x = a", ["b", "A"], True),
        ("x != a", ["b", "A"], False),
        ("x != a", ["b"], True),
        ("x in (c, a)", ["b", "A"], True),
        ("x ~ ot", ["one", "other"], True),
        ("x = 7", "7", False),
        ('x = "7"', 7, False),
        ("x != 7", "7", True),
        ("x = 1", True, False),
        ("x = true", True, True),
        ("x = true", 1, False),
        ("x < 2", True, False),
        ("x in (1, 2)", 2, True),
        ("x < 7", 6, True),
        ("x < 7", 7, False),
        ("x <= 7", 7, True),
        ("x > 7", 7, False),
        ("x >= 7", 7, True),
        ("x > a", "b", False),  # texts have no order
        ("x = 2026-09-25", "2026-09-25", True),
        ("x = 2026-09-25", "2026-09-24T16:00:00.000Z", True),  # that day began in Shanghai
        ("x = 2026-09-25", "2026-09-25T16:00:00.000Z", False),
        ("x < 2026-09-25", "2026-09-24T15:59:59.999Z", True),
        ("x > 2026-09-25", "soon", False),
        ("x != 2026-09-25", "soon", True),
    ],
)  # fmt: skip
def test_compares_values_of_one_type(text: str, value: object, is_so: bool) -> None:
    assert holds(text, {"x": value}) is is_so


@pytest.mark.parametrize(
    ("text", "region", "is_so"),
    [
        ("region = JS", "JS", True),
        ("region = CN", "NJ", True),
        ("region = NJ", "JS", False),
        ("region != CN", "NJ", False),
        ("region != CN", "DE", True),
        ("region in (DE, cn)", "NJ", True),
        ("region = C", "A", False),
        ("city = CN", "NJ", False),
    ],
)
def test_a_region_is_in_those_it_lies_in(text: str, region: str, is_so: bool) -> None:
    assert holds(text, {"region": region, "city": region}) is is_so


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("tag:VIP", True),
        ("tag:spa", False),
        ("consent:marketing", True),
        ("consent:survey", False),
        ("consent:research", False),
        ("segment:golden", True),
        ("not segment:golden", False),
        ("tag:spa or tag:vip and segment:golden", True),
    ],
)
def test_tags_consents_and_segments(text: str, is_so: bool) -> None:
    person = {"tags": ["vip"], "consent": {"marketing": "granted", "survey": "withdrawn"}, "tier": "gold"}
    assert holds(text, person) is is_so


# Time


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("x in last 7d", ("2026-09-19", "2026-09-25")),
        ("x in last 1w", ("2026-09-19", "2026-09-25")),
        ("x in last 1d", ("2026-09-25", "2026-09-25")),
        ("x in last 1mo", ("2026-08-26", "2026-09-25")),
        ("x in last 1y", ("2025-09-26", "2026-09-25")),
        ("x in next 7d", ("2026-09-25", "2026-10-01")),
        ("x in next 1mo", ("2026-09-25", "2026-10-24")),
        ("x older than 90d", (None, "2026-06-27")),
        ("x older than 0d", (None, "2026-09-25")),
    ],
)
def test_a_span_takes_its_first_day_and_its_last(text: str, days: tuple[str | None, str]) -> None:
    first, last = days
    assert holds(text, {"x": last})
    assert not holds(text, {"x": beside(last, 1)})
    if first is not None:
        assert holds(text, {"x": first})
        assert not holds(text, {"x": beside(first, -1)})


def beside(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


@pytest.mark.parametrize(
    ("text", "today", "day", "is_so"),
    [
        ("x older than 1mo", "2026-03-31", "2026-02-28", True),
        ("x older than 1mo", "2026-03-31", "2026-03-01", False),
        ("x in last 1mo", "2026-03-31", "2026-03-01", True),
        ("x in last 1mo", "2026-03-31", "2026-02-28", False),
        ("x older than 1y", "2028-02-29", "2027-02-28", True),
        ("x older than 13mo", "2028-03-31", "2027-02-28", True),
        ("x in next 1mo", "2027-01-31", "2027-02-27", True),
        ("x in next 1mo", "2027-01-31", "2027-02-28", False),
        ("x older than 3mo", "2026-05-31", "2026-02-28", True),
    ],
)
def test_months_step_back_to_the_last_day_there_is(text: str, today: str, day: str, is_so: bool) -> None:
    assert holds(text, {"x": day}, f"{today}T12:00:00+08:00") is is_so


@pytest.mark.parametrize(
    ("text", "at", "is_so"),
    [
        ("x in last 12h", "2026-09-25T00:00:00.001+08:00", True),
        ("x in last 12h", "2026-09-25T00:00:00.000+08:00", False),
        ("x in last 12h", "2026-09-25T12:00:00.000+08:00", True),
        ("x in last 12h", "2026-09-25T12:00:00.001+08:00", False),
        ("x in next 12h", "2026-09-25T12:00:00.000+08:00", True),
        ("x in next 12h", "2026-09-25T11:59:59.999+08:00", False),
        ("x in next 12h", "2026-09-26T00:00:00.000+08:00", False),
        ("x older than 12h", "2026-09-25T00:00:00.000+08:00", True),
        ("x older than 12h", "2026-09-25T00:00:00.001+08:00", False),
        ("x in last 12h", "2026-09-25", False),
        ("x older than 12h", "2020-01-01", False),
        ("x in last 1d", "2026-09-25T23:59:59.999+08:00", True),  # later, but today
        ("x in last 1d", "2026-09-26T00:00:00.000+08:00", False),
    ],
)
def test_hours_are_between_instants(text: str, at: str, is_so: bool) -> None:
    assert holds(text, {"x": at}) is is_so


def test_today_is_the_day_where_the_person_is() -> None:
    now = "2026-09-24T16:30:00Z"
    assert holds("x in last 1d", {"x": "2026-09-25"}, now)
    assert holds("x in last 1d", {"x": "2026-09-24", "tz": "Europe/Berlin"}, now)
    assert holds("x anniversary", {"x": "--09-25", "tz": "Asia/Shanghai"}, now, zone="UTC")
    assert not holds("x anniversary", {"x": "--09-25"}, now, zone="UTC")
    assert not holds("x anniversary", {"x": "--09-25", "tz": "America/New_York"}, now)


# Anniversaries


def lunar(month: int, day: int, *, leap: bool = False) -> dict[str, Any]:
    return {"calendar": "chinese", "month": month, "day": day, "leap": leap, "year": None}


@pytest.mark.parametrize(
    ("text", "birthday", "today"),
    [
        ("b anniversary", "1990-09-25", "2026-09-25"),
        ("b anniversary", "--09-25", "2026-09-25"),
        ("b anniversary", "2090-09-25", "2026-09-25"),  # the year does not count
        ("b anniversary", "2020-09-24T16:00:00.000Z", "2026-09-25"),
        ("b anniversary", "2000-02-29", "2027-02-28"),
        ("b anniversary", "--02-29", "2028-02-29"),
        ("b anniversary solar", "--09-25", "2026-09-25"),
        ("b anniversary in next 7d", "--10-01", "2026-09-25"),
        ("b anniversary in next 7d", "--01-02", "2026-12-31"),
        ("b anniversary from 7d", "--10-02", "2026-09-25"),
        ("b anniversary from 1mo", "--02-28", "2026-01-31"),
        ("b anniversary from -7d", "--09-18", "2026-09-25"),
        ("b anniversary from -7d in next 7d", "--09-24", "2026-09-25"),
        ("b anniversary in next 366d", "--09-24", "2026-09-25"),
        ("b anniversary", lunar(8, 15), "2026-09-25"),
        ("b anniversary", lunar(8, 15), "2027-09-15"),
        ("b anniversary lunar", lunar(8, 15), "2028-10-03"),
        ("b anniversary", lunar(8, 30), "2026-10-09"),
        ("b anniversary", lunar(8, 30), "2029-10-07"),
        ("b anniversary", lunar(6, 10, leap=True), "2026-07-23"),
        ("b anniversary", lunar(6, 10, leap=True), "2036-07-03"),
        ("b anniversary", lunar(12, 30), "2026-02-16"),  # the eve of the new year
        ("b anniversary", lunar(12, 30), "2030-02-02"),
        ("b anniversary from -1d", lunar(12, 30), "2026-02-17"),
        ("b anniversary in next 3d", lunar(1, 1), "2026-02-15"),
        ("b anniversary", lunar(7, 7), "2025-08-29"),  # after a leap sixth month
    ],
)  # fmt: skip
def test_the_anniversary_is_on_that_day(text: str, birthday: object, today: str) -> None:
    assert holds(text, {"b": birthday}, f"{today}T00:00:00+08:00")
    assert holds(text, {"b": birthday}, f"{today}T23:59:59.999+08:00")


@pytest.mark.parametrize(
    ("text", "birthday", "today"),
    [
        ("b anniversary", "--09-24", "2026-09-25"),
        ("b anniversary", "--02-28", "2028-02-29"),
        ("b anniversary", "2000-02-29", "2027-03-01"),
        ("b anniversary", "2000-02-29", "2028-02-28"),
        ("b anniversary lunar", "--09-25", "2026-09-25"),
        ("b anniversary solar", lunar(8, 15), "2026-09-25"),
        ("b anniversary in next 7d", "--10-02", "2026-09-25"),
        ("b anniversary from 7d", "--10-01", "2026-09-25"),
        ("b anniversary from -7d in next 7d", "--09-25", "2026-09-25"),
        ("b anniversary", lunar(8, 15), "2026-09-26"),
        ("b anniversary", lunar(6, 10, leap=True), "2036-08-01"),
        ("b anniversary", lunar(8, 29), "2026-10-08"),
        ("b anniversary", "soon", "2026-09-25"),
        ("b anniversary", 7, "2026-09-25"),
    ],
)
def test_the_anniversary_is_on_another_day(text: str, birthday: object, today: str) -> None:
    assert not holds(text, {"b": birthday}, f"{today}T12:00:00+08:00")


# Events

SHOPPER = {
    "events": [
        {"type": "order", "at": "2026-09-25T04:00:00.000Z", "amount": 300, "sku": "T10"},  # now
        {"type": "order", "at": "2026-09-25T04:00:00.001Z", "amount": 9999, "sku": "T10"},  # to come
        {"type": "order", "at": "2026-09-25T03:00:00.000Z", "amount": 200, "sku": "t20"},
        {"type": "order", "at": "2026-09-18T16:00:00.000Z", "amount": 100},  # the 19th in Shanghai
        {"type": "order", "at": "2026-09-18T15:59:59.999Z", "sku": "T10"},
        {"type": "complaint", "at": "2026-09-01T00:00:00.000Z", "rating": 2},
    ]
}


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("order(ever).count = 4", True),
        ("order(7d).count = 3", True),
        ("order(1d).count = 2", True),
        ("order(1h).count = 1", True),
        ("order(2h).count = 2", True),
        ("order(0d).count = 0", True),
        ("order(ever).sum(amount) = 600", True),
        ("order(ever).max(amount) = 300", True),
        ("order(ever).min(amount) = 100", True),
        ("order(ever).sum(sku) = 0", True),
        ("order(ever).max(sku) != 0", False),
        ("order(ever, sku = T20).count = 1", True),
        ("order(ever, sku != T10).count = 1", True),
        ("order(ever, not sku = T10).count = 2", True),
        ("order(ever, sku is missing and amount < 200 or sku = t20).count = 2", True),
        ("order(ever, amount > 300).count = 0", True),
        ("order(ever, amount > 300).sum(amount) = 0", True),
        ("order(ever, amount > 300).min(amount) >= 0", False),
        ("order(ever, amount > 300).max(amount) != 7", False),
        ("visit(ever).count = 0", True),
        ("visit(ever).count != 0", False),
        ("visit(ever).count < 1", True),
        ("complaint(1mo, rating <= 2).count >= 1", True),
        ("order(ever).count != 4", False),
    ],
)  # fmt: skip
def test_counts_what_has_happened(text: str, is_so: bool) -> None:
    assert holds(text, SHOPPER) is is_so


def test_who_has_no_events_has_none_of_any() -> None:
    assert holds("order(ever).count = 0 and order(7d).sum(amount) <= 0", {})
    assert not holds("order(ever).max(amount) <= 0", {"events": []})


# The strategies


@given(TRIPLES)
def test_a_condition_or_its_opposite_takes_everybody(drawn: Triple) -> None:
    condition, person, now_ms = drawn
    assert matches(condition, person, world(now_ms)) in (True, False)


def test_the_triples_are_worth_trying() -> None:
    """The same from the same seed; often true, often false, and of every operator both."""
    outcomes: dict[Op, set[bool]] = {}
    true = 0
    for seed in range(2000):
        condition, person, now_ms = triple(Random(seed))
        is_so = matches(condition, person, world(now_ms))
        true += is_so
        if isinstance(condition, Field):
            outcomes.setdefault(condition.op, set()).add(is_so)
    assert 500 < true < 1500
    assert outcomes == {op: {True, False} for op in Op}
    assert triple(Random(7)) == triple(Random(7))
