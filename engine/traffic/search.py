"""Search: what was sent and what came in, by number, state, time, words and campaign, newest first, a step at a time.

Rules of this file:

1. Ids are in the order of time: a span of time is a span of ids, and what lies outside is never read.
2. But for the number nothing else has an index.  A step looks at so much and says where it stopped, whatever it has
   found by then; the next goes on below that id, in a transaction of its own.
3. Each id is looked at once, as it is at that moment: nothing is found twice, and what is newer than the first step is
   not found at all.
4. A row of a campaign is found as any other message.  Its state is read off its slot and its words out of the text
   that all rows share; only what is wanted is composed.
5. Words are found however they are written: width, ligatures and case make no difference (NFKC, folded).
"""

import heapq
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from engine import sms
from engine.errors import CodecError
from engine.store import ids
from engine.store.table import Txn
from engine.traffic import messages, sheets, slots
from engine.traffic.bulk import Bulk, template_of, variant_of
from engine.traffic.inbox import BY_ORIGINATOR, RECEIVED, Progress, Received
from engine.traffic.message import Message, Sending, State
from engine.traffic.messages import GROUPS, MESSAGES
from engine.traffic.sheets import BULKS, FED, PLACES, Fed, Place, Row

T = TypeVar("T")

STEP: Final = 500  # what a step looks at: a few milliseconds

# What looking costs, in records that are read.
_ROW: Final = 3  # of a campaign, composed
_BY_NUMBER: Final = 5  # wherever it is kept
_PASSED_OVER: Final = 64  # rows whose slots say that they are not wanted
_LONG: Final = 256  # characters that are folded

_PIECE: Final = 128  # rows of a sheet that are read at once
_HIGHEST: Final = (1 << 64) - 1


class Wanted(msgspec.Struct, frozen=True):
    """What is looked for; 0, None and "" do not matter.

    `number` is E.164 as an integer, `first` the lowest id and `behind` the first that is too high, `words` are folded,
    `group` is a campaign's id.
    """

    number: int = 0
    state: State | Progress | None = None
    first: int = 0
    behind: int = 0
    words: str = ""
    group: int = 0


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """What a step found, newest first, how much it looked at, and the id to go on below, 0 at the end."""

    items: list[T]
    looked: int
    before: int


# The lowest id that was looked at, what that cost, and what was wanted of it.
_Look = tuple[int, int, T | None]


def folded(text: str) -> str:
    """A text as words are looked for in it."""
    if text.isascii():
        return text.lower()
    # Folding may take apart what was put together.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def first_of(at_ms: int) -> int:
    """The first id of a moment."""
    return at_ms << ids.COUNTER_BITS


def sent(txn: Txn, wanted: Wanted, before: int, limit: int, most: int = STEP) -> Step[Message]:
    """Up to `limit` of our messages older than id `before` (0: from the newest), having looked at `most` or so."""
    wanted = _narrowed(txn, wanted, before)
    if wanted.number:
        return _step(_of_number(txn, wanted), limit, most)
    looks = heapq.merge(_recorded(txn, wanted), _rows(txn, wanted), key=_identifier, reverse=True)
    return _step(looks, limit, most)


def received(txn: Txn, wanted: Wanted, before: int, limit: int, most: int = STEP) -> Step[Received]:
    """The same of texts that people sent us."""
    return _step(_received(txn, _narrowed(txn, wanted, before)), limit, most)


def _identifier(look: "_Look[Message]") -> int:
    return look[0]


def _step(looks: "Iterator[_Look[T]]", limit: int, most: int) -> Step[T]:
    items: list[T] = []
    looked = 0
    for identifier, cost, found in looks:
        looked += cost
        if found is not None:
            items.append(found)
        if len(items) >= limit or looked >= most:
            return Step(items, looked, identifier)
    return Step(items, looked, 0)


def _narrowed(txn: Txn, wanted: Wanted, before: int) -> Wanted:
    """The same within the ids that can be meant at all."""
    behind_rows = sheets.behind(txn, wanted.group) if wanted.group else 0
    ends = [end for end in (wanted.behind, before, behind_rows) if end]
    # A campaign is older than its rows; those that stayed when their sheets went are older than those that are kept.
    return msgspec.structs.replace(wanted, first=max(wanted.first, wanted.group), behind=min(ends, default=0))


# -- messages with a record


def _is_wanted(message: Message, wanted: Wanted) -> bool:
    return (
        (wanted.state is None or message.state == wanted.state)
        and (not wanted.group or message.group == wanted.group)
        and (not wanted.number or message.number == wanted.number)
        and (not wanted.words or wanted.words in folded(message.text))
    )


def _recorded(txn: Txn, wanted: Wanted) -> "Iterator[_Look[Message]]":
    for (identifier,), message in MESSAGES.scan(txn, after=wanted.behind or None, reverse=True):
        if identifier < wanted.first:
            return
        cost = 1 + len(message.text) // _LONG if wanted.words else 1
        yield identifier, cost, message if _is_wanted(message, wanted) else None


def _of_number(txn: Txn, wanted: Wanted) -> "Iterator[_Look[Message]]":
    for identifier in messages.of_number(txn, wanted.number, wanted.behind):
        if identifier < wanted.first:
            return
        message = messages.find(txn, identifier)
        # A row that is being erased is found by its number still, and is nobody's.
        yield identifier, _BY_NUMBER, message if message is not None and _is_wanted(message, wanted) else None


# -- rows


def _rows(txn: Txn, wanted: Wanted) -> "Iterator[_Look[Message]]":
    """Rows that are not written out."""
    groups: dict[int, _Group | None] = {}
    place = PLACES.at_or_before(txn, wanted.behind - 1 if wanted.behind else _HIGHEST)
    while place is not None:
        (first,), octets = place
        here = PLACES.decode((first,), octets)
        if first + here.count <= wanted.first:
            return
        if here.group not in groups:
            groups[here.group] = None if wanted.group not in (0, here.group) else _group(txn, here.group, wanted)
        group = groups[here.group]
        if group is not None:
            yield from group.looks(first, here)
        yield first, 1, None
        place = PLACES.at_or_before(txn, first - 1) if first else None


def _group(txn: Txn, identifier: int, wanted: Wanted) -> "_Group | None":
    bulk, fed = BULKS.find(txn, identifier), FED.find(txn, identifier)
    if bulk is None or fed is None:
        return None
    is_cancelled = GROUPS.find(txn, identifier) == Sending.CANCELLED
    return _Group(txn, identifier, wanted, bulk, fed, is_cancelled=is_cancelled)


class _Group:
    """The rows of one campaign in one transaction: what is the same for all of them is asked once."""

    def __init__(self, txn: Txn, identifier: int, wanted: Wanted, bulk: Bulk, fed: Fed, *, is_cancelled: bool) -> None:
        self._txn = txn
        self._id = identifier
        self._wanted = wanted
        self._bulk = bulk
        self._fed = fed
        self._is_cancelled = is_cancelled
        self._alike: dict[int, bool] = {}  # a text without values, by its template: whether it has the words
        self._templates: dict[tuple[str, int], sms.Template] = {}

    def looks(self, first: int, here: Place) -> "Iterator[_Look[Message]]":
        """The rows of a sheet whose first has the id `first`, from its last one that is asked for."""
        wanted, row = self._wanted, here.row
        begin = max(0, wanted.first - first)
        end = min(here.count, self._fed.rows - row, wanted.behind - first if wanted.behind else here.count)
        if end <= begin:
            return
        states = slots.states_of(self._txn, self._id, row + begin, end - begin)
        if not self._any_wanted(states, row + begin):
            yield first + begin, 1 + len(states) // _PASSED_OVER, None
            return
        while end > begin:
            start = max(begin, end - _PIECE)
            for number, found in reversed(list(sheets.read_rows(self._txn, self._id, row + start, end - start))):
                if self._is_shown(states[number - row - begin], number):
                    yield self._look(number, found)
            yield first + start, 1 + (end - start) // _PASSED_OVER, None
            end = start

    def _any_wanted(self, states: bytes, row: int) -> bool:
        """Whether any row from `row` on, whose slots have these states, is shown in the state that is wanted."""
        state = self._wanted.state
        if state is None:
            return len(states) > states.count(slots.WRITTEN)
        fed = max(0, self._fed.cursor - row)
        if slots.WAITING in states[:fed] and state == State.QUEUED:
            return True
        if slots.WAITING in states[fed:] and state == (State.CANCELLED if self._is_cancelled else State.ACCEPTED):
            return True
        return state != slots.WAITING and state in states

    def _is_shown(self, state: int, number: int) -> bool:
        """Whether a row whose slot has that state is shown in the one that is wanted."""
        if state == slots.WRITTEN:
            return False
        if state == slots.WAITING and number < self._fed.cursor:
            state = State.QUEUED
        elif state == slots.WAITING:
            state = State.CANCELLED if self._is_cancelled else State.ACCEPTED
        return self._wanted.state is None or state == self._wanted.state

    def _look(self, number: int, row: Row) -> "_Look[Message]":
        if self._wanted.words and not self._has_words(row):
            return row.id, 1, None
        message = sheets.composed(self._txn, self._id, number, row, self._bulk, self._fed, cancelled=self._is_cancelled)
        return row.id, _ROW, message

    def _has_words(self, row: Row) -> bool:
        key = row.language, variant_of(self._bulk.variants, row.id)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = template_of(self._bulk, *key)
        if template.fields:
            return self._wanted.words in folded(self._text(row))
        if id(template) not in self._alike:
            self._alike[id(template)] = self._wanted.words in folded(self._text(row))
        return self._alike[id(template)]

    def _text(self, row: Row) -> str:
        try:
            return sheets.text_of(self._bulk, row)
        except CodecError:
            return ""  # as it is shown


# -- what came in


def _received(txn: Txn, wanted: Wanted) -> "Iterator[_Look[Received]]":
    for identifier, record in _texts(txn, wanted):
        if identifier < wanted.first:
            return
        is_so = wanted.state is None or record.progress == wanted.state
        is_so = is_so and (not wanted.words or wanted.words in folded(record.text))
        yield identifier, 1 + len(record.text) // _LONG, record if is_so else None


def _texts(txn: Txn, wanted: Wanted) -> Iterator[tuple[int, Received]]:
    if not wanted.number:
        for (identifier,), record in RECEIVED.scan(txn, after=wanted.behind or None, reverse=True):
            yield identifier, record
        return
    after = (wanted.number, wanted.behind) if wanted.behind else None
    for _, identifier in BY_ORIGINATOR.scan(txn, wanted.number, after=after, reverse=True):
        yield identifier, RECEIVED.get(txn, identifier)
