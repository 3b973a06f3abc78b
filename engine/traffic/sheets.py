"""Sheets: messages of one group that say the same, kept as packed rows until something out of the ordinary happens.

    BULKS    group -> what all its rows have in common: texts, purpose, lane
    SHEETS   (group, first row) -> rows, as engine/_sheet packs them; never changed once they count
    PLACES   id of a sheet's first message -> where the sheet is
    FED      group -> how many of its rows count, and how many of them may be picked
    SLOTS    (group, slot sheet) -> what became of each row, in 24 octets: engine/traffic/slots.py

A row is a message as any other: `find` composes it.  Whoever changes it by more than a slot can hold writes it out as
a record of its own (`messages.store`), and its slot says so from then on.  Row numbers begin at 0.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Final, TypeVar

import msgspec

from engine import sms
from engine._packed import Packed
from engine._sheet import ROWS_MOST, Sheet, first_id, rows
from engine._sheet import count as rows_in
from engine.errors import CodecError, RecordBroken
from engine.store import ids
from engine.store.table import Keyed, Note, Octets, Table, Txn
from engine.traffic import slots
from engine.traffic.bulk import Bulk, template_of, variant_of, wants_report
from engine.traffic.message import (
    Message,
    Part,
    Sending,
    State,
    concatenation_of,
    envelope,
)
from engine.traffic.slots import Slot

T = TypeVar("T")


class Fed(msgspec.Struct, frozen=True, array_like=True):
    """`rows` count; those below `cursor` may be picked, until `expires_ms`; those below `settled` were, or ended.

    Those below `gone` are kept no more: `ended` is how many of them ended in which state.
    """

    rows: int = 0
    cursor: int = 0
    settled: int = 0
    expires_ms: int = 0
    gone: int = 0
    ended: tuple[int, ...] = ()


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a sheet is."""

    group: int
    row: int
    count: int


class Row(msgspec.Struct, frozen=True, gc=False):
    """A recipient as it was submitted: `number` is E.164 as an integer."""

    id: int
    number: int
    client_ref: str
    language: str
    values: dict[str, str] | None


BULKS: Final = Table("bulks", Bulk)
SHEETS: Final = Octets("sheets", "QI")  # group, first row
PLACES: Final = Table("sheet_places", Place)  # id of the first row's message
FED: Final = Table("fed", Fed)  # group
TABLES: Final[tuple[Keyed, ...]] = (BULKS, SHEETS, PLACES, FED, slots.SLOTS)

# Rows between two that are looked for are read along with them where they are so few.
_READ_ALONG: Final = 32
_ROW_HIGHEST: Final = (1 << 32) - 1
_STATES_READ: Final = 100 * slots.OF_A_SHEET
_RUNS: Final = {state: re.compile(b"[\\x%02x]+" % state) for state in (slots.WAITING, State.SENDING)}

FEEDING: Final = "feeding"  # notes of this name tell the scheduler of rows that may be picked now


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A row that may be picked: its number in the group, what it says, and in how many parts."""

    number: int
    row: Row
    text: str
    parts: int


class Feeding(msgspec.Struct, frozen=True, gc=False):
    """Rows that were fed: those that wait, and what the line must know of all."""

    bulk: Bulk
    fed: Fed
    due_ms: int
    rows: list[Waiting]


# -- rows


def add(txn: Txn, group: int, row: int, sheets: Iterable[Sheet], now_ms: int) -> list[tuple[int, int]]:
    """Store sheets from row number `row` on; (first id, rows) of each."""
    sheets = list(sheets)
    identifier = ids.take(txn, now_ms, sum(sheet.rows for sheet in sheets))
    placed = []
    for sheet in sheets:
        SHEETS.put(txn, (group, row), sheet.closed(identifier))
        PLACES.put(txn, identifier, Place(group, row, sheet.rows))
        placed.append((identifier, sheet.rows))
        row += sheet.rows
        identifier += sheet.rows
    return placed


def discard(txn: Txn, group: int, row: int, limit: int) -> int:
    """Remove up to `limit` sheets from row number `row` on; how many were removed."""
    gone: list[tuple[int, int]] = []
    for (_, first), octets in SHEETS.scan(txn, group, after=(group, row - 1) if row else None):
        if len(gone) == limit:
            break
        gone.append((first, _checked(octets, group, first_id)))
    for first, identifier in gone:
        SHEETS.remove(txn, (group, first))
        PLACES.remove(txn, identifier)
    return len(gone)


def blank(txn: Txn, group: int, number: int) -> None:
    """Write the sheet of row `number` anew without who that row is about: no number, reference, language or values.

    The row keeps its place, its id and its slot.  Raises RecordBroken.
    """
    begun = SHEETS.at_or_before(txn, (group, number))
    if begun is not None and begun[0][0] == group:
        (_, start), octets = begun
        _rewrite(txn, group, start, octets, lambda place: _NOTHING if place == number else _ALL)


def forget_values(txn: Txn, group: int, first: int) -> None:
    """Write the sheet that begins with row `first` anew without the values of its rows.  Raises RecordBroken."""
    octets = SHEETS.find(txn, (group, first))
    if octets is not None:
        _rewrite(txn, group, first, octets, lambda _: _NO_VALUES)


_ALL: Final = 2
_NO_VALUES: Final = 1
_NOTHING: Final = 0


def _rewrite(txn: Txn, group: int, start: int, octets: bytes, kept: Callable[[int], int]) -> None:
    made = Sheet()
    for place, (key, reference, language, values) in enumerate(_checked(octets, group, rows), start):
        what = kept(place)
        # The names stay: columns are in the order of those who had them first.
        names = [name.encode() for name in values or {}]
        said = [value.encode() if what == _ALL else b"" for value in (values or {}).values()]
        whole = (0, b"", b"") if what == _NOTHING else (key, reference.encode(), language.encode())
        made.put(*whole, names, said)
    closed = made.closed(_checked(octets, group, first_id))
    if closed != octets:
        SHEETS.put(txn, (group, start), closed)


def _checked(octets: bytes, group: int, read: Callable[[bytes], T]) -> T:
    try:
        return read(octets)
    except ValueError as error:
        raise RecordBroken(SHEETS.name, str(group).encode(), str(error)) from error


def read_rows(txn: Txn, group: int, first: int, limit: int) -> Iterator[tuple[int, Row]]:
    """(row number, row) in order from row `first`, at most `limit`."""
    begun = SHEETS.at_or_before(txn, (group, first))
    if begun is None or begun[0][0] != group:
        return
    place, octets = begun
    while limit > 0:
        start = place[1]
        identifier = _checked(octets, group, first_id)
        skipped = max(0, first - start)
        found = _checked(octets, group, partial(rows, first=skipped, limit=min(limit, ROWS_MOST)))
        for index, (number, client_ref, language, values) in enumerate(found, skipped):
            yield start + index, Row(identifier + index, number, client_ref, language, values)
        limit -= len(found)
        following = next(SHEETS.scan(txn, group, after=(group, start)), None)
        if following is None:
            return
        place, octets = following


def place_of(txn: Txn, identifier: int) -> tuple[int, int] | None:
    """(group, row) of the message `identifier`, if it came in a sheet."""
    found = PLACES.at_or_before(txn, identifier)
    if found is None:
        return None
    (first,), octets = found
    place = PLACES.decode((first,), octets)
    offset = identifier - first
    return (place.group, place.row + offset) if offset < place.count else None


def stretches(txn: Txn, group: int, first: int, limit: int) -> Iterator[tuple[int, int, int]]:
    """(first row, its message's id, how many rows) of up to `limit` sheets from the one with row `first` on."""
    begun = SHEETS.at_or_before(txn, (group, first))
    if begun is not None and begun[0][0] == group:
        following = islice(SHEETS.scan(txn, group, after=(group, begun[0][1])), limit - 1)
        for (_, start), octets in chain((begun,), following):
            yield start, _checked(octets, group, first_id), _checked(octets, group, rows_in)


def behind(txn: Txn, group: int) -> int:
    """The id behind the last row that is kept of a group; 0 where there is none.  Raises RecordBroken."""
    last = SHEETS.at_or_before(txn, (group, _ROW_HIGHEST))
    if last is None or last[0][0] != group:
        return 0
    return _checked(last[1], group, first_id) + _checked(last[1], group, rows_in)


# -- messages


def text_of(bulk: Bulk, row: Row) -> str:
    """What the row is sent.  Raises CodecError whose field is a merge value that is missing without a fallback."""
    template = template_of(bulk, row.language, variant_of(bulk.variants, row.id))
    values = row.values or {}
    return template.render(tuple([values.get(name) for name in template.fields]))


def message_of(group: int, number: int, row: Row, bulk: Bulk, fed: Fed, slot: Slot, text: str, parts: int) -> Message:
    """Row number `number` as a message; a row that waits has `parts`, any other has one or is written out."""
    state, attempt, _, _, reason, _, reported_s, _, sent_ms = slot
    if state == slots.WAITING:
        shown = State.QUEUED if number < fed.cursor else State.ACCEPTED
        only = Part(attempt=attempt)
    else:
        shown = State(state)
        only = slots.part_of(slot)
        parts = 1
    reported_ms = sent_ms + 1000 * reported_s
    return Message(
        row.id,
        row.number,
        text,
        bulk.purpose,
        bulk.lane,
        group,
        row.client_ref,
        bulk.source,
        wants_report=wants_report(bulk, row.id),
        on_unknown=bulk.on_unknown,
        concatenation=concatenation_of(row.id),
        expires_ms=fed.expires_ms,
        weight=bulk.weight,
        state=shown,
        reason=slots.REASONS[reason],
        updated_ms=reported_ms or ids.created_ms(row.id),
        parts=(only,) * parts,
        packed_row=number,
    )


def message_in_line(txn: Txn, row: Packed) -> Message:
    """A row that stands in the line, as a message."""
    slot = slots.find(txn, row.group, row.packed_row)
    feeding: Feeding = row.feeding
    return message_of(row.group, row.packed_row, row.row, feeding.bulk, feeding.fed, slot, row.text, row.size)


def composed(txn: Txn, group: int, number: int, row: Row, bulk: Bulk, fed: Fed, *, cancelled: bool) -> Message | None:
    """The row as a message; None where it is written out."""
    slot = slots.find(txn, group, number)
    if slot[0] == slots.WRITTEN:
        return None
    try:
        text = text_of(bulk, row)
    except CodecError:
        text = ""
    message = message_of(group, number, row, bulk, fed, slot, text, 1)
    if slot[0] == slots.WAITING:
        try:
            parts = sms.measure(text, envelope(message)).parts
        except CodecError:
            parts = 1
        message = msgspec.structs.replace(message, parts=message.parts * parts)
    if message.state is State.ACCEPTED and cancelled:
        # One small write has cancelled them all; those that were fed are marked one by one behind it.
        return msgspec.structs.replace(message, state=State.CANCELLED, reason="campaign_cancelled")
    return message


def find(txn: Txn, identifier: int, groups: Table[str]) -> Message | None:
    """The message, if it is a row that counts and is not written out.  `groups` tells what is cancelled."""
    place = place_of(txn, identifier)
    if place is None:
        return None
    group, number = place
    bulk, fed = BULKS.find(txn, group), FED.find(txn, group)
    if bulk is None or fed is None or number >= fed.rows:
        return None
    for _, row in read_rows(txn, group, number, 1):
        cancelled = groups.find(txn, group) == Sending.CANCELLED
        return composed(txn, group, number, row, bulk, fed, cancelled=cancelled)
    return None


def listed(
    txn: Txn, group: int, first: int, limit: int, groups: Table[str]
) -> Iterator[tuple[int, Row, Message | None]]:
    """(row number, row, message) of rows that count, from `first` on, at most `limit`; None for a written-out one.

    Where rows are gone, the first one behind them comes first.
    """
    bulk, fed = BULKS.find(txn, group), FED.find(txn, group)
    if bulk is None or fed is None:
        return
    first = max(first, fed.gone)
    cancelled = groups.find(txn, group) == Sending.CANCELLED
    for number, row in read_rows(txn, group, first, min(limit, fed.rows - first)):
        yield number, row, composed(txn, group, number, row, bulk, fed, cancelled=cancelled)


def newest(txn: Txn, before: int, groups: Table[str]) -> Iterator[Message]:
    """Rows that are not written out, newest first, older than id `before` (0: from the newest)."""
    place = PLACES.at_or_before(txn, before - 1 if before else (1 << 64) - 1)
    while place is not None:
        (first,), octets = place
        here = PLACES.decode((first,), octets)
        bulk, fed = BULKS.find(txn, here.group), FED.find(txn, here.group)
        if bulk is not None and fed is not None:
            cancelled = groups.find(txn, here.group) == Sending.CANCELLED
            last = min(here.count, before - first if before else here.count, fed.rows - here.row)
            for number, row in reversed(list(read_rows(txn, here.group, here.row, max(0, last)))):
                message = composed(txn, here.group, number, row, bulk, fed, cancelled=cancelled)
                if message is not None:
                    yield message
        place = PLACES.at_or_before(txn, first - 1) if first else None


# -- feeding


def reveal(txn: Txn, group: int, count: int) -> None:
    """Let the first `count` rows of a group count."""
    fed = FED.find(txn, group) or Fed()
    FED.put(txn, group, msgspec.structs.replace(fed, rows=count))


def feed(txn: Txn, group: int, cursor: int, feeding: Feeding) -> None:
    """Let the rows below `cursor` be picked; `feeding` has those that wait among the new ones."""
    settled = slots.first_open(txn, group, feeding.fed.settled, cursor)
    fed = msgspec.structs.replace(feeding.fed, cursor=cursor, settled=settled)
    FED.put(txn, group, fed)
    if feeding.rows:
        txn.notes.append(Note(FEEDING, (group,), msgspec.structs.replace(feeding, fed=fed)))


def waiting(txn: Txn, groups: Table[str]) -> Iterator[tuple[int, Feeding]]:
    """(group, rows) that were fed and not picked, as a start finds them."""
    for group, fed, bulk in _fed(txn, groups):
        said = _Said(group, bulk, fed)
        found = [Waiting(number, row, *said.by(row)) for number, row in _rows_in(txn, group, fed, slots.WAITING)]
        if found:
            yield group, Feeding(bulk, fed, 0, found)


def first_waiting(txn: Txn, groups: Table[str], limit: int) -> Iterator[list[Message | None]]:
    """Of each group up to `limit` rows that were fed and not picked."""
    for group, fed, bulk in _fed(txn, groups):
        first = islice(_rows_in(txn, group, fed, slots.WAITING), limit)
        yield [composed(txn, group, number, row, bulk, fed, cancelled=False) for number, row in first]


def sending(txn: Txn, groups: Table[str]) -> Iterator[Message]:
    """Rows that were claimed and have no outcome."""
    for group, fed, bulk in _fed(txn, groups):
        for number, row in _rows_in(txn, group, fed, State.SENDING):
            message = composed(txn, group, number, row, bulk, fed, cancelled=False)
            if message is not None:
                yield message


def _fed(txn: Txn, groups: Table[str]) -> Iterator[tuple[int, Fed, Bulk]]:
    """Groups that may have open rows among those that were fed."""
    for (group,), fed in list(FED.scan(txn)):
        bulk = BULKS.find(txn, group)
        if fed.settled < fed.cursor and bulk is not None and groups.find(txn, group) is not None:
            yield group, fed, bulk


def _rows_in(txn: Txn, group: int, fed: Fed, state: int) -> Iterator[tuple[int, Row]]:
    """(row number, row) of those that were fed and are in `state`.

    One that waits long leaves millions behind it that ended: of those only the states are looked at.
    """
    for begin in range(fed.settled, fed.cursor, _STATES_READ):
        states = slots.states_of(txn, group, begin, min(_STATES_READ, fed.cursor - begin))
        for first, behind in _stretches(states, _RUNS[state]):
            for number, row in read_rows(txn, group, begin + first, behind - first):
                if states[number - begin] == state:
                    yield number, row


def _stretches(states: bytes, runs: "re.Pattern[bytes]") -> Iterator[tuple[int, int]]:
    """(first, behind the last) of what `runs` finds; what is hardly apart is one."""
    first = behind = -1
    for run in runs.finditer(states):
        if first >= 0 and run.start() - behind > _READ_ALONG:
            yield first, behind
            first = -1
        if first < 0:
            first = run.start()
        behind = run.end()
    if first >= 0:
        yield first, behind


class _Said:
    """What rows of a group say, and in how many parts: once for all rows where that needs no value of their own."""

    def __init__(self, group: int, bulk: Bulk, fed: Fed) -> None:
        self._bulk = bulk
        nobody = Row(0, 0, "", "", None)
        self._envelope = envelope(message_of(group, 0, nobody, bulk, fed, slots.EMPTY, "", 1))
        self._alike: dict[tuple[str, int], tuple[str, int]] = {}

    def by(self, row: Row) -> tuple[str, int]:
        """(text, parts); without a text where a value is missing."""
        key = row.language, variant_of(self._bulk.variants, row.id)
        found = self._alike.get(key)
        if found is not None:
            return found
        try:
            text = text_of(self._bulk, row)
        except CodecError:
            text = ""
        try:
            parts = sms.measure(text, self._envelope).parts
        except CodecError:
            parts = 1
        if not template_of(self._bulk, *key).fields:
            self._alike[key] = text, parts
        return text, parts


def close(txn: Txn, group: int) -> None:
    """Nothing of the group is open any more: no start need look for it."""
    fed = FED.find(txn, group) or Fed()
    FED.put(txn, group, msgspec.structs.replace(fed, settled=fed.cursor))
