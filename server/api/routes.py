"""Routes: which SIMs a text may leave by."""

from typing import Final

import msgspec
from aiohttp import web

from engine.store.table import Txn
from engine.traffic import routes
from engine.traffic.routes import ROUTES as ROUTES_KEPT
from engine.traffic.routes import Route as Record
from server import views, wire
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route


async def create(request: web.Request) -> web.Response:
    """A new route; from the first one on, what matches none is held."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), wire.NewRoute)
    record = Record(
        0,
        body.name,
        body.kind,
        body.tariff,
        tuple(body.prefixes),
        tuple(body.countries),
        tuple(body.operators),
        tuple(body.tags),
        tuple(body.purposes),
        wire.senders_of(body.senders),
        body.cost_minor,
        body.order,
        body.failover,
    )
    return await made(request, _added, routes.add, record, engine.settings.routes.operators, engine.now_ms())


def _added(_txn: Txn, record: Record) -> web.Response:
    location = f"/v1/routes/{routes.name_of(record.id)}"
    return wire.reply(wire.route(record), 201, Location=location, ETag=f'"{record.version}"')


async def list_all(request: web.Request) -> web.Response:
    """All routes, the oldest first: there are few."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        items = [wire.route(record) for record in routes.listed(txn)]
    return wire.reply(views.RoutePage(items, None))


async def get(request: web.Request) -> web.Response:
    """One route."""
    wire.known_query(request)
    identifier = wire.id_of(request, "rte")
    with request.app[ENGINE].store.read() as txn:
        record = ROUTES_KEPT.get(txn, identifier)
    return wire.reply(wire.route(record), ETag=f'"{record.version}"')


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read.  What waits goes by the new rules."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), wire.RouteChange)
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    changes = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not msgspec.UNSET
    }
    if body.senders is not msgspec.UNSET:
        changes["senders"] = wire.senders_of(body.senders)
    identifier, version = wire.id_of(request, "rte"), wire.version_of(request)
    operators = engine.settings.routes.operators
    record = await written(request, routes.change, identifier, changes, version, operators, engine.now_ms())
    return wire.reply(wire.route(record), ETag=f'"{record.version}"')


async def remove(request: web.Request) -> web.Response:
    """Forget a route; what waits goes by those that are left."""
    engine = request.app[ENGINE]
    await written(request, routes.remove, wire.id_of(request, "rte"), engine.now_ms())
    return web.Response(status=204)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/routes",
        create,
        201,
        takes=wire.NewRoute,
        gives=views.RouteView,
        problems=(409,),
        right="rack:write",
        tells=("Location", "ETag"),
    ),
    Route("GET", "/v1/routes", list_all, gives=views.RoutePage, right="rack:read"),
    Route("GET", "/v1/routes/{id}", get, gives=views.RouteView, problems=(404,), right="rack:read", tells=("ETag",)),
    Route(
        "PATCH",
        "/v1/routes/{id}",
        change,
        takes=wire.RouteChange,
        gives=views.RouteView,
        problems=(404, 409, 412),
        right="rack:write",
        tells=("ETag",),
    ),
    Route("DELETE", "/v1/routes/{id}", remove, 204, problems=(404,), right="rack:write"),
)
