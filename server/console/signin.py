"""Sign-in: who may look.  A bearer token becomes a session; a form counts only if this console made it.

Tries are counted in memory, for each remote address: a guess costs nothing but time here, so time is what it must
cost.  Knows no pages.
"""

import asyncio
import ipaddress
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from engine import numbers
from engine.access import sessions, tokens
from engine.access.rights import EVERY
from engine.crm.people import staff, tries
from engine.crm.people.staff import STAFF
from engine.crm.people.tries import Way
from engine.errors import Invalid
from engine.store import ids
from engine.wiring import Engine
from server import middleware
from server.context import ENGINE

COOKIE: Final = middleware.COOKIE
TRIES_MOST: Final = 10
TRIES_WINDOW_S: Final = 60.0
ADDRESSES_MOST: Final = 1000
is_own: Final = middleware.is_own
FORM_LARGEST: Final = 4096  # octets
FORM_TIMEOUT_S: Final = 10.0
TOKEN_LONGEST: Final = 1024  # characters
PASSWORD_LONGEST: Final = 1000


class Tries:
    """Wrong tries by remote address, the newest addresses only."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, remote: str, at_s: float) -> int:
        """Seconds until `remote` may try again; 0: now."""
        wrong = self._wrong.get(_neighbourhood(remote))
        if wrong is None:
            return 0
        while wrong and wrong[0] <= at_s - TRIES_WINDOW_S:
            wrong.popleft()
        return 0 if len(wrong) < TRIES_MOST else int(wrong[0] + TRIES_WINDOW_S - at_s) + 1

    def count(self, remote: str, at_s: float) -> None:
        """Take down a wrong try."""
        key = _neighbourhood(remote)
        self._wrong.setdefault(key, deque(maxlen=TRIES_MOST)).append(at_s)
        self._wrong.move_to_end(key)
        while len(self._wrong) > ADDRESSES_MOST:
            self._wrong.popitem(last=False)


def _neighbourhood(remote: str) -> str:
    """The address, or for IPv6 its /64: one host has all of those."""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def name_of(request: web.Request, engine: Engine) -> str | None:
    """The name of whoever is signed in, or None."""
    session = middleware.session_of(request)
    if session is None or session.kind == "token":
        return None if session is None else session.who
    with engine.store.read() as txn:
        return STAFF.get(txn, ids.parse("stf", session.who)).name


def may(request: web.Request, engine: Engine, right: str) -> bool:
    """Whether whoever is signed in has the right."""
    session = middleware.session_of(request)
    if session is None or session.kind == "token":
        return session is not None
    with engine.store.read() as txn:
        return staff.caller_of(txn, ids.parse("stf", session.who)).may(right)


def exchange(engine: Engine, token: str) -> str | None:
    """The session cookie for a token of the house, or None.  Raises StoreError.

    A session may do everything, so a token that may not gives none.
    """
    if not 0 < len(token) <= TOKEN_LONGEST:
        return None
    with engine.store.read() as txn:
        found = tokens.find(txn, token)
    return (
        None if found is None or found.rights != EVERY else sessions.issue(engine.pepper, found.name, engine.now_ms())
    )


async def recognise(request: web.Request, number: str, password: str) -> str | None:
    """The session cookie of one of the staff, or None.  Raises TooMany while no tries are taken."""
    engine = request.app[ENGINE]
    try:
        key = numbers.to_key(numbers.parse(number, engine.settings.house.country or None, "number"))
    except Invalid:
        return None
    way = Way(engine.pepper, "web", request.remote or "")
    found = await tries.sign_in(engine.store, way, key, password[:PASSWORD_LONGEST], engine.now_ms)
    return None if found is None else sessions.issue(engine.pepper, staff.name_of(found), engine.now_ms(), "staff")


def is_ours(request: web.Request, engine: Engine, form: Mapping[str, str]) -> bool:
    """Whether the form carries the form token of the session it came with."""
    cookie = request.cookies.get(COOKIE, "")
    return is_own(request) and sessions.is_form_token(engine.pepper, cookie, form.get("form", ""))


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a small form, the first of each name.  Raises HTTPRequestEntityTooLarge, HTTPRequestTimeout."""
    octets = bytearray()
    try:
        async with asyncio.timeout(FORM_TIMEOUT_S):
            while chunk := await request.content.read(FORM_LARGEST):
                octets += chunk
                if len(octets) > FORM_LARGEST:
                    raise web.HTTPRequestEntityTooLarge(FORM_LARGEST, len(octets))
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    fields = parse_qs(octets.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[0] for name, values in fields.items()}
