"""Greetings as JSON."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine import sms
from engine.crm.marketing import greetings
from engine.crm.marketing.greeter import Preview
from engine.crm.marketing.greetings import Rule
from engine.crm.people import condition_json, condition_text, customers, references
from engine.crm.people.customer import CUSTOMERS
from engine.store.table import Txn
from server import wire
from server.shapes.coupons import CouponTerms, TermsView, terms, terms_of

Name = Annotated[str, Meta(min_length=1, max_length=greetings.NAME_LONGEST)]
When = Annotated[str, Meta(min_length=1, max_length=100)]
Offset = Annotated[int, Meta(ge=-greetings.OFFSET_DAYS, le=greetings.OFFSET_DAYS)]
TimeOfDayEnd = Annotated[str, Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
TimeOfDay = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Language = Annotated[str, Meta(pattern="^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]  # BCP 47
Words = Annotated[str, Meta(min_length=1, max_length=greetings.TEXT_LONGEST)]
Texts = Words | dict[Language, Words]
Segment = str | dict[str, Any]
LeapPolicy = Literal["first", "leap"]
Feb29 = Literal["before", "after"]
GreetingPurpose = Literal["marketing", "service"]
CouponDays = Annotated[int, Meta(ge=0, le=greetings.VALID_DAYS)]


class NewGreeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule, as a draft.

    `when` is birthday, membership_year, created_year, special:<name of a special day>, festival:<id> or field:<key of
    an own field of kind day or date>; the text goes `offset_days` after it, when clocks where the person lives show
    `send_at`, or later where we were not at work, until `send_until`.

    `leap_policy` says when somebody born in a leap month is greeted in a year that has that month, `feb29`
    in which direction a missing 29 February moves.  `segment` is a segment's name, or a condition in the text form or
    as JSON; left out, everybody is meant.

    `text` is one text, or one by language, and may speak of {name}, {house}, {day}, {years}, {festival} and {coupon}.
    A `coupon` is issued to each who is greeted, and good for `coupon_days`.  A coupon, a link or `is_offer` needs the
    purpose marketing.
    """

    name: Name
    when: When
    text: Texts
    offset_days: Offset = 0
    send_at: TimeOfDay = "09:00"
    leap_policy: LeapPolicy = "first"
    feb29: Feb29 = "before"
    purpose: GreetingPurpose = "marketing"
    is_offer: bool = False
    segment: Segment | None = None
    coupon: CouponTerms | None = None
    coupon_days: CouponDays = 0
    send_until: TimeOfDayEnd = "24:00"


class GreetingChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    name: Name | UnsetType = UNSET
    when: When | UnsetType = UNSET
    text: Texts | UnsetType = UNSET
    offset_days: Offset | UnsetType = UNSET
    send_at: TimeOfDay | UnsetType = UNSET
    leap_policy: LeapPolicy | UnsetType = UNSET
    feb29: Feb29 | UnsetType = UNSET
    purpose: GreetingPurpose | UnsetType = UNSET
    is_offer: bool | UnsetType = UNSET
    segment: Segment | UnsetType | None = UNSET
    coupon: CouponTerms | UnsetType | None = UNSET
    coupon_days: CouponDays | UnsetType = UNSET
    send_until: TimeOfDayEnd | UnsetType = UNSET


class GreetingView(msgspec.Struct, frozen=True):
    """A rule; `segment` is its condition in the text form."""

    id: str
    name: str
    state: str
    when: str
    offset_days: int
    send_at: str
    send_until: str
    leap_policy: str
    feb29: str
    purpose: str
    is_offer: bool
    segment: str | None
    text: dict[str, str]
    coupon: TermsView | None
    coupon_days: int
    created_at: str | None
    created_by: str | None
    updated_at: str | None
    version: int


class GreetingPage(msgspec.Struct, frozen=True):
    """Rules, the oldest first; `next` is the cursor of the following page, or null."""

    items: list[GreetingView]
    next: str | None


class GreetedView(msgspec.Struct, frozen=True):
    """Somebody who is greeted."""

    id: str
    reference: str
    name: str


class GreetingPreview(msgspec.Struct, frozen=True):
    """Whom a rule greets on a day, and of how many parts the first one's text is.

    Of `total` people who have their day `greeted` were texted for it before, `refused` may not be texted for the rule's
    purpose, and `incomplete` lack what the text speaks of; `customers` are the first of all of them.
    """

    date: str
    total: int
    greeted: int
    refused: int
    incomplete: int
    customers: list[GreetedView]
    text: str | None
    parts: int | None


class UpcomingDay(msgspec.Struct, frozen=True):
    """A day on which so many have theirs."""

    date: str
    count: int


class UpcomingList(msgspec.Struct, frozen=True):
    """The days on which somebody is greeted, in order."""

    items: list[UpcomingDay]


def minutes_of(clock: str) -> int:
    """`09:30` in minutes from midnight."""
    return 60 * int(clock[:2]) + int(clock[3:])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _texts(text: str | dict[str, str], language: str) -> dict[str, str]:
    return {language: text} if isinstance(text, str) else dict(text)


def rule_of(txn: Txn, given: NewGreeting, language: str) -> Rule:
    """A new rule as the engine knows it; a text without a language is in the house's.

    Raises Invalid, NotFound for a segment that there is not.
    """
    return Rule(
        0,
        given.name,
        given.when,
        _texts(given.text, language),
        given.offset_days,
        minutes_of(given.send_at),
        given.leap_policy,
        given.feb29,
        given.purpose,
        given.is_offer,
        None if given.segment is None else greetings.read_segment(txn, given.segment),
        None if given.coupon is None else terms_of(given.coupon),
        given.coupon_days,
        send_until=minutes_of(given.send_until),
    )


def changes_of(txn: Txn, given: GreetingChange, language: str) -> dict[str, Any]:
    """The fields of a record that a change replaces.  Raises as `rule_of` does."""
    changes: dict[str, Any] = {
        name: value
        for name in ("name", "when", "offset_days", "feb29", "purpose", "is_offer", "coupon_days")
        if (value := getattr(given, name)) is not UNSET
    }
    if given.leap_policy is not UNSET:
        changes["leap_month"] = given.leap_policy
    if given.send_at is not UNSET:
        changes["send_at"] = minutes_of(given.send_at)
    if given.send_until is not UNSET:
        changes["send_until"] = minutes_of(given.send_until)
    if given.text is not UNSET:
        changes["texts"] = _texts(given.text, language)
    if given.segment is not UNSET:
        changes["segment"] = None if given.segment is None else greetings.read_segment(txn, given.segment)
    if given.coupon is not UNSET:
        changes["coupon"] = None if given.coupon is None else terms_of(given.coupon)
    return changes


def greeting(record: Rule) -> GreetingView:
    """A rule as JSON."""
    segment = None if record.segment is None else condition_text.write(condition_json.from_json(record.segment))
    return GreetingView(
        greetings.name_of(record.id),
        record.name,
        record.state.value,
        record.when,
        record.offset_days,
        _clock(record.send_at),
        _clock(record.send_until),
        record.leap_month,
        record.feb29,
        record.purpose,
        record.is_offer,
        segment,
        record.texts,
        None if record.coupon is None else terms(record.coupon),
        record.coupon_days,
        wire.time(record.created_ms),
        record.created_by or None,
        wire.time(record.updated_ms),
        record.version,
    )


def preview(txn: Txn, day: date, found: Preview) -> GreetingPreview:
    """What a preview found as JSON; who is gone since is left out."""
    people = [person for identifier in found.people if (person := CUSTOMERS.find(txn, identifier)) is not None]
    return GreetingPreview(
        day.isoformat(),
        found.total,
        found.greeted,
        found.refused,
        found.incomplete,
        [
            GreetedView(
                customers.name_of(person.id),
                references.render(references.CUSTOMER, person.reference),
                person.name,
            )
            for person in people
        ],
        found.text or None,
        sms.measure(found.text).parts if found.text else None,
    )


def upcoming(found: dict[date, int]) -> UpcomingList:
    """Counts by day as JSON."""
    return UpcomingList([UpcomingDay(day.isoformat(), count) for day, count in found.items()])
