"""Conditions in native code against the plain evaluator of bench/baseline/conditions.py."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.baseline.conditions import matches
from engine.crm.people import audience, consent, dates, fields, regions, segments, tags
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.fields import FieldDef, Value
from engine.crm.people.happenings import HAPPENED, KINDS, Happening
from engine.crm.people.member import MEMBERS, Member, State
from engine.crm.people.programs import compile_condition
from engine.crm.people.regions import Region
from engine.crm.people.vocabulary import Kind, checked
from engine.store.environment import Store
from engine.store.table import Txn
from engine.wiring import TABLES
from tests.engine import condition_strategies as strategies

NOW_MS = 1_790_000_000_000
TRIPLES = 10_000

OWN = {
    "room": "text", "children": "integer", "newsletter": "yes_no", "renewal": "date", "wedding": "day",
    "hobbies": "list",
}  # fmt: skip
FIELDS = {
    "name": Kind.TEXT,
    "city": Kind.TEXT,
    "class": Kind.CHOICE,
    "tier": Kind.CHOICE,
    "room": Kind.TEXT,
    "points.balance": Kind.INTEGER,
    "children": Kind.INTEGER,
    "newsletter": Kind.YES_NO,
    "last_order": Kind.TIME,
    "renewal": Kind.DATE,
    "last_seen": Kind.TIME,
    "created": Kind.TIME,
    "birthday": Kind.DAY,
    "wedding": Kind.DAY,
    "hobbies": Kind.LIST,
    "region": Kind.REGION,
}
PROPERTIES = {
    "order": {"amount": Kind.INTEGER, "sku": Kind.TEXT, "ref": Kind.TEXT},
    "complaint": {"rating": Kind.INTEGER},
    "survey": {"id": Kind.TEXT, "rating": Kind.INTEGER},
    "visit": {},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data", TABLES)
    yield store
    store.close()


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried speaks of what our records have."""
    monkeypatch.setattr(strategies, "FIELDS", FIELDS)
    monkeypatch.setattr(strategies, "PROPERTIES", PROPERTIES)


def found_house(txn: Txn) -> None:
    """The regions, tags and fields of the strategies."""
    for key, kind in OWN.items():
        fields.add(txn, FieldDef(0, key, kind), frozenset(), NOW_MS)  # type: ignore[arg-type]
    tags.require(txn, strategies.TAGS, NOW_MS)
    todo = dict.fromkeys(strategies.CODES)
    while todo:
        for code in list(todo):
            parent = strategies.REGIONS.get(code, "")
            if not parent or parent not in todo:
                above = regions.require(txn, parent) if parent else 0
                regions.add(txn, Region(0, code, code, above), NOW_MS)
                del todo[code]


def instant_ms(said: str | None) -> int:
    return round(datetime.fromisoformat(said).timestamp() * 1000) if said else 0


def own_value(kind: str, value: Any) -> Value:
    if kind == "date":
        return date.fromisoformat(value).toordinal()
    if kind == "day":
        day = dates.parse(value, "wedding") if not isinstance(value, dates.Day) else value
        return [day.calendar, day.month, day.day, day.year, int(day.leap)]
    return value  # type: ignore[no-any-return]


def day_of(value: Any) -> dates.Day | None:
    """As it was said, though no calendar may have had such a day."""
    if value is None or isinstance(value, str):
        return None if value is None else dates.parse(value, "birthday")
    return dates.Day(dates.CHINESE, value["month"], value["day"], value.get("year") or 0, bool(value.get("leap")))


def tamed(person: dict[str, Any]) -> dict[str, Any]:
    """A person whom our records can hold: a member has both a tier and a balance, or there is none."""
    person = dict(person)
    if not person.get("tier") or (person.get("points") or {}).get("balance") is None:
        person.pop("tier", None)
        person.pop("points", None)
    return person


def put(txn: Txn, identifier: int, person: dict[str, Any]) -> None:
    """The person as records."""
    declared = fields.by_key(txn)
    granted = sum(consent.bit(purpose) for purpose, said in (person.get("consent") or {}).items() if said == "granted")
    attrs: dict[int, Value] = {}
    for key, kind in OWN.items():
        if (value := person.get(key)) not in (None, "", []):
            attrs[declared[key].id] = own_value(kind, day_of(value) if kind == "day" else value)
    record = Customer(
        identifier,
        identifier,
        name=person.get("name") or "",
        grade=person.get("class") or "",
        granted=granted,
        region=regions.require(txn, person["region"]) if person.get("region") else 0,
        tags=tags.require(txn, person.get("tags") or [], NOW_MS),
        birthday=day_of(person.get("birthday")),
        time_zone=person.get("tz") or "",
        city=person.get("city") or "",
        last_order_ms=instant_ms(person.get("last_order")),
        last_seen_ms=instant_ms(person.get("last_seen")),
        created_ms=instant_ms(person.get("created")),
        attrs=attrs,
    )
    CUSTOMERS.put(txn, identifier, record)
    if person.get("tier"):
        MEMBERS.put(txn, identifier, Member(State.ACTIVE, person["tier"], person["points"]["balance"]))
    lots: dict[str, list[Happening]] = {}
    for event in person.get("events") or []:
        known = {name: event.get(name) for name in ("amount", "rating")}
        texts = {name: event.get(name) or "" for name in ("sku", "ref", "id")}
        lots.setdefault(event["type"], []).append(Happening(instant_ms(event["at"]), **known, **texts))
    for kind, lot in lots.items():
        for place, some in enumerate((lot[:1], lot[1:])):
            if some:
                HAPPENED.put(txn, (identifier, KINDS.index(kind), place), some)


def test_ten_thousand_conditions_take_whom_the_plain_evaluator_takes(store: Store, ours: None) -> None:
    rng = Random(20_260_925)
    triples = [
        (condition, tamed(person), now_ms) for condition, person, now_ms in map(strategies.triple, [rng] * TRIPLES)
    ]
    store.write_now(found_house)

    def fill(txn: Txn) -> None:
        for place, (_, person, _) in enumerate(triples, 1):
            put(txn, place, person)

    store.write_now(fill)
    wrong = []
    taken = 0
    with store.read() as txn:
        words = segments.words_of(txn)
        for place, (condition, person, now_ms) in enumerate(triples, 1):
            wanted = matches(condition, person, strategies.world(now_ms))
            compiled = compile_condition(
                txn, condition, words, strategies.SEGMENTS.get, now_ms, strategies.HOUSE_ZONE
            )  # fmt: skip
            items = CUSTOMERS.stretch(txn, (place - 1).to_bytes(8, "big"), 1)
            got = audience.judged(txn, compiled, items) == [place]
            taken += wanted
            if got != wanted:
                wrong.append((condition, person, now_ms, wanted))
    assert wrong[:1] == []
    assert TRIPLES // 5 < taken < 4 * TRIPLES // 5


def test_one_walk_over_many_takes_whom_the_plain_evaluator_takes(store: Store, ours: None) -> None:
    rng = Random(7)
    now_ms = NOW_MS
    people = [tamed(strategies.triple(rng)[1]) for _ in range(2_000)]
    store.write_now(found_house)

    def fill(txn: Txn) -> None:
        for place, person in enumerate(people, 1):
            put(txn, place, person)

    store.write_now(fill)
    with store.read() as txn:
        words = segments.words_of(txn)
        for _ in range(60):
            condition = checked(strategies.Draw(rng).condition(), strategies.VOCABULARY)
            compiled = compile_condition(
                txn, condition, words, strategies.SEGMENTS.get, now_ms, strategies.HOUSE_ZONE
            )  # fmt: skip
            world = strategies.world(now_ms)
            wanted = [place for place, person in enumerate(people, 1) if matches(condition, person, world)]
            assert audience.all_of(txn, compiled) == wanted, condition
