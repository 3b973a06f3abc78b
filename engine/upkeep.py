"""Upkeep: what is done behind the work, a little at a time, so that it stays as quick as it was.

One task.  Each step is one bulk change of a few milliseconds; between two of them the loop and the writer are free.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from engine.errors import StoreError
from engine.store.environment import Store
from engine.traffic.messages import NUMBERS

log = logging.getLogger(__name__)

INTERVAL_S: Final = 1.0  # between two looks whether there is anything to do
MERGED_PAGES: Final = 32


class Upkeep:
    """Merges the runs of the number index."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._merge()
            except StoreError as error:
                log.error("no upkeep while the store refuses: %s", error)
            await asyncio.sleep(INTERVAL_S)

    async def _merge(self) -> None:
        with self._store.read() as txn:
            is_wanted = NUMBERS.wants_merge(txn)
        while is_wanted:
            is_wanted = await self._store.write_bulk(NUMBERS.merge, MERGED_PAGES)
