"""Whether the process lives, and whether it can send."""

from typing import Final

from aiohttp import web

from server import problems, views, wire
from server.context import ENGINE
from server.route import Route


async def alive(_request: web.Request) -> web.Response:
    """200 while the process answers."""
    return wire.reply(views.Status("ok"))


async def ready(request: web.Request) -> web.Response:
    """200 with at least one modem ready, else 503."""
    count = request.app[ENGINE].modems_ready()
    if not count:
        return problems.response(503, "no_modem", "no modem is ready", request.path)
    return wire.reply(views.Readiness("ok", count))


ROUTES: Final = (
    Route("GET", "/healthz", alive, gives=views.Status, is_public=True),
    Route("GET", "/readyz", ready, gives=views.Readiness, is_public=True, problems=(503,)),
)
