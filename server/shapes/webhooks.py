"""Webhooks as JSON: what is asked for, what is answered, and what is posted."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.access import webhooks
from engine.access.deliveries import Attempt, Dead
from engine.access.webhooks import Place, Subscription
from engine.store import ids
from engine.traffic.events import Event
from server.wire import time

Url = Annotated[str, Meta(min_length=1, max_length=2048)]
Kinds = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=250)]], Meta(min_length=1, max_length=webhooks.KINDS_MOST)
]
Name = Annotated[str, Meta(max_length=webhooks.NAME_LONGEST)]


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to post which events: kinds as `message.sent`, `message.*` or `*`."""

    url: Url
    events: Kinds = msgspec.field(default_factory=lambda: ["*"])
    name: Name = ""


class WebhookChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay.  What was paused or disabled goes on where it was once it is active."""

    url: Url | UnsetType = UNSET
    events: Kinds | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    state: Literal["active", "paused"] | UnsetType = UNSET


class WebhookView(msgspec.Struct, frozen=True):
    """A webhook.  Everything up to the event `cursor` was taken, but for `parked` events, which are tried again, and
    `dead` ones, which are not.  `reason` says why it was disabled.
    """

    id: str
    url: str
    events: list[str]
    name: str
    state: str
    reason: str | None
    cursor: str
    parked: int
    dead: int
    failures: int
    failing_since: str | None
    delivered_at: str | None
    rotated_at: str | None
    created_at: str | None
    updated_at: str | None
    version: int


class NewWebhookView(WebhookView, frozen=True):
    """A new webhook with its secret, which is shown only now."""

    secret: str


class WebhookPage(msgspec.Struct, frozen=True):
    """All webhooks."""

    items: list[WebhookView]
    next: str | None


class RotatedView(msgspec.Struct, frozen=True):
    """A new secret, which is shown only now; the one before signs too until `both_until`."""

    secret: str
    both_until: str | None


class RungView(msgspec.Struct, frozen=True):
    """The event that was made to be told."""

    event_id: str


class AttemptView(msgspec.Struct, frozen=True):
    """One post.  `status` is what was answered, `error` why it does not count as taken."""

    event_id: str
    type: str
    object_id: str
    at: str | None
    took_ms: int
    status: int | None
    error: str | None


class AttemptPage(msgspec.Struct, frozen=True):
    """The last posts, the newest first."""

    items: list[AttemptView]
    next: str | None


class DeadView(msgspec.Struct, frozen=True):
    """An event that was given up.  `id` is the event's."""

    id: str
    type: str
    object_id: str
    at: str | None
    attempts: int
    first_at: str | None
    dead_at: str | None
    status: int | None
    error: str


class DeadPage(msgspec.Struct, frozen=True):
    """Dead letters, the newest event first."""

    items: list[DeadView]
    next: str | None


class ReplayedView(msgspec.Struct, frozen=True):
    """How many dead letters are tried again, and how many are left."""

    replayed: int
    left: int


class Posted(msgspec.Struct, frozen=True):
    """What is posted: an event as GET /v1/events has it, and its time once more by the name of Standard Webhooks."""

    id: str
    type: str
    timestamp: str | None
    at: str | None
    object_id: str
    data: dict[str, Any]


def webhook(record: Subscription, place: Place) -> WebhookView:
    """A subscription and how far it has been told."""
    return WebhookView(**_fields(record, place))


def new_webhook(record: Subscription, place: Place, secret: str) -> NewWebhookView:
    """The same with its secret."""
    return NewWebhookView(**_fields(record, place), secret=secret)


def _fields(record: Subscription, place: Place) -> dict[str, Any]:
    return {
        "id": webhooks.name_of(record.id),
        "url": record.url,
        "events": list(record.kinds),
        "name": record.name,
        "state": record.state.value,
        "reason": record.reason or None,
        "cursor": name_of_event(place.cursor),
        "parked": place.parked,
        "dead": place.dead,
        "failures": place.failures,
        "failing_since": time(place.failing_since_ms),
        "delivered_at": time(place.delivered_ms),
        "rotated_at": time(record.rotated_ms),
        "created_at": time(record.created_ms),
        "updated_at": time(record.updated_ms),
        "version": record.version,
    }


def rotated(record: Subscription, secret: str) -> RotatedView:
    """A subscription that has just been given a new secret."""
    return RotatedView(secret, time(record.rotated_ms + webhooks.BOTH_SIGN_MS))


def attempt(record: Attempt) -> AttemptView:
    """One post."""
    return AttemptView(
        event_id=name_of_event(record.sequence),
        type=record.kind,
        object_id=record.subject,
        at=time(record.at_ms),
        took_ms=record.took_ms,
        status=record.status or None,
        error=record.error or None,
    )


def dead(sequence: int, record: Dead) -> DeadView:
    """A dead letter."""
    return DeadView(
        id=name_of_event(sequence),
        type=record.event.kind,
        object_id=record.event.subject,
        at=time(record.event.at_ms),
        attempts=record.attempts,
        first_at=time(record.first_ms),
        dead_at=time(record.dead_ms),
        status=record.status or None,
        error=record.error,
    )


def posted(sequence: int, event: Event) -> bytes:
    """The body of a post."""
    at = time(event.at_ms)
    return msgspec.json.encode(Posted(name_of_event(sequence), event.kind, at, at, event.subject, event.detail))


def name_of_event(sequence: int) -> str:
    """The id on the wire."""
    return ids.render("evt", sequence)
