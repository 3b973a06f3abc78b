"""The audit log over HTTP, and reveals."""

from typing import Any

import pytest

from engine.access.caller import SYSTEM, Caller
from engine.crm.people import audit
from engine.crm.people.audit import AUDIT, By
from engine.crm.people.roles import REVEALS_A_DAY
from engine.store import ids
from server import middleware
from tests.server.conftest import PEPPER, Answer, Place

NUMBER = "+8613912345678"
NOW_MS = 1_700_000_000_000


def clerk(**fields: Any) -> Caller:
    rights = frozenset({"customers:reveal", "customers:read", "audit:read", "events:read"})
    wanted = {"rights": rights, "sight": {"number": "masked"}, "reveals_a_day": 2, **fields}
    return Caller("staff", "Chen Jing", 7 << 22, **wanted)


async def customer(place: Place) -> str:
    return str((await place.call("POST", "/v1/customers", {"number": NUMBER, "name": "李娜"})).body["id"])


async def hired(place: Place) -> str:
    answer = await place.call("POST", "/v1/staff", {"number": NUMBER, "name": "Chen Jing"})
    return str(answer.body["id"])


async def revealed(place: Place, name: str, **fields: Any) -> Answer:
    body = {"field": "number", "reason": "calls back", **fields}
    return await place.call("POST", f"/v1/customers/{name}/reveal", body)


async def test_every_change_names_who_made_it(desk: Place) -> None:
    name = await hired(desk)
    await desk.call("PATCH", f"/v1/staff/{name}", {"name": "Chen"})
    page = await desk.call("GET", f"/v1/audit?target={name}&numbers=whole")
    changed, created = page.body["items"]
    assert (changed["action"], created["action"]) == ("staff.changed", "staff.created")
    assert changed["actor"] == {"id": "token:tests", "kind": "token", "name": "tests"}
    assert (changed["via"], changed["source"], changed["erased"]) == ("api", "127.0.0.1", False)
    assert changed["changes"] == [{"field": "name", "before": "Chen Jing", "after": "Chen"}]
    assert {"field": "number", "before": None, "after": NUMBER} in created["changes"]


async def test_the_log_shows_masks_to_whom_a_mask_is_shown(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await hired(desk)
    monkeypatch.setattr(middleware, "of_token", lambda _: clerk())
    page = await desk.call("GET", f"/v1/audit?target={name}")
    assert NUMBER not in str(page.body)
    assert {"field": "number", "before": None, "after": "+8613*****5678"} in page.body["items"][0]["changes"]


async def test_the_log_is_read_in_pages_by_actor_and_time(desk: Place) -> None:
    for place in range(3):
        by = By(SYSTEM, "system", PEPPER)
        await desk.engine.store.write(audit.append, by, "thing.done", f"thing_{place}", NOW_MS + place * 1000)
    await hired(desk)
    path = "/v1/audit?actor=system:carillon&limit=2"
    first = await desk.call("GET", path)
    second = await desk.call("GET", f"{path}&cursor={first.body['next']}")
    assert [item["target"] for page in (first, second) for item in page.body["items"]] == [
        "thing_2", "thing_1", "thing_0",
    ]  # fmt: skip
    window = "since=2023-11-14T22:13:21Z&until=2023-11-14T23:13:22%2B01:00"
    found = (await desk.call("GET", f"/v1/audit?{window}")).body["items"]
    assert [item["target"] for item in found] == ["thing_1"]


@pytest.mark.parametrize("query", ["since=yesterday", "until=2023-11-14T22:13:21", "cursor=x", "limit=0", "actr=x"])
async def test_a_wrong_question_is_refused_by_its_name(desk: Place, query: str) -> None:
    answer = await desk.call("GET", f"/v1/audit?{query}")
    assert (answer.status, list(answer.params)) == (422, [query.partition("=")[0]])


async def test_what_was_erased_is_said_to_be_and_the_log_stays_whole(desk: Place) -> None:
    name = await hired(desk)
    await desk.engine.store.write(audit.erase_values, name)
    (row,) = (await desk.call("GET", f"/v1/audit?target={name}")).body["items"]
    assert row["erased"] is True
    assert {"field": "number", "before": None, "after": None} in row["changes"]
    assert (await desk.call("GET", "/v1/audit/verify")).body["whole"] is True


async def test_a_whole_log_is_proven(desk: Place) -> None:
    await hired(desk)
    answer = await desk.call("GET", "/v1/audit/verify")
    assert (answer.status, answer.body) == (200, {"whole": True, "rows": 1, "broken": None})


async def test_a_broken_log_names_its_first_broken_row(desk: Place) -> None:
    name = await hired(desk)
    await desk.call("PATCH", f"/v1/staff/{name}", {"name": "Chen"})
    newest = (await desk.call("GET", "/v1/audit?limit=1")).body["items"][0]["id"]
    await desk.engine.store.write(damage, newest)
    answer = await desk.call("GET", "/v1/audit/verify")
    assert (answer.body["whole"], answer.body["rows"], answer.body["broken"]["id"]) == (False, 1, newest)


def damage(txn: Any, name: str) -> None:
    """Change the last octet of a row."""
    key = audit.key_of(ids.parse("aud", name))
    octets = AUDIT.find(txn, key)
    assert octets is not None
    AUDIT.put(txn, key, octets[:-1] + bytes([octets[-1] ^ 1]))


# -- reveals


async def test_a_number_is_revealed_for_a_reason(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await customer(desk)
    monkeypatch.setattr(middleware, "of_token", lambda _: clerk())
    answer = await revealed(desk, name)
    assert (answer.status, answer.body) == (200, {"field": "number", "value": NUMBER, "left_today": 1})
    row, made = (await desk.call("GET", f"/v1/audit?target={name}")).body["items"]
    assert made["action"] == "customer.created"
    assert (row["action"], row["reason"], row["via"], row["actor"]["name"]) == (
        "customer.revealed", "calls back", "web", "Chen Jing",
    )  # fmt: skip


async def test_one_reveal_too_many_is_429_and_an_alert(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await customer(desk)
    monkeypatch.setattr(middleware, "of_token", lambda _: clerk())
    answers = [await revealed(desk, name) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert (answers[2].slug, int(answers[2].headers["Retry-After"]) > 0) == ("reveal_limit", True)
    assert NUMBER not in str(answers[2].body)
    kinds = [event["type"] for event in (await desk.call("GET", "/v1/events")).body["items"]]
    assert kinds.count("reveal.limit") == 1
    newest = (await desk.call("GET", "/v1/audit?limit=1")).body["items"][0]
    assert newest["action"] == "customer.reveal_refused"


async def test_N2_the_twenty_first_reveal_of_a_day_is_429_and_an_alert(
    desk: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await customer(desk)
    monkeypatch.setattr(middleware, "of_token", lambda _: clerk(reveals_a_day=REVEALS_A_DAY))
    shown = await desk.call("GET", f"/v1/customers/{name}")
    assert (shown.status, NUMBER in str(shown.body)) == (200, False)
    statuses = [(await revealed(desk, name)).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    kinds = [event["type"] for event in (await desk.call("GET", "/v1/events")).body["items"]]
    assert kinds.count("reveal.limit") == 1
    assert (await desk.call("GET", "/v1/customers.csv")).status == 403


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"reason": "no"}, "reason", id="no reason"),
        pytest.param({"field": "name"}, "field", id="a field that nothing hides"),
        pytest.param({"why": "so"}, "why", id="an unknown field"),
    ],
)
async def test_a_wrong_reveal_is_refused_by_its_field(desk: Place, fields: dict[str, Any], field: str) -> None:
    answer = await revealed(desk, await customer(desk), **fields)
    assert (answer.status, list(answer.params)) == (422, [field])


async def test_without_the_right_nothing_is_revealed(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await customer(desk)
    monkeypatch.setattr(middleware, "of_token", lambda _: clerk(rights=frozenset({"customers:read"})))
    assert (await revealed(desk, name)).status == 403
    monkeypatch.undo()
    assert (await revealed(desk, "cus_0000000000001")).status == 404
