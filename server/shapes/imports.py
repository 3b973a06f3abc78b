"""Imports as JSON: what is taken, what is given, and the lines of the file of errors."""

import csv
import io
from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from engine.crm.people import customers, imports, regions, tags
from engine.crm.people.customer import Lifecycle
from engine.crm.people.imports import Counts, Import, Preset, State, Stretch
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from server import wire

Mapping = Annotated[
    dict[Annotated[str, Meta(max_length=200)], Annotated[str, Meta(max_length=60)]],
    Meta(max_length=imports.COLUMNS_MOST),
]
Origin = Literal["own", "purchase", "rent"]
Basis = Literal["none", "consent", "contract"]
OnExisting = Literal["update", "fill", "skip"]
LifecycleWord = Literal["lead", "prospect", "customer", "lost"]
Purpose = Literal["marketing", "survey", "research", "service"]
Name = Annotated[str, Meta(min_length=1, max_length=imports.NAME_LONGEST)]
TagName = Annotated[str, Meta(min_length=1, max_length=tags.NAME_LONGEST)]
ROW_RESULTS: Final = (*imports.STATUSES, "fixed")


class NewImport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list of customers, whose file follows.  `mapping` leads from a column to a field, `attrs.` and an own field's
    key, `tags`, or `ignore`; without it columns are known by their names.  `preset` is a mapping that was kept.

    `legal_basis` none: people are known and looked up, and nothing that needs a consent is sent to them.  `consent`
    needs the purposes and the evidence.  A rented list has a last day, after which it goes.
    """

    name: Name
    origin: Origin = "own"
    legal_basis: Basis = "none"
    licence_until: str | None = None
    purposes: Annotated[list[Purpose], Meta(max_length=4)] = []
    evidence: Annotated[str, Meta(max_length=imports.EVIDENCE_LONGEST)] = ""
    wording: Annotated[str, Meta(max_length=imports.NAME_LONGEST)] = ""
    double_opt_in: bool = False
    mapping: Mapping = {}
    preset: Annotated[str, Meta(max_length=imports.NAME_LONGEST)] = ""
    on_existing: OnExisting = "update"
    tags: Annotated[list[TagName], Meta(max_length=20)] = []
    region: Annotated[str, Meta(max_length=regions.CODE_LONGEST)] = ""
    lifecycle: LifecycleWord = "lead"


class CountsView(msgspec.Struct, frozen=True):
    """Rows by what became of them: `clean` and `fixed` are those that were not refused."""

    rows: int
    new: int
    updated: int
    same: int
    refused: int
    fixed: int
    clean: int


class ImportView(msgspec.Struct, frozen=True):
    """An import.  `counts` are of the run and grow while it runs, `checked` those that a check foretold."""

    id: str
    name: str
    state: str
    origin: str
    legal_basis: str
    licence_until: str | None
    purposes: list[str]
    evidence: str | None
    wording: str | None
    double_opt_in: bool
    mapping: dict[str, str]
    on_existing: str
    tags: list[str]
    region: str | None
    lifecycle: str
    octets: int
    encoding: str | None
    file_gone: bool
    counts: CountsView
    checked: CountsView | None
    removed: int
    restored: int
    kept: int
    ended_by: str | None
    error: str | None
    created_by: str | None
    created_at: str | None
    updated_at: str | None
    started_at: str | None
    ended_at: str | None
    rows_url: str


class ImportPage(msgspec.Struct, frozen=True):
    """Imports, the newest first."""

    items: list[ImportView]
    next: str | None


class ImportRowView(msgspec.Struct, frozen=True):
    """What became of a row, or would; `field` and `reason` say what was mended, or why it was refused."""

    row: int
    result: str
    customer_id: str | None
    field: str | None
    reason: str | None


class ImportRowPage(msgspec.Struct, frozen=True):
    """Rows in order; `next` is the last row looked at, or null at the end."""

    items: list[ImportRowView]
    next: str | None


class NewPreset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping to be kept by a name, in place of what had it."""

    name: Name
    mapping: Mapping


class PresetView(msgspec.Struct, frozen=True):
    """A mapping that is kept."""

    name: str
    mapping: dict[str, str]
    created_at: str | None


class PresetPage(msgspec.Struct, frozen=True):
    """All of them, by name."""

    items: list[PresetView]
    next: str | None


def import_of(txn: Txn, said: NewImport, by: str) -> Import:
    """What a caller said, as a record.  Raises Invalid naming the field."""
    if said.region:
        regions.require(txn, said.region)
    mapping = said.mapping or (imports.preset(txn, said.preset).mapping if said.preset else {})
    return Import(
        0,
        said.name,
        said.origin,
        said.legal_basis,
        _day(said.licence_until),
        tuple(dict.fromkeys(said.purposes)),
        said.evidence,
        said.wording,
        said.double_opt_in,
        mapping,
        said.on_existing,
        tuple(said.tags),
        said.region,
        Lifecycle[said.lifecycle.upper()],
        created_by=by,
    )


def _day(said: str | None) -> int:
    if not said:
        return 0
    try:
        return date.fromisoformat(said).toordinal()
    except ValueError as error:
        raise Invalid(InvalidParam("licence_until", "is not a date as 2026-09-25")) from error


def of_query(query: dict[str, Any]) -> NewImport:
    """The same from a query, where lists are apart by commas.  Raises Invalid for an empty value, msgspec's errors."""
    empty = [InvalidParam(name, "is empty") for name, value in query.items() if not value]
    if empty:
        raise Invalid(*empty)
    told = {name: value.split(",") if name in ("purposes", "tags") else value for name, value in query.items()}
    told.setdefault("name", "list")
    return msgspec.convert(told, NewImport, strict=False)


def counts(record: Counts) -> CountsView:
    """Counts as JSON."""
    return CountsView(
        record.rows,
        record.new,
        record.updated,
        record.same,
        record.refused,
        record.fixed,
        record.rows - record.refused - record.fixed,
    )


def view(record: Import) -> ImportView:
    """An import as JSON."""
    name = imports.name_of(record.id)
    return ImportView(
        id=name,
        name=record.name,
        state=record.state.value,
        origin=record.origin,
        legal_basis=record.basis,
        licence_until=date.fromordinal(record.licence_until).isoformat() if record.licence_until else None,
        purposes=list(record.purposes),
        evidence=record.evidence or None,
        wording=record.wording or None,
        double_opt_in=record.double_opt_in,
        mapping=record.mapping,
        on_existing=record.on_existing,
        tags=list(record.tags),
        region=record.region or None,
        lifecycle=record.lifecycle.name.lower(),
        octets=record.octets,
        encoding=record.encoding or None,
        file_gone=record.file_gone,
        counts=counts(record.counts),
        checked=None if record.checked is None else counts(record.checked),
        removed=record.removed,
        restored=record.restored,
        kept=record.kept,
        ended_by=record.ended_by or None,
        error=record.error or None,
        created_by=record.created_by or None,
        created_at=wire.time(record.created_ms),
        updated_at=wire.time(record.updated_ms),
        started_at=wire.time(record.started_ms),
        ended_at=wire.time(record.ended_ms),
        rows_url=f"/v1/imports/{name}/rows",
    )


def has_run(record: Import) -> bool:
    """Whether what is told of rows is what became of them, and not what a check foretold."""
    return bool(record.started_ms) and record.state is not State.NEW


def row(number: int, fate: Stretch) -> ImportRowView:
    """What became of a row, as JSON."""
    customer = fate.customer + number - fate.first if fate.customer else 0
    return ImportRowView(
        number,
        fate.status,
        customers.name_of(customer) if customer else None,
        fate.field or None,
        fate.reason or None,
    )


def error_lines(found: list[tuple[int, Stretch]]) -> bytes:
    """Lines of the file of errors."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for number, fate in found:
        writer.writerow([number, fate.status, wire.cell(fate.field), wire.cell(fate.reason)])
    return text.getvalue().encode()


def preset(record: Preset) -> PresetView:
    """A preset as JSON."""
    return PresetView(record.name, record.mapping, wire.time(record.created_ms))
