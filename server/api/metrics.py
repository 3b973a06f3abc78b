"""Metrics: how late it is and how the rack does, as Prometheus reads it.

Counts and times only, nothing of anybody: like /readyz it is for whoever can reach the server.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from engine.traffic.messages import Lane
from server import wire
from server.context import ENGINE
from server.route import Route

_STATES: Final = ("opening", "starting", "pin", "searching", "ready", "sending", "lost", "quarantined")


async def get(request: web.Request) -> web.Response:
    """How long what may go now has waited, what waits, and what the modems do; all of it gauges."""
    wire.known_query(request)
    engine = request.app[ENGINE]
    delay = await engine.delay.look()
    modems = Counter(view.state for view in engine.rack())
    lines = [
        *_gauge(
            "queue_oldest_seconds",
            "Age of the oldest message that may go now; of bulk, for how long nothing went although it may.",
            "lane",
            {lane.name.lower(): oldest_ms / 1000 for lane, oldest_ms in delay.oldest_ms.items()},
        ),
        *_gauge(
            "queue_delay_p95_seconds",
            "What 95 of 100 messages above bulk waited less than, from due to a modem, in the last minute.",
            "",
            {"": delay.p95_ms / 1000},
        ),
        *_gauge(
            "queue_parts",
            "Parts that are due.",
            "lane",
            {lane.name.lower(): engine.scheduler.parts_in(lane) for lane in Lane},
        ),
        *_gauge(
            "parts_per_minute",
            "What the rack sends, as measured lately.",
            "",
            {"": round(engine.scheduler.rate_per_s() * 60, 1)},
        ),
        *_gauge("modems", "Modems by what they do.", "state", {state: modems[state] for state in _STATES}),
    ]
    text = "\n".join(lines) + "\n"
    return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _gauge(name: str, told: str, label: str, values: Mapping[str, float]) -> list[str]:
    """The lines of one metric, by the value of its label where it has one."""
    return [
        f"# HELP carillon_{name} {told}",
        f"# TYPE carillon_{name} gauge",
        *(f'carillon_{name}{{{label}="{word}"}} {value:g}' if label else f"carillon_{name} {value:g}"
          for word, value in values.items()),
    ]  # fmt: skip


ROUTES: Final = (Route("GET", "/metrics", get, gives=str, gives_media="text/plain", is_public=True),)
