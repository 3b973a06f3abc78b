"""Eight modems in this process on a clock that nobody waits for: what a year of the real scheduler is played on.

The clock goes on only while nothing can happen at its present moment: no callback is ready and no change is with the
store's writer.  It goes on in steps, small ones while a part is on a line and large ones while none is: a scheduler
that looks after the time every few seconds would look some millions of times a year.

A modem answers as a TC35i does, through the real `Submission`; it keeps one part ahead, and asks for it when the one
before begins (3GPP TS 27.005 §3.5.1).
"""

import asyncio
import selectors
from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

from engine.modem.at import OK, PROMPT, Info
from engine.modem.submission import GIVEN, Submission
from engine.store.environment import Store

BUSY_S = 2.5
IDLE_S = 150.0


class Given(NamedTuple):
    """A part whose PDU was written to a SIM's line: what the checker is told, and all that it is told."""

    at_ms: int
    sim: int
    number: int
    sequence: int  # of its message, from 1


def read(pdu: bytes) -> tuple[int, int]:
    """Number and sequence of an SMS-SUBMIT in hex (3GPP TS 23.040 §9.2.2.2) with an empty service centre."""
    octets = bytes.fromhex(pdu.decode())
    assert octets[0] == 0, "a service centre"
    first, digits = octets[1], octets[3]
    assert first & 0x03 == 1, "no SMS-SUBMIT"
    address = octets[5 : 5 + (digits + 1) // 2]
    number = "".join(f"{octet & 0xF:x}{octet >> 4:x}" for octet in address)[:digits]
    if not first & 0x40:
        return int(number), 1
    validity = {0x00: 0, 0x10: 1}[first & 0x18]
    header = octets[5 + len(address) + 2 + validity + 1 :]
    assert header[1:3] == b"\x00\x03", "no concatenation"
    return int(number), header[5]


class CountedStore(Store):
    """The store, and how many changes it has not answered yet."""

    writing = 0

    def submit(self, change: Callable[..., Any], *args: Any, **kwargs: Any) -> "asyncio.Future[Any]":
        future = super().submit(change, *args, **kwargs)
        self.writing += 1
        future.add_done_callback(self._answered)
        return future

    def _answered(self, _: object) -> None:
        self.writing -= 1


class YearLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is `now_s`, which begins at 0."""

    def __init__(self) -> None:
        super().__init__(_Hurried(self))
        # Behind half a year a second has no billionth part any more, and what is due now would never be due.
        self._clock_resolution = 0.001
        self.now_s = 0.0
        self.is_writing: Callable[[], bool] = lambda: False
        self.is_sending: Callable[[], bool] = lambda: False

    def time(self) -> float:
        return self.now_s


class _Hurried(selectors.DefaultSelector):
    def __init__(self, loop: YearLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self._loop.is_writing():
            return super().select(60)
        assert timeout is not None, "nothing will ever happen again"
        step_s = BUSY_S if self._loop.is_sending() else IDLE_S
        # To the next step behind the nearest timer: what is due at about the same time happens in one turn.
        steps = ceil((self._loop.now_s + timeout) / step_s)
        self._loop.now_s = max(steps, self._loop.now_s // step_s + 1) * step_s
        return super().select(0)


class YearModem:
    """The modem of one SIM, as the scheduler knows modems.  `air_s` draws how long each part takes."""

    def __init__(
        self,
        sim: int,
        loop: YearLoop,
        now_ms: Callable[[], int],
        air_s: Callable[[], float],
        ledger: list[Given],
    ) -> None:
        self.port = f"/dev/year{sim % 100}"
        self.imsi = str(sim)
        self._sim = sim
        self._loop = loop
        self._now_ms = now_ms
        self._air_s = air_s
        self._ledger = ledger
        self._scheduler: Any = None
        self._ahead: Submission | None = None
        self._on_line: Submission | None = None
        self._timer: asyncio.Handle | None = None
        self._reference = 0

    @property
    def is_sending(self) -> bool:
        return self._on_line is not None

    def plug(self, scheduler: Any) -> None:
        """Come into service."""
        self._scheduler = scheduler
        scheduler.on_wanted(self)

    def cut(self) -> None:
        """The process that speaks to it is no more: what is on the line goes, and nobody hears of it."""
        if self._on_line is not None and self._on_line.stage == GIVEN:
            self._reference = (self._reference + 1) % 256
        self._scheduler = self._ahead = self._on_line = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def withdraw(self, job: Submission) -> bool:
        return job.withdraw()

    def give(self, job: Submission) -> None:
        if job.is_withdrawn:
            self._loop.call_soon(self._ask)
            return
        assert self._ahead is None or self._ahead.is_withdrawn, "a job is ahead"
        self._ahead = job
        if self._on_line is None:
            self._begin()
            self._ask()

    def _ask(self) -> None:
        if self._ahead is None and self._scheduler is not None:
            self._scheduler.on_wanted(self)

    def _begin(self) -> None:
        job, self._ahead = self._ahead, None
        if job is None or not job.begin():
            return
        self._on_line = job
        self._timer = self._loop.call_soon(self._prompt)

    def _prompt(self) -> None:
        job = self._on_line
        assert job is not None
        job.hear(PROMPT, self._loop.time())
        self._scheduler.on_given(self, job)
        self._ledger.append(Given(self._now_ms(), self._sim, *read(job.pdu)))
        self._timer = self._loop.call_later(self._air_s(), self._end)

    def _end(self) -> None:
        job = self._on_line
        assert job is not None
        self._reference = (self._reference + 1) % 256
        job.hear(Info(f"+CMGS: {self._reference}"), self._loop.time())
        job.hear(OK, self._loop.time())
        assert job.outcome == self._reference
        self._on_line, self._timer = None, None
        self._begin()
        self._scheduler.on_done(self, job)
        self._ask()
