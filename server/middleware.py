"""What every request passes: the error boundary, who is calling, and whether he may.

A program calls with a bearer token.  A person who has signed in at the console may call with that session instead; what
changes anything then carries the session's form token too, so that no other site can make a browser send it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web

from engine.access import sessions, tokens
from engine.access.caller import Caller
from engine.access.rates import Rates, Turn
from engine.access.rights import EVERY
from engine.access.sessions import Session
from engine.access.tokens import Token
from engine.crm.people import staff
from engine.crm.people.roles import REVEALS_A_DAY
from engine.errors import CarillonError, TooMany
from engine.store import ids
from server import noting, problems
from server.calling import CALLER, caller_of
from server.context import ENGINE
from server.repeats import keyed
from server.route import route_of

log = logging.getLogger(__name__)

COOKIE: Final = "carillon_session"
FORM_HEADER: Final = "X-Form-Token"
RATES: Final = web.AppKey("rates", Rates)
_TURN: Final = web.RequestKey("turn", Turn)
_READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

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
    """Everything under /v1 needs a bearer token or a session, and the right that its route names.

    401 without a known one, 429 where a token calls too often, 403 without the right.
    """
    route = route_of(request)
    if not request.path.startswith("/v1/") or (route is not None and route.is_public):
        return await handler(request)
    scheme, _, said = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and said:
        with request.app[ENGINE].store.read() as txn:
            token = tokens.find(txn, said.strip())
        if token is None:
            return _unauthorized(request, "the bearer token is not known")
        _take_turn(request, token)
        request[CALLER] = of_token(token)
    elif not scheme and COOKIE in request.cookies:
        refusal = _refusal_of_session(request)
        if refusal is not None:
            return refusal
        request[CALLER] = of_session(request)
    else:
        return _unauthorized(request, "send the header Authorization: Bearer <token>")
    if route is not None and route.right:
        caller_of(request).require(route.right)
    noting.ask(request)
    response = await keyed(request, handler)
    await noting.leave(request, response)
    return response


def of_token(token: Token) -> Caller:
    """Who calls with this token; what it may reveal without seeing numbers is what one of the staff may."""
    return Caller("token", token.name, token.number, token.rights, token.sight, REVEALS_A_DAY)


def _take_turn(request: web.Request, token: Token) -> None:
    """Count the call.  Raises TooMany."""
    if not token.per_minute:
        return
    at_s = asyncio.get_running_loop().time()
    turn = request.app[RATES].take(token.number, token.per_minute, token.burst, at_s)
    request[_TURN] = turn
    if not turn.is_allowed:
        raise TooMany(f"the token may call {token.per_minute} times a minute", turn.wait_s, code="rate_limited")


async def tell_rate(request: web.Request, response: web.StreamResponse) -> None:
    """Let the answer to a token that has a rate say how much of it is left: for `on_response_prepare`."""
    turn = request.get(_TURN)
    if turn is not None:
        response.headers["RateLimit-Limit"] = str(turn.limit)
        response.headers["RateLimit-Remaining"] = str(turn.remaining)
        response.headers["RateLimit-Reset"] = str(turn.reset_s)


def _unauthorized(request: web.Request, detail: str) -> web.Response:
    return problems.response(401, "unauthorized", detail, request.path, headers={"WWW-Authenticate": "Bearer"})


def _refusal_of_session(request: web.Request) -> web.Response | None:
    """Why a call with a session is refused; None where it is not."""
    engine, cookie = request.app[ENGINE], request.cookies[COOKIE]
    if not person_of(request):
        return _unauthorized(request, "the session has ended: sign in again")
    is_reading = request.method in _READING
    said = request.headers.get(FORM_HEADER, "")
    if not is_own(request, typed=is_reading) or not (is_reading or sessions.is_form_token(engine.pepper, cookie, said)):
        return problems.response(403, "foreign_form", f"send the session's form token as {FORM_HEADER}", request.path)
    return None


def session_of(request: web.Request) -> Session | None:
    """The session of whoever calls, None where a program does: whoever sends a token calls as a program.

    One of the staff who was shut out, or whose password is another now, has none any more.
    """
    engine, cookie = request.app[ENGINE], request.cookies.get(COOKIE)
    if cookie is None or request.headers.get(hdrs.AUTHORIZATION):
        return None
    session = sessions.check(engine.pepper, cookie, engine.now_ms())
    if session is None or session.kind == "token":
        return session
    with engine.store.read() as txn:
        is_in = staff.is_signed_in(txn, ids.parse("stf", session.who), session.issued_ms)
    return session if is_in else None


def person_of(request: web.Request) -> str:
    """Who is signed in and calls: the id of one of the staff, or a token's name; empty where a program calls."""
    session = session_of(request)
    return "" if session is None else session.who


def of_session(request: web.Request) -> Caller:
    """Who calls with a session that there is; a token's may do everything, since only such a token gives one."""
    session = session_of(request)
    if session is None or session.kind == "token":
        return Caller("staff", "" if session is None else session.who, rights=EVERY if session else frozenset())
    with request.app[ENGINE].store.read() as txn:
        return staff.caller_of(txn, ids.parse("stf", session.who))


def is_own(request: web.Request, *, typed: bool = False) -> bool:
    """Whether one of our own pages sent this; `typed` also lets an address through that somebody typed or opened.

    Browsers say it in Sec-Fetch-Site where the connection is trustworthy, else in Origin, which is "null" under our
    own Referrer-Policy; then SameSite and the form token decide.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin" or (typed and site == "none")
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin == "null" or urlsplit(origin).netloc.lower() == request.host.lower()


def keep(response: web.StreamResponse, request: web.Request, cookie: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        COOKIE, cookie, path="/", httponly=True, samesite="Strict", secure=request.secure,
        max_age=sessions.MAX_AGE_MS // 1000,
    )  # fmt: skip


def forget(response: web.StreamResponse, request: web.Request) -> None:
    """Take the session back."""
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=request.secure)
