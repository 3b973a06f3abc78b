"""Messages and their parts: the record, its states, its tables, and how a message comes in and leaves.

A message shows the lowest state of its parts (failed < unknown < sending < sent < undelivered < delivered); a part
without an intent counts as sending once another part has one.  Every change of state moves one unit in TALLY in
the same transaction, so counters are exact at every moment.

    DUE holds an entry for a message exactly as long as one of its parts still has to be claimed.

`group` is opaque here: a campaign's id, or 0.  Knows no campaigns and no modems.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum, StrEnum
from typing import Any, Final

import msgspec

from engine import numbers, sms
from engine.errors import CodecError, Conflict, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Index, Line, Table, Txn
from engine.traffic import events

DEADLINE_MS: Final = 24 * 3_600_000  # what a message without `expires_at` gets
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
_NEWS: Final = frozenset(
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


class Due(msgspec.Struct, frozen=True, array_like=True):
    """What the scheduler must know of a waiting message: `sim` is the one its earlier parts left by, or 0."""

    group: int
    parts: int
    weight: int
    sim: int


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


Gate = Callable[[Txn, "list[Message]", int], "list[Verdict]"]
Feed = Callable[[Txn, int, int], int]

MESSAGES: Final = Table("messages", Message)
DUE: Final = Line("due", Due, "BQQ")  # lane, due_ms, id
BY_NUMBER: Final = Index("messages_by_number", "QQ")  # number, id
TALLY: Final = Table("tally", int, "QB")  # group, state
GROUPS: Final = Line("groups", str)  # group -> Sending

TABLES: Final = (MESSAGES, DUE, BY_NUMBER, TALLY, GROUPS)


def name(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("msg", identifier)


# -- counting


def count(txn: Txn, group: int, state: State, units: int) -> None:
    """Add `units` to the tally of a group's messages in `state`."""
    if not units:
        return
    total = (TALLY.find(txn, (group, state)) or 0) + units
    if total:
        TALLY.put(txn, (group, state), total)
    else:
        TALLY.remove(txn, (group, state))


def tally(txn: Txn, group: int) -> dict[State, int]:
    """How many of a group's messages are in each state; states with none are left out."""
    return {State(state): units for (_, state), units in TALLY.scan(txn, group)}


# -- coming in


def envelope(message: Message, validity_s: int | None = None) -> sms.Envelope:
    """All that its parts say but the text: what is measured and what is sent have the same."""
    return sms.Envelope(
        alphabet=message.alphabet,
        national=message.national,
        transliterate=message.transliterate,
        message_class=0 if message.flash else None,
        validity_s=validity_s,
        wants_report=message.wants_report,
    )


def enqueue(txn: Txn, message: Message, now_ms: int) -> Message:
    """Store a new message and put it in the due line; returns it with its id, parts and deadline filled in.

    Raises CodecError where the text does not fit into 255 parts, Invalid where the deadline has passed.
    """
    identifier = message.id or ids.take(txn, now_ms)
    expires_ms = message.expires_ms or max(now_ms, message.not_before_ms) + DEADLINE_MS
    if expires_ms <= max(now_ms, message.not_before_ms):
        raise Invalid(InvalidParam("expires_at", "is not after the time the message may go"))
    parts = sms.measure(message.text, envelope(message)).parts
    later = message.not_before_ms > now_ms
    message = msgspec.structs.replace(
        message,
        id=identifier,
        # Consecutive messages of one millisecond differ in the counter, others in the time.
        concatenation=(identifier ^ identifier >> ids.COUNTER_BITS) & 0xFF,
        expires_ms=expires_ms,
        state=State.ACCEPTED if later else State.QUEUED,
        due_ms=max(now_ms, message.not_before_ms),
        updated_ms=now_ms,
        parts=(Part(),) * parts,
    )
    MESSAGES.put(txn, identifier, message)
    BY_NUMBER.add(txn, message.number, identifier)
    count(txn, message.group, message.state, 1)
    line_up(txn, message)
    return message


def record_ended(txn: Txn, message: Message, verdict: Verdict, now_ms: int) -> None:
    """Store a message that ends before it could wait: a row that the gate turned away."""
    try:
        parts = (Part(),) * sms.measure(message.text, envelope(message)).parts
    except CodecError:
        # It goes nowhere: that it could not have gone either is nobody's concern.
        parts = (Part(),)
    message = msgspec.structs.replace(
        message, state=verdict.state, reason=verdict.reason, updated_ms=now_ms, parts=parts
    )
    MESSAGES.put(txn, message.id, message)
    BY_NUMBER.add(txn, message.number, message.id)
    count(txn, message.group, message.state, 1)
    _tell(txn, message, now_ms)


# -- changing


def pinned_to(message: Message) -> int:
    """The SIM by which parts of the message went, so that the others must follow; 0 where none did."""
    return next((part.sim for part in message.parts if part.state not in (State.QUEUED, State.FAILED)), 0)


def line_up(txn: Txn, message: Message) -> None:
    """Put the message's entry into the due line."""
    sim = pinned_to(message)
    waiting = sum(part.state is State.QUEUED for part in message.parts)
    due = Due(message.group, waiting, message.weight, sim)
    DUE.put(txn, (message.lane, message.due_ms, message.id), due)


def leave_line(txn: Txn, message: Message) -> None:
    """Take the message's entry out of the due line, if it is there."""
    DUE.remove(txn, (message.lane, message.due_ms, message.id))


def store(txn: Txn, old: Message, new: Message, now_ms: int) -> Message:
    """Write `new` over `old`: the tally moves with the state, and news becomes an event."""
    new = msgspec.structs.replace(new, updated_ms=now_ms)
    MESSAGES.put(txn, new.id, new)
    if new.state is not old.state:
        count(txn, old.group, old.state, -1)
        count(txn, new.group, new.state, 1)
        _tell(txn, new, now_ms)
    return new


def _tell(txn: Txn, message: Message, now_ms: int) -> None:
    if message.state in _NEWS:
        detail: dict[str, Any] = {"reason": message.reason} if message.reason else {}
        if message.error >= 0:
            detail["cms_error"] = message.error
        if message.group:
            detail["campaign_id"] = ids.render("cmp", message.group)
        events.append(txn, f"message.{message.state.slug}", now_ms, name(message.id), **detail)


def end(txn: Txn, message: Message, state: State, reason: str, now_ms: int) -> Message:
    """Take a message that has no open intent out of the line, for good."""
    leave_line(txn, message)
    return store(txn, message, msgspec.structs.replace(message, state=state, reason=reason), now_ms)


def rolled_up(parts: tuple[Part, ...]) -> State:
    """The state that a message with these parts shows; at least one of them must have been claimed once."""
    present = {State.SENDING if part.state is State.QUEUED else part.state for part in parts}
    return next(state for state in _LADDER if state in present)


def cancel(txn: Txn, identifier: int, now_ms: int) -> Message:
    """End a message of which no part was given to a modem.  Raises NotFound, Conflict once it is on its way."""
    message = MESSAGES.get(txn, identifier)
    if message.state is State.CANCELLED:
        return message
    if message.state not in WAITING:
        raise Conflict(f"the message is {message.state.slug}: it can no longer be cancelled")
    return end(txn, message, State.CANCELLED, "by_request", now_ms)


def withdraw(txn: Txn, number: int, wanted: Callable[[Message], bool], reason: str, now_ms: int) -> int:
    """Suppress every waiting message to `number` that is `wanted`; how many there were."""
    ended = 0
    for _, identifier in list(BY_NUMBER.scan(txn, number)):
        message = MESSAGES.get(txn, identifier)
        if message.state in WAITING and wanted(message):
            end(txn, message, State.SUPPRESSED, reason, now_ms)
            ended += 1
    return ended


def cancel_all(txn: Txn, identifiers: list[int], reason: str, now_ms: int) -> int:
    """Cancel those of the messages that still wait; how many there were."""
    ended = 0
    for identifier in identifiers:
        message = MESSAGES.find(txn, identifier)
        if message is not None and message.state in WAITING:
            end(txn, message, State.CANCELLED, reason, now_ms)
            ended += 1
    return ended


# -- looking up


def listed(txn: Txn, number: str | None, before: int, limit: int) -> Iterator[Message]:
    """Messages newest first, those to `number` only where one is given, older than id `before` (0: from the newest)."""
    if number is None:
        for _, message in MESSAGES.scan(txn, after=before or None, reverse=True):
            if limit <= 0:
                return
            limit -= 1
            yield message
        return
    key = numbers.to_key(number)
    after = (key, before) if before else None
    for _, identifier in BY_NUMBER.scan(txn, key, after=after, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield MESSAGES.get(txn, identifier)
