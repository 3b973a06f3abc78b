"""Questions and answers on one line: one at a time, each with its time-out, unsolicited lines set aside.

Owns who may speak now and what an answer belongs to.  Knows neither which commands there are nor what they
mean.
"""

import asyncio
from collections.abc import Callable

from engine.errors import CommandRefused, ModemError, ModemLost, ModemSilent
from engine.modem.at import Final, Indication, Info, News, Unsolicited, reader
from engine.modem.port import Port
from engine.modem.settings import ModemSettings
from engine.modem.submission import ACCEPTED, ASKED, DONE, Submission

ESC = b"\x1b"

# A list of MT, 25 + 50 records, is 150 lines.  What is longer is not an answer, and is not kept.
LONGEST_ANSWER = 1000

# The SIM or the module is busy with itself and asks to be asked again (+CME, +CMS).
BUSY_CME = frozenset({2, 14, 256, 258})
BUSY_CMS = frozenset({256, 258, 314, 522, 532})

_NEWS = (Indication, Unsolicited)


class Dialogue:
    """The conversation with one modem.

    `on_heard` gets every unsolicited line as it comes; `on_given`, where there is one, a submission just
    before the first octet of its PDU is written; `on_submitted` a submission whose outcome is known, after
    all lines of the same chunk have been heard, so that an indication beside the outcome is known first.
    """

    def __init__(
        self,
        port: Port,
        settings: ModemSettings,
        on_heard: Callable[[News], None],
        on_submitted: Callable[[Submission], None],
        on_given: Callable[[Submission], None] | None = None,
    ) -> None:
        self._port = port
        self._settings = settings
        self.answer_timeout_s = settings.answer_timeout_s
        self._on_heard = on_heard
        self._on_submitted = on_submitted
        self._on_given = on_given
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._reader = reader()
        self._gap_s = settings.command_gap_ms / 1000
        self._command = ""
        self._answer: list[str] = []
        self._asked: asyncio.Future[list[str]] | None = None
        self._submission: Submission | None = None
        self._timeout_s = 0.0
        self._deadline_s = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._watch_s = 0.0
        self._final_s = 0.0
        self._heard_s = 0.0
        self._end_reason = ""
        self._ended = asyncio.Event()
        port.on_octets = self._hear

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
        self._expect(self._settings.answer_timeout_s if timeout_s is None else timeout_s)
        line = command.encode("ascii")
        self._reader.echo = line
        self._port.write(line + b"\r")
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

    def submit(self, submission: Submission) -> bool:
        """Begin an AT+CMGS at once; the caller has kept the gap (`rest_s`).  False if it was withdrawn."""
        command = submission.begin()
        if not command:
            return False
        self._submission = submission
        self._expect(self._settings.prompt_timeout_s)
        self._reader.echo = command[:-1]
        self._port.write(command)
        return True

    def rest_s(self) -> float:
        """How long the gap behind the last final result still lasts; 0 or less: speak."""
        if not self._gap_s:
            return 0.0
        return self._final_s + self._gap_s - self._loop.time()

    async def hush(self) -> None:
        """Abort a prompt that may be open, then let everything that is still being said pass unheard."""
        self._port.forget_backlog()
        # ESC ends the prompt; CR ends whatever line stood before it.
        self._port.write(ESC + b"\r")
        await self.settle()

    async def settle(self) -> None:
        """Wait until the modem has said nothing for settle_s: a late answer must not be taken for the next
        one.
        """
        for _ in range(20):
            await self.pause(self._settings.settle_s)
            if self._loop.time() - self._heard_s >= self._settings.settle_s:
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
        if (submission := self._submission) is not None and submission.stage != DONE:
            submission.break_off(reason, self._port.written)
            self._finish(submission)

    def end(self, reason: str) -> None:
        """Break off, and refuse every further question: the line is gone."""
        self._end_reason = reason
        self._ended.set()
        self.break_off(reason)

    def close(self, reason: str) -> None:
        """End, and let go of the port."""
        self.end(reason)
        if self._watch is not None:
            self._watch.cancel()
        self._port.close()

    def _hear(self, octets: bytes) -> None:
        now_s = self._heard_s = self._time()
        submission = self._submission
        for line in self._reader.feed(octets):
            if submission is not None and (reply := submission.hear(line, now_s)) is not None:
                if reply:
                    self._give(submission, reply, now_s)
            elif isinstance(line, _NEWS):
                self._on_heard(line)
            elif self._asked is not None:
                if isinstance(line, Final):
                    self._conclude(line)
                elif isinstance(line, Info) and len(self._answer) < LONGEST_ANSWER:
                    self._answer.append(line.text)
        if submission is not None and submission is self._submission:
            stage = submission.stage
            if stage == DONE:
                self._final_s = now_s
                self._finish(submission)
            elif stage == ACCEPTED:
                # The reference is here, so its OK is on the way or lost: no reason to wait for the network.
                self._expect(self._settings.answer_timeout_s)

    def _give(self, submission: Submission, reply: bytes, now_s: float) -> None:
        """The prompt is open: write the PDU."""
        port = self._port
        submission.written_before = port.written
        self._reader.echo = submission.pdu
        self._timeout_s = timeout_s = self._settings.result_timeout_s
        self._deadline_s = now_s + timeout_s
        if self._on_given is not None:
            self._on_given(submission)
        port.write(reply)

    def _conclude(self, final: Final) -> None:
        self._final_s = self._loop.time()
        if self._asked is None or self._asked.done():
            return
        if final.ok:
            self._asked.set_result(self._answer)
        else:
            self._asked.set_exception(CommandRefused(self._command, final.cme, final.cms))
        self._asked = None

    def _finish(self, submission: Submission) -> None:
        self._submission = None
        self._on_submitted(submission)

    def _expect(self, timeout_s: float) -> None:
        """Set the deadline.  The timer itself is moved only when it would come too late.

        At thousands of submits per second a timer for each, always cancelled, is a tenth of the work.
        """
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s = self._time() + timeout_s
        if self._watch is None or self._watch_s > deadline_s:
            if self._watch is not None:
                self._watch.cancel()
            self._watch_s = deadline_s
            self._watch = self._loop.call_at(deadline_s, self._look)

    def _look(self) -> None:
        self._watch = None
        if self._asked is None and self._submission is None:
            return
        if self._loop.time() < self._deadline_s:
            self._watch_s = self._deadline_s
            self._watch = self._loop.call_at(self._deadline_s, self._look)
            return
        if (submission := self._submission) is not None:
            self._port.forget_backlog()
            if submission.stage == ASKED:
                # A prompt that comes now must not stay open: it would swallow the next command.
                self._port.write(ESC)
            submission.time_out(self._timeout_s, self._port.written)
            self._finish(submission)
        elif self._asked is not None and not self._asked.done():
            silent: ModemError = ModemSilent(self._command, self._timeout_s)
            self._asked.set_exception(silent)
