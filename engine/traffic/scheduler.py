"""The scheduler: store → queue → gate → pool → store.

Rules of this file:

1. Nobody calls it: it follows the commits.  What enters or leaves the due line in the store does so in memory.
2. One change a turn: it carries the outcomes of the parts that landed and the intents of those that go next.
3. A part is given to its modem after the commit that holds its intent; one that sends has it ahead until its OK.
4. An outcome is kept until a commit has taken it, whatever the disk says meanwhile.
5. The parts of a message follow one another on one SIM; only an `otp` message comes between.
6. What was claimed ahead and has not begun can be taken back: by a change (engine/traffic/ahead.py), or for an `otp`.

Knows nothing about people: times reach it as due times and deadlines, rules as the gate's verdicts.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from engine._flights import Flight, Flights, Seat
from engine._packed import Packed, packed
from engine._queue import DueLine
from engine.config import Limits
from engine.errors import ModemError, StoreError, SubmitRefused
from engine.store.environment import Store
from engine.store.table import Note
from engine.traffic import intents, messages, page, sheets, slices
from engine.traffic.ahead import RECALLED, Ahead
from engine.traffic.delay import Lately
from engine.traffic.feeder import FEED_PARTS, LONGEST_SLEEP_S, STORE_PAUSE_S, Feeder
from engine.traffic.lengths import Lengths, parts_of, union
from engine.traffic.messages import DUE, GROUPS, Due, Feed, Gate, Lane, Message, Sending, State
from engine.traffic.page import Page
from engine.traffic.patience import Patience
from engine.traffic.pins import Pins
from engine.traffic.precedence import Precedence
from engine.traffic.rate import Rate
from engine.traffic.rests import Rests
from engine.traffic.routing import ANY, Routing
from engine.traffic.settling import COUNTED, QUOTA, Claimed, Rules, recover, settle
from engine.traffic.sheets import Feeding

log = logging.getLogger(__name__)

LINE_PARTS: Final = 20_000  # more than this need not wait in memory, however fast the rack is
LINE_MOST: Final = 10 * LINE_PARTS  # with what waits for a SIM that is not there


class Scheduler:
    """Keeps every modem busy with what may go next."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        feed: Feed,
        now_ms: Callable[[], int],
        feed_ahead_s: float,
        random: Random,
        limits: Mapping[int, Limits] | None = None,
        routing: Routing | None = None,
        gathering: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._routing = routing or Routing(store)
        self._routing.on_change = self._reroute
        self._store = store
        self._gathering = gathering
        self._now_ms = now_ms
        self._feed_ahead_s = feed_ahead_s
        self._ahead = Ahead(limits or {})
        self._rules = Rules(gate, random, self._ahead, self._routing, limits or {})
        self._page = Page(store.directory, page.boot_of_this_machine())
        self._line = DueLine()
        self._pins = Pins()
        self._rests = Rests()
        self._lengths = Lengths(self._routing, are_asked=bool(limits))
        self._feeder = Feeder(store, feed, now_ms, self._lacks)
        self._wake = asyncio.Event()
        self._rate = Rate()
        self._flights = Flights(self._page, self._rests, now_ms, self._wake.set, self._reload, self._settle_error)
        self._precedence = Precedence(self._line, self._flights, self._rests, self._masks)
        self.on_wanted = self._flights.on_wanted
        self.on_given = self._flights.on_given
        self.on_done = self._flights.on_done
        self.on_lost = self._flights.on_lost
        self._patience = Patience()
        self.lately = Lately()
        self._turning = False
        self._stopping = False
        store.beside = self._ahead
        store.follow(self._follow)

    # -- what the modems tell: `on_wanted`, `on_given`, `on_done` and `on_lost` are those of the flights

    def _settle_error(self, flight: Flight, error: ModemError | None) -> None:
        """A part was not accepted, or was taken back where there is no error."""
        error = error or ModemError("the modem was not free any more")
        if isinstance(error, SubmitRefused):
            self._flights.not_sent(flight)
            # What follows it waits with it.
            self._pins.drop(flight.sim, flight.message)
            self._rests.refused(flight.sim, error, self._now_ms())
        self._flights.land(flight, error)

    # -- what the store tells

    def _follow(self, notes: list[Note]) -> None:
        for line, key, value in notes:
            if line == DUE.name:
                self._line_up(key[0], key[1], key[2], value)
            elif line == sheets.FEEDING:
                self._take_rows(key[0], value)
            elif line == GROUPS.name:
                self._regroup(key[0], value)
            elif line == RECALLED:
                self._ahead.remove(value)
                self._flights.take_back(value)
            elif line == COUNTED:
                flight, counted_ms = value
                flight.count(counted_ms)
                continue
            else:
                continue
            self._wake.set()

    def _line_up(self, lane: int, due_ms: int, identifier: int, due: Due | None) -> None:
        if due is None:
            self._line.remove(identifier)
            self._pins.forget(identifier)
        elif not self._flights.is_news(identifier):
            self._pins.has_record(identifier)
            if due.sim and due_ms <= self._now_ms():
                # Parts of it went by that SIM: it is under way there still.
                self._line.remove(identifier)
                self._pins.put_first(due.sim, identifier)
                return
            if due.sim:
                self._pins.sims[identifier] = due.sim
            self._line.push(identifier, due.group, lane, due_ms, due.parts, due.weight, self._lengths.of(due), due)

    def _take_rows(self, group: int, feeding: Feeding) -> None:
        bulk = feeding.bulk
        rows = packed(
            group, feeding, State.QUEUED, bulk.lane, bulk.weight, bulk.purpose, feeding.fed.expires_ms,
            bulk.report_percent,
        )  # fmt: skip
        if self._routing.is_plain and not self._rules.limits:
            entries = [(row.id, row.size, ANY, row) for row in rows]
        else:
            entries = [(row.id, row.size, self._lengths.of(row), row) for row in rows]
        self._line.push_rows(group, bulk.lane, feeding.due_ms, bulk.weight, entries)

    # -- routes

    def _reroute(self) -> None:
        """The routes have changed."""
        self._line.reroute(lambda _, known: self._lengths.of(known))
        self._wake.set()

    def _masks(self) -> dict[int, int] | None:
        """What each SIM may send that could take a part: in service, not at rest, with a quota left; None: anything."""
        now_ms, is_resting = self._now_ms(), self._rests.is_resting
        if self._routing.is_plain and not self._lengths.are_short(now_ms):
            return None
        seats = self._flights.seats.values()
        available = {seat.sim: seat.modem.port for seat in seats if not is_resting(seat.sim, now_ms)}
        return self._lengths.masks(available, now_ms)

    def _regroup(self, group: int, sending: str | None) -> None:
        if sending == Sending.PAUSED:
            self._line.park(group)
        else:
            self._line.unpark(group)
            if sending == Sending.CANCELLED:
                self._feeder.cancel(self._line.drop(group))
        # One that is parked for its pace, or for a price that was not known, may go on.
        self._feeder.look_again()

    def nudge(self) -> None:
        """The clock was set: look again at what is due."""
        self._rests.look_again()
        self._lengths.look_again()
        self._feeder.look_again()
        self._wake.set()

    # -- what others may ask

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in the air, and every outcome is on its way into the store."""
        return not (self._flights or self._flights.landed)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight, nothing landed waits for a commit, and nothing due could go."""
        if not self._feeder.is_idle or self._pins.are_any:
            return False
        return self.is_quiet and not self._turning and not self._line.ready_parts(self._now_ms())

    @property
    def is_pressed(self) -> bool:
        """Whether modems wait for parts, and parts for them: this process is what keeps them."""
        return bool(self._flights.wanting) and self.waiting_parts > 0

    @property
    def waiting_parts(self) -> int:
        """Parts that could go now, were there modems enough."""
        masks = None if self._routing.is_plain else self._masks()
        return self._line.ready_parts(self._now_ms(), routes=None if masks is None else union(masks.values()))

    def parts_in(self, lane: Lane) -> int:
        """Parts of one lane that could go now."""
        return self._line.ready_parts(self._now_ms(), lane)

    def parts_above(self, lane: Lane) -> int:
        """The same of all lanes that go before it."""
        return sum(self.parts_in(higher) for higher in Lane if higher < lane)

    @property
    def is_full(self) -> bool:
        """Whether all SIMs in service have sent what their quotas allow, so that nothing can go by any."""
        now_ms, full_ms, seats = self._now_ms(), self._rests.full_ms, self._flights.seats.values()
        return bool(full_ms) and bool(seats) and all(full_ms.get(seat.sim, 0) > now_ms for seat in seats)

    def rate_per_s(self) -> float:
        """Parts the rack sends a second, as measured lately; until then what its modems are taken to do."""
        return self._rate.per_s(self._now_ms(), len(self._flights.seats))

    # -- the work

    async def rest(self, patience_s: float) -> int:
        """Pick nothing more and wait up to `patience_s` for what is in the air; how many parts still are."""
        self._stopping = self._feeder.is_stopping = True
        until = time.monotonic() + patience_s
        while (not self.is_quiet or self._turning) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # three conditions, asked once in a process's life
        return len(self._flights)

    async def finish(self) -> None:
        """Write the outcomes that landed since: the last thing before the store closes."""
        landed, self._flights.landed = self._flights.landed, []
        await self._store.write(settle, landed, [], self._now_ms(), self._rules)
        self._flights.settled(landed, self._ahead.flights)

    async def run(self) -> None:
        """Recover from the last run, then work until cancelled."""
        self._turning = True
        try:
            await self._begin()
        finally:
            self._turning = False
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_turning(), name="scheduler")
            tasks.create_task(self._feeder.run(self._expire_pinned), name="feeder")

    async def _begin(self) -> None:
        unknown = await self._store.write(recover, self._now_ms(), self._page)
        # What it said is in the store now.
        self._page.begin()
        if unknown:
            log.warning("%d parts were on a line when the last run ended", unknown)
        await slices.line_up(self._store, self._now_ms(), self._line_up)
        with self._store.read() as txn:
            for group, feeding in sheets.waiting(txn, GROUPS):
                self._take_rows(group, feeding)
            for (group,), sending in GROUPS.scan(txn):
                self._regroup(group, sending)

    async def _keep_turning(self) -> None:
        flights = self._flights
        while True:
            self._wake.clear()
            flights.is_called = False
            waits = len(self._line) or self._pins.are_any
            if flights.landed or (flights.wanting and waits) or self._precedence.short(self._now_ms()):
                await self._ripen()
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
            now_ms = self._now_ms()
            self._line.ready_parts(now_ms)  # what is due by now is no reason to wake up
            ends_ms = (self._line.next_due_ms(), self._rests.next_end_ms(now_ms), self._lengths.next_end_ms(now_ms))
            next_due = min((end_ms for end_ms in ends_ms if end_ms is not None), default=None)
            # Where no modem wants a part nothing goes, whatever comes due: one that does wakes us.
            sleep_s = LONGEST_SLEEP_S if next_due is None or not flights.wanting else (next_due - now_ms) / 1000
            await self._doze(min(max(sleep_s, 0.001), LONGEST_SLEEP_S))

    async def _ripen(self) -> None:
        """Wait a little for more to come, unless nearly all modems have nothing or an `otp` is short of one."""
        flights = self._flights
        wait_s = self._patience.wait_s(has_idle=flights.idle > 0)
        is_full = self._patience.is_hurried and flights.is_ripe
        if not wait_s or is_full or self._precedence.short(self._now_ms()):
            return
        flights.is_patient = True
        try:
            await self._doze(wait_s)
        finally:
            flights.is_patient = False

    async def _doze(self, sleep_s: float) -> None:
        """Until somebody wakes us, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(sleep_s):
                await self._wake.wait()

    async def _turn(self) -> bool:
        """Settle and claim once; whether there was anything to do."""
        now_ms, flights = self._now_ms(), self._flights
        if accepted := flights.take_accepted():
            self._rate.accepted(now_ms, accepted)
        if flights.landed and (given_ms := flights.landed[-1].given_ms):
            self._patience.lasted(now_ms - given_ms)
        chosen: list[tuple[Seat, Flight]] = []
        if not self._stopping:
            self._precedence.make_way(now_ms)
            masks = self._masks()
            most = self._patience.begin_most(flights.idle)
            chosen = flights.choose(self._line, self._pins.sims, self._pins.own, masks, now_ms, self._choose, most)
        landed, flights.landed = flights.landed, []
        if not chosen and not landed:
            return False
        if self._lacks():
            self._feeder.wake()
        began_s = (clock := asyncio.get_running_loop().time)()
        try:
            claims = await self._store.write(settle, landed, [flight for _, flight in chosen], now_ms, self._rules)
        except StoreError:
            flights.landed = landed + flights.landed
            for seat, flight in reversed(chosen):
                self._ahead.remove(flight)
                self._give_back(flight)
                # Behind it: what is news of the message meanwhile counts more.
                flights.come_down(flight.message)
                flights.want(seat)
            raise
        flights.settled(landed, self._ahead.flights)
        self._patience.took(clock() - began_s)
        self.lately.claimed(claims, now_ms)
        with self._gathering():
            for (seat, flight), claimed in zip(chosen, claims, strict=True):
                if (claimed is None or self._takes(seat, flight, claimed)) and not flights.launch(seat, flight):
                    # The modem went, or a change took the part back between its commit and now; the note of that has
                    # been here already, or finds nothing to do.
                    flights.land(flight, ModemError("the modem was not free any more"))
                    flights.want(seat)
        return True

    def _give_back(self, flight: Flight) -> None:
        """It was chosen, and nothing came of it: where it stood before it stands again."""
        known, identifier = flight.known, flight.message
        if known is None:
            self._pins.put_first(flight.sim, identifier, flight.packed)
            return
        if isinstance(known, Due) and known.sim:
            self._pins.sims[identifier] = known.sim
        parts, route = parts_of(known), self._lengths.of(known)
        self._line.give_back(identifier, known.group, flight.lane, parts, known.weight, route, known)

    def _choose(self, seat: Seat, mask: int | None, now_ms: int) -> Flight | None:
        """What a SIM sends that has messages pinned to it: an `otp`, the one under way on it, else whose turn it is.

        One that rests for its quota sends nothing but what is under way on it.
        """
        sim = seat.sim
        is_resting = self._rests.is_resting(sim, now_ms)
        flight = None if is_resting else self._pop(sim, Lane.OTP, mask, now_ms)
        # It may have come back into the line since, for any SIM.
        if flight is None and (own := self._pins.take(sim, self._line.__contains__)):
            flight = Flight(own[0], sim, Lane.HIGH, own[1])
        if flight is None and not is_resting:
            flight = self._pop(sim, Lane.BULK, mask, now_ms)
        return flight

    def _pop(self, sim: int, lowest: Lane, mask: int | None, now_ms: int) -> Flight | None:
        """Whose turn it is in the line, down to that lane; what is another SIM's is kept for that one."""
        while (taken := self._line.pop(now_ms, lowest, mask)) is not None:
            identifier, _, lane, _, known = taken
            pin = self._pins.sims.pop(identifier, 0)
            if pin in (0, sim):
                flight = Flight(identifier, sim, lane, known if isinstance(known, Packed) else None)
                flight.known = known
                return flight
            self._pins.put_last(pin, identifier)
        return None

    def _takes(self, seat: Seat, flight: Flight, claimed: Claimed) -> bool:
        """Whether the part goes; otherwise done as the verdict says, and the modem is free for another."""
        verdict, message = claimed.verdict, claimed.message
        if message is None or not verdict.sends:
            self._flights.come_down(flight.message)
            self._flights.want(seat)
            if message is not None and verdict.reason == QUOTA:
                self._turn_away(message, flight, claimed)
            elif message is not None and verdict.state in messages.WAITING and not verdict.until_ms:
                self._put_aside(message, flight, verdict.reason)
            return False
        if message.waiting_parts > 1:
            # The next part goes behind this one, on the same SIM.
            self._pins.put_first(flight.sim, flight.message)
        return True

    def _turn_away(self, message: Message, flight: Flight, claimed: Claimed) -> None:
        """Its SIM has sent what it may."""
        if messages.pinned_to(message):
            # It keeps its place: nothing else begins on that SIM before it has ended.
            self._rests.full_for_all(flight.sim, claimed.full_ms)
            self._pins.put_first(flight.sim, message.id)
            return
        is_apart = self._lengths.is_apart(self._put_aside(message, flight, QUOTA))
        if claimed.is_full or not is_apart:
            self._rests.full(flight.sim, claimed.full_ms)
        else:
            # There is room, but not for all its parts: the SIM is not offered the like, and others are.
            self._lengths.short(flight.sim, message.waiting_parts, claimed.full_ms)

    def _put_aside(self, message: Message, flight: Flight, reason: str) -> int:
        """The gate keeps it without a time: its group is parked, or another SIM must take it; its class in the line."""
        pin = messages.pinned_to(message)
        if pin:
            self._pins.sims[message.id] = pin
        known = flight.packed if flight.packed is not None and message.packed_row >= 0 else messages.due_of(message)
        waiting = max(1, message.waiting_parts)
        route = self._lengths.of(known)
        self._line.push(message.id, message.group, message.lane, message.due_ms, waiting, message.weight, route, known)
        if reason not in ("other_sim", QUOTA):
            # Asked of the store, since the group may have been resumed since the gate looked.
            with self._store.read() as txn:
                if GROUPS.find(txn, message.group) == Sending.PAUSED:
                    self._line.park(message.group)
        return route

    def _reload(self, identifier: int) -> None:
        with self._store.read() as txn:
            message = messages.find(txn, identifier)
            due = None if message is None else DUE.find(txn, (message.lane, message.due_ms, identifier))
        if message is not None and due is not None:
            self._line_up(message.lane, message.due_ms, identifier, due)

    # -- feeding

    def _lacks(self) -> bool:
        """Whether the line wants more: what nobody may send fills it up once, and then stops nobody else."""
        return self.waiting_parts < self._wanted_parts() and self._line.parts < LINE_MOST

    def _wanted_parts(self) -> int:
        return min(max(4 * FEED_PARTS, int(self.rate_per_s() * self._feed_ahead_s)), LINE_PARTS)

    async def _expire_pinned(self) -> None:
        """End what waited past its deadline for a SIM that may never come back, or rests for days."""
        now_ms, present = self._now_ms(), {seat.sim for seat in self._flights.seats.values()}
        waiting = self._pins.of(lambda sim: sim not in present or self._rests.is_resting(sim, now_ms))
        if not self._routing.is_plain and (masks := self._masks()) is not None:
            waiting += self._line.of_classes(self._lengths.all & ~union(masks.values()))
        # Mostly there is none, and a rack that has nothing to do changes nothing.
        if not (over := await slices.overdue(self._store, waiting, now_ms)):
            return
        try:
            self._pins.end(set(await self._store.write(intents.expire, over, now_ms)))
        except StoreError as error:
            log.error("nothing expires while the store refuses: %s", error)
