"""Links: the short address of its own by which each recipient of a campaign comes to the campaign's page.

    https://x.example/l/m4x0q1az9    five characters of a keyed check, then the campaign's small number and the row

Characters are Crockford's base 32 (engine/store/ids.py), read in any case, O as 0, I and L as 1.  The number has four
bits in a character and a fifth that says whether it goes on; the row is plain.  Nothing is kept of a recipient: what a
code means is worked out, and nobody who has one can make his neighbour's without the house's key.

LINKS holds the page and the number of each campaign that has one; a number is never given again.
"""

import hmac
import re
import struct
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from engine.crm.marketing import templates
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store.table import Table, Txn

FIELD: Final = "link"  # as texts say it: {link}
URL_LONGEST: Final = 2_000  # characters
PATH: Final = "/l/"
NUMBER_MOST: Final = (1 << 20) - 1
ROW_MOST: Final = (1 << 30) - 1

_CHECK: Final = 5
_BITS: Final = 5
_UNUSED_BITS: Final = 32 - _CHECK * _BITS  # of the four octets that are drawn
CODE_LONGEST: Final = _CHECK + 5 + 6  # of a million campaigns with a link, and a thousand million rows

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_LOOK_ALIKES: Final = str.maketrans({"o": "0", "i": "1", "l": "1"})
_GOES_ON: Final = 16
_CHECKED: Final = struct.Struct(">QQ")
_SAID: Final = re.compile(r"\{link(:[^{}]*)?\}")
_PRINTABLE: Final = re.compile(r"[!-~]+")


class Link(msgspec.Struct, frozen=True, array_like=True):
    """Where it leads, and the number that stands for the campaign in codes."""

    url: str
    number: int


class Led(NamedTuple):
    """What a code stands for: a row of a campaign, and where it leads."""

    campaign: int
    row: int
    url: str


LINKS: Final = Table("links", Link)  # campaign
LINKED: Final = Table("linked", int, "I")  # number -> campaign

TABLES: Final = (LINKS, LINKED)


# -- a campaign's


def check(texts: dict[str, str], url: str, base: str) -> None:
    """Raises Invalid naming `link` where it is no address or the house has none of its own, or the text that does not
    say `{link}` though there is one, or says it though there is none.
    """
    if url:
        _check_url(url)
        _require_base(base)
    for language, text in texts.items():
        says = FIELD in templates.parse(text, f"text.{language}").fields
        if says and not url:
            raise Invalid(InvalidParam(FIELD, f"is missing: the text in {language} says {{link}}"))
        if url and not says:
            raise Invalid(
                InvalidParam(f"text.{language}", "does not say {link}, where the campaign's link would stand")
            )


def _check_url(url: str) -> None:
    if len(url) > URL_LONGEST:
        raise Invalid(InvalidParam(FIELD, f"is longer than {URL_LONGEST} characters"))
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_one = False
    if not is_one or "@" in parts.netloc or _PRINTABLE.fullmatch(url) is None or "\\" in url:
        raise Invalid(InvalidParam(FIELD, "is no http or https address; what is not ASCII is written as %xx"))


def _require_base(base: str) -> None:
    if not base:
        raise Invalid(InvalidParam(FIELD, "cannot be: the setting house.link_base, where its links begin, is empty"))


def require(txn: Txn, campaign: int, base: str) -> None:
    """Raises Conflict where the campaign has a link and the house has no address for it any more."""
    if not base and LINKS.find(txn, campaign) is not None:
        raise Conflict("the campaign has a link, and the setting house.link_base is empty")


def add(txn: Txn, campaign: int, url: str) -> Link:
    """Let a campaign have a link.  Raises Conflict where a million others have one."""
    last = LINKED.last_key(txn)
    number = 1 if last is None else int(last[0]) + 1
    if number > NUMBER_MOST:
        raise Conflict(f"there are {NUMBER_MOST} campaigns with a link already")
    link = Link(url, number)
    LINKS.put(txn, campaign, link)
    LINKED.put(txn, number, campaign)
    return link


def url_of(txn: Txn, campaign: int) -> str:
    """Where the link of a campaign leads, empty where it has none."""
    link = LINKS.find(txn, campaign)
    return "" if link is None else link.url


# -- addresses


def writer(txn: Txn, campaign: int, base: str, pepper: bytes) -> Callable[[int], str] | None:
    """What makes the address of each row, by its number; None where the campaign has no link, or the house no base."""
    link = LINKS.find(txn, campaign) if base else None
    if link is None:
        return None
    begin, number = _begin(base), link.number
    return lambda row: begin + code(pepper, campaign, number, row)


def longest(base: str) -> str:
    """As long as an address can be.  Raises Invalid where the house has none."""
    _require_base(base)
    return _begin(base) + "0" * CODE_LONGEST


def stretched(text: str, base: str) -> str:
    """A text that says `{link}`, with as long an address as there can be in its place."""
    return _SAID.sub(lambda _: _begin(base) + "0" * CODE_LONGEST, text)


def _begin(base: str) -> str:
    return f"{base.rstrip('/')}{PATH}"


# -- codes


def code(pepper: bytes, campaign: int, number: int, row: int) -> str:
    """The code of a row of the campaign that has this number."""
    characters = [_ALPHABET[number & 15]]
    while number := number >> 4:
        characters.append(_ALPHABET[number & 15 | _GOES_ON])
    characters.reverse()
    return _plain(_keyed(pepper, campaign, row), _CHECK) + "".join(characters) + _plain(row, 1)


def _keyed(pepper: bytes, campaign: int, row: int) -> int:
    # By the campaign's id, not its number: one of a backup that was put back may be another's by now.
    said = _CHECKED.pack(campaign, row)
    drawn = blake2b(said, key=pepper, person=b"link", digest_size=4).digest()
    return int.from_bytes(drawn, "big") >> _UNUSED_BITS


def _plain(value: int, digits: int) -> str:
    characters: list[str] = []
    while value or len(characters) < digits:
        characters.append(_ALPHABET[value & 31])
        value >>= _BITS
    return "".join(reversed(characters))


def _numbered(plain: str) -> tuple[int, int] | None:
    """(number, row) behind the check of a code, if they can be read."""
    number, place = 0, 0
    values = [_VALUES.get(character, -1) for character in plain]
    if -1 in values:
        return None
    while place < len(values):
        number = number << 4 | values[place] & 15
        place += 1
        if not values[place - 1] & _GOES_ON:
            break
    row = 0
    for value in values[place:]:
        row = row << _BITS | value
    is_possible = place < len(values) and number <= NUMBER_MOST and row <= ROW_MOST
    return (number, row) if is_possible else None


def read(txn: Txn, pepper: bytes, typed: str) -> Led | None:
    """What a code stands for; None where it is none of ours.  That the row is there is not asked."""
    if not _CHECK + 2 <= len(typed) <= CODE_LONGEST or not typed.isascii():
        return None
    said = typed.lower().translate(_LOOK_ALIKES)
    numbered = _numbered(said[_CHECK:])
    campaign = None if numbered is None else LINKED.find(txn, numbered[0])
    if numbered is None or campaign is None:
        return None
    # Whole against whole: so that each row has one code only, however zeros might stand before it.
    if not hmac.compare_digest(code(pepper, campaign, *numbered), said):
        return None
    return Led(campaign, numbered[1], LINKS.get(txn, campaign).url)


def differences(txn: Txn) -> Iterator[str]:
    """What of the numbers is not as a rebuild would make it."""
    wanted = {(link.number, campaign) for (campaign,), link in LINKS.scan(txn)}
    for number, campaign in sorted(wanted ^ {(number, campaign) for (number,), campaign in LINKED.scan(txn)}):
        is_missing = (number, campaign) in wanted
        yield f"{LINKED.name}: {number} of campaign {campaign} {'is missing' if is_missing else 'leads nowhere'}"
