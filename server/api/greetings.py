"""Greetings: rules by which people are texted on their days and on festivals."""

from datetime import date
from typing import Final

from aiohttp import web

from engine.crm.marketing import greeter, greetings
from engine.crm.people import dates
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from engine.wiring import Engine
from server import wire
from server.calling import caller_of
from server.context import ENGINE
from server.middleware import person_of
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import greetings as shapes

SHOWN: Final = 20  # people of a preview
DAYS_USUAL: Final = 30
DAYS_MOST: Final = 366
RIGHT: Final = "greetings:write"


def _writer(request: web.Request) -> str:
    """Who changes a rule.  Raises Forbidden."""
    caller_of(request).require(RIGHT)
    return person_of(request) or "api"


def _reply(record: greetings.Rule, status: int = 200, **headers: str) -> web.Response:
    return wire.reply(shapes.greeting(record), status, ETag=f'"{record.version}"', **headers)


async def create(request: web.Request) -> web.Response:
    """A new rule, as a draft.

    422 `offer_needs_marketing` where a text of purpose service offers something: has a coupon, a link or `is_offer`.
    """
    engine, by = request.app[ENGINE], _writer(request)
    body = wire.decode(await request.read(), shapes.NewGreeting)
    house = engine.settings.house

    def change(txn: Txn, now_ms: int) -> greetings.Rule:
        return greetings.add(txn, shapes.rule_of(txn, body, house.language), now_ms, house.time_zone, by)

    return await made(request, _made, change, engine.now_ms())


def _made(_txn: Txn, record: greetings.Rule) -> web.Response:
    return _reply(record, 201, Location=f"/v1/greetings/{greetings.name_of(record.id)}")


def _moved(_txn: Txn, record: greetings.Rule) -> web.Response:
    return _reply(record)


async def list_all(request: web.Request) -> web.Response:
    """Rules, the oldest first."""
    wire.known_query(request, "cursor", "limit")
    after, limit = wire.page_of(request, "grt")
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.greeting(record) for record in greetings.listed(txn, after, limit)]
    return wire.reply(shapes.GreetingPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One rule."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        record = greetings.get(txn, wire.id_of(request, "grt"))
    return _reply(record)


async def change(request: web.Request) -> web.Response:
    """Replace fields, also of an active rule; with `If-Match` only the version that was read, else 412.

    422 `offer_needs_marketing` as for a new one.
    """
    engine, by, identifier = request.app[ENGINE], _writer(request), wire.id_of(request, "grt")
    body, version = wire.decode(await request.read(), shapes.GreetingChange), wire.version_of(request)
    house = engine.settings.house

    def write(txn: Txn, now_ms: int) -> greetings.Rule:
        changes = shapes.changes_of(txn, body, house.language)
        return greetings.change(txn, identifier, changes, version, now_ms, house.time_zone, by)

    return _reply(await written(request, write, engine.now_ms()))


async def remove(request: web.Request) -> web.Response:
    """Take a rule away that is not active; with `If-Match` only the version that was read, else 412."""
    engine, identifier = request.app[ENGINE], wire.id_of(request, "grt")
    _writer(request)
    await written(request, greetings.remove, identifier, wire.version_of(request), engine.now_ms())
    return web.Response(status=204)


async def activate(request: web.Request) -> web.Response:
    """Let it greet from now on, today as well where its hour has passed.

    With `If-Match` only the version that was read, else 412.  409 `greeting_state` where it is active.
    """
    engine, by, identifier = request.app[ENGINE], _writer(request), wire.id_of(request, "grt")
    zone, version = engine.settings.house.time_zone, wire.version_of(request)
    return await made(request, _moved, greetings.activate, identifier, version, engine.now_ms(), zone, by)


async def pause(request: web.Request) -> web.Response:
    """Let it greet nobody until it is activated again; texts that wait are cancelled, and their coupons void.

    With `If-Match` only the version that was read, else 412.  409 `greeting_state` where it is not active.
    """
    engine, by, identifier = request.app[ENGINE], _writer(request), wire.id_of(request, "grt")
    version = wire.version_of(request)
    return await made(request, _moved, greetings.pause, identifier, version, engine.now_ms(), by)


async def preview(request: web.Request) -> web.Response:
    """Whom the rule greets on a day, and what it says; also of a draft.

    Today where no `date` is given.
    """
    wire.known_query(request, "date")
    caller_of(request).require("customers:read")
    engine, identifier = request.app[ENGINE], wire.id_of(request, "grt")
    day, house, now_ms = _day(request, engine), engine.settings.house, engine.now_ms()
    with engine.store.read() as txn:
        rule = greetings.get(txn, identifier)
    found = await greeter.preview(engine.store, rule, day, now_ms, house, engine.pepper, SHOWN)
    with engine.store.read() as txn:
        return wire.reply(shapes.preview(txn, day, found))


async def upcoming(request: web.Request) -> web.Response:
    """The days to come on which the rule greets somebody, and how many; from today on where no `date` is given."""
    wire.known_query(request, "date", "days")
    engine, identifier = request.app[ENGINE], wire.id_of(request, "grt")
    day, zone, now_ms = _day(request, engine), engine.settings.house.time_zone, engine.now_ms()
    text = request.query.get("days", str(DAYS_USUAL))
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= DAYS_MOST):
        raise Invalid(InvalidParam("days", f"is not 1 to {DAYS_MOST}"))
    with engine.store.read() as txn:
        rule = greetings.get(txn, identifier)
    return wire.reply(shapes.upcoming(await greeter.upcoming(engine.store, rule, day, int(text), now_ms, zone)))


def _day(request: web.Request, engine: Engine) -> date:
    """The day that is asked about, today if none is.  Raises Invalid."""
    text = request.query.get("date")
    if text is None:
        return dates.today(engine.now_ms(), engine.settings.house.time_zone)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(InvalidParam("date", "is not a date as 2026-09-25")) from error
    # Whatever the offset leads to must be within the tables of the calendars, too: the engine says so.
    if not dates.FIRST_YEAR <= day.year <= dates.LAST_YEAR:
        raise Invalid(InvalidParam("date", f"is not in {dates.FIRST_YEAR} to {dates.LAST_YEAR}"))
    return day


_LIST: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_DATE: Final = {"date": "a day as 2026-09-25, today if left out"}
_DAYS: Final = {**_DATE, "days": f"1 to {DAYS_MOST}, {DAYS_USUAL} if left out"}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/greetings",
        create,
        201,
        takes=shapes.NewGreeting,
        gives=shapes.GreetingView,
        problems=(404, 409),
        tells=("Location", "ETag"),
        right="greetings:write",
    ),
    Route(
        "GET",
        "/v1/greetings",
        list_all,
        gives=shapes.GreetingPage,
        query=_LIST,
        problems=(422,),
        right="campaigns:read",
    ),
    Route(
        "GET",
        "/v1/greetings/{id}",
        get,
        gives=shapes.GreetingView,
        problems=(404,),
        tells=("ETag",),
        right="campaigns:read",
    ),
    Route(
        "PATCH",
        "/v1/greetings/{id}",
        change,
        takes=shapes.GreetingChange,
        gives=shapes.GreetingView,
        problems=(404, 412),
        tells=("ETag",),
        right="greetings:write",
    ),
    Route(
        "DELETE",
        "/v1/greetings/{id}",
        remove,
        204,
        problems=(404, 409, 412),
        right="greetings:write",
    ),
    Route(
        "POST",
        "/v1/greetings/{id}/activate",
        activate,
        gives=shapes.GreetingView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="greetings:write",
    ),
    Route(
        "POST",
        "/v1/greetings/{id}/pause",
        pause,
        gives=shapes.GreetingView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="greetings:write",
    ),
    Route(
        "GET",
        "/v1/greetings/{id}/preview",
        preview,
        gives=shapes.GreetingPreview,
        query=_DATE,
        problems=(404, 422),
        right="customers:read",
    ),
    Route(
        "GET",
        "/v1/greetings/{id}/upcoming",
        upcoming,
        gives=shapes.UpcomingList,
        query=_DAYS,
        problems=(404, 422),
        right="campaigns:read",
    ),
)
