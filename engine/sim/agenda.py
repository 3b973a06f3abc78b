"""What the simulated network does later: reports, replies, retries.

Times are epoch milliseconds of the clock handed in, which a laboratory may set; so the agenda asks that clock
whenever its one loop timer fires, and `wake` after the clock was moved.  Serial time-outs do not live here.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

# A clock that stands still would otherwise be asked a thousand times a second for what is due in 1 ms.
SHORTEST_LOOK_S = 0.01


class Agenda:
    """A heap of calls by due time, equal times in the order they were made."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_ms(self) -> int | None:
        """When the earliest call is due, or None."""
        return self._heap[0][0] if self._heap else None

    def at(self, due_ms: int, call: Callable[..., object], *args: object) -> None:
        """Call `call(*args)` once the clock shows `due_ms`; never from inside this function."""
        self._count += 1
        heapq.heappush(self._heap, (due_ms, self._count, call, args))
        if self._timer is None or due_ms < self._timer_ms:
            self._arm(0.0)

    def wake(self) -> int:
        """Run all that is due now, also what that makes due; gives how many calls were made."""
        calls = 0
        now_ms = self._now_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            _, _, call, args = heapq.heappop(self._heap)
            call(*args)
            calls += 1
        self._arm(0.0 if calls else SHORTEST_LOOK_S)
        return calls

    def close(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._arm(0.0)

    def _arm(self, at_least_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer_ms = self._heap[0][0]
            wait_s = max((self._timer_ms - self._now_ms()) / 1000, at_least_s)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.wake()
