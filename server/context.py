"""The application's keys: what every handler may ask its application for.

`LABORATORY` is set only where the modems are simulated; a program that has none leaves it out, and the routes that
need it do not exist.
"""

from typing import Protocol

from aiohttp import web

from engine.wiring import Engine


class Laboratory(Protocol):
    """What may be done to a simulated network and to the clock of an engine that runs on it."""

    async def inbound(self, sender: str, to: str | None, text: str, timeout_s: float) -> bool:
        """Let `sender` text the SIM numbered `to`, or any SIM of the rack where it is None; whether it was acted upon.

        Raises NotFound where there is no such SIM.
        """

    async def report(self, message_id: int, outcome: int, timeout_s: float) -> int:
        """Let the network report `outcome` (TP-ST, 3GPP TS 23.040 §9.2.3.15) for every sent part; how many those were.

        Returns once the modems have handed them over.  Raises NotFound.
        """

    async def set_clock(self, now_ms: int) -> None:
        """Let it be `now_ms` for the engine and the network."""

    async def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is due and nothing is in the air; False where that took longer than `timeout_s`."""


ENGINE: web.AppKey[Engine] = web.AppKey("engine", Engine)
LABORATORY: web.AppKey[Laboratory] = web.AppKey("laboratory")
