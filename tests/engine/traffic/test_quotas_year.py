"""A simulated year of eight SIMs in five time zones: no quota broken by the ledger, nearly all of it used.

The ordinary suite lives through 45 days of it; CARILLON_LONG=1 through the year, some 200,000 parts.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heapify, heapreplace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from engine.config import Limits
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import quotas
from engine.traffic.quotas import DAY_MS, HOUR_MS, MINUTE_MS, TABLES
from tests.engine.traffic.quota_ledger import Exact, Sent, violations
from tests.engine.traffic.stage import NUMBER, SIM

DAYS = 365 if os.environ.get("CARILLON_LONG") else 45
BEGIN_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
AIR_MS = 4_000

# Each changes to and from daylight-saving time on other days than the next, or not at all.
ZONES = [
    ZoneInfo(name)
    for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Shanghai")
]
OPENS_H, CLOSES_H = 9, 20

LIMITS = [
    Limits(minute=4, hour=30, day=160, month=2400, day_recipients=130, month_recipients=1600),
    Limits(minute=2, day=110, month=2300),
    Limits(hour=20, month=2300, month_recipients=1400),
    Limits(day=78),
    Limits(day=95, day_recipients=70),
    Limits(minute=1, hour=12, day=110, month=2300),
    Limits(month=2400),
    Limits(hour=7, day=76, day_recipients=74, month_recipients=1900),
]

# (SIM, number, time): 0 where it was spent, else when to ask again.
Take = Callable[[int, int, int], int]


@dataclass
class Waiting:
    """What waits for a SIM: always something, though not always for someone who may be written to at this hour."""

    random: Random

    def __post_init__(self) -> None:
        self.numbers = [self.next() for _ in range(10)]

    def next(self) -> int:
        return NUMBER + int(self.random.random() ** 2 * 6_000)


def is_open(number: int, now_ms: int) -> bool:
    return OPENS_H <= datetime.fromtimestamp(now_ms / 1000, ZONES[number % len(ZONES)]).hour < CLOSES_H


def live(take: Take, until_ms: int) -> Iterator[tuple[int, Sent | None]]:
    """Which SIM did something at each moment: what it sent, or None."""
    random = Random(11)
    waiting = [Waiting(Random(sim)) for sim in range(len(LIMITS))]
    moments = [(BEGIN_MS + random.randrange(MINUTE_MS), sim) for sim in range(len(LIMITS))]
    heapify(moments)
    while moments[0][0] < until_ms:
        now_ms, sim = moments[0]
        again_ms, sent = now_ms + HOUR_MS // 4, None
        for place, number in enumerate(waiting[sim].numbers):
            if not is_open(number, now_ms):
                continue
            free_ms = take(sim, number, now_ms)
            if not free_ms:
                waiting[sim].numbers[place] = waiting[sim].next()
                again_ms, sent = now_ms + AIR_MS, Sent(now_ms, number)
                break
            again_ms = min(again_ms, free_ms)
        heapreplace(moments, (again_ms, sim))
        yield sim, sent


def test_a_year_breaks_no_quota_and_wastes_little(tmp_path: Path) -> None:
    until_ms = BEGIN_MS + DAYS * DAY_MS
    exact = [Exact(limits) for limits in LIMITS]
    allowed = [0] * len(LIMITS)
    for sim, sent in live(lambda sim, number, now_ms: exact[sim].take(number, now_ms), until_ms):
        allowed[sim] += sent is not None

    ledgers: list[list[Sent]] = [[] for _ in LIMITS]
    random = Random(5)
    open_txn: list[Txn] = []
    year = live(lambda sim, number, now_ms: quotas.take(open_txn[0], SIM + sim, number, now_ms, LIMITS[sim]), until_ms)

    def step(txn: Txn) -> bool:
        open_txn[:] = [txn]
        for _ in range(random.randrange(1, 4000)):
            moment = next(year, None)
            if moment is None:
                return False
            sim, sent = moment
            if sent is not None:
                ledgers[sim].append(sent)
                quotas.prune(txn, sent.at_ms, 2)
        return True

    restarts, going_on = 0, True
    while going_on:
        store = Store(tmp_path / "data", TABLES)
        for _ in range(random.randrange(1, 8)):
            going_on = going_on and store.write_now(step)
        store.close()
        restarts += 1

    for limits, ledger in zip(LIMITS, ledgers, strict=True):
        assert violations(ledger, limits) == []
    for limits, ledger, most in zip(LIMITS, ledgers, allowed, strict=True):
        print(f"{limits}: {len(ledger)} of {most}, {len(ledger) / most:.4f}")
        assert len(ledger) >= 0.95 * most
    used = sum(map(len, ledgers))
    print(f"{used} parts in {DAYS} days and {restarts} lives, {used / sum(allowed):.4f} of what was allowed")
    assert restarts > 3
    assert used > DAYS * 548
