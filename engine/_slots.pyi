from typing import Any

OCTETS: int
OF_A_SHEET: int

class Slots:
    def __init__(self, txn: Any, table: Any) -> None: ...
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
