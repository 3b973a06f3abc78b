"""engine/traffic/slices.py: a due line of many entries, as a start reads it."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import slices
from engine.traffic.messages import DUE, SEND, Due
from engine.traffic.scheduler import Scheduler
from engine.wiring import TABLES
from tests.engine.traffic.stage import NOW_MS, NUMBER, OTHER_SIM, SIM, put, say

LATER_MS = NOW_MS + 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def fill(txn: Txn, first: int, end: int) -> None:
    for identifier in range(first, end):
        DUE.put(txn, (1, LATER_MS + identifier % 1000, identifier), Due(0, 1, 1, 0, NUMBER))


def scheduler_of(store: Store) -> Scheduler:
    return Scheduler(store, say(SEND), lambda *_: 0, lambda: NOW_MS, 120.0, Random(1))


async def test_a_start_with_a_long_line_lets_everybody_else_have_the_loop(store: Store) -> None:
    entries = 100_000
    store.write_now(fill, 1, entries + 1)
    scheduler = scheduler_of(store)
    work = asyncio.create_task(scheduler.run())
    began_s = last_s = time.perf_counter()
    longest_s = 0.0
    while len(scheduler._line) < entries:
        await asyncio.sleep(0)
        now_s = time.perf_counter()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
    took_s = last_s - began_s
    print(f"{entries} entries in {took_s:.2f} s, the longest slice {longest_s * 1000:.0f} ms")
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    assert took_s < 20
    assert longest_s < took_s / 3


async def test_what_changes_while_the_line_is_read_is_as_it_was_said_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE", 7)
    store.write_now(fill, 1, 20_001)
    scheduler = scheduler_of(store)
    random = Random(3)
    changes = 0

    def change(txn: Txn) -> None:
        nonlocal changes
        changes += 1
        behind = DUE.scan(txn, after=(1, LATER_MS + random.randrange(1000), 0))
        for key, _ in list(islice(behind, 3)):
            DUE.remove(txn, key)
            if random.random() < 0.7:
                DUE.put(txn, (random.randrange(4), LATER_MS + random.randrange(1000), key[2]), Due(0, 2, 1, 0, NUMBER))
        fill(txn, 30_000 + changes, 30_001 + changes)

    taken = 0

    def take(lane: int, due_ms: int, identifier: int, due: Due) -> None:
        nonlocal taken
        taken += 1
        if taken % 250 == 0:
            # In the middle of a slice; it is told behind it.
            store.write_now(change)
        scheduler._line_up(lane, due_ms, identifier, due)

    await store.write(change)
    await slices.line_up(store, NOW_MS, take)
    await store.write(change)
    with store.read() as txn:
        stored = {key[2]: due.parts for key, due in DUE.scan(txn)}
    assert changes > 70
    assert sorted(scheduler._line.of_classes(1)) == sorted(stored)
    assert scheduler._line.parts == sum(stored.values())


async def test_only_those_whose_deadline_has_passed_are_overdue(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 3)
    found = [put(store, expires_ms=NOW_MS + 10 * place) for place in range(1, 11)]
    assert await slices.overdue(store, [*found, SIM, OTHER_SIM], NOW_MS + 40) == found[:4]
