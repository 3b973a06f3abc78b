"""Own fields: what a house wants to know of its customers beside what every house does."""

from typing import Final

from aiohttp import web

from engine.crm.people import fields
from engine.crm.people.customer import Customer
from engine.crm.people.fields import FIELDS
from engine.errors import NotFound
from engine.store.table import Txn
from server import wire
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import people as shapes

# What conditions, files and answers call otherwise than the record does.
_OTHER_NAMES: Final = frozenset(
    {
        "class",
        "address",
        "points",
        "tier",
        "last_order",
        "last_seen",
        "created",
        "tag",
        "segment",
        "consent",
        "to",
        "rfm",
    }
)
TAKEN: Final = frozenset(Customer.__struct_fields__) | _OTHER_NAMES


async def create(request: web.Request) -> web.Response:
    """Declare a field."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewField)
    return await made(request, _created, fields.add, shapes.field_of(body), TAKEN, engine.now_ms())


def _created(_txn: Txn, record: fields.FieldDef) -> web.Response:
    return wire.reply(shapes.field(record), 201, Location=f"/v1/fields/{record.key}", ETag=f'"{record.version}"')


async def list_all(request: web.Request) -> web.Response:
    """All fields, the oldest first."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        return wire.reply(shapes.FieldPage([shapes.field(record) for record in fields.listed(txn)], None))


async def change(request: web.Request) -> web.Response:
    """Replace what may change of a field; with `If-Match` only the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.FieldChange)
    key, version = request.match_info["key"], wire.version_of(request)
    record = await written(request, _change, key, body, version, engine.now_ms())
    return wire.reply(shapes.field(record), ETag=f'"{record.version}"')


def _change(txn: Txn, key: str, body: shapes.FieldChange, version: int | None, now_ms: int) -> fields.FieldDef:
    known = fields.by_key(txn)
    if key not in known:
        raise NotFound("there is no such field")
    old = FIELDS.get(txn, known[key].id)
    return fields.change(txn, shapes.field_changed(old, body), version, now_ms)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/fields",
        create,
        201,
        takes=shapes.NewField,
        gives=shapes.FieldView,
        problems=(409,),
        tells=("Location", "ETag"),
        right="customers:write",
    ),
    Route("GET", "/v1/fields", list_all, gives=shapes.FieldPage, right="customers:read"),
    Route(
        "PATCH",
        "/v1/fields/{key}",
        change,
        takes=shapes.FieldChange,
        gives=shapes.FieldView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="customers:write",
    ),
)
