"""engine/store/runs.py on a real store: against a dict, through every step of a merge, with broken pages."""

import contextlib
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import Conflict, NotFound, RecordBroken
from engine.store.disk import DATA_FILE
from engine.store.environment import Store
from engine.store.runs import FAN_IN, Runs
from engine.store.table import Txn

RUNS = Runs("numbers")
PAGES, HEADS = RUNS.tables

Pair = tuple[int, int]

HIGHEST = (1 << 64) - 1


def octets(pairs: list[Pair]) -> bytes:
    return b"".join(struct.pack("<QQ", *pair) for pair in pairs)


def in_order(pairs: set[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: (pair[0], -pair[1]))


def empty(txn: Txn) -> None:
    for table in RUNS.tables:
        txn.raw.drop(txn.handles[table.name], delete=False)


@pytest.fixture(scope="module")
def opened() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory) / "data", RUNS.tables)
        yield store
        store.close()


@pytest.fixture
def store(opened: Store) -> Store:
    opened.write_now(empty)
    return opened


def publish(store: Store, run: int, pairs: list[Pair]) -> None:
    def both(txn: Txn) -> None:
        RUNS.write(txn, run, octets(pairs))
        RUNS.publish(txn, [run])

    store.write_now(both)


def found(store: Store, key: int, before: int = 0) -> list[int]:
    with store.read() as txn:
        return list(RUNS.find(txn, key, before))


def everything(store: Store) -> list[Pair]:
    with store.read() as txn:
        return list(RUNS.scan(txn))


def unpublished(store: Store) -> list[int]:
    with store.read() as txn:
        return RUNS.unpublished(txn)


def merge_all(store: Store, pages: int, look: Callable[[], None] = lambda: None) -> int:
    steps = 1
    while store.write_now(RUNS.merge, pages):
        steps += 1
        look()
    return steps


def pages_stored(store: Store) -> int:
    with store.read() as txn:
        return PAGES.count(txn)


def runs_stored(store: Store) -> int:
    with store.read() as txn:
        return HEADS.count(txn)


def random_pairs(seed: int, count: int, first_id: int, numbers: int = 10**9) -> list[Pair]:
    random = Random(seed)
    return [(49_150_000_000_000 + random.randrange(numbers), first_id + row) for row in range(count)]


def crowded_pairs(seed: int) -> list[Pair]:
    """Few numbers, so that each has ids in several runs."""
    random = Random(seed)
    return [(random.randrange(500), random.randrange(1 << 20)) for _ in range(seed % 3_000)]


def test_a_run_is_found_once_it_is_published(store: Store) -> None:
    store.write_now(RUNS.write, 7, octets([(49, 1), (49, 3), (50, 2)]))
    assert found(store, 49) == []
    assert unpublished(store) == [7]
    store.write_now(RUNS.publish, [7])
    assert found(store, 49) == [3, 1]
    assert found(store, 50) == [2]
    assert found(store, 51) == []
    assert unpublished(store) == []


def test_ids_come_newest_first_over_all_runs_and_below_a_limit(store: Store) -> None:
    publish(store, 1, [(49, 10), (49, 12)])
    publish(store, 2, [(49, 11), (48, 99)])
    assert found(store, 49) == [12, 11, 10]
    assert found(store, 49, before=12) == [11, 10]
    assert found(store, 49, before=10) == []


def test_a_pair_that_comes_twice_is_found_once(store: Store) -> None:
    publish(store, 1, [(49, 10), (49, 10)])
    publish(store, 2, [(49, 10)])
    assert found(store, 49) == [10]
    assert everything(store) == [(49, 10)]


def test_the_ends_of_the_range_are_pairs_like_others(store: Store) -> None:
    corners = [(key, number) for key in (0, 1, HIGHEST) for number in (0, 1, HIGHEST)]
    publish(store, HIGHEST, corners)
    assert found(store, 0) == [HIGHEST, 1, 0]
    assert found(store, HIGHEST) == [HIGHEST, 1, 0]
    assert found(store, HIGHEST, before=1) == [0]
    assert everything(store) == in_order(set(corners))


def test_a_number_with_more_ids_than_a_page_holds_is_read_on(store: Store) -> None:
    ids = Random(1).sample(range(1 << 40), 5_000)
    publish(store, 1, [(49, number) for number in ids] + [(48, 1), (50, 1)])
    publish(store, 2, [(49, 5)])
    newest_first = sorted({*ids, 5}, reverse=True)
    assert found(store, 49) == newest_first
    assert found(store, 49, before=newest_first[3_000]) == newest_first[3_001:]


def test_a_run_is_written_once(store: Store) -> None:
    store.write_now(RUNS.write, 1, octets([(49, 1)]))
    with pytest.raises(Conflict):
        store.write_now(RUNS.write, 1, octets([(49, 2)]))
    store.write_now(RUNS.publish, [1])
    with pytest.raises(Conflict):
        store.write_now(RUNS.write, 1, octets([(49, 2)]))
    with pytest.raises(NotFound):
        store.write_now(RUNS.publish, [1])


def test_octets_that_are_no_whole_pairs_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="whole pairs"):
        store.write_now(RUNS.write, 1, bytes(17))


def test_a_run_without_pairs_leaves_nothing(store: Store) -> None:
    publish(store, 1, [])
    assert runs_stored(store) == 0


def test_an_unpublished_run_is_discarded_a_few_pages_at_a_time(store: Store) -> None:
    store.write_now(RUNS.write, 1, octets(random_pairs(1, 5_000, 1)))
    pages = pages_stored(store)
    assert pages > 4
    assert store.write_now(RUNS.discard, 1, 2)
    assert pages_stored(store) == pages - 2
    assert unpublished(store) == [1]
    with pytest.raises(NotFound):
        store.write_now(RUNS.publish, [1])
    while store.write_now(RUNS.discard, 1, 2):
        pass
    assert (pages_stored(store), runs_stored(store)) == (0, 0)
    assert not store.write_now(RUNS.discard, 1, 2)


def test_a_published_run_is_not_discarded(store: Store) -> None:
    publish(store, 1, [(49, 1)])
    with pytest.raises(Conflict):
        store.write_now(RUNS.discard, 1, 2)


def test_every_pair_is_found_once_after_every_step_of_a_merge(store: Store) -> None:
    runs = [random_pairs(run, 3_000, run * 3_000, numbers=4_000) for run in range(FAN_IN)]
    for run, pairs in enumerate(runs, 1):
        publish(store, run, pairs)
    expected = in_order({pair for pairs in runs for pair in pairs})
    sample = Random(2).sample(sorted({key for key, _ in expected}), 60)
    by_key = {key: [number for at, number in expected if at == key] for key in sample}
    most = pages_stored(store)

    def look() -> None:
        assert everything(store) == expected
        assert pages_stored(store) <= most + FAN_IN
        for key in sample:
            assert found(store, key) == by_key[key]
            assert found(store, key, before=10_000) == [number for number in by_key[key] if number < 10_000]

    assert merge_all(store, 3, look) > 5
    look()
    assert runs_stored(store) == 1


def test_merging_leaves_few_runs_and_full_pages(store: Store) -> None:
    pairs = []
    for run in range(1, 101):
        rows = random_pairs(run, 500, run * 500)
        publish(store, run, rows)
        pairs += rows
    merge_all(store, 16)
    assert runs_stored(store) < 2 * FAN_IN
    assert everything(store) == in_order(set(pairs))
    with store.read() as txn:
        stored = sum(len(value) for _, value in txn.raw.cursor(db=txn.handles[PAGES.name]))
    assert stored / len(pairs) < 6


def test_nothing_is_merged_that_need_not_be(store: Store) -> None:
    for run in range(1, FAN_IN):
        publish(store, run, [(run, run)])
    assert not store.write_now(RUNS.merge, 8)
    assert runs_stored(store) == FAN_IN - 1


def test_old_ids_are_forgotten_page_by_page(store: Store) -> None:
    rows = [row for run in range(3) for row in random_pairs(run, 2_000, run * 2_000)]
    for run in range(3):
        publish(store, run, rows[run * 2_000 : (run + 1) * 2_000])
    steps = 1
    while store.write_now(RUNS.forget, 2_500, 2):
        steps += 1
        assert {row for row in rows if row[1] >= 2_500} <= set(everything(store)) <= set(rows)
    assert steps >= 3
    assert everything(store) == in_order({row for row in rows if row[1] >= 2_500})
    while store.write_now(RUNS.forget, 6_000, 2):
        pass
    assert (pages_stored(store), runs_stored(store)) == (0, 0)


def test_a_merge_that_is_under_way_forgets_as_well(store: Store) -> None:
    rows = [row for run in range(FAN_IN) for row in random_pairs(run, 1_000, run * 1_000)]
    for run in range(FAN_IN):
        publish(store, run, rows[run * 1_000 : (run + 1) * 1_000])
    assert store.write_now(RUNS.merge, 2)
    while store.write_now(RUNS.forget, 4_000, 2):
        pass
    assert everything(store) == in_order({row for row in rows if row[1] >= 4_000})
    assert not store.write_now(RUNS.merge, 2)


def reaches(*spared: Pair) -> bytes:
    return b"".join(struct.pack("=QQ", *reach) for reach in spared)


@pytest.mark.parametrize("pages", [1, 3, 100])
def test_old_ids_that_are_spared_stay_until_the_next_turn(store: Store, pages: int) -> None:
    rows = [row for run in range(3) for row in random_pairs(run, 2_000, run * 2_000)]
    for run in range(3):
        publish(store, run, rows[run * 2_000 : (run + 1) * 2_000])
    kept = reaches((0, 0), (100, 199), (1_500, 2_400), (4_999, 4_999))

    def wanted(identifier: int) -> bool:
        spared = identifier == 0 or 100 <= identifier < 200 or 1_500 <= identifier <= 2_400 or identifier == 4_999
        return identifier >= 5_000 or spared

    for _ in range(2):
        while store.write_now(RUNS.forget, 5_000, pages, kept, 1):
            assert {row for row in rows if wanted(row[1])} <= set(everything(store)) <= set(rows)
        assert everything(store) == in_order({row for row in rows if wanted(row[1])})
    while store.write_now(RUNS.forget, 5_000, pages, b"", 2):
        pass
    assert everything(store) == in_order({row for row in rows if row[1] >= 5_000})


def test_a_merge_that_goes_on_where_a_forgetting_broke_off_drops_nothing_that_was_spared(store: Store) -> None:
    rows = [row for run in range(3) for row in random_pairs(run, 2_000, run * 2_000)]
    for run in range(3):
        publish(store, run, rows[run * 2_000 : (run + 1) * 2_000])
    kept = reaches((1_000, 1_999))
    assert store.write_now(RUNS.forget, 5_000, 2, kept, 1)
    while store.write_now(RUNS.merge, 2):
        pass
    wanted = {row for row in rows if 1_000 <= row[1] <= 1_999 or row[1] >= 5_000}
    assert wanted <= set(everything(store))
    while store.write_now(RUNS.forget, 5_000, 2, kept, 2):
        pass
    assert everything(store) == in_order(wanted)


KEYS = st.sampled_from([0, 1, 2, 3, 49_150_000_000_000, HIGHEST]) | st.integers(0, HIGHEST)
IDS = st.integers(0, 40) | st.integers(0, HIGHEST)
LOTS = st.lists(st.tuples(KEYS, IDS), max_size=300)
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), LOTS),
        st.tuples(st.just("many"), st.integers(0, 1 << 16)),
        st.tuples(st.just("publish"), st.integers(0, 5)),
        st.tuples(st.just("discard"), st.integers(0, 5)),
        st.tuples(st.just("merge"), st.integers(1, 5)),
        st.tuples(st.just("forget"), st.integers(0, 50)),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS)
def test_runs_do_what_a_set_of_pairs_does(store: Store, deeds: list[tuple[str, Any]]) -> None:
    store.write_now(empty)
    waiting: dict[int, set[Pair]] = {}
    shown: set[Pair] = set()
    forgotten = 0
    number = 0

    def known(pairs: set[Pair]) -> list[Pair]:
        return in_order({pair for pair in pairs if pair[1] >= forgotten})

    for deed, value in deeds:
        match deed:
            case "write" | "many":
                number += 1
                pairs = crowded_pairs(value) if deed == "many" else value
                store.write_now(RUNS.write, number, octets(pairs))
                waiting[number] = set(pairs)
            case "publish" if waiting:
                run = sorted(waiting)[value % len(waiting)]
                store.write_now(RUNS.publish, [run])
                shown |= waiting.pop(run)
            case "discard" if waiting:
                run = sorted(waiting)[value % len(waiting)]
                while store.write_now(RUNS.discard, run, 1):
                    pass
                del waiting[run]
            case "merge":
                store.write_now(RUNS.merge, value)
            case "forget":
                # Published later, an old id may be there again: the model forgets as lazily.
                store.write_now(RUNS.forget, value, 1)
                forgotten = max(forgotten, value)
        present = everything(store)
        assert known(set(present)) == known(shown)
        assert present == in_order(set(present))
        assert set(present) <= shown
        for key in {0, 3, 49_150_000_000_000, HIGHEST, *(key for key, _ in present[:3])}:
            assert found(store, key) == [each for at, each in present if at == key]
            assert found(store, key, 30) == [each for at, each in present if at == key and each < 30]
    assert unpublished(store) == sorted(waiting)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_small_runs_go_up_through_the_tiers(store: Store, seed: int) -> None:
    random = Random(seed)
    shown: set[Pair] = set()
    oldest = 0
    merges = 0
    for run in range(1, 400):
        rows = [(random.randrange(300), run * 100 + row) for row in range(random.choice([1, 5, 40, 90]))]
        publish(store, run, rows)
        shown |= set(rows)
        merges += store.write_now(RUNS.merge, random.choice([1, 2, 30]))
        if run % 100 == 0:
            oldest = (run - 50) * 100
            store.write_now(RUNS.forget, oldest, random.choice([1, 30]))
        if run % 20 == 0:
            present = everything(store)
            assert {row for row in shown if row[1] >= oldest} <= set(present) <= shown
            assert present == in_order(set(present))
            key = random.randrange(300)
            assert found(store, key) == [number for at, number in present if at == key]
    assert merges > 50
    merge_all(store, 30)
    assert runs_stored(store) < 4 * FAN_IN
    while store.write_now(RUNS.forget, oldest, 30):
        pass
    assert everything(store) == in_order({row for row in shown if row[1] >= oldest})


def stored_pages(store: Store) -> list[tuple[bytes, bytes]]:
    with store.read() as txn:
        return list(txn.raw.cursor(db=txn.handles[PAGES.name]))


def overwrite(txn: Txn, key: bytes, value: bytes) -> None:
    txn.raw.put(key, value, db=txn.handles[PAGES.name])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda page: page[:-1], id="cut short"),
        pytest.param(lambda page: page + b"\0", id="an octet more"),
        pytest.param(lambda page: b"\2" + page[1:], id="another version"),
        pytest.param(lambda page: page[:1] + b"\xff" + page[2:], id="steps too wide"),
        pytest.param(lambda page: page[:2] + b"\xff" + page[3:], id="ids too wide"),
        pytest.param(lambda page: page[:3] + b"\0\0" + page[5:], id="no pairs"),
        pytest.param(lambda page: page[:3] + b"\xff\xff" + page[5:], id="too many pairs"),
        pytest.param(lambda page: page[:5] + b"\xff" * 8 + page[13:], id="another first key"),
        pytest.param(lambda page: page[:13] + bytes(8) + page[21:], id="other ids"),
        pytest.param(lambda page: page[:-40] + bytes(40), id="zeros at its end"),
        pytest.param(lambda _: bytes(5_000), id="too long"),
    ],
)
def test_a_page_that_is_none_is_named(store: Store, spoil: Callable[[bytes], bytes]) -> None:
    pairs = random_pairs(1, 3_000, 1 << 30)
    publish(store, 1, pairs)
    key, page = stored_pages(store)[1]
    store.write_now(overwrite, key, spoil(page))
    wanted = int.from_bytes(key[9:17], "big")
    with pytest.raises(RecordBroken) as broken:
        found(store, wanted)
    assert (broken.value.table, broken.value.key) == (PAGES.name, key)
    with pytest.raises(RecordBroken):
        everything(store)
    for run in range(2, FAN_IN + 1):
        publish(store, run, random_pairs(run, 3_000, 1))
    with pytest.raises(RecordBroken):
        merge_all(store, 8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 0.999), spoiled=st.integers(0, 255), pairs=LOTS.filter(bool), key=KEYS)
def test_no_octet_of_a_page_can_do_harm(store: Store, at: float, spoiled: int, pairs: list[Pair], key: int) -> None:
    store.write_now(empty)
    publish(store, 1, pairs)
    place, page = stored_pages(store)[0]
    spot = int(at * len(page))
    store.write_now(overwrite, place, page[:spot] + bytes([spoiled]) + page[spot + 1 :])
    for ask in (lambda: found(store, key), lambda: found(store, pairs[0][0]), lambda: everything(store)):
        with contextlib.suppress(RecordBroken):
            ask()


def test_a_run_that_goes_nowhere_is_named(store: Store) -> None:
    for run in range(FAN_IN):
        publish(store, run, random_pairs(run, 3_000, run * 3_000))
    assert store.write_now(RUNS.merge, 2)
    with store.read() as txn:
        heads = list(txn.raw.cursor(db=txn.handles[HEADS.name]))
    store.write_now(lambda txn: txn.raw.delete(heads[-1][0], db=txn.handles[HEADS.name]))
    with pytest.raises(RecordBroken):
        found(store, 49)
    with pytest.raises(RecordBroken):
        everything(store)


def test_the_file_does_not_grow_by_a_run_while_it_is_merged(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", RUNS.tables)
    try:
        count = 10_000
        for run in range(FAN_IN):
            publish(store, run, random_pairs(run, count, run * count))
        written = (tmp_path / "data" / DATA_FILE).stat().st_size
        assert written / (count * FAN_IN) < 8
        merge_all(store, 4)
        merged = (tmp_path / "data" / DATA_FILE).stat().st_size
        assert merged - written < written / 3
        assert runs_stored(store) == 1
    finally:
        store.close()
