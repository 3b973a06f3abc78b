"""What every request passes: the error boundary, and who is calling."""

import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from engine.access import tokens
from engine.errors import CarillonError
from server import problems
from server.context import ENGINE

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what was raised into a problem; what we did not raise on purpose becomes a 500 without details."""
    if request.transport is None:
        # aiohttp tells a handler that its caller has gone only where it was at work by then: this one would wait for
        # the rest of its body for ever.
        raise ConnectionResetError("the caller has gone")
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or not request.path.startswith("/v1"):
            raise
        return problems.response(error.status, _slug(error.status), error.reason, request.path, headers=_allow(error))
    except CarillonError as error:
        return problems.of(error, request.path)
    except (UnicodeDecodeError, RecursionError, web.RequestPayloadError) as error:
        # Of the body: no UTF-8, deeper than anything we know, or not packed as its Content-Encoding says.
        log.debug("%s %s: %s", request.method, request.path, type(error).__name__)
        reason = "deeper than 1000 levels" if isinstance(error, RecursionError) else "not readable"
        return problems.response(400, "malformed", f"the body is {reason}", request.path)
    except msgspec.MsgspecError as error:
        if isinstance(error, msgspec.ValidationError | msgspec.DecodeError):
            return problems.of_decoding(error, request.path)
        raise
    except (ConnectionResetError, TimeoutError):
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return problems.response(500, "internal", "an error of ours; it has been logged", request.path)


def _slug(status: int) -> str:
    return {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(status, f"http_{status}")


def _allow(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


@web.middleware
async def bearer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Everything under /v1 needs a bearer token; 401 without a known one."""
    if not request.path.startswith("/v1/"):
        return await handler(request)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        with request.app[ENGINE].store.read() as txn:
            entry = tokens.find(txn, token.strip())
        if entry is not None and request.method == "POST" and "Idempotency-Key" in request.headers:
            # Refused rather than ignored: who sends one relies on a retry being the same call.
            detail = "keys are not kept yet: a recipient's or message's client_ref tells a repeat"
            return problems.response(400, "idempotency_key", detail, request.path)
        if entry is not None:
            return await handler(request)
        detail = "the bearer token is not known"
    else:
        detail = "send the header Authorization: Bearer <token>"
    return problems.response(401, "unauthorized", detail, request.path, headers={"WWW-Authenticate": "Bearer"})
