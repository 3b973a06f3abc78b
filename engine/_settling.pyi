"""Stub of _settling.pyx, where the behaviour is documented."""

from collections.abc import Callable
from typing import final

from engine._flights import Flight
from engine._slots import Slots

@final
class Moves:
    """What a turn moves of one group's counters."""

    queued: int
    sending: int
    went: int
    spent: int
    sent: bytearray

@final
class Rows:
    """The rows that one turn settles and claims."""

    moves: dict[int, Moves]
    references: dict[int, bytearray]
    reported: list[Flight]
    def __new__(cls, slots: Slots, now_ms: int) -> Rows: ...
    def clear(self) -> None: ...
    def land(self, landed: list[Flight], first: int, doubted: set[int]) -> int: ...
    def sorted(self, chosen: list[Flight]) -> tuple[list[Flight], list[Flight]]: ...
    def claim(
        self,
        flights: list[Flight],
        lines: list[list[bytes]],
        ahead: dict[Flight, None],
        job: Callable[[bytes, int, Flight], object],
    ) -> None: ...

def alike(flights: list[Flight], first: int) -> list[str]:
    """The numbers of the flights from place `first` on that say the same."""

def keys(references: dict[int, bytearray]) -> list[bytes]:
    """The SIMs as keys of the store."""

def counted(references: dict[int, bytearray], known: dict[bytes, bytes], believed: int) -> list[tuple[bytes, bytes]]:
    """(key, counters) of SIMs behind the references that each gave."""
