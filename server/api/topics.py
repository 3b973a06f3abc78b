"""Topics, and who subscribes to them."""

from functools import partial
from typing import Any, Final

from aiohttp import web

from engine.crm.marketing import topics
from engine.crm.marketing.topics import Topic
from engine.crm.people import customers
from engine.crm.people.subscription import Frequency, State
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from server import wire
from server.calling import actor_of, caller_of
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import ID_PATTERN, Route
from server.shapes import topics as shapes


async def create(request: web.Request) -> web.Response:
    """A new topic.  409 `topic_word` where its word is taken, in whatever case and width."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewTopic)
    record = Topic(0, body.word, body.name, body.purpose)
    return await made(request, _created, topics.add, record, engine.now_ms())


def _created(_txn: Txn, record: Topic) -> web.Response:
    view = shapes.topic(record)
    return wire.reply(view, 201, Location=f"/v1/topics/{view.id}", ETag=f'"{view.version}"')


async def list_all(request: web.Request) -> web.Response:
    """Topics, the oldest first, archived ones among them."""
    wire.known_query(request, "cursor", "limit")
    after, limit = wire.page_of(request, "top")
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.topic(record) for record in topics.listed(txn, after, limit)]
    return wire.reply(shapes.TopicPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One topic."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        record = topics.get(txn, wire.id_of(request, "top"))
    return wire.reply(shapes.topic(record), ETag=f'"{record.version}"')


async def change(request: web.Request) -> web.Response:
    """Another word or name, or archive it; with `If-Match` only the version that was read, else 412.

    Who subscribes goes on doing so.  409 `topic_word`.
    """
    engine, identifier = request.app[ENGINE], wire.id_of(request, "top")
    version = wire.version_of(request)
    changes = shapes.topic_changes(wire.decode(await request.read(), shapes.TopicChange))
    record = await written(request, topics.change, identifier, changes, version, engine.now_ms())
    return wire.reply(shapes.topic(record), ETag=f'"{record.version}"')


async def list_subscribers(request: web.Request) -> web.Response:
    """Who subscribes to it or did, the oldest customer first, with masked numbers; with `state` only those in it."""
    wire.known_query(request, "cursor", "limit", "state")
    identifier = wire.id_of(request, "top")
    after, limit = wire.page_of(request, "cus")
    state = request.query.get("state", "")
    if state and state.upper() not in State.__members__:
        raise Invalid(InvalidParam("state", f"is none of {', '.join(_STATES)}"))
    wanted = State[state.upper()] if state else None
    with request.app[ENGINE].store.read() as txn:
        topics.get(txn, identifier)
        found, last = topics.subscribers(txn, identifier, after, limit, wanted)
        items = [shapes.subscriber(txn, caller_of(request), *one) for one in found]
    return wire.reply(shapes.SubscriberPage(items, customers.name_of(last) if last else None))


async def subscribe(request: web.Request) -> web.Response:
    """Let a customer's subscription to a topic be so: begin, pause, end, or be of another frequency.

    It says nothing of consent, which is asked for all the same when he is texted.  409 `topic_archived` but for one
    that ends.
    """
    engine, identifier = request.app[ENGINE], wire.id_of(request, "cus")
    body = wire.decode(await request.read(), shapes.NewSubscription)
    by = actor_of(caller_of(request))
    return await made(request, _subscribed, _subscribe, identifier, body, by, engine.now_ms())


def _subscribe(
    txn: Txn, customer: int, body: shapes.NewSubscription, by: str, now_ms: int
) -> shapes.SubscriptionView:  # fmt: skip
    topic = topics.require(txn, body.topic)
    frequency = Frequency[body.frequency.upper()] if body.frequency else None
    put = partial(topics.put, frequency=frequency, source="api", by=by)
    return shapes.subscription(topic, put(txn, topic, customer, State[body.state.upper()], now_ms))


def _subscribed(_txn: Txn, view: shapes.SubscriptionView) -> web.Response:
    return wire.reply(view)


async def list_of_customer(request: web.Request) -> web.Response:
    """What a customer subscribes to or did."""
    wire.known_query(request)
    identifier = wire.id_of(request, "cus")
    with request.app[ENGINE].store.read() as txn:
        customers.require(txn, identifier)
        items = [shapes.subscription(*one) for one in topics.of_customer(txn, identifier)]
    return wire.reply(shapes.SubscriptionList(items))


_PAGE: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_STATES: Final = tuple(state.slug for state in State)
_OF_TOPIC: Final[dict[str, dict[str, Any]]] = {
    "cursor": {"type": "string", "pattern": f"^cus_{ID_PATTERN}$"},
    "state": {"type": "string", "enum": list(_STATES)},
}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/topics",
        create,
        201,
        takes=shapes.NewTopic,
        gives=shapes.TopicView,
        problems=(409,),
        tells=("Location", "ETag"),
        right="campaigns:write",
    ),
    Route("GET", "/v1/topics", list_all, gives=shapes.TopicPage, query=_PAGE, right="campaigns:read"),
    Route(
        "GET",
        "/v1/topics/{id}",
        get,
        gives=shapes.TopicView,
        problems=(404,),
        tells=("ETag",),
        right="campaigns:read",
    ),
    Route(
        "PATCH",
        "/v1/topics/{id}",
        change,
        takes=shapes.TopicChange,
        gives=shapes.TopicView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="campaigns:write",
    ),
    Route(
        "GET",
        "/v1/topics/{id}/subscribers",
        list_subscribers,
        gives=shapes.SubscriberPage,
        query={"state": "only those in this state", **_PAGE},
        problems=(404,),
        right="customers:read",
        schemas=_OF_TOPIC,
    ),
    Route(
        "POST",
        "/v1/customers/{id}/subscriptions",
        subscribe,
        takes=shapes.NewSubscription,
        gives=shapes.SubscriptionView,
        problems=(404, 409),
        right="customers:write",
    ),
    Route(
        "GET",
        "/v1/customers/{id}/subscriptions",
        list_of_customer,
        gives=shapes.SubscriptionList,
        problems=(404,),
        right="customers:read",
    ),
)
