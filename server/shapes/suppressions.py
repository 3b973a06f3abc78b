"""Suppressions as JSON: what became of a list, what is known of a number, and requests to take one off."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.crm.people import deny_lists, suppressions
from engine.crm.people.deny_lists import Removal
from engine.crm.people.suppressions import Suppression
from server import wire


class DeniedRow(msgspec.Struct, frozen=True):
    """A line of a list; in CSV the column `number`, or the only one."""

    number: str


class DeniedFault(msgspec.Struct, frozen=True):
    """A line that is no number; `row` counts from 1."""

    row: int
    reason: str


class Denied(msgspec.Struct, frozen=True):
    """What became of a list: `new` numbers were not suppressed for that reason before."""

    reason: str
    rows: int
    new: int
    known: int
    invalid: int
    first_faults: list[DeniedFault]


class SuppressionView(msgspec.Struct, frozen=True):
    """Whether a number must not be texted, why and since when."""

    suppressed: bool
    reason: str | None
    reasons: list[str]
    since: str | None


class NewRemoval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a number shall be texted again, and why."""

    number: str
    why: Annotated[str, Meta(min_length=1, max_length=deny_lists.WHY_LONGEST)]


class RemovalConfirmed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second word: whoever gives it must know the number, which is not kept."""

    number: str


class RemovalView(msgspec.Struct, frozen=True):
    """A request to take a number off."""

    id: str
    state: Literal["waiting", "done"]
    reasons: list[str]
    why: str
    asked_by: str
    asked_at: str | None
    confirmed_by: str | None
    confirmed_at: str | None


class RemovalPage(msgspec.Struct, frozen=True):
    """Requests, newest first; `next` is the cursor of the following page, or null."""

    items: list[RemovalView]
    next: str | None


def suppression(found: Suppression | None) -> SuppressionView:
    """A suppression as JSON."""
    if found is None:
        return SuppressionView(False, None, [], None)
    return SuppressionView(True, found.reason, list(suppressions.reasons_of(found)), wire.time(found.at_ms))


def removal(record: Removal) -> RemovalView:
    """A request as JSON."""
    return RemovalView(
        deny_lists.name_of(record.id),
        record.state,
        list(record.reasons),
        record.why,
        record.asked_name,
        wire.time(record.asked_ms),
        record.done_name or None,
        wire.time(record.done_ms),
    )
