"""engine/store/table.py: scans against a sorted list, and what each kind of table adds."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Conflict, NotFound
from engine.store.environment import Store
from engine.store.table import Index, Line, Table, Txn, Unique

PLAIN = Table("plain", int)
PAIRS = Table("pairs", str, "BQ")
DIGESTS = Table("digests", int, "Q4sHB")
OWNERS = Unique("owners", "QI")
LINKS = Index("links", "BQQ")
LINE = Line("line", str, "BQ")
TABLES = (PLAIN, PAIRS, DIGESTS, OWNERS, LINKS, LINE)

Key = tuple[Any, ...]

# Few values, so that prefixes are shared; and the ends of each field's range.
OCTET = st.sampled_from([0, 1, 2, 254, 255])
SHORT = st.sampled_from([0, 1, 255, 256, 65535])
WORD = st.sampled_from([0, 1, 255, 256, (1 << 32) - 1])
LONG = st.sampled_from([0, 1, 255, 256, (1 << 63), (1 << 64) - 1])
FOUR = st.sampled_from([b"\0\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xff", b"abcd"])


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as directory:
        opened = Store(Path(directory) / "data", TABLES)
        yield opened
        opened.close()


def expected(keys: set[Key], prefix: Key, after: Key | None, *, reverse: bool) -> list[Key]:
    """The plain model: what stands below the prefix, behind `after` in the direction of reading."""
    below = sorted((key for key in keys if key[: len(prefix)] == prefix), reverse=reverse)
    if after is None:
        return below
    return [key for key in below if (key < after if reverse else key > after)]


def empty(txn: Txn, *names: str) -> None:
    for name in names:
        txn.raw.drop(txn.handles[name], delete=False)


@st.composite
def question(draw: st.DrawFn, *fields: st.SearchStrategy[Any]) -> tuple[set[Key], Key, Key | None, bool]:
    """Keys, a prefix of any length, a place to go on from below that prefix (there or not), a direction."""
    keys = draw(st.sets(st.tuples(*fields), max_size=12))
    model = draw(st.sampled_from(sorted(keys))) if keys and draw(st.booleans()) else draw(st.tuples(*fields))
    prefix = model[: draw(st.integers(0, len(fields)))]
    rest = draw(st.tuples(*fields[len(prefix) :]))
    after = draw(st.sampled_from([None, model, prefix + rest]))
    return keys, prefix, after, draw(st.booleans())


@given(question(LONG, FOUR, SHORT, OCTET))
def test_a_table_scans_as_a_sorted_list_does(store: Store, asked: tuple[set[Key], Key, Key | None, bool]) -> None:
    keys, prefix, after, reverse = asked

    def fill(txn: Txn) -> None:
        empty(txn, "digests")
        for value, key in enumerate(sorted(keys)):
            DIGESTS.put(txn, key, value)

    store.write_now(fill)
    values = {key: value for value, key in enumerate(sorted(keys))}
    with store.read() as txn:
        found = list(DIGESTS.scan(txn, *prefix, after=after, reverse=reverse))
        assert [key for key, _ in found] == expected(keys, prefix, after, reverse=reverse)
        assert all(values[key] == value for key, value in found)
        assert DIGESTS.last_key(txn) == (max(keys) if keys else None)
        assert DIGESTS.count(txn) == len(keys)


@given(question(OCTET, LONG, LONG))
def test_an_index_scans_as_a_sorted_list_does(store: Store, asked: tuple[set[Key], Key, Key | None, bool]) -> None:
    keys, prefix, after, reverse = asked

    def fill(txn: Txn) -> None:
        empty(txn, "links")
        for key in keys:
            LINKS.add(txn, *key)
            LINKS.add(txn, *key)

    store.write_now(fill)
    with store.read() as txn:
        assert list(LINKS.scan(txn, *prefix, after=after, reverse=reverse)) == expected(
            keys, prefix, after, reverse=reverse
        )


@given(st.sets(st.tuples(LONG, WORD), max_size=12), LONG)
def test_a_unique_key_has_one_owner_and_scans_in_order(store: Store, keys: set[Key], first: int) -> None:
    def fill(txn: Txn) -> None:
        empty(txn, "owners")
        for owner, key in enumerate(sorted(keys)):
            assert OWNERS.add(txn, key, owner)
            assert not OWNERS.add(txn, key, owner + 100)

    store.write_now(fill)
    owners = {key: owner for owner, key in enumerate(sorted(keys))}
    with store.read() as txn:
        assert list(OWNERS.scan(txn)) == sorted(owners.items())
        assert list(OWNERS.scan(txn, first)) == sorted(item for item in owners.items() if item[0][0] == first)
        assert all(OWNERS.find(txn, key) == owner for key, owner in owners.items())


@given(st.lists(st.tuples(st.sampled_from(["put", "remove"]), LONG, st.integers()), max_size=30))
def test_a_table_remembers_as_a_dict_does(store: Store, steps: list[tuple[str, int, int]]) -> None:
    model: dict[int, int] = {}

    def walk(txn: Txn) -> None:
        empty(txn, "plain")
        for what, key, value in steps:
            record = value % 1000
            if what == "put":
                PLAIN.put(txn, key, record)
                model[key] = record
            else:
                assert PLAIN.remove(txn, key) is (model.pop(key, None) is not None)
            assert PLAIN.find(txn, key) == model.get(key)

    store.write_now(walk)
    with store.read() as txn:
        assert [(key, value) for (key,), value in PLAIN.scan(txn)] == sorted(model.items())


def test_get_raises_where_find_returns_none(store: Store) -> None:
    with store.read() as txn:
        assert PAIRS.find(txn, (1, 1)) is None
        with pytest.raises(NotFound):
            PAIRS.get(txn, (1, 1))


def test_appending_out_of_order_is_refused(store: Store) -> None:
    store.write_now(PAIRS.append, (5, 5), "x")
    store.write_now(PAIRS.append, (5, 6), "y")
    with pytest.raises(Conflict):
        store.write_now(PAIRS.append, (5, 1), "z")
    store.write_now(empty, "pairs")


def test_a_scan_that_is_broken_off_leaves_nothing_open(store: Store) -> None:
    def fill(txn: Txn) -> None:
        for number in range(100):
            PAIRS.put(txn, (1, number), str(number))

    def look_and_change(txn: Txn) -> str:
        for (_, number), record in PAIRS.scan(txn, 1, reverse=True):
            PAIRS.remove(txn, (1, number))
            return record
        return ""

    store.write_now(fill)
    assert [store.write_now(look_and_change) for _ in range(3)] == ["99", "98", "97"]
    store.write_now(empty, "pairs")


def test_a_line_notes_every_put_and_every_removal_of_something(store: Store) -> None:
    def change(txn: Txn) -> list[tuple[Any, Any]]:
        LINE.put(txn, (1, 1), "a")
        LINE.put(txn, (1, 1), "b")
        assert LINE.remove(txn, (1, 1))
        assert not LINE.remove(txn, (1, 1))
        return [(note.key, note.value) for note in txn.notes]

    assert store.write_now(change) == [((1, 1), "a"), ((1, 1), "b"), ((1, 1), None)]
