"""Rows of imports that are about customers whom the house knows: what changes of them, and what was before."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from engine.crm.people import customers, import_undo, imports
from engine.crm.people.customer import BY_NUMBER, CUSTOMERS, Customer, Lifecycle
from engine.crm.people.imports import BEFORE, Before, Import, Status
from engine.errors import Conflict, Invalid
from engine.store.table import Txn


class Row(NamedTuple):
    """A cleaned row about a number that somebody has."""

    row: int
    number: int
    name: str
    lifecycle: Lifecycle | None
    region: int
    tags: tuple[int, ...]
    others: dict[str, Any]


class Fate(NamedTuple):
    """What became of a row."""

    row: int
    status: Status
    customer: int
    field: str = ""
    reason: str = ""


def apply(txn: Txn, identifier: int, rows: Sequence[Row], tags: tuple[int, ...], now_ms: int) -> list[Fate]:
    """Change the customers of these rows."""
    record = imports.IMPORTS.get(txn, identifier)
    return [_apply(txn, record, row, tags, now_ms) for row in rows]


def _apply(txn: Txn, record: Import, row: Row, tags: tuple[int, ...], now_ms: int) -> Fate:
    owner = BY_NUMBER.find(txn, row.number)
    if owner is None:
        # He was there a moment ago, and has been removed by somebody.
        return Fate(row.row, "refused", 0, "number", "the customer was removed while the list came in")
    before = BEFORE.find(txn, (record.id, owner))
    if before is not None:
        if before.row == row.row:
            return Fate(row.row, "updated", owner)
        return Fate(row.row, "same", owner, "number", f"row {before.row} has the same number")
    if record.on_existing == "skip":
        return Fate(row.row, "same", owner)
    old = CUSTOMERS.get(txn, owner)
    changes = changes_of(record, old, row, tags)
    version = old.version
    if changes:
        try:
            version = customers.change(
                txn, owner, changes, None, now_ms, imports.name_of(record.id), "import"
            ).version  # fmt: skip
        except Invalid as error:
            return Fate(row.row, "refused", owner, error.params[0].name, error.params[0].reason)
        except Conflict as error:
            return Fate(row.row, "refused", owner, "number", str(error))
    added = import_undo.consent_to(txn, record, CUSTOMERS.get(txn, owner), now_ms) if old.number == row.number else ()
    if not changes and not added:
        return Fate(row.row, "same", owner)
    BEFORE.put(txn, (record.id, owner), Before(row.row, old, tuple(sorted(changes)), version, added))
    return Fate(row.row, "updated", owner)


def changes_of(record: Import, old: Customer, row: Row, tags: tuple[int, ...]) -> dict[str, Any]:
    """What the row says otherwise.  An empty cell takes nothing away, and tags are only added."""
    told: dict[str, Any] = {**row.others}
    if row.name:
        told["name"] = row.name
    if row.lifecycle is not None:
        told["lifecycle"] = row.lifecycle
    if row.region:
        told["region"] = row.region
    attrs = told.pop("attrs", {})
    if record.on_existing == "fill":
        # Everybody has a lifecycle: there is nothing to fill.
        told = {field: value for field, value in told.items() if not getattr(old, field) and field != "lifecycle"}
        attrs = {number: value for number, value in attrs.items() if number not in old.attrs}
    changes = {field: value for field, value in told.items() if getattr(old, field) != value}
    if any(old.attrs.get(number) != value for number, value in attrs.items()):
        changes["attrs"] = attrs
    if both := {*row.tags, *tags} - set(old.tags):
        changes["tags"] = tuple(sorted({*old.tags, *both}))
    return changes


def foretell(txn: Txn, record: Import, row: Row, tags: tuple[int, ...]) -> Fate:
    """What `apply` would say, without an effect."""
    old = customers.find_by_number(txn, row.number)
    if old is None or record.on_existing == "skip" or not changes_of(record, old, row, tags):
        return Fate(row.row, "same", 0 if old is None else old.id)
    return Fate(row.row, "updated", old.id)
