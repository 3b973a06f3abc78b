"""Tokens over HTTP: shown once, never more rights than who made them."""

from typing import Any

import pytest

from engine.access import tokens
from engine.access.rights import RIGHTS
from tests.server.conftest import Answer, Place

NEW: dict[str, Any] = {"name": "till", "scopes": ["messages:send", "messages:read"]}


async def made(place: Place, **fields: Any) -> Answer:
    answer = await place.call("POST", "/v1/tokens", {**NEW, **fields})
    assert answer.status == 201, answer
    return answer


async def test_a_token_is_made_shown_once_used_changed_and_revoked(desk: Place) -> None:
    answer = await made(desk, per_minute=600, burst=10, parts_a_day=5)
    token, path = answer.body["token"], answer.headers["Location"]
    assert (answer.body["scopes"], answer.body["created_by"]) == (["messages:read", "messages:send"], "tests")
    read = await desk.call("GET", path)
    assert {**read.body, "token": token} == answer.body
    assert (path, read.headers["ETag"]) == (f"/v1/tokens/{read.body['id']}", '"1"')
    assert (await desk.call("GET", "/v1/messages", token=token)).status == 200
    changed = await desk.call("PATCH", path, {"disabled": True}, headers={"If-Match": '"1"'})
    assert (changed.body["disabled"], changed.body["parts_a_day"], changed.headers["ETag"]) == (True, 5, '"2"')
    assert (await desk.call("GET", "/v1/messages", token=token)).status == 401
    late = await desk.call("PATCH", path, {"disabled": False}, headers={"If-Match": '"1"'})
    assert (late.status, late.slug) == (412, "stale")
    wrong = await desk.call("PATCH", path, {"scopes": ["everything"]}, headers={"If-Match": '"1"'})
    assert (wrong.status, list(wrong.params)) == (422, ["scopes"])
    await desk.call("PATCH", path, {"disabled": False})
    assert (await desk.call("GET", "/v1/messages", token=token)).status == 200
    assert (await desk.call("DELETE", path)).status == 204
    assert (await desk.call("GET", "/v1/messages", token=token)).status == 401
    assert [(await desk.call(method, path)).status for method in ("GET", "DELETE")] == [404, 404]


async def test_a_list_shows_no_token_and_no_hash(desk: Place) -> None:
    names = [(await made(desk, name=f"till {place}")).body for place in range(3)]
    listed = await desk.call("GET", "/v1/tokens?limit=2")
    rest = await desk.call("GET", f"/v1/tokens?limit=10&cursor={listed.body['next']}")
    found = listed.body["items"] + rest.body["items"]
    assert [item["name"] for item in found] == ["tests", "till 0", "till 1", "till 2"]
    assert rest.body["next"] is None
    for secret in names:
        assert secret["token"] not in str(found)
        assert tokens.digest(secret["token"]).hex() not in str(found)
    assert found[0]["scopes"] == sorted(RIGHTS)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"per_minute": -1}, "per_minute"),
        ({"burst": 5}, "burst"),
        ({"parts_a_day": 10**12}, "parts_a_day"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(desk: Place, fields: dict[str, Any], field: str) -> None:
    answer = await desk.call("POST", "/v1/tokens", {**NEW, **fields})
    assert (answer.status, list(answer.params)) == (422, [field])


@pytest.mark.parametrize("number", ["0", "99", "999999999"])
async def test_a_token_that_is_none_is_not_found(desk: Place, number: str) -> None:
    assert (await desk.call("GET", f"/v1/tokens/{number}")).status == 404


@pytest.mark.parametrize("number", ["x", "-1", "9999999999", "%D9%A1"])
async def test_a_number_that_is_none_is_refused(desk: Place, number: str) -> None:
    assert (await desk.call("GET", f"/v1/tokens/{number}")).status == 422


async def test_a_token_gives_no_right_that_it_has_not(desk: Place) -> None:
    clerk = (await made(desk, scopes=["tokens:write", "messages:send"])).body["token"]
    low = await desk.call("POST", "/v1/tokens", {**NEW, "scopes": ["messages:send"]}, token=clerk)
    assert (low.status, low.body["created_by"]) == (201, "till")
    high = await desk.call("POST", "/v1/tokens", NEW, token=clerk)
    assert (high.status, high.slug) == (403, "no_right")
    assert "messages:read" in high.body["detail"]
    path = low.headers["Location"]
    assert (await desk.call("PATCH", path, {"scopes": ["sim"]}, token=clerk)).status == 403
    assert (await desk.call("PATCH", path, {"name": "x"}, token=clerk)).status == 200
    assert (await desk.call("DELETE", "/v1/tokens/1", token=clerk)).status == 403
    assert (await desk.call("DELETE", path, token=clerk)).status == 204


async def test_the_last_token_that_can_make_tokens_stays(desk: Place) -> None:
    second = (await made(desk, scopes=list(RIGHTS))).body
    assert (await desk.call("DELETE", "/v1/tokens/1", token=second["token"])).status == 204
    answer = await desk.call("DELETE", f"/v1/tokens/{second['id']}", token=second["token"])
    assert (answer.status, answer.slug) == (409, "last_token")
