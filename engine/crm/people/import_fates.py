"""Fates of an import's rows, gathered stage by stage: neighbours with the same fate stand together."""

from engine.crm.people import imports
from engine.crm.people.import_rows import Cleaned
from engine.crm.people.import_update import Fate
from engine.crm.people.imports import Counts, Stretch


class Fates:
    """What became of rows, in order; `stretches` when all were added."""

    def __init__(self, cleaned: Cleaned) -> None:
        self._stretches: list[Stretch] = []
        self._notes = cleaned.notes
        # Neighbours that are new, and of whom nothing is to be said.
        self._first = self._rows = self._customer = 0

    @property
    def stretches(self) -> list[Stretch]:
        """Neighbours with the same fate together."""
        self._end_run()
        return self._stretches

    def add_new(self, row: int, rows: int, customer: int) -> None:
        """New customers of whom nothing is to be said; `customer` is the first one's id, 0 where it is not known."""
        follows = customer == (self._customer + self._rows if self._customer else 0)
        if self._rows and row == self._first + self._rows and follows:
            self._rows += rows
            return
        self._end_run()
        self._first, self._rows, self._customer = row, rows, customer

    def add(self, row: int, fate: Fate | None, customer: int) -> None:
        """One row: `customer` is the id of a new one."""
        if fate is None and row not in self._notes:
            self.add_new(row, 1, customer)
            return
        self._end_run()
        field, reason = self._notes.get(row, ("", ""))
        now = Stretch(row, 1, "new", customer, field, reason)
        if fate is not None:
            if fate.reason:
                field, reason = fate.field, fate.reason
            now = Stretch(row, 1, fate.status, fate.customer, field, reason)
        if self._stretches:
            last = self._stretches[-1]
            follows = last._replace(first=row, rows=1, customer=last.customer and last.customer + last.rows)
            if row == last.first + last.rows and follows == now:
                self._stretches[-1] = last._replace(rows=last.rows + 1)
                return
        self._stretches.append(now)

    def _end_run(self) -> None:
        if self._rows:
            self._stretches.append(Stretch(self._first, self._rows, "new", self._customer))
            self._rows = 0


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
