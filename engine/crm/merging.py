"""Merging: two records of one person become one, and who might be two of them.

The one who is kept gives up nothing: of the other only what he has not set himself is taken, and what differs is told.
Consents belong to numbers and stay with them; `granted` is of the first number, which is the kept one's.  The other's
id leads to him from then on, and is given to nobody else.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from engine.crm.marketing import coupons, ledger, members, points, till_codes, topics
from engine.crm.people import audit, customers, happenings, timeline, words
from engine.crm.people.audit import By
from engine.crm.people.customer import (
    BY_NUMBER,
    BY_WORD,
    CUSTOMERS,
    Customer,
    Lifecycle,
    numbers_of,
)
from engine.crm.people.customers import NUMBERS_MOST, SPECIAL_DAYS_MOST
from engine.crm.people.member import MEMBERS, State
from engine.errors import Conflict, Invalid, InvalidParam, NotFound
from engine.store.table import Index, Keyed, Table, Txn
from engine.traffic import events

# A step looks at so many people, and at so many who share a word of a name.
LOOKED_AT: Final = 500
NAMESAKES: Final = 200

_FILLED: Final = (
    "name", "name_sort", "grade", "gender", "email", "birthday", "language", "time_zone", "country", "region",
    "organisation", "owner", "city", "street", "postcode", "preferred_channel", "preferred_hours", "credit_limit",
    "next_contact_ms",
)  # fmt: skip
# Of these the later one is true of both.
_LATER: Final = ("last_order_ms", "last_seen_ms")


class Merged(msgspec.Struct, frozen=True, array_like=True):
    """Whose record it became, and when."""

    kept: int
    at_ms: int


class Difference(NamedTuple):
    """A field that both have set otherwise: the kept one's value stays.  An own field is `attrs.` and its number."""

    field: str
    kept: Any
    other: Any


class Plan(NamedTuple):
    """What a merge changes of the record that is kept, and what it does not."""

    changes: dict[str, Any]
    differences: list[Difference]


class Pair(NamedTuple):
    """Two who may be one, the older first; `reasons` are name_birthday, name_email and number."""

    older: Customer
    newer: Customer
    reasons: tuple[str, ...]


MERGED: Final = Table("merged", Merged)  # who is no more
MERGED_INTO: Final = Index("merged_into", "QQ")  # who was kept, who is no more

TABLES: Final[tuple[Keyed, ...]] = (MERGED, MERGED_INTO)


def survivor(txn: Txn, identifier: int) -> int:
    """The id under which a person stands now: his own, unless his record was merged into another."""
    merged = MERGED.find(txn, identifier)
    return identifier if merged is None else merged.kept


def former(txn: Txn, kept: int) -> list[int]:
    """The ids of the records that were merged into this one."""
    return [gone for _, gone in MERGED_INTO.scan(txn, kept)]


# -- merging


def plan(kept: Customer, gone: Customer) -> Plan:
    """What merging would change and what differs.  Raises Invalid where one person would have too much."""
    differences: list[Difference] = []
    changes: dict[str, Any] = {"numbers": (*kept.numbers, *numbers_of(gone))}
    if len(changes["numbers"]) > NUMBERS_MOST:
        raise Invalid(InvalidParam("numbers", f"would be more than {NUMBERS_MOST}"))
    for name in _FILLED:
        ours, theirs = getattr(kept, name), getattr(gone, name)
        if theirs and not ours:
            changes[name] = theirs
        elif theirs and ours != theirs:
            differences.append(Difference(name, ours, theirs))
    for name in _LATER:
        if getattr(gone, name) > getattr(kept, name):
            changes[name] = getattr(gone, name)
    if kept.lifecycle is Lifecycle.LEAD:
        changes["lifecycle"] = gone.lifecycle
    elif gone.lifecycle not in (Lifecycle.LEAD, kept.lifecycle):
        differences.append(Difference("lifecycle", kept.lifecycle, gone.lifecycle))
    changes["tags"] = tuple(sorted({*kept.tags, *gone.tags}))
    days = (*kept.special_days, *(day for day in gone.special_days if day not in kept.special_days))
    if len(days) > SPECIAL_DAYS_MOST:
        raise Invalid(InvalidParam("special_days", f"would be more than {SPECIAL_DAYS_MOST}"))
    changes["special_days"] = days
    attrs = {number: value for number, value in gone.attrs.items() if number not in kept.attrs}
    changes["attrs"] = attrs
    differences += [
        Difference(f"attrs.{number}", kept.attrs[number], value)
        for number, value in gone.attrs.items()
        if number in kept.attrs and kept.attrs[number] != value
    ]
    told = {
        name: value
        for name, value in changes.items()
        if (value if name == "attrs" else getattr(kept, name) != value)
    }  # fmt: skip
    return Plan(told, differences)


def previewed(txn: Txn, kept: int, gone: int) -> Plan:
    """What `merge` would do.  Raises NotFound, Invalid, and Conflict where their cards stand against it."""
    ours, theirs = _both(txn, kept, gone)
    _check_cards(txn, kept, gone)
    return plan(ours, theirs)


def merge(txn: Txn, kept: int, gone: int, now_ms: int, by: By, zone: str) -> Plan:
    """Make one person of two: everything of `gone` is `kept`'s from now on.

    Raises Forbidden, NotFound, Invalid, Conflict `merge_member` where the other's card is suspended or owes points.
    """
    by.caller.require("customers:write")
    ours, theirs = _both(txn, kept, gone)
    _check_cards(txn, kept, gone)
    planned = plan(ours, theirs)
    told = customers.sources_of(txn, theirs)
    customers.remove(txn, gone)
    actor = audit.actor_name(by.caller.kind, by.caller.name, by.caller.id)
    customers.change(txn, kept, planned.changes, None, now_ms, actor, "merge")
    moved = {name: told[name] for name in planned.changes if name in told and name in _FILLED}
    if moved:
        customers.SOURCES.put(txn, kept, {**(customers.SOURCES.find(txn, kept) or {}), **moved})
    happenings.move(txn, gone, kept)
    timeline.move(txn, gone, kept)
    coupons.hand_over(txn, gone, kept)
    topics.move(txn, gone, kept)
    _join_cards(txn, CUSTOMERS.get(txn, kept), gone, actor, now_ms, zone)
    for earlier in former(txn, gone):
        MERGED_INTO.remove(txn, gone, earlier)
        _lead(txn, earlier, kept, now_ms)
    _lead(txn, gone, kept, now_ms)
    name, other = customers.name_of(kept), customers.name_of(gone)
    events.append(txn, "customer.merged", now_ms, name, merged=other)
    audit.append(txn, by, "customer.merged", name, now_ms, {"merged": (None, other)})
    audit.append(txn, by, "customer.merged", other, now_ms, {"merged_into": (None, name)})
    return planned


def _both(txn: Txn, kept: int, gone: int) -> tuple[Customer, Customer]:
    if kept == gone:
        raise Invalid(InvalidParam("other_id", "is the customer himself"))
    ours, theirs = CUSTOMERS.find(txn, kept), CUSTOMERS.find(txn, gone)
    if ours is None or theirs is None:
        raise NotFound("there is no such customer")
    return ours, theirs


def _lead(txn: Txn, gone: int, kept: int, now_ms: int) -> None:
    MERGED.put(txn, gone, Merged(kept, now_ms))
    MERGED_INTO.add(txn, kept, gone)


def _check_cards(txn: Txn, kept: int, gone: int) -> None:
    ours, theirs = MEMBERS.find(txn, kept), MEMBERS.find(txn, gone)
    if ours is None or theirs is None or not theirs.balance or theirs.state is State.CLOSED:
        return
    if theirs.balance < 0 or theirs.state is State.SUSPENDED or ours.state in (State.SUSPENDED, State.CLOSED):
        raise Conflict("one of their cards is suspended or closed, or owes points: settle that first",
                       code="merge_member")  # fmt: skip


def _join_cards(txn: Txn, kept: Customer, gone: int, by: str, now_ms: int, zone: str) -> None:
    """One card: the only one, or the kept one's with the points of both."""
    theirs = MEMBERS.find(txn, gone)
    if theirs is None:
        return
    till_codes.withdraw(txn, gone)
    if MEMBERS.find(txn, kept.id) is None:
        ledger.move(txn, gone, kept.id)
        members.hand_over(txn, gone, kept.id, kept.number, now_ms)
        return
    if theirs.state is State.CLOSED:
        return
    left = points.available(txn, gone, now_ms, zone)
    if left:
        if theirs.state is State.PENDING:
            members.move(txn, gone, State.ACTIVE, None, now_ms)
        ref = f"merge:{members.name_of(gone)}"
        points.transfer(txn, gone, kept.id, left, by, now_ms, zone, ref=ref)
    members.move(txn, gone, State.CLOSED, None, now_ms, reason="merged")


# -- who may be one


def duplicates(txn: Txn, after: int, limit: int, calling_code: str = "") -> tuple[list[Pair], int]:
    """(pairs whose newer one has an id above `after`, the id to go on behind or 0 at the end).

    A step looks at LOOKED_AT people, so a page may be empty.  `calling_code` is the house's country's, as "86".
    """
    found: list[Pair] = []
    last = 0
    for looked, ((identifier,), customer) in enumerate(CUSTOMERS.scan(txn, after=after or None)):
        if looked == LOOKED_AT or len(found) >= limit:
            return found, last
        last = identifier
        reasons: dict[int, set[str]] = {}
        for other in _namesakes(txn, customer):
            if customer.birthday is not None and customer.birthday == other.birthday:
                reasons.setdefault(other.id, set()).add("name_birthday")
            if customer.email and customer.email.casefold() == other.email.casefold():
                reasons.setdefault(other.id, set()).add("name_email")
        for other_id in _by_prefix(txn, customer, calling_code):
            reasons.setdefault(other_id, set()).add("number")
        found += [
            Pair(CUSTOMERS.get(txn, other_id), customer, tuple(sorted(why)))
            for other_id, why in sorted(reasons.items())
            if other_id < identifier
        ]
    return found, 0


def _namesakes(txn: Txn, customer: Customer) -> Iterator[Customer]:
    """The others with the same name, whatever its case and width; none where there is nothing else to compare."""
    own = sorted(words.of_name(customer.name))
    if not own or (customer.birthday is None and not customer.email):
        return
    for key in islice(BY_WORD.scan(txn, words.key(max(own, key=len))), NAMESAKES):
        other = CUSTOMERS.get(txn, key[-1]) if key[-1] != customer.id else None
        if other is not None and sorted(words.of_name(other.name)) == own:
            yield other


def _by_prefix(txn: Txn, customer: Customer, calling_code: str) -> set[int]:
    """Those who have one of his numbers but for the international prefix, as a slip of the pen leaves it."""
    if not calling_code:
        return set()
    found = set()
    for number in numbers_of(customer):
        digits = str(number)
        national = digits.removeprefix(calling_code).lstrip("0")
        alike = {national, f"{calling_code}{national}", f"{calling_code}0{national}", f"{calling_code}{digits}"}
        for other in alike - {digits}:
            identifier = BY_NUMBER.find(txn, int(other)) if 0 < len(other) < 18 else None
            if identifier is not None and identifier != customer.id:
                found.add(identifier)
    return found


def differences(txn: Txn) -> Iterator[str]:
    """What of those who were merged is not as a rebuild would make it."""
    wanted = {(merged.kept, gone) for (gone,), merged in MERGED.scan(txn)}
    for key in sorted(wanted ^ set(MERGED_INTO.scan(txn))):
        yield f"{MERGED_INTO.name}: {key} {'is missing' if key in wanted else 'leads nowhere'}"
    for (gone,), _ in MERGED.scan(txn):
        if CUSTOMERS.find(txn, gone) is not None:
            yield f"{MERGED.name}: {gone} is a customer"
