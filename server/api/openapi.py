"""The OpenAPI 3.1 document, made from the routes and their types."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from engine.access import replays, rights
from server import problems, repeats, wire
from server.calling import NUMBERS
from server.middleware import COOKIE, FORM_HEADER
from server.noting import WHOLE
from server.route import ID_PATTERN, Route

DOCUMENT: Final = web.AppKey("openapi", dict)

# What a noun's ids begin with.
PREFIXES: Final = {
    "messages": "msg",
    "campaigns": "cmp",
    "customers": "cus",
    "uploads": "upl",
    "routes": "rte",
    "events": "evt",
    "organisations": "org",
    "segments": "seg",
    "members": "mem",
    "rewards": "rwd",
    "coupons": "cpn",
    "staff": "stf",
    "roles": "rol",
    "teams": "tea",
    "webhooks": "whk",
    "greetings": "grt",
    "erasures": "era",
    "wordings": "wrd",
    "imports": "imp",
    "suppressions": "rmv",
    "topics": "top",
}
# Parameters that mean the same wherever they stand.
_QUERY: Final[dict[str, dict[str, Any]]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": wire.LIMIT_MOST, "default": wire.LIMIT_USUAL},
    "direction": {"type": "string", "enum": ["in", "out"], "default": "out"},
}
_TEXT: Final = {"type": "string", "minLength": 1}
_COUNT: Final = {"type": "integer", "minimum": 0}

# Headers of answers.
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Location": {"description": "where what was made stands", "schema": {"type": "string", "pattern": "^/v1/"}},
    "ETag": {"description": "its version, for If-Match", "schema": {"type": "string", "pattern": '^"[0-9]+"$'}},
    "RateLimit-Limit": {"description": "calls that may come at once, for a token with a rate", "schema": _COUNT},
    "RateLimit-Remaining": {"description": "how many of them are left", "schema": _COUNT},
    "RateLimit-Reset": {"description": "seconds until all of them are", "schema": _COUNT},
    "Retry-After": {"description": "seconds until the call may come again", "schema": _COUNT},
    repeats.REPLAYED: {
        "description": "the call was done before: this is the answer it had then",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {"description": "the scheme", "schema": {"type": "string"}},
}
_RATE: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

_KEY: Final = {
    "name": replays.FIELD,
    "in": "header",
    "required": False,
    "description": "the caller's word for this call: within 24 hours a repeat is answered and not done again",
    "schema": {"type": "string", "pattern": f"^[!-~]{{1,{replays.KEY_LONGEST}}}$"},
}
_KEY_OF_JSON: Final = {**_KEY, "description": f"{_KEY['description']}; of JSON alone: a list as the body takes none"}
_NUMBERS: Final = {
    "name": NUMBERS,
    "in": "query",
    "required": False,
    "description": f"{WHOLE}: telephone numbers in full, for who has the right `{rights.NUMBERS}`; that is noted",
    "schema": {"type": "string", "enum": [WHOLE]},
}
_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the version that was read, as its ETag; 412 where it is another by now",
    "schema": {"type": "string", "pattern": '^(\\*|[0-9]{1,18}|"[0-9]{1,18}")$'},
}

_WORDS: Final = {
    400: "the body or a header cannot be read",
    401: "no token or session that is known",
    403: "the caller has not the right",
    404: "there is no such thing",
    409: "not in a state that allows it; or the first call under this Idempotency-Key is still at work",
    412: "it has changed since it was read",
    413: "too large",
    415: "a media type that is not taken",
    422: "a field, parameter or header is wrong",
    429: "the token has called too often, or sent too much today",
    503: "not ready",
    504: "not done in time",
    507: "the disk is full",
}

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
        operation = _operation(route, by_kind)
        if not route.is_public and _has_numbers(operation["responses"][str(route.status)], components):
            operation["parameters"].append(_NUMBERS)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Carillon", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "a token of `carillon token NAME` or POST /v1/tokens; its scopes are rights",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": f"of the console; what changes anything carries its form token as {FORM_HEADER}",
                },
            },
        },
    }


def showing(published: dict[str, Any]) -> frozenset[tuple[str, str]]:
    """The method and path of each operation of a document whose answer has telephone numbers."""
    return frozenset(
        (method.upper(), path)
        for path, operations in published["paths"].items()
        for method, operation in operations.items()
        if _NUMBERS in operation["parameters"]
    )


def _has_numbers(schema: Any, components: dict[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a part of the document may be a telephone number."""
    if isinstance(schema, list):
        return any(_has_numbers(one, components, seen) for one in schema)
    if not isinstance(schema, dict):
        return False
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name in components and name not in seen:
        return _has_numbers(components[name], components, seen | {name})
    return bool(schema.get("x-phone")) or any(_has_numbers(one, components, seen) for one in schema.values())


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
    said = words[1:]
    if route.right:
        said.append(f"Needs the right `{route.right}`.")
        operation["x-right"] = route.right
    if said:
        operation["description"] = re.sub(r"\s+", " ", " ".join(said))
    if route.takes is not None:
        schema = _schema(route.takes, by_kind)
        media = route.media or ("application/json",)
        # A table, and a file beside JSON or alone, has no shape that JSON Schema could tell.
        is_file = route.takes is str or "application/json" in media
        untold = {kind for kind in media if kind == "text/csv" or (is_file and kind != "application/json")}
        content = {kind: {} if kind in untold else {"schema": schema} for kind in media}
        operation["requestBody"] = {"required": True, "content": content}
    if not route.is_public:
        operation["security"] = _CALLERS
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _id_schema(route, name)}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    for name, words in route.query.items():
        found.append(
            {"name": name, "in": "query", "required": False, "description": words, "schema": _query_schema(route, name)}
        )
    for name, words in route.header.items():
        schema = route.schemas.get(name, {"type": "string"})
        found.append({"name": name, "in": "header", "required": False, "description": words, "schema": schema})
    if route.takes_key:
        found.append(_KEY_OF_JSON if route.takes_stream else _KEY)
    if route.takes_match:
        found.append(_MATCH)
    return found


def _id_schema(route: Route, name: str) -> dict[str, Any]:
    prefix = PREFIXES.get(route.path.split("/")[2], "[a-z]+")
    return route.schemas.get(name) or {"type": "string", "pattern": f"^{prefix}_{ID_PATTERN}$"}


def _query_schema(route: Route, name: str) -> dict[str, Any]:
    if name == "cursor":
        return _id_schema(route, name)
    return route.schemas.get(name) or _QUERY.get(name, _TEXT)


def _schema(kind: Any, by_kind: dict[int, Any]) -> Any:
    return {"oneOf": [by_kind[id(one)] for one in kind]} if isinstance(kind, tuple) else by_kind[id(kind)]


def _headers(*names: str) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in names}


def _response(route: Route, by_kind: dict[int, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "done"}
    if route.gives is not None:
        answer["content"] = {route.gives_media: {"schema": _schema(route.gives, by_kind)}}
        for media in route.also_gives:
            answer["content"][media] = {"schema": {"type": "string"}}
    if not route.is_public:
        replayed = (repeats.REPLAYED,) if route.takes_key else ()
        answer["headers"] = _headers(*route.tells, *replayed, *_RATE)
    return answer


def _refusals(route: Route, by_kind: dict[int, Any]) -> dict[str, Any]:
    statuses = set(route.problems)
    if not route.is_public:
        statuses |= {401, 403, 422, 429}
        if route.takes is not None or route.method != "GET":
            statuses.add(507)
    statuses |= {400, 413} if route.takes is not None else set()
    statuses |= {409, 413} if route.takes_key else set()
    statuses |= {400} if route.takes_stream else set()
    content = {problems.MEDIA_TYPE: {"schema": by_kind[id(problems.Problem)]}}
    return {str(status): _refusal(route, status, content) for status in sorted(statuses)}


def _refusal(route: Route, status: int, content: dict[str, Any]) -> dict[str, Any]:
    names: tuple[str, ...] = () if route.is_public or status == 401 else _RATE
    if status == 429 or (status == 409 and route.takes_key):
        names = (*names, "Retry-After")
    if status == 401:
        names = ("WWW-Authenticate",)
    answer = {"description": _WORDS.get(status, "refused"), "content": content}
    return {**answer, "headers": _headers(*names)} if names else answer


async def get(request: web.Request) -> web.Response:
    """This document."""
    return wire.reply(request.app[DOCUMENT])


ROUTES: Final = (Route("GET", "/openapi.json", get, gives=dict, is_public=True),)
