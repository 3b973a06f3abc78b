"""The life of one Siemens TC35i: wake, PIN, register, ready, send, receive, lost, and back.

One task per modem lives here.  It steps aside while parts are sent: then the line's own callbacks carry
one part after the other (`engine._exchange`), the next of which waits there already, and wake the task only
for what is not a part.  Knows nothing of other modems, and not what a PDU says.

Who has the modem is its `phase`: OUT of service; BUSY with the task; RESTING, nobody's, for the gap; FREE,
nobody's; SENDING a submission.

What must be done is done in this order: faults, received records, housekeeping, the job ahead, rest.  When
something goes wrong the modem climbs: ESC and AT, the settings again, AT+CFUN=1,1, the port opened again,
quarantine.  Every success lets it begin at the bottom the next time.
"""

import asyncio
import contextlib
import logging
import traceback
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from engine._exchange import BUSY, FREE, OUT, RESTING, SENDING, Hand
from engine.errors import CommandRefused, Conflict, ModemError, ModemLost, ModemSilent, SubmitRefused
from engine.modem import startup
from engine.modem.at import Indication, News
from engine.modem.dialogue import Dialogue
from engine.modem.inbox import Inbox
from engine.modem.ladder import Fault, Ladder, Rung
from engine.modem.port import Port, Switchboard
from engine.modem.settings import ModemSettings
from engine.modem.submission import AHEAD, Submission
from engine.rack import ModemView

log = logging.getLogger(__name__)

# A modem that says ^SYSSTART again and again while it is being set up has a weak supply.
STARTS_AT_MOST = 3


class Modem(Hand):
    """A TC35i on `port` with the SIM `imsi` (empty until it is known), driven by the task that `run` is.

    It takes one job ahead of the one on the line, and begins it in the very callback that hears the end of
    that one.  `Pool.attach` says what it calls and when.  `claim_sim` answers with the port that has the SIM
    already, or None, and from then on this one has it.  `board` watches its line for the loop.
    """

    exchange: Dialogue | None

    def __init__(
        self,
        port: str,
        settings: ModemSettings,
        now_ms: Callable[[], int],
        *,
        on_wanted: Callable[["Modem"], None],
        on_done: Callable[["Modem", Submission], None],
        on_lost: Callable[["Modem"], None],
        on_received: Callable[[str, str, str, int], Awaitable[None]],
        on_change: Callable[[ModemView], None],
        claim_sim: Callable[["Modem", str], str | None],
        on_given: Callable[["Modem", Submission], None] | None = None,
        board: Switchboard | None = None,
    ) -> None:
        super().__init__(on_wanted, on_done, on_given)
        self.port = port
        self.imsi = ""
        self._settings = settings
        self._now_ms = now_ms
        self._board = board
        self._on_lost = on_lost
        self._on_received = on_received
        self._on_change = on_change
        self._claim_sim = claim_sim
        self._inbox = Inbox(self._receive)
        self._surroundings = startup.Surroundings(None, "", "")
        self._state = "lost"
        self._detail = "no such port"
        self._since_ms = now_ms()
        self._refused = 0
        self._line_is_free: asyncio.Future[None] | None = None
        self._bell = asyncio.Event()
        self._unplugged = asyncio.Event()
        self._fault: ModemError | None = None
        self._ladder = Ladder(settings.quarantine_first_s, settings.quarantine_limit_s)
        self._questions = (self._check_listening, self._check_network, self._look_at_signal, self._look_for_missed)
        self._next_question = 0
        self._answered = 0  # in a row, since it is in service
        self._poll_is_due = False
        self._poll_timer: asyncio.TimerHandle | None = None
        self._must_set_line = False
        self._is_ringing = False
        self._has_restarted = False
        self._is_started = False
        self._has_sim = False
        self._refused_pins: set[str] = set()

    @property
    def has_sim(self) -> bool:
        """Whether the SIM `imsi` is here now, as far as anybody can tell."""
        return self._has_sim

    def view(self) -> ModemView:
        """What the modem is doing now."""
        around = self._surroundings
        return ModemView(
            port=self.port,
            imsi=self.imsi,
            state="sending" if self.phase == SENDING else self._state,
            detail=self._detail,
            signal_dbm=around.signal_dbm,
            operator=around.operator,
            service_centre=around.service_centre,
            sent=self.sent,
            refused=self._refused,
            received=self._inbox.received,
            since_ms=self._since_ms,
        )

    def withdraw(self, job: Submission) -> bool:
        """Whether nothing of `job` was written, and nothing ever will be.  From any thread.

        Then nothing more is told of it, and another may be given in its place.
        """
        return job.withdraw()

    async def run(self) -> None:
        """Live on the port until it is unplugged.  What fails is recovered: only CancelledError leaves it."""
        self._unplugged.clear()
        self._ladder.reset()
        while not self._unplugged.is_set():
            try:
                await self._live()
            except Exception as crash:  # noqa: BLE001  our own fault, or a callback's: the other modems go on
                # The text may hold digits of a PDU or a number: only the place is told.
                log.error("%s: %s at %s", self.port, type(crash).__name__, _place(crash))
                # From the loop: it may be on_change itself that fails.
                show = partial(self._show, "quarantined", f"internal error: {type(crash).__name__}")
                asyncio.get_running_loop().call_soon(show)
                await self._wait_unplugged(self._settings.quarantine_limit_s)

    def unplug(self) -> None:
        """The port's name has gone: end `run`, at once."""
        if not self._unplugged.is_set():
            self._unplugged.set()
            self._line_lost("unplugged")

    async def retire(self, grace_s: float) -> None:
        """Take no more jobs, and give the one on the line `grace_s` seconds to end; the one ahead is not sent."""
        self.is_retiring = self.is_held = True
        self._drop_ahead("closing")
        if self.phase == SENDING:
            self._line_is_free = self._line_is_free or asyncio.get_running_loop().create_future()
            await asyncio.wait([self._line_is_free], timeout=grace_s)
        self._leave_service("closing")

    # Opening and starting.  Only the task runs these.

    async def _live(self) -> None:
        """One opening of the port, to its end, and the wait that follows."""
        rung, detail = Rung.WAKE, ""
        try:
            await self._attach()
        except ModemError as trouble:
            rung, detail = self._climb(trouble), str(trouble)
        finally:
            self._detach()
        if rung >= Rung.QUARANTINE and not self._unplugged.is_set():
            await self._sit_out(detail)
        if self._unplugged.is_set():
            self._show("lost", "no such port")

    async def _attach(self) -> None:
        """Open the port, start the modem, serve; climb as far as an open port allows, then raise."""
        self._show("opening", "")
        port = Port.open(self.port, self._settings.baud, self._settings.hardware_flow, self._board)
        given = self.given if self.on_given is not None else None
        dialogue = self.exchange = Dialogue(port, self._settings, self._heard, self.submitted, given)
        port.on_lost = self._line_lost
        self._fault = None
        self._is_started = False
        step: Callable[[Dialogue], Awaitable[None]] = self._start
        while True:
            try:
                await step(dialogue)
                await self._serve(dialogue)
            except (ModemSilent, CommandRefused, Fault) as trouble:
                self._fault = None
                self._leave_service(str(trouble))
                if self._ladder.look(trouble, self._is_started) >= Rung.REOPEN:
                    raise
                step = (self._rouse, self._start, self._restart)[self._climb(trouble)]

    async def _rouse(self, dialogue: Dialogue) -> None:
        """The lowest rung: the line in step again, nothing set anew unless the modem has forgotten it."""
        self._show("starting", "answers again?")
        await startup.wake(dialogue, self._settings)
        if not await startup.is_listening(dialogue):
            await self._start(dialogue)
        self._inbox.note_list()

    async def _restart(self, dialogue: Dialogue) -> None:
        self._show("starting", "restarting the module")
        await startup.restart(dialogue, self._settings)
        await self._start(dialogue)

    async def _start(self, dialogue: Dialogue) -> None:
        self._is_started = False
        for _ in range(STARTS_AT_MOST):
            await self._start_once(dialogue)
            if not self._has_restarted:
                self._is_started = True
                return
        raise Fault("restarts again and again", Rung.QUARANTINE)

    async def _start_once(self, dialogue: Dialogue) -> None:
        settings = self._settings
        self._show("starting", "")
        await startup.wake(dialogue, settings)
        # Before this, ^SYSSTART is the news that it is there; from here on, that the settings are gone.
        self._has_restarted = False
        await startup.set_line(dialogue, settings)
        await startup.unlock(dialogue, settings, self._show, self._refused_pins)
        await startup.find_network(dialogue, settings, self._show)
        self._show("starting", "")
        imsi = await startup.read_imsi(dialogue)
        if (holder := self._claim_sim(self, imsi)) is not None:
            raise Fault(f"the same SIM is in {holder}", Rung.QUARANTINE)
        self.imsi = imsi
        self._has_sim = True
        self._surroundings = await startup.look_around(dialogue)
        await startup.use_all_storage(dialogue)
        await startup.set_messages(dialogue)
        self._must_set_line = False
        self._inbox.forget()
        await self._inbox.collect(dialogue)

    async def _sit_out(self, detail: str) -> None:
        self._show("quarantined", detail)
        wait_s = self._ladder.next_wait_s()
        log.warning("%s is in quarantine for %g s: %s", self.port, wait_s, detail)
        await self._wait_unplugged(wait_s)

    async def _wait_unplugged(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._unplugged.wait(), wait_s)

    def _climb(self, trouble: ModemError) -> Rung:
        rung = self._ladder.climb(trouble, self._is_started)
        log.warning("%s: %s; next: %s", self.port, trouble, rung.name.lower())
        return rung

    def _detach(self) -> None:
        self._has_sim = False
        self._leave_service("port closed")
        if (dialogue := self.exchange) is not None:
            self.exchange = None
            dialogue.close("port closed")

    # In service.  The task runs what is async; the rest, whatever callback of the loop brought the news.

    async def _serve(self, dialogue: Dialogue) -> None:
        """Serve until there is a fault, which is raised."""
        self._bell.clear()
        self.phase = BUSY
        self._answered = 0
        self._show_ready()
        # Modems that began together do not ask together.
        self._set_poll_timer(zlib.crc32(self.port.encode()) / (1 << 32))
        while True:
            await self._attend(dialogue)
            self._rest(dialogue)
            self.ask()
            await self._bell.wait()
            self._bell.clear()

    async def _attend(self, dialogue: Dialogue) -> None:
        """Do everything that waits and is not a part."""
        while self._has_business():
            if self._fault is not None:
                fault, self._fault = self._fault, None
                raise fault
            if self._is_ringing:
                # A call holds the channel that messages go over.
                self._is_ringing = False
                await dialogue.ask_if_known("ATH")
            elif self._must_set_line:
                await startup.set_line(dialogue, self._settings)
                self._must_set_line = False
            elif self._inbox.is_waiting():
                await self._inbox.collect(dialogue)
            else:
                await self._poll(dialogue)

    async def _poll(self, dialogue: Dialogue) -> None:
        """Housekeeping, one question at a time: between two parts there is room for one, not for four."""
        self._poll_is_due = False
        await self._questions[self._next_question](dialogue)
        self._next_question = (self._next_question + 1) % len(self._questions)
        self._answered += 1
        if self._answered >= len(self._questions):
            self._ladder.note_housekeeping()
        self._set_poll_timer(1.0)

    async def _check_listening(self, dialogue: Dialogue) -> None:
        if not await startup.is_listening(dialogue):
            await startup.set_line(dialogue, self._settings)
            await startup.set_messages(dialogue)
            # What came meanwhile was not told.
            self._inbox.note_list()

    async def _check_network(self, dialogue: Dialogue) -> None:
        if not await startup.is_registered(dialogue):
            self._leave_service("no network")
            await startup.find_network(dialogue, self._settings, self._show)
            if self._has_restarted:
                raise Fault("the module restarted", Rung.START)
            self.phase = BUSY
        self._show_ready()

    async def _look_at_signal(self, dialogue: Dialogue) -> None:
        self._surroundings = replace(self._surroundings, signal_dbm=await startup.read_signal(dialogue))

    async def _look_for_missed(self, dialogue: Dialogue) -> None:
        self._inbox.note_list()
        await self._inbox.collect(dialogue)

    def _has_business(self) -> bool:
        return (
            self._fault is not None
            or self._poll_is_due
            or self._is_ringing
            or self._must_set_line
            or self._inbox.is_waiting()
        )

    def _rest(self, dialogue: Dialogue) -> None:
        """Keep the gap, then begin the job ahead.  Without a gap: now, in this very callback."""
        # From here on it is true as soon as there is something: whoever brings business calls the task.
        self.is_held = (
            self._settings.command_gap_ms > 0
            or self.is_retiring
            or not self._ladder.is_at_the_bottom
            or self._has_business()
        )
        if (rest_s := dialogue.rest_s()) > 0:
            self.phase = RESTING
            asyncio.get_running_loop().call_later(rest_s, self._release)
        else:
            self.begin()

    def _release(self) -> None:
        """The gap is over."""
        if self.phase == RESTING:
            self._call_task_if_business()
        if self.phase == RESTING:
            self.begin()
            self.ask()

    def refuse(self, job: Submission) -> None:
        """Drop a job that was withdrawn, end one that was given to a modem out of service: from the loop."""
        if job.is_withdrawn:
            asyncio.get_running_loop().call_soon(self.ask)
        elif job.stage != AHEAD:
            raise Conflict("the job was given before")
        elif self.phase == OUT or self.is_retiring:
            asyncio.get_running_loop().call_soon(self._lose, job, f"{self.port} is not in service")
        else:
            raise Conflict(f"the modem on {self.port} has a job ahead")

    def settle(self, job: Submission) -> None:
        """A submission has its outcome: begin the next or let the task see to what waits, then tell."""
        if isinstance(job.outcome, int):
            self.sent += 1
        elif isinstance(job.outcome, SubmitRefused):
            self._refused += 1
            self._must_set_line = self._must_set_line or job.hid_errors
        fault = self._ladder.note_end(job)
        self._fault = self._fault or fault
        # Otherwise the modem left the service with the part on the line.
        if self.phase == SENDING and self.exchange is not None:
            if self._has_business():
                self.phase = RESTING
                self._call_task()
            else:
                self._rest(self.exchange)
        if self._line_is_free is not None and not self._line_is_free.done():
            self._line_is_free.set_result(None)
        self.on_done(self, job)
        self.ask()

    def _heard(self, line: News) -> None:
        """An unsolicited line, at any moment."""
        if isinstance(line, Indication):
            self._inbox.note_indication(line)
        elif line.text.startswith("^SYSSTART"):
            self._has_restarted = True
            if self.phase != OUT:
                self._fail(Fault("the module restarted", Rung.START))
        elif line.text.startswith("^SHUTDOWN"):
            self._fail(Fault("the module shut down", Rung.QUARANTINE))
        elif line.pdu and not line.text.startswith("+CBM"):
            self._inbox.note_pushed(line)
        elif line.text == "RING" or line.text.startswith("+CRING"):
            self._is_ringing = True
        elif line.text.startswith("^SMGO"):
            self._inbox.note_list()
        self._call_task_if_business()

    def _line_lost(self, reason: str) -> None:
        if self.exchange is not None:
            self._fault = ModemLost(reason)
            self.is_held = True
            self.exchange.end(reason)
            self._call_task()

    def _fail(self, fault: ModemError) -> None:
        """The modem has forgotten what it was asked."""
        self._fault = fault
        self.is_held = True
        if self.exchange is not None:
            self.exchange.break_off(str(fault))
        self._call_task()

    def _call_task_if_business(self) -> None:
        if self._has_business():
            self._call_task()

    def _call_task(self) -> None:
        """Wake the task, unless a submission is on the line: its end will."""
        self.is_held = True
        if self.phase in (FREE, RESTING):
            self.phase = BUSY
            self._bell.set()

    def _poll_now(self) -> None:
        self._poll_is_due = True
        self._call_task_if_business()

    def _set_poll_timer(self, share: float) -> None:
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        wait_s = share * self._settings.poll_s / len(self._questions)
        self._poll_timer = asyncio.get_running_loop().call_later(wait_s, self._poll_now)

    def _leave_service(self, reason: str) -> None:
        if self.phase == OUT:
            return
        on_line = self.phase == SENDING
        self.phase = OUT
        if self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None
        self._poll_is_due = False
        if on_line and self.exchange is not None:
            self.exchange.break_off(reason)
        self._drop_ahead(reason)
        self._on_lost(self)

    def _drop_ahead(self, reason: str) -> None:
        job, self.ahead = self.ahead, None
        if job is not None:
            self._lose(job, reason)

    def _lose(self, job: Submission, reason: str) -> None:
        if job.lose(reason):
            self.on_done(self, job)

    async def _receive(self, pdu: str, length: int) -> None:
        await self._on_received(self.imsi, self.port, pdu, length)

    def _show_ready(self) -> None:
        self._show("ready", "" if self._surroundings.service_centre else "no service centre is set")

    def _show(self, state: str, detail: str) -> None:
        if (state, detail) != (self._state, self._detail):
            self._state, self._detail, self._since_ms = state, detail, self._now_ms()
            log.info("%s: %s %s", self.port, state, detail)
            self._on_change(self.view())


def _place(crash: BaseException) -> str:
    frames = traceback.extract_tb(crash.__traceback__)
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-3:]))
