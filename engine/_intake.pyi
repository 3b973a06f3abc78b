"""Stub of _intake.pyx, where the behaviour is documented."""

from collections.abc import Callable
from typing import final

from engine._seen import Seen
from engine._sheet import Sheet
from engine._suppressed import Suppressed
from engine.errors import InvalidParam

@final
class Take:
    """What came between two cuts.  `accepted` rows stand in `sheets`, those of suppressed numbers among them."""

    @property
    def sheets(self) -> list[Sheet]: ...
    @property
    def numbers(self) -> bytes:
        """8 octets, lowest first, for each accepted row, in order."""

    @property
    def accepted(self) -> int: ...
    @property
    def suppressed(self) -> list[tuple[int, int]]:
        """(row, number) of accepted rows that must not be texted."""

    @property
    def duplicates(self) -> list[tuple[int, int]]:
        """(first row, rows): rows behind one another."""

    @property
    def invalid(self) -> list[tuple[int, InvalidParam]]: ...
    @property
    def rows(self) -> int: ...

@final
class Intake:
    """One upload.  After an exception there is no use for it but to be thrown away."""

    open: bool
    """Set by the callback while a quoted cell goes on in the next line: every line goes to the callback then."""

    def __new__(
        cls,
        seen: Seen,
        suppressed: Suppressed,
        columns: tuple[str, ...] | None,
        strange: Callable[[int, bytes], tuple[int, str, str, dict[str, str]] | InvalidParam | None],
    ) -> Intake: ...
    @property
    def row(self) -> int:
        """Rows so far, which is the number of the last; blank lines do not count."""

    @property
    def taken(self) -> int:
        """Rows since the last cut, whatever became of them."""

    def feed(self, octets: bytes) -> None:
        """Take octets, in any pieces.  Raises Invalid for a line of more than 65,536 octets."""

    def end(self) -> None:
        """Take the last line, where it has no line end."""

    def add(self, found: tuple[int, str, str, dict[str, str]] | InvalidParam) -> None:
        """Count one more row, which was read elsewhere: what a callback gives."""

    def cut(self) -> Take:
        """All that came since the last cut; an unfinished line stays."""
