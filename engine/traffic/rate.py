"""Rate: how many parts the rack sends a second, as measured lately."""

from collections import deque
from typing import Final

WINDOW_S: Final = 20
SEED_PARTS_PER_MINUTE: Final = 8  # what a modem is taken to do until it has shown what it can


class Rate:
    """Counts of the last seconds."""

    def __init__(self) -> None:
        self._accepted: deque[tuple[int, int]] = deque()  # second, parts

    def accepted(self, now_ms: int, parts: int) -> None:
        """The network took so many parts."""
        second = now_ms // 1000
        if self._accepted and self._accepted[-1][0] == second:
            self._accepted[-1] = (second, self._accepted[-1][1] + parts)
        else:
            self._accepted.append((second, parts))

    def per_s(self, now_ms: int, modems: int) -> float:
        """Parts a second; until there are any, what that many modems are taken to do."""
        now_s = now_ms // 1000
        while self._accepted and self._accepted[0][0] < now_s - WINDOW_S:
            self._accepted.popleft()
        seeded = modems * SEED_PARTS_PER_MINUTE / 60
        if not self._accepted:
            return seeded
        measured = sum(parts for _, parts in self._accepted)
        return max(measured / max(1, now_s - self._accepted[0][0] + 1), seeded)
