"""The scheduler: store → queue → gate → pool → store.

Rules of this file:

1. Nobody calls it: it follows the commits.  What enters or leaves the due line in the store does so in memory.
2. One change a turn: it carries the outcomes of the parts that landed and the intents of those that go next.
3. A PDU is given to a modem only after the commit that holds its intent.
4. An outcome is kept until a commit has taken it, whatever the disk says meanwhile.
5. The parts of a message follow one another on one SIM; only an `otp` message comes between.

Knows nothing about people: times reach it as due times and deadlines, rules as the gate's verdicts.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from engine import numbers, sms
from engine._queue import DueLine
from engine.errors import ModemError, StoreError, SubmitRefused, SubmitUnknown
from engine.modem.pool import Modem, Submission
from engine.store.environment import Store
from engine.store.table import Note, Txn
from engine.traffic import intents, messages, receipts, retry, sheets
from engine.traffic.intents import Claimed
from engine.traffic.messages import DUE, GROUPS, Due, Feed, Gate, Message, Pick, Sending, State
from engine.traffic.rests import Rests
from engine.traffic.sheets import Feeding

log = logging.getLogger(__name__)

FEED_PARTS: Final = 100  # one feeding's size: a few milliseconds of the writer's time
CANCEL_CHUNK: Final = 200
RATE_WINDOW_S: Final = 20
SEED_PARTS_PER_MINUTE: Final = 8  # what a modem is taken to do until it has shown what it can
STORE_PAUSE_S: Final = 1.0
LONGEST_SLEEP_S: Final = 5.0


@dataclass(slots=True)
class Flight:
    """A part that was given to a modem; `more` says that its message has parts still to go."""

    message: int
    part: int
    sim: int
    attempt: int
    more: bool


class Landed(NamedTuple):
    """What came of a flight: the modem's reference, or why there is none."""

    flight: Flight
    reference: int
    error: ModemError | None


def settle(txn: Txn, landed: list[Landed], picks: list[Pick], now_ms: int, gate: Gate, random: Random) -> list[Claimed]:
    """One turn's change: the outcomes of what landed, then the intents of what goes next."""
    for flight, reference, error in landed:
        if error is None:
            intents.mark_sent(txn, flight.message, flight.part, reference, now_ms)
        elif isinstance(error, SubmitRefused):
            decision = retry.decide(error.cms, error.cme, flight.attempt, random)
            intents.mark_refused(txn, flight.message, flight.part, decision, error.cms, now_ms)
        elif isinstance(error, SubmitUnknown):
            intents.mark_unknown(txn, flight.message, flight.part, error.reason, now_ms)
        else:
            intents.put_back(txn, flight.message, flight.part, now_ms)
        receipts.catch_up(txn, flight.sim, now_ms)
    return intents.claim(txn, picks, now_ms, gate)


def recover(txn: Txn, now_ms: int) -> int:
    """What the last run left in the air becomes unknown, unless a report has told of it; how many parts that were."""
    unknown = intents.recover(txn, now_ms)
    receipts.catch_up_all(txn, now_ms)
    return unknown


class Scheduler:
    """Keeps every free modem busy with what may go next."""

    def __init__(
        self, store: Store, gate: Gate, feed: Feed, now_ms: Callable[[], int], feed_ahead_s: float, random: Random
    ) -> None:
        self._store = store
        self._gate = gate
        self._feed = feed
        self._now_ms = now_ms
        self._feed_ahead_s = feed_ahead_s
        self._random = random
        self._line = DueLine()
        self._free: dict[str, Modem] = {}
        self._modems: set[str] = set()
        self._flying: dict[int, Flight] = {}
        self._landed: list[Landed] = []
        # Messages whose SIM is fixed: those under way on it (left) before those that came back (right).
        self._pins: dict[int, int] = {}
        self._pinned: dict[int, deque[int]] = {}
        # Messages of cancelled groups, in chunks: out of the line, and not yet cancelled in the store.
        self._cancelling: deque[list[int]] = deque()
        self._rests = Rests()
        self._dry = False
        self._hungry = asyncio.Event()
        self._wake = asyncio.Event()
        self._accepted: deque[tuple[int, int]] = deque()
        self._turning = False
        self._stopping = False
        store.follow(self._follow)

    # -- what the modems tell

    def on_wanted(self, modem: Modem) -> None:
        """A modem can take a part; nothing is given ahead."""
        if not modem.is_free:
            return
        self._modems.add(modem.port)
        self._free[modem.port] = modem
        self._wake.set()

    def on_done(self, _: Modem, job: Submission) -> None:
        """A part has its outcome."""
        self._land(job.tag, job.outcome)

    def on_lost(self, modem: Modem) -> None:
        """A modem is gone; what it had in flight lands as an error of its own."""
        self._modems.discard(modem.port)
        self._free.pop(modem.port, None)

    # -- what the store tells

    def _follow(self, notes: list[Note]) -> None:
        for line, key, value in notes:
            if line == DUE.name:
                self._line_up(key[0], key[1], key[2], value)
            elif line == GROUPS.name:
                self._regroup(key[0], value)
            elif line == sheets.FEEDING:
                self._take_rows(key[0], value)
            else:
                continue
            self._wake.set()

    def _line_up(self, lane: int, due_ms: int, identifier: int, due: Due | None) -> None:
        if due is None:
            self._line.remove(identifier)
            self._pins.pop(identifier, None)
        elif identifier in self._flying:
            self._flying[identifier].more = True
        else:
            if due.sim:
                self._pins[identifier] = due.sim
            self._line.push(identifier, due.group, lane, due_ms, due.parts, due.weight)

    def _take_rows(self, group: int, feeding: Feeding) -> None:
        for identifier, _, parts in feeding.rows:
            self._line.push(identifier, group, feeding.lane, feeding.due_ms, parts, feeding.weight)

    def _regroup(self, group: int, sending: str | None) -> None:
        if sending == Sending.PAUSED:
            self._line.park(group)
            return
        self._line.unpark(group)
        if sending == Sending.CANCELLED:
            gone = self._line.drop(group)
            for begin in range(0, len(gone), CANCEL_CHUNK):
                self._cancelling.append(gone[begin : begin + CANCEL_CHUNK])
        self._dry = False
        self._hungry.set()

    def nudge(self) -> None:
        """The clock was set: look again at what is due."""
        self._dry = False
        self._hungry.set()
        self._wake.set()

    # -- what others may ask

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight, nothing landed waits for a commit, and nothing due could go."""
        next_due = self._line.next_due_ms()
        if self._cancelling or any(self._pinned.values()):
            return False
        return not (self._flying or self._landed or self._turning) and (
            len(self._line) == 0 or (next_due is not None and next_due > self._now_ms())
        )

    @property
    def waiting_parts(self) -> int:
        """Parts that could go now, were there modems enough."""
        return self._line.ready_parts(self._now_ms())

    def rate_per_s(self) -> float:
        """Parts the rack sends a second, as measured lately; until then what its modems are taken to do."""
        now_s = self._now_ms() // 1000
        while self._accepted and self._accepted[0][0] < now_s - RATE_WINDOW_S:
            self._accepted.popleft()
        measured = sum(parts for _, parts in self._accepted)
        seeded = len(self._modems) * SEED_PARTS_PER_MINUTE / 60
        if not self._accepted:
            return seeded
        return max(measured / max(1, now_s - self._accepted[0][0] + 1), seeded)

    # -- the work

    async def rest(self, patience_s: float) -> int:
        """Pick nothing more and wait up to `patience_s` for what is in the air; how many parts still are."""
        self._stopping = True
        until = time.monotonic() + patience_s
        while (self._flying or self._landed or self._turning) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # three conditions, asked once in a process's life
        return len(self._flying)

    async def finish(self) -> None:
        """Write the outcomes that landed since: the last thing before the store closes."""
        landed, self._landed = self._landed, []
        await self._store.write(settle, landed, [], self._now_ms(), self._gate, self._random)

    async def run(self) -> None:
        """Recover from the last run, then work until cancelled."""
        unknown = await self._store.write(recover, self._now_ms())
        if unknown:
            log.warning("%d parts were on a line when the last run ended", unknown)
        with self._store.read() as txn:
            for (lane, due_ms, identifier), due in DUE.scan(txn):
                self._line_up(lane, due_ms, identifier, due)
            for group, feeding in sheets.waiting(txn, GROUPS):
                self._take_rows(group, feeding)
            for (group,), sending in GROUPS.scan(txn):
                self._regroup(group, sending)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_turning(), name="scheduler")
            tasks.create_task(self._keep_fed(), name="feeder")

    async def _keep_turning(self) -> None:
        while True:
            self._wake.clear()
            if self._landed or (self._free and len(self._line)) or any(self._pinned.values()):
                self._turning = True
                try:
                    if await self._turn():
                        continue
                except StoreError as error:
                    log.error("nothing is sent while the store refuses: %s", error)
                    await asyncio.sleep(STORE_PAUSE_S)
                    continue
                finally:
                    self._turning = False
            self._line.ready_parts(self._now_ms())  # what is due by now is no reason to wake up
            next_due = self._line.next_due_ms()
            next_rested = self._rests.next_end_ms(self._now_ms())
            if next_rested is not None and (next_due is None or next_rested < next_due):
                next_due = next_rested
            # Without a free modem nothing goes, whatever comes due: one that becomes free wakes us.
            sleep_s = LONGEST_SLEEP_S if next_due is None or not self._free else (next_due - self._now_ms()) / 1000
            try:
                async with asyncio.timeout(min(max(sleep_s, 0.001), LONGEST_SLEEP_S)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _turn(self) -> bool:
        """Settle and claim once; whether there was anything to do."""
        now_ms = self._now_ms()
        chosen: list[tuple[Modem, Pick]] = []
        # A modem may say that it is free before the landing of its part has been told.
        aloft = {flight.sim for flight in self._flying.values()}
        for modem in [] if self._stopping else list(self._free.values()):
            if int(modem.imsi) in aloft or self._rests.is_resting(int(modem.imsi), now_ms):
                continue
            identifier = self._choose(int(modem.imsi), now_ms)
            if identifier is not None:
                chosen.append((modem, Pick(identifier, int(modem.imsi))))
                del self._free[modem.port]
                # At once, so that no other modem chooses it in the same turn.
                self._flying[identifier] = Flight(identifier, 0, int(modem.imsi), 0, more=False)
        landed, self._landed = self._landed, []
        if not chosen and not landed:
            return False
        picks = [pick for _, pick in chosen]
        if self.waiting_parts < self._wanted_parts():
            self._hungry.set()
        try:
            claims = await self._store.write(settle, landed, picks, now_ms, self._gate, self._random)
        except StoreError:
            self._landed = landed + self._landed
            for modem, pick in chosen:
                del self._flying[pick.message]
                self._pinned.setdefault(pick.sim, deque()).append(pick.message)
                if modem.is_free:
                    self._free[modem.port] = modem
            raise
        for (modem, pick), claimed in zip(chosen, claims, strict=True):
            self._launch(modem, pick, claimed)
        return True

    def _choose(self, sim: int, now_ms: int) -> int | None:
        """The message whose next part this SIM sends: an `otp`, the one under way on it, else whose turn it is."""
        taken = self._line.pop(now_ms, messages.Lane.OTP)
        own = self._pinned.get(sim)
        while taken is None and own:
            identifier = own.popleft()
            # It may have come back into the line since, for any SIM, or gone by another.
            if identifier not in self._flying and identifier not in self._line:
                return identifier
        while True:
            if taken is None:
                taken = self._line.pop(now_ms)
            if taken is None:
                return None
            identifier = taken[0]
            pin = self._pins.pop(identifier, 0)
            if pin in (0, sim):
                return identifier
            self._pinned.setdefault(pin, deque()).append(identifier)
            taken = None

    def _launch(self, modem: Modem, pick: Pick, claimed: Claimed) -> None:
        """Give the part to its modem, or do as the verdict says with the message and use the modem for another."""
        flight = self._flying[pick.message]
        verdict, message, flight.part = claimed
        if message is None or not verdict.sends:
            del self._flying[pick.message]
            if modem.is_free:
                self.on_wanted(modem)
            if message is not None and verdict.state in messages.WAITING and not verdict.until_ms:
                self._put_aside(message, verdict.reason)
            elif flight.more:
                self._reload(pick.message)
            return
        flight.attempt = message.parts[flight.part].attempt + 1
        flight.more |= sum(part.state is State.QUEUED for part in message.parts) > 1
        if not modem.is_free:
            self._land(flight, None)
            return
        line = self._lines(message)[flight.part]
        octets = len(line) // 2 - 1  # AT+CMGS counts the TPDU, without the empty service centre in front of it
        modem.give(Submission(line, octets, flight))

    def _lines(self, message: Message) -> list[bytes]:
        envelope = messages.envelope(message, max(1, (message.expires_ms - self._now_ms()) // 1000))
        return sms.lines(numbers.from_key(message.number), message.text, envelope, message.concatenation)

    def _put_aside(self, message: Message, reason: str) -> None:
        """The gate keeps it without a time: its group is parked, or another SIM must take it."""
        pin = messages.pinned_to(message)
        if pin:
            self._pins[message.id] = pin
        waiting = max(1, sum(part.state is State.QUEUED for part in message.parts))
        self._line.push(message.id, message.group, message.lane, message.due_ms, waiting, message.weight)
        if reason != "other_sim":
            # Asked of the store, since the group may have been resumed since the gate looked.
            with self._store.read() as txn:
                if GROUPS.find(txn, message.group) == Sending.PAUSED:
                    self._line.park(message.group)

    def _reload(self, identifier: int) -> None:
        with self._store.read() as txn:
            message = messages.get(txn, identifier)
            due = DUE.find(txn, (message.lane, message.due_ms, identifier))
        if due is not None:
            self._line_up(message.lane, message.due_ms, identifier, due)

    def _land(self, flight: Flight, outcome: int | ModemError | None) -> None:
        del self._flying[flight.message]
        reference, error = -1, None
        if outcome is None:
            error = ModemError("the modem was not free any more")
        elif isinstance(outcome, int):
            reference = outcome
            self._rests.accepted(flight.sim)
            self._count_accepted()
        else:
            error = outcome
            self._let_rest(flight.sim, error)
        self._landed.append(Landed(flight, reference, error))
        if flight.more and (error is None or isinstance(error, SubmitUnknown)):
            self._pinned.setdefault(flight.sim, deque()).appendleft(flight.message)
        self._wake.set()

    def _let_rest(self, sim: int, error: ModemError) -> None:
        if isinstance(error, SubmitRefused) and retry.blame(error.cms, error.cme) is retry.Blame.SIM:
            until_ms = self._rests.refused(sim, self._now_ms())
            if until_ms:
                rest_s = (until_ms - self._now_ms()) // 1000
                log.warning("SIM ···%04d refuses one part after the other: it rests for %d s", sim % 10_000, rest_s)

    def _count_accepted(self) -> None:
        second = self._now_ms() // 1000
        if self._accepted and self._accepted[-1][0] == second:
            self._accepted[-1] = (second, self._accepted[-1][1] + 1)
        else:
            self._accepted.append((second, 1))

    # -- feeding

    def _wanted_parts(self) -> int:
        return max(FEED_PARTS, int(self.rate_per_s() * self._feed_ahead_s))

    async def _keep_fed(self) -> None:
        """Ask for more rows while the due line holds less than `feed_ahead_s` of work."""
        while True:
            self._hungry.clear()
            await self._cancel_dropped()
            while not (self._dry or self._stopping) and self.waiting_parts < self._wanted_parts():
                # Set before: what a follower says of a commit meanwhile counts more than what this one fed.
                self._dry = True
                try:
                    fed = await self._store.write(self._feed, self._now_ms(), FEED_PARTS)
                except StoreError as error:
                    log.error("no rows are fed while the store refuses: %s", error)
                    await asyncio.sleep(STORE_PAUSE_S)
                    self._dry = False
                    continue
                except Exception:  # a campaign that cannot be fed must not stop what is in the line, nor the next start
                    log.exception("rows could not be fed")
                    break
                if fed:
                    self._dry = False
            await self._expire_pinned()
            try:
                async with asyncio.timeout(LONGEST_SLEEP_S):
                    await self._hungry.wait()
            except TimeoutError:
                # Campaigns end and windows open without a signal of their own.
                self._dry = False

    async def _cancel_dropped(self) -> None:
        while self._cancelling:
            try:
                await self._store.write(messages.cancel_all, self._cancelling[0], "campaign_cancelled", self._now_ms())
            except StoreError as error:
                log.error("nothing is cancelled while the store refuses: %s", error)
                await asyncio.sleep(STORE_PAUSE_S)
                continue
            self._cancelling.popleft()

    async def _expire_pinned(self) -> None:
        """End what waited past its deadline for a SIM that may never come back."""
        present = {int(modem.imsi) for modem in self._free.values()} | {flight.sim for flight in self._flying.values()}
        waiting = [identifier for sim, own in self._pinned.items() if sim not in present for identifier in own]
        if not waiting:
            return
        try:
            expired = set(await self._store.write(intents.expire, waiting, self._now_ms()))
        except StoreError as error:
            log.error("nothing expires while the store refuses: %s", error)
            return
        for sim, own in self._pinned.items():
            self._pinned[sim] = deque(identifier for identifier in own if identifier not in expired)
