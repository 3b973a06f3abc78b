"""Coupons: what somebody gets off an order, once.

    issued -> reserved -> redeemed
       `---------+-----> void

An issued or reserved coupon is expired behind its last day; that is computed, nothing is written.  The code is told
when it is issued and not kept (engine/crm/marketing/codes.py).  What it is worth is computed here and charged nowhere:
orders are somebody else's.
"""

import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import IntEnum
from itertools import islice
from typing import Final, Literal, NamedTuple

import msgspec

from engine.crm.marketing import codes, days
from engine.crm.marketing.codes import DIGEST_OCTETS, Draw
from engine.crm.people.customer import CUSTOMERS
from engine.crm.people.zones import clock
from engine.errors import Conflict, Invalid, InvalidParam, NotFound
from engine.store import ids
from engine.store.table import Index, Table, Txn, Unique
from engine.traffic import events

ISSUED_MOST: Final = 2_000  # at once: 25 ms of the writer, and as much of whoever shows them
TEXT_LONGEST: Final = 200  # characters of a gift, a place, an order's reference, a reason
MINOR_MOST: Final = 10**15


class State(IntEnum):
    """Where a coupon stands."""

    ISSUED = 0
    RESERVED = 1
    REDEEMED = 2
    VOID = 3


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """What a coupon gives: so much off, so many per cent off, or a gift; `min_spend_minor` is what must be bought.

    Days are those of the house, the last one included; 0 for no bound.
    """

    kind: Literal["amount", "percent", "gift"]
    amount_minor: int = 0
    currency: str = ""
    percent: int = 0
    gift: str = ""
    min_spend_minor: int = 0
    valid_from: int = 0
    valid_to: int = 0


class Coupon(msgspec.Struct, frozen=True, array_like=True):
    """A coupon.  `customer` 0: anybody's.  `source` is what it came from, an id on the wire; `hint` the code's end."""

    digest: bytes
    hint: str
    terms: Terms
    customer: int = 0
    source: str = ""
    state: State = State.ISSUED
    order_ref: str = ""
    moved_ms: int = 0
    moved_by: str = ""
    place: str = ""
    reason: str = ""
    created_ms: int = 0
    created_by: str = ""
    version: int = 1


class Issued(NamedTuple):
    """A coupon and its code, which is known only now."""

    id: int
    code: str
    coupon: Coupon


class Worth(NamedTuple):
    """What a coupon takes off an order, in minor units; `gift` is a line of the order without a price."""

    minor: int
    gift: str


COUPONS: Final = Table("coupons", Coupon)
BY_CODE: Final = Unique("coupons_by_code", f"{DIGEST_OCTETS}s")
BY_CUSTOMER: Final = Index("coupons_by_customer", "QQ")
BY_LAST_DAY: Final = Index("coupons_by_last_day", "IQ")

TABLES: Final = (COUPONS, BY_CODE, BY_CUSTOMER, BY_LAST_DAY)

_PURPOSE: Final = b"coupon"


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("cpn", identifier)


def get(txn: Txn, identifier: int) -> Coupon:
    """The coupon.  Raises NotFound."""
    coupon = COUPONS.find(txn, identifier)
    if coupon is None:
        raise NotFound("there is no such coupon", code="coupon_unknown")
    return coupon


# -- issuing


def check(terms: Terms, row: int = 0) -> None:
    """Raises Invalid naming the field that does not fit the kind."""
    is_amount, is_percent, is_gift = (terms.kind == kind for kind in ("amount", "percent", "gift"))
    wrong = [
        (is_amount != (terms.amount_minor > 0), "value", "is more than nothing, and belongs to kind amount"),
        (is_percent != (1 <= terms.percent <= 100), "percent", "is 1 to 100, and belongs to kind percent"),
        (is_gift != (0 < len(terms.gift) <= TEXT_LONGEST), "gift", "is a text, and belongs to kind gift"),
        (max(terms.amount_minor, terms.min_spend_minor) > MINOR_MOST, "value", f"is more than {MINOR_MOST}"),
        (terms.min_spend_minor < 0, "min_spend", "is below nothing"),
        ((is_amount or terms.min_spend_minor > 0) != (terms.currency != ""), "currency", "belongs to an amount"),
        (0 < terms.valid_to < terms.valid_from, "valid_to", "is before valid_from"),
    ]
    params = [InvalidParam(name, reason, row) for is_wrong, name, reason in wrong if is_wrong]
    if params:
        raise Invalid(*params)


def issue(
    txn: Txn,
    pepper: bytes,
    terms: Terms,
    by: str,
    now_ms: int,
    *,
    count: int = 1,
    customers: Sequence[int] = (),
    source: str = "",
    draw: Draw = secrets.token_bytes,
) -> list[Issued]:
    """New coupons of the same terms: `count` that are anybody's, or one for each of `customers`.

    Raises Invalid, NotFound where there is no such customer.
    """
    check(terms)
    count = len(customers) or count
    if not 1 <= count <= ISSUED_MOST:
        raise Invalid(InvalidParam("count", f"is not 1 to {ISSUED_MOST}"))
    for customer in customers:
        CUSTOMERS.get(txn, customer)
    digest = codes.digester(pepper, _PURPOSE)
    first = ids.take(txn, now_ms, count)
    waiting, issued = codes.fresh(draw, count), []
    for place in range(count):
        identifier, code = first + place, waiting[place]
        while not BY_CODE.add(txn, (key := digest(code)), identifier):
            (code,) = codes.fresh(draw)
        owner = customers[place] if customers else 0
        coupon = Coupon(key, code[-2:], terms, owner, source, created_ms=now_ms, created_by=by)
        COUPONS.put(txn, identifier, coupon)
        if owner:
            BY_CUSTOMER.add(txn, owner, identifier)
        if terms.valid_to:
            BY_LAST_DAY.add(txn, terms.valid_to, identifier)
        issued.append(Issued(identifier, code, coupon))
    events.append(txn, "coupon.issued", now_ms, name_of(first), count=count, gives=terms.kind, source=source)
    return issued


# -- what it is worth


def value_of(terms: Terms, total_minor: int, currency: str) -> Worth:
    """What it takes off an order of that total: never more than the total, a half of a minor unit rounded up.

    Raises Conflict `coupon_currency`, `coupon_min_spend`.
    """
    if terms.currency and terms.currency != currency:
        raise Conflict(f"the coupon is for {terms.currency}, the order in {currency}", code="coupon_currency")
    if total_minor < terms.min_spend_minor:
        text = f"the coupon needs an order of {terms.min_spend_minor} minor units, this one has {total_minor}"
        raise Conflict(text, code="coupon_min_spend")
    if terms.kind == "amount":
        return Worth(min(terms.amount_minor, total_minor), "")
    if terms.kind == "percent":
        return Worth((total_minor * terms.percent + 50) // 100, "")
    return Worth(0, terms.gift)


# -- using it


def find(txn: Txn, pepper: bytes, typed: str) -> tuple[int, Coupon]:
    """The coupon with that code, however it was typed.  Raises Invalid `coupon_mistyped`, NotFound `coupon_unknown`."""
    identifier = BY_CODE.find(txn, codes.digester(pepper, _PURPOSE)(codes.parse(typed)))
    if identifier is None:
        raise NotFound("nobody was given that code", code="coupon_unknown")
    return identifier, COUPONS.get(txn, identifier)


def is_expired(coupon: Coupon, today: int) -> bool:
    """Whether its last day went by without its being used."""
    return coupon.state in (State.ISSUED, State.RESERVED) and 0 < coupon.terms.valid_to < today


def require_usable(coupon: Coupon, now_ms: int, zone: str, *, customer: int = 0, order_ref: str = "") -> None:
    """Raises Conflict with the reason as its code where it cannot be used now, by this customer, for this order.

    coupon_used (with time and place), coupon_void, coupon_of_another, coupon_reserved, coupon_early, coupon_expired.
    """
    terms, today = coupon.terms, days.of(now_ms, zone)
    if coupon.state is State.REDEEMED:
        at = datetime.fromtimestamp(coupon.moved_ms / 1000, clock(zone))
        raise Conflict(f"the coupon was used on {at:%Y-%m-%d} at {at:%H:%M}, {coupon.place}", code="coupon_used")
    if coupon.state is State.VOID:
        raise Conflict("the coupon was withdrawn", code="coupon_void")
    if customer and coupon.customer and customer != coupon.customer:
        raise Conflict("the coupon is somebody else's", code="coupon_of_another")
    if coupon.state is State.RESERVED and coupon.order_ref != order_ref:
        raise Conflict("the coupon is kept for another order", code="coupon_reserved")
    if today < terms.valid_from:
        raise Conflict(f"the coupon is valid from {days.text(terms.valid_from)} on", code="coupon_early")
    if is_expired(coupon, today):
        raise Conflict(f"the coupon was valid to {days.text(terms.valid_to)}", code="coupon_expired")


def _use(
    txn: Txn, identifier: int, old: Coupon, state: State, by: str, place: str, order_ref: str, now_ms: int
) -> Coupon:
    for name, text in (("place", place), ("order_ref", order_ref)):
        if len(text) > TEXT_LONGEST:
            raise Invalid(InvalidParam(name, f"is longer than {TEXT_LONGEST} characters"))
    new: Coupon = msgspec.structs.replace(
        old, state=state, order_ref=order_ref, moved_ms=now_ms, moved_by=by, place=place, version=old.version + 1
    )
    COUPONS.put(txn, identifier, new)
    return new


def redeem(
    txn: Txn,
    pepper: bytes,
    typed: str,
    by: str,
    place: str,
    order_ref: str,
    now_ms: int,
    zone: str,
    *,
    customer: int = 0,
    total: tuple[int, str] | None = None,
) -> tuple[int, Coupon]:
    """Use the coupon with that code, at `place` and for an order; once.

    Raises what `find` and `require_usable` raise, and where the `total` of the order is told (minor units, currency)
    what `value_of` raises.
    """
    identifier, old = find(txn, pepper, typed)
    require_usable(old, now_ms, zone, customer=customer, order_ref=order_ref)
    if total is not None:
        value_of(old.terms, *total)
    new = _use(txn, identifier, old, State.REDEEMED, by, place, order_ref, now_ms)
    events.append(txn, "coupon.redeemed", now_ms, name_of(identifier), order_ref=order_ref)
    return identifier, new


def reserve(
    txn: Txn, pepper: bytes, typed: str, by: str, order_ref: str, now_ms: int, zone: str, *, customer: int = 0
) -> tuple[int, Coupon]:
    """Keep the coupon for an order that is not settled yet: nobody else can use it.  Raises as `redeem` does."""
    if not order_ref:
        raise Invalid(InvalidParam("order_ref", "is missing: a coupon is kept for an order"))
    identifier, old = find(txn, pepper, typed)
    require_usable(old, now_ms, zone, customer=customer, order_ref=order_ref)
    new = _use(txn, identifier, old, State.RESERVED, by, "", order_ref, now_ms)
    events.append(txn, "coupon.reserved", now_ms, name_of(identifier), order_ref=order_ref)
    return identifier, new


def release(txn: Txn, identifier: int, by: str, now_ms: int) -> Coupon:
    """The order it was kept for came to nothing.  Raises NotFound, Conflict `coupon_state` where it is not reserved."""
    old = get(txn, identifier)
    if old.state is not State.RESERVED:
        raise Conflict(f"the coupon is {old.state.name.lower()}, not reserved", code="coupon_state")
    new = _use(txn, identifier, old, State.ISSUED, by, "", "", now_ms)
    events.append(txn, "coupon.released", now_ms, name_of(identifier))
    return new


def void(txn: Txn, identifier: int, by: str, reason: str, now_ms: int) -> Coupon:
    """Withdraw a coupon, for a reason; a second time changes nothing.  Raises NotFound, Conflict `coupon_used`."""
    old = get(txn, identifier)
    if old.state is State.VOID:
        return old
    if old.state is State.REDEEMED:
        raise Conflict("the coupon was used", code="coupon_used")
    if not reason.strip() or len(reason) > TEXT_LONGEST:
        raise Invalid(InvalidParam("reason", f"is not 1 to {TEXT_LONGEST} characters"))
    new = _use(txn, identifier, old, State.VOID, by, "", old.order_ref, now_ms)
    new = msgspec.structs.replace(new, reason=reason)
    COUPONS.put(txn, identifier, new)
    events.append(txn, "coupon.voided", now_ms, name_of(identifier))
    return new


def hand_over(txn: Txn, customer: int, to: int) -> int:
    """Make all coupons of a customer another's, or with 0 nobody's; how many those were."""
    found = list(BY_CUSTOMER.scan(txn, customer))
    for _, identifier in found:
        BY_CUSTOMER.remove(txn, customer, identifier)
        COUPONS.put(txn, identifier, msgspec.structs.replace(COUPONS.get(txn, identifier), customer=to))
        if to:
            BY_CUSTOMER.add(txn, to, identifier)
    return len(found)


# -- reading


def listed(txn: Txn, before: int, limit: int, customer: int = 0) -> Iterator[tuple[int, Coupon]]:
    """Coupons and their ids, the newest first, older than id `before` (0: from the newest); of one customer or all."""
    if customer:
        after = (customer, before) if before else None
        for _, identifier in islice(BY_CUSTOMER.scan(txn, customer, after=after, reverse=True), limit):
            yield identifier, COUPONS.get(txn, identifier)
        return
    for (identifier,), coupon in islice(COUPONS.scan(txn, after=before or None, reverse=True), limit):
        yield identifier, coupon


def differences(txn: Txn) -> Iterator[str]:
    """What of the indexes is not as a rebuild from the coupons would make it."""
    found: list[tuple[str, set[tuple[object, ...]], set[tuple[object, ...]]]] = [
        (BY_CODE.name, {(*key, owner) for key, owner in BY_CODE.scan(txn)}, set()),
        (BY_CUSTOMER.name, set(BY_CUSTOMER.scan(txn)), set()),
        (BY_LAST_DAY.name, set(BY_LAST_DAY.scan(txn)), set()),
    ]
    (_, _, by_code), (_, _, by_customer), (_, _, by_day) = found
    for (identifier,), coupon in COUPONS.scan(txn):
        by_code.add((coupon.digest, identifier))
        if coupon.customer:
            by_customer.add((coupon.customer, identifier))
        if coupon.terms.valid_to:
            by_day.add((coupon.terms.valid_to, identifier))
    for name, stored, wanted in found:
        for key in sorted(stored ^ wanted, key=repr):
            # The key of a code is a hash, and told by the coupon it leads to.
            told = key if name != BY_CODE.name else key[1:]
            yield f"{name}: {told} {'is missing' if key in wanted else 'leads nowhere'}"
