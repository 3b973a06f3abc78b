"""The words by which people are asked, and decisions about doubtful refusals."""

from typing import Final

from aiohttp import web

from engine.crm.people import pauses, wordings
from engine.crm.people.wordings import Wording
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from server import wire
from server.calling import caller_of
from server.context import ENGINE
from server.repeats import made
from server.route import Route
from server.shapes import consents as shapes

_RIGHT: Final = "consents:write"


async def create(request: web.Request) -> web.Response:
    """Keep a question that people are asked for consent by."""
    engine, caller = request.app[ENGINE], caller_of(request)
    caller.require(_RIGHT)
    body = wire.decode(await request.read(), shapes.NewWording)
    return await made(request, _added, wordings.add, body.name, body.text, engine.now_ms(), caller.name)


def _added(_txn: Txn, record: Wording) -> web.Response:
    view = shapes.wording(record)
    return wire.reply(view, 201, Location=f"/v1/wordings/{view.id}")


def _changed(_txn: Txn, record: Wording) -> web.Response:
    return wire.reply(shapes.wording(record))


def _resumed(_txn: Txn, moved: int) -> web.Response:
    return wire.reply(shapes.Decided("resumed", moved))


def _withdrawn(_txn: Txn, moved: int) -> web.Response:
    return wire.reply(shapes.Decided("withdrawn", moved))


async def change(request: web.Request) -> web.Response:
    """Another version of the same question; those before are kept, since people agreed to them."""
    engine, caller = request.app[ENGINE], caller_of(request)
    caller.require(_RIGHT)
    body = wire.decode(await request.read(), shapes.WordingChange)
    identifier = wire.id_of(request, "wrd")
    return await made(request, _changed, wordings.change, identifier, body.text, engine.now_ms(), caller.name)


async def get(request: web.Request) -> web.Response:
    """One version of a question, the newest if none is named."""
    wire.known_query(request, "version")
    text = request.query.get("version", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Invalid(InvalidParam("version", "is no number of a version"))
    with request.app[ENGINE].store.read() as txn:
        return wire.reply(shapes.wording(wordings.get(txn, wire.id_of(request, "wrd"), int(text))))


async def list_all(request: web.Request) -> web.Response:
    """The newest version of every question, the oldest question first."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        return wire.reply(shapes.WordingList([shapes.wording(record) for record in wordings.listed(txn)]))


async def resume(request: web.Request) -> web.Response:
    """What the customer wrote was no refusal: marketing goes on."""
    engine = request.app[ENGINE]
    caller_of(request).require(_RIGHT)
    return await made(request, _resumed, pauses.resume, wire.id_of(request, "cus"), engine.now_ms())


async def withdraw(request: web.Request) -> web.Response:
    """What the customer wrote was a refusal: marketing ends."""
    engine, caller = request.app[ENGINE], caller_of(request)
    caller.require(_RIGHT)
    identifier = wire.id_of(request, "cus")
    return await made(request, _withdrawn, pauses.withdraw, identifier, caller.name, engine.now_ms())


async def list_paused(request: web.Request) -> web.Response:
    """Customers whose marketing is paused since they may have refused it, those who wait longest first."""
    wire.known_query(request, "limit")
    with request.app[ENGINE].store.read() as txn:
        found = pauses.listed(txn, wire.limit_of(request))
        return wire.reply(shapes.PausedList([shapes.paused(customer, record) for customer, record in found]))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/marketing/paused",
        list_paused,
        gives=shapes.PausedList,
        query={"limit": "1 to 1000, 50 if left out"},
        right="customers:read",
    ),
    Route(
        "POST",
        "/v1/wordings",
        create,
        201,
        takes=shapes.NewWording,
        gives=shapes.WordingView,
        problems=(403,),
        right="consents:write",
    ),
    Route(
        "GET",
        "/v1/wordings",
        list_all,
        gives=shapes.WordingList,
        right="customers:read",
    ),
    Route(
        "GET",
        "/v1/wordings/{id}",
        get,
        gives=shapes.WordingView,
        query={"version": "the newest if left out"},
        problems=(404, 422),
        right="customers:read",
    ),
    Route(
        "POST",
        "/v1/wordings/{id}/versions",
        change,
        takes=shapes.WordingChange,
        gives=shapes.WordingView,
        problems=(403, 404),
        right="consents:write",
    ),
    Route(
        "POST",
        "/v1/customers/{id}/marketing/resume",
        resume,
        gives=shapes.Decided,
        problems=(403, 404, 409),
        right="consents:write",
    ),
    Route(
        "POST",
        "/v1/customers/{id}/marketing/withdraw",
        withdraw,
        gives=shapes.Decided,
        problems=(403, 404, 409),
        right="consents:write",
    ),
)
