"""The laboratory: what only a simulated rack can be asked.  Without one these routes do not exist."""

from datetime import datetime
from typing import Final, Literal

import msgspec
from aiohttp import web

from engine import numbers
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store import ids
from server import problems, views, wire
from server.context import ENGINE, LABORATORY
from server.route import Route

SETTLE_S: Final = 10.0


class Inbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody texts one of our numbers."""

    from_: str = msgspec.field(name="from")
    text: str
    to: str | None = None


class Dlr(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The network reports about every sent part of a message."""

    message: str
    status: Literal["delivered", "sent", "retrying", "undelivered", "reserved"]


class SetClock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What time it shall be."""

    now: datetime
    back: bool = False


# TP-ST (3GPP TS 23.040 §9.2.3.15) that stands for each word.
OUTCOMES: Final = {"delivered": 0x00, "sent": 0x01, "retrying": 0x20, "undelivered": 0x46, "reserved": 0x80}


async def inbound(request: web.Request) -> web.Response:
    """A text to us, by the whole inbound path; answered once it was acted upon."""
    engine, laboratory = request.app[ENGINE], request.app[LABORATORY]
    body = wire.decode(await request.read(), Inbound)
    sender = numbers.parse(body.from_, engine.settings.house.country or None, "from")
    if not await laboratory.inbound(sender, body.to, body.text, SETTLE_S):
        return _unsettled(request)
    return wire.reply(views.Status("received"), 202)


async def dlr(request: web.Request) -> web.Response:
    """A status report for every sent part of a message, through the modem."""
    body = wire.decode(await request.read(), Dlr)
    identifier = ids.parse("msg", body.message, "message")
    reported = await request.app[LABORATORY].report(identifier, OUTCOMES[body.status], SETTLE_S)
    if not reported:
        raise Conflict("the simulated rack sent no part of the message, or it asked for no report")
    return wire.reply(views.Reported(reported), 202)


async def clock(request: web.Request) -> web.Response:
    """Set the wall clock; answered when nothing is due at that time and no part is in the air."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), SetClock)
    now_ms = wire.time_ms(body.now, "now")
    if now_ms < engine.now_ms() and not body.back:
        raise Invalid(InvalidParam("now", "lies in the past: say back: true"))
    await request.app[LABORATORY].set_clock(now_ms)
    if not await request.app[LABORATORY].settle(SETTLE_S):
        return _unsettled(request)
    return wire.reply(views.Now(wire.time(engine.now_ms())))


def _unsettled(request: web.Request) -> web.Response:
    detail = f"something was still due or in the air after {SETTLE_S:g} s"
    return problems.response(504, "unsettled", detail, request.path)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/sim/inbound",
        inbound,
        202,
        takes=Inbound,
        gives=views.Status,
        problems=(404, 504),
        right="sim",
    ),
    Route(
        "POST",
        "/v1/sim/dlr",
        dlr,
        202,
        takes=Dlr,
        gives=views.Reported,
        problems=(404, 409, 504),
        right="sim",
    ),
    Route("POST", "/v1/sim/clock", clock, takes=SetClock, gives=views.Now, problems=(504,), right="sim"),
)
