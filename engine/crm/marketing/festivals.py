"""Festivals: days that a whole country keeps, and the rules that say when they come.

The table is data: `festivals.json` is what we ship, and a house may bring its own of the same form.  An entry is
`{"id", "name": {language: text}, "kind", "spec"}`; the five kinds are the classes below, and `offset_days` in any spec
moves the day that the rest of it names.  New Year's Eve (除夕) is the day before 1/1 and not 12/30, for a twelfth month
often has 29 days.
"""

from calendar import isleap, monthrange
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from borax.calendars.lunardate import TermUtils

from engine.crm.people import dates
from engine.crm.people.dates import CHINESE, FIRST_LUNAR_YEAR, FIRST_YEAR, LAST_YEAR, Day
from engine.errors import Invalid, InvalidParam

MOST: Final = 500  # festivals in a table
NAME_LONGEST: Final = 100  # characters
OFFSET_DAYS: Final = 30  # no festival lies further from the day it is counted from

Kind = Literal["fixed", "chinese", "nth_weekday", "solar_term", "listed"]

# The 24 terms in the order of the solar year, which begins with the one in the first days of January.
TERMS: Final = (
    "xiaohan",
    "dahan",
    "lichun",
    "yushui",
    "jingzhe",
    "chunfen",
    "qingming",
    "guyu",
    "lixia",
    "xiaoman",
    "mangzhong",
    "xiazhi",
    "xiaoshu",
    "dashu",
    "liqiu",
    "chushu",
    "bailu",
    "qiufen",
    "hanlu",
    "shuangjiang",
    "lidong",
    "xiaoxue",
    "daxue",
    "dongzhi",
)
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_A_LEAP_YEAR: Final = 2000

Month = Annotated[int, msgspec.Meta(ge=1, le=12)]
Offset = Annotated[int, msgspec.Meta(ge=-OFFSET_DAYS, le=OFFSET_DAYS)]


class Fixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="fixed"):
    """The same day of every Gregorian year.  29 February comes in leap years alone."""

    month: Month
    day: Annotated[int, msgspec.Meta(ge=1, le=31)]
    offset_days: Offset = 0

    def __post_init__(self) -> None:
        last = monthrange(_A_LEAP_YEAR, self.month)[1]
        if self.day > last:
            raise ValueError(f"month {self.month} has the days 1 to {last}, not {self.day}")


class Chinese(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="chinese"):
    """The same day of every Chinese year, in the ordinary month and not in a leap one.  Day 30 is the month's last."""

    month: Month
    day: Annotated[int, msgspec.Meta(ge=1, le=30)]
    offset_days: Offset = 0


class NthWeekday(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="nth_weekday"):
    """A weekday of a month: its first, second ... or, from the end, -1 its last.  Not every month has a fifth."""

    month: Month
    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    nth: Literal[-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]
    offset_days: Offset = 0


class SolarTerm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="solar_term"):
    """One of the 24 terms of the solar year, in pinyin."""

    term: str
    offset_days: Offset = 0

    def __post_init__(self) -> None:
        if self.term not in TERMS:
            raise ValueError(f"term is none of {', '.join(TERMS)}")


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="listed"):
    """Days that follow no rule we know, or the house's own: each with its year."""

    dates: Annotated[tuple[date, ...], msgspec.Meta(min_length=1, max_length=400)]
    offset_days: Offset = 0

    def __post_init__(self) -> None:
        for on in self.dates:
            if not FIRST_YEAR <= on.year <= LAST_YEAR:
                raise ValueError(f"{on} is not in {FIRST_YEAR} to {LAST_YEAR}")


Spec = Fixed | Chinese | NthWeekday | SolarTerm | Listed


class Festival(msgspec.Struct, frozen=True, array_like=True):
    """A festival by its slug, its names by language (BCP 47), and when it comes."""

    id: str
    name: dict[str, str]
    spec: Spec

    @property
    def kind(self) -> Kind:
        return _KIND_OF[type(self.spec)]


_KINDS: Final[dict[Kind, type[Spec]]] = {
    "fixed": Fixed,
    "chinese": Chinese,
    "nth_weekday": NthWeekday,
    "solar_term": SolarTerm,
    "listed": Listed,
}
_KIND_OF: Final = {spec: kind for kind, spec in _KINDS.items()}


_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Called(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]


class _Entry(_Called, forbid_unknown_fields=True):
    name: Annotated[
        dict[
            Annotated[str, msgspec.Meta(pattern=r"\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")],
            Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LONGEST)],
        ],
        msgspec.Meta(min_length=1, max_length=50),
    ]
    kind: Kind
    spec: msgspec.Raw


def parse(octets: bytes) -> dict[str, Festival]:
    """The table in JSON text, by id and in its order.

    Raises Invalid with one entry for everything wrong: named by its id, or "festivals" where it has none, and by its
    row.
    """
    try:
        rows = msgspec.json.decode(octets, type=list[msgspec.Raw])
    except _BROKEN as error:
        raise Invalid(InvalidParam("festivals", _reason("is not a list in JSON", error))) from error
    if len(rows) > MOST:
        raise Invalid(InvalidParam("festivals", f"has {len(rows)} entries, more than {MOST}"))
    found: dict[str, Festival] = {}
    wrong: list[InvalidParam] = []
    for number, row in enumerate(rows, 1):
        try:
            festival = _festival(row)
        except _BROKEN as error:
            wrong.append(InvalidParam(_called(row), _reason("is not a festival", error), number))
            continue
        if festival.id in found:
            wrong.append(InvalidParam(festival.id, "is there twice", number))
        found[festival.id] = festival
    if wrong:
        raise Invalid(*wrong)
    return found


def said(festival: Festival) -> dict[str, object]:
    """The entry as `parse` takes it, with every field."""
    spec: dict[str, object] = msgspec.to_builtins(festival.spec)
    del spec["kind"]
    return {"id": festival.id, "name": festival.name, "kind": festival.kind, "spec": spec}


@cache
def shipped() -> Mapping[str, Festival]:
    """The table that comes with the house, by id."""
    return MappingProxyType(parse((Path(__file__).parent / "festivals.json").read_bytes()))


def date_in(festival: Festival, year: int) -> list[date]:
    """When a festival comes in a Gregorian year, in order.

    Mostly once.  A Chinese one at the end of its year may come twice or not at all; a fifth Sunday, a 29 February and
    what is listed for other years does not come.  Raises Invalid naming `year` for one beyond the table.
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        reason = f"{year} is beyond the table of the calendars, which is from {FIRST_YEAR} to {LAST_YEAR}"
        raise Invalid(InvalidParam("year", reason))
    offset = timedelta(days=festival.spec.offset_days)
    # A day of the year before or after may be moved into this one, and a lunar year ends in the next.
    moved = {on + offset for near in (year - 1, year, year + 1) for on in _days(festival.spec, near)}
    return sorted(on for on in moved if on.year == year)


def _days(spec: Spec, year: int) -> list[date]:
    """What `spec` names in a year of its own calendar, before it is moved."""
    match spec:
        case Fixed():
            missing = spec.month == 2 and spec.day == 29 and not isleap(year)
            return [] if missing else [date(year, spec.month, spec.day)]
        case Chinese():
            # Lunar 2100 begins more than OFFSET_DAYS after 2099, so nothing of it is missed.
            if not FIRST_LUNAR_YEAR <= year <= LAST_YEAR:
                return []
            return [dates.occurrence(Day(CHINESE, spec.month, spec.day), year)]
        case NthWeekday():
            return _nth_weekday(spec, year)
        case SolarTerm():
            return [TermUtils.nth_term_day(year, TERMS.index(spec.term))]
        case Listed():
            return [on for on in spec.dates if on.year == year]


def _nth_weekday(spec: NthWeekday, year: int) -> list[date]:
    weekday, last = monthrange(year, spec.month)
    first = (WEEKDAYS.index(spec.weekday) - weekday) % 7 + 1
    days = range(first, last + 1, 7)
    place = spec.nth - 1 if spec.nth > 0 else spec.nth + len(days)
    return [date(year, spec.month, days[place])] if 0 <= place < len(days) else []


def _festival(row: msgspec.Raw) -> Festival:
    entry = msgspec.json.decode(row, type=_Entry)
    try:
        spec = msgspec.json.decode(entry.spec, type=_KINDS[entry.kind])
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise msgspec.ValidationError(f"{reason} - at spec{path}") from error
    return Festival(entry.id, entry.name, spec)


def _called(row: msgspec.Raw) -> str:
    """What an entry that is wrong calls itself."""
    try:
        return msgspec.json.decode(row, type=_Called).id
    except _BROKEN:
        return "festivals"


def _reason(what: str, error: Exception) -> str:
    return f"{what}: {error}".replace("`", "")
