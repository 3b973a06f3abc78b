"""A house with an engine at work, its console, and somebody who may look."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from engine.access import tokens
from engine.config import ANY_HOUR, House, Settings
from engine.crm.marketing import campaigns, recipients, uploads
from engine.crm.marketing.campaigns import Campaign
from engine.wiring import Clock, Engine, running
from server.console import pages
from server.context import ENGINE

TOKEN = "car_a_token_of_this_house_0123456789"

Client = TestClient[web.Request, web.Application]


@dataclass
class Visitor:
    """A browser at the console: `go` follows no redirects, so that they can be seen."""

    engine: Engine
    client: Client
    token: str = TOKEN

    async def go(self, path: str, **how: object) -> ClientResponse:
        return await self.client.get(path, allow_redirects=False, **how)

    async def post(self, path: str, fields: dict[str, str], **how: object) -> ClientResponse:
        return await self.client.post(path, data=fields, allow_redirects=False, **how)

    async def sign_in(self) -> None:
        answer = await self.post("/signin", {"token": TOKEN})
        assert answer.status == 303

    async def page(self) -> str:
        return await (await self.go("/")).text()

    async def form_token(self) -> str:
        found = re.search(r'name="form" value="([0-9a-f]+)"', await self.page())
        assert found is not None
        return found[1]

    async def campaign(self, name: str, rows: int = 0, *, is_launched: bool = False, purpose: str = "service") -> int:
        """A campaign with `rows` recipients; its id."""
        write, now_ms = self.engine.store.write, self.engine.now_ms
        draft = Campaign(0, name, {"en": "We are open today."}, purpose)
        made = await write(campaigns.add, draft, now_ms())
        if rows:
            upload = await write(uploads.begin, made.id, now_ms())
            listed = [(at, 8613900000000 + at, recipients.Row(f"+{8613900000000 + at}")) for at in range(rows)]
            upload = await write(uploads.add_rows, upload, listed, {}, self.engine.pepper, now_ms())
            await write(uploads.finish, upload, now_ms())
        if is_launched:
            await write(campaigns.launch, made.id, now_ms())
        return made.id

    def stage_of(self, identifier: int) -> str:
        with self.engine.store.read() as txn:
            return campaigns.CAMPAIGNS.get(txn, identifier).stage.value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def engine(tmp_path: Path, clock: Clock) -> AsyncIterator[Engine]:
    house = House(name_en="Harbour <Optics>", name_zh="海港眼镜", time_zone="Asia/Shanghai")
    async with running(Settings(data=str(tmp_path / "data"), house=house, quiet=ANY_HOUR), b"p" * 32, clock) as engine:
        await engine.store.write(tokens.add, TOKEN, "front desk", engine.now_ms())
        yield engine


@pytest.fixture
async def stranger(engine: Engine, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> Visitor:
    """Somebody who has not signed in."""
    app = web.Application()
    app[ENGINE] = engine
    pages.setup(app)
    return Visitor(engine, await aiohttp_client(app))


@pytest.fixture
async def visitor(stranger: Visitor) -> Visitor:
    """Somebody who has."""
    await stranger.sign_in()
    return stranger
