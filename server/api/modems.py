"""The rack as it is now."""

from typing import Final

from aiohttp import web

from server import views, wire
from server.context import ENGINE
from server.route import Route


async def list_all(request: web.Request) -> web.Response:
    """Every modem: port, SIM, state, signal, parts."""
    wire.known_query(request)
    engine = request.app[ENGINE]
    items = [wire.modem(view) for view in engine.rack()]
    rate_per_minute = round(engine.scheduler.rate_per_s() * 60, 1)
    return wire.reply(views.RackView(items, None, engine.scheduler.waiting_parts, rate_per_minute))


ROUTES: Final = (Route("GET", "/v1/modems", list_all, gives=views.RackView, right="rack:read"),)
