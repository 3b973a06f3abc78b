"""Merging, erasure and everything that is kept of a person, as JSON."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.access.caller import Caller
from engine.crm import erasure as erasures
from engine.crm import merging
from engine.crm.erasure import Erasure
from engine.crm.marketing import campaigns, days, tiers
from engine.crm.marketing.campaigns import Campaign
from engine.crm.merging import Pair, Plan
from engine.crm.people import customers, dates, fields, organisations, references, regions
from engine.crm.people.customer import CUSTOMERS, Customer, Lifecycle, Money
from engine.crm.people.dates import Day
from engine.store import ids
from engine.store.table import Txn
from server import sight, views, wire
from server.shapes import audit as log
from server.shapes import coupons as given
from server.shapes import customers as people
from server.shapes import happenings as happened
from server.shapes import members as club
from server.shapes import topics as subscribed


class NewMerge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose record is to become this one's."""

    other_id: str


class DifferenceView(msgspec.Struct, frozen=True):
    """A field that both have set: the kept one's value stays."""

    field: str
    kept: Any
    other: Any


class MergeView(msgspec.Struct, frozen=True):
    """What a merge changes of the record that is kept, by field, and what it does not."""

    id: str
    merged: str
    changes: list[str]
    differences: list[DifferenceView]


class TwinView(msgspec.Struct, frozen=True):
    """One of two who may be one; the number is masked."""

    id: str
    reference: str
    name: str
    number: views.Phone | None
    created_at: str | None


class PairView(msgspec.Struct, frozen=True):
    """Two who may be one, the older first; `reasons` are name_birthday, name_email and number."""

    older: TwinView
    newer: TwinView
    reasons: list[str]


class PairPage(msgspec.Struct, frozen=True):
    """Pairs; `next` is the cursor of the following page, or null.  A page may be empty and not the last."""

    items: list[PairView]
    next: str | None


class NewErasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without a challenge, the question; with the one that was given, the deed."""

    challenge: Annotated[str, Meta(min_length=4, max_length=10)] | None = None


class ErasureView(msgspec.Struct, frozen=True):
    """An erasure.  `challenge` is told once, to be repeated before `challenge_until`.

    `compacted_at`: since when the data file holds nothing of the person; that comes with the next start of the server.
    `backups_gone_by`: the day behind which no backup does that is kept for 30 days, if it is compacted today where it
    was not yet.
    """

    id: str
    reference: str
    customer_id: str
    state: str
    asked_at: str | None
    asked_by: str
    confirmed_at: str | None
    confirmed_by: str | None
    done_at: str | None
    compacted_at: str | None
    backups_gone_by: str | None
    challenge: str | UnsetType = UNSET
    challenge_until: str | UnsetType | None = UNSET


class ErasurePage(msgspec.Struct, frozen=True):
    """Erasures, newest first."""

    items: list[ErasureView]
    next: str | None


class NumberedConsentView(msgspec.Struct, frozen=True):
    """What was said about one purpose, and of which number."""

    number: views.Phone | None
    row: people.ConsentRowView


class RecipientOfView(msgspec.Struct, frozen=True):
    """A campaign that somebody was a recipient of."""

    id: str
    name: str
    purpose: str
    consent_basis: str | None
    created_at: str | None


class ResponseView(msgspec.Struct, frozen=True):
    """What somebody did about a campaign; `clicks` is how often its link was opened."""

    campaign_id: str
    replied_at: str | None
    clicked_at: str | None
    opted_out_at: str | None
    clicks: int


class HappenedView(msgspec.Struct, frozen=True):
    """What a person did."""

    kind: str
    at: str | None
    amount: int | None
    currency: str | None
    sku: str | None
    ref: str | None
    rating: int | None


class DossierView(msgspec.Struct, frozen=True):
    """Everything that is kept of a person."""

    customer: people.CustomerView
    merged: list[str]
    consents: list[NumberedConsentView]
    messages: list[views.MessageView]
    received: list[views.ReceivedView]
    campaigns: list[RecipientOfView]
    responses: list[ResponseView]
    timeline: list[happened.EntryView]
    happenings: list[HappenedView]
    members: list[club.MemberView]
    points: list[club.PointsView]
    coupons: list[given.CouponView]
    subscriptions: list[subscribed.SubscriptionView]
    audit: list[log.AuditView]
    erasures: list[ErasureView]


# -- merging

_NAMED = {"grade": "class", "next_contact_ms": "next_contact_at", "last_order_ms": "last_order_at",
          "last_seen_ms": "last_seen_at"}  # fmt: skip
_OF_ADDRESS = frozenset({"street", "postcode"})


def merge(txn: Txn, caller: Caller, kept: int, gone: int, plan: Plan) -> MergeView:
    """A merge as JSON, its values as the caller sees them."""
    own = {field.id: field for field in fields.listed(txn)}

    def named(field: str) -> str:
        number = field.removeprefix("attrs.")
        return f"attrs.{own[int(number)].key}" if number != field else _NAMED.get(field, field)

    def plain(field: str, value: Any) -> Any:
        number = field.removeprefix("attrs.")
        if number != field:
            return fields.write(own[int(number)], value)
        return _seen(caller, field, _plain(txn, field, value))

    changes = [name for name in plan.changes if name != "attrs"]
    changes += [f"attrs.{number}" for number in plan.changes.get("attrs", ())]
    return MergeView(
        customers.name_of(kept),
        customers.name_of(gone),
        sorted(map(named, changes)),
        [DifferenceView(named(one.field), plain(one.field, one.kept), plain(one.field, one.other))
         for one in plan.differences],
    )  # fmt: skip


def _plain(txn: Txn, field: str, value: Any) -> Any:
    match value:
        case Lifecycle():
            return value.name.lower()
        case Day():
            return dates.said(value)
        case Money():
            return {"amount_minor": value.amount_minor, "currency": value.currency}
    if field == "region":
        return regions.code_of(txn, value) or None
    if field == "organisation":
        return organisations.name_of(value)
    if field == "owner":
        return ids.render("stf", value)
    return wire.time(value) if field.endswith("_ms") else value


def _seen(caller: Caller, field: str, value: Any) -> Any:
    if field in _OF_ADDRESS:
        return value if caller.sees("address") == "full" else None
    return sight.value(caller, field, value)


def pair(caller: Caller, found: Pair) -> PairView:
    """Two who may be one, as JSON."""
    return PairView(_twin(caller, found.older), _twin(caller, found.newer), list(found.reasons))


def _twin(caller: Caller, record: Customer) -> TwinView:
    return TwinView(
        customers.name_of(record.id),
        references.render(references.CUSTOMER, record.reference),
        record.name,
        sight.number(caller, record.number, whole=False),
        wire.time(record.created_ms),
    )


# -- erasure


def erasure(
    record: Erasure, compacted_ms: int, now_ms: int, challenge: str | UnsetType = UNSET
) -> ErasureView:  # fmt: skip
    """An erasure as JSON, with its challenge where that was just given."""
    gone = wire.time(erasures.backups_gone_ms(record, compacted_ms, now_ms))
    return ErasureView(
        id=erasures.name_of(record.id),
        reference=references.render(references.ERASURE, record.reference),
        customer_id=customers.name_of(record.customer),
        state=record.state.slug,
        asked_at=wire.time(record.asked_ms),
        asked_by=record.asked_by,
        confirmed_at=wire.time(record.confirmed_ms),
        confirmed_by=record.confirmed_by or None,
        done_at=wire.time(record.done_ms),
        compacted_at=wire.time(compacted_ms) if erasures.is_compacted(record, compacted_ms) else None,
        backups_gone_by=gone[:10] if gone else None,
        challenge=challenge,
        challenge_until=UNSET if challenge is UNSET else wire.time(record.asked_ms + erasures.CHALLENGE_MS),
    )


# -- everything


class Reader:
    """Records of a person as views, each as its caller may see it."""

    def __init__(self, caller: Caller, compacted_ms: int, now_ms: int, zone: str) -> None:
        self._caller = caller
        self._compacted_ms = compacted_ms
        self._now_ms = now_ms
        self._today = days.of(now_ms, zone)

    def customer(self, txn: Txn, record: Customer) -> people.CustomerView:
        """The record, with where its values came from."""
        sources = people.sources_of(customers.sources_of(txn, record))
        said = people.newest(txn, record.number)
        return people.view(txn, record, self._caller, whole=True, said=said, sources=sources)

    def view(self, txn: Txn, chapter: str, record: Any) -> Any:
        """One record of a chapter of the dossier."""
        return getattr(self, f"_{chapter}")(txn, record)

    def _consents(self, _txn: Txn, record: Any) -> NumberedConsentView:
        number, *row = record
        (view,) = people.consents([(row[0], row[1], row[2])]).items
        return NumberedConsentView(sight.number(self._caller, number), view)

    def _messages(self, _txn: Txn, record: Any) -> views.MessageView:
        return wire.message(record, self._caller, whole=True)

    def _received(self, _txn: Txn, record: Any) -> views.ReceivedView:
        return wire.received(record, self._caller, whole=True)

    def _campaigns(self, _txn: Txn, record: Campaign) -> RecipientOfView:
        name = campaigns.name_of(record.id)
        basis = record.consent_basis or None
        return RecipientOfView(name, record.name, record.purpose, basis, wire.time(record.created_ms))

    def _responses(self, _txn: Txn, record: Any) -> ResponseView:
        campaign, did = record
        replied, clicked, opted_out = map(wire.time, (did.replied_ms, did.clicked_ms, did.opted_out_ms))
        return ResponseView(campaigns.name_of(campaign), replied, clicked, opted_out, did.clicks)

    def _timeline(self, _txn: Txn, record: Any) -> happened.EntryView:
        return happened.entry(*record)

    def _happenings(self, _txn: Txn, record: Any) -> HappenedView:
        view = happened.happening(*record, is_new=False)
        return HappenedView(*(getattr(view, name) for name in HappenedView.__struct_fields__))

    def _members(self, txn: Txn, record: Any) -> club.MemberView:
        identifier, member = record
        ladder, customer = tiers.ladder(txn), CUSTOMERS.find(txn, identifier)
        return club.member(self._caller, identifier, member, customer, ladder, whole=True)

    def _points(self, _txn: Txn, record: Any) -> club.PointsView:
        return club.row(*record)

    def _coupons(self, _txn: Txn, record: Any) -> given.CouponView:
        identifier, coupon = record
        return given.coupon(identifier, coupon, self._today)

    def _subscriptions(self, _txn: Txn, record: Any) -> subscribed.SubscriptionView:
        return subscribed.subscription(*record)

    def _audit(self, _txn: Txn, record: Any) -> log.AuditView:
        return log.audit_view(self._caller, record, whole=True)

    def _erasures(self, _txn: Txn, record: Erasure) -> ErasureView:
        return erasure(record, self._compacted_ms, self._now_ms)


def merged(txn: Txn, record: Customer) -> list[str]:
    """The ids of the records that became this one."""
    return [customers.name_of(gone) for gone in merging.former(txn, record.id)]
