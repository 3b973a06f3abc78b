"""Idempotency-Key: however often a call comes, one effect and one answer; also where the server is killed meanwhile."""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.access import replays, tokens
from engine.access.replays import KEPT_MS, REPLAYS
from server.app import ROUTES
from server.repeats import REPLAYED
from tests.server.conftest import TOKEN, Answer, Place

NUMBER = "+8613912345678"
TEXT = {"to": NUMBER, "text": "hello"}
CALLS: dict[str, dict[str, Any]] = {
    "/v1/messages": TEXT,
    "/v1/campaigns": {"name": "Spring", "text": "Dear {name}", "purpose": "service"},
    "/v1/customers": {"number": NUMBER},
    "/v1/routes": {"name": "home"},
    "/v1/tokens": {"name": "till", "scopes": ["messages:send"]},
}


async def keyed(place: Place, path: str, body: Any = None, key: str = "k-1", **options: Any) -> Answer:
    return await place.call("POST", path, body, headers={"Idempotency-Key": key}, **options)


async def items(place: Place, path: str) -> list[Any]:
    return list((await place.call("GET", path)).body["items"])


@pytest.mark.parametrize("path", CALLS)
async def test_a_repeat_gets_the_first_answer_and_does_nothing(desk: Place, path: str) -> None:
    before = len(await items(desk, path))
    first = await keyed(desk, path, CALLS[path])
    assert first.status in (201, 202)
    assert REPLAYED not in first.headers
    for _ in range(3):
        again = await keyed(desk, path, CALLS[path])
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers[REPLAYED] == "true"
        for name in ("Location", "ETag", "Content-Type"):
            assert again.headers.get(name) == first.headers.get(name)
    assert len(await items(desk, path)) == before + 1


@pytest.mark.parametrize("path", CALLS)
async def test_of_50_at_once_one_does_it(desk: Place, path: str) -> None:
    before = len(await items(desk, path))
    answers = await asyncio.gather(*(keyed(desk, path, CALLS[path]) for _ in range(50)))
    (first,) = [answer for answer in answers if answer.status < 300 and REPLAYED not in answer.headers]
    for answer in answers:
        if answer is first:
            continue
        if answer.status == 409:
            assert (answer.slug, answer.headers["Retry-After"]) == ("idempotency_in_work", "1")
        else:
            assert (answer.status, answer.body, answer.headers[REPLAYED]) == (first.status, first.body, "true")
    assert len(await items(desk, path)) == before + 1
    assert (await keyed(desk, path, CALLS[path])).body == first.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/v1/messages", {**TEXT, "text": "another"}, id="another body"),
        pytest.param("/v1/messages?x=1", TEXT, id="another address"),
        pytest.param("/v1/messages/preview", {"text": "hello"}, id="another call"),
    ],
)
async def test_a_key_is_for_one_call(desk: Place, path: str, body: Any) -> None:
    await keyed(desk, "/v1/messages", TEXT)
    answer = await keyed(desk, path, body, held=False)
    assert (answer.status, answer.slug, list(answer.params)) == (422, "idempotency_key_reused", ["Idempotency-Key"])
    assert len(await items(desk, "/v1/messages")) == 1


async def test_a_key_is_the_tokens_own(desk: Place) -> None:
    other = tokens.fresh()
    await desk.engine.store.write(tokens.add, other, "other", desk.engine.now_ms())
    first = await keyed(desk, "/v1/messages", TEXT)
    second = await keyed(desk, "/v1/messages", TEXT, token=other)
    assert REPLAYED not in second.headers
    assert first.body["id"] != second.body["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "a\tb"])
async def test_a_key_that_is_none_is_refused_before_anything_is_done(desk: Place, key: str) -> None:
    answer = await keyed(desk, "/v1/messages", TEXT, key=key)
    assert (answer.status, list(answer.params)) == (422, ["Idempotency-Key"])
    assert await items(desk, "/v1/messages") == []


async def test_a_refusal_is_not_kept_so_the_key_may_be_used_again(desk: Place) -> None:
    assert (await keyed(desk, "/v1/messages", {"to": "five", "text": "x"})).status == 422
    assert (await keyed(desk, "/v1/messages", None)).status == 400
    made = await keyed(desk, "/v1/messages", TEXT)
    assert (made.status, REPLAYED in made.headers) == (202, False)
    campaign = await desk.draft()
    assert (await keyed(desk, f"/v1/campaigns/{campaign}/launch", key="k-2")).status == 409
    await desk.upload(campaign, b"to,name\n+8613900000011,Ada\n")
    assert (await keyed(desk, f"/v1/campaigns/{campaign}/launch", key="k-2")).status == 202
    again = await keyed(desk, f"/v1/campaigns/{campaign}/launch", key="k-2")
    assert (again.status, again.body["state"], REPLAYED in again.headers) == (202, "running", True)


async def test_the_first_answer_stays_though_the_thing_moves_on(desk: Place) -> None:
    first = await keyed(desk, "/v1/messages", TEXT)
    await desk.call("POST", f"/v1/messages/{first.body['id']}/cancel")
    assert (await keyed(desk, "/v1/messages", TEXT)).body == first.body
    assert first.body["state"] == "queued"


async def test_after_a_day_the_key_is_free(desk: Place) -> None:
    first = await keyed(desk, "/v1/messages", TEXT)
    desk.engine.set_clock(desk.engine.now_ms() + KEPT_MS)
    second = await keyed(desk, "/v1/messages", TEXT)
    assert REPLAYED not in second.headers
    assert first.body["id"] != second.body["id"]


async def test_a_call_without_an_effect_takes_a_key_too(desk: Place) -> None:
    first = await keyed(desk, "/v1/messages/preview", {"text": "hello"})
    again = await keyed(desk, "/v1/messages/preview", {"text": "hello"})
    assert (first.body, again.headers[REPLAYED]) == (again.body, "true")


async def test_a_token_that_was_made_is_shown_again_but_kept_nowhere(desk: Place) -> None:
    first = await keyed(desk, "/v1/tokens", CALLS["/v1/tokens"])
    again = await keyed(desk, "/v1/tokens", CALLS["/v1/tokens"])
    assert first.body["token"] == again.body["token"]
    octets = (desk.engine.store.directory / "data.mdb").read_bytes()
    assert first.body["token"].encode() not in octets


@pytest.mark.parametrize("path", ["/v1/imports", "/v1/suppressions", "/v1/campaigns/{campaign}/recipients"])
async def test_a_list_takes_no_key_and_nothing_of_it_is_kept(desk: Place, path: str) -> None:
    path = path.format(campaign=await desk.draft())
    headers = {"Idempotency-Key": "k-1", "Content-Type": "text/csv"}
    answer = await desk.call("POST", path, data=b"number,to\n+8613900000011,+8613900000011\n", headers=headers)
    assert (answer.status, answer.slug) == (400, "idempotency_key")
    assert await items(desk, "/v1/imports") == []
    assert await items(desk, "/v1/customers") == []
    operation = desk.operation("POST", path)
    assert operation is not None
    takes = [one["description"] for one in operation["parameters"] if one["name"] == "Idempotency-Key"]
    assert ["JSON alone" in words for words in takes] == ([True] if path == "/v1/imports" else [])


async def test_an_import_that_is_begun_twice_under_one_key_is_one(desk: Place) -> None:
    first, again = [await keyed(desk, "/v1/imports", {"name": "Fair"}) for _ in range(2)]
    assert (first.status, again.body, again.headers[REPLAYED]) == (201, first.body, "true")
    assert again.headers["Location"] == first.headers["Location"]
    assert len(await items(desk, "/v1/imports")) == 1


async def test_another_call_waits_for_nothing_and_other_methods_take_no_key(desk: Place) -> None:
    await asyncio.gather(*(keyed(desk, "/v1/messages", TEXT, key=str(place)) for place in range(20)))
    assert len(await items(desk, "/v1/messages")) == 20
    customer = (await desk.call("POST", "/v1/customers", {"number": NUMBER})).headers["Location"]
    for name in ("a", "b"):
        changed = await desk.call("PATCH", customer, {"name": name}, headers={"Idempotency-Key": "k"})
        assert (changed.status, changed.body["name"]) == (200, name)


# What a POST does beside the store, or what changes nothing, is answered again but not tied to its answer.
UNTIED = {
    "/v1/messages/preview",
    "/v1/sessions",  # whoever signs in has no key yet
    "/v1/segments/parse",
    "/v1/segments/count",
    "/v1/segments/preview",
    "/v1/coupons/check",
    "/v1/customers/{id}/reveal",  # each look is counted, whatever came of the answer
    "/v1/customers/{id}/erase",  # and so is each challenge that was wrong
}
RULE = {"name": "birthdays", "when": "birthday", "text": "Happy birthday, {name:friend}"}
TERMS = {"kind": "amount", "value": {"amount_minor": 2000, "currency": "CNY"}}


async def test_every_post_keeps_its_answer_in_the_transaction_of_its_effect(
    desk: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a kill between the two would let a repeat do it twice."""
    # Told by whether an answer is a change of its own.
    campaign = await desk.draft()
    await desk.upload(campaign, b"to,name\n+8613900000011,Ada\n")
    customer = (await desk.call("POST", "/v1/customers", {"number": NUMBER})).headers["Location"]
    message = (await desk.call("POST", "/v1/messages", TEXT)).headers["Location"]
    consent = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card 7"}
    card = (await desk.call("POST", "/v1/members", {"customer_id": customer.rpartition("/")[2]})).headers["Location"]
    clerk = (await desk.call("POST", "/v1/staff", {"number": "+8613900000012", "name": "Chen"})).headers["Location"]
    other = (await desk.call("POST", "/v1/customers", {"number": "+8613900000013"})).body["id"]
    hook = (await desk.call("POST", "/v1/webhooks", {"url": "https://example.com/", "events": ["x.y"]})).headers[
        "Location"
    ]
    rule = (await desk.call("POST", "/v1/greetings", {**RULE, "name": "first"})).headers["Location"]
    double = (await desk.call("POST", "/v1/customers", {"number": "+8613900000016"})).body["id"]
    plan = await desk.draft(objective="news")
    await desk.upload(plan, b"to\n+8613900000015\n")
    start_at = datetime.fromtimestamp(desk.engine.now_ms() / 1000 + 3600, UTC).isoformat()
    write, changes = desk.engine.store.write, list[Any]()

    async def overheard(change: Any, *args: Any) -> Any:
        changes.append(change)
        return await write(change, *args)

    monkeypatch.setattr(desk.engine.store, "write", overheard)
    calls: dict[str, Any] = {
        **CALLS,
        "/v1/customers": {"number": "+8613912345679"},
        f"{customer}/consents": consent,
        f"{message}/cancel": None,
        **{f"/v1/campaigns/{campaign}/{step}": None for step in ("launch", "pause", "resume", "cancel")},
        f"/v1/campaigns/{plan}/schedule": {"start_at": start_at},
        f"/v1/campaigns/{plan}/unschedule": None,
        "/v1/tags": {"name": "vip"},
        "/v1/regions": {"name": "Jiangsu", "code": "JS"},
        "/v1/organisations": {"name": "Lotus Hotel"},
        "/v1/fields": {"key": "room", "kind": "text"},
        "/v1/segments": {"name": "Guests", "definition": "tag:vip"},
        f"{customer}/merge": {"other_id": double},
        f"{customer}/events": {"kind": "visit", "at": "2026-09-01T10:00:00Z"},
        "/v1/members": {"customer_id": other},
        f"{card}/points": {"kind": "earn", "delta": 500, "ref": "O1"},
        f"{card}/till-code": None,
        "/v1/rewards": {"code": "C20", "name": {"en": "20 off"}, "cost": 200, "coupon": TERMS},
        f"{card}/redeem": {"reward": "C20"},
        "/v1/coupons": {"terms": TERMS},
        "/v1/staff": {"number": "+8613900000014", "name": "Sun"},
        f"{clerk}/pin": {"pin": "482193"},
        f"{clerk}/password": {"password": "a password of the tests"},
        f"{clerk}/deactivate": {},
        "/v1/roles": {"name": "night", "rights": ["customers:read"]},
        "/v1/teams": {"name": "front"},
        "/v1/imports": {"name": "Fair"},
        "/v1/import-presets": {"name": "till", "mapping": {"Phone": "number"}},
        "/v1/wordings": {"name": "offers", "text": {"en": "Reply Y to get our offers."}},
        "/v1/topics": {"word": "NEWS"},
        f"{customer}/subscriptions": {"topic": "NEWS"},
        "/v1/greetings": RULE,
        f"{rule}/activate": None,
        f"{rule}/pause": None,
        "/v1/webhooks": {"url": "https://example.org/", "events": ["message.*"]},
        f"{hook}/rotate": None,
        f"{hook}/test": None,
        f"{hook}/dead/replay": None,
    }
    for path, body in calls.items():
        answer = await keyed(desk, path, body, key=path)
        with desk.engine.store.read() as txn:
            kept = REPLAYS.count(txn)
        assert answer.status < 300, (path, answer)
        assert kept == list(calls).index(path) + 1
    assert replays.keep not in changes
    tried = {re.sub(r"[a-z]{3}_\w{13}", "{id}", path) for path in calls}
    # Approving needs a person, resolving a message that is unknown: they have tests of their own.
    others = {"/v1/campaigns/{id}/approve", "/v1/messages/{id}/resolve", "/v1/campaigns/{id}/recipients"}
    others |= {"/v1/campaigns/{id}/audience"}  # an upload: nobody becomes a recipient twice
    others |= {"/v1/webhooks/{id}/dead/{event}/replay"}  # of a letter that is dead after two days
    others |= {"/v1/suppressions"}  # a stream
    others |= {f"/v1/imports/{{id}}/{word}" for word in ("check", "run", "undo")}  # of a file that is there
    # Of these the second waits for the first, or for what somebody wrote.
    others |= {"/v1/suppressions/removals", "/v1/suppressions/removals/{id}/confirm", "/v1/wordings/{id}/versions"}
    others |= {f"/v1/customers/{{id}}/marketing/{word}" for word in ("resume", "withdraw")}
    # These take a code that another answer has.
    others |= {"/v1/members/by-code", "/v1/coupons/redeem", "/v1/coupons/{id}/void"}
    posts = {route.path for route in ROUTES if route.method == "POST"}
    assert posts - tried - others == UNTIED


# -- killed


class Served:
    """A server of its own process, on a data directory that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = (sys.executable, "-m", "server", "serve", "--data", str(self.folder / "data"), "--port", "0")
        self._process = await asyncio.create_subprocess_exec(
            *command, "--modem", str(self.folder / "no-port"),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}
            | {"CARILLON_TOKEN": TOKEN},
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while not self.url:
                line = (await self._process.stdout.readline()).decode()
                assert line, "the server ended"
                found = re.search(r"http://\S+", line)
                self.url = found[0].rstrip("/") if found else ""

    async def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        self.url = ""


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    server = Served(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


async def post(
    session: aiohttp.ClientSession, url: str, path: str, body: Any, key: str
) -> tuple[int, Any, bool] | None:
    """(status, body, whether it is a replay); None where the connection broke."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key}
    try:
        async with session.post(url + path, data=json.dumps(body).encode(), headers=headers) as response:
            return response.status, await response.json(content_type=None), REPLAYED in response.headers
    except (aiohttp.ClientError, OSError):
        return None


ROUNDS = 40 if os.environ.get("CARILLON_LONG") else 3
KEYS = 12


async def test_a_server_killed_in_a_burst_does_each_call_once(tmp_path: Path) -> None:
    chance = random.Random(7)
    told: dict[str, set[str]] = {}
    killed_between = Counter[str]()
    async with served(tmp_path) as server:
        for number in range(ROUNDS):
            calls: dict[str, tuple[str, Any]] = {}
            for place in range(KEYS):
                key = f"round-{number}-{place}"
                calls[key] = (
                    ("/v1/messages", {**TEXT, "client_ref": key})
                    if place % 2
                    else ("/v1/customers", {"number": f"+8613{number:04}{place:05}", "name": key})
                )
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                asked = [
                    asyncio.ensure_future(post(session, server.url, *calls[key], key))
                    for _ in range(50 // KEYS + 1)
                    for key in calls
                ]
                await asyncio.sleep(chance.uniform(0.0, 0.06))
                await server.kill()
                answers = await asyncio.gather(*asked)
            killed_between["broken"] += answers.count(None)
            for place, answer in enumerate(answers):
                _note(told, list(calls)[place % KEYS], answer)
            killed_between["answered"] += len(answers) - answers.count(None)
            await server.start()
            async with aiohttp.ClientSession() as session:
                for key, (path, body) in calls.items():
                    for _ in range(2):
                        answer = await post(session, server.url, path, body, key)
                        assert answer is not None
                        assert answer[0] in (201, 202), answer
                        _note(told, key, answer)
                    assert answer is not None
                    assert answer[2]
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            made: Counter[str] = Counter()
            for path, field in (("/v1/messages", "client_ref"), ("/v1/customers", "name")):
                async with session.get(f"{server.url}{path}?limit=1000") as response:
                    made.update(item[field] for item in (await response.json())["items"])
    assert made == dict.fromkeys(told, 1)
    assert len(told) == ROUNDS * KEYS
    assert {key: len(bodies) for key, bodies in told.items()} == dict.fromkeys(told, 1)
    assert killed_between["broken"], "it was never killed in time"


def _note(told: dict[str, set[str]], key: str, answer: tuple[int, Any, bool] | None) -> None:
    if answer is not None and answer[0] in (201, 202):
        told.setdefault(key, set()).add(json.dumps(answer[1], sort_keys=True))
    elif answer is not None:
        assert answer[0] == 409
        assert answer[1]["type"].endswith("idempotency_in_work")
