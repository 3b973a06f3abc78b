"""A pool on a stage: puppets at the other ends of its lines, and everything it says written down."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from engine.errors import ModemError
from engine.modem.pool import Modem, ModemSettings, Pool, Submission
from engine.rack import ModemView
from tests.engine.modem.puppet import Puppet, lines

PDU = b"0031000D91945107000040F20000A7104F39B92C07C564331A485E0E93F3"
LENGTH = 29

# Short enough for a test, long enough for two processes on one core.
QUICK = {
    "command_gap_ms": 0,
    "settle_s": 0.01,
    "answer_timeout_s": 0.15,
    "prompt_timeout_s": 0.15,
    "result_timeout_s": 0.15,
    "scan_s": 0.02,
    "search_s": 0.02,
    "busy_wait_s": 0.02,
    "restart_pause_s": 0.02,
    "restart_limit_s": 0.1,
    "quarantine_first_s": 0.02,
    "quarantine_limit_s": 0.1,
}


class Stage:
    """Runs a pool over `directory`/modem-* as long as it is entered."""

    def __init__(self, directory: Path, **settings: object) -> None:
        chosen: dict[str, object] = {"ports": (f"{directory}/modem-*",), **QUICK, **settings}
        self.directory = directory
        self.settings = ModemSettings(**chosen)  # type: ignore[arg-type]
        self.free: list[Modem] = []
        self.told: list[tuple[str, object]] = []
        self.lost: list[Modem] = []
        self.received: list[tuple[str, str, str, int]] = []
        self.changes: list[ModemView] = []
        self.pool = Pool(self.settings, lambda: 0)
        self.pool.attach(
            on_wanted=self._on_wanted,
            on_done=self._on_done,
            on_given=self._on_given,
            on_lost=self._on_lost,
            on_received=self.on_received,
            on_change=self._on_change,
        )
        self.on_wanted: Callable[[Modem], None] | None = None
        self.on_done: Callable[[Submission], None] = lambda _: None
        self.on_given: Callable[[Submission], None] = lambda _: None
        self._news = asyncio.Event()
        self._puppets: list[Puppet] = []

    async def __aenter__(self) -> "Stage":
        self._task = asyncio.create_task(self.pool.run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.pool.close(grace_s=0)
        await self._task
        for puppet in self._puppets:
            puppet.hang_up()

    def puppet(self, number: int = 0, imsi: str | None = None) -> Puppet:
        """One more modem on the rack."""
        puppet = Puppet(self.directory / f"modem-{number}", self._news.set)
        puppet.answers["AT+CIMI"] = lines(imsi or f"26201{number:010d}")
        self._puppets.append(puppet)
        return puppet

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5) -> None:
        """Return when `condition` holds; it is asked again whenever something was said on either side."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def modem(self, times: int = 1) -> Modem:
        """The modem that became free as the `times`-th."""
        await self.until(lambda: len(self.free) >= times)
        return self.free[times - 1]

    def states(self) -> list[str]:
        """The states that the rack showed, in order, without repetitions."""
        states = [change.state for change in self.changes]
        return [state for at, state in enumerate(states) if at == 0 or state != states[at - 1]]

    async def on_received(self, imsi: str, port: str, pdu: str, length: int) -> None:
        self.received.append((imsi, port, pdu, length))
        self._news.set()

    def submit(self, modem: Modem, pdu: bytes = PDU, length: int = LENGTH) -> "asyncio.Future[int]":
        """Give a job; its outcome."""
        sent: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        modem.give(Submission(pdu, length, sent))
        return sent

    def job(self, tag: str) -> Submission:
        """A job that `told` will speak of as `tag`."""
        return Submission(PDU, LENGTH, tag)

    def tags(self, kind: str) -> list[object]:
        """Of which jobs `told` says this."""
        return [tag for told, tag in self.told if told == kind]

    def _on_wanted(self, modem: Modem) -> None:
        if modem.is_free:
            self.free.append(modem)
        self.told.append(("wanted", None))
        self._news.set()
        if self.on_wanted is not None:
            self.on_wanted(modem)

    def _on_done(self, _: Modem, job: Submission) -> None:
        self.told.append(("done", job.tag))
        self.on_done(job)
        self._news.set()
        if isinstance(job.tag, asyncio.Future):
            if isinstance(job.outcome, ModemError):
                job.tag.set_exception(job.outcome)
            else:
                job.tag.set_result(job.outcome)

    def _on_given(self, _: Modem, job: Submission) -> None:
        self.told.append(("given", job.tag))
        self.on_given(job)
        self._news.set()

    def _on_lost(self, modem: Modem) -> None:
        self.lost.append(modem)
        self._news.set()

    def _on_change(self, view: ModemView) -> None:
        self.changes.append(view)
        self._news.set()
