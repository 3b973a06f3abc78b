"""Occasions: what comes again every year and is worth a text, and whose it is on a day.

    birthday           the person's, in the calendar that it was said in
    special:<name>     a special day of that name; one with a year does not come before it
    field:<key>        an own field: a day comes every year, a date only once
    festival:<id>      of the house, everybody's
    membership_year    so many years after somebody joined, and is a member still
    created_year       so many years after we met

The year of an occurrence is that of its own calendar, so a Chinese one has its lunar year.
"""

import dataclasses
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from engine.crm.marketing import house_days
from engine.crm.marketing.festivals import Festival
from engine.crm.people import dates, fields, words
from engine.crm.people.customer import BY_BIRTHDAY, BY_SPECIAL_DAY, Customer
from engine.crm.people.dates import CHINESE, GREGORIAN, Day, Feb29, LeapMonth
from engine.crm.people.fields import FieldDef
from engine.crm.people.member import MEMBERS, State
from engine.errors import Invalid, InvalidParam
from engine.store.table import Index, Txn

NAME_LONGEST: Final = 64  # characters of a special day's name

_ALONE: Final = ("birthday", "membership_year", "created_year")
_NAMED: Final = ("special", "festival", "field")

Key = tuple[int, int, int, int]  # calendar, month, day, leap


class Kept(NamedTuple):
    """A day of a person: it comes in the years from `first` on, of its calendar, or once if `is_once`."""

    day: Day
    first: int
    is_once: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Occasion:
    """What `find` made of a rule's words: the festival or the field that it names, as it is now."""

    kind: str
    name: str
    leap_month: LeapMonth
    feb29: Feb29
    festival: Festival | None = None
    field: FieldDef | None = None
    _years: dict[date, int | None] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def index(self) -> Index | None:
        """Where people stand by this day; None where all of them must be looked at."""
        return {"birthday": BY_BIRTHDAY, "special": BY_SPECIAL_DAY}.get(self.kind)

    def keys_on(self, on: date) -> list[Key]:
        """What people that have it on `on` stand under in the index, in order.  Raises Invalid beyond the table."""
        return _keys(on, self.leap_month, self.feb29)

    def could_be(self, on: date) -> bool:
        """Whether anybody may have it on `on`.  Raises Invalid for a festival beyond the table."""
        return self.festival is None or self._year_of_all(self.festival, on) is not None

    def _year_of_all(self, festival: Festival, on: date) -> int | None:
        # Asked for every customer there is.
        if on not in self._years:
            self._years[on] = house_days.year_on(festival, on)
        return self._years[on]

    def year_of(self, txn: Txn, person: Customer, zone: str, on: date) -> int | None:
        """Of which year this person's is that comes on `on`; None where none does.  Raises Invalid beyond the table."""
        if self.festival is not None:
            return self._year_of_all(self.festival, on)
        found = dates.window(on, 1, leap_month=self.leap_month, feb29=self.feb29)
        for kept in self.days_of(txn, person, zone):
            year = on.year if kept.day.calendar == GREGORIAN else dates.lunar_of(on).year
            if dates.holds(found, kept.day) and (year == kept.first if kept.is_once else year >= kept.first):
                return year
        return None

    def next_of(self, txn: Txn, person: Customer, zone: str, on_or_after: date) -> date | None:
        """When the person has it next; None where he never does.  Raises Invalid beyond the table."""
        if self.festival is not None:
            return house_days.next_on(self.festival, on_or_after)
        found = [
            on
            for kept in self.days_of(txn, person, zone)
            if (on := self._next(kept, on_or_after)) is not None and on >= on_or_after
        ]
        return min(found, default=None)

    def _next(self, kept: Kept, on_or_after: date) -> date | None:
        on = dates.next_occurrence(kept.day, on_or_after, leap_month=self.leap_month, feb29=self.feb29)
        year = on.year if kept.day.calendar == GREGORIAN else dates.lunar_of(on).year
        if kept.is_once and year > kept.first:
            return None
        if year < kept.first:
            return dates.occurrence(kept.day, kept.first, leap_month=self.leap_month, feb29=self.feb29)
        return on

    def days_of(self, txn: Txn, person: Customer, zone: str) -> Iterator[Kept]:
        """The person's days of this kind; `zone` is where he lives."""
        match self.kind:
            case "birthday":
                if person.birthday is not None:
                    yield Kept(person.birthday, person.birthday.year)
            case "special":
                for special in person.special_days:
                    if words.spaced(special.name) == self.name:
                        yield Kept(special.day, special.day.year)
            case "field":
                value = person.attrs.get(self.field.id) if self.field is not None else None
                if isinstance(value, list):
                    calendar, month, day, year, leap = (int(part) for part in value)
                    yield Kept(Day(calendar, month, day, year, bool(leap)), year)
                elif isinstance(value, int):
                    once = date.fromordinal(value)
                    yield Kept(Day(GREGORIAN, once.month, once.day, once.year), once.year, is_once=True)
            case "membership_year":
                member = MEMBERS.find(txn, person.id)
                if member is not None and member.state is State.ACTIVE:
                    yield _since(member.joined_ms, zone)
            case "created_year":
                yield _since(person.created_ms, zone)


def _since(at_ms: int, zone: str) -> Kept:
    on = dates.today(at_ms, zone)
    return Kept(Day(GREGORIAN, on.month, on.day, on.year), on.year + 1)


def find(txn: Txn, said: str, leap_month: LeapMonth, feb29: Feb29, field: str = "when") -> Occasion:
    """What a rule's words mean now.  Raises Invalid naming `field` for what is no occasion here."""
    kind, _, name = said.partition(":")
    if said in _ALONE:
        return Occasion(kind, "", leap_month, feb29)
    if kind not in _NAMED or not name.strip():
        wanted = ", ".join((*_ALONE, *(f"{kind}:<name>" for kind in _NAMED)))
        raise Invalid(InvalidParam(field, f"is none of {wanted}"))
    if kind == "special":
        if len(name) > NAME_LONGEST:
            raise Invalid(InvalidParam(field, f"has a name that is longer than {NAME_LONGEST} characters"))
        return Occasion(kind, words.spaced(name), leap_month, feb29)
    if kind == "festival":
        festival = house_days.find_festival(txn, name)
        if festival is None:
            raise Invalid(InvalidParam(field, f"there is no festival {name!r}"))
        return Occasion(kind, name, leap_month, feb29, festival=festival)
    own = fields.by_key(txn).get(name.removeprefix("attrs."))
    if own is None or own.kind not in ("day", "date"):
        raise Invalid(InvalidParam(field, f"there is no field {name!r} of kind day or date"))
    return Occasion(kind, name, leap_month, feb29, field=own)


@lru_cache(maxsize=1024)
def _keys(on: date, leap_month: LeapMonth, feb29: Feb29) -> list[Key]:
    window = dates.window(on, 1, leap_month=leap_month, feb29=feb29)
    gregorian = [(GREGORIAN, bit // 31 + 1, bit % 31 + 1, 0) for bit in _bits(window.gregorian)]
    chinese = [(CHINESE, (bit >> 1) // 30 + 1, (bit >> 1) % 30 + 1, bit & 1) for bit in _bits(window.chinese)]
    return gregorian + chinese


def _bits(octets: bytes) -> Iterator[int]:
    bits = int.from_bytes(octets, "little")
    while bits:
        yield (bits & -bits).bit_length() - 1
        bits &= bits - 1
