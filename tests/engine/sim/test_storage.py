"""Slots and their numbers."""

import pytest

from engine.sim.storage import Record, Storage


def record() -> Record:
    return Record(0, "00", 0)


def test_mt_numbers_me_first_and_goes_on_with_sm() -> None:
    storage = Storage(sm_slots=2)
    assert [storage.add(record(), "MT") for _ in range(28)] == [*range(1, 28), None]
    assert storage.usage("MT") == (27, 27)
    assert storage.usage("ME") == (25, 25)
    assert storage.usage("SM") == (2, 2)
    assert storage.is_full()


def test_ssmss_1_numbers_sm_first() -> None:
    storage = Storage(sm_slots=2)
    storage.sm_first = True
    assert [storage.add(record(), "MT") for _ in range(3)] == [1, 2, 3]
    assert storage.usage("SM") == (2, 2)


def test_class_2_belongs_on_the_sim() -> None:
    storage = Storage(sm_slots=1)
    assert storage.add(record(), "MT", only_sm=True) == 26
    assert storage.add(record(), "MT", only_sm=True) is None


def test_a_freed_slot_is_the_next_to_be_filled() -> None:
    storage = Storage()
    for _ in range(3):
        storage.add(record(), "MT")
    assert storage.remove(2)
    assert not storage.remove(2)
    assert [index for index, _ in storage.list_records()] == [1, 3]
    assert storage.add(record(), "MT") == 2


@pytest.mark.parametrize("index", [0, 41, 1000])
def test_there_is_nothing_beyond_the_store(index: int) -> None:
    with pytest.raises(IndexError):
        Storage().find(index)


def test_reading_sm_alone_numbers_it_from_one() -> None:
    storage = Storage(sm_slots=2)
    held = record()
    storage.add(held, "SM")
    assert storage.find(26) is held
    storage.memories = ("SM", "SM", "SM")
    assert storage.find(1) is held
