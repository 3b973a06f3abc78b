"""engine/crm/people/reveals.py: a mask is lifted for a reason, so many times a day, and everybody can see by whom."""

from zoneinfo import ZoneInfo

import pytest

from engine.access.caller import Caller, Sight
from engine.crm.people import audit, customers, reveals
from engine.crm.people.audit import By
from engine.crm.people.customer import Customer
from engine.crm.people.reveals import Outcome
from engine.errors import Forbidden, Invalid, NotFound, TooMany
from engine.store.environment import Store
from engine.traffic import events

NOW_MS = 1_700_000_000_000  # 2023-11-14T22:13:20Z
HOUR_MS = 3_600_000
UTC = ZoneInfo("UTC")
SHANGHAI = ZoneInfo("Asia/Shanghai")
NUMBER = 8613912345678


def clerk(
    identifier: int = 7, a_day: int = 20, rights: tuple[str, ...] = ("customers:reveal",), seen: Sight = "masked"
) -> By:
    caller = Caller("staff", "Chen Jing", identifier, frozenset(rights), {"number": seen}, a_day)
    return By(caller, "web", bytes(32), "192.0.2.7")


@pytest.fixture
def customer(store: Store) -> int:
    return store.write_now(customers.add, Customer(0, NUMBER, name="李娜"), NOW_MS).id


def reveal(
    store: Store, customer: int, by: By, reason: str = "calls back", field: str = "number", now_ms: int = NOW_MS
) -> Outcome:
    return store.write_now(reveals.reveal, by, customer, field, reason, UTC, now_ms)


def told(store: Store) -> list[str]:
    with store.read() as txn:
        return [row.entry.action for row in audit.listed(txn, 100)][::-1]


def alerts(store: Store) -> int:
    with store.read() as txn:
        return sum(event.kind == "reveal.limit" for _, event in events.after(txn, 0, 1000))


def test_a_number_is_revealed_and_the_reason_is_kept(store: Store, customer: int) -> None:
    outcome = reveal(store, customer, clerk())
    assert (outcome.value, outcome.left) == (f"+{NUMBER}", 19)
    with store.read() as txn:
        (row,) = audit.listed(txn, 10, target=customers.name_of(customer))
        assert audit.verify(txn, (), bytes(32)) == 1
    assert row.values is not None
    assert (row.entry.action, row.values.reason) == ("customer.revealed", "calls back")
    assert row.values.changes == {"field": ("", '"number"')}


def test_the_twenty_first_of_a_day_is_refused_told_and_kept(store: Store, customer: int) -> None:
    for _ in range(20):
        assert reveal(store, customer, clerk()).value
    for _ in range(3):
        outcome = reveal(store, customer, clerk())
        with pytest.raises(TooMany) as refused:
            assert outcome.value
        assert refused.value.code == "reveal_limit"
        # Until midnight, 1 h 46 min 40 s from now.
        assert refused.value.retry_after_s == 6401
    assert alerts(store) == 1
    assert told(store) == ["customer.revealed"] * 20 + ["customer.reveal_refused"] * 3


def test_a_new_day_of_the_house_begins_a_new_count(store: Store, customer: int) -> None:
    by = clerk(a_day=1)
    assert reveal(store, customer, by).left == 0
    assert reveal(store, customer, by)._value is None
    assert reveal(store, customer, by, now_ms=NOW_MS + 2 * HOUR_MS).value
    elsewhere = store.write_now(reveals.reveal, by, customer, "number", "why", SHANGHAI, NOW_MS + 2 * HOUR_MS)
    assert elsewhere._value is None, "it is the 15th there too"


def test_everybody_has_a_count_of_his_own(store: Store, customer: int) -> None:
    assert reveal(store, customer, clerk(7, 1)).value
    assert reveal(store, customer, clerk(8, 1)).value
    assert reveal(store, customer, clerk(7, 1))._value is None


def test_who_sees_it_in_full_is_told_of_and_not_counted(store: Store, customer: int) -> None:
    by = clerk(a_day=0, seen="full")
    assert [reveal(store, customer, by).value for _ in range(3)] == [f"+{NUMBER}"] * 3
    assert (told(store), alerts(store)) == (["customer.revealed"] * 3, 0)


@pytest.mark.parametrize("reason", ["", "no", "   ab   ", "x" * 501])
def test_a_reason_must_be_one(store: Store, customer: int, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        reveal(store, customer, clerk(), reason)
    assert refused.value.params[0].name == "reason"
    assert told(store) == []


def test_without_the_right_nothing_is_revealed_and_nothing_is_counted(store: Store, customer: int) -> None:
    with pytest.raises(Forbidden):
        reveal(store, customer, clerk(rights=()))
    with pytest.raises(Invalid):
        reveal(store, customer, clerk(), field="shoe size")
    with pytest.raises(NotFound):
        reveal(store, 7, clerk())
    assert reveal(store, customer, clerk()).left == 19
