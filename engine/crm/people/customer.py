"""A customer: the record of one person, and the keys by which it is found."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import msgspec

from engine.crm.people import words
from engine.crm.people.dates import Day
from engine.crm.people.fields import Value
from engine.store.table import Index, Keyed, Table, Unique


class Lifecycle(IntEnum):
    """How far somebody came with us."""

    LEAD = 0
    PROSPECT = 1
    CUSTOMER = 2
    LOST = 3


class PhoneState(IntEnum):
    """Whether texts reach the number."""

    OK = 0
    SUSPECT = 1
    BAD = 2


class SpecialDay(msgspec.Struct, frozen=True, array_like=True):
    """A day that means something to a person: a wedding, the end of a policy."""

    name: str
    day: Day


class Money(msgspec.Struct, frozen=True, array_like=True):
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str


class Customer(msgspec.Struct, frozen=True, array_like=True):
    """A person.  Numbers are E.164 as integers; `granted` are the purposes that he agreed to, as bits of consent.py.

    `region`, `organisation`, `owner` and `tags` are numbers of theirs, 0 for none; `attrs` are values of own fields by
    the field's number.  `language` is BCP 47, `time_zone` an IANA name, `country` ISO 3166-1 alpha-2.  `version` steps
    with every change.

    Native code reads the fields by position: what conditions ask most stands ahead.
    """

    id: int
    number: int
    name: str = ""
    lifecycle: Lifecycle = Lifecycle.LEAD
    grade: str = ""
    granted: int = 0
    region: int = 0
    organisation: int = 0
    owner: int = 0
    tags: tuple[int, ...] = ()
    birthday: Day | None = None
    time_zone: str = ""
    language: str = ""
    country: str = ""
    city: str = ""
    gender: str = ""
    source: str = "api"
    source_code: str = ""
    phone_state: PhoneState = PhoneState.OK
    last_order_ms: int = 0
    last_seen_ms: int = 0
    created_ms: int = 0
    attrs: dict[int, Value] = {}
    special_days: tuple[SpecialDay, ...] = ()
    reference: int = 0
    name_sort: str = ""
    numbers: tuple[int, ...] = ()
    email: str = ""
    street: str = ""
    postcode: str = ""
    preferred_channel: str = ""
    preferred_hours: str = ""
    credit_limit: Money | None = None
    next_contact_ms: int = 0
    created_by: str = ""
    updated_ms: int = 0
    updated_by: str = ""
    version: int = 1


CUSTOMERS: Final = Table("customers", Customer, version=2)
BY_NUMBER: Final = Unique("customers_by_number", "Q")
BY_REFERENCE: Final = Unique("customers_by_reference", "Q")
BY_WORD: Final = Index("customers_by_word", f"{words.KEY_OCTETS}sQ")
BY_TAG: Final = Index("customers_by_tag", "IQ")
BY_REGION: Final = Index("customers_by_region", "IQ")
BY_LIFECYCLE: Final = Index("customers_by_lifecycle", "BQ")
BY_ORGANISATION: Final = Index("customers_by_organisation", "QQ")
BY_OWNER: Final = Index("customers_by_owner", "QQQ")  # staff, when to contact next, id
BY_BIRTHDAY: Final = Index("customers_by_birthday", "BBBBQ")  # calendar, month, day, leap, id
BY_SPECIAL_DAY: Final = Index("customers_by_special_day", "BBBBQ")

UNIQUES: Final = (BY_NUMBER, BY_REFERENCE)
INDEXES: Final = (
    BY_WORD, BY_TAG, BY_REGION, BY_LIFECYCLE, BY_ORGANISATION, BY_OWNER, BY_BIRTHDAY, BY_SPECIAL_DAY,
)  # fmt: skip

TABLES: Final[tuple[Keyed, ...]] = (CUSTOMERS, *UNIQUES, *INDEXES)

Key = tuple[int | bytes, ...]


def numbers_of(customer: Customer) -> tuple[int, ...]:
    """All the person's numbers, the first one first."""
    return (customer.number, *customer.numbers)


def keys_of(customer: Customer) -> Iterator[tuple[Index, Key]]:
    """Every entry that leads to the customer, but for those that lead to him alone."""
    identifier = customer.id
    for word in words.of_name(customer.name):
        yield BY_WORD, (words.key(word), identifier)
    for tag in customer.tags:
        yield BY_TAG, (tag, identifier)
    if customer.region:
        yield BY_REGION, (customer.region, identifier)
    yield BY_LIFECYCLE, (customer.lifecycle, identifier)
    if customer.organisation:
        yield BY_ORGANISATION, (customer.organisation, identifier)
    if customer.owner:
        yield BY_OWNER, (customer.owner, customer.next_contact_ms, identifier)
    if customer.birthday is not None:
        yield BY_BIRTHDAY, (*_yearly(customer.birthday), identifier)
    for special in customer.special_days:
        yield BY_SPECIAL_DAY, (*_yearly(special.day), identifier)


def _yearly(day: Day) -> tuple[int, int, int, int]:
    return day.calendar, day.month, day.day, int(day.leap)
