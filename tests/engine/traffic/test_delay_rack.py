"""Delay on a rack at work, in its own time: a campaign that takes long is on time, one that stands still is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.config import Limits
from engine.traffic import events
from engine.traffic.delay import DelayWatch
from engine.traffic.events import Event
from engine.traffic.messages import SEND, Lane
from tests.engine.traffic.stage import SIM, say
from tests.engine.traffic.test_scheduler_quotas import DAY_S, Rack, play


@asynccontextmanager
async def watched(rack: Rack) -> AsyncIterator[None]:
    """While somebody looks every few seconds."""
    watch = DelayWatch(rack.store, rack.scheduler, say(SEND), rack.now_ms, lambda: 1, 30)
    task = asyncio.get_running_loop().create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()


def told(rack: Rack) -> list[Event]:
    with rack.store.read() as txn:
        return [event for _, event in events.after(txn, 0, 10_000) if event.kind.startswith("rack.")]


def test_a_long_campaign_is_on_time_once_there_is_a_modem(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        for number in range(240):
            await rack.put(number, lane=Lane.BULK)
        async with watched(rack):
            await rack.until(lambda: bool(told(rack)))
            assert told(rack)[0].detail["waiting_parts"] == 240
            rack.plug(SIM)
            await rack.until(lambda: len(rack.ledger) == 240, 1500)
            assert [event.kind for event in told(rack)] == ["rack.delay", "rack.delay_over"]

    play(tmp_path, {}, plot)


def test_bulk_waits_for_its_quota_in_time_and_whoever_is_to_be_texted_soon_does_not(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        rack.plug(SIM)
        for number in range(6):
            await rack.put(number, lane=Lane.BULK)
        async with watched(rack):
            await rack.until(lambda: len(rack.ledger) == 3)
            await asyncio.sleep(DAY_S / 2)
            assert (len(rack.ledger), told(rack)) == (3, [])
            await rack.put(100)
            await rack.until(lambda: bool(told(rack)))
            assert told(rack)[0].detail["waiting_parts"] == 4

    play(tmp_path, {SIM: Limits(day=3)}, plot)
