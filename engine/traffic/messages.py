"""Messages: where they are kept, and how one comes in, changes and leaves.

Most have a record; a row of a campaign has none as long as its slot can say what became of it (sheets.py), and gets
one with the first change that a slot cannot hold.  Every change of state moves one unit in TALLY in the same
transaction, so counters are exact at every moment.  A row that ends before it was fed was never counted as accepted:
there the tally is below zero until its turn has come.

    DUE holds an entry for a message with a record exactly as long as one of its parts still has to be claimed.

`group` is opaque here: a campaign's id, or 0.  Knows no campaigns and no modems.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from engine import numbers, sms
from engine.errors import CodecError, Conflict, Invalid, InvalidParam, NotFound
from engine.store import ids
from engine.store.runs import Runs
from engine.store.table import Index, Keyed, Line, Note, Table, Txn
from engine.traffic import events, sheets, slots
from engine.traffic.message import (
    NEWS,
    OPEN,
    PURPOSES,
    SEND,
    WAITING,
    Asked,
    Due,
    Feed,
    Gate,
    Lane,
    Message,
    OnUnknown,
    Part,
    Pick,
    Resolution,
    Sending,
    State,
    Verdict,
    concatenation_of,
    envelope,
    envelope_of_row,
    name,
    pinned_to,
    refused_by,
    rolled_up,
)
from engine.traffic.spending import Spending

# The door of traffic: what others may know of messages, wherever it is written.
__all__ = [
    "BY_NUMBER",
    "DUE",
    "GROUPS",
    "MESSAGES",
    "NUMBERS",
    "OPEN",
    "PURPOSES",
    "SEND",
    "TABLES",
    "TALLY",
    "WAITING",
    "Asked",
    "Due",
    "Feed",
    "Gate",
    "Lane",
    "Message",
    "OnUnknown",
    "Part",
    "Pick",
    "Resolution",
    "Sending",
    "State",
    "Verdict",
    "cancel",
    "cancel_all",
    "concatenation_of",
    "count",
    "due_of",
    "end",
    "enqueue",
    "envelope",
    "envelope_of_row",
    "fail_rest",
    "find",
    "get",
    "leave_line",
    "line_up",
    "listed",
    "name",
    "of_number",
    "pinned_to",
    "recalled",
    "record_ended",
    "report_row",
    "rolled_up",
    "store",
    "tally",
    "withdraw",
]

DEADLINE_MS: Final = 24 * 3_600_000  # what a message without `expires_at` gets

MESSAGES: Final = Table("messages", Message)
DUE: Final = Line("due", Due, "BQQ")  # lane, due_ms, id
BY_NUMBER: Final = Index("messages_by_number", "QQ")  # number, id
TALLY: Final = Table("tally", int, "QB")  # group, state
GROUPS: Final = Line("groups", str)  # group -> Sending
NUMBERS: Final = Runs("row_numbers")  # number, id: of the rows of sheets

TABLES: Final[tuple[Keyed, ...]] = (MESSAGES, DUE, BY_NUMBER, TALLY, GROUPS, *NUMBERS.tables, *sheets.TABLES)


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
        concatenation=concatenation_of(identifier),
        expires_ms=expires_ms,
        state=State.ACCEPTED if later else State.QUEUED,
        due_ms=max(now_ms, message.not_before_ms),
        updated_ms=now_ms,
        parts=(Part(),) * parts,
    )
    _put(txn, message)
    count(txn, message.group, message.state, 1)
    line_up(txn, message)
    return message


def record_ended(txn: Txn, message: Message, verdict: Verdict, now_ms: int) -> None:
    """Store a message that ends before it could wait: a row that the gate turned away."""
    if message.packed_row >= 0 and verdict.reason in slots.CODES:
        message = _end_row(txn, message, verdict.state, verdict.reason, now_ms)
    else:
        try:
            parts = (Part(),) * sms.measure(message.text, envelope(message)).parts
        except CodecError:
            # It goes nowhere: that it could not have gone either is nobody's concern.
            parts = (Part(),)
        message = msgspec.structs.replace(
            message, state=verdict.state, reason=verdict.reason, updated_ms=now_ms, parts=parts
        )
        _put(txn, message)
    count(txn, message.group, message.state, 1)
    _tell(txn, message, now_ms)


def _put(txn: Txn, message: Message) -> None:
    """Write the record; what was a row is none any more."""
    if message.packed_row >= 0:
        slots.write_out(txn, message.group, message.packed_row)
    else:
        BY_NUMBER.add(txn, message.number, message.id)
    MESSAGES.put(txn, message.id, msgspec.structs.replace(message, packed_row=-1))


def _end_row(txn: Txn, message: Message, state: State, reason: str, now_ms: int) -> Message:
    """Let the row's slot say that it ended without being sent."""
    opened = slots.opened(txn)
    attempt = message.parts[0].attempt
    opened.put(message.group, message.packed_row, state, attempt, reason=slots.CODES[reason], sent_ms=now_ms)
    opened.flush()
    return msgspec.structs.replace(message, state=state, reason=reason, updated_ms=now_ms)


# -- changing


def line_up(txn: Txn, message: Message) -> None:
    """Put the message's entry into the due line."""
    DUE.put(txn, (message.lane, message.due_ms, message.id), due_of(message))


def due_of(message: Message) -> Due:
    """What the scheduler must know of a message that waits."""
    sim = pinned_to(message)
    waiting = sum(part.state is State.QUEUED for part in message.parts)
    return Due(
        message.group, waiting, message.weight, sim, message.number, message.tag, message.purpose, message.sim,
        refused_by(message),
    )  # fmt: skip


def leave_line(txn: Txn, message: Message) -> None:
    """Take the message's entry out of the due line, if it is there."""
    DUE.remove(txn, (message.lane, message.due_ms, message.id))


def report_row(txn: Txn, message: Message, outcome: int, state: State, reason: str, now_ms: int) -> bool:
    """Let a sent row's slot say what a status report said; False where it cannot."""
    part = message.parts[0]
    delay_s = (now_ms - part.sent_ms) // 1000
    if reason not in slots.CODES or not 0 <= delay_s <= slots.LONGEST_REPORT_S:
        return False
    opened = slots.opened(txn)
    flags = slots.HAS_OUTCOME | (slots.HAS_REFERENCE if part.reference >= 0 else 0)
    opened.put(
        message.group, message.packed_row, state, part.attempt, max(part.reference, 0), outcome,
        slots.CODES[reason], flags, delay_s, part.sim, part.sent_ms,
    )  # fmt: skip
    opened.flush()
    _follow(txn, message, msgspec.structs.replace(message, state=state, reason=reason), now_ms)
    return True


def store(txn: Txn, old: Message, new: Message, now_ms: int) -> Message:
    """Write `new` over `old`: the tally moves with the state, and news becomes an event."""
    new = msgspec.structs.replace(new, updated_ms=now_ms, packed_row=-1)
    MESSAGES.put(txn, new.id, new)
    if old.packed_row >= 0:
        slots.write_out(txn, old.group, old.packed_row)
        if new.state in OPEN and any(part.state is State.QUEUED for part in new.parts):
            line_up(txn, new)
    spending = Spending(txn)
    spending.change(old, new)
    spending.save(now_ms)
    _follow(txn, old, new, now_ms)
    return new


def _follow(txn: Txn, old: Message, new: Message, now_ms: int) -> None:
    if new.state is not old.state:
        count(txn, old.group, old.state, -1)
        count(txn, new.group, new.state, 1)
        _tell(txn, new, now_ms)


def _tell(txn: Txn, message: Message, now_ms: int) -> None:
    if message.state in NEWS:
        kind = f"message.{message.state.slug}"
        if message.packed_row >= 0 and not message.reason and kind in events.PACKED_KINDS:
            events.append_rows(txn, now_ms, ids.render("cmp", message.group), events.entry(kind, message.id))
            return
        detail: dict[str, Any] = {"reason": message.reason} if message.reason else {}
        if message.error >= 0:
            detail["cms_error"] = message.error
        if message.group:
            detail["campaign_id"] = ids.render("cmp", message.group)
        events.append(txn, f"message.{message.state.slug}", now_ms, name(message.id), **detail)


def end(txn: Txn, message: Message, state: State, reason: str, now_ms: int) -> Message:
    """Take a message that has no open intent out of the line, for good."""
    if message.packed_row >= 0 and reason in slots.CODES:
        # It stands in the scheduler's line only: that it left must be told all the same.
        txn.notes.append(Note(DUE.name, (message.lane, message.due_ms, message.id), None))
        ended = _end_row(txn, message, state, reason, now_ms)
        _follow(txn, message, ended, now_ms)
        return ended
    leave_line(txn, message)
    return store(txn, message, msgspec.structs.replace(message, state=state, reason=reason), now_ms)


def recalled(txn: Txn, message: Message, now_ms: int) -> Message:
    """The message, after its parts that were claimed and have not begun were taken back."""
    if message.state is not State.SENDING or txn.beside is None:
        return message
    txn.beside.recall(txn, message.id, now_ms)
    return get(txn, message.id)


def cancel(txn: Txn, identifier: int, now_ms: int) -> Message:
    """End a message of which no part was given to a modem.  Raises NotFound, Conflict once it is on its way."""
    message = recalled(txn, get(txn, identifier), now_ms)
    if message.state is State.CANCELLED:
        return message
    if message.state not in WAITING:
        raise Conflict(f"the message is {message.state.slug}: it can no longer be cancelled")
    return end(txn, message, State.CANCELLED, "by_request", now_ms)


def withdraw(txn: Txn, number: int, wanted: Callable[[Message], bool], reason: str, now_ms: int) -> int:
    """Suppress every waiting message to `number` that is `wanted`; how many there were."""
    ended = 0
    for identifier in list(of_number(txn, number)):
        message = find(txn, identifier)
        if message is not None:
            message = recalled(txn, message, now_ms)
        # A row that was not fed yet meets the gate when its turn comes.
        is_fed = message is not None and (message.packed_row < 0 or message.state is not State.ACCEPTED)
        if message is not None and is_fed and message.state in WAITING and wanted(message):
            end(txn, message, State.SUPPRESSED, reason, now_ms)
            ended += 1
    return ended


def cancel_all(txn: Txn, identifiers: list[int], reason: str, now_ms: int) -> int:
    """Cancel those of the messages that still wait; how many there were.

    Where some parts of one went, what is left of it ends as failed.
    """
    ended = 0
    for identifier in identifiers:
        message = find(txn, identifier)
        if message is None:
            continue
        message = recalled(txn, message, now_ms)
        if message.state in WAITING:
            end(txn, message, State.CANCELLED, reason, now_ms)
            ended += 1
        elif message.state in (State.SENDING, State.UNKNOWN) and _waits(message):
            fail_rest(txn, message, reason, now_ms)
            ended += 1
    return ended


def _waits(message: Message) -> bool:
    return any(part.state is State.QUEUED for part in message.parts)


def fail_rest(txn: Txn, message: Message, reason: str, now_ms: int) -> None:
    """End what is still to be claimed of a message that is on its way."""
    parts = tuple(
        msgspec.structs.replace(part, state=State.FAILED) if part.state is State.QUEUED else part
        for part in message.parts
    )
    leave_line(txn, message)
    failed = msgspec.structs.replace(message, parts=parts, reason=reason, state=rolled_up(parts))
    store(txn, message, failed, now_ms)


# -- looking up


def find(txn: Txn, identifier: int) -> Message | None:
    """The message, or None."""
    return MESSAGES.find(txn, identifier) or sheets.find(txn, identifier, GROUPS)


def get(txn: Txn, identifier: int) -> Message:
    """The message.  Raises NotFound."""
    message = find(txn, identifier)
    if message is None:
        raise NotFound("there is no such message")
    return message


def of_number(txn: Txn, number: int, before: int = 0) -> Iterator[int]:
    """Ids of the messages to `number`, newest first, older than id `before` (0: from the newest).

    Among the old ones may be some of rows that are kept no more (retention.py).
    """
    after = (number, before) if before else None
    recorded = (identifier for _, identifier in BY_NUMBER.scan(txn, number, after=after, reverse=True))
    found = heapq.merge(recorded, NUMBERS.find(txn, number, before), reverse=True)
    # A row that stayed as a message of its own when its sheet went may be in both.
    return (identifier for identifier, _ in itertools.groupby(found))


def listed(txn: Txn, number: str | None, before: int, limit: int) -> Iterator[Message]:
    """Messages newest first, those to `number` only where one is given, older than id `before` (0: from the newest)."""
    if number is None:
        recorded = (message for _, message in MESSAGES.scan(txn, after=before or None, reverse=True))
        found = heapq.merge(recorded, sheets.newest(txn, before, GROUPS), key=lambda one: one.id, reverse=True)
    else:
        ids_found = of_number(txn, numbers.to_key(number), before)
        found = (message for identifier in ids_found if (message := find(txn, identifier)) is not None)
    yield from itertools.islice(found, limit)
