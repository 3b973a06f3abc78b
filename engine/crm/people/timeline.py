"""The timeline of a person: what happened between us, newest first.

Kept here is what the CRM writes; texts are merged into it from the messages when it is read.
"""

import heapq
from collections.abc import Iterator
from typing import Final

import msgspec

from engine import numbers
from engine.crm.people.customer import Customer, numbers_of
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import inbox, messages

TEXT_LONGEST: Final = 80  # characters


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """`subject` is the id or the reference of the thing, `text` the first words of it."""

    kind: str
    subject: str
    text: str
    at_ms: int


TIMELINE: Final = Table("timeline", Entry, "QQ")  # customer, id

TABLES: Final = (TIMELINE,)


def add(txn: Txn, customer: int, kind: str, subject: str, text: str, at_ms: int, now_ms: int) -> None:
    """Note something; what happened long ago stands where it was told."""
    entry = Entry(kind, subject, text[:TEXT_LONGEST], at_ms)
    TIMELINE.put(txn, (customer, ids.take(txn, now_ms)), entry)


def page(txn: Txn, customer: Customer, before: int, limit: int) -> list[tuple[int, Entry]]:
    """Up to `limit` (id, entry) older than id `before` (0: from the newest), texts among them."""
    lines = [_own(txn, customer.id, before)]
    for number in map(numbers.from_key, numbers_of(customer)):
        lines.append(_sent(txn, number, before, limit))
        lines.append(_received(txn, number, before, limit))
    merged = heapq.merge(*lines, key=lambda entry: entry[0], reverse=True)
    return [entry for entry, _ in zip(merged, range(limit), strict=False)]


def _own(txn: Txn, customer: int, before: int) -> Iterator[tuple[int, Entry]]:
    for key, entry in TIMELINE.scan(txn, customer, after=(customer, before) if before else None, reverse=True):
        yield key[1], entry


def _sent(txn: Txn, number: str, before: int, limit: int) -> Iterator[tuple[int, Entry]]:
    for message in messages.listed(txn, number, before, limit):
        text = message.text[:TEXT_LONGEST]
        yield message.id, Entry("sms_out", ids.render("msg", message.id), text, ids.created_ms(message.id))


def _received(txn: Txn, number: str, before: int, limit: int) -> Iterator[tuple[int, Entry]]:
    for received in inbox.listed(txn, number, before, limit):
        yield received.id, Entry("sms_in", inbox.name(received.id), received.text[:TEXT_LONGEST], received.at_ms)


def move(txn: Txn, from_customer: int, to_customer: int) -> None:
    """Make everything that stands on one person's another's."""
    for (_, identifier), entry in list(TIMELINE.scan(txn, from_customer)):
        TIMELINE.remove(txn, (from_customer, identifier))
        TIMELINE.put(txn, (to_customer, identifier), entry)


def forget(txn: Txn, customer: int) -> None:
    """Remove everything that stands on a person's."""
    for key, _ in list(TIMELINE.scan(txn, customer)):
        TIMELINE.remove(txn, key)
