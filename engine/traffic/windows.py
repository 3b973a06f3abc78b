"""Counts over rolling windows: how many in the last minute or month, kept in a bounded number of octets.

A window is cut into cells.  A cell holds how many there were and when the latest of them was, and leaves the window
whole, when that one does.

1. The cells' times never decrease, and a cell's time is never before that of anything it holds: so never too few
   are counted, on any window.  What is too many is at most one cell, a 59th of the window.
2. What is to be taken out again is looked for in the first cell that is not before it.  Where that is not the one it
   went into it is an earlier one, which leaves sooner: again never too few are counted.
3. A window is closed at both ends: what is exactly its length ago still counts.

Knows neither the store nor a clock: time is whatever integer never runs backwards.
"""

from array import array
from bisect import bisect_left
from typing import Final

import msgspec

CELLS: Final = 60

# A cell is one unsigned 64-bit number in the machine's order, as LMDB's own pages are: its time, then its count.
COUNT_BITS: Final = 20
COUNT_MOST: Final = (1 << COUNT_BITS) - 1


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """A window as it is stored: all it holds, the time of the last cell that left it, the cells."""

    total: int = 0
    floor_ms: int = -1
    cells: bytes = b""


class Window:
    """A window of `span_ms` at work.  Raises ValueError where the stored cells are none."""

    __slots__ = ("cells", "floor_ms", "span_ms", "total", "width_ms")

    def __init__(self, span_ms: int, counts: Counts) -> None:
        self.span_ms = span_ms
        # So that a window begins in one cell, ends in another, and touches no more than CELLS.
        self.width_ms = -(-span_ms // (CELLS - 1))
        self.total = counts.total
        self.floor_ms = counts.floor_ms
        self.cells = array("Q", counts.cells)

    def counts(self) -> Counts:
        """To be stored."""
        return Counts(self.total, self.floor_ms, self.cells.tobytes())

    def move(self, at_ms: int) -> None:
        """Let the window end at `at_ms`: what it does not reach any more leaves it."""
        cells = self.cells
        beyond = (at_ms - self.span_ms) << COUNT_BITS
        if not cells or cells[0] >= beyond:
            return
        leaving = bisect_left(cells, beyond)
        for cell in cells[:leaving]:
            self.total -= cell & COUNT_MOST
        self.floor_ms = cells[leaving - 1] >> COUNT_BITS
        del cells[:leaving]

    def add(self, at_ms: int) -> None:
        """Count one at `at_ms`, which is not before any other."""
        cells = self.cells
        self.total += 1
        if cells:
            newest = cells[-1]
            time_ms = newest >> COUNT_BITS
            if at_ms // self.width_ms == time_ms // self.width_ms and newest & COUNT_MOST < COUNT_MOST:
                cells[-1] = newest + ((at_ms - time_ms) << COUNT_BITS) + 1
                return
        cells.append((at_ms << COUNT_BITS) + 1)
        if len(cells) > CELLS:
            self._merge_oldest()

    def _merge_oldest(self) -> None:
        # Only where parts that went late (`delay`) have kept more cells than the window has.
        oldest = self.cells[0] & COUNT_MOST
        if (self.cells[1] & COUNT_MOST) + oldest <= COUNT_MOST:
            self.cells[1] += oldest
            del self.cells[0]

    def reaches(self, at_ms: int) -> bool:
        """Whether what was counted at `at_ms` is still held."""
        return at_ms > self.floor_ms

    def take_out(self, at_ms: int) -> None:
        """Count one less: it was added at `at_ms` and is still held."""
        cells = self.cells
        for place in range(bisect_left(cells, at_ms << COUNT_BITS), len(cells)):
            if cells[place] & COUNT_MOST:
                cells[place] -= 1
                self.total -= 1
                return

    def put_back(self, at_ms: int) -> None:
        """Count one that was counted at `at_ms` before, which the window still reaches."""
        cells = self.cells
        for place in range(bisect_left(cells, at_ms << COUNT_BITS), len(cells)):
            if cells[place] & COUNT_MOST < COUNT_MOST:
                cells[place] += 1
                self.total += 1
                return

    def delay(self, at_ms: int, until_ms: int) -> None:
        """What was added at `at_ms` is to count from `until_ms`."""
        cells = self.cells
        for place in range(bisect_left(cells, at_ms << COUNT_BITS), len(cells)):
            time_ms = cells[place] >> COUNT_BITS
            if time_ms >= until_ms:
                return
            cells[place] += (until_ms - time_ms) << COUNT_BITS

    def free_ms(self, limit: int, more: int = 1) -> int:
        """From when on `more` may be added under `limit`, where there is one; 0: now.

        What is more than the whole limit waits for an empty window.  Raises ValueError where the cells do not hold
        what is counted.
        """
        if limit <= 0:
            return 0
        to_leave = self.total + min(more, limit) - limit
        if to_leave <= 0:
            return 0
        for cell in self.cells:
            to_leave -= cell & COUNT_MOST
            if to_leave <= 0:
                return (cell >> COUNT_BITS) + self.span_ms + 1
        raise ValueError(f"the cells do not hold the {self.total} that are counted")
