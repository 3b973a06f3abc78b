"""Pages: which address of the console shows what.

GET  /                              the rack and its campaigns; without a session, the sign-in form
POST /signin, /signout              a token for a session, and back
GET  /live                          the same page's pieces as they change, as server-sent events
POST /console/campaigns/{id}/{act}  approve, pause, resume or cancel
GET  /docs                          the HTTP interface, with a form to try each call
GET  /static/{name}                 our own style sheet, script and icon
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web

from engine.access import sessions, tokens
from engine.crm.marketing import approval, campaigns, opt_out
from engine.crm.people.audit import By
from engine.errors import Conflict, Invalid, NotFound, StoreError, TooMany
from engine.store import ids
from server.console import live, phrases, signin
from server.console.fragments import TEMPLATES, Painter
from server.console.snapshot import Observer
from server.context import ENGINE
from server.middleware import forget, keep, of_session, person_of
from server.noting import Mark, marked

log = logging.getLogger(__name__)

LANGUAGE_COOKIE: Final = "carillon_language"
YEAR_S: Final = 365 * 86_400

OBSERVER: Final = web.AppKey("console_observer", Observer)
PAINTER: Final = web.AppKey("console_painter", Painter)
BROADCASTER: Final = web.AppKey("console_broadcaster", live.Broadcaster)
TRIES: Final = web.AppKey("console_tries", signin.Tries)
_TEMPLATES: Final = web.AppKey("console_templates", jinja2.Environment)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_ACTS: Final = {"pause": campaigns.pause, "resume": campaigns.resume, "cancel": campaigns.cancel}

_KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATIC: Final = {
    path.name: (path.read_bytes(), _KINDS[path.suffix])
    for path in sorted((Path(__file__).parent / "static").iterdir())
    if path.suffix in _KINDS
}
# In the address, so that a browser may keep a file for good and still gets the next one.
_VERSIONS: Final = {name: hashlib.sha256(octets).hexdigest()[:12] for name, (octets, _) in _STATIC.items()}


def setup(app: web.Application) -> None:
    """Mount the console on an application that has its ENGINE."""
    engine = app[ENGINE]
    environment = aiohttp_jinja2.setup(
        app,
        app_key=_TEMPLATES,
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["static"] = address_of
    app[OBSERVER] = Observer(engine)
    app[PAINTER] = Painter(environment, engine.settings.house, engine.settings.http)
    app[BROADCASTER] = live.Broadcaster(app[OBSERVER], app[PAINTER])
    app[TRIES] = signin.Tries()
    # Before the server waits for its handlers: the streams are some that never end by themselves.
    app.on_shutdown.append(_end_streams)
    app.router.add_get("/", guarded(home))
    app.router.add_get("/docs", guarded(docs))
    app.router.add_post("/signin", guarded(sign_in))
    app.router.add_post("/signout", guarded(sign_out))
    app.router.add_get("/live", guarded(follow), allow_head=False)
    app.router.add_post("/console/campaigns/{id}/{act:approve|pause|resume|cancel}", guarded(act))
    app.router.add_get("/static/{name}", guarded(static))


async def _end_streams(app: web.Application) -> None:
    await app[BROADCASTER].close()


def address_of(name: str) -> str:
    """The address of one of our own files."""
    return f"/static/{name}?v={_VERSIONS[name]}"


def guarded(handler: Handler) -> Handler:
    """The handler with our headers on whatever it answers, and a page in words where it cannot."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPRequestEntityTooLarge:
            response = _sorry(request, "too_large", 413)
        except web.HTTPException as error:
            error.headers.update({name: value for name, value in HEADERS.items() if name not in error.headers})
            raise
        except StoreError as error:
            log.error("the console cannot use the store: %s", error)
            response = _sorry(request, "store_trouble", 503)
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    return answer


def language_of(request: web.Request) -> str:
    """The language to speak: as asked for, as kept, as the browser likes, as the house does."""
    for said in (request.query.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if said in phrases.LANGUAGES:
            return said
    house = request.app[ENGINE].settings.house.language
    return phrases.preferred(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""), house)


def _page(
    request: web.Request, template: str, status: int = 200, fragments: dict[str, str] | None = None, **values: object
) -> web.Response:
    text = request.app[PAINTER].page(template, language_of(request), fragments, **values)
    headers = {hdrs.VARY: "Cookie, Accept-Language"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _sorry(request: web.Request, key: str, status: int) -> web.Response:
    return _page(request, "sorry_page.html", status, sentence=phrases.phrase(language_of(request), key))


def _door(request: web.Request, key: str = "", status: int = 200, **values: object) -> web.Response:
    """The sign-in form, with a sentence where there is one to say."""
    with request.app[ENGINE].store.read() as txn:
        if not key and not tokens.any_known(txn):
            key = "no_token_yet"
    sentence = phrases.phrase(language_of(request), key, **values) if key else ""
    return _page(request, "signin_page.html", status, sentence=sentence)


def _there(address: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: address})


# -- signing in


async def _let_in(request: web.Request, token: str, number: str = "", password: str = "") -> web.Response:
    """303 with a session; 401 for a wrong token, number or password, 429 after too many."""
    remote, at_s = request.remote or "", asyncio.get_running_loop().time()
    tries = request.app[TRIES]
    if wait_s := tries.wait_s(remote, at_s):
        return _wait(request, wait_s)
    try:
        if token:
            cookie = signin.exchange(request.app[ENGINE], token)
        else:
            cookie = await signin.recognise(request, number, password)
    except TooMany as error:
        return _wait(request, error.retry_after_s)
    if cookie is None:
        tries.count(remote, at_s)
        return _door(request, "wrong_password" if number else "wrong_token", 401)
    response = _there("/")
    keep(response, request, cookie)
    return response


def _wait(request: web.Request, wait_s: int) -> web.Response:
    response = _door(request, "too_many_tries", 429, seconds=wait_s)
    response.headers[hdrs.RETRY_AFTER] = str(wait_s)
    return response


async def sign_in(request: web.Request) -> web.Response:
    """A token, or a number and its password, for a session: 303, 401, 403 where another site sent the form, 429."""
    if not signin.is_own(request):
        return _sorry(request, "foreign_form", 403)
    form = await signin.read_form(request)
    number, password = form.get("number", "").strip(), form.get("password", "")
    return await _let_in(request, form.get("token", "").strip(), number, password)


async def sign_out(request: web.Request) -> web.Response:
    """End the session: 303; 403 where another site sent the form."""
    form = await signin.read_form(request)
    engine = request.app[ENGINE]
    if signin.name_of(request, engine) is not None and not signin.is_ours(request, engine, form):
        return _sorry(request, "foreign_form", 403)
    response = _there("/")
    forget(response, request)
    return response


# -- looking


async def home(request: web.Request) -> web.Response:
    """The page; 303 for a chosen language or a token in the address, which then leaves it."""
    engine = request.app[ENGINE]
    if "token" in request.query:
        # A link on another site must not sign anybody in, nor leave the token in the address.
        return await _let_in(request, request.query["token"]) if signin.is_own(request, typed=True) else _there("/")
    if request.query.get("lang") in phrases.LANGUAGES:
        response = _there("/")
        response.set_cookie(
            LANGUAGE_COOKIE, request.query["lang"], path="/", max_age=YEAR_S, samesite="Lax",
            httponly=True, secure=request.secure,
        )  # fmt: skip
        return response
    signed_in = signin.name_of(request, engine)
    if signed_in is None:
        return _door(request)
    snapshot = request.app[OBSERVER].look(asyncio.get_running_loop().time())
    fragments = request.app[PAINTER].paint(snapshot, language_of(request))
    form_token = sessions.form_token(engine.pepper, request.cookies[signin.COOKIE])
    return _page(request, "rack_page.html", 200, fragments, signed_in=signed_in, form_token=form_token)


async def docs(request: web.Request) -> web.Response:
    """The HTTP interface as a page: open to all, as the document is that it draws."""
    engine = request.app[ENGINE]
    is_known = signin.name_of(request, engine) is not None
    form_token = sessions.form_token(engine.pepper, request.cookies[signin.COOKIE]) if is_known else ""
    return _page(request, "docs_page.html", form_token=form_token)


async def follow(request: web.Request) -> web.StreamResponse:
    """The page's pieces as they change; 401 without a session, 503 where too many look."""
    engine = request.app[ENGINE]

    def is_welcome() -> bool:
        return signin.name_of(request, engine) is not None

    if not is_welcome():
        raise web.HTTPUnauthorized(text="sign in first")
    return await live.stream(request, request.app[BROADCASTER], language_of(request), HEADERS, is_welcome)


async def static(request: web.Request) -> web.Response:
    """One of our own files; 404 for any other."""
    name = request.match_info["name"]
    if name not in _STATIC:
        raise web.HTTPNotFound
    octets, kind = _STATIC[name]
    is_newest = request.query.get("v") == _VERSIONS[name]
    kept = f"public, max-age={YEAR_S}, immutable" if is_newest else "no-cache"
    return web.Response(body=octets, content_type=kind, charset="utf-8", headers={hdrs.CACHE_CONTROL: kept})


# -- acting


async def act(request: web.Request) -> web.Response:
    """Approve, pause, resume or cancel a campaign: 303 back to the page.

    401 without a session, 403 where another site sent the form, 404, 409 where the campaign's stage forbids it.
    """
    engine = request.app[ENGINE]
    form = await signin.read_form(request)
    person = person_of(request)
    if not person:
        return _door(request, "sign_in_again", 401)
    if not signin.is_ours(request, engine, form):
        return _sorry(request, "foreign_form", 403)
    right = "campaigns:approve" if request.match_info["act"] == "approve" else "campaigns:launch"
    if not signin.may(request, engine, right):
        return _sorry(request, "not_allowed", 403)
    by = By(of_session(request), "web", engine.pepper, request.remote or "")
    mark = Mark(by, engine.now_ms(), "console.act", "campaigns", request.match_info["id"], is_new=False)
    try:
        identifier = ids.parse("cmp", request.match_info["id"])
        if request.match_info["act"] == "approve":
            house = engine.settings.house
            change = marked(mark, approval.approve)
            await engine.store.write(change, identifier, person, house.approval_over, mark.now_ms, house)
        else:
            await engine.store.write(marked(mark, _ACTS[request.match_info["act"]]), identifier, mark.now_ms)
    except Conflict:
        return _sorry(request, "not_possible", 409)
    except (NotFound, Invalid) as error:
        if error.code == opt_out.CODE:
            return _sorry(request, "not_possible", 409)
        return _sorry(request, "not_found", 404)
    return _there("/")
