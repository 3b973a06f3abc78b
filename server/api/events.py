"""Events: a cursor to page through, and a stream that goes on from where a reader stopped."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from engine.store import ids
from engine.store.table import Note
from engine.traffic import events
from engine.traffic.events import EVENTS
from server import views, wire
from server.context import ENGINE
from server.route import Route

BATCH: Final = 200
KEEPALIVE_S: Final = 15.0


class Bell:
    """Rings once for everyone who waits, whenever a commit has added events."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.is_closing = False

    def follow(self, notes: list[Note]) -> None:
        """The store's follower."""
        if any(note.line == EVENTS.name for note in notes):
            self._ring()

    def _ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    def close(self) -> None:
        """Let every reader go: the server stops."""
        self.is_closing = True
        self._ring()

    def listen(self) -> Callable[[], "asyncio.Future[bool]"]:
        """Taken before reading, so that nothing rings unheard between reading and waiting."""
        event = self._event
        return lambda: asyncio.ensure_future(event.wait())


BELL: Final = web.AppKey("bell", Bell)


def _cursor(text: str) -> int:
    return ids.parse("evt", text, "cursor") if text else 0


async def list_all(request: web.Request) -> web.StreamResponse:
    """Events behind `cursor`, oldest first; as a stream where `Accept` asks for text/event-stream."""
    if "text/event-stream" in request.headers.get("Accept", ""):
        return await stream(request)
    wire.known_query(request, "cursor", "limit")
    limit = wire.limit_of(request)
    with request.app[ENGINE].store.read() as txn:
        found = list(events.after(txn, _cursor(request.query.get("cursor", "")), limit))
    items = [wire.event(sequence, event) for sequence, event in found]
    # The cursor goes on where there is nothing yet, so that a reader can come back to it.
    following = items[-1].id if items else request.query.get("cursor") or None
    return wire.reply(views.EventPage(items, following))


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events from `Last-Event-ID` or `cursor` on, or from now."""
    wire.known_query(request, "cursor")
    engine, bell = request.app[ENGINE], request.app[BELL]
    place = request.headers.get("Last-Event-ID") or request.query.get("cursor", "")
    cursor = _cursor(place)
    if not place:
        with engine.store.read() as txn:
            cursor = events.newest(txn)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    while not bell.is_closing:
        wait = bell.listen()
        with engine.store.read() as txn:
            found = list(events.after(txn, cursor, BATCH))
        if found:
            cursor = found[-1][0]
            await response.write(b"".join(_sse(wire.event(sequence, event)) for sequence, event in found))
            continue
        try:
            async with asyncio.timeout(KEEPALIVE_S):
                await wait()
        except TimeoutError:
            await response.write(b": still here\n\n")
    return response


def _sse(event: views.EventView) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        event.id.encode(),
        event.type.encode(),
        msgspec.json.encode(event),
    )


_QUERY: Final = {"cursor": "the id of the last event already read", "limit": "1 to 1000, 50 if left out"}
_HEADER: Final = {"Last-Event-ID": "where a stream goes on: the id of the last event that was received"}

ROUTES: Final = (
    Route(
        "GET",
        "/v1/events",
        list_all,
        gives=views.EventPage,
        query=_QUERY,
        header=_HEADER,
        also_gives=("text/event-stream",),
        right="events:read",
    ),
)
