"""Recipients: the rows of campaigns.

A row is unique in its campaign by `client_ref`, else by number.  Rows of an upload stand behind the campaign's `rows`
mark until the whole upload has come: an upload that breaks off leaves nothing.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec

from engine import numbers
from engine.errors import Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Table, Txn, Unique

VALUES_MOST: Final = 50
VALUE_LONGEST: Final = 1000  # characters
REF_LONGEST: Final = 200  # characters


class Recipient(msgspec.Struct, frozen=True, array_like=True):
    """A row: `id` is the id of the message it becomes, `number` E.164 as an integer."""

    id: int
    number: int
    client_ref: str = ""
    language: str = ""
    values: dict[str, str] = {}


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row as it is submitted."""

    to: str
    client_ref: str = ""
    language: str = ""
    values: dict[str, str] = {}


RECIPIENTS: Final = Table("recipients", Recipient, "QI")  # campaign, row from 0
KEYS: Final = Unique("recipient_keys", "Q16s")  # campaign, digest of client_ref or number -> row

TABLES: Final = (RECIPIENTS, KEYS)


def check(row: Row, country: str | None) -> int:
    """The row's number as a key.  Raises Invalid naming the field."""
    if len(row.client_ref) > REF_LONGEST:
        raise Invalid(InvalidParam("client_ref", f"is longer than {REF_LONGEST} characters"))
    if len(row.values) > VALUES_MOST:
        raise Invalid(InvalidParam("values", f"are more than {VALUES_MOST}"))
    for name, value in row.values.items():
        if len(value) > VALUE_LONGEST:
            raise Invalid(InvalidParam(f"values.{name}", f"is longer than {VALUE_LONGEST} characters"))
    return numbers.to_key(numbers.parse(row.to, country))


def _key(campaign: int, number: int, client_ref: str) -> tuple[int, bytes]:
    said = f"ref {client_ref}" if client_ref else f"number {number}"
    return campaign, hashlib.blake2b(said.encode(), digest_size=16).digest()


def add(txn: Txn, campaign: int, first: int, rows: list[tuple[int, Row]], now_ms: int) -> list[bool]:
    """Store (number, row) pairs from row number `first`, leaving out those that are there; which were new."""
    identifier = ids.take(txn, now_ms, len(rows))
    position = first
    fresh = []
    for number, row in rows:
        is_new = KEYS.add(txn, _key(campaign, number, row.client_ref), position)
        fresh.append(is_new)
        if is_new:
            recipient = Recipient(identifier, number, row.client_ref, row.language, row.values)
            RECIPIENTS.put(txn, (campaign, position), recipient)
            position += 1
            identifier += 1
    return fresh


def discard(txn: Txn, campaign: int, first: int, limit: int) -> int:
    """Remove up to `limit` rows from row number `first` on; how many were removed."""
    gone: list[tuple[tuple[int, int], Recipient]] = []
    after = (campaign, first - 1) if first else None
    for key, recipient in RECIPIENTS.scan(txn, campaign, after=after):
        if len(gone) >= limit:
            break
        gone.append((key, recipient))
    for key, recipient in gone:
        KEYS.remove(txn, _key(campaign, recipient.number, recipient.client_ref))
        RECIPIENTS.remove(txn, key)
    return len(gone)


def listed(txn: Txn, campaign: int, first: int, limit: int) -> Iterator[tuple[int, Recipient]]:
    """(row, recipient) in order from row `first`, at most `limit`."""
    after = (campaign, first - 1) if first else None
    for (_, row), recipient in RECIPIENTS.scan(txn, campaign, after=after):
        if limit <= 0:
            return
        limit -= 1
        yield row, recipient
