"""Fates of an import's rows, gathered stage by stage: neighbours with the same fate stand together."""

from array import array

from engine.crm.people import imports
from engine.crm.people.import_rows import Cleaned
from engine.crm.people.import_update import Fate
from engine.crm.people.imports import Counts, Stretch


class Fates:
    """What became of rows, which are taken in order: new are those at the places `chosen`, unless `fates` knows.

    Who is new has an id from `first` on, which is 0 where nobody was made.
    """

    def __init__(self, cleaned: Cleaned, fates: dict[int, Fate], chosen: "array[int]", first: int) -> None:
        self._rows = cleaned.rows
        self._notes = cleaned.notes
        self._fates = fates
        self._chosen = chosen
        self._first = first
        self._at = 0  # of those that are chosen
        self._row = min([*cleaned.rows[:1], *fates], default=0)
        self.stretches: list[Stretch] = []
        self.last = max([*cleaned.rows[-1:], *fates], default=-1)

    def take(self, rows: int) -> bool:
        """Take so many rows more; whether there are others behind them."""
        behind = min(self._row + rows, self.last + 1)
        for row in range(self._row, behind):
            if row in self._fates or row in self._notes:
                self._take_new(row)
                self._tell(row)
        self._take_new(behind)
        return behind <= self.last

    def _take_new(self, behind: int) -> None:
        """Rows of whom nothing is to be said."""
        rows = behind - self._row
        if rows:
            self._add(Stretch(self._row, rows, "new", self._first and self._first + self._at))
            self._at += rows
            self._row = behind

    def _tell(self, row: int) -> None:
        fate = self._fates.get(row)
        field, reason = self._notes.get(row, ("", ""))
        now = Stretch(row, 1, "new", self._first and self._first + self._at, field, reason)
        if fate is not None:
            if fate.reason:
                field, reason = fate.field, fate.reason
            now = Stretch(row, 1, fate.status, fate.customer, field, reason)
        self._add(now)
        self._at += self._at < len(self._chosen) and self._rows[self._chosen[self._at]] == row
        self._row += 1

    def _add(self, now: Stretch) -> None:
        if self.stretches:
            last = self.stretches[-1]
            follows = last._replace(
                first=now.first, rows=now.rows, customer=last.customer and last.customer + last.rows
            )
            if now.first == last.first + last.rows and follows == now:
                self.stretches[-1] = last._replace(rows=last.rows + now.rows)
                return
        self.stretches.append(now)


def counted(counts: Counts, stretches: list[Stretch]) -> Counts:
    """The counts with these rows."""
    by = dict.fromkeys(imports.STATUSES, 0)
    fixed = 0
    for stretch in stretches:
        by[stretch.status] += stretch.rows
        if stretch.reason and stretch.status in ("new", "updated"):
            fixed += stretch.rows
    return Counts(
        counts.new + by["new"],
        counts.updated + by["updated"],
        counts.same + by["same"],
        counts.refused + by["refused"],
        counts.fixed + fixed,
    )
