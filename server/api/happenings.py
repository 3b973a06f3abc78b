"""What customers did, and their timelines."""

from typing import Final

from aiohttp import web

from engine.crm.people import customers, happenings, timeline
from engine.store.table import Txn
from server import wire
from server.context import ENGINE
from server.repeats import made
from server.route import Route
from server.shapes import happenings as shapes


async def create(request: web.Request) -> web.Response:
    """Tell what a customer did elsewhere: an order, a visit, an answer."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewHappening)
    return await made(request, _created, _create, wire.id_of(request, "cus"), body, engine.now_ms())


def _created(_txn: Txn, view: shapes.HappeningView) -> web.Response:
    return wire.reply(view, 201)


def _create(txn: Txn, customer: int, body: shapes.NewHappening, now_ms: int) -> shapes.HappeningView:
    record = shapes.happening_of(body)
    is_new = happenings.add(txn, customer, body.kind, record, now_ms, "api")
    return shapes.happening(body.kind, record, is_new=is_new)


async def of_customer(request: web.Request) -> web.Response:
    """What happened between us and a customer, newest first, texts among it."""
    wire.known_query(request, "cursor", "limit")
    before, limit = wire.page_of(request, "ent")
    with request.app[ENGINE].store.read() as txn:
        customer = customers.require(txn, wire.id_of(request, "cus"))
        items = [shapes.entry(identifier, entry) for identifier, entry in timeline.page(txn, customer, before, limit)]
    return wire.reply(shapes.TimelinePage(items, wire.next_of(items, limit)))


_LIST: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/customers/{id}/events",
        create,
        201,
        takes=shapes.NewHappening,
        gives=shapes.HappeningView,
        problems=(404,),
        right="customers:write",
    ),
    Route(
        "GET",
        "/v1/customers/{id}/timeline",
        of_customer,
        gives=shapes.TimelinePage,
        audited="customer.read",
        query=_LIST,
        problems=(404,),
        right="customers:read",
    ),
)
