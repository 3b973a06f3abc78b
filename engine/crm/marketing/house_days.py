"""House days: the festivals and public holidays that a house put in front of those that are shipped."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from engine.crm.marketing import festivals, holidays
from engine.crm.marketing.festivals import Chinese, Festival, Spec
from engine.crm.marketing.holidays import Holidays
from engine.crm.people import dates
from engine.crm.people.dates import CHINESE, FIRST_LUNAR_YEAR, LAST_YEAR, Day
from engine.errors import Conflict, NotFound
from engine.store.table import Table, Txn
from engine.traffic import events

ID_LONGEST: Final = 40  # characters


class HolidayYear(msgspec.Struct, frozen=True, array_like=True):
    """A year of public holidays as the house told it, in the JSON text that holidays.py reads."""

    said: bytes
    told_ms: int = 0


FESTIVALS: Final = Table("festivals", Festival, f"{ID_LONGEST}s")
HOLIDAYS: Final = Table("public_holidays", HolidayYear, "2sH")  # country, year

TABLES: Final = (FESTIVALS, HOLIDAYS)


# -- festivals


def _key(identifier: str) -> bytes:
    return identifier.encode("utf-8", "replace")[:ID_LONGEST]


def all_festivals(txn: Txn) -> dict[str, Festival]:
    """By id: those that are shipped, each as the house has it where it has its own, and then the house's others."""
    own = {festival.id: festival for _, festival in FESTIVALS.scan(txn)}
    return {**festivals.shipped(), **own}


def find_festival(txn: Txn, identifier: str) -> Festival | None:
    """The house's own festival of that id, else the shipped one, or None."""
    own = FESTIVALS.find(txn, _key(identifier))
    return own if own is not None and own.id == identifier else festivals.shipped().get(identifier)


def is_own(txn: Txn, identifier: str) -> bool:
    """Whether it is the house that says when this festival comes."""
    own = FESTIVALS.find(txn, _key(identifier))
    return own is not None and own.id == identifier


def put_festivals(txn: Txn, told: Mapping[str, Festival], now_ms: int) -> int:
    """Let these be the house's own, beside or instead of those of the same id; how many were new or are different.

    Raises Conflict where they would be too many.
    """
    changed = 0
    for festival in told.values():
        if FESTIVALS.find(txn, _key(festival.id)) != festival:
            FESTIVALS.put(txn, _key(festival.id), festival)
            events.append(txn, "festival.changed", now_ms, festival.id)
            changed += 1
    if FESTIVALS.count(txn) > festivals.MOST:
        raise Conflict(f"a house has {festivals.MOST} festivals of its own at most")
    return changed


def remove_festival(txn: Txn, identifier: str, now_ms: int) -> None:
    """Take the house's own away; a shipped one of that id holds again.  Raises NotFound."""
    if not is_own(txn, identifier):
        raise NotFound("the house has no festival of its own with that id")
    FESTIVALS.remove(txn, _key(identifier))
    events.append(txn, "festival.removed", now_ms, identifier)


def year_on(festival: Festival, on: date) -> int | None:
    """Of which year the festival is that comes on that day: a Chinese one's is the lunar year; None where none comes.

    So no festival comes twice in a year but one that is listed twice.  Raises Invalid for a day beyond the table.
    """
    spec = festival.spec
    if not isinstance(spec, Chinese):
        return on.year if on in _dates(spec, on.year) else None
    base = on - timedelta(days=spec.offset_days)
    year = dates.lunar_of(base).year
    return year if dates.occurrence(Day(CHINESE, spec.month, spec.day), year) == base else None


def next_on(festival: Festival, on_or_after: date) -> date | None:
    """When the festival comes next; None where it never does again, as far as the table goes.

    Raises Invalid for a day beyond the table.
    """
    for year in range(on_or_after.year, max(LAST_YEAR, on_or_after.year) + 1):
        for on in _dates(festival.spec, year):
            if on >= on_or_after:
                return on
    return None


@lru_cache(maxsize=4096)
def _dates(spec: Spec, year: int) -> list[date]:
    # Asked for every customer, and for every day of a year.
    return festivals.date_in(Festival("", {}, spec), year)


# -- public holidays


def put_holidays(txn: Txn, octets: bytes, country: str, year: int, now_ms: int) -> Holidays:
    """Let this be what is decided for a country and year, instead of what is shipped.

    Raises Invalid with everything that is wrong, Conflict where it is of another country or year.
    """
    table = holidays.parse(octets)
    if (table.country, set(table.years)) != (country, {year}):
        raise Conflict(f"these are the holidays of {table.country} in {min(table.years)}, not of {country} in {year}")
    HOLIDAYS.put(txn, (country.encode(), year), HolidayYear(octets, now_ms))
    events.append(txn, "holidays.changed", now_ms, f"{country}-{year}")
    return table


def find_holidays(txn: Txn, country: str, year: int) -> tuple[Holidays, bool] | None:
    """(a year of a country, whether it is the house's own), or None where nobody has decided yet.

    Raises Invalid naming `country` for what is none.
    """
    shipped = holidays.find(country, year)
    own = HOLIDAYS.find(txn, (country.encode(), year)) if FIRST_LUNAR_YEAR <= year <= LAST_YEAR else None
    if own is not None:
        return holidays.parse(own.said), True
    return None if shipped is None else (shipped, False)


def remove_holidays(txn: Txn, country: str, year: int, now_ms: int) -> None:
    """Take the house's own away; what is shipped holds again.  Raises NotFound."""
    if find_holidays(txn, country, year) is None or not HOLIDAYS.remove(txn, (country.encode(), year)):
        raise NotFound("the house has no holidays of its own of that country and year")
    events.append(txn, "holidays.removed", now_ms, f"{country}-{year}")
