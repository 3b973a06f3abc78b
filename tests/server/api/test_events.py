"""Events: by cursor, and as a stream that goes on from where a reader stopped."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse

from tests.server.conftest import TOKEN, Place

NUMBER = "+8613912345678"
EVERYTHING = 5.0


@asynccontextmanager
async def stream(place: Place, query: str = "", **headers: str) -> AsyncIterator[ClientResponse]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream", **headers}
    async with place.client.get(f"/v1/events{query}", headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        yield response


async def read(response: ClientResponse, count: int) -> list[dict[str, Any]]:
    """The next events, each checked against its own id and event lines."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(EVERYTHING):
        while len(found) < count:
            block = (await response.content.readuntil(b"\n\n")).decode()
            lines = dict(line.split(": ", 1) for line in block.strip().split("\n"))
            event = json.loads(lines["data"])
            assert (lines["id"], lines["event"]) == (event["id"], event["type"])
            found.append(event)
    return found


async def customers(place: Place, count: int, first: int = 0) -> list[str]:
    """The ids of so many new customers: each of them is an event."""
    return [
        (await place.call("POST", "/v1/customers", {"number": f"+861390000{place_:04d}"})).body["id"]
        for place_ in range(first, first + count)
    ]


async def everything(place: Place) -> list[dict[str, Any]]:
    return list((await place.call("GET", "/v1/events?limit=1000")).body["items"])


# -- by cursor


async def test_the_log_is_read_in_order_to_its_end_and_on(desk: Place) -> None:
    made = await customers(desk, 5)
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await desk.call("GET", f"/v1/events?limit=2{cursor}")).body
        seen += [event["object_id"] for event in page["items"]]
        cursor = f"&cursor={page['next']}"
    empty = (await desk.call("GET", f"/v1/events?{cursor}")).body
    assert (seen, empty["items"], f"&cursor={empty['next']}") == (made, [], cursor)
    made += await customers(desk, 1, 5)
    (late,) = (await desk.call("GET", f"/v1/events?{cursor}")).body["items"]
    assert late["object_id"] == made[-1]


async def test_the_end_of_an_empty_log_is_no_place(desk: Place) -> None:
    assert (await desk.call("GET", "/v1/events")).body == {"items": [], "next": None}


async def modems_told(place: Place) -> list[dict[str, Any]]:
    """The log, once both modems stand in it."""
    async with asyncio.timeout(EVERYTHING):
        while [event["type"] for event in await everything(place)].count("modem.up") < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    return await everything(place)


async def test_what_becomes_of_modems_and_messages_is_told(house: Place) -> None:
    name = await house.sent(delivery_report="all")
    async with asyncio.timeout(EVERYTHING):
        while (await house.message(name))["state"] != "delivered":  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    told = [(event["type"], event["object_id"]) for event in await modems_told(house)]
    assert [kind for kind, subject in told if subject == name] == ["message.sent", "message.delivered"]


async def test_what_becomes_of_a_campaign_is_told(desk: Place) -> None:
    campaign = await desk.draft(text="Hi")
    await desk.upload(campaign, b"to\n+8613900000011\n")
    for step in ("launch", "pause", "resume", "cancel"):
        await desk.call("POST", f"/v1/campaigns/{campaign}/{step}")
    assert [event["type"] for event in await everything(desk)] == [
        "upload.completed", "campaign.launched", "campaign.paused", "campaign.resumed", "campaign.cancelled",
    ]  # fmt: skip


async def test_no_event_carries_a_whole_number_or_a_text(house: Place) -> None:
    await house.sent(text="a secret", delivery_report="all")
    await house.call("POST", "/v1/customers", {"number": NUMBER})
    await house.call("POST", "/v1/sim/inbound", {"from": NUMBER, "text": "STOP"})
    log = json.dumps(await everything(house))
    assert (NUMBER[1:] in log, "secret" in log, "message.received" in log) == (False, False, True)


# -- as a stream


async def test_a_stream_begins_now(desk: Place) -> None:
    await customers(desk, 2)
    async with stream(desk) as response:
        made = await customers(desk, 2, 2)
        assert [event["object_id"] for event in await read(response, 2)] == made


@pytest.mark.parametrize("by_header", [True, False], ids=["Last-Event-ID", "cursor"])
async def test_a_stream_goes_on_behind_the_last_event_that_was_read(desk: Place, by_header: bool) -> None:
    made = await customers(desk, 3)
    async with stream(desk, f"?cursor={(await everything(desk))[0]['id']}") as response:
        (second,) = await read(response, 1)
    again = stream(desk, **{"Last-Event-ID": second["id"]}) if by_header else stream(desk, f"?cursor={second['id']}")
    async with again as response:
        made += await customers(desk, 1, 3)
        assert [event["object_id"] for event in await read(response, 2)] == made[2:]


async def test_the_header_goes_before_the_query(desk: Place) -> None:
    """A browser repeats the address it was given and tells in the header how far it came."""
    made = await customers(desk, 3)
    first, second, _ = await everything(desk)
    async with stream(desk, f"?cursor={first['id']}", **{"Last-Event-ID": second["id"]}) as response:
        assert [event["object_id"] for event in await read(response, 1)] == made[2:]


async def test_a_stream_can_begin_at_the_beginning(desk: Place) -> None:
    made = await customers(desk, 2)
    async with stream(desk, "?cursor=evt_0000000000000") as response:
        made += await customers(desk, 1, 2)
        assert [event["object_id"] for event in await read(response, 1)] == made[:1]


async def test_no_event_is_lost_or_told_twice_under_load(house: Place) -> None:
    """Three readers, one of which leaves and comes back all the time, while texts go and reports come."""
    texts = [{"to": f"+86139000{n:05d}", "text": "x", "delivery_report": "all"} for n in range(150)]
    start = (await modems_told(house))[-1]["id"]

    async def steady() -> list[str]:
        async with stream(house, f"?cursor={start}") as response:
            return [event["id"] for event in await read(response, 300)]

    async def restless() -> list[str]:
        seen = [start]
        while len(seen) < 301:
            async with stream(house, **{"Last-Event-ID": seen[-1]}) as response:
                seen += [event["id"] for event in await read(response, 7 if len(seen) < 290 else 301 - len(seen))]
        return seen[1:301]

    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(read_()) for read_ in (steady, steady, restless)]
        await house.call("POST", "/v1/messages", {"messages": texts})
    wanted = [event["id"] for event in (await house.call("GET", f"/v1/events?cursor={start}&limit=300")).body["items"]]
    assert len(wanted) == 300
    assert [reader.result() for reader in readers] == [wanted] * 3


async def test_open_streams_do_not_keep_the_server(desk: Place) -> None:
    async with stream(desk) as response:
        async with asyncio.timeout(EVERYTHING):
            await desk.client.server.close()
            assert await response.content.read() == b""


@pytest.mark.parametrize(
    "headers",
    [{"Last-Event-ID": "5"}, {"Last-Event-ID": "msg_0000000000001"}, {"Last-Event-ID": "evt_\u00ff"}],
)
async def test_a_place_that_is_none_is_refused(desk: Place, headers: dict[str, str]) -> None:
    answer = await desk.call("GET", "/v1/events", headers={"Accept": "text/event-stream", **headers})
    assert (answer.status, list(answer.params)) == (422, ["cursor"])


async def test_an_unknown_parameter_of_a_stream_is_refused(desk: Place) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"}
    async with desk.client.get("/v1/events?since=yesterday", headers=headers) as response:
        assert response.status == 422
