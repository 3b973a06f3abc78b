"""The published document: valid by itself, and the same as what is served."""

import inspect
import re
from typing import Any

import pytest

from server.api import sim
from server.api.openapi import document
from server.app import ROUTES
from tests.server import schema
from tests.server.conftest import Place

METHODS = {"get", "post", "put", "patch", "delete"}


def operations(published: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation) for path, item in published["paths"].items() for method, operation in item.items()
    ]


async def test_it_is_served_without_a_token(desk: Place) -> None:
    answer = await desk.call("GET", "/openapi.json", token=None)
    assert (answer.status, answer.body) == (200, desk.document)


async def test_every_route_is_published_and_every_published_path_is_served(lab: Place) -> None:
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in lab.app.router.routes()
        if route.resource is not None
        and route.resource.canonical.startswith(("/v1", "/l/", "/healthz", "/readyz", "/metrics", "/openapi"))
    }
    published = {(method, path) for method, path, _ in operations(lab.document)}
    assert {route for route in served if route[0] != "head"} == published


async def test_every_reference_leads_somewhere_and_every_schema_can_be_read(lab: Place) -> None:
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found.append(value["$ref"])
                schema.resolve(lab.document, value)
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(lab.document)
    assert "#/components/schemas/NewMessage" in found
    named = {reference.rpartition("/")[2] for reference in found}
    assert named == set(lab.document["components"]["schemas"])


def test_it_has_the_shape_of_openapi_3_1() -> None:
    published = document(ROUTES, "1.0")
    assert published["openapi"].startswith("3.1.")
    assert {"title", "version"} <= published["info"].keys()
    seen = [operation["operationId"] for _, _, operation in operations(published)]
    assert len(seen) == len(set(seen))
    for method, path, operation in operations(published):
        assert method in METHODS
        assert path.startswith("/")
        assert operation["summary"]
        assert not operation["summary"].startswith(" ")
        named = {(parameter["in"], parameter["name"]) for parameter in operation["parameters"]}
        assert len(named) == len(operation["parameters"])
        assert {name for place, name in named if place == "path"} == set(re.findall(r"{(\w+)}", path))
        assert all(parameter["required"] for parameter in operation["parameters"] if parameter["in"] == "path")
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        assert all(response["description"] for response in operation["responses"].values())
        assert (method in ("post", "patch", "put")) >= ("requestBody" in operation)


def test_the_validator_of_the_openapi_project_accepts_it() -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document(ROUTES, "1.0"))


async def test_what_needs_a_token_is_marked_and_refuses_without(lab: Place) -> None:
    for method, path, operation in operations(lab.document):
        answer = await lab.call(method.upper(), path.replace("{id}", "msg_0000000000001"), token=None, held=False)
        if (method, path) == ("post", "/v1/sessions"):
            assert (answer.status, "security" in operation) == (400, False)  # it is the way in
            continue
        assert (answer.status == 401) == ("security" in operation) == path.startswith("/v1"), (method, path)


def requests() -> list[Any]:
    """Calls that every route of their kind must know how to refuse."""
    cases = []
    for route in ROUTES:
        if "{id}" in route.path:
            cases.append(
                pytest.param(
                    route.method, route.path.replace("{id}", "x"), b"{}", 422, id=f"{route.method} {route.path} no id"
                )
            )
        if route.takes is not None and not route.media:
            path = route.path.replace("{id}", "cus_0000000000001")
            cases.append(pytest.param(route.method, path, b"{", 400, id=f"{route.method} {route.path} no JSON"))
            cases.append(
                pytest.param(route.method, path, b" " * 9_000_000, 413, id=f"{route.method} {route.path} too large")
            )
    return cases


async def test_every_refusal_is_published(desk: Place) -> None:
    """Of the routes with an id, an id that is none; of those with a body, no JSON and too much of it."""
    missing = []
    for case in requests():
        method, path, octets, status = case.values
        answer = await desk.call(method, path, data=octets or None, headers={"Content-Type": "text/csv"})
        operation = desk.operation(method, path)
        assert operation is not None
        if answer.status == status and str(status) not in operation["responses"]:
            missing.append((operation["operationId"], status))
    assert missing == []


async def test_the_stream_of_events_is_published(desk: Place) -> None:
    operation = desk.document["paths"]["/v1/events"]["get"]
    assert "text/event-stream" in operation["responses"]["200"]["content"]
    assert ("header", "Last-Event-ID") in {(one["in"], one["name"]) for one in operation["parameters"]}


async def test_answers_are_published_with_their_fields(desk: Place) -> None:
    """An object of anything tells a program nothing."""
    bare = [
        operation["operationId"]
        for _, path, operation in operations(desk.document)
        if path.startswith("/v1")
        for status, answer in operation["responses"].items()
        if status < "300" and answer.get("content", {}).get("application/json", {}).get("schema") == {"type": "object"}
    ]
    assert bare == []


async def test_a_body_as_published_is_taken(desk: Place) -> None:
    """Every field that a message may have, with a value that its schema allows."""
    wanted = schema.resolve(desk.document, {"$ref": "#/components/schemas/NewMessage"})
    body = {
        "to": "+8613912345678", "text": "x", "client_ref": "r", "purpose": "service", "lane": "otp",
        "not_before": "2030-01-01T00:00:00Z", "expires_at": "2031-01-01T00:00:00Z", "delivery_report": "all",
        "on_unknown": "resend", "alphabet": "auto", "national": "all", "transliterate": True, "flash": True, "tag": "t",
        "sim": "460000000000001", "tariff": "normal", "in_reply_to": None,
    }  # fmt: skip
    assert set(wanted["properties"]) == set(body)
    assert schema.faults(desk.document, wanted, body) == []
    assert (await desk.call("POST", "/v1/messages", body)).status == 202


def test_the_reader_of_schemas_tells_what_does_not_fit() -> None:
    published = document(ROUTES, "1.0")
    problem = {"$ref": "#/components/schemas/Problem"}
    assert schema.faults(published, problem, {"type": "t", "title": "t", "status": 1}) == []
    assert schema.faults(published, problem, {"type": "t", "title": "t"}) == ["$: status is missing"]
    assert schema.faults(published, problem, {"type": "t", "title": 1, "status": True}) == [
        "$.title: int is no string",
        "$.status: bool is no integer",
    ]


ASKS = "wire.version_of("  # what a handler reads If-Match with


def test_if_match_is_published_of_the_routes_whose_handlers_ask_for_it_and_of_no_others() -> None:
    routes = [*ROUTES, *sim.ROUTES]
    asking = {(route.method, route.path) for route in routes if ASKS in inspect.getsource(route.handler)}
    modules = {inspect.getmodule(route.handler) for route in routes} - {None}
    # No handler asks by way of another function, where its own source would not tell.
    assert sum(inspect.getsource(module).count(ASKS) for module in modules if module) == len(asking)
    published = document(routes, "1.0")["paths"]
    named = {
        (method.upper(), path)
        for path, item in published.items()
        for method, operation in item.items()
        if any(parameter["name"] == "If-Match" for parameter in operation["parameters"])
    }
    refused = {
        (method.upper(), path)
        for path, item in published.items()
        for method, operation in item.items()
        if "412" in operation["responses"]
    }
    assert named == refused == asking
    assert {("DELETE", "/v1/greetings/{id}"), ("POST", "/v1/greetings/{id}/pause"), ("PUT", "/v1/tiers")} <= named


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("DELETE", "", None, id="take away"),
        pytest.param("POST", "/activate", None, id="activate"),
        pytest.param("PATCH", "", {"name": "x"}, id="change"),
    ],
)
async def test_a_version_that_is_not_the_stored_one_changes_nothing(
    desk: Place, method: str, path: str, body: dict[str, str] | None
) -> None:
    rule = {"name": "birthdays", "when": "birthday", "text": "Happy birthday, {name:friend}"}
    made = await desk.call("POST", "/v1/greetings", rule)
    where = made.headers["Location"]
    stale = await desk.call(method, where + path, body, headers={"If-Match": '"7"'})
    assert stale.status == 412
    assert (await desk.call("GET", where)).body == made.body
    done = await desk.call(method, where + path, body, headers={"If-Match": made.headers["ETag"]})
    assert done.status in (200, 204)
