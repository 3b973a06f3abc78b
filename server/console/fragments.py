"""Fragments: a snapshot to HTML, in a language, piece by piece.

The page and the live stream show the same pieces, drawn by the same templates.
"""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup

from engine.config import House, Http
from server.console import drawing, phrases
from server.console.snapshot import Snapshot
from server.console.tempo import TRACE_TICKS

NAMES: Final = ("totals", "rack", "campaigns", "log")
TEMPLATES: Final = Path(__file__).parent / "templates"

_ICONS: Final = {
    "opening": "wait", "starting": "wait", "pin": "lock", "searching": "search", "ready": "check",
    "sending": "send", "lost": "cross", "quarantined": "alarm",
}  # fmt: skip


class Painter:
    """Draws fragments and pages for one house."""

    def __init__(self, environment: jinja2.Environment, house: House, http: Http) -> None:
        self._environment = environment
        self._house = house
        self._zone = ZoneInfo(house.time_zone)
        host = f"[{http.host}]" if ":" in http.host else http.host
        self._address = f"http://{host}:{http.port}"

    def paint(self, snapshot: Snapshot, language: str, names: tuple[str, ...] = NAMES) -> dict[str, str]:
        """The HTML of the fragments of those names."""
        words = self._words(language)
        pieces: dict[str, dict[str, Any]] = {
            "totals": {"totals": snapshot.totals, "ticks": TRACE_TICKS},
            "rack": {"rack": snapshot.rack, "hidden": snapshot.hidden, "icons": _ICONS},
            "campaigns": {
                "campaigns": snapshot.campaigns,
                "today": self._local(snapshot.at_ms).date(),
                "address": self._address,
            },
            "log": {"log": snapshot.log},
        }
        return {name: self._render(f"{name}.html", words | pieces[name]) for name in names}

    def page(self, template: str, language: str, fragments: dict[str, str] | None = None, **values: object) -> str:
        """A whole page, with fragments in it where some are given."""
        pieces = {name: Markup(html) for name, html in (fragments or {}).items()}  # noqa: S704  our own rendering
        house = self._house.name_zh if language == "zh" else self._house.name_en
        return self._render(template, self._words(language) | {"house": house, "fragments": pieces} | values)

    def _render(self, template: str, values: dict[str, Any]) -> str:
        return self._environment.get_template(template).render(values)

    def _local(self, time_ms: int) -> datetime:
        return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(self._zone)

    def _words(self, language: str) -> dict[str, Any]:
        tell: Callable[..., str] = functools.partial(phrases.phrase, language)
        return {
            "t": tell,
            "worded": functools.partial(phrases.worded, language),
            "language": language,
            "local": self._local,
            "sparkline": drawing.sparkline,
            "under": drawing.under,
            "stacked": drawing.stacked,
            "bar_wide": drawing.BAR_WIDE,
            "spark_wide": drawing.SPARK_WIDE,
            "spark_high": drawing.SPARK_HIGH,
        }
