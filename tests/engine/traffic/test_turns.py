"""engine/traffic/scheduler.py: what a turn that was refused gives back, and who goes first when a modem is free."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine.crm.marketing import campaigns
from engine.errors import StoreFull
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages, scheduler
from engine.traffic.messages import Asked, Lane, Message, State
from engine.wiring import Clock
from tests.engine.traffic.test_scheduler import House8, playing

FIRST = 4915_0000_0000
LONG = "c" * 1200


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that has refused a turn is asked again soon."""
    monkeypatch.setattr(scheduler, "STORE_PAUSE_S", 0.05)


class Full:
    """A store that takes no turn, and how many it has refused."""

    refused = 0


@contextmanager
def full(house: House8) -> Iterator[Full]:
    """As long as it lasts, every turn that claims something is refused."""
    rules, store = house.scheduler._rules, Full()

    def refuse(txn: Txn, asked: Sequence[Asked], now_ms: int) -> list[messages.Verdict]:
        store.refused += 1
        raise StoreFull("as an LMDB without room would")

    house.scheduler._rules = replace(rules, gate=refuse)
    try:
        yield store
    finally:
        house.scheduler._rules = rules


def in_service(house: House8) -> int:
    return sum(view.state == "ready" for view in house.pool.views())


def last_digits(house: House8) -> list[int]:
    """The last digit of each part's recipient, in the order in which the network took them."""
    return [int(acceptance.destination[-1]) for acceptance in house.ledger()]


def put_all(txn: Txn, now_ms: int, numbers: range, text: str = "hello", lane: Lane = Lane.NORMAL) -> list[int]:
    return [messages.enqueue(txn, Message(0, FIRST + number, text, lane=lane), now_ms).id for number in numbers]


# -- a turn that was refused


async def test_an_otp_that_a_refused_turn_had_chosen_goes_by_another_modem(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2) as house:
        with full(house) as store:
            await house.store.write(put_all, house.clock.now_ms(), range(6), "hello", Lane.OTP)
            await house.until(lambda: store.refused > 0)
            house.rack.unplug("modem-01")
            await house.until(lambda: in_service(house) == 1)
        await house.until(lambda: house.is_all(State.SENT, 6))
        assert len({acceptance.sim.imsi for acceptance in house.ledger()}) == 1
        assert max(house.destinations().values()) == 1


async def test_a_message_under_way_that_a_refused_turn_had_chosen_goes_on_by_its_own_modem(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, latency_ms=10) as house:
        identifier = await house.put(FIRST, LONG)
        await house.until(lambda: len(house.ledger()) >= 2)
        with full(house) as store:
            await house.until(lambda: store.refused > 0)
            await house.put(FIRST + 1)
        await house.until(lambda: house.is_all(State.SENT, 2))
        parts = len(house.message(identifier).parts)
        assert len({part.sim for part in house.message(identifier).parts}) == 1
        assert house.destinations() == {f"+{FIRST}": parts, f"+{FIRST + 1}": 1}


async def test_rows_that_a_refused_turn_had_chosen_go_once_each(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2) as house:
        campaign = await house.campaign(40, FIRST)
        with full(house) as store:
            await house.store.write(campaigns.launch, campaign, house.clock.now_ms())
            await house.until(lambda: store.refused > 0)
        await house.until(lambda: house.is_all(State.SENT, 40, campaign))
        assert set(house.destinations().values()) == {1}


async def test_a_message_that_was_cancelled_while_its_turn_was_refused_is_not_sent(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=1) as house:
        with full(house) as store:
            ids = await house.store.write(put_all, house.clock.now_ms(), range(3))
            await house.until(lambda: store.refused > 0)
            await house.store.write(messages.cancel, ids[0], house.clock.now_ms())
        await house.until(lambda: house.is_all(State.SENT, 2))
        await house.until(lambda: house.scheduler.is_idle)
        assert sorted(last_digits(house)) == [1, 2]


async def test_what_a_refused_turn_had_chosen_goes_in_the_order_in_which_it_came(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=1) as house:
        with full(house) as store:
            await house.store.write(put_all, house.clock.now_ms(), range(8))
            await house.until(lambda: store.refused > 0)
        await house.until(lambda: house.is_all(State.SENT, 8))
        assert last_digits(house) == list(range(8))


# -- who goes first


@pytest.mark.parametrize("waiting", [2, 3])
async def test_an_otp_goes_before_the_part_that_a_modem_has_ahead(tmp_path: Path, waiting: int) -> None:
    def fill(store: Store) -> None:
        store.write_now(put_all, Clock().now_ms(), range(waiting))

    async with playing(tmp_path, modems=1, before=fill, latency_ms=300) as house:
        # One is on the line, one is ahead.
        await house.until(lambda: house.tally(0).get(State.SENDING, 0) == 2)
        assert house.ledger() == []
        await house.put(FIRST + 9, lane=Lane.OTP)
        await house.until(lambda: house.is_all(State.SENT, waiting + 1))
        assert last_digits(house)[:2] == [0, 9]
        assert max(house.destinations().values()) == 1


async def test_an_otp_that_another_modem_has_begun_lets_nothing_between_the_parts_of_a_message(
    tmp_path: Path,
) -> None:
    async with playing(tmp_path, modems=2, latency_ms=20) as house:
        heard = 0

        def refuse(destination: str) -> int | None:
            """The network is congested for the second part of the otp."""
            nonlocal heard
            heard += destination.endswith("9")
            return 38 if destination.endswith("9") and heard == 2 else None

        house.rack.network.refuse = refuse
        otp = await house.put(FIRST + 9, "c" * 200, lane=Lane.OTP)
        await house.until(lambda: house.message(otp).parts[1].attempt == 1 and house.scheduler.is_quiet)
        house.rack.unplug(f"modem-{house.message(otp).parts[0].sim % 100 - 1:02d}")
        await house.until(lambda: in_service(house) == 1)
        await house.put(FIRST + 1, LONG, lane=Lane.BULK)
        await house.until(lambda: len(house.ledger()) >= 2)
        await house.put(FIRST + 2, lane=Lane.HIGH)
        # Its next attempt comes due, and its own modem is not there.
        house.clock.set(house.clock.now_ms() + 60_000)
        house.scheduler.nudge()
        await house.until(lambda: house.is_all(State.SENT, 2))
        order = last_digits(house)[1:]
        assert order == [1] * (len(order) - 1) + [2]
