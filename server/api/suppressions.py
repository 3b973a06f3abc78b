"""Suppressions: deny lists, whether a number is on one, and how it gets off."""

import asyncio
import csv
from collections.abc import Iterator
from typing import Final

import msgspec
from aiohttp import web

from engine import numbers
from engine.crm.people import deny_lists
from engine.crm.people.deny_lists import Removal
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from engine.wiring import Engine
from server import problems, rows, wire
from server.calling import by_of, caller_of
from server.context import ENGINE
from server.repeats import made
from server.route import Route
from server.shapes import suppressions as shapes

TURN_OCTETS: Final = 16_384  # of a body per turn of the loop
CHUNK: Final = 500  # numbers in one change
FAULTS_SHOWN: Final = 20
LINE_LONGEST: Final = 65_536  # octets
_COLUMNS: Final = ("number", "to", "phone")
_MEDIA: Final = ("text/csv", "application/x-ndjson")


class _Body:
    """Octets in any pieces to the numbers of their lines."""

    def __init__(self, media: str, country: str | None) -> None:
        self._is_json = media == "application/x-ndjson"
        self._country = country
        self._rest = b""
        self._column: int | None = None
        self._decoder = msgspec.json.Decoder(shapes.DeniedRow)
        self.rows = 0
        self.invalid = 0
        self.faults: list[shapes.DeniedFault] = []

    def feed(self, octets: bytes) -> Iterator[int]:
        """The numbers of the lines that are whole."""
        lines = (self._rest + octets).split(b"\n")
        self._rest = lines.pop()
        if max(map(len, (*lines, self._rest))) > LINE_LONGEST:
            raise Invalid(InvalidParam("body", f"has a line of more than {LINE_LONGEST} octets"))
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[int]:
        """That of the last line, where it has no end."""
        yield from self._line(self._rest)

    def _line(self, line: bytes) -> Iterator[int]:
        if not line.strip():
            return
        try:
            text = self._text_of(line.decode("utf-8-sig"))
            if text is None:
                return
            self.rows += 1
            yield numbers.to_key(numbers.parse(text, self._country, "number"))
        except (Invalid, UnicodeDecodeError, csv.Error, msgspec.MsgspecError) as error:
            self.invalid += 1
            if len(self.faults) < FAULTS_SHOWN:
                self.faults.append(shapes.DeniedFault(self.rows, str(error)))

    def _text_of(self, line: str) -> str | None:
        """The number as it is written; None for a header."""
        if self._is_json:
            return self._decoder.decode(line).number
        cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
        if self._column is None:
            names = [cell.lower() for cell in cells]
            found = [names.index(name) for name in _COLUMNS if name in names]
            self._column = found[0] if found else 0
            if found:
                return None
        return cells[self._column] if self._column < len(cells) else ""


async def take(request: web.Request) -> web.Response:
    """Take a stream of numbers that must not be texted.  To send the same list again changes nothing.

    What came before a body broke off is kept: a number too many on such a list is better than one too few.
    """
    wire.known_query(request, "reason")
    engine, by = request.app[ENGINE], by_of(request)
    by.caller.require(deny_lists.RIGHT)
    reason = request.query.get("reason", "legal")
    if reason not in deny_lists.REASONS:
        raise Invalid(InvalidParam("reason", f"is none of {', '.join(deny_lists.REASONS)}"))
    packing = rows.encoding_of(request)
    if request.content_type not in _MEDIA or (packing and packing not in rows.ENCODINGS):
        detail = f"send {' or '.join(_MEDIA)}, packed by {' or '.join(rows.ENCODINGS)} or not"
        return problems.response(415, "unsupported_media_type", detail, request.path)
    body = _Body(request.content_type, engine.settings.house.country or None)
    unpacker = rows.Unpacker(packing)
    waiting: list[int] = []
    new = 0
    while octets := await request.content.read(TURN_OCTETS):
        for piece in unpacker.feed(octets):
            waiting += body.feed(piece)
            while len(waiting) >= CHUNK:
                new += await _store(engine, waiting[:CHUNK], reason)
                del waiting[:CHUNK]
            await asyncio.sleep(0)
    unpacker.end()
    waiting += body.end()
    if not body.rows:
        raise Invalid(InvalidParam("body", "holds no rows: with curl, send a file with -T or --data-binary"))
    new += await _store(engine, waiting, reason)
    good = body.rows - body.invalid
    await engine.store.write(deny_lists.note_taken, by, reason, good, new, engine.now_ms())
    return wire.reply(shapes.Denied(reason, body.rows, new, good - new, body.invalid, body.faults))


async def _store(engine: Engine, keys: list[int], reason: str) -> int:
    return await engine.store.write(deny_lists.take, engine.pepper, keys, reason, engine.now_ms())


async def check(request: web.Request) -> web.Response:
    """Whether a number is suppressed, why and since when."""
    wire.known_query(request, "number")
    engine = request.app[ENGINE]
    number = _number(engine, request.query.get("number", ""))
    with engine.store.read() as txn:
        return wire.reply(shapes.suppression(deny_lists.of(txn, engine.pepper, number)))


def _number(engine: Engine, text: str) -> int:
    return numbers.to_key(wire.number_of(text, engine.settings.house.country or None, "number"))


async def ask(request: web.Request) -> web.Response:
    """Ask, as a member of the staff, that a number be taken off; a second one must confirm it within a week."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewRemoval)
    number = _number(engine, body.number)
    return await made(request, _asked, deny_lists.ask, by_of(request), number, body.why, engine.now_ms())


def _asked(_txn: Txn, record: Removal) -> web.Response:
    return wire.reply(shapes.removal(record), 201)


def _confirmed(_txn: Txn, record: Removal) -> web.Response:
    return wire.reply(shapes.removal(record))


async def confirm(request: web.Request) -> web.Response:
    """Say so too, as another member of the staff: the number is denied no more, for whatever reason it was."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.RemovalConfirmed)
    identifier, number = wire.id_of(request, "rmv"), _number(engine, body.number)
    return await made(request, _confirmed, deny_lists.confirm, by_of(request), identifier, number, engine.now_ms())


async def list_removals(request: web.Request) -> web.Response:
    """Requests to take numbers off, newest first."""
    wire.known_query(request, "cursor", "limit")
    caller_of(request).require(deny_lists.RIGHT)
    before, limit = wire.page_of(request, "rmv")
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.removal(record) for record in deny_lists.listed(txn, before, limit)]
    return wire.reply(shapes.RemovalPage(items, wire.next_of(items, limit)))


_LIST: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/suppressions",
        take,
        takes=shapes.DeniedRow,
        gives=shapes.Denied,
        media=_MEDIA,
        query={"reason": f"{', '.join(deny_lists.REASONS)}; legal if left out"},
        problems=(403, 415),
        right="consents:write",
    ),
    Route(
        "GET",
        "/v1/suppressions/check",
        check,
        gives=shapes.SuppressionView,
        query={"number": "with its plus as %2B"},
        problems=(422,),
        right="customers:read",
    ),
    Route(
        "POST",
        "/v1/suppressions/removals",
        ask,
        201,
        takes=shapes.NewRemoval,
        gives=shapes.RemovalView,
        problems=(403, 404),
        right="consents:write",
    ),
    Route(
        "GET",
        "/v1/suppressions/removals",
        list_removals,
        gives=shapes.RemovalPage,
        query=_LIST,
        problems=(403,),
        right="consents:write",
    ),
    Route(
        "POST",
        "/v1/suppressions/removals/{id}/confirm",
        confirm,
        takes=shapes.RemovalConfirmed,
        gives=shapes.RemovalView,
        problems=(403, 404, 409),
        right="consents:write",
    ),
)
