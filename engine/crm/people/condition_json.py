"""Conditions as the JSON that callers send and we keep.

`from_json` and `to_json` undo each other: nothing can be said in two ways, so what was read is written as it came.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Any, Final, TypeVar

from engine.crm.people.conditions import (
    ANNIVERSARY_LONGEST,
    COMPARISONS,
    CONDITIONS_MOST,
    COUNT_MOST,
    DEEPEST,
    IN_TEXT,
    IN_TIME,
    INTEGER_LEAST,
    INTEGER_MOST,
    PRESENCE,
    Aggregate,
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
    Value,
    is_path,
    is_text,
    literal_of,
)
from engine.errors import Invalid, InvalidParam

Word = TypeVar("Word", bound=StrEnum)

_DURATION: Final = re.compile(r"P(?:T(?P<hours>0|[1-9][0-9]{0,5})H|(?P<count>0|[1-9][0-9]{0,5})(?P<unit>[DWMY]))")
_LETTERS: Final = {"D": Unit.DAYS, "W": Unit.WEEKS, "M": Unit.MONTHS, "Y": Unit.YEARS}
_UNITS: Final = {unit: letter for letter, unit in _LETTERS.items()}

_SHAPES: Final[dict[str, tuple[str, ...]]] = {
    "all": (),
    "any": (),
    "not": (),
    "field": ("op", "value", "calendar"),
    "tag": (),
    "segment": (),
    "consent": (),
    "event": ("within", "where", "agg", "of", "op", "value"),
}


def wrong(name: str, reason: str) -> Invalid:
    """What to raise about the place `name`."""
    return Invalid(InvalidParam(name, reason))


def inside(place: str, key: str | int) -> str:
    """The place of `key` in what stands at `place`, as `all[1].op`."""
    if isinstance(key, int):
        return f"{place}[{key}]"
    return f"{place}.{key}" if place else key


def iso_of(duration: Duration) -> str:
    """ISO 8601, of one unit: PT12H, P7D, P2W, P6M, P1Y; with a sign where it counts below zero."""
    sign, count = "-" * (duration.count < 0), abs(duration.count)
    if duration.unit is Unit.HOURS:
        return f"{sign}PT{count}H"
    return f"{sign}P{count}{_UNITS[duration.unit]}"


def to_json(condition: Condition) -> dict[str, Any]:
    """As `from_json` reads it, keys in the order of the documentation."""
    match condition:
        case AllOf(items):
            return {"all": [to_json(item) for item in items]}
        case AnyOf(items):
            return {"any": [to_json(item) for item in items]}
        case Not(item):
            return {"not": to_json(item)}
        case Tag(name):
            return {"tag": name}
        case SegmentRef(name):
            return {"segment": name}
        case Consent(purpose):
            return {"consent": purpose}
        case Field(path, op, value, calendar):
            json: dict[str, Any] = {"field": path, "op": op.value}
            if value is not None:
                json["value"] = _value_to_json(value)
            if calendar is not None:
                json["calendar"] = calendar.value
            return json
        case Happened(event, within, where, agg, of, op, count):
            json = {"event": event, "within": "ever" if within is None else iso_of(within)}
            if where is not None:
                json["where"] = to_json(where)
            json["agg"] = agg.value
            if of is not None:
                json["of"] = of
            return {**json, "op": op.value, "value": count}


def _value_to_json(value: Value) -> object:
    match value:
        case tuple():
            return [_value_to_json(member) for member in value]
        case date():
            return value.isoformat()
        case Duration():
            return iso_of(value)
        case Anniversary(offset, days):
            return {"offset": iso_of(offset), "days": days}
        case _:
            return value


def from_json(json: object, field: str = "definition") -> Condition:
    """The tree that decoded JSON draws.

    Raises Invalid naming the place, as `definition.all[1].op`: keys too many or too few, another type, an unknown
    operator, fewer than two members, a number beyond 64 bits, a duration of more than one unit, more than
    CONDITIONS_MOST, deeper than DEEPEST.
    """
    return _Reading().condition(json, field, 1)


class _Reading:
    """One definition on its way in: how many conditions it had so far, and whether an event's are being read."""

    def __init__(self) -> None:
        self.conditions = 0
        self.is_of_event = False

    def condition(self, json: object, place: str, level: int) -> Condition:
        if not isinstance(json, dict):
            raise wrong(place, "is no condition: an object is one")
        if level > DEEPEST:
            raise wrong(place, f"is nested deeper than {DEEPEST}")
        heads = [head for head in _SHAPES if head in json]
        if len(heads) != 1:
            raise wrong(place, f"must have one of {', '.join(_SHAPES)}")
        head = heads[0]
        for key in json:
            if key != head and key not in _SHAPES[head]:
                raise wrong(inside(place, str(key)), "is unknown here")
        if head in ("all", "any"):
            return self._several(json[head], head, inside(place, head), level)
        if head == "not":
            return Not(self.condition(json["not"], inside(place, "not"), level + 1))
        self.conditions += 1
        if self.conditions > CONDITIONS_MOST:
            raise wrong(place, f"is one of more than {CONDITIONS_MOST} conditions")
        if head == "field":
            return _field(json, place)
        if self.is_of_event:
            raise wrong(inside(place, head), "looks at the customer; here are only fields of the event")
        if head == "event":
            return self._happened(json, place, level)
        name = _text(json[head], inside(place, head))
        if not name:
            raise wrong(inside(place, head), "is empty")
        return Tag(name) if head == "tag" else SegmentRef(name) if head == "segment" else Consent(name)

    def _several(self, members: object, head: str, place: str, level: int) -> Condition:
        if not isinstance(members, list) or len(members) < 2:
            raise wrong(place, "must be a list of two conditions or more")
        items = tuple(self.condition(member, inside(place, i), level + 1) for i, member in enumerate(members))
        return AllOf(items) if head == "all" else AnyOf(items)

    def _happened(self, json: dict[str, object], place: str, level: int) -> Happened:
        event = _path(json["event"], inside(place, "event"))
        within = _needed(json, "within", place)
        during = None if within == "ever" else _duration(within, inside(place, "within"))
        where = None
        if "where" in json:
            self.is_of_event = True
            where = self.condition(json["where"], inside(place, "where"), level + 1)
            self.is_of_event = False
        agg = _word(Aggregate, _needed(json, "agg", place), inside(place, "agg"))
        of = None
        if agg is not Aggregate.COUNT:
            of = _path(_needed(json, "of", place), inside(place, "of"))
        elif "of" in json:
            raise wrong(inside(place, "of"), "is unknown with count")
        op = _word(Op, _needed(json, "op", place), inside(place, "op"))
        if op not in COMPARISONS:
            raise wrong(inside(place, "op"), f"must be one of {', '.join(COMPARISONS)}")
        value = _needed(json, "value", place)
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong(inside(place, "value"), "must be a whole number")
        return Happened(event, during, where, agg, of, op, _integer(value, inside(place, "value")))


def _field(json: dict[str, object], place: str) -> Field:
    path = _path(json["field"], inside(place, "field"))
    op = _word(Op, _needed(json, "op", place), inside(place, "op"))
    calendar = None
    if "calendar" in json:
        if op is not Op.ANNIVERSARY:
            raise wrong(inside(place, "calendar"), "is known only with anniversary")
        calendar = _word(Calendar, json["calendar"], inside(place, "calendar"))
    if op in PRESENCE:
        if "value" in json:
            raise wrong(inside(place, "value"), f"is unknown with {op}")
        return Field(path, op)
    return Field(path, op, _value(op, _needed(json, "value", place), inside(place, "value")), calendar)


def _value(op: Op, value: object, place: str) -> Value:
    if op is Op.IN:
        if not isinstance(value, list) or not value:
            raise wrong(place, "must be a list of one value or more")
        return tuple(_scalar(member, inside(place, i)) for i, member in enumerate(value))
    if op in IN_TEXT:
        return _text(value, place)
    if op in IN_TIME:
        return _duration(value, place)
    if op is Op.ANNIVERSARY:
        return _anniversary(value, place)
    return _scalar(value, place)


def _scalar(value: object, place: str) -> Scalar:
    if isinstance(value, str):
        return literal_of(_text(value, place))
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _integer(value, place)
    raise wrong(place, "must be text, a whole number, true or false")


def _integer(value: int, place: str) -> int:
    if not INTEGER_LEAST <= value <= INTEGER_MOST:
        raise wrong(place, "does not fit in 64 bits")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise wrong(place, "must be text")
    if not is_text(value):
        raise wrong(place, "has half of a surrogate pair")
    return value


def _path(value: object, place: str) -> str:
    text = _text(value, place)
    if not is_path(text):
        raise wrong(place, "must be a name: letters, digits, _ and -, and dots between")
    return text


def _duration(value: object, place: str) -> Duration:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong(place, "must be a duration of one unit, as PT12H, P7D, P2W, P6M or P1Y")
    hours, count, letter = found["hours"], found["count"], found["unit"]
    duration = Duration(int(hours or count), Unit.HOURS if hours else _LETTERS[letter])
    if duration.count > COUNT_MOST[duration.unit]:
        raise wrong(place, "is too long")
    return duration


def _anniversary(value: object, place: str) -> Anniversary:
    if not isinstance(value, dict):
        raise wrong(place, 'must be an object, as {"offset": "P0D", "days": 7}')
    for key in value:
        if key not in ("offset", "days"):
            raise wrong(inside(place, str(key)), "is unknown here")
    offset = _offset(_needed(value, "offset", place), inside(place, "offset"))
    days = _needed(value, "days", place)
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= ANNIVERSARY_LONGEST:
        raise wrong(inside(place, "days"), f"must be a whole number from 1 to {ANNIVERSARY_LONGEST}")
    return Anniversary(offset, days)


def _offset(value: object, place: str) -> Duration:
    is_before = isinstance(value, str) and value.startswith("-")
    offset = _duration(value[1:] if is_before and isinstance(value, str) else value, place)
    if offset.unit is Unit.HOURS:
        raise wrong(place, "must be of days, weeks, months or years")
    if not is_before:
        return offset
    if offset.count == 0:
        raise wrong(place, "must not be minus nothing")
    return Duration(-offset.count, offset.unit)


def _needed(json: dict[str, Any], key: str, place: str) -> object:
    if key not in json:
        raise wrong(inside(place, key), "is missing")
    return json[key]


def _word(kind: type[Word], value: object, place: str) -> Word:
    try:
        return kind(value)  # type: ignore[arg-type]
    except ValueError:
        raise wrong(place, f"must be one of {', '.join(kind)}") from None
