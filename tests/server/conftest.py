"""A place: a real engine behind the real application, on a simulated rack or on none, in this process.

Every answer that a test gets is held against the published document before the test sees it.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, TCPConnector, web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs
from multidict import CIMultiDictProxy

from engine import proof
from engine._sheet import count
from engine.access import tokens
from engine.config import ANY_HOUR, House, Modems, Settings
from engine.sim.rack import Rack
from engine.traffic.sheets import SHEETS
from engine.wiring import Clock, Engine, running
from server import laboratory
from server.api.openapi import DOCUMENT
from server.app import build
from tests.server import schema

TOKEN = "a-token-of-the-tests-and-of-no-other-use"
PEPPER = bytes(range(32))
PATIENCE_S = 5.0

Client = TestClient[web.Request, web.Application]


class Answer(NamedTuple):
    """What came back; `body` is JSON where it was, else text."""

    status: int
    body: Any
    headers: CIMultiDictProxy[str]

    @property
    def params(self) -> dict[str, str]:
        """A problem's fields and what is wrong with them."""
        return {param["name"]: param["reason"] for param in self.body.get("invalid_params", [])}

    @property
    def slug(self) -> str:
        """What kind of problem it is."""
        return str(self.body["type"]).removeprefix("urn:carillon:problem:")


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is asked for tells nobody
            await asyncio.sleep(0.002)


class Place:
    """The engine, its rack where there is one, and a caller with a token."""

    def __init__(self, engine: Engine, client: Client, app: web.Application, rack: Rack | None) -> None:
        self.engine = engine
        self.client = client
        self.app = app
        self._rack = rack
        self.document: dict[str, Any] = app[DOCUMENT]

    @property
    def rack(self) -> Rack:
        assert self._rack is not None
        return self._rack

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = TOKEN,
        held: bool = True,
        **options: Any,
    ) -> Answer:
        """A call as a program makes it; `body` is sent as JSON, `data` in `options` as it is.

        `held` says that the answer must be as the document has it.
        """
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        if body is not None:
            options["data"] = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        async with self.client.request(method, path, headers=headers, **options) as response:
            text = await response.text()
            answer = Answer(response.status, text, response.headers)
            if response.content_type in ("application/json", "application/problem+json"):
                answer = answer._replace(body=json.loads(text))
            if held:
                self._hold_against_document(method, path.partition("?")[0], response, answer.body)
        return answer

    def _hold_against_document(self, method: str, path: str, response: ClientResponse, body: Any) -> None:
        """Fail where an answer is not as published; that a status is published at all, test_openapi asks."""
        if path.startswith("/v1") and response.status >= 400:
            assert response.content_type == "application/problem+json", (method, path, response.status, body)
            problem = {"$ref": "#/components/schemas/Problem"}
            assert schema.faults(self.document, problem, body) == []
            assert body["status"] == response.status
        operation = self.operation(method, path)
        published = (operation or {}).get("responses", {}).get(str(response.status), {}).get("content")
        if published and response.content_type != "text/event-stream":
            assert response.content_type in published, (method, path)
            assert schema.faults(self.document, published[response.content_type]["schema"], body) == []

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The published operation that answers this call; a path without variables goes before one with."""
        for published in sorted(self.document["paths"], key=lambda known: known.count("{")):
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", published), path):
                found = self.document["paths"][published].get(method.lower())
                if found is not None:
                    return dict(found)
        return None

    # -- what many tests do

    async def ready(self) -> None:
        """Wait until every modem of the rack takes parts."""
        await until(lambda: sum(view.state == "ready" for view in self.engine.rack()) == len(self.rack.names))

    async def settled(self) -> None:
        """Wait until nothing is due and nothing is in the air."""
        await until(lambda: self.engine.is_settled)

    async def sent(self, **fields: Any) -> str:
        """The id of a text that the network has taken."""
        answer = await self.call("POST", "/v1/messages", {"to": "+8613912345678", "text": "hello", **fields})
        assert answer.status == 202, answer
        name = str(answer.body["id"])
        async with asyncio.timeout(PATIENCE_S):
            while (await self.message(name))["state"] not in ("sent", "delivered"):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return name

    async def message(self, name: str) -> dict[str, Any]:
        return dict((await self.call("GET", f"/v1/messages/{name}")).body)

    async def draft(self, **fields: Any) -> str:
        """The id of a new campaign."""
        body = {"name": "Spring", "text": "Dear {name}", "purpose": "transactional", **fields}
        answer = await self.call("POST", "/v1/campaigns", body)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    async def upload(
        self, campaign: str, octets: bytes, kind: str = "text/csv", headers: dict[str, str] | None = None
    ) -> Answer:
        headers = {"Content-Type": kind, **(headers or {})}
        return await self.call("POST", f"/v1/campaigns/{campaign}/recipients", data=octets, headers=headers)

    def differences(self) -> list[str]:
        """What `check` would find."""
        with self.engine.store.read() as txn:
            return list(proof.differences(txn))

    def rows(self) -> int:
        """Recipients there are, in all campaigns."""
        with self.engine.store.read() as txn:
            return sum(count(octets) for _, octets in SHEETS.scan(txn))


class _Server(TestServer):
    """As the program serves: aiohttp's own test server cancels a handler whose caller has gone, a real one does not."""

    async def _make_runner(self, **_options: Any) -> web.AppRunner:
        return web.AppRunner(self.app, access_log=None, shutdown_timeout=2.0, auto_decompress=False)


@asynccontextmanager
async def place_in(
    folder: Path, modems: int = 0, *, ports: tuple[str, ...] = (), rules: dict[str, Any] | None = None, **rack: Any
) -> AsyncIterator[Place]:
    """A place with so many simulated modems; with 0 there is no laboratory, and `ports` are as given.

    `rules` are sections of the settings that are not as tests like them.
    """
    clock = Clock()
    if modems:
        async with (
            laboratory.rack_of(folder / "rack", modems, clock, **rack) as simulated,
            _served(folder, clock, (str(folder / "rack" / "modem-*"),), simulated, rules or {}) as place,
        ):
            yield place
    else:
        async with _served(folder, clock, ports, None, rules or {}) as place:
            yield place


@asynccontextmanager
async def _served(
    folder: Path, clock: Clock, ports: tuple[str, ...], rack: Rack | None, rules: dict[str, Any]
) -> AsyncIterator[Place]:
    modems = Modems(ports, command_gap_ms=0, prompt_timeout_s=1.0, result_timeout_s=0.5)
    settings = Settings(str(folder / "data"), House("Lotus Hotel", "荷花酒店"), modems, quiet=ANY_HOUR)
    settings = structs.replace(settings, **rules)
    async with running(settings, PEPPER, clock) as engine:
        # Nobody's setting: a real line wants this quiet and this patience, a simulated one does not.
        engine.pool._settings = replace(engine.pool._settings, settle_s=0.01, scan_s=0.05, quarantine_first_s=0.05)
        await engine.store.write(tokens.add, TOKEN, "tests", engine.now_ms())
        app = build(engine, None if rack is None else laboratory.RackLaboratory(engine, rack))
        # A connection a call: one that was cut must not be seen by the next.
        async with TestClient(_Server(app), connector=TCPConnector(force_close=True)) as client:
            yield Place(engine, client, app, rack)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Place]:
    """No modems and no laboratory: what comes in stays as it came."""
    async with place_in(tmp_path) as place:
        yield place


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Place]:
    """Two modems that are ready and send at once."""
    async with place_in(tmp_path, 2) as place:
        await place.ready()
        yield place


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Place]:
    """A laboratory whose two modems may not be ready yet."""
    async with place_in(tmp_path, 2) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """The same for a whole file, for tests that leave nothing behind; no report comes by itself."""
    async with place_in(tmp_path_factory.mktemp("shared"), 2) as place:
        place.rack.network.report_delay_ms = None
        await place.ready()
        yield place
