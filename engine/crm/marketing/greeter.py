"""The greeter: one task that greets whoever's hour has come, and the walks that tell who will be.

It looks when a minute begins at which clocks somewhere show a rule's hour: where somebody who has his day lives, as the
look before saw, and in five zones around the world, so that nobody who was entered meanwhile waits for more than six
hours.  A look goes over the people a little at a time, and greets by the hundred; only so many texts of greetings wait
in the line at once, so that a festival of a whole town takes its turn beside everything else.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from engine.config import House
from engine.crm.marketing import greeting_runs, greetings
from engine.crm.marketing.greeting_runs import Greeted
from engine.crm.marketing.greetings import RULES, Rule
from engine.crm.people import dates
from engine.errors import CarillonError, RecordBroken, StoreError
from engine.store.environment import Store
from engine.store.table import Note, Txn

log = logging.getLogger(__name__)

WAITING_MOST: Final = 1_000  # texts of greetings that wait to be sent at once
AT_ONCE: Final = 100  # people greeted in one change
RETRY_S: Final = 1.0
SLICE_S: Final = 0.002  # of the loop's time in one turn
PAUSE_S: Final = 0.002  # between two steps: who sends shall not wait for a look at a million people

_MINUTE_MS: Final = 60_000
_AROUND: Final = ("Etc/GMT-14", "Etc/GMT-8", "Etc/GMT-2", "Etc/GMT+4", "Etc/GMT+10")


@dataclass(slots=True)
class Progress:
    """How far the looks of one rule came: all hours up to `done_ms` were looked at.

    A look that is under way began at `begun_ms` and goes on behind the key `after`, None where there is none.
    """

    version: int
    done_ms: int = 0
    begun_ms: int = 0
    after: bytes | None = None
    zones: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()

    def begin(self, rule: Rule, now_ms: int, house_zone: str) -> bool:
        """Whether people must be looked at now: a look is begun where one is needed and none is under way."""
        if self.after is not None:
            return True
        # Where the clock was set back, all of today is looked at again: marks keep anybody from a second text.
        if self.version != rule.version or self.done_ms > now_ms:
            self.version, self.done_ms = rule.version, 0
        if self.done_ms and not self._any_hour(rule, now_ms, house_zone):
            return False
        self.begun_ms, self.after, self.seen = now_ms, b"", frozenset()
        return True

    def _any_hour(self, rule: Rule, now_ms: int, house_zone: str) -> bool:
        """Whether the rule's hour came somewhere since the last look."""
        for zone in {*self.zones, *_AROUND, house_zone}:
            hour_ms = dates.moment_ms(dates.today(now_ms, zone), rule.send_at, zone)
            if self.done_ms < hour_ms <= now_ms:
                return True
        return False

    def step(self, after: bytes | None, zones: frozenset[str]) -> None:
        """So far the look came."""
        self.after = after
        self.seen |= zones
        if after is None:
            self.done_ms, self.zones = self.begun_ms, self.seen


class Greeter:
    """Greets by the active rules."""

    def __init__(
        self, store: Store, now_ms: Callable[[], int], house: House, pepper: bytes, waiting_most: int = WAITING_MOST
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._house = house
        self._pepper = pepper
        self._waiting_most = waiting_most
        self._bell = asyncio.Event()
        self._progress: dict[int, Progress] = {}
        self._sent: list[int] = []  # that were waiting when they were looked at last

    def nudge(self) -> None:
        """Something changed that may make a greeting due: the clock, a rule."""
        self._bell.set()

    def follow(self, notes: list[Note]) -> None:
        """Look again where a rule was changed; the store calls this after every commit that left notes."""
        if any(note.line == RULES.name for note in notes):
            self.nudge()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._bell.clear()
            wait_s = RETRY_S
            try:
                if await self.look():
                    wait_s = (_MINUTE_MS - self._now_ms() % _MINUTE_MS) / 1000
            except StoreError as error:
                log.error("nobody is greeted while the store refuses: %s", error)
            try:
                async with asyncio.timeout(wait_s):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def look(self) -> bool:
        """Greet everybody who is due now; False where some must wait until others were sent."""
        if self._sent:
            await self._count_waiting()
        todo = await self._begun()
        while todo:
            for rule in todo:
                if len(self._sent) >= self._waiting_most:
                    await self._count_waiting()
                if len(self._sent) >= self._waiting_most:
                    return False
                await self._step(rule)
            await asyncio.sleep(PAUSE_S)
            todo = await self._begun()
        return True

    async def _begun(self) -> list[Rule]:
        """The rules by which people must be looked at now."""
        with self._store.read() as txn:
            rules = list(greetings.active(txn))
        known = {rule.id for rule in rules}
        self._progress = {rule: progress for rule, progress in self._progress.items() if rule in known}
        now_ms, zone = self._now_ms(), self._house.time_zone
        begun = []
        for rule in rules:
            progress = self._progress.setdefault(rule.id, Progress(rule.version))
            if progress.begin(rule, now_ms, zone):
                begun.append(rule)
        return begun

    async def _step(self, rule: Rule) -> None:
        """Look at a few people, and greet those of them who are due."""
        progress, now_ms = self._progress[rule.id], self._now_ms()
        try:
            with self._store.read() as txn:
                found = greeting_runs.look(txn, rule, progress.after or b"", now_ms, self._house.time_zone)
            for first in range(0, len(found.due), AT_ONCE):
                people = found.due[first : first + AT_ONCE]
                greeted: Greeted = await self._store.write(
                    greeting_runs.greet, rule.id, people, now_ms, self._house, self._pepper
                )
                self._sent += greeted.messages
        except CarillonError as error:
            if isinstance(error, StoreError) and not isinstance(error, RecordBroken):
                raise
            # What it speaks of is gone, or beyond the tables, or somebody's record is broken: the other rules go on,
            # and this one tries again when its hour comes somewhere.
            log.error("greeting %s greets nobody: %s", greetings.name_of(rule.id), error)
            progress.step(None, frozenset())
            return
        progress.step(found.after, found.zones)

    async def _count_waiting(self) -> None:
        """Forget those of the texts that were sent, or ended without."""
        waiting: list[int] = []
        with self._store.read() as txn:
            for first in range(0, len(self._sent), AT_ONCE):
                waiting += greeting_runs.still_waiting(txn, self._sent[first : first + AT_ONCE])
                await asyncio.sleep(0)
        self._sent = waiting


# -- what will be


@dataclass(slots=True)
class Preview:
    """Whom a rule greets on a day: `people` of `total`, the first of them; and what the first one is told.

    Of the total, so many were greeted for it before, may not be texted for the rule's purpose, and lack what the text
    speaks of.
    """

    total: int = 0
    greeted: int = 0
    refused: int = 0
    incomplete: int = 0
    people: tuple[int, ...] = ()
    text: str = ""


class _Seen:
    """Who was met on a walk: who has several special days may be met once for each."""

    def __init__(self, rule: Rule) -> None:
        self._is_needed = rule.when.startswith("special:")
        self._met: set[int] = set()

    def before(self, customer: int) -> bool:
        """Whether the customer was met before."""
        is_known = customer in self._met
        if self._is_needed:
            self._met.add(customer)
        return is_known


async def preview(store: Store, rule: Rule, day: date, now_ms: int, house: House, pepper: bytes, shown: int) -> Preview:
    """Whom the rule greets on `day`, wherever they live.  Raises Invalid beyond the tables of the calendars."""
    found, seen = Preview(), _Seen(rule)

    def take(txn: Txn, after: bytes) -> bytes | None:
        behind, judged = greeting_runs.judge(txn, rule, day, after, now_ms, house, pepper)
        for one in judged:
            if seen.before(one.customer):
                continue
            found.total += 1
            found.greeted += one.verdict == "greeted"
            found.refused += one.verdict == "refused"
            found.incomplete += one.verdict == "incomplete"
            if len(found.people) < shown:
                found.people = (*found.people, one.customer)
            found.text = found.text or one.text
        return behind

    await _walk(store, take)
    return found


async def upcoming(store: Store, rule: Rule, first: date, count: int, now_ms: int, house_zone: str) -> dict[date, int]:
    """How many have their day, by day, on the `count` days from `first` on; days without anybody are left out.

    Raises Invalid beyond the tables of the calendars.
    """
    found, seen = dict[date, int](), _Seen(rule)

    def take(txn: Txn, after: bytes) -> bytes | None:
        behind, greeted = greeting_runs.days_of(txn, rule, first, count, after, now_ms, house_zone)
        for customer, day in greeted:
            if not seen.before(customer):
                found[day] = found.get(day, 0) + 1
        return behind

    await _walk(store, take)
    return dict(sorted(found.items()))


async def _walk(store: Store, take: Callable[[Txn, bytes], bytes | None]) -> None:
    """Go over all people, a snapshot for a few of them, and let the loop turn in between."""
    after: bytes | None = b""
    while after is not None:
        begun_s = time.perf_counter()
        with store.read() as txn:
            while after is not None and time.perf_counter() - begun_s < SLICE_S:
                after = take(txn, after)
        await asyncio.sleep(0)
