"""The laboratory: a simulated rack behind a real engine, and what may be done to both.

The one place of the server that knows the simulator.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from engine import numbers
from engine.errors import NotFound
from engine.sim.people import People, Reply
from engine.sim.rack import Rack
from engine.traffic import inbox, messages
from engine.traffic.inbox import Progress, Received
from engine.wiring import Clock, Engine

__all__ = ["RackLaboratory", "Reply", "rack_of"]

LOOK_S: Final = 0.01
QUIET_LOOKS: Final = 3  # in a row: what one floor has let go, the next may not have taken up yet

Latency = int | Literal["realistic"]


class RackLaboratory:
    """What the /v1/sim routes ask for."""

    def __init__(self, engine: Engine, rack: Rack) -> None:
        self._engine = engine
        self._rack = rack

    async def inbound(self, sender: str, to: str | None, text: str, timeout_s: float) -> bool:
        """Let `sender` text the SIM numbered `to`, or the first of the rack; whether somebody acted on it in time."""
        before = self._newest_from(sender)
        self._rack.network.text(sender, to or self._rack.network.sims[0].number, text)

        def was_routed() -> bool:
            newest = self._newest_from(sender)
            return newest is not None and newest != before and newest.progress is not Progress.ASSEMBLED

        return await _in_time(was_routed, timeout_s)

    def _newest_from(self, sender: str) -> Received | None:
        with self._engine.store.read() as txn:
            return next(inbox.listed(txn, sender, 0, 1), None)

    async def report(self, message_id: int, outcome: int, timeout_s: float) -> int:
        """Let the network report `outcome` for every sent part of a message, and wait until they were read."""
        with self._engine.store.read() as txn:
            message = messages.get(txn, message_id)
        number = numbers.from_key(message.number)
        imsis: list[str] = []
        for part in message.parts:
            imsi = f"{part.sim:015d}"
            if part.reference >= 0 and message.wants_report:
                try:
                    self._rack.network.report(imsi, part.reference, number, outcome)
                except NotFound:
                    continue  # it left by a rack that is gone
                imsis.append(imsi)
        await _in_time(lambda: self._are_drained(set(imsis)), timeout_s)
        return len(imsis)

    def _are_drained(self, imsis: set[str]) -> bool:
        modems = [self._rack.modem(name) for name in self._rack.names]
        return not any(modem.storage.usage("MT")[0] or modem.sim.waiting for modem in modems if modem.sim.imsi in imsis)

    async def set_clock(self, now_ms: int) -> None:
        """Let it be `now_ms` for the engine and the network."""
        self._engine.set_clock(now_ms)
        self._rack.network.agenda.wake()

    async def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is due and nothing is in the air."""
        everyone = {self._rack.modem(name).sim.imsi for name in self._rack.names}
        quiet = 0

        def is_quiet() -> bool:
            nonlocal quiet
            quiet = quiet + 1 if self._engine.is_settled and self._are_drained(everyone) else 0
            return quiet >= QUIET_LOOKS

        return await _in_time(is_quiet, timeout_s)


async def _in_time(condition: Callable[[], bool], timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK_S)
    return True


@asynccontextmanager
async def rack_of(
    directory: Path,
    modems: int,
    clock: Clock | None = None,
    *,
    latency_ms: Latency = 0,
    report_delay_ms: int | tuple[int, int] = 0,
    ledger: Path | None = None,
    replies: tuple[Reply, ...] = (),
    seed: int = 1,
) -> AsyncIterator[Rack]:
    """A rack at work; `replies` makes the people it texts answer."""
    now_ms = (clock or Clock()).now_ms
    rack = Rack(
        directory,
        modems,
        latency_ms=latency_ms,
        report_delay_ms=report_delay_ms,
        ledger=ledger,
        seed=seed,
        now_ms=now_ms,
    )
    if replies:
        People(rack.network, replies, seed)
    rack.start()
    try:
        yield rack
    finally:
        rack.close()
