"""Telephone numbers: a thousand of an upload, nearly all of them E.164 as they stand."""

from random import Random

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from bench.case import Case
from engine import numbers

ROWS = 1_000
COUNTRIES = ("DE", "CN", "GB", "FR", "US", "BR", "IN", "AE")


def mobiles() -> list[str]:
    """Of a few countries by turns, each with other last digits."""
    random = Random(1)
    found = []
    for row in range(ROWS):
        example = phonenumbers.example_number_for_type(COUNTRIES[row % len(COUNTRIES)], PhoneNumberType.MOBILE)
        assert example is not None
        text = phonenumbers.format_number(example, PhoneNumberFormat.E164)
        found.append(f"{text[:-6]}{random.randrange(10**6):06}")
    return found


PLAIN = mobiles()
SPACED = [f"{text[:3]} {text[3:6]} {text[6:]}" for text in PLAIN]


def by_library(text: str) -> str:
    """What there was before, without its errors."""
    number = phonenumbers.parse(text)
    assert phonenumbers.is_possible_number(number)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


CASES: list[Case] = [
    Case(
        "numbers/parse/plain",
        {
            "cython": lambda: [numbers.parse(text) for text in PLAIN],
            "library": lambda: [by_library(text) for text in PLAIN],
        },
        per=ROWS,
    ),
    # What asking first costs those that are not plain.
    Case(
        "numbers/parse/spaced",
        {
            "cython": lambda: [numbers.parse(text) for text in SPACED],
            "library": lambda: [by_library(text) for text in SPACED],
        },
        per=ROWS,
    ),
]
