"""Organisations: firms and shops that people belong to."""

from typing import Final

from aiohttp import web

from engine.crm.people import organisations
from engine.store.table import Txn
from server import wire
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import people as shapes


async def create(request: web.Request) -> web.Response:
    """A new organisation."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewOrganisation)
    return await made(request, _created, _create, body, engine.now_ms())


def _created(_txn: Txn, view: shapes.OrganisationView) -> web.Response:
    return wire.reply(view, 201, Location=f"/v1/organisations/{view.id}", ETag=f'"{view.version}"')


def _create(txn: Txn, body: shapes.NewOrganisation, now_ms: int) -> shapes.OrganisationView:
    return shapes.organisation(txn, organisations.add(txn, shapes.organisation_of(txn, body), now_ms))


async def list_all(request: web.Request) -> web.Response:
    """Organisations, the oldest first; with `name` those of which words begin so."""
    wire.known_query(request, "cursor", "limit", "name")
    after, limit = wire.page_of(request, "org")
    name = request.query.get("name", "")
    with request.app[ENGINE].store.read() as txn:
        if name:
            found = organisations.search(txn, name, limit)
            return wire.reply(shapes.OrganisationPage([shapes.organisation(txn, record) for record in found], None))
        items = [shapes.organisation(txn, record) for record in organisations.listed(txn, after, limit)]
    return wire.reply(shapes.OrganisationPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One organisation."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        record = organisations.ORGANISATIONS.get(txn, wire.id_of(request, "org"))
        return wire.reply(shapes.organisation(txn, record), ETag=f'"{record.version}"')


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.OrganisationChange)
    identifier, version = wire.id_of(request, "org"), wire.version_of(request)
    view = await written(request, _change, identifier, body, version, engine.now_ms())
    return wire.reply(view, ETag=f'"{view.version}"')


def _change(
    txn: Txn, identifier: int, body: shapes.OrganisationChange, version: int | None, now_ms: int
) -> shapes.OrganisationView:
    old = organisations.ORGANISATIONS.get(txn, identifier)
    new = shapes.organisation_changed(txn, old, body)
    return shapes.organisation(txn, organisations.change(txn, new, version, now_ms))


_LIST: Final = {
    "name": "beginnings of words of the name",
    "cursor": "`next` of the page before",
    "limit": "1 to 1000, 50 if left out",
}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/organisations",
        create,
        201,
        takes=shapes.NewOrganisation,
        gives=shapes.OrganisationView,
        problems=(409,),
        tells=("Location", "ETag"),
        right="customers:write",
    ),
    Route("GET", "/v1/organisations", list_all, gives=shapes.OrganisationPage, query=_LIST, right="customers:read"),
    Route(
        "GET",
        "/v1/organisations/{id}",
        get,
        gives=shapes.OrganisationView,
        problems=(404,),
        tells=("ETag",),
        right="customers:read",
    ),
    Route(
        "PATCH",
        "/v1/organisations/{id}",
        change,
        takes=shapes.OrganisationChange,
        gives=shapes.OrganisationView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="customers:write",
    ),
)
