"""Backups: a compacted copy of the store in a new directory beside its manifest, and the way back.

Rules of this file:

1. A backup is hot: LMDB copies one snapshot while another process writes.
2. What is not whole has another name: it is written aside, flushed, and renamed last.  What broke off is cleared away.
3. Nothing is overwritten, neither a backup nor a data directory.
4. A backup is believed only where its octets have the digest of its manifest.
"""

import errno
import hashlib
import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import lmdb
import msgspec

from engine.errors import BackupBroken, Conflict, StoreError, StoreVersion
from engine.store.disk import DATA_FILE, LOCK_FILE, lock, of_system
from engine.store.environment import META, SCHEMA, SCHEMA_VERSION, Store
from engine.store.table import Txn

FORM: Final = 1  # of the manifest
MANIFEST_FILE: Final = "manifest.json"
PARTIAL: Final = ".partial"

_BLOCK_OCTETS: Final = 1 << 20
_MANIFEST_MOST_OCTETS: Final = 1 << 20
_TABLES_MOST: Final = 512

Progress = Callable[[int, int], None]  # octets so far, octets at most


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself: `tables` counts the entries of each, `taken_ms` is when the copy began."""

    form: int
    schema: int
    taken_ms: int
    octets: int
    sha256: str
    tables: dict[str, int]


def nobody(_done: int, _most: int) -> None:
    """Who is told how far it is, where nobody wants to know."""


def take(directory: Path, target: Path, now_ms: int, progress: Progress = nobody) -> Manifest:
    """Copy what the data directory holds at this moment into the new directory `target`; a server may run on it.

    Returns once it is durable.  Raises Conflict where `target` exists, StoreVersion, StoreFull, StoreError, also where
    this very process has the directory open.
    """
    if os.path.lexists(target):
        raise Conflict(f"{target} exists already: a backup goes into a new directory")
    if not (directory / DATA_FILE).exists():
        raise StoreError(f"{directory} holds no data")
    with _in_our_words(target.parent):
        partial = Path(tempfile.mkdtemp(prefix=".carillon-backup-", suffix=PARTIAL, dir=target.parent))
    try:
        with _in_our_words(target):
            path = partial / DATA_FILE
            with new_file(path) as file:
                digest = copy_out(directory, file, progress)
                octets = file.tell()
            schema, tables = _read(path, target)
            manifest = Manifest(FORM, schema, now_ms, octets, digest, tables)
            with new_file(partial / MANIFEST_FILE) as file:
                file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            flush(partial)
            os.rename(partial, target)
            flush(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def restore(backup: Path, directory: Path, progress: Progress = nobody) -> Manifest:
    """Make the data directory `directory`, which is missing or empty, from a backup.

    Raises BackupBroken where it is not one or not whole, StoreVersion where a newer program made it, Conflict where
    `directory` holds anything, StoreLocked where somebody is about to use it, StoreFull, StoreError; then `directory`
    is as it was found.
    """
    manifest = manifest_of(backup)
    with _part_of(backup, DATA_FILE) as source:
        octets = os.fstat(source.fileno()).st_size
        if octets != manifest.octets:
            raise BackupBroken(f"{backup}: {DATA_FILE} has {octets:,} octets, not {manifest.octets:,}: it is damaged")
        with _held_empty(directory), _in_our_words(directory):
            partial = directory / (DATA_FILE + PARTIAL)
            with new_file(partial) as file:
                digest = _pass_on(source, file, octets, progress)
            if digest != manifest.sha256:
                raise BackupBroken(f"{backup}: {DATA_FILE} has not the digest that {MANIFEST_FILE} says: it is damaged")
            if _read(partial, backup) != (manifest.schema, manifest.tables):
                raise BackupBroken(f"{backup}: {DATA_FILE} does not hold what {MANIFEST_FILE} says")
            os.rename(partial, directory / DATA_FILE)
            flush(directory)
    return manifest


def manifest_of(backup: Path) -> Manifest:
    """What a backup says of itself.  Raises BackupBroken, StoreVersion where a newer program made it."""
    with _part_of(backup, MANIFEST_FILE) as file:
        octets = file.read(_MANIFEST_MOST_OCTETS + 1)
    if len(octets) > _MANIFEST_MOST_OCTETS:
        raise BackupBroken(f"{backup}: {MANIFEST_FILE} is too long to be one of ours")
    try:
        manifest = msgspec.json.decode(octets, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BackupBroken(f"{backup}: {MANIFEST_FILE} cannot be read: {error}") from error
    if manifest.form > FORM or manifest.schema > SCHEMA_VERSION:
        raise StoreVersion(
            f"{backup} has form {manifest.form} and schema {manifest.schema}, this program knows {FORM} and "
            f"{SCHEMA_VERSION}: update Carillon"
        )
    return manifest


# -- octets


def copy_out(directory: Path, file: BinaryIO, progress: Progress) -> str:
    """The digest of the copy.  It goes through a pipe, so that it can be given up at any octet."""
    store = Store(directory, (), read_only=True)
    try:
        most = store.octets_most
        reading, writing = os.pipe()

        def pour() -> None:
            try:
                store.pour(writing)
            finally:
                os.close(writing)

        with ThreadPoolExecutor(1, "carillon-backup") as beside:
            poured = beside.submit(pour)
            with open(reading, "rb", buffering=0) as source:  # closed early, it ends LMDB's side with EPIPE
                digest = _pass_on(source, file, most, progress)
            poured.result()
        return digest
    finally:
        store.close()


def _pass_on(source: BinaryIO, file: BinaryIO, most: int, progress: Progress) -> str:
    """Copy `source` to its end and flush; the digest of what was copied."""
    digest = hashlib.sha256()
    done = 0
    while octets := source.read(_BLOCK_OCTETS):
        digest.update(octets)
        file.write(octets)
        done += len(octets)
        progress(done, max(done, most))
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    """The digest of a file as `copy_out` gives it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def new_file(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def flush(directory: Path) -> None:
    """Let the names in a directory be durable.  Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, backup: Path) -> tuple[int, dict[str, int]]:
    """The schema and the entries per table of a copy.  Raises BackupBroken, naming `backup`."""
    if _octets_wanted(path) > path.stat().st_size:
        raise BackupBroken(f"{backup}: {DATA_FILE} was cut off")  # LMDB would read behind its end: a SIGBUS
    try:
        environment = lmdb.open(
            str(path), subdir=False, readonly=True, lock=False, create=False, max_dbs=_TABLES_MOST, max_readers=1
        )
        try:
            with environment.begin() as raw, raw.cursor() as cursor:
                names = [bytes(name) for name, _ in cursor]
            handles = {name.decode(): environment.open_db(name, create=False) for name in names}
            if META.name not in handles:
                raise BackupBroken(f"{backup}: {DATA_FILE} is not a store of ours")
            with environment.begin() as raw:
                schema = META.find(Txn(raw, handles), SCHEMA)
                counts = {name: int(raw.stat(db=handle)["entries"]) for name, handle in handles.items()}
        finally:
            environment.close()
    except (lmdb.Error, UnicodeDecodeError) as error:
        raise BackupBroken(f"{backup}: {DATA_FILE} cannot be read: {error}") from error
    if schema is None:
        raise BackupBroken(f"{backup}: {DATA_FILE} has no schema version")
    return schema, counts


# LMDB's page header, then magic, version, address, size of the map, two databases, last page, transaction; the first
# number of a database is the size of a page.
_META_PAGE: Final = struct.Struct("@16x II QQ I44x 48x QQ")
_MAGIC: Final = 0xBEEFC0DE


def _octets_wanted(path: Path) -> int:
    """How long a copy must be by what its two meta pages say; 0 where LMDB will see that it is none."""
    with path.open("rb") as file:
        first = file.read(_META_PAGE.size)
        if len(first) < _META_PAGE.size:
            return 0
        magic, _, _, _, page_octets, last, _ = _META_PAGE.unpack(first)
        if magic != _MAGIC:
            return 0
        file.seek(page_octets)
        second = file.read(_META_PAGE.size)
        if len(second) == _META_PAGE.size:
            last = max(last, _META_PAGE.unpack(second)[5])
    return int((last + 1) * page_octets)


# -- files and folders


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise of_system(error, path) from error


@contextmanager
def _part_of(backup: Path, name: str) -> Iterator[BinaryIO]:
    """A file of a backup: a plain one, since a link or a pipe in its place is nothing that `take` wrote."""
    try:
        # Not blocking, since the opening of a pipe would wait for somebody at its other end.
        descriptor = os.open(backup / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise BackupBroken(f"{backup} is not a backup: {name}: {why}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BackupBroken(f"{backup} is not a backup: {name}: is not a plain file")
    with open(descriptor, "rb") as file:
        yield file


@contextmanager
def _held_empty(directory: Path) -> Iterator[None]:
    """`directory`, made where it is missing, and locked.  Where the block raises, it is as it was found.

    Raises Conflict where it is not empty, StoreLocked, StoreFull, StoreError.
    """
    made: list[Path] = []
    held = -1
    try:
        with _in_our_words(directory):
            _make(directory, made)
            _expect(directory, [])
            held = lock(directory)
        try:
            _expect(directory, [LOCK_FILE])
        except Conflict:
            os.close(held)
            held = -1  # a server was quicker: what is there is its own
            raise
        yield
        with _in_our_words(directory):
            for folder in made:
                flush(folder.parent)
    except BaseException:
        with suppress(OSError):
            for name in (DATA_FILE, DATA_FILE + PARTIAL, LOCK_FILE) if held >= 0 else ():
                (directory / name).unlink(missing_ok=True)
            for folder in reversed(made):
                folder.rmdir()
        raise
    finally:
        if held >= 0:
            os.close(held)


def _expect(directory: Path, wanted: list[str]) -> None:
    found = sorted(os.listdir(directory))
    if found != wanted:
        shown = ", ".join(found[:3])
        raise Conflict(f"{directory} is not empty (it holds {shown}): nothing is restored over what is there")


def _make(directory: Path, made: list[Path]) -> None:
    """Make it and what is missing above it; `made` tells which, from above."""
    missing = [folder for folder in (directory, *directory.parents) if not os.path.lexists(folder)]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700)
        made.append(folder)
