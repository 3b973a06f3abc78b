"""engine/wiring.py: the whole engine on a simulated rack, over its starts and stops."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from engine import proof
from engine.config import ANY_HOUR, Hours, Limits, Modems, QuietHours, Settings, SimSettings
from engine.crm.marketing import campaigns, caps, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.errors import Conflict, NotFound, StoreLocked
from engine.sim.rack import Rack
from engine.store.environment import Store
from engine.traffic import intents, messages, quotas
from engine.traffic.messages import MESSAGES, Message, Pick, Resolution, State
from engine.wiring import TABLES, Clock, Engine, running
from tests.engine.crm import stage
from tests.engine.traffic.stage import say

PEPPER = b"p" * 32
NUMBER = 4_917_012_345_678


@pytest.fixture
async def rack(tmp_path: Path) -> AsyncIterator[Rack]:
    rack = Rack(tmp_path / "rack", 2)
    rack.start()
    yield rack
    rack.close()


def settings(tmp_path: Path) -> Settings:
    modems = Modems(ports=(f"{tmp_path}/rack/modem-*",), command_gap_ms=0)
    return Settings(data=str(tmp_path / "data"), modems=modems, quiet=ANY_HOUR)


async def until(condition: Callable[[], bool], timeout_s: float = 8) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # asked again and again: the rack tells nobody


def state(engine: Engine, identifier: int) -> State:
    with engine.store.read() as txn:
        return MESSAGES.get(txn, identifier).state


@contextlib.contextmanager
def opened(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data", TABLES)
    try:
        yield store
        with store.read() as txn:
            assert list(proof.differences(txn)) == []
    finally:
        store.close()


async def test_a_message_goes_out_its_report_comes_in_and_a_stop_is_answered(tmp_path: Path, rack: Rack) -> None:
    async with running(settings(tmp_path), PEPPER) as engine:
        await until(lambda: sum(view.state == "ready" for view in engine.rack()) == 2)
        message = Message(0, NUMBER, "hello", wants_report=True)
        sent = await engine.store.write(messages.enqueue, message, engine.now_ms())
        await until(lambda: state(engine, sent.id) is State.DELIVERED)
        assert engine.explain(sent.id) == "It was delivered."
        rack.network.text(f"+{NUMBER}", rack.network.sims[0].number, "STOP")
        await until(lambda: len(rack.network.accepted) == 2)
        await until(lambda: engine.is_settled)
        refused = await engine.store.write(messages.enqueue, Message(0, NUMBER, "hello"), engine.now_ms())
        await until(lambda: state(engine, refused.id) is State.SUPPRESSED)
        with pytest.raises(NotFound):
            engine.explain(4711)
        with pytest.raises(Conflict):
            await engine.resolve(sent.id, Resolution.SENT)
        with pytest.raises(StoreLocked):
            Engine(settings(tmp_path), PEPPER, Clock())
    with opened(tmp_path):
        pass


async def test_a_start_finds_what_the_last_run_left(tmp_path: Path, rack: Rack) -> None:
    now_ms = Clock().now_ms()
    with opened(tmp_path) as store:
        waiting = store.write_now(messages.enqueue, Message(0, NUMBER, "waiting"), now_ms).id
        flying = store.write_now(messages.enqueue, Message(0, NUMBER + 1, "flying"), now_ms).id
        store.write_now(intents.claim, [Pick(flying, 1)], now_ms, say(messages.SEND))
        broken = stage.draft(store).id
        begun = store.write_now(uploads.begin, broken, now_ms)
        store.write_now(uploads.add_rows, begun, stage.numbered([stage.row()]), {}, PEPPER, now_ms)
    async with running(settings(tmp_path), PEPPER) as engine:
        await until(lambda: state(engine, waiting) is State.SENT)
        assert state(engine, flying) is State.UNKNOWN
        with engine.store.read() as txn:
            assert not CAMPAIGNS.get(txn, broken).uploading
        await engine.resolve(flying, Resolution.RESEND)
        await until(lambda: state(engine, flying) is State.SENT)
    assert len(rack.network.accepted) == 2
    with opened(tmp_path):
        pass


async def test_what_comes_due_by_setting_the_clock_goes(tmp_path: Path, rack: Rack) -> None:
    async with running(settings(tmp_path), PEPPER) as engine:
        later_ms = engine.now_ms() + 3_600_000
        message = Message(0, NUMBER, "later", not_before_ms=later_ms)
        identifier = (await engine.store.write(messages.enqueue, message, engine.now_ms())).id
        await until(lambda: engine.is_settled)
        assert "It may not go before" in engine.explain(identifier)
        engine.set_clock(later_ms)
        await until(lambda: state(engine, identifier) is State.SENT)


async def test_an_engine_without_modems_starts_explains_and_stops(tmp_path: Path) -> None:
    async with running(Settings(data=str(tmp_path / "data"), quiet=ANY_HOUR), PEPPER) as engine:
        identifier = (await engine.store.write(messages.enqueue, Message(0, NUMBER, "hello"), engine.now_ms())).id
        assert engine.rack() == []
        assert engine.estimate_s(10) is None
        assert engine.explain(identifier).startswith("No modem is ready: it goes when one is, or expires at ")
        assert not engine.any_token()
    with opened(tmp_path):
        pass


def test_every_table_has_its_own_name() -> None:
    names = [table.name for table in TABLES]
    assert len(set(names)) == len(names)


async def test_it_explains_by_asking_the_gate_the_quotas_and_the_rack(tmp_path: Path, rack: Rack) -> None:
    shut = QuietHours(service=(Hours(0, 1),))
    sims = {sim.imsi: SimSettings(day=1) for sim in rack.network.sims}
    quiet = msgspec.structs.replace(settings(tmp_path), quiet=shut, sims=sims)
    async with running(quiet, PEPPER) as engine:
        await until(lambda: sum(view.state == "ready" for view in engine.rack()) == 2)
        # A minute after midnight of the recipient nobody is disturbed any more.
        held = await engine.store.write(messages.enqueue, Message(0, NUMBER, "hello"), engine.now_ms())
        await until(lambda: engine.is_settled)
        if state(engine, held.id) is State.HELD:
            assert "quiet hours where its recipient lives: it waits until 20" in engine.explain(held.id)
        one, two = (int(imsi) for imsi in sims)
        await engine.store.write(quotas.spend, one, NUMBER, engine.now_ms(), engine.limits_of(one))
        with engine.store.read() as txn:
            assert engine._binding(txn, {one, two}, NUMBER, engine.now_ms()) is None
            bound = engine._binding(txn, {one}, NUMBER, engine.now_ms())
        assert bound is not None
        assert (bound.name, bound.limit) == ("day", 1)
        assert engine.limits_of(4711) == Limits()


async def test_a_campaign_at_its_cap_waits_until_the_cap_is_raised(tmp_path: Path, rack: Rack) -> None:
    with opened(tmp_path) as store:
        campaign = stage.draft(store, parts_most=2).id
        stage.upload(store, campaign, [stage.row(NUMBER + place) for place in range(5)])
        stage.launch(store, campaign, Clock().now_ms())
    async with running(settings(tmp_path), PEPPER) as engine:

        def is_halted() -> bool:
            with engine.store.read() as txn:
                return messages.GROUPS.find(txn, campaign) == messages.Sending.PAUSED

        await until(is_halted)
        await until(lambda: engine.scheduler.waiting_parts == 0)
        await until(lambda: len(rack.network.accepted) == 2)
        with engine.store.read() as txn:
            waiting = [result.message for result in campaigns.results(txn, CAMPAIGNS.get(txn, campaign), 0, 5)]
        assert {message.state for message in waiting[2:]} == {State.QUEUED}
        assert "cost cap" in engine.explain(waiting[4].id)
        await engine.store.write(engine.change_caps, campaign, caps.Wanted(0), engine.now_ms())
        await until(lambda: len(rack.network.accepted) == 5)
    with opened(tmp_path):
        pass
