"""Imports: lists of customers, brought in, checked, run and undone."""

import asyncio
from typing import Final

from aiohttp import web

from engine.crm.people import imports
from engine.crm.people.import_files import Receiving
from engine.crm.people.imports import Import
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store.table import Txn
from engine.wiring import Engine
from server import problems, rows, wire
from server.calling import caller_of
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import imports as shapes

TURN_OCTETS: Final = 1 << 17
LOOKS_S: Final = 0.05  # between two looks whether a check is at its end
ERRORS_TOGETHER: Final = 500

CSV: Final = "text/csv"
WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA: Final = (CSV, WORKBOOK)


async def create(request: web.Request) -> web.Response:
    """A new import.  Its file is sent behind it; or, in one call, the list itself as CSV.

    In one call the rest stands in the query, as in the JSON; `dry_run=1` answers with what would become of the rows,
    and without it they come in behind the answer.  An Idempotency-Key goes with the JSON alone: of a list sent twice
    the second one's rows are the same.
    """
    caller = caller_of(request)
    caller.require("imports:write")
    engine = request.app[ENGINE]
    if request.content_type not in MEDIA:
        wire.known_query(request)
        body = wire.decode(await request.read(), shapes.NewImport)
        return await made(request, _begun, _begin, body, caller.name, engine.now_ms())
    query = dict(request.query)
    is_dry = query.pop("dry_run", "0").casefold() in ("1", "true", "yes")
    record = await written(request, _begin, shapes.of_query(query), caller.name, engine.now_ms())
    refused = await _receive(request, engine, record.id)
    if refused is not None:
        return refused
    ask = imports.ask_check if is_dry else imports.ask_run
    record = await engine.store.write(ask, record.id, engine.now_ms())
    engine.imports.ring()
    while is_dry and record.state in imports.WORKING:
        await asyncio.sleep(LOOKS_S)
        record = _found(engine, record.id)
    return _reply(record, 201)


def _begin(txn: Txn, said: shapes.NewImport, by: str, now_ms: int) -> Import:
    return imports.begin(txn, shapes.import_of(txn, said, by), now_ms)


def _begun(_txn: Txn, record: Import) -> web.Response:
    return _reply(record, 201)


def _found(engine: Engine, identifier: int) -> Import:
    with engine.store.read() as txn:
        return imports.IMPORTS.get(txn, identifier)


def _reply(record: Import, status: int = 200) -> web.Response:
    view = shapes.view(record)
    return wire.reply(view, status, **({"Location": f"/v1/imports/{view.id}"} if status == 201 else {}))


async def put_file(request: web.Request) -> web.Response:
    """The list: CSV with a header, in UTF-8 or GB18030, or a workbook.  Another one takes the place of what came."""
    caller_of(request).require("imports:write")
    wire.known_query(request)
    engine = request.app[ENGINE]
    identifier = wire.id_of(request, "imp")
    if request.content_type not in (*MEDIA, "application/octet-stream"):
        detail = f"{request.content_type} is none of {', '.join(MEDIA)}"
        return problems.response(415, "unsupported_media_type", detail, request.path)
    refused = await _receive(request, engine, identifier)
    return refused or _reply(_found(engine, identifier))


async def _receive(request: web.Request, engine: Engine, identifier: int) -> web.Response | None:
    """Take the file; None, or why it was refused."""
    packing = rows.encoding_of(request)
    if packing and packing not in rows.ENCODINGS:
        detail = f"{packing} is none of {', '.join(rows.ENCODINGS)}"
        return problems.response(415, "unsupported_media_type", detail, request.path)
    if identifier in engine.imports.receiving:
        raise Conflict("another file for this import is coming in")
    engine.imports.receiving.add(identifier)
    try:
        await engine.store.write(imports.expect_file, identifier, engine.now_ms())
        receiving = Receiving(engine.store, identifier)
        unpacker = rows.Unpacker(packing)
        while octets := await request.content.read(TURN_OCTETS):
            for piece in unpacker.feed(octets):
                receiving.feed(piece)
                await receiving.settle()
                await asyncio.sleep(0)  # what has come already is no reason to keep others waiting
        unpacker.end()
        encoding = await receiving.finish()
        await engine.store.write(imports.uploaded, identifier, receiving.octets, encoding, engine.now_ms())
    finally:
        engine.imports.receiving.discard(identifier)
    return None


async def check(request: web.Request) -> web.Response:
    """Read the whole file and tell what would become of each row; nothing changes."""
    return await _ask(request, imports.ask_check)


async def run(request: web.Request) -> web.Response:
    """Let the rows become customers.  It goes on behind the answer, and behind a power cut."""
    return await _ask(request, imports.ask_run)


async def undo(request: web.Request) -> web.Response:
    """Let everything be as it was before; whoever something has happened to since stays, and is counted."""
    return await _ask(request, imports.ask_undo)


async def _ask(request: web.Request, ask: imports.Ask) -> web.Response:
    caller_of(request).require("imports:write")
    wire.known_query(request)
    engine = request.app[ENGINE]
    response = await made(request, _asked, ask, wire.id_of(request, "imp"), engine.now_ms())
    engine.imports.ring()
    return response


def _asked(_txn: Txn, record: Import) -> web.Response:
    return _reply(record, 202)


async def list_all(request: web.Request) -> web.Response:
    """Imports, the newest first."""
    caller_of(request).require("imports:write")
    wire.known_query(request, "cursor", "limit")
    before, limit = wire.page_of(request, "imp")
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.view(record) for record in imports.listed(txn, before, limit)]
    return wire.reply(shapes.ImportPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One import: how far it is, and what became of its rows so far."""
    caller_of(request).require("imports:write")
    wire.known_query(request)
    return _reply(_found(request.app[ENGINE], wire.id_of(request, "imp")))


async def list_rows(request: web.Request) -> web.Response:
    """What became of each row, in order; before the run, what a check foretold."""
    caller_of(request).require("imports:write")
    wire.known_query(request, "cursor", "limit", "result")
    after, limit = request.query.get("cursor", "0"), wire.limit_of(request)
    if not (after.isascii() and after.isdigit() and len(after) <= 9):
        raise Invalid(InvalidParam("cursor", "is not a row number"))
    result = request.query.get("result", "")
    if result and result not in shapes.ROW_RESULTS:
        raise Invalid(InvalidParam("result", f"is none of {', '.join(shapes.ROW_RESULTS)}"))
    identifier = wire.id_of(request, "imp")
    with request.app[ENGINE].store.read() as txn:
        record = imports.IMPORTS.get(txn, identifier)
        found, last = imports.rows(txn, identifier, shapes.has_run(record), int(after), limit, result)
    return wire.reply(shapes.ImportRowPage([shapes.row(*one) for one in found], str(last) if last else None))


async def errors_csv(request: web.Request) -> web.StreamResponse:
    """Rows that were refused, and rows in which something was mended, as a CSV file."""
    caller_of(request).require("imports:write")
    wire.known_query(request)
    engine = request.app[ENGINE]
    record = _found(engine, wire.id_of(request, "imp"))
    name = f"{imports.name_of(record.id)}-errors.csv"
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await response.write("\ufeffrow,result,field,reason\r\n".encode())
    after = 0
    while True:
        with engine.store.read() as txn:
            found, last = imports.rows(txn, record.id, shapes.has_run(record), after, ERRORS_TOGETHER, "told")
        if found:
            await response.write(shapes.error_lines(found))
        if not last:
            break
        after = last
        await asyncio.sleep(0)
    await response.write_eof()
    return response


async def save_preset(request: web.Request) -> web.Response:
    """Keep a mapping by a name, in place of what had it."""
    caller_of(request).require("imports:write")
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewPreset)
    return await made(request, _saved, imports.save_preset, body.name, body.mapping, engine.now_ms())


def _saved(_txn: Txn, record: imports.Preset) -> web.Response:
    return wire.reply(shapes.preset(record), 201)


async def list_presets(request: web.Request) -> web.Response:
    """Mappings that are kept, by name."""
    caller_of(request).require("imports:write")
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        return wire.reply(shapes.PresetPage([shapes.preset(record) for record in imports.presets(txn)], None))


_PAGE: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}
_SIMPLE: Final = {
    "dry_run": "1: only tell what would become of the rows (with the list itself as the body, as all that follow)",
    **{name: "as in the JSON" for name in shapes.NewImport.__struct_fields__ if name != "mapping"},
}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/imports",
        create,
        201,
        takes=shapes.NewImport,
        gives=shapes.ImportView,
        media=("application/json", *MEDIA),
        query=_SIMPLE,
        problems=(403, 409, 415),
        right="imports:write",
    ),
    Route(
        "GET",
        "/v1/imports",
        list_all,
        gives=shapes.ImportPage,
        query=_PAGE,
        problems=(403,),
        right="imports:write",
    ),
    Route(
        "GET",
        "/v1/imports/{id}",
        get,
        gives=shapes.ImportView,
        problems=(403, 404),
        right="imports:write",
    ),
    Route(
        "PUT",
        "/v1/imports/{id}/file",
        put_file,
        takes=str,
        gives=shapes.ImportView,
        audited="import.uploaded",
        media=MEDIA,
        problems=(403, 404, 409, 415),
        right="imports:write",
    ),
    Route(
        "POST",
        "/v1/imports/{id}/check",
        check,
        202,
        gives=shapes.ImportView,
        problems=(403, 404, 409),
        right="imports:write",
    ),
    Route(
        "POST",
        "/v1/imports/{id}/run",
        run,
        202,
        gives=shapes.ImportView,
        problems=(403, 404, 409),
        right="imports:write",
    ),
    Route(
        "POST",
        "/v1/imports/{id}/undo",
        undo,
        202,
        gives=shapes.ImportView,
        problems=(403, 404, 409),
        right="imports:write",
    ),
    Route(
        "GET",
        "/v1/imports/{id}/rows",
        list_rows,
        gives=shapes.ImportRowPage,
        query={
            "result": "new, updated, same, refused or fixed",
            "cursor": "the last row already read",
            "limit": "1 to 1000, 50 if left out",
        },
        problems=(403, 404),
        right="imports:write",
    ),
    Route(
        "GET",
        "/v1/imports/{id}/errors.csv",
        errors_csv,
        gives=str,
        gives_media="text/csv",
        problems=(403, 404),
        right="imports:write",
    ),
    Route(
        "POST",
        "/v1/import-presets",
        save_preset,
        201,
        takes=shapes.NewPreset,
        gives=shapes.PresetView,
        problems=(403, 409),
        right="imports:write",
    ),
    Route(
        "GET",
        "/v1/import-presets",
        list_presets,
        gives=shapes.PresetPage,
        problems=(403,),
        right="imports:write",
    ),
)
