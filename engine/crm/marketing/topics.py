"""Topics: what people subscribe to by a word, as NEWS, and how often they want to hear of it.

    active <-> paused
       `--> ended <--'     who subscribes anew is active again

A text of a topic goes to its active subscribers alone.  That is asked when a row is fed, with how lately each was
texted, and again when it would leave (crm/gate.py).  Whether somebody agreed to the purpose is another question, and is
asked of topics as of everything: who subscribes has not agreed to offers by that.
"""

import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from engine.crm.marketing import days
from engine.crm.people import customers, words
from engine.crm.people.customer import CUSTOMERS
from engine.crm.people.subscription import OF_CUSTOMER, SUBSCRIPTIONS, Frequency, State, Subscription
from engine.errors import Conflict, Invalid, InvalidParam, NotFound, Stale
from engine.store import ids
from engine.store.table import Keyed, Table, Txn, Unique
from engine.traffic import events, messages
from engine.traffic.messages import SEND, Verdict

WORD_LONGEST: Final = 20  # characters: somebody types it on a phone
NAME_LONGEST: Final = 100  # characters
NAMES_MOST: Final = 50  # languages
LOOKED_AT: Final = 2_000  # subscriptions, for one page of those in one state
PURPOSES: Final = ("marketing", "service")
PREFIX: Final = "top"

NOT_SUBSCRIBED: Final = Verdict(messages.State.SUPPRESSED, "not_subscribed")
TOO_OFTEN: Final = Verdict(messages.State.SUPPRESSED, "frequency")
# A text that ended so reached nobody.
_CAME_TO_NOTHING: Final = frozenset(
    {messages.State.SUPPRESSED, messages.State.CANCELLED, messages.State.EXPIRED, messages.State.FAILED}
)


class Topic(msgspec.Struct, frozen=True, array_like=True):
    """`word` is what people text, in capitals; `names` by language; `purpose` is that of its texts.

    An archived one takes no new subscribers and no campaigns.
    """

    id: int
    word: str
    names: dict[str, str]
    purpose: str = "marketing"
    is_archived: bool = False
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


TOPICS: Final = Table("topics", Topic)
BY_WORD: Final = Unique("topics_by_word", "16s")

TABLES: Final[tuple[Keyed, ...]] = (TOPICS, BY_WORD, SUBSCRIPTIONS, OF_CUSTOMER)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render(PREFIX, identifier)


# -- topics


def get(txn: Txn, identifier: int) -> Topic:
    """The topic.  Raises NotFound."""
    found = TOPICS.find(txn, identifier)
    if found is None:
        raise NotFound("there is no such topic")
    return found


def find(txn: Txn, word: str) -> Topic | None:
    """The topic of that word, whatever its case and width, or None."""
    identifier = BY_WORD.find(txn, words.digest(word))
    return None if identifier is None else TOPICS.get(txn, identifier)


def require(txn: Txn, said: str, field: str = "topic") -> Topic:
    """The topic of that word or id.  Raises Invalid naming `field`."""
    is_id = said.startswith(f"{PREFIX}_")
    found = TOPICS.find(txn, ids.parse(PREFIX, said, field)) if is_id else find(txn, said)
    if found is None:
        raise Invalid(InvalidParam(field, f"there is no topic {said!r}"))
    return found


def require_open(txn: Txn, identifier: int) -> Topic:
    """The topic.  Raises NotFound, Conflict `topic_archived`."""
    topic = get(txn, identifier)
    if topic.is_archived:
        raise Conflict(f"the topic {topic.word} is archived", code="topic_archived")
    return topic


def listed(txn: Txn, after: int, limit: int) -> list[Topic]:
    """Up to `limit` behind the id `after`, the oldest first, archived ones among them."""
    return [topic for _, topic in islice(TOPICS.scan(txn, after=after or None), limit)]


def add(txn: Txn, topic: Topic, now_ms: int) -> Topic:
    """Store a new topic.  Raises Invalid naming the field, Conflict `topic_word` where its word is taken."""
    topic = msgspec.structs.replace(
        _checked(topic), id=ids.take(txn, now_ms), created_ms=now_ms, updated_ms=now_ms, version=1
    )  # fmt: skip
    _put(txn, None, topic)
    events.append(txn, "topic.created", now_ms, name_of(topic.id), word=topic.word)
    return topic


def change(txn: Txn, identifier: int, changes: dict[str, Any], version: int | None, now_ms: int) -> Topic:
    """Replace `word`, `names` or `is_archived`; who subscribes goes on doing so.

    Raises NotFound, Invalid, Conflict `topic_word`, and Stale where `version` is given and is not the stored one.
    """
    old = get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the topic has version {old.version}, not {version}")
    new = _checked(msgspec.structs.replace(old, **changes, updated_ms=now_ms, version=old.version + 1))
    _put(txn, old, new)
    events.append(txn, "topic.changed", now_ms, name_of(identifier), word=new.word)
    return new


def _checked(topic: Topic) -> Topic:
    word = unicodedata.normalize("NFKC", topic.word).strip().upper()
    if not (0 < len(word) <= WORD_LONGEST and word.isalnum()):
        raise Invalid(InvalidParam("word", f"is not 1 to {WORD_LONGEST} letters or digits"))
    if topic.purpose not in PURPOSES:
        raise Invalid(InvalidParam("purpose", f"is none of {', '.join(PURPOSES)}"))
    if len(topic.names) > NAMES_MOST:
        raise Invalid(InvalidParam("name", f"is in more than {NAMES_MOST} languages"))
    for language, name in topic.names.items():
        if not 0 < len(name.strip()) <= NAME_LONGEST:
            raise Invalid(InvalidParam(f"name.{language}", f"is not 1 to {NAME_LONGEST} characters"))
    return msgspec.structs.replace(topic, word=word)


def _put(txn: Txn, old: Topic | None, new: Topic) -> None:
    if old is not None:
        BY_WORD.remove(txn, words.digest(old.word))
    if not BY_WORD.add(txn, words.digest(new.word), new.id):
        raise Conflict(f"there is a topic {new.word}", code="topic_word")
    TOPICS.put(txn, new.id, new)


# -- subscribing


def subscribe(
    txn: Txn,
    customer: int,
    word: str,
    now_ms: int,
    *,
    frequency: Frequency | None = None,
    source: str = "sms",
    by: str = "",
) -> Subscription:
    """Let a customer hear of a topic; as often as he said before, else of everything, where nothing is said now.

    Raises NotFound, Invalid naming `topic`, Conflict `topic_archived`.
    """
    return put(txn, require(txn, word), customer, State.ACTIVE, now_ms, frequency=frequency, source=source, by=by)


def unsubscribe(
    txn: Txn, customer: int, word: str, now_ms: int, *, source: str = "sms", by: str = ""
) -> Subscription:  # fmt: skip
    """Let him hear of it no more.  Raises NotFound, Invalid naming `topic`."""
    return put(txn, require(txn, word), customer, State.ENDED, now_ms, source=source, by=by)


def put(
    txn: Txn,
    topic: Topic,
    customer: int,
    state: State,
    now_ms: int,
    *,
    frequency: Frequency | None = None,
    source: str = "api",
    by: str = "",
) -> Subscription:
    """Let somebody's subscription be so; what it is already, it stays.

    Raises NotFound, and Conflict `topic_archived` but for one that ends.
    """
    customers.require(txn, customer)
    if state is not State.ENDED:
        require_open(txn, topic.id)
    known = SUBSCRIPTIONS.find(txn, (topic.id, customer))
    old = known or Subscription(State.ENDED, now_ms, now_ms)
    chosen = old.frequency if frequency is None else frequency
    if known is not None and (state, chosen) == (known.state, known.frequency):
        return known
    begins, ends = old.state is State.ENDED and state is not State.ENDED, state is State.ENDED
    new = msgspec.structs.replace(
        old,
        state=state,
        since_ms=now_ms if begins else old.since_ms,
        until_ms=(old.until_ms or now_ms) if ends else 0,
        frequency=chosen,
        source=source,
        by=by,
        changed_ms=now_ms,
    )
    SUBSCRIPTIONS.put(txn, (topic.id, customer), new)
    OF_CUSTOMER.add(txn, customer, topic.id)
    events.append(
        txn, "subscription.changed", now_ms, customers.name_of(customer),
        topic=topic.word, state=state.slug, frequency=chosen.slug,
    )  # fmt: skip
    return new


def of_customer(txn: Txn, customer: int) -> list[tuple[Topic, Subscription]]:
    """What somebody subscribes to or did, the oldest topic first."""
    found = [topic for _, topic in OF_CUSTOMER.scan(txn, customer)]
    return [(TOPICS.get(txn, topic), SUBSCRIPTIONS.get(txn, (topic, customer))) for topic in found]


def subscribers(
    txn: Txn, topic: int, after: int, limit: int, state: State | None = None
) -> tuple[list[tuple[int, Subscription]], int]:
    """(customers above id `after` and their subscriptions, the id to go on behind or 0 at the end).

    With a `state` only those in it: a page may be short, or empty, where few of many are.
    """
    found: list[tuple[int, Subscription]] = []
    last = after
    begun = (topic, after) if after else None
    for looked, ((_, customer), subscription) in enumerate(SUBSCRIPTIONS.scan(txn, topic, after=begun)):
        if len(found) >= limit or looked >= LOOKED_AT:
            return found, last
        last = customer
        if state is None or subscription.state is state:
            found.append((customer, subscription))
    return found, 0


# -- texting them


def is_subscriber(txn: Txn, topic: int, customer: int) -> bool:
    """Whether he is an active one now."""
    found = SUBSCRIPTIONS.find(txn, (topic, customer))
    return found is not None and found.state is State.ACTIVE


def may_text(txn: Txn, topic: int, number: int) -> Verdict:
    """SEND where the holder of the number is an active subscriber now, else SUPPRESSED `not_subscribed`."""
    customer = customers.find_by_number(txn, number)
    return SEND if customer is not None and is_subscriber(txn, topic, customer.id) else NOT_SUBSCRIBED


class Subscribers:
    """Who may get a text of a topic now, and who got one: asked and told by whoever feeds them."""

    def __init__(self, txn: Txn, topic: int, now_ms: int, zone: str) -> None:
        self._txn = txn
        self._topic = topic
        self._now_ms = now_ms
        self._zone = zone
        self._today = days.of(now_ms, zone)

    def verdict(self, customer: int) -> Verdict:
        """SEND, or SUPPRESSED as `not_subscribed` or, where he was texted too lately, `frequency`."""
        found = SUBSCRIPTIONS.find(self._txn, (self._topic, customer))
        if found is None or found.state is not State.ACTIVE:
            return NOT_SUBSCRIBED
        if found.frequency is Frequency.EVERY:
            return SEND
        went_ms = _went_ms(self._txn, found)
        # By days of the house: what goes on Monday at nine was last on Monday a little past nine.
        is_free = not went_ms or self._today - days.of(went_ms, self._zone) >= found.frequency
        return SEND if is_free else TOO_OFTEN

    def note(self, customer: int, message: int) -> None:
        """A text is on its way to him."""
        key = self._topic, customer
        noted = msgspec.structs.replace(SUBSCRIPTIONS.get(self._txn, key), texted_ms=self._now_ms, message=message)
        SUBSCRIPTIONS.put(self._txn, key, noted)


def _went_ms(txn: Txn, subscription: Subscription) -> int:
    """When the last text went to him, or will have, 0 for never: one that came to nothing is not counted."""
    message = messages.find(txn, subscription.message) if subscription.message else None
    if message is None:
        return subscription.texted_ms
    went_ms = max((part.sent_ms for part in message.parts), default=0)
    return went_ms or (0 if message.state in _CAME_TO_NOTHING else subscription.texted_ms)


# -- a person goes, or becomes another


def move(txn: Txn, gone: int, kept: int) -> None:
    """Make one person's subscriptions another's; where both have one, what was said last holds."""
    for _, topic in list(OF_CUSTOMER.scan(txn, gone)):
        theirs, ours = SUBSCRIPTIONS.get(txn, (topic, gone)), SUBSCRIPTIONS.find(txn, (topic, kept))
        joined = theirs if ours is None or theirs.changed_ms > ours.changed_ms else ours
        if ours is not None:
            texted = max(ours, theirs, key=lambda one: one.texted_ms)
            joined = msgspec.structs.replace(joined, texted_ms=texted.texted_ms, message=texted.message)
        _remove(txn, topic, gone)
        SUBSCRIPTIONS.put(txn, (topic, kept), joined)
        OF_CUSTOMER.add(txn, kept, topic)


def forget(txn: Txn, customer: int) -> None:
    """Remove what a person subscribes to or did."""
    for _, topic in list(OF_CUSTOMER.scan(txn, customer)):
        _remove(txn, topic, customer)


def _remove(txn: Txn, topic: int, customer: int) -> None:
    SUBSCRIPTIONS.remove(txn, (topic, customer))
    OF_CUSTOMER.remove(txn, customer, topic)


def differences(txn: Txn) -> Iterator[str]:
    """What of the indexes is not as a rebuild would make it, and subscriptions of nobody or to nothing."""
    topics, by_word, by_customer = set(), set(), set()
    for (identifier,), topic in TOPICS.scan(txn):
        topics.add(identifier)
        by_word.add((words.digest(topic.word), identifier))
    for (topic_id, customer), _ in SUBSCRIPTIONS.scan(txn):
        by_customer.add((customer, topic_id))
        if topic_id not in topics:
            yield f"{SUBSCRIPTIONS.name}: {(topic_id, customer)} is to no topic"
        if CUSTOMERS.find(txn, customer) is None:
            yield f"{SUBSCRIPTIONS.name}: {(topic_id, customer)} is nobody's"
    stored: set[tuple[Any, ...]] = {(word, owner) for (word,), owner in BY_WORD.scan(txn)}
    for name, found, wanted in (
        (BY_WORD.name, stored, by_word),
        (OF_CUSTOMER.name, set(OF_CUSTOMER.scan(txn)), by_customer),
    ):
        for key in sorted(found ^ wanted):
            yield f"{name}: {key} {'is missing' if key in wanted else 'leads nowhere'}"
