"""The due line in plain Python: slow, readable, the oracle of the native one.

A list is sorted where the native one has a heap, and every lookup walks; the order of the answers is what counts.
"""

from collections import deque

QUANTUM = 4  # parts a group of weight 1 may send each round
LANES = 4


class DueLine:
    """Lanes, highest first; in a lane, groups by deficit round robin; in a group, first due first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, int, int, int, int, int]] = []
        self._turns: list[deque[int]] = [deque() for _ in range(LANES)]
        self._ready: list[dict[int, deque[tuple[int, int, int]]]] = [{} for _ in range(LANES)]
        self._deficit: list[dict[int, int]] = [{} for _ in range(LANES)]
        self._serial = 0

    def push(self, identifier: int, group: int, lane: int, due_ms: int, parts: int, weight: int = 1) -> None:
        """Add a message that is not in the line."""
        self._serial += 1
        self._waiting.append((due_ms, self._serial, identifier, group, lane, parts, weight))

    def pop(self, now_ms: int) -> tuple[int, int, int, int] | None:
        """(id, group, lane, parts) of what goes next, or None."""
        self._ripen(now_ms)
        for lane, turns in enumerate(self._turns):
            while turns:
                group = turns[0]
                ready = self._ready[lane][group]
                if not ready:
                    turns.popleft()
                    del self._ready[lane][group]
                    continue
                identifier, parts, weight = ready[0]
                if self._deficit[lane][group] < parts:
                    self._deficit[lane][group] += QUANTUM * weight
                    turns.rotate(-1)
                    continue
                self._deficit[lane][group] -= parts
                ready.popleft()
                return identifier, group, lane, parts
        return None

    def _ripen(self, now_ms: int) -> None:
        if not self._waiting:
            return
        ripe = sorted(entry for entry in self._waiting if entry[0] <= now_ms)
        if ripe:
            self._waiting = [entry for entry in self._waiting if entry[0] > now_ms]
        for _, _, identifier, group, lane, parts, weight in ripe:
            if group not in self._ready[lane]:
                self._ready[lane][group] = deque()
                self._deficit[lane][group] = 0
                self._turns[lane].append(group)
            self._ready[lane][group].append((identifier, parts, weight))
