"""The console in a real browser, against a server with simulated modems."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from engine.access import tokens
from engine.config import ANY_HOUR, House, Modems, Settings
from engine.crm.marketing import campaigns, recipients, uploads
from engine.crm.marketing.campaigns import Campaign
from engine.sim.rack import Rack
from engine.wiring import Engine, running
from server.app import build

from .chromium import PROGRAM, opened, run

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed: apt-get install chromium")

TOKEN = "car_a_token_of_this_house_0123456789"
MODEMS = 3
PATIENCE_S = 20.0


@dataclass
class Place:
    """A server at work: its engine, its rack, and where it is."""

    engine: Engine
    rack: Rack
    url: str

    async def campaign(self, name: str, rows: int) -> int:
        write, now_ms = self.engine.store.write, self.engine.now_ms
        made = await write(campaigns.add, Campaign(0, name, {"en": "We are open today."}, "service"), now_ms())
        upload = await write(uploads.begin, made.id, now_ms())
        listed = [(at, 8613900000000 + at, recipients.Row(f"+{8613900000000 + at}")) for at in range(rows)]
        upload = await write(uploads.add_rows, upload, listed, {}, self.engine.pepper, now_ms())
        await write(uploads.finish, upload, now_ms())
        await write(campaigns.launch, made.id, now_ms())
        return made.id

    def stage_of(self, identifier: int) -> str:
        with self.engine.store.read() as txn:
            return campaigns.CAMPAIGNS.get(txn, identifier).stage.value


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    rack = Rack(tmp_path / "rack", MODEMS, latency_ms=300)
    rack.start()
    settings = Settings(
        data=str(tmp_path / "data"),
        house=House(name_en="Harbour Optics", name_zh="海港眼镜"),
        modems=Modems(ports=(str(tmp_path / "rack" / "modem-*"),), command_gap_ms=0),
        quiet=ANY_HOUR,
    )
    try:
        async with running(settings, b"p" * 32) as engine:
            await engine.store.write(tokens.add, TOKEN, "front desk", engine.now_ms())
            runner = web.AppRunner(build(engine), access_log=None, shutdown_timeout=1.0, auto_decompress=False)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            async with asyncio.timeout(PATIENCE_S):
                while sum(view.state == "ready" for view in engine.rack()) < MODEMS:  # noqa: ASYNC110  nobody tells
                    await asyncio.sleep(0.05)
            yield Place(engine, rack, f"http://127.0.0.1:{runner.addresses[0][1]}")
            await runner.cleanup()
    finally:
        rack.close()


async def test_a_token_in_the_address_leads_to_the_rack_and_its_campaigns(place: Place, tmp_path: Path) -> None:
    await place.campaign("Spring opening", 4)
    printed = await run(tmp_path / "profile", f"{place.url}/?token={TOKEN}", "--dump-dom", "--timeout=5000")
    document = printed.decode()
    assert "Spring opening" in document
    for at in range(MODEMS):
        assert f"modem-{at:02d}" in document
    assert TOKEN not in document


async def test_the_page_can_be_pictured(place: Place, tmp_path: Path) -> None:
    await place.campaign("Spring opening", 4)
    picture = tmp_path / "console.png"
    await run(
        tmp_path / "profile", f"{place.url}/?token={TOKEN}",
        f"--screenshot={picture}", "--window-size=360,800", "--timeout=5000",
    )  # fmt: skip
    octets = picture.read_bytes()
    assert octets.startswith(b"\x89PNG")
    assert int.from_bytes(octets[16:20]) == 360


async def test_the_page_moves_by_itself_and_a_click_reaches_the_campaign(place: Place, tmp_path: Path) -> None:
    async with opened(tmp_path / "profile", f"{place.url}/?token={TOKEN}", "--window-size=1280,900") as tab:
        assert await tab.tell("location.pathname + location.search") == "/"
        assert await tab.tell("document.cookie") == ""  # nothing that a script could read
        await tab.tell("window.same = true")
        identifier = await place.campaign("Spring opening", 500)
        key = campaigns.name_of(identifier)
        await tab.until(f"document.getElementById({key!r}) !== null")
        await tab.until("document.querySelector('.is-busy') !== null")
        await tab.until("/Message sent/.test(document.getElementById('live-log').textContent)")
        # Focus and an open menu stay while the pieces around them change.
        await tab.click(f"#{key}-more summary")
        await tab.tell(f"document.getElementById('{key}-cancel').focus()")
        before = await tab.tell("document.querySelector('.legend').textContent")
        await tab.until(f"document.querySelector('.legend').textContent !== {before!r}")
        assert await tab.tell("document.activeElement.id") == f"{key}-cancel"
        assert await tab.tell(f"document.getElementById('{key}-more').open")
        assert await tab.tell("window.same")
        await tab.click(f"#{key}-pause")
        await tab.until(f"document.getElementById('{key}-resume') !== null")
        assert place.stage_of(identifier) == "paused"
        await tab.click(f"#{key}-more summary")
        await tab.click(f"#{key}-cancel")
        await tab.until(f"document.querySelector('#{key} .chip-cancelled') !== null")
        assert place.stage_of(identifier) == "cancelled"
        assert tab.complaints == []


async def test_nothing_is_wider_than_a_small_telephone(place: Place, tmp_path: Path) -> None:
    await place.campaign("A campaign with averyveryverylongnamewithoutanyspaceinitthatmustbreaksomewhere", 40)
    async with opened(tmp_path / "profile", f"{place.url}/?token={TOKEN}") as tab:
        await tab.ask("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
        for language in ("en", "zh"):
            await tab.ask("Page.navigate", url=f"{place.url}/?lang={language}")
            await tab.until("document.readyState === 'complete' && document.querySelector('.card') !== null")
            assert await tab.tell("document.documentElement.scrollWidth") == 360


async def test_the_page_says_that_the_connection_is_interrupted_and_comes_back(place: Place, tmp_path: Path) -> None:
    async with opened(tmp_path / "profile", f"{place.url}/?token={TOKEN}") as tab:
        await tab.until("document.getElementById('interrupted') !== null && /modem-00/.test(document.body.textContent)")
        await tab.ask("Network.enable")
        offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        await tab.ask("Network.emulateNetworkConditions", offline=True, **offline)
        await tab.tell("listen()")  # a stream that is open already is not cut by this
        await tab.until("!document.getElementById('interrupted').hidden")
        await tab.ask("Network.emulateNetworkConditions", offline=False, **offline)
        await tab.until("document.getElementById('interrupted')?.hidden === true")
