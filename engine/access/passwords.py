"""Passwords: by which a member of the staff signs in at the console."""

import unicodedata
from typing import Final

from engine.access import hashes
from engine.errors import Invalid, InvalidParam

SHORTEST: Final = 10  # characters
LONGEST: Final = 200

_PURPOSE: Final = b"password"


def _plain(password: str) -> str:
    """The same characters are the same octets, whatever keyboard they were typed on."""
    return unicodedata.normalize("NFKC", password)


def hashed(pepper: bytes, password: str) -> str:
    """What is kept of it; slow (engine/access/hashes.py).  Raises Invalid naming `password`."""
    plain = _plain(password)
    if not SHORTEST <= len(plain) <= LONGEST:
        raise Invalid(InvalidParam("password", f"is not {SHORTEST} to {LONGEST} characters"))
    return hashes.hashed(pepper, _PURPOSE, plain)


def is_right(pepper: bytes, password: str, kept: str) -> bool:
    """Whether it is the one that was kept; slow, and as slow where none was."""
    if len(password) > LONGEST:
        password = password[:LONGEST] + "…"  # of no one's, and no longer than it must be
    return hashes.is_right(pepper, _PURPOSE, _plain(password), kept)
