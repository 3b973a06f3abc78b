"""Arrival: an upload while it comes in, from octets to rows that count.

Rows are read on the loop and stored by the writer meanwhile, one chunk behind the other.  Nothing counts before the
last row has come and is stored; what broke off leaves nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from engine._intake import Intake
from engine._seen import Seen
from engine.crm.marketing import recipients, uploads
from engine.crm.marketing.uploads import Chunk, Upload
from engine.crm.people.suppressions import Suppressions
from engine.errors import InvalidParam, StoreError
from engine.store.environment import Store

# What is stored together: as much as keeps the writer for a few milliseconds, so that small changes come between.
CHUNK_ROWS: Final = 5_000

SHEETS_A_TURN: Final = 10  # a millisecond of reading

TABLES_A_TURN: Final = 256

RESTS: Final = 2.0  # times as long as it worked: so it takes a third of the time
REST_MOST_S: Final = 0.04  # a body that comes slowly has left enough room already

# A row that is not plain: (number, client_ref, language, values), or what is wrong with it, or None for no row yet.
Found = tuple[int, str, str, dict[str, str]] | InvalidParam | None
Strange = Callable[[int, bytes], Found]


class Arrival:
    """One upload.  Say first what it looks like (`expect`), then feed, `settle` after each piece, and `finish`."""

    def __init__(
        self,
        store: Store,
        upload: Upload,
        seen: Seen,
        suppressions: Suppressions,
        now_ms: Callable[[], int],
        is_pressed: Callable[[], bool],
    ) -> None:
        self._store = store
        self._upload = upload
        self._seen = seen
        self._suppressions = suppressions
        self._now_ms = now_ms
        self._is_pressed = is_pressed
        self._rested_s = asyncio.get_running_loop().time()
        self._intake: Intake | None = None
        self._rows = 0
        self._stored = 0
        self._storing: asyncio.Task[Upload] | None = None

    @classmethod
    async def begin(
        cls,
        store: Store,
        campaign: int,
        suppressions: Suppressions,
        now_ms: Callable[[], int],
        is_pressed: Callable[[], bool] = lambda: False,
    ) -> "Arrival":
        """Open the campaign for rows.  Raises NotFound, Conflict as `uploads.begin`.

        While `is_pressed` the upload takes only a third of the time, so that those who send come to their turn.
        """
        upload = await store.write(uploads.begin, campaign, now_ms())
        try:
            await suppressions.load(store)
            seen = await _seen(store, campaign)
        except BaseException:
            await store.write(uploads.discard, campaign, upload.id)
            raise
        return cls(store, upload, seen, suppressions, now_ms, is_pressed)

    def expect(self, columns: tuple[str, ...] | None, strange: Strange) -> None:
        """Lines of CSV under `columns` follow, else of NDJSON; `strange` reads what is not plain."""
        self._intake = Intake(self._seen, self._suppressions.numbers, columns, strange)

    @property
    def is_expecting(self) -> bool:
        """Whether it is known what follows."""
        return self._intake is not None

    def feed(self, octets: bytes) -> None:
        """Take lines, in any pieces.  Raises Invalid for one of more than 65,536 octets."""
        if self._intake is not None:
            self._intake.feed(octets)

    def add(self, found: tuple[int, str, str, dict[str, str]] | InvalidParam) -> None:
        """Count one more row, which stands in no line."""
        if self._intake is not None:
            self._intake.add(found)

    def hold(self, is_open: bool) -> None:
        """Whether the next line goes on with the row of this one, and so is not plain: called by `strange`."""
        if self._intake is not None:
            self._intake.open = is_open

    def end(self) -> None:
        """Take the last line, where it has no line end."""
        if self._intake is not None:
            self._intake.end()

    async def settle(self) -> None:
        """Store what has come, where that is a chunk.  Raises StoreError."""
        if self._intake is not None and self._intake.taken >= CHUNK_ROWS:
            await self._store_chunk(self._intake)
            await self._make_way()

    async def _make_way(self) -> None:
        clock = asyncio.get_running_loop().time
        if self._is_pressed():
            await asyncio.sleep(min(RESTS * (clock() - self._rested_s), REST_MOST_S))
        self._rested_s = clock()

    async def _store_chunk(self, intake: Intake) -> None:
        await self._stored_so_far()
        take = intake.cut()
        chunk = Chunk(
            self._stored + 1, take.rows, take.accepted, take.sheets, take.numbers, take.suppressed, take.duplicates,
            take.invalid,
        )  # fmt: skip
        self._stored += take.rows
        pepper = self._suppressions.pepper
        writing = self._store.write_bulk(uploads.add, self._upload, chunk, pepper, self._now_ms())
        self._storing = asyncio.create_task(writing)

    async def _stored_so_far(self) -> None:
        if self._storing is not None:
            # Whoever waits for it may be cancelled; the writer will do it all the same.
            self._upload = await asyncio.shield(self._storing)
            self._storing = None

    async def finish(self) -> Upload:
        """Let all rows count.  Raises StoreError, and then nothing does."""
        if self._intake is not None and self._intake.taken:
            await self._store_chunk(self._intake)
        await self._stored_so_far()
        finishing = self._store.write(uploads.finish, self._upload, self._now_ms())
        done = await asyncio.shield(asyncio.create_task(finishing))
        await self._forget()
        return done

    async def _forget(self) -> None:
        """Give the memory back, a little at a turn of the loop."""
        if self._intake is not None:
            self._rows, self._intake = self._intake.row, None
        while self._seen.give_back(TABLES_A_TURN):  # noqa: ASYNC110  each turn frees some
            await asyncio.sleep(0)

    @property
    def rows(self) -> int:
        """Rows that have come."""
        return self._rows if self._intake is None else self._intake.row

    async def discard(self) -> None:
        """Remove all that was stored, unless it counts."""
        if self._storing is not None:
            with contextlib.suppress(StoreError):  # it is being given up anyway
                await self._storing
            self._storing = None
        while await self._store.write(uploads.discard, self._upload.campaign, self._upload.id):
            pass
        await self._forget()


async def _seen(store: Store, campaign: int) -> Seen:
    """The rows that were stored, read a little at a turn of the loop."""
    known, last = recipients.nothing_seen(), -1
    while True:
        with store.read() as txn:
            last = recipients.see(txn, campaign, known, last, SHEETS_A_TURN)
        if last < 0:
            return known
        await asyncio.sleep(0)
