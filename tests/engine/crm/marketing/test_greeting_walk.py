"""A year of a town in which everything happens that may: clocks set back, restarts, pauses, people who move."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from engine.crm.marketing import greetings
from engine.crm.marketing.greetings import MARKS
from engine.crm.people import customers, dates
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.dates import CHINESE, GREGORIAN, Day
from tests.engine.crm.greeted import HOUR_MS, ZONE, Town, at

ZONES = ("", "Asia/Tokyo", "Europe/Berlin", "Pacific/Honolulu", "Pacific/Kiritimati", "Asia/Kathmandu")
BEGIN, DAYS = date(2026, 9, 20), 12


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_each_is_greeted_once_and_on_his_day(tmp_path: Path, seed: int) -> None:
    random, town = Random(seed), Town(tmp_path / "data")
    people: list[Customer] = []
    for _ in range(40):
        on = BEGIN + timedelta(days=random.randrange(DAYS))
        lunar = dates.lunar_of(on)
        born = Day(GREGORIAN, on.month, on.day) if random.random() < 0.5 else Day(CHINESE, lunar.month, lunar.day)
        people.append(town.person(name=str(on), birthday=born, time_zone=random.choice(ZONES)))
    rules = [town.rule(send_at=minute, texts={"en": "{name}"}) for minute in (0, 9 * 60, 20 * 60 + 30)]
    moment = at(str(BEGIN - timedelta(days=1)), "00:00")
    last = at(str(BEGIN + timedelta(days=DAYS + 1)), "12:00")
    moved: set[int] = set()
    while moment < last:
        town.run(moment)
        match random.randrange(12):
            case 0:
                town.restart()
            case 1:
                town.run(moment - random.randrange(1, 30) * HOUR_MS)
            case 2:
                one = random.choice(people)
                town.do(customers.change, one.id, {"time_zone": random.choice(ZONES)}, None, moment)
                moved.add(one.number)
            case 3:
                rule = random.choice(rules)
                town.do(greetings.change, rule.id, {"name": "another"}, None, moment, ZONE)
        moment += random.randrange(1, 4) * HOUR_MS
    texts = town.texts()
    told = [(message.client_ref, message.number) for message in texts]
    assert len(told) == len(set(told))
    by_number = {person.number: person for person in people}
    for message in texts:
        if message.number not in moved:
            zone = ZoneInfo(by_number[message.number].time_zone or ZONE)
            there = datetime.fromtimestamp(message.due_ms / 1000, UTC).astimezone(zone)
            rule = next(rule for rule in rules if greetings.name_of(rule.id) == message.client_ref)
            assert str(there.date()) == message.text
            assert there.hour * 60 + there.minute >= rule.send_at
    stayed = {person.number for person in people} - moved
    # The last rule's hour is so late that a step of three hours may pass it by.
    for rule in rules[:2]:
        assert stayed <= {number for name, number in told if name == greetings.name_of(rule.id)}
    with town.store.read() as txn:
        assert MARKS.count(txn) == len(texts)
        assert CUSTOMERS.count(txn) == len(people)
    town.store.close()
