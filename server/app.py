"""The aiohttp application: every route in one list, around an engine that is already at work."""

import functools
import re
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Final

from aiohttp import web

from engine.access.rates import Rates
from engine.access.replays import AtWork
from engine.wiring import Engine
from server import noting
from server.api import (
    audit,
    campaigns,
    consents,
    coupons,
    customers,
    events,
    exports,
    fields,
    greetings,
    happenings,
    health,
    house_days,
    imports,
    links,
    loyalty,
    members,
    messages,
    metrics,
    modems,
    openapi,
    organisations,
    preview,
    privacy,
    regions,
    rewards,
    routes,
    segments,
    sessions,
    sim,
    staff,
    stats,
    suppressions,
    tags,
    tokens,
    topics,
    webhooks,
)
from server.console import pages
from server.context import ENGINE, LABORATORY, Laboratory
from server.middleware import RATES, bearer, refusals, tell_rate
from server.repeats import AT_WORK
from server.route import KNOWN, SHOWING, Route
from server.webhooks import attach

BODY_MOST: Final = 8 << 20  # octets of a body that is read whole; uploads are streamed and have no limit

ROUTES: Final[tuple[Route, ...]] = (
    *messages.ROUTES,
    *campaigns.ROUTES,
    *privacy.ROUTES,
    *exports.ROUTES,
    *customers.ROUTES,
    *imports.ROUTES,
    *consents.ROUTES,
    *suppressions.ROUTES,
    *happenings.ROUTES,
    *tags.ROUTES,
    *fields.ROUTES,
    *regions.ROUTES,
    *organisations.ROUTES,
    *preview.ROUTES,
    *segments.ROUTES,
    *members.ROUTES,
    *loyalty.ROUTES,
    *rewards.ROUTES,
    *coupons.ROUTES,
    *greetings.ROUTES,
    *house_days.ROUTES,
    *topics.ROUTES,
    *events.ROUTES,
    *modems.ROUTES,
    *routes.ROUTES,
    *staff.ROUTES,
    *stats.ROUTES,
    *sessions.ROUTES,
    *audit.ROUTES,
    *tokens.ROUTES,
    *webhooks.ROUTES,
    *health.ROUTES,
    *links.ROUTES,
    *metrics.ROUTES,
    *openapi.ROUTES,
)


def build(engine: Engine, laboratory: Laboratory | None = None) -> web.Application:
    """The application; the /v1/sim routes exist only with a laboratory."""
    app = web.Application(middlewares=[refusals, bearer], client_max_size=BODY_MOST)
    app[ENGINE] = engine
    app[RATES] = Rates()
    app[AT_WORK] = AtWork()
    app.on_response_prepare.append(tell_rate)
    app.on_response_prepare.append(noting.begin)
    if laboratory is not None:
        app[LABORATORY] = laboratory
    routes = _routes(laboratory is not None)
    app[KNOWN] = {(route.method, route.path): route for route in routes}
    app[openapi.DOCUMENT] = _document(laboratory is not None)
    app[SHOWING] = openapi.showing(app[openapi.DOCUMENT])
    app[events.BELL] = events.Bell()
    engine.store.follow(app[events.BELL].follow)
    for route, path in zip(routes, _paths(laboratory is not None), strict=True):
        app.router.add_route(route.method, path, route.handler)
    app.router.add_route("HEAD", links.PATH, links.look)
    app[links.GUESSES] = Rates()
    app.on_shutdown.append(_close_streams)
    attach(app)
    pages.setup(app)
    return app


def _routes(is_laboratory: bool) -> tuple[Route, ...]:
    return (*ROUTES, *sim.ROUTES) if is_laboratory else ROUTES


@functools.cache
def _document(is_laboratory: bool) -> dict[str, Any]:
    """Once in a process, and at its start: it takes 70 ms, which a loop at work must not."""
    return openapi.document(_routes(is_laboratory), version())


@functools.cache
def _paths(is_laboratory: bool) -> tuple[str, ...]:
    """Each route's path, as the router has it."""
    paths = [route.path for route in _routes(is_laboratory)]
    return tuple(_told_apart(path, paths) for path in paths)


def _told_apart(path: str, paths: Iterable[str]) -> str:
    """The path as the router has it: a variable is no word that another path has in its place.

    Else GET /v1/messages/preview would be a message that is called so, and not a method that there is none of.
    """
    head, brace, rest = path.partition("{")
    if not brace:
        return path
    words = {other.removeprefix(head).split("/")[0] for other in paths if other.startswith(head)}
    taken = "|".join(re.escape(word) for word in sorted(words) if not word.startswith("{"))
    name, _, tail = rest.partition("}")
    return f"{head}{{{name}:(?!(?:{taken})(?:/|$))[^{{}}/]+}}{tail}" if taken else path


async def _close_streams(app: web.Application) -> None:
    app[events.BELL].close()


def version() -> str:
    """The version that is installed."""
    try:
        return metadata.version("carillon")
    except metadata.PackageNotFoundError:
        return "0"
