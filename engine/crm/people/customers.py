"""Customers: who they are, one person per number."""

from collections.abc import Iterator
from typing import Final

import msgspec

from engine import numbers
from engine.config import LANGUAGES
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Table, Txn, Unique
from engine.traffic import events

NAME_LONGEST: Final = 200  # characters


class Customer(msgspec.Struct, frozen=True, array_like=True):
    """A person.  `number` is E.164 as an integer, `language` "en" or "zh"; `version` steps with every change."""

    id: int
    number: int
    name: str = ""
    language: str = ""
    source: str = "api"
    tags: tuple[str, ...] = ()
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


CUSTOMERS: Final = Table("customers", Customer)
BY_NUMBER: Final = Unique("customers_by_number", "Q")

TABLES: Final = (CUSTOMERS, BY_NUMBER)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("cus", identifier)


def _check(customer: Customer) -> None:
    if len(customer.name) > NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is longer than {NAME_LONGEST} characters"))
    if customer.language and customer.language not in LANGUAGES:
        raise Invalid(InvalidParam("language", f"is none of {', '.join(LANGUAGES)}"))


def add(txn: Txn, customer: Customer, now_ms: int) -> Customer:
    """Store a new customer.  Raises Conflict where the number has one, Invalid naming the field."""
    _check(customer)
    identifier = ids.take(txn, now_ms)
    if not BY_NUMBER.add(txn, customer.number, identifier):
        raise Conflict(f"there is a customer with the number {numbers.mask(numbers.from_key(customer.number))}")
    customer = msgspec.structs.replace(customer, id=identifier, created_ms=now_ms, updated_ms=now_ms)
    CUSTOMERS.put(txn, identifier, customer)
    events.append(txn, "customer.created", now_ms, name_of(identifier), source=customer.source)
    return customer


def change(
    txn: Txn, identifier: int, changes: dict[str, str | tuple[str, ...]], version: int | None, now_ms: int
) -> Customer:
    """Replace fields.  Raises NotFound, Invalid, and Conflict where `version` is given and is not the stored one."""
    old = CUSTOMERS.get(txn, identifier)
    if version is not None and version != old.version:
        raise Conflict(f"the customer has version {old.version}, not {version}")
    fields: dict[str, object] = {**changes, "updated_ms": now_ms, "version": old.version + 1}
    new: Customer = msgspec.structs.replace(old, **fields)
    _check(new)
    CUSTOMERS.put(txn, identifier, new)
    events.append(txn, "customer.changed", now_ms, name_of(identifier), fields=sorted(changes))
    return new


def any_known(txn: Txn) -> bool:
    """Whether there is any customer."""
    return BY_NUMBER.any(txn)


def find_by_number(txn: Txn, number: int) -> Customer | None:
    """The customer with that number, or None."""
    identifier = BY_NUMBER.find(txn, number)
    return None if identifier is None else CUSTOMERS.get(txn, identifier)


def meet(txn: Txn, number: int, language: str, now_ms: int) -> Customer:
    """The customer with that number, created as one who wrote to us where there was none."""
    return find_by_number(txn, number) or add(txn, Customer(0, number, language=language, source="sms"), now_ms)


def listed(txn: Txn, before: int, limit: int) -> Iterator[Customer]:
    """Customers newest first, older than id `before` (0: from the newest)."""
    for _, customer in CUSTOMERS.scan(txn, after=before or None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield customer
