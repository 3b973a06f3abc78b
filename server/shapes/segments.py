"""Segments as JSON."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.crm.people import condition_json, condition_text, segments
from engine.crm.people.conditions import Condition
from engine.crm.people.segments import Segment
from server import wire

Name = Annotated[str, Meta(min_length=1, max_length=segments.NAME_LONGEST)]
Definition = str | dict[str, Any]


class NewSegment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition under a name; `definition` in the text form or as JSON."""

    name: Name
    definition: Definition


class SegmentChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    name: Name | UnsetType = UNSET
    definition: Definition | UnsetType = UNSET


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition in the text form or as JSON."""

    definition: Definition


class SegmentView(msgspec.Struct, frozen=True):
    """A segment, its condition in both forms; `last_count` customers were in it at `last_counted_at`."""

    id: str
    name: str
    definition: dict[str, Any]
    text: str
    last_count: int | None
    last_counted_at: str | None
    created_at: str | None
    updated_at: str | None
    version: int


class SegmentPage(msgspec.Struct, frozen=True):
    """Segments, the oldest first; `next` is the cursor of the following page, or null."""

    items: list[SegmentView]
    next: str | None


class ConditionView(msgspec.Struct, frozen=True):
    """A condition in both forms, each the normal one."""

    definition: dict[str, Any]
    text: str


class CountView(msgspec.Struct, frozen=True):
    """How many customers a condition takes now, and what it took to find them."""

    count: int
    milliseconds: float
    definition: dict[str, Any]
    text: str


def segment(record: Segment) -> SegmentView:
    """A segment as JSON."""
    condition = condition_json.from_json(record.definition)
    return SegmentView(
        segments.name_of(record.id),
        record.name,
        record.definition,
        condition_text.write(condition),
        record.last_count if record.last_ms else None,
        wire.time(record.last_ms),
        wire.time(record.created_ms),
        wire.time(record.updated_ms),
        record.version,
    )


def condition(found: Condition) -> ConditionView:
    """A condition as JSON, in both forms."""
    return ConditionView(condition_json.to_json(found), condition_text.write(found))
