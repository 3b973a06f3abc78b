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

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from struct import pack
from typing import Final, NamedTuple

import msgspec

from engine.crm.people import consent, imports, references, words
from engine.crm.people.consent import CONSENTS, PURPOSES, Consent, Status
from engine.crm.people.customer import (
    BY_BIRTHDAY,
    BY_LIFECYCLE,
    BY_NUMBER,
    BY_REFERENCE,
    BY_REGION,
    BY_TAG,
    BY_WORD,
    CUSTOMERS,
    Customer,
    Key,
    Lifecycle,
    keys_of,
    numbers_of,
)
from engine.crm.people.import_rows import Cleaned
from engine.crm.people.imports import CREATED, Counts, Import, Place, Stage, Stretch
from engine.store import ids
from engine.store.table import Keyed, Txn

Items = list[tuple[bytes, bytes]]

ALONG: Final[tuple[Keyed, ...]] = (CUSTOMERS, BY_REFERENCE, BY_TAG, BY_REGION, BY_LIFECYCLE, BY_BIRTHDAY)
_GRANTING: Final = frozenset({Status.GRANTED, Status.WITHDRAWN})


class Range(NamedTuple):
    """What a stage was given: the first of its ids, and of its references."""

    first: int
    references: int
    at_ms: int


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


class Given(msgspec.Struct, frozen=True):
    """What whoever is new gets beside what his row says."""

    tags: tuple[int, ...] = ()
    region: int = 0
    lifecycle: Lifecycle = Lifecycle.LEAD


class Fresh:
    """The new customers of a stage, from cleaned rows to sorted entries.  A little at a time."""

    def __init__(self, record: Import, given: Given, cleaned: Cleaned, chosen: Sequence[int], of: Range) -> None:
        self._given = given
        self._cleaned = cleaned
        self._chosen = chosen  # places in `cleaned`, one for each id
        self._range = of
        self._by = imports.name_of(record.id)
        self._bits = 0
        if not record.double_opt_in:
            self._bits = sum(consent.bit(purpose) for purpose in record.purposes)
        status = Status.PENDING if record.double_opt_in else Status.GRANTED
        said = Consent(status, "import", self._by, of.at_ms, record.wording, record.created_by)
        self._said = CONSENTS.encoded(said)
        count = len(chosen)
        self.octets: list[bytes] = []  # of those that were built
        self._marks = array("q")  # what tells whether a record is as it was written
        self._tails = [
            (bytes([PURPOSES.index(purpose)]), of.first + place * count)
            for place, purpose in enumerate(record.purposes)
        ]
        self._words = WordLists()

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self._chosen)

    # -- records, and what is in their order

    def build(self, first: int, behind: int, into: dict[str, Items]) -> None:
        """Add the entries of customers number `first` to `behind` of the stage to `into`, a list for each table."""
        cleaned, given, at_ms, by, bits = self._cleaned, self._given, self._range.at_ms, self._by, self._bits
        records, tagged, placed, lived, born = (
            into[table.name] for table in (CUSTOMERS, BY_TAG, BY_REGION, BY_LIFECYCLE, BY_BIRTHDAY)
        )
        reference, identifier = self._range.references + first, self._range.first + first
        encoded, octets = CUSTOMERS.encoded, self.octets
        if first == len(octets):
            packed = pack(f">{behind - first}Q", *range(identifier, identifier + behind - first))
            octets += [packed[at : at + 8] for at in range(0, len(packed), 8)]
        all_numbers, names, lifecycles = cleaned.numbers, cleaned.names, cleaned.lifecycles
        all_regions, all_tags, others = cleaned.regions, cleaned.tags, cleaned.others
        for at in range(first, behind):
            place = self._chosen[at]
            key = octets[at]
            lifecycle = lifecycles[place]
            if lifecycle is None:
                lifecycle = given.lifecycle
            region = all_regions[place] or given.region
            tags = all_tags[place]
            if given.tags:
                tags = tuple(sorted({*tags, *given.tags}))
            customer = Customer(
                identifier, all_numbers[place], names[place], lifecycle, "", bits, region, 0, 0, tags,
                source="import", created_ms=at_ms, reference=reference, created_by=by, updated_ms=at_ms, updated_by=by,
            )  # fmt: skip
            if others and others[place]:
                customer = msgspec.structs.replace(customer, **others[place])
                if customer.birthday is not None:
                    day = customer.birthday
                    born.append((pack(">4B", day.calendar, day.month, day.day, day.leap) + key, b""))
            records.append((key, encoded(customer)))
            for tag in tags:
                tagged.append((pack(">I", tag) + key, b""))
            if region:
                placed.append((pack(">I", region) + key, b""))
            lived.append((_LIFECYCLES[lifecycle] + key, b""))
            identifier += 1
            reference += 1
        start = self._range.references
        into[BY_REFERENCE.name] += [(pack(">Q", start + at), octets[at]) for at in range(first, behind)]

    def mark(self, records: Items) -> None:
        """Remember records as they are about to be written: those of the next customers."""
        self._marks.extend(hash(octets) for _, octets in records)

    def mark_anew(self, anew: dict[bytes, bytes]) -> None:
        """Remember records that were written anew."""
        for key, octets in anew.items():
            self._marks[int.from_bytes(key, "big") - self._range.first] = hash(octets)

    def settling(self, first: int, behind: int, gone: set[int]) -> "Settling":
        """Customers `first` to `behind` as they were written."""
        marks = {self.octets[at]: self._marks[at] for at in range(first, behind) if at not in gone}
        return Settling(self, first, behind, marks)

    def written(self, at: int) -> Customer:
        """A customer as he was written, but for what was known of his consent."""
        into: dict[str, Items] = {table.name: [] for table in ALONG}
        self.build(at, at + 1, into)
        return CUSTOMERS.decode(self._range.first + at, into[CUSTOMERS.name][0][1])

    # -- numbers

    def number(self, at: int) -> int:
        """The number of customer `at` of the stage."""
        return self._cleaned.numbers[self._chosen[at]]

    @property
    def numbers(self) -> Callable[[int], int]:
        """`number`, as quick as it can be asked."""
        found, chosen = self._cleaned.numbers, self._chosen
        return found.__getitem__ if len(chosen) == len(found) else self.number  # places stand in order

    def sweep(self, order: list[int]) -> "Sweep":
        """What is written of these customers, who are in the order of their numbers."""
        found, chosen, octets = self._cleaned.numbers, self._chosen, self.octets
        packed = pack(f">{len(order)}Q", *[found[chosen[at]] for at in order])
        keys = [packed[at : at + 8] for at in range(0, len(packed), 8)]
        said: Items = []
        for purpose, first in self._tails:
            if first == self._range.first:
                ours = [octets[at] for at in order]
            else:
                packed = pack(f">{len(order)}Q", *[first + at for at in order])
                ours = [packed[at : at + 8] for at in range(0, len(packed), 8)]
            said += [(key + purpose + own, self._said) for key, own in zip(keys, ours, strict=True)]
        if len(self._tails) > 1:
            said.sort()
        return Sweep(list(zip(keys, [octets[at] for at in order], strict=True)), said)

    # -- words

    def gather(self, first: int, behind: int, gone: set[int]) -> None:
        """Note the words of customers `first` to `behind`, but for those that are gone."""
        names, chosen, octets, add = self._cleaned.names, self._chosen, self.octets, self._words.add
        for at in range(first, behind):
            if not gone or at not in gone:
                add(names[chosen[at]], octets[at])

    def words(self) -> Iterator[Items]:
        """Sorted entries of the words, in lots of some size."""
        return self._words.sorted()


class WordLists:
    """Who is called by which word: ids, as octets, in the order in which they came."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, list[bytes]] = {}
        self._by_token: dict[str, list[bytes] | None] = {}  # None for what is not one word

    def add(self, name: str, identifier: bytes) -> None:
        """Note the words of a name, as `words.of_name` finds them."""
        tokens = name.split(" ")
        found = []
        if len(tokens) <= _TOKENS_MOST:
            for token in tokens:
                lot = self._by_token.get(token) or self._list_of(token)
                if lot is None:
                    break
                found.append(lot)
            else:
                for lot in found:
                    lot.append(identifier)
                return
        for word in words.of_name(name):
            self._of_key(words.key(word)).append(identifier)

    def _list_of(self, token: str) -> list[bytes] | None:
        if token not in self._by_token:
            found = words.of_name(token)
            self._by_token[token] = self._of_key(words.key(found[0])) if len(found) == 1 else None
        return self._by_token[token]

    def _of_key(self, key: bytes) -> list[bytes]:
        return self._by_key.setdefault(key, [])

    def sorted(self) -> Iterator[Items]:
        """Entries in order, a lot for each beginning of a word."""
        beginnings: dict[bytes, list[bytes]] = {}
        for key in self._by_key:
            beginnings.setdefault(key[:2], []).append(key)
        for beginning in sorted(beginnings):
            lot: Items = []
            for key in sorted(beginnings[beginning]):
                lot += zip(map(key.__add__, self._by_key[key]), repeat(b""), strict=False)
            yield lot


_TOKENS_MOST: Final = 4
_LIFECYCLES: Final = {step: bytes([step]) for step in Lifecycle}


def lots(count: int, key: Callable[[int], int], size: int) -> Iterator[list[int] | None]:
    """Places from 0 to `count` in the order of their keys, in lots of about `size`; None: let others in."""
    if count <= size:
        yield sorted(range(count), key=key)
        return
    many = count // size
    sample = sorted(map(key, range(0, count, max(1, count // (32 * many)))))
    step = max(1, len(sample) // many)
    pivots = sample[step::step]
    found: list[list[int]] = [[] for _ in range(len(pivots) + 1)]
    for first in range(0, count, size):
        for at in range(first, min(first + size, count)):
            found[bisect_left(pivots, key(at))].append(at)
        yield None
    for place, lot in enumerate(found):
        if lot:
            lot.sort(key=key)
            yield lot
            found[place] = []


# -- what the writer does


class Sweep(NamedTuple):
    """Numbers and whose they are, and rows of consent; both in order."""

    numbers: Items
    consents: Items


class Swept(NamedTuple):
    """Ids (as octets) whose number was somebody else's by then, and records that were written anew."""

    taken: list[bytes]
    anew: dict[bytes, bytes]


def append(txn: Txn, into: dict[str, Items]) -> None:
    """Write records and what is in their order."""
    for table in ALONG:
        items = into[table.name]
        if items:
            if table is not CUSTOMERS and table is not BY_REFERENCE:
                items.sort()
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
    if said:
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
    """Customers of a stage, and by what it is told that they are still as they were written."""

    fresh: Fresh
    first: int
    behind: int
    marks: dict[bytes, int]


def settle(txn: Txn, settling: Settling) -> int:
    """Put right what was changed of these customers while they were on their way; how many those were."""
    fresh, first, behind, marks = settling
    last = int.from_bytes(fresh.octets[behind - 1], "big")
    now = {key: hash(octets) for key, octets in CUSTOMERS.between(txn, fresh.octets[first], pack(">Q", last + 1))}
    changed = [key for key, mark in marks.items() if now.get(key) != mark]
    begin = int.from_bytes(fresh.octets[0], "big")
    for key in changed:
        _mend(txn, fresh.written(int.from_bytes(key, "big") - begin))
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
