"""Sight: what a caller sees of a person, the one place where anything of it is masked.

Each function gives the value in full, masked, or None, as the caller's policy says of its field.  Lists ask with
`whole=False`: there nobody sees more than the mask, but for telephone numbers, which whoever may see them in full and
asked for them does see.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from engine import numbers
from engine.access.caller import SENSITIVE, Caller, Sight

# What a masked address still tells: enough to know whom it concerns, too little to stand at the door.
_SHOWN_OF_ADDRESS: Final = frozenset({"country", "region", "city"})
_HIDDEN: Final = "***"
_DATE: Final = re.compile(r"(?:[0-9]{4}|-)-([0-9]{2})-[0-9]{2}")


def _sight(caller: Caller, field: str, whole: bool) -> Sight:
    sight = caller.sees(field)
    return "masked" if sight == "full" and not whole else sight


def number(caller: Caller | None, key: int, *, whole: bool = True) -> str | None:
    """A telephone number, of its key: `+8610*****0001` where it is masked, as it is where nobody calls."""
    return spelled(caller, numbers.from_key(key), whole=whole)


def spelled(caller: Caller | None, text: str, *, whole: bool = True) -> str | None:
    """The same of a number, or of a sender's name, as it is written."""
    if caller is None:
        return numbers.mask(text)
    seen = caller.sees("number")
    if seen == "full":
        if caller.asked is not None:
            caller.asked.told += 1
        elif not whole:
            seen = "masked"
    return _number(seen, text)


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


# What a policy speaks of under another name.
_OF_POLICY: Final = {"numbers": "number", "special_days": "birthday", "street": "address", "postcode": "address"}
# Own fields that are sensitive: seen by whoever sees everything else.
OWN: Final = "own_sensitive"


def value(caller: Caller, field: str, told: Any, *, whole: bool = True) -> Any:
    """A value of any field, of which only the name is known: in the audit log, in an export, in a text.

    Numbers of a list, which is not `whole`, are seen in full by whoever asked for them.
    """
    if told is None:
        return None
    policy = _OF_POLICY.get(field, field)
    match field, told:
        case "number", str(text):
            return spelled(caller, text, whole=whole)
        case "numbers", list(texts):
            return [shown for one in texts if (shown := spelled(caller, str(one), whole=whole)) is not None] or None
    if policy == OWN:
        return told if all(caller.sees(each) == "full" for each in SENSITIVE) else None
    sight = caller.sees(policy)
    if sight == "full":
        return told if whole or policy != "number" else _HIDDEN
    if sight == "none":
        return None
    match policy, told:
        case "email", str(text):
            return _email(sight, text)
        case "birthday", str(text):
            return _birthday(sight, text)
        case "address", dict(lines):
            return _address(sight, lines)
    return _HIDDEN
