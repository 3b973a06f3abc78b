"""The new customers of an import's stage: from cleaned rows to entries in order, a little at a time.

What all rows have is packed by native code; what a row has beside it goes through the record.
"""

from array import array
from collections.abc import Iterable
from struct import pack
from typing import Any, Final

import msgspec

from engine._staging import Newcomers, Order
from engine._words import Words
from engine.crm.people import consent, imports, words
from engine.crm.people.consent import CONSENTS, PURPOSES, Consent, Status
from engine.crm.people.customer import (
    BY_BIRTHDAY,
    BY_LIFECYCLE,
    BY_REFERENCE,
    BY_REGION,
    BY_TAG,
    CUSTOMERS,
    Customer,
    Lifecycle,
)
from engine.crm.people.import_rows import Cleaned
from engine.crm.people.imports import Import
from engine.store.table import Keyed, Table

Items = Iterable[tuple[bytes, bytes]]
Batch = list[tuple[Keyed, Items]]

# What is in the order of ids, as native code builds it.
_BUILT: Final[tuple[Keyed, ...]] = (CUSTOMERS, BY_REFERENCE, BY_TAG, BY_REGION, BY_LIFECYCLE)

# The fields in which plain new customers differ, in the order in which a record has them.
_DIFFERING: Final = ("id", "number", "name", "lifecycle", "region", "tags", "reference")


class Range(msgspec.Struct, frozen=True):
    """What a stage was given: the first of its ids, and of its references."""

    first: int
    references: int
    at_ms: int


class Given(msgspec.Struct, frozen=True):
    """What whoever is new gets beside what his row says."""

    tags: tuple[int, ...] = ()
    region: int = 0
    lifecycle: Lifecycle = Lifecycle.LEAD


class Sweep(msgspec.Struct, frozen=True):
    """Numbers and whose they are, and rows of consent; both in order."""

    numbers: list[tuple[bytes, bytes]]
    consents: Items


class Fresh:
    """The new customers of a stage: customer `at` is the row at `chosen[at]`.  `order` has their numbers."""

    def __init__(
        self, record: Import, given: Given, cleaned: Cleaned, chosen: "array[int]", order: Order, of: Range
    ) -> None:
        self._given = given
        self._cleaned = cleaned
        self._chosen = chosen
        self._order = order
        self._range = of
        self._by = imports.name_of(record.id)
        self._bits = 0
        if not record.double_opt_in:
            self._bits = sum(consent.bit(purpose) for purpose in record.purposes)
        status = Status.PENDING if record.double_opt_in else Status.GRANTED
        said = Consent(status, "import", self._by, of.at_ms, record.wording, record.created_by)
        self._said = CONSENTS.encoded(said)
        count = len(chosen)
        self._tails = sorted(
            (PURPOSES.index(purpose), of.first + place * count) for place, purpose in enumerate(record.purposes)
        )
        self._newcomers = Newcomers(
            pieces(CUSTOMERS, Customer(0, 0, **self._alike)), cleaned.numbers, cleaned.names, cleaned.lifecycles,
            cleaned.regions, cleaned.tags, chosen, of.first, of.references,
            (given.tags, given.region, given.lifecycle),
        )  # fmt: skip
        self._words = Words()

    @property
    def _alike(self) -> dict[str, Any]:
        at_ms, by = self._range.at_ms, self._by
        return {
            "granted": self._bits, "source": "import", "created_ms": at_ms, "created_by": by, "updated_ms": at_ms,
            "updated_by": by,
        }  # fmt: skip

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self._chosen)

    def key(self, at: int) -> bytes:
        """The id of customer `at`, packed."""
        return pack(">Q", self._range.first + at)

    def place(self, key: bytes) -> int:
        """Which of them has this id."""
        return int.from_bytes(key, "big") - self._range.first

    # -- records, and what is in their order

    def build(self, first: int, behind: int) -> Batch:
        """Entries of customers `first` to `behind`, table by table: in order, and made when they are asked for."""
        built: Batch = list(zip(_BUILT, self._newcomers.build(first, behind), strict=True))
        if self._cleaned.others:
            records, born = self._enriched(first, built[0][1])
            built[0] = CUSTOMERS, records
            built.append((BY_BIRTHDAY, born))
        return built

    def _enriched(self, first: int, records: Items) -> tuple[Items, Items]:
        """Records with what only some have, and entries of birthdays."""
        others, chosen = self._cleaned.others, self._chosen
        found, born = list(records), []
        for at, (key, _) in enumerate(found, first):
            if others[chosen[at]]:
                customer = self.written(at)
                octets = CUSTOMERS.encoded(customer)
                found[at - first] = key, octets
                self._newcomers.mark(at, octets)
                day = customer.birthday
                if day is not None:
                    born.append((pack(">4B", day.calendar, day.month, day.day, day.leap) + key, b""))
        return found, sorted(born)

    def written(self, at: int) -> Customer:
        """A customer as he was written, but for what was known of his consent."""
        cleaned, given, place = self._cleaned, self._given, self._chosen[at]
        lifecycle = cleaned.lifecycles[place]
        return Customer(
            self._range.first + at,
            cleaned.numbers[place],
            cleaned.names[place],
            given.lifecycle if lifecycle is None else lifecycle,
            region=cleaned.regions[place] or given.region,
            tags=tuple(sorted({*cleaned.tags[place], *given.tags})),
            reference=self._range.references + at,
            **self._alike,
            **(cleaned.others[place] if cleaned.others else {}),
        )

    # -- numbers

    def sweep(self, first: int, behind: int) -> Sweep:
        """What is written of numbers `first` to `behind`, in their order."""
        numbers = self._order.numbers(first, behind, self._range.first)
        return Sweep(numbers, self._order.consents(first, behind, self._tails, self._said))

    # -- words

    def gather(self, first: int, behind: int, gone: set[int]) -> None:
        """Note the words of customers `first` to `behind`, but for those that are gone."""
        self._words.gather(self._cleaned.names, self._chosen, first, behind, gone, _keys_of)

    def sort_words(self) -> int:
        """Put the words in order: how many they are.  Takes long, without the interpreter."""
        self._words.sort()
        return len(self._words)

    def word_items(self, first: int, behind: int) -> Items:
        """Entries of words `first` to `behind`, in their order."""
        return self._words.items(first, behind, self._range.first)

    # -- whether they are as they were written

    def mark_anew(self, anew: dict[bytes, bytes]) -> None:
        """Remember records that were written anew."""
        for key, octets in anew.items():
            self._newcomers.mark(self.place(key), octets)

    def changed(self, items: list[tuple[bytes, bytes]], first: int, behind: int, gone: set[int]) -> list[int]:
        """Which of customers `first` to `behind`, whose records are `items`, are not as they were written."""
        return self._newcomers.changed(items, first, behind, gone)


def _keys_of(name: str) -> list[bytes]:
    return [words.key(word) for word in words.of_name(name)]


def pieces(table: Table[Customer], customer: Customer) -> list[bytes]:
    """The octets of a record before, between and behind the fields in which plain new customers differ."""
    fields = [msgspec.msgpack.encode(getattr(customer, name)) for name in Customer.__struct_fields__]
    whole = table.encoded(customer)
    found = [whole[: len(whole) - sum(map(len, fields))]]
    for name, octets in zip(Customer.__struct_fields__, fields, strict=True):
        if name in _DIFFERING:
            found.append(b"")
        else:
            found[-1] += octets
    return found
