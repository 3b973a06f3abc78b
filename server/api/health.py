"""Whether the process lives, and whether it can send."""

from typing import Final

from aiohttp import web

from server import wire
from server.context import ENGINE
from server.route import Route


async def alive(_request: web.Request) -> web.Response:
    """200 while the process answers."""
    return wire.reply({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """200 with at least one modem ready, else 503."""
    count = sum(view.state in ("ready", "sending") for view in request.app[ENGINE].rack())
    return wire.reply({"status": "ok" if count else "no_modem", "modems_ready": count}, 200 if count else 503)


ROUTES: Final = (
    Route("GET", "/healthz", alive, gives=dict, is_public=True),
    Route("GET", "/readyz", ready, gives=dict, is_public=True, problems=(503,)),
)
