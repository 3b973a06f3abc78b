"""engine/traffic/quotas.py: when a SIM may send again, and what it remembers."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.config import Limits
from engine.errors import RecordBroken
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import quotas
from engine.traffic.quotas import DAY_MS, HOUR_MS, MINUTE_MS, MONTH_MS, STANDS_STILL_MS, TABLES
from tests.engine.traffic.stage import NOW_MS, NUMBER, OTHER_NUMBER, OTHER_SIM, SIM

THIRD_NUMBER = 447_700_900_123
YEAR_MS = 365 * DAY_MS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def spend(store: Store, limits: Limits, now_ms: int = NOW_MS, number: int = NUMBER, times: int = 1) -> None:
    for _ in range(times):
        store.write_now(quotas.spend, SIM, number, now_ms, limits)


def room(store: Store, limits: Limits, now_ms: int = NOW_MS, number: int = NUMBER, parts: int = 1) -> int:
    with store.read() as txn:
        return quotas.room(txn, SIM, number, now_ms, limits, parts)


def used(store: Store, limits: Limits, now_ms: int = NOW_MS) -> dict[str, int]:
    with store.read() as txn:
        return {quota.name: quota.used for quota in quotas.used(txn, SIM, now_ms, limits)}


def rows(store: Store) -> list[int]:
    with store.read() as txn:
        return [table.count(txn) for table in TABLES]


# -- limits


def test_a_sim_without_a_limit_is_not_counted(store: Store) -> None:
    spend(store, Limits(), times=3)
    assert room(store, Limits()) == 0
    assert rows(store) == [0, 0, 0, 0]
    assert used(store, Limits()) == {}


def test_limits_are_read_from_the_settings() -> None:
    assert msgspec.convert({"day": 100}, Limits) == Limits(day=100)
    for wrong in ({"day": -1}, {"week": 5}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Limits)


@pytest.mark.parametrize(
    ("limits", "length_ms"),
    [
        pytest.param(Limits(minute=2), MINUTE_MS, id="minute"),
        pytest.param(Limits(hour=2), HOUR_MS, id="hour"),
        pytest.param(Limits(day=2), DAY_MS, id="day"),
        pytest.param(Limits(month=2), MONTH_MS, id="month"),
        pytest.param(Limits(minute=9, hour=2, day=50), HOUR_MS, id="the hour within a day"),
    ],
)
def test_a_full_window_names_the_moment_from_which_there_is_room(store: Store, limits: Limits, length_ms: int) -> None:
    spend(store, limits)
    assert room(store, limits) == 0
    spend(store, limits)
    free_ms = room(store, limits)
    assert free_ms == NOW_MS + length_ms + 1
    assert room(store, limits, free_ms - 1) == free_ms
    assert room(store, limits, free_ms) == 0


def test_each_sim_has_its_own(store: Store) -> None:
    limits = Limits(day=1)
    spend(store, limits)
    with store.read() as txn:
        assert quotas.sim_room(txn, SIM, NOW_MS, limits) > 0
        assert quotas.sim_room(txn, OTHER_SIM, NOW_MS, limits) == 0


def test_a_long_message_waits_until_all_its_parts_have_room(store: Store) -> None:
    limits = Limits(minute=3)
    spend(store, limits)
    spend(store, limits, NOW_MS + 20_000)
    assert room(store, limits, NOW_MS + 20_000, parts=1) == 0
    assert room(store, limits, NOW_MS + 20_000, parts=2) == NOW_MS + MINUTE_MS + 1
    assert room(store, limits, NOW_MS + 20_000, parts=3) == NOW_MS + 20_000 + MINUTE_MS + 1
    assert room(store, limits, NOW_MS + 20_000, parts=8) == NOW_MS + 20_000 + MINUTE_MS + 1


def test_room_and_spending_in_one_spend_only_where_there_is_room(store: Store) -> None:
    limits = Limits(day=1)
    assert store.write_now(quotas.take, SIM, NUMBER, NOW_MS, limits) == 0
    assert store.write_now(quotas.take, SIM, NUMBER, NOW_MS, limits) == NOW_MS + DAY_MS + 1
    assert used(store, limits) == {"day": 1}
    assert store.write_now(quotas.take, SIM, NUMBER, NOW_MS, Limits()) == 0


def test_a_limit_that_is_added_later_knows_what_went_before(store: Store) -> None:
    spend(store, Limits(day=100), times=5)
    assert room(store, Limits(day=100, minute=5)) == NOW_MS + MINUTE_MS + 1


# -- recipients


def test_someone_who_was_written_to_may_be_written_to_again(store: Store) -> None:
    limits = Limits(day_recipients=1)
    spend(store, limits)
    assert room(store, limits) == 0
    assert room(store, limits, number=OTHER_NUMBER) == NOW_MS + DAY_MS + 1
    with store.read() as txn:
        # Nobody else may: the SIM is left alone till then.
        assert quotas.sim_room(txn, SIM, NOW_MS, limits) == NOW_MS + DAY_MS + 1


def test_a_recipient_counts_from_the_latest_part(store: Store) -> None:
    limits = Limits(day_recipients=1, month_recipients=2)
    spend(store, limits)
    spend(store, limits, NOW_MS + HOUR_MS)
    assert room(store, limits, NOW_MS + HOUR_MS, OTHER_NUMBER) == NOW_MS + HOUR_MS + DAY_MS + 1
    later_ms = NOW_MS + HOUR_MS + DAY_MS + 1
    spend(store, limits, later_ms, OTHER_NUMBER)
    assert used(store, limits, later_ms) == {"day_recipients": 1, "month_recipients": 2}
    assert room(store, limits, later_ms, THIRD_NUMBER) == NOW_MS + HOUR_MS + MONTH_MS + 1


# -- refunds


def test_a_part_that_did_not_go_is_as_if_it_had_not_been_spent(store: Store) -> None:
    limits = Limits(minute=2, month=2, day_recipients=2)
    spend(store, limits)
    spend(store, limits, NOW_MS + 10, OTHER_NUMBER)
    store.write_now(quotas.refund, SIM, OTHER_NUMBER, NOW_MS + 10, limits)
    assert used(store, limits, NOW_MS + 20) == {"minute": 1, "month": 1, "day_recipients": 1}
    assert room(store, limits, NOW_MS + 20, THIRD_NUMBER) == 0
    assert rows(store)[2] == 1


def test_a_refund_leaves_what_the_recipient_was_sent_before(store: Store) -> None:
    limits = Limits(day_recipients=1)
    for at_ms in (NOW_MS, NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS):
        spend(store, limits, at_ms)
    store.write_now(quotas.refund, SIM, NUMBER, NOW_MS + 2 * HOUR_MS, limits)
    assert room(store, limits, NOW_MS + 2 * HOUR_MS, OTHER_NUMBER) == NOW_MS + HOUR_MS + DAY_MS + 1
    store.write_now(quotas.refund, SIM, NUMBER, NOW_MS, limits)
    assert room(store, limits, NOW_MS + 2 * HOUR_MS, OTHER_NUMBER) == NOW_MS + HOUR_MS + DAY_MS + 1
    store.write_now(quotas.refund, SIM, NUMBER, NOW_MS + HOUR_MS, limits)
    assert room(store, limits, NOW_MS + 2 * HOUR_MS, OTHER_NUMBER) == 0


def test_a_recipient_of_many_parts_is_kept_in_a_few_octets(store: Store) -> None:
    limits = Limits(month_recipients=1)
    for hour in range(40):
        spend(store, limits, NOW_MS + hour * HOUR_MS)
    store.write_now(quotas.refund, SIM, NUMBER, NOW_MS + 39 * HOUR_MS, limits)
    # Both were in one cell, which stays where it was.
    assert room(store, limits, NOW_MS + 40 * HOUR_MS, OTHER_NUMBER) == NOW_MS + 39 * HOUR_MS + MONTH_MS + 1
    with store.read() as txn:
        assert [len(row.cells) for _, row in quotas.RECIPIENT.scan(txn)] == [3]


def test_a_refund_that_no_window_reaches_any_more_changes_nothing(store: Store) -> None:
    limits = Limits(minute=5, month=5)
    spend(store, limits)
    spend(store, limits, NOW_MS + HOUR_MS, OTHER_NUMBER)
    store.write_now(quotas.refund, SIM, NUMBER, NOW_MS, limits)
    assert used(store, limits, NOW_MS + HOUR_MS) == {"minute": 1, "month": 1}


# -- parts that waited for the one in the air


def test_a_part_that_went_late_counts_from_then(store: Store) -> None:
    limits = Limits(minute=1, day_recipients=1)
    spend(store, limits)
    store.write_now(quotas.went, SIM, NOW_MS, NOW_MS + 9_000, limits)
    assert room(store, limits, NOW_MS + 9_000) == NOW_MS + 9_000 + MINUTE_MS + 1
    assert room(store, limits, NOW_MS + 9_000, OTHER_NUMBER) == NOW_MS + 9_000 + DAY_MS + 1


def test_a_part_that_went_when_its_window_had_let_it_go_counts_again(store: Store) -> None:
    limits = Limits(minute=1)
    spend(store, limits)
    went_ms = NOW_MS + MINUTE_MS + 5_000
    store.write_now(quotas.went, SIM, NOW_MS, went_ms, limits)
    assert room(store, limits, went_ms) == went_ms + MINUTE_MS + 1


def test_a_part_that_others_followed_while_it_was_in_the_air_counts_from_when_it_went(store: Store) -> None:
    limits = Limits(minute=2)
    spend(store, limits)
    spend(store, limits)  # ahead: it goes 55 s later
    third_ms = NOW_MS + MINUTE_MS + 1
    assert store.write_now(quotas.take, SIM, NUMBER, third_ms, limits) == 0
    store.write_now(quotas.went, SIM, NOW_MS, NOW_MS + 55_000, limits)
    assert room(store, limits, third_ms + 1_000) > NOW_MS + 55_000 + MINUTE_MS


# -- restarts and clocks


def test_a_part_that_was_in_the_air_at_a_crash_counts_from_the_restart(store: Store) -> None:
    limits = Limits(minute=2, day_recipients=9)
    spend(store, limits)
    spend(store, limits)
    crash_ms = NOW_MS + 30_000
    store.write_now(lambda txn: quotas.recover(txn, SIM, NUMBER, NOW_MS, crash_ms, may_have_gone=True))
    assert room(store, limits, NOW_MS + MINUTE_MS + 1) == crash_ms + MINUTE_MS + 1


def test_a_part_that_did_not_go_before_a_crash_is_refunded(store: Store) -> None:
    limits = Limits(minute=1, day_recipients=1)
    spend(store, limits)
    store.write_now(lambda txn: quotas.recover(txn, SIM, NUMBER, NOW_MS, NOW_MS + 1, may_have_gone=False))
    assert room(store, limits, number=OTHER_NUMBER) == 0


def test_a_crash_counts_nothing_on_a_sim_without_limits(store: Store) -> None:
    store.write_now(lambda txn: quotas.recover(txn, SIM, NUMBER, NOW_MS, NOW_MS + 1, may_have_gone=True))
    with store.read() as txn:
        assert quotas.SIM_PARTS.find(txn, SIM) is None


def test_what_was_spent_survives_a_restart(tmp_path: Path) -> None:
    limits = Limits(hour=3, day_recipients=2)
    for times in range(3):
        store = Store(tmp_path / "data", TABLES)
        assert used(store, limits) == {"hour": times, "day_recipients": min(times, 1)}
        spend(store, limits)
        store.close()
    store = Store(tmp_path / "data", TABLES)
    assert room(store, limits) == NOW_MS + HOUR_MS + 1
    store.close()


def test_while_the_clock_catches_up_with_itself_nothing_is_let_go(store: Store) -> None:
    limits = Limits(minute=2)
    spend(store, limits)
    spend(store, limits, NOW_MS + 55_000)
    back_ms = NOW_MS - 100_000
    assert room(store, limits, back_ms) == NOW_MS + MINUTE_MS + 1
    assert room(store, limits, NOW_MS + MINUTE_MS) == NOW_MS + MINUTE_MS + 1
    assert room(store, limits, NOW_MS + MINUTE_MS + 1) == 0


@pytest.mark.parametrize(
    "by_ms",
    [
        pytest.param(STANDS_STILL_MS + 1, id="by minutes"),
        pytest.param(HOUR_MS, id="by an hour"),
        pytest.param(10 * YEAR_MS, id="by ten years"),
    ],
)
def test_a_clock_set_far_back_neither_frees_nor_stops_a_sim(store: Store, by_ms: int) -> None:
    limits = Limits(minute=2, day_recipients=2)
    spend(store, limits)
    spend(store, limits, NOW_MS + 5_000, OTHER_NUMBER)
    back_ms = NOW_MS + 5_000 - by_ms
    # No time is known to have passed since the latest part: the older one has 55 s to go.
    assert room(store, limits, back_ms) == back_ms + 55_001
    store.write_now(quotas.prune, back_ms, 10)
    assert room(store, limits, back_ms + 30_000) == back_ms + 55_001
    assert room(store, limits, back_ms + 55_001) == 0
    assert room(store, limits, back_ms + 55_001, THIRD_NUMBER) == back_ms + DAY_MS + 1
    spend(store, limits, back_ms + 55_001)
    assert used(store, limits, back_ms + 55_001) == {"minute": 2, "day_recipients": 2}


# -- views


def test_the_quota_that_binds_longest_is_named(store: Store) -> None:
    limits = Limits(minute=1, hour=5, day=2, day_recipients=2)
    spend(store, limits)
    spend(store, limits)
    with store.read() as txn:
        bound = quotas.binding(txn, SIM, NUMBER, NOW_MS, limits)
        assert bound is not None
        assert (bound.name, bound.limit, bound.used, bound.left) == ("day", 2, 2, 0)
        assert bound.free_ms == NOW_MS + DAY_MS + 1
        shown = quotas.used(txn, SIM, NOW_MS, limits)
        assert [(quota.name, quota.left) for quota in shown] == [
            ("minute", 0),
            ("hour", 3),
            ("day", 0),
            ("day_recipients", 1),
        ]
        assert quotas.binding(txn, SIM, NUMBER, bound.free_ms, limits) is None


def test_a_limit_of_recipients_binds_new_ones_only(store: Store) -> None:
    limits = Limits(month_recipients=1)
    spend(store, limits)
    with store.read() as txn:
        assert quotas.binding(txn, SIM, NUMBER, NOW_MS, limits) is None
        bound = quotas.binding(txn, SIM, OTHER_NUMBER, NOW_MS, limits)
        assert bound is not None
        assert (bound.name, bound.free_ms) == ("month_recipients", NOW_MS + MONTH_MS + 1)


# -- the store


def fill(txn: Txn, limits: Limits, days: int) -> int:
    now_ms = NOW_MS
    while now_ms < NOW_MS + days * DAY_MS:
        now_ms += 10 * MINUTE_MS
        quotas.spend(txn, SIM, NUMBER + now_ms // HOUR_MS, now_ms, limits)
    for _ in range(7200):
        now_ms += 1000
        quotas.spend(txn, SIM, NUMBER, now_ms, limits)
    return now_ms


def test_a_sim_takes_half_a_page_however_much_it_sends(store: Store) -> None:
    limits = Limits(month=1, month_recipients=1)
    store.write_now(fill, limits, 40)
    with store.read() as txn:
        for table in (quotas.SIM_PARTS, quotas.SIM_RECIPIENTS):
            assert txn.raw.stat(db=txn.handles[table.name])["overflow_pages"] == 0
        assert [len(window.cells) // 8 for _, row in quotas.SIM_PARTS.scan(txn) for window in row.windows] == [60] * 4


def test_recipients_whom_no_window_reaches_are_removed_a_few_at_a_time(store: Store) -> None:
    limits = Limits(month_recipients=1)
    now_ms = store.write_now(fill, limits, 40)
    before = used(store, limits, now_ms)
    steps = 1
    while store.write_now(quotas.prune, now_ms, 100):
        steps += 1
    assert steps == 10
    with store.read() as txn:
        latest = [row.cells[-1] >> 20 for _, row in quotas.RECIPIENT.scan(txn)]
        assert now_ms - MONTH_MS - 2 * DAY_MS < min(latest) < now_ms - MONTH_MS
        assert quotas.SWEPT.count(txn) == 0
    assert used(store, limits, now_ms) == before


def test_a_clock_that_is_a_month_ahead_by_mistake_makes_nothing_forgotten(store: Store) -> None:
    limits = Limits(day_recipients=1)
    spend(store, limits)
    assert not store.write_now(quotas.prune, NOW_MS + MONTH_MS, 100)
    assert room(store, limits, NOW_MS + 1, OTHER_NUMBER) == NOW_MS + DAY_MS + 1
    assert room(store, limits, NOW_MS + 1) == 0
    assert not store.write_now(quotas.prune, NOW_MS + 3 * MONTH_MS, 100)
    assert rows(store)[2] == 0


def test_a_row_that_is_none_names_its_table(store: Store) -> None:
    limits = Limits(day=1, day_recipients=1)
    spend(store, limits)

    def cut(txn: Txn) -> None:
        row = quotas.SIM_PARTS.get(txn, SIM)
        row.windows[2].cells += b"x"
        quotas.SIM_PARTS.put(txn, SIM, row)

    store.write_now(cut)
    with pytest.raises(RecordBroken, match="quota_parts"):
        room(store, limits)

    def empty(txn: Txn) -> None:
        row = quotas.SIM_PARTS.get(txn, SIM)
        row.windows[2].cells = b""
        quotas.SIM_PARTS.put(txn, SIM, row)

    store.write_now(empty)
    with pytest.raises(RecordBroken, match="quota_parts"):
        room(store, limits)
