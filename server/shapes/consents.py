"""Wordings and doubtful refusals as JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.crm.people import customers, wordings
from engine.crm.people.pauses import Paused
from engine.crm.people.wordings import Wording
from engine.traffic import inbox
from server import wire

Texts = Annotated[dict[str, str], Meta(min_length=1, max_length=50)]


class NewWording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question by language; `{house}` in it is the sender's name."""

    name: Annotated[str, Meta(min_length=1, max_length=wordings.NAME_LONGEST)]
    text: Texts


class WordingChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another version of the same question."""

    text: Texts


class WordingView(msgspec.Struct, frozen=True):
    """One version of a question; `called` is how a consent names it."""

    id: str
    version: int
    called: str
    name: str
    text: dict[str, str]
    created_at: str | None
    by: str | None


class WordingList(msgspec.Struct, frozen=True):
    """The newest version of each."""

    items: list[WordingView]


class Decided(msgspec.Struct, frozen=True):
    """What a person decided, and how many messages that moved."""

    decided: str
    messages: int


class PausedView(msgspec.Struct, frozen=True):
    """A customer whose text may have been a refusal, and that text."""

    customer_id: str
    message_id: str
    since: str | None


class PausedList(msgspec.Struct, frozen=True):
    """Customers whose marketing waits for a decision, those who wait longest first."""

    items: list[PausedView]


def paused(customer: int, record: Paused) -> PausedView:
    """A pause as JSON."""
    return PausedView(customers.name_of(customer), inbox.name(record.message), wire.time(record.at_ms))


def wording(record: Wording) -> WordingView:
    """A wording as JSON."""
    return WordingView(
        wordings.name_of(record.id) if record.id else "usual",
        record.version,
        wordings.called(record),
        record.name,
        record.texts,
        wire.time(record.created_ms),
        record.by or None,
    )
