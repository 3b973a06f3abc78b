"""Rewards: what members may have for their points."""

from typing import Final

from aiohttp import web

from engine.crm.marketing import rewards
from engine.store.table import Txn
from server import wire
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import loyalty as shapes


async def create(request: web.Request) -> web.Response:
    """A new reward.  409 `reward_code` where its code is taken."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewReward)
    return await made(request, _created, rewards.add, shapes.reward_of(body), engine.now_ms())


def _created(_txn: Txn, added: tuple[int, rewards.Reward]) -> web.Response:
    identifier, record = added
    location = f"/v1/rewards/{rewards.name_of(identifier)}"
    return wire.reply(shapes.reward(identifier, record), 201, Location=location)


async def list_all(request: web.Request) -> web.Response:
    """All rewards, the oldest first: there are few."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.reward(identifier, record) for identifier, record in rewards.listed(txn)]
    return wire.reply(shapes.RewardPage(items, None))


async def get(request: web.Request) -> web.Response:
    """One reward."""
    wire.known_query(request)
    identifier = wire.id_of(request, "rwd")
    with request.app[ENGINE].store.read() as txn:
        record = rewards.get(txn, identifier)
    return wire.reply(shapes.reward(identifier, record), ETag=f'"{record.version}"')


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read, else 412."""
    engine, identifier = request.app[ENGINE], wire.id_of(request, "rwd")
    version = wire.version_of(request)
    body = wire.decode(await request.read(), shapes.RewardChange)
    changes = shapes.reward_changes(body)
    record = await written(request, rewards.change, identifier, changes, version, engine.now_ms())
    return wire.reply(shapes.reward(identifier, record), ETag=f'"{record.version}"')


async def remove(request: web.Request) -> web.Response:
    """Offer it no more; coupons that were given for it stay good."""
    engine = request.app[ENGINE]
    await written(request, rewards.remove, wire.id_of(request, "rwd"), engine.now_ms())
    return web.Response(status=204)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/rewards",
        create,
        201,
        takes=shapes.NewReward,
        gives=shapes.RewardView,
        problems=(409,),
        tells=("Location",),
        right="members:write",
    ),
    Route("GET", "/v1/rewards", list_all, gives=shapes.RewardPage, right="members:read"),
    Route(
        "GET", "/v1/rewards/{id}", get, gives=shapes.RewardView, problems=(404,), tells=("ETag",), right="members:read"
    ),
    Route(
        "PATCH",
        "/v1/rewards/{id}",
        change,
        takes=shapes.RewardChange,
        gives=shapes.RewardView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="members:write",
    ),
    Route("DELETE", "/v1/rewards/{id}", remove, 204, problems=(404,), right="members:write"),
)
