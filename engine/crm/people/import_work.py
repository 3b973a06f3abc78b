"""The work on imports: one task of the engine, one import at a time, a stage behind the other.

Rows are read and sorted on the loop, a millisecond at a turn, and written by the writer in bulk changes of a few
milliseconds; never both at once, since the two threads would only take the interpreter from one another: a fifth more
CPU a row, and small changes beside waited twice as long.  What was under way when the last run ended is taken back and
begun again.
"""

import asyncio
import logging
import secrets
from array import array
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Concatenate, Final, ParamSpec
from zoneinfo import ZoneInfo

from engine._seen import Seen
from engine._staging import Order
from engine.crm.people import customers, import_rows, import_stage, import_undo, import_update, imports, regions, tags
from engine.crm.people.customer import BY_NUMBER, Customer
from engine.crm.people.import_fates import Fates, counted
from engine.crm.people.import_files import Reading
from engine.crm.people.import_fresh import Fresh, Given
from engine.crm.people.import_rows import CELLS_KEPT, Cleaned, Cleaner
from engine.crm.people.import_update import Fate, Row
from engine.crm.people.imports import CREATED, TAGGED, Counts, Import, Place, State, Stretch
from engine.crm.people.suppressions import SUPPRESSIONS, Suppressions
from engine.errors import Invalid, StoreError
from engine.store.environment import Store
from engine.store.table import Txn

P = ParamSpec("P")

log = logging.getLogger(__name__)

# The more, the fewer pages are written twice: a sweep goes through a whole index, however few keys it brings.
STAGE_ROWS: Final = 200_000
TURN_ROWS: Final = 400  # read in one turn of the loop: half a millisecond, or a few where all is mended
BUILT: Final = 500
SOUGHT_ROWS: Final = 1_000
# In one change, at most: how many depends on how long the last ones took.
APPENDED: Final = 4_000  # records
SWEPT: Final = 4_000  # numbers
WORDS_SWEPT: Final = 8_000  # entries
SETTLED: Final = 8_000
WRITTEN_S: Final = 0.0035  # of processor
UPDATED: Final = 50  # customers in one small change
WAITS_MOST: Final = 20
PAUSE_S: Final = 0.005  # between two steps of an undo
AGAIN_S: Final = 5.0  # after the store refused
LAPSED_EVERY_S: Final = 600.0
DAY_MS: Final = 86_400_000
TWICE: Final = "a row before has the same number"
ERASED: Final = "the person was erased, and does not come back"


class Imports:
    """Works on what is asked of imports.  `ring` when something was."""

    def __init__(
        self, store: Store, suppressions: Suppressions, now_ms: Callable[[], int], country: str, zone: str,
        is_pressed: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._store = store
        self._suppressions = suppressions
        self._now_ms = now_ms
        self._country = country or None
        self._zone = zone
        self._is_pressed = is_pressed
        self._bell = asyncio.Event()
        self.stage_rows = STAGE_ROWS
        self.receiving: set[int] = set()  # imports whose file is coming in

    def ring(self) -> None:
        """There may be work."""
        self._bell.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.once()
            except StoreError as error:
                log.error("imports wait while the store refuses: %s", error)
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                async with asyncio.timeout(LAPSED_EVERY_S):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def once(self) -> None:
        """Do all that waits now.  Raises StoreError."""
        self._bell.clear()
        await self.lapse()
        while True:
            with self._store.read() as txn:
                waiting = imports.waiting(txn)
            if not waiting:
                return
            await self._work(waiting[0])

    async def lapse(self) -> None:
        """Take back rented lists whose licence has ended, and drop files that are too old to be kept."""
        now_ms = self._now_ms()
        zone = ZoneInfo(self._zone) if self._zone else UTC
        today = datetime.fromtimestamp(now_ms / 1000, zone).toordinal()
        with self._store.read() as txn:
            lapsed = imports.lapsed(txn, today)
            old = imports.old_files(txn, now_ms - imports.KEPT_DAYS * DAY_MS)
        for identifier in lapsed:
            await self._store.write(imports.ask_undo, identifier, now_ms, "licence")
        for identifier in old:
            await self.repeat(imports.drop_file, identifier, now_ms)

    async def _work(self, identifier: int) -> None:
        with self._store.read() as txn:
            record = imports.IMPORTS.get(txn, identifier)
        if record.state is State.UNDOING:
            await self.repeat(import_undo.rewind, identifier, self._now_ms())
            await self.repeat(import_undo.step, identifier, self._now_ms())
            return
        try:
            await Work(self, record).run()
        except StoreError:
            raise
        except Invalid as error:
            told = error.params[0]
            where = f" (row {told.row})" if told.row else ""
            await self._fail(record, f"{told.name} {told.reason}{where}")
        except Exception as error:  # a file that we trip over must not stop the engine, nor its next start
            log.exception("import %s failed", imports.name_of(identifier))
            await self._fail(record, f"an error of ours: {type(error).__name__}")

    async def _fail(self, record: Import, reason: str) -> None:
        await self.repeat(import_undo.rewind, record.id, self._now_ms())
        await self._store.write(_fail, record.id, reason, self._now_ms())

    async def repeat(self, step: Callable[Concatenate[Txn, P], bool], *args: P.args, **_: P.kwargs) -> None:
        """Do a step as long as it says that there may be more, with a pause in between."""
        while True:
            if not await self._store.write_bulk(step, *args, **_):
                return
            await asyncio.sleep(PAUSE_S)

    # -- what the work asks for

    @property
    def store(self) -> Store:
        return self._store

    @property
    def suppressions(self) -> Suppressions:
        return self._suppressions

    @property
    def country(self) -> str | None:
        return self._country

    def now_ms(self) -> int:
        """The engine's clock."""
        return self._now_ms()

    async def give_way(self, worked_s: float = 0.0) -> None:
        """Let others in; where somebody sends, twice as long as was worked.

        While the writer works, this thread does not: it would take the interpreter from it after each step, and a small
        change would take 40 ms in place of one.
        """
        await asyncio.sleep(min(2 * worked_s, 0.04) if self._is_pressed() else 0)
        for _ in range(WAITS_MOST):
            if not self._store.is_writing:
                break
            await asyncio.sleep(0.001)


def _fail(txn: Txn, identifier: int, reason: str, now_ms: int) -> None:
    record = imports.IMPORTS.get(txn, identifier)
    imports.end(txn, record, State.FAILED, now_ms, error=reason[:500])


class Work:
    """One check or one run of one import, from where it is to its end."""

    def __init__(self, works: Imports, record: Import) -> None:
        self._works = works
        self._store = works.store
        self._now_ms = works.now_ms
        self._record = record
        self._is_run = record.state is State.RUNNING
        self._counts = record.counts if self._is_run else Counts()
        self._given = Given()
        self._seen = None if self._is_run else Seen(secrets.token_bytes(16))
        self._created: list[tuple[int, int]] = []
        self._fine: set[Any] = set()  # values that customers may have, for as long as a stage is read

    async def run(self) -> None:
        """Read all rows, and let them become customers unless it is a check.  Raises Invalid, StoreError."""
        store, record = self._store, self._record
        await self._works.repeat(import_undo.rewind, record.id, self._now_ms())
        place = record.place if self._is_run else Place()
        await self._works.repeat(imports.forget_stretches, record.id, self._is_run, place.row, 200)
        await self._works.suppressions.load(store)
        with store.read() as txn:
            house = import_rows.known(txn, self._works.country)
            self._created = [(key[1], key[1] + count) for key, count in CREATED.scan(txn, record.id)]
            region = regions.require(txn, record.region) if record.region else 0
        reading = Reading(store, record.id, record.encoding, place)
        cleaner = Cleaner(record, reading.columns, house)
        given = await store.write(_tags_of, record.id, record.tags, self._now_ms()) if self._is_run else ()
        self._given = Given(given, region, record.lifecycle)
        while True:
            cleaned, behind = await self._read(reading, cleaner)
            if not cleaned.rows and not cleaned.faults:
                break
            await self._stage(cleaned, behind)
            # Not all at once: so many names are let go in milliseconds.
            while cleaned.names:
                del cleaned.names[-SOUGHT_ROWS:], cleaned.others[-SOUGHT_ROWS:]
                await self._works.give_way()
        await store.write(_end, record.id, self._is_run, self._counts, self._now_ms())

    # -- reading

    async def _read(self, reading: Reading, cleaner: Cleaner) -> tuple[Cleaned, Place]:
        """The rows of a stage, cleaned."""
        whole = Cleaned()
        begun = reading.place.row
        clock = asyncio.get_running_loop().time
        while (row := reading.place.row) - begun < self._works.stage_rows:
            began_s = clock()
            cells = reading.some(min(TURN_ROWS, begun + self._works.stage_rows - row))
            if not cells:
                break
            unknown = cleaner.unknown(cells)
            if unknown:
                cleaner.learn(await self._tags(unknown))
            some = cleaner.take(row + 1, cells)
            self._check_others(cleaner, some)
            _join(whole, some)
            await self._works.give_way(clock() - began_s)
        self._fine.clear()
        return whole, reading.place

    async def _tags(self, names: set[str]) -> dict[str, int]:
        if not self._is_run:
            return dict.fromkeys(names, -1)
        found = await self._store.write(_tags_of, self._record.id, tuple(sorted(names)), self._now_ms())
        with self._store.read() as txn:
            return {name: tags.find(txn, name) or 0 for name in names} if found else {}

    def _check_others(self, cleaner: Cleaner, cleaned: Cleaned) -> None:
        """Refuse rows whose further fields no customer may have."""
        fine: set[Any] = self._fine
        with self._store.read() as txn:
            if not (cleaner.is_rich or customers.faults(txn, Customer(0, 0))):
                return
            for at, number in enumerate(cleaned.numbers):
                others = cleaned.others[at] if cleaned.others else {}
                # Each field is judged by itself, and whether one is missing by those that are there.
                told = [item for item in others.items() if item[0] != "attrs"]
                told.append(("attrs", tuple(others.get("attrs", ()))))
                if fine.issuperset(told):
                    continue
                wrong = customers.faults(txn, Customer(0, number, **others))
                if not wrong:
                    fine.update(told)
                elif not (wrong[0].reason == "is required" and BY_NUMBER.find(txn, number)):
                    cleaned.faults[cleaned.rows[at]] = wrong[0].name, wrong[0].reason
        if cleaned.faults:
            import_rows.drop_faulty(cleaned)
        if len(fine) > CELLS_KEPT:
            fine.clear()

    # -- a stage

    async def _stage(self, cleaned: Cleaned, behind: Place) -> None:
        fates: dict[int, Fate] = {
            row: Fate(row, "refused", 0, field, reason) for row, (field, reason) in cleaned.faults.items()
        }
        order = Order(cleaned.numbers)
        await asyncio.to_thread(order.sort)
        chosen, known = await self._sort_out(cleaned, order, fates)
        first = 0
        taken: list[int] = []
        if self._is_run and chosen:
            of = await self._store.write(import_stage.open_stage, self._record.id, len(chosen), self._now_ms())
            first = of.first
            self._created.append((first, first + len(chosen)))
            taken = await self._bring_in(Fresh(self._record, self._given, cleaned, chosen, order, of))
        known = sorted([*known, *(chosen[at] for at in taken)])
        for at in range(0, len(known), UPDATED):
            for fate in await self._change([_row(cleaned, place) for place in known[at : at + UPDATED]]):
                fates[fate.row] = fate
        told = Fates(cleaned, fates, chosen, first)
        is_more = True
        while is_more:
            is_more = told.take(SOUGHT_ROWS)
            await self._works.give_way()
        await self._close(told.stretches, behind)

    async def _sort_out(self, cleaned: Cleaned, order: Order, fates: dict[int, Fate]) -> tuple["array[int]", list[int]]:
        """(places of rows of new people, places of rows of people who are known); `fates` of those that are neither."""
        gone = set(order.twice())
        for place in gone:
            row = cleaned.rows[place]
            fates[row] = Fate(row, "same", 0, "number", TWICE)
        forbidden = self._works.suppressions.numbers
        for first in range(0, len(cleaned.rows) if len(forbidden) else 0, SOUGHT_ROWS):
            some = cleaned.numbers[first : first + SOUGHT_ROWS]
            with self._store.read() as txn:
                for place, number in enumerate(some, first):
                    if number in forbidden and self._is_erased(txn, number):
                        row = cleaned.rows[place]
                        fates[row] = Fate(row, "refused", 0, "number", ERASED)
                        gone.add(place)
            await self._works.give_way()
        known: list[int] = []
        for first in range(0, len(order), SOUGHT_ROWS):
            behind = min(first + SOUGHT_ROWS, len(order))
            with self._store.read() as txn:
                found = BY_NUMBER.find_many(txn, order.keys(first, behind)) if BY_NUMBER.any(txn) else {}
            if found or self._seen is not None:
                known += self._recognised(cleaned, order.places(first, behind), found, gone, fates)
            await self._works.give_way()
        gone.update(known)
        return order.keep_but(gone), known

    def _recognised(
        self, cleaned: Cleaned, places: list[int], found: dict[bytes, bytes], gone: set[int], fates: dict[int, Fate]
    ) -> list[int]:
        """Those of the places whose numbers somebody has; of numbers that this list brought before, the fates."""
        known = []
        for place in places:
            if place in gone:
                continue
            number, row = cleaned.numbers[place], cleaned.rows[place]
            if owner := found.get(number.to_bytes(8, "big")):
                identifier = int.from_bytes(owner, "big")
                if not self._is_ours(identifier):
                    known.append(place)
                    continue
                fates[row] = Fate(row, "same", identifier, "number", TWICE)
            elif self._seen is None or self._seen.add(number, ""):
                continue
            else:
                fates[row] = Fate(row, "same", 0, "number", TWICE)
            gone.add(place)
        return known

    def _is_erased(self, txn: Txn, number: int) -> bool:
        found = SUPPRESSIONS.find(txn, self._works.suppressions.numbers.digest(number))
        return found is not None and found.reason == "erased"

    def _is_ours(self, identifier: int) -> bool:
        return any(first <= identifier < behind for first, behind in self._created)

    async def _bring_in(self, fresh: Fresh) -> list[int]:
        """Write the new customers; those whose number was taken meanwhile."""
        gone: set[int] = set()
        async for first, behind in self._turns(APPENDED, fresh.count):
            await self._store.write_bulk(import_stage.append, fresh.build(first, behind))
        async for first, behind in self._turns(SWEPT, fresh.count):
            swept = await self._store.write_bulk(import_stage.write_sweep, fresh.sweep(first, behind))
            gone.update(map(fresh.place, swept.taken))
            fresh.mark_anew(swept.anew)
        for first in range(0, fresh.count, BUILT):
            fresh.gather(first, min(first + BUILT, fresh.count), gone)
            await self._works.give_way()
        async for first, behind in self._turns(WORDS_SWEPT, await asyncio.to_thread(fresh.sort_words)):
            await self._store.write_bulk(import_stage.write_words, fresh.word_items(first, behind))
        async for first, behind in self._turns(SETTLED, fresh.count):
            await self._store.write_bulk(import_stage.settle, import_stage.Settling(fresh, first, behind, gone))
        return sorted(gone)

    async def _turns(self, most: int, count: int) -> AsyncIterator[tuple[int, int]]:
        """Stretches from 0 to `count`, at most `most` long, and such that the writer works on one for WRITTEN_S."""
        first, rows = 0, most // 4
        while first < count:
            behind = min(first + rows, count)
            yield first, behind
            await self._works.give_way(self._store.bulk_s)
            if behind < count:
                wanted = int(rows * WRITTEN_S / max(self._store.bulk_s, WRITTEN_S / 8))
                rows = min(max((rows + wanted) // 2, most // 16), most)
            first = behind

    async def _change(self, rows: list[Row]) -> list[Fate]:
        if self._is_run:
            return await self._store.write(import_update.apply, self._record.id, rows, self._given.tags, self._now_ms())
        with self._store.read() as txn:
            return [import_update.foretell(txn, self._record, row, self._given.tags) for row in rows]

    async def _close(self, stretches: list[Stretch], behind: Place) -> None:
        self._counts = counted(self._counts, stretches)
        if self._is_run:
            await self._store.write(
                import_stage.close_stage, self._record.id, self._counts, behind, stretches, self._now_ms()
            )
        else:
            await self._store.write(imports.write_stretches, self._record.id, False, stretches)


def _row(cleaned: Cleaned, place: int) -> Row:
    return Row(
        cleaned.rows[place],
        cleaned.numbers[place],
        cleaned.names[place],
        cleaned.lifecycles[place],
        cleaned.regions[place],
        cleaned.tags[place],
        cleaned.others[place] if cleaned.others else {},
    )


def _join(whole: Cleaned, more: Cleaned) -> None:
    whole.rows.extend(more.rows)
    whole.numbers.extend(more.numbers)
    whole.names += more.names
    whole.lifecycles += more.lifecycles
    whole.regions += more.regions
    whole.tags += more.tags
    whole.others += more.others
    whole.faults |= more.faults
    whole.notes |= more.notes


def _tags_of(txn: Txn, identifier: int, names: tuple[str, ...], now_ms: int) -> tuple[int, ...]:
    """The tags of these names; those that are new are the import's, until it is undone."""
    found: set[int] = set()
    for name in names:
        is_new = tags.find(txn, name) is None
        (tag,) = tags.require(txn, [name], now_ms)
        if is_new:
            TAGGED.put(txn, (identifier, tag), tags.TAGS.get(txn, tag).name)
        found.add(tag)
    return tuple(sorted(found))


def _end(txn: Txn, identifier: int, ran: bool, counts: Counts, now_ms: int) -> None:
    record = imports.IMPORTS.get(txn, identifier)
    if ran:
        imports.end(txn, record, State.DONE, now_ms, counts=counts)
    else:
        imports.change(txn, record, now_ms, state=State.CHECKED, checked=counts)
