"""Stages of imports: new customers by the ten thousand, in changes that are so short that small ones come between.

Rules of this file:

1. Records go first, in the order of their ids, with what is in the order of ids too: references, tags, regions and
   lifecycles.  Then the numbers, sorted, each with what its holder agreed to; then the words of the names, sorted.
2. What is under way is told in the import before its first record is written, so that a start after a power cut can
   take it back and begin the stage again.
3. The world goes on meanwhile.  Whoever takes a number before its turn has it: the record that was staged goes, and
   its row changes that customer.  Who said no before is not made to say yes by a file.  Whoever changed a staged
   customer is right.
"""

from typing import Final, NamedTuple

import msgspec

from engine.crm.people import consent, imports, references
from engine.crm.people.consent import CONSENTS, PURPOSES, Status
from engine.crm.people.customer import (
    BY_NUMBER,
    BY_REFERENCE,
    BY_WORD,
    CUSTOMERS,
    Customer,
    Key,
    keys_of,
    numbers_of,
)
from engine.crm.people.import_fresh import Batch, Fresh, Items, Range, Sweep
from engine.crm.people.imports import CREATED, Counts, Import, Place, Stage, Stretch
from engine.store import ids
from engine.store.table import Txn

_GRANTING: Final = frozenset({Status.GRANTED, Status.WITHDRAWN})


def open_stage(txn: Txn, identifier: int, count: int, now_ms: int) -> Range:
    """Take ids for `count` new customers and say that they are on their way."""
    record = imports.IMPORTS.get(txn, identifier)
    # What people agree to has ids of its own kind: one for each customer and purpose.
    first = ids.take(txn, now_ms, count * max(1, len(record.purposes)))
    CREATED.put(txn, (identifier, first), count)
    imports.change(txn, record, now_ms, stage=Stage(first, count))
    return Range(first, references.take(txn, references.CUSTOMER, count), now_ms)


def close_stage(
    txn: Txn, identifier: int, counts: Counts, place: Place, stretches: list[Stretch], now_ms: int
) -> Import:
    """The stage counts: its rows' fates, and where the next one begins."""
    record = imports.IMPORTS.get(txn, identifier)
    imports.write_stretches(txn, identifier, True, stretches)
    return imports.change(txn, record, now_ms, counts=counts, place=place, stage=None)


# -- what the writer does


class Swept(NamedTuple):
    """Ids (as octets) whose number was somebody else's by then, and records that were written anew."""

    taken: list[bytes]
    anew: dict[bytes, bytes]


def append(txn: Txn, batch: Batch) -> None:
    """Write records and what is in their order."""
    for table, items in batch:
        table.put_many(txn, items)


def write_sweep(txn: Txn, sweep: Sweep) -> Swept:
    """Write a lot of numbers and what their holders agreed to."""
    heard = set(CONSENTS.begun(txn, [key for key, _ in sweep.numbers])) if CONSENTS.any(txn) else set[bytes]()
    taken: list[bytes] = []
    said = sweep.consents
    if not BY_NUMBER.put_new(txn, sweep.numbers):
        owners = BY_NUMBER.find_many(txn, [key for key, _ in sweep.numbers])
        lost = {key for key, owner in sweep.numbers if owners[key] != owner}
        taken = [owner for key, owner in sweep.numbers if key in lost]
        said = [item for item in said if item[0][:8] not in lost]
        heard -= lost
        for owner in taken:
            unstage(txn, int.from_bytes(owner, "big"))
    if heard:
        said = [item for item in said if item[0][:8] not in heard or _is_open(txn, item[0])]
    CONSENTS.put_many(txn, said)
    anew = {}
    for key, owner in sweep.numbers:
        if key in heard:
            number, identifier = int.from_bytes(key, "big"), int.from_bytes(owner, "big")
            record = CUSTOMERS.find(txn, identifier)
            granted = consent.standing(txn, number)
            if record is not None and record.number == number and record.granted != granted:
                record = msgspec.structs.replace(record, granted=granted)
                CUSTOMERS.put(txn, identifier, record)
                anew[owner] = CUSTOMERS.encoded(record)
    return Swept(taken, anew)


def _is_open(txn: Txn, key: bytes) -> bool:
    """Whether nobody has said yes or no to the purpose so far."""
    row = consent.newest(txn, int.from_bytes(key[:8], "big"), PURPOSES[key[8]])
    return row is None or row.status not in _GRANTING


def write_words(txn: Txn, items: Items) -> None:
    """Write a lot of words."""
    BY_WORD.put_many(txn, items)


def unstage(txn: Txn, identifier: int) -> Customer | None:
    """Take a customer away with every entry that leads to him, whether it was written yet or not."""
    record = CUSTOMERS.find(txn, identifier)
    if record is None:
        return None
    for number in numbers_of(record):
        if BY_NUMBER.find(txn, number) == identifier:
            BY_NUMBER.remove(txn, number)
    if BY_REFERENCE.find(txn, record.reference) == identifier:
        BY_REFERENCE.remove(txn, record.reference)
    for index, key in keys_of(record):
        index.remove(txn, *key)
    CUSTOMERS.remove(txn, identifier)
    return record


class Settling(NamedTuple):
    """Customers of a stage, but for those that are gone."""

    fresh: Fresh
    first: int
    behind: int
    gone: set[int]


def settle(txn: Txn, settling: Settling) -> int:
    """Put right what was changed of these customers while they were on their way; how many those were."""
    fresh, first, behind, gone = settling
    changed = fresh.changed(CUSTOMERS.between(txn, fresh.key(first), fresh.key(behind)), first, behind, gone)
    for at in changed:
        _mend(txn, fresh.written(at))
    return len(changed)


def _mend(txn: Txn, staged: Customer) -> None:
    current = CUSTOMERS.find(txn, staged.id)
    wanted: set[tuple[str, Key]] = set() if current is None else {(one.name, key) for one, key in keys_of(current)}
    for index, key in keys_of(staged):
        if (index.name, key) not in wanted:
            index.remove(txn, *key)
    kept = () if current is None else numbers_of(current)
    for number in numbers_of(staged):
        if number not in kept and BY_NUMBER.find(txn, number) == staged.id:
            BY_NUMBER.remove(txn, number)


def complete(txn: Txn, record: Customer) -> None:
    """Write every entry of a customer that is to stay, whether it was written or not."""
    for number in numbers_of(record):
        BY_NUMBER.add(txn, number, record.id)
    BY_REFERENCE.add(txn, record.reference, record.id)
    for index, key in keys_of(record):
        index.add(txn, *key)
