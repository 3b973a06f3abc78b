"""Webhooks: who is told of which events, what became of it, and what was given up."""

from typing import Final

import msgspec
from aiohttp import web

from engine.access import addresses, deliveries, webhooks
from engine.access.addresses import Network
from engine.access.webhooks import PLACES, SUBSCRIPTIONS, State, Subscription
from engine.store import ids
from engine.store.table import Txn
from engine.wiring import Engine
from server import wire
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import webhooks as shapes


def _allowed(engine: Engine) -> tuple[Network, ...]:
    return addresses.networks(engine.settings.webhooks.allow_private)


async def create(request: web.Request) -> web.Response:
    """A new webhook, told of what happens from now on; the answer alone shows its secret."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewWebhook)

    def answer(txn: Txn, added: Subscription) -> web.Response:
        view = shapes.new_webhook(added, PLACES.get(txn, added.id), webhooks.secret_of(engine.pepper, added))
        location = f"/v1/webhooks/{webhooks.name_of(added.id)}"
        return wire.reply(view, 201, Location=location, ETag=f'"{added.version}"', Cache_Control="no-store")

    return await made(
        request, answer, webhooks.add, body.url, tuple(body.events), engine.now_ms(), body.name, _allowed(engine)
    )


async def list_all(request: web.Request) -> web.Response:
    """All webhooks, the oldest first: there are few."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.webhook(record, PLACES.get(txn, record.id)) for record in webhooks.listed(txn)]
    return wire.reply(shapes.WebhookPage(items, None))


async def get(request: web.Request) -> web.Response:
    """One webhook, and how far it has been told."""
    wire.known_query(request)
    identifier = _id_of(request)
    with request.app[ENGINE].store.read() as txn:
        record = SUBSCRIPTIONS.get(txn, identifier)
    return _reply(request, record)


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.WebhookChange)
    changes: dict[str, object] = {}
    if body.url is not msgspec.UNSET:
        changes["url"] = body.url
    if body.events is not msgspec.UNSET:
        changes["kinds"] = tuple(body.events)
    if body.name is not msgspec.UNSET:
        changes["name"] = body.name
    if body.state is not msgspec.UNSET:
        changes["state"] = State(body.state)
    identifier, version = _id_of(request), wire.version_of(request)
    record = await written(request, webhooks.change, identifier, changes, version, engine.now_ms(), _allowed(engine))
    return _reply(request, record)


async def remove(request: web.Request) -> web.Response:
    """Tell it no more, and forget what it was not told."""
    engine = request.app[ENGINE]
    identifier = _id_of(request)
    await written(request, webhooks.remove, identifier, engine.now_ms())
    while await engine.store.write_bulk(deliveries.clear, identifier):
        pass
    return web.Response(status=204)


async def rotate(request: web.Request) -> web.Response:
    """A new secret; for 24 hours posts carry two signatures, the other by the secret before."""
    engine = request.app[ENGINE]

    def answer(_txn: Txn, record: Subscription) -> web.Response:
        view = shapes.rotated(record, webhooks.secret_of(engine.pepper, record))
        return wire.reply(view, ETag=f'"{record.version}"', Cache_Control="no-store")

    return await made(request, answer, webhooks.rotate, _id_of(request), engine.now_ms())


async def ring(request: web.Request) -> web.Response:
    """Let the event `webhook.test` happen, which is posted like any other."""
    engine = request.app[ENGINE]
    return await made(request, _rung, webhooks.ring, _id_of(request), engine.now_ms())


def _rung(_txn: Txn, sequence: int) -> web.Response:
    return wire.reply(shapes.RungView(shapes.name_of_event(sequence)), 202)


async def list_attempts(request: web.Request) -> web.Response:
    """The last 500 posts, the newest first; those of one `event` where it is named."""
    wire.known_query(request, "event", "limit")
    identifier, limit = _id_of(request), wire.limit_of(request)
    event = request.query.get("event", "")
    sequence = ids.parse("evt", event, "event") if event else 0
    with request.app[ENGINE].store.read() as txn:
        SUBSCRIPTIONS.get(txn, identifier)
        found = deliveries.attempts(txn, identifier, sequence, limit)
    return wire.reply(shapes.AttemptPage([shapes.attempt(record) for record in found], None))


async def list_dead(request: web.Request) -> web.Response:
    """Events that were given up after 48 hours, the newest first; they are kept for 30 days."""
    wire.known_query(request, "cursor", "limit")
    identifier = _id_of(request)
    before, limit = wire.page_of(request, "evt")
    with request.app[ENGINE].store.read() as txn:
        SUBSCRIPTIONS.get(txn, identifier)
        found = deliveries.dead_letters(txn, identifier, before, limit)
    items = [shapes.dead(sequence, record) for sequence, record in found]
    return wire.reply(shapes.DeadPage(items, wire.next_of(items, limit)))


async def replay(request: web.Request) -> web.Response:
    """Try a dead letter again, for 48 hours more; what followed it has long been told."""
    engine = request.app[ENGINE]
    identifier = _id_of(request)
    sequence = ids.parse("evt", request.match_info["event"], "event")

    def answer(txn: Txn, _: object) -> web.Response:
        return _replayed(txn, identifier, 1)

    return await made(request, answer, deliveries.replay, identifier, sequence, engine.now_ms())


async def replay_all(request: web.Request) -> web.Response:
    """Try the oldest 1,000 dead letters again; `left` says how many more there are."""
    engine = request.app[ENGINE]
    identifier = _id_of(request)

    def answer(txn: Txn, replayed: int) -> web.Response:
        return _replayed(txn, identifier, replayed)

    return await made(request, answer, deliveries.replay_all, identifier, engine.now_ms())


def _replayed(txn: Txn, identifier: int, replayed: int) -> web.Response:
    return wire.reply(shapes.ReplayedView(replayed, PLACES.get(txn, identifier).dead), 202)


def _reply(request: web.Request, record: Subscription) -> web.Response:
    with request.app[ENGINE].store.read() as txn:
        place = PLACES.get(txn, record.id)
    return wire.reply(shapes.webhook(record, place), ETag=f'"{record.version}"')


def _id_of(request: web.Request) -> int:
    return wire.id_of(request, "whk")


_ATTEMPTS: Final = {"event": "only the posts of this event", "limit": "1 to 1000, 50 if left out"}
_DEAD: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_ONE: Final = "/v1/webhooks/{id}"

ROUTES: Final = (
    Route(
        "POST",
        "/v1/webhooks",
        create,
        201,
        takes=shapes.NewWebhook,
        gives=shapes.NewWebhookView,
        problems=(409,),
        tells=("Location", "ETag"),
        right="webhooks:write",
    ),
    Route(
        "GET",
        "/v1/webhooks",
        list_all,
        gives=shapes.WebhookPage,
        right="webhooks:write",
    ),
    Route(
        "GET",
        _ONE,
        get,
        gives=shapes.WebhookView,
        problems=(404,),
        tells=("ETag",),
        right="webhooks:write",
    ),
    Route(
        "PATCH",
        _ONE,
        change,
        takes=shapes.WebhookChange,
        gives=shapes.WebhookView,
        problems=(404, 412),
        tells=("ETag",),
        right="webhooks:write",
    ),
    Route(
        "DELETE",
        _ONE,
        remove,
        204,
        problems=(404,),
        right="webhooks:write",
    ),
    Route(
        "POST",
        f"{_ONE}/rotate",
        rotate,
        gives=shapes.RotatedView,
        problems=(404,),
        tells=("ETag",),
        right="webhooks:write",
    ),
    Route(
        "POST",
        f"{_ONE}/test",
        ring,
        202,
        gives=shapes.RungView,
        problems=(404, 409),
        right="webhooks:write",
    ),
    Route(
        "GET",
        f"{_ONE}/deliveries",
        list_attempts,
        gives=shapes.AttemptPage,
        query=_ATTEMPTS,
        problems=(404,),
        right="webhooks:write",
    ),
    Route(
        "GET",
        f"{_ONE}/dead",
        list_dead,
        gives=shapes.DeadPage,
        query=_DEAD,
        problems=(404,),
        right="webhooks:write",
    ),
    Route(
        "POST",
        f"{_ONE}/dead/replay",
        replay_all,
        202,
        gives=shapes.ReplayedView,
        problems=(404,),
        right="webhooks:write",
    ),
    Route(
        "POST",
        f"{_ONE}/dead/{{event}}/replay",
        replay,
        202,
        gives=shapes.ReplayedView,
        problems=(404,),
        right="webhooks:write",
    ),
)
