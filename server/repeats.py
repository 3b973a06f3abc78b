"""Repeats: a POST with an Idempotency-Key is done once; whoever sends it again gets the first answer again.

    keyed   the middleware: claims the key, answers repeats, refuses what is still at work
    made    what a handler makes its change with, so that change and answer are kept together

A handler that changes the store by another way than `made` is safe from repeats too, but for one that is killed between
its change and its answer.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

from aiohttp import hdrs, web

from engine.access import replays
from engine.access.replays import Answer, AtWork, Claim
from engine.errors import Conflict
from engine.store.table import Txn
from server import problems
from server.calling import caller_of
from server.context import ENGINE
from server.noting import noted
from server.route import route_of

T = TypeVar("T")
P = ParamSpec("P")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

AT_WORK: Final = web.AppKey("calls_at_work", AtWork)
REPLAYED: Final = "Idempotency-Replayed"
RETRY_S: Final = 1

_CLAIM: Final = web.RequestKey("claim", Claim)
_IS_KEPT: Final = web.RequestKey("claim_is_kept", bool)
# What says something of the answer; the others say something of the request that was answered.
_KEPT: Final = (hdrs.LOCATION, hdrs.ETAG)


async def made(
    request: web.Request,
    answer: Callable[[Txn, T], web.Response],
    change: Callable[Concatenate[Txn, P], T],
    *args: P.args,
    **_: P.kwargs,
) -> web.Response:
    """Make `change(txn, *args)` and answer with what `answer` makes of its result in the same state of the store.

    The change leaves its row in the audit log.  Under an Idempotency-Key the answer is made and kept inside the
    change's transaction, on the writer's thread.
    Raises what the change raises, and Conflict where a repeat was quicker.
    """
    engine = request.app[ENGINE]
    claim = request.get(_CLAIM)
    change = noted(request, change)
    if claim is None:
        result = await engine.store.write(change, *args, **_)
        with engine.store.read() as txn:
            return answer(txn, result)
    response = await engine.store.write(_keep_made, claim, engine.now_ms(), answer, change, args)
    request[_IS_KEPT] = True
    return response


def _keep_made(
    txn: Txn,
    claim: Claim,
    now_ms: int,
    answer: Callable[[Txn, Any], web.Response],
    change: Callable[..., Any],
    args: tuple[Any, ...],
) -> web.Response:
    replays.require_undone(txn, claim, now_ms)
    response = answer(txn, change(txn, *args))
    replays.keep(txn, claim, _answer_of(response), now_ms)
    return response


def _answer_of(response: web.Response) -> Answer:
    headers = {str(name): response.headers[name] for name in _KEPT if name in response.headers}
    return Answer(response.status, response.content_type, headers, cast("bytes", response.body or b""))


async def keyed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request of a caller who is known; a POST under a key only where it is not a repeat."""
    if request.method != hdrs.METH_POST or replays.FIELD not in request.headers:
        return await handler(request)
    route = route_of(request)
    if route is None:
        return await handler(request)
    if route.is_stream(request.content_type):
        # Refused rather than ignored: who sends one relies on a retry being the same call.
        detail = "an upload takes none: its rows tell repeats by client_ref or number"
        return problems.response(400, "idempotency_key", detail, request.path)
    try:
        return await _once(request, handler)
    except Conflict as error:
        if error.code != replays.IN_WORK:
            raise
        response = problems.of(error, request.path)
        response.headers[hdrs.RETRY_AFTER] = str(RETRY_S)
        return response


async def _once(request: web.Request, handler: Handler) -> web.StreamResponse:
    engine, at_work = request.app[ENGINE], request.app[AT_WORK]
    caller = caller_of(request)
    who = f"{caller.kind} {caller.id or caller.name}"
    body = await request.read()
    asked = request.method.encode(), request.path_qs.encode("utf-8", "surrogateescape"), body
    claim = replays.claim(engine.pepper, who, request.headers[replays.FIELD], *asked)
    # From here to `hold` nothing waits, so no repeat comes between.
    at_work.require_free(claim)
    with engine.store.read() as txn:
        known = replays.find(txn, claim, engine.now_ms())
    if known is not None:
        headers = {**known.headers, REPLAYED: "true"}
        media = known.media if known.body else None
        return web.Response(status=known.status, body=known.body or None, content_type=media, headers=headers)
    with at_work.hold(claim):
        request[_CLAIM] = claim
        response = await handler(request)
        is_done = isinstance(response, web.Response) and response.status < 400
        if is_done and _IS_KEPT not in request:
            kept = _answer_of(cast("web.Response", response))
            await engine.store.write(replays.keep, claim, kept, engine.now_ms())
        return response
