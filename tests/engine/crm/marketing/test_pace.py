"""engine/crm/marketing/pace.py: never more than the rate, and a few seconds' worth at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.marketing import pace
from engine.crm.marketing.pace import AHEAD_MS, MINUTE_MS
from engine.store.environment import Store
from engine.traffic.messages import GROUPS, Sending
from engine.wiring import TABLES
from tests.engine.crm import stage

NOW_MS = 1_770_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data", (*pace.TABLES, GROUPS))
    yield store
    store.close()


@given(
    rate=st.integers(1, 6000),
    steps=st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 12)), min_size=1, max_size=40),
)
def test_no_stretch_of_time_has_more_than_its_share(
    tmp_path_factory: pytest.TempPathFactory, rate: int, steps: list[tuple[int, int]]
) -> None:
    store = Store(tmp_path_factory.mktemp("pace"), (*pace.TABLES, GROUPS))
    try:
        now_ms, begun = NOW_MS, []
        for later_ms, size in steps:
            now_ms += later_ms
            with store.read() as txn:
                left = pace.allowed(txn, 7, rate, now_ms)
            parts = 0
            while parts < left:
                parts += size
            if parts:
                store.write_now(pace.note, 7, rate, parts, now_ms)
                begun.append((now_ms, parts))
        for place, (since_ms, _) in enumerate(begun):
            total = 0
            for at_ms, parts in begun[place:]:
                total += parts
                # The last message may be longer than what was left.
                assert total <= rate * (at_ms - since_ms + max(AHEAD_MS, MINUTE_MS // rate)) / MINUTE_MS + 12
    finally:
        store.close()


def test_a_slow_campaign_begins_one_part_at_a_time(store: Store) -> None:
    for minute in range(3):
        now_ms = NOW_MS + minute * 20 * MINUTE_MS
        with store.read() as txn:
            assert pace.allowed(txn, 7, 3, now_ms) == 1
        store.write_now(pace.note, 7, 3, 1, now_ms)
        with store.read() as txn:
            assert pace.allowed(txn, 7, 3, now_ms) == 0
            assert pace.allowed(txn, 7, 3, now_ms + 19_999) == 0
            assert pace.allowed(txn, 7, 3, now_ms + 20_000) == 1


def test_a_clock_that_is_set_back_stops_nobody_for_long(store: Store) -> None:
    store.write_now(pace.note, 7, 60, 10, NOW_MS)
    with store.read() as txn:
        assert pace.allowed(txn, 7, 60, NOW_MS - 30 * 86_400_000) == 0
    assert not store.write_now(pace.go_on, 7, 60, NOW_MS - 30 * 86_400_000)
    store.write_now(pace.note, 7, 60, 1, NOW_MS - 30 * 86_400_000)
    with store.read() as txn:
        assert pace.allowed(txn, 7, 60, NOW_MS - 30 * 86_400_000 + 6_000) == 5


def test_it_is_parked_once_and_goes_on_when_half_a_stretch_is_free(store: Store) -> None:
    store.write_now(lambda txn: GROUPS.put(txn, 7, Sending.RUNNING.value))
    store.write_now(pace.note, 7, 60, 10, NOW_MS)
    store.write_now(pace.park, 7)
    with store.read() as txn:
        assert GROUPS.find(txn, 7) == Sending.PAUSED
    assert not store.write_now(pace.go_on, 7, 60, NOW_MS + 4_999)
    assert store.write_now(pace.go_on, 7, 60, NOW_MS + 5_000)
    with store.read() as txn:
        assert GROUPS.find(txn, 7) == Sending.RUNNING


def test_the_line_holds_a_minute_of_it_and_no_more(tmp_path: Path) -> None:
    """A campaign that goes slowly must not fill the line that others stand in."""
    store = Store(tmp_path / "data", TABLES)
    try:
        campaign = stage.running(store, [stage.row(stage.FIRST + at) for at in range(300)], rate=50)
        fed = [stage.feed(store, parts=20) for _ in range(10)]
        assert (sum(fed), fed[-1]) == (60, 0)
        assert stage.counts(store, campaign) == {"queued": 60, "accepted": 240}
    finally:
        store.close()
