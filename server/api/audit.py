"""The audit log, the proof that it is whole, and reveals."""

import asyncio
from typing import Final

from aiohttp import web

from engine.crm.people import audit, audit_heads, reveals, zones
from server import wire
from server.calling import by_of, caller_of
from server.context import ENGINE
from server.route import Route
from server.shapes import audit as shapes

_PROVEN_ROWS: Final = 100  # in one turn of the loop: three milliseconds


async def list_all(request: web.Request) -> web.Response:
    """What was done, newest first: of some time, by somebody, about something."""
    wire.known_query(request, "cursor", "limit", "actor", "target", "since", "until")
    caller = caller_of(request)
    caller.require("audit:read")
    before, limit = wire.page_of(request, "aud")
    with request.app[ENGINE].store.read() as txn:
        rows = audit.listed(
            txn,
            limit,
            before=before,
            since_ms=wire.time_of(request, "since"),
            until_ms=wire.time_of(request, "until"),
            actor=request.query.get("actor", ""),
            target=request.query.get("target", ""),
        )
    items = [shapes.audit_view(caller, row) for row in rows]
    return wire.reply(shapes.AuditPage(items, wire.next_of(items, limit)))


async def verify(request: web.Request) -> web.Response:
    """Prove that every row is as it was written, and that none is missing; else which is the first that is not."""
    wire.known_query(request)
    caller_of(request).require("audit:read")
    engine = request.app[ENGINE]
    walk = audit_heads.walk(engine.store.directory / audit_heads.FILE, engine.pepper)
    more = True
    while more:
        with engine.store.read() as txn:
            more = walk.step(txn, _PROVEN_ROWS)
        await asyncio.sleep(0)
    return wire.reply(shapes.audit_check(walk.rows, walk.broken))


async def reveal(request: web.Request) -> web.Response:
    """Show what a mask hides of a customer, for a reason, and so many times a day."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewReveal)
    identifier, zone = wire.id_of(request, "cus"), zones.clock(engine.settings.house.time_zone)
    outcome = await engine.store.write(
        reveals.reveal, by_of(request), identifier, body.field, body.reason, zone, engine.now_ms()
    )
    return wire.reply(shapes.RevealView(body.field, outcome.value, outcome.left))


_LIST: Final = {
    "actor": "only what this one did: stf_… for a member of the staff, else kind and name, as token:till",
    "target": "only what was done to the thing with this id",
    "since": "not before this time",
    "until": "before this time",
    "cursor": "`next` of the page before",
    "limit": "1 to 1000, 50 if left out",
}

ROUTES: Final = (
    Route("GET", "/v1/audit", list_all, gives=shapes.AuditPage, query=_LIST, problems=(403, 422), right="audit:read"),
    Route("GET", "/v1/audit/verify", verify, gives=shapes.AuditCheck, problems=(403, 422), right="audit:read"),
    Route(
        "POST",
        "/v1/customers/{id}/reveal",
        reveal,
        takes=shapes.NewReveal,
        gives=shapes.RevealView,
        problems=(403, 404, 429),
        right="customers:reveal",
    ),
)
