"""Settings: frozen, and validated once.  Knows no files and no environment variables."""

import zoneinfo
from typing import Final

import msgspec
import phonenumbers

from engine.errors import ConfigError

LANGUAGES: Final = ("en", "zh")
PEPPER_OCTETS: Final = 32


class House(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who sends: what customers read as the sender's name, and the rules of the place."""

    name_en: str = "Carillon"
    name_zh: str = "钟楼"
    language: str = "en"  # of people whose own is unknown
    country: str = ""  # ISO 3166-1 alpha-2; empty: numbers must begin with +
    time_zone: str = "UTC"


class Modems(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rack: where its modems are and how they are spoken to."""

    ports: tuple[str, ...] = ()  # globs, read again every second
    baud: int = 115200
    hardware_flow: bool = False
    pin: str = ""  # entered only while the SIM has two tries or more left
    command_gap_ms: int = 100  # silence between a final result and our next command
    prompt_timeout_s: float = 10.0
    result_timeout_s: float = 90.0


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far ahead of the rack campaigns are fed."""

    feed_ahead_s: float = 120.0


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the server listens; anything but loopback needs a token in the store."""

    host: str = "127.0.0.1"
    port: int = 8080


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    data: str = "carillon-data"
    house: House = House()
    modems: Modems = Modems()
    traffic: Traffic = Traffic()
    http: Http = Http()


def validate(settings: Settings) -> Settings:
    """`settings`, if every value is possible.  Raises ConfigError naming the key."""
    house, modems = settings.house, settings.modems
    if not settings.data:
        raise ConfigError("data: is empty")
    if not settings.http.host:
        raise ConfigError("http.host: is empty: write 0.0.0.0 to listen everywhere")
    if house.language not in LANGUAGES:
        raise ConfigError(f"house.language: {house.language!r} is none of {', '.join(LANGUAGES)}")
    if house.country and house.country not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigError(f"house.country: {house.country!r} is not a country's two capital letters")
    try:
        zoneinfo.ZoneInfo(house.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"house.time_zone: {house.time_zone!r} is not known") from error
    if modems.baud not in (300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200):
        raise ConfigError(f"modems.baud: a TC35i does not do {modems.baud}")
    if modems.pin and not (modems.pin.isascii() and modems.pin.isdigit() and 4 <= len(modems.pin) <= 8):
        raise ConfigError("modems.pin: is not 4 to 8 digits")
    if not 0 <= modems.command_gap_ms <= 10_000:
        raise ConfigError(f"modems.command_gap_ms: {modems.command_gap_ms} is not 0 to 10000")
    if not 0.1 <= modems.prompt_timeout_s <= 600 or not 0.1 <= modems.result_timeout_s <= 600:
        raise ConfigError("modems.prompt_timeout_s and modems.result_timeout_s: must be 0.1 to 600 seconds")
    if not 1 <= settings.traffic.feed_ahead_s <= 3600:
        raise ConfigError(f"traffic.feed_ahead_s: {settings.traffic.feed_ahead_s:g} is not 1 to 3600")
    if not 0 <= settings.http.port <= 65535:
        raise ConfigError(f"http.port: {settings.http.port} is not 0 to 65535")
    return settings
