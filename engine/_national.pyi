"""Stub of _national.pyx, where the behaviour is documented."""

from typing import Final

NAMES: Final[dict[int, str]]
SIGNS: Final[dict[str, int]]
LOCKING: Final[dict[int, str]]
EXTENSION: Final[dict[int, str]]
LATIN: Final[dict[int, str]]
SINGLE: Final[dict[int, dict[int, str]]]

def locking(language: int) -> str | None:
    """128 characters, with the escape at 0x1B and a null at an empty code; None where there is no such table."""

def single(language: int) -> dict[int, str]:
    """Septet behind the escape → character; empty where there is no such language."""

def find_locking(language: int, character: str) -> int | None:
    """The septet of one character in a locking shift table."""

def find_single(language: int, character: str) -> int | None:
    """The septet of one character in a single shift table."""
