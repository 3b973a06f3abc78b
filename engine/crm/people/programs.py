"""Programs: a checked condition made ready for native code, at one moment and in one house.

What depends on the customer's zone (which day it is there) becomes a slot, whose bounds native code asks for once a
zone.  What no table of the programs tells is a question, asked of Python one customer at a time and last of all.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from engine import _conditions as native
from engine.crm.people import consent as consents
from engine.crm.people import dates, happenings, regions, tags, words
from engine.crm.people.conditions import (
    AllOf,
    Anniversary,
    AnyOf,
    Calendar,
    Condition,
    Consent,
    Duration,
    Field,
    Happened,
    Not,
    Op,
    Scalar,
    SegmentRef,
    Tag,
    Unit,
)
from engine.crm.people.customer import CUSTOMERS, Customer, Lifecycle, PhoneState
from engine.crm.people.happenings import PROPERTIES
from engine.crm.people.house_words import COUNTED, PERSON, HouseWord, HouseWords, Place
from engine.crm.people.vocabulary import Kind
from engine.errors import NotFound
from engine.store.table import Txn

_HOUR_MS: Final = 3_600_000
_FIELDS: Final = {name: place for place, name in enumerate(Customer.__struct_fields__)}
_ENUMS: Final = {"lifecycle": Lifecycle, "phone_state": PhoneState}
# Bits of the calendars that an anniversary is asked of.
_CALENDARS: Final = {None: 3, Calendar.GREGORIAN: 1, Calendar.CHINESE: 2}

Node = tuple[int, int, int, int, int, int, int, Sequence[int] | Sequence[bytes], int, int]
Pair = tuple[int, int] | tuple[bytes, bytes]
Bounds = Callable[[str, date], Pair]
Resolve = Callable[[str], Condition | None]


class Tree(NamedTuple):
    """Nodes in prefix order, and what they cost: whoever is cheapest is asked first."""

    cost: tuple[int, int]
    nodes: list[Node]


class Compiled(NamedTuple):
    """`program` with what it needs beside the customers: members, and events of these kinds."""

    program: native.Program
    needs_members: bool
    kinds: frozenset[int]


def compile_condition(
    txn: Txn, condition: Condition, words_: HouseWords, resolve: Resolve, now_ms: int, zone: str
) -> Compiled:
    """The program of a checked condition.  Keep the transaction open while it runs.

    Raises NotFound for a segment that there is not.
    """
    return _Compiler(txn, words_, resolve, now_ms, zone).compiled(condition)


_NOWHERE: Final = Place(0)


def _node(
    op: str,
    *,
    place: Place = _NOWHERE,
    comparison: str = "eq",
    value: int = 0,
    slot: int = 0,
    operands: Sequence[int] | Sequence[bytes] = (),
    aggregate: str = "count",
    size: int = 1,
) -> Node:
    return (
        native.OPS[op],
        native.SOURCES[place.source],
        place.field,
        place.key,
        native.COMPARISONS[comparison],
        value,
        slot,
        operands,
        native.AGGREGATES[aggregate],
        size,
    )


class _Compiler:
    def __init__(self, txn: Txn, words_: HouseWords, resolve: Resolve, now_ms: int, zone: str) -> None:
        self._txn = txn
        self._words = words_
        self._resolve = resolve
        self._now_ms = now_ms
        self._zone = zone
        self._slots: list[Bounds] = []
        self._questions: list[Callable[[int], bool]] = []
        self._kinds: set[int] = set()
        self._needs_members = False

    def compiled(self, condition: Condition) -> Compiled:
        tree = self._tree(condition)
        zones = {
            region.id: zone.encode()
            for region in regions.listed(self._txn)
            if (zone := regions.zone_of(self._txn, region.id))
        }
        program = native.Program(
            tree.nodes,
            len(self._slots),
            words.folded,
            self._bounds_of,
            _FIELDS["time_zone"],
            _FIELDS["region"],
            zones,
            self._zone.encode(),
            lambda question, customer: self._questions[question](customer),
        )
        return Compiled(program, self._needs_members, frozenset(self._kinds))

    def _bounds_of(self, name: bytes) -> list[Pair]:
        zone = name.decode()
        today = dates.today(self._now_ms, zone)
        return [bounds(zone, today) for bounds in self._slots]

    def _slot(self, bounds: Bounds) -> int:
        self._slots.append(bounds)
        return len(self._slots) - 1

    # -- the tree

    def _tree(self, condition: Condition) -> Tree:
        match condition:
            case AllOf(items):
                return _joined("all", [self._tree(item) for item in items])
            case AnyOf(items):
                return _joined("any", [self._tree(item) for item in items])
            case Not(item):
                return _negated(self._tree(item))
            case Tag(name):
                tag = tags.find(self._txn, name)
                return _integers(PERSON["tags"].place, [] if tag is None else [tag])
            case Consent(purpose):
                return _leaf("bits", PERSON["granted"].place, value=consents.bit(purpose))
            case SegmentRef(name):
                found = self._resolve(name)
                if found is None:
                    raise NotFound(f"there is no segment {name!r}")
                return self._tree(found)
            case Happened():
                return self._happened(condition)
            case Field(path):
                return self._field(condition, self._words.find(path))

    def _happened(self, asked: Happened) -> Tree:
        number = happenings.KINDS.index(asked.event)
        self._kinds.add(number)
        within, now_ms = asked.within, self._now_ms

        def bounds(zone: str, today: date) -> Pair:
            if within is None:
                return -(1 << 62), now_ms + 1
            if within.unit is Unit.HOURS:
                return now_ms - within.count * _HOUR_MS + 1, now_ms + 1
            first = shifted(today, -within.count, within.unit) + timedelta(days=1)
            return _midnight_ms(first, zone), now_ms + 1

        where = [] if asked.where is None else self._where(asked.where, asked.event).nodes
        aggregated = Place(PROPERTIES[asked.of] if asked.of else 0, source="event")
        node = _node(
            "events",
            place=aggregated,
            comparison=asked.op.value,
            value=number,
            slot=self._slot(bounds),
            operands=(asked.value,),
            aggregate=asked.agg.value,
            size=1 + len(where),
        )
        cost = 3 if number in COUNTED else 2
        return Tree((cost, number), [node, *where])

    def _where(self, condition: Condition, event: str) -> Tree:
        match condition:
            case AllOf(items):
                return _joined("all", [self._where(item, event) for item in items])
            case AnyOf(items):
                return _joined("any", [self._where(item, event) for item in items])
            case Not(item):
                return _negated(self._where(item, event))
            case Field(path):
                return self._field(condition, self._words.property_of(event, path))
            case _:
                raise TypeError(condition)  # `checked` lets nothing else through

    # -- fields

    def _field(self, asked: Field, word: HouseWord) -> Tree:
        place = word.place
        if place.source == "member":
            self._needs_members = True
        if asked.op is Op.IS_SET:
            return _leaf("set", place, value=word.zero_is_none)
        if asked.op is Op.IS_MISSING:
            return _leaf("missing", place, value=word.zero_is_none)
        if word.name in _ENUMS:
            return self._named(asked, place, [(step.value, step.name.lower()) for step in _ENUMS[word.name]])
        match word.kind:
            case Kind.REGION:
                return self._region(asked, place)
            case Kind.INTEGER | Kind.YES_NO:
                return _numeric(asked, place)
            case Kind.TEXT | Kind.LIST:
                return _text(asked, place)
            case Kind.DATE | Kind.TIME if not isinstance(asked.value, Anniversary):
                return self._dated(asked, place, is_instant=word.kind is Kind.TIME)
            case _ if isinstance(asked.value, Anniversary):
                return self._anniversary(asked, asked.value, word)
        raise TypeError(asked)

    def _named(self, asked: Field, place: Place, names: list[tuple[int, str]]) -> Tree:
        """A field that is kept as a number and spoken of by a word."""
        sought = [words.folded(str(value)) for value in _members(asked.value)]
        told = Op.EQ if asked.op is Op.NE else asked.op
        found = [number for number, name in names if any(_is_like(name, told, text) for text in sought)]
        tree = _integers(place, found)
        return _negated(tree) if asked.op is Op.NE else tree

    def _region(self, asked: Field, place: Place) -> Tree:
        within: set[int] = set()
        for code in _members(asked.value):
            found = regions.find(self._txn, str(code))
            if found is not None:
                within |= regions.below(self._txn, found)
        tree = _integers(place, sorted(within))
        if asked.op is not Op.NE:
            return tree
        return _joined("all", [_leaf("set", place, value=1), _negated(tree)])

    def _dated(self, asked: Field, place: Place, *, is_instant: bool) -> Tree:
        value, op, now_ms = asked.value, asked.op, self._now_ms
        if isinstance(value, tuple):
            return _joined("any", [self._day(place, _date_of(day), Op.EQ, is_instant) for day in value])
        if not isinstance(value, Duration):
            return self._day(place, _date_of(value), op, is_instant)
        span = value

        def bounds(zone: str, today: date) -> Pair:
            if span.unit is Unit.HOURS:
                return _hours(op, span.count * _HOUR_MS, now_ms)
            edge = shifted(today, span.count if op is Op.WITHIN_NEXT else -span.count, span.unit)
            if op is Op.WITHIN_LAST:
                first, last = edge + timedelta(days=1), today + timedelta(days=1)
            elif op is Op.WITHIN_NEXT:
                first, last = today, edge
            else:
                first, last = date.min, edge + timedelta(days=1)
            return _days(first, last, zone, is_instant=is_instant)

        return _leaf("span", place, slot=self._slot(bounds))

    def _day(self, place: Place, day: date, op: Op, is_instant: bool) -> Tree:
        """Compared with a day."""
        behind = day + timedelta(days=1) if day < date.max else day
        first, last = {
            Op.EQ: (day, behind),
            Op.NE: (day, behind),
            Op.LT: (date.min, day),
            Op.LTE: (date.min, behind),
            Op.GT: (behind, date.max),
            Op.GTE: (day, date.max),
        }[op]
        slot = self._slot(lambda zone, _today: _days(first, last, zone, is_instant=is_instant))
        return _leaf("span", place, slot=slot, comparison="ne" if op is Op.NE else "eq")

    def _anniversary(self, asked: Field, wanted: Anniversary, word: HouseWord) -> Tree:
        offset = wanted.offset

        def window(today: date) -> dates.Window:
            return dates.window(shifted(today, offset.count, offset.unit), wanted.days)

        if word.kind is not Kind.TIME:

            def bounds(_zone: str, today: date) -> Pair:
                found = window(today)
                return found.gregorian, found.chinese

            return _leaf("day", word.place, value=_CALENDARS[asked.calendar], slot=self._slot(bounds))

        def is_kept(customer: int) -> bool:
            record = CUSTOMERS.get(self._txn, customer)
            at_ms = getattr(record, word.name)
            if not at_ms or asked.calendar is Calendar.CHINESE:
                return False
            zone = record.time_zone or regions.zone_of(self._txn, record.region) or self._zone
            born = dates.today(at_ms, zone)
            day = dates.Day(dates.GREGORIAN, born.month, born.day)
            return dates.holds(window(dates.today(self._now_ms, zone)), day)

        self._questions.append(is_kept)
        return Tree((4, len(self._questions)), [_node("ask", value=len(self._questions) - 1)])


def _leaf(op: str, place: Place, *, value: int = 0, slot: int = 0, comparison: str = "eq") -> Tree:
    node = _node(op, place=place, value=value, slot=slot, comparison=comparison)
    return Tree((_cost(place), place.field), [node])


def _cost(place: Place) -> int:
    return 1 if place.source == "member" else 0


def _joined(op: str, trees: list[Tree]) -> Tree:
    if len(trees) == 1:
        return trees[0]
    ordered = sorted(trees, key=lambda tree: tree.cost)
    nodes = [node for tree in ordered for node in tree.nodes]
    return Tree(ordered[-1].cost, [_node(op, size=1 + len(nodes)), *nodes])


def _negated(tree: Tree) -> Tree:
    return Tree(tree.cost, [_node("not", size=1 + len(tree.nodes)), *tree.nodes])


def _integers(place: Place, operands: list[int]) -> Tree:
    return Tree((_cost(place), place.field), [_node("integers", place=place, operands=sorted(operands))])


def _numeric(asked: Field, place: Place) -> Tree:
    if isinstance(asked.value, tuple):
        return _integers(place, [int(str(value)) if isinstance(value, date) else int(value) for value in asked.value])
    if not isinstance(asked.value, int):
        raise TypeError(asked)
    return _leaf("integer", place, value=int(asked.value), comparison=asked.op.value)


def _text(asked: Field, place: Place) -> Tree:
    operands = [words.folded(str(value)).encode() for value in _members(asked.value)]
    comparison = "eq" if asked.op is Op.IN else asked.op.value
    node = _node("text", place=place, comparison=comparison, operands=operands)
    return Tree((_cost(place), place.field), [node])


def _members(value: object) -> tuple[Scalar, ...]:
    return value if isinstance(value, tuple) else (value,)


def _date_of(value: object) -> date:
    if not isinstance(value, date):
        raise TypeError(value)  # `checked` lets nothing else through
    return value


def _is_like(name: str, op: Op, sought: str) -> bool:
    if op is Op.CONTAINS:
        return sought in name
    return name.startswith(sought) if op is Op.STARTS else name == sought


def _hours(op: Op, span_ms: int, now_ms: int) -> tuple[int, int]:
    if op is Op.WITHIN_LAST:
        return now_ms - span_ms + 1, now_ms + 1
    if op is Op.WITHIN_NEXT:
        return now_ms, now_ms + span_ms
    return 1, now_ms - span_ms + 1


def _days(first: date, last: date, zone: str, *, is_instant: bool) -> tuple[int, int]:
    """[from, until) as it is kept: a day number, or the milliseconds of local midnights."""
    if not is_instant:
        return first.toordinal(), last.toordinal()
    low = 1 if first <= _EARLIEST else _midnight_ms(first, zone)
    high = 1 << 62 if last >= _LATEST else _midnight_ms(last, zone)
    return low, high


def _midnight_ms(day: date, zone: str) -> int:
    return dates.moment_ms(day, 0, zone)


_EARLIEST: Final = date(1, 1, 2)
_LATEST: Final = date(9999, 12, 30)


def shifted(day: date, count: int, unit: Unit) -> date:
    """The day so much later, or earlier; months and years step back to the last day that there is."""
    if unit is Unit.DAYS:
        return day + timedelta(days=count)
    if unit is Unit.WEEKS:
        return day + timedelta(weeks=count)
    months = 12 * day.year + day.month - 1 + (12 * count if unit is Unit.YEARS else count)
    year, month = months // 12, months % 12 + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month, min(day.day, last))
