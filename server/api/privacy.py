"""Merging two records of one person, erasing a person, and everything that is kept of one."""

from functools import partial
from typing import Final

import msgspec
import phonenumbers
from aiohttp import web

from engine.crm import dossier, erasure, merging
from engine.crm.people import customers, references
from engine.crm.people.audit import By
from engine.errors import Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Txn
from engine.traffic.traces import Left
from engine.wiring import Engine
from server import wire
from server.calling import by_of, caller_of
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import privacy as shapes

# Steps that a caller waits for; upkeep goes on with what is left.
STEPS: Final = 20


async def merge(request: web.Request) -> web.Response:
    """Make one customer of two: the other's numbers, texts, points and coupons are this one's from now on.

    What is set stays.  409 `merge_member` where the other's card is suspended or owes points.
    """
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewMerge)
    kept, gone = wire.id_of(request, "cus"), ids.parse("cus", body.other_id, "other_id")
    zone = engine.settings.house.time_zone
    return await made(request, _merged, _merge, kept, gone, engine.now_ms(), by_of(request), zone)


def _merged(_txn: Txn, view: shapes.MergeView) -> web.Response:
    return wire.reply(view)


def _merge(txn: Txn, kept: int, gone: int, now_ms: int, by: By, zone: str) -> shapes.MergeView:
    return shapes.merge(txn, by.caller, kept, gone, merging.merge(txn, kept, gone, now_ms, by, zone))


async def preview(request: web.Request) -> web.Response:
    """What a merge would change, and what differs; nothing is done."""
    wire.known_query(request, "other")
    caller = caller_of(request)
    caller.require("customers:write")
    if "other" not in request.query:
        raise Invalid(InvalidParam("other", "is missing: whose record is to become this one's"))
    kept, gone = wire.id_of(request, "cus"), ids.parse("cus", request.query["other"], "other")
    with request.app[ENGINE].store.read() as txn:
        return wire.reply(shapes.merge(txn, caller, kept, gone, merging.previewed(txn, kept, gone)))


async def duplicates(request: web.Request) -> web.Response:
    """Pairs of customers who may be one, the oldest first; a page looks at some hundred customers and may be empty."""
    wire.known_query(request, "cursor", "limit")
    caller = caller_of(request)
    caller.require("customers:read")
    engine = request.app[ENGINE]
    after, limit = wire.page_of(request, "cus")
    country = engine.settings.house.country
    code = str(phonenumbers.country_code_for_region(country)) if country else ""
    with engine.store.read() as txn:
        found, last = merging.duplicates(txn, after, limit, code)
    items = [shapes.pair(caller, pair) for pair in found]
    return wire.reply(shapes.PairPage(items, customers.name_of(last) if last else None))


# -- erasure


async def erase(request: web.Request) -> web.Response:
    """Erase a person, in two calls: the first gives a challenge, the second repeats it.

    403 `wrong_challenge`, 409 `no_challenge` where none waits, its ten minutes are over or it was wrong three times.
    """
    engine, by = request.app[ENGINE], by_of(request)
    body = wire.decode(await request.read() or b"{}", shapes.NewErasure)
    identifier = wire.id_of(request, "cus")
    if body.challenge is None:
        asked, challenge = await engine.store.write(erasure.ask, identifier, engine.now_ms(), by)
        return wire.reply(shapes.erasure(asked, engine.store.compacted_ms(), engine.now_ms(), challenge), 202)
    confirmed = await engine.store.write(erasure.confirm, identifier, body.challenge, engine.now_ms(), by)
    record = confirmed.erasure
    for _ in range(STEPS):
        if await engine.store.write_bulk(erasure.step, record.id, engine.now_ms()) is not Left.MORE:
            break
    return wire.reply(_erasure(engine, record.id), 202)


def _erasure(engine: Engine, identifier: int) -> shapes.ErasureView:
    with engine.store.read() as txn:
        record = erasure.get(txn, identifier)
    return shapes.erasure(record, engine.store.compacted_ms(), engine.now_ms())


async def get_erasure(request: web.Request) -> web.Response:
    """One erasure: how far it is, and until when backups may hold the person."""
    wire.known_query(request)
    caller_of(request).require("customers:erase")
    return wire.reply(_erasure(request.app[ENGINE], wire.id_of(request, "era")))


async def list_erasures(request: web.Request) -> web.Response:
    """Erasures newest first: ids, and nothing of who it was."""
    wire.known_query(request, "cursor", "limit")
    caller_of(request).require("customers:erase")
    engine = request.app[ENGINE]
    before, limit = wire.page_of(request, "era")
    compacted_ms, now_ms = engine.store.compacted_ms(), engine.now_ms()
    with engine.store.read() as txn:
        items = [shapes.erasure(record, compacted_ms, now_ms) for record in erasure.listed(txn, before, limit)]
    return wire.reply(shapes.ErasurePage(items, wire.next_of(items, limit)))


# -- everything


async def export(request: web.Request) -> web.StreamResponse:
    """Everything that is kept of a person, as a file of JSON; that it was taken is kept too."""
    wire.known_query(request)
    engine, by = request.app[ENGINE], by_of(request)
    customer = await written(request, dossier.begin, wire.id_of(request, "cus"), engine.now_ms(), by)
    reader = shapes.Reader(by.caller, engine.store.compacted_ms(), engine.now_ms(), engine.settings.house.time_zone)
    name = references.render(references.CUSTOMER, customer.reference)
    headers = {"Content-Type": "application/json", "Content-Disposition": f'attachment; filename="{name}.json"'}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    encode = msgspec.json.encode
    with engine.store.read() as txn:
        head = encode(reader.customer(txn, customer)), encode(shapes.merged(txn, customer))
    await response.write(b'{"customer":%b,"merged":%b' % head)
    for chapter in dossier.CHAPTERS:
        await response.write(b',"%b":[' % chapter.encode())
        is_first, is_through, after = True, False, None
        while not is_through:
            with engine.store.read() as txn:
                page = dossier.CHAPTERS[chapter](txn, customer, after)
                octets = b",".join(map(encode, map(partial(reader.view, txn, chapter), page.records)))
            if octets:
                await response.write(octets if is_first else b"," + octets)
                is_first = False
            after, is_through = page.after, page.after is None
        await response.write(b"]")
    await response.write(b"}")
    await response.write_eof()
    return response


_LIST: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}

ROUTES: Final = (
    # Before /v1/customers/{id}, which would take it for an id.
    Route(
        "GET",
        "/v1/customers/duplicates",
        duplicates,
        gives=shapes.PairPage,
        query=_LIST,
        problems=(403, 422),
        right="customers:read",
    ),
    Route(
        "POST",
        "/v1/customers/{id}/merge",
        merge,
        takes=shapes.NewMerge,
        gives=shapes.MergeView,
        problems=(403, 404, 409),
        right="customers:write",
    ),
    Route(
        "GET",
        "/v1/customers/{id}/merge",
        preview,
        gives=shapes.MergeView,
        query={"other": "whose record is to become this one's"},
        problems=(403, 404, 409),
        right="customers:write",
    ),
    Route(
        "POST",
        "/v1/customers/{id}/erase",
        erase,
        202,
        takes=shapes.NewErasure,
        gives=shapes.ErasureView,
        problems=(403, 404, 409),
        right="customers:erase",
    ),
    Route(
        "GET",
        "/v1/customers/{id}/dossier",
        export,
        gives=shapes.DossierView,
        problems=(403, 404),
        right="customers:export",
    ),
    Route(
        "GET",
        "/v1/erasures",
        list_erasures,
        gives=shapes.ErasurePage,
        query=_LIST,
        problems=(403, 422),
        right="customers:erase",
    ),
    Route(
        "GET",
        "/v1/erasures/{id}",
        get_erasure,
        gives=shapes.ErasureView,
        problems=(403, 404),
        right="customers:erase",
    ),
)
