"""Refusals as RFC 9457 problems: the one table from our errors to HTTP statuses."""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from engine.errors import (
    CarillonError,
    CodecError,
    Conflict,
    Forbidden,
    Invalid,
    InvalidParam,
    ModemError,
    NotFound,
    Stale,
    StoreError,
    StoreFull,
    TooMany,
)

MEDIA_TYPE: Final = "application/problem+json"

# The first class that an error is an instance of decides.
STATUSES: Final[tuple[tuple[type[CarillonError], HTTPStatus], ...]] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (Stale, HTTPStatus.PRECONDITION_FAILED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (Conflict, HTTPStatus.CONFLICT),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (CodecError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (StoreFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ModemError, HTTPStatus.SERVICE_UNAVAILABLE),
    (CarillonError, HTTPStatus.CONFLICT),
)


class Param(msgspec.Struct, frozen=True, omit_defaults=True):
    """A wrong field: `row` counts from 1 where there are rows."""

    name: str
    reason: str
    row: int = 0


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """`application/problem+json`: `type` ends in a stable slug."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    invalid_params: list[Param] = []


def response(
    status: int,
    slug: str,
    detail: str,
    instance: str = "",
    params: tuple[InvalidParam, ...] = (),
    headers: dict[str, str] | None = None,
) -> web.Response:
    """A problem as a response."""
    problem = Problem(
        f"urn:carillon:problem:{slug}",
        HTTPStatus(status).phrase,
        status,
        detail,
        instance,
        [Param(param.name, param.reason, param.row) for param in params],
    )
    body = msgspec.json.encode(problem)
    return web.Response(status=status, body=body, content_type=MEDIA_TYPE, headers=headers)


def of(error: CarillonError, instance: str) -> web.Response:
    """The problem that `error` is."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    params: tuple[InvalidParam, ...] = ()
    if isinstance(error, Invalid):
        params = error.params
    elif isinstance(error, CodecError):
        params = (InvalidParam(error.field, error.reason),)
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooMany) else None
    return response(status, error.code, str(error), instance, params, headers)


def of_decoding(error: msgspec.ValidationError | msgspec.DecodeError, instance: str) -> web.Response:
    """A body that is not what it should be: 400 where it is no JSON, 422 where a field is wrong."""
    if isinstance(error, msgspec.ValidationError):
        param = param_of(error)
        return response(422, "invalid", str(error), instance, (param,))
    return response(400, "malformed", f"the body is empty or not JSON: {error}", instance)


def param_of(error: msgspec.ValidationError, row: int = 0) -> InvalidParam:
    """The field that msgspec complains about: its messages end in "- at `$.path`"."""
    text, _, path = str(error).partition(" - at `")
    name = path.rstrip("`").removeprefix("$").lstrip(".")
    if "field `" in text:
        field = text.partition("field `")[2].partition("`")[0]
        name = f"{name}.{field}" if name else field
    return InvalidParam(name or "body", text, row)
