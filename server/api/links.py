"""Short links: where the address in somebody's text leads, for whoever opens it."""

import ipaddress
import logging
from asyncio import get_running_loop
from typing import Final

from aiohttp import web

from engine.access.rates import Rates
from engine.crm.marketing import links, responses
from engine.crm.marketing.links import Led
from engine.errors import NotFound, StoreError, TooMany
from server.context import ENGINE
from server.route import Route

log = logging.getLogger(__name__)

PATH: Final = f"{links.PATH}{{code}}"
GUESSES: Final = web.AppKey("link_guesses", Rates)  # wrong codes, by the address that they come from
GUESSES_PER_MINUTE: Final = 30

_IPV6_FIRST: Final = 1 << 32  # behind all addresses of IPv4


async def follow(request: web.Request) -> web.Response:
    """Where a recipient's short link leads; that it was opened is counted.

    Wrong codes are taken up to 30 times a minute from one address, and behind them none: 429.  That is not asked of
    addresses that are not public, behind which a proxy of the house stands for everybody.
    """
    engine = request.app[ENGINE]
    led = _led(request)
    try:
        await engine.store.write(responses.click, engine.pepper, led, engine.now_ms())
    except StoreError as error:
        # Whoever wants to see the page shall see it.
        log.error("a click is not counted: %s", error)
    return _leading(led)


async def look(request: web.Request) -> web.Response:
    """The same for HEAD: a program looks, and nobody has opened it."""
    return _leading(_led(request))


def _led(request: web.Request) -> Led:
    """What the code stands for.  Raises NotFound, TooMany."""
    engine, guesses = request.app[ENGINE], request.app[GUESSES]
    neighbourhood, at_s = neighbourhood_of(request.remote or ""), get_running_loop().time()
    wait_s = guesses.wait_s(neighbourhood, GUESSES_PER_MINUTE, 0, at_s) if neighbourhood else 0
    if wait_s:
        raise TooMany("too many wrong links came from there", wait_s, code="rate_limited")
    with engine.store.read() as txn:
        led = links.read(txn, engine.pepper, request.match_info["code"])
    if led is None:
        if neighbourhood:
            guesses.take(neighbourhood, GUESSES_PER_MINUTE, 0, at_s)
        raise NotFound("this link leads nowhere")
    return led


def neighbourhood_of(remote: str) -> int:
    """A public address as a number, of IPv6 its /64, since one host has all of those; 0 for any other."""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return 0
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if not address.is_global:
        return 0
    return int(address) if isinstance(address, ipaddress.IPv4Address) else _IPV6_FIRST + (int(address) >> 64)


def _leading(led: Led) -> web.Response:
    headers = {"Location": led.url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=302, headers=headers)


ROUTES: Final = (
    Route(
        "GET",
        PATH,
        follow,
        302,
        is_public=True,
        problems=(404, 429),
        schemas={"code": {"type": "string", "pattern": f"^[0-9A-Za-z]{{7,{links.CODE_LONGEST}}}$"}},
    ),
)
