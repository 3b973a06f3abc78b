"""What to do next with a modem that went wrong: the rungs, where to begin, and when one may begin at the
bottom again.

No I/O and no clock: tc35i does what the rung says.
"""

from enum import IntEnum

from engine.errors import CommandRefused, ModemError, ModemLost, SubmitRefused, SubmitUnknown
from engine.modem.submission import Submission

# No SIM, wrong SIM, PIN or PUK: nothing that a restart mends (3GPP TS 27.007 §9.2, 27.005 §3.2.5).
_SIM_CME = frozenset({10, 11, 12, 13, 15, 18, 262})
_SIM_CMS = frozenset({310, 311, 312, 313, 315, 316, 317, 318})


class Rung(IntEnum):
    """The ladder, lowest first.

    ESC and AT; the settings again; AT+CFUN=1,1; the port opened again; wait, each time twice as long.
    """

    WAKE = 0
    START = 1
    RESTART = 2
    REOPEN = 3
    QUARANTINE = 4


class Fault(ModemError):
    """What the line or the modem did that is no answer to a command; recovery begins at `rung` or higher."""

    def __init__(self, reason: str, rung: Rung) -> None:
        super().__init__(reason)
        self.rung = rung


class Ladder:
    """Where one modem stands.  Every trouble begins one rung above the last, until the modem proves its
    health.
    """

    def __init__(self, first_wait_s: float, longest_wait_s: float) -> None:
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._wait_s = first_wait_s
        self._rung = 0
        # A submit had no end and none has had one since: then an answer to AT proves nothing.
        self._is_doubted = False

    @property
    def is_at_the_bottom(self) -> bool:
        """Whether `reset` would change nothing."""
        return not self._rung and not self._is_doubted and self._wait_s == self._first_wait_s

    def look(self, trouble: ModemError, is_started: bool) -> Rung:
        """The rung that `trouble` calls for.  A modem never set up to the end is not helped by an AT that
        works.
        """
        return Rung(max(self._rung, lowest_rung(trouble), Rung.WAKE if is_started else Rung.START))

    def climb(self, trouble: ModemError, is_started: bool) -> Rung:
        """As `look`, and step on it."""
        rung = self.look(trouble, is_started)
        self._rung = min(rung + 1, Rung.QUARANTINE)
        return rung

    def next_wait_s(self) -> float:
        """How long this quarantine lasts; the next is twice as long."""
        wait_s = self._wait_s
        self._wait_s = min(2 * wait_s, self._longest_wait_s)
        return wait_s

    def reset(self) -> None:
        """Begin at the bottom: a submit had a definite end, or the port was plugged in anew."""
        self._rung = 0
        self._is_doubted = False
        self._wait_s = self._first_wait_s

    def note_housekeeping(self) -> None:
        """All questions were answered: proof enough unless a submit was not."""
        if not self._is_doubted:
            self.reset()

    def note_end(self, job: Submission) -> Fault | None:
        """A submit has its outcome; what that says about the modem, where it says something bad."""
        outcome = job.outcome
        if job.is_suspect:
            self._is_doubted = True
        elif not isinstance(outcome, ModemError):
            self.reset()
            return None
        elif isinstance(outcome, SubmitRefused) or (isinstance(outcome, SubmitUnknown) and outcome.cms is not None):
            # The modem said so, and so is alive.
            self.reset()
        return fault_behind(job)


def lowest_rung(trouble: ModemError) -> Rung:
    """Where recovery from `trouble` begins."""
    if isinstance(trouble, Fault):
        return trouble.rung
    if isinstance(trouble, ModemLost):
        return Rung.REOPEN
    if isinstance(trouble, CommandRefused):
        return Rung.QUARANTINE if is_about_sim(trouble) else Rung.START
    return Rung.WAKE


def is_about_sim(refused: CommandRefused) -> bool:
    """Whether the SIM is away, locked or wrong."""
    return refused.cme in _SIM_CME or refused.cms in _SIM_CMS


def fault_behind(submission: Submission) -> Fault | None:
    """What a submission's end says about the modem, where it says something bad."""
    if submission.is_suspect:
        return Fault("a submit was left without an end", Rung.WAKE)
    outcome = submission.outcome
    if isinstance(outcome, CommandRefused) and is_about_sim(outcome):
        return Fault(str(outcome), Rung.START)
    return None
