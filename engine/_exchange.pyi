"""Stub of _exchange.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from collections.abc import Callable
from typing import Any

from typing_extensions import disjoint_base

from engine._at import Reader, Submission
from engine._wire import Ear, Wire

OUT: int
BUSY: int
RESTING: int
FREE: int
SENDING: int

@disjoint_base
class Exchange(Ear):
    """Submits parts over `wire`, one at a time.  Times are the clock's, in seconds."""

    final_s: float
    watch_s: float
    def __init__(
        self,
        wire: Wire,
        reader: Reader,
        clock: Callable[[], float],
        prompt_timeout_s: float,
        result_timeout_s: float,
        answer_timeout_s: float,
        on_submitted: Callable[[Submission], None],
        on_given: Callable[[Submission], None] | None,
    ) -> None: ...
    @property
    def wire(self) -> Wire: ...
    @property
    def reader(self) -> Reader: ...
    @property
    def submission(self) -> Submission | None: ...
    @property
    def prompt_timeout_s(self) -> float: ...
    @property
    def result_timeout_s(self) -> float: ...
    @property
    def answer_timeout_s(self) -> float: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def deadline_s(self) -> float: ...
    @property
    def heard_s(self) -> float: ...
    def submit(self, job: Submission) -> bool:
        """Begin an AT+CMGS at once; whoever asks has kept the gap.  False if it was withdrawn."""

    def finish(self, job: Submission) -> None:
        """Take `job`, which has its outcome, off the line, and tell it."""

    def expect(self, timeout_s: float) -> None:
        """Set the deadline `timeout_s` from now."""

    def heed(self, line: Any) -> None:
        """A line that belongs to no submission."""

    def watch(self, deadline_s: float) -> None:
        """Let the timer come at `deadline_s`, and set `watch_s`."""

@disjoint_base
class Hand:
    """What one modem has on the line and what goes next, which is `ahead`."""

    phase: int
    ahead: Submission | None
    exchange: Exchange | None
    is_held: bool
    is_retiring: bool
    sent: int
    def __init__(
        self,
        on_wanted: Callable[[Any], None],
        on_done: Callable[[Any, Submission], None],
        on_given: Callable[[Any, Submission], None] | None,
    ) -> None: ...
    @property
    def on_wanted(self) -> Callable[[Any], None]: ...
    @property
    def on_done(self) -> Callable[[Any, Submission], None]: ...
    @property
    def on_given(self) -> Callable[[Any, Submission], None] | None: ...
    @property
    def is_free(self) -> bool:
        """Whether a job given now is written to the line now: nothing is there, nothing is ahead."""

    def give(self, job: Submission) -> None:
        """Begin `job` now, or as soon as what is on the line, the gap, a reading or housekeeping is over.

        Raises Conflict where another job is ahead, or `job` was given before.
        """

    def begin(self) -> None:
        """Write the AT+CMGS of the job ahead; without one the modem is free."""

    def ask(self) -> None:
        """Ask for a job where none is ahead."""

    def given(self, job: Submission) -> None:
        """The first octet of its PDU is about to be written."""

    def submitted(self, job: Submission) -> None:
        """A submission has its outcome: begin the next, then tell."""

    def settle(self, job: Submission) -> None:
        """A submission has its outcome, and that is not all that there is to see to."""

    def refuse(self, job: Submission) -> None:
        """A job that cannot be taken was given."""
