"""Webhooks: who wants to be told of which events, where, and how far he has been told.

A subscription names a URL and the kinds of events, as "message.sent", "message.*" or "*".  Nothing calls it: it reads
the event log from a cursor of its own.  What is due, what failed and what was given up is engine/access/deliveries.py.

A post is signed as Standard Webhooks has it.  The secret is not stored: it is made from the engine's pepper and a salt
that is, so that a stolen data directory shows none.  A new salt is a new secret; for a day both sign.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from engine.access.addresses import Network, checked_url
from engine.errors import Conflict, Invalid, InvalidParam, Stale
from engine.store import ids
from engine.store.table import Keyed, Table, Txn
from engine.traffic import events
from engine.traffic.events import Event

WEBHOOKS_MOST: Final = 50
KINDS_MOST: Final = 50
NAME_LONGEST: Final = 200  # characters
BOTH_SIGN_MS: Final = 24 * 3_600_000

_SALT_OCTETS: Final = 32
_KIND: Final = re.compile(r"\*|[a-z_]{1,50}(?:\.[a-z_]{1,50}){0,3}(?:\.\*)?")

# Of one's own subscription they are told whatever kinds it names.
_OWN: Final = frozenset({"webhook.test", "webhook.gap"})

Salt = Callable[[int], bytes]


class State(Enum):
    """PAUSED by a person, DISABLED by us; either way nothing is lost while the log is kept."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class Subscription(msgspec.Struct, frozen=True, array_like=True):
    """Who is told.  `reason` says why it was disabled: "failing" or "gone"; `salt_before` signs too until a day after
    `rotated_ms`.
    """

    id: int
    url: str
    kinds: tuple[str, ...]
    salt: bytes
    name: str = ""
    state: State = State.ACTIVE
    reason: str = ""
    salt_before: bytes = b""
    rotated_ms: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1

    def wants(self, event: Event) -> bool:
        """Whether it is to be told of `event`."""
        if event.kind in _OWN and event.subject == name_of(self.id):
            return True
        return any(_matches(kind, event.kind) for kind in self.kinds)


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far a subscription has been told: of everything up to `cursor`, but for what is parked or was given up.

    `failures` counts those in a row since the last success, `failing_since_ms` is the first of them; `rests` counts the
    breaks since.  `attempts` counts all that were ever made.
    """

    cursor: int
    parked: int = 0
    dead: int = 0
    attempts: int = 0
    failures: int = 0
    failing_since_ms: int = 0
    rests: int = 0
    rest_until_ms: int = 0
    delivered_ms: int = 0


SUBSCRIPTIONS: Final = Table("webhooks", Subscription)
PLACES: Final = Table("webhook_places", Place)

TABLES: Final[tuple[Keyed, ...]] = (SUBSCRIPTIONS, PLACES)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("whk", identifier)


def _matches(wanted: str, kind: str) -> bool:
    if wanted.endswith("*"):
        return kind.startswith(wanted[:-1])
    return wanted == kind


# -- what people do with them


def add(
    txn: Txn,
    url: str,
    kinds: Iterable[str],
    now_ms: int,
    name: str = "",
    allowed: tuple[Network, ...] = (),
    salt: Salt = secrets.token_bytes,
) -> Subscription:
    """A new subscription, told of what happens from now on.

    Raises Invalid naming the field, Conflict where there are too many.
    """
    if SUBSCRIPTIONS.count(txn) >= WEBHOOKS_MOST:
        raise Conflict(f"there are {WEBHOOKS_MOST} webhooks: remove one first")
    identifier = ids.take(txn, now_ms)
    made = Subscription(
        identifier,
        checked_url(url, allowed),
        _checked_kinds(kinds),
        salt(_SALT_OCTETS),
        _checked_name(name),
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    SUBSCRIPTIONS.put(txn, identifier, made)
    PLACES.put(txn, identifier, Place(events.append(txn, "webhook.created", now_ms, name_of(identifier))))
    return made


def change(
    txn: Txn,
    identifier: int,
    changes: Mapping[str, Any],
    version: int | None,
    now_ms: int,
    allowed: tuple[Network, ...] = (),
) -> Subscription:
    """Replace `url`, `kinds`, `name` or `state`; what was paused or disabled and becomes active goes on where it was.

    Raises NotFound, Invalid, and Stale where `version` is given and is not the stored one.
    """
    old = _read(txn, identifier, version)
    fields = dict(changes)
    if "url" in fields:
        checked_url(fields["url"], allowed)
    if "kinds" in fields:
        fields["kinds"] = _checked_kinds(fields["kinds"])
    if "name" in fields:
        _checked_name(fields["name"])
    if "state" in fields:
        fields["reason"] = ""
    new = _store(txn, old, now_ms, **fields)
    if {"url", "state"} & changes.keys():
        # It deserves a fresh try.
        place = PLACES.get(txn, identifier)
        place = msgspec.structs.replace(place, failures=0, failing_since_ms=0, rests=0, rest_until_ms=0)
        PLACES.put(txn, identifier, place)
    events.append(txn, "webhook.changed", now_ms, name_of(identifier), fields=sorted(changes))
    return new


def rotate(txn: Txn, identifier: int, now_ms: int, salt: Salt = secrets.token_bytes) -> Subscription:
    """Give it a new secret; the one before signs too for a day, an older one no more.  Raises NotFound."""
    old = SUBSCRIPTIONS.get(txn, identifier)
    new = _store(txn, old, now_ms, salt=salt(_SALT_OCTETS), salt_before=old.salt, rotated_ms=now_ms)
    events.append(txn, "webhook.rotated", now_ms, name_of(identifier))
    return new


def ring(txn: Txn, identifier: int, now_ms: int) -> int:
    """Let `webhook.test` happen, for it to be told; the event's number.

    Raises NotFound, Conflict where it is not active.
    """
    subscription = SUBSCRIPTIONS.get(txn, identifier)
    if subscription.state is not State.ACTIVE:
        raise Conflict(f"the webhook is {subscription.state.value}: make it active first")
    return events.append(txn, "webhook.test", now_ms, name_of(identifier))


def remove(txn: Txn, identifier: int, now_ms: int) -> None:
    """Tell it no more.  What was parked or given up is left for `deliveries.clear`.  Raises NotFound."""
    SUBSCRIPTIONS.get(txn, identifier)
    SUBSCRIPTIONS.remove(txn, identifier)
    PLACES.remove(txn, identifier)
    events.append(txn, "webhook.removed", now_ms, name_of(identifier))


def disable(txn: Txn, subscription: Subscription, reason: str, now_ms: int) -> Subscription:
    """Stop telling it, since it does not listen; does nothing where it is not active."""
    if subscription.state is not State.ACTIVE:
        return subscription
    events.append(txn, "webhook.disabled", now_ms, name_of(subscription.id), reason=reason)
    return _store(txn, subscription, now_ms, state=State.DISABLED, reason=reason)


def listed(txn: Txn) -> list[Subscription]:
    """All of them, the oldest first: there are few."""
    return [subscription for _, subscription in SUBSCRIPTIONS.scan(txn)]


def _read(txn: Txn, identifier: int, version: int | None) -> Subscription:
    old = SUBSCRIPTIONS.get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the webhook has version {old.version}, not {version}")
    return old


def _store(txn: Txn, old: Subscription, now_ms: int, **fields: Any) -> Subscription:
    new: Subscription = msgspec.structs.replace(old, **fields, updated_ms=now_ms, version=old.version + 1)
    SUBSCRIPTIONS.put(txn, old.id, new)
    return new


def _checked_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    words = tuple(sorted(set(kinds)))
    if not 1 <= len(words) <= KINDS_MOST:
        raise Invalid(InvalidParam("events", f"are not 1 to {KINDS_MOST}"))
    for word in words:
        if not _KIND.fullmatch(word):
            raise Invalid(InvalidParam("events", f'{word!r} is no kind of events, as "message.sent", "message.*", "*"'))
    return words


def _checked_name(name: str) -> str:
    if len(name) > NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is longer than {NAME_LONGEST} characters"))
    return name


# -- secrets


def _key(pepper: bytes, identifier: int, salt: bytes) -> bytes:
    return hmac.digest(pepper, b"carillon webhook" + identifier.to_bytes(8, "big") + salt, hashlib.sha256)


def secret_of(pepper: bytes, subscription: Subscription) -> str:
    """What its owner verifies with, as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(_key(pepper, subscription.id, subscription.salt)).decode()


def signatures(pepper: bytes, subscription: Subscription, name: str, body: bytes, now_ms: int) -> str:
    """The header `webhook-signature` of an event of that name posted now; two in it for a day after a rotation."""
    salts = [subscription.salt]
    if subscription.salt_before and now_ms - subscription.rotated_ms < BOTH_SIGN_MS:
        salts.append(subscription.salt_before)
    signed = b"%s.%d.%s" % (name.encode(), now_ms // 1000, body)
    made = [hmac.digest(_key(pepper, subscription.id, salt), signed, hashlib.sha256) for salt in salts]
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made)
