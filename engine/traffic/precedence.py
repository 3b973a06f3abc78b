"""Precedence: an `otp` message goes before everything that no modem has begun.

It waits at most for the rest of one part, and of all modems for the one that is free first.
"""

from collections.abc import Callable, Mapping
from typing import Final

from engine._flights import Flight, Flights, Seat
from engine._queue import DueLine
from engine.errors import ModemError
from engine.traffic.lengths import union
from engine.traffic.messages import Lane
from engine.traffic.rests import Rests

OVERDUE_MS: Final = 10_000  # a part takes 2 to 8 s; one that takes longer may as well take a minute

_BEFORE: Final = 0  # any time a part may have been given at


class Precedence:
    """Of the `otp` messages in a line; `masks` are the route classes of each SIM, None where that is all of them."""

    def __init__(
        self, line: DueLine, flights: Flights, rests: Rests, masks: Callable[[], Mapping[int, int] | None]
    ) -> None:
        self._line = line
        self._flights = flights
        self._rests = rests
        self._masks = masks

    def short(self, now_ms: int) -> int:
        """Parts of `otp` messages that find no modem that has nothing to do and may send them."""
        ready = self._line.ready_parts
        waiting = ready(now_ms, Lane.OTP)
        if not waiting:
            return 0
        masks, is_resting = self._masks(), self._rests.is_resting
        idle = [seat for seat in self._flights.wanting if not seat.flights and not is_resting(seat.sim, now_ms)]
        if masks is None:
            return max(0, waiting - len(idle))
        able = sum(ready(now_ms, Lane.OTP, masks.get(seat.sim, 0)) > 0 for seat in idle)
        return max(0, ready(now_ms, Lane.OTP, union(masks.values())) - able)

    def make_way(self, now_ms: int) -> None:
        """For each that is short let the modem choose first that is free first: what it has ahead goes back."""
        if not (short := self.short(now_ms)):
            return
        flights, masks, first = self._flights, self._masks(), set[Seat]()
        busy = [(_free_after(own[0], now_ms), seat, own) for seat in flights.seats.values() if (own := seat.flights)]
        for _, seat, own in sorted(busy, key=lambda entry: entry[0]):
            if len(first) == short:
                break
            if self._rests.is_resting(seat.sim, now_ms):
                continue
            if masks is not None and not self._line.ready_parts(now_ms, Lane.OTP, masks.get(seat.sim, 0)):
                continue
            for flight in own:
                if flight.lane != Lane.OTP and flight.withdraw():
                    flights.land(flight, ModemError("an otp message goes first"))
                    flights.want(seat)
            if seat in flights.wanting:
                first.add(seat)
        order = sorted(flights.wanting, key=lambda seat: seat not in first)
        flights.wanting.clear()
        flights.wanting.update(dict.fromkeys(order))


def _free_after(flight: Flight, now_ms: int) -> int:
    """The lower, the sooner is the modem free whose next part this is."""
    if not flight.job.is_begun:
        return _BEFORE  # it can be taken back
    # Not when it was claimed: that was late for one that took the place of another.
    given_ms = flight.given_ms or now_ms
    return given_ms if now_ms - given_ms < OVERDUE_MS else 2 * now_ms - given_ms
