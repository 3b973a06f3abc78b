"""What every request passes: who is calling, and refusals as problems."""

import logging
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server.app import ROUTES
from server.middleware import refusals
from tests.server.conftest import TOKEN, Place

UNKNOWN = "car_" + "x" * 43


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        pytest.param(None, "send the header", id="none"),
        pytest.param("", "send the header", id="empty"),
        pytest.param("Bearer", "send the header", id="a scheme alone"),
        pytest.param("Bearer ", "send the header", id="a scheme and a blank"),
        pytest.param(f"Basic {TOKEN}", "send the header", id="another scheme"),
        pytest.param(TOKEN, "send the header", id="a token alone"),
        pytest.param(f"Bearer {UNKNOWN}", "is not known", id="an unknown token"),
        pytest.param(f"Bearer {TOKEN[:-1]}", "is not known", id="a token cut short"),
        pytest.param(f"Bearer {TOKEN}x", "is not known", id="a token and more"),
        pytest.param(f"Bearer {TOKEN} {TOKEN}", "is not known", id="two tokens"),
        pytest.param(f"Bearer {TOKEN.upper()}", "is not known", id="a token in capitals"),
        pytest.param("Bearer \u00ff\u00fe", "is not known", id="no ASCII"),
    ],
)
async def test_a_call_without_a_known_token_is_refused(desk: Place, value: str | None, detail: str) -> None:
    headers = {} if value is None else {"Authorization": value}
    answer = await desk.call("GET", "/v1/messages", token=None, headers=headers)
    assert (answer.status, answer.slug, answer.headers["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")
    assert detail in answer.body["detail"]
    assert TOKEN not in str(answer.body)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_in_any_case_as_rfc_7235_has_it(desk: Place, scheme: str) -> None:
    answer = await desk.call("GET", "/v1/messages", token=None, headers={"Authorization": f"{scheme} {TOKEN}"})
    assert answer.status == 200


@pytest.mark.parametrize(
    "path", ["/v1/messages?token=" + TOKEN, "/v1/nothing", "/v1/", "/v1//messages", "/v1%2Fmessages"]
)
async def test_nothing_below_v1_answers_a_stranger(desk: Place, path: str) -> None:
    assert (await desk.call("GET", path, token=None)).status in (401, 404)
    assert (await desk.call("GET", path.replace("?token", "?to"), token=UNKNOWN)).status in (401, 404)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/messages/", "/v1/messages/a/b/c", "/v1/Messages"])
async def test_a_path_that_is_none_is_a_problem(desk: Place, path: str) -> None:
    answer = await desk.call("GET", path)
    assert (answer.status, answer.slug, answer.body["instance"]) == (404, "not_found", path)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_method_that_is_none_is_a_problem_with_those_there_are(desk: Place, method: str) -> None:
    answer = await desk.call(method, "/v1/messages")
    assert (answer.status, answer.slug) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "POST"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_word_that_is_a_path_of_its_own_is_no_id(desk: Place, method: str) -> None:
    answer = await desk.call(method, "/v1/messages/preview")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert (await desk.call("GET", "/v1/messages/previews")).status == 422


async def test_a_body_too_large_is_a_problem(desk: Place) -> None:
    answer = await desk.call("POST", "/v1/messages", data=b" " * (8 << 20) + b"{}")
    assert (answer.status, answer.slug) == (413, "too_large")


async def test_a_body_that_is_not_packed_as_it_says_is_malformed(desk: Place) -> None:
    answer = await desk.call("POST", "/v1/messages", data=b"not gzip", headers={"Content-Encoding": "gzip"})
    assert answer.status == 400


PREFIXES = {"messages": "msg", "campaigns": "cmp", "customers": "cus", "uploads": "upl"}


@pytest.mark.parametrize(
    "path",
    [route.path for route in ROUTES if route.method == "GET" and route.path.startswith("/v1")],
)
async def test_an_unknown_parameter_is_refused_by_its_name(desk: Place, path: str) -> None:
    prefix = PREFIXES.get(path.split("/")[2], "")
    answer = await desk.call("GET", f"{path.replace('{id}', prefix + '_0000000000001')}?colour=red")
    assert (answer.status, list(answer.params)) == (422, ["colour"])


async def test_what_goes_wrong_in_us_is_told_without_details_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def stumble(_request: web.Request) -> web.Response:
        raise ValueError("of +8613912345678")

    app = web.Application(middlewares=[refusals])
    app.router.add_get("/v1/stumble", stumble)
    async with TestClient(TestServer(app)) as client, client.get("/v1/stumble") as response:
        problem = await response.text()
    assert (response.status, response.content_type) == (500, "application/problem+json")
    assert not re.search(r"8613912345678|ValueError|Traceback", problem)
    assert "GET /v1/stumble failed" in caplog.text


async def test_no_refusal_logs_a_number_or_a_text(desk: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for fields in ({"to": "+8613912345678", "text": ""}, {"to": "139-1234-5678-9999", "text": "secret"}):
        assert (await desk.call("POST", "/v1/messages", fields)).status == 422
    await desk.call("POST", "/v1/messages", {"to": "+8613912345678", "text": "secret"})
    assert "1234" not in caplog.text
    assert "secret" not in caplog.text
