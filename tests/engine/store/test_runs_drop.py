"""engine/store/runs.py: a key that is dropped is found in no run and no page, and every other is found as before."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine.errors import Conflict
from engine.store.environment import Store
from engine.store.runs import FAN_IN, Runs
from tests.engine.store.test_runs import octets

RUNS = Runs("numbers")
PAGES, HEADS = RUNS.tables
KEYS = range(8_613_900_000_000, 8_613_900_000_400)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", RUNS.tables)
    yield opened
    opened.close()


def publish(store: Store, run: int, pairs: list[tuple[int, int]]) -> None:
    store.write_now(RUNS.write, run, octets(pairs))
    store.write_now(RUNS.publish, [run])


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_dropped_the_others_are_there(store: Store, seed: int) -> None:
    random = Random(seed)
    kept: set[tuple[int, int]] = set()
    first = 1
    for run in range(1, FAN_IN):
        many = random.choice((1, 5, 3_000))
        # Some keys have more pairs than a page holds.
        pairs = [(random.choice(KEYS[:3] if random.random() < 0.3 else KEYS), first + at) for at in range(many)]
        first += many
        publish(store, run, pairs)
        kept |= set(pairs)
    for key in [*random.sample(KEYS, 40), KEYS[0], KEYS[1], KEYS[-1], KEYS[0], 1, (1 << 63) - 1]:
        gone = {pair for pair in kept if pair[0] == key}
        assert store.write_now(RUNS.drop, key) == len(gone)
        kept -= gone
        with store.read() as txn:
            assert set(RUNS.scan(txn)) == kept
            assert list(RUNS.find(txn, key)) == []
            assert RUNS.count(txn) == len(kept)
    # It is merged as any other.
    for run in range(20, 20 + FAN_IN):
        publish(store, run, [(KEYS[7], first + run)])
        kept.add((KEYS[7], first + run))
    while store.write_now(RUNS.merge, 2):
        with store.read() as txn:
            assert set(RUNS.scan(txn)) == kept
    with store.read() as txn:
        assert set(RUNS.scan(txn)) == kept


def test_the_last_pair_of_a_run_takes_the_run_along(store: Store) -> None:
    publish(store, 1, [(7, 1), (7, 2)])
    assert store.write_now(RUNS.drop, 7) == 2
    with store.read() as txn:
        assert (PAGES.count(txn), HEADS.count(txn)) == (0, 0)


def test_nothing_is_dropped_while_runs_are_merged(store: Store) -> None:
    for run in range(1, FAN_IN + 1):
        publish(store, run, [(key, run * 1_000_000 + at) for at, key in enumerate(KEYS)] * 5)
    assert store.write_now(RUNS.merge, 1)
    with pytest.raises(Conflict, match="under way"):
        store.write_now(RUNS.drop, KEYS[0])
    while store.write_now(RUNS.merge, 32):
        pass
    assert store.write_now(RUNS.drop, KEYS[0]) == FAN_IN
