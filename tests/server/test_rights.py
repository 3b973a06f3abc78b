"""Rights: every route asks for one, and lets nobody in without it."""

import re
from typing import Any

import pytest

from engine.access import tokens
from engine.access.rights import EVERY, RIGHTS
from server.api import sim
from server.api.openapi import PREFIXES
from server.app import ROUTES
from server.route import Route
from tests.server.conftest import Place

# Routes that any caller may use: they show nothing of anybody, or ask themselves whose secret it is.
OPEN = {
    ("DELETE", "/v1/sessions"),
    ("POST", "/v1/messages/preview"),
    ("POST", "/v1/staff/{id}/pin"),
    ("POST", "/v1/staff/{id}/password"),
}

OURS = [route for route in (*ROUTES, *sim.ROUTES) if not route.is_public]


def address(route: Route) -> str:
    noun = route.path.split("/")[2]
    name = "999999999" if noun in ("tags", "tokens") else f"{PREFIXES.get(noun, 'x')}_0000000000001"
    return re.sub("{[a-z]+}", name, route.path)


async def token(place: Place, *scopes: str, **limits: int) -> str:
    made = tokens.fresh()
    per_minute, burst, parts = (limits.get(name, 0) for name in ("per_minute", "burst", "parts_a_day"))
    await place.engine.store.write(tokens.add, made, "till", place.engine.now_ms(), scopes, per_minute, burst, parts)
    return made


def test_every_route_names_a_right_that_is_one() -> None:
    assert {(route.method, route.path) for route in OURS if not route.right} == OPEN
    assert {route.right for route in OURS} - {""} <= EVERY


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", [pytest.param(one, id=f"{one.method} {one.path}") for one in OURS])
async def test_a_token_without_the_right_is_refused_and_one_with_it_is_not(shared: Place, route: Route) -> None:
    if not route.right:
        with_none = await token(shared, "audit:read")
        assert (await shared.call(route.method, address(route), {}, token=with_none)).status in (204, 422)
        return
    without = await token(shared, *(right for right in RIGHTS if right != route.right))
    answer = await shared.call(route.method, address(route), token=without)
    assert (answer.status, answer.slug) == (403, "no_right")
    assert route.right in answer.body["detail"]
    alone = await token(shared, route.right)
    answer = await shared.call(route.method, address(route), token=alone)
    if route.path.endswith("/approve"):
        assert (answer.status, answer.slug) == (403, "not_a_person")
    else:
        assert answer.status != 403
        assert answer.status < 500


async def test_who_lacks_the_right_is_not_told_whether_the_thing_exists(desk: Place) -> None:
    till = await token(desk, "messages:send")
    made = await desk.call("POST", "/v1/customers", {"number": "+8613912345678"})
    for path in (made.headers["Location"], "/v1/customers/cus_0000000000001", "/v1/customers/x"):
        assert (await desk.call("GET", path, token=till)).status == 403


async def test_a_path_that_is_none_needs_no_right(desk: Place) -> None:
    till = await token(desk, "messages:send")
    assert (await desk.call("GET", "/v1/nothing", token=till)).status == 404
    assert (await desk.call("DELETE", "/v1/messages", token=till)).status == 405


async def test_a_session_does_not_come_from_a_token_that_may_not_do_everything(desk: Place) -> None:
    for scopes, status in (((), 303), (tuple(RIGHTS), 303), (RIGHTS[:-1], 401), (("tokens:write",), 401)):
        form = {"token": await token(desk, *scopes)}
        answer = await desk.client.post("/signin", data=form, allow_redirects=False)
        assert answer.status == status


# -- rates and budgets


async def test_a_token_is_told_how_much_of_its_rate_is_left_and_waits_where_it_is_used_up(desk: Place) -> None:
    till = await token(desk, per_minute=60, burst=3)
    left: list[Any] = []
    for path, status in (("/v1/messages", 200), ("/v1/messages?x=1", 422), ("/v1/nothing", 404)):
        answer = await desk.call("GET", path, token=till)
        assert (answer.status, answer.headers["RateLimit-Limit"]) == (status, "3")
        left.append(int(answer.headers["RateLimit-Remaining"]))
        assert 1 <= int(answer.headers["RateLimit-Reset"]) <= 3
    assert left[0] == 2
    assert left == sorted(left, reverse=True)
    answers = [await desk.call("GET", "/v1/messages", token=till) for _ in range(10)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert (refused[0].slug, refused[0].headers["Retry-After"]) == ("rate_limited", "1")
    assert refused[0].headers["RateLimit-Remaining"] == "0"


async def test_a_token_without_a_rate_is_told_nothing_of_rates(desk: Place) -> None:
    answer = await desk.call("GET", "/v1/messages")
    assert not [name for name in answer.headers if name.startswith("RateLimit")]


async def test_texts_beyond_the_days_budget_are_refused_all_together(desk: Place) -> None:
    till = await token(desk, parts_a_day=3)
    one = {"to": "+8613912345678", "text": "hello"}
    assert (await desk.call("POST", "/v1/messages", one, token=till)).status == 202
    batch = {"messages": [one, one, one]}
    answer = await desk.call("POST", "/v1/messages", batch, token=till)
    assert (answer.status, answer.slug) == (429, "budget_spent")
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    assert len((await desk.call("GET", "/v1/messages")).body["items"]) == 1
    answer = await desk.call("POST", "/v1/messages", {**one, "text": "x" * 200}, token=till)
    assert answer.status == 202  # two parts
    assert (await desk.call("POST", "/v1/messages", one, token=till)).status == 429
    shown = [item for item in (await desk.call("GET", "/v1/tokens")).body["items"] if item["parts_a_day"]]
    assert [item["parts_today"] for item in shown] == [3]


async def test_a_campaign_beyond_the_days_budget_is_not_launched(desk: Place) -> None:
    till = await token(desk, parts_a_day=3)
    rows = b"to,name\n" + b"".join(b"+861390000%04d,Ada\n" % number for number in range(2))
    for status in (202, 429):
        campaign = await desk.draft()
        await desk.upload(campaign, rows)
        answer = await desk.call("POST", f"/v1/campaigns/{campaign}/launch", token=till)
        assert answer.status == status
    assert answer.slug == "budget_spent"
    assert (await desk.call("GET", f"/v1/campaigns/{campaign}")).body["state"] == "draft"
    await desk.call("PATCH", f"/v1/campaigns/{campaign}", {"parts_most": 1})
    assert (await desk.call("POST", f"/v1/campaigns/{campaign}/launch", token=till)).status == 202
