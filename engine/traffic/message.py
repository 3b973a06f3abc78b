"""A message and its parts: the record, its states, and what is said about one before it may go.

A message shows the lowest state of its parts (failed < unknown < sending < sent < undelivered < delivered); a part
without an intent counts as sending once another part has one.

`group` is opaque here: a campaign's id, or 0.  Where messages are kept is not known here.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from engine import sms
from engine.store import ids
from engine.store.table import Txn

OUTCOMELESS: Final = -1


class State(IntEnum):
    """The states of engine messages; the slug on the wire is the name in lower case."""

    ACCEPTED = 0
    QUEUED = 1
    HELD = 2
    SENDING = 3
    SENT = 4
    DELIVERED = 5
    UNDELIVERED = 6
    UNKNOWN = 7
    SUPPRESSED = 8
    CANCELLED = 9
    EXPIRED = 10
    FAILED = 11

    @property
    def slug(self) -> str:
        """As JSON and events show it."""
        return self.name.lower()


WAITING: Final = frozenset({State.ACCEPTED, State.QUEUED, State.HELD})
OPEN: Final = WAITING | {State.SENDING}
# The lowest of its parts is what a message shows.
_LADDER: Final = (
    State.FAILED,
    State.UNKNOWN,
    State.SENDING,
    State.SENT,
    State.UNDELIVERED,
    State.DELIVERED,
)
# States that are told as events; the others are nobody's news.
NEWS: Final = frozenset(
    {State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED, State.UNKNOWN, State.SUPPRESSED, State.EXPIRED}
)


class Lane(IntEnum):
    """Highest first."""

    OTP = 0
    HIGH = 1
    NORMAL = 2
    BULK = 3


class OnUnknown(IntEnum):
    """What becomes of a part of which nobody can prove whether it went."""

    HOLD = 0
    AWAIT_REPORT = 1
    RESEND = 2


class Resolution(StrEnum):
    """What a person may say of an unknown message."""

    SENT = "sent"
    FAILED = "failed"
    RESEND = "resend"


PURPOSES: Final = ("marketing", "survey", "research", "service", "transactional", "legal")


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One TPDU.  `sim` is the IMSI as a number, `reference` the modem's TP-MR or -1, `outcome` the TP-ST or -1, which
    was reported at `reported_ms`.
    """

    state: State = State.QUEUED
    sim: int = 0
    reference: int = -1
    attempt: int = 0
    sent_ms: int = 0
    outcome: int = OUTCOMELESS
    reported_ms: int = 0


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What one person is sent.  `number` is E.164 as an integer; times are epoch milliseconds, 0 for none."""

    id: int
    number: int
    text: str
    purpose: str = "service"
    lane: Lane = Lane.NORMAL
    group: int = 0
    client_ref: str = ""
    source: str = "api"
    alphabet: str = "auto"
    wants_report: bool = False
    on_unknown: OnUnknown = OnUnknown.HOLD
    concatenation: int = 0
    not_before_ms: int = 0
    expires_ms: int = 0
    in_reply_to: int = 0
    weight: int = 1
    tag: str = ""
    state: State = State.QUEUED
    reason: str = ""
    error: int = -1
    due_ms: int = 0
    updated_ms: int = 0
    parts: tuple[Part, ...] = (Part(),)
    national: str = "off"
    transliterate: bool = False
    flash: bool = False
    packed_row: int = -1  # where it is a row of a sheet still, and no record of its own
    sim: int = 0  # the one that its sender wants it to go by

    @property
    def size(self) -> int:
        """Its parts."""
        return len(self.parts)

    @property
    def waiting_parts(self) -> int:
        """Those of its parts that nobody has claimed."""
        return sum(part.state is State.QUEUED for part in self.parts)

    def on_line_ms(self, now_ms: int) -> int:
        """When a part of it went last: now, where one is in the air; 0 where none ever was."""
        if any(part.state is State.SENDING for part in self.parts):
            return now_ms
        return max(part.sent_ms for part in self.parts)


class Asked(Protocol):
    """What the gate is asked about: a message, or a row that stands in the line as if it were one."""

    @property
    def id(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def group(self) -> int: ...
    @property
    def purpose(self) -> str: ...
    @property
    def lane(self) -> Lane: ...
    @property
    def state(self) -> State: ...
    @property
    def in_reply_to(self) -> int: ...
    @property
    def expires_ms(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def sim(self) -> int: ...
    @property
    def tag(self) -> str: ...
    @property
    def packed_row(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def waiting_parts(self) -> int: ...
    def on_line_ms(self, now_ms: int) -> int: ...


class Due(msgspec.Struct, frozen=True, array_like=True):
    """What the scheduler must know of a waiting message: `sim` is the one its earlier parts left by, or 0.

    The others say which routes it has: `wanted` is the SIM that its sender asked for, `refused_by` the one that could
    not send it, or 0.  An entry of before there were routes has no number.
    """

    group: int
    parts: int
    weight: int
    sim: int
    number: int = 0
    tag: str = ""
    purpose: str = ""
    wanted: int = 0
    refused_by: int = 0


class Pick(msgspec.Struct, frozen=True):
    """A message whose next part the scheduler would like to send, and by which SIM."""

    message: int
    sim: int


class Verdict(msgspec.Struct, frozen=True):
    """What the gate says to a pick: `state` SENDING sends it; QUEUED or HELD keeps it (`until_ms` 0: until somebody
    resumes its group); SUPPRESSED, CANCELLED and EXPIRED end it.
    """

    state: State
    reason: str = ""
    until_ms: int = 0

    @property
    def sends(self) -> bool:
        """Whether the part may go."""
        return self.state is State.SENDING


SEND: Final = Verdict(State.SENDING)


class Sending(StrEnum):
    """Whether a group's messages may be picked: told by one small write, however many there are."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"


Gate = Callable[[Txn, Sequence[Asked], int], list[Verdict]]
Feed = Callable[[Txn, int, int], int]
# A number, whether a text reached it or never will, and when: told in the change that learns it.
Told = Callable[[Txn, int, bool, int], None]


def name(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("msg", identifier)


def envelope(message: Message, validity_s: int | None = None) -> sms.Envelope:
    """All that its parts say but the text: what is measured and what is sent have the same."""
    return _envelope(
        message.alphabet, message.national, message.transliterate, message.flash, message.wants_report, validity_s
    )


def envelope_of_row(validity_s: int, *, wants_report: bool) -> sms.Envelope:
    """The same for a row of a campaign."""
    return _envelope("auto", "off", False, False, wants_report, validity_s)


# Neighbours say the same, and to make one takes as long as to encode a text.
@lru_cache(maxsize=1024)
def _envelope(
    alphabet: str, national: str, transliterate: bool, flash: bool, wants_report: bool, validity_s: int | None
) -> sms.Envelope:
    return sms.Envelope(
        alphabet=alphabet,
        national=national,
        transliterate=transliterate,
        message_class=0 if flash else None,
        validity_s=validity_s,
        wants_report=wants_report,
    )


def refused_by(message: Message) -> int:
    """The SIM that could not send the part which is next, 0 where none tried."""
    return next((part.sim for part in message.parts if part.state is State.QUEUED), 0)


def pinned_to(message: Message) -> int:
    """The SIM by which parts of the message went, so that the others must follow; 0 where none did."""
    return next((part.sim for part in message.parts if part.state not in (State.QUEUED, State.FAILED)), 0)


def rolled_up(parts: tuple[Part, ...]) -> State:
    """The state that a message with these parts shows; at least one of them must have been claimed once."""
    present = {State.SENDING if part.state is State.QUEUED else part.state for part in parts}
    return next(state for state in _LADDER if state in present)


def concatenation_of(identifier: int) -> int:
    """The reference that joins the message's parts: neighbours of one millisecond differ in the id's counter, others in
    its time.
    """
    return (identifier ^ identifier >> ids.COUNTER_BITS) & 0xFF
