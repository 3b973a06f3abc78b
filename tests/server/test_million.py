"""A million messages: one is found at once, some leave as a file, and nobody else waits meanwhile."""

import asyncio
import csv
import io
import os
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Place, place_in

IS_LONG = bool(os.environ.get("CARILLON_LONG"))
ROWS = int(os.environ.get("CARILLON_ROWS", "1000000"))
SINGLES = 10_000


async def rows(first: int, count: int) -> AsyncIterator[bytes]:
    yield b"to,name\n"
    for begin in range(first, first + count, 10_000):
        end = min(begin + 10_000, first + count)
        yield b"".join(b"+8613%09d,%s\n" % (at, b"Ada" if at % 1000 == 0 else b"") for at in range(begin, end))


async def fill(place: Place) -> None:
    """Two campaigns of different states, and messages of none."""
    made = [await place.draft(text="Your room is ready, {name:guest}") for _ in range(2)]
    share = ROWS * 6 // 10
    for campaign, first, count in ((made[0], 0, share), (made[1], share, ROWS - share)):
        path = f"/v1/campaigns/{campaign}/recipients"
        answer = await place.call("POST", path, data=rows(first, count), headers={"Content-Type": "text/csv"})
        assert (answer.status, answer.body["accepted"]) == (202, count)
    await place.call("POST", f"/v1/campaigns/{made[1]}/launch")
    await place.call("POST", f"/v1/campaigns/{made[1]}/cancel")
    for begin in range(0, SINGLES, 1000):
        batch = [{"to": f"+8613{at:09d}", "text": f"Bill {at}"} for at in range(begin, begin + 1000)]
        assert (await place.call("POST", "/v1/messages", {"messages": batch})).status == 202


@asynccontextmanager
async def watched(place: Place, waits: list[float]) -> AsyncIterator[None]:
    """Others ask meanwhile: how long each of them waited, in ms."""

    async def ask() -> None:
        while True:
            begun = time.perf_counter()
            await place.call("GET", "/healthz", token=None)
            waits.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(ask())
    try:
        yield
    finally:
        task.cancel()


async def timed(what: str, work: Awaitable[Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    found = await work
    took_ms = (time.perf_counter() - begun) * 1000
    print(f"{what}: {took_ms:,.0f} ms")
    return found, took_ms


async def counted(place: Place, query: str) -> tuple[int, float]:
    """How many a search finds over all its pages, and how long the slowest took in ms."""
    count, slowest, cursor = 0, 0.0, ""
    while True:
        begun = time.perf_counter()
        page = (await place.call("GET", f"/v1/messages?{query}&limit=1000{cursor}", held=False)).body
        slowest = max(slowest, (time.perf_counter() - begun) * 1000)
        count += len(page["items"])
        if page["next"] is None:
            return count, slowest
        cursor = f"&cursor={page['next']}"


@pytest.mark.skipif(not IS_LONG, reason="takes minutes: CARILLON_LONG=1")
async def test_A9_of_a_million_messages_those_to_a_number_come_within_100_ms(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place:
        await timed(f"{ROWS:,} rows and {SINGLES:,} messages are stored", fill(place))
        times = []
        for at in range(0, ROWS, ROWS // 50):
            path = f"/v1/messages?to=%2B8613{at:09d}&limit=20"
            answer, took_ms = await timed("to=", place.call("GET", path, held=False))
            assert len(answer.body["items"]) == 1 + (at < SINGLES)
            times.append(took_ms)
        print(f"the slowest of {len(times)}: {max(times):.1f} ms")
        assert max(times) < 100
        expected = {
            "text=ada": ROWS // 1000,
            "state=queued": SINGLES,
            "text=bill%209": 1111,
            "state=failed": 0,
            "state=cancelled&text=ada": ROWS // 1000 - ROWS * 6 // 10 // 1000,
        }
        for query, count in expected.items():
            waits: list[float] = []
            async with watched(place, waits):
                (found, slowest), _ = await timed(f"pages of {query}", counted(place, query))
                path = f"/v1/messages.csv?{query}"
                answer, _ = await timed(f"csv of {query}", place.call("GET", path, held=False))
            waits.sort()
            print(f"  slowest page {slowest:.0f} ms; others waited {waits[len(waits) * 99 // 100]:.1f} ms at p99")
            table = list(csv.reader(io.StringIO(answer.body)))
            assert (found, len(table) - 1) == (count, count), query
