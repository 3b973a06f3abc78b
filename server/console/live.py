"""Live: fragments to everybody who looks, as they change.

One task looks at the engine once a tick and draws once for each language in use; it begins with the first viewer and
ends with the last.  A viewer that is slow misses ticks, never the newest state: nothing is queued for anybody.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from engine.errors import CarillonError
from server.console.fragments import NAMES, Painter
from server.console.snapshot import Observer, Snapshot
from server.console.tempo import TICK_S

log = logging.getLogger(__name__)

KEEP_ALIVE_S: Final = 15.0
VIEWERS_MOST: Final = 64
RETRY_MS: Final = 2000  # after which a browser comes again
# A stream ends after this, so that the browser comes again and shows its session again.
STREAM_S: Final = 600.0
WRITE_TIMEOUT_S: Final = 30.0

_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")


class Viewer:
    """One stream: its language, and what it was sent last."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.sent: dict[str, str] = {}
        self.wake = asyncio.Event()


class Broadcaster:
    """The newest fragments, for as long as somebody looks."""

    def __init__(self, observer: Observer, painter: Painter) -> None:
        self._observer = observer
        self._painter = painter
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._snapshot: Snapshot | None = None
        self._fragments: dict[str, dict[str, str]] = {}
        self._is_closed = False
        self.ticks = 0

    @property
    def is_at_work(self) -> bool:
        """Whether the task runs."""
        return self._task is not None and not self._task.done()

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another viewer."""
        return len(self._viewers) >= VIEWERS_MOST

    @contextmanager
    def looking(self, language: str) -> Iterator[Viewer]:
        """Be a viewer; the first one starts the task, the last one ends it."""
        viewer = Viewer(language)
        self._viewers.add(viewer)
        if not self.is_at_work and not self._is_closed:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="console")
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            if not self._viewers and self._task is not None:
                self._task.cancel()
                # The next viewer gets a task of its own, however soon it comes.
                self._task = None

    async def news(self, viewer: Viewer, timeout_s: float) -> list[tuple[str, str]] | None:
        """The fragments that the viewer has not got; empty after `timeout_s`, None where there will be no more."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.is_at_work:
                    newest = self._fragments.get(viewer.language, {})
                    fresh = [(name, html) for name, html in newest.items() if viewer.sent.get(name) != html]
                    if fresh:
                        viewer.sent.update(fresh)
                        return fresh
                    viewer.wake.clear()
                    await viewer.wake.wait()
        except TimeoutError:
            return []
        return None

    async def close(self) -> None:
        """End the task and every stream."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._tell()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        ails = False
        try:
            while True:
                began_s = loop.time()
                try:
                    self._tick(began_s)
                    ails = False
                except CarillonError as error:
                    if not ails:
                        log.error("the console cannot read: %s", error)
                    ails = True
                await asyncio.sleep(max(TICK_S / 5, TICK_S - (loop.time() - began_s)))
        finally:
            self._fragments.clear()
            self._snapshot = None
            self._tell()

    def _tick(self, at_s: float) -> None:
        """Look once, and draw what changed for the languages that are looked at."""
        self.ticks += 1
        before, now = self._snapshot, self._observer.look(at_s)
        self._snapshot = now
        changed = [name for name in NAMES if before is None or _piece(before, name) != _piece(now, name)]
        for language in {viewer.language for viewer in self._viewers}:
            drawn = self._fragments.setdefault(language, {})
            missing = tuple(changed) if drawn else NAMES
            drawn |= self._painter.paint(now, language, missing)
        self._tell()

    def _tell(self) -> None:
        for viewer in self._viewers:
            viewer.wake.set()


def _piece(snapshot: Snapshot, name: str) -> object:
    """What a fragment is drawn from."""
    match name:
        case "rack":
            return snapshot.rack, snapshot.hidden
        case "campaigns":
            return snapshot.campaigns, snapshot.at_ms
        case "log":
            return snapshot.log
        case _:
            return snapshot.totals


async def stream(
    request: web.Request,
    broadcaster: Broadcaster,
    language: str,
    headers: dict[str, str],
    is_welcome: Callable[[], bool],
) -> web.StreamResponse:
    """Server-sent events for one viewer, until they go, the session ends, or the stream is old.

    200, or 503 where too many look already.
    """
    if broadcaster.is_full:
        raise web.HTTPServiceUnavailable(text="too many viewers", headers={"Retry-After": "10"})
    response = web.StreamResponse(headers=headers | {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    with broadcaster.looking(language) as viewer:
        await response.prepare(request)
        async for text in _events(broadcaster, viewer, is_welcome):
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await response.write(text.encode())
            except (TimeoutError, ConnectionError):
                break
    return response


async def _events(broadcaster: Broadcaster, viewer: Viewer, is_welcome: Callable[[], bool]) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + STREAM_S
    yield f"retry: {RETRY_MS}\n\n"
    while loop.time() < until_s and is_welcome():
        news = await broadcaster.news(viewer, KEEP_ALIVE_S)
        if news is None:
            return
        yield "".join(event(name, html) for name, html in news) or ": still here\n\n"


def event(name: str, html: str) -> str:
    """One event of a stream (WHATWG HTML §9.2): a line of data for every line, however it ended."""
    data = "".join(f"data: {line}\n" for line in _LINE_ENDS.split(html))
    return f"event: {name}\n{data}\n"
