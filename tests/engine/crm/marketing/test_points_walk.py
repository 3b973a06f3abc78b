"""Points, whatever happens: a member's books against tokens on a table."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.crm.marketing import days, ledger, members, points
from engine.crm.marketing.ledger import Kind
from engine.crm.marketing.loyalty import Programme
from engine.crm.marketing.points import InsufficientPoints
from engine.store.environment import Store
from engine.wiring import TABLES
from tests.engine.crm.club import DAY_MS, NOW_MS, ZONE, do, earn, member, programme, reverse, spend


class Books(RuleBasedStateMachine):
    """A member's points against tokens on a table: each knows the order it came from and its last day."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "data", TABLES)
        self.day = days.of(NOW_MS, ZONE)
        self.now_ms = NOW_MS
        self.held: list[tuple[int, int]] = []  # (last day, the row that made it)
        self.owed = 0
        self.rows = 0
        self.earned: dict[str, tuple[int, int, int]] = {}  # ref: (points, last day, row)
        self.spent: dict[str, list[tuple[int, int]]] = {}
        self.lapsed: Counter[int] = Counter()
        self.undone: set[str] = set()

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @initialize(months=st.sampled_from([0, 1, 2]), to_year_end=st.booleans())
    def join(self, months: int, to_year_end: bool) -> None:
        self.months, self.to_year_end = months, to_year_end
        programme(self.store, Programme(valid_months=months, to_year_end=to_year_end))
        self.id = member(self.store)

    def lapse(self) -> None:
        gone = Counter((day, lot) for day, lot in self.held if day < self.day)
        for (_, lot), count in gone.items():
            self.lapsed[lot] += count
        self.rows += len(gone)
        self.held = [token for token in self.held if token[0] >= self.day]

    def give(self, tokens: list[tuple[int, int]]) -> None:
        paid = min(self.owed, len(tokens))
        self.owed -= paid
        self.held = sorted(self.held + sorted(tokens)[paid:])

    @property
    def balance(self) -> int:
        return len(self.held) - self.owed

    @rule(delta=st.integers(1, 9))
    def earn(self, delta: int) -> None:
        self.lapse()
        self.rows += 1
        last = days.later(self.day, self.months) if self.months or self.to_year_end else days.NEVER
        last = days.year_end(last) if self.to_year_end else last
        ref = f"O{self.rows}"
        self.earned[ref] = (delta, last, self.rows)
        self.give([(last, self.rows)] * delta)
        earn(self.store, self.id, delta, ref, self.now_ms)

    @rule(delta=st.integers(1, 12))
    def spend(self, delta: int) -> None:
        self.lapse()
        ref = f"R{self.rows + 1}"
        if self.balance < delta:
            # What has lapsed goes even so, but a refused change is undone as a whole: the books agree again below.
            with pytest.raises(InsufficientPoints):
                spend(self.store, self.id, delta, ref, self.now_ms)
            do(self.store, points.expire, self.now_ms, ZONE, 1_000)
            return
        self.rows += 1
        self.spent[ref] = self.held[:delta]
        self.held = self.held[delta:]
        spend(self.store, self.id, delta, ref, self.now_ms)

    @precondition(lambda self: self.earned.keys() - self.undone)
    @rule(choice=st.randoms(use_true_random=False))
    def refund(self, choice: Any) -> None:
        self.lapse()
        ref = choice.choice(sorted(self.earned.keys() - self.undone))
        self.undone.add(ref)
        self.rows += 1
        delta, last, lot = self.earned[ref]
        wanted = delta - self.lapsed[lot]
        for token in [token for token in self.held if token == (last, lot)] + self.held:
            if wanted and token in self.held:
                self.held.remove(token)
                wanted -= 1
        self.owed += wanted
        posted = reverse(self.store, self.id, ref, now_ms=self.now_ms)
        assert posted.row.delta == self.lapsed[lot] - delta

    @precondition(lambda self: self.spent.keys() - self.undone)
    @rule(choice=st.randoms(use_true_random=False))
    def give_back(self, choice: Any) -> None:
        self.lapse()
        ref = choice.choice(sorted(self.spent.keys() - self.undone))
        self.undone.add(ref)
        self.rows += 1
        self.give(self.spent[ref])
        self.lapse()
        reverse(self.store, self.id, ref, Kind.REDEEM, self.now_ms)

    @rule(count=st.integers(1, 40))
    def wait(self, count: int) -> None:
        self.day += count
        self.now_ms += count * DAY_MS

    @rule()
    def sweep(self) -> None:
        self.lapse()
        do(self.store, points.expire, self.now_ms, ZONE, 1_000)

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "id"):
            return
        with self.store.read() as txn:
            assert list(points.differences(txn)) == []
            found = members.get(txn, self.id)
            stored = [(day, lot) for day, lot, left in ledger.lots(txn, self.id) for _ in range(left)]
            assert points.available(txn, self.id, self.now_ms, ZONE) == found.balance - sum(
                token[0] < self.day for token in stored
            )
        assert found.balance == self.balance
        assert stored == self.held
        assert found.balance >= 0 or self.undone


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
