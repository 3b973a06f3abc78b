"""engine/traffic/rests.py: SIMs that are left alone for a while."""

from engine.errors import SubmitRefused
from engine.traffic.rests import FIRST_MS, LONGEST_MS, REFUSALS, Rests

SIM, OTHER = 1, 2
BARRED = SubmitRefused("barred", cms=28)
NO_SUCH_NUMBER = SubmitRefused("no such number", cms=1)


def refuse(rests: Rests, times: int, now_ms: int = 0) -> int:
    return [rests.refused(SIM, BARRED, now_ms) for _ in range(times)][-1]


def test_a_refusal_or_two_may_be_the_messages_fault() -> None:
    rests = Rests()
    assert refuse(rests, REFUSALS - 1) == 0
    assert not rests.is_resting(SIM, 0)
    assert rests.next_end_ms(0) is None


def test_what_is_the_messages_own_fault_rests_nobody() -> None:
    rests = Rests()
    assert [rests.refused(SIM, NO_SUCH_NUMBER, 0) for _ in range(2 * REFUSALS)] == [0] * 2 * REFUSALS
    assert not rests.refusals


def test_refusals_in_a_row_rest_that_sim_alone() -> None:
    rests = Rests()
    assert refuse(rests, REFUSALS) == FIRST_MS
    assert rests.is_resting(SIM, FIRST_MS - 1)
    assert not rests.is_resting(SIM, FIRST_MS)
    assert not rests.is_resting(OTHER, 0)
    assert rests.next_end_ms(0) == FIRST_MS


def test_each_further_refusal_doubles_the_rest_up_to_a_limit() -> None:
    rests = Rests()
    refuse(rests, REFUSALS)
    assert rests.refused(SIM, BARRED, 1000) == 1000 + 2 * FIRST_MS
    assert refuse(rests, 40, 5000) == 5000 + LONGEST_MS


def test_a_part_that_was_taken_ends_all_of_it() -> None:
    rests = Rests()
    refuse(rests, REFUSALS + 3)
    rests.accepted(SIM)
    assert not rests.is_resting(SIM, 0)
    assert refuse(rests, REFUSALS - 1) == 0


def test_a_quota_rests_the_sim_whatever_the_network_takes() -> None:
    rests = Rests()
    rests.full(SIM, 5000)
    refuse(rests, REFUSALS)
    rests.accepted(SIM)
    assert rests.is_resting(SIM, 4999)
    assert not rests.is_resting(SIM, 5000)
    assert not rests.is_resting(OTHER, 0)
    assert rests.next_end_ms(0) == 5000
    assert rests.next_end_ms(5000) is None


def test_what_a_quota_says_last_counts() -> None:
    rests = Rests()
    rests.full(SIM, 5000)
    rests.full(SIM, 3000)
    assert not rests.is_resting(SIM, 3000)


def test_a_quota_is_asked_again_behind_a_clock_that_was_set() -> None:
    rests = Rests()
    refuse(rests, REFUSALS)
    rests.full(OTHER, 5000)
    rests.look_again()
    assert not rests.is_resting(OTHER, 0)
    assert rests.is_resting(SIM, 0)
