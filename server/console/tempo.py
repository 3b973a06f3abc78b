"""Tempo: how many parts a minute the rack sends, told from its counters, and the trace of that.

Time is the monotonic clock's and an argument.  Nothing is measured while nobody looks, so a gap begins a new trace.
"""

from collections import deque
from typing import Final

TICK_S: Final = 0.5
TRACE_TICKS: Final = 60
WINDOW_S: Final = 10.0
# A rate told from less than this would jump with every part.
SHORTEST_S: Final = 2.0
GAP_S: Final = 5.0


class Tempo:
    """A trace of the rack's rate."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()
        self._trace: deque[float] = deque(maxlen=TRACE_TICKS)

    def note(self, at_s: float, sent: int) -> None:
        """Take down that the rack had sent `sent` parts; more often than once a tick counts as once."""
        if self._sent and at_s - self._sent[-1][0] < TICK_S * 0.8:
            return
        if self._sent and (at_s - self._sent[-1][0] > GAP_S or sent < self._sent[-1][1]):
            # Nobody looked for a while, or a modem went and took its counter along.
            if at_s - self._sent[-1][0] > GAP_S:
                self._trace.clear()
            self._sent.clear()
        self._sent.append((at_s, sent))
        while self._sent[0][0] < at_s - WINDOW_S:
            self._sent.popleft()
        began_s, before = self._sent[0]
        if at_s - began_s >= SHORTEST_S:
            self._trace.append((sent - before) * 60 / (at_s - began_s))

    @property
    def per_minute(self) -> int | None:
        """Parts a minute now; None until that can be told."""
        return round(self._trace[-1]) if self._trace else None

    @property
    def trace(self) -> tuple[int, ...]:
        """Parts a minute at the last ticks, oldest first."""
        return tuple(round(rate) for rate in self._trace)
