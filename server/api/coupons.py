"""Coupons: issued, checked, used once."""

from functools import partial
from typing import Final

from aiohttp import web

from engine.crm.marketing import coupons, days
from engine.errors import Conflict
from engine.store import ids
from engine.store.table import Txn
from engine.wiring import Engine
from server import wire
from server.context import ENGINE
from server.middleware import person_of
from server.repeats import made
from server.route import Route
from server.shapes import coupons as shapes


def _by(request: web.Request) -> str:
    return person_of(request) or "api"


def _today(engine: Engine) -> int:
    return days.of(engine.now_ms(), engine.settings.house.time_zone)


def _customer(text: str | None) -> int:
    return ids.parse("cus", text, "customer_id") if text else 0


async def issue(request: web.Request) -> web.Response:
    """New coupons.  Their codes stand in this answer and are not kept.

    422 where a field does not fit the kind.
    """
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewCoupons)
    change = partial(
        coupons.issue,
        count=body.count,
        customers=[ids.parse("cus", text, "customer_ids") for text in body.customer_ids],
        source=body.source,
    )
    terms = shapes.terms_of(body.terms)
    today = _today(engine)

    def answer(_txn: Txn, issued: list[coupons.Issued]) -> web.Response:
        return wire.reply(shapes.IssuedList([shapes.issued(one, today) for one in issued]), 201)

    return await made(request, answer, change, engine.pepper, terms, _by(request), engine.now_ms())


async def list_all(request: web.Request) -> web.Response:
    """Coupons, the newest first; of one customer where `customer_id` is given."""
    wire.known_query(request, "cursor", "limit", "customer_id")
    engine = request.app[ENGINE]
    before, limit = wire.page_of(request, "cpn")
    customer, today = _customer(request.query.get("customer_id")), _today(engine)
    with engine.store.read() as txn:
        found = coupons.listed(txn, before, limit, customer)
        items = [shapes.coupon(identifier, record, today) for identifier, record in found]
    return wire.reply(shapes.CouponPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One coupon, without its code."""
    wire.known_query(request)
    engine, identifier = request.app[ENGINE], wire.id_of(request, "cpn")
    with engine.store.read() as txn:
        record = coupons.get(txn, identifier)
    return wire.reply(shapes.coupon(identifier, record, _today(engine)), ETag=f'"{record.version}"')


async def redeem(request: web.Request) -> web.Response:
    """Use the coupon with this code, once.

    409 `coupon_used` with time and place of the first use, `coupon_expired`, `coupon_early`, `coupon_void`,
    `coupon_reserved`, `coupon_of_another`, `coupon_min_spend`, `coupon_currency`; 422 `coupon_mistyped` where the check
    character does not fit; 404 `coupon_unknown`.
    """
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.RedeemCoupon)
    total = (body.total.amount_minor, body.total.currency) if body.total else None
    change = partial(coupons.redeem, customer=_customer(body.customer_id), total=total)
    now_ms, zone = engine.now_ms(), engine.settings.house.time_zone
    today = _today(engine)

    def answer(_txn: Txn, used: tuple[int, coupons.Coupon]) -> web.Response:
        identifier, record = used
        discount, gift = shapes.worth(record.terms, body.total)
        return wire.reply(shapes.RedeemedView(shapes.coupon(identifier, record, today), discount, gift))

    return await made(
        request, answer, change, engine.pepper, body.code, _by(request), body.place, body.order_ref, now_ms, zone
    )


async def check(request: web.Request) -> web.Response:
    """What using the coupon with this code would do; nothing changes.

    Why it would be refused is told as `refusal`.  422 `coupon_mistyped`, 404 `coupon_unknown`.
    """
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.CheckCoupon)
    customer, refusal = _customer(body.customer_id), None
    now_ms, zone = engine.now_ms(), engine.settings.house.time_zone
    with engine.store.read() as txn:
        identifier, record = coupons.find(txn, engine.pepper, body.code)
    discount, gift = None, None
    try:
        coupons.require_usable(record, now_ms, zone, customer=customer, order_ref=body.order_ref)
        discount, gift = shapes.worth(record.terms, body.total)
    except Conflict as error:
        refusal = shapes.RefusalView(error.code, str(error))
    view = shapes.coupon(identifier, record, _today(engine))
    return wire.reply(shapes.CheckedView(view, discount, gift, refusal))


async def void(request: web.Request) -> web.Response:
    """Withdraw a coupon.  409 `coupon_used` where it was used."""
    engine, identifier = request.app[ENGINE], wire.id_of(request, "cpn")
    body = wire.decode(await request.read(), shapes.VoidCoupon)
    today = _today(engine)

    def answer(_txn: Txn, record: coupons.Coupon) -> web.Response:
        return wire.reply(shapes.coupon(identifier, record, today), ETag=f'"{record.version}"')

    return await made(request, answer, coupons.void, identifier, _by(request), body.reason, engine.now_ms())


_LIST: Final = {
    "customer_id": "only this customer's",
    "cursor": "`next` of the page before",
    "limit": "1 to 1000, 50 if left out",
}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/coupons",
        issue,
        201,
        takes=shapes.NewCoupons,
        gives=shapes.IssuedList,
        problems=(404, 409),
        right="coupons:write",
    ),
    Route("GET", "/v1/coupons", list_all, gives=shapes.CouponPage, query=_LIST, right="members:read"),
    Route(
        "POST",
        "/v1/coupons/redeem",
        redeem,
        takes=shapes.RedeemCoupon,
        gives=shapes.RedeemedView,
        problems=(404, 409),
        right="coupons:redeem",
    ),
    Route(
        "POST",
        "/v1/coupons/check",
        check,
        takes=shapes.CheckCoupon,
        gives=shapes.CheckedView,
        problems=(404,),
        right="coupons:redeem",
    ),
    Route(
        "GET", "/v1/coupons/{id}", get, gives=shapes.CouponView, problems=(404,), tells=("ETag",), right="members:read"
    ),
    Route(
        "POST",
        "/v1/coupons/{id}/void",
        void,
        takes=shapes.VoidCoupon,
        gives=shapes.CouponView,
        problems=(404, 409),
        tells=("ETag",),
        right="coupons:write",
    ),
)
