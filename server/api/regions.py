"""Regions: a tree of places."""

from typing import Final
from urllib.parse import quote

from aiohttp import web

from engine.crm.people import regions
from engine.errors import NotFound
from engine.store.table import Txn
from server import wire
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import people as shapes


async def create(request: web.Request) -> web.Response:
    """A new region."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewRegion)
    return await made(request, _created, _create, body, engine.now_ms())


def _created(_txn: Txn, view: shapes.RegionView) -> web.Response:
    return wire.reply(view, 201, Location=f"/v1/regions/{quote(view.code, safe='')}", ETag=f'"{view.version}"')


def _create(txn: Txn, body: shapes.NewRegion, now_ms: int) -> shapes.RegionView:
    return shapes.region(txn, regions.add(txn, shapes.region_of(txn, body), now_ms))


async def list_all(request: web.Request) -> web.Response:
    """All regions, the oldest first."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.region(txn, record) for record in regions.listed(txn)]
    return wire.reply(shapes.RegionPage(items, None))


async def change(request: web.Request) -> web.Response:
    """Replace fields of the region with that code; with `If-Match` only the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.RegionChange)
    code, version = request.match_info["code"], wire.version_of(request)
    view = await written(request, _change, code, body, version, engine.now_ms())
    return wire.reply(view, ETag=f'"{view.version}"')


def _change(txn: Txn, code: str, body: shapes.RegionChange, version: int | None, now_ms: int) -> shapes.RegionView:
    identifier = regions.find(txn, code)
    if identifier is None:
        raise NotFound("there is no such region")
    old = regions.REGIONS.get(txn, identifier)
    new = shapes.region_changed(txn, old, body)
    return shapes.region(txn, regions.change(txn, new, version, now_ms))


ROUTES: Final = (
    Route(
        "POST",
        "/v1/regions",
        create,
        201,
        takes=shapes.NewRegion,
        gives=shapes.RegionView,
        problems=(409,),
        tells=("Location", "ETag"),
        right="customers:write",
    ),
    Route("GET", "/v1/regions", list_all, gives=shapes.RegionPage, right="customers:read"),
    Route(
        "PATCH",
        "/v1/regions/{code}",
        change,
        takes=shapes.RegionChange,
        gives=shapes.RegionView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="customers:write",
    ),
)
