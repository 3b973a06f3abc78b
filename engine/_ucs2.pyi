"""Stub of _ucs2.pyx, where the behaviour is documented."""

def count_units(text: str) -> int:
    """16-bit code units, not characters: an emoji is two."""

def encode(text: str) -> bytes:
    """UTF-16BE octets."""

def cut(text: str, room: int) -> list[bytes]:
    """UTF-16BE pieces.  `room` in code units: 70 alone, 67 with an 8-bit concatenation header."""

def decode(octets: bytes) -> str:
    """The text of UTF-16BE octets, with U+FFFD for what is broken."""
