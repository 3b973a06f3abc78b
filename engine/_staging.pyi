"""Stub of _staging.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from array import array
from collections.abc import Sequence
from typing import final

@final
class Newcomers:
    """The new customers of a stage, and what their records have alike."""

    def __new__(
        cls,
        pieces: list[bytes],
        numbers: array[int],
        names: list[str],
        lifecycles: Sequence[int | None],
        regions: list[int],
        tags: list[tuple[int, ...]],
        places: array[int],
        first: int,
        references: int,
        given: tuple[tuple[int, ...], int, int],
    ) -> Newcomers: ...
    def __len__(self) -> int: ...
    def build(self, first: int, behind: int) -> tuple[list[tuple[bytes, bytes]], ...]:
        """Entries of some of them: records, references, tags, regions, lifecycles; each in order."""

    def mark(self, at: int, record: bytes) -> None:
        """Remember the record of one as it is written."""

    def changed(self, items: list[tuple[bytes, bytes]], first: int, behind: int, gone: set[int]) -> list[int]:
        """Which of some of them, but for those in `gone`, are not as they were written."""

@final
class Order:
    """Numbers in order, each with its place in the column."""

    def __new__(cls, numbers: array[int]) -> Order: ...
    def __len__(self) -> int: ...
    def sort(self) -> None:
        """Put them in order."""

    def twice(self) -> list[int]:
        """Places of those that stand further ahead as well."""

    def keys(self, first: int, behind: int) -> list[bytes]:
        """Some of the numbers, packed."""

    def places(self, first: int, behind: int) -> list[int]:
        """The places of some of the numbers."""

    def keep(self, places: array[int]) -> None:
        """Forget all but those at `places`, ascending; a place is then the rank that it has among these."""

    def sweep(
        self, first: int, behind: int, first_id: int, tails: list[tuple[int, int]], said: bytes
    ) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
        """Entries of some of the numbers, and of consent."""
