"""Stub of _suppressed.pyx, where the behaviour is documented."""

from collections.abc import Iterable
from typing import final

@final
class Suppressed:
    """A set of digests, and what makes digests of numbers."""

    def __new__(cls, pepper: bytes) -> Suppressed: ...
    def __len__(self) -> int: ...
    def __contains__(self, number: int, /) -> bool:
        """Whether the digest of `number` is in the set."""

    def digest(self, number: int) -> bytes:
        """The 16 octets under which `number` stands."""

    def load(self, digests: Iterable[bytes]) -> None:
        """Add each of `digests`."""

    def add(self, digest: bytes) -> None:
        """Put a digest into the set, where it may be already."""

    def discard(self, digest: bytes) -> None:
        """Take a digest out of the set, where it need not be."""
