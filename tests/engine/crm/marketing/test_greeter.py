"""The greeter: many at once, rules that are paused or cannot run; and what is told before."""

import asyncio
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from engine.crm.marketing import coupons, greeter, greeting_runs, greetings, house_days
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.festivals import Festival, Fixed
from engine.crm.marketing.greetings import MARKS
from engine.crm.people.customer import SpecialDay
from engine.crm.people.dates import CHINESE, GREGORIAN, Day
from engine.traffic import intents, messages
from engine.traffic.messages import SEND, Pick, State
from tests.engine.crm.greeted import HOUSE, NOW_MS, PEPPER, ZONE, Town, at
from tests.engine.crm.stage import differences


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path / "data")
    yield opened
    opened.store.close()


# -- many at once


def test_a_festival_of_a_town_waits_its_turn_in_the_line(town: Town) -> None:
    for _ in range(450):
        town.person()
    rule = town.rule("festival:mid_autumn")
    town.restart(waiting_most=150)
    assert len(town.run(at("2026-09-25"))) == 200  # a look is 200 people
    assert town.run(at("2026-09-25", "12:01")) == []
    for message in town.texts()[:100]:
        town.do(messages.cancel, message.id, town.now_ms)
    assert len(town.run(at("2026-09-25", "12:02"))) == 200
    for message in town.texts():
        if message.state is State.QUEUED:
            town.do(messages.cancel, message.id, town.now_ms)
    assert len(town.run(at("2026-09-25", "12:03"))) == 50
    assert len({message.number for message in town.texts()}) == 450
    assert sum(event.detail["sent"] for event in town.told("greeting.sent")) == 450
    with town.store.read() as txn:
        assert MARKS.count(txn) == 450
        assert all(key[0] == rule.id for key, _ in MARKS.scan(txn))


def test_birthdays_of_more_people_than_one_look_takes_are_all_greeted(town: Town) -> None:
    for place in range(430):
        town.person(birthday=Day(*((GREGORIAN, 9, 25), (CHINESE, 8, 15), (GREGORIAN, 9, 26))[place % 3]))
    town.rule()
    assert len(town.run(at("2026-09-25"))) == 287
    assert len(town.run(at("2026-09-26"))) == 143


def test_a_rule_that_is_paused_greets_nobody(town: Town) -> None:
    person = town.person(birthday=Day(GREGORIAN, 9, 25))
    rule = town.rule()
    town.do(greetings.pause, rule.id, None, NOW_MS)
    assert town.run(at("2026-09-25")) == []
    assert town.do(greeting_runs.greet, rule.id, [person.id], town.now_ms, HOUSE, PEPPER).messages == ()


def test_a_pause_takes_back_what_waits_and_those_people_are_greeted_when_it_goes_on(town: Town) -> None:
    for _ in range(3):
        town.person(birthday=Day(GREGORIAN, 9, 25))
    rule = town.rule(texts={"en": "Yuo get {coupon}"}, coupon=Terms("gift", gift="Tea"))
    other = town.rule()
    sent = town.run(at("2026-09-25"))
    pick = [Pick(next(one for one in sent if "Yuo" in one.text).id, 460000000000001)]
    town.do(intents.claim, pick, town.now_ms, lambda _txn, asked, _now_ms: [SEND] * len(asked))
    town.do(greetings.pause, rule.id, None, town.now_ms + 1)
    assert [one.state for one in town.texts()].count(State.CANCELLED) == 2
    assert all(one.state is State.QUEUED for one in town.texts() if one.client_ref == greetings.name_of(other.id))
    with town.store.read() as txn:
        states = [coupon.state.name for _, coupon in coupons.listed(txn, 0, 100)]
        assert (sorted(states), MARKS.count(txn)) == (["ISSUED", "VOID", "VOID"], 4)
    assert town.told("greeting.paused")[0].detail == {"name": "wish", "cancelled": 2}
    town.do(greetings.change, rule.id, {"texts": {"en": "You get {coupon}"}}, None, town.now_ms, ZONE)
    town.do(greetings.activate, rule.id, None, town.now_ms, ZONE)
    again = town.run(at("2026-09-25", "12:10"))
    assert [one.text[:8] for one in again] == ["You get "] * 2
    assert differences(town.store) == []


def test_a_rule_that_cannot_run_keeps_the_others_from_nothing(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    town.do(house_days.put_festivals, {"own": Festival("own", {"en": "Own"}, Fixed(9, 25))}, NOW_MS)
    town.rule("festival:own")
    town.rule()
    town.do(house_days.remove_festival, "own", NOW_MS)
    assert len(town.run(at("2026-09-25"))) == 1
    assert "no festival" in caplog.text


# -- what is told before


def test_a_preview_says_who_is_greeted_and_what_it_says(town: Town) -> None:
    day = Day(GREGORIAN, 9, 25)
    for name, agrees in (("Ann", True), ("Ben", False), ("", True), ("Cai", True)):
        town.person(name=name, birthday=day, agrees=agrees)
    rule = town.rule(texts={"en": "Dear {name}"})
    see = partial(greeter.preview, town.store, rule, now_ms=NOW_MS, house=HOUSE, pepper=PEPPER, shown=3)
    found = asyncio.run(see(date(2026, 9, 25)))
    assert (found.total, found.refused, found.incomplete, found.greeted) == (4, 1, 1, 0)
    assert (len(found.people), found.text) == (3, "Dear Ann")
    town.run(at("2026-09-25"))
    found = asyncio.run(see(date(2026, 9, 25)))
    assert (found.total, found.refused, found.incomplete, found.greeted) == (4, 1, 1, 2)
    assert asyncio.run(see(date(2026, 9, 24))).total == 0


def test_what_comes_is_counted_by_day(town: Town) -> None:
    for day in ((GREGORIAN, 9, 25), (CHINESE, 8, 15), (GREGORIAN, 10, 1), (GREGORIAN, 12, 1)):
        person = town.person(birthday=Day(*day), special_days=(SpecialDay("a", Day(*day)), SpecialDay("b", Day(*day))))
    assert person.id
    for when in ("birthday", "special:a"):
        rule = town.rule(when, offset_days=-1)
        found = asyncio.run(greeter.upcoming(town.store, rule, date(2026, 9, 20), 30, NOW_MS, ZONE))
        assert found == {date(2026, 9, 24): 2, date(2026, 9, 30): 1}
    festival = town.rule("festival:mid_autumn")
    found = asyncio.run(greeter.upcoming(town.store, festival, date(2026, 9, 20), 30, NOW_MS, ZONE))
    assert found == {date(2026, 9, 25): 4}
