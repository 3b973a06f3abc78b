"""PINs: four to eight digits, by which a member of the staff is known in a text."""

import unicodedata
from typing import Final

from engine.access import hashes
from engine.errors import Invalid, InvalidParam

SHORTEST: Final = 4  # digits
LONGEST: Final = 8

_PURPOSE: Final = b"pin"


def _plain(pin: str) -> str:
    """Full-width digits are digits."""
    return unicodedata.normalize("NFKC", pin)


def hashed(pepper: bytes, pin: str) -> str:
    """What is kept of it; slow (engine/access/hashes.py).  Raises Invalid naming `pin` where it is none."""
    plain = _plain(pin)
    if not (plain.isascii() and plain.isdigit() and SHORTEST <= len(plain) <= LONGEST):
        raise Invalid(InvalidParam("pin", f"is not {SHORTEST} to {LONGEST} digits"))
    return hashes.hashed(pepper, _PURPOSE, plain)


def is_right(pepper: bytes, pin: str, kept: str) -> bool:
    """Whether it is the one that was kept; slow, and as slow where none was."""
    return hashes.is_right(pepper, _PURPOSE, _plain(pin), kept)
