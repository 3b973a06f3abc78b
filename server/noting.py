"""Noting: what a call leaves in the audit log, and who asks for telephone numbers in full.

    ask        numbers=whole: only for whoever may see them so, and what was seen is noted
    noted      a change that leaves its row in the same transaction, unless it wrote a better one itself
    written    the same for a handler that answers by itself
    leave      a row of a call that made no change so: a read of a person, an upload, numbers in full

A row of a change is named after the last event that the change made, and holds what was otherwise before and after.
Single texts of a program leave none: a day of them would be more rows than all the rest of three years.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

import msgspec
from aiohttp import hdrs, web

from engine.access.caller import Asked
from engine.access.rights import NUMBERS as RIGHT
from engine.access.tokens import Token
from engine.crm.marketing import campaigns
from engine.crm.marketing.campaigns import Campaign
from engine.crm.people import audit
from engine.crm.people.audit import By, Changes
from engine.errors import Forbidden, Invalid, InvalidParam
from engine.store.table import Txn
from engine.traffic import events, messages
from engine.traffic.messages import Message
from server import facts
from server.calling import CALLER, NUMBERS, by_of, caller_of
from server.context import ENGINE
from server.route import SHOWING, Route, route_of

T = TypeVar("T")
P = ParamSpec("P")

WHOLE: Final = "whole"
READ: Final = "numbers.read"
EVENTS_LOOKED: Final = 20  # of a change: the last ones tell what it was

_IS_NOTED: Final = web.RequestKey("is_noted", bool)
_READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
# Changes that make no event, by handler.
_WORDS: Final = {
    "messages.send": "message.made",
    "messages.cancel": "message.cancelled",
    "campaigns.create": "campaign.created",
    "campaigns.change": "campaign.changed",
    "tokens.create": "token.created",
    "tokens.change": "token.changed",
    "tokens.revoke": "token.revoked",
    "imports.save_preset": "import_preset.saved",
    "imports.check": "import.check_asked",
    "imports.undo": "import.undo_asked",
    "house_days.import_festivals": "festivals.imported",
    "house_days.put_festival": "festival.changed",
    "webhooks.replay_all": "webhook.replayed",
}
_LAUNCHED: Final = frozenset({"campaign.launched", "campaign.scheduled"})


# -- telephone numbers in full


def ask(request: web.Request) -> None:
    """Let the caller see numbers in full where he asks for them.  Raises Invalid, Forbidden naming the right."""
    if not request.query_string or NUMBERS not in request.query:
        return
    route, caller = route_of(request), caller_of(request)
    if route is None or (route.method, route.path) not in request.app[SHOWING]:
        return  # such a call has no such parameter, which it says itself
    if request.query.getall(NUMBERS) != [WHOLE]:
        raise Invalid(InvalidParam(NUMBERS, f"is not {WHOLE}"))
    if caller.sees("number") != "full":
        raise Forbidden(f"this needs the right {RIGHT}", code="no_right")
    request[CALLER] = msgspec.structs.replace(caller, asked=Asked())


# -- changes


class Mark(NamedTuple):
    """Of a change that is to be made: by whom, when, by which handler, what the path names, whether it makes one."""

    by: By
    now_ms: int
    handler: str
    noun: str
    said: str
    is_new: bool


def noted(
    request: web.Request, change: Callable[Concatenate[Txn, P], T]
) -> Callable[Concatenate[Txn, P], T]:  # fmt: skip
    """`change`, leaving a row."""
    route = route_of(request)
    request[_IS_NOTED] = True
    if route is None:
        return change
    if route.is_busy and not caller_of(request).is_person:
        return partial(_noted_together, _mark(request, route), change)
    return marked(_mark(request, route), change)


def marked(mark: Mark, change: Callable[Concatenate[Txn, P], T]) -> Callable[Concatenate[Txn, P], T]:
    """The same of a change that no route makes."""
    return partial(_noted, mark, change)


async def written(
    request: web.Request, change: Callable[Concatenate[Txn, P], T], *args: P.args, **_: P.kwargs
) -> T:  # fmt: skip
    """Make `change(txn, *args)` for a call, leaving a row.  Raises what the change raises."""
    return await request.app[ENGINE].store.write(noted(request, change), *args, **_)


def _mark(request: web.Request, route: Route) -> Mark:
    noun = route.path.split("/")[2]
    said = next(iter(request.match_info.values()), "")
    module, name = (getattr(route.handler, word, "") for word in ("__module__", "__name__"))
    handler = f"{module.rpartition('.')[2]}.{name}"
    is_new = route.status == HTTPStatus.CREATED
    return Mark(by_of(request), request.app[ENGINE].now_ms(), handler, noun, said, is_new)


def _noted(mark: Mark, change: Callable[..., T], txn: Txn, *args: Any) -> T:
    rows, cursor = audit.written(txn), events.newest(txn)
    named = facts.named(txn, mark.noun, mark.said)
    before = facts.of(txn, named)
    result = change(txn, *args)
    if audit.written(txn) == rows:
        action, target, changes = _told(txn, mark, cursor, result)
        # What is in the path is what was changed, whatever else happened with it.
        target = named or target
        if named or mark.is_new:
            changes = {**changes, **facts.differences(before, facts.of(txn, target))}
        audit.append(txn, mark.by, action, target, mark.now_ms, changes)
    return result


def _noted_together(mark: Mark, change: Callable[..., T], txn: Txn, *args: Any) -> T:
    """Of texts only those that came together in one call."""
    result = change(txn, *args)
    if isinstance(result, list) and len(result) > 1:
        action, target, changes = _of_texts(mark, result)
        audit.append(txn, mark.by, action, target, mark.now_ms, changes)
    return result


def _of_texts(mark: Mark, made: list[Message]) -> tuple[str, str, Changes]:
    """Texts that were made, and what they cost in parts."""
    cost = {"messages": (None, len(made)), "parts": (None, sum(len(one.parts) for one in made))}
    return _WORDS[mark.handler], messages.name(made[0].id) if len(made) == 1 else mark.noun, cost


def _told(txn: Txn, mark: Mark, cursor: int, result: Any) -> tuple[str, str, Changes]:
    """What a change was, what of, and what is told of it."""
    usual = _WORDS.get(mark.handler, mark.handler)
    match result:
        case Token():
            return usual, f"{mark.noun}/{result.number}", {}
        case [Message(), *_]:
            return _of_texts(mark, result)
        case Campaign() if mark.is_new:
            return usual, campaigns.name_of(result.id), {}
    newest = events.newest(txn)
    found = [event for _, event in events.after(txn, max(cursor, newest - EVENTS_LOOKED), EVENTS_LOOKED)]
    if not found:
        return usual, f"{mark.noun}/{mark.said}" if mark.said else mark.noun, {}
    last = found[-1]
    subjects = {event.subject for event in found if event.kind == last.kind}
    # Of numbers a row knows only those of telephones; which fields there were, it says itself.
    detail = {name: (None, value) for name, value in last.detail.items() if name not in ("fields", "number")}
    if last.kind in _LAUNCHED and isinstance(result, Campaign):
        detail["recipients"] = (None, result.rows)
    return last.kind, last.subject if len(subjects) == 1 and last.subject else mark.noun, detail


# -- calls that change nothing so


async def leave(request: web.Request, response: web.StreamResponse) -> None:
    """Leave a row of a call that is answered, where it is to leave one and has not."""
    await _leave(request, response.status, is_begun=False)


async def begin(request: web.Request, response: web.StreamResponse) -> None:
    """The same before the first octet of a stream, since whoever breaks it off has had a part: on_response_prepare."""
    if CALLER in request and not isinstance(response, web.Response):
        await _leave(request, response.status, is_begun=True)


async def _leave(request: web.Request, status: int, *, is_begun: bool) -> None:
    route = route_of(request)
    if route is None or status >= 400 or request.get(_IS_NOTED):
        return
    caller = caller_of(request)
    asked = caller.asked
    is_seen = asked is not None and (is_begun or asked.told > 0)
    if route.method in _READING and not is_seen and not (route.audited and caller.is_person):
        return
    word = route.audited or (READ if is_seen else "")
    if not word:
        return
    request[_IS_NOTED] = True
    changes: Changes = {}
    if asked is not None and is_seen:
        # A stream is noted before it is known how many there will be.
        changes = {"numbers_told": (None, WHOLE if is_begun else asked.told)}
    mark = _mark(request, route)
    target = mark.said or mark.noun
    await request.app[ENGINE].store.write(audit.append, mark.by, word, target, mark.now_ms, changes)
