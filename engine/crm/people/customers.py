"""Customers: one person per number.  Adding, changing and finding them, with every index in the same change."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from engine import numbers
from engine.crm.people import consent, fields, organisations, references, regions, tags, words
from engine.crm.people.customer import (
    BY_LIFECYCLE,
    BY_NUMBER,
    BY_REFERENCE,
    BY_REGION,
    BY_TAG,
    BY_WORD,
    CUSTOMERS,
    Customer,
    Lifecycle,
    PhoneState,
    keys_of,
    numbers_of,
)
from engine.crm.people.customer import TABLES as RECORD_TABLES
from engine.crm.people.zones import clock
from engine.errors import Conflict, Invalid, InvalidParam, NotFound, Stale
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events

NAME_LONGEST: Final = 200  # characters
TEXT_LONGEST: Final = 200
NUMBERS_MOST: Final = 10  # beside the first
SPECIAL_DAYS_MOST: Final = 20
GRADES: Final = ("", "A", "B", "C")
GENDERS: Final = ("", "female", "male", "other")
CHANNELS: Final = ("", "sms", "call", "email", "none")

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_TEXTS: Final = ("name_sort", "city", "street", "postcode", "source", "source_code", "preferred_hours")
# Of a record, not of a person: nobody asks where they came from.
_UNTOLD: Final = frozenset({"id", "version", "granted", "created_ms", "created_by", "updated_ms", "updated_by"})


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Where a field's value came from."""

    source: str
    by: str
    at_ms: int


# Of those fields only that were changed since the customer was made.
SOURCES: Final = Table("customer_sources", dict[str, Source])

TABLES: Final = (*RECORD_TABLES, SOURCES)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("cus", identifier)


def add(txn: Txn, customer: Customer, now_ms: int, by: str = "") -> Customer:
    """Store a new customer.  Raises Conflict where a number has one, Invalid naming the field."""
    customer = msgspec.structs.replace(
        customer,
        id=ids.take(txn, now_ms),
        reference=references.take(txn, references.CUSTOMER),
        granted=consent.standing(txn, customer.number),
        created_ms=now_ms,
        created_by=by,
        updated_ms=now_ms,
        updated_by=by,
        version=1,
    )
    _check(txn, customer, None)
    for number in numbers_of(customer):
        if not BY_NUMBER.add(txn, number, customer.id):
            raise Conflict(f"there is a customer with the number {numbers.mask(numbers.from_key(number))}")
    BY_REFERENCE.add(txn, customer.reference, customer.id)
    _write(txn, None, customer)
    events.append(txn, "customer.created", now_ms, name_of(customer.id), source=customer.source)
    return customer


def change(
    txn: Txn,
    identifier: int,
    changes: dict[str, Any],
    version: int | None,
    now_ms: int,
    by: str = "",
    source: str = "api",
) -> Customer:
    """Replace fields; of `attrs` those that are named, None takes a value away.

    Raises NotFound, Invalid, Conflict where a number is somebody else's, and Stale where `version` is given and is not
    the stored one.
    """
    old = CUSTOMERS.get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the customer has version {old.version}, not {version}")
    if "attrs" in changes:
        kept = {number: value for number, value in old.attrs.items() if number not in changes["attrs"]}
        told = {number: value for number, value in changes["attrs"].items() if value is not None}
        changes = {**changes, "attrs": dict(sorted((kept | told).items()))}
    changed = {name: value for name, value in changes.items() if getattr(old, name) != value}
    stepped: dict[str, Any] = {**changed, "updated_ms": now_ms, "updated_by": by, "version": old.version + 1}
    new: Customer = msgspec.structs.replace(old, **stepped)
    if new.number != old.number:
        reached = changed.get("phone_state", PhoneState.OK)  # what was known is of the number before
        new = msgspec.structs.replace(new, granted=consent.standing(txn, new.number), phone_state=reached)
    _check(txn, new, old)
    _renumber(txn, old, new)
    _write(txn, old, new)
    _note_sources(txn, new, changed, Source(source, by, now_ms))
    events.append(txn, "customer.changed", now_ms, name_of(identifier), fields=sorted(changed))
    return new


def stamp(txn: Txn, number: int, bits: int, *, is_granted: bool) -> None:
    """Note on the record of whose first number this is, if there is one, what was granted or no longer is."""
    identifier = BY_NUMBER.find(txn, number)
    if identifier is None:
        return
    old = CUSTOMERS.get(txn, identifier)
    granted = old.granted | bits if is_granted else old.granted & ~bits
    if old.number == number and granted != old.granted:
        CUSTOMERS.put(txn, identifier, msgspec.structs.replace(old, granted=granted))


def note(txn: Txn, identifier: int, **facts: Any) -> Customer:
    """Write what we saw ourselves (`last_order_ms`, `last_seen_ms`, `phone_state`…): no new version.

    Raises NotFound.
    """
    old = CUSTOMERS.get(txn, identifier)
    new: Customer = msgspec.structs.replace(old, **facts)
    _write(txn, old, new)
    return new


def remove(txn: Txn, identifier: int) -> Customer:
    """Take the record and everything that leads to it away.  Raises NotFound."""
    old = CUSTOMERS.get(txn, identifier)
    for number in numbers_of(old):
        BY_NUMBER.remove(txn, number)
    BY_REFERENCE.remove(txn, old.reference)
    for index, key in keys_of(old):
        index.remove(txn, *key)
    CUSTOMERS.remove(txn, identifier)
    SOURCES.remove(txn, identifier)
    return old


def _write(txn: Txn, old: Customer | None, new: Customer) -> None:
    """The record and its indexes, which so can never lag."""
    before = set() if old is None else {(index.name, index, key) for index, key in keys_of(old)}
    after = {(index.name, index, key) for index, key in keys_of(new)}
    for _, index, key in before - after:
        index.remove(txn, *key)
    for _, index, key in after - before:
        index.add(txn, *key)
    CUSTOMERS.put(txn, new.id, new)


def _renumber(txn: Txn, old: Customer, new: Customer) -> None:
    before, after = set(numbers_of(old)), set(numbers_of(new))
    for number in before - after:
        BY_NUMBER.remove(txn, number)
    for number in after - before:
        if not BY_NUMBER.add(txn, number, new.id):
            raise Conflict(f"there is a customer with the number {numbers.mask(numbers.from_key(number))}")


def _note_sources(txn: Txn, customer: Customer, changed: dict[str, Any], source: Source) -> None:
    told = {name: source for name in changed if name not in _UNTOLD}
    if told:
        SOURCES.put(txn, customer.id, {**(SOURCES.find(txn, customer.id) or {}), **told})


def sources_of(txn: Txn, customer: Customer) -> dict[str, Source]:
    """Where each value that the customer has came from."""
    first = Source(customer.source, customer.created_by, customer.created_ms)
    later = SOURCES.find(txn, customer.id) or {}
    empty = Customer(0, 0, source="")
    return {
        name: later.get(name, first)
        for name in customer.__struct_fields__
        if name not in _UNTOLD and (name in later or getattr(customer, name) != getattr(empty, name))
    }


# -- what may stand in a record


def _check(txn: Txn, new: Customer, old: Customer | None) -> None:
    """Raises Invalid naming every field that is wrong; what has not changed is not looked at again."""
    wrong = [
        InvalidParam(name, reason)
        for name, reason in _wrong(txn, new)
        if old is None or getattr(new, name) != getattr(old, name)
    ]
    if wrong:
        raise Invalid(*wrong)


def faults(txn: Txn, customer: Customer) -> list[InvalidParam]:
    """Everything that is wrong with a record that is not stored yet, an own field that is missing as well."""
    wrong = [InvalidParam(name, reason) for name, reason in _wrong(txn, customer)]
    try:
        require_complete(txn, customer)
    except Invalid as error:
        wrong += error.params
    return wrong


def _wrong(txn: Txn, customer: Customer) -> Iterator[tuple[str, str]]:
    if len(customer.name) > NAME_LONGEST:
        yield "name", f"is longer than {NAME_LONGEST} characters"
    for name in _TEXTS:
        if len(getattr(customer, name)) > TEXT_LONGEST:
            yield name, f"is longer than {TEXT_LONGEST} characters"
    if customer.language and not _LANGUAGE.fullmatch(customer.language):
        yield "language", "is no language tag as en or zh-Hans"
    if customer.country and not _COUNTRY.fullmatch(customer.country):
        yield "country", "is not two capital letters as CN"
    if customer.time_zone and not _is_zone(customer.time_zone):
        yield "time_zone", "is not the name of a time zone"
    if customer.email and not _EMAIL.fullmatch(customer.email):
        yield "email", "is not an address as ann@example.org"
    for name, choices in (("grade", GRADES), ("gender", GENDERS), ("preferred_channel", CHANNELS)):
        if getattr(customer, name) not in choices:
            yield name, f"is none of {', '.join(choice for choice in choices if choice)}"
    if len(customer.numbers) > NUMBERS_MOST or len(set(numbers_of(customer))) != len(numbers_of(customer)):
        yield "numbers", f"are more than {NUMBERS_MOST}, or one stands twice"
    if len(customer.special_days) > SPECIAL_DAYS_MOST:
        yield "special_days", f"are more than {SPECIAL_DAYS_MOST}"
    if customer.region and regions.REGIONS.find(txn, customer.region) is None:
        yield "region", "is not a region"
    if customer.organisation and organisations.ORGANISATIONS.find(txn, customer.organisation) is None:
        yield "organisation", "is not an organisation"


def _is_zone(name: str) -> bool:
    try:
        clock(name)
    except Invalid:
        return False
    return True


def require_complete(txn: Txn, customer: Customer) -> None:
    """Raises Invalid naming each required own field that has no value."""
    missing = [field for field in fields.listed(txn) if field.required and field.id not in customer.attrs]
    if missing:
        raise Invalid(*(InvalidParam(f"attrs.{field.key}", "is required") for field in missing))


# -- finding


def any_known(txn: Txn) -> bool:
    """Whether there is any customer."""
    return BY_NUMBER.any(txn)


def find_by_number(txn: Txn, number: int) -> Customer | None:
    """The customer with that number, or None."""
    identifier = BY_NUMBER.find(txn, number)
    return None if identifier is None else CUSTOMERS.get(txn, identifier)


def find_by_reference(txn: Txn, text: str) -> Customer | None:
    """The customer that people call C17, or None."""
    number = references.parse(references.CUSTOMER, text)
    identifier = BY_REFERENCE.find(txn, number) if number else None
    return None if identifier is None else CUSTOMERS.get(txn, identifier)


def meet(txn: Txn, number: int, language: str, now_ms: int) -> Customer:
    """The customer with that number, created as one who wrote to us where there was none."""
    return find_by_number(txn, number) or add(txn, Customer(0, number, language=language, source="sms"), now_ms, "sms")


def listed(txn: Txn, before: int, limit: int) -> Iterator[Customer]:
    """Customers newest first, older than id `before` (0: from the newest)."""
    for _, customer in CUSTOMERS.scan(txn, after=before or None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield customer


class Sought(msgspec.Struct, frozen=True):
    """What customers are looked for by; all that is said must be true of each.

    `name` are the beginnings of words of theirs; `lifecycle` None for any.
    """

    name: str = ""
    tag: str = ""
    region: str = ""
    lifecycle: Lifecycle | None = None


SOUGHT_MOST: Final = 20_000  # entries of an index that one page looks at


def search(txn: Txn, sought: Sought, after: int, limit: int) -> tuple[list[Customer], int]:
    """(customers with ids above `after`, oldest first; the id behind which to go on, 0 at the end).

    A page may be short, or empty, where few of many fit.
    """
    tag = tags.find(txn, sought.tag) if sought.tag else 0
    region = regions.find(txn, sought.region) if sought.region else 0
    begun = words.of_name(sought.name)
    if tag is None or region is None or (sought.name and not begun):
        return [], 0
    within = regions.below(txn, region) if region else frozenset[int]()

    def fits(customer: Customer) -> bool:
        return (
            words.has_all(customer.name, begun)
            and (not tag or tag in customer.tags)
            and (not within or customer.region in within)
            and (sought.lifecycle is None or customer.lifecycle is sought.lifecycle)
        )

    found: list[Customer] = []
    last = after
    for looked, identifier in enumerate(_candidates(txn, sought, begun, tag, within, after)):
        if len(found) >= limit or looked >= SOUGHT_MOST:
            return found, last
        customer = CUSTOMERS.get(txn, identifier)
        last = identifier
        if fits(customer):
            found.append(customer)
    return found, 0


def _candidates(
    txn: Txn, sought: Sought, begun: list[str], tag: int, within: frozenset[int], after: int
) -> Iterator[int]:
    """Ids above `after` in order, by the index that leads to the fewest."""
    if begun:
        longest = max(begun, key=len)
        # Of a beginning that too many words have, the first so many: who looks for one person types more.
        entries = {key[-1] for key in islice(BY_WORD.scan_octets(txn, words.start(longest)), SOUGHT_MOST)}
        yield from sorted(identifier for identifier in entries if identifier > after)
    elif tag:
        for key in BY_TAG.scan(txn, tag, after=(tag, after)):
            yield key[-1]
    elif within:
        entries = {key[-1] for region in within for key in BY_REGION.scan(txn, region, after=(region, after))}
        yield from sorted(entries)
    elif sought.lifecycle is not None:
        for key in BY_LIFECYCLE.scan(txn, sought.lifecycle, after=(sought.lifecycle, after)):
            yield key[-1]
    else:
        for (identifier,), _ in CUSTOMERS.scan(txn, after=after or None):
            yield identifier


def require(txn: Txn, identifier: int) -> Customer:
    """The customer.  Raises NotFound in words for people."""
    found = CUSTOMERS.find(txn, identifier)
    if found is None:
        raise NotFound("there is no such customer")
    return found
