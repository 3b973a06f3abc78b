"""Lengths: where SIMs have quotas, long messages stand in the due line apart, by how many parts they have.

The first part of a message asks for room for all of them.  A SIM that has room for fewer is not offered what is as
long until it has more; what is shorter it sends meanwhile, and what is long waits for it or for another SIM.  So nobody
asks again what is known, and no crowd of long messages is asked for one by one.

They have classes of their own in the line, beside those of the routes: for each route class and number of parts one,
numbered from the last.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from engine._packed import Packed
from engine.traffic.message import Due
from engine.traffic.routing import CLASSES, NO_ROUTE, NOBODY, Available, Routing

log = logging.getLogger(__name__)

LONGEST: Final = 10  # parts: what has more is treated alike
FIRST: Final = 192  # classes from here on are for lengths


class Lengths:
    """The classes of long messages, and which SIMs have too little room for them; times are epoch milliseconds.

    `short_ms` is empty while every SIM has room, as far as anybody asked: SIM -> parts -> until when it has not.
    """

    def __init__(self, routing: Routing, *, are_asked: bool) -> None:
        self._routing = routing
        self._are_asked = are_asked
        self._numbers: dict[tuple[int, int], int] = {}
        self.short_ms: dict[int, dict[int, int]] = {}
        self._masks: tuple[tuple[object, ...], dict[int, int]] | None = None

    def of(self, known: Due | Packed) -> int:
        """The class of what stands in the line: that of its route where no SIM has a quota."""
        route = self._routing.of(known)
        return self.class_of(route, parts_of(known)) if self._are_asked else route

    def class_of(self, route: int, parts: int) -> int:
        """The class of a message of so many parts that has this route class."""
        if route >= FIRST:
            log.warning("routes make more than %d classes: some messages wait for their deadline", FIRST)
            return NOBODY
        if parts <= 1 or route in (NO_ROUTE, NOBODY):
            return route
        key = route, min(parts, LONGEST)
        if key not in self._numbers and len(self._numbers) < CLASSES - FIRST:
            self._numbers[key] = CLASSES - 1 - len(self._numbers)
        # Without a number of its own it is offered to everybody.
        return self._numbers.get(key, route)

    def is_apart(self, number: int) -> bool:
        """Whether a class is that of a length."""
        return number >= FIRST

    def short(self, sim: int, parts: int, until_ms: int) -> None:
        """The SIM has no room for so many parts, until then."""
        self.short_ms.setdefault(sim, {})[min(parts, LONGEST)] = until_ms

    def look_again(self) -> None:
        """The clock was set: the quotas are to be asked again."""
        self.short_ms.clear()

    def are_short(self, now_ms: int) -> bool:
        """Whether any SIM has too little room for anything."""
        return bool(self.short_ms) and self.next_end_ms(now_ms) is not None

    def next_end_ms(self, now_ms: int) -> int | None:
        """When the next SIM may have room again, or None."""
        left = {
            sim: {parts: until_ms for parts, until_ms in own.items() if until_ms > now_ms}
            for sim, own in self.short_ms.items()
        }
        self.short_ms = {sim: own for sim, own in left.items() if own}
        return min((until_ms for own in self.short_ms.values() for until_ms in own.values()), default=None)

    def masks(self, available: Available, now_ms: int) -> dict[int, int]:
        """Of each available SIM, the classes it may send as bits, those of lengths too."""
        classes = self._routing.classes
        if not self._numbers:
            return classes.masks(available)
        self.next_end_ms(now_ms)  # what is over is forgotten
        least = {sim: min(own) for sim, own in self.short_ms.items()}
        key = (classes, dict(available), classes.all, len(self._numbers), least)
        if self._masks is None or self._masks[0] != key:
            self._masks = key, self._made(available, least)
        return self._masks[1]

    def _made(self, available: Available, least: Mapping[int, int]) -> dict[int, int]:
        classes = self._routing.classes
        masks = dict(classes.masks(available))
        by_length: dict[int, list[tuple[int, int]]] = {}
        for (route, parts), number in self._numbers.items():
            by_length.setdefault(parts, []).append((route, number))
        for parts, numbers in by_length.items():
            # As if the others were not there: their routes' next SIMs take over.
            able = {sim: port for sim, port in available.items() if least.get(sim, LONGEST + 1) > parts}
            for sim, mask in classes.masks(able).items():
                for route, number in numbers:
                    if mask >> route & 1:
                        masks[sim] |= 1 << number
        return masks

    @property
    def all(self) -> int:
        """All classes as bits, those of lengths too."""
        return self._routing.classes.all | union(1 << number for number in self._numbers.values())


def parts_of(known: Due | Packed) -> int:
    """How many parts what stands in the line has to go."""
    return known.parts if isinstance(known, Due) else known.size


def union(masks: Iterable[int]) -> int:
    """What any of them has."""
    every = 0
    for mask in masks:
        every |= mask
    return every
