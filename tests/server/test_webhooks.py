"""server/webhooks.py: everything is told, in order and signed, and nothing that is not public is reached."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from engine.access import addresses, webhooks
from engine.store.table import Txn
from engine.traffic import events
from server import webhooks as posting
from tests.server.conftest import Place, until
from tests.server.receiver import (
    LOOPBACK,
    Receiver,
    hook,
    let_the_library_read,
    log_behind,
    moody,
    place_in,
    receiver,
)

IS_LONG = bool(os.environ.get("CARILLON_LONG"))
EVENTS_TOLD = 10_000 if IS_LONG else 1_000
PATIENCE_S = 300.0 if IS_LONG else 60.0
HOUR_MS = 3_600_000


def _happen(txn: Txn, now_ms: int, first: int, count: int, seed: int) -> None:
    """Events of some hundred subjects, one in ten of them in packs."""
    rng = Random(seed)
    for n in range(first, first + count):
        if rng.random() < 0.1:
            entry = events.entry("message.sent", rng.randrange(50))
            events.append_rows(txn, now_ms, f"cmp_{rng.randrange(2)}", entry)
        else:
            events.append(txn, "customer.changed", now_ms, f"cus_{rng.randrange(150)}", n=n)


async def happen(place: Place, count: int, first: int = 0, seed: int = 1) -> None:
    for begin in range(first, first + count, 200):
        now_ms = place.engine.now_ms()
        await place.engine.store.write(_happen, now_ms, begin, min(200, first + count - begin), seed + begin)


async def attempts(place: Place, made: dict[str, Any]) -> list[dict[str, Any]]:
    return list((await place.call("GET", f"/v1/webhooks/{made['id']}/deliveries?limit=500")).body["items"])


async def tried(place: Place, made: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
    """The posts so far, once there are so many."""
    async with asyncio.timeout(10):
        while len(found := await attempts(place, made)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def all_told(place: Place, taker: Receiver, count: int) -> None:
    """Let minutes pass until so many events were taken."""
    seen = 0
    known: set[str] = set()
    async with asyncio.timeout(PATIENCE_S):
        while len(known) < count:
            place.engine.set_clock(place.engine.now_ms() + 60_000)
            await asyncio.sleep(0.05)
            known |= {body["id"] for body in taker.taken[seen:]}
            seen = len(taker.taken)


def firsts(taken: list[dict[str, Any]]) -> dict[str, list[str]]:
    """By subject, the ids of its events in the order in which they were first taken."""
    found: dict[str, list[str]] = {}
    known: set[str] = set()
    for body in taken:
        if body["id"] not in known:
            known.add(body["id"])
            found.setdefault(body["object_id"], []).append(body["id"])
    return found


@pytest.mark.parametrize("seed", range(1 if IS_LONG else 2))
async def test_a_receiver_that_fails_in_every_way_takes_the_whole_log_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """500, silence, an answer that breaks off, and an hour in which nobody listens."""
    share = EVENTS_TOLD // 4
    async with place_in(tmp_path) as place, receiver(moody(seed)) as taker:
        let_the_library_read(monkeypatch, place)
        made = await hook(place, taker.url)
        taker.secrets.append(made["secret"])
        await happen(place, share, seed=seed)
        await until(lambda: taker.taken)
        await happen(place, share, share, seed)
        await taker.close()
        await happen(place, share, 2 * share, seed)
        async with asyncio.timeout(PATIENCE_S):
            while (await view(place, made))["failures"] < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        place.engine.set_clock(place.engine.now_ms() + HOUR_MS)
        before = len(await attempts(place, made))
        await tried(place, made, min(before + 1, 500))
        await taker.open()
        await happen(place, EVENTS_TOLD - 3 * share, 3 * share, seed)
        log = await log_behind(place, made["cursor"])
        await all_told(place, taker, len(log))
        assert await log_behind(place, made["cursor"]) == log
        shown = await view(place, made)
    assert len(log) == EVENTS_TOLD
    assert taker.faults == []
    assert {body["id"] for body in taker.taken} == {event["id"] for event in log}
    assert firsts(taker.taken) == firsts(log)
    by_id = {body["id"]: body for body in taker.taken}
    assert [by_id[event["id"]] for event in log] == [{**event, "timestamp": event["at"]} for event in log]
    assert (shown["state"], shown["dead"]) == ("active", 0)


async def view(place: Place, made: dict[str, Any]) -> dict[str, Any]:
    return dict((await place.call("GET", f"/v1/webhooks/{made['id']}")).body)


async def test_one_that_hangs_does_not_keep_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are ever read ahead go by, and are written down, while the first is in the air."""
    monkeypatch.setattr(posting, "CARRIED_S", 0.05)
    asked = 0

    def answer(_body: dict[str, Any]) -> int | str:
        nonlocal asked
        asked += 1
        return "hang" if asked == 1 else 204

    async with place_in(tmp_path, timeout_s=4) as place, receiver(answer) as taker:
        let_the_library_read(monkeypatch, place)
        made = await hook(place, taker.url)
        taker.secrets.append(made["secret"])
        await happen(place, 3 * posting.WINDOW)
        log = await log_behind(place, made["cursor"])
        slow = [event["id"] for event in log if event["object_id"] == log[0]["object_id"]]  # it is posted first
        async with asyncio.timeout(3):
            # What took a little long was parked for that while.
            while (shown := await view(place, made))["cursor"] != log[-1]["id"] or shown["parked"] > len(slow):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert {body["id"] for body in taker.taken} == {event["id"] for event in log} - set(slow)
        assert shown["parked"] == len(slow)
        await all_told(place, taker, len(log))
        assert firsts(taker.taken) == firsts(log)


async def test_what_really_happens_is_told(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place, receiver() as taker:
        made = await hook(place, taker.url, events=["customer.*"])
        taker.secrets.append(made["secret"])
        await place.draft()
        created = await place.call("POST", "/v1/customers", {"number": "+8613912345678"})
        await until(lambda: taker.taken)
        (body,) = taker.taken
    assert (body["type"], body["object_id"]) == ("customer.created", created.body["id"])
    assert "13912345678" not in str(body)


async def test_two_webhooks_are_told_each_for_itself(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place, receiver(lambda _body: 500) as bad, receiver() as good:
        await hook(place, bad.url)
        made = await hook(place, good.url)
        good.secrets.append(made["secret"])
        await happen(place, 100)
        await until(lambda: len(good.taken) >= 100)
        assert good.faults == []


async def test_the_server_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with receiver() as taker:
        async with place_in(tmp_path) as place:
            made = await hook(place, taker.url)
            taker.secrets.append(made["secret"])
            await happen(place, 300)
            await until(lambda: len(taker.taken) > 100)
        first = len(taker.taken)
        async with place_in(tmp_path) as place:
            await happen(place, 50, 300)
            log = await log_behind(place, made["cursor"])
            await until(lambda: len({body["id"] for body in taker.taken}) == len(log))
    assert firsts(taker.taken) == firsts(log)
    # What was in the air at the end landed and was written down.
    assert len(taker.taken) == len(log) > first


async def test_after_a_rotation_both_secrets_verify(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place, receiver() as taker:
        made = await hook(place, taker.url)
        rotated = (await place.call("POST", f"/v1/webhooks/{made['id']}/rotate")).body
        taker.secrets += [made["secret"], rotated["secret"]]
        await happen(place, 5)
        await until(lambda: len(taker.taken) >= 5)
        assert taker.faults == []


async def test_what_is_paused_is_told_nothing(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place, receiver() as taker:
        made = await hook(place, taker.url)
        taker.secrets.append(made["secret"])
        path = f"/v1/webhooks/{made['id']}"
        await place.call("PATCH", path, {"state": "paused"})
        asked = taker.asked
        await happen(place, 20)
        await asyncio.sleep(0.1)
        assert taker.asked == asked
        await place.call("PATCH", path, {"state": "active"})
        log = await log_behind(place, made["cursor"])
        await until(lambda: len(taker.taken) == len(log))


async def test_who_is_gone_is_asked_no_more(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place, receiver(lambda _body: 410) as taker:
        made = await hook(place, taker.url)
        taker.secrets.append(made["secret"])
        await place.call("POST", f"/v1/webhooks/{made['id']}/test")
        (attempt,) = await tried(place, made)
        assert (attempt["status"], attempt["error"], attempt["type"]) == (410, "gone", "webhook.test")
        await happen(place, 20)
        await asyncio.sleep(0.1)
        shown = await view(place, made)
        assert (shown["state"], shown["reason"], taker.asked) == ("disabled", "gone", 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(500, "status"), (302, "redirect"), (307, "redirect"), ("hang", "timeout"), ("break", "closed")],
)
async def test_what_is_no_success_is_told_as_what_it_is(tmp_path: Path, answer: int | str, error: str) -> None:
    async with place_in(tmp_path) as place, receiver(lambda _body: answer) as taker:
        made = await hook(place, taker.url)
        taker.secrets.append(made["secret"])
        await place.call("POST", f"/v1/webhooks/{made['id']}/test")
        (attempt,) = await tried(place, made)
        # One post: a redirect is not followed.
        assert (attempt["error"], taker.asked) == (error, 1)
        assert attempt["status"] == (answer if isinstance(answer, int) else None)


async def test_a_receiver_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place, receiver() as taker:
        await taker.close()
        made = await hook(place, taker.url)
        await place.call("POST", f"/v1/webhooks/{made['id']}/test")
        (attempt,) = await tried(place, made)
        assert (attempt["error"], attempt["status"]) == ("connect", None)


async def test_of_an_answer_without_end_only_the_beginning_is_read(tmp_path: Path) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"4000\r\n" + bytes(0x4000) + b"\r\n")
                await writer.drain()
                sent += 0x4000
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    async with server, place_in(tmp_path, timeout_s=5) as place:
        made = await hook(place, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await place.call("POST", f"/v1/webhooks/{made['id']}/test")
        (attempt,) = await tried(place, made)
        assert (attempt["status"], attempt["error"]) == (200, None)
        assert attempt["took_ms"] < 4_000


# -- nothing that is not public


class Names(AbstractResolver):
    """A resolver that answers what a test wants, each time with the next of the answers."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, _family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answer
        ]

    async def close(self) -> None:
        pass


def given(resolver: AbstractResolver) -> Callable[[], AbstractResolver]:
    return lambda: resolver


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(["127.0.0.1"], id="loopback"),
        pytest.param(["::ffff:127.0.0.1"], id="mapped"),
        pytest.param(["::1"], id="loopback of IPv6"),
        pytest.param(["192.0.2.1", "127.0.0.1"], id="one of two"),
        pytest.param(["0.0.0.0"], id="this host"),  # noqa: S104
    ],
)
async def test_a_name_that_leads_inside_is_refused(tmp_path: Path, answer: list[str]) -> None:
    names = Names(answer)
    async with place_in(tmp_path, (), given(names)) as place, receiver() as taker:
        made = await hook(place, f"http://inside.example:{taker.port}/")
        await place.call("POST", f"/v1/webhooks/{made['id']}/test")
        (attempt,) = await tried(place, made)
        assert (attempt["error"], attempt["status"], taker.asked) == ("private_address", None, 0)


async def test_a_name_is_connected_to_where_it_was_allowed_to_lead(tmp_path: Path) -> None:
    """Asked once for each connection: there is no second answer that could be another."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with place_in(tmp_path, LOOPBACK, given(names)) as place, receiver() as taker:
        made = await hook(place, f"http://outside.example:{taker.port}/")
        taker.secrets.append(made["secret"])
        path = f"/v1/webhooks/{made['id']}/test"
        await place.call("POST", path)
        await until(lambda: taker.taken)
        assert names.asked == 1
        await taker.close()
        await taker.open()
        await place.call("POST", path)
        last, *_ = await tried(place, made, 2)
        assert last["error"] in ("private_address", "closed")
        assert len(taker.taken) == 1


async def test_an_address_that_is_no_more_allowed_is_refused_when_it_is_posted_to(tmp_path: Path) -> None:
    async with place_in(tmp_path, ()) as place, receiver() as taker:
        engine = place.engine
        made = await engine.store.write(
            webhooks.add, taker.url, ("*",), engine.now_ms(), "", addresses.networks(LOOPBACK)
        )
        shown = {"id": webhooks.name_of(made.id)}
        await place.call("POST", f"/v1/webhooks/{shown['id']}/test")
        (attempt,) = await tried(place, shown)
        assert (attempt["error"], taker.asked) == ("private_address", 0)
