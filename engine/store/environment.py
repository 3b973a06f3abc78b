"""The store: one LMDB environment, one thread that writes, everyone else reads.

Rules of this file:

1. LMDB ties a write transaction to its thread, so every change runs on the writer thread.  Small changes run in the
   order they came, and so do bulk ones; where both wait they take turns, so that nobody waits for two bulk changes.
2. Small changes that wait together are committed together: one flush for all of them.  Each runs in a child
   transaction, so one that raises undoes itself alone.  One that waits alone needs none.
3. A future is resolved after the flush, never before: what `write` returned is on the disk.
4. The loop is woken once per commit, with all results and all notes of Lines in order.
5. Pages are written by pwrite, never through the map, so that a full disk is an error and not a SIGBUS.
6. Even to remove something takes room for new pages.  So some is kept aside while the store is open: where the disk is
   full it is let go, small changes go on for a while, and bulk is refused until it can be had again.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

import lmdb
import msgspec

from engine.errors import StoreError, StoreFull, StoreVersion
from engine.store.disk import (
    COMPACTED_FILE,
    DATA_FILE,
    DISK_FULL,
    MOST_READERS,
    NO_SPACE,
    hold_data,
    lock,
    make_room_for_readers,
    of_lmdb,
    of_system,
    store_error,
)
from engine.store.ids import LAST
from engine.store.table import Keyed, Note, Table, Txn

T = TypeVar("T")
P = ParamSpec("P")

log = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 3
TABLES_GONE: Final = 16  # of all earlier schemas, at most
MAP_SIZE: Final = 1 << 40  # address space only; the file grows as it is written

# A group takes what waits, up to this much, so that nobody waits long behind a crowd.
GROUP_CHANGES: Final = 1000

# A process that was killed while it read (a backup, a check) keeps LMDB from using pages again until someone asks
# whether it still lives.
READERS_CHECKED_COMMITS: Final = 256

# What a change of a few hundred scattered rows may need for its copies of pages.
RESERVE_OCTETS: Final = 4 << 20

META: Final = Table("meta", int, "B")
SCHEMA: Final = 0
COMPACTED: Final = 1  # when the data file was written anew last, epoch milliseconds

OWN_TABLES: Final[tuple[Keyed, ...]] = (META, LAST)


class _Job(msgspec.Struct, eq=False):
    """One change that waits for the writer; `alone` if it is bulk."""

    change: Callable[..., Any]
    args: tuple[Any, ...]
    future: Any
    alone: bool
    result: Any = None
    error: BaseException | None = None


class Migration(NamedTuple):
    """How a directory of one schema becomes one of the next: `tables` are those that the next has no more."""

    tables: tuple[Keyed, ...]
    run: "Callable[[Store], None]"


class Store:
    """An open data directory.

    One of an older schema is brought to the present one by `migrations`, which are known by the schema they leave.
    Raises StoreLocked where another process has it open, StoreVersion where a newer program wrote it or an older one
    did and it cannot be changed, StoreFull where the disk has no room for what an open directory needs.
    """

    told: Any = None  # every change's `told`
    price: Any = None  # and its `price`
    _is_committing: bool = False
    bulk_s: float = 0.0  # of processor: what the last bulk change took, with the writing of its pages

    def __init__(
        self,
        directory: Path,
        tables: Iterable[Keyed],
        *,
        migrations: Mapping[int, Migration] | None = None,
        read_only: bool = False,
        map_size: int = MAP_SIZE,
    ) -> None:
        self.directory = directory
        self.read_only = read_only
        self._lock_fd = -1
        self._data_fd = -1
        self._has_reserve = False  # the writer's own from its start on
        if not read_only:
            try:
                self._take(directory)
            except OSError as error:
                raise of_system(error, directory) from error
        everything = (*OWN_TABLES, *tables)
        names = [table.name for table in everything]
        if len(set(names)) != len(names):
            raise StoreError(f"two tables share a name: {sorted(names)}")
        try:
            self._share(directory)
            self._env = lmdb.open(
                str(directory),
                map_size=map_size,
                max_dbs=len(names) + TABLES_GONE,
                readonly=read_only,
                mode=0o600,
                max_spare_txns=4,
                max_readers=MOST_READERS,
                create=not read_only,
                writemap=False,
            )
        except OSError as error:
            self._unlock()
            raise of_system(error, directory) from error
        except lmdb.Error as error:
            self._unlock()
            raise self._opening_error(error) from error
        self._handles: dict[str, Any] = {}
        try:
            self._open(names)
        except lmdb.Error as error:
            self._env.close()
            self._unlock()
            if isinstance(error, lmdb.NotFoundError) and META.name in self._handles:
                raise self._lacking(names) from error
            raise self._opening_error(error) from error
        self._followers: list[Callable[[list[Note]], None]] = []
        self._small: deque[_Job] = deque()
        self._bulk: deque[_Job] = deque()
        self._bell = threading.Lock()  # free where there may be something new for the writer
        self._is_closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: threading.Thread | None = None
        if not read_only:
            self._keep_reserve()
        self.beside: Any = None  # every change's `beside`
        self.commits = 0
        self.flush_s = 0.0
        try:
            self._check_schema(migrations or {})
        except StoreError:
            self.close()
            raise

    def _take(self, directory: Path) -> None:
        """Make the directory ours alone to write.  Raises StoreLocked, OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd = lock(directory)
        # A compaction that broke off.
        (directory / COMPACTED_FILE).unlink(missing_ok=True)

    def _share(self, directory: Path) -> None:
        """Be one of its readers.  Raises OSError."""
        if not self.read_only or (directory / DATA_FILE).exists():
            make_room_for_readers(directory)
        if self.read_only:
            # Nobody puts another data file in the place of one that is read.
            self._data_fd = hold_data(directory, fcntl.LOCK_SH)

    def _check_schema(self, migrations: Mapping[int, Migration]) -> None:
        with self.read() as txn:
            found = META.find(txn, SCHEMA)
        if found is not None and found > SCHEMA_VERSION:
            raise StoreVersion(
                f"{self.directory} has schema {found}, this program knows {SCHEMA_VERSION}: update Carillon"
            )
        if self.read_only:
            if found is not None and found < SCHEMA_VERSION:
                raise StoreVersion(self._of_older(found))
            return
        self._writer = threading.Thread(target=self._write_groups, name="carillon-writer", daemon=True)
        self._writer.start()
        if found is None:
            self.write_now(META.put, SCHEMA, SCHEMA_VERSION)
            return
        for schema in range(found, SCHEMA_VERSION):
            if schema not in migrations:
                raise StoreVersion(self._of_older(schema))
            self._migrate(schema, migrations[schema])

    def _of_older(self, schema: int) -> str:
        return (
            f"{self.directory} has schema {schema} of an older Carillon: start the server on it once, which brings it "
            f"to {SCHEMA_VERSION}"
        )

    def _migrate(self, schema: int, migration: Migration) -> None:
        log.warning("the data directory has schema %d: it is brought to %d", schema, schema + 1)
        for table in migration.tables:
            self._handles[table.name] = self._env.open_db(table.name.encode())
        migration.run(self)
        self.write_now(self._end_migration, schema + 1, migration.tables)
        for table in migration.tables:
            del self._handles[table.name]

    def _open(self, names: list[str]) -> None:
        if self.read_only:
            # What lmdb opens in a reader's transaction is closed with it.
            for name in names:
                self._handles[name] = self._env.open_db(name.encode(), create=False)
            return
        with self._env.begin(write=True) as raw:  # one flush for all of them
            for name in names:
                self._handles[name] = self._env.open_db(name.encode(), raw)

    def _lacking(self, names: list[str]) -> StoreVersion:
        lacking = next(name for name in names if name not in self._handles)
        said = f"{self.directory} was last opened by an older Carillon and has no table {lacking}"
        return StoreVersion(f"{said}: start the server on it once, which makes it")

    @staticmethod
    def _end_migration(txn: Txn, schema: int, gone: tuple[Keyed, ...]) -> None:
        for table in gone:
            txn.raw.drop(txn.handles[table.name], delete=False)
        META.put(txn, SCHEMA, schema)

    def _opening_error(self, error: lmdb.Error) -> StoreError:
        return type(ours := of_lmdb(error, self.directory))(f"{self.directory}: {ours}")

    # -- reading

    @contextlib.contextmanager
    def read(self) -> Iterator[Txn]:
        """A snapshot.  Keep it short: an old reader stops LMDB from using pages again.  Raises StoreError."""
        try:
            txn = Txn(self._env.begin(buffers=False), self._handles)
        except lmdb.Error as error:
            raise of_lmdb(error, self.directory) from error
        try:
            yield txn
        finally:
            # lmdb gives a reader's place back only with the object: a refusal whose traceback is still around must
            # not hold it.
            txn.raw.abort()
            txn.raw = None  # type: ignore[assignment]  # whoever still reads through it is in error

    def pour(self, descriptor: int) -> None:
        """Write a compacted copy of what is stored at this moment to `descriptor`, a file or a pipe.

        Whoever writes goes on meanwhile, but pages that are freed are not used again before it ends.  Raises
        StoreError, also where this store was opened for writing: lmdb lets no transaction be undone while its
        environment is copied, so a refused change would stop the writer.  Another process is free of that.
        """
        if not self.read_only:
            raise StoreError(f"{self.directory} is copied by a process that only reads it")
        try:
            self._env.copyfd(descriptor, compact=True)
        except lmdb.Error as error:
            raise StoreError(f"{self.directory} cannot be copied: {error}") from error

    def compacted_ms(self) -> int:
        """When nothing was left in the data file of what had been removed by then; 0 for never."""
        with self.read() as txn:
            return META.find(txn, COMPACTED) or 0

    @property
    def octets_most(self) -> int:
        """Octets that a copy takes at most."""
        return (int(self._env.info()["last_pgno"]) + 1) * int(self._env.stat()["psize"])

    # -- writing

    def follow(self, follower: Callable[[list[Note]], None]) -> None:
        """Call `follower` on the loop after every commit that left notes, with those notes in order."""
        self._followers.append(follower)

    def submit(self, change: Callable[Concatenate[Txn, P], T], *args: P.args, **_: P.kwargs) -> "asyncio.Future[T]":
        """Queue `change(txn, *args)`; the future resolves after its commit.  Call it on the event loop."""
        self._loop = loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Job(change, args, future, False))
        return future

    async def write(self, change: Callable[Concatenate[Txn, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `change(txn, *args)` on the writer thread; return what it returned once that is durable.

        Raises what the change raised (it alone is undone), or StoreFull.
        """
        return await self.submit(change, *args, **kwargs)

    async def write_bulk(self, change: Callable[Concatenate[Txn, P], T], *args: P.args, **_: P.kwargs) -> T:
        """Like `write`, in a transaction of its own without a child: for chunks of thousands of rows."""
        self._loop = loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Job(change, args, future, True))
        return await future

    def write_now(self, change: Callable[Concatenate[Txn, P], T], *args: P.args, **_: P.kwargs) -> T:
        """Like `write`, for a thread without an event loop: waits."""
        future: Future[T] = Future()
        self._put(_Job(change, args, future, False))
        return future.result()

    @property
    def is_writing(self) -> bool:
        """Whether a change waits or is being made."""
        return bool(self._is_committing or self._small or self._bulk)

    def _put(self, job: _Job) -> None:
        if self._writer is None:
            raise StoreError("the store is closed or was opened for reading")
        (self._bulk if job.alone else self._small).append(job)
        self._ring()

    def _ring(self) -> None:
        # Rung already: the writer will look at its queues once more.
        if self._bell.locked():
            with contextlib.suppress(RuntimeError):  # another thread was quicker
                self._bell.release()

    # -- the writer thread

    def _write_groups(self) -> None:
        small, bulk = self._small, self._bulk
        is_closing = False
        while not is_closing:
            self._bell.acquire()
            # Before the queues are looked at: what was put before the store was closed is still done.
            is_closing = self._is_closing
            while small or bulk:
                if small:
                    self._commit([small.popleft() for _ in range(min(len(small), GROUP_CHANGES))])
                if bulk:
                    self._commit([bulk.popleft()])

    def _commit(self, group: list[_Job]) -> None:
        """Run the group's changes and flush once.  Whatever happens, every future is resolved."""
        self._is_committing = True
        began = time.thread_time() if group[0].alone else 0.0
        notes: list[Note] = []
        error: Exception | None = None
        if group[0].alone and not self._has_reserve and not self._keep_reserve():
            error = StoreFull(DISK_FULL)
        else:
            error = self._attempt(group, notes)
            if isinstance(error, StoreFull) and self._has_reserve:
                self._let_reserve_go()
                if not group[0].alone:
                    error = self._attempt(group, notes)
        if error is not None:
            for job in group:
                job.error = job.error or error
        if group[0].alone:
            self.bulk_s = time.thread_time() - began
        # Before they are told: who waited may ask at once.
        self._is_committing = False
        self._tell(group, notes)
        if self.commits % READERS_CHECKED_COMMITS == 0:
            with contextlib.suppress(lmdb.Error):
                self._env.reader_check()

    def _attempt(self, group: list[_Job], notes: list[Note]) -> Exception | None:
        """Why nothing of the group was kept, or None; `notes` are those of what was."""
        notes.clear()
        try:
            parent = self._env.begin(None, None, True)
            try:
                if len(group) == 1:
                    self._run_alone(group[0], parent, notes)
                else:
                    for job in group:
                        self._run(job, parent, notes)
                began = time.monotonic()
                parent.commit()
                self.flush_s += time.monotonic() - began
                self.commits += 1
            except BaseException:
                parent.abort()
                raise
        except Exception as error:  # noqa: BLE001  the writer's boundary: the error belongs to the callers
            notes.clear()
            return store_error(error, self.directory)
        return None

    def _keep_reserve(self) -> bool:
        """Whether there is room to spare now: it is the lock file that takes it."""
        try:
            os.posix_fallocate(self._lock_fd, 0, RESERVE_OCTETS)
        except OSError as error:
            # A file system that cannot set anything aside has no reserve to wait for.
            self._has_reserve = error.errno not in NO_SPACE
            if not self._has_reserve:
                os.ftruncate(self._lock_fd, 0)
        else:
            self._has_reserve = True
        return self._has_reserve

    def _let_reserve_go(self) -> None:
        self._has_reserve = False
        os.ftruncate(self._lock_fd, 0)

    def _run_alone(self, job: _Job, txn: lmdb.Transaction, notes: list[Note]) -> None:
        job.error = None
        job.result = job.change(Txn(txn, self._handles, self.beside, notes, self.told, self.price), *job.args)

    def _run(self, job: _Job, parent: lmdb.Transaction, notes: list[Note]) -> None:
        job.error = None
        kept = len(notes)
        child = self._env.begin(None, parent, True)
        try:
            job.result = job.change(Txn(child, self._handles, self.beside, notes, self.told, self.price), *job.args)
            child.commit()
        except Exception as error:  # one change is refused; its child undoes it and the group goes on
            child.abort()
            del notes[kept:]
            job.error = store_error(error, self.directory)
            if isinstance(error, lmdb.Error) and isinstance(job.error, StoreFull):
                raise

    def _tell(self, group: list[_Job], notes: list[Note]) -> None:
        waiting = []
        for job in group:
            if type(job.future) is Future:
                _resolve(job)
            else:
                waiting.append(job)
        loop = self._loop
        if loop is not None and (waiting or (notes and self._followers)) and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._deliver, waiting, notes)
            except RuntimeError:
                log.debug("the loop closed before a commit could be told")

    def _deliver(self, group: list[_Job], notes: list[Note]) -> None:
        """On the loop: followers first, so that who awaits a change finds its consequences in place."""
        if notes:
            for follower in self._followers:
                try:
                    follower(notes)
                except Exception:  # a follower's own fault: who waits for the commit must not pay for it
                    log.exception("a follower failed")
        for job in group:
            future = job.future
            if future.done():
                continue
            if job.error is None:
                future.set_result(job.result)
            else:
                future.set_exception(job.error)

    # -- closing

    def close(self) -> None:
        """Finish what was queued, flush, and give the directory back."""
        if self._writer is not None:
            self._is_closing = True
            self._ring()
            self._writer.join()
            self._writer = None
        self._env.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._data_fd >= 0:
            os.close(self._data_fd)
            self._data_fd = -1
        if self._lock_fd >= 0:
            self._let_reserve_go()
            os.close(self._lock_fd)
            self._lock_fd = -1


def _resolve(job: _Job) -> None:
    if job.error is not None:
        job.future.set_exception(job.error)
    else:
        job.future.set_result(job.result)
