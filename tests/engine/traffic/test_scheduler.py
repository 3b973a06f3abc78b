"""engine/traffic/scheduler.py: a real store, the real pool and eight simulated modems, whose ledger is the truth."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from engine import proof
from engine.config import House
from engine.crm.gate import gate_with
from engine.crm.marketing import campaigns, feeding, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.crm.marketing.recipients import Row
from engine.errors import StoreFull
from engine.modem.pool import ModemSettings, Pool
from engine.sim.network import Acceptance
from engine.sim.rack import Rack
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import intents, messages
from engine.traffic.inbound import Inbound
from engine.traffic.inbox import Received, Routed
from engine.traffic.messages import MESSAGES, Lane, Message, OnUnknown, Resolution, Sending, State
from engine.traffic.rests import FIRST_MS, REFUSALS
from engine.traffic.scheduler import Scheduler
from engine.wiring import TABLES, Clock

PEPPER = b"p" * 32
HOUSE = House()
# The rack's and the pool's haste: nothing here waits for a clock.
QUICK = {
    "command_gap_ms": 0,
    "settle_s": 0.01,
    "answer_timeout_s": 2.0,
    "prompt_timeout_s": 2.0,
    "result_timeout_s": 2.0,
    "scan_s": 0.02,
    "search_s": 0.02,
    "restart_pause_s": 0.02,
    "restart_limit_s": 0.2,
    "quarantine_first_s": 0.02,
    "quarantine_limit_s": 0.1,
}


class House8:
    """Everything between the store and the rack, at work."""

    def __init__(self, store: Store, rack: Rack, pool: Pool, scheduler: Scheduler, clock: Clock) -> None:
        self.store = store
        self.rack = rack
        self.pool = pool
        self.scheduler = scheduler
        self.clock = clock
        self.news = asyncio.Event()
        store.follow(lambda _: self.news.set())
        rack.network.on_accept.append(lambda _: self.news.set())

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5) -> None:
        """Return when `condition` holds; asked again after every commit and every accepted part, and between."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.news.wait(), 0.02)

    async def put(self, number: int, text: str = "hello", **fields: object) -> int:
        message = Message(**{"id": 0, "number": number, "text": text, **fields})  # type: ignore[arg-type]
        return (await self.store.write(messages.enqueue, message, self.clock.now_ms())).id

    async def campaign(self, rows: int, first_number: int, text: str = "hello", weight: int = 1) -> int:
        now_ms = self.clock.now_ms()
        draft = Campaign(0, "test", {"en": text}, "service", weight=weight)
        made = await self.store.write(campaigns.add, draft, now_ms)
        upload = await self.store.write(uploads.begin, made.id, now_ms)
        numbered = [(row, first_number + row, Row(f"+{first_number + row}")) for row in range(1, rows + 1)]
        upload = await self.store.write(uploads.add_rows, upload, numbered, {}, PEPPER, now_ms)
        await self.store.write(uploads.finish, upload, now_ms)
        return made.id

    def message(self, identifier: int) -> Message:
        with self.store.read() as txn:
            return MESSAGES.get(txn, identifier)

    def tally(self, group: int) -> dict[State, int]:
        with self.store.read() as txn:
            return messages.tally(txn, group)

    def counts(self, campaign: int) -> dict[str, int]:
        with self.store.read() as txn:
            return campaigns.counts(txn, CAMPAIGNS.get(txn, campaign))

    def stage(self, campaign: int) -> Stage:
        with self.store.read() as txn:
            return CAMPAIGNS.get(txn, campaign).stage

    def ledger(self) -> list[Acceptance]:
        return list(self.rack.network.accepted)

    def destinations(self) -> Counter[str]:
        return Counter(acceptance.destination for acceptance in self.ledger())

    def is_all(self, state: State, total: int, group: int = 0) -> bool:
        return self.tally(group).get(state, 0) == total


def route(_txn: Txn, _received: Received, _now_ms: int) -> Routed:
    return Routed("person")


@asynccontextmanager
async def playing(
    directory: Path,
    modems: int = 8,
    settings: dict[str, object] | None = None,
    before: Callable[[Store], None] | None = None,
    **rack_options: object,
) -> AsyncIterator[House8]:
    clock = Clock()
    store = Store(directory / "data", TABLES)
    if before is not None:
        before(store)
    rack = Rack(directory / "rack", modems, **{"report_delay_ms": None, **rack_options})  # type: ignore[arg-type]
    rack.start()
    chosen: dict[str, object] = {"ports": (f"{directory}/rack/modem-*",), **QUICK, **(settings or {})}
    pool = Pool(ModemSettings(**chosen), clock.now_ms)  # type: ignore[arg-type]
    scheduler = Scheduler(
        store,
        gate_with(PEPPER),
        lambda txn, now_ms, parts: feeding.feed(txn, now_ms, parts, HOUSE, PEPPER),
        clock.now_ms,
        120.0,
        Random(1),
    )
    inbound = Inbound(store, route, clock.now_ms)
    house = House8(store, rack, pool, scheduler, clock)
    pool.attach(
        on_wanted=scheduler.on_wanted,
        on_done=scheduler.on_done,
        on_lost=scheduler.on_lost,
        on_received=inbound.received,
        on_change=lambda _: house.news.set(),
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            works = [tasks.create_task(work) for work in (scheduler.run(), inbound.run(), pool.run())]
            await house.until(lambda: sum(view.state == "ready" for view in pool.views()) == modems, timeout_s=20)
            try:
                yield house
                with store.read() as txn:
                    assert list(proof.differences(txn)) == []
            finally:
                await scheduler.rest(2)
                await pool.close(grace_s=0)
                await scheduler.finish()
                for work in works:
                    work.cancel()
        with store.read() as txn:
            assert list(proof.differences(txn)) == []
    finally:
        rack.close()
        store.close()


async def test_every_message_goes_once(tmp_path: Path) -> None:
    async with playing(tmp_path) as house:
        await asyncio.gather(*(house.put(4915_0000_0000 + number) for number in range(300)))
        await house.until(lambda: house.is_all(State.SENT, 300))
        assert set(house.destinations().values()) == {1}
        assert len(house.ledger()) == 300


async def test_lanes_go_highest_first(tmp_path: Path) -> None:
    def fill(store: Store) -> None:
        now_ms = Clock().now_ms()
        for number, lane in enumerate((Lane.BULK, Lane.NORMAL, Lane.HIGH, Lane.OTP) * 3):
            message = Message(0, 4915_0000_0000 + number + 100 * lane, "hello", lane=lane)
            store.write_now(messages.enqueue, message, now_ms)

    async with playing(tmp_path, modems=1, before=fill) as house:
        await house.until(lambda: house.is_all(State.SENT, 12))
        lanes = [int(acceptance.destination[-3]) for acceptance in house.ledger()]
        assert lanes == sorted(lanes)


async def test_what_came_in_one_moment_goes_in_the_order_in_which_it_came(tmp_path: Path) -> None:
    def fill(store: Store) -> None:
        now_ms = Clock().now_ms()
        for number in range(20):
            store.write_now(messages.enqueue, Message(0, 4915_0000_0000 + number, "hello"), now_ms)

    async with playing(tmp_path, modems=1, before=fill) as house:
        await house.until(lambda: house.is_all(State.SENT, 20))
        assert [int(acceptance.destination[-2:]) for acceptance in house.ledger()] == list(range(20))


async def test_an_otp_passes_everything_that_waits(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, latency_ms=20) as house:
        campaign = await house.campaign(200, 4915_0000_0000)
        await house.store.write(campaigns.launch, campaign, house.clock.now_ms())
        await house.until(lambda: len(house.ledger()) >= 10)
        before = len(house.ledger())
        otp = await house.put(4917_0000_0000, lane=Lane.OTP)
        await house.until(lambda: house.message(otp).state is State.SENT)
        order = [acceptance.destination for acceptance in house.ledger()]
        # At most the parts that were on the modems, and those claimed in the same turn.
        assert order.index("+491700000000") - before <= 4


async def test_two_campaigns_share_the_rack_by_weight_in_parts(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=4) as house:
        heavy = await house.campaign(150, 4915_1000_0000, text="b" * 300, weight=3)
        light = await house.campaign(150, 4915_2000_0000)
        await asyncio.gather(
            house.store.write(campaigns.launch, light, house.clock.now_ms()),
            house.store.write(campaigns.launch, heavy, house.clock.now_ms()),
        )
        await house.until(lambda: len(house.ledger()) >= 240)
        parts = Counter(acceptance.destination[:6] for acceptance in house.ledger()[20:240])
        assert parts["+49151"] / parts["+49152"] == pytest.approx(3, rel=0.35)
        await house.until(lambda: house.is_all(State.SENT, 150, heavy) and house.is_all(State.SENT, 150, light))


async def test_the_parts_of_a_message_follow_one_another_on_one_sim(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=8) as house:
        ids = await asyncio.gather(*(house.put(4915_0000_0000 + number, "c" * 400) for number in range(60)))
        await house.until(lambda: house.is_all(State.SENT, 60))
        sims: dict[str, set[str]] = {}
        by_sim: dict[str, list[str]] = {}
        for acceptance in house.ledger():
            sims.setdefault(acceptance.destination, set()).add(acceptance.sim.imsi)
            by_sim.setdefault(acceptance.sim.imsi, []).append(acceptance.destination)
        assert all(len(used) == 1 for used in sims.values())
        for order in by_sim.values():
            assert order == [number for first in order[::3] for number in [first] * 3]
        assert len(ids) == 60


async def test_only_an_otp_comes_between_the_parts_of_a_message(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=1, latency_ms=15) as house:
        await house.put(4915_0000_0001, "c" * 1200, lane=Lane.BULK)
        await house.until(lambda: len(house.ledger()) >= 2)
        await house.put(4915_0000_0002, lane=Lane.HIGH)
        await house.put(4915_0000_0003, lane=Lane.OTP)
        await house.until(lambda: house.is_all(State.SENT, 3))
        order = [acceptance.destination[-1] for acceptance in house.ledger()]
        assert order.index("3") < len(order) - 2
        assert order[-1] == "2"
        assert [last for last in order if last != "3"] == ["1"] * (len(order) - 2) + ["2"]


async def test_a_paused_campaign_stops_and_resumes_where_it_was(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=4, latency_ms=5) as house:
        campaign = await house.campaign(120, 4915_0000_0000)
        now_ms = house.clock.now_ms
        await house.store.write(campaigns.launch, campaign, now_ms())
        await house.until(lambda: len(house.ledger()) >= 20)
        await house.store.write(campaigns.pause, campaign, now_ms())
        await house.until(lambda: house.tally(campaign).get(State.SENDING, 0) == 0)
        at_rest = len(house.ledger())
        await house.put(4917_0000_0000)
        await house.until(lambda: house.is_all(State.SENT, 1))
        assert len(house.ledger()) == at_rest + 1
        assert sum(house.counts(campaign).values()) == 120
        await house.store.write(campaigns.resume, campaign, now_ms())
        await house.until(lambda: house.is_all(State.SENT, 120, campaign))
        assert set(house.destinations().values()) == {1}


async def test_a_paused_campaign_stops_between_the_parts_of_a_message(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, latency_ms=20) as house:
        campaign = await house.campaign(10, 4915_0000_0000, text="c" * 400)
        await house.store.write(campaigns.launch, campaign, house.clock.now_ms())
        await house.until(lambda: len(house.ledger()) >= 3)
        await house.store.write(campaigns.pause, campaign, house.clock.now_ms())
        await house.until(lambda: house.scheduler.is_quiet)
        at_rest = len(house.ledger())
        assert at_rest < 30
        await house.put(4917_0000_0000)
        await house.until(lambda: house.is_all(State.SENT, 1))
        assert len(house.ledger()) == at_rest + 1
        await house.store.write(campaigns.resume, campaign, house.clock.now_ms())
        await house.until(lambda: house.is_all(State.SENT, 10, campaign))
        assert len(house.ledger()) == 31


async def test_a_cancelled_campaign_sends_nothing_more_and_every_row_has_an_end(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=4, latency_ms=5) as house:
        campaign = await house.campaign(300, 4915_0000_0000)
        await house.store.write(campaigns.launch, campaign, house.clock.now_ms())
        await house.until(lambda: len(house.ledger()) >= 20)
        await house.store.write(campaigns.cancel, campaign, house.clock.now_ms())
        await house.until(lambda: set(house.counts(campaign)) <= {"sent", "cancelled"})
        counts = house.counts(campaign)
        assert counts["sent"] == len(house.ledger()) < 300
        assert sum(counts.values()) == 300


async def test_a_cancellation_that_met_a_full_store_is_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_all, times = messages.cancel_all, 0

    def refuse_once(txn: Txn, identifiers: list[int], reason: str, now_ms: int) -> int:
        nonlocal times
        times += 1
        if times == 1:
            raise StoreFull("as an LMDB without room would")
        return cancel_all(txn, identifiers, reason, now_ms)

    async with playing(tmp_path, modems=1, latency_ms=20) as house:
        campaign = await house.campaign(50, 4915_0000_0000)
        await house.store.write(campaigns.launch, campaign, house.clock.now_ms())
        await house.until(lambda: len(house.ledger()) >= 2)
        monkeypatch.setattr(messages, "cancel_all", refuse_once)
        await house.store.write(campaigns.cancel, campaign, house.clock.now_ms())
        await house.until(lambda: set(house.counts(campaign)) <= {"sent", "cancelled"}, timeout_s=3)


async def test_a_congested_network_is_tried_again(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2) as house:
        refusals = Counter[str]()

        def refuse(destination: str) -> int | None:
            refusals[destination] += 1
            return 38 if refusals[destination] <= 2 else None

        house.rack.network.refuse = refuse
        ids = [await house.put(4915_0000_0000 + number) for number in range(6)]
        for _ in range(2):
            await house.until(
                lambda: all(house.message(i).state is State.QUEUED and house.message(i).parts[0].attempt for i in ids)
            )
            house.clock.set(house.clock.now_ms() + 60_000)
            house.scheduler.nudge()
            await house.until(lambda: any(house.message(i).state is not State.QUEUED for i in ids))
            await house.until(lambda: all(house.message(i).state in (State.QUEUED, State.SENT) for i in ids))
        house.clock.set(house.clock.now_ms() + 60_000)
        house.scheduler.nudge()
        await house.until(lambda: house.is_all(State.SENT, 6))
        assert set(house.destinations().values()) == {1}
        assert {house.message(i).parts[0].attempt for i in ids} == {3}


async def test_a_number_that_does_not_exist_fails_with_its_code(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2) as house:
        house.rack.network.refuse = lambda _: 1
        identifier = await house.put(4915_0000_0000)
        await house.until(lambda: house.message(identifier).state is State.FAILED)
        assert house.message(identifier).error == 1
        assert house.message(identifier).reason == "refused_by_network"


async def test_a_barred_sim_rests_and_its_messages_go_by_others(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=4) as house:
        barred = house.rack.network.sims[1]
        barred.allowance = 0
        ids = [await house.put(4915_0000_0000 + number) for number in range(60)]
        await house.until(lambda: house.tally(0).get(State.SENT, 0) == 60 - REFUSALS)
        # One more may have been ahead when it was refused for the last time.
        assert {view.imsi: view.refused for view in house.pool.views()}[barred.imsi] in (REFUSALS, REFUSALS + 1)
        # Those that it refused wait for their next attempt.
        house.clock.set(house.clock.now_ms() + FIRST_MS // 2)
        house.scheduler.nudge()
        await house.until(lambda: house.is_all(State.SENT, 60))
        assert set(house.destinations().values()) == {1}
        assert sum(house.message(i).parts[0].attempt for i in ids) == 60 + REFUSALS
        # The bar is lifted, the rest is over: it takes its share again.
        barred.allowance = None
        house.clock.set(house.clock.now_ms() + FIRST_MS)
        house.scheduler.nudge()
        for number in range(60, 120):
            await house.put(4915_0000_0000 + number)
        await house.until(lambda: house.is_all(State.SENT, 120))
        assert any(acceptance.sim is barred for acceptance in house.ledger())


async def test_a_campaign_that_cannot_be_fed_stops_nothing_else(tmp_path: Path) -> None:
    def stumble(_store: Store) -> None:
        _store.write_now(messages.GROUPS.put, 12345, Sending.RUNNING.value)

    async with playing(tmp_path, modems=1, before=stumble) as house:
        await house.put(4915_0000_0000)
        await house.until(lambda: house.is_all(State.SENT, 1))
        await house.store.write(messages.GROUPS.remove, 12345)


async def test_a_line_that_is_pulled_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=4, latency_ms=10) as house:
        policies = (OnUnknown.HOLD, OnUnknown.AWAIT_REPORT)
        for number in range(80):
            await house.put(4915_0000_0000 + number, on_unknown=policies[number % 2])
        await house.until(lambda: len(house.ledger()) >= 12)
        house.rack.unplug("modem-01")
        await house.until(lambda: house.tally(0).get(State.QUEUED, 0) == 0, timeout_s=10)
        house.rack.plug("modem-01")
        await house.until(lambda: set(house.tally(0)) <= {State.SENT, State.UNKNOWN}, timeout_s=10)
        assert max(house.destinations().values()) == 1
        sent = house.tally(0)[State.SENT]
        assert sent <= len(house.ledger()) <= sent + house.tally(0).get(State.UNKNOWN, 0)


async def test_a_message_whose_sim_left_between_its_parts_goes_on_when_it_is_back(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, latency_ms=20) as house:
        identifier = await house.put(4915_0000_0000, "c" * 1000)
        await house.until(lambda: len(house.ledger()) >= 2)
        name = f"modem-{int(house.ledger()[0].sim.imsi[-2:]) - 1:02d}"
        house.rack.unplug(name)
        await house.until(lambda: house.scheduler.is_quiet)
        house.rack.plug(name)
        await house.until(
            lambda: State.QUEUED not in {part.state for part in house.message(identifier).parts}, timeout_s=10
        )
        assert len({acceptance.sim.imsi for acceptance in house.ledger()}) == 1


async def test_a_message_whose_sim_never_comes_back_ends_with_its_deadline(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, latency_ms=20) as house:
        expires_ms = house.clock.now_ms() + 3_600_000
        identifier = await house.put(4915_0000_0000, "c" * 1000, expires_ms=expires_ms)
        await house.until(lambda: len(house.ledger()) >= 2)
        house.rack.unplug(f"modem-{int(house.ledger()[0].sim.imsi[-2:]) - 1:02d}")
        await house.until(lambda: house.scheduler.is_quiet)
        house.clock.set(expires_ms + 60_000)
        house.scheduler.nudge()
        for number in range(3):
            await house.put(4915_1000_0000 + number)
        await house.until(lambda: house.is_all(State.SENT, 3))
        await house.until(lambda: house.message(identifier).state not in (State.SENDING, State.UNKNOWN), timeout_s=1)


async def test_nothing_counts_as_settled_while_a_message_has_parts_to_go(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=1, settings={"command_gap_ms": 60}) as house:
        await house.put(4915_0000_0000, "c" * 600)
        await house.until(lambda: len(house.ledger()) == 1)
        await house.until(lambda: house.scheduler.is_idle)
        assert house.is_all(State.SENT, 1)


async def test_a_message_that_a_person_resends_is_not_sent_by_its_old_sim_as_well(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, latency_ms=30) as house:
        identifier = await house.put(4915_0000_0000, "c" * 400)
        await house.until(lambda: house.message(identifier).parts[0].state is State.SENDING)
        old = f"modem-{house.message(identifier).parts[0].sim % 100 - 1:02d}"
        await house.until(lambda: house.rack.network._in_air == 1)
        house.rack.unplug(old)
        await house.until(lambda: house.message(identifier).state is State.UNKNOWN)
        await house.until(lambda: len(house.ledger()) == 1)
        await house.store.write(intents.resolve, identifier, Resolution.RESEND, house.clock.now_ms())
        await house.until(lambda: len(house.ledger()) == 2)
        house.rack.plug(old)
        await house.until(lambda: house.message(identifier).state is State.SENT)
        await house.until(lambda: house.scheduler.is_idle)
        assert len(house.ledger()) == 1 + 3


async def test_while_every_modem_is_busy_the_scheduler_sleeps(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=1, latency_ms=400) as house:
        looks = 0
        now_ms = house.scheduler._now_ms

        def count() -> int:
            nonlocal looks
            looks += 1
            return now_ms()

        for number in range(5):
            await house.put(4915_0000_0000 + number)
        await house.until(lambda: house.rack.network._in_air == 1)
        house.scheduler._now_ms = count
        await house.put(4915_0000_0009)
        await house.until(lambda: len(house.ledger()) == 1)
        assert looks < 50


async def test_what_landed_while_the_store_was_full_is_not_lost(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=4) as house:
        is_full, refused, rules = True, 0, house.scheduler._rules

        def refuse_while_full(txn: Txn, asked: list[Message], now_ms: int) -> list[messages.Verdict]:
            nonlocal refused
            if is_full:
                refused += 1
                raise StoreFull("as an LMDB without room would")
            return rules.gate(txn, asked, now_ms)

        house.scheduler._rules = replace(rules, gate=refuse_while_full)
        ids = [await house.put(4915_0000_0000 + number, "c" * 200) for number in range(6)]
        await house.until(lambda: refused)
        assert house.ledger() == []
        is_full = False
        await house.until(lambda: house.is_all(State.SENT, len(ids)))
        assert set(house.destinations().values()) == {2}
