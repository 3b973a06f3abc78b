"""The laboratory: a simulated rack behind a real engine, and what may be done to both.

The one place of the server that knows the simulator.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from engine import numbers
from engine.errors import NotFound
from engine.sim.people import People, Reply
from engine.sim.rack import Rack
from engine.traffic.messages import MESSAGES
from engine.wiring import Clock, Engine

LOOK_S: Final = 0.01

Latency = int | Literal["realistic"]


class RackLaboratory:
    """What the /v1/sim routes ask for."""

    def __init__(self, engine: Engine, rack: Rack) -> None:
        self._engine = engine
        self._rack = rack

    async def inbound(self, sender: str, to: str | None, text: str) -> None:
        """Let `sender` text the SIM numbered `to`, or the first of the rack."""
        self._rack.network.text(sender, to or self._rack.network.sims[0].number, text)

    async def report(self, message_id: int, outcome: int) -> int:
        """Let the network report `outcome` for every sent part of a message."""
        with self._engine.store.read() as txn:
            message = MESSAGES.get(txn, message_id)
        number = numbers.from_key(message.number)
        reported = 0
        for part in message.parts:
            if part.reference >= 0:
                try:
                    self._rack.network.report(f"{part.sim:015d}", part.reference, number, outcome)
                except NotFound:
                    continue  # it left by a rack that is gone
                reported += 1
        return reported

    async def set_clock(self, now_ms: int) -> None:
        """Let it be `now_ms` for the engine and the network."""
        self._engine.set_clock(now_ms)
        self._rack.network.agenda.wake()

    async def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is due and nothing is in the air."""
        until = time.monotonic() + timeout_s
        quiet = 0
        # Twice in a row: what one floor has let go, the next may not have taken up yet.
        while quiet < 3:
            if time.monotonic() > until:
                return False
            quiet = quiet + 1 if self._is_quiet() else 0
            await asyncio.sleep(LOOK_S)
        return True

    def _is_quiet(self) -> bool:
        on_sims = sum(self._rack.modem(name).storage.usage("MT")[0] for name in self._rack.names)
        return self._engine.is_settled and on_sims == 0


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
