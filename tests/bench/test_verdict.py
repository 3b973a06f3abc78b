"""bench/kill/verdict.py: which unknown messages the drill excuses, and which it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.kill.verdict import undecidable
from bench.rig import Submitted
from engine import numbers
from engine.store.environment import Store
from engine.traffic.unproven import UNPROVEN, Unproven
from engine.wiring import TABLES
from tests.engine.traffic.stage import NUMBER, OTHER_SIM, SIM, put

TEXTS = ("one", "two", "three")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def went(*places: int) -> list[Submitted]:
    """The parts of a message of three in the ledger."""
    return [Submitted(numbers.from_key(NUMBER), TEXTS[place], (7, 3, place + 1), "") for place in places]


def unknown(store: Store, *places: int, after: int = 10, sim: int = SIM, identifier: int = 0) -> int:
    message = identifier or put(store, 3, client_ref="one")
    for place in places:
        store.write_now(UNPROVEN.put, (sim, message, place), Unproven(NUMBER, after, 6, 1000 + place, -1, 20))
    return message


def excused(store: Store, *places: int) -> set[str]:
    with store.read() as txn:
        return undecidable(txn, went(*places))


@pytest.mark.parametrize(
    ("tried", "is_excused"),
    [
        pytest.param((), False, id="none was tried: the next reference says so"),
        pytest.param((0,), True, id="the first was, the second not"),
        pytest.param((1,), True, id="the second was, the first not"),
        pytest.param((0, 1), False, id="both were: their reports say so"),
    ],
)
def test_two_unknown_parts_to_one_number_are_excused_where_one_of_them_was_tried(
    store: Store, tried: tuple[int, ...], is_excused: bool
) -> None:
    unknown(store, 0, 1)
    assert excused(store, *tried, 2) == ({"one"} if is_excused else set())


@pytest.mark.parametrize("tried", [(), (0,)])
def test_one_unknown_part_is_never_excused(store: Store, tried: tuple[int, ...]) -> None:
    unknown(store, 0)
    assert excused(store, *tried) == set()


def test_parts_with_another_reference_or_sim_between_them_are_not_excused(store: Store) -> None:
    message = unknown(store, 0)
    unknown(store, 1, after=11, identifier=message)
    unknown(store, 2, sim=OTHER_SIM, identifier=message)
    assert excused(store, 0) == set()


def test_a_message_one_of_whose_parts_could_be_told_is_not_excused(store: Store) -> None:
    message = unknown(store, 0, 1)
    unknown(store, 2, after=15, identifier=message)
    assert excused(store, 0) == set()
