"""Compaction: the data file of a directory that nobody uses, written anew without the pages that are free.

Rules of this file:

1. The copy is written beside, flushed, and compared entry by entry.  Only then it takes the name of the data, at once:
   whoever opens the directory finds the one or the other, whole.
2. What broke off is another file, which the next opening clears away.
3. The copy is made entry by entry, not page by page: LMDB leaves what was erased in the room behind a value that has a
   page of its own, and its own compacting copy takes that along.
4. Nobody may have the data open meanwhile: not for writing, and when the names change not for reading either.  LMDB
   tells readers and writers of each other through a file that knows nothing of a second data file.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import lmdb

from engine.errors import StoreError, StoreLocked
from engine.store import backup
from engine.store.backup import Progress, nobody
from engine.store.disk import COMPACTED_FILE, DATA_FILE, READERS_FILE, hold_data, lock, of_lmdb, of_system
from engine.store.environment import COMPACTED, MAP_SIZE, META, Store
from engine.store.table import Txn

_TABLES_MOST: Final = 512
_ENTRIES: Final = 5_000  # written together


class Sizes(NamedTuple):
    """Octets of the data file."""

    before: int
    after: int


def compact(directory: Path, progress: Progress = nobody, now_ms: int = 0) -> Sizes:
    """Write the data file anew, as small as it can be; its size before and after.

    Nothing that was removed or overwritten is in it any more; `now_ms` is kept in it, as when that was so.

    Raises StoreLocked where anybody has the directory open, StoreVersion where it is not of the present schema,
    StoreFull where the disk has no room for the copy, StoreError; then the data is as it was.
    """
    path, copy = directory / DATA_FILE, directory / COMPACTED_FILE
    if not path.exists():
        raise StoreError(f"{directory} holds no data")
    with _in_our_words(directory):
        held = lock(directory)
        try:
            if path.is_symlink():
                raise StoreError(f"{path} is a symbolic link: compact the directory that it leads to")
            copy.unlink(missing_ok=True)
            before = path.stat().st_size
            try:
                _write(directory, copy, progress)
                _compare(path, copy)
                if now_ms:
                    _stamp(directory, copy, now_ms)
                after = copy.stat().st_size
                _swap(directory, path, copy)
            except BaseException:
                with suppress(OSError):
                    copy.unlink(missing_ok=True)
                raise
        finally:
            os.close(held)
    return Sizes(before, after)


def _write(directory: Path, copy: Path, progress: Progress) -> None:
    """The copy belongs to whom the data belongs, so that the server can open it whoever compacts."""
    kept = (directory / DATA_FILE).stat()
    with backup.new_file(copy) as file:
        if (kept.st_uid, kept.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), kept.st_uid, kept.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(kept.st_mode))
    Store(directory, (), read_only=True).close()  # of a schema that is known
    try:
        with _opened(directory / DATA_FILE) as (of_data, data), _writing(copy) as made:
            _rewrite(of_data, data, made, progress)
    except lmdb.Error as error:
        raise of_lmdb(error, directory) from error
    size = copy.stat().st_size
    progress(size, size)


def _rewrite(of_data: lmdb.Transaction, data: lmdb.Environment, made: lmdb.Environment, progress: Progress) -> None:
    """All in one transaction, which frees no page on its way."""
    most = (int(data.info()["last_pgno"]) + 1) * int(data.stat()["psize"])
    names = _names(of_data, data)
    handles = {name: made.open_db(name) for name in names}
    done = 0
    with made.begin(write=True) as txn:
        for name in names:
            entries = iter(of_data.cursor(db=data.open_db(name, of_data, create=False)))
            with txn.cursor(db=handles[name]) as cursor:
                while some := list(islice(entries, _ENTRIES)):
                    cursor.putmulti(some, append=True)
                    done += sum(len(key) + len(value) for key, value in some)
                    progress(min(done, most), most)


@contextmanager
def _writing(copy: Path) -> Iterator[lmdb.Environment]:
    """The copy as an environment that nobody else knows; durable when the block has ended."""
    environment = lmdb.open(
        str(copy), subdir=False, lock=False, sync=False, map_size=MAP_SIZE, max_dbs=_TABLES_MOST, mode=0o600
    )
    try:
        yield environment
        environment.sync(True)
    finally:
        environment.close()


def _stamp(directory: Path, copy: Path, now_ms: int) -> None:
    try:
        with _writing(copy) as made:
            handles = {META.name: made.open_db(META.name.encode())}
            with made.begin(write=True) as raw:
                META.put(Txn(raw, handles), COMPACTED, now_ms)
    except lmdb.Error as error:
        raise of_lmdb(error, directory) from error


def _compare(path: Path, copy: Path) -> None:
    """Raises StoreError at the first entry that is not the same in both."""
    try:
        with _opened(path) as (of_data, data), _opened(copy) as (of_copy, copied):
            names = _names(of_data, data)
            if names != _names(of_copy, copied):
                raise StoreError(f"{copy} has not the tables of {path}")
            for name in names:
                ours, theirs = data.open_db(name, of_data, create=False), copied.open_db(name, of_copy, create=False)
                with of_data.cursor(db=ours) as one, of_copy.cursor(db=theirs) as other:
                    for entry, counterpart in zip(one, other, strict=True):
                        if entry != counterpart:
                            raise StoreError(f"{copy}: {name.decode()} is not what it is in {path}")
    except ValueError as error:
        raise StoreError(f"{copy} has not as many entries as {path}") from error
    except lmdb.Error as error:
        raise of_lmdb(error, path.parent) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[lmdb.Transaction, lmdb.Environment]]:
    environment = lmdb.open(
        str(path), subdir=False, readonly=True, lock=False, create=False, max_dbs=_TABLES_MOST, max_readers=1
    )
    try:
        with environment.begin() as txn:
            yield txn, environment
    finally:
        environment.close()


def _names(txn: lmdb.Transaction, _environment: lmdb.Environment) -> list[bytes]:
    with txn.cursor() as cursor:
        return [bytes(name) for name in cursor.iternext(values=False)]


def _swap(directory: Path, path: Path, copy: Path) -> None:
    """Let the copy be the data, while nobody reads the old one."""
    data = hold_data(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if data < 0:
        raise StoreLocked(f"{directory} is being read, by a backup or a check: compact it when that is done")
    try:
        readers = os.open(directory / READERS_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # LMDB's own: every process that has the directory open shares this lock.
            fcntl.lockf(readers, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except OSError as error:
            os.close(readers)
            raise StoreLocked(f"{directory} is open in another program: compact it when that is done") from error
        try:
            os.rename(copy, path)
            backup.flush(directory)
        finally:
            os.close(readers)
    finally:
        os.close(data)


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise of_system(error, path) from error
