"""Telephone numbers: parsed and normalised at one choke point, masked for logs and lists.

A number is a `str` in E.164 with its plus sign, or, as a key, the same digits as an `int`.  Most come as plain E.164,
which needs a table and no library; the library is asked about all others, and is the judge of both.
"""

import re
from array import array
from collections.abc import Iterable
from typing import Final

import phonenumbers

from engine import _numbers
from engine.errors import Invalid, InvalidParam

_WRITTEN: Final = re.compile(r"[+＋]?[0-9０-９\s().\-/]{3,40}")


def parse(text: str, country: str | None = None, field: str = "to") -> str:
    """`text` as E.164.  What is possible is accepted: a known country code and a possible length.

    National forms need `country` (ISO 3166-1 alpha-2).  Raises Invalid naming `field`.
    """
    if _numbers.plain(text):
        return text
    if not _WRITTEN.fullmatch(text.strip()):
        raise Invalid(InvalidParam(field, "is not a telephone number"))
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        hint = "has no known country code" if error.error_type == 0 else "is not a telephone number"
        raise Invalid(InvalidParam(field, hint)) from error
    if not phonenumbers.is_possible_number(number):
        raise Invalid(InvalidParam(field, "has a length that its country does not use"))
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def to_key(number: str) -> int:
    """E.164 as an integer: 15 digits fit into 64 bits."""
    return _numbers.key(number) or int(number[1:])


def plain_key(text: str) -> int:
    """`to_key` of a number that is plain E.164 already; 0 of every other text, of which `parse` knows more."""
    return _numbers.key(text)


def plain_keys(texts: Iterable[str]) -> "array[int]":
    """`plain_key` of each."""
    return _numbers.keys(texts)


def from_key(key: int) -> str:
    """The number that `to_key` took."""
    return f"+{key}"


def mask(number: str) -> str:
    """`+8610*****0001`: enough to recognise, too little to dial."""
    hidden = max(4, len(number) - 9)
    shown = len(number) - hidden
    if shown < 4:
        return "*" * len(number)
    ahead = (shown + 1) // 2
    return f"{number[:ahead]}{'*' * hidden}{number[ahead + hidden :]}"
