"""Stub of _staging.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from array import array
from collections.abc import Iterator, Sequence
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
    def build(self, first: int, behind: int) -> tuple[Iterator[tuple[bytes, bytes]], ...]:
        """Entries of some of them, in order: records, references, tags, regions, lifecycles; made when asked for."""

    def build_records(self, first: int, behind: int) -> Iterator[tuple[bytes, bytes]]:
        """Records of some of them."""

    def build_references(self, first: int, behind: int) -> Iterator[tuple[bytes, bytes]]:
        """Entries of their references."""

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

    def keep_but(self, gone: set[int]) -> array[int]:
        """Forget those at the places in `gone`; the places of all others, ascending, whose ranks are places now."""

    def numbers(self, first: int, behind: int, first_id: int) -> list[tuple[bytes, bytes]]:
        """Entries of some of the numbers."""

    def consents(
        self, first: int, behind: int, tails: list[tuple[int, int]], said: bytes
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries of what some of the holders agreed to, made when they are asked for."""
