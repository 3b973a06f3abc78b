"""Vocabulary: which fields and events a condition may speak of, and which comparison suits them.

`checked` is asked when a segment is saved; a condition that passed means the same whoever evaluates it.
"""

from datetime import date
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from engine.crm.people import consent
from engine.crm.people.condition_json import inside, wrong
from engine.crm.people.conditions import (
    COMPARISONS,
    IN_TEXT,
    IN_TIME,
    PRESENCE,
    Aggregate,
    AllOf,
    AnyOf,
    Condition,
    Consent,
    Duration,
    Field,
    Happened,
    Not,
    Op,
    Scalar,
    Unit,
)

# What may have happened to a customer.
EVENTS: Final = (
    "order",
    "order_line",
    "sms_in",
    "sms_out",
    "campaign",
    "click",
    "survey",
    "feedback",
    "complaint",
    "points",
    "coupon",
    "visit",
    "call",
    "service_request",
    "event_attended",
    "consent",
    "report",
)


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    CHOICE = TEXT  # compared as text is
    INTEGER = "integer"
    YES_NO = "yes_no"
    DATE = "date"  # a day of a year
    TIME = "time"  # an instant, compared by its day in the customer's zone
    DAY = "day"  # of either calendar, with a year or without
    LIST = "list"  # of texts
    REGION = "region"  # a code, whose region lies in others


class Vocabulary(Protocol):
    """What the house knows of its customers."""

    def kind_of(self, path: str) -> Kind | None:
        """What the customer's field holds, or None where there is no such field."""

    def event_property(self, event: str, path: str) -> Kind | None:
        """What that property of an event of that type holds, or None where there is no such property."""


_SUITS: Final[dict[Kind, tuple[Op, ...]]] = {
    Kind.TEXT: (Op.EQ, Op.NE, Op.IN, *IN_TEXT, *PRESENCE),
    Kind.INTEGER: (*COMPARISONS, Op.IN, *PRESENCE),
    Kind.YES_NO: (Op.EQ, Op.NE, *PRESENCE),
    Kind.DATE: (*COMPARISONS, Op.IN, *IN_TIME, Op.ANNIVERSARY, *PRESENCE),
    Kind.TIME: (*COMPARISONS, Op.IN, *IN_TIME, Op.ANNIVERSARY, *PRESENCE),
    Kind.DAY: (Op.ANNIVERSARY, *PRESENCE),
    Kind.LIST: (Op.EQ, Op.NE, Op.IN, *IN_TEXT, *PRESENCE),
    Kind.REGION: (Op.EQ, Op.NE, Op.IN, *PRESENCE),
}
_TEXTS: Final = (Kind.TEXT, Kind.LIST, Kind.REGION)
_NAMED: Final = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number",
    Kind.YES_NO: "true or false",
    Kind.DATE: "a date",
    Kind.TIME: "a date",
    Kind.DAY: "a day of the year",
    Kind.LIST: "a list of texts",
    Kind.REGION: "a region",
}


def checked(condition: Condition, vocabulary: Vocabulary, field: str = "definition") -> Condition:
    """The condition, with text again where a field of text is compared with what looked like a date.

    Raises Invalid naming the place, as `definition.all[1].field`: no such field, event, property or purpose, an
    operator that does not suit what the field holds, a value of another kind.  Whether tags and segments exist is not
    asked.
    """
    return _checked(condition, vocabulary, field, event="")


def _checked(condition: Condition, vocabulary: Vocabulary, place: str, event: str) -> Condition:
    match condition:
        case AllOf(items):
            return AllOf(_each(items, vocabulary, inside(place, "all"), event))
        case AnyOf(items):
            return AnyOf(_each(items, vocabulary, inside(place, "any"), event))
        case Not(item):
            return Not(_checked(item, vocabulary, inside(place, "not"), event))
        case Field(path):
            kind = vocabulary.event_property(event, path) if event else vocabulary.kind_of(path)
            if kind is None:
                raise wrong(inside(place, "field"), f"no such {f'property of {event}' if event else 'field'}: {path}")
            return _compared(condition, kind, place)
        case Happened():
            return _counted(condition, vocabulary, place)
        case Consent(purpose) if purpose not in consent.NEEDED:
            raise wrong(inside(place, "consent"), f"no such purpose: {purpose}")
        case _:
            return condition


def _each(items: tuple[Condition, ...], vocabulary: Vocabulary, place: str, event: str) -> tuple[Condition, ...]:
    return tuple(_checked(item, vocabulary, inside(place, i), event) for i, item in enumerate(items))


def _counted(happened: Happened, vocabulary: Vocabulary, place: str) -> Happened:
    event = happened.event
    if event not in EVENTS:
        raise wrong(inside(place, "event"), f"no such event: {event}")
    where = happened.where
    if where is not None:
        where = _checked(where, vocabulary, inside(place, "where"), event)
    if happened.agg is not Aggregate.COUNT:
        kind = vocabulary.event_property(event, happened.of or "")
        if kind is None:
            raise wrong(inside(place, "of"), f"no such property of {event}: {happened.of}")
        if kind is not Kind.INTEGER:
            raise wrong(inside(place, "of"), f"{happened.of} is {_NAMED[kind]}, which has no {happened.agg}")
    return msgspec.structs.replace(happened, where=where)


def _compared(field: Field, kind: Kind, place: str) -> Field:
    if field.op not in _SUITS[kind]:
        raise wrong(inside(place, "op"), f"{field.op} does not suit {field.path}, which is {_NAMED[kind]}")
    value, at = field.value, inside(place, "value")
    if isinstance(value, Duration) and value.unit is Unit.HOURS and kind is not Kind.TIME:
        raise wrong(at, f"hours do not suit {field.path}, which has only a day")
    if isinstance(value, tuple):
        members = tuple(_literal(member, kind, inside(at, i)) for i, member in enumerate(value))
        return msgspec.structs.replace(field, value=members)
    if isinstance(value, str | int | date):
        return msgspec.structs.replace(field, value=_literal(value, kind, at))
    return field


def _literal(value: Scalar, kind: Kind, place: str) -> Scalar:
    if kind in _TEXTS:
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, str):
            return value
        raise wrong(place, "is not text: in quotes it is")
    is_bool = isinstance(value, bool)
    suits = {
        Kind.INTEGER: isinstance(value, int) and not is_bool,
        Kind.YES_NO: is_bool,
        Kind.DATE: isinstance(value, date),
        Kind.TIME: isinstance(value, date),
    }
    if not suits[kind]:
        raise wrong(place, f"is not {_NAMED[kind]}")
    return value
