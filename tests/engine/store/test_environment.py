"""engine/store/environment.py: what a commit promises, and what a full, locked or newer directory does."""

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rig import ROOT
from engine.errors import Conflict, NotFound, RecordBroken, StoreError, StoreFull, StoreLocked, StoreVersion
from engine.store.disk import MOST_READERS
from engine.store.environment import META, READERS_CHECKED_COMMITS, SCHEMA_VERSION, Store
from engine.store.table import Line, Note, Table, Txn

NAMES = Table("names", str)
NUMBERS = Table("numbers", int)
WORK = Line("work", str, "BQ")
OTHER_WORK = Line("other_work", str)
TABLES = (NAMES, NUMBERS, WORK, OTHER_WORK)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def name(store: Store, key: int) -> str | None:
    with store.read() as txn:
        return NAMES.find(txn, key)


def put_then_refuse(txn: Txn, key: int) -> None:
    NAMES.put(txn, key, "half done")
    WORK.put(txn, (1, key), "half done")
    raise Conflict("no")


# -- changes


async def test_a_change_that_raises_undoes_itself_alone_while_its_group_goes_on(store: Store) -> None:
    commits = store.commits
    before = store.submit(NAMES.put, 1, "before")
    refused = store.submit(put_then_refuse, 2)
    behind = store.submit(NAMES.put, 3, "behind")
    results = await asyncio.gather(before, refused, behind, return_exceptions=True)
    assert isinstance(results[1], Conflict)
    assert [results[0], results[2]] == [None, None]
    assert [name(store, key) for key in (1, 2, 3)] == ["before", None, "behind"]
    assert store.commits <= commits + 3


async def test_what_a_change_returned_can_be_read_at_once_by_anybody(store: Store) -> None:
    def take_one(txn: Txn) -> int:
        found = NUMBERS.find(txn, 0) or 0
        NUMBERS.put(txn, 0, found + 1)
        return found + 1

    for expected in range(1, 20):
        assert await store.write(take_one) == expected
        with store.read() as txn:
            assert NUMBERS.get(txn, 0) == expected


async def test_a_future_is_not_done_while_its_commit_has_not_ended(store: Store) -> None:
    gate = threading.Event()
    held = store.submit(lambda _: gate.wait(5))
    waiting = store.submit(NAMES.put, 1, "here")
    await asyncio.sleep(0)
    assert not waiting.done()
    assert name(store, 1) is None
    gate.set()
    await asyncio.gather(held, waiting)
    assert name(store, 1) == "here"


async def test_changes_of_many_tasks_run_in_the_order_they_were_given(store: Store) -> None:
    order: list[int] = []
    await asyncio.gather(*(store.write(lambda _, number=number: order.append(number)) for number in range(300)))
    assert order == list(range(300))


async def test_changes_that_wait_together_share_a_flush(store: Store) -> None:
    commits = store.commits
    await asyncio.gather(*(store.submit(NAMES.put, number, "x") for number in range(500)))
    assert store.commits - commits < 250


async def test_a_bulk_change_is_a_transaction_of_its_own(store: Store) -> None:
    def fill(txn: Txn, rows: int) -> int:
        for number in range(rows):
            NUMBERS.put(txn, number, number)
        return rows

    def fill_and_refuse(txn: Txn) -> None:
        fill(txn, 10_000)
        raise Conflict("no")

    small = [store.submit(NAMES.put, number, "x") for number in range(10)]
    refused = asyncio.ensure_future(store.write_bulk(fill_and_refuse))
    filled = asyncio.ensure_future(store.write_bulk(fill, 5_000))
    more = [store.submit(NAMES.put, number, "y") for number in range(10)]
    results = await asyncio.gather(*small, refused, filled, *more, return_exceptions=True)
    assert isinstance(results[10], Conflict)
    assert results[11] == 5_000
    assert name(store, 9) == "y"
    with store.read() as txn:
        assert NUMBERS.count(txn) == 5_000


async def test_a_small_change_waits_for_one_bulk_change_at_most_and_the_other_way_round(store: Store) -> None:
    order: list[str] = []
    gate = threading.Event()
    held = store.submit(lambda _: gate.wait(5))
    await asyncio.sleep(0.02)
    bulk = [asyncio.ensure_future(store.write_bulk(lambda _, at=at: order.append(f"bulk {at}"))) for at in (1, 2, 3)]
    await asyncio.sleep(0)
    small = [store.submit(lambda _, at=at: order.append(f"small {at}")) for at in (1, 2)]
    gate.set()
    await asyncio.gather(held, *bulk, *small)
    assert order == ["bulk 1", "small 1", "small 2", "bulk 2", "bulk 3"]


async def test_a_change_that_waits_alone_and_raises_is_undone_too(store: Store) -> None:
    heard: list[Note] = []
    store.follow(heard.extend)
    with pytest.raises(Conflict):
        await store.write(put_then_refuse, 7)
    await store.write(WORK.put, (1, 8), "x")
    assert name(store, 7) is None
    assert [note.key for note in heard] == [(1, 8)]


async def test_changes_of_threads_and_tasks_at_once_are_all_done(store: Store) -> None:
    def put_some(first: int) -> None:
        for number in range(first, first + 100):
            store.write_now(NAMES.put, number, "thread")

    threads = [asyncio.to_thread(put_some, 1000 * place) for place in range(1, 5)]
    await asyncio.gather(*threads, *(store.write(NAMES.put, number, "task") for number in range(400)))
    with store.read() as txn:
        assert NAMES.count(txn) == 800


def test_a_thread_without_a_loop_waits_for_its_change(store: Store) -> None:
    store.write_now(NAMES.put, 1, "here")
    assert name(store, 1) == "here"
    with pytest.raises(NotFound):
        store.write_now(NAMES.get, 2)


async def test_a_caller_that_was_cancelled_neither_stops_its_change_nor_the_others(store: Store) -> None:
    gate = threading.Event()
    held = store.submit(lambda _: gate.wait(5))
    cancelled = store.submit(NAMES.put, 1, "all the same")
    cancelled.cancel()
    behind = store.submit(NAMES.put, 2, "here")
    gate.set()
    await asyncio.gather(held, behind)
    assert name(store, 1) == "all the same"


# -- followers


async def test_followers_hear_the_notes_of_a_commit_in_order_and_none_of_an_undone_change(
    store: Store,
) -> None:
    heard: list[Note] = []
    store.follow(heard.extend)

    def two(txn: Txn) -> None:
        WORK.put(txn, (1, 10), "first")
        OTHER_WORK.put(txn, 5, "second")
        NAMES.put(txn, 5, "nobody's news")
        WORK.remove(txn, (1, 10))
        WORK.remove(txn, (1, 11))

    group = [store.submit(two), store.submit(put_then_refuse, 7), store.submit(WORK.put, (2, 3), "third")]
    await asyncio.gather(*group, return_exceptions=True)
    assert heard == [
        Note("work", (1, 10), "first"),
        Note("other_work", (5,), "second"),
        Note("work", (1, 10), None),
        Note("work", (2, 3), "third"),
    ]


async def test_who_awaits_a_change_finds_that_the_followers_have_heard_of_it(store: Store) -> None:
    heard: list[Note] = []
    store.follow(heard.extend)
    for number in range(50):
        await store.write(WORK.put, (0, number), "x")
        assert heard[-1].key == (0, number)


async def test_a_change_by_a_thread_is_told_to_followers_too(store: Store) -> None:
    heard: list[Note] = []
    told = asyncio.Event()
    store.follow(heard.extend)
    store.follow(lambda _: told.set())
    await store.write(NAMES.put, 1, "so that the store knows the loop")
    await asyncio.to_thread(store.write_now, WORK.put, (0, 1), "x")
    async with asyncio.timeout(5):
        await told.wait()
    assert [note.key for note in heard] == [(0, 1)]


async def test_a_follower_that_fails_leaves_nobody_waiting(store: Store) -> None:
    def fail(_: list[Note]) -> None:
        raise ValueError("a follower's own fault")

    store.follow(fail)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with asyncio.timeout(2):
        await store.write(WORK.put, (0, 1), "x")


# -- closing


def test_closing_finishes_what_was_queued(tmp_path: Path) -> None:
    async def queue_and_leave() -> None:
        opened = Store(tmp_path / "data", TABLES)
        futures = [opened.submit(NAMES.put, number, str(number)) for number in range(200)]
        bulk = asyncio.ensure_future(opened.write_bulk(NAMES.put, 999, "bulk"))
        await asyncio.sleep(0)
        opened.close()
        await asyncio.gather(*futures, bulk)

    asyncio.run(queue_and_leave())
    with_again = Store(tmp_path / "data", TABLES)
    with with_again.read() as txn:
        assert [NAMES.get(txn, number) for number in (0, 199, 999)] == ["0", "199", "bulk"]
    with_again.close()


def test_a_closed_store_refuses_changes_and_can_be_closed_again(tmp_path: Path) -> None:
    opened = Store(tmp_path / "data", TABLES)
    opened.close()
    with pytest.raises(StoreError):
        opened.write_now(NAMES.put, 1, "x")
    opened.close()


# -- the directory


def test_only_the_owner_may_read_what_is_stored(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        Store(tmp_path / "data", TABLES).close()
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert modes == {"data.mdb": 0o600, "lock.mdb": 0o600, "carillon.lock": 0o600}


def test_a_directory_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    hold = (
        "import fcntl, os, sys\n"
        f"lock = os.open({str(tmp_path / 'data' / 'carillon.lock')!r}, os.O_RDWR)\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    Store(tmp_path / "data", TABLES).close()
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked):
            Store(tmp_path / "data", TABLES)
        other.communicate()
    Store(tmp_path / "data", TABLES).close()


def test_a_second_store_in_this_process_is_refused_and_harms_nothing(store: Store) -> None:
    with pytest.raises(StoreLocked):
        Store(store.directory, TABLES)
    store.write_now(NAMES.put, 1, "still here")
    assert name(store, 1) == "still here"


def test_a_directory_of_a_newer_version_is_refused_and_given_back(tmp_path: Path) -> None:
    opened = Store(tmp_path / "data", TABLES)
    opened.write_now(META.put, 0, SCHEMA_VERSION + 1)
    opened.close()
    for read_only in (False, True):
        with pytest.raises(StoreVersion):
            Store(tmp_path / "data", TABLES, read_only=read_only)


def test_a_corrupted_record_names_its_table_and_key(store: Store) -> None:
    def corrupt(txn: Txn, octets: bytes) -> None:
        txn.raw.put(NAMES.layout.pack(5), octets, db=txn.handles["names"])

    for octets in (b"", b"\x01", b"\x02\xa1x", b"\x01\xc1", b"\x01\x05", b"\x01\xa1xx"):
        store.write_now(corrupt, octets)
        with store.read() as txn, pytest.raises(RecordBroken) as broken:
            NAMES.get(txn, 5)
        assert (broken.value.table, broken.value.key) == ("names", NAMES.layout.pack(5))
        with store.read() as txn, pytest.raises(RecordBroken):
            list(NAMES.scan(txn))


def test_a_store_opened_for_reading_reads_and_refuses_to_write(tmp_path: Path) -> None:
    writing = Store(tmp_path / "data", TABLES)
    writing.write_now(NAMES.put, 1, "here")
    writing.close()
    reading = Store(tmp_path / "data", TABLES, read_only=True)
    assert name(reading, 1) == "here"
    with pytest.raises(StoreError):
        reading.write_now(NAMES.put, 2, "x")
    reading.close()


def test_reading_a_directory_that_does_not_exist_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Store(tmp_path / "nothing", TABLES, read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_two_tables_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Store(tmp_path / "data", (NAMES, Table("names", int)))


def test_a_table_that_an_older_version_did_not_have_is_made_by_who_writes_and_told_by_who_reads(tmp_path: Path) -> None:
    Store(tmp_path / "data", (NAMES,)).close()
    with pytest.raises(StoreVersion, match="no table numbers"):
        Store(tmp_path / "data", TABLES, read_only=True)
    Store(tmp_path / "data", TABLES).close()
    Store(tmp_path / "data", TABLES, read_only=True).close()


def test_who_was_killed_while_reading_does_not_make_the_file_grow_for_ever(store: Store) -> None:
    read = (
        "import sys\n"
        "from pathlib import Path\n"
        "from engine.store.environment import Store\n"
        f"opened = Store(Path({str(store.directory)!r}), (), read_only=True)\n"
        "with opened.read():\n"
        "    print('reading', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", read], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reader:  # fmt: skip
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        reader.kill()
    began = store.octets_most
    for turn in range(READERS_CHECKED_COMMITS):
        store.write_now(NAMES.put, turn % 5, "x" * 1000)
    pinned = store.octets_most
    assert pinned > began + READERS_CHECKED_COMMITS * 4096
    for turn in range(READERS_CHECKED_COMMITS):
        store.write_now(NAMES.put, turn % 5, "x" * 1000)
    assert store.octets_most < pinned + 20 * 4096


def test_refusals_that_are_still_around_hold_no_place_of_a_reader(store: Store) -> None:
    kept = []
    for key in range(2 * MOST_READERS):
        with pytest.raises(NotFound) as refused, store.read() as txn:
            NUMBERS.get(txn, key)
        kept.append(refused)
    assert name(store, 1) is None


def test_more_readers_at_once_than_there_are_places_is_an_error_of_ours(store: Store) -> None:
    with contextlib.ExitStack() as reading:
        for _ in range(MOST_READERS):
            reading.enter_context(store.read())
        with pytest.raises(StoreError, match="maxreaders"):
            reading.enter_context(store.read())
    assert name(store, 1) is None


@pytest.mark.parametrize("name", [pytest.param("file", id="a file"), pytest.param("file/data", id="below a file")])
def test_a_path_that_cannot_be_a_directory_is_an_error_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        Store(tmp_path / name, TABLES)


# -- no space


def fill(txn: Txn, first: int, rows: int) -> None:
    for key in range(first, first + rows):
        NAMES.put(txn, key, "x" * 1000)


@pytest.mark.parametrize("rows", [1, 7, 40, 400])
def test_a_full_map_is_told_as_such_keeps_nothing_half_done_and_leaves_the_store_usable(
    tmp_path: Path, rows: int
) -> None:
    opened = Store(tmp_path / "data", TABLES, map_size=400 * 1024)
    stored = 0
    with contextlib.suppress(StoreFull):
        for first in range(0, 100_000, rows):
            opened.write_now(fill, first, rows)
            stored = first + rows
    assert stored < 1000
    with opened.read() as txn:
        assert NAMES.count(txn) == stored
    for _ in range(3):
        with pytest.raises(StoreFull):
            opened.write_now(fill, stored, 400)
    opened.write_now(NAMES.find, 0)
    opened.close()
    # An operator gives it more room.
    opened = Store(tmp_path / "data", TABLES, map_size=8 << 20)
    opened.write_now(fill, stored, 400)
    with opened.read() as txn:
        assert NAMES.count(txn) == stored + 400
    opened.close()


async def test_when_the_map_is_full_the_whole_group_is_told_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    opened = Store(tmp_path / "data", TABLES, map_size=400 * 1024)
    heard: list[Note] = []
    opened.follow(heard.extend)
    gate = threading.Event()
    held = opened.submit(lambda _: gate.wait(5))
    await asyncio.sleep(0.02)
    small = opened.submit(WORK.put, (1, 1), "x")
    refused = opened.submit(put_then_refuse, 5)
    large = opened.submit(fill, 0, 2_000)
    gate.set()
    results = await asyncio.gather(held, small, refused, large, return_exceptions=True)
    assert isinstance(results[1], StoreFull)
    assert isinstance(results[3], StoreFull)
    assert heard == []
    await opened.write(WORK.put, (1, 1), "again")
    assert heard == [Note("work", (1, 1), "again")]
    opened.close()
