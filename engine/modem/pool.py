"""Which modems there are: ports that come and go, one task for each, and no SIM twice.

Identity is port + IMSI.  Knows neither messages nor the store; what it learns goes to the callbacks of
`attach`.
"""

import asyncio
import contextlib
import glob
import os
from collections.abc import Awaitable, Callable

from engine.modem.port import switchboard
from engine.modem.settings import ModemSettings
from engine.modem.submission import Submission
from engine.modem.tc35i import Modem
from engine.rack import ModemView

__all__ = ["Modem", "ModemSettings", "Pool", "Submission"]

# How long `close` waits for parts that are on a line: most end within 5 to 10 s.
CLOSE_GRACE_S = 10.0


class Pool:
    """All modems on the ports that the settings' globs match, now and later.

    A name without wildcards is shown even while there is no such port.  `now_ms` is the clock for the views.
    """

    def __init__(self, settings: ModemSettings, now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._board = switchboard()
        self._modems: dict[str, Modem] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._on_wanted: Callable[[Modem], None] = _ignore
        self._on_done: Callable[[Modem, Submission], None] = _ignore
        self._on_given: Callable[[Modem, Submission], None] | None = None
        self._on_lost: Callable[[Modem], None] = _ignore
        self._on_received: Callable[[str, str, str, int], Awaitable[None]] | None = None
        self._on_change: Callable[[ModemView], None] = _ignore
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    def attach(
        self,
        *,
        on_wanted: Callable[[Modem], None],
        on_done: Callable[[Modem, Submission], None],
        on_lost: Callable[[Modem], None],
        on_received: Callable[[str, str, str, int], Awaitable[None]],
        on_change: Callable[[ModemView], None],
        on_given: Callable[[Modem, Submission], None] | None = None,
    ) -> None:
        """Say who is to be told; before `run`.

        `on_wanted`: the modem has no job ahead, and takes one now; called when it becomes free, and right
        after the AT+CMGS of a job was written, from inside `give` where that began it.  `on_done`: a job has
        its outcome; the next one ahead was begun before this is told, and `on_wanted` follows.  `on_lost`:
        the modem takes no jobs until it wants one again; what it had has been told by `on_done`.  `on_given`:
        the first octet of a PDU is about to be written; it must not fail, or the part is not sent.
        `on_received`: IMSI, port, PDU, length; it returns once they are durable, and only then the modem
        forgets them.  `on_change`: a state or its detail changed, except between ready and sending, which
        `views` tells.
        """
        self._on_wanted = on_wanted
        self._on_done = on_done
        self._on_given = on_given
        self._on_lost = on_lost
        self._on_received = on_received
        self._on_change = on_change

    async def run(self) -> None:
        """Drive the rack until cancelled or closed; ports may come and go at any time."""
        if self._on_received is None:
            raise RuntimeError("attach before run")
        self._ended.clear()
        loop = asyncio.get_running_loop()
        if self._board is not None:
            loop.add_reader(self._board.fd, self._board.readable)
        try:
            async with asyncio.TaskGroup() as group:
                while not self._closing.is_set():
                    self._scan(group)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._closing.wait(), self._settings.scan_s)
                for task in self._tasks.values():
                    task.cancel()
        finally:
            if self._board is not None:
                loop.remove_reader(self._board.fd)
            self._tasks.clear()
            self._ended.set()

    def gathering(self) -> contextlib.AbstractContextManager[None]:
        """Gather what is written to the lines, and write it in one go at the end: for who gives many modems a part.

        Nothing may be awaited inside.
        """
        return contextlib.nullcontext() if self._board is None else self._board

    def views(self) -> list[ModemView]:
        """Every port, in order of its name."""
        return [self._modems[port].view() for port in sorted(self._modems)]

    async def close(self, grace_s: float = CLOSE_GRACE_S) -> None:
        """Take no more parts, let those on a line end within `grace_s` seconds, close the ports, end
        `run`.
        """
        await asyncio.gather(*(modem.retire(grace_s) for modem in self._modems.values()))
        self._closing.set()
        await self._ended.wait()

    def _scan(self, group: asyncio.TaskGroup) -> None:
        present = set[str]()
        for pattern in self._settings.ports:
            if any(wild in pattern for wild in "*?["):
                names = glob.glob(pattern)
            else:
                self._modem(pattern)
                names = [pattern]
            # A link that leads nowhere, as a killed simulator leaves it, is no port.
            present.update(name for name in names if os.path.exists(name))
        for port in sorted(present):
            task = self._tasks.get(port)
            if task is None or task.done():
                self._tasks[port] = group.create_task(self._modem(port).run(), name=f"modem {port}")
        for port in self._tasks.keys() - present:
            self._modems[port].unplug()

    def _modem(self, port: str) -> Modem:
        if (modem := self._modems.get(port)) is None:
            assert self._on_received is not None  # noqa: S101  `run` has asked
            modem = self._modems[port] = Modem(
                port,
                self._settings,
                self._now_ms,
                on_wanted=self._on_wanted,
                on_done=self._on_done,
                on_given=self._on_given,
                on_lost=self._on_lost,
                on_received=self._on_received,
                on_change=self._on_change,
                claim_sim=self._claim_sim,
                board=self._board,
            )
        return modem

    def _claim_sim(self, claimant: Modem, imsi: str) -> str | None:
        """The port that has this SIM, or None, and then it is the claimant's."""
        for port, modem in list(self._modems.items()):
            if modem is claimant or modem.imsi != imsi:
                continue
            task = self._tasks.get(port)
            if modem.has_sim and task is not None and not task.done():
                return port
            # The SIM has moved here, or its port got a new name: the old one tells nobody anything.
            if (task is None or task.done()) and port not in self._settings.ports:
                del self._modems[port]
                self._tasks.pop(port, None)
        return None


def _ignore(*_: object) -> None:
    """Nobody has asked to be told."""
