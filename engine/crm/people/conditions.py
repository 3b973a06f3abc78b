"""Conditions: whom a segment takes, as a tree of typed values.

The JSON of the same tree is in condition_json, its small text form in condition_text, what fields there are and which
comparison suits them in vocabulary.  Nothing here looks at a customer.

Neither JSON nor the stored form has dates, so a text of the form YYYY-MM-DD that is a day of the calendar *is* that
date, wherever a value may be a date, in quotes or not: `literal_of`.  Everything else keeps its type: 7 is a number
and "7" is text.
"""

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

CONDITIONS_MOST: Final = 250  # leaves, those on events' properties among them
DEEPEST: Final = 8  # a lone condition is 1 deep
PATH_LONGEST: Final = 200  # characters of the name of a field or an event
ANNIVERSARY_LONGEST: Final = 366  # days: longer takes everybody who has the date
INTEGER_LEAST: Final = -(1 << 63)
INTEGER_MOST: Final = (1 << 63) - 1

# What the language says itself: in the text form, such a name or value must stand in quotes.
RESERVED: Final = frozenset({"and", "or", "not", "且", "并且", "或", "非"})


class Op(StrEnum):
    """How a field is compared."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    CONTAINS = "contains"
    STARTS = "starts"
    IN = "in"
    IS_SET = "is_set"
    IS_MISSING = "is_missing"
    WITHIN_LAST = "within_last"
    WITHIN_NEXT = "within_next"
    OLDER_THAN = "older_than"
    ANNIVERSARY = "anniversary"


COMPARISONS: Final = (Op.EQ, Op.NE, Op.LT, Op.LTE, Op.GT, Op.GTE)
IN_TEXT: Final = (Op.CONTAINS, Op.STARTS)  # whose value is text, whatever it looks like
PRESENCE: Final = (Op.IS_SET, Op.IS_MISSING)
IN_TIME: Final = (Op.WITHIN_LAST, Op.WITHIN_NEXT, Op.OLDER_THAN)


class Unit(StrEnum):
    """What a duration counts, as the text form writes it."""

    HOURS = "h"
    DAYS = "d"
    WEEKS = "w"
    MONTHS = "mo"
    YEARS = "y"


# The most a duration counts: today less or plus one stays within the years 1 to 9999.
COUNT_MOST: Final = {
    Unit.HOURS: 99_999,
    Unit.DAYS: 99_999,
    Unit.WEEKS: 9_999,
    Unit.MONTHS: 9_999,
    Unit.YEARS: 999,
}


class Aggregate(StrEnum):
    """What is made of the events that were found."""

    COUNT = "count"
    SUM = "sum"
    MAX = "max"
    MIN = "min"


class Calendar(StrEnum):
    """Of which calendar an anniversary is asked, in the words of RFC 7529."""

    CHINESE = "chinese"
    GREGORIAN = "gregorian"


class Duration(msgspec.Struct, frozen=True):
    """A time of one unit.  Only the offset of an anniversary counts below zero."""

    count: int
    unit: Unit


class Anniversary(msgspec.Struct, frozen=True):
    """`days` days from the day `offset` after today."""

    offset: Duration
    days: int


Scalar = str | int | bool | date
Value = Scalar | tuple[Scalar, ...] | Duration | Anniversary | None


class AllOf(msgspec.Struct, frozen=True):
    """Two or more, all of which must hold."""

    items: "tuple[Condition, ...]"


class AnyOf(msgspec.Struct, frozen=True):
    """Two or more, one of which must hold."""

    items: "tuple[Condition, ...]"


class Not(msgspec.Struct, frozen=True):
    """Holds where its item does not."""

    item: "Condition"


class Field(msgspec.Struct, frozen=True):
    """A comparison of a field of the customer, or of a property of an event.

    `value` is None with is_set and is_missing, a tuple with in, a Duration with the operators of time, an Anniversary
    with anniversary, and a scalar else.  `calendar` is None where the field's own counts.
    """

    path: str
    op: Op
    value: Value = None
    calendar: Calendar | None = None


class Tag(msgspec.Struct, frozen=True):
    """The customer has the tag."""

    name: str


class SegmentRef(msgspec.Struct, frozen=True):
    """The customer is in the segment of that name."""

    name: str


class Consent(msgspec.Struct, frozen=True):
    """The customer has consented to the purpose."""

    purpose: str


class Happened(msgspec.Struct, frozen=True):
    """A comparison of what is counted, or computed of the property `of`, over the customer's events of a type.

    `within` is None for ever.  `where` is of Field, AllOf, AnyOf and Not, and looks at the event's properties.
    """

    event: str
    within: Duration | None
    where: "Condition | None"
    agg: Aggregate
    of: str | None
    op: Op
    value: int


Condition = AllOf | AnyOf | Not | Field | Tag | SegmentRef | Consent | Happened

_PATH: Final = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)*")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_path(text: str) -> bool:
    """Whether a field or an event may be called so: words with dots between them, none of the language's own."""
    return len(text) <= PATH_LONGEST and _PATH.fullmatch(text) is not None and text not in RESERVED


def is_text(value: str) -> bool:
    """Whether UTF-8 can write it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def literal_of(text: str) -> str | date:
    """The date that `text` is, or the text itself."""
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text
    return text


def nodes(condition: Condition) -> Iterator[Condition]:
    """The condition and all in it, those on events' properties too; each before what it is made of."""
    yield condition
    match condition:
        case AllOf(items) | AnyOf(items):
            for item in items:
                yield from nodes(item)
        case Not(item) | Happened(where=item) if item is not None:
            yield from nodes(item)
        case _:
            pass


def segments_in(condition: Condition) -> tuple[str, ...]:
    """The names of the segments it refers to, each once, in their order."""
    return tuple(dict.fromkeys(node.name for node in nodes(condition) if isinstance(node, SegmentRef)))
