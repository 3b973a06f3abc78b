"""Zones: in which time zones the holder of a number may live.

What a number says of its zone is in the tables of `phonenumbers`.  A number that says nothing but its country gets
every zone of the country, so that whoever must not be woken in one of them is not woken (engine/crm/quiet.py).
Knows no customers: somebody whose zone was told needs no guess.
"""

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers.phonenumberutil import is_number_type_geographical
from phonenumbers.tzdata import TIMEZONE_DATA

from engine.errors import Invalid, InvalidParam

Zones = tuple[str, ...]

# Several names of one clock would only make one country look like several.
_SAME_CLOCK: Final = {
    "America/Kralendijk": "America/Curacao",
    "Arctic/Longyearbyen": "Europe/Oslo",
    "Europe/Guernsey": "Europe/London",
    "Europe/Isle_of_Man": "Europe/London",
    "Europe/Jersey": "Europe/London",
    "Europe/Mariehamn": "Europe/Helsinki",
    "Europe/Vatican": "Europe/Rome",
}

# Where the table gives the clock of another country, an hour off for a part of the year, or leaves out a region.
# Easter Island and Danmarkshavn stay out: few people, and a whole country would lose hours of its day to them.
_CORRECTED: Final[dict[tuple[str, str], Zones]] = {
    ("7", "Europe/Bucharest"): ("Europe/Kaliningrad",),
    ("56", "America/Santiago"): ("America/Punta_Arenas", "America/Santiago"),
    ("211", "Africa/Nairobi"): ("Africa/Juba",),
    ("212", "Atlantic/Canary"): ("Africa/Casablanca",),
    ("213", "Europe/Paris"): ("Africa/Algiers",),
    ("218", "Europe/Bucharest"): ("Africa/Tripoli",),
    ("505", "America/Chicago"): ("America/Managua",),
    ("675", "Pacific/Port_Moresby"): ("Pacific/Bougainville", "Pacific/Port_Moresby"),
    ("970", "Europe/Bucharest"): ("Asia/Gaza", "Asia/Hebron"),
}

# Whose area codes are in mobile numbers too: digits that the table knows are believed without a look at the kind of
# number, which takes the library 30 us.  (A Mexican 888 is free of charge and not in Mexico City, but gets no texts.)
_AREA_IN_MOBILES: Final = frozenset({"1", "52", "55", "62"})


def _read(table: dict[str, Zones]) -> tuple[dict[str, Zones], dict[str, dict[str, Zones]], dict[str, int]]:
    """Of each country code: its zones, those of its areas if they differ, and the most digits that name an area."""
    countries: dict[str, Zones] = {}
    areas: dict[str, dict[str, Zones]] = {}
    for prefix, names in table.items():
        codes = (prefix[:length] for length in (1, 2, 3))
        code = next((code for code in codes if int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), prefix)
        clocks: set[str] = set()
        for name in names:
            clocks.update(_CORRECTED.get((code, name), (_SAME_CLOCK.get(name, name),)))
        (countries if code == prefix else areas.setdefault(code, {}))[prefix] = tuple(sorted(clocks))
    several = {code: known for code, known in areas.items() if {*known.values()} != {countries.get(code)}}
    return countries, several, {code: max(map(len, known)) for code, known in several.items()}


_COUNTRIES, _AREAS, _DEEPEST = _read(TIMEZONE_DATA)


def zones_of(number_key: int, fallback: str) -> Zones:
    """The zones in which the holder of `number_key` may live: never none, sorted; `fallback` alone for no country.

    Of a mobile, a free or an impossible number these are all zones of its country, unless its mobiles have area codes.
    """
    digits = str(number_key)
    for length in (1, 2, 3):
        code = digits[:length]
        if code in _COUNTRIES:
            return _known(_of_area(digits, code)) or (fallback,)
    return (fallback,)


def clock(name: str) -> ZoneInfo:
    """The zone of that IANA name.  Raises Invalid naming `time_zone`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(InvalidParam("time_zone", "is not the name of a time zone")) from error


def _of_area(digits: str, code: str) -> Zones:
    country = _COUNTRIES[code]
    if code not in _AREAS:
        return country
    areas = _AREAS[code]
    for length in range(_DEEPEST[code], len(code), -1):
        zones = areas.get(digits[:length])
        if zones is not None:
            is_sure = zones == country or code in _AREA_IN_MOBILES or _lives_where_it_says(digits)
            return zones if is_sure else country
    return country


@lru_cache(maxsize=65_536)
def _lives_where_it_says(digits: str) -> bool:
    """Whether it is the number of a place, not one that a country's people carry about or share."""
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return False
    country = number.country_code or 0
    return is_number_type_geographical(phonenumbers.number_type(number), country)


@lru_cache(maxsize=4096)
def _known(zones: Zones) -> Zones:
    """Without those that tzdata, which is older or newer than the table, does not know."""
    known = []
    for name in zones:
        try:
            clock(name)
        except Invalid:
            continue
        known.append(name)
    return tuple(known)
