"""engine/crm/people/audit.py and audit_heads.py: what was done stays told, and whoever changes it is found out."""

import stat
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from engine.access.caller import SYSTEM, Caller
from engine.crm.people import audit, audit_heads
from engine.crm.people.audit import AUDIT, LOG, VALUES, Broken, By, Head, Walk
from engine.errors import StoreError
from engine.store.environment import Store
from engine.store.table import Txn

NOW_MS = 1_700_000_000_000
DAY_MS = audit.DAY_MS
PEPPER = bytes(range(32))
BY = By(SYSTEM, "system", PEPPER)
CLERK = By(Caller("staff", "Chen Jing", 7 << 22), "web", PEPPER, "192.0.2.7")
TILL = By(Caller("token", "till"), "api", PEPPER)


def tell(store: Store, target: str = "cus_1", *, by: By = BY, now_ms: int = NOW_MS, **told: Any) -> int:
    return store.write_now(
        audit.append, by, "customer.changed", target, now_ms, told.get("changes"), told.get("reason", "")
    )


def small_log(store: Store) -> list[tuple[int, int]]:
    """Four rows, three of them with values; their keys."""
    made = [
        tell(store, changes={"name": ("Li", "Li Na"), "tags": (None, ["gold"])}),
        tell(store, by=CLERK, reason="asked by telephone"),
        tell(store, "cus_2", now_ms=NOW_MS + 5),
        tell(store, by=CLERK, now_ms=NOW_MS + 9, changes={"number": ("+8613912345678", "+8613912345679")}),
    ]
    return [audit.key_of(identifier) for identifier in made]


def verified(store: Store, heads: tuple[Head, ...] = (), pepper: bytes | None = PEPPER) -> int | Broken:
    with store.read() as txn:
        return audit.verify(txn, heads, pepper)


def broken(found: int | Broken) -> Broken:
    assert isinstance(found, Broken)
    return found


# -- rows


def test_rows_are_told_newest_first_with_what_they_say(store: Store) -> None:
    small_log(store)
    with store.read() as txn:
        rows = audit.listed(txn, 10)
    assert [row.entry.number for row in rows] == [4, 3, 2, 1]
    newest = rows[0]
    assert newest.values is not None
    assert newest.values.changes == {"number": ('"+8613912345678"', '"+8613912345679"')}
    assert newest.entry.source == "192.0.2.7"
    assert rows[1].values is None
    assert rows[2].values is not None
    assert (rows[2].values.reason, rows[2].entry.actor_name) == ("asked by telephone", "Chen Jing")


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        pytest.param({"target": "cus_1"}, [4, 2, 1], id="about one thing"),
        pytest.param({"actor": audit.actor_name("staff", "", 7 << 22)}, [4, 2], id="by one person"),
        pytest.param({"actor": "system:carillon"}, [3, 1], id="by one program"),
        pytest.param({"actor": "system:carillon", "target": "cus_2"}, [3], id="by one about one"),
        pytest.param({"since_ms": NOW_MS + 5}, [4, 3], id="since"),
        pytest.param({"until_ms": NOW_MS + 9}, [3, 2, 1], id="until"),
        pytest.param({"target": "cus_1", "until_ms": NOW_MS + 9}, [2, 1], id="about one thing until"),
        pytest.param({"target": "cus_3"}, [], id="about nothing"),
        pytest.param({"actor": "token:till"}, [], id="by nobody"),
    ],
)
def test_rows_are_found_by_time_actor_and_target(store: Store, asked: dict[str, Any], numbers: list[int]) -> None:
    small_log(store)
    with store.read() as txn:
        assert [row.entry.number for row in audit.listed(txn, 10, **asked)] == numbers
        pages: list[int] = []
        before = 0
        while rows := audit.listed(txn, 1, before=before, **asked):
            pages.append(rows[0].entry.number)
            before = rows[0].id
        assert pages == numbers
        assert list(audit.differences(txn)) == []


def test_a_clock_set_back_keeps_the_order_and_tells_its_own_time(store: Store) -> None:
    tell(store)
    tell(store, now_ms=NOW_MS - DAY_MS)
    with store.read() as txn:
        rows = audit.listed(txn, 10)
    assert [(row.entry.number, row.entry.at_ms) for row in rows] == [(2, NOW_MS - DAY_MS), (1, NOW_MS)]
    assert verified(store) == 2


def test_a_change_that_is_undone_leaves_no_row(store: Store) -> None:
    def change(txn: Txn) -> None:
        audit.append(txn, BY, "customer.changed", "cus_1", NOW_MS)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        store.write_now(change)
    assert verified(store) == 0


def test_neither_the_row_nor_its_index_holds_a_value(store: Store) -> None:
    small_log(store)
    with store.read() as txn:
        for _, octets in AUDIT.scan(txn):
            for value in (b"8613912345678", b"Li Na", b"telephone", b"gold"):
                assert value not in octets


# -- proof


def test_an_empty_log_is_whole(store: Store) -> None:
    assert verified(store) == 0


def test_a_log_that_nobody_touched_is_whole(store: Store) -> None:
    small_log(store)
    assert verified(store) == 4
    assert verified(store, pepper=None) == 4


def test_any_octet_that_is_changed_breaks_the_log_at_its_row(store: Store) -> None:
    """Every octet of every row, and of every row of values."""
    for number, key in enumerate(small_log(store), 1):
        for table in (AUDIT, VALUES):
            with store.read() as txn:
                handle = txn.handles[table.name]
                packed = table.layout.pack(*key)
                octets = txn.raw.get(packed, None, handle)
            for place in range(len(octets or b"")):
                changed = bytearray(octets)
                changed[place] ^= 1 << place % 8
                found = _with(store, table, packed, bytes(changed), Walk((), PEPPER))
                assert found.number == number, (table.name, number, place, found)
                assert found.name == audit.name_of(audit.id_of(key))
    assert verified(store) == 4


def _with(store: Store, table: Any, packed: bytes, octets: bytes, walk: Walk) -> Broken:
    """What a proof finds where these octets stand; they are put back."""

    class Enough(Exception):
        pass

    def change(txn: Txn) -> None:
        txn.raw.put(packed, octets, True, True, False, txn.handles[table.name])
        while walk.step(txn, 100):
            pass
        raise Enough

    with pytest.raises(Enough):
        store.write_now(change)
    assert walk.broken is not None
    return walk.broken


def test_a_row_that_is_taken_out_is_missed_at_the_next(store: Store) -> None:
    keys = small_log(store)
    store.write_now(AUDIT.remove, keys[1])
    found = broken(verified(store))
    assert (found.number, found.name) == (2, audit.name_of(audit.id_of(keys[2])))
    assert "missing" in found.reason


def test_rows_that_change_places_are_found(store: Store) -> None:
    keys = small_log(store)

    def swap(txn: Txn) -> None:
        first, second = AUDIT.find(txn, keys[1]), AUDIT.find(txn, keys[2])
        assert first is not None
        assert second is not None
        AUDIT.put(txn, keys[1], second)
        AUDIT.put(txn, keys[2], first)

    store.write_now(swap)
    assert broken(verified(store)).number == 2


def test_a_log_cut_short_is_missed_at_its_end(store: Store) -> None:
    keys = small_log(store)
    store.write_now(AUDIT.remove, keys[3])
    assert broken(verified(store)).number == 4


def test_a_proof_goes_on_while_rows_are_added_and_cut(store: Store) -> None:
    small_log(store)
    walk = Walk((), PEPPER)
    with store.read() as txn:
        assert walk.step(txn, 2)
    tell(store, now_ms=NOW_MS + 20)
    store.write_now(audit.cut, NOW_MS + 9)
    with store.read() as txn:
        assert walk.step(txn, 1)
        assert not walk.step(txn, 100)
    assert (walk.broken, walk.rows) == (None, 4)


# -- erasure and retention


def test_an_erasure_takes_the_values_and_leaves_the_chain(store: Store) -> None:
    small_log(store)
    assert store.write_now(audit.erase_values, "cus_1") == 3
    assert store.write_now(audit.erase_values, "cus_1") == 0
    assert verified(store) == 4
    with store.read() as txn:
        rows = audit.listed(txn, 10, target="cus_1")
        assert not VALUES.any(txn)
    assert [row.values for row in rows] == [None, None, None]
    assert list(rows[2].entry.changes) == ["name", "tags"]


def test_without_its_salt_a_digest_is_not_found_by_trying(store: Store) -> None:
    """The same number twice is not the same digest, so nobody can try all numbers against a row whose salt is gone."""
    changes = {"number": (None, "+8613912345678")}
    first, second = tell(store, changes=changes), tell(store, changes=changes)
    with store.read() as txn:
        rows = [audit.get(txn, audit.key_of(one)) for one in (first, second)]
    digests = {row.entry.changes["number"][1] for row in rows if row is not None}
    assert len(digests) == 2


def test_what_is_too_old_is_cut_and_the_rest_stays_whole(store: Store) -> None:
    small_log(store)
    assert store.write_now(audit.cut, NOW_MS + 5, 1)
    assert not store.write_now(audit.cut, NOW_MS + 5)
    assert verified(store) == 2
    with store.read() as txn:
        assert [row.entry.number for row in audit.listed(txn, 10)] == [4, 3]
        log = LOG.get(txn, 0)
        assert (log.rows, log.cut) == (4, 2)
        assert list(audit.differences(txn)) == []
    tell(store, now_ms=NOW_MS + 10)
    assert verified(store) == 3


def test_a_log_that_was_cut_to_nothing_goes_on(store: Store) -> None:
    small_log(store)
    store.write_now(audit.cut, NOW_MS + DAY_MS)
    assert verified(store) == 0
    tell(store, now_ms=NOW_MS)
    assert verified(store) == 1
    with store.read() as txn:
        assert [row.entry.number for row in audit.listed(txn, 10)] == [5]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_appended_erased_and_cut_it_stays_whole(store: Store, seed: int) -> None:
    random, now_ms = Random(seed), NOW_MS
    heads: list[Head] = []
    for _ in range(60):
        now_ms += random.choice((0, 1, 1000, DAY_MS // 7, -5000))
        match random.randrange(8):
            case 0:
                store.write_now(audit.erase_values, f"cus_{random.randrange(3)}")
            case 1:
                store.write_now(audit.cut, now_ms - DAY_MS, random.choice((1, 500)))
            case 2:
                with store.read() as txn:
                    heads += filter(None, [audit.daily_head(txn, now_ms)])
            case _:
                tell(store, f"cus_{random.randrange(3)}", now_ms=now_ms, reason=random.choice(("", "why")))
        assert isinstance(verified(store, tuple(heads)), int)
    with store.read() as txn:
        assert list(audit.differences(txn)) == []


def test_what_was_cut_without_being_told_is_missed(store: Store) -> None:
    keys = small_log(store)
    store.write_now(AUDIT.remove, keys[0])
    assert broken(verified(store)).number == 1


# -- heads


def head_of(store: Store, now_ms: int) -> Head:
    with store.read() as txn:
        head = audit.daily_head(txn, now_ms)
    assert head is not None
    return head


def test_the_head_of_a_day_is_its_last_row(store: Store) -> None:
    with store.read() as txn:
        assert audit.daily_head(txn, NOW_MS) is None
    small_log(store)
    with store.read() as txn:
        assert audit.daily_head(txn, NOW_MS) is None
    tell(store, now_ms=NOW_MS + DAY_MS)
    head = head_of(store, NOW_MS + DAY_MS)
    assert (head.day, head.number) == ("2023-11-14", 4)
    assert verified(store, (head,)) == 5


def test_a_log_that_was_cut_short_together_with_its_count_is_found_by_the_head(store: Store) -> None:
    keys = small_log(store)
    head = head_of(store, NOW_MS + DAY_MS)

    def forge(txn: Txn) -> None:
        octets = AUDIT.find(txn, keys[2])
        assert octets is not None
        AUDIT.remove(txn, keys[3])
        LOG.put(txn, 0, msgspec.structs.replace(LOG.get(txn, 0), rows=3, head=octets[:32]))

    store.write_now(forge)
    assert verified(store) == 3
    assert broken(verified(store, (head,))).number == 4


def test_a_log_that_was_written_anew_is_found_by_the_head(store: Store, tmp_path: Path) -> None:
    small_log(store)
    head = head_of(store, NOW_MS + DAY_MS)
    forged = Store(tmp_path / "forged", [*audit.TABLES])
    try:
        for _ in range(6):
            tell(forged)
        assert verified(forged) == 6
        found = broken(verified(forged, (head,)))
        assert (found.number, "2023-11-14" in found.reason) == (4, True)
    finally:
        forged.close()


def test_a_log_that_was_emptied_is_found_by_the_head(store: Store, tmp_path: Path) -> None:
    small_log(store)
    head = head_of(store, NOW_MS + DAY_MS)
    emptied = Store(tmp_path / "emptied", [*audit.TABLES])
    try:
        assert broken(verified(emptied, (head,))).number == 4
    finally:
        emptied.close()


def test_heads_of_days_that_were_cut_are_no_matter(store: Store) -> None:
    small_log(store)
    first = head_of(store, NOW_MS + DAY_MS)
    tell(store, now_ms=NOW_MS + DAY_MS)
    second = head_of(store, NOW_MS + 2 * DAY_MS)
    store.write_now(audit.cut, NOW_MS + DAY_MS)
    assert verified(store, (first, second)) == 1
    wrong = first._replace(hash="0" * 64)
    assert broken(verified(store, (wrong, second))).number == 4


def test_heads_are_kept_in_a_file_for_our_eyes_only(store: Store) -> None:
    path = store.directory / audit_heads.FILE
    assert audit_heads.read(path) == []
    assert not audit_heads.write_heads(path, None)
    small_log(store)
    first = head_of(store, NOW_MS + DAY_MS)
    assert audit_heads.write_heads(path, first)
    assert not audit_heads.write_heads(path, first)
    tell(store, now_ms=NOW_MS + DAY_MS)
    second = head_of(store, NOW_MS + 2 * DAY_MS)
    assert audit_heads.write_heads(path, second)
    assert audit_heads.read(path) == [first, second]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in store.directory.iterdir() if entry.name.startswith(".")] == []
    walk = audit_heads.walk(path, PEPPER)
    with store.read() as txn:
        walk.step(txn, 100)
    assert (walk.rows, walk.broken) == (5, None)


def test_a_file_of_heads_that_cannot_be_read_breaks_the_proof(store: Store) -> None:
    small_log(store)
    path = store.directory / audit_heads.FILE
    audit_heads.write_heads(path, head_of(store, NOW_MS + DAY_MS))
    path.write_text(path.read_text() + "2023-11-15 five\n")
    walk = audit_heads.walk(path)
    with store.read() as txn:
        assert not walk.step(txn, 100)
    assert walk.broken is not None
    assert walk.broken.reason == "line 2 of audit-heads.txt cannot be read"


def test_where_heads_cannot_be_written_the_store_refuses(store: Store) -> None:
    small_log(store)
    with pytest.raises(StoreError):
        audit_heads.write_heads(store.directory / "nowhere" / audit_heads.FILE, head_of(store, NOW_MS + DAY_MS))


def test_a_program_is_looked_up_by_its_name(store: Store) -> None:
    tell(store, by=TILL)
    with store.read() as txn:
        assert len(audit.listed(txn, 10, actor="token:till")) == 1
