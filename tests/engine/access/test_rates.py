"""engine/access/rates.py: so many calls at once, and then as they come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.access.rates import BUCKETS_MOST, Rates, Turn


def test_a_burst_goes_through_and_the_next_waits_for_its_turn() -> None:
    rates = Rates()
    assert rates.take(1, 60, 3, 0.0) == Turn(True, 3, 2, 1, 0)
    assert rates.take(1, 60, 3, 0.0) == Turn(True, 3, 1, 2, 0)
    assert rates.take(1, 60, 3, 0.0) == Turn(True, 3, 0, 3, 0)
    assert rates.take(1, 60, 3, 0.0) == Turn(False, 3, 0, 3, 1)
    assert rates.take(1, 60, 3, 0.9) == Turn(False, 3, 0, 3, 1)
    assert rates.take(1, 60, 3, 1.0).is_allowed
    assert not rates.take(1, 60, 3, 1.0).is_allowed


def test_how_long_a_call_would_wait_is_told_and_not_counted() -> None:
    rates = Rates()
    assert [rates.wait_s(1, 60, 1, 0.0) for _ in range(3)] == [0, 0, 0]
    assert rates.take(1, 60, 1, 0.0).is_allowed
    assert (rates.wait_s(1, 60, 1, 0.0), rates.wait_s(1, 60, 1, 0.9), rates.wait_s(1, 60, 1, 1.0)) == (1, 1, 0)


def test_without_a_burst_a_minutes_calls_may_come_at_once() -> None:
    rates = Rates()
    assert sum(rates.take(1, 10, 0, 0.0).is_allowed for _ in range(20)) == 10
    assert rates.take(1, 10, 0, 0.0).wait_s == 6


def test_each_token_has_a_bucket_of_its_own() -> None:
    rates = Rates()
    assert rates.take(1, 1, 1, 0.0).is_allowed
    assert not rates.take(1, 1, 1, 0.0).is_allowed
    assert rates.take(2, 1, 1, 0.0).is_allowed


def test_a_rate_that_was_lowered_holds_at_once() -> None:
    rates = Rates()
    assert rates.take(1, 600, 600, 0.0).remaining == 599
    assert rates.take(1, 6, 2, 0.0) == Turn(True, 2, 1, 10, 0)


@pytest.mark.parametrize("wait_s", [0, 1])
def test_who_waits_as_long_as_told_is_let_in(wait_s: int) -> None:
    rates = Rates()
    at_s = 0.0
    for _ in range(50):
        turn = rates.take(7, 7, 2, at_s)
        at_s += turn.wait_s
        assert turn.is_allowed or rates.take(7, 7, 2, at_s).is_allowed
        at_s += wait_s


@given(
    per_minute=st.integers(1, 10_000),
    burst=st.integers(0, 100),
    pauses=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_what_came_back(per_minute: int, burst: int, pauses: list[float]) -> None:
    rates, at_s, allowed = Rates(), 0.0, 0
    for pause in pauses:
        at_s += pause
        turn = rates.take(1, per_minute, burst, at_s)
        allowed += turn.is_allowed
        assert 0 <= turn.remaining <= turn.limit == (burst or per_minute)
        assert turn.is_allowed == (turn.wait_s == 0)
        assert allowed <= turn.limit + at_s * per_minute / 60 + 1e-6


def test_buckets_take_no_more_room_than_they_may() -> None:
    rates = Rates()
    for token in range(BUCKETS_MOST + 10):
        rates.take(token, 1, 1, 0.0)
    assert len(rates._buckets) == BUCKETS_MOST
    assert not rates.take(BUCKETS_MOST + 9, 1, 1, 0.0).is_allowed
