"""The aiohttp application: every route in one list, around an engine that is already at work."""

from importlib import metadata
from typing import Final

from aiohttp import web

from engine.wiring import Engine
from server.api import (
    audit,
    campaigns,
    coupons,
    customers,
    events,
    fields,
    happenings,
    health,
    loyalty,
    members,
    messages,
    modems,
    openapi,
    organisations,
    regions,
    rewards,
    routes,
    segments,
    sim,
    staff,
    tags,
)
from server.console import pages
from server.context import ENGINE, LABORATORY, Laboratory
from server.middleware import bearer, refusals
from server.route import Route

BODY_MOST: Final = 8 << 20  # octets of a body that is read whole; uploads are streamed and have no limit

ROUTES: Final[tuple[Route, ...]] = (
    *messages.ROUTES,
    *campaigns.ROUTES,
    *customers.ROUTES,
    *happenings.ROUTES,
    *tags.ROUTES,
    *fields.ROUTES,
    *regions.ROUTES,
    *organisations.ROUTES,
    *segments.ROUTES,
    *members.ROUTES,
    *loyalty.ROUTES,
    *rewards.ROUTES,
    *coupons.ROUTES,
    *events.ROUTES,
    *modems.ROUTES,
    *routes.ROUTES,
    *staff.ROUTES,
    *audit.ROUTES,
    *health.ROUTES,
    *openapi.ROUTES,
)


def build(engine: Engine, laboratory: Laboratory | None = None) -> web.Application:
    """The application; the /v1/sim routes exist only with a laboratory."""
    app = web.Application(middlewares=[refusals, bearer], client_max_size=BODY_MOST)
    app[ENGINE] = engine
    routes = ROUTES
    if laboratory is not None:
        app[LABORATORY] = laboratory
        routes = (*ROUTES, *sim.ROUTES)
    app[openapi.DOCUMENT] = openapi.document(routes, version())
    app[events.BELL] = events.Bell()
    engine.store.follow(app[events.BELL].follow)
    for route in routes:
        app.router.add_route(route.method, route.path, route.handler)
    app.on_shutdown.append(_close_streams)
    pages.setup(app)
    return app


async def _close_streams(app: web.Application) -> None:
    app[events.BELL].close()


def version() -> str:
    """The version that is installed."""
    try:
        return metadata.version("carillon")
    except metadata.PackageNotFoundError:
        return "0"
