"""The loyalty programme: what earns points, and the tiers."""

from typing import Final

from aiohttp import web

from engine.crm.marketing import loyalty, tiers
from server import wire
from server.context import ENGINE
from server.noting import written
from server.route import Route
from server.shapes import loyalty as shapes

REGRADED: Final = 200  # members in one change


async def get_programme(request: web.Request) -> web.Response:
    """What earns points, and how long they live."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        record = loyalty.current(txn)
    return wire.reply(shapes.programme(record), ETag=f'"{record.version}"')


async def put_programme(request: web.Request) -> web.Response:
    """Replace the programme: it holds for what is earned from now on; with `If-Match` only the version that was read.

    412 where it has changed since.
    """
    engine, version = request.app[ENGINE], wire.version_of(request)
    body = wire.decode(await request.read(), shapes.LoyaltyShape)
    record = await written(request, loyalty.replace, shapes.programme_of(body), version, engine.now_ms())
    return wire.reply(shapes.programme(record), ETag=f'"{record.version}"')


async def get_tiers(request: web.Request) -> web.Response:
    """The tiers, the lowest first."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        record = tiers.ladder(txn)
    return wire.reply(shapes.ladder(record), ETag=f'"{record.version}"')


async def put_tiers(request: web.Request) -> web.Response:
    """Replace all tiers; with `If-Match` only the version that was read.

    Members rise at once where the new ones are easier to reach, and keep what they have until their period ends where
    it is still there.  412 where the tiers have changed since.
    """
    engine, version = request.app[ENGINE], wire.version_of(request)
    body = wire.decode(await request.read(), shapes.TiersShape)
    record = await written(request, tiers.replace, shapes.tiers_of(body), version, engine.now_ms())
    zone, after = engine.settings.house.time_zone, 0
    while (last := await engine.store.write_bulk(tiers.regrade, after, engine.now_ms(), zone, REGRADED)) is not None:
        after = last
    return wire.reply(shapes.ladder(record), ETag=f'"{record.version}"')


ROUTES: Final = (
    Route("GET", "/v1/loyalty", get_programme, gives=shapes.LoyaltyView, tells=("ETag",), right="members:read"),
    Route(
        "PUT",
        "/v1/loyalty",
        put_programme,
        takes=shapes.LoyaltyShape,
        gives=shapes.LoyaltyView,
        problems=(412,),
        tells=("ETag",),
        right="members:write",
    ),
    Route("GET", "/v1/tiers", get_tiers, gives=shapes.TiersView, tells=("ETag",), right="members:read"),
    Route(
        "PUT",
        "/v1/tiers",
        put_tiers,
        takes=shapes.TiersShape,
        gives=shapes.TiersView,
        problems=(412,),
        tells=("ETag",),
        right="members:write",
    ),
)
