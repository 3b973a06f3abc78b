"""Stub of _seen.pyx, where the behaviour is documented."""

from typing import final

@final
class Seen:
    """The rows of one campaign so far, by reference where they have one, else by number."""

    def __new__(cls, secret: bytes) -> Seen: ...
    def __len__(self) -> int: ...
    @property
    def octets(self) -> int:
        """Memory that the tables hold."""

    def add(self, number: int, reference: str) -> bool:
        """Whether the row is new: by `reference` where it is not empty, else by `number`."""

    def give_back(self, tables: int) -> bool:
        """Forget what up to `tables` tables hold, and give their memory back; whether others are left."""

    def digest(self, reference: str) -> bytes:
        """The 16 octets that stand for `reference`."""
