"""Migration: how a data directory of an earlier schema becomes one of the present.

Each step goes in changes of a few hundred rows, and may be killed between any two of them: the next start goes on.

    1 to 2   recipients were an entry each, with a key each; now they are packed in sheets
    2 to 3   customers had their tags as words, and no references; and were found by their numbers alone
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from engine.crm.marketing import campaigns, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign
from engine.crm.marketing.recipients import Row, packed
from engine.crm.marketing.uploads import STRETCHES, Fault, Stretch
from engine.crm.people import consent, references, tags
from engine.crm.people.customer import BY_REFERENCE, CUSTOMERS, Customer, keys_of
from engine.store.codec import RecordCodec
from engine.store.environment import Migration, Store
from engine.store.table import Keyed, Octets, Table, Txn, Unique
from engine.traffic import messages, sims, slots
from engine.traffic.sheets import BULKS, FED, PLACES, SHEETS, Fed, Place
from engine.traffic.spending import Spending, parts_of

CHUNK: Final = 500


class Recipient1(msgspec.Struct, frozen=True, array_like=True):
    """A recipient of schema 1."""

    id: int
    number: int
    client_ref: str = ""
    language: str = ""
    values: dict[str, str] = {}


class Sim1(msgspec.Struct, frozen=True, array_like=True):
    """A SIM of schema 1."""

    imsi: int
    reference: int = -1
    steps: int = 0
    sent: int = 0


RECIPIENTS_1: Final = Table("recipients", Recipient1, "QI")  # campaign, row
KEYS_1: Final = Unique("recipient_keys", "Q16s")
FAULTS_1: Final = Table("upload_faults", Fault, "QI")  # upload, row from 1

SIMS_1: Final = Table("sims", Sim1)

TABLES_1: Final[tuple[Keyed, ...]] = (RECIPIENTS_1, KEYS_1, FAULTS_1, SIMS_1)


def pack_rows(store: Store) -> None:
    """Schema 1 to 2."""
    with store.read() as txn:
        every = [campaign for _, campaign in CAMPAIGNS.scan(txn)]
    for campaign in every:
        store.write_now(_open, campaign)
        while store.write_now(_pack, campaign.id):
            pass
    while store.write_now(_pack_faults):
        pass
    while store.write_now(_forget_keys):
        pass
    store.write_now(_rewrite_sims)


def _open(txn: Txn, campaign: Campaign) -> None:
    if BULKS.find(txn, campaign.id) is None:
        BULKS.put(txn, campaign.id, campaigns.bulk_of(campaign, ""))
        fed = Fed(campaign.rows, campaign.fed, campaign.fed, campaign.expires_ms)
        FED.put(txn, campaign.id, fed)
    if campaign.uploading:
        campaigns.store(txn, campaign, uploading=False)


def _pack(txn: Txn, identifier: int) -> bool:
    """Whether there was anything left to pack."""
    campaign = CAMPAIGNS.get(txn, identifier)
    found = list(islice(RECIPIENTS_1.scan(txn, identifier), CHUNK))
    for key, _ in found:
        RECIPIENTS_1.remove(txn, key)
    # What stands behind the mark is of an upload that broke off.
    counting = [(key[1], old) for key, old in found if key[1] < campaign.rows]
    for first, rows in _with_ids_in_a_row(counting):
        row, identifier_ = first, rows[0].id
        made = packed((old.number, Row("", old.client_ref, old.language, old.values)) for old in rows)
        for sheet in made:
            SHEETS.put(txn, (identifier, row), sheet.closed(identifier_))
            PLACES.put(txn, identifier_, Place(identifier, row, sheet.rows))
            row += sheet.rows
            identifier_ += sheet.rows
        numbers = b"".join(old.number.to_bytes(8, "little") for old in rows)
        messages.NUMBERS.write(txn, rows[0].id, uploads.pairs(numbers, rows[0].id))
        messages.NUMBERS.publish(txn, [rows[0].id])
        for place, old in enumerate(rows, first):
            if place < campaign.fed:
                # It has a record, which is found by the index of rows from now on.
                slots.write_out(txn, identifier, place)
                _count_spent(txn, old.id)
                messages.BY_NUMBER.remove(txn, old.number, old.id)
    return bool(found)


def _count_spent(txn: Txn, message_id: int) -> None:
    message = messages.MESSAGES.find(txn, message_id)
    if message is not None:
        spending = Spending(txn)
        spending.move(message.group, parts_of(message.parts))
        spending.save()


def _with_ids_in_a_row(rows: list[tuple[int, Recipient1]]) -> Iterator[tuple[int, list[Recipient1]]]:
    """(first row, rows) of stretches in which neither rows nor ids leave one out."""
    stretch: list[Recipient1] = []
    first = 0
    for row, old in rows:
        if stretch and (row, old.id) != (first + len(stretch), stretch[0].id + len(stretch)):
            yield first, stretch
            stretch = []
        if not stretch:
            first = row
        stretch.append(old)
    if stretch:
        yield first, stretch


def _pack_faults(txn: Txn) -> bool:
    found = list(islice(FAULTS_1.scan(txn), CHUNK))
    by_upload: dict[int, list[Stretch]] = {}
    for (upload, row), fault in found:
        FAULTS_1.remove(txn, (upload, row))
        by_upload.setdefault(upload, []).append(Stretch(row, 1, fault.status, fault.name, fault.reason))
    for upload, stretches in by_upload.items():
        STRETCHES.put(txn, (upload, stretches[0].first), stretches)
    return bool(found)


def _rewrite_sims(txn: Txn) -> None:
    for _, old in SIMS_1.scan(txn):
        sims.put(txn, sims.Sim(old.imsi, old.reference, old.steps, old.sent))


def _forget_keys(txn: Txn) -> bool:
    found: list[tuple[Any, ...]] = [key for key, _ in islice(KEYS_1.scan(txn), CHUNK)]
    for key in found:
        KEYS_1.remove(txn, key)
    return bool(found)


class Customer2(msgspec.Struct, frozen=True, array_like=True):
    """A customer of schema 2."""

    id: int
    number: int
    name: str = ""
    language: str = ""
    source: str = "api"
    tags: tuple[str, ...] = ()
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


CUSTOMERS_2: Final = Octets("customers", "Q")
_CUSTOMER_2: Final = RecordCodec(Customer2)


def describe_customers(store: Store) -> None:
    """Schema 2 to 3."""
    last: int | None = 0
    while last is not None:
        last = store.write_now(_describe, last)


def _describe(txn: Txn, after: int) -> int | None:
    """Write the next customers anew; the id of the last one, None at the end."""
    found = list(islice(CUSTOMERS_2.scan(txn, after=after or None), CHUNK))
    for (identifier,), octets in found:
        if octets[0] != _CUSTOMER_2.version:
            continue  # written anew before the last run ended
        old = _CUSTOMER_2.decode(octets)
        new = Customer(
            identifier,
            old.number,
            name=old.name,
            granted=consent.standing(txn, old.number),
            tags=tags.require(txn, old.tags[: tags.ON_ONE_MOST], old.created_ms),
            language=old.language,
            source=old.source,
            created_ms=old.created_ms,
            reference=references.take(txn, references.CUSTOMER),
            updated_ms=old.updated_ms,
            version=old.version,
        )
        BY_REFERENCE.add(txn, new.reference, identifier)
        for index, key in keys_of(new):
            index.add(txn, *key)
        CUSTOMERS.put(txn, identifier, new)
    return found[-1][0][0] if found else None


MIGRATIONS: Final = {1: Migration(TABLES_1, pack_rows), 2: Migration((), describe_customers)}
