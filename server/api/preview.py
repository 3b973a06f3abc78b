"""The preview of an audience: whom a text would reach, and who falls out on the way."""

import time
from typing import Final

from aiohttp import web

from engine.crm.people import segments
from engine.crm.people.conditions import Condition
from engine.errors import Invalid, InvalidParam, NotFound
from engine.store.table import Txn
from server import wire
from server.context import ENGINE
from server.route import Route
from server.shapes import preview as shapes


async def preview(request: web.Request) -> web.Response:
    """Whom a text would reach now: each line of who falls out, parts by language, price and minutes."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.Wanted)
    texts = {engine.settings.house.language: body.text} if isinstance(body.text, str) else body.text
    if not texts:
        raise Invalid(InvalidParam("text", "is empty"))
    with engine.store.read() as txn:
        condition = _condition(txn, body)
    begun_s = time.perf_counter()
    found = await engine.preview(condition, texts, body.purpose, has_basis=bool(body.consent_basis))
    took_s = time.perf_counter() - begun_s
    modems = sum(view.state in ("ready", "sending") for view in engine.rack())
    currency = engine.settings.house.currency
    return wire.reply(shapes.funnel(found, body.purpose, currency, engine.estimate_s(found.parts), modems, took_s))


def _condition(txn: Txn, body: shapes.Wanted) -> Condition:
    if (body.definition is None) == (body.segment is None):
        raise Invalid(InvalidParam("definition", "give either this or segment"))
    if body.definition is not None:
        return segments.read(txn, body.definition)
    found = segments.find(txn, body.segment or "")
    if found is None:
        raise NotFound(f"there is no segment {body.segment!r}")
    return segments.condition_of(txn, found)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/segments/preview",
        preview,
        takes=shapes.Wanted,
        gives=shapes.FunnelView,
        problems=(404,),
        right="customers:read",
    ),
)
