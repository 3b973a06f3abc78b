"""The dossier: everything that is kept of one person, chapter by chapter, for the person.

A chapter is read in pages, each in a snapshot of its own, since a person may have very many texts.  What a page gives
are records as they are kept; who shows them shows no more of them than its caller may see.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from engine import numbers
from engine.crm import erasure, merging
from engine.crm.marketing import coupons, ledger, members, responses, topics
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.crm.people import audit, consent, customers, happenings
from engine.crm.people.audit import By
from engine.crm.people.customer import Customer, numbers_of
from engine.crm.people.member import MEMBERS
from engine.crm.people.timeline import TIMELINE
from engine.store.table import Txn
from engine.traffic import events, inbox, messages

PAGE: Final = 200  # records


class Page(NamedTuple):
    """Records, and the place to go on behind, None at the end."""

    records: list[Any]
    after: Any


Chapter = Callable[[Txn, Customer, Any], Page]


def begin(txn: Txn, identifier: int, now_ms: int, by: By) -> Customer:
    """Note that somebody takes everything of a person away, and for whom it is.  Raises Forbidden, NotFound."""
    by.caller.require("customers:export")
    customer = customers.require(txn, identifier)
    name = customers.name_of(identifier)
    audit.append(txn, by, "customer.exported", name, now_ms)
    events.append(txn, "customer.exported", now_ms, name)
    return customer


def _of_numbers(customer: Customer, after: Any, read: Callable[[int, int], list[Any]]) -> Page:
    """A page of what is listed by number and id: `after` is which number, and the id to go on below."""
    place, before = after or (0, 0)
    own = numbers_of(customer)
    found = read(own[place], before)
    if len(found) == PAGE:
        return Page(found, (place, found[-1].id))
    return Page(found, (place + 1, 0) if place + 1 < len(own) else None)


def _sent(txn: Txn, customer: Customer, after: Any) -> Page:
    """Message, those of each number newest first."""

    def read(number: int, before: int) -> list[Any]:
        return list(messages.listed(txn, numbers.from_key(number), before, PAGE))

    return _of_numbers(customer, after, read)


def _received(txn: Txn, customer: Customer, after: Any) -> Page:
    """Received, those of each number newest first."""

    def read(number: int, before: int) -> list[Any]:
        return list(inbox.listed(txn, numbers.from_key(number), before, PAGE))

    return _of_numbers(customer, after, read)


def _campaigns(txn: Txn, customer: Customer, after: Any) -> Page:
    """Campaign, each that he was a recipient of."""
    place, before, seen = after or (0, 0, frozenset[int]())
    own = numbers_of(customer)
    identifiers = list(islice(messages.of_number(txn, own[place], before), PAGE))
    found = (messages.find(txn, identifier) for identifier in identifiers)
    groups = {message.group for message in found if message is not None and message.group} - seen
    records = [campaign for group in sorted(groups) if (campaign := CAMPAIGNS.find(txn, group)) is not None]
    if len(identifiers) == PAGE:
        return Page(records, (place, identifiers[-1], seen | groups))
    return Page(records, (place + 1, 0, seen | groups) if place + 1 < len(own) else None)


def _responses(txn: Txn, customer: Customer, after: Any) -> Page:
    """(campaign, Response): what he did about each that he was a recipient of."""
    place, before = after or (0, 0)
    own = numbers_of(customer)
    identifiers = list(islice(messages.of_number(txn, own[place], before), PAGE))
    records = responses.of_messages(txn, identifiers)
    if len(identifiers) == PAGE:
        return Page(records, (place, identifiers[-1]))
    return Page(records, (place + 1, 0) if place + 1 < len(own) else None)


def _consents(txn: Txn, customer: Customer, after: Any) -> Page:
    """(number, purpose, id, Consent): all of one number at a time, who says little of it."""
    place = after or 0
    own = numbers_of(customer)
    rows = [(own[place], *row) for row in consent.history(txn, own[place])]
    return Page(rows, place + 1 if place + 1 < len(own) else None)


def _timeline(txn: Txn, customer: Customer, after: Any) -> Page:
    """(id, Entry) of what is noted, the oldest first; texts have chapters of their own."""
    begun = None if after is None else (customer.id, after)
    found = [(key[1], entry) for key, entry in islice(TIMELINE.scan(txn, customer.id, after=begun), PAGE)]
    return Page(found, found[-1][0] if len(found) == PAGE else None)


def _happenings(txn: Txn, customer: Customer, after: Any) -> Page:
    """(kind, Happening), of one kind at a time, the oldest first."""
    place = after or 0
    kind = happenings.KINDS[place]
    found = [(kind, happening) for happening in happenings.of(txn, customer.id, kind)]
    return Page(found, place + 1 if place + 1 < len(happenings.KINDS) else None)


def _members(txn: Txn, customer: Customer, _after: Any) -> Page:
    """(id, Member): his card, and those of the records that became his."""
    found = [(one, MEMBERS.find(txn, one)) for one in _ids(txn, customer)]
    return Page([(one, member) for one, member in found if member is not None], None)


def _points(txn: Txn, customer: Customer, after: Any) -> Page:
    """(place, Row) of the ledger, newest first, card by card."""
    card, before = after or (0, None)
    own = _ids(txn, customer)
    found = ledger.history(txn, own[card], before, PAGE)
    if len(found) == PAGE:
        return Page(found, (card, found[-1][0][1:]))
    return Page(found, (card + 1, None) if card + 1 < len(own) else None)


def _coupons(txn: Txn, customer: Customer, after: Any) -> Page:
    """(id, Coupon), newest first."""
    found = list(coupons.listed(txn, after or 0, PAGE, customer.id))
    return Page(found, found[-1][0] if len(found) == PAGE else None)


def _subscriptions(txn: Txn, customer: Customer, _after: Any) -> Page:
    """(Topic, Subscription), the oldest topic first."""
    return Page(list(topics.of_customer(txn, customer.id)), None)


def _audit(txn: Txn, customer: Customer, after: Any) -> Page:
    """audit.Row of what was done to him and his card, newest first, id by id."""
    place, before = after or (0, 0)
    own = _ids(txn, customer)
    targets = [*map(customers.name_of, own), *map(members.name_of, own)]
    found = audit.listed(txn, PAGE, before=before, target=targets[place])
    if len(found) == PAGE:
        return Page(found, (place, found[-1].id))
    return Page(found, (place + 1, 0) if place + 1 < len(targets) else None)


def _erasures(txn: Txn, customer: Customer, _after: Any) -> Page:
    """Erasure: those that were asked for and came to nothing."""
    return Page([erasure.get(txn, key[1]) for key in erasure.OF_CUSTOMER.scan(txn, customer.id)], None)


def _ids(txn: Txn, customer: Customer) -> list[int]:
    return [customer.id, *merging.former(txn, customer.id)]


CHAPTERS: Final[dict[str, Chapter]] = {
    "consents": _consents,
    "messages": _sent,
    "received": _received,
    "campaigns": _campaigns,
    "responses": _responses,
    "timeline": _timeline,
    "happenings": _happenings,
    "members": _members,
    "points": _points,
    "coupons": _coupons,
    "subscriptions": _subscriptions,
    "audit": _audit,
    "erasures": _erasures,
}


def pages(txn: Txn, customer: Customer, chapter: str) -> Iterator[Page]:
    """All pages of a chapter in one snapshot: for who has time."""
    after: Any = None
    while True:
        page = CHAPTERS[chapter](txn, customer, after)
        yield page
        if page.after is None:
            return
        after = page.after
