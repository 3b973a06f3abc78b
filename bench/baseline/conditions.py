"""Conditions over plain dicts, one customer after the other: the oracle of the native evaluator.

A customer is a dict as JSON has it: fields by their path, `tags` (a list), `consent` (purpose to status), `events`
(each with `type`, `at` and its properties), `tz` (a zone, the house's where it is missing).  Dates are texts
YYYY-MM-DD, birthdays also --MM-DD or an object of the Chinese calendar, instants ISO 8601 with a zone.

What the language leaves open is decided so:

* A value that is null, an empty text or an empty list is missing.
* `!=` holds of a value of another type than what it is compared with; every other comparison does not.
* An instant is compared with dates, and counted in days, by its day in the customer's zone.  Hours need an instant.
* Events count up to now, to the millisecond; a day without a time of day counts on the day itself.
* The sum of no events is 0; they have neither a greatest nor a least, so that no comparison of those holds.  An event
  without the property, or with one that is no whole number, counts for none of the three.
* An anniversary is asked day by day and forgets the year: it also holds in the years before the date.  29 February is
  the 28th in common years, day 30 of a lunar month its last day, and a leap month the ordinary one.
"""

import unicodedata
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from borax.calendars.lunardate import LCalendars, LunarDate

from engine.crm.people.conditions import (
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
    SegmentRef,
    Tag,
    Unit,
)

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class World:
    """When it is, and what the house knows: its zone, the region each region lies in, its segments."""

    now_ms: int
    zone: str = "UTC"
    regions: Mapping[str, str] = field(default_factory=dict)
    segments: Mapping[str, Condition] = field(default_factory=dict)


def matches(condition: Condition, person: Fields, world: World) -> bool:
    """Whether the condition takes the person.  Raises KeyError for a segment that the world does not know."""
    return Reader(person, world).holds(condition, person)


def fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def shift(day: date, count: int, unit: Unit) -> date:
    """The day `count` units later: months and years step back to the last day that the month has."""
    if unit is Unit.DAYS:
        return day + timedelta(days=count)
    if unit is Unit.WEEKS:
        return day + timedelta(weeks=count)
    months = 12 * day.year + day.month - 1 + (12 * count if unit is Unit.YEARS else count)
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def value_of(fields: Fields, path: str) -> Any:
    """What stands at the path, or None where it is missing."""
    value: Any = fields
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value in ("", [], {}) else value


def date_of(text: object) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if isinstance(text, str) else None  # noqa: DTZ007
    except ValueError:
        return None


def instant_of(text: object) -> datetime | None:
    if not isinstance(text, str) or "T" not in text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def falls_on(birthday: object, day: date, zone: ZoneInfo, calendar: Calendar | None) -> bool:
    """Whether that is the day of the year on which the birthday is kept."""
    if isinstance(birthday, Mapping):
        if birthday.get("calendar") != "chinese" or calendar is Calendar.GREGORIAN:
            return False
        year, month = LunarDate.from_solar(day).year, birthday["month"]
        kept = LunarDate(year, month, min(birthday["day"], LCalendars.ndays(year, month)))
        return bool(kept.to_solar_date() == day)
    if calendar is Calendar.CHINESE or not isinstance(birthday, str):
        return False
    if birthday.startswith("--"):
        birthday = f"2000-{birthday[2:]}"
    instant = instant_of(birthday)
    born = instant.astimezone(zone).date() if instant else date_of(birthday)
    if born is None:
        return False
    return day == date(day.year, born.month, min(born.day, monthrange(day.year, born.month)[1]))


class Reader:
    """One person, and what day it is there."""

    def __init__(self, person: Fields, world: World) -> None:
        self.person = person
        self.world = world
        self.zone = ZoneInfo(person.get("tz") or world.zone)
        self.now = datetime.fromtimestamp(world.now_ms // 1000, UTC) + timedelta(milliseconds=world.now_ms % 1000)
        self.today = self.now.astimezone(self.zone).date()

    def holds(self, condition: Condition, fields: Fields) -> bool:
        """`fields` are the person's, or those of an event."""
        match condition:
            case AllOf(items):
                return all(self.holds(item, fields) for item in items)
            case AnyOf(items):
                return any(self.holds(item, fields) for item in items)
            case Not(item):
                return not self.holds(item, fields)
            case Tag(name):
                return fold(name) in [fold(tag) for tag in self.person.get("tags") or []]
            case Consent(purpose):
                return (self.person.get("consent") or {}).get(purpose) == "granted"
            case SegmentRef(name):
                return self.holds(self.world.segments[name], self.person)
            case Field():
                return self.compares(condition, value_of(fields, condition.path))
            case Happened():
                return self.counts(condition)

    def compares(self, field: Field, value: Any) -> bool:
        if field.op is Op.IS_MISSING:
            return value is None
        if value is None:
            return False
        if field.op is Op.IS_SET:
            return True
        values = value if isinstance(value, list) else [value]
        if field.op is Op.NE:
            return not any(self.agrees(field, Op.EQ, each) for each in values)
        return any(self.agrees(field, field.op, each) for each in values)

    def agrees(self, field: Field, op: Op, value: Any) -> bool:
        asked = field.value
        if isinstance(asked, tuple):
            return any(self.agrees(Field(field.path, Op.EQ, each), Op.EQ, value) for each in asked)
        if isinstance(asked, Anniversary):
            return self.is_kept(asked, value, field.calendar)
        if isinstance(asked, Duration):
            return self.is_near(op, asked, value)
        if field.path == "region" and op is Op.EQ:
            return self.lies_in(value, asked)
        if op in (Op.CONTAINS, Op.STARTS):
            if not isinstance(value, str) or not isinstance(asked, str):
                return False
            return fold(asked) in fold(value) if op is Op.CONTAINS else fold(value).startswith(fold(asked))
        return self.is_ordered(op, value, asked)

    def is_ordered(self, op: Op, value: Any, asked: Any) -> bool:
        """eq, lt, lte, gt and gte between values of one type; truth and text have no order."""
        found: Any = value
        if isinstance(asked, date):
            found = self.day_of(value)
        elif isinstance(asked, str) and isinstance(value, str):
            found, asked = fold(value), fold(asked)
        if found is None or type(found) is not type(asked):
            return False
        if op is Op.EQ:
            return bool(found == asked)
        if isinstance(asked, str | bool):
            return False
        return bool({Op.LT: found < asked, Op.LTE: found <= asked, Op.GT: found > asked, Op.GTE: found >= asked}[op])

    def day_of(self, value: Any) -> date | None:
        instant = instant_of(value)
        return instant.astimezone(self.zone).date() if instant else date_of(value)

    def lies_in(self, code: Any, asked: object) -> bool:
        seen: set[str] = set()
        while isinstance(code, str) and isinstance(asked, str) and code not in seen:
            if fold(code) == fold(asked):
                return True
            seen.add(code)
            code = self.world.regions.get(code)
        return False

    def is_near(self, op: Op, asked: Duration, value: Any) -> bool:
        """within_last, within_next and older_than."""
        if asked.unit is Unit.HOURS:
            instant = instant_of(value)
            if instant is None:
                return False
            hours = timedelta(hours=asked.count)
            if op is Op.WITHIN_LAST:
                return self.now - hours < instant <= self.now
            if op is Op.WITHIN_NEXT:
                return self.now <= instant < self.now + hours
            return instant <= self.now - hours
        day = self.day_of(value)
        if day is None:
            return False
        if op is Op.WITHIN_LAST:
            return shift(self.today, -asked.count, asked.unit) < day <= self.today
        if op is Op.WITHIN_NEXT:
            return self.today <= day < shift(self.today, asked.count, asked.unit)
        return day <= shift(self.today, -asked.count, asked.unit)

    def is_kept(self, asked: Anniversary, value: Any, calendar: Calendar | None) -> bool:
        first = shift(self.today, asked.offset.count, asked.offset.unit)
        return any(falls_on(value, first + timedelta(days=day), self.zone, calendar) for day in range(asked.days))

    def counts(self, asked: Happened) -> bool:
        events = [event for event in self.person.get("events") or [] if self.is_among(event, asked)]
        numbers = [value_of(event, asked.of) for event in events] if asked.of else []
        numbers = [number for number in numbers if type(number) is int]
        found: int | None
        if asked.agg is Aggregate.COUNT:
            found = len(events)
        elif asked.agg is Aggregate.SUM:
            found = sum(numbers)
        elif asked.agg is Aggregate.MAX:
            found = max(numbers, default=None)
        else:
            found = min(numbers, default=None)
        if found is None:
            return False
        return found != asked.value if asked.op is Op.NE else self.is_ordered(asked.op, found, asked.value)

    def is_among(self, event: Fields, asked: Happened) -> bool:
        if event["type"] != asked.event:
            return False
        instant, day = instant_of(event["at"]), self.day_of(event["at"])
        if day is None or day > self.today or (instant is not None and instant > self.now):
            return False
        if asked.within is not None and not self.is_near(Op.WITHIN_LAST, asked.within, event["at"]):
            return False
        return asked.where is None or self.holds(asked.where, event)
