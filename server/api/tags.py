"""Tags: words that staff put on people."""

from typing import Final

from aiohttp import web

from engine.crm.people import tags
from engine.errors import NotFound
from engine.store.table import Txn
from server import wire
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import people as shapes


async def create(request: web.Request) -> web.Response:
    """A new tag; one that is there is given back."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewTag)
    return await made(request, _created, _create, body.name, engine.now_ms())


def _created(_txn: Txn, view: shapes.TagView) -> web.Response:
    return wire.reply(view, 201)


def _create(txn: Txn, name: str, now_ms: int) -> shapes.TagView:
    (identifier,) = tags.require(txn, [name], now_ms, "name")
    return shapes.tag(tags.TAGS.get(txn, identifier))


async def list_all(request: web.Request) -> web.Response:
    """All tags, the oldest first."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        return wire.reply(shapes.TagPage([shapes.tag(record) for record in tags.listed(txn)], None))


async def change(request: web.Request) -> web.Response:
    """Another name for a tag; who has it keeps it."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewTag)
    said = request.match_info["id"]
    if not (said.isascii() and said.isdigit() and len(said) < 10):
        raise NotFound("there is no such tag")
    return wire.reply(shapes.tag(await written(request, tags.rename, int(said), body.name, engine.now_ms())))


ROUTES: Final = (
    Route("POST", "/v1/tags", create, 201, takes=shapes.NewTag, gives=shapes.TagView, right="customers:write"),
    Route("GET", "/v1/tags", list_all, gives=shapes.TagPage, right="customers:read"),
    Route(
        "PATCH",
        "/v1/tags/{id}",
        change,
        takes=shapes.NewTag,
        gives=shapes.TagView,
        problems=(404, 409),
        right="customers:write",
    ),
)
