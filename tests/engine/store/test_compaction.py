"""engine/store/compaction.py: smaller or untouched, whole whenever it is killed, and never under somebody's eyes."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from random import Random

import lmdb
import pytest

from bench.rig import ROOT
from engine import proof
from engine.errors import Conflict, StoreError, StoreLocked, StoreVersion
from engine.store import backup, compaction
from engine.store.compaction import compact
from engine.store.disk import COMPACTED_FILE, DATA_FILE
from engine.store.environment import META, SCHEMA, Store
from engine.store.table import Txn
from engine.traffic import messages, retention
from engine.traffic.messages import MESSAGES, Message
from engine.traffic.sheets import SHEETS
from engine.wiring import TABLES

NOW_MS = 1_770_000_000_000
MESSAGES_MADE = 2_000


def enqueue(txn: Txn, count: int) -> None:
    for number in range(count):
        made = messages.enqueue(txn, Message(0, 8613900000000 + number, "x" * 300), NOW_MS)
        if number % 10:
            messages.cancel(txn, made.id, NOW_MS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory nine tenths of which are free."""
    store = Store(tmp_path / "data", TABLES)
    store.write_now(enqueue, MESSAGES_MADE)
    after: int | None = 0
    while after is not None:
        after = store.write_now(retention.forget_messages, after, NOW_MS + 1)
    store.close()
    return tmp_path / "data"


def held(directory: Path) -> dict[str, list[tuple[bytes, bytes]]]:
    """Every entry, and nothing that `check` finds."""
    opened = Store(directory, TABLES, read_only=True)
    try:
        with opened.read() as txn:
            assert list(proof.differences(txn)) == []
            return {name: list(txn.raw.cursor(db=handle)) for name, handle in txn.handles.items()}
    finally:
        opened.close()


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_it_is_smaller_and_holds_the_same(data: Path) -> None:
    before, size, there = held(data), (data / DATA_FILE).stat().st_size, names_in(data)
    shown: list[tuple[int, int]] = []
    sizes = compact(data, lambda *done: shown.append(done))
    assert sizes == (size, (data / DATA_FILE).stat().st_size)
    assert sizes.after < sizes.before / 2
    assert shown[-1][0] == sizes.after
    assert held(data) == before
    assert names_in(data) == there
    assert (data / DATA_FILE).stat().st_mode & 0o777 == 0o600
    # It is worked on as any other.
    store = Store(data, TABLES)
    store.write_now(enqueue, 100)
    store.close()
    assert len(held(data)[MESSAGES.name]) == MESSAGES_MADE // 10 + 100
    assert compact(data).after >= sizes.after


def test_what_has_nothing_free_stays_as_it_is(data: Path) -> None:
    once = compact(data)
    before = held(data)
    assert compact(data) == (once.after, once.after)
    assert held(data) == before


# -- what is refused


def refused(data: Path, error: type[StoreError], said: str) -> None:
    there, octets = names_in(data), (data / DATA_FILE).read_bytes()
    with pytest.raises(error, match=said):
        compact(data)
    assert (names_in(data), (data / DATA_FILE).read_bytes()) == (there, octets)


def test_a_directory_that_a_server_has_is_refused(data: Path) -> None:
    store = Store(data, TABLES)
    refused(data, StoreLocked, "in use by another process")
    store.close()


READER: dict[str, str] = {
    "one of ours": "store = Store(Path(sys.argv[1]), (), read_only=True)",
    "another program": "store = lmdb.open(sys.argv[1], readonly=True)",
}


@pytest.mark.parametrize("reader", READER.values(), ids=READER)
def test_a_directory_that_somebody_reads_is_refused_and_reads_on(data: Path, reader: str) -> None:
    program = (
        "import sys, lmdb\nfrom pathlib import Path\nfrom engine.store.environment import Store\n"
        f"{reader}\nprint('reads', flush=True)\nsys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(data)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reads\n"
    refused(data, StoreLocked, "read|open")
    process.communicate()
    assert compact(data).after


def test_a_directory_of_another_version_or_none_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no data"):
        compact(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    store = Store(data, TABLES)
    store.write_now(META.put, SCHEMA, 99)
    store.close()
    refused(data, StoreVersion, "update Carillon")


def test_data_that_is_a_link_is_refused(data: Path, tmp_path: Path) -> None:
    (data / DATA_FILE).rename(tmp_path / "far")
    (data / DATA_FILE).symlink_to(tmp_path / "far")
    refused(data, StoreError, "symbolic link")


def damaged(change: Callable[[lmdb.Environment, lmdb.Transaction], None]) -> Callable[[Path], None]:
    def apply(copy: Path) -> None:
        environment = lmdb.open(str(copy), subdir=False, lock=False, max_dbs=100)
        with environment.begin(write=True) as txn:
            change(environment, txn)
        environment.close()

    return apply


def _lose(environment: lmdb.Environment, txn: lmdb.Transaction) -> None:
    handle = environment.open_db(b"messages", txn)
    with txn.cursor(db=handle) as cursor:
        assert cursor.last()
        cursor.delete()


def _change(environment: lmdb.Environment, txn: lmdb.Transaction) -> None:
    handle = environment.open_db(b"messages", txn)
    with txn.cursor(db=handle) as cursor:
        assert cursor.last()
        txn.put(cursor.key(), b"other", db=handle)


def _drop(environment: lmdb.Environment, txn: lmdb.Transaction) -> None:
    txn.drop(environment.open_db(b"messages", txn))


@pytest.mark.parametrize("damage", [_lose, _change, _drop], ids=["one entry fewer", "another entry", "a table fewer"])
def test_a_copy_that_is_not_the_same_is_told_from_one_that_is(
    data: Path, tmp_path: Path, damage: Callable[[lmdb.Environment, lmdb.Transaction], None]
) -> None:
    copy = tmp_path / "copy.mdb"
    copy.write_bytes((data / DATA_FILE).read_bytes())
    compaction._compare(data / DATA_FILE, copy)
    damaged(damage)(copy)
    with pytest.raises(StoreError, match=r"has not|is not"):
        compaction._compare(data / DATA_FILE, copy)


def test_who_gives_up_leaves_nothing(data: Path) -> None:
    there = names_in(data)

    def give_up(_done: int, _most: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact(data, give_up)
    assert names_in(data) == there


# -- killed


KILLED = """
import os, signal, sys
from pathlib import Path
from random import Random
from engine.errors import CarillonError
from engine.store import backup, compaction, disk, environment

data, watched = Path(sys.argv[1]), {module.__file__ for module in (backup, compaction, disk)}
pristine = (data / "data.mdb").read_bytes()

def run(kill_at):
    '''Compact in a child that dies as it comes to the line `kill_at`, the first time; the lines it passed.'''
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        passed = []
        def trace(frame, event, _):
            if frame.f_code.co_filename not in watched:
                return None
            where = os.path.basename(frame.f_code.co_filename), frame.f_lineno
            if event == "line" and where not in passed:
                passed.append(where)
                if where == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace
        sys.settrace(trace)
        compaction.compact(data)
        sys.settrace(None)
        os.write(writing, repr(passed).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as said:
        told = said.read()
    _, status = os.waitpid(child, 0)
    assert (os.WTERMSIG(status) == signal.SIGKILL) == (kill_at is not None), (kill_at, status)
    return eval(told) if told else []

lines = run(None)
for name, line in lines:
    (data / "data.mdb").write_bytes(pristine)
    run((name, line))
    print(name, line, os.path.getsize(data / "data.mdb"), (data / "data.mdb.compacted").exists(), flush=True)
    if sys.argv[2] == "check":
        assert sys.stdin.readline() == "whole\\n"
"""


def test_killed_on_any_line_the_data_is_the_old_one_or_the_new_one_and_whole(data: Path) -> None:
    """Every line of compaction, of what it takes of backups and of the disk: each is a moment of its own."""
    before, size = held(data), (data / DATA_FILE).stat().st_size
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(data), "check"], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    outcomes = []
    for told in process.stdout:
        _, _, octets, left = told.split()
        outcomes.append((int(octets) == size, left == "True"))
        assert held(data) == before, told
        if len(outcomes) % 5 == 0:
            # A server starts on it, and clears away what was left; or the next compaction does.
            Store(data, TABLES).close()
            assert COMPACTED_FILE not in names_in(data)
            assert held(data) == before, told
        process.stdin.write("whole\n")
        process.stdin.flush()
    assert process.wait() == 0
    assert len(outcomes) > 80
    assert set(outcomes) == {(True, False), (True, True), (False, False)}


def test_killed_at_any_time_as_a_process_it_goes_on_the_next_time(data: Path) -> None:
    before = held(data)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom engine.store.compaction import compact\n"
        "def kill(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "compact(Path(sys.argv[1]), kill)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(data)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert COMPACTED_FILE in names_in(data)
    assert held(data) == before
    sizes = compact(data)
    assert sizes.after < sizes.before
    assert held(data) == before
    assert COMPACTED_FILE not in names_in(data)


# -- beside backups


def test_a_backup_can_be_taken_of_it_and_restored(data: Path, tmp_path: Path) -> None:
    before = held(data)
    compact(data)
    backup.take(data, tmp_path / "b", NOW_MS)
    backup.restore(tmp_path / "b", tmp_path / "again")
    assert held(tmp_path / "again") == before
    with pytest.raises(Conflict):
        backup.restore(tmp_path / "b", data)


def test_the_copy_belongs_to_whom_the_data_belongs(data: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(data / DATA_FILE, 4321, 1234)
    os.chmod(data / DATA_FILE, 0o640)
    compact(data)
    found = (data / DATA_FILE).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4321, 1234, 0o640)


# -- what was removed


def test_nothing_that_was_removed_is_in_the_file_any_more(tmp_path: Path) -> None:
    """LMDB's own compacting copy keeps what stood behind a value that has a page of its own."""
    store = Store(tmp_path / "data", TABLES)
    random = Random(1)

    def put(txn: Txn, keys: range) -> None:
        for key in keys:
            SHEETS.put(txn, (1, key), b"v" * random.randrange(20, 200) + b"|secret %06d|" % key)

    for first in range(0, 2_000, 50):
        store.write_now(put, range(first, first + 50))
    doomed = random.sample(range(2_000), 200)
    for turn, key in enumerate(doomed):
        store.write_now(SHEETS.remove, (1, key))
        for place in range(3):
            store.write_now(SHEETS.put, (2, 3 * turn + place), b"o" * random.randrange(2_050, 2_300))
    store.close()

    def left() -> tuple[int, int]:
        octets = (tmp_path / "data" / DATA_FILE).read_bytes()
        there = [b"|secret %06d|" % key in octets for key in range(2_000)]
        return sum(there[key] for key in doomed), sum(there)

    assert left()[0] > 0
    compact(tmp_path / "data")
    assert left() == (0, 1_800)


def test_when_it_was_compacted_is_kept_in_the_copy(data: Path) -> None:
    compact(data)
    compact(data, now_ms=NOW_MS)
    store = Store(data, TABLES)
    assert store.compacted_ms() == NOW_MS
    store.close()
    compact(data)
    store = Store(data, TABLES)
    assert store.compacted_ms() == NOW_MS
    store.close()
