"""Customers as JSON: what is taken, what is given."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine import numbers
from engine.access.caller import SENSITIVE, Caller
from engine.crm.people import consent, customers, dates, fields, organisations, references, regions, tags
from engine.crm.people.consent import Consent
from engine.crm.people.customer import Customer, Lifecycle, Money, PhoneState, SpecialDay
from engine.crm.people.customers import Source
from engine.store import ids
from engine.store.table import Txn
from server import sight, views, wire

LifecycleWord = Literal["lead", "prospect", "customer", "lost"]
Text = Annotated[str, Meta(max_length=customers.TEXT_LONGEST)]
Name = Annotated[str, Meta(max_length=customers.NAME_LONGEST)]
Words = Annotated[list[str], Meta(max_length=tags.ON_ONE_MOST)]
Date = str | dict[str, Any]
Purpose = Literal["marketing", "survey", "research", "service"]


class MoneyShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class AddressShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where somebody lives."""

    street: Text = ""
    postcode: Text = ""
    city: Text = ""


class SpecialDayShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A day that means something to a person; `date` as a birthday."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    date: Date


class CustomerChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be otherwise; what is left out stays.  Of `attrs` only the keys that are named; null takes one away.

    `class` is A, B or C; `birthday` 1990-10-02, --10-02, or an object with `calendar`; `region` a region's code;
    `numbers` are those beside the first.
    """

    number: str | UnsetType = UNSET
    numbers: Annotated[list[str], Meta(max_length=customers.NUMBERS_MOST)] | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    name_sort: Text | UnsetType = UNSET
    lifecycle: LifecycleWord | UnsetType = UNSET
    class_: Literal["", "A", "B", "C"] | UnsetType = msgspec.field(name="class", default=UNSET)
    region: Text | UnsetType | None = UNSET
    organisation: str | UnsetType | None = UNSET
    owner: str | UnsetType | None = UNSET
    tags: Words | UnsetType = UNSET
    birthday: Date | UnsetType | None = UNSET
    special_days: Annotated[list[SpecialDayShape], Meta(max_length=customers.SPECIAL_DAYS_MOST)] | UnsetType = UNSET
    time_zone: Text | UnsetType | None = UNSET
    language: Text | UnsetType | None = UNSET
    country: Text | UnsetType | None = UNSET
    address: AddressShape | UnsetType = UNSET
    email: Text | UnsetType | None = UNSET
    gender: Literal["", "female", "male", "other"] | UnsetType = UNSET
    source: Text | UnsetType = UNSET
    source_code: Text | UnsetType = UNSET
    preferred_channel: Literal["", "sms", "call", "email", "none"] | UnsetType = UNSET
    preferred_hours: Text | UnsetType = UNSET
    credit_limit: MoneyShape | UnsetType | None = UNSET
    next_contact_at: datetime | UnsetType | None = UNSET
    attrs: dict[str, Any] | UnsetType = UNSET


class NewCustomer(CustomerChange, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A customer; `number` is his first one."""

    number: str


class NewConsent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer agreed to or withdrew, and how that is known; `wording` is the version of the words.

    With status `ask` the customer is sent the question, and only a Y of his own within 24 hours grants it: `wording` is
    then the id of the words to ask in, or is left out, and `evidence` may be.
    """

    purpose: Purpose
    status: Literal["granted", "withdrawn", "ask"]
    method: Literal["web", "paper", "staff", "import", "api"]
    evidence: Annotated[str, Meta(max_length=1000)] = ""
    wording: Text = ""
    jurisdiction: Text = ""
    detail: Text = ""


class SourceView(msgspec.Struct, frozen=True):
    """Where a value came from, who entered it, and when."""

    source: str
    by: str | None
    at: str | None


class CustomerView(msgspec.Struct, frozen=True):
    """A customer.  `reference` is what staff call it; numbers are masked in lists."""

    id: str
    reference: str
    number: views.Phone | None
    numbers: list[views.Phone]
    name: str
    name_sort: str | None
    lifecycle: str
    class_: str | None = msgspec.field(name="class")
    region: str | None
    organisation: str | None
    owner: str | None
    tags: list[str]
    birthday: str | dict[str, Any] | None
    special_days: list[SpecialDayShape]
    time_zone: str | None
    language: str | None
    country: str | None
    address: AddressShape
    email: str | None
    gender: str | None
    source: str
    source_code: str | None
    phone_state: str
    preferred_channel: str | None
    preferred_hours: str | None
    credit_limit: MoneyShape | None
    next_contact_at: str | None
    last_order_at: str | None
    last_seen_at: str | None
    attrs: dict[str, Any]
    created_at: str | None
    updated_at: str | None
    version: int
    consent: dict[str, views.ConsentView | None] | UnsetType = UNSET
    sources: dict[str, SourceView] | UnsetType = UNSET


class CustomerPage(msgspec.Struct, frozen=True):
    """Customers; `next` is the cursor of the following page, or null."""

    items: list[CustomerView]
    next: str | None


class ConsentRowView(msgspec.Struct, frozen=True):
    """One thing that was said about one purpose."""

    id: str
    purpose: str
    status: str
    method: str
    detail: str | None
    evidence: str
    wording: str | None
    jurisdiction: str | None
    at: str | None
    by: str | None


class ConsentHistory(msgspec.Struct, frozen=True):
    """All that was ever said, by purpose and the oldest first."""

    items: list[ConsentRowView]


# -- in

_PLAIN: Final = (
    "name", "name_sort", "gender", "source", "source_code", "preferred_channel", "preferred_hours", "time_zone",
    "language", "country", "email",
)  # fmt: skip


def changes_of(txn: Txn, said: CustomerChange, country: str | None, now_ms: int) -> dict[str, Any]:
    """The fields of a record that a caller spoke of; tags that are new are made.  Raises Invalid naming the field."""
    given = {name: value for name in said.__struct_fields__ if (value := getattr(said, name)) is not UNSET}
    changes: dict[str, Any] = {name: given[name] or "" for name in _PLAIN if name in given}
    if "number" in given:
        changes["number"] = numbers.to_key(numbers.parse(given["number"], country, "number"))
    if "numbers" in given:
        changes["numbers"] = tuple(
            numbers.to_key(numbers.parse(text, country, f"numbers[{place}]"))
            for place, text in enumerate(given["numbers"])
        )
    if "lifecycle" in given:
        changes["lifecycle"] = Lifecycle[given["lifecycle"].upper()]
    if "class_" in given:
        changes["grade"] = given["class_"]
    if "region" in given:
        changes["region"] = regions.require(txn, given["region"]) if given["region"] else 0
    if "organisation" in given:
        changes["organisation"] = (
            ids.parse("org", given["organisation"], "organisation") if given["organisation"] else 0
        )
    if "owner" in given:
        changes["owner"] = ids.parse("stf", given["owner"], "owner") if given["owner"] else 0
    if "tags" in given:
        changes["tags"] = tags.require(txn, given["tags"], now_ms)
    if "birthday" in given:
        changes["birthday"] = None if given["birthday"] is None else dates.parse(given["birthday"], "birthday")
    if "special_days" in given:
        changes["special_days"] = tuple(
            SpecialDay(special.name, dates.parse(special.date, f"special_days[{place}].date"))
            for place, special in enumerate(given["special_days"])
        )
    if "address" in given:
        address = given["address"]
        changes |= {"street": address.street, "postcode": address.postcode, "city": address.city}
    if "credit_limit" in given:
        limit = given["credit_limit"]
        changes["credit_limit"] = None if limit is None else Money(limit.amount_minor, limit.currency)
    if "next_contact_at" in given:
        changes["next_contact_ms"] = wire.time_ms(given["next_contact_at"], "next_contact_at")
    if "attrs" in given:
        changes["attrs"] = fields.parse(fields.by_key(txn), given["attrs"])
    return changes


# -- out


def view(
    txn: Txn,
    record: Customer,
    caller: Caller,
    *,
    whole: bool = False,
    said: dict[str, views.ConsentView | None] | UnsetType = UNSET,
    sources: dict[str, SourceView] | UnsetType = UNSET,
) -> CustomerView:
    """A customer as JSON, as much as the caller sees; in a list, which is not `whole`, as masks."""
    lines = {part: line for part in ("street", "postcode", "city") if (line := getattr(record, part))}
    address = sight.address(caller, lines, whole=whole) or {}
    own = {field.id: field for field in fields.listed(txn)} if record.attrs else {}
    limit = record.credit_limit
    return CustomerView(
        id=customers.name_of(record.id),
        reference=references.render(references.CUSTOMER, record.reference),
        number=sight.number(caller, record.number, whole=whole),
        numbers=[shown for key in record.numbers if (shown := sight.number(caller, key, whole=whole))],
        name=record.name,
        name_sort=record.name_sort or None,
        lifecycle=record.lifecycle.name.lower(),
        class_=record.grade or None,
        region=regions.code_of(txn, record.region) or None,
        organisation=organisations.name_of(record.organisation) if record.organisation else None,
        owner=ids.render("stf", record.owner) if record.owner else None,
        tags=tags.names(txn, record.tags),
        birthday=None if record.birthday is None else _day(caller, record.birthday, whole=whole),
        special_days=[
            SpecialDayShape(special.name, told)
            for special in record.special_days
            if (told := _day(caller, special.day, whole=whole)) is not None
        ],
        time_zone=record.time_zone or None,
        language=record.language or None,
        country=record.country or None,
        address=AddressShape(**address),
        email=sight.email(caller, record.email, whole=whole),
        gender=record.gender or None,
        source=record.source,
        source_code=record.source_code or None,
        phone_state=PhoneState(record.phone_state).name.lower(),
        preferred_channel=record.preferred_channel or None,
        preferred_hours=record.preferred_hours or None,
        credit_limit=None if limit is None else MoneyShape(limit.amount_minor, limit.currency),
        next_contact_at=wire.time(record.next_contact_ms),
        last_order_at=wire.time(record.last_order_ms),
        last_seen_at=wire.time(record.last_seen_ms),
        attrs={
            own[number].key: fields.write(own[number], value)
            for number, value in record.attrs.items()
            if not own[number].sensitive or (whole and all(caller.sees(field) == "full" for field in SENSITIVE))
        },
        created_at=wire.time(record.created_ms),
        updated_at=wire.time(record.updated_ms),
        version=record.version,
        consent=said,
        sources=sources,
    )


def _day(caller: Caller, day: dates.Day, *, whole: bool) -> str | dict[str, Any] | None:
    told = dates.said(day)
    if isinstance(told, str):
        return sight.birthday(caller, told, whole=whole)
    seen = caller.sees("birthday")
    if seen == "none":
        return None
    return told if whole and seen == "full" else {"calendar": told["calendar"], "month": told["month"]}


def source(record: Source) -> SourceView:
    """Where a value came from, as JSON."""
    return SourceView(record.source, record.by or None, wire.time(record.at_ms))


def sources_of(found: dict[str, Source]) -> dict[str, SourceView]:
    """By the names that the fields have in JSON."""
    return {_NAMED.get(name, name): source(record) for name, record in found.items()}


_NAMED: Final = {
    "grade": "class",
    "last_order_ms": "last_order_at",
    "last_seen_ms": "last_seen_at",
    "next_contact_ms": "next_contact_at",
}


def consents(rows: list[tuple[str, int, Consent]]) -> ConsentHistory:
    """The history of somebody's consents as JSON."""
    return ConsentHistory(
        [
            ConsentRowView(
                ids.render("con", identifier),
                purpose,
                row.status.value,
                row.method,
                row.detail or None,
                row.evidence,
                row.wording or None,
                row.jurisdiction or None,
                wire.time(row.at_ms),
                row.by or None,
            )
            for purpose, identifier, row in rows
        ]
    )


def newest(txn: Txn, number: int) -> dict[str, views.ConsentView | None]:
    """The newest word on each purpose."""
    return {purpose: wire.consented(consent.newest(txn, number, purpose)) for purpose in consent.NEEDED}
