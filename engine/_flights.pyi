"""Stub of _flights.pyx, where the behaviour is documented."""

from collections import deque
from collections.abc import Callable
from typing import Any, final

from engine._packed import Packed

@final
class PageLine:
    """A SIM's line of the page."""

@final
class Seat:
    """A modem as the scheduler sees it."""

    modem: Any
    sim: int
    @property
    def flights(self) -> list[Flight]: ...

@final
class Flight:
    """One part that a SIM shall send."""

    message: int
    sim: int
    group: int
    number: int
    part: int
    lane: int
    attempt: int
    reference: int
    at_ms: int
    given_ms: int
    counted_ms: int
    is_given: bool
    packed: Packed | None
    known: Any
    job: Any
    error: Any
    def __new__(cls, message: int, sim: int, lane: int, packed: Packed | None = None) -> Flight: ...
    def claim(self, part: int, group: int, number: int, attempt: int, at_ms: int) -> None: ...
    def land(self, error: object, reference: int = -1) -> None: ...
    def count(self, at_ms: int) -> None: ...
    @property
    def is_withdrawn(self) -> bool: ...
    def withdraw(self) -> bool: ...

@final
class Flights:
    """All parts in the air."""

    seats: dict[Any, Seat]
    wanting: dict[Seat, None]
    landed: list[Flight]
    is_called: bool
    is_patient: bool
    idle: int
    @property
    def is_ripe(self) -> bool: ...
    def __new__(
        cls,
        page: Any,
        rests: Any,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        reload: Callable[[int], None],
        settle_error: Callable[[Flight, Any], None],
    ) -> Flights: ...
    def __len__(self) -> int: ...
    def __contains__(self, message: object, /) -> bool: ...
    def close(self) -> None: ...
    def on_wanted(self, modem: Any) -> None: ...
    def on_given(self, modem: Any, job: Any) -> None: ...
    def on_done(self, modem: Any, job: Any) -> None: ...
    def on_lost(self, modem: Any) -> None: ...
    def not_sent(self, flight: Flight) -> None: ...
    def land(self, flight: Flight, error: object) -> None: ...
    def take_accepted(self) -> int: ...
    def settled(self, landed: list[Flight], ahead: dict[Flight, None]) -> None: ...
    def want(self, seat: Seat) -> None: ...
    def take_back(self, flight: Flight) -> None: ...
    def go_up(self, message: int) -> None: ...
    def come_down(self, message: int) -> None: ...
    def is_news(self, message: int) -> bool: ...
    def choose(
        self,
        line: Any,
        pins: dict[int, int],
        pinned: dict[int, deque[int]],
        masks: dict[int, int] | None,
        now_ms: int,
        choose: Callable[[Seat, int | None, int], Flight | None],
        most: int,
    ) -> list[tuple[Seat, Flight]]: ...
    def launch(self, seat: Seat, flight: Flight) -> bool: ...
