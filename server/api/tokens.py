"""Tokens: who may call, to do what and how much of it."""

from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from engine.access import budgets, tokens
from engine.access.rights import checked
from engine.access.tokens import Token
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from engine.wiring import Engine
from server import wire
from server.calling import caller_of
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import tokens as shapes


async def create(request: web.Request) -> web.Response:
    """A new token, which is shown this once: 403 for a right that the caller has not."""
    engine, caller = request.app[ENGINE], caller_of(request)
    body = wire.decode(await request.read(), shapes.NewToken)
    scopes = tuple(body.scopes)
    tokens.require_rights(checked(scopes, "scopes"), caller)
    token = tokens.fresh()

    def answer(_txn: Txn, record: Token) -> web.Response:
        headers = {"Location": f"/v1/tokens/{record.number}", "ETag": f'"{record.version}"'}
        return wire.reply(shapes.new_view(record, token), 201, **headers)

    limits = body.per_minute, body.burst, body.parts_a_day
    return await made(request, answer, tokens.add, token, body.name, engine.now_ms(), scopes, *limits, caller.name)


async def list_all(request: web.Request) -> web.Response:
    """Tokens by number, without themselves."""
    wire.known_query(request, "cursor", "limit")
    engine = request.app[ENGINE]
    after, limit = _number(request.query.get("cursor", "0"), "cursor"), wire.limit_of(request)
    with engine.store.read() as txn:
        items = [_view(txn, engine, record) for record in tokens.listed(txn, after, limit)]
    return wire.reply(shapes.TokenPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One token, without itself."""
    wire.known_query(request)
    engine, number = request.app[ENGINE], _number_of(request)
    with engine.store.read() as txn:
        return _shown(txn, engine, tokens.get(txn, number))


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read.

    403 where it is the caller's own, or may do what the caller may not; 409 where no token could make tokens any more.
    """
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.TokenChange)
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    changes = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    if "scopes" in changes:
        # Before the version is: a right that there is none of is wrong whichever version was read.
        changes["scopes"] = checked(tuple(changes["scopes"]), "scopes")
    if "disabled" in changes:
        changes["is_disabled"] = changes.pop("disabled")
    number, version = _number_of(request), wire.version_of(request)

    def answer(txn: Txn, record: Token) -> web.Response:
        return _shown(txn, engine, record)

    return await made(request, answer, tokens.change, number, changes, version, caller_of(request))


async def revoke(request: web.Request) -> web.Response:
    """Let it in no more: 403 where it is the caller's own, 409 where no token could make tokens any more."""
    wire.known_query(request)
    await written(request, tokens.revoke, _number_of(request), caller_of(request))
    return web.Response(status=204)


def _number_of(request: web.Request) -> int:
    return _number(request.match_info["id"], "id")


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Invalid(InvalidParam(field, "is not the number of a token"))
    return int(text)


def _view(txn: Txn, engine: Engine, record: Token) -> shapes.TokenView:
    zone = ZoneInfo(engine.settings.house.time_zone)
    return shapes.view(record, budgets.spent(txn, record.number, engine.now_ms(), zone))


def _shown(txn: Txn, engine: Engine, record: Token) -> web.Response:
    return wire.reply(_view(txn, engine, record), ETag=f'"{record.version}"')


_PAGE: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_NUMBER: Final = {"type": "string", "pattern": "^[0-9]{1,9}$"}
_SCHEMAS: Final = {"id": _NUMBER, "cursor": _NUMBER}
_RIGHT: Final = tokens.MAKER

ROUTES: Final = (
    Route(
        "POST",
        "/v1/tokens",
        create,
        201,
        takes=shapes.NewToken,
        gives=shapes.NewTokenView,
        right=_RIGHT,
        tells=("Location", "ETag"),
    ),
    Route("GET", "/v1/tokens", list_all, gives=shapes.TokenPage, query=_PAGE, right=_RIGHT, schemas=_SCHEMAS),
    Route(
        "GET",
        "/v1/tokens/{id}",
        get,
        gives=shapes.TokenView,
        problems=(404,),
        right=_RIGHT,
        tells=("ETag",),
        schemas=_SCHEMAS,
    ),
    Route(
        "PATCH",
        "/v1/tokens/{id}",
        change,
        takes=shapes.TokenChange,
        gives=shapes.TokenView,
        problems=(404, 409, 412),
        right=_RIGHT,
        tells=("ETag",),
        schemas=_SCHEMAS,
    ),
    Route("DELETE", "/v1/tokens/{id}", revoke, 204, problems=(404, 409), right=_RIGHT, schemas=_SCHEMAS),
)
