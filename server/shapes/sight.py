"""Sight: what a caller sees of a person, the one place where anything of it is masked.

Each function gives the value in full, masked, or None, as the caller's policy says of its field.  Lists ask with
`whole=False`: there nobody sees more than the mask.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from engine import numbers
from engine.access.caller import Caller, Sight

# What a masked address still tells: enough to know whom it concerns, too little to stand at the door.
_SHOWN_OF_ADDRESS: Final = frozenset({"country", "region", "city"})
_HIDDEN: Final = "***"
_DATE: Final = re.compile(r"(?:[0-9]{4}|-)-([0-9]{2})-[0-9]{2}")


def _sight(caller: Caller, field: str, whole: bool) -> Sight:
    sight = caller.sees(field)
    return "masked" if sight == "full" and not whole else sight


def number(caller: Caller, key: int, *, whole: bool = True) -> str | None:
    """A telephone number, of its key: `+8610*****0001` where it is masked."""
    return _number(_sight(caller, "number", whole), numbers.from_key(key))


def _number(sight: Sight, text: str) -> str | None:
    return {"full": text, "masked": numbers.mask(text), "none": None}[sight]


def email(caller: Caller, text: str, *, whole: bool = True) -> str | None:
    """An e-mail address: its first character and its domain where it is masked; None where there is none."""
    return _email(_sight(caller, "email", whole), text)


def _email(sight: Sight, text: str) -> str | None:
    if not text or sight == "none":
        return None
    if sight == "full":
        return text
    name, at, domain = text.rpartition("@")
    return f"{name[:1]}{_HIDDEN}@{domain}" if at else _HIDDEN


def birthday(caller: Caller, text: str, *, whole: bool = True) -> str | None:
    """A date as `YYYY-MM-DD` or `--MM-DD`: only its month where it is masked; None where there is none."""
    return _birthday(_sight(caller, "birthday", whole), text)


def _birthday(sight: Sight, text: str) -> str | None:
    if not text or sight == "none":
        return None
    if sight == "full":
        return text
    found = _DATE.fullmatch(text)
    return f"****-{found[1]}-**" if found else _HIDDEN


def address(caller: Caller, lines: Mapping[str, str], *, whole: bool = True) -> dict[str, str] | None:
    """A postal address by its parts: country, region and city where it is masked; None where there is none."""
    return _address(_sight(caller, "address", whole), lines)


def _address(sight: Sight, lines: Mapping[str, str]) -> dict[str, str] | None:
    if not lines or sight == "none":
        return None
    if sight == "full":
        return dict(lines)
    return {part: line if part in _SHOWN_OF_ADDRESS else _HIDDEN for part, line in lines.items()}


def value(caller: Caller, field: str, told: Any) -> Any:
    """A value of any field, of which only the name is known: in the audit log, in an export, in a text."""
    sight = caller.sees(field)
    if sight == "full" or told is None:
        return told
    if sight == "none":
        return None
    match field, told:
        case "number", str(text):
            return _number(sight, text)
        case "email", str(text):
            return _email(sight, text)
        case "birthday", str(text):
            return _birthday(sight, text)
        case "address", dict(lines):
            return _address(sight, lines)
    return _HIDDEN
