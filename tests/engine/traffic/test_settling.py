"""engine/traffic/settling.py: what a turn asks of the quotas, and says to them."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine._flights import Flight, Flights
from engine.config import Limits
from engine.errors import ModemError, StoreFull, SubmitUnknown
from engine.modem.submission import Submission
from engine.store.environment import Store
from engine.store.table import Note, Txn
from engine.traffic import quotas
from engine.traffic.ahead import Ahead
from engine.traffic.messages import SEND, Lane
from engine.traffic.page import Page
from engine.traffic.quotas import MINUTE_MS
from engine.traffic.rests import Rests
from engine.traffic.routing import Routing
from engine.traffic.settling import COUNTED, QUOTA, Claimed, Rules, settle
from engine.wiring import TABLES
from tests.engine.traffic.stage import NOW_MS, NUMBER, SIM, put, say


class Desk:
    """Turns of a scheduler by hand: a store, what is ahead in it, and a modem's clock."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.now_ms = NOW_MS
        self.store = Store(directory / "data", TABLES)
        self.ahead = Ahead({SIM: limits})
        self.store.beside = self.ahead
        self.limits = limits
        self.rules = Rules(say(SEND), Random(1), self.ahead, Routing(self.store), {SIM: limits})
        self.page = Page(directory, b"this boot")
        self.page.begin()
        self.flights = Flights(self.page, Rests(), lambda: self.now_ms, lambda: None, lambda _: None, lambda *_: None)

    def settle(self, landed: list[Flight], chosen: list[Flight]) -> list[Claimed | None]:
        return self.store.write_now(self.turn, landed, chosen)

    def turn(self, txn: Txn, landed: list[Flight], chosen: list[Flight]) -> list[Claimed | None]:
        claimed = settle(txn, landed, chosen, self.now_ms, self.rules)
        self.told(txn.notes)
        return claimed

    def told(self, notes: list[Note]) -> None:
        for line, _, value in notes:
            if line == COUNTED:
                flight, counted_ms = value
                flight.count(counted_ms)

    def ask(self, parts: int = 1) -> Flight | None:
        """A message of so many parts, and its first one as it is claimed now; None where there is no room."""
        flight = Flight(put(self.store, parts, self.now_ms), SIM, Lane.NORMAL)
        return flight if self.goes(flight) else None

    def goes(self, flight: Flight) -> bool:
        (claimed,) = self.settle([], [flight])
        assert claimed is not None
        assert claimed.verdict == SEND or claimed.verdict.reason == QUOTA
        return claimed.verdict.sends

    def give(self, flight: Flight) -> None:
        self.flights.on_given(None, Submission(b"", 0, flight))

    @property
    def used(self) -> int:
        with self.store.read() as txn:
            return quotas.used(txn, SIM, self.now_ms, self.limits, NUMBER)[0].used

    def close(self) -> None:
        self.flights.close()
        self.page.close()
        self.store.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, Limits(minute=1))
    yield desk
    desk.close()


def test_a_part_counts_from_when_it_was_given_while_it_is_in_the_air(desk: Desk) -> None:
    first = desk.ask()
    assert first is not None
    desk.now_ms += 30_000
    desk.give(first)
    desk.now_ms = NOW_MS + MINUTE_MS + 1
    assert desk.ask() is None
    desk.now_ms += 30_000
    assert desk.ask() is not None


def test_a_part_that_is_still_ahead_counts_as_if_it_went_now(desk: Desk) -> None:
    first = desk.ask()
    assert first is not None
    desk.now_ms += 2 * MINUTE_MS
    assert desk.ask() is None
    desk.give(first)
    first.land(None, 7)
    desk.now_ms += MINUTE_MS + 1
    desk.settle([first], [])
    assert desk.ask() is not None


@pytest.mark.parametrize("is_asked", [False, True])
@pytest.mark.parametrize("late_ms", [30_000, 2 * MINUTE_MS])
def test_what_landed_is_counted_once(desk: Desk, late_ms: int, is_asked: bool) -> None:
    first = desk.ask()
    assert first is not None
    desk.now_ms += late_ms
    desk.give(first)
    if is_asked:
        assert desk.ask() is None
    first.land(None, 7)
    desk.now_ms += 1000
    desk.settle([first], [])
    assert desk.used == 1
    desk.now_ms += MINUTE_MS - 1000
    assert desk.ask() is None
    desk.now_ms += 1
    assert desk.ask() is not None


def test_a_part_of_which_nobody_knows_counts_from_when_it_was_given(desk: Desk) -> None:
    first = desk.ask()
    assert first is not None
    desk.now_ms += 50_000
    desk.give(first)
    first.land(SubmitUnknown("no_outcome"))
    desk.settle([first], [])
    desk.now_ms += MINUTE_MS
    assert desk.ask() is None


@pytest.mark.parametrize("late_ms", [30_000, 2 * MINUTE_MS])
def test_a_part_that_was_counted_and_did_not_go_is_given_back(desk: Desk, late_ms: int) -> None:
    first = desk.ask()
    assert first is not None
    desk.now_ms += late_ms
    assert desk.ask() is None
    first.land(ModemError("it was not free"))
    desk.settle([first], [])
    assert desk.used == 0


def test_what_a_change_counted_that_was_undone_is_counted_by_the_next(desk: Desk) -> None:
    first = desk.ask()
    assert first is not None
    desk.now_ms += 2 * MINUTE_MS
    desk.give(first)
    first.land(None, 7)

    def fail(txn: Txn) -> None:
        settle(txn, [first], [], desk.now_ms, desk.rules)
        raise StoreFull("as an LMDB without room would")

    with pytest.raises(StoreFull):
        desk.store.write_now(fail)
    desk.settle([first], [])
    assert desk.used == 1


def test_what_goes_behind_a_long_message_in_one_turn_leaves_room_for_its_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Limits(minute=3))
    assert desk.ask() is not None
    chosen = [Flight(put(desk.store, parts, NOW_MS), SIM, Lane.NORMAL) for parts in (2, 1)]
    claimed = desk.settle([], chosen)
    assert [one is not None and one.verdict.sends for one in claimed] == [True, False]
    assert desk.goes(Flight(chosen[0].message, SIM, Lane.NORMAL))
    desk.close()
