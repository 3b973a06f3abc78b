"""A receiver of webhooks on loopback that fails by seed, and a place whose poster may reach it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from aiohttp import TCPConnector, web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestClient, TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from engine.access import tokens
from engine.config import ANY_HOUR, Settings, Webhooks
from engine.wiring import Clock, running
from server.app import build
from server.webhooks import POSTER
from tests.server.conftest import PEPPER, TOKEN, Place, _Server

LOOPBACK: Final = ("127.0.0.0/8",)
# Of ours, so that a receiver that hangs does not make a test hang; a machine that is busy still answers in time.
TIMEOUT_S: Final = 0.5


@asynccontextmanager
async def place_in(
    folder: Path,
    allow: tuple[str, ...] = LOOPBACK,
    resolver: Callable[[], AbstractResolver] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> AsyncIterator[Place]:
    """A place that looks at the clock all the time and may post to the networks in `allow`."""
    settings = Settings(str(folder / "data"), quiet=ANY_HOUR, webhooks=Webhooks(allow))
    async with running(settings, PEPPER, Clock()) as engine:
        await engine.store.write(tokens.add, TOKEN, "tests", engine.now_ms())
        app = build(engine)
        poster = app[POSTER]
        poster.look_s, poster.timeout_s = 0.01, timeout_s
        if resolver is not None:
            poster.resolver = resolver
        async with TestClient(_Server(app), connector=TCPConnector(force_close=True)) as client:
            yield Place(engine, client, app, None)


class Receiver:
    """Takes what is posted to it.  `answer` may say a status, "hang" or "break" in place of 204."""

    def __init__(self, answer: Callable[[dict[str, Any]], int | str] = lambda _body: 204) -> None:
        self.answer = answer
        self.secrets: list[str] = []  # each post must verify with every one of them
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.faults: list[str] = []
        self.port = 0
        self._server: TestServer | None = None
        self._leaving = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def open(self) -> None:
        """Listen; a second time on the same port as before."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._receive)
        self._leaving.clear()
        self._server = TestServer(app, port=self.port or None)
        await self._server.start_server(shutdown_timeout=0.1)
        assert self._server.port is not None
        self.port = self._server.port

    async def close(self) -> None:
        """Be down: nobody listens on the port."""
        self._leaving.set()
        if self._server is not None:
            await self._server.close()
            self._server = None

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        octets = await request.read()
        body: dict[str, Any] = {}
        for secret in self.secrets:
            try:
                body = Webhook(secret).verify(octets, dict(request.headers))
            except WebhookVerificationError as error:
                self.faults.append(str(error))
        if body.get("id") != request.headers["webhook-id"]:
            self.faults.append(f"{request.headers['webhook-id']} brings {body}")
        match self.answer(body):
            case "hang":
                await self._leaving.wait()
                return web.Response(status=500)
            case "break":
                return await self._break(request)
            case int(status):
                if 200 <= status < 300:
                    self.taken.append(body)
                return web.Response(status=status, headers={"Location": "/elsewhere"} if status // 100 == 3 else None)
            case other:
                raise AssertionError(other)

    async def _break(self, request: web.Request) -> web.StreamResponse:
        """Say that it went well, and close the line in the middle of saying so."""
        response = web.StreamResponse(status=200, headers={"Content-Length": "1000"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            await response.write(b"the first half")
        if request.transport is not None:
            request.transport.abort()
        return response


@asynccontextmanager
async def receiver(answer: Callable[[dict[str, Any]], int | str] = lambda _body: 204) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    one = Receiver(answer)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


def moody(seed: int) -> Callable[[dict[str, Any]], int | str]:
    """One post in eight fails, in any way there is."""
    rng = Random(seed)

    def answer(_body: dict[str, Any]) -> int | str:
        if rng.random() < 0.12:
            return rng.choice((500, 503, 429, 302, "break", "break", "hang"))
        return rng.choice((200, 201, 204))

    return answer


def let_the_library_read(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    """The reference library refuses what is older than five minutes: let it read the clock that the test moves."""

    class Clocked(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clocked":
            return cls.fromtimestamp(place.engine.now_ms() / 1000, tz)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Clocked)


async def hook(place: Place, url: str, **fields: Any) -> dict[str, Any]:
    """A new webhook as the answer shows it."""
    answer = await place.call("POST", "/v1/webhooks", {"url": url, **fields})
    assert answer.status == 201, answer
    return dict(answer.body)


async def log_behind(place: Place, cursor: str) -> list[dict[str, Any]]:
    """What GET /v1/events has behind a cursor."""
    found: list[dict[str, Any]] = []
    while True:
        page = (await place.call("GET", f"/v1/events?limit=1000&cursor={cursor}", held=False)).body
        if not page["items"]:
            return found
        found += page["items"]
        cursor = page["next"]
