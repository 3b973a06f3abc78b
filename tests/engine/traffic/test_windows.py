"""engine/traffic/windows.py: cells that hold enough of the past and never too little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.traffic.windows import CELLS, COUNT_MOST, Window

LENGTH_MS = 60_000
CELL_MS = 1017


def window(*times_ms: int) -> Window:
    made = Window()
    for at_ms in times_ms:
        made.move(at_ms, LENGTH_MS)
        made.add(at_ms, LENGTH_MS)
    return made


def test_what_is_exactly_a_windows_length_ago_still_counts() -> None:
    held = window(1000)
    held.move(1000 + LENGTH_MS, LENGTH_MS)
    assert (held.total, held.reaches(1000)) == (1, True)
    held.move(1000 + LENGTH_MS + 1, LENGTH_MS)
    assert (held.total, held.reaches(1000)) == (0, False)


def test_room_comes_when_the_first_cell_leaves_and_not_before() -> None:
    held = window(0, 10, 5000)
    assert held.free_ms(LENGTH_MS, 4) == 0
    free_ms = held.free_ms(LENGTH_MS, 3)
    assert free_ms == 10 + LENGTH_MS + 1
    held.move(free_ms - 1, LENGTH_MS)
    assert held.free_ms(LENGTH_MS, 3) == free_ms
    held.move(free_ms, LENGTH_MS)
    assert (held.free_ms(LENGTH_MS, 3), held.total) == (0, 1)


def test_several_wait_for_as_many_and_too_many_for_an_empty_window() -> None:
    held = window(0, 5000, 9000)
    assert held.free_ms(LENGTH_MS, 4, 1) == 0
    assert held.free_ms(LENGTH_MS, 4, 2) == LENGTH_MS + 1
    assert held.free_ms(LENGTH_MS, 4, 4) == held.free_ms(LENGTH_MS, 4, 9) == 9000 + LENGTH_MS + 1


def test_no_limit_is_never_reached() -> None:
    assert window(*range(0, 5000, 10)).free_ms(LENGTH_MS, 0) == 0


def test_a_cell_that_is_full_is_followed_by_another() -> None:
    held = window(0)
    held.cells = (COUNT_MOST).to_bytes(8, "little")
    held.total = COUNT_MOST
    held.add(1, LENGTH_MS)
    assert (len(held.cells) // 8, held.total) == (2, COUNT_MOST + 1)


def test_what_is_taken_out_leaves_the_cell_it_was_in() -> None:
    held = window(0, 5000, 9000)
    held.take_out(5000)
    assert held.total == 2
    held.move(LENGTH_MS + 1, LENGTH_MS)
    assert held.total == 1
    held.move(9001 + LENGTH_MS, LENGTH_MS)
    assert held.total == 0


def test_what_went_late_counts_from_then_and_so_does_what_came_after_it() -> None:
    held = window(0, 2000)
    held.delay(0, 3000)
    assert held.free_ms(LENGTH_MS, 2) == 3000 + LENGTH_MS + 1
    held.add(3000, LENGTH_MS)
    held.move(3000 + LENGTH_MS, LENGTH_MS)
    assert held.total == 3


def test_cells_that_all_went_late_do_not_grow_without_bound() -> None:
    held = Window()
    for at_ms in range(0, 200 * CELL_MS, CELL_MS):
        held.add(at_ms, LENGTH_MS)
    assert (len(held.cells) // 8, held.total) == (CELLS, 200)


def test_cells_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="cut"):
        Window(1, -1, b"123456789").move(0, LENGTH_MS)
    with pytest.raises(ValueError, match="do not hold the 5"):
        Window(5, -1, b"").free_ms(LENGTH_MS, 3)


@given(st.lists(st.integers(0, 8000), min_size=1, max_size=300))
def test_never_too_few_are_counted_and_never_more_than_a_cell_too_many(gaps_ms: list[int]) -> None:
    held = Window()
    now_ms, times_ms = 0, list[int]()
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        held.move(now_ms, LENGTH_MS)
        least = sum(at_ms >= now_ms - LENGTH_MS for at_ms in times_ms)
        most = sum(at_ms >= now_ms - LENGTH_MS - CELL_MS for at_ms in times_ms)
        assert least <= held.total <= most
        held.add(now_ms, LENGTH_MS)
        times_ms.append(now_ms)
        assert len(held.cells) <= CELLS * 8
