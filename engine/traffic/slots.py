"""Slots: what became of a packed row, in 24 octets.

    state  attempt  reference  outcome  reason  flags   1 octet each
    seconds from the sending to the report              2
    SIM, as its IMSI                                    8
    sent, epoch ms; the time of the end where it was not sent  8

A state of 0 is a row that nothing has happened to yet.  170 slots are one value of the store.
"""

import struct
from typing import Final

from engine._slots import OCTETS, Slots, sound
from engine._slots import OF_A_SHEET as _OF_A_SHEET
from engine.errors import RecordBroken
from engine.store.table import Octets, Txn
from engine.traffic.message import Part, State

OF_A_SHEET: Final = _OF_A_SHEET  # one page of the store, less its header
WAITING: Final = 0
WRITTEN: Final = 255  # a state no message has: the row is a record of its own now

HAS_REFERENCE: Final = 1
HAS_OUTCOME: Final = 2
LONGEST_REPORT_S: Final = 0xFFFF

# What a slot can say of why a message ended; for anything else the row is written out.
REASONS: Final = (
    "",
    "stop_all",
    "erased",
    "bad_number",
    "complaint",
    "legal",
    "no_consent",
    "campaign_cancelled",
    "deadline_passed",
    "by_request",
    "validity_expired",
    "replied_stop",
    "not_subscribed",
    "frequency",
)
CODES: Final = {slug: code for code, slug in enumerate(REASONS)}

# state, attempt, reference, outcome, reason, flags, report's delay in s, SIM, sent_ms
Slot = tuple[int, int, int, int, int, int, int, int, int]
EMPTY: Final[Slot] = (0, 0, 0, 0, 0, 0, 0, 0, 0)

_LAYOUT: Final = struct.Struct("<BBBBBBHQQ")

SLOTS: Final = Octets("slots", "QI")  # group, slot sheet


def find(txn: Txn, group: int, row: int) -> Slot:
    """The slot of one row."""
    sheet, index = divmod(row, OF_A_SHEET)
    octets = SLOTS.find(txn, (group, sheet)) or b""
    if not sound(octets):
        raise RecordBroken(SLOTS.name, SLOTS.layout.pack(group, sheet), "no slots")
    offset = index * OCTETS
    return _read(octets, offset) if offset + OCTETS <= len(octets) else EMPTY


def _read(octets: bytes, offset: int) -> Slot:
    state, attempt, reference, outcome, reason, flags, reported_s, sim, sent_ms = _LAYOUT.unpack_from(octets, offset)
    return state, attempt, reference, outcome, reason, flags, reported_s, sim, sent_ms


def opened(txn: Txn) -> Slots:
    """The slots of a transaction, to be read and written."""
    return Slots(txn, SLOTS)


def write_out(txn: Txn, group: int, row: int) -> None:
    """The row has a record of its own from now on."""
    own = opened(txn)
    own.put(group, row, WRITTEN)
    own.flush()


def first_open(txn: Txn, group: int, first: int, end: int) -> int:
    """The first row from `first` on, before `end`, that waits or is being sent; `end` where there is none."""
    row = first
    while row < end:
        sheet, index = divmod(row, OF_A_SHEET)
        found = (SLOTS.find(txn, (group, sheet)) or b"")[::OCTETS]
        places = (found.find(WAITING, index), found.find(State.SENDING, index))
        open_places = [place for place in places if place >= 0]
        if open_places:
            return min(end, sheet * OF_A_SHEET + min(open_places))
        # What the value does not hold was never written.
        if len(found) < OF_A_SHEET:
            return min(end, sheet * OF_A_SHEET + max(index, len(found)))
        row = (sheet + 1) * OF_A_SHEET
    return end


def states(txn: Txn, group: int, rows: int) -> bytes:
    """The states of the first `rows` rows, one octet each."""
    found = bytearray(rows)
    for (_, sheet), octets in SLOTS.scan(txn, group):
        begin = sheet * OF_A_SHEET
        own = octets[::OCTETS][: max(0, rows - begin)]
        found[begin : begin + len(own)] = own
    return bytes(found)


def states_of(txn: Txn, group: int, first: int, count: int) -> bytes:
    """The states of `count` rows from row `first` on, one octet each."""
    found = bytearray(count)
    for sheet in range(first // OF_A_SHEET, -(-(first + count) // OF_A_SHEET)):
        states = (SLOTS.find(txn, (group, sheet)) or b"")[::OCTETS]
        begin = sheet * OF_A_SHEET - first
        own = states[max(0, -begin) : max(0, count - begin)]
        found[max(0, begin) : max(0, begin) + len(own)] = own
    return bytes(found)


def forget(txn: Txn, group: int, first: int, behind: int, *, is_last: bool) -> int:
    """Remove the slots of rows from `first` on, before `behind`, that share no value with later ones; how many values.

    Nothing comes behind the last rows, so that theirs go whatever they share.
    """
    sheets = range(first // OF_A_SHEET, -(-behind // OF_A_SHEET) if is_last else behind // OF_A_SHEET)
    return sum(SLOTS.remove(txn, (group, sheet)) for sheet in sheets)


def part_of(slot: Slot) -> Part:
    """The one part of a row that was claimed, or that ended without being sent."""
    state, attempt, reference, outcome, _, flags, reported_s, sim, sent_ms = slot
    if state not in _CLAIMED:
        return Part(attempt=attempt)
    return Part(
        State(state),
        sim,
        reference if flags & HAS_REFERENCE else -1,
        attempt,
        0 if state == State.SENDING else sent_ms,
        outcome if flags & HAS_OUTCOME else -1,
        sent_ms + 1000 * reported_s if flags & HAS_OUTCOME else 0,
    )


_CLAIMED: Final = (State.SENDING, State.SENT, State.DELIVERED, State.UNDELIVERED)
