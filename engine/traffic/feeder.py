"""The feeder: keeps some work in the due line, and takes out of the store's what a cancelled group left.

It asks for more rows while the line holds less than is wanted, and stops asking once there are none until somebody
says that it should look again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from engine.errors import StoreError
from engine.store.environment import Store
from engine.traffic import messages
from engine.traffic.message import Feed

log = logging.getLogger(__name__)

FEED_PARTS: Final = 500  # one feeding's size: a few milliseconds of the writer's time
CANCEL_CHUNK: Final = 200
STORE_PAUSE_S: Final = 1.0
LONGEST_SLEEP_S: Final = 5.0


class Feeder:
    """One per scheduler.  `lacks` tells whether the line wants more."""

    def __init__(self, store: Store, feed: Feed, now_ms: Callable[[], int], lacks: Callable[[], bool]) -> None:
        self._store = store
        self._feed = feed
        self._now_ms = now_ms
        self._lacks = lacks
        # Messages of cancelled groups, in chunks: out of the line, and not yet cancelled in the store.
        self._cancelling: deque[list[int]] = deque()
        self._hungry = asyncio.Event()
        self._dry = False
        self.is_stopping = False

    @property
    def is_idle(self) -> bool:
        """Whether all that was cancelled is so in the store too, and nothing is known that could be fed."""
        return not self._cancelling and (self._dry or not self._lacks())

    def wake(self) -> None:
        """The line may want more."""
        self._hungry.set()

    def look_again(self) -> None:
        """There may be rows again."""
        self._dry = False
        self._hungry.set()

    def cancel(self, gone: list[int]) -> None:
        """Cancel these messages in the store, a few at a time."""
        for begin in range(0, len(gone), CANCEL_CHUNK):
            self._cancelling.append(gone[begin : begin + CANCEL_CHUNK])

    async def run(self, tidy: Callable[[], Awaitable[None]]) -> None:
        """Work until cancelled; `tidy` is called after every round."""
        while True:
            self._hungry.clear()
            await self._cancel_dropped()
            while not (self._dry or self.is_stopping) and self._lacks():
                # Set before: what a follower says of a commit meanwhile counts more than what this one fed.
                self._dry = True
                try:
                    fed = await self._store.write(self._feed, self._now_ms(), FEED_PARTS)
                except StoreError as error:
                    log.error("no rows are fed while the store refuses: %s", error)
                    await asyncio.sleep(STORE_PAUSE_S)
                    self._dry = False
                    continue
                except Exception:  # a campaign that cannot be fed must not stop what is in the line, nor the next start
                    log.exception("rows could not be fed")
                    break
                if fed:
                    self._dry = False
            await tidy()
            try:
                async with asyncio.timeout(LONGEST_SLEEP_S):
                    await self._hungry.wait()
            except TimeoutError:
                # Campaigns end and windows open without a signal of their own.
                self._dry = self._lacks() and not self._would_feed()

    def _would_feed(self) -> bool:
        """Whether a feeding would change anything: asked of a snapshot, so that a rack without work commits nothing."""
        try:
            with self._store.read() as txn:
                return self._feed(txn, self._now_ms(), FEED_PARTS) > 0
        except Exception:  # noqa: BLE001  it wants to write, which a snapshot refuses, or stumbles and will say so there
            return True

    async def _cancel_dropped(self) -> None:
        while self._cancelling:
            try:
                await self._store.write(messages.cancel_all, self._cancelling[0], "campaign_cancelled", self._now_ms())
            except StoreError as error:
                log.error("nothing is cancelled while the store refuses: %s", error)
                await asyncio.sleep(STORE_PAUSE_S)
                continue
            self._cancelling.popleft()
