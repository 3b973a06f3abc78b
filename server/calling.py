"""Who is calling: what the middleware found out, for the routes."""

from typing import Final

from aiohttp import web

from engine.access.caller import Caller
from engine.crm.people import audit
from engine.crm.people.audit import By
from server.context import ENGINE

CALLER: Final = web.RequestKey("caller", Caller)
NUMBERS: Final = "numbers"  # the parameter by which telephone numbers are asked for in full


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


def by_of(request: web.Request) -> By:
    """Whose hand a request is, for the audit log."""
    caller = caller_of(request)
    via: audit.Via = "web" if caller.is_person else "api"
    return By(caller, via, request.app[ENGINE].pepper, request.remote or "")


def is_asking(request: web.Request) -> bool:
    """Whether telephone numbers are asked for in full, by who may see them so."""
    caller = request.get(CALLER)
    return caller is not None and caller.asked is not None
