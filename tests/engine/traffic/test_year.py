"""A simulated year through the real store, gate and scheduler: eight SIMs, five countries, clock changes, restarts.

No quota is broken and nobody is woken by the ledger of what went, and nearly all of what was allowed did go.  The
ordinary suite lives through ten days with four clock changes and a fifth of the limits; CARILLON_LONG=1 through the
year, with more than 200,000 messages.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from engine import proof
from engine.config import Hours, House, Limits, QuietHours
from engine.crm.gate import gate_with
from engine.crm.marketing import campaigns, feeding, uploads
from engine.crm.marketing.campaigns import Campaign
from engine.crm.marketing.recipients import Row
from engine.store.environment import Store
from engine.traffic.scheduler import Scheduler
from engine.wiring import TABLES
from tests.engine.traffic.year_rack import BUSY_S, CountedStore, Given, YearLoop, YearModem
from tests.engine.traffic.year_rules import Open, Place, most, over_quota, torn, two_at_once, unasked, woken

LONG = bool(os.environ.get("CARILLON_LONG"))
DAYS = 365 if LONG else 10
SCALE = 1 if LONG else 4
# Behind it Berlin, Sydney and the two clocks of Chile change, or do not.
BEGIN_MS = 1000 * int((datetime(2026, 1, 1, tzinfo=UTC) if LONG else datetime(2026, 3, 27, tzinfo=UTC)).timestamp())
DAY_S = 86_400
LIFE_S = (7 if LONG else 1) * DAY_S  # of a process, on average
# How long a part may be in the air, and how many of a hundred are: for seconds, as they mostly are, or for longer than
# the shortest window, so that much is claimed ahead of what has not gone.
QUICK = {BUSY_S: 90, 2 * BUSY_S: 9, 16 * BUSY_S: 1}
SLOW = {22 * BUSY_S: 40, 25 * BUSY_S: 30, 28 * BUSY_S: 20, 32 * BUSY_S: 10}
# A start, a part that nobody knew the end of, a minute's quota: all that may come between two parts of a message.
TORN_MS = 20 * 60_000

PEPPER = b"p" * 32
HOUSE = House()
SIM = 262_010_000_000_001

WEEK = (0, 1, 2, 3, 4, 5, 6)
MARKETING = (Open(9 * 60, 12 * 60 + 30, WEEK[:6]), Open(14 * 60, 20 * 60, WEEK[:5]))
SERVICE = (Open(8 * 60, 21 * 60, WEEK),)
QUIET = QuietHours(
    marketing=(Hours(9 * 60, 12 * 60 + 30, 0b0111111), Hours(14 * 60, 20 * 60, 0b0011111)),
    service=(Hours(8 * 60, 21 * 60),),
)

ALWAYS = (Open(0, 24 * 60, WEEK),)

# By the numbering plans.  What a number gets can be read from the digit behind the prefix.
COUNTRIES = {
    "49151": ("Europe/Berlin",),
    "1212": ("America/New_York",),
    "612": ("Australia/Sydney",),
    "9198": ("Asia/Kolkata",),
    "569": ("America/Santiago", "America/Punta_Arenas"),
}
KINDS = {"marketing": ("9", MARKETING), "service": ("4", SERVICE), "transactional": ("2", ALWAYS)}
PLACES = [Place(prefix + digit, zones, hours) for prefix, zones in COUNTRIES.items() for digit, hours in KINDS.values()]
DIGITS = {"49151": 13, "1212": 11, "612": 11, "9198": 12, "569": 11}

LIMITS = {
    SIM + place: Limits(
        **{name: max(1, limit // (SCALE if "month" in name or "day" in name else 1)) for name, limit in each.items()}
    )
    for place, each in enumerate(
        (
            {"minute": 4, "hour": 30, "day": 160, "month": 2400, "day_recipients": 130, "month_recipients": 1900},
            {"minute": 2, "day": 110, "month": 2300},
            {"hour": 20, "month": 2300, "month_recipients": 1800},
            {"day": 78},
            {"day": 95, "day_recipients": 70},
            {"minute": 1, "hour": 12, "day": 110, "month": 2300},
            {"month": 2400},
            {"hour": 7, "day": 76, "day_recipients": 74, "month_recipients": 1900},
        )
    )
}

TEXTS = {1: "Your order is ready.", 2: "Your order is ready. " * 12}
ROWS = 4500 // (1 if LONG else 2)  # a week: more than all SIMs may send
# Of a hundred messages: what for, in how many parts.
DEMAND = (("marketing", 1, 30), ("service", 1, 25), ("service", 2, 5), ("transactional", 1, 40))
DEADLINE_S = 12 * DAY_S
REGULARS = 40  # of each kind and country, who are written to again and again


def people(random: Random, purpose: str) -> Iterator[int]:
    """Whom the campaigns are for: one in ten is somebody who hears from us every few weeks."""
    serials: Counter[str] = Counter()
    countries = list(COUNTRIES)
    while True:
        prefix = random.choice(countries)
        if random.random() < 0.1:
            serial = random.randrange(REGULARS)
        else:
            serials[prefix] += 1
            serial = REGULARS + serials[prefix] % 12_000
        yield int((prefix + KINDS[purpose][0]).ljust(DIGITS[prefix] - 6, "0") + f"{serial:06d}")


def supply(seed: int) -> Iterator[tuple[int, int]]:
    """As the campaigns are, without an end."""
    random = Random(seed)
    who = [(people(random, purpose), parts) for purpose, parts, _ in DEMAND]
    while True:
        numbers, parts = random.choices(who, [percent for _, _, percent in DEMAND])[0]
        yield next(numbers), parts


@dataclass
class Year:
    """The world around the process: it goes on while that is stopped and started."""

    directory: Path
    loop: YearLoop
    air: dict[float, int]
    days: int
    ledger: list[Given] = field(default_factory=list)
    offered: Counter[int] = field(default_factory=Counter)
    messages: int = 0
    crashes: int = 0
    stops: int = 0

    def __post_init__(self) -> None:
        self.random = Random(7)
        self.people = {purpose: people(self.random, purpose) for purpose in KINDS}
        self.modems = [YearModem(sim, self.loop, self.now_ms, self.air_s, self.ledger) for sim in LIMITS]
        self.loop.is_sending = lambda: any(modem.is_sending for modem in self.modems)
        self.weeks = 0

    def now_ms(self) -> int:
        return BEGIN_MS + round(self.loop.now_s * 1000)

    def air_s(self) -> float:
        """On a grid, so that many parts end in one turn."""
        return self.random.choices(list(self.air), list(self.air.values()))[0]

    async def live(self) -> None:
        """Live through it, from one start of the process to the next."""
        while self.loop.now_s < self.days * DAY_S:
            await self.run_until(min(self.loop.now_s + self.random.expovariate(1 / LIFE_S), self.days * DAY_S))
            # What was on a line has left it by then.
            await asyncio.sleep(self.random.uniform(min(self.air), 600))

    async def run_until(self, until_s: float) -> None:
        store = CountedStore(self.directory, TABLES)
        self.loop.is_writing = lambda: store.writing > 0
        scheduler = Scheduler(
            store,
            gate_with(PEPPER, HOUSE, QUIET),
            lambda txn, now_ms, parts: feeding.feed(txn, now_ms, parts, HOUSE, PEPPER),
            self.now_ms,
            120.0,
            Random(1),
            LIMITS,
        )
        work = self.loop.create_task(scheduler.run())
        for modem in self.modems:
            modem.plug(scheduler)
        while self.loop.now_s < until_s:
            await self.launch(store)
            wait_s = max(0.0, min(until_s, self.weeks * 7 * DAY_S) - self.loop.now_s)
            assert await asyncio.wait({work}, timeout=wait_s) == (set(), {work}), "the scheduler has ended"
        if (self.stops + self.crashes) % 3 == 1:
            self.stops += 1
            await scheduler.rest(5)
            await scheduler.finish()
        else:
            self.crashes += 1
            hurry_s = self.loop.now_s + DAY_S
            while not self.loop.is_sending() and self.loop.now_s < hurry_s:  # noqa: ASYNC110  an hour is a millisecond
                await asyncio.sleep(1)
            await asyncio.sleep(self.random.uniform(0, min(self.air)))
        work.cancel()
        for modem in self.modems:
            modem.cut()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        store.close()

    async def launch(self, store: Store) -> None:
        """What a week brings."""
        while self.loop.now_s >= self.weeks * 7 * DAY_S:
            self.weeks += 1
            for purpose, parts, percent in DEMAND:
                await self.campaign(store, purpose, parts, ROWS * percent // 100)

    async def campaign(self, store: Store, purpose: str, parts: int, rows: int) -> None:
        now_ms = self.now_ms()
        numbers = [next(self.people[purpose]) for _ in range(rows)]
        self.messages += rows
        for number in numbers:
            self.offered[number] += parts
        draft = Campaign(
            0,
            "year",
            {"en": TEXTS[parts]},
            purpose,
            consent_basis="a form" if purpose == "marketing" else "",
            expires_ms=now_ms + DEADLINE_S * 1000,
        )
        made = await store.write(campaigns.add, draft, now_ms)
        upload = await store.write(uploads.begin, made.id, now_ms)
        numbered = [(row, number, Row(f"+{number}")) for row, number in enumerate(numbers, 1)]
        upload = await store.write(uploads.add_rows, upload, numbered, {}, PEPPER, now_ms)
        await store.write(uploads.finish, upload, now_ms)
        await store.write(campaigns.launch, made.id, now_ms)


@pytest.fixture
def directory() -> Iterator[Path]:
    """In memory where that can be: a year takes a million commits, and what a disk takes for them is not asked here."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="carillon-year", dir=memory if memory.is_dir() else None) as name:
        yield Path(name) / "data"


@pytest.mark.parametrize(
    ("air", "days"),
    [
        pytest.param(QUICK, DAYS, id="quick"),
        # Ten days are enough of it, and what they are offered is made for the smaller limits.
        pytest.param(SLOW, DAYS, id="slow", marks=pytest.mark.skipif(LONG, reason="a year of it takes too long")),
    ],
)
def test_a_year_breaks_no_rule_and_wastes_little(directory: Path, air: dict[float, int], days: int) -> None:
    began_s = time.monotonic()
    loop = YearLoop()
    year = Year(directory, loop, air, days)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(year.live())
    took_s = time.monotonic() - began_s

    ledger, air_ms = year.ledger, int(min(air) * 1000)
    found = [
        *two_at_once(ledger, air_ms),
        *torn(ledger, PLACES, TORN_MS),
        *over_quota(ledger, LIMITS),
        *woken(ledger, PLACES),
        *unasked(ledger, year.offered),
    ]
    until_ms = BEGIN_MS + days * DAY_S * 1000
    sent = Counter(given.sim for given in ledger if given.at_ms < until_ms)
    allowed = {sim: most(limits, supply(sim), BEGIN_MS, until_ms, air_ms) for sim, limits in LIMITS.items()}
    for sim, limits in LIMITS.items():
        print(f"{limits}: {sent[sim]} of {allowed[sim]}, {sent[sim] / allowed[sim]:.4f}")
    used = sum(sent.values()) / sum(allowed.values())
    print(f"{days} days, {year.crashes} crashes, {year.stops} stops: {year.messages} messages were offered, ", end="")
    print(f"{sum(given.sequence == 1 for given in ledger)} went in {len(ledger)} parts, {used:.4f} of what was allowed")
    print(*found[:20], sep="\n")
    print(f"{len(found)} violations; {took_s:.0f} s, with the check {time.monotonic() - began_s:.0f} s")
    assert found == []
    assert used >= 0.95
    assert min(sent[sim] / allowed[sim] for sim in LIMITS) >= 0.9
    assert year.crashes >= 2
    assert year.stops >= 1
    assert len(ledger) > days * (560 if LONG else 200)
    store = Store(directory, TABLES)
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
    store.close()
