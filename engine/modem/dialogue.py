"""Questions and answers on one line: one at a time, each with its time-out, unsolicited lines set aside.

Owns who may speak now and what an answer belongs to.  Knows neither which commands there are nor what they
mean.  How a submission goes that nothing disturbs is `engine._exchange`'s.
"""

import asyncio
import math
from collections.abc import Callable

from engine._exchange import Exchange
from engine.errors import CommandRefused, ModemError, ModemLost, ModemSilent
from engine.modem.at import Final, Indication, Info, Line, News, Unsolicited, reader
from engine.modem.port import Port
from engine.modem.settings import ModemSettings
from engine.modem.submission import ASKED, DONE, Submission

ESC = b"\x1b"

# A list of MT, 25 + 50 records, is 150 lines.  What is longer is not an answer, and is not kept.
LONGEST_ANSWER = 1000

# The SIM or the module is busy with itself and asks to be asked again (+CME, +CMS).
BUSY_CME = frozenset({2, 14, 256, 258})
BUSY_CMS = frozenset({256, 258, 314, 522, 532})

_NEWS = (Indication, Unsolicited)


class Dialogue(Exchange):
    """The conversation with one modem.

    `on_heard` gets every unsolicited line as it comes; `on_given`, where there is one, a submission just
    before the first octet of its PDU is written; `on_submitted` a submission whose outcome is known, after
    all lines of the same chunk have been heard, so that an indication beside the outcome is known first.
    """

    wire: Port

    def __init__(
        self,
        port: Port,
        settings: ModemSettings,
        on_heard: Callable[[News], None],
        on_submitted: Callable[[Submission], None],
        on_given: Callable[[Submission], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(
            port,
            reader(),
            self._loop.time,
            settings.prompt_timeout_s,
            settings.result_timeout_s,
            settings.answer_timeout_s,
            on_submitted,
            on_given,
        )
        self._settings = settings
        self._on_heard = on_heard
        self._gap_s = settings.command_gap_ms / 1000
        self._command = ""
        self._answer: list[str] = []
        self._asked: asyncio.Future[list[str]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end_reason = ""
        self._ended = asyncio.Event()

    async def ask(self, command: str, timeout_s: float | None = None) -> list[str]:
        """The lines that answer `command`, without the final OK, once the gap since the last answer is over.

        Raises CommandRefused, ModemSilent after `timeout_s` (default: the settings' answer_timeout_s),
        ModemLost. Errors name the command without its parameters, for one of them is a PIN.
        """
        if (rest_s := self.rest_s()) > 0:
            await self.pause(rest_s)
        if self._ended.is_set():
            raise ModemLost(self._end_reason)
        asked: asyncio.Future[list[str]] = self._loop.create_future()
        self._asked = asked
        self._command = command.partition("=")[0]
        self._answer = []
        self.expect(self.answer_timeout_s if timeout_s is None else timeout_s)
        line = command.encode("ascii")
        self.reader.echo = line
        self.wire.write(line + b"\r")
        try:
            return await asked
        finally:
            self._asked = None

    async def ask_patiently(self, command: str, timeout_s: float | None = None) -> list[str]:
        """As `ask`, but a modem that says it is busy is asked again, for at most the settings'
        busy_limit_s.
        """
        give_up_s = self._loop.time() + self._settings.busy_limit_s
        while True:
            try:
                return await self.ask(command, timeout_s)
            except CommandRefused as refused:
                is_busy = refused.cme in BUSY_CME or refused.cms in BUSY_CMS
                if not is_busy or self._loop.time() >= give_up_s:
                    raise
            await self.pause(self._settings.busy_wait_s)

    async def ask_if_known(self, command: str, timeout_s: float | None = None) -> list[str]:
        """As `ask_patiently`, but a command that the modem refuses has an empty answer."""
        try:
            return await self.ask_patiently(command, timeout_s)
        except CommandRefused:
            return []

    def rest_s(self) -> float:
        """How long the gap behind the last final result still lasts; 0 or less: speak."""
        if not self._gap_s:
            return 0.0
        return self.final_s + self._gap_s - self._loop.time()

    async def hush(self) -> None:
        """Abort a prompt that may be open, then let everything that is still being said pass unheard."""
        self.wire.forget_backlog()
        # ESC ends the prompt; CR ends whatever line stood before it.
        self.wire.write(ESC + b"\r")
        await self.settle()

    async def settle(self) -> None:
        """Wait until the modem has said nothing for settle_s: a late answer must not be taken for the next
        one.
        """
        for _ in range(20):
            await self.pause(self._settings.settle_s)
            if self._loop.time() - self.heard_s >= self._settings.settle_s:
                return

    async def pause(self, pause_s: float) -> None:
        """Let `pause_s` pass.  Raises ModemLost as soon as the line goes."""
        try:
            await asyncio.wait_for(self._ended.wait(), pause_s)
        except TimeoutError:
            return
        raise ModemLost(self._end_reason)

    def break_off(self, reason: str) -> None:
        """End what is being asked or submitted: the modem does not remember it."""
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(ModemLost(reason))
        # What it counts as not written must not be written behind it.
        self.wire.forget_backlog()
        if (submission := self.submission) is not None and submission.stage != DONE:
            submission.break_off(reason, self.wire.written)
            self.finish(submission)

    def end(self, reason: str) -> None:
        """Break off, and refuse every further question: the line is gone."""
        self._end_reason = reason
        self._ended.set()
        self.break_off(reason)

    def close(self, reason: str) -> None:
        """End, and let go of the port."""
        self.end(reason)
        if self._timer is not None:
            self._timer.cancel()
        self.wire.close()

    def heed(self, line: Line) -> None:
        """A line that belongs to no submission: news, or to what was asked."""
        if isinstance(line, _NEWS):
            self._on_heard(line)
        elif self._asked is not None:
            if isinstance(line, Final):
                self._conclude(line)
            elif isinstance(line, Info) and len(self._answer) < LONGEST_ANSWER:
                self._answer.append(line.text)

    def watch(self, deadline_s: float) -> None:
        """Look at `deadline_s` whether it is still the deadline."""
        if self._timer is not None:
            self._timer.cancel()
        self.watch_s = deadline_s
        self._timer = self._loop.call_at(deadline_s, self._look)

    def _conclude(self, final: Final) -> None:
        self.final_s = self._loop.time()
        if self._asked is None or self._asked.done():
            return
        if final.ok:
            self._asked.set_result(self._answer)
        else:
            self._asked.set_exception(CommandRefused(self._command, final.cme, final.cms))
        self._asked = None

    def _look(self) -> None:
        self._timer = None
        self.watch_s = math.inf
        if self._asked is None and self.submission is None:
            return
        if self._loop.time() < self.deadline_s:
            self.watch(self.deadline_s)
            return
        if (submission := self.submission) is not None:
            self.wire.forget_backlog()
            if submission.stage == ASKED:
                # A prompt that comes now must not stay open: it would swallow the next command.
                self.wire.write(ESC)
            submission.time_out(self.timeout_s, self.wire.written)
            self.finish(submission)
        elif self._asked is not None and not self._asked.done():
            silent: ModemError = ModemSilent(self._command, self.timeout_s)
            self._asked.set_exception(silent)
