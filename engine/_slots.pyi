"""Stub of _slots.pyx, where the behaviour is documented."""

from typing import Any, final

OCTETS: int
OF_A_SHEET: int

def sound(octets: bytes) -> bool:
    """Whether these octets are a sheet of slots."""

@final
class Slots:
    """The slots of a table that one transaction reads and writes."""

    def __new__(cls, txn: Any, table: Any) -> Slots: ...
    def get(self, group: int, row: int) -> tuple[int, int, int, int, int, int, int, int, int]: ...
    def put(
        self,
        group: int,
        row: int,
        state: int,
        attempt: int = 0,
        reference: int = 0,
        outcome: int = 0,
        reason: int = 0,
        flags: int = 0,
        reported_s: int = 0,
        sim: int = 0,
        sent_ms: int = 0,
    ) -> None: ...
    def flush(self) -> None: ...
