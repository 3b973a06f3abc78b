"""engine/traffic/sticky.py: who keeps a number, and for how long."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.environment import Store
from engine.traffic import sticky
from engine.traffic.sticky import CONFIRMED_MS, KEPT, KEPT_MS
from tests.engine.traffic.stage import NOW_MS, NUMBER, OTHER_NUMBER, OTHER_SIM, SIM


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", sticky.TABLES)
    yield opened
    opened.close()


def keeper(store: Store, number: int = NUMBER) -> int:
    with store.read() as txn:
        return sticky.of(txn, number)


def test_the_last_sim_that_texted_a_number_keeps_it(store: Store) -> None:
    assert keeper(store) == 0
    store.write_now(sticky.note, NUMBER, SIM, NOW_MS)
    assert (keeper(store), keeper(store, OTHER_NUMBER)) == (SIM, 0)
    store.write_now(sticky.note, NUMBER, OTHER_SIM, NOW_MS + 1)
    assert keeper(store) == OTHER_SIM


def test_who_stays_is_written_again_only_after_days(store: Store) -> None:
    for at_ms in (NOW_MS, NOW_MS + 1, NOW_MS + CONFIRMED_MS - 1):
        store.write_now(sticky.note, NUMBER, SIM, at_ms)
        with store.read() as txn:
            assert KEPT.get(txn, NUMBER).at_ms == NOW_MS
    store.write_now(sticky.note, NUMBER, SIM, NOW_MS + CONFIRMED_MS)
    with store.read() as txn:
        assert KEPT.get(txn, NUMBER).at_ms == NOW_MS + CONFIRMED_MS


def test_numbers_that_nobody_texted_for_long_are_forgotten_a_few_at_a_time(store: Store) -> None:
    for number in range(1, 11):
        store.write_now(sticky.note, number, SIM, NOW_MS + (0 if number % 2 else KEPT_MS))
    horizon_ms = NOW_MS + 1
    place: int | None = 0
    steps = 0
    while place is not None:
        place = store.write_now(sticky.forget, place, horizon_ms, 4)
        steps += 1
    assert steps == 3
    assert [keeper(store, number) for number in range(1, 11)] == [0, SIM] * 5
