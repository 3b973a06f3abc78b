"""The table of one AT+CMGS, without a line: what each end means before and behind the PDU."""

import pytest

from engine.errors import ModemLost, ModemSilent, SubmitRefused, SubmitUnknown
from engine.modem.at import ERROR, OK, PROMPT, Final, Info, Line, Unsolicited
from engine.modem.submission import Submission

PDU = b"0011"
TAKEN = Info("+CMGS: 42")


def submission(*lines: Line, at_s: float = 0) -> Submission:
    begun = Submission(PDU, 1)
    assert begun.begin() == b"AT+CMGS=1\r"
    for line in lines:
        begun.hear(line, at_s)
    return begun


def test_the_pdu_follows_the_prompt_once() -> None:
    begun = submission()
    assert begun.hear(PROMPT, 0) == b"0011\x1a"
    assert begun.hear(PROMPT, 0) == b""


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        pytest.param([PROMPT, TAKEN, OK], 42, id="taken"),
        pytest.param([PROMPT, Unsolicited("RING"), TAKEN, OK], 42, id="taken while the phone rings"),
        pytest.param([PROMPT, Info("+CMGS: 255,0001"), OK], 255, id="taken, with what the network said"),
        pytest.param([PROMPT, TAKEN, ERROR], 42, id="the reference is the proof"),
    ],
)
def test_a_reference_means_accepted(lines: list[Line], outcome: int) -> None:
    assert (submission(*lines)).outcome == outcome


@pytest.mark.parametrize(
    ("lines", "cms"),
    [
        pytest.param([Final(False, cms=304)], 304, id="refused before the prompt"),
        pytest.param([Final(False, cms=500)], 500, id="before the PDU no code is ambiguous"),
        pytest.param([PROMPT, Final(False, cms=21)], 21, id="refused by the network"),
        pytest.param([PROMPT, ERROR], None, id="a bare error"),
        pytest.param([PROMPT, OK], None, id="an OK without a reference"),
        pytest.param([TAKEN, PROMPT, OK], None, id="a reference before the PDU is another's"),
    ],
)
def test_a_definite_error_means_not_sent(lines: list[Line], cms: int | None) -> None:
    outcome = (submission(*lines)).outcome
    assert isinstance(outcome, SubmitRefused)
    assert outcome.cms == cms


def test_an_ambiguous_code_behind_the_pdu_means_unknown() -> None:
    outcome = (submission(PROMPT, Final(False, cms=332))).outcome
    assert isinstance(outcome, SubmitUnknown)
    assert outcome.cms == 332


def test_an_ok_behind_a_line_that_lost_an_octet_means_unknown() -> None:
    outcome = (submission(PROMPT, Info("+CGS: 42"), OK)).outcome
    assert isinstance(outcome, SubmitUnknown)


def test_a_late_temporary_failure_means_unknown_and_an_early_one_does_not() -> None:
    for after_s, error in ((3.0, SubmitRefused), (26.0, SubmitUnknown)):
        begun = submission(PROMPT, at_s=100)
        begun.hear(Final(False, cms=41), 100 + after_s)
        assert isinstance(begun.outcome, error)


@pytest.mark.parametrize(
    ("lines", "written", "timed_out", "broken"),
    [
        pytest.param([], 0, ModemSilent, ModemLost, id="before the prompt"),
        pytest.param([PROMPT], 0, ModemSilent, ModemLost, id="no octet of the PDU left"),
        pytest.param([PROMPT], 1, SubmitUnknown, SubmitUnknown, id="one octet left"),
        pytest.param([PROMPT, TAKEN], 5, 42, 42, id="behind the reference"),
    ],
)
def test_silence_and_a_lost_line_are_judged_by_what_had_left(
    lines: list[Line], written: int, timed_out: type | int, broken: type | int
) -> None:
    silent, lost = submission(*lines), submission(*lines)
    silent.time_out(90, written)
    lost.break_off("unplugged", written)
    for outcome, expected in ((silent.outcome, timed_out), (lost.outcome, broken)):
        assert outcome == expected if isinstance(expected, int) else type(outcome) is expected
