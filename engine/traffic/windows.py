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

from bisect import bisect_left
from struct import Struct
from typing import Final

import msgspec

CELLS: Final = 60

# A cell is one unsigned 64-bit number in the machine's order, as LMDB's own pages are: its time, then its count.
COUNT_BITS: Final = 20
COUNT_MOST: Final = (1 << COUNT_BITS) - 1

_CELL: Final = Struct("=Q")


class Window(msgspec.Struct, array_like=True):
    """What a window holds: how many in all, the time of the last cell that left it, its cells.

    It is the stored record and the thing at work in one, unlike our other records: turning one into the other took
    longer than the work.
    """

    total: int = 0
    floor_ms: int = -1
    cells: bytes = b""

    def move(self, at_ms: int, length_ms: int) -> None:
        """Let the window end at `at_ms`: what it does not reach any more leaves it.  Raises ValueError for no cells."""
        cells = self.cells
        if not cells:
            return
        if len(cells) % _CELL.size:
            raise ValueError("a cell is cut")
        beyond = (at_ms - length_ms) << COUNT_BITS
        if _CELL.unpack_from(cells)[0] >= beyond:
            return
        view = memoryview(cells).cast("Q")
        leaving = bisect_left(view, beyond)
        self.total -= sum(cell & COUNT_MOST for cell in view[:leaving])
        self.floor_ms = view[leaving - 1] >> COUNT_BITS
        self.cells = cells[leaving * _CELL.size :]

    def add(self, at_ms: int, length_ms: int) -> None:
        """Count one at `at_ms`, which is not before any other."""
        cells = self.cells
        self.total += 1
        if cells:
            newest: int = _CELL.unpack_from(cells, len(cells) - _CELL.size)[0]
            time_ms = newest >> COUNT_BITS
            # So wide that a window that begins in one cell and ends in another touches no more than CELLS.
            cell_ms = -(-length_ms // (CELLS - 1))
            if at_ms // cell_ms == time_ms // cell_ms and newest & COUNT_MOST < COUNT_MOST:
                self.cells = cells[: -_CELL.size] + _CELL.pack(newest + ((at_ms - time_ms) << COUNT_BITS) + 1)
                return
        self.cells = cells + _CELL.pack((at_ms << COUNT_BITS) + 1)
        if len(self.cells) > CELLS * _CELL.size:
            self._merge_oldest()

    def _merge_oldest(self) -> None:
        # Only where parts that went late (`delay`) have kept more cells than the window has.
        first, second = memoryview(self.cells).cast("Q")[:2]
        if (first & COUNT_MOST) + (second & COUNT_MOST) <= COUNT_MOST:
            self.cells = _CELL.pack(second + (first & COUNT_MOST)) + self.cells[2 * _CELL.size :]

    def reaches(self, at_ms: int) -> bool:
        """Whether what was counted at `at_ms` is still held."""
        return at_ms > self.floor_ms

    def take_out(self, at_ms: int) -> None:
        """Count one less: it was added at `at_ms` and is still held."""
        view = memoryview(self.cells).cast("Q")
        for place in range(bisect_left(view, at_ms << COUNT_BITS), len(view)):
            if view[place] & COUNT_MOST:
                self._set(place, view[place] - 1)
                self.total -= 1
                return

    def put_back(self, at_ms: int) -> None:
        """Count one that was counted at `at_ms` before, which the window still reaches."""
        view = memoryview(self.cells).cast("Q")
        for place in range(bisect_left(view, at_ms << COUNT_BITS), len(view)):
            if view[place] & COUNT_MOST < COUNT_MOST:
                self._set(place, view[place] + 1)
                self.total += 1
                return

    def delay(self, at_ms: int, until_ms: int) -> None:
        """What was added at `at_ms` is to count from `until_ms`."""
        view = memoryview(self.cells).cast("Q")
        for place in range(bisect_left(view, at_ms << COUNT_BITS), len(view)):
            cell = view[place]
            if cell >> COUNT_BITS >= until_ms:
                return
            self._set(place, (until_ms << COUNT_BITS) + (cell & COUNT_MOST))

    def _set(self, place: int, cell: int) -> None:
        at = place * _CELL.size
        self.cells = self.cells[:at] + _CELL.pack(cell) + self.cells[at + _CELL.size :]

    def free_ms(self, length_ms: int, limit: int, more: int = 1) -> int:
        """From when on `more` may be added under `limit`, where there is one; 0: now.

        What is more than the whole limit waits for an empty window.  Raises ValueError where the cells do not hold
        what is counted.
        """
        if limit <= 0:
            return 0
        to_leave = self.total + min(more, limit) - limit
        if to_leave <= 0:
            return 0
        for cell in memoryview(self.cells).cast("Q"):
            to_leave -= cell & COUNT_MOST
            if to_leave <= 0:
                return (cell >> COUNT_BITS) + length_ms + 1
        raise ValueError(f"the cells do not hold the {self.total} that are counted")
