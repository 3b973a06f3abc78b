"""A campaign's counters against a recount of its rows, while it runs; with 100,000 rows: `python -m bench counters`."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from bench.recount import (
    ASLEEP,
    ENDLESS,
    GOING,
    LACKING,
    PURPOSE,
    REFUSED,
    REFUSING,
    TEXTS,
    Count,
    Kind,
    Person,
    crowd,
    ndjson,
    numbers_of,
    recount,
)
from engine.config import QuietHours
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.store import ids
from tests.server.conftest import Place, place_in

ROWS = 2_000
MOMENTS = 30
UNASSIGNED = 1  # 3GPP TS 24.011 §8.2.5.4: the number is nobody's


def counted(place: Place, campaign: str) -> Count:
    with place.engine.store.read() as txn:
        return recount(txn, CAMPAIGNS.get(txn, ids.parse("cmp", campaign)))


async def until_gone(place: Place, parts: int) -> None:
    """Wait until so many parts have gone, or none goes on: paused, at a cap, at the end."""
    network, before = place.rack.network, -1
    while before < len(network.accepted) < parts:
        before = len(network.accepted)
        await asyncio.sleep(0.05)


async def refuse(place: Place, people: list[Person], kind: Kind) -> None:
    octets = numbers_of(people, kind)
    answer = await place.call("POST", "/v1/suppressions", data=octets, headers={"Content-Type": "text/csv"})
    assert answer.body["invalid"] == 0


async def test_counters_equal_a_recount_of_the_rows_at_thirty_random_moments(tmp_path: Path) -> None:
    random = Random(30)
    async with place_in(tmp_path, 8, rules={"quiet": QuietHours()}) as place:
        await place.ready()
        place.rack.network.refuse = lambda destination: UNASSIGNED if destination.endswith("77") else None
        now_ms = place.engine.now_ms()
        people = crowd(random, ROWS, now_ms)
        wanted = sum(person.kind.parts for person in people if person.kind in GOING)
        first, later = people[: ROWS * 4 // 5], people[ROWS * 4 // 5 :]
        campaign = await place.draft(text=TEXTS, purpose=PURPOSE, delivery_report="sample:50%")
        path = f"/v1/campaigns/{campaign}"
        await place.upload(campaign, ndjson(first), "application/x-ndjson")
        await refuse(place, first, REFUSED)

        async def cap() -> None:
            sent = (await place.call("GET", path)).body["parts_sent"]
            await place.call("PATCH", path, {"parts_most": sent + 20})
            async with asyncio.timeout(30):
                while (await place.call("GET", path)).body["reason"] != "budget":  # noqa: ASYNC110
                    await asyncio.sleep(0.005)

        steps: dict[int, Callable[[], Awaitable[object]]] = {
            0: lambda: place.call("POST", f"{path}/launch"),
            3: lambda: refuse(place, people, REFUSING),
            7: lambda: place.call("POST", f"{path}/pause"),
            9: lambda: place.call("POST", f"{path}/resume"),
            14: lambda: place.upload(campaign, ndjson(later), "application/x-ndjson"),
            19: cap,
            21: lambda: place.call("PATCH", path, {"parts_most": 0}),
            26: place.settled,
            28: lambda: place.call("POST", f"{path}/cancel"),
        }
        found: list[Count] = []
        shares = sorted(random.uniform(0, 0.9) for _ in range(MOMENTS))
        for moment, share in enumerate(shares):
            await until_gone(place, int(wanted * share))
            if moment in steps:
                await steps[moment]()
            await asyncio.sleep(random.uniform(0, 0.02))
            found.append(counted(place, campaign))
        await place.settled()
        found.append(counted(place, campaign))

        assert [count.differences for count in found] == [[]] * (MOMENTS + 1)
        kinds = [person.kind for person in people]
        last = found[-1]
        unwritten = kinds.count(LACKING) + kinds.count(ENDLESS)
        nobodys = sum(str(person.number).endswith("77") for person in people)
        assert (last.open, found[0].open > ROWS // 2) == (0, True)
        assert last.counters["cancelled"] == kinds.count(ASLEEP)
        assert unwritten < last.counters["failed"] <= unwritten + nobodys
        assert place.differences() == []
