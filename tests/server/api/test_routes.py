"""Routes over HTTP."""

import asyncio
from typing import Any

import pytest

from tests.server.conftest import Place

NEW: dict[str, Any] = {
    "name": "to China",
    "prefixes": ["+8613"],
    "countries": ["CN"],
    "purposes": ["service"],
    "senders": [{"sim": "460000000000001", "cost_minor": 3}, {"port": "/dev/ttyUSB7"}],
    "cost_minor": 7,
}


async def test_a_route_is_made_read_changed_and_removed(desk: Place) -> None:
    made = await desk.call("POST", "/v1/routes", NEW)
    assert made.status == 201
    assert made.headers["Location"] == f"/v1/routes/{made.body['id']}"
    assert (made.body["version"], made.body["kind"], made.body["tariff"]) == (1, "modem", "normal")
    assert made.body["senders"] == [
        {"sim": "460000000000001", "port": None, "cost_minor": 3},
        {"sim": None, "port": "/dev/ttyUSB7", "cost_minor": None},
    ]
    path = made.headers["Location"]
    read = await desk.call("GET", path)
    assert (read.body, read.headers["ETag"]) == (made.body, '"1"')
    changed = await desk.call("PATCH", path, {"cost_minor": 9, "senders": []}, headers={"If-Match": '"1"'})
    assert (changed.body["cost_minor"], changed.body["senders"], changed.body["version"]) == (9, [], 2)
    assert (changed.body["prefixes"], changed.body["name"]) == (["+8613"], "to China")
    assert (await desk.call("PATCH", path, {"order": 1}, headers={"If-Match": '"1"'})).status == 412
    assert (await desk.call("GET", "/v1/routes")).body == {"items": [changed.body], "next": None}
    assert (await desk.call("DELETE", path)).status == 204
    assert (await desk.call("GET", path)).status == 404
    assert (await desk.call("DELETE", path)).status == 404


async def test_a_name_is_given_once(desk: Place) -> None:
    await desk.call("POST", "/v1/routes", NEW)
    assert (await desk.call("POST", "/v1/routes", NEW)).slug == "conflict"


@pytest.mark.parametrize(
    ("field", "value", "slug", "named"),
    [
        ("tariff", "premium", "tariff_not_supported", "tariff"),
        ("kind", "http", "kind_not_supported", "kind"),
        ("kind", "pigeon", "invalid", "kind"),
        ("prefixes", ["12a"], "invalid", "prefixes[0]"),
        ("countries", ["Germany"], "invalid", "countries[0]"),
        ("operators", ["nobody"], "invalid", "operators[0]"),
        ("senders", [{"sim": "abc"}], "invalid", "senders[0].sim"),
        ("senders", [{}], "invalid", "senders[0]"),
        ("colour", "red", "invalid", "colour"),
    ],
)
async def test_what_is_wrong_is_named(desk: Place, field: str, value: object, slug: str, named: str) -> None:
    answer = await desk.call("POST", "/v1/routes", {**NEW, field: value})
    assert (answer.status, answer.slug, list(answer.params)) == (422, slug, [named])


async def test_a_message_at_a_tariff_that_no_sim_knows_is_refused(desk: Place) -> None:
    body = {"to": "+8613800138000", "text": "x"}
    answer = await desk.call("POST", "/v1/messages", {**body, "tariff": "premium"})
    assert (answer.status, answer.slug, list(answer.params)) == (422, "tariff_not_supported", ["tariff"])
    answer = await desk.call("POST", "/v1/messages", {"messages": [body, {**body, "tariff": "free"}]})
    assert (answer.slug, list(answer.params)) == ("tariff_not_supported", ["messages[1].tariff"])


async def test_a_text_that_no_route_takes_is_held_and_explained(house: Place) -> None:
    await house.call("POST", "/v1/routes", {"name": "home", "countries": ["CN"]})
    sent = await house.call("POST", "/v1/messages", {"to": "+4917012345678", "text": "x"})
    path = f"/v1/messages/{sent.body['id']}"

    async with asyncio.timeout(5):
        while (body := (await house.call("GET", path)).body)["state"] != "held":  # noqa: ASYNC110 - HTTP has no event for it
            await asyncio.sleep(0.005)
    assert body["reason"] == "no_route"
    said = (await house.call("GET", f"{path}/explain")).body["explanation"]
    assert said.startswith("No route takes it: it goes when somebody adds one that does")
    await house.sent(to="+8613800138000")
