"""Stub of _queue.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from collections.abc import Callable
from typing import Any, final

@final
class DueLine:
    """Messages that may go now or later; each id stands in it at most once."""

    @property
    def parts(self) -> int: ...
    def __len__(self) -> int: ...
    def __contains__(self, identifier: object, /) -> bool: ...
    def push(
        self,
        identifier: int,
        group: int,
        lane: int,
        due_ms: int,
        parts: int,
        weight: int = 1,
        route: int = 0,
        packed: object = None,
    ) -> None:
        """Add a message, or replace the entry that stands for it; `packed` comes back with it."""

    def push_rows(
        self, group: int, lane: int, due_ms: int, weight: int, entries: list[tuple[int, int, int, Any]]
    ) -> None:
        """The same for messages that are due together: (id, parts, route class, packed) each."""

    def give_back(
        self,
        identifier: int,
        group: int,
        lane: int,
        parts: int,
        weight: int = 1,
        route: int = 0,
        packed: object = None,
    ) -> None:
        """Put back what was popped and did not go: before all others of its group."""

    def ready_parts(self, now_ms: int, lane: int = -1, routes: int | None = None) -> int:
        """Parts that could go now: those that are due and whose group is not parked."""

    def of_classes(self, routes: int) -> list[int]:
        """Ids of all messages of these classes."""

    def reroute(self, class_of: Callable[[int, Any], int]) -> None:
        """Give every message the class that `class_of(id, packed)` says."""

    def ready_for(self, now_ms: int, routes: int) -> bool:
        """Whether `pop` would find a message of these route classes."""

    def remove(self, identifier: int) -> bool:
        """Whether the message was in the line."""

    def pop(
        self, now_ms: int, lowest_lane: int = 3, routes: int | None = None
    ) -> tuple[int, int, int, int, Any] | None:
        """(id, group, lane, parts, packed) of what goes next by who may send these classes, or None."""

    def park(self, group: int) -> None:
        """Keep a group's messages, but do not pop them."""

    def unpark(self, group: int) -> None:
        """Let a parked group take its turns again."""

    def drop(self, group: int) -> list[int]:
        """Take all of a group's messages out; their ids."""

    def next_due_ms(self) -> int | None:
        """When the next waiting message comes due, or None."""
