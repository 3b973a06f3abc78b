"""Cleaning: values as they stand in lists of customers that somebody kept in a spreadsheet.

Each function gives the value and a note of what was mended, empty where nothing was; or raises ValueError with the
reason.  A guess that could be wrong is refused, not made.
"""

import re
import unicodedata
from datetime import date
from typing import Final

from engine import numbers
from engine.errors import Invalid

_INVISIBLE: Final = re.compile(r"[\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
# 1.38E+10 has lost all digits but three: the number is not in the file any more.
_SCIENTIFIC: Final = re.compile(r"[0-9][.,]?[0-9]*[Ee][+]?[0-9]{1,2}")
_DATE: Final = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?")
_COMPACT: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_BACKWARD: Final = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")
# The day that Excel counts from (a date is a number of days there), if 1900 is taken for a leap year as it does.
_EXCEL_ZERO: Final = date(1899, 12, 30).toordinal()
_EXCEL: Final = re.compile(r"[1-9][0-9]{3,4}(\.0+)?")


def text(said: str) -> tuple[str, str]:
    """Without what nobody sees, single spaces, none around."""
    seen = _INVISIBLE.sub("", said)
    found = " ".join(seen.split())
    return found, "" if found == said else "spaces" if seen == said else "invisible characters"


def name(said: str) -> tuple[str, str]:
    """A name, its letters and digits of usual width."""
    found, note = text(said)
    usual = unicodedata.normalize("NFKC", found) if not found.isascii() else found
    return usual, "full-width characters" if usual != found else note


def number(said: str, country: str | None) -> tuple[str, str]:
    """A telephone number in E.164."""
    found, _ = text(said)
    plain = (unicodedata.normalize("NFKC", found) if not found.isascii() else found).strip()
    if not plain:
        raise ValueError("is missing")
    if _SCIENTIFIC.fullmatch(plain):
        raise ValueError("is a number that a spreadsheet has rounded: its last digits are lost")
    if plain.endswith(".0") and plain[:-2].isdigit():
        plain = plain[:-2]  # a spreadsheet took it for a quantity
    plain = plain.lstrip("'")
    tried, reason = [plain], ""
    digits = re.sub(r"[\s().\-/]", "", plain)
    if digits.startswith("00"):
        tried.append(f"+{digits[2:]}")
    elif not digits.startswith("+") and digits.isdigit():
        # A country's code without its plus sign, as in 86-139 1234 5678; where the number is one as it stands, that.
        tried.append(f"+{digits}")
    for attempt in tried:
        try:
            parsed = numbers.parse(attempt, country, "number")
        except Invalid as error:
            reason = error.params[0].reason
            continue
        # Digits alone, with the country's code or without it, are no mess.
        return parsed, "" if attempt == said and said.lstrip("+").isdigit() and said.isascii() else "written otherwise"
    raise ValueError(reason)


def day(said: str) -> tuple[date, str]:
    """A date in the orders that are plain: year first, or a day beyond 12."""
    found, _ = text(said)
    plain = unicodedata.normalize("NFKC", found)
    if (match := _DATE.fullmatch(plain)) or (match := _COMPACT.fullmatch(plain)):
        made = _made(int(match[1]), int(match[2]), int(match[3]))
        return made, "" if made.isoformat() == said else "date written otherwise"
    if match := _BACKWARD.fullmatch(plain):
        first, second = int(match[1]), int(match[3])
        if first <= 12 and second <= 12 and first != second:
            raise ValueError("may be one of two dates: write it as 2026-09-25")
        month, of_month = (second, first) if first > 12 or first == second else (first, second)
        return _made(int(match[4]), month, of_month), "date written otherwise"
    if _EXCEL.fullmatch(plain):
        return date.fromordinal(_EXCEL_ZERO + int(plain.partition(".")[0])), "date that was a number"
    raise ValueError("is not a date as 2026-09-25")


def _made(year: int, month: int, of_month: int) -> date:
    try:
        return date(year, month, of_month)
    except ValueError as error:
        raise ValueError("is a date that no calendar has") from error
