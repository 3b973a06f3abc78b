"""Stub of _conditions.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from collections.abc import Callable, Sequence
from typing import Final, final

OPS: Final[dict[str, int]]
COMPARISONS: Final[dict[str, int]]
SOURCES: Final[dict[str, int]]
AGGREGATES: Final[dict[str, int]]

_Node = tuple[int, int, int, int, int, int, int, Sequence[int] | Sequence[bytes], int, int]
_Pair = tuple[int, int] | tuple[bytes, bytes]

@final
class Program:
    """A condition, compiled: nodes are (op, source, field, key, comparison, value, slot, operands, aggregate, size)."""

    def __new__(
        cls,
        nodes: list[_Node],
        slots: int,
        fold: Callable[[str], str],
        bounds_of: Callable[[bytes], Sequence[_Pair]],
        zone_field: int,
        region_field: int,
        zone_of_region: dict[int, bytes],
        house: bytes,
        ask: Callable[[int, int], bool] | None = None,
    ) -> Program: ...
    def sift(self, items: list[tuple[bytes, bytes]]) -> tuple[list[int], list[int]]:
        """([ids of which it is true], [places of which more must be known]) of [(key, record)]."""

    def settle(
        self,
        items: list[tuple[bytes, bytes]],
        places: list[int],
        members: list[tuple[bytes, bytes]],
        events: list[tuple[bytes, bytes]],
    ) -> list[int]:
        """[ids of which it is true] of the records at `places`, with what else is known of them."""
