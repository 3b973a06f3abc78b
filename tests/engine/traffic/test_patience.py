"""engine/traffic/patience.py: how long a turn waits for more."""

import pytest

from engine.traffic.patience import BEGIN_AT_ONCE, HURRIED_MS, LEAST_S, LEISURE_S, MOST_S, PACE_S, Patience

QUICK_MS, SLOW_MS = HURRIED_MS - 1, HURRIED_MS


def of(change_s: float, air_ms: int) -> Patience:
    """Behind many changes that took so long, and a part that was so long in the air."""
    patience = Patience()
    for _ in range(100):
        patience.took(change_s)
    patience.lasted(air_ms)
    return patience


@pytest.mark.parametrize("has_idle", [True, False])
@pytest.mark.parametrize(
    ("change_s", "wait_s"), [(LEAST_S * 0.9, 0), (LEAST_S * 1.1, LEAST_S * 1.1), (3 * MOST_S, MOST_S)]
)
def test_modems_that_need_no_time_wait_as_long_as_a_change_takes_and_not_for_a_quick_one(
    has_idle: bool, change_s: float, wait_s: float
) -> None:
    assert of(change_s, QUICK_MS).wait_s(has_idle=has_idle) == pytest.approx(wait_s, rel=0.01)


def test_one_slow_change_is_no_reason_to_wait() -> None:
    patience = of(0.001, QUICK_MS)
    patience.took(0.015)
    assert patience.wait_s(has_idle=True) == 0


def test_what_ends_while_all_modems_have_another_part_can_wait_for_the_like() -> None:
    assert of(0.001, SLOW_MS).wait_s(has_idle=False) == LEISURE_S < HURRIED_MS / 1000
    assert of(0.001, SLOW_MS).wait_s(has_idle=True) == 0
    assert of(1.0, SLOW_MS).wait_s(has_idle=True) == 0


def test_modems_that_begin_a_few_at_once_leave_some_time_before_the_next_do() -> None:
    patience = of(0.001, SLOW_MS)
    assert patience.begin_most(3) == BEGIN_AT_ONCE
    assert patience.wait_s(has_idle=True) == PACE_S
    assert patience.begin_most(1) == 1
    assert patience.wait_s(has_idle=True) == 0
    patience.lasted(QUICK_MS)
    assert patience.begin_most(64) == 64
    assert patience.wait_s(has_idle=True) == 0


def test_modems_whose_parts_take_time_begin_a_few_at_once_and_others_all_however_slow_the_disk_is() -> None:
    assert Patience().begin_most(64) == BEGIN_AT_ONCE
    assert of(0.001, SLOW_MS).begin_most(64) == BEGIN_AT_ONCE
    for change_s in (0.001, 0.007, 1.0):
        assert of(change_s, QUICK_MS).begin_most(64) == 64
