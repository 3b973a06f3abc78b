"""The OpenAPI 3.1 document, made from the routes and their types."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from server import problems, wire
from server.middleware import COOKIE, FORM_HEADER
from server.route import Route

DOCUMENT: Final = web.AppKey("openapi", dict)

_CALLERS: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"session": []}]


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The whole document."""
    routes = list(routes)
    kinds: list[Any] = [problems.Problem]
    for route in routes:
        kinds += [*route.takes] if isinstance(route.takes, tuple) else [route.takes]
        kinds += [*route.gives] if isinstance(route.gives, tuple) else [route.gives]
    kinds = [kind for kind in kinds if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Carillon", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": f"of the console; what changes anything carries its form token as {FORM_HEADER}",
                },
            },
        },
    }


def _operation(route: Route, by_kind: dict[int, Any]) -> dict[str, Any]:
    words = (route.handler.__doc__ or "").strip().split("\n\n")
    noun = getattr(route.handler, "__module__", "").rpartition(".")[2]
    operation: dict[str, Any] = {
        "operationId": f"{noun}_{getattr(route.handler, '__name__', '')}",
        "tags": [noun],
        "summary": re.sub(r"\s+", " ", words[0]),
        "parameters": _parameters(route),
        "responses": {str(route.status): _response(route, by_kind), **_refusals(route, by_kind)},
    }
    if len(words) > 1:
        operation["description"] = re.sub(r"\s+", " ", " ".join(words[1:]))
    if route.takes is not None:
        schema = _schema(route.takes, by_kind)
        media = route.media or ("application/json",)
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema} for kind in media}}
    if not route.is_public:
        operation["security"] = _CALLERS
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    query = [
        {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}}
        for name, words in route.query.items()
    ]
    header = [
        {"name": name, "in": "header", "required": False, "description": words, "schema": {"type": "string"}}
        for name, words in route.header.items()
    ]
    return path + query + header


def _schema(kind: Any, by_kind: dict[int, Any]) -> Any:
    return {"oneOf": [by_kind[id(one)] for one in kind]} if isinstance(kind, tuple) else by_kind[id(kind)]


def _response(route: Route, by_kind: dict[int, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "done"}
    if route.gives is not None:
        answer["content"] = {route.gives_media: {"schema": _schema(route.gives, by_kind)}}
        for media in route.also_gives:
            answer["content"][media] = {"schema": {"type": "string"}}
    return answer


def _refusals(route: Route, by_kind: dict[int, Any]) -> dict[str, Any]:
    statuses = set(route.problems) | (set() if route.is_public else {401})
    statuses |= {422} if "{" in route.path else set()
    statuses |= {400, 413, 422} if route.takes is not None else set()
    content = {problems.MEDIA_TYPE: {"schema": by_kind[id(problems.Problem)]}}
    return {str(status): {"description": "refused", "content": content} for status in sorted(statuses)}


async def get(request: web.Request) -> web.Response:
    """This document."""
    return wire.reply(request.app[DOCUMENT])


ROUTES: Final = (Route("GET", "/openapi.json", get, gives=dict, is_public=True),)
