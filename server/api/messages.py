"""Messages: send, look up, preview, cancel, resolve."""

from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from engine import numbers, sms
from engine.access import budgets
from engine.crm.people import permission
from engine.errors import CodecError, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Txn
from engine.traffic import inbox, messages, routes
from engine.traffic.inbox import RECEIVED
from engine.traffic.messages import Lane, Message, OnUnknown, Resolution
from engine.wiring import Engine
from server import views, wire
from server.calling import token_of
from server.context import ENGINE
from server.repeats import made
from server.route import Route


def _message(engine: Engine, body: wire.NewMessage, prefix: str) -> Message:
    """The record that a request asks for.  Raises Invalid and CodecError naming the field."""
    number = numbers.parse(body.to, engine.settings.house.country or None, f"{prefix}to")
    try:
        sms.measure(body.text, alphabet=body.alphabet, national=body.national, transliterate=body.transliterate)
    except CodecError as error:
        raise Invalid(InvalidParam(f"{prefix}{error.field}", error.reason)) from error
    routes.require_normal(body.tariff, f"{prefix}tariff")
    wants_report = body.delivery_report == "all"
    usual = OnUnknown.AWAIT_REPORT if wants_report else OnUnknown.HOLD
    return Message(
        0,
        numbers.to_key(number),
        body.text,
        body.purpose,
        Lane[body.lane.upper()],
        client_ref=body.client_ref,
        alphabet=body.alphabet,
        national=body.national,
        transliterate=body.transliterate,
        flash=body.flash,
        wants_report=wants_report,
        on_unknown=OnUnknown[body.on_unknown.upper()] if body.on_unknown else usual,
        not_before_ms=wire.time_ms(body.not_before, f"{prefix}not_before"),
        expires_ms=wire.time_ms(body.expires_at, f"{prefix}expires_at"),
        tag=body.tag,
        sim=int(body.sim or 0),
        in_reply_to=ids.parse("msg", body.in_reply_to, f"{prefix}in_reply_to") if body.in_reply_to else 0,
    )


def _enqueue(txn: Txn, records: list[Message], now_ms: int, token: int, zone: ZoneInfo) -> list[Message]:
    taken: list[Message] = []
    for place, record in enumerate(records):
        try:
            permission.require_answer(txn, record, now_ms)
            taken.append(messages.enqueue(txn, record, now_ms))
        except Invalid as error:
            if len(records) == 1:
                raise
            named = [InvalidParam(f"messages[{place}].{param.name}", param.reason) for param in error.params]
            raise Invalid(*named) from error
    budgets.spend(txn, token, sum(len(record.parts) for record in taken), now_ms, zone)
    return taken


async def send(request: web.Request) -> web.Response:
    """One text, or up to 1,000 taken all together; 202 is answered when they are on the disk."""
    engine = request.app[ENGINE]
    raw = await request.read()
    body = wire.decode(raw, msgspec.Raw)
    # An object with a list under `messages` is a batch; the types decide about everything else.
    is_batch = "messages" in wire.decode(bytes(body), dict) if raw.lstrip()[:1] == b"{" else False
    if is_batch:
        batch = wire.decode(raw, wire.NewMessages)
        records = [_message(engine, one, f"messages[{index}].") for index, one in enumerate(batch.messages)]
    else:
        records = [_message(engine, wire.decode(raw, wire.NewMessage), "")]
    token, zone = token_of(request), ZoneInfo(engine.settings.house.time_zone)
    answer = _taken if is_batch else _taken_alone
    return await made(request, answer, _enqueue, records, engine.now_ms(), token, zone)


def _taken(_txn: Txn, records: list[Message]) -> web.Response:
    return wire.reply(views.MessageList([wire.message(record) for record in records]), 202)


def _taken_alone(_txn: Txn, records: list[Message]) -> web.Response:
    (record,) = records
    return wire.reply(wire.message(record), 202, Location=f"/v1/messages/{messages.name(record.id)}")


async def list_all(request: web.Request) -> web.Response:
    """Messages newest first: `direction` out (usual) or in, `to` or `from` one number."""
    wire.known_query(request, "cursor", "limit", "direction", "to", "from")
    engine = request.app[ENGINE]
    before, limit = wire.page_of(request, "msg")
    direction = request.query.get("direction", "out")
    if direction not in ("in", "out"):
        raise Invalid(InvalidParam("direction", "is none of in, out"))
    name, other = ("to", "from") if direction == "out" else ("from", "to")
    if other in request.query:
        raise Invalid(InvalidParam(other, f"is not a parameter of direction={direction}"))
    text = request.query.get(name)
    number = wire.number_of(text, engine.settings.house.country or None, name) if text else None
    items: list[views.MessageView | views.ReceivedView] = []
    with engine.store.read() as txn:
        if direction == "out":
            items += [wire.message(record) for record in messages.listed(txn, number, before, limit)]
        else:
            items += [wire.received(record) for record in inbox.listed(txn, number, before, limit)]
    return wire.reply(views.MessagePage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One message, sent or received, with its number and parts."""
    wire.known_query(request)
    identifier = wire.id_of(request, "msg")
    with request.app[ENGINE].store.read() as txn:
        received = RECEIVED.find(txn, identifier)
        if received is not None:
            return wire.reply(wire.received(received, whole=True))
        return wire.reply(wire.message(messages.get(txn, identifier), whole=True))


async def explain(request: web.Request) -> web.Response:
    """Why it has not gone yet, in one sentence."""
    wire.known_query(request)
    return wire.reply(views.Explanation(request.app[ENGINE].explain(wire.id_of(request, "msg"))))


async def preview(request: web.Request) -> web.Response:
    """Alphabet, parts, room, the first character that forced UCS2, and how long the rack would take."""
    body = wire.decode(await request.read(), wire.Preview)
    envelope = sms.Envelope(alphabet=body.alphabet, national=body.national, transliterate=body.transliterate)
    measure = sms.measure(body.text, envelope)
    # What every table of every language would save, whether or not it was asked for.
    saving = sms.measure(body.text, alphabet=body.alphabet, national="all", transliterate=body.transliterate).parts
    estimate_s = request.app[ENGINE].estimate_s(measure.parts)
    answer = views.PreviewView(
        alphabet=sms.Alphabet(measure.alphabet).name.lower(),
        units=measure.units,
        parts=measure.parts,
        room=measure.room,
        forced_by=measure.forced_by or None,
        texts=sms.cut(body.text, envelope),
        estimate_s=None if estimate_s is None else round(estimate_s, 1),
        national_parts=saving if saving < measure.parts else None,
    )
    return wire.reply(answer)


async def cancel(request: web.Request) -> web.Response:
    """Take it back, unless a part was given to a modem."""
    engine = request.app[ENGINE]
    return await made(request, _moved, messages.cancel, wire.id_of(request, "msg"), engine.now_ms())


def _moved(_txn: Txn, record: Message) -> web.Response:
    return wire.reply(wire.message(record))


async def resolve(request: web.Request) -> web.Response:
    """Decide about an unknown message: it was sent, it failed, or it shall be sent again."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), wire.Resolve)
    identifier, resolution = wire.id_of(request, "msg"), Resolution(body.as_)
    return await made(request, _moved, engine.resolved, identifier, resolution, engine.now_ms())


_LIST: Final = {
    "direction": "out (usual) or in",
    "to": "only messages to this number",
    "from": "only messages from this number",
    "cursor": "`next` of the page before",
    "limit": "1 to 1000, 50 if left out",
}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/messages",
        send,
        202,
        takes=(wire.NewMessage, wire.NewMessages),
        gives=(views.MessageView, views.MessageList),
        right="messages:send",
        tells=("Location",),
    ),
    Route("GET", "/v1/messages", list_all, gives=views.MessagePage, query=_LIST, right="messages:read"),
    Route("POST", "/v1/messages/preview", preview, takes=wire.Preview, gives=views.PreviewView),
    Route(
        "GET",
        "/v1/messages/{id}",
        get,
        gives=(views.MessageView, views.ReceivedView),
        problems=(404,),
        right="messages:read",
    ),
    Route(
        "GET",
        "/v1/messages/{id}/explain",
        explain,
        gives=views.Explanation,
        problems=(404,),
        right="messages:read",
    ),
    Route(
        "POST",
        "/v1/messages/{id}/cancel",
        cancel,
        gives=views.MessageView,
        problems=(404, 409),
        right="messages:send",
    ),
    Route(
        "POST",
        "/v1/messages/{id}/resolve",
        resolve,
        takes=wire.Resolve,
        gives=views.MessageView,
        problems=(404, 409),
        right="messages:send",
    ),
)
