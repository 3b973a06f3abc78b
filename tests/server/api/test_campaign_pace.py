"""When a campaign goes and how fast: pause, window, rate."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.config import House, QuietHours, SimSettings
from server.context import LABORATORY
from tests.server.conftest import Place, place_in, until

ONE, TWO = "460000000000001", "460000000000002"
DAY = datetime(2026, 11, 10, tzinfo=UTC)  # a Tuesday


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 10) -> int:
    return int(DAY.replace(day=day, hour=hour, minute=minute, second=second).timestamp() * 1000)


def rows(count: int) -> bytes:
    return b"to\n" + b"".join(b"+4420790%05d\n" % number for number in range(count))


async def settle(place: Place) -> None:
    """Wait until nothing is due, nothing is in the air and nothing is to be fed."""
    assert await place.app[LABORATORY].settle(10)


async def running(place: Place, count: int, **fields: Any) -> str:
    campaign = await place.draft(text="x", **fields)
    await place.upload(campaign, rows(count))
    assert (await place.call("POST", f"/v1/campaigns/{campaign}/launch")).status == 202
    return f"/v1/campaigns/{campaign}"


async def counts(place: Place, path: str) -> dict[str, int]:
    return dict((await place.call("GET", path)).body["counts"])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Place]:
    """Two modems, in Britain, with the usual quiet hours."""
    rules = {"house": House("Lotus Hotel", "荷花酒店", time_zone="Europe/London"), "quiet": QuietHours()}
    async with place_in(tmp_path, 2, rules=rules) as place:
        await place.ready()
        yield place


async def test_F7_a_pause_stops_it_within_two_seconds_and_resuming_loses_none(tmp_path: Path) -> None:
    async with place_in(tmp_path, 2, latency_ms=20) as place:
        await place.ready()
        accepted = place.rack.network.accepted
        path = await running(place, 200)
        await until(lambda: len(accepted) >= 20)
        begun_s = time.monotonic()
        await place.call("POST", f"{path}/pause")
        await settle(place)
        assert time.monotonic() - begun_s < 2
        sent = len(accepted)
        assert sent < 100
        assert (await counts(place, path))["sent"] == sent
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert len(accepted) == sent
        await place.call("POST", f"{path}/resume")
        await until(lambda: len(accepted) == 200)
        assert len({one.destination for one in accepted}) == 200


async def test_F7_a_campaign_goes_in_its_window_and_in_the_hours_of_its_purpose(house: Place) -> None:
    house.engine.set_clock(at(7, 30))
    window = {"from": "07:00", "to": "11:30", "days": ["tue", "thu"]}
    path = await running(house, 5, purpose="service", window=window)
    await settle(house)
    # Service is at eight, and the window is open until half past eleven.
    assert await counts(house, path) == {"held": 5}
    house.engine.set_clock(at(9))
    await settle(house)
    assert await counts(house, path) == {"sent": 5}
    house.engine.set_clock(at(11, 45))
    late = await running(house, 5, purpose="service", window=window)
    await settle(house)
    (first, *_) = (await house.call("GET", f"{late}/results")).body["items"]
    message = (await house.call("GET", f"/v1/messages/{first['message_id']}")).body
    assert (message["state"], message["reason"], message["until"][:13]) == ("held", "window", "2026-11-12T08")
    said = (await house.call("GET", f"/v1/messages/{first['message_id']}/explain")).body["explanation"]
    assert said.startswith("Its window is closed where its recipient lives: it waits until 2026-11-12T08")
    shown = (await house.call("GET", late)).body["window"]
    assert shown == {"from": "07:00", "to": "11:30", "days": ["tue", "thu"]}


async def test_F7_a_campaign_goes_at_its_rate_whatever_the_rack_could(house: Place) -> None:
    house.engine.set_clock(at(12))
    path = await running(house, 100, rate=60)
    accepted = house.rack.network.accepted
    seen, seconds = [], range(1, 100, 5)
    for second in seconds:
        house.engine.set_clock(at(12, second // 60, second % 60))
        await settle(house)
        seen.append(len(accepted))
    # A part a second, and what ten seconds allow at once.
    assert all(count <= second + 11 for count, second in zip(seen, seconds, strict=True)), seen
    assert seen[0] in (10, 11)
    assert seen[-1] >= 90
    assert (await house.call("GET", path)).body["rate"] == 60


async def test_a_rack_that_comes_back_sends_no_faster(house: Place) -> None:
    house.engine.set_clock(at(12))
    for name in house.rack.names:
        house.rack.unplug(name)
    await until(lambda: all(view.state == "lost" for view in house.engine.rack()))
    await running(house, 100, rate=60)
    house.engine.set_clock(at(13))
    for name in house.rack.names:
        house.rack.plug(name)
    await house.ready()
    await settle(house)
    assert 10 <= len(house.rack.network.accepted) <= 12


async def test_F7_a_sim_has_a_rate_of_its_own(tmp_path: Path) -> None:
    sims = {ONE: SimSettings(minute=4), TWO: SimSettings(minute=6)}
    async with place_in(tmp_path, 2, rules={"sims": sims}) as place:
        place.engine.set_clock(at(12))
        await place.ready()
        path = await running(place, 30)
        await until(lambda: len(place.rack.network.accepted) == 10)
        async with asyncio.timeout(5):
            while (await counts(place, path)).get("sent") != 10:  # noqa: ASYNC110 - HTTP has no event for it
                await asyncio.sleep(0.01)
        sent = [one.sim.imsi for one in place.rack.network.accepted]
        assert (sent.count(ONE), sent.count(TWO)) == (4, 6)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"window": {"from": "9", "to": "18:00"}}, "window.from"),
        ({"window": {"from": "18:00", "to": "09:00"}}, "window.to"),
        ({"window": {"from": "09:00", "to": "18:00", "days": []}}, "window.days"),
        ({"window": {"from": "09:00", "to": "18:00", "days": ["monday"]}}, "window.days[0]"),
        ({"window": {"from": "21:30", "to": "24:00"}}, "window"),
        ({"rate": -1}, "rate"),
    ],
)
async def test_a_window_that_is_none_is_refused(house: Place, fields: dict[str, Any], field: str) -> None:
    answer = await house.call("POST", "/v1/campaigns", {"name": "x", "text": "x", "purpose": "service", **fields})
    assert (answer.status, list(answer.params)) == (422, [field])
