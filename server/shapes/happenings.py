"""What a person did, and his timeline, as JSON."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.crm.people import happenings
from engine.crm.people.happenings import Happening
from engine.crm.people.timeline import Entry
from engine.store import ids
from server import wire

Kind = Literal[
    "order", "order_line", "survey", "feedback", "complaint", "visit", "call", "service_request", "event_attended"
]  # fmt: skip
Text = Annotated[str, Meta(max_length=happenings.TEXT_LONGEST)]


class NewHappening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer did elsewhere.  `amount` is in minor units of `currency`.

    Told twice with one `ref`, it is one.
    """

    kind: Kind
    at: datetime
    amount: Annotated[int, Meta(ge=-happenings.AMOUNT_MOST, le=happenings.AMOUNT_MOST)] | None = None
    currency: Annotated[str, Meta(pattern="^([A-Z]{3})?$")] = ""
    sku: Text = ""
    ref: Text = ""
    rating: Annotated[int, Meta(ge=0, le=10)] | None = None


class HappeningView(msgspec.Struct, frozen=True):
    """What a customer did; `is_new` is false where it had been told before."""

    kind: str
    at: str | None
    amount: int | None
    currency: str | None
    sku: str | None
    ref: str | None
    rating: int | None
    is_new: bool


class EntryView(msgspec.Struct, frozen=True):
    """Something of a timeline: `subject` is the id or the reference of the thing, `text` the first words of it."""

    id: str
    kind: str
    subject: str | None
    text: str
    at: str | None


class TimelinePage(msgspec.Struct, frozen=True):
    """What happened between us, newest first; `next` is the cursor of the following page, or null."""

    items: list[EntryView]
    next: str | None


def happening_of(said: NewHappening) -> Happening:
    """What a caller said, as a record.  Raises Invalid naming `at`."""
    at_ms = wire.time_ms(said.at, "at")
    return Happening(at_ms, said.amount, said.sku, said.ref, said.rating, currency=said.currency)


def happening(kind: str, record: Happening, *, is_new: bool) -> HappeningView:
    """What a person did, as JSON."""
    return HappeningView(
        kind,
        wire.time(record.at_ms),
        record.amount,
        record.currency or None,
        record.sku or None,
        record.ref or None,
        record.rating,
        is_new,
    )


def entry(identifier: int, record: Entry) -> EntryView:
    """An entry of a timeline as JSON."""
    return EntryView(
        ids.render("ent", identifier), record.kind, record.subject or None, record.text, wire.time(record.at_ms)
    )
