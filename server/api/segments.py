"""Segments: sets of customers, by conditions."""

from typing import Final

from aiohttp import web
from msgspec import UNSET

from engine.crm.people import segments
from engine.crm.people.conditions import SegmentRef
from engine.crm.people.customers import name_of
from engine.crm.people.segments import SEGMENTS, Segment
from engine.store.table import Txn
from server import wire
from server.calling import caller_of
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import ID_PATTERN, Route
from server.shapes import customers as customer_shapes
from server.shapes import segments as shapes


async def create(request: web.Request) -> web.Response:
    """Keep a condition under a name."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewSegment)
    return await made(request, _created, segments.add, body.name, body.definition, engine.now_ms(), "api")


def _created(_txn: Txn, record: Segment) -> web.Response:
    view = shapes.segment(record)
    return wire.reply(view, 201, Location=f"/v1/segments/{view.id}", ETag=f'"{view.version}"')


async def list_all(request: web.Request) -> web.Response:
    """Segments, the oldest first."""
    wire.known_query(request, "cursor", "limit")
    after, limit = wire.page_of(request, "seg")
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.segment(record) for record in segments.listed(txn, after, limit)]
    return wire.reply(shapes.SegmentPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One segment."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        record = SEGMENTS.get(txn, wire.id_of(request, "seg"))
    return wire.reply(shapes.segment(record), ETag=f'"{record.version}"')


async def change(request: web.Request) -> web.Response:
    """Another name or condition; with `If-Match` only of the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.SegmentChange)
    record = await written(
        request,
        segments.change,
        wire.id_of(request, "seg"),
        None if body.definition is UNSET else body.definition,
        None if body.name is UNSET else body.name,
        wire.version_of(request),
        engine.now_ms(),
    )
    return wire.reply(shapes.segment(record), ETag=f'"{record.version}"')


async def archive(request: web.Request) -> web.Response:
    """Take a segment out of the lists; campaigns that used it keep what it said."""
    engine = request.app[ENGINE]
    await written(request, segments.archive, wire.id_of(request, "seg"), engine.now_ms())
    return web.Response(status=204)


async def parse(request: web.Request) -> web.Response:
    """A condition in both forms, each the normal one; a mistake is named with its place."""
    body = wire.decode(await request.read(), shapes.Wanted)
    with request.app[ENGINE].store.read() as txn:
        return wire.reply(shapes.condition(segments.read(txn, body.definition)))


async def count(request: web.Request) -> web.Response:
    """How many customers a condition takes now; a segment, asked for by its name alone, keeps the count."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.Wanted)
    with engine.store.read() as txn:
        condition = segments.read(txn, body.definition)
        segment = segments.find(txn, condition.name) if isinstance(condition, SegmentRef) else None
    now_ms = engine.now_ms()
    found, took_s = await engine.count(condition)
    if segment is not None:
        await engine.store.write(segments.note_count, segment, found, now_ms)
    form = shapes.condition(condition)
    return wire.reply(shapes.CountView(found, round(took_s * 1000, 1), form.definition, form.text))


async def customers(request: web.Request) -> web.Response:
    """Customers that are in the segment now, the oldest first."""
    wire.known_query(request, "cursor", "limit")
    engine = request.app[ENGINE]
    after, limit = wire.page_of(request, "cus")
    with engine.store.read() as txn:
        segment = SEGMENTS.get(txn, wire.id_of(request, "seg"))
        found, last = engine.select(txn, segments.condition_of(txn, segment), after, limit)
        items = [customer_shapes.view(txn, record, caller_of(request)) for record in found]
    return wire.reply(customer_shapes.CustomerPage(items, name_of(last) if last else None))


_LIST: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_OF_CUSTOMERS: Final = {"cursor": {"type": "string", "pattern": f"^cus_{ID_PATTERN}$"}}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/segments",
        create,
        201,
        takes=shapes.NewSegment,
        gives=shapes.SegmentView,
        problems=(404, 409),
        tells=("Location", "ETag"),
        right="segments:write",
    ),
    Route("GET", "/v1/segments", list_all, gives=shapes.SegmentPage, query=_LIST, right="customers:read"),
    Route("POST", "/v1/segments/parse", parse, takes=shapes.Wanted, gives=shapes.ConditionView, right="customers:read"),
    Route(
        "POST",
        "/v1/segments/count",
        count,
        takes=shapes.Wanted,
        gives=shapes.CountView,
        problems=(404,),
        right="customers:read",
    ),
    Route(
        "GET",
        "/v1/segments/{id}",
        get,
        gives=shapes.SegmentView,
        problems=(404,),
        tells=("ETag",),
        right="customers:read",
    ),
    Route(
        "PATCH",
        "/v1/segments/{id}",
        change,
        takes=shapes.SegmentChange,
        gives=shapes.SegmentView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="segments:write",
    ),
    Route("DELETE", "/v1/segments/{id}", archive, 204, problems=(404, 409), right="segments:write"),
    Route(
        "GET",
        "/v1/segments/{id}/customers",
        customers,
        gives=customer_shapes.CustomerPage,
        query=_LIST,
        problems=(404,),
        right="customers:read",
        schemas=_OF_CUSTOMERS,
    ),
)
