"""The audit log as JSON, and reveals, which are made for it."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.access.caller import Caller
from engine.crm.people import audit, reveals
from engine.crm.people.audit import Broken, Row
from server import sight, views, wire


class ActorView(msgspec.Struct, frozen=True):
    """Who did it: `id` is what `actor` asks for."""

    id: str
    kind: str
    name: str


class AuditChangeView(msgspec.Struct, frozen=True):
    """A field before and after, as far as the caller sees it; None where there was no value, or it was erased."""

    field: str
    before: views.AnyPhone
    after: views.AnyPhone


class AuditView(msgspec.Struct, frozen=True):
    """One thing that was done.  `erased`: what was before and after is gone, that it was changed is not."""

    id: str
    number: int
    at: str | None
    actor: ActorView
    via: str
    action: str
    target: str
    changes: list[AuditChangeView]
    reason: str | None
    source: str | None
    erased: bool


class AuditPage(msgspec.Struct, frozen=True):
    """A page of the log, newest first."""

    items: list[AuditView]
    next: str | None


class BrokenView(msgspec.Struct, frozen=True):
    """The first row that is not as it was written; `id` is None where it is missing and nobody knows its id."""

    id: str | None
    number: int
    reason: str


class AuditCheck(msgspec.Struct, frozen=True):
    """Whether the log is whole, and how many rows were proven."""

    whole: bool
    rows: int
    broken: BrokenView | None


class NewReveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which field of a customer somebody wants to see, and why."""

    field: str
    reason: Annotated[str, Meta(min_length=reveals.REASON_SHORTEST, max_length=reveals.REASON_LONGEST)]


class RevealView(msgspec.Struct, frozen=True):
    """What was hidden, and how often the caller may ask again today."""

    field: str
    value: views.Phone
    left_today: int


def audit_view(caller: Caller, row: Row, *, whole: bool = False) -> AuditView:
    """A row as JSON, its values as the caller sees them; in a list, which is not `whole`, numbers as masks."""
    entry, values = row.entry, row.values
    told = {} if values is None else values.changes
    changes = [
        AuditChangeView(
            field,
            sight.value(caller, field, _plain(told.get(field, ("", ""))[0]), whole=whole),
            sight.value(caller, field, _plain(told.get(field, ("", ""))[1]), whole=whole),
        )
        for field in entry.changes
    ]
    return AuditView(
        id=audit.name_of(row.id),
        number=entry.number,
        at=wire.time(entry.at_ms),
        actor=ActorView(
            audit.actor_name(entry.actor_kind, entry.actor_name, entry.actor_id), entry.actor_kind, entry.actor_name
        ),
        via=entry.via,
        action=entry.action,
        target=entry.target,
        changes=changes,
        reason=values.reason or None if values is not None else None,
        source=entry.source or None,
        erased=values is None and bool(entry.changes or entry.reason),
    )


def _plain(text: str) -> Any:
    return msgspec.json.decode(text) if text else None


def audit_check(rows: int, broken: Broken | None) -> AuditCheck:
    """What a proof of the log found, as JSON."""
    told = None if broken is None else BrokenView(broken.name or None, broken.number, broken.reason)
    return AuditCheck(broken is None, rows, told)
