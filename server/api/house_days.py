"""Festivals and public holidays: the tables that are shipped, and what a house puts in front of them."""

from typing import Final

import msgspec
from aiohttp import web

from engine.crm.marketing import festivals, greetings, house_days
from engine.crm.marketing.festivals import Festival
from engine.crm.people import dates
from engine.errors import Invalid, InvalidParam, NotFound
from engine.store.table import Txn
from server import wire
from server.calling import caller_of
from server.context import ENGINE
from server.noting import written
from server.route import Route
from server.shapes import house_days as shapes

RIGHT: Final = "greetings:write"


async def list_festivals(request: web.Request) -> web.Response:
    """All festivals with their days of a year, this one where none is given."""
    wire.known_query(request, "year")
    year = _year_asked(request)
    with request.app[ENGINE].store.read() as txn:
        items = [
            shapes.festival(record, year, is_own=house_days.is_own(txn, identifier))
            for identifier, record in house_days.all_festivals(txn).items()
        ]
    return wire.reply(shapes.FestivalList(year, items))


async def import_festivals(request: web.Request) -> web.Response:
    """Take in a table, all of it or nothing: each entry goes before what is shipped under its id; others stay."""
    engine, octets = request.app[ENGINE], await request.read()
    caller_of(request).require(RIGHT)
    wire.decode(octets, list[shapes.FestivalEntry])
    told = festivals.parse(octets)
    changed = await written(request, house_days.put_festivals, told, engine.now_ms())
    return wire.reply(shapes.ImportedView(len(told), changed))


async def get_festival(request: web.Request) -> web.Response:
    """One festival with its days of a year, this one where none is given."""
    wire.known_query(request, "year")
    year, identifier = _year_asked(request), request.match_info["id"]
    with request.app[ENGINE].store.read() as txn:
        record = house_days.find_festival(txn, identifier)
        if record is None:
            raise NotFound("there is no such festival")
        return wire.reply(shapes.festival(record, year, is_own=house_days.is_own(txn, identifier)))


async def put_festival(request: web.Request) -> web.Response:
    """Let the house say when this festival comes; rules go by it from now on."""
    engine, identifier = request.app[ENGINE], request.match_info["id"]
    caller_of(request).require(RIGHT)
    body = wire.decode(await request.read(), shapes.FestivalShape)
    entry = {"id": identifier, "name": body.name, "kind": body.kind, "spec": body.spec}
    (record,) = festivals.parse(msgspec.json.encode([entry])).values()
    await written(request, _put_one, record, engine.now_ms())
    year = dates.today(engine.now_ms(), engine.settings.house.time_zone).year
    return wire.reply(shapes.festival(record, year, is_own=True))


def _put_one(txn: Txn, record: Festival, now_ms: int) -> None:
    house_days.put_festivals(txn, {record.id: record}, now_ms)


async def remove_festival(request: web.Request) -> web.Response:
    """Take the house's own away, so that a shipped one holds again.

    409 where there is no shipped one and a rule greets it.
    """
    engine = request.app[ENGINE]
    caller_of(request).require(RIGHT)
    await written(request, greetings.remove_festival, request.match_info["id"], engine.now_ms())
    return web.Response(status=204)


async def get_holidays(request: web.Request) -> web.Response:
    """Days off and days worked in return, of a country (ISO 3166-1) and a year, as CN-2026.

    404 where nobody has decided yet.
    """
    wire.known_query(request)
    country, year = _place(request)
    with request.app[ENGINE].store.read() as txn:
        found = house_days.find_holidays(txn, country, year)
    if found is None:
        raise NotFound("the holidays of that country and year are not known")
    return wire.reply(shapes.holidays(found[0], year, is_own=found[1]))


async def put_holidays(request: web.Request) -> web.Response:
    """Replace what is known of a country's year; 409 where the body is of another."""
    engine, octets = request.app[ENGINE], await request.read()
    caller_of(request).require(RIGHT)
    country, year = _place(request)
    wire.decode(octets, shapes.HolidaysShape)
    table = await written(request, house_days.put_holidays, octets, country, year, engine.now_ms())
    return wire.reply(shapes.holidays(table, year, is_own=True))


async def remove_holidays(request: web.Request) -> web.Response:
    """Take the house's own away, so that what is shipped holds again."""
    engine = request.app[ENGINE]
    caller_of(request).require(RIGHT)
    await written(request, house_days.remove_holidays, *_place(request), engine.now_ms())
    return web.Response(status=204)


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 4):
        raise Invalid(InvalidParam("year", "is not a year as 2026"))
    return int(text)


def _year_asked(request: web.Request) -> int:
    engine, text = request.app[ENGINE], request.query.get("year")
    return _year(text) if text else dates.today(engine.now_ms(), engine.settings.house.time_zone).year


def _place(request: web.Request) -> tuple[str, int]:
    """The country and the year of CN-2026.  Raises Invalid."""
    country, _, year = request.match_info["id"].partition("-")
    return country, _year(year)


_YEAR: Final = {"year": "1901 to 2099, this year if left out"}
_FESTIVAL: Final = "/v1/festivals/{id}"
_HOLIDAYS: Final = "/v1/holidays/{id}"

ROUTES: Final = (
    Route(
        "GET",
        "/v1/festivals",
        list_festivals,
        gives=shapes.FestivalList,
        query=_YEAR,
        problems=(422,),
        right="campaigns:read",
    ),
    Route(
        "PUT",
        "/v1/festivals",
        import_festivals,
        takes=list[shapes.FestivalEntry],
        gives=shapes.ImportedView,
        problems=(409,),
        right="greetings:write",
    ),
    Route(
        "GET",
        _FESTIVAL,
        get_festival,
        gives=shapes.FestivalView,
        query=_YEAR,
        problems=(404,),
        right="campaigns:read",
    ),
    Route(
        "PUT",
        _FESTIVAL,
        put_festival,
        takes=shapes.FestivalShape,
        gives=shapes.FestivalView,
        problems=(409,),
        right="greetings:write",
    ),
    Route(
        "DELETE",
        _FESTIVAL,
        remove_festival,
        204,
        problems=(404, 409),
        right="greetings:write",
    ),
    Route(
        "GET",
        _HOLIDAYS,
        get_holidays,
        gives=shapes.HolidaysView,
        problems=(404,),
        right="campaigns:read",
    ),
    Route(
        "PUT",
        _HOLIDAYS,
        put_holidays,
        takes=shapes.HolidaysShape,
        gives=shapes.HolidaysView,
        problems=(409,),
        right="greetings:write",
    ),
    Route(
        "DELETE",
        _HOLIDAYS,
        remove_holidays,
        204,
        problems=(404,),
        right="greetings:write",
    ),
)
