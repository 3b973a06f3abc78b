"""Stub of _gsm7.pyx, where the behaviour is documented."""

from typing import Final

DEFAULT: Final[str]
EXTENSION: Final[dict[int, str]]

def count_septets(text: str) -> int:
    """7-bit units, not characters: `{` or `€` is two.  160 alone, 153 with an 8-bit concatenation header."""

def septets_of(text: str, single: int = 0, locking: int = 0) -> bytes:
    """Septets, one to an octet; `single` and `locking` are national language identifiers, 0 for the default tables."""

def characters_of(septets: bytes, single: int = 0, locking: int = 0) -> str:
    """The text of septets, one to an octet."""

def pack(text: str, fill_bits: int = 0) -> bytes:
    """Septets packed into octets; `fill_bits` 0 to 6 stand before the first."""

def unpack(octets: bytes, septets: int, fill_bits: int = 0) -> str:
    """The text of `septets` packed septets, with a space for an escape that escapes nothing."""
