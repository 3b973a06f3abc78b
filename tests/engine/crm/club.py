"""A house with members: what the tests of members, points, rewards and coupons start from."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from engine.crm.marketing import loyalty, members, points
from engine.crm.marketing.ledger import Kind
from engine.crm.marketing.loyalty import EarnRule, Programme
from engine.crm.marketing.points import Posted
from engine.crm.people import customers
from engine.crm.people.customer import Customer
from engine.crm.people.member import Member
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import events

ZONE = "Asia/Shanghai"
PEPPER = bytes(range(32))
DAY_MS = 86_400_000
NOW_MS = int(datetime(2026, 9, 25, 4, 0, tzinfo=UTC).timestamp() * 1000)  # noon in Shanghai

ONE_IN_TEN = EarnRule("amount", 1, per_minor=1_000, currency="CNY")
YEAR_END = Programme((ONE_IN_TEN,), to_year_end=True)


def at(day: str, hour: int = 12) -> int:
    """That hour of a day in Shanghai, in epoch milliseconds."""
    return int(datetime.fromisoformat(f"{day}T{hour:02d}:00:00+08:00").timestamp() * 1000)


def do(store: Store, change: Any, *args: Any, **named: Any) -> Any:
    """Run a change of the store and wait for it."""
    return store.write_now(partial(change, **named), *args)


def customer(store: Store, number: int = 8613912345678, name: str = "李娜") -> int:
    return int(do(store, customers.add, Customer(0, number, name), NOW_MS).id)


def member(store: Store, number: int = 8613912345678, now_ms: int = NOW_MS, **named: Any) -> int:
    """The id of a new customer who joined."""
    identifier = customer(store, number)
    do(store, points.enrol, identifier, "tests", now_ms, ZONE, **named)
    return identifier


def programme(store: Store, known: Programme = YEAR_END) -> None:
    do(store, loyalty.replace, known, None, NOW_MS)


def balance(store: Store, identifier: int) -> int:
    with store.read() as txn:
        return members.get(txn, identifier).balance


def record(store: Store, identifier: int) -> Member:
    with store.read() as txn:
        return members.get(txn, identifier)


def differences(store: Store) -> list[str]:
    with store.read() as txn:
        return list(points.differences(txn))


def told(store: Store, prefix: str) -> list[events.Event]:
    """The events of a kind that begins so, the oldest first."""

    def found(txn: Txn) -> list[events.Event]:
        return [event for _, event in events.after(txn, 0, 10_000) if event.kind.startswith(prefix)]

    with store.read() as txn:
        return found(txn)


def earn(store: Store, identifier: int, delta: int, ref: str, now_ms: int = NOW_MS) -> Posted:
    posted: Posted = do(store, points.earn, identifier, delta, ref, "tests", now_ms, ZONE)
    return posted


def spend(store: Store, identifier: int, delta: int, ref: str, now_ms: int = NOW_MS) -> Posted:
    posted: Posted = do(store, points.spend, identifier, delta, ref, "tests", now_ms, ZONE)
    return posted


def reverse(store: Store, identifier: int, ref: str, kind: Kind = Kind.EARN, now_ms: int = NOW_MS) -> Posted:
    posted: Posted = do(store, points.reverse, identifier, kind, ref, "tests", now_ms, ZONE)
    return posted
