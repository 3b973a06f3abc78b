"""Festivals and public holidays as JSON."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.crm.marketing import festivals
from engine.crm.marketing.festivals import Festival
from engine.crm.marketing.holidays import Holidays

FestivalId = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
FestivalKind = Literal["fixed", "chinese", "nth_weekday", "solar_term", "listed"]
Names = dict[str, str]


class FestivalShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A festival of the house's own; names by language.

    `spec` goes with the kind: month and day of fixed and of chinese; month, weekday and nth of nth_weekday; term of
    solar_term; dates of listed.  `offset_days` in any of them moves the day.
    """

    name: Names
    kind: FestivalKind
    spec: dict[str, Any]


class FestivalEntry(FestivalShape, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A festival of a table."""

    id: FestivalId


class FestivalView(msgspec.Struct, frozen=True):
    """A festival; `is_own` where the house says when it comes.  `dates` are those of the year that was asked about."""

    id: str
    name: Names
    kind: FestivalKind
    spec: dict[str, Any]
    is_own: bool
    dates: list[str]


class FestivalList(msgspec.Struct, frozen=True):
    """All festivals of a year."""

    year: int
    items: list[FestivalView]


class ImportedView(msgspec.Struct, frozen=True):
    """Of so many festivals so many were new, or came otherwise than before."""

    count: int
    changed: int


class DayOff(msgspec.Struct, frozen=True):
    """A day of a public holiday; names by language."""

    date: str
    name: Names


class HolidaysView(msgspec.Struct, frozen=True):
    """What is decided for a country and year: days off, and days of the weekend that are worked in return."""

    country: str
    year: int
    is_own: bool
    weekend: list[str]
    days_off: list[DayOff]
    make_up_workdays: list[str]


class MovedShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weekday that is off, and the day of a weekend that is worked in return."""

    day_off: date
    workday: date


class HolidayShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The days of a holiday within the year."""

    name: Names
    from_: date = msgspec.field(name="from")
    to: date
    moved: list[MovedShape] = []


class HolidaysShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A year of a country, as in the files that are shipped."""

    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    year: int
    holidays: Annotated[list[HolidayShape], Meta(max_length=366)]
    weekend: list[str] = msgspec.field(default_factory=lambda: ["saturday", "sunday"])
    source: str = ""


def festival(record: Festival, year: int, *, is_own: bool) -> FestivalView:
    """A festival as JSON.  Raises Invalid naming `year` for one beyond the tables of the calendars."""
    told: dict[str, Any] = festivals.said(record)
    days = [on.isoformat() for on in festivals.date_in(record, year)]
    return FestivalView(record.id, record.name, record.kind, told["spec"], is_own, days)


def holidays(record: Holidays, year: int, *, is_own: bool) -> HolidaysView:
    """A year of public holidays as JSON."""
    return HolidaysView(
        record.country,
        year,
        is_own,
        [festivals.WEEKDAYS[day] for day in sorted(record.weekend)],
        [DayOff(on.isoformat(), dict(name)) for on, name in sorted(record.days_off.items())],
        [on.isoformat() for on in sorted(record.make_up_workdays)],
    )
