"""engine/store/backup.py: whole or not there, under load, and believed only with its digest."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.rig import ROOT
from engine import proof
from engine.errors import BackupBroken, Conflict, StoreError, StoreVersion
from engine.store import backup
from engine.store.backup import DATA_FILE, MANIFEST_FILE, Manifest
from engine.store.environment import META, SCHEMA, SCHEMA_VERSION, Store
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.messages import MESSAGES, Message
from engine.wiring import TABLES

NOW_MS = 1_770_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def enqueue(txn: Txn, first: int, count: int) -> None:
    for number in range(first, first + count):
        messages.enqueue(txn, Message(0, 8613900000000 + number, "x" * 100), NOW_MS)


def enqueue_and_refuse(txn: Txn, first: int) -> None:
    enqueue(txn, first, 50)
    raise Conflict("no")


def counted(store: Store) -> dict[str, int]:
    with store.read() as txn:
        return {table.name: table.count(txn) for table in TABLES}


def opened_again(directory: Path) -> tuple[dict[str, int], list[str]]:
    """Entries by table, and what `check` finds."""
    opened = Store(directory, TABLES, read_only=True)
    try:
        with opened.read() as txn:
            return counted(opened), list(proof.differences(txn))
    finally:
        opened.close()


def of_tables(manifest: Manifest) -> dict[str, int]:
    return {table.name: manifest.tables[table.name] for table in TABLES}


def taken_of(store: Store, target: Path, *progress: backup.Progress) -> Manifest:
    """A backup of what was written, which nobody writes on."""
    store.close()
    return backup.take(store.directory, target, NOW_MS, *progress)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- whole, while others write


class Writer:
    """A process that writes into a data directory of its own, as a server does: a line in, a line out."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        program = f"from tests.engine.store.test_backup import write_as_told; write_as_told({str(directory)!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._line() == 0

    def _line(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def write(self, first: int, count: int) -> int:
        """Messages there are, once `count` more and some that were refused have been committed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{first} {count}\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


def write_as_told(directory: str) -> None:
    """What the process of a Writer does."""
    opened = Store(Path(directory), TABLES)
    print(0, flush=True)
    for line in sys.stdin:
        first, count = map(int, line.split())
        opened.write_now(enqueue, first, count)
        with opened.read() as txn:
            oldest = next(MESSAGES.scan(txn))[1]
        if oldest.state in messages.WAITING:
            opened.write_now(messages.cancel_all, [oldest.id], "test", NOW_MS)
        with pytest.raises(Conflict):
            opened.write_now(enqueue_and_refuse, first)
        print(counted(opened)["messages"], flush=True)
    opened.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path / "data")
    yield made
    made.close()


def test_a_backup_holds_the_moment_it_began_whatever_is_written_while_it_is_copied(
    writer: Writer, tmp_path: Path
) -> None:
    writer.write(0, 20_000)
    seen: list[int] = []

    def write_amid(octets: int, most: int) -> None:
        # LMDB stands and waits for the pipe here, with most of the copy still to be read.
        if not seen:
            assert octets < most / 4
            assert [writer.write(30_000 + 100 * turn, 100) for turn in range(20)][-1] == 22_000
        seen.append(octets)

    manifest = backup.take(writer.directory, tmp_path / "b", NOW_MS, write_amid)
    assert manifest.tables["messages"] == 20_000
    assert seen[-1] == manifest.octets == (tmp_path / "b" / DATA_FILE).stat().st_size
    assert backup.restore(tmp_path / "b", tmp_path / "again") == manifest
    assert opened_again(tmp_path / "again") == (of_tables(manifest), [])


def test_backups_under_load_pass_check_and_restore_to_the_counts_of_their_manifests(
    writer: Writer, tmp_path: Path
) -> None:
    enough = threading.Event()
    written = [writer.write(5_000_000, 5_000)]

    def load() -> None:
        while not enough.is_set():
            written.append(writer.write(50 * len(written), 50))

    beside = threading.Thread(target=load)
    beside.start()
    taken = []
    try:
        for turn in range(5):
            before = written[-1]
            manifest = backup.take(writer.directory, tmp_path / f"b{turn}", NOW_MS + turn)
            taken.append((before, manifest, written[-1]))
    finally:
        enough.set()
        beside.join()
    for turn, (before, manifest, behind) in enumerate(taken):
        directory = tmp_path / f"again{turn}"
        assert backup.restore(tmp_path / f"b{turn}", directory) == manifest
        assert opened_again(directory) == (of_tables(manifest), [])
        assert before <= manifest.tables["messages"] <= behind + 50
        assert manifest.taken_ms == NOW_MS + turn


def test_the_process_that_writes_does_not_copy_its_own_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError), (tmp_path / "copy").open("wb") as file:
        store.pour(file.fileno())
    with pytest.raises(StoreError, match="already open in this process"):
        backup.take(store.directory, tmp_path / "b", NOW_MS)
    store.write_now(enqueue, 0, 10)
    assert names_in(tmp_path) == ["copy", "data"]


def test_a_restored_directory_is_written_on(store: Store, tmp_path: Path) -> None:
    store.write_now(enqueue, 0, 10)
    taken_of(store, tmp_path / "b")
    backup.restore(tmp_path / "b", tmp_path / "far" / "away" / "data")
    again = Store(tmp_path / "far" / "away" / "data", TABLES)
    again.write_now(enqueue, 10, 10)
    assert counted(again)["messages"] == 20
    with again.read() as txn:
        assert list(proof.differences(txn)) == []
    again.close()


def test_a_backup_is_compacted_and_only_its_owner_may_read_it(store: Store, tmp_path: Path) -> None:
    store.write_now(enqueue, 0, 5_000)
    with store.read() as txn:
        names = [key[0] for key, _ in MESSAGES.scan(txn)]

    def remove(txn: Txn) -> None:
        for name in names:
            MESSAGES.remove(txn, name)

    store.write_now(remove)
    previous = os.umask(0)
    try:
        manifest = taken_of(store, tmp_path / "b")
        backup.restore(tmp_path / "b", tmp_path / "again")
    finally:
        os.umask(previous)
    assert manifest.octets < (store.directory / DATA_FILE).stat().st_size / 2
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if "data" not in path.parts}
    assert modes["b"] == modes["again"] == 0o700
    assert {mode for name, mode in modes.items() if "." in name} == {0o600}


def test_a_directory_that_lacks_a_table_of_today_is_backed_up_and_opened_after_all(tmp_path: Path) -> None:
    older = Store(tmp_path / "data", TABLES[:5])
    taken_of(older, tmp_path / "b")
    backup.restore(tmp_path / "b", tmp_path / "again")
    with pytest.raises(StoreVersion, match="start the server on it once"):
        Store(tmp_path / "again", TABLES, read_only=True)
    Store(tmp_path / "again", TABLES).close()
    assert opened_again(tmp_path / "again")[1] == []


# -- nothing is overwritten


@pytest.mark.parametrize("kind", ["a file", "a directory", "a link to nowhere"])
def test_a_backup_goes_only_where_nothing_is(store: Store, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "b"
    if kind == "a file":
        target.write_text("mine")
    elif kind == "a directory":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict):
        taken_of(store, target)
    assert names_in(tmp_path) == ["b", "data"]


@pytest.mark.parametrize("name", ["data.mdb", "carillon.lock", "letter.txt"])
def test_nothing_is_restored_over_what_is_there(store: Store, tmp_path: Path, name: str) -> None:
    taken_of(store, tmp_path / "b")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / name).write_text("mine")
    with pytest.raises(Conflict, match=name):
        backup.restore(tmp_path / "b", tmp_path / "there")
    assert names_in(tmp_path / "there") == [name]
    assert (tmp_path / "there" / name).read_text() == "mine"
    with pytest.raises(Conflict):
        backup.restore(tmp_path / "b", store.directory)


def test_an_empty_directory_is_as_good_as_none_and_a_link_to_one_too(store: Store, tmp_path: Path) -> None:
    store.write_now(enqueue, 0, 10)
    taken_of(store, tmp_path / "b")
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    backup.restore(tmp_path / "b", tmp_path / "link")
    assert opened_again(tmp_path / "disk")[0]["messages"] == 10


@pytest.mark.parametrize("path", ["file", "file/data"])
def test_a_place_that_cannot_be_a_directory_is_an_error_of_ours(store: Store, tmp_path: Path, path: str) -> None:
    taken_of(store, tmp_path / "b")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError):
        backup.restore(tmp_path / "b", tmp_path / path)
    with pytest.raises(StoreError):
        taken_of(store, tmp_path / "file" / "b")
    with pytest.raises(StoreError):
        taken_of(store, tmp_path / "nowhere" / "b")
    assert names_in(tmp_path) == ["b", "data", "file"]


# -- what broke off


class Enough(BaseException):
    """As Ctrl-C would be."""


def break_off(_done: int, _most: int) -> None:
    raise Enough


def test_a_backup_or_a_restore_that_is_broken_off_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.write_now(enqueue, 0, 20_000)
    with pytest.raises(Enough):
        taken_of(store, tmp_path / "b", break_off)
    assert names_in(tmp_path) == ["data"]
    manifest = taken_of(store, tmp_path / "b")
    assert manifest.tables["messages"] == 20_000
    with pytest.raises(Enough):
        backup.restore(tmp_path / "b", tmp_path / "far" / "data", break_off)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Enough):
        backup.restore(tmp_path / "b", tmp_path / "empty", break_off)
    assert names_in(tmp_path) == ["b", "data", "empty"]
    assert names_in(tmp_path / "empty") == []


def test_a_backup_that_was_killed_is_never_taken_for_one(store: Store, tmp_path: Path) -> None:
    store.write_now(enqueue, 0, 20_000)
    store.close()
    target = tmp_path / "b"
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from engine.store import backup\n"
        "def kill(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"backup.take(Path({str(store.directory)!r}), Path({str(target)!r}), 1, kill)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    left = [name for name in names_in(tmp_path) if name != "data"]
    assert len(left) == 1
    assert left[0].endswith(backup.PARTIAL)
    with pytest.raises(BackupBroken):
        backup.restore(tmp_path / left[0], tmp_path / "again")
    assert not (tmp_path / "again").exists()


# -- hostile


def rewritten(folder: Path, **fields: Any) -> None:
    """A manifest that says otherwise; where the data was changed, size and digest of what is there now."""
    octets = (folder / DATA_FILE).read_bytes()
    manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    now = {"octets": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **{**now, **fields})))


def cut(folder: Path, octets: int = 9_000) -> None:
    os.truncate(folder / DATA_FILE, octets)


def flip(folder: Path) -> None:
    octets = bytearray((folder / DATA_FILE).read_bytes())
    octets[len(octets) // 2] ^= 1
    (folder / DATA_FILE).write_bytes(octets)


def lengthen(folder: Path) -> None:
    with (folder / DATA_FILE).open("ab") as file:
        file.write(b"more")


def cut_with_its_digest(folder: Path) -> None:
    cut(folder)
    rewritten(folder)


def cut_to_nearly_nothing(folder: Path) -> None:
    cut(folder, 100)
    rewritten(folder)


def noise(folder: Path) -> None:
    (folder / DATA_FILE).write_bytes(os.urandom(100_000))
    rewritten(folder)


def replaced(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / name).rename(folder.parent / "aside")
        make(folder / name)

    return replace


def gone(_path: Path) -> None:
    pass


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "aside")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(cut, id="cut off"),
        pytest.param(lengthen, id="longer"),
        pytest.param(flip, id="one bit"),
        pytest.param(cut_with_its_digest, id="cut off and the manifest too"),
        pytest.param(cut_to_nearly_nothing, id="hardly anything and the manifest says so"),
        pytest.param(noise, id="noise and its digest"),
        pytest.param(lambda folder: rewritten(folder, tables={"messages": 7}), id="other counts"),
        pytest.param(lambda folder: rewritten(folder, schema=0), id="another schema than the data"),
        pytest.param(lambda folder: rewritten(folder, sha256="0" * 64), id="a wrong digest"),
        pytest.param(lambda folder: (folder / MANIFEST_FILE).write_text("{"), id="no JSON"),
        pytest.param(lambda folder: (folder / MANIFEST_FILE).write_bytes(b"\xff\xfe"), id="no text"),
        pytest.param(lambda folder: (folder / MANIFEST_FILE).write_text("[" * 100_000), id="deep JSON"),
        pytest.param(lambda folder: (folder / MANIFEST_FILE).write_text(" " * 2_000_000), id="a long manifest"),
        pytest.param(replaced(MANIFEST_FILE, gone), id="no manifest"),
        pytest.param(replaced(MANIFEST_FILE, link), id="a link for a manifest"),
        pytest.param(replaced(MANIFEST_FILE, os.mkfifo), id="a pipe for a manifest"),
        pytest.param(replaced(DATA_FILE, gone), id="no data"),
        pytest.param(replaced(DATA_FILE, link), id="a link for the data"),
        pytest.param(replaced(DATA_FILE, os.mkfifo), id="a pipe for the data"),
        pytest.param(replaced(DATA_FILE, Path.mkdir), id="a directory for the data"),
    ],
)
def test_what_is_not_as_it_was_taken_is_refused_and_leaves_nothing(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store.write_now(enqueue, 0, 100)
    taken_of(store, tmp_path / "b")
    damage(tmp_path / "b")
    there = names_in(tmp_path)
    with pytest.raises(BackupBroken) as refused:
        backup.restore(tmp_path / "b", tmp_path / "far" / "again")
    assert "\n" not in str(refused.value)
    assert str(tmp_path / "b") in str(refused.value)
    assert names_in(tmp_path) == there


@pytest.mark.parametrize("kind", ["nothing", "a file", "an empty directory", "a data directory"])
def test_what_is_no_backup_at_all_is_said_to_be_none(store: Store, tmp_path: Path, kind: str) -> None:
    given = tmp_path / "given"
    if kind == "a file":
        given.write_bytes(b"\0" * 5000)
    elif kind == "an empty directory":
        given.mkdir()
    elif kind == "a data directory":
        given = store.directory
    with pytest.raises(BackupBroken, match="is not a backup"):
        backup.restore(given, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_backup_of_a_newer_version_is_refused_before_anything_is_made(store: Store, tmp_path: Path) -> None:
    taken_of(store, tmp_path / "b")
    for newer in ({"schema": SCHEMA_VERSION + 1}, {"form": backup.FORM + 1}):
        rewritten(tmp_path / "b", **newer)
        with pytest.raises(StoreVersion, match="update Carillon"):
            backup.restore(tmp_path / "b", tmp_path / "again")
        assert not (tmp_path / "again").exists()


def test_a_newer_store_is_not_backed_up_and_not_restored_under_an_older_manifest(store: Store, tmp_path: Path) -> None:
    taken_of(store, tmp_path / "b")
    newer = Store(tmp_path / "b", TABLES)
    newer.write_now(META.put, SCHEMA, SCHEMA_VERSION + 1)
    newer.close()
    with pytest.raises(StoreVersion):
        backup.take(tmp_path / "b", tmp_path / "c", NOW_MS)
    rewritten(tmp_path / "b")
    with pytest.raises(BackupBroken):
        backup.restore(tmp_path / "b", tmp_path / "again")
    assert names_in(tmp_path) == ["b", "data"]
