"""Upkeep: what is done behind the work, a little at a time, so that it stays as quick as it was.

One task.  Each step is one bulk change of a few milliseconds; between two of them the loop and the writer are free.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from engine.access import replays
from engine.config import Keep
from engine.crm import erasure
from engine.crm.marketing import campaigns, greeting_runs, points, responses, tiers, till_codes, uploads
from engine.crm.people import audit, audit_heads, consent, frequency
from engine.errors import StoreError
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import quotas, retention, sticky
from engine.traffic.messages import NUMBERS
from engine.traffic.retention import BUDGET, Budget
from engine.traffic.traces import Left

log = logging.getLogger(__name__)

INTERVAL_S: Final = 1.0  # between two looks whether there is anything to do
MERGED_PAGES: Final = 32

DAY_MS: Final = 86_400_000
FORGET_EVERY_MS: Final = 3_600_000
PRUNE_EVERY_MS: Final = 60_000
PRUNED_ROWS: Final = 1_000
REPLAYS_FORGOTTEN: Final = 300  # in one change: an answer may be large
# Of a club, in one change.
LAPSED_LOTS: Final = 300
WEIGHED_MEMBERS: Final = 200
CLEARED_CODES: Final = 500
# Between two steps of forgetting: what is old can wait, and who sends shall not wait for it.
PAUSE_S: Final = 0.02
# A text is valid for days, a report comes hours later: who waits for one that was sent longer ago waits in vain.
REPORTS_MS: Final = 30 * DAY_MS
PLACES_READ: Final = 500  # in one go, on the loop


class Upkeep:
    """Merges the runs of the number index, goes on with erasures, once a minute keeps the club and once an hour forgets
    what is too old to be kept.
    """

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int],
        keep: Keep,
        pause_s: float = PAUSE_S,
        budget: Budget = BUDGET,
        zone: str = "UTC",
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._keep = keep
        self._pause_s = pause_s
        self._budget = budget
        self._forgot_ms: int | None = None
        self._pruned_ms = 0
        self._zone = zone  # the house's: its day is the members' day
        self._worded_ms: dict[Callable[..., Any], int] = {}  # what was gone through for words, and up to when
        self._daily_ms: int | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._merge()
                await self._prune()
                await self._erase()
                if self._is_due():
                    # Where it breaks off, the next hour goes on: a store that refuses is not asked every second.
                    self._forgot_ms = self._now_ms()
                    await self.forget(self._forgot_ms)
            except StoreError as error:
                log.error("no upkeep while the store refuses: %s", error)
            await asyncio.sleep(INTERVAL_S)

    def _is_due(self) -> bool:
        # Also where the clock was set back.
        return self._forgot_ms is None or abs(self._now_ms() - self._forgot_ms) >= FORGET_EVERY_MS

    async def _merge(self) -> None:
        with self._store.read() as txn:
            is_wanted = NUMBERS.wants_merge(txn)
        while is_wanted:
            is_wanted = await self._store.write_bulk(NUMBERS.merge, MERGED_PAGES)

    async def _prune(self) -> None:
        """Quotas that no window reaches any more, and answers that nobody may ask for again."""
        if 0 <= self._now_ms() - self._pruned_ms < PRUNE_EVERY_MS:
            return
        self._pruned_ms = self._now_ms()
        while await self._store.write(quotas.prune, self._pruned_ms, PRUNED_ROWS):
            pass
        while await self._store.write(replays.forget, self._pruned_ms, REPLAYS_FORGOTTEN):
            pass
        await self._keep_club(self._pruned_ms)

    async def _keep_club(self, now_ms: int) -> None:
        """Points that lapse, periods that end, codes that nobody used."""
        await self._repeat(points.expire, now_ms, self._zone, LAPSED_LOTS)
        await self._repeat(tiers.weigh, now_ms, self._zone, WEIGHED_MEMBERS)
        await self._repeat(till_codes.clear, now_ms, CLEARED_CODES)

    async def _repeat(self, change: Callable[..., Any], *args: Any) -> None:
        """Make a change until it has nothing to do."""
        more = True
        while more:
            more = bool(await self._store.write_bulk(change, *args))
            await asyncio.sleep(self._pause_s)

    async def _erase(self) -> None:
        """Go on with the people who are being erased."""
        with self._store.read() as txn:
            identifiers = erasure.running(txn)
        for identifier in identifiers:
            await self._repeat(_erase_more, identifier, self._now_ms())

    # -- forgetting

    async def forget(self, now_ms: int) -> None:
        """Remove all that is too old to be kept at `now_ms`, by the settings."""
        keep = self._keep
        kept_ms = min(keep.messages_days * DAY_MS or sticky.KEPT_MS, sticky.KEPT_MS)
        await self._sweep(_forget_kept, 0, now_ms - kept_ms)
        await self._sweep(_forget_frequency, 0, now_ms - frequency.KEPT_MS)
        await self._sweep(retention.forget_references, b"", now_ms - REPORTS_MS)
        await self._sweep(retention.forget_early, b"", now_ms - REPORTS_MS)
        await self._sweep(_forget_marks, b"", now_ms)
        if keep.events_days:
            await self._sweep(retention.forget_events, 0, now_ms - keep.events_days * DAY_MS)
        if keep.received_days:
            horizon_ms = now_ms - keep.received_days * DAY_MS
            await self._sweep(retention.forget_received, 0, horizon_ms)
            await self._sweep(retention.forget_unreadable, 0, horizon_ms)
        if keep.messages_days:
            horizon_ms = now_ms - keep.messages_days * DAY_MS
            await self._sweep(retention.forget_rows, 0, horizon_ms, campaigns.has_ended)
            await self._sweep(_forget_responses, 0)
            await self._sweep(retention.forget_messages, 0, horizon_ms)
            await self._sweep(_forget_faults, 0, horizon_ms)
            await self._forget_numbers()
        if keep.texts_days:
            await self._forget_words(now_ms - keep.texts_days * DAY_MS)
        if self._daily_ms is None or abs(now_ms - self._daily_ms) >= DAY_MS:
            await self._forget_proofs(now_ms)
            self._daily_ms = now_ms
        await self._write_head(now_ms)

    async def _forget_words(self, horizon_ms: int) -> None:
        """What was gone through stays gone through until the next start: else every hour would read everything."""
        for step, args in (
            (retention.forget_texts, ()),
            (retention.forget_values, (campaigns.has_ended,)),
            (retention.forget_received_texts, ()),
        ):
            await self._sweep(step, retention.place_of(self._worded_ms.get(step, 0)), horizon_ms, *args)
            self._worded_ms[step] = horizon_ms

    async def _forget_proofs(self, now_ms: int) -> None:
        keep = self._keep
        if keep.consents_days:
            await self._sweep(_forget_consents, b"", now_ms - keep.consents_days * DAY_MS)
        if keep.audit_days:
            await self._repeat(audit.cut, now_ms - keep.audit_days * DAY_MS, self._budget.rows)

    async def _write_head(self, now_ms: int) -> None:
        """The last row of the audit log of the day that is over, beside the data."""
        with self._store.read() as txn:
            head = audit.daily_head(txn, now_ms)
        await asyncio.to_thread(audit_heads.write_heads, self._store.directory / audit_heads.FILE, head)

    async def _sweep(self, step: Callable[..., Any], begin: int | bytes, *args: Any) -> None:
        after = begin
        while (after := await self._store.write_bulk(step, after, *args, self._budget)) is not None:
            await asyncio.sleep(self._pause_s)
            await self._merge()

    async def _forget_numbers(self) -> None:
        known = await self._store.write(retention.begin_numbers)
        if known is None:
            return
        spared = retention.packed(await self._kept_rows(known.highest + 1))
        more = True
        while more:
            more = await self._store.write_bulk(retention.forget_numbers, known, spared, self._budget)
            await asyncio.sleep(self._pause_s)
        await self._store.write(retention.end_numbers, known)

    async def _kept_rows(self, before: int) -> list[tuple[int, int]]:
        """(first id, last id) of the sheets below `before`: only this task removes any."""
        kept: list[tuple[int, int]] = []
        while True:
            with self._store.read() as txn:
                found = retention.kept_rows(txn, kept[-1][0] if kept else 0, before, PLACES_READ)
            kept += found
            if len(found) < PLACES_READ:
                return kept
            await asyncio.sleep(0)


def _forget_faults(txn: Txn, after: int, horizon_ms: int, budget: Budget) -> int | None:
    return uploads.forget_faults(txn, after, horizon_ms, budget.pages)


def _forget_responses(txn: Txn, after: int, budget: Budget) -> int | None:
    return responses.forget_gone(txn, after, budget.rows)


def _forget_marks(txn: Txn, after: bytes, now_ms: int, budget: Budget) -> bytes | None:
    return greeting_runs.forget(txn, after, now_ms, budget.rows)


def _forget_kept(txn: Txn, after: int, horizon_ms: int, budget: Budget) -> int | None:
    return sticky.forget(txn, after, horizon_ms, budget.rows)


def _forget_consents(txn: Txn, after: bytes, horizon_ms: int, budget: Budget) -> bytes | None:
    return consent.forget(txn, after, horizon_ms, budget.rows)


def _erase_more(txn: Txn, identifier: int, now_ms: int) -> bool:
    return erasure.step(txn, identifier, now_ms) is Left.MORE


def _forget_frequency(txn: Txn, after: int, horizon_ms: int, budget: Budget) -> int | None:
    return frequency.forget(txn, after, horizon_ms, budget.rows)
