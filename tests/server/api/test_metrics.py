"""How late it is, over HTTP: figures for a machine, and an alert."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.config import Hours, QuietHours
from tests.server.conftest import Place, place_in, until

OLDEST = "carillon_queue_oldest_seconds"


async def metrics(place: Place) -> dict[str, float]:
    """Values by name and label."""
    answer = await place.call("GET", "/metrics", token=None)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = [line for line in answer.body.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z0-9_]+({[a-z]+="[a-z]+"})? [0-9.e+]+', line) for line in lines)
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def told(place: Place) -> list[dict[str, Any]]:
    """The alerts so far."""
    listed = (await place.call("GET", "/v1/events?limit=1000")).body["items"]
    return [event for event in listed if event["type"].startswith("rack.")]


async def later(place: Place, seconds: float) -> None:
    """So much later the watch has looked."""
    place.engine.set_clock(place.engine.now_ms() + round(seconds * 1000))
    await place.engine.delay.watch()


async def unplug(place: Place) -> None:
    for name in place.rack.names:
        place.rack.unplug(name)
    await until(lambda: not place.engine.modems_ready())


@asynccontextmanager
async def silent(folder: Path, **rules: Any) -> AsyncIterator[Place]:
    """A place whose two modems were there and are not."""
    async with place_in(folder, 2, rules=rules) as place:
        await place.ready()
        await unplug(place)
        yield place


async def test_A16_all_modems_stop_and_an_alert_tells_the_oldest_age_within_a_minute(house: Place) -> None:
    await unplug(house)
    begun_ms = house.engine.now_ms()
    batch = [{"to": f"+861390000{at:04d}", "text": "hello"} for at in range(10)]
    assert (await house.call("POST", "/v1/messages", {"messages": batch})).status == 202
    await later(house, 20)
    assert await told(house) == []
    assert 20 <= (await metrics(house))[f'{OLDEST}{{lane="normal"}}'] < 30
    house.engine.set_clock(house.engine.now_ms() + 15_000)  # whoever watches looks by himself
    async with asyncio.timeout(5):
        while not (alerts := await told(house)):
            pass
    (alert,) = alerts
    assert (alert["type"], alert["object_id"]) == ("rack.delay", "rack")
    assert 35 <= alert["data"].pop("oldest_s") < 45
    assert alert["data"] == {"p95_s": 0, "waiting_parts": 10, "modems_ready": 0}
    assert datetime.fromisoformat(alert["at"]).timestamp() * 1000 - begun_ms < 60_000
    shown = await metrics(house)
    assert (shown['carillon_queue_parts{lane="normal"}'], shown['carillon_modems{state="ready"}']) == (10, 0)

    for name in house.rack.names:
        house.rack.plug(name)
    await until(lambda: len(house.rack.network.accepted) == 10)
    await house.settled()
    shown = await metrics(house)
    assert shown[f'{OLDEST}{{lane="normal"}}'] == 0
    assert shown["carillon_queue_delay_p95_seconds"] >= 35
    await later(house, 61)
    assert [event["type"] for event in await told(house)] == ["rack.delay", "rack.delay_over"]
    assert house.differences() == []


async def campaign(place: Place, **fields: Any) -> str:
    made = await place.draft(text="hello", **fields)
    await place.upload(made, b"to\n" + b"".join(b"+861390000%04d\n" % at for at in range(20)))
    assert (await place.call("POST", f"/v1/campaigns/{made}/launch")).status == 202
    await until(lambda: place.engine.scheduler.waiting_parts == 20)
    return made


async def test_a_paused_campaign_is_no_delay_and_one_that_cannot_go_is(tmp_path: Path) -> None:
    async with silent(tmp_path) as place:
        made = await campaign(place)
        await place.call("POST", f"/v1/campaigns/{made}/pause")
        for _ in range(3):
            await later(place, 40)
        assert await told(place) == []
        await place.call("POST", f"/v1/campaigns/{made}/resume")
        await until(lambda: place.engine.scheduler.waiting_parts == 20)
        await place.engine.delay.watch()
        await later(place, 40)
        (alert,) = await told(place)
        assert (alert["type"], alert["data"]["waiting_parts"]) == ("rack.delay", 20)
        assert 40 <= alert["data"]["oldest_s"] < 50


async def test_quiet_hours_are_no_delay(tmp_path: Path) -> None:
    today = datetime.now(ZoneInfo("Asia/Shanghai")).weekday()
    another_day = (Hours(days=1 << (today + 3) % 7),)
    async with silent(tmp_path, quiet=QuietHours(another_day, another_day, another_day, another_day)) as place:
        await campaign(place, purpose="service")
        await place.call("POST", "/v1/messages", {"to": "+8613912345678", "text": "hello", "purpose": "service"})
        later_on = {
            "to": "+8613912345678",
            "text": "hello",
            "purpose": "transactional",
            "not_before": "2090-01-01T00:00:00Z",
        }
        await place.call("POST", "/v1/messages", later_on)
        for _ in range(4):
            await later(place, 40)
        assert await told(place) == []
        await place.call("POST", "/v1/messages", {"to": "+8613912345678", "text": "hello", "purpose": "transactional"})
        await later(place, 40)
        (alert,) = await told(place)
        assert 40 <= alert["data"]["oldest_s"] < 50


async def test_a_rack_that_keeps_up_raises_no_alert_and_shows_small_figures(house: Place) -> None:
    for _ in range(3):
        await house.sent()
    await house.engine.delay.watch()
    shown = await metrics(house)
    assert shown['carillon_modems{state="ready"}'] + shown['carillon_modems{state="sending"}'] == 2
    assert all(value == 0 for name, value in shown.items() if name.startswith(OLDEST))
    assert shown["carillon_queue_delay_p95_seconds"] < 5
    assert await told(house) == []
