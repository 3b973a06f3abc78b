"""`carillon audit verify`: says how many rows are whole, or which is the first that is not."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.rig import ROOT
from engine.access.caller import SYSTEM
from engine.crm.people import audit, audit_heads
from engine.crm.people.audit import AUDIT, VALUES, By, Values
from engine.store.environment import Store
from engine.store.table import Txn
from engine.wiring import TABLES
from server import settings as files
from server.cli import app

NOW_MS = 1_700_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three rows, the head of their day, and the key file where the command looks for it."""
    pepper = files.read_key(tmp_path / files.KEY_FILE)

    def fill(txn: Txn) -> None:
        for place in range(3):
            by = By(SYSTEM, "system", pepper)
            audit.append(txn, by, "thing.done", "thing", NOW_MS + place, {"name": (None, "Li")})

    store = Store(tmp_path / "data", TABLES)
    store.write_now(fill)
    with store.read() as txn:
        head = audit.daily_head(txn, NOW_MS + audit.DAY_MS)
    audit_heads.write_heads(tmp_path / "data" / audit_heads.FILE, head)
    store.close()
    return tmp_path / "data"


Changed = Callable[[Callable[[Txn], object]], Result]


@pytest.fixture
def changed(folder: Path) -> Changed:
    """What the command says after a change to the directory."""

    def run(change: Callable[[Txn], object]) -> Result:
        store = Store(folder, TABLES)
        store.write_now(change)
        store.close()
        return verified(folder)

    return run


def verified(folder: Path) -> Result:
    return CliRunner().invoke(app, ["audit", "verify", "--data", str(folder)])


def test_a_whole_log_is_counted(folder: Path) -> None:
    done = verified(folder)
    assert (done.exit_code, done.stdout) == (0, "Whole: 3 rows, each as it was written.\n")


def test_it_reads_while_a_server_holds_the_directory(folder: Path) -> None:
    store = Store(folder, TABLES)
    try:
        command = [sys.executable, "-m", "server", "audit", "verify", "--data", str(folder)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout.partition(",")[0]) == (0, "Whole: 3 rows")
    finally:
        store.close()


def test_the_first_broken_row_is_named(changed: Changed) -> None:
    key = (NOW_MS + 1, 0)

    def damage(txn: Txn) -> None:
        octets = AUDIT.find(txn, key)
        assert octets is not None
        AUDIT.put(txn, key, octets[:-1] + b"x")

    done = changed(damage)
    name = audit.name_of(audit.id_of(key))
    assert (done.exit_code, done.stderr) == (
        1, f"Broken: row 2 ({name}): its octets are not those that were written.\n",
    )  # fmt: skip


def test_changed_values_are_found_with_the_key_file_and_erased_ones_are_no_matter(
    folder: Path, changed: Changed
) -> None:
    key = (NOW_MS + 2, 0)
    forged = Values(bytes(16), {"name": ("", '"Wang"')})
    assert "row 3" in changed(lambda txn: VALUES.put(txn, key, forged)).stderr
    (folder.parent / files.KEY_FILE).unlink()
    assert verified(folder).exit_code == 0
    assert not (folder.parent / files.KEY_FILE).exists(), "a proof makes no key"
    assert changed(lambda txn: audit.erase_values(txn, "thing")).exit_code == 0


def test_a_log_that_was_emptied_is_found(changed: Changed) -> None:
    def empty(txn: Txn) -> None:
        for table in audit.TABLES:
            txn.raw.drop(txn.handles[table.name], delete=False)

    done = changed(empty)
    assert (done.exit_code, "row 3" in done.stderr) == (1, True)
