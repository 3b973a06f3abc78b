"""engine/traffic/scheduler.py where SIMs have quotas: the real store and scheduler on a clock that nobody waits for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from engine import proof
from engine.config import Limits
from engine.store.environment import Store
from engine.traffic import messages
from engine.traffic.messages import SEND, Lane, Message, State
from engine.traffic.scheduler import Scheduler
from engine.wiring import TABLES
from tests.engine.traffic.stage import NOW_MS, SIM, TEXTS, put, say, send
from tests.engine.traffic.year_rack import CountedStore, Given, YearLoop, YearModem

FIRST = 4_917_000_000_000
DAY_S = 86_400
OTHER = SIM + 1


class Rack:
    """A scheduler and modems that take five seconds for a part."""

    def __init__(
        self, store: CountedStore, loop: YearLoop, limits: Mapping[int, Limits], sims: tuple[int, ...]
    ) -> None:
        self.store = store
        self.loop = loop
        self.ledger: list[Given] = []
        self.scheduler = Scheduler(store, say(SEND), lambda *_: 0, self.now_ms, 120.0, Random(1), limits)
        self.modems = {sim: YearModem(sim, loop, self.now_ms, lambda: 5.0, self.ledger) for sim in sims}
        loop.is_writing = lambda: store.writing > 0
        loop.is_sending = lambda: any(modem.is_sending for modem in self.modems.values())

    def now_ms(self) -> int:
        return NOW_MS + round(self.loop.now_s * 1000)

    def plug(self, *sims: int) -> None:
        for sim in sims:
            self.modems[sim].plug(self.scheduler)

    async def put(self, number: int, parts: int = 1, **fields: object) -> int:
        fields = {"expires_ms": NOW_MS + 3000 * DAY_S, **fields}
        message = Message(0, FIRST + number, TEXTS[parts], **fields)  # type: ignore[arg-type]
        return (await self.store.write(messages.enqueue, message, self.now_ms())).id

    async def until(self, condition: Callable[[], bool], most_s: float = 900) -> None:
        """Return when it holds; in the rack's own time, of which it may take so much."""
        until_s = self.loop.now_s + most_s
        while not condition():
            assert self.loop.now_s < until_s, self.order
            await asyncio.sleep(1)

    @property
    def order(self) -> list[tuple[int, int]]:
        """To whom which part went, in order."""
        return [(given.number - FIRST, given.sequence) for given in self.ledger]

    def by(self, sim: int) -> list[tuple[int, int]]:
        return [(given.number - FIRST, given.sequence) for given in self.ledger if given.sim == sim]

    def state(self, identifier: int) -> State:
        with self.store.read() as txn:
            return messages.get(txn, identifier).state


def play(
    directory: Path,
    limits: Mapping[int, Limits],
    plot: Callable[[Rack], Awaitable[None]],
    sims: tuple[int, ...] = (SIM,),
    before: Callable[[Store], None] | None = None,
) -> None:
    loop = YearLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(_played(directory, loop, limits, plot, sims, before))


async def _played(
    directory: Path,
    loop: YearLoop,
    limits: Mapping[int, Limits],
    plot: Callable[[Rack], Awaitable[None]],
    sims: tuple[int, ...],
    before: Callable[[Store], None] | None,
) -> None:
    store = CountedStore(directory / "data", TABLES)
    if before is not None:
        before(store)
    rack = Rack(store, loop, limits, sims)
    async with _working(rack):
        await plot(rack)
        await rack.scheduler.rest(60)
        await rack.scheduler.finish()
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
    store.close()


@asynccontextmanager
async def _working(rack: Rack) -> AsyncIterator[None]:
    work = asyncio.get_running_loop().create_task(rack.scheduler.run())
    try:
        yield
    finally:
        work.cancel()
        for modem in rack.modems.values():
            modem.cut()
        with contextlib.suppress(asyncio.CancelledError):
            await work


def test_nothing_begins_on_a_sim_before_what_is_under_way_on_it_has_ended(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        for number in range(4):
            await rack.put(number, 3)
            await rack.put(10 + number)
        rack.plug(SIM)
        await rack.until(lambda: len(rack.ledger) == 16, 3000)
        begun = [place for place, (number, sequence) in enumerate(rack.order) if number < 4 and sequence == 1]
        assert len(begun) == 4
        for place in begun:
            number = rack.order[place][0]
            assert rack.order[place : place + 3] == [(number, 1), (number, 2), (number, 3)]

    play(tmp_path, {SIM: Limits(minute=1)}, plot)


def test_a_sim_with_enough_recipients_still_ends_the_message_under_way(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        await rack.put(1, 3)
        rack.plug(SIM)
        await rack.until(lambda: len(rack.ledger) == 1)
        await rack.put(2, lane=Lane.OTP)
        await rack.until(lambda: len(rack.ledger) == 3, 60)
        assert rack.order == [(1, 1), (1, 2), (1, 3)]
        await rack.until(lambda: len(rack.ledger) == 4, DAY_S + 4000)
        assert rack.order[3] == (2, 1)

    play(tmp_path, {SIM: Limits(day_recipients=1)}, plot)


def test_what_is_under_way_at_a_stop_is_what_a_start_sends_first(tmp_path: Path) -> None:
    def begin(store: Store) -> None:
        for number in range(20):
            put(store, 2, number=FIRST + number)
        begun = put(store, 3, number=FIRST + 50)
        send(store, begun, 7, SIM)

    async def plot(rack: Rack) -> None:
        rack.plug(SIM, OTHER)
        await rack.until(lambda: len(rack.ledger) == 42)
        assert rack.by(SIM)[:2] == [(50, 2), (50, 3)]

    play(tmp_path, {SIM: Limits(hour=100)}, plot, (SIM, OTHER), begin)


def test_what_is_under_way_on_a_sim_that_rests_for_long_ends_with_its_deadline(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        identifier = await rack.put(1, 2, expires_ms=NOW_MS + 3_600_000)
        rack.plug(SIM)
        await rack.until(lambda: rack.state(identifier) is State.FAILED, 7200)
        assert rack.order == [(1, 1)]

    play(tmp_path, {SIM: Limits(day=1)}, plot)


def test_a_sim_that_rests_is_not_asked_before_its_time(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        for number in range(4):
            await rack.put(number)
        rack.plug(SIM)
        await rack.until(lambda: len(rack.ledger) == 1)
        await rack.until(lambda: not rack.loop.is_sending())
        commits = rack.store.commits
        await asyncio.sleep(DAY_S * 0.9)
        assert rack.store.commits <= commits + 3

    play(tmp_path, {SIM: Limits(day=1)}, plot)


def test_a_sim_without_room_for_a_long_message_sends_short_ones_until_it_has(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        for number in range(2):
            await rack.put(number)
        rack.plug(SIM)
        await rack.until(lambda: len(rack.ledger) == 2)
        for number in range(100):
            await rack.put(100 + number, 2)
        await rack.until(lambda: not rack.loop.is_sending())
        await asyncio.sleep(300)
        commits = rack.store.commits
        await rack.put(2)
        await rack.until(lambda: len(rack.ledger) == 3, 300)
        assert rack.order[2] == (2, 1)
        await asyncio.sleep(2400)
        # To ask for each of the hundred would be a hundred changes.
        assert rack.store.commits < commits + 20
        await rack.until(lambda: len(rack.ledger) == 5, 2000)
        (first, begin), (second, end) = rack.order[3:]
        assert first == second >= 100
        assert (begin, end) == (1, 2)

    play(tmp_path, {SIM: Limits(hour=3)}, plot)


def test_what_one_sim_has_no_room_for_another_takes_at_once(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        for number in range(3):
            await rack.put(number)
        rack.plug(SIM)
        await rack.until(lambda: len(rack.ledger) == 3)
        for number in range(10):
            await rack.put(100 + number, 2)
        await rack.until(lambda: not rack.loop.is_sending())
        rack.plug(OTHER)
        await rack.until(lambda: len(rack.by(OTHER)) == 20, 400)
        assert rack.by(SIM) == [(number, 1) for number in range(3)]

    play(tmp_path, {SIM: Limits(hour=4)}, plot, (SIM, OTHER))


def test_what_is_longer_than_the_whole_limit_lets_shorter_ones_go(tmp_path: Path) -> None:
    async def plot(rack: Rack) -> None:
        await rack.put(0)
        rack.plug(SIM)
        await rack.until(lambda: len(rack.ledger) == 1)
        await rack.put(10, 3)
        await rack.put(20, 2)
        await rack.put(30)
        await rack.until(lambda: len(rack.ledger) == 3, 4000)
        assert {number for number, _ in rack.order[1:]} <= {20, 30}

    play(tmp_path, {SIM: Limits(hour=3)}, plot)
