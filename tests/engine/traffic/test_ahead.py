"""engine/traffic/ahead.py: what a change takes back, once, whatever becomes of it and of the turn beside it."""

from random import Random
from typing import NamedTuple

import pytest

from engine import numbers
from engine._flights import Flight
from engine.config import Limits
from engine.errors import Conflict, ModemError, StoreFull
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages, quotas, receipts
from engine.traffic.ahead import Ahead
from engine.traffic.message import Sending, State
from engine.traffic.routing import Routing
from engine.traffic.settling import Rules, settle
from tests.engine.traffic.stage import NOW_MS, NUMBER, SIM, differences, in_line, put, say, state

LIMITS = Limits(minute=10)


class Report(NamedTuple):
    reference: int
    recipient: str
    outcome: int
    service_centre_time_ms: int | None


class Turns:
    """Turns of a scheduler over the store, one by one."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self.store = store
        chosen = {} if limits is None else {SIM: limits}
        self.ahead = Ahead(chosen)
        store.beside = self.ahead
        self.rules = Rules(say(messages.SEND), Random(1), self.ahead, Routing(store), chosen)

    def claim(self, *identifiers: int) -> list[Flight]:
        flights = [Flight(identifier, SIM, 2) for identifier in identifiers]
        self.store.write_now(settle, [], flights, NOW_MS, self.rules)
        return flights

    def settle(self, *landed: Flight, after_ms: int = 10) -> None:
        self.store.write_now(settle, list(landed), [], NOW_MS + after_ms, self.rules)
        for flight in landed:
            self.ahead.remove(flight)

    def settle_in_vain(self, *landed: Flight) -> None:
        def change(txn: Txn) -> None:
            settle(txn, list(landed), [], NOW_MS + 10, self.rules)
            raise StoreFull("as an LMDB without room would")

        with pytest.raises(StoreFull):
            self.store.write_now(change)

    def used(self) -> int:
        with self.store.read() as txn:
            return quotas.used(txn, SIM, NOW_MS, LIMITS)[0].used


def cancel_in_vain(store: Store, identifier: int) -> None:
    def change(txn: Txn) -> None:
        messages.cancel(txn, identifier, NOW_MS)
        raise StoreFull("as an LMDB without room would")

    with pytest.raises(StoreFull):
        store.write_now(change)


def test_a_part_that_is_taken_back_gives_its_quota_back_once(store: Store) -> None:
    turns = Turns(store, LIMITS)
    ids = [put(store) for _ in range(3)]
    flights = turns.claim(*ids)
    assert turns.used() == 3
    store.write_now(messages.cancel, ids[0], NOW_MS)
    assert turns.used() == 2
    # The launch of that same turn finds it withdrawn.
    flights[0].land(ModemError("the modem was not free any more"))
    turns.settle(flights[0])
    assert turns.used() == 2
    assert state(store, ids[0]) is State.CANCELLED


def test_a_part_that_never_went_gives_its_quota_back(store: Store) -> None:
    turns = Turns(store, LIMITS)
    identifier = put(store)
    (flight,) = turns.claim(identifier)
    flight.land(ModemError("the modem was not free any more"))
    turns.settle(flight)
    assert turns.used() == 0
    assert in_line(store) == [identifier]


def test_a_change_that_took_a_part_back_in_vain_takes_it_back_the_next_time(store: Store) -> None:
    turns = Turns(store, LIMITS)
    ids = [put(store) for _ in range(2)]
    turns.claim(*ids)
    cancel_in_vain(store, ids[0])
    assert (turns.used(), state(store, ids[0])) == (2, State.SENDING)
    store.write_now(messages.cancel, ids[0], NOW_MS)
    assert (turns.used(), state(store, ids[0])) == (1, State.CANCELLED)
    assert differences(store) == []


def test_what_a_refused_change_took_back_waits_again(store: Store) -> None:
    turns = Turns(store, LIMITS)
    identifier = put(store)
    (flight,) = turns.claim(identifier)
    cancel_in_vain(store, identifier)
    flight.land(ModemError("the modem was not free any more"))
    turns.settle(flight)
    assert (turns.used(), state(store, identifier), in_line(store)) == (0, State.QUEUED, [identifier])


def test_a_part_that_has_begun_is_not_taken_back(store: Store) -> None:
    turns = Turns(store, LIMITS)
    identifier = put(store)
    (flight,) = turns.claim(identifier)
    flight.job.begin()
    with pytest.raises(Conflict):
        store.write_now(messages.cancel, identifier, NOW_MS)
    assert (turns.used(), state(store, identifier)) == (1, State.SENDING)


def test_a_pause_takes_the_parts_of_its_group_back_and_no_others(store: Store) -> None:
    turns = Turns(store, LIMITS)
    mine, other = put(store, group=7), put(store)
    turns.claim(mine, other)
    store.write_now(turns.ahead.recall_group, 7, NOW_MS)
    store.write_now(messages.GROUPS.put, 7, Sending.PAUSED.value)
    assert (state(store, mine), state(store, other)) == (State.QUEUED, State.SENDING)
    assert turns.used() == 1
    store.write_now(messages.GROUPS.remove, 7)


@pytest.mark.parametrize("is_refused_first", [False, True])
def test_a_report_finds_its_part_whose_outcome_is_not_in_the_store_yet(store: Store, is_refused_first: bool) -> None:
    turns = Turns(store)
    identifier = put(store, wants_report=True)
    (flight,) = turns.claim(identifier)
    flight.land(None, 7)
    if is_refused_first:
        turns.settle_in_vain(flight)
    report = Report(7, numbers.from_key(NUMBER), 0, NOW_MS + 20)
    store.write_now(receipts.take, SIM, report, NOW_MS + 20)
    turns.settle(flight, after_ms=30)
    assert state(store, identifier) is State.DELIVERED
    assert differences(store) == []
