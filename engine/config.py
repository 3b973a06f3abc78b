"""Settings: frozen, and validated once.  Knows no files and no environment variables."""

import ipaddress
import re
import zoneinfo
from typing import Annotated, Final

import msgspec
import phonenumbers

from engine.errors import ConfigError

LANGUAGES: Final = ("en", "zh")
PEPPER_OCTETS: Final = 32
DAYS_MOST: Final = 36_500
CONSENTS_LEAST_DAYS: Final = 153  # five months, as Chinese rules have it

# How a text says that whoever gets it may refuse: 回TD退订, 拒收请回复R, Reply STOP to opt out.
OPT_OUT_WORDS: Final = ("TD", "退订", "拒收", "STOP", "opt out", "unsubscribe")

_DAY_MINUTES: Final = 1440
_IMSI_DIGITS: Final = (6, 15)  # 3GPP TS 23.003 §2.2
_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,14}")
_LINK_BASE: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9.~_-]+)*/?")
_LINK_BASE_LONGEST: Final = 100


class House(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who sends: what customers read as the sender's name, and the rules of the place."""

    name_en: str = "Carillon"
    name_zh: str = "钟楼"
    language: str = "en"  # of people whose own is unknown
    country: str = ""  # ISO 3166-1 alpha-2; empty: numbers must begin with +
    time_zone: str = "UTC"
    approval_over: int = 100  # recipients; a larger campaign that a person made needs the word of a second one
    other_names: tuple[str, ...] = ()  # by which people know the sender too; a marketing text must say one of all
    opt_out_words: tuple[str, ...] = OPT_OUT_WORDS  # one of which a marketing text must say, as a way to refuse
    currency: str = ""  # ISO 4217, of what routes cost
    link_base: str = ""  # where short links begin, as https://x.example: an address that leads to this server


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
    """How far ahead of the rack campaigns are fed, and how long what may go now may wait before that is an alert."""

    feed_ahead_s: float = 120.0
    delay_alert_s: float = 30.0


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of the local day, in minutes from its midnight, and the days they hold on (bit 0 is Monday).

    Raises ValueError if they are none, which msgspec turns into a ValidationError that names the setting.
    """

    opens: int = 0
    closes: int = _DAY_MINUTES
    days: int = 0b1111111

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= _DAY_MINUTES:
            raise ValueError(f"hours from {self.opens} to {self.closes} are not within 0 and {_DAY_MINUTES} minutes")
        if not 0 < self.days <= 0b1111111:
            raise ValueError(f"days {self.days} are not 1 to 127")


_DAYTIME: Final = (Hours(9 * 60, 20 * 60),)


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When each purpose may be sent: in any of its hours, which may differ by day.  The others may at any time."""

    marketing: tuple[Hours, ...] = _DAYTIME
    survey: tuple[Hours, ...] = _DAYTIME
    research: tuple[Hours, ...] = _DAYTIME
    service: tuple[Hours, ...] = (Hours(8 * 60, 21 * 60),)

    def __post_init__(self) -> None:
        for purpose in self.__struct_fields__:
            if not getattr(self, purpose):
                raise ValueError(f"{purpose} has no hours")

    def of(self, purpose: str) -> tuple[Hours, ...]:
        """The hours of `purpose`; none where any hour will do."""
        hours: tuple[Hours, ...] = getattr(self, purpose) if purpose in self.__struct_fields__ else ()
        return hours


_ALWAYS: Final = (Hours(),)
# For a demonstration, which must go on at night: nobody real is woken by it.
ANY_HOUR: Final = QuietHours(_ALWAYS, _ALWAYS, _ALWAYS, _ALWAYS)


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many marketing texts a person gets at most, by the days of his own calendar; 0: no limit.

    The same text goes to nobody twice within `same_text_hours`.
    """

    marketing_a_day: int = 1
    marketing_in_30_days: int = 4
    same_text_hours: int = 24


NO_CAPS: Final = Caps(0, 0, 0)

Limit = Annotated[int, msgspec.Meta(ge=0)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one SIM may send on any window: parts, and different recipients.  0: no limit.  A month is 30 x 24 h."""

    minute: Limit = 0
    hour: Limit = 0
    day: Limit = 0
    month: Limit = 0
    day_recipients: Limit = 0
    month_recipients: Limit = 0

    @property
    def are_any(self) -> bool:
        """Whether there is any limit at all."""
        return any(self.of_parts) or any(self.of_recipients)

    @property
    def of_parts(self) -> tuple[int, int, int, int]:
        """Of a minute, an hour, a day and a month."""
        return self.minute, self.hour, self.day, self.month

    @property
    def of_recipients(self) -> tuple[int, int]:
        """Of a day and a month."""
        return self.day_recipients, self.month_recipients


class SimSettings(Limits, frozen=True, forbid_unknown_fields=True):
    """What is set for one SIM: its limits."""


class Routing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How texts find their way: `sticky` keeps a number with the SIM that texted it last; `operators` are prefixes by
    name, for routes to name.
    """

    sticky: bool = False
    operators: dict[str, tuple[str, ...]] = {}


class Keep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many days is kept what is over; 0: for ever.  What has not ended stays, however old.

    For ever is what people know from the programs that they come from: nothing that was sent or received goes away by
    itself, and a million texts take a tenth of a gigabyte.  But the words of it go, and what proves consents and deeds,
    once nobody needs them to answer for anything any more.
    """

    messages_days: int = 0  # since the end of a message, or of the campaign that it is a row of
    received_days: int = 0
    events_days: int = 30
    texts_days: int = 730  # the words of messages and texts: 24 months; that they were, and when, stays
    consents_days: int = 1_096  # since a consent ended: 36 months
    audit_days: int = 1_096


class Webhooks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where events may be posted to beside public addresses: networks, as 10.0.0.0/8."""

    allow_private: tuple[str, ...] = ()


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
    quiet: QuietHours = QuietHours()
    sims: dict[str, SimSettings] = {}  # by IMSI
    keep: Keep = Keep()
    routes: Routing = Routing()
    webhooks: Webhooks = Webhooks()
    caps: Caps = Caps()


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
    if house.approval_over < 0:
        raise ConfigError(f"house.approval_over: {house.approval_over} is less than 0")
    if house.currency and not (
        house.currency.isascii() and house.currency.isalpha() and house.currency.isupper() and len(house.currency) == 3
    ):
        raise ConfigError(f"house.currency: {house.currency!r} is not three capital letters")
    if house.link_base and not (_LINK_BASE.fullmatch(house.link_base) and len(house.link_base) <= _LINK_BASE_LONGEST):
        raise ConfigError(f"house.link_base: {house.link_base!r} is no address, as https://x.example")
    if not all(word.strip() for word in (*house.other_names, *house.opt_out_words)) or not house.opt_out_words:
        raise ConfigError("house.other_names and house.opt_out_words: one is empty")
    for key, most in (("marketing_a_day", 50), ("marketing_in_30_days", 50), ("same_text_hours", 720)):
        if not 0 <= getattr(settings.caps, key) <= most:
            raise ConfigError(f"caps.{key}: {getattr(settings.caps, key)} is not 0 to {most}")
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
    if not 1 <= settings.traffic.delay_alert_s <= 86_400:
        raise ConfigError(f"traffic.delay_alert_s: {settings.traffic.delay_alert_s:g} is not 1 to 86400")
    if 0 < settings.keep.consents_days < CONSENTS_LEAST_DAYS:
        raise ConfigError(f"keep.consents_days: {settings.keep.consents_days} is less than {CONSENTS_LEAST_DAYS}")
    for key in settings.keep.__struct_fields__:
        if not 0 <= getattr(settings.keep, key) <= DAYS_MOST:
            raise ConfigError(f"keep.{key}: {getattr(settings.keep, key)} is not 0 to {DAYS_MOST}")
    if not 0 <= settings.http.port <= 65535:
        raise ConfigError(f"http.port: {settings.http.port} is not 0 to 65535")
    for network in settings.webhooks.allow_private:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ConfigError(f"webhooks.allow_private: {network!r} is no network, as 10.0.0.0/8") from None
    for imsi, sim in settings.sims.items():
        _check_sim(imsi, sim)
    for name, prefixes in settings.routes.operators.items():
        for prefix in prefixes:
            if not _PREFIX.fullmatch(prefix):
                raise ConfigError(f"routes.operators.{name}: {prefix!r} is no prefix: + and 1 to 15 digits")
    return settings


def _check_sim(imsi: str, sim: SimSettings) -> None:
    fewest, most = _IMSI_DIGITS
    if not (imsi.isascii() and imsi.isdigit() and fewest <= len(imsi) <= most):
        raise ConfigError(f"sims.{imsi}: is not the {fewest} to {most} digits of an IMSI")
    if imsi.startswith("0"):
        # The store knows a SIM by its IMSI as a number.
        raise ConfigError(f"sims.{imsi}: no network's IMSI begins with 0")
    for name in sim.__struct_fields__:
        if getattr(sim, name) < 0:
            raise ConfigError(f"sims.{imsi}.{name}: {getattr(sim, name)} is less than 0")
