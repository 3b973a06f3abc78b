"""Topics and who subscribes to them, as JSON."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.access.caller import Caller
from engine.crm.marketing import topics
from engine.crm.marketing.topics import Topic
from engine.crm.people import customers
from engine.crm.people.customer import CUSTOMERS
from engine.crm.people.subscription import Subscription
from engine.store.table import Txn
from server import sight, views, wire

Word = Annotated[str, Meta(min_length=1, max_length=topics.WORD_LONGEST)]
Names = Annotated[dict[str, str], Meta(max_length=topics.NAMES_MOST)]
State = Literal["active", "paused", "ended"]
Often = Literal["every", "daily", "weekly", "monthly"]


class NewTopic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that people subscribe to by its `word`; `name` is what it is called, by language."""

    word: Word
    name: Names = {}
    purpose: Literal["marketing", "service"] = "marketing"


class TopicChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    word: Word | UnsetType = UNSET
    name: Names | UnsetType = UNSET
    state: Literal["active", "archived"] | UnsetType = UNSET


class TopicView(msgspec.Struct, frozen=True):
    """A topic; an archived one takes no new subscribers and no campaigns."""

    id: str
    word: str
    name: dict[str, str]
    purpose: str
    state: str
    created_at: str | None
    updated_at: str | None
    version: int


class TopicPage(msgspec.Struct, frozen=True):
    """Topics; `next` is the cursor of the following page, or null."""

    items: list[TopicView]
    next: str | None


class NewSubscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer wants to hear of: a topic by its word or id, and how often, as before where nothing is said."""

    topic: Annotated[str, Meta(min_length=1, max_length=50)]
    frequency: Often | None = None
    state: State = "active"


class SubscriptionView(msgspec.Struct, frozen=True):
    """What somebody subscribes to or did; `last_text_at` is when a text of it was lined up for him."""

    topic_id: str
    topic: str
    state: str
    frequency: str
    since: str | None
    until: str | None
    source: str
    by: str | None
    changed_at: str | None
    last_text_at: str | None


class SubscriptionList(msgspec.Struct, frozen=True):
    """All of one customer, the oldest topic first."""

    items: list[SubscriptionView]


class SubscriberView(msgspec.Struct, frozen=True):
    """Who subscribes to a topic or did; the number is masked."""

    customer_id: str
    name: str
    number: views.Phone | None
    state: str
    frequency: str
    since: str | None
    until: str | None
    last_text_at: str | None


class SubscriberPage(msgspec.Struct, frozen=True):
    """Subscribers; `next` is the cursor of the following page, or null.  A page may be short and not the last."""

    items: list[SubscriberView]
    next: str | None


def topic_changes(said: TopicChange) -> dict[str, Any]:
    """The fields of a record that a caller spoke of."""
    changes: dict[str, Any] = {}
    if said.word is not UNSET:
        changes["word"] = said.word
    if said.name is not UNSET:
        changes["names"] = said.name
    if said.state is not UNSET:
        changes["is_archived"] = said.state == "archived"
    return changes


def topic(record: Topic) -> TopicView:
    """A topic as JSON."""
    return TopicView(
        topics.name_of(record.id),
        record.word,
        record.names,
        record.purpose,
        "archived" if record.is_archived else "active",
        wire.time(record.created_ms),
        wire.time(record.updated_ms),
        record.version,
    )


def subscription(to: Topic, record: Subscription) -> SubscriptionView:
    """A subscription as JSON."""
    return SubscriptionView(
        topics.name_of(to.id),
        to.word,
        record.state.slug,
        record.frequency.slug,
        wire.time(record.since_ms),
        wire.time(record.until_ms),
        record.source,
        record.by or None,
        wire.time(record.changed_ms),
        wire.time(record.texted_ms),
    )


def subscriber(txn: Txn, caller: Caller, customer: int, record: Subscription) -> SubscriberView:
    """A subscriber as JSON, as much as the caller sees."""
    person = CUSTOMERS.get(txn, customer)
    return SubscriberView(
        customers.name_of(customer),
        person.name,
        sight.number(caller, person.number, whole=False),
        record.state.slug,
        record.frequency.slug,
        wire.time(record.since_ms),
        wire.time(record.until_ms),
        wire.time(record.texted_ms),
    )
