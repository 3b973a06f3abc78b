"""Happenings: what a person did, here or elsewhere: orders, visits, answers.  Conditions count and sum them.

Kept packed, some hundred of a person and a kind in one value, in the order of their times; and told once: a happening
with a reference that the person has already of that kind is the same one.
"""

from bisect import insort
from typing import Final

import msgspec

from engine.crm.people import customers, timeline
from engine.crm.people.customer import CUSTOMERS, Lifecycle
from engine.errors import Invalid, InvalidParam
from engine.store.table import Table, Txn
from engine.traffic import events

# By position in the key: only ever added to at the end.
KINDS: Final = (
    "order", "order_line", "sms_in", "sms_out", "campaign", "click", "survey", "feedback", "complaint", "points",
    "coupon", "visit", "call", "service_request", "event_attended", "consent", "report",
)  # fmt: skip
# Those that Carillon sees itself; the others may be told from outside.
OWN: Final = frozenset({"sms_in", "sms_out", "campaign", "click", "consent", "points", "coupon"})

IN_ONE_MOST: Final = 200
TEXT_LONGEST: Final = 100  # characters of a SKU or a reference
AMOUNT_MOST: Final = 1 << 53


class Happening(msgspec.Struct, frozen=True, array_like=True, order=True):
    """`amount` is in minor units of `currency`; `ref` is the name that it has where it came from.

    Native code reads the fields by position.
    """

    at_ms: int
    amount: int | None = None
    sku: str = ""
    ref: str = ""
    rating: int | None = None
    id: str = ""
    currency: str = ""


HAPPENED: Final = Table("happened", list[Happening], "QBI")  # customer, kind, number of the lot

TABLES: Final = (HAPPENED,)

# What conditions may ask of one, by its position in the record.
PROPERTIES: Final = {name: place for place, name in enumerate(Happening.__struct_fields__)}


def add(txn: Txn, customer: int, kind: str, happening: Happening, now_ms: int, by: str = "") -> bool:
    """Note what a person did; False where it was told before.  Raises NotFound, Invalid naming the field."""
    if kind not in KINDS:
        raise Invalid(InvalidParam("kind", f"is none of {', '.join(KINDS)}"))
    _check(happening)
    person = customers.require(txn, customer)
    number = KINDS.index(kind)
    lots = list(HAPPENED.scan(txn, customer, number))
    if happening.ref and any(happening.ref == other.ref for _, lot in lots for other in lot):
        return False
    last, lot = (0, []) if not lots else (lots[-1][0][2], list(lots[-1][1]))
    if len(lot) >= IN_ONE_MOST:
        last, lot = last + 1, []
    insort(lot, happening, key=lambda one: one.at_ms)
    HAPPENED.put(txn, (customer, number, last), lot)
    timeline.add(txn, customer, kind, happening.ref or happening.id, happening.sku, happening.at_ms, now_ms)
    if kind == "order" and happening.at_ms <= now_ms:
        newest_ms = max(person.last_order_ms, happening.at_ms)
        customers.note(txn, customer, last_order_ms=newest_ms, lifecycle=Lifecycle.CUSTOMER)
    events.append(txn, "customer.event", now_ms, customers.name_of(customer), what=kind, by=by)
    return True


def _check(happening: Happening) -> None:
    if happening.at_ms <= 0:
        raise Invalid(InvalidParam("at", "is missing"))
    if happening.amount is not None and abs(happening.amount) > AMOUNT_MOST:
        raise Invalid(InvalidParam("amount", f"is beyond {AMOUNT_MOST}"))
    for name in ("sku", "ref", "id"):
        if len(getattr(happening, name)) > TEXT_LONGEST:
            raise Invalid(InvalidParam(name, f"is longer than {TEXT_LONGEST} characters"))


def of(txn: Txn, customer: int, kind: str) -> list[Happening]:
    """All of one kind, the oldest first."""
    lots = HAPPENED.scan(txn, customer, KINDS.index(kind))
    return sorted((happening for _, lot in lots for happening in lot), key=lambda one: one.at_ms)


def move(txn: Txn, from_customer: int, to_customer: int) -> None:
    """Make everything that one person did another's."""
    moved = list(HAPPENED.scan(txn, from_customer))
    for (_, kind, lot), happened in moved:
        HAPPENED.remove(txn, (from_customer, kind, lot))
        taken = [key[2] for key, _ in HAPPENED.scan(txn, to_customer, kind)]
        HAPPENED.put(txn, (to_customer, kind, taken[-1] + 1 if taken else 0), happened)
    newest_ms = max((one.at_ms for one in of(txn, to_customer, "order")), default=0)
    if newest_ms > CUSTOMERS.get(txn, to_customer).last_order_ms:
        customers.note(txn, to_customer, last_order_ms=newest_ms)


def forget(txn: Txn, customer: int) -> None:
    """Remove everything that a person did."""
    for key, _ in list(HAPPENED.scan(txn, customer)):
        HAPPENED.remove(txn, key)
