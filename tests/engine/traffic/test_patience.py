"""engine/traffic/patience.py: how long a turn waits for more."""

import pytest

from engine.traffic.patience import LEAST_S, MOST_S, UNHURRIED_PER_S, Patience

MODEMS = 8
QUICK = UNHURRIED_PER_S * MODEMS + 1.0
SLOW = UNHURRIED_PER_S * MODEMS - 1.0


def after_changes_of(change_s: float) -> Patience:
    patience = Patience()
    for _ in range(100):
        patience.took(change_s)
    return patience


@pytest.mark.parametrize("has_idle", [True, False])
@pytest.mark.parametrize(
    ("change_s", "wait_s"), [(LEAST_S * 0.9, 0), (LEAST_S * 1.1, LEAST_S * 1.1), (3 * MOST_S, MOST_S)]
)
def test_modems_that_need_no_time_wait_as_long_as_a_change_takes_and_not_for_a_quick_one(
    has_idle: bool, change_s: float, wait_s: float
) -> None:
    assert after_changes_of(change_s).wait_s(has_idle, QUICK, MODEMS) == pytest.approx(wait_s, rel=0.01)


def test_one_slow_change_is_no_reason_to_wait() -> None:
    patience = after_changes_of(0.001)
    patience.took(0.015)
    assert patience.wait_s(True, QUICK, MODEMS) == 0


def test_what_ends_while_all_modems_have_another_part_can_wait_for_the_like() -> None:
    patience = after_changes_of(0.001)
    assert patience.wait_s(False, SLOW, MODEMS) == MOST_S
    assert patience.wait_s(True, SLOW, MODEMS) == 0
