"""Traces: what messages, reports and texts hold of one number, and how it goes when a person is erased.

What happened stays, with its times and states, and is nobody's from then on: a message without number, text and
reference.  Rules of this file:

1. What waits is suppressed first; what is unknown is given up, since it could go again.
2. What is in the air is left for a later step, as is everything while recipients are being uploaded or the number index
   is being merged: `wipe` says so, and is called until it is done.
3. Every step finds what is left by the number itself, so that it may break off anywhere and begin again.

Records that nobody could read (inbound.py) may hold anybody's number: those go with their time.
"""

from collections.abc import Collection
from enum import IntEnum
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from engine.store.table import Txn
from engine.traffic import inbox, intents, messages, quotas, reassembly, receipts, sheets, sticky
from engine.traffic.inbox import BY_ORIGINATOR, INBOX, RECEIVED, Progress, Received
from engine.traffic.intents import REFERENCES
from engine.traffic.message import WAITING, Message, Resolution, State
from engine.traffic.messages import BY_NUMBER, MESSAGES, NUMBERS
from engine.traffic.unproven import UNPROVEN

REASON: Final = "erased"
NOBODY: Final = 0  # the number of what was somebody's
MERGED_PAGES: Final = 32
# Digits of a national number without its trunk prefix: what is shorter is a short code.
NATIONAL_SHORTEST: Final = 9


class Left(IntEnum):
    """What is left to do: nothing, more at once, or more once something has ended."""

    NOTHING = 0
    MORE = 1
    LATER = 2


class Wiped(NamedTuple):
    """What is left to do, and the id below which the next step goes on, 0 for the newest."""

    left: Left
    before: int = 0


def wipe(txn: Txn, number: int, now_ms: int, before: int = 0, rows: int = 100) -> Wiped:
    """Wipe up to `rows` messages and texts of `number`, and with the last of them all that leads there."""
    if _wipe_received(txn, number, rows) == rows:
        return Wiped(Left.MORE)
    wiped = _wipe_messages(txn, number, now_ms, before, rows)
    if wiped.left is not Left.NOTHING:
        return wiped
    if NUMBERS.unpublished(txn):
        return Wiped(Left.LATER)
    if NUMBERS.wants_merge(txn):
        NUMBERS.merge(txn, MERGED_PAGES)
        return Wiped(Left.MORE, before)
    NUMBERS.drop(txn, number)
    _wipe_rest(txn, number)
    return Wiped(Left.NOTHING)


# -- what came in


def _wipe_received(txn: Txn, number: int, rows: int) -> int:
    found = list(islice(BY_ORIGINATOR.scan(txn, number), rows))
    for _, identifier in found:
        _wipe_text(txn, RECEIVED.get(txn, identifier))
        BY_ORIGINATOR.remove(txn, number, identifier)
        BY_ORIGINATOR.add(txn, NOBODY, identifier)
    return len(found)


def _wipe_text(txn: Txn, received: Received) -> None:
    INBOX.remove(txn, received.id)
    progress = Progress.ROUTED if received.progress is Progress.ASSEMBLED else received.progress
    RECEIVED.put(txn, received.id, msgspec.structs.replace(received, originator="", text="", progress=progress))


def wipe_national(txn: Txn, owners: Collection[int], after: int, rows: int = 500) -> int | None:
    """Wipe texts whose originator the network wrote as a national number that is one of `owners`'.

    They stand under no number, so all such texts are looked at, so many in a step: behind id `after`, and where to go
    on, None at the end.
    """
    endings = tuple(map(str, owners))
    found = [key[1] for key in islice(BY_ORIGINATOR.scan(txn, NOBODY, after=(NOBODY, after)), rows)]
    for identifier in found:
        received = RECEIVED.get(txn, identifier)
        digits = received.originator.lstrip("0")
        is_number = digits.isascii() and digits.isdigit() and len(digits) >= NATIONAL_SHORTEST
        if is_number and any(ending.endswith(digits) for ending in endings):
            _wipe_text(txn, received)
    return found[-1] if len(found) == rows else None


# -- what went out


def _wipe_messages(txn: Txn, number: int, now_ms: int, before: int, rows: int) -> Wiped:
    found = list(islice(messages.of_number(txn, number, before), rows))
    left = Left.MORE if len(found) == rows else Left.NOTHING
    for identifier in found:
        message = messages.find(txn, identifier)
        if message is None or message.number == NOBODY:
            continue
        if _has_ended(txn, message, now_ms):
            _wipe_message(txn, messages.get(txn, identifier))
        else:
            left = Left.LATER
    return Wiped(left, found[-1] if left is Left.MORE else 0)


def _has_ended(txn: Txn, message: Message, now_ms: int) -> bool:
    """End it, unless a part of it is in the air."""
    message = messages.recalled(txn, message, now_ms)
    if message.state in WAITING:
        message = messages.end(txn, message, State.SUPPRESSED, REASON, now_ms)
    if message.state is State.UNKNOWN:
        message = intents.resolve(txn, message.id, Resolution.FAILED, now_ms)
    if message.state is State.SENDING and any(part.state is State.QUEUED for part in message.parts):
        messages.fail_rest(txn, message, REASON, now_ms)
        message = messages.get(txn, message.id)
    return message.state is not State.SENDING and all(part.state is not State.SENDING for part in message.parts)


def _wipe_message(txn: Txn, message: Message) -> None:
    for part in message.parts:
        if part.reference >= 0:
            REFERENCES.remove(txn, (part.sim, part.reference, message.number, part.sent_ms))
    place = sheets.place_of(txn, message.id)
    if place is not None:
        sheets.blank(txn, *place)
    if message.packed_row >= 0:
        return
    wiped = msgspec.structs.replace(message, number=NOBODY, text="", client_ref="")
    MESSAGES.put(txn, message.id, wiped)
    BY_NUMBER.remove(txn, message.number, message.id)
    if place is None:
        BY_NUMBER.add(txn, NOBODY, message.id)


# -- what leads there


def _wipe_rest(txn: Txn, number: int) -> None:
    sticky.KEPT.remove(txn, number)
    for (sim,), _ in list(quotas.SIM_PARTS.scan(txn)):
        quotas.RECIPIENT.remove(txn, (sim, number))
    for key, swept in list(quotas.SWEPT.scan(txn)):
        if swept.number == number:
            quotas.SWEPT.remove(txn, key)  # it begins from the first again
    for key, row in list(UNPROVEN.scan(txn)):
        if row.number == number:
            # Its place among those that nobody could prove stays: others are counted by it.
            UNPROVEN.put(txn, key, msgspec.structs.replace(row, number=NOBODY))
    for key, early in list(receipts.EARLY.scan(txn)):
        if receipts.is_same(early.recipient, number):
            receipts.EARLY.remove(txn, key)
    for key, pending in list(reassembly.PENDING.scan(txn)):
        if inbox.key_of(pending.originator) == number:
            reassembly.PENDING.remove(txn, key)
