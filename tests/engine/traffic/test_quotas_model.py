"""engine/traffic/quotas.py against a list of all times: never more on any window, and nearly all that is allowed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from engine.config import Limits
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import quotas
from engine.traffic.quotas import DAY_MS, HOUR_MS, MINUTE_MS, MONTH_MS, STANDS_STILL_MS, TABLES
from tests.engine.traffic.quota_ledger import PARTS, RECIPIENTS, Exact, Sent, violations
from tests.engine.traffic.stage import NOW_MS, NUMBER, SIM

LENGTHS_MS = {**PARTS, **RECIPIENTS}

Take = Callable[[int, int], int]

LIMITS = [
    pytest.param(Limits(minute=1), id="one a minute"),
    pytest.param(Limits(minute=7, hour=100), id="bursts"),
    pytest.param(Limits(minute=10, hour=60, day=300, month=2000), id="all windows of parts"),
    pytest.param(Limits(minute=20, day_recipients=15, month_recipients=90), id="recipients"),
    pytest.param(Limits(3, 40, 200, 1500, 60, 400), id="everything"),
]


# -- never exceeded


@dataclass
class Life:
    """A SIM whose real time passes while its clock is set back, its store is opened again and parts come back."""

    directory: Path
    limits: Limits
    random: Random
    real_ms: int = NOW_MS
    back_ms: int = 0
    ledger: list[Sent] = field(default_factory=list)
    to_refund: list[tuple[Sent, int]] = field(default_factory=list)

    def live(self, restarts: int, moments: int) -> None:
        for _ in range(restarts):
            store = Store(self.directory, TABLES)
            store.write_now(self._live, moments)
            store.close()

    def _live(self, txn: Txn, moments: int) -> None:
        for _ in range(moments):
            self._pass_time(txn)
            number = NUMBER + int(self.random.expovariate(0.02))
            if not quotas.take(txn, SIM, number, self.clock_ms, self.limits):
                self._sent(txn, Sent(self.real_ms, number))

    @property
    def clock_ms(self) -> int:
        return self.real_ms - self.back_ms

    def _pass_time(self, txn: Txn) -> None:
        chance = self.random.random()
        if chance < 0.5:
            self.real_ms += self.random.randrange(8_000)
        elif chance < 0.9:
            free_ms = quotas.sim_room(txn, SIM, self.clock_ms, self.limits)
            self.real_ms += max(free_ms - self.clock_ms, 0) + self.random.choice((0, 0, 1, 900))
        elif chance < 0.98:
            self.real_ms += self.random.randrange(DAY_MS)
        elif chance < 0.985:
            self.back_ms += self.random.choice((5, 4_000, STANDS_STILL_MS, HOUR_MS, 40 * DAY_MS))
        elif chance < 0.99:
            quotas.prune(txn, self.clock_ms, self.random.randrange(1, 50))

    def _sent(self, txn: Txn, sent: Sent) -> None:
        chance = self.random.random()
        if chance < 0.1:
            self.to_refund.append((sent, self.clock_ms))
            if self.random.random() < 0.5:
                back, spent_ms = self.to_refund.pop()
                quotas.refund(txn, SIM, back.number, spent_ms, self.limits)
        elif chance < 0.3:
            went_ms = self.real_ms + self.random.randrange(6_000)
            quotas.went(txn, SIM, self.clock_ms, went_ms - self.back_ms, self.limits)
            self.real_ms = went_ms
            self.ledger.append(Sent(went_ms, sent.number))
        else:
            self.ledger.append(sent)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("limits", LIMITS)
def test_no_window_of_real_time_holds_more_than_its_limit(tmp_path: Path, limits: Limits, seed: int) -> None:
    life = Life(tmp_path / "data", limits, Random(seed))
    life.live(restarts=4, moments=500)
    assert len(life.ledger) > 200
    assert violations(life.ledger, limits) == []


def test_the_check_finds_one_part_too_many() -> None:
    exact = Exact(Limits(minute=3, day_recipients=2))
    sent = [Sent(NOW_MS + at_ms, NUMBER + at_ms % 2) for at_ms in range(0, 200_000, 1_777)]
    ledger = [one for one in sent if not exact.take(one.number, one.at_ms)]
    assert violations(ledger, exact.limits) == []
    assert violations(ledger, Limits(minute=2))
    assert violations(ledger, Limits(day_recipients=1))


# -- nearly all of it used


def saturate(take: Take, sim_room: Callable[[int], int], until_ms: int, numbers: Iterator[int], air_ms: int) -> int:
    """Send whenever there is room, one part in the air at a time; how many went."""
    now_ms, sent = NOW_MS, 0
    waiting = [next(numbers) for _ in range(8)]
    while now_ms < until_ms:
        free_ms = sim_room(now_ms)
        if not free_ms:
            times_ms = []
            for place, number in enumerate(waiting):
                free_ms = take(number, now_ms)
                if not free_ms:
                    waiting[place] = next(numbers)
                    sent += 1
                    break
                times_ms.append(free_ms)
            else:
                free_ms = min(times_ms)
        now_ms = free_ms or now_ms + air_ms
    return sent


def evenly_ms(limits: Limits) -> int:
    """What lies between two parts that use up the strictest limit without ever waiting."""
    return (
        max(length_ms // getattr(limits, name) for name, length_ms in LENGTHS_MS.items() if getattr(limits, name)) - 1
    )


def numbers(people: int) -> Iterator[int]:
    random = Random(7)
    while True:
        yield NUMBER + int(random.random() ** 2 * people)


@pytest.mark.parametrize(
    "air_ms",
    [
        pytest.param(40, id="at once"),
        pytest.param(4_000, id="4 s in the air"),
        pytest.param(0, id="as evenly as the limit"),
    ],
)
@pytest.mark.parametrize(
    ("limits", "days"),
    [
        pytest.param(Limits(minute=1), 1, id="one a minute"),
        pytest.param(Limits(minute=10), 1, id="ten a minute"),
        pytest.param(Limits(minute=10, hour=60, day=300), 20, id="a day"),
        pytest.param(Limits(hour=20, day=150, month=2100), 200, id="a month"),
        pytest.param(Limits(month=3000), 200, id="a month at once"),
        pytest.param(Limits(hour=10, month=1000), 200, id="a month by the hour"),
        pytest.param(Limits(day_recipients=30), 40, id="recipients a day"),
        pytest.param(Limits(minute=2, day=80, day_recipients=60, month_recipients=500), 200, id="everything"),
    ],
)
def test_nearly_all_that_is_allowed_is_used(tmp_path: Path, limits: Limits, days: int, air_ms: int) -> None:
    exact = Exact(limits)
    air_ms = air_ms or evenly_ms(limits)
    until_ms = NOW_MS + days * DAY_MS
    people = 100_000 if limits.month_recipients or not limits.day_recipients else 2_000
    allowed = saturate(exact.take, exact.sim_room, until_ms, numbers(people), air_ms)

    def change(txn: Txn) -> int:
        return saturate(
            lambda number, now_ms: quotas.take(txn, SIM, number, now_ms, limits),
            lambda now_ms: quotas.sim_room(txn, SIM, now_ms, limits),
            until_ms,
            numbers(people),
            air_ms,
        )

    store = Store(tmp_path / "data", TABLES)
    used = store.write_now(change)
    store.close()
    print(f"{limits}: {used} of {allowed}, {used / allowed:.4f}")
    assert used >= 0.95 * allowed


def test_a_waiter_is_woken_when_it_may_go_and_not_long_after(tmp_path: Path) -> None:
    limits = Limits(minute=5, hour=30, day=100, month=900)
    exact = Exact(limits)

    def change(txn: Txn) -> list[int]:
        late: list[int] = []
        random, now_ms = Random(3), NOW_MS
        for _ in range(3000):
            free_ms = quotas.take(txn, SIM, NUMBER, now_ms, limits)
            if not free_ms:
                assert exact.take(NUMBER, now_ms) == 0
                now_ms += random.randrange(30_000)
                continue
            assert free_ms > now_ms
            assert free_ms >= exact.sim_room(now_ms)
            late.append(free_ms - max(exact.sim_room(now_ms), now_ms))
            now_ms = free_ms
        return late

    store = Store(tmp_path / "data", TABLES)
    late = store.write_now(change)
    store.close()
    assert max(late) <= MONTH_MS // 59 + 1
    assert sum(at_ms <= HOUR_MS // 59 + MINUTE_MS for at_ms in late) > len(late) // 2
