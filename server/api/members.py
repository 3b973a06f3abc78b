"""Members: their cards, their points, what they have for them, and how a till finds them."""

from functools import partial
from typing import Final

from aiohttp import web

from engine import numbers
from engine.access.caller import Caller
from engine.crm.marketing import ledger, members, points, rewards, tiers, till_codes
from engine.crm.marketing.ledger import Kind
from engine.crm.marketing.points import Posted
from engine.crm.people.customer import CUSTOMERS
from engine.crm.people.member import MEMBERS, Member, State
from engine.errors import Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Txn
from server import wire
from server.calling import caller_of
from server.context import ENGINE
from server.middleware import person_of
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import members as shapes
from server.shapes.coupons import issued
from server.shapes.members import MemberView


def _by(request: web.Request) -> str:
    return person_of(request) or "api"


def _view(txn: Txn, caller: Caller, identifier: int, record: Member) -> MemberView:
    return shapes.member(caller, identifier, record, CUSTOMERS.find(txn, identifier), tiers.ladder(txn))


def _seen(request: web.Request, identifier: int, record: Member) -> MemberView:
    with request.app[ENGINE].store.read() as txn:
        return _view(txn, caller_of(request), identifier, record)


async def create(request: web.Request) -> web.Response:
    """A customer becomes a member, with the next number.  409 `already_member`."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewMember)
    customer = ids.parse("cus", body.customer_id, "customer_id")
    change = partial(points.enrol, code=body.join_code, is_pending=body.pending)
    zone = engine.settings.house.time_zone
    location = f"/v1/members/{members.name_of(customer)}"

    def answer(txn: Txn, record: Member) -> web.Response:
        return wire.reply(_view(txn, caller_of(request), customer, record), 201, Location=location)

    return await made(request, answer, change, customer, _by(request), engine.now_ms(), zone)


async def list_all(request: web.Request) -> web.Response:
    """Members, the newest customer first, or those that a till asks for by one of three numbers.

    Telephone numbers are masked.
    """
    wire.known_query(request, "cursor", "limit", "number", "phone", "last4")
    engine, caller = request.app[ENGINE], caller_of(request)
    before, limit = wire.page_of(request, "mem")
    with engine.store.read() as txn:
        asked = _asked(txn, request, engine.settings.house.country or None)
        if asked is not None:
            found = [_view(txn, caller, identifier, MEMBERS.get(txn, identifier)) for identifier in asked]
            return wire.reply(shapes.MemberPage(found, None))
        items = [_view(txn, caller, identifier, record) for identifier, record in members.listed(txn, before, limit)]
    return wire.reply(shapes.MemberPage(items, wire.next_of(items, limit)))


def _asked(txn: Txn, request: web.Request, country: str | None) -> list[int] | None:
    """The ids of those who are asked for; None where all are."""
    query = request.query
    asked = [name for name in ("number", "phone", "last4") if name in query]
    if len(asked) > 1:
        raise Invalid(InvalidParam(asked[1], f"is asked for besides {asked[0]}"))
    if "last4" in query:
        return members.list_by_last_digits(txn, query["last4"])
    if "number" in query:
        one = members.find_by_number(txn, query["number"])
    elif "phone" in query:
        phone = wire.number_of(query["phone"], country, "phone")
        one = members.find_by_phone(txn, numbers.to_key(phone))
    else:
        return None
    return [] if one is None else [one]


async def by_code(request: web.Request) -> web.Response:
    """The member who shows this code at a till: the code is worth nothing from now on.

    404 `till_code_unknown` where nobody was given it, it was used, or its five minutes are over.
    """
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.ShownCode)

    def answer(txn: Txn, identifier: int) -> web.Response:
        return wire.reply(_view(txn, caller_of(request), identifier, members.get(txn, identifier)))

    return await made(request, answer, till_codes.use, engine.pepper, body.code, engine.now_ms())


async def get(request: web.Request) -> web.Response:
    """One member."""
    wire.known_query(request)
    identifier = wire.id_of(request, "mem")
    with request.app[ENGINE].store.read() as txn:
        record = members.get(txn, identifier)
        view = _view(txn, caller_of(request), identifier, record)
    return wire.reply(view, ETag=f'"{record.version}"')


async def change(request: web.Request) -> web.Response:
    """Let him be active, suspended or closed; with `If-Match` only the version that was read, else 412.

    409 `member_state` where that does not follow upon what he is.
    """
    engine, identifier = request.app[ENGINE], wire.id_of(request, "mem")
    version = wire.version_of(request)
    body = wire.decode(await request.read(), shapes.MemberChange)
    move = partial(members.move, reason=body.reason)
    state = State[body.state.upper()]
    record = await written(request, move, identifier, state, version, engine.now_ms())
    return wire.reply(_seen(request, identifier, record), ETag=f'"{record.version}"')


async def history(request: web.Request) -> web.Response:
    """The ledger of a member, the newest row first."""
    wire.known_query(request, "cursor", "limit")
    identifier, limit = wire.id_of(request, "mem"), wire.limit_of(request)
    before = _row_of(request.query.get("cursor"))
    with request.app[ENGINE].store.read() as txn:
        members.get(txn, identifier)
        found = ledger.history(txn, identifier, before, limit)
    last = f"{found[-1][0][1]}.{found[-1][0][2]}" if len(found) == limit else None
    return wire.reply(shapes.PointsPage([shapes.row(place, row) for place, row in found], last))


def _row_of(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    at, _, row = cursor.partition(".")
    if not all(text.isascii() and text.isdigit() and len(text) <= longest for text, longest in ((at, 16), (row, 9))):
        raise Invalid(InvalidParam("cursor", "is not the `next` of a page"))
    return int(at), int(row)


async def add_points(request: web.Request) -> web.Response:
    """Earn, adjust, take back or hand on points.

    409 `insufficient_points`, `ref_used`, `member_suspended` and the like; 404 `points_unknown` where there is nothing
    to take back.  What was earned is taken back even where it was spent: the balance is below nothing then.  What was
    redeemed is taken back with its coupon, 409 `coupon_used` where that was used.
    """
    engine, identifier = request.app[ENGINE], wire.id_of(request, "mem")
    body = wire.decode(await request.read(), shapes.NewPoints)
    when = (_by(request), engine.now_ms(), engine.settings.house.time_zone)

    def answer(txn: Txn, posted: Posted | None) -> web.Response:
        if posted is None:
            nothing = _view(txn, caller_of(request), identifier, members.get(txn, identifier))
            return wire.reply(shapes.PointsAnswer(nothing, None, False), 201)
        view, row = _view(txn, caller_of(request), identifier, posted.member), shapes.row(posted.place, posted.row)
        return wire.reply(shapes.PointsAnswer(view, row, posted.is_new), 201)

    return await made(request, answer, _post, identifier, body, when)


def _post(txn: Txn, identifier: int, body: shapes.NewPoints, when: tuple[str, int, str]) -> Posted | None:
    money = body.amount
    if body.kind != "earn" and (money is not None or body.visit):
        raise Invalid(InvalidParam("amount" if money else "visit", "belongs to kind earn"))
    if body.kind == "reverse" and Kind(body.of) is Kind.REDEEM:
        return rewards.give_back(txn, identifier, body.ref, *when, reason=body.reason)
    if body.kind == "reverse":
        return points.reverse(txn, identifier, Kind(body.of), body.ref, *when, reason=body.reason)
    if body.kind == "earn" and [body.delta is not None, money is not None, body.visit].count(True) != 1:
        raise Invalid(InvalidParam("delta", "is one of three: delta, amount or visit"))
    if money is not None or body.visit:
        return points.earn_for(
            txn,
            identifier,
            "visit" if money is None else "amount",
            body.ref,
            *when,
            amount_minor=0 if money is None else money.amount_minor,
            currency="" if money is None else money.currency,
            reason=body.reason,
        )
    if body.delta is None:
        raise Invalid(InvalidParam("delta", "is missing"))
    if body.kind == "earn":
        return points.earn(txn, identifier, body.delta, body.ref, *when, reason=body.reason)
    if body.kind == "adjust":
        return points.adjust(txn, identifier, body.delta, body.reason, *when, ref=body.ref)
    if body.to is None:
        raise Invalid(InvalidParam("to", "is missing: say who gets them"))
    taker = ids.parse("mem", body.to, "to")
    return points.transfer(txn, identifier, taker, body.delta, *when, ref=body.ref, reason=body.reason)


async def redeem(request: web.Request) -> web.Response:
    """Give him a reward for his points: the coupon's code stands in this answer and is not kept.

    409 `insufficient_points` with what was needed and had, `out_of_stock`, `reward_ended`, `reward_early`; 404
    `reward_unknown`.
    """
    engine, identifier = request.app[ENGINE], wire.id_of(request, "mem")
    body = wire.decode(await request.read(), shapes.RedeemReward)
    now_ms, zone = engine.now_ms(), engine.settings.house.time_zone

    def answer(txn: Txn, given: rewards.Redeemed) -> web.Response:
        view = _view(txn, caller_of(request), identifier, given.posted.member)
        return wire.reply(shapes.RewardGiven(issued(given.issued, 0), view), 201)

    return await made(
        request, answer, rewards.redeem, engine.pepper, identifier, body.reward, _by(request), now_ms, zone
    )


async def give_code(request: web.Request) -> web.Response:
    """Six digits that he may show at a till, once, in the next five minutes; they end the ones before."""
    engine, identifier = request.app[ENGINE], wire.id_of(request, "mem")
    return await made(request, _given, till_codes.give, engine.pepper, identifier, engine.now_ms())


def _given(_txn: Txn, given: till_codes.Given) -> web.Response:
    return wire.reply(shapes.till_code(given), 201)


_PAGE: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_LIST: Final = {
    "number": "only the member with this number",
    "phone": "only the member with this telephone number",
    "last4": "only those whose telephone number ends with these 4 digits",
    **_PAGE,
}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/members",
        create,
        201,
        takes=shapes.NewMember,
        gives=MemberView,
        problems=(404, 409),
        tells=("Location",),
        right="members:write",
    ),
    Route("GET", "/v1/members", list_all, gives=shapes.MemberPage, query=_LIST, right="members:read"),
    Route(
        "POST",
        "/v1/members/by-code",
        by_code,
        takes=shapes.ShownCode,
        gives=MemberView,
        problems=(404, 409),
        right="members:read",
    ),
    Route(
        "GET",
        "/v1/members/{id}",
        get,
        gives=MemberView,
        problems=(404,),
        tells=("ETag",),
        right="members:read",
        audited="member.read",
    ),
    Route(
        "PATCH",
        "/v1/members/{id}",
        change,
        takes=shapes.MemberChange,
        gives=MemberView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="members:write",
    ),
    Route(
        "GET",
        "/v1/members/{id}/points",
        history,
        gives=shapes.PointsPage,
        query=_PAGE,
        problems=(404,),
        right="members:read",
    ),
    Route(
        "POST",
        "/v1/members/{id}/points",
        add_points,
        201,
        takes=shapes.NewPoints,
        gives=shapes.PointsAnswer,
        problems=(404, 409),
        right="points:adjust",
    ),
    Route(
        "POST",
        "/v1/members/{id}/redeem",
        redeem,
        201,
        takes=shapes.RedeemReward,
        gives=shapes.RewardGiven,
        problems=(404, 409),
        right="members:write",
    ),
    Route(
        "POST",
        "/v1/members/{id}/till-code",
        give_code,
        201,
        gives=shapes.TillCodeView,
        problems=(404, 409),
        right="members:write",
    ),
)
