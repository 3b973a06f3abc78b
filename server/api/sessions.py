"""Sessions: signing in as one of the staff, and out."""

from typing import Final

from aiohttp import web

from engine import numbers
from engine.access import sessions
from engine.crm.people import staff, tries
from engine.crm.people.tries import Way
from engine.errors import Invalid
from server import middleware, problems, wire
from server.context import ENGINE
from server.route import Route
from server.shapes import sessions as shapes


async def create(request: web.Request) -> web.Response:
    """Sign in: the cookie that comes back calls instead of a token, for twelve hours.

    401 where number and password do not belong together; 429 after three wrong tries in ten minutes.
    """
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewSession)
    try:
        number = numbers.to_key(numbers.parse(body.number, engine.settings.house.country or None, "number"))
    except Invalid:
        number = 0
    way = Way(engine.pepper, "api", request.remote or "")
    found = await tries.sign_in(engine.store, way, number, body.password, engine.now_ms)
    if found is None:
        detail = "number and password do not belong together"
        return problems.response(401, "wrong_secret", detail, request.path, headers={"WWW-Authenticate": "Bearer"})
    now_ms = engine.now_ms()
    cookie = sessions.issue(engine.pepper, staff.name_of(found), now_ms, "staff")
    with engine.store.read() as txn:
        caller = staff.caller_of(txn, found)
    view = shapes.SessionView(
        staff.name_of(found),
        caller.name,
        sorted(caller.rights),
        sessions.form_token(engine.pepper, cookie),
        wire.time(now_ms + sessions.MAX_AGE_MS),
    )
    response = wire.reply(view, 201, Cache_Control="no-store")
    middleware.keep(response, request, cookie)
    return response


async def remove(request: web.Request) -> web.Response:
    """Sign out: the browser forgets its session."""
    response = web.Response(status=204)
    middleware.forget(response, request)
    return response


ROUTES: Final = (
    Route(
        "POST",
        "/v1/sessions",
        create,
        201,
        takes=shapes.NewSession,
        gives=shapes.SessionView,
        problems=(401, 422, 429),
        is_public=True,
    ),
    Route("DELETE", "/v1/sessions", remove, 204, audited="staff.signed_out"),
)
