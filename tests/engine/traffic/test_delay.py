"""Delay: what is late, what only looks like it, and how often somebody is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import delay, events, intents, messages
from engine.traffic.delay import LATELY_MS, REPEAT_MS, DelayWatch, Lately
from engine.traffic.events import Event
from engine.traffic.message import SEND, Asked, Lane, Pick, State, Verdict
from engine.traffic.settling import Claimed
from tests.engine.crm import stage as crm
from tests.engine.traffic.stage import NOW_MS, SIM, claim, put, say, text

HELD = Verdict(State.HELD, "quiet_hours", NOW_MS + 3_600_000)
LIMIT_S = 30


@dataclass
class Rack:
    """What a scheduler tells of its line, a clock, and a gate that holds back what says "night"."""

    lately: Lately = field(default_factory=Lately)
    is_full: bool = False
    bulk: int = 0
    now_ms: int = NOW_MS
    asked: int = 0

    def parts_in(self, lane: Lane) -> int:
        return self.bulk if lane is Lane.BULK else 0

    def judge(self, _txn: Txn, asked: Sequence[Asked], _now_ms: int) -> list[Verdict]:
        self.asked += len(asked)
        return [HELD if "night" in one.text else SEND for one in asked]

    def goes(self, waited_ms: int, lane: Lane = Lane.NORMAL) -> None:
        """A message is claimed that has waited so long."""
        message = text(due_ms=self.now_ms - waited_ms, lane=lane)
        self.lately.claimed([Claimed(SEND, message)], self.now_ms)


@pytest.fixture
def rack() -> Rack:
    return Rack()


@pytest.fixture
def watch(store: Store, rack: Rack) -> DelayWatch:
    return DelayWatch(store, rack, rack.judge, lambda: rack.now_ms, lambda: 2, LIMIT_S)


def told(store: Store) -> list[Event]:
    with store.read() as txn:
        return [event for _, event in events.after(txn, 0, 1000) if event.kind.startswith("rack.")]


# -- what is late


async def test_the_oldest_of_each_lane_counts_since_it_came_due(store: Store, rack: Rack, watch: DelayWatch) -> None:
    put(store, lane=Lane.OTP, now_ms=NOW_MS - 3_000)
    put(store, lane=Lane.NORMAL, now_ms=NOW_MS - 50_000, not_before_ms=NOW_MS - 20_000)
    put(store, lane=Lane.NORMAL, now_ms=NOW_MS - 10_000)
    put(store, lane=Lane.HIGH, not_before_ms=NOW_MS + 1)
    put(store, lane=Lane.BULK, now_ms=NOW_MS - 90_000)
    found = await watch.look()
    assert found.oldest_ms == {Lane.OTP: 3_000, Lane.HIGH: 0, Lane.NORMAL: 20_000, Lane.BULK: 0}
    assert (found.worst_ms, found.p95_ms, found.modems_ready) == (20_000, 0, 2)


async def test_what_the_gate_holds_is_not_late_and_hides_nothing_behind_it(
    store: Store, rack: Rack, watch: DelayWatch
) -> None:
    for _ in range(250):
        put(store, text="night", now_ms=NOW_MS - 80_000)
    assert (await watch.look()).worst_ms == 0
    put(store, now_ms=NOW_MS - 40_000)
    assert (await watch.look()).worst_ms == 40_000


async def test_a_message_that_is_under_way_is_late_since_its_last_part(
    store: Store, rack: Rack, watch: DelayWatch
) -> None:
    begun = put(store, 3, now_ms=NOW_MS - 90_000)
    part = claim(store, begun).part
    other = put(store, now_ms=NOW_MS - 5_000)
    assert (await watch.look()).worst_ms == 5_000
    store.write_now(intents.mark_sent, begun, part, 7, NOW_MS)
    rack.now_ms += 40_000
    assert (await watch.look()).worst_ms == 45_000
    store.write_now(messages.cancel_all, [other], "by_request", NOW_MS)
    assert (await watch.look()).worst_ms == 40_000


async def test_what_has_expired_is_not_late(store: Store, rack: Rack, watch: DelayWatch) -> None:
    put(store, expires_ms=NOW_MS + 10_000)
    rack.now_ms += 40_000
    assert (await watch.look()).worst_ms == 0


async def test_of_a_busy_line_only_the_first_is_asked_about(store: Store, rack: Rack, watch: DelayWatch) -> None:
    for _ in range(200):
        put(store)
    await watch.look()
    assert rack.asked == 1


def test_95_of_100_were_quicker_and_older_ones_are_forgotten(rack: Rack) -> None:
    for waited_ms in range(1, 101):
        rack.goes(waited_ms)
    rack.goes(999_999, Lane.BULK)
    assert rack.lately.p95_ms(NOW_MS) == 95
    assert rack.lately.p95_ms(NOW_MS + LATELY_MS - 1) == 95
    assert rack.lately.p95_ms(NOW_MS + LATELY_MS) == 0


async def test_later_parts_and_refused_ones_say_nothing_of_delay(store: Store, rack: Rack) -> None:
    begun = put(store, 2)
    claimed = store.write_now(intents.claim, [Pick(begun, SIM)], NOW_MS + 99_000, say(SEND))[0]
    store.write_now(intents.mark_sent, begun, 0, 7, NOW_MS + 99_000)
    again = store.write_now(intents.claim, [Pick(begun, SIM)], NOW_MS + 99_500, say(SEND))[0]
    rack.lately.claimed([Claimed(again.verdict, again.message), Claimed(HELD, text())], NOW_MS + 99_500)
    assert (rack.lately.p95_ms(NOW_MS + 99_500), rack.lately.last_ms) == (0, NOW_MS + 99_500)
    rack.lately.claimed([Claimed(claimed.verdict, claimed.message)], NOW_MS + 99_600)
    assert rack.lately.p95_ms(NOW_MS + 99_600) == 99_600


# -- bulk


async def still(rack: Rack, watch: DelayWatch, seconds: int) -> int:
    """How long nothing went, in s, after so many with a look every five."""
    found = await watch.look()
    for _ in range(seconds // 5):
        rack.now_ms += 5_000
        found = await watch.look()
    return found.oldest_ms[Lane.BULK] // 1000


async def test_bulk_is_late_when_nothing_goes_and_on_time_while_anything_does(
    store: Store, rack: Rack, watch: DelayWatch
) -> None:
    campaign = crm.running(store, [crm.row(crm.FIRST + at) for at in range(30)])
    crm.feed(store)
    rack.bulk = 30
    assert await still(rack, watch, 40) == 40
    rack.lately.claimed([None], rack.now_ms)
    assert await still(rack, watch, 20) == 20
    rack.goes(0)
    assert await still(rack, watch, 10) == 10
    assert campaign


async def test_bulk_is_on_time_where_quotas_are_used_up_or_nothing_of_it_may_go(
    store: Store, rack: Rack, watch: DelayWatch
) -> None:
    crm.running(store, [crm.row(crm.FIRST + at) for at in range(3)], "good night")
    crm.feed(store)
    put(store, lane=Lane.BULK, text="night too")
    rack.bulk, rack.is_full = 4, True
    assert await still(rack, watch, 60) == 0
    rack.is_full = False
    assert await still(rack, watch, 100) <= LIMIT_S
    put(store, lane=Lane.BULK)
    assert await still(rack, watch, 60) >= 60
    rack.bulk = 0
    assert await still(rack, watch, 60) == 0


# -- who is told


async def test_an_alert_is_told_once_again_while_it_lasts_and_when_it_is_over(
    store: Store, rack: Rack, watch: DelayWatch
) -> None:
    made = put(store)
    rack.now_ms += LIMIT_S * 1000
    await watch.watch()
    assert told(store) == []
    rack.now_ms += 1_000
    commits = store.commits
    for _ in range(5):
        await watch.watch()
    (first,) = told(store)
    assert (first.kind, first.subject, first.at_ms) == ("rack.delay", "rack", NOW_MS + 31_000)
    assert first.detail == {"oldest_s": 31, "p95_s": 0, "waiting_parts": 0, "modems_ready": 2}
    assert store.commits == commits + 1
    rack.now_ms += REPEAT_MS
    await watch.watch()
    assert [event.kind for event in told(store)] == ["rack.delay"] * 2
    store.write_now(messages.cancel, made, rack.now_ms)
    for _ in range(3):
        await watch.watch()
    last = told(store)[-1]
    assert (last.kind, last.detail) == ("rack.delay_over", {"lasted_s": 31 + REPEAT_MS // 1000})
    assert len(told(store)) == 3


async def test_what_went_late_is_an_alert_too_until_a_minute_behind_it(
    store: Store, rack: Rack, watch: DelayWatch
) -> None:
    rack.goes(45_000)
    await watch.watch()
    assert told(store)[0].detail["p95_s"] == 45
    rack.now_ms += LATELY_MS
    await watch.watch()
    assert [event.kind for event in told(store)] == ["rack.delay", "rack.delay_over"]


async def test_where_there_is_nothing_to_tell_nothing_is_written(store: Store, rack: Rack, watch: DelayWatch) -> None:
    put(store, not_before_ms=NOW_MS + 3_600_000)
    commits = store.commits
    for _ in range(10):
        rack.now_ms += round(delay.EVERY_S * 1000)
        await watch.watch()
    assert store.commits == commits
