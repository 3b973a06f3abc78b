"""Retention: what is older than a horizon goes, a little at a time.

Each `forget_…` is one step, a change of a few milliseconds: it begins behind `after` and gives the place to go on
behind, or None once it has come to the end of what is old enough.  Rules of this file:

1. What is old is found by range, since ids and events are in the order of time.
2. What has not ended stays, however old: a message that is open or unknown, a text that nobody has answered, the rows
   of a campaign that may be sent yet.
3. The rows of a campaign go from the front, a sheet at a time.  FED says how many went and what had become of them, so
   that the campaign's tally stays what it was.  A row that is unknown stays as a message of its own.
4. The number index is written anew only once a good part of it leads nowhere.  Until then who reads it finds ids of
   messages that are gone.
5. No id and no sequence number is given again: the last event stays.

Knows no campaigns: the caller says which groups have ended.
"""

from array import array
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from engine.store import ids
from engine.store.table import Keyed, Table, Txn
from engine.traffic import messages, sheets, slots
from engine.traffic.events import EVENTS
from engine.traffic.inbound import UNREADABLE
from engine.traffic.inbox import BY_ORIGINATOR, RECEIVED, Progress, key_of
from engine.traffic.intents import REFERENCES
from engine.traffic.message import OPEN, Message, Part, State
from engine.traffic.messages import BY_NUMBER, MESSAGES, NUMBERS
from engine.traffic.receipts import EARLY
from engine.traffic.sheets import BULKS, FED, PLACES, SHEETS, Place, read_rows
from engine.traffic.unproven import UNPROVEN

# The number index is written anew once so many of its pairs lead nowhere: one in four.
STALE_SHARE: Final = 4


class Budget(NamedTuple):
    """What a step may look at and copy: entries, and pages of the store."""

    rows: int = 500
    pages: int = 100


BUDGET: Final = Budget()


class _Left:
    """What is left of a budget."""

    def __init__(self, budget: Budget) -> None:
        self.rows, self.pages = budget

    def spend(self, rows: int, pages: int = 0) -> None:
        self.rows -= rows
        self.pages -= pages

    @property
    def is_spent(self) -> bool:
        return self.rows <= 0 or self.pages <= 0


class Forgotten(msgspec.Struct, frozen=True, array_like=True):
    """The highest id of the rows that went, and how many of the number index's pairs lead nowhere at most.

    `turn` counts how often the index was gone through for them.
    """

    highest: int = 0
    stale: int = 0
    turn: int = 0


FORGOTTEN: Final = Table("forgotten", Forgotten, "B")

TABLES: Final[tuple[Keyed, ...]] = (FORGOTTEN,)

_ONLY: Final = 0

# Whether a group ended before a time, so that nothing of it will ever be sent.
HasEnded = Callable[[Txn, int, int], bool]


def forgotten(txn: Txn) -> Forgotten:
    """What went of the rows of all campaigns together."""
    return FORGOTTEN.find(txn, _ONLY) or Forgotten()


def _before(horizon_ms: int) -> int:
    """The first id that was given at the horizon or later."""
    return max(0, horizon_ms) << ids.COUNTER_BITS


# -- messages with a record


def forget_messages(txn: Txn, after: int, horizon_ms: int, budget: Budget = BUDGET) -> int | None:
    """Remove messages that ended before the horizon, but for rows of a sheet: those go with their campaign."""
    left = _Left(budget)
    doomed: list[Message] = []
    place: int | None = after
    while place is not None and not left.is_spent:
        place = _read_old(txn, place, horizon_ms, doomed, left)
    for message in doomed:
        _remove(txn, message)
        _discount(txn, message)
    return place


def _read_old(txn: Txn, after: int, horizon_ms: int, doomed: list[Message], left: _Left) -> int | None:
    before = _before(horizon_ms)
    for (identifier,), message in MESSAGES.scan(txn, after=after):
        if identifier >= before:
            return None
        left.spend(1)
        found = PLACES.at_or_before(txn, identifier) if message.group else None
        if found is not None:
            (first,), octets = found
            last: int = first + PLACES.decode((first,), octets).count - 1
            if identifier <= last:
                # A whole sheet is passed over at once.
                return last
        after = identifier
        if message.updated_ms < horizon_ms and _has_ended(message):
            doomed.append(message)
            left.spend(0, 1 + message.wants_report * len(message.parts))
        if left.is_spent:
            return after
    return None


def _has_ended(message: Message) -> bool:
    if message.state in OPEN or message.state is State.UNKNOWN:
        return False
    # One that failed may have a part in the air still.
    return all(part.state is not State.SENDING for part in message.parts)


def _remove(txn: Txn, message: Message) -> None:
    """The record, and all that leads to it."""
    MESSAGES.remove(txn, message.id)
    BY_NUMBER.remove(txn, message.number, message.id)
    for index, part in enumerate(message.parts):
        if part.state is State.UNKNOWN:
            UNPROVEN.remove(txn, (part.sim, message.id, index))
        if message.wants_report:
            _expect_no_report(txn, message.number, part)


def _expect_no_report(txn: Txn, number: int, part: Part) -> None:
    if part.reference >= 0:
        REFERENCES.remove(txn, (part.sim, part.reference, number, part.sent_ms))


def _discount(txn: Txn, message: Message) -> None:
    """A campaign keeps its totals; what belongs to none is counted no more."""
    fed = FED.find(txn, message.group) if message.group else None
    if fed is None:
        messages.count(txn, message.group, message.state, -1)
    else:
        FED.put(txn, message.group, msgspec.structs.replace(fed, ended=_with(fed.ended, message.state, 1)))


def _with(ended: tuple[int, ...], state: int, units: int) -> tuple[int, ...]:
    counted = list(ended) + [0] * (len(State) - len(ended))
    counted[state] += units
    return tuple(counted)


# -- rows


def forget_rows(txn: Txn, after: int, horizon_ms: int, has_ended: HasEnded, budget: Budget = BUDGET) -> int | None:
    """Remove sheets, with slots and records, of groups that ended before the horizon."""
    left = _Left(budget)
    while not left.is_spent:
        found = next(PLACES.scan(txn, after=after), None)
        if found is None or found[0][0] >= _before(horizon_ms):
            return None
        (after,), place = found
        left.spend(1)
        if has_ended(txn, place.group, horizon_ms):
            _forget_sheet(txn, after, place, left)
    return after


def _forget_sheet(txn: Txn, first_id: int, place: Place, left: _Left) -> None:
    """Remove a sheet, if it is the first of its group and everything in it has ended."""
    group, first, count = place.group, place.row, place.count
    fed = FED.get(txn, group)
    behind = first + count
    if first != fed.gone or behind > fed.rows:
        return
    states = slots.states_of(txn, group, first, max(0, min(behind, fed.cursor) - first))
    left.spend(count // 4, 2)
    if slots.WAITING in states or State.SENDING in states:
        return
    records = [MESSAGES.get(txn, first_id + index) for index, state in enumerate(states) if state == slots.WRITTEN]
    left.spend(len(records))
    if any(not _has_ended(record) and record.state is not State.UNKNOWN for record in records):
        return
    ended = fed.ended
    for state in set(states) - {slots.WRITTEN}:
        ended = _with(ended, state, states.count(state))
    for record in records:
        if _has_ended(record):
            _remove(txn, record)
            ended = _with(ended, record.state, 1)
            left.spend(0, record.wants_report * len(record.parts))
        else:
            # It is found by its own number from now on.
            BY_NUMBER.add(txn, record.number, record.id)
            left.spend(0, 1)
    _forget_references(txn, place, states, left)
    SHEETS.remove(txn, (group, first))
    PLACES.remove(txn, first_id)
    slots.forget(txn, group, first, behind, is_last=behind == fed.rows)
    settled = max(fed.settled, min(behind, fed.cursor))
    FED.put(txn, group, msgspec.structs.replace(fed, gone=behind, ended=ended, settled=settled))
    known = forgotten(txn)
    highest = max(known.highest, first_id + count - 1)
    FORGOTTEN.put(txn, _ONLY, Forgotten(highest, known.stale + count, known.turn))


def _forget_references(txn: Txn, place: Place, states: bytes, left: _Left) -> None:
    """Nobody reads reports for what was sent of a sheet any more."""
    bulk = BULKS.find(txn, place.group)
    if bulk is None or not bulk.report_percent or not {State.SENT, State.UNDELIVERED} & set(states):
        return
    for number, row in read_rows(txn, place.group, place.row, len(states)):
        if states[number - place.row] in (State.SENT, State.UNDELIVERED):
            _expect_no_report(txn, row.number, slots.part_of(slots.find(txn, place.group, number)))
            left.spend(1, 1)


# -- words


def place_of(horizon_ms: int) -> int:
    """The place behind which the first step begins that looks at nothing from before the horizon."""
    return max(0, _before(horizon_ms) - 1)


def forget_texts(txn: Txn, after: int, horizon_ms: int, budget: Budget = BUDGET) -> int | None:
    """Take the text out of messages with a record that ended before the horizon; times and states stay."""
    left = _Left(budget)
    doomed: list[Message] = []
    place: int | None = None
    for (identifier,), message in MESSAGES.scan(txn, after=after):
        if identifier >= _before(horizon_ms):
            break
        left.spend(1)
        if message.text and message.updated_ms < horizon_ms and _has_ended(message):
            doomed.append(message)
            left.spend(0, 1)
        if left.is_spent:
            place = identifier
            break
    for message in doomed:
        MESSAGES.put(txn, message.id, msgspec.structs.replace(message, text=""))
    return place


def forget_values(txn: Txn, after: int, horizon_ms: int, has_ended: HasEnded, budget: Budget = BUDGET) -> int | None:
    """Take what was said to each alone out of the rows of groups that ended before the horizon."""
    left = _Left(budget)
    while not left.is_spent:
        found = next(PLACES.scan(txn, after=after), None)
        if found is None or found[0][0] >= _before(horizon_ms):
            return None
        (after,), place = found
        left.spend(1)
        if has_ended(txn, place.group, horizon_ms):
            sheets.forget_values(txn, place.group, place.row)
            left.spend(place.count // 4, 2)
    return after


def forget_received_texts(txn: Txn, after: int, horizon_ms: int, budget: Budget = BUDGET) -> int | None:
    """Take the text out of what came in before the horizon and was acted upon."""
    left = _Left(budget)
    doomed = []
    place: int | None = None
    for (identifier,), received in RECEIVED.scan(txn, after=after):
        if identifier >= _before(horizon_ms):
            break
        left.spend(1)
        if received.text and received.progress is not Progress.ASSEMBLED:
            doomed.append(received)
            left.spend(0, 1)
        if left.is_spent:
            place = identifier
            break
    for received in doomed:
        RECEIVED.put(txn, received.id, msgspec.structs.replace(received, text=""))
    return place


# -- the number index


def begin_numbers(txn: Txn) -> Forgotten | None:
    """What is to be dropped from the number index, if that is worth the work; its turn is a new one."""
    known = forgotten(txn)
    if not known.stale or known.stale * STALE_SHARE < NUMBERS.count(txn):
        return None
    # Also where one broke off: rows may have gone since then from what it had gone through.
    known = msgspec.structs.replace(known, turn=known.turn + 1)
    FORGOTTEN.put(txn, _ONLY, known)
    return known


def kept_rows(txn: Txn, after: int, before: int, limit: int) -> list[tuple[int, int]]:
    """(first id, last id) of up to `limit` sheets behind id `after` that begin below id `before`."""
    return [
        (first, first + place.count - 1)
        for (first,), place in islice(PLACES.scan(txn, after=after), limit)
        if first < before
    ]


def packed(reaches: list[tuple[int, int]]) -> bytes:
    """Reaches of ids as the number index takes them, neighbours in one."""
    joined = array("Q")
    for first, last in reaches:
        if joined and joined[-1] + 1 == first:
            joined[-1] = last
        else:
            joined.extend((first, last))
    return joined.tobytes()


def forget_numbers(txn: Txn, known: Forgotten, spared: bytes, budget: Budget = BUDGET) -> bool:
    """Drop the pairs of rows that went but for those `spared`, a few pages; whether there may be more."""
    return NUMBERS.forget(txn, known.highest + 1, max(1, budget.pages // 3), spared, known.turn)


def end_numbers(txn: Txn, known: Forgotten) -> None:
    """All pairs that led nowhere when it began were dropped."""
    now = forgotten(txn)
    FORGOTTEN.put(txn, _ONLY, msgspec.structs.replace(now, stale=max(0, now.stale - known.stale)))


# -- what came in


def forget_received(txn: Txn, after: int, horizon_ms: int, budget: Budget = BUDGET) -> int | None:
    """Remove texts from before the horizon that were acted upon."""
    left = _Left(budget)
    doomed = []
    place: int | None = None
    for (identifier,), received in RECEIVED.scan(txn, after=after):
        if identifier >= _before(horizon_ms):
            break
        left.spend(1)
        if received.progress is not Progress.ASSEMBLED and received.at_ms < horizon_ms:
            doomed.append(received)
            left.spend(0, 1)
        if left.is_spent:
            place = identifier
            break
    for received in doomed:
        RECEIVED.remove(txn, received.id)
        BY_ORIGINATOR.remove(txn, key_of(received.originator), received.id)
    return place


def forget_unreadable(txn: Txn, after: int, horizon_ms: int, budget: Budget = BUDGET) -> int | None:
    """Remove records from before the horizon that nobody could read."""
    keys = UNREADABLE.keys(txn, UNREADABLE.layout.pack(after), budget.rows)
    found = [int(UNREADABLE.layout.unpack(key)[0]) for key in keys]
    for identifier in found:
        if identifier >= _before(horizon_ms):
            return None
        UNREADABLE.remove(txn, identifier)
    return found[-1] if len(found) == budget.rows else None


# -- events, and reports that nobody waits for


def forget_events(txn: Txn, after: int, horizon_ms: int, budget: Budget = BUDGET) -> int | None:
    """Remove events from before the horizon, but for the last of all.

    Who follows events is not told: nothing happened.
    """
    newest = EVENTS.last_key(txn)
    passed: list[int] = []
    old = 0
    for (sequence,), event in islice(EVENTS.scan(txn, after=after), budget.rows):
        if (sequence,) == newest:
            break
        passed.append(sequence)
        if event.at_ms < horizon_ms:
            # One before it that seems younger was written while the clock was wrong.
            old = len(passed)
    for sequence in passed[:old]:
        Table.remove(EVENTS, txn, sequence)
    return passed[old - 1] if old and len(passed) == budget.rows else None


def forget_references(txn: Txn, after: bytes, horizon_ms: int, budget: Budget = BUDGET) -> bytes | None:
    """Expect no report any more for what was sent before the horizon."""
    keys = REFERENCES.keys(txn, after, budget.rows)
    for key in keys:
        sim, reference, number, sent_ms = REFERENCES.layout.unpack(key)
        if sent_ms < horizon_ms:
            REFERENCES.remove(txn, (sim, reference, number, sent_ms))
    return keys[-1] if len(keys) == budget.rows else None


def forget_early(txn: Txn, after: bytes, horizon_ms: int, budget: Budget = BUDGET) -> bytes | None:
    """Remove reports from before the horizon whose part was never settled."""
    keys = EARLY.keys(txn, after, budget.rows)
    for key in keys:
        sim, identifier = EARLY.layout.unpack(key)
        if identifier < _before(horizon_ms):
            EARLY.remove(txn, (sim, identifier))
    return keys[-1] if len(keys) == budget.rows else None
