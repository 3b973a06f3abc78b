"""engine/traffic/retry.py: every class of +CMS ERROR, and how long to wait."""

from random import Random

import pytest

from engine.traffic.retry import ATTEMPTS, FIRST_WAIT_MS, LONGEST_WAIT_MS, Again, Blame, GiveUp, blame, decide

PERMANENT = (1, 30, 128, 129, 130, 143, 144, 145, 159, 160, 161, 175, 176, 195, 196)
TRANSIENT = (21, 27, 38, 41, 42, 47, 127, 192, 194, 212, 255, 301, 331, 512, 522, 535)
MODEM_OR_SIM = (
    8,
    28,
    29,
    50,
    193,
    208,
    209,
    210,
    211,
    300,
    *range(310, 314),
    *range(315, 319),
    320,
    330,
    532,
)
OURS = (
    81,
    95,
    96,
    97,
    98,
    99,
    111,
    198,
    199,
    303,
    304,
    305,
    321,
    340,
    515,
    516,
    517,
    518,
    519,
    520,
    538,
    549,
    554,
)


@pytest.mark.parametrize("code", PERMANENT)
def test_what_is_wrong_with_the_message_is_final_at_once(code: int) -> None:
    assert decide(code, None, 1, Random(1)) == GiveUp("refused_by_network", permanent=True)


@pytest.mark.parametrize("code", OURS)
def test_what_is_wrong_with_our_request_is_final_and_told_apart(code: int) -> None:
    assert decide(code, None, 1, Random(1)) == GiveUp("refused_by_modem", permanent=True)


@pytest.mark.parametrize("code", TRANSIENT)
def test_what_passes_is_tried_again_anywhere(code: int) -> None:
    decision = decide(code, None, 1, Random(1))
    assert isinstance(decision, Again)
    assert blame(code) is not Blame.SIM


def test_a_busy_sim_is_asked_again() -> None:
    assert blame(314) is Blame.NETWORK


@pytest.mark.parametrize("code", MODEM_OR_SIM)
def test_what_is_wrong_with_the_sim_is_tried_on_another(code: int) -> None:
    decision = decide(code, None, 1, Random(1))
    assert isinstance(decision, Again)
    assert blame(code) is Blame.SIM


@pytest.mark.parametrize("code", [2, 126, 200, 254, 399, 534, 9999])
def test_a_number_that_nobody_knows_is_taken_for_one_that_passes(code: int) -> None:
    assert blame(code) is Blame.NETWORK


@pytest.mark.parametrize(
    "code",
    [
        332,
        500,
        pytest.param(
            521,
        ),
    ],
)
def test_an_ambiguous_code_before_the_pdu_was_given_is_tried_again(code: int) -> None:
    """Behind the PDU the driver tells these as unknown; before it nothing went."""
    assert isinstance(decide(code, None, 1, Random(1)), Again)


@pytest.mark.parametrize("cme", [14, 30, 31, 256, 258])
def test_a_busy_sim_and_a_missing_network_pass(cme: int) -> None:
    assert blame(None, cme) is Blame.NETWORK


@pytest.mark.parametrize("cme", [10, 13, 15, 262, 100])
def test_other_faults_of_the_modem_are_its_own(cme: int) -> None:
    assert blame(None, cme) is Blame.SIM


def test_an_error_without_a_number_passes() -> None:
    assert isinstance(decide(None, None, 1, Random(1)), Again)


def test_waits_double_with_a_quarter_of_jitter_and_attempts_are_bounded() -> None:
    random = Random(7)
    for attempt in range(1, ATTEMPTS):
        middle_ms = min(FIRST_WAIT_MS << (attempt - 1), LONGEST_WAIT_MS)
        waits = [decide(38, None, attempt, random) for _ in range(50)]
        assert all(
            isinstance(wait, Again) and 0.75 * middle_ms - 1 <= wait.after_ms <= 1.25 * middle_ms for wait in waits
        )
        assert len({wait.after_ms for wait in waits if isinstance(wait, Again)}) > 10
    assert decide(38, None, ATTEMPTS, random) == GiveUp("attempts_exhausted", permanent=False)
    assert decide(28, None, ATTEMPTS + 5, random) == GiveUp("attempts_exhausted", permanent=False)
