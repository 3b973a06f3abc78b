"""Coupons as JSON."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.crm.marketing import codes, coupons, days
from engine.crm.marketing.coupons import Coupon, Issued, Terms
from engine.crm.people import customers
from engine.errors import Invalid, InvalidParam
from server import wire

Kind = Literal["amount", "percent", "gift"]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]  # ISO 4217
Minor = Annotated[int, Meta(ge=0, le=coupons.MINOR_MOST)]
Percent = Annotated[int, Meta(ge=1, le=100)]
Text = Annotated[str, Meta(max_length=coupons.TEXT_LONGEST)]
Said = Annotated[str, Meta(min_length=1, max_length=coupons.TEXT_LONGEST)]
Code = Annotated[str, Meta(min_length=1, max_length=100)]


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many minor units of a currency: 13600 of CNY are 136.00."""

    amount_minor: Minor
    currency: Currency


class CouponTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a coupon gives: the `value` of kind amount, the `percent` of kind percent or the `gift` of kind gift.

    `min_spend` is what must be bought, `valid_to` the last day.
    """

    kind: Kind
    value: Money | None = None
    percent: Percent | None = None
    gift: Said | None = None
    min_spend: Money | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class NewCoupons(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Coupons of the same terms: `count` that are anybody's, or one for each of `customer_ids`."""

    terms: CouponTerms
    count: Annotated[int, Meta(ge=1, le=coupons.ISSUED_MOST)] = 1
    customer_ids: Annotated[list[str], Meta(max_length=coupons.ISSUED_MOST)] = []
    source: Text = ""


class RedeemCoupon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code as it was typed, where it is used and for which order; with `total` the discount is computed."""

    code: Code
    place: Said
    order_ref: Text = ""
    customer_id: str | None = None
    total: Money | None = None


class CheckCoupon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code as it was typed, and what for."""

    code: Code
    order_ref: Text = ""
    customer_id: str | None = None
    total: Money | None = None


class VoidCoupon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is withdrawn."""

    reason: Said


class MoneyView(msgspec.Struct, frozen=True):
    """So many minor units of a currency."""

    amount_minor: int
    currency: str


class TermsView(msgspec.Struct, frozen=True):
    """What a coupon gives; what is not of its kind is null."""

    kind: str
    value: MoneyView | None
    percent: int | None
    gift: str | None
    min_spend: MoneyView | None
    valid_from: str | None
    valid_to: str | None


class CouponView(msgspec.Struct, frozen=True):
    """A coupon without its code, `hint` being the end of that.

    `used_at`, `used_by`, `place` and `order_ref` tell of its use, or of the order it is kept for.
    """

    id: str
    hint: str
    state: str
    terms: TermsView
    customer_id: str | None
    source: str | None
    order_ref: str | None
    used_at: str | None
    used_by: str | None
    place: str | None
    void_reason: str | None
    created_at: str | None
    created_by: str | None
    version: int


class IssuedView(msgspec.Struct, frozen=True):
    """A coupon with its code, which is told this once."""

    code: str
    coupon: CouponView


class IssuedList(msgspec.Struct, frozen=True):
    """The coupons that were issued, in the order of `customer_ids` where there were any."""

    items: list[IssuedView]


class CouponPage(msgspec.Struct, frozen=True):
    """Coupons; `next` is the cursor of the following page, or null."""

    items: list[CouponView]
    next: str | None


class RedeemedView(msgspec.Struct, frozen=True):
    """The coupon, now used; `discount` is what it takes off the total, `gift` a line without a price."""

    coupon: CouponView
    discount: MoneyView | None
    gift: str | None


class RefusalView(msgspec.Struct, frozen=True):
    """Why it would be refused: `code` is what the problem's type would end in."""

    code: str
    detail: str


class CheckedView(msgspec.Struct, frozen=True):
    """What using it now would do; nothing was changed."""

    coupon: CouponView
    discount: MoneyView | None
    gift: str | None
    refusal: RefusalView | None


def terms_of(given: CouponTerms) -> Terms:
    """The terms as the engine knows them; whether they fit the kind it says itself.

    Raises Invalid where the value and what must be bought are in two currencies.
    """
    currencies = {money.currency for money in (given.value, given.min_spend) if money is not None}
    if len(currencies) > 1:
        raise Invalid(InvalidParam("min_spend", "is in another currency than value"))
    return Terms(
        given.kind,
        given.value.amount_minor if given.value else 0,
        next(iter(currencies), ""),
        given.percent or 0,
        given.gift or "",
        given.min_spend.amount_minor if given.min_spend else 0,
        given.valid_from.toordinal() if given.valid_from else 0,
        given.valid_to.toordinal() if given.valid_to else 0,
    )


def _money(minor: int, currency: str) -> MoneyView | None:
    return MoneyView(minor, currency) if minor else None


def terms(record: Terms) -> TermsView:
    """Terms as JSON."""
    return TermsView(
        record.kind,
        _money(record.amount_minor, record.currency),
        record.percent or None,
        record.gift or None,
        _money(record.min_spend_minor, record.currency),
        days.text(record.valid_from),
        days.text(record.valid_to),
    )


def coupon(identifier: int, record: Coupon, today: int) -> CouponView:
    """A coupon as JSON."""
    is_used = record.state is coupons.State.REDEEMED
    return CouponView(
        id=coupons.name_of(identifier),
        hint=record.hint,
        state="expired" if coupons.is_expired(record, today) else record.state.name.lower(),
        terms=terms(record.terms),
        customer_id=customers.name_of(record.customer) if record.customer else None,
        source=record.source or None,
        order_ref=record.order_ref or None,
        used_at=wire.time(record.moved_ms) if is_used else None,
        used_by=record.moved_by if is_used else None,
        place=record.place or None,
        void_reason=record.reason or None,
        created_at=wire.time(record.created_ms),
        created_by=record.created_by or None,
        version=record.version,
    )


def issued(one: Issued, today: int) -> IssuedView:
    """A coupon that was just issued, with its code."""
    return IssuedView(codes.grouped(one.code), coupon(one.id, one.coupon, today))


def worth(record: Terms, total: Money | None) -> tuple[MoneyView | None, str | None]:
    """(discount, gift) of an order.  Raises Conflict `coupon_currency`, `coupon_min_spend`."""
    if total is None:
        return None, record.gift or None
    found = coupons.value_of(record, total.amount_minor, total.currency)
    return MoneyView(found.minor, total.currency), found.gift or None
