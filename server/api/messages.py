"""Messages: send, look up, preview, cancel, resolve."""

import asyncio
import csv
import io
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from engine import numbers, sms
from engine.access import budgets
from engine.access.caller import Caller
from engine.crm.people import audit, exports, permission
from engine.crm.people.audit import By
from engine.errors import CodecError, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Txn
from engine.traffic import events, messages, routes, search
from engine.traffic.inbox import RECEIVED, Progress
from engine.traffic.messages import Lane, Message, OnUnknown, Resolution, State
from engine.traffic.search import Wanted
from engine.wiring import Engine
from server import noting, views, wire
from server.calling import by_of, caller_of, token_of
from server.context import ENGINE
from server.repeats import made
from server.route import Route

LOOKED_MOST: Final = 20_000  # by one call: a tenth of a second, in slices
TEXT_SHORTEST: Final = 2
TEXT_LONGEST: Final = 100

_SENT_COLUMNS: Final = (
    "id", "to", "text", "state", "reason", "parts", "purpose", "lane", "source", "campaign_id", "client_ref",
    "created_at", "updated_at", "delivered_at",
)  # fmt: skip
_RECEIVED_COLUMNS: Final = ("id", "from", "text", "state", "routed_to", "complete", "parts", "sim", "received_at")


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
    answer = partial(_taken if is_batch else _taken_alone, caller_of(request))
    return await made(request, answer, _enqueue, records, engine.now_ms(), token, zone)


def _taken(caller: Caller, _txn: Txn, records: list[Message]) -> web.Response:
    return wire.reply(views.MessageList([wire.message(record, caller) for record in records]), 202)


def _taken_alone(caller: Caller, _txn: Txn, records: list[Message]) -> web.Response:
    (record,) = records
    return wire.reply(wire.message(record, caller), 202, Location=f"/v1/messages/{messages.name(record.id)}")


# -- searching


def _wanted(request: web.Request) -> tuple[bool, Wanted]:
    """(whether it is about what we sent, what is looked for).  Raises Invalid."""
    engine, query = request.app[ENGINE], request.query
    direction = query.get("direction", "out")
    if direction not in ("in", "out"):
        raise Invalid(InvalidParam("direction", "is none of in, out"))
    is_out = direction == "out"
    name, others = ("to", ("from",)) if is_out else ("from", ("to", "campaign_id"))
    for other in others:
        if other in query:
            raise Invalid(InvalidParam(other, f"is not a parameter of direction={direction}"))
    number = wire.number_of(query[name], engine.settings.house.country or None, name) if name in query else None
    states: type[State] | type[Progress] = State if is_out else Progress
    slugs = [state.name.lower() for state in states]
    if query.get("state", slugs[0]) not in slugs:
        raise Invalid(InvalidParam("state", f"is none of {', '.join(slugs)}"))
    words = query.get("text", "")
    if words and not TEXT_SHORTEST <= len(words) <= TEXT_LONGEST:
        raise Invalid(InvalidParam("text", f"is not {TEXT_SHORTEST} to {TEXT_LONGEST} characters"))
    return is_out, Wanted(
        numbers.to_key(number) if number else 0,
        states[query["state"].upper()] if "state" in query else None,
        search.first_of(wire.time_of(request, "since")),
        search.first_of(wire.time_of(request, "until")),
        search.folded(words),
        ids.parse("cmp", query["campaign_id"], "campaign_id") if "campaign_id" in query else 0,
    )


def _found(
    txn: Txn, is_out: bool, wanted: Wanted, before: int, limit: int, caller: Caller
) -> tuple[list[views.MessageView | views.ReceivedView], int, int]:
    """(what a step found, how much it looked at, the id to go on below)."""
    if is_out:
        step = search.sent(txn, wanted, before, limit)
        return [wire.message(record, caller) for record in step.items], step.looked, step.before
    texts = search.received(txn, wanted, before, limit)
    return [wire.received(record, caller) for record in texts.items], texts.looked, texts.before


async def list_all(request: web.Request) -> web.Response:
    """Messages newest first: `direction` out (usual) or in, `to` or `from` one number.

    One call looks at so many messages and no more.  Where few are as they are wanted, a page holds fewer than `limit`,
    or none, and the search goes on at `next`, until that is null.
    """
    wire.known_query(request, "cursor", "limit", *_FILTERS)
    store, caller = request.app[ENGINE].store, caller_of(request)
    before, limit = wire.page_of(request, "msg")
    is_out, wanted = _wanted(request)
    items: list[views.MessageView | views.ReceivedView] = []
    looked = 0
    is_more = True
    while is_more:
        with store.read() as txn:
            found, cost, before = _found(txn, is_out, wanted, before, limit - len(items), caller)
        items += found
        looked += cost
        is_more = before > 0 and len(items) < limit and looked < LOOKED_MOST
        if is_more:
            await asyncio.sleep(0)
    return wire.reply(views.MessagePage(items, messages.name(before) if before else None))


async def export(request: web.Request) -> web.StreamResponse:
    """All that a search finds as a CSV file, newest first, streamed; numbers are masked."""
    wire.known_query(request, "bom", *_FILTERS)
    engine = request.app[ENGINE]
    is_out, wanted = _wanted(request)
    bom = request.query.get("bom", "1")
    if bom not in ("0", "1"):
        raise Invalid(InvalidParam("bom", "is not 0 or 1"))
    by, filters, caller = by_of(request), sorted(set(request.query) - {"bom"}), caller_of(request)
    # Before the first line: who breaks off the file has had a part of it.
    await noting.written(request, _begin_export, by, filters, engine.now_ms())
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": 'attachment; filename="messages.csv"'}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    columns = _SENT_COLUMNS if is_out else _RECEIVED_COLUMNS
    await response.write(exports.header(columns, bom=bom == "1"))
    before = rows = 0
    is_more = True
    while is_more:
        with engine.store.read() as txn:
            found, _, before = _found(txn, is_out, wanted, before, wire.LIMIT_MOST, caller)
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows([wire.cell(_told(view, column)) for column in columns] for view in found)
        if found:
            await response.write(lines.getvalue().encode())
        rows += len(found)
        is_more = before > 0
        await asyncio.sleep(0)
    await engine.store.write(_end_export, caller.name, filters, rows, engine.now_ms())
    await response.write_eof()
    return response


def _told(view: views.MessageView | views.ReceivedView, column: str) -> Any:
    told = getattr(view, "from_" if column == "from" else column)
    return sum(told.values()) if isinstance(told, dict) else told


def _begin_export(txn: Txn, by: By, filters: list[str], now_ms: int) -> None:
    told: dict[str, tuple[Any, Any]] = {"filters": (None, filters)}
    if by.caller.asked is not None:
        told["numbers_told"] = (None, noting.WHOLE)
    audit.append(txn, by, "messages.exported", "messages", now_ms, told)


def _end_export(txn: Txn, by: str, filters: list[str], rows: int, now_ms: int) -> None:
    events.append(txn, "messages.exported", now_ms, by, filters=filters, rows=rows)


# -- one message


async def get(request: web.Request) -> web.Response:
    """One message, sent or received, with its number and parts."""
    wire.known_query(request)
    identifier, caller = wire.id_of(request, "msg"), caller_of(request)
    with request.app[ENGINE].store.read() as txn:
        received = RECEIVED.find(txn, identifier)
        if received is not None:
            return wire.reply(wire.received(received, caller, whole=True))
        return wire.reply(wire.message(messages.get(txn, identifier), caller, whole=True))


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
    return await made(
        request, partial(_moved, caller_of(request)), messages.cancel, wire.id_of(request, "msg"), engine.now_ms()
    )


def _moved(caller: Caller, _txn: Txn, record: Message) -> web.Response:
    return wire.reply(wire.message(record, caller))


async def resolve(request: web.Request) -> web.Response:
    """Decide about an unknown message: it was sent, it failed, or it shall be sent again."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), wire.Resolve)
    identifier, resolution = wire.id_of(request, "msg"), Resolution(body.as_)
    return await made(
        request, partial(_moved, caller_of(request)), engine.resolved, identifier, resolution, engine.now_ms()
    )


_FILTERS: Final = {
    "direction": "out (usual) or in",
    "to": "only messages to this number",
    "from": "only messages from this number",
    "state": "only those in this state; of what came in: assembled, routed, failed",
    "since": "not before this time: when it was accepted, or had come in whole",
    "until": "before this time",
    "text": f"only those that say this: {TEXT_SHORTEST} to {TEXT_LONGEST} characters, however wide or large",
    "campaign_id": "only those of this campaign",
}
_PAGE: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "state": {"type": "string", "enum": [*dict.fromkeys(state.name.lower() for state in (*State, *Progress))]},
    "since": {"type": "string", "format": "date-time"},
    "until": {"type": "string", "format": "date-time"},
    "text": {"type": "string", "minLength": TEXT_SHORTEST, "maxLength": TEXT_LONGEST},
    "campaign_id": {"type": "string", "pattern": "^cmp_[0-9a-hjkmnp-tv-z]{13}$"},
    "bom": {"type": "string", "enum": ["0", "1"], "default": "1"},
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
        is_busy=True,
    ),
    Route(
        "GET",
        "/v1/messages",
        list_all,
        gives=views.MessagePage,
        query={**_FILTERS, **_PAGE},
        right="messages:read",
        schemas=_SCHEMAS,
    ),
    Route(
        "GET",
        "/v1/messages.csv",
        export,
        gives=views.Sheet,
        gives_media="text/csv",
        query={**_FILTERS, "bom": "0: without the mark by which spreadsheets know UTF-8"},
        right="customers:export",
        schemas=_SCHEMAS,
    ),
    Route("POST", "/v1/messages/preview", preview, takes=wire.Preview, gives=views.PreviewView),
    Route(
        "GET",
        "/v1/messages/{id}",
        get,
        gives=(views.MessageView, views.ReceivedView),
        audited="message.read",
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
