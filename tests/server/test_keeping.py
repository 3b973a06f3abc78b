"""`carillon backup`, `restore` and `compact` as a person uses them, beside a server at work."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rig import Rig, crowd, rig
from engine.store import backup
from engine.store.environment import Store
from engine.traffic.events import EVENTS, Event
from engine.wiring import TABLES
from tests.server.test_cli import Carillon, carillon, one_line, process, refused

__all__ = ["carillon"]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path, 2) as made:
        yield made


def test_a_backup_taken_under_load_passes_check_and_restores_to_the_same_counts(town: Rig, tmp_path: Path) -> None:
    town.start_server_with_rack("20")
    people = crowd(200)
    campaign = town.campaign("sale", people)
    town.wait_until(campaign, lambda counts: counts["sent"] + counts["delivered"] >= 20, 30)
    done = process(tmp_path, "backup", "b", "--data", str(town.data))
    assert (done.returncode, done.stderr) == (0, "")
    assert "carillon.key is not in it" in done.stdout
    counts = town.counts(campaign)
    assert counts["sent"] + counts["delivered"] < len(people), "the load was over before the backup"
    done = process(tmp_path, "restore", "b", "--data", "again/data")
    assert (done.returncode, done.stderr) == (0, "")
    assert "put yours back at" in done.stdout
    checked = process(tmp_path, "check", "--data", "again/data")
    assert (checked.returncode, "Whole" in checked.stdout) == (0, True)
    manifest = backup.manifest_of(tmp_path / "b")
    assert manifest.tables["sheets"] == manifest.tables["sheet_places"] > 0
    store = Store(tmp_path / "again" / "data", TABLES, read_only=True)
    with store.read() as txn:
        assert {table.name: table.count(txn) for table in TABLES} == {
            table.name: manifest.tables[table.name] for table in TABLES
        }
    store.close()
    # The server did not mind.
    town.wait_until(campaign, lambda counts: counts["sent"] + counts["delivered"] == len(people), 60)
    assert town.stop("server") == 0
    town.check()


def test_what_cannot_be_backed_up_or_restored_is_one_line_and_an_exit_code(tmp_path: Path, carillon: Carillon) -> None:
    Store(tmp_path / "data", TABLES).close()
    assert carillon("backup", "b", "--data", "data").returncode == 0
    for code, said, arguments in (
        (2, "Missing argument", ("backup",)),
        (2, "Missing argument", ("restore",)),
        (2, "inside the data directory", ("backup", "data/b", "--data", "data")),
        (1, "b exists already", ("backup", "b", "--data", "data")),
        (1, "nothing holds no data", ("backup", "c", "--data", "nothing")),
        (1, "data is not empty", ("restore", "b", "--data", "data")),
        (1, "nothing is not a backup", ("restore", "nothing", "--data", "again")),
    ):
        done = carillon(*arguments)
        refused(done, code, said)
        if code == 1:
            one_line(done)
    os.truncate(tmp_path / "b" / "data.mdb", 5_000)
    done = carillon("restore", "b", "--data", "again")
    refused(done, 1, "carillon: b: data.mdb has 5,000 octets", "it is damaged")
    one_line(done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


def test_a_data_directory_is_compacted_and_says_by_how_much(tmp_path: Path, carillon: Carillon) -> None:
    store = Store(tmp_path / "data", TABLES)
    store.write_now(EVENTS.put, 1, Event("x", 1, "", {"text": "x" * 1_000_000}))
    store.write_now(EVENTS.remove, 1)
    done = carillon("compact", "--data", "data")
    refused(done, 1, "data is in use by another process")
    one_line(done)
    store.close()
    before = (tmp_path / "data" / "data.mdb").stat().st_size
    done = carillon("compact", "--data", "data")
    after = (tmp_path / "data" / "data.mdb").stat().st_size
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Compacted data: {before:,} octets before, {after:,} octets after.\n"
    assert after < before / 4
    assert carillon("check", "--data", "data").returncode == 0
    refused(carillon("compact", "--data", "nothing"), 1, "nothing holds no data")
