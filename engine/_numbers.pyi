"""Stub of _numbers.pyx, where the behaviour is documented."""

from array import array
from collections.abc import Iterable

METADATA_VERSION: str

def plain(text: str) -> bool:
    """Whether `text` is a possible number in E.164 as it stands; False is not final, for the library knows more."""

def key(text: str) -> int:
    """The digits of what is `plain` as an integer; 0 of all else."""

def keys(texts: Iterable[str]) -> array[int]:
    """`key` of each, 64 bits wide."""
