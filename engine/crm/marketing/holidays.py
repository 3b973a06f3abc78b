"""Public holidays: the days off of a country in a year, and the days of a weekend that are worked in return.

Some governments decide both anew each year, and late in the year before: China's State Council, in a notice.  So a year
of a country is a file, `public_holidays/CN-2026.json`, and a house may put its own in front of ours:

    {"country": "CN", "year": 2026, "weekend": ["saturday", "sunday"], "source": "where it was decided", "holidays": [
        {"name": {"en": "Spring Festival"}, "from": "2026-02-15", "to": "2026-02-23",
         "moved": [{"day_off": "2026-02-20", "workday": "2026-02-14"}]}]}

`moved` has pairs: a weekday that is off, and the day of a weekend that makes up for it.  A holiday that goes over the
New Year stands in both files, each with its own days; a workday may lie in the year before or after.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from engine.crm.people.dates import FIRST_YEAR, LAST_YEAR
from engine.errors import Invalid, InvalidParam

LONGEST_DAYS: Final = 31  # of a holiday, and from it to a workday that makes up for it

_SHIPPED: Final = Path(__file__).parent / "public_holidays"
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Holidays(msgspec.Struct, frozen=True):
    """What is decided for a country in some years.  `weekend` has weekdays, 0 is Monday; names are by language."""

    country: str
    years: frozenset[int]
    weekend: frozenset[int]
    days_off: Mapping[date, Mapping[str, str]]
    make_up_workdays: frozenset[date]


class _Moved(msgspec.Struct, forbid_unknown_fields=True):
    day_off: date
    workday: date


class _Holiday(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=100)]], msgspec.Meta(min_length=1)]
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    moved: tuple[_Moved, ...] = ()


class _Year(msgspec.Struct, forbid_unknown_fields=True):
    country: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{2}\Z")]
    year: Annotated[int, msgspec.Meta(ge=FIRST_YEAR, le=LAST_YEAR)]
    holidays: Annotated[tuple[_Holiday, ...], msgspec.Meta(max_length=366)]
    weekend: tuple[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], ...] = (
        "saturday",
        "sunday",
    )
    source: str = ""


def parse(octets: bytes) -> Holidays:
    """A year of a country, in JSON text.  Raises Invalid with everything that is wrong, by the row of `holidays`."""
    try:
        told = msgspec.json.decode(octets, type=_Year)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(InvalidParam("holidays", f"is not a year of holidays: {error}".replace("`", ""))) from error
    weekend = frozenset(map(_WEEKDAYS.index, told.weekend))
    days_off: dict[date, Mapping[str, str]] = {}
    wrong: list[InvalidParam] = []
    for row, holiday in enumerate(told.holidays, 1):
        if reason := _wrong_span(holiday, told.year):
            wrong.append(InvalidParam("holidays", reason, row))
            continue
        for day in range((holiday.last - holiday.first).days + 1):
            on = holiday.first + timedelta(days=day)
            if on in days_off:
                wrong.append(InvalidParam("holidays", f"{on} is there twice", row))
            days_off[on] = holiday.name
    make_up: set[date] = set()
    moved_off: set[date] = set()
    for row, holiday in enumerate(told.holidays, 1):
        for pair in holiday.moved:
            if reason := _wrong_pair(pair, holiday, weekend, days_off):
                wrong.append(InvalidParam("holidays", reason, row))
            twice = {pair.day_off} & moved_off | {pair.workday} & make_up
            wrong += [InvalidParam("holidays", f"{on} is moved twice", row) for on in sorted(twice)]
            moved_off.add(pair.day_off)
            make_up.add(pair.workday)
    if wrong:
        raise Invalid(*wrong)
    return Holidays(told.country, frozenset({told.year}), weekend, days_off, frozenset(make_up))


def find(country: str, year: int, own: Path | None = None) -> Holidays | None:
    """A year of a country: the house's own file in the folder `own`, else ours; None where nobody has decided yet.

    Raises Invalid for a file that is wrong, or of another year or country than it is called.
    """
    if len(country) != 2 or not (country.isascii() and country.isalpha() and country.isupper()):
        raise Invalid(InvalidParam("country", "is not two capital letters (ISO 3166-1)"))
    name = f"{country}-{year}.json"
    path = own / name if own is not None else None
    if path is None or not path.is_file():
        return _shipped(name)
    return _called(name, parse(path.read_bytes()))


def together(*tables: Holidays) -> Holidays:
    """Several years of one country as one table.  Raises Invalid for several countries, or weekends, or for none."""
    if len({(table.country, table.weekend) for table in tables}) != 1:
        raise Invalid(InvalidParam("holidays", "are of several countries or weekends, or of none"))
    return Holidays(
        tables[0].country,
        frozenset(year for table in tables for year in table.years),
        tables[0].weekend,
        {on: name for table in tables for on, name in table.days_off.items()},
        frozenset(on for table in tables for on in table.make_up_workdays),
    )


def is_day_off(table: Holidays, on: date) -> bool:
    """Whether the day belongs to a public holiday: not so for a mere Sunday.

    Raises Invalid naming `date` for a year that the table does not have.
    """
    _covered(table, on)
    return on in table.days_off


def is_make_up_workday(table: Holidays, on: date) -> bool:
    """Whether it is a day of a weekend that is worked.  Raises Invalid naming `date` as `is_day_off` does."""
    _covered(table, on)
    return on in table.make_up_workdays


def is_working_day(table: Holidays, on: date) -> bool:
    """Whether people work: not on a day off, and of the weekend only on what makes up for one.

    Raises Invalid naming `date` as `is_day_off` does.
    """
    return is_make_up_workday(table, on) or not (on in table.days_off or on.weekday() in table.weekend)


def _covered(table: Holidays, on: date) -> None:
    if on.year not in table.years:
        raise Invalid(InvalidParam("date", f"is in {on.year}: of {table.country} that year's holidays are not known"))


def _wrong_span(holiday: _Holiday, year: int) -> str:
    """Why these cannot be the days of a holiday; empty where they can."""
    if holiday.first.year != year or holiday.last.year != year:
        return f"{holiday.first} to {holiday.last} is not within {year}"
    if not 0 <= (holiday.last - holiday.first).days < LONGEST_DAYS:
        return f"{holiday.first} to {holiday.last} is not 1 to {LONGEST_DAYS} days"
    return ""


def _wrong_pair(pair: _Moved, holiday: _Holiday, weekend: frozenset[int], days_off: Mapping[date, object]) -> str:
    """Why one day cannot make up for the other; empty where it can."""
    if not holiday.first <= pair.day_off <= holiday.last:
        return f"the day off {pair.day_off} is not of this holiday"
    if pair.day_off.weekday() in weekend:
        return f"the day off {pair.day_off} is of the weekend: nothing makes up for it"
    if pair.workday.weekday() not in weekend:
        return f"the workday {pair.workday} is not of the weekend"
    if pair.workday in days_off:
        return f"the workday {pair.workday} is a day off"
    if abs((pair.workday - pair.day_off).days) > LONGEST_DAYS:
        return f"the workday {pair.workday} is more than {LONGEST_DAYS} days from {pair.day_off}"
    return ""


@lru_cache(maxsize=64)
def _shipped(name: str) -> Holidays | None:
    path = _SHIPPED / name
    return _called(name, parse(path.read_bytes())) if path.is_file() else None


def _called(name: str, table: Holidays) -> Holidays:
    told = f"{table.country}-{min(table.years)}.json"
    if told != name:
        raise Invalid(InvalidParam("holidays", f"the file {name} is what {told} should be"))
    return table
