"""Statistics: what it cost."""

import asyncio
from datetime import date
from typing import Final

from aiohttp import web

from engine.crm.marketing import days
from engine.errors import Invalid, InvalidParam
from server import wire
from server.context import ENGINE
from server.route import Route
from server.shapes import stats as shapes

DAYS_USUAL: Final = 30
DAYS_MOST: Final = 366
DAY_MS: Final = 86_400_000
QUARTERS: Final = 500  # of an hour, at a turn of the loop


async def cost(request: web.Request) -> web.Response:
    """What was sent and what it cost, by tariff and by day of the house: the last 30 days, or those asked for."""
    wire.known_query(request, "since", "until")
    engine = request.app[ENGINE]
    house = engine.settings.house
    last = _day_of(request, "until") or date.fromordinal(days.of(engine.now_ms(), house.time_zone))
    first = _day_of(request, "since") or shapes.nearby(last, 1 - DAYS_USUAL)
    if not 0 <= (last - first).days < DAYS_MOST:
        raise Invalid(InvalidParam("since", f"is not within the {DAYS_MOST} days before until"))
    begin_ms = (first.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MS
    end_ms = begin_ms + ((last - first).days + 1) * DAY_MS
    costs = shapes.Costs(first, last, house)
    with engine.store.read() as txn:
        # A day more on both sides: the zone of the house tells which quarters are whose.
        found = engine.costs_between(txn, max(0, begin_ms - DAY_MS), max(0, end_ms + DAY_MS))
        for place, quarter in enumerate(found, 1):
            costs.add(*quarter)
            if place % QUARTERS == 0:
                await asyncio.sleep(0)
    return wire.reply(costs.report())


def _day_of(request: web.Request, name: str) -> date | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(InvalidParam(name, "is no day: write 2030-01-31")) from error


_DAY: Final = {"type": "string", "format": "date"}

ROUTES: Final = (
    Route(
        "GET",
        "/v1/stats/cost",
        cost,
        gives=shapes.CostReport,
        query={"since": "the first day", "until": "the last day, today if left out"},
        schemas={"since": _DAY, "until": _DAY},
        right="stats:read",
    ),
)
