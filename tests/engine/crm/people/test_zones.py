"""engine/crm/people/zones.py: what a number says of where its holder lives."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType, timezone
from phonenumbers.tzdata import TIMEZONE_DATA

from engine.crm.people import zones
from engine.crm.people.zones import clock, zones_of
from engine.errors import Invalid

HOUSE = "Pacific/Auckland"


def offsets(zone: str) -> tuple[timedelta | None, ...]:
    """What a clock shows against UTC through three years, at noon UTC of every fourth day."""
    first = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return tuple((first + timedelta(days=day)).astimezone(ZoneInfo(zone)).utcoffset() for day in range(0, 1096, 4))


def clocks(names: tuple[str, ...]) -> set[tuple[timedelta | None, ...]]:
    return {offsets(name) for name in names}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(8613800138000, ("Asia/Shanghai",), id="a Chinese mobile"),
        pytest.param(447700900123, ("Europe/London",), id="a British mobile: four names of one clock are one"),
        pytest.param(491701234567, ("Europe/Berlin",), id="a German mobile"),
        pytest.param(12125550123, ("America/New_York",), id="a North American area code"),
        pytest.param(12424626722, ("America/Nassau",), id="an island with an area code"),
        pytest.param(5592991234567, ("America/Manaus",), id="a Brazilian mobile with an area code"),
        pytest.param(74951234567, ("Europe/Moscow",), id="a Russian landline"),
        pytest.param(74012123456, ("Europe/Kaliningrad",), id="a clock of another country corrected"),
        pytest.param(390612345678, ("Europe/Rome",), id="an Italian zero stays"),
        pytest.param(34912345678, ("Europe/Madrid",), id="a Spanish landline"),
        pytest.param(34612345678, ("Atlantic/Canary", "Europe/Madrid"), id="a Spanish mobile"),
        pytest.param(
            56912345678, ("America/Punta_Arenas", "America/Santiago"), id="a region that the table leaves out"
        ),
        pytest.param(212612345678, ("Africa/Casablanca",), id="Morocco keeps Ramadan, the Canaries do not"),
        pytest.param(870123456789, (HOUSE,), id="a ship: no country"),
        pytest.param(999, (HOUSE,), id="no number at all"),
        pytest.param(0, (HOUSE,), id="nothing"),
    ],
)
def test_a_number_tells_its_zones(number: int, expected: tuple[str, ...]) -> None:
    assert zones_of(number, HOUSE) == expected


@pytest.mark.parametrize(
    ("number", "among", "least"),
    [
        pytest.param(79161234567, {"Europe/Kaliningrad", "Europe/Moscow", "Asia/Anadyr"}, 10, id="a Russian mobile"),
        pytest.param(61412345678, {"Australia/Perth", "Australia/Lord_Howe"}, 6, id="an Australian mobile"),
        pytest.param(18005550123, {"America/New_York", "Pacific/Guam"}, 40, id="a free North American number"),
        pytest.param(19995550123, {"America/New_York", "Pacific/Guam"}, 40, id="an area that there is not"),
        pytest.param(6421123456, {"Pacific/Auckland", "Pacific/Chatham"}, 2, id="a New Zealand mobile"),
        pytest.param(7000, {"Europe/Moscow", "Asia/Anadyr"}, 10, id="a number too short for the library"),
    ],
)
def test_a_number_without_a_place_may_be_anywhere_in_its_country(number: int, among: set[str], least: int) -> None:
    found = zones_of(number, HOUSE)
    assert among <= set(found)
    assert len(found) >= least
    assert list(found) == sorted(set(found))


def corrected(code: int) -> bool:
    return any(own == str(code) for own, _ in zones._CORRECTED)


@pytest.mark.parametrize("kind", [PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE])
def test_every_country_is_as_the_library_says(kind: int) -> None:
    """But where area codes are believed in mobiles, and where the library is corrected."""
    compared = 0
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None or example.country_code in {None, 1, 52, 55, 62} or corrected(example.country_code or 0):
            continue
        key = int(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:])
        assert clocks(zones_of(key, HOUSE)) == clocks(timezone.time_zones_for_number(example)), key
        compared += 1
    assert compared > 80


def test_every_prefix_of_the_table_leads_to_zones_that_are_known() -> None:
    random = Random(4)
    for prefix in TIMEZONE_DATA:
        digits = prefix + "".join(random.choice("0123456789") for _ in range(11 - len(prefix)))
        found = zones_of(int(digits), HOUSE)
        assert found
        for name in found:
            assert clock(name).key == name


def test_every_zone_of_the_table_is_known() -> None:
    for name in {name for names in TIMEZONE_DATA.values() for name in names}:
        assert clock(name).key == name


@pytest.mark.parametrize(("code", "name"), sorted(zones._CORRECTED))
def test_a_correction_is_still_needed(code: str, name: str) -> None:
    assert any(name in names for prefix, names in TIMEZONE_DATA.items() if prefix.startswith(code))
    assert clocks(zones._CORRECTED[code, name]) != clocks((name,))


@pytest.mark.parametrize(("name", "same"), sorted(zones._SAME_CLOCK.items()))
def test_names_of_one_clock_show_the_same_time(name: str, same: str) -> None:
    assert offsets(name) == offsets(same)


def test_a_zone_that_tzdata_does_not_know_is_left_out() -> None:
    assert zones._known(("Asia/Shanghai", "Mars/Olympus")) == ("Asia/Shanghai",)


@pytest.mark.parametrize("name", ["", "Europe", "Europe/Nowhere", "../zone.tab", "/etc/passwd", "a\0b", "UTC+2"])
def test_what_is_no_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        clock(name)
    assert refused.value.params[0].name == "time_zone"
