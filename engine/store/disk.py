"""The disk: who has a data directory, what room there is, and what the system and LMDB say of both, in our words."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

import lmdb

from engine.errors import StoreError, StoreFull, StoreLocked

LOCK_FILE: Final = "carillon.lock"
DATA_FILE: Final = "data.mdb"
COMPACTED_FILE: Final = "data.mdb.compacted"  # what will be the data once it is whole
READERS_FILE: Final = "lock.mdb"
MOST_READERS: Final = 510
_READERS_OCTETS: Final = (MOST_READERS + 2) * 64  # LMDB's table of them, which it writes through a map

DISK_FULL: Final = "the disk that holds the data is full: nothing of the change was kept"
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_NO_SPACE_TEXTS: Final = tuple(os.strerror(number) for number in NO_SPACE)
_IO_TEXT: Final = os.strerror(errno.EIO)
_NEARLY_NONE_OCTETS: Final = 1 << 20


def lock(directory: Path) -> int:
    """The descriptor whose closing gives the directory back.  Raises StoreLocked, OSError."""
    descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise StoreLocked(f"{directory} is in use by another process") from error
        raise
    return descriptor


def hold_data(directory: Path, how: int) -> int:
    """A descriptor of the data file that is there, locked by flock(2) as `how` says; -1 where another holds it.

    Who reads holds it shared, and who puts another file in its place alone.  Raises OSError.
    """
    while True:
        descriptor = os.open(directory / DATA_FILE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, how)
            here, there = os.fstat(descriptor), os.stat(directory / DATA_FILE)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return -1
            raise
        if os.path.samestat(here, there):
            return descriptor
        os.close(descriptor)


def make_room_for_readers(directory: Path) -> None:
    """LMDB makes its table of readers as a hole and writes into it through a map: a full disk would be a SIGBUS.

    Opens the file only where it is not whole yet and so nobody uses it: closing it would drop our own locks on it.
    Raises OSError where there is no room; what else is wrong with the file LMDB finds out.
    """
    path = directory / READERS_FILE
    try:
        if path.exists() and path.stat().st_blocks * 512 >= _READERS_OCTETS:
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _READERS_OCTETS)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise


def of_system(error: OSError, path: Path) -> StoreError:
    """The operating system's error about `path` or a file below it, in our words."""
    kind = StoreFull if error.errno in NO_SPACE else StoreError
    return kind(f"{path}: {error.strerror or error}")


def store_error(error: Exception, directory: Path) -> Exception:
    """LMDB's errors in our words; any other passes as it is."""
    return of_lmdb(error, directory) if isinstance(error, lmdb.Error) else error


def of_lmdb(error: lmdb.Error, directory: Path) -> StoreError:
    if isinstance(error, lmdb.MapFullError):
        return StoreFull("the store's address space is full: nothing of the change was kept")
    if isinstance(error, lmdb.DiskError) or _is_no_space(str(error), directory):
        return StoreFull(DISK_FULL)
    return StoreError(str(error))


def _is_no_space(said: str, directory: Path) -> bool:
    if said.endswith(_NO_SPACE_TEXTS):
        return True
    if not said.endswith(_IO_TEXT):
        return False
    # LMDB calls a write that was cut short an I/O error.  What it had written until then fills the disk still.
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _NEARLY_NONE_OCTETS
