"""Who is calling: what the middleware found out, for the routes."""

from typing import Final

from aiohttp import web

from engine.access.caller import Caller

CALLER: Final = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """The caller of a request that has passed the middleware."""
    return request[CALLER]


def token_of(request: web.Request) -> int:
    """The number of the token that calls, 0 where a person does."""
    caller = caller_of(request)
    return caller.id if caller.kind == "token" else 0
