"""The due line in plain Python: slow, readable, the oracle of the native one.

A list is sorted where the native one has a heap, and every lookup walks; the order of the answers is what counts.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

QUANTUM = 4  # parts a group of weight 1 may send each round
LANES = 4
EVERY = (1 << 256) - 1


@dataclass(slots=True)
class Entry:
    """A message, and what its group was paid for it while it was too large to go."""

    identifier: int
    group: int
    lane: int
    due_ms: int
    parts: int
    weight: int
    route: int
    packed: Any
    saved: int = 0


@dataclass(slots=True)
class Group:
    """A group's messages in one lane, first due first."""

    name: int
    ready: list[Entry] = field(default_factory=list)
    weight: int = 1
    deficit: int = 0


class DueLine:
    """Lanes, highest first; in a lane, groups by deficit round robin; in a group, first due first of who may go."""

    def __init__(self) -> None:
        self._waiting: list[Entry] = []
        self._turns: list[deque[Group]] = [deque() for _ in range(LANES)]

    def push(
        self,
        identifier: int,
        group: int,
        lane: int,
        due_ms: int,
        parts: int,
        weight: int = 1,
        route: int = 0,
        packed: Any = None,
    ) -> None:
        """Add a message that is not in the line."""
        self._waiting.append(Entry(identifier, group, lane, due_ms, parts, weight, route, packed))

    def push_rows(
        self, group: int, lane: int, due_ms: int, weight: int, entries: list[tuple[int, int, int, Any]]
    ) -> None:
        """The same for messages that are due together."""
        for identifier, parts, route, packed in entries:
            self.push(identifier, group, lane, due_ms, parts, weight, route, packed)

    def give_back(
        self, identifier: int, group: int, lane: int, parts: int, weight: int = 1, route: int = 0, packed: Any = None
    ) -> None:
        """Put back what was popped: before all others of its group, which has its parts to its credit."""
        known = next((known for known in self._turns[lane] if known.name == group), None)
        if known is None:
            known = Group(group)
            self._turns[lane].append(known)
        known.weight = weight
        known.ready.insert(0, Entry(identifier, group, lane, 0, parts, weight, route, packed))
        known.deficit += parts

    def remove(self, identifier: int) -> bool:
        """Whether the message was in the line."""
        for group in (group for turns in self._turns for group in turns):
            for entry in group.ready:
                if entry.identifier == identifier:
                    group.deficit += entry.saved
                    group.ready.remove(entry)
                    return True
        before = len(self._waiting)
        self._waiting = [entry for entry in self._waiting if entry.identifier != identifier]
        return len(self._waiting) < before

    def ready_parts(self, now_ms: int, lane: int = -1, routes: int | None = None) -> int:
        """Parts that could go now."""
        self._ripen(now_ms)
        routes = EVERY if routes is None else routes | 1
        lanes = self._turns if lane < 0 else [self._turns[lane]]
        ripe = [entry for turns in lanes for group in turns for entry in group.ready]
        return sum(entry.parts for entry in ripe if routes >> entry.route & 1)

    def pop(
        self, now_ms: int, lowest_lane: int = LANES - 1, routes: int | None = None
    ) -> tuple[int, int, int, int, Any] | None:
        """(id, group, lane, parts, packed) of what goes next, or None."""
        self._ripen(now_ms)
        routes = EVERY if routes is None else routes | 1
        for lane, turns in enumerate(self._turns[: lowest_lane + 1]):
            if not any(routes >> entry.route & 1 for group in turns for entry in group.ready):
                continue
            passed: list[Group] = []
            while True:
                group = turns.popleft()
                entry = next((entry for entry in group.ready if routes >> entry.route & 1), None)
                if entry is None:
                    if group.ready:
                        passed.append(group)
                    continue
                if group.deficit + entry.saved < entry.parts:
                    entry.saved += QUANTUM * group.weight
                    # Whom it passed over stands where it stood: before all whose turn is still to come.
                    turns.append(group)
                    continue
                group.deficit += entry.saved - entry.parts
                group.ready.remove(entry)
                turns.appendleft(group)
                turns.extendleft(reversed(passed))
                return entry.identifier, group.name, lane, entry.parts, entry.packed
        return None

    def _ripen(self, now_ms: int) -> None:
        if not self._waiting:
            return
        ripe = sorted((entry for entry in self._waiting if entry.due_ms <= now_ms), key=lambda entry: entry.due_ms)
        if ripe:
            self._waiting = [entry for entry in self._waiting if entry.due_ms > now_ms]
        for entry in ripe:
            group = next((group for group in self._turns[entry.lane] if group.name == entry.group), None)
            if group is None:
                group = Group(entry.group)
                self._turns[entry.lane].append(group)
            group.weight = entry.weight
            group.ready.append(entry)
