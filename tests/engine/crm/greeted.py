"""A house with customers and greetings, whose clock can be set and whose greeter can be started anew."""

import asyncio
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from engine.config import House
from engine.crm.marketing import greeter, greetings
from engine.crm.marketing.greeter import Greeter
from engine.crm.marketing.greetings import Rule
from engine.crm.people import agreement, customers
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer
from engine.store.environment import Store
from engine.traffic import events, messages
from engine.traffic.messages import Message
from engine.wiring import TABLES

ZONE = "Asia/Shanghai"
HOUSE = House("Lotus Hotel", "荷花酒店", time_zone=ZONE)
PEPPER = bytes(range(32))
FIRST = 8613900000000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def at(day: str, clock: str = "12:00") -> int:
    """That moment in Shanghai."""
    return int(datetime.fromisoformat(f"{day}T{clock}:00+08:00").timestamp() * 1000)


NOW_MS = at("2026-01-05")


class Town:
    """A house with customers, a clock that can be set, and a greeter that can be started anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder, TABLES)
        self.now_ms = NOW_MS
        self.people = 0
        self.house = HOUSE
        self.greeter = self._greeter()

    def _greeter(self, waiting_most: int = greeter.WAITING_MOST) -> Greeter:
        return Greeter(self.store, lambda: self.now_ms, self.house, PEPPER, waiting_most)

    def restart(self, waiting_most: int = greeter.WAITING_MOST) -> None:
        self.store.close()
        self.store = Store(self.folder, TABLES)
        self.greeter = self._greeter(waiting_most)

    def do(self, change: Any, *args: Any, **named: Any) -> Any:
        return self.store.write_now(partial(change, **named), *args)

    def person(self, *, agrees: bool = True, **known: Any) -> Customer:
        self.people += 1
        number = FIRST + self.people
        made: Customer = self.do(customers.add, Customer(0, number, known.pop("name", "李娜"), **known), NOW_MS)
        if agrees:
            self.do(agreement.add, number, "marketing", Consent(Status.GRANTED, "web", "", NOW_MS))
        return made

    def rule(self, when: str = "birthday", *, active: bool = True, **known: Any) -> Rule:
        texts = known.pop("texts", {"en": "All the best from {house}"})
        rule: Rule = self.do(greetings.add, Rule(0, "wish", when, texts, **known), self.now_ms, ZONE)
        return self.do(greetings.activate, rule.id, None, self.now_ms, ZONE) if active else rule

    def run(self, now_ms: int) -> list[Message]:
        """What is new in the line after the greeter looked at that moment."""
        before = {message.id for message in self.texts()}
        self.now_ms = now_ms
        asyncio.run(self.greeter.look())
        return [message for message in self.texts() if message.id not in before]

    def texts(self) -> list[Message]:
        with self.store.read() as txn:
            return list(messages.listed(txn, None, 0, 10_000))[::-1]

    def told(self, kind: str) -> list[events.Event]:
        with self.store.read() as txn:
            return [event for _, event in events.after(txn, 0, 10_000) if event.kind == kind]

    def days_of(self, first: str, last: str, clock: str = "12:00") -> list[str]:
        """The days in Shanghai on which somebody is greeted."""
        found, day = [], date.fromisoformat(first)
        while day <= date.fromisoformat(last):
            found += [str(day)] * len(self.run(at(str(day), clock)))
            day = date.fromordinal(day.toordinal() + 1)
        return found
