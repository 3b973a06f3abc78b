"""Delay: how long what may go now has waited, and an alert when that is too long.

What counts, by lane:

* otp, high, normal: a message that is due and that the gate would let go is late since it came due; one of which parts
  went, since the last of them.  A pause, quiet hours, a cap and a missing route are no delay: the gate is asked.  A
  quota that is used up is one, and so is a SIM that is gone: whoever is to be texted soon does not care why not.
* bulk: a campaign may take a day and be on time, so that its age says nothing.  It is late when nothing at all was
  given to any modem for so long, although some of it may go.  SIMs that have all sent what their quotas allow are on
  time as well.
* what went: from coming due to being claimed for a modem, of the last minute, without bulk.  95 of 100 were quicker
  than `p95_ms`.

The alert is the event `rack.delay`, at most once in REPEAT_MS while it lasts, and `rack.delay_over` when it is over.
Nothing else is ever written, and what is late is looked for in snapshots, a little at a time.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice, takewhile
from math import ceil
from typing import Final, Protocol

from engine.errors import StoreError
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import events, messages, sheets
from engine.traffic.message import Gate, Lane, Message
from engine.traffic.messages import DUE, GROUPS
from engine.traffic.settling import Claimed

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0
REPEAT_MS: Final = 15 * 60_000
LATELY_MS: Final = 60_000
LATELY_MOST: Final = 2_000  # parts
ASKED_MOST: Final = 5_000  # messages of a lane about which the gate is asked in one look
ASKED_TOGETHER: Final = 100
ROWS_ASKED: Final = 50  # of each campaign

SUBJECT: Final = "rack"
_ABOVE_BULK: Final = tuple(lane for lane in Lane if lane < Lane.BULK)


@dataclass(frozen=True, slots=True)
class Delay:
    """How late it is: the oldest of each lane, what went lately, and what that may be due to."""

    oldest_ms: dict[Lane, int]
    p95_ms: int
    waiting_parts: int
    modems_ready: int

    @property
    def worst_ms(self) -> int:
        """The oldest of all lanes."""
        return max(self.oldest_ms.values())


@dataclass(slots=True)
class Lately:
    """What was claimed for modems: when last, and how long what stands above bulk had waited."""

    last_ms: int = 0
    _delays: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=LATELY_MOST))  # when, how long

    def claimed(self, claims: Iterable[Claimed | None], now_ms: int) -> None:
        """These were; None is a row of a campaign that goes."""
        for claim in claims:
            if claim is None:
                self.last_ms = now_ms
            elif claim.verdict.sends and claim.message is not None:
                self.last_ms = now_ms
                # Parts that follow others wait for these, and not for a modem.
                if claim.message.lane < Lane.BULK and not claim.message.on_line_ms(now_ms):
                    self._delays.append((now_ms, max(0, now_ms - claim.message.due_ms)))

    def p95_ms(self, now_ms: int) -> int:
        """What 95 of 100 were quicker than in the last minute; 0 where nothing went."""
        delays = sorted(delay_ms for at_ms, delay_ms in self._delays if 0 <= now_ms - at_ms < LATELY_MS)
        return delays[ceil(0.95 * len(delays)) - 1] if delays else 0


class Line(Protocol):
    """What the scheduler tells."""

    @property
    def lately(self) -> Lately: ...
    @property
    def is_full(self) -> bool: ...
    def parts_in(self, lane: Lane) -> int: ...


class DelayWatch:
    """Looks every few seconds; `judge` is the gate for whoever only wants to know."""

    def __init__(
        self,
        store: Store,
        line: Line,
        judge: Gate,
        now_ms: Callable[[], int],
        modems_ready: Callable[[], int],
        alert_s: float,
    ) -> None:
        self._store = store
        self._line = line
        self._judge = judge
        self._now_ms = now_ms
        self._modems_ready = modems_ready
        self._alert_ms = round(alert_s * 1000)
        self._bell = asyncio.Event()
        self._watching = asyncio.Lock()
        self._moved_ms = 0  # until when no bulk was kept from going, as far as was seen; 0 before the first look
        self._began_ms = 0  # of what the last alert is about, 0: there is none
        self._told_ms = 0

    def nudge(self) -> None:
        """The clock was set: look at once."""
        self._bell.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._bell.clear()
            try:
                await self.watch()
            except StoreError as error:
                log.error("nobody is told of delays while the store refuses: %s", error)
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def watch(self) -> None:
        """Look once, and tell what is news.  Raises StoreError."""
        async with self._watching:  # nobody is told twice
            await self._watch()

    async def _watch(self) -> None:
        delay, now_ms = await self.look(), self._now_ms()
        worst_ms = max(delay.worst_ms, delay.p95_ms)
        if worst_ms > self._alert_ms:
            began_ms = self._began_ms or now_ms - worst_ms
            # Also where the clock was set back.
            if not self._began_ms or abs(now_ms - self._told_ms) >= REPEAT_MS:
                await self._store.write(_tell, delay, now_ms)
                self._began_ms, self._told_ms = began_ms, now_ms
        elif self._began_ms:
            await self._store.write(_tell_over, max(0, now_ms - self._began_ms), now_ms)
            self._began_ms = 0

    async def look(self) -> Delay:
        """How late it is.  Raises StoreError."""
        now_ms, line = self._now_ms(), self._line
        oldest_ms = {lane: await self._oldest_ms(lane, now_ms) for lane in _ABOVE_BULK}
        oldest_ms[Lane.BULK] = await self._still_ms(now_ms)
        waiting = sum(line.parts_in(lane) for lane in Lane)
        return Delay(oldest_ms, line.lately.p95_ms(now_ms), waiting, self._modems_ready())

    async def _oldest_ms(self, lane: Lane, now_ms: int) -> int:
        """How long the oldest message with a record has waited that may go; 0 where there is none."""
        after, asked, together, oldest_ms = None, 0, 1, 0
        while asked < ASKED_MOST:
            with self._store.read() as txn:
                keys = [key for key, _ in islice(DUE.scan(txn, lane, after=after), together)]
                due = list(takewhile(lambda key: key[1] <= now_ms, keys))
                for message in self._may_go(txn, _found(txn, due), now_ms):
                    begun_ms = message.on_line_ms(now_ms)
                    oldest_ms = max(oldest_ms, now_ms - max(message.due_ms, begun_ms))
                    if not begun_ms:
                        return oldest_ms  # all others are younger
            if len(due) < together:
                return oldest_ms
            after, asked, together = due[-1], asked + together, ASKED_TOGETHER
            await asyncio.sleep(0)
        return oldest_ms

    def _may_go(self, txn: Txn, some: list[Message], now_ms: int) -> list[Message]:
        waiting = [message for message in some if message.expires_ms > now_ms]
        if not waiting:
            return []
        verdicts = self._judge(txn, waiting, now_ms)
        return [message for message, verdict in zip(waiting, verdicts, strict=True) if verdict.sends]

    async def _still_ms(self, now_ms: int) -> int:
        """For how long nothing went although some bulk may; 0 where that is not so."""
        line = self._line
        if not line.parts_in(Lane.BULK) or line.is_full:
            self._moved_ms = now_ms
            return 0
        self._moved_ms = min(max(self._moved_ms or now_ms, line.lately.last_ms), now_ms)
        still_ms = now_ms - self._moved_ms
        if still_ms > self._alert_ms and not (self._any_row(now_ms) or await self._oldest_ms(Lane.BULK, now_ms)):
            self._moved_ms = now_ms
            return 0
        return still_ms

    def _any_row(self, now_ms: int) -> bool:
        """Whether any of the first rows of the campaigns may go."""
        with self._store.read() as txn:
            return any(
                self._may_go(txn, [row for row in rows if row is not None], now_ms)
                for rows in sheets.first_waiting(txn, GROUPS, ROWS_ASKED)
            )


def _found(txn: Txn, keys: list[tuple[int, int, int]]) -> list[Message]:
    found = [messages.find(txn, identifier) for _, _, identifier in keys]
    return [message for message in found if message is not None]


def _tell(txn: Txn, delay: Delay, now_ms: int) -> None:
    events.append(
        txn, "rack.delay", now_ms, SUBJECT,
        oldest_s=delay.worst_ms // 1000, p95_s=delay.p95_ms // 1000, waiting_parts=delay.waiting_parts,
        modems_ready=delay.modems_ready,
    )  # fmt: skip


def _tell_over(txn: Txn, lasted_ms: int, now_ms: int) -> None:
    events.append(txn, "rack.delay_over", now_ms, SUBJECT, lasted_s=lasted_ms // 1000)
