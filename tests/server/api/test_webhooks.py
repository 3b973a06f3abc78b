"""Webhooks over HTTP: made, shown, changed, and what was given up."""

from random import Random
from typing import Any

import pytest

from engine.access import deliveries
from engine.access.deliveries import Delivery, Outcome
from engine.store import ids
from engine.store.table import Txn
from engine.traffic import events
from tests.server.conftest import Place

URL = "https://hooks.example.com/carillon"


async def made(place: Place, **fields: Any) -> dict[str, Any]:
    answer = await place.call("POST", "/v1/webhooks", {"url": URL, "events": ["message.*"], **fields})
    assert answer.status == 201, answer
    return dict(answer.body)


async def test_a_webhook_is_made_read_changed_and_removed(desk: Place) -> None:
    answer = await desk.call("POST", "/v1/webhooks", {"url": URL, "name": "orders"})
    path = answer.headers["Location"]
    assert (answer.status, path, answer.headers["ETag"]) == (201, f"/v1/webhooks/{answer.body['id']}", '"1"')
    assert answer.body["secret"].startswith("whsec_")
    shown = {name: value for name, value in answer.body.items() if name != "secret"}
    assert (shown["events"], shown["state"], shown["name"], shown["reason"]) == (["*"], "active", "orders", None)
    read = await desk.call("GET", path)
    assert (read.body, read.headers["ETag"]) == (shown, '"1"')
    changed = await desk.call("PATCH", path, {"events": ["modem.*"], "state": "paused"}, headers={"If-Match": '"1"'})
    assert (changed.body["events"], changed.body["state"], changed.body["version"]) == (["modem.*"], "paused", 2)
    assert (await desk.call("PATCH", path, {"name": "x"}, headers={"If-Match": '"1"'})).status == 412
    assert (await desk.call("GET", "/v1/webhooks")).body == {"items": [changed.body], "next": None}
    assert (await desk.call("DELETE", path)).status == 204
    assert (await desk.call("GET", path)).status == 404
    assert (await desk.call("DELETE", path)).status == 404


async def test_a_secret_is_shown_once(desk: Place) -> None:
    first = await made(desk)
    path = f"/v1/webhooks/{first['id']}"
    rotated = await desk.call("POST", f"{path}/rotate")
    assert rotated.status == 200
    assert rotated.body["secret"] != first["secret"]
    for answer in (
        await desk.call("GET", path),
        await desk.call("GET", "/v1/webhooks"),
        await desk.call("PATCH", path, {}),
    ):
        assert "whsec_" not in str(answer.body)
    assert "whsec_" not in str((await desk.call("GET", "/v1/events")).body)


@pytest.mark.parametrize(
    ("body", "slug", "named"),
    [
        ({"url": "http://127.0.0.1/"}, "private_address", "url"),
        ({"url": "http://[::ffff:127.0.0.1]:80/x"}, "private_address", "url"),
        ({"url": "http://169.254.169.254/latest"}, "private_address", "url"),
        ({"url": "http://user:word@example.com/"}, "invalid", "url"),
        ({"url": "ftp://example.com/"}, "invalid", "url"),
        ({"url": "http://2130706433/"}, "invalid", "url"),
        ({"url": URL, "events": []}, "invalid", "events"),
        ({"url": URL, "events": ["Sent"]}, "invalid", "events"),
        ({"url": URL, "secret": "whsec_mine"}, "invalid", "secret"),
        ({}, "invalid", "url"),
    ],
)
async def test_what_is_wrong_is_named(desk: Place, body: dict[str, Any], slug: str, named: str) -> None:
    answer = await desk.call("POST", "/v1/webhooks", body)
    assert (answer.status, answer.slug, list(answer.params)) == (422, slug, [named])


async def test_a_change_to_a_private_address_is_refused(desk: Place) -> None:
    path = f"/v1/webhooks/{(await made(desk))['id']}"
    assert (await desk.call("PATCH", path, {"url": "http://10.0.0.1/"})).slug == "private_address"


async def test_only_people_disable_by_pausing(desk: Place) -> None:
    path = f"/v1/webhooks/{(await made(desk))['id']}"
    assert (await desk.call("PATCH", path, {"state": "disabled"})).status == 422


async def test_what_is_paused_cannot_be_tested(desk: Place) -> None:
    path = f"/v1/webhooks/{(await made(desk))['id']}"
    await desk.call("PATCH", path, {"state": "paused"})
    assert (await desk.call("POST", f"{path}/test")).status == 409


def _kill(txn: Txn, identifier: int, now_ms: int, count: int) -> list[int]:
    """Events that were given up."""
    made = [events.append(txn, "message.failed", now_ms, f"msg_{n}") for n in range(count)]
    found = [Delivery(*one) for one in events.after(txn, made[0] - 1, count)]
    for at_ms in (now_ms, now_ms + deliveries.GIVE_UP_MS):
        outcomes = [Outcome(one, at_ms, 5, 500, "status") for one in found]
        deliveries.settle(txn, identifier, made[-1], outcomes, (), at_ms, Random(1))
    return made


async def test_dead_letters_are_listed_in_pages_and_replayed(desk: Place) -> None:
    hook = await made(desk)
    path = f"/v1/webhooks/{hook['id']}"
    await desk.call("PATCH", path, {"state": "paused"})
    identifier = ids.parse("whk", hook["id"])
    killed = await desk.engine.store.write(_kill, identifier, desk.engine.now_ms(), 5)
    names = [ids.render("evt", sequence) for sequence in reversed(killed)]
    page = (await desk.call("GET", f"{path}/dead?limit=2")).body
    rest = (await desk.call("GET", f"{path}/dead?limit=3&cursor={page['next']}")).body
    assert [letter["id"] for letter in page["items"] + rest["items"]] == names
    assert (page["items"][0]["attempts"], page["items"][0]["status"], page["items"][0]["error"]) == (2, 500, "status")
    one = await desk.call("POST", f"{path}/dead/{names[0]}/replay")
    assert (one.status, one.body) == (202, {"replayed": 1, "left": 4})
    assert (await desk.call("POST", f"{path}/dead/{names[0]}/replay")).status == 404
    assert (await desk.call("POST", f"{path}/dead/replay")).body == {"replayed": 4, "left": 0}
    shown = (await desk.call("GET", path)).body
    assert (shown["parked"], shown["dead"]) == (5, 0)
    posts = (await desk.call("GET", f"{path}/deliveries?event={names[0]}")).body["items"]
    assert [(post["event_id"], post["status"], post["error"], post["took_ms"]) for post in posts] == [
        (names[0], 500, "status", 5)
    ] * 2


@pytest.mark.parametrize("path", ["", "/dead", "/deliveries"])
async def test_what_is_not_there_is_not_found(desk: Place, path: str) -> None:
    assert (await desk.call("GET", f"/v1/webhooks/whk_0000000000001{path}")).status == 404


@pytest.mark.parametrize("path", ["dead?cursor=x", "dead?limit=0", "deliveries?event=x", "deliveries?colour=red"])
async def test_a_wrong_query_is_refused(desk: Place, path: str) -> None:
    hook = await made(desk)
    assert (await desk.call("GET", f"/v1/webhooks/{hook['id']}/{path}")).status == 422
