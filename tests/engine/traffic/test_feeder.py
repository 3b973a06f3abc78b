"""engine/traffic/feeder.py: what it asks of the store while there is little to do."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.crm.marketing import feeding
from engine.store.table import Txn
from engine.traffic.feeder import Feeder
from engine.wiring import TABLES
from tests.engine.crm.stage import FIRST, HOUSE, NOW_MS, PEPPER, counts, row, running
from tests.engine.traffic.year_rack import CountedStore, YearLoop

DAY_S = 86_400
ROWS = [row(FIRST + at) for at in range(30)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CountedStore]:
    opened = CountedStore(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def play(store: CountedStore, *acts: Callable[[Feeder], None], wants: Callable[[], bool] = lambda: True) -> None:
    """A feeder at work: an hour before each act and behind the last."""
    loop = YearLoop()
    loop.is_writing = lambda: store.writing > 0

    def feed(txn: Txn, now_ms: int, parts: int) -> int:
        return feeding.feed(txn, now_ms, min(parts, 10), HOUSE, PEPPER)

    feeder = Feeder(store, feed, lambda: NOW_MS + round(loop.now_s * 1000), wants)

    async def tidy() -> None:
        pass

    async def work() -> None:
        task = loop.create_task(feeder.run(tidy))
        for act in acts:
            await asyncio.sleep(3600)
            act(feeder)
        await asyncio.sleep(3600)
        task.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(work())


def test_a_rack_without_work_commits_nothing(store: CountedStore) -> None:
    commits = store.commits
    play(store)
    assert store.commits <= commits + 1


def test_a_campaign_whose_rows_all_wait_makes_nobody_write(store: CountedStore) -> None:
    group = running(store, ROWS)
    commits = store.commits
    play(store)
    assert counts(store, group) == {"queued": 30}
    assert store.commits <= commits + 4


def test_rows_that_appear_without_a_signal_are_fed(store: CountedStore) -> None:
    made: list[int] = []
    play(store, lambda _: made.append(running(store, ROWS)))
    assert counts(store, made[0]) == {"queued": 30}


def test_what_the_line_does_not_want_yet_is_fed_when_it_does(store: CountedStore) -> None:
    group = running(store, ROWS)
    is_hungry = False

    def be_hungry(feeder: Feeder) -> None:
        nonlocal is_hungry
        assert counts(store, group) == {"accepted": 30}
        is_hungry = True
        feeder.wake()

    play(store, be_hungry, wants=lambda: is_hungry)
    assert counts(store, group) == {"queued": 30}
