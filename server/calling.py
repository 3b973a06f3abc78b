"""Who is calling: what the middleware found out, for the routes."""

from typing import Final

from aiohttp import web

from engine.access.caller import Caller
from engine.access.rights import EVERY

CALLER: Final = "caller"

# Until tokens have rights of their own, whoever has one is a program that may everything.
_PROGRAM: Final = Caller("token", "program", rights=EVERY)


def caller_of(request: web.Request) -> Caller:
    """The caller of a request that has passed the middleware."""
    caller: Caller = request.get(CALLER, _PROGRAM)
    return caller
