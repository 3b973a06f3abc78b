"""Exports: customers as a CSV file, streamed; who took it is kept."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from engine.access.caller import SENSITIVE, Caller
from engine.crm.people import audit, exports, segments
from engine.crm.people.audit import By
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.segments import SEGMENTS
from engine.errors import Forbidden, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Txn
from server import noting, sight, views, wire
from server.calling import by_of, caller_of
from server.context import ENGINE
from server.route import Route

TOGETHER: Final = 500
_HIDDEN: Final = "***"


async def customers_csv(request: web.Request) -> web.StreamResponse:
    """Customers, all or those of a segment or a condition, oldest first.

    What is masked in lists is masked here, unless `whole=1` is asked for by somebody who may reveal; the last line says
    who took the file.
    """
    wire.known_query(request, "columns", "segment", "condition", "whole", "bom")
    caller = caller_of(request)
    caller.require("customers:export")
    engine, query = request.app[ENGINE], request.query
    whole, bom = _is_so(query.get("whole", "0"), "whole"), _is_so(query.get("bom", "1"), "bom")
    if whole and not caller.may("customers:reveal"):
        raise Forbidden("to see what is masked needs the right customers:reveal", code="no_right")
    with engine.store.read() as txn:
        columns = exports.columns_of(txn, [name for name in query.get("columns", "").split(",") if name])
        condition = None
        if "segment" in query:
            segment = SEGMENTS.get(txn, ids.parse("seg", query["segment"], "segment"))
            condition = segments.condition_of(txn, segment)
        elif "condition" in query:
            condition = segments.read(txn, query["condition"])
    by, show = by_of(request), _shown(caller, whole=whole)
    # Before the first line: who breaks off the file has had a part of it.
    await noting.written(request, _begin, by, columns, whole, engine.now_ms())
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": 'attachment; filename="customers.csv"'}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await response.write(exports.header(columns, bom=bom))
    after = written = 0
    is_more = True
    while is_more:
        with engine.store.read() as txn:
            if condition is None:
                found = _next(txn, after)
                after, is_more = (found[-1].id, len(found) == TOGETHER) if found else (after, False)
            else:
                found, after = engine.select(txn, condition, after, TOGETHER)
                is_more = bool(after)
            text = exports.lines(txn, found, columns, show)
        written += len(found)
        await response.write(text)
        await asyncio.sleep(0)
    now_ms = engine.now_ms()
    await response.write(exports.trailer(caller.name, wire.time(now_ms) or "", written))
    await engine.store.write(_tell, caller.name, columns, written, now_ms, whole)
    await response.write_eof()
    return response


def _is_so(said: str, name: str) -> bool:
    if said not in ("0", "1"):
        raise Invalid(InvalidParam(name, "is not 0 or 1"))
    return said == "1"


def _next(txn: Txn, after: int) -> list[Customer]:
    items = CUSTOMERS.stretch(txn, after.to_bytes(8, "big"), TOGETHER)
    return [CUSTOMERS.decode(int.from_bytes(key, "big"), octets) for key, octets in items]


def _shown(caller: Caller, *, whole: bool) -> Callable[[str, str], str]:
    if not whole:
        seen = {field: "none" if caller.sees(field) == "none" else "masked" for field in SENSITIVE}
        if caller.asked is not None:
            seen["number"] = "full"
        caller = msgspec.structs.replace(caller, sight={**caller.sight, **seen})

    def show(field: str, told: str) -> str:
        if field not in SENSITIVE and not whole:
            return _HIDDEN
        return str(sight.value(caller, field, told) or "")

    return show


def _begin(txn: Txn, by: By, columns: tuple[str, ...], whole: bool, now_ms: int) -> None:
    told = {"columns": (None, list(columns)), "whole": (None, whole)}
    if by.caller.asked is not None:
        told["numbers_told"] = (None, noting.WHOLE)
    audit.append(txn, by, "customers.exported", "customers", now_ms, told)


def _tell(txn: Txn, by: str, columns: tuple[str, ...], rows: int, now_ms: int, whole: bool) -> None:
    exports.tell(txn, by, columns, rows, now_ms, whole=whole)


ROUTES: Final = (
    Route(
        "GET",
        "/v1/customers.csv",
        customers_csv,
        gives=views.Sheet,
        gives_media="text/csv",
        query={
            "columns": f"of {', '.join(exports.COLUMNS)} and own fields as attrs.key, with commas between",
            "segment": "only those of the segment with this id",
            "condition": "only those whom this condition takes, in its text form",
            "whole": "1: nothing is masked that the caller may see",
            "bom": "0: without the mark by which spreadsheets know UTF-8",
        },
        problems=(403, 404, 422),
        right="customers:export",
    ),
)
