"""Stub of _packed.pyx, where the behaviour is documented."""

from typing import Any, final

@final
class Packed:
    """A row that stands in the line."""

    group: int
    id: int
    number: int
    packed_row: int
    size: int
    weight: int
    expires_ms: int
    wants_report: bool
    text: str
    purpose: str
    lane: Any
    state: Any
    row: Any
    feeding: Any
    @property
    def waiting_parts(self) -> int: ...
    @property
    def in_reply_to(self) -> int: ...
    def on_line_ms(self, now_ms: int) -> int: ...
    @property
    def sim(self) -> int: ...
    @property
    def tag(self) -> str: ...

def packed(
    group: int,
    feeding: Any,
    state: Any,
    lane: Any,
    weight: int,
    purpose: str,
    expires_ms: int,
    report_percent: int,
) -> list[Packed]:
    """The rows of a feeding, in order."""
