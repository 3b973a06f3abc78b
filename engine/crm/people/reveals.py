"""Reveals: to see what a mask hides of one person, for a reason, and so many times a day.

A reveal that is one too many is refused and kept: the refusal is a result, not an exception, since what raises undoes
itself and nobody would ever be told.  `Outcome.value` raises it later, for whoever asks for what was hidden.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from engine import numbers
from engine.crm.people import audit, customers
from engine.crm.people.audit import By
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.errors import Invalid, InvalidParam, TooMany
from engine.store.table import Keyed, Table, Txn
from engine.traffic import events

REASON_SHORTEST: Final = 3  # characters
REASON_LONGEST: Final = 500

# What can be revealed, and how it is read.
FIELDS: Final[dict[str, Callable[[Customer], str]]] = {"number": lambda customer: numbers.from_key(customer.number)}


class Day(msgspec.Struct, frozen=True, array_like=True):
    """How often somebody has asked on his last day: `day` is a local date's ordinal."""

    day: int
    asked: int


REVEALS: Final = Table("reveals", Day, "16s")  # by actor: one entry each, so that nothing is left to forget

TABLES: Final[tuple[Keyed, ...]] = (REVEALS,)


class Outcome(msgspec.Struct, frozen=True):
    """What came of it: `left` more today, or seconds to wait for tomorrow."""

    _value: str | None
    left: int
    retry_after_s: int = 0

    @property
    def value(self) -> str:
        """What was hidden.  Raises TooMany of code `reveal_limit`."""
        if self._value is None:
            raise TooMany("no more is revealed to you today", self.retry_after_s, code="reveal_limit")
        return self._value


def reveal(txn: Txn, by: By, identifier: int, field: str, reason: str, zone: ZoneInfo, now_ms: int) -> Outcome:
    """Show `field` of a customer to the caller, and keep who saw it and why.  `zone` is the house's: a day is its day.

    Somebody who sees the field in full anyway is not counted.  The first one too many of a day is an event
    `reveal.limit`.  Raises Forbidden without the right, Invalid naming the field, NotFound; these leave nothing.
    """
    caller = by.caller
    caller.require("customers:reveal")
    reason = reason.strip()
    if not REASON_SHORTEST <= len(reason) <= REASON_LONGEST:
        raise Invalid(InvalidParam("reason", f"is not {REASON_SHORTEST} to {REASON_LONGEST} characters"))
    if field not in FIELDS:
        raise Invalid(InvalidParam("field", f"is none of {', '.join(FIELDS)}"))
    value = FIELDS[field](CUSTOMERS.get(txn, identifier))
    name = customers.name_of(identifier)
    changes = {"field": (None, field)}
    if caller.sees(field) == "full":
        audit.append(txn, by, "customer.revealed", name, now_ms, changes, reason)
        return Outcome(value, caller.reveals_a_day)
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    key, today = _key(by), local.date().toordinal()
    known = REVEALS.find(txn, key)
    asked = 1 + (known.asked if known is not None and known.day == today else 0)
    REVEALS.put(txn, key, Day(today, asked))
    if asked <= caller.reveals_a_day:
        audit.append(txn, by, "customer.revealed", name, now_ms, changes, reason)
        return Outcome(value, caller.reveals_a_day - asked)
    audit.append(txn, by, "customer.reveal_refused", name, now_ms, changes, reason)
    if asked == caller.reveals_a_day + 1:
        actor = audit.actor_name(caller.kind, caller.name, caller.id)
        events.append(txn, "reveal.limit", now_ms, actor, a_day=caller.reveals_a_day)
    midnight = datetime.combine(local.date() + timedelta(days=1), time(), zone)
    return Outcome(None, 0, max(1, int(midnight.timestamp() - now_ms / 1000) + 1))


def _key(by: By) -> bytes:
    actor = audit.actor_name(by.caller.kind, by.caller.name, by.caller.id)
    return hashlib.blake2b(actor.encode("utf-8", "surrogatepass"), digest_size=16).digest()
