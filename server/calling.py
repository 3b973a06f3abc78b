"""Who is calling: what the middleware found out, for the routes."""

from typing import Final

from aiohttp import web

from engine.access.caller import Caller
from engine.crm.people import audit

CALLER: Final = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """The caller of a request that has passed the middleware."""
    return request[CALLER]


def actor_of(caller: Caller) -> str:
    """The name under which records keep who entered something."""
    return audit.actor_name(caller.kind, caller.name, caller.id)


def token_of(request: web.Request) -> int:
    """The number of the token that calls, 0 where a person does."""
    caller = caller_of(request)
    return caller.id if caller.kind == "token" else 0
