"""A real disk of 64 MB that is full: what is refused leaves nothing, what was accepted stays, and it goes on."""

import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import pytest

from bench.rig import ROOT, TOKEN, Rig, crowd, rig, write_csv
from engine.errors import StoreFull
from engine.store import backup
from engine.store.compaction import compact
from engine.store.environment import Store
from engine.store.table import Table

MOUNT: Final = "mount -t tmpfs -o size=64m none /mnt && echo mounted && exec cat"
BALLAST_OCTETS: Final = 50 << 20
ROWS: Final = 5_000


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    kind: str | None
    body: Any


class Disk:
    """A file system of 64 MB, with ballast on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "ballast").write_bytes(bytes(BALLAST_OCTETS))

    @property
    def free_octets(self) -> int:
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def fill(self, but: int = 0) -> None:
        """Leave `but` octets."""
        with (self.path / "filling").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, file.tell() + max(1, self.free_octets - but))

    def relieve(self) -> None:
        """What an operator does."""
        for name in ("ballast", "filling"):
            (self.path / name).unlink(missing_ok=True)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Mounted in a name space of its own, which a process keeps open and everybody reaches through /proc."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare(1)")
    keeper = subprocess.Popen(
        [unshare, "-Urm", "sh", "-c", MOUNT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "mounted\n":
            pytest.skip(f"no file system can be mounted here: {keeper.communicate()[1].strip()}")
        yield Disk(Path(f"/proc/{keeper.pid}/root/mnt"))
    finally:
        keeper.communicate()


@pytest.fixture
def town(disk: Disk, tmp_path: Path) -> Iterator[Rig]:
    """A server whose data and nothing else is on the disk."""
    with rig(tmp_path, 1) as made:
        made.data = disk.path / "data"
        made._start("server", "serve", "--data", str(made.data), "--port", str(made.port))
        made._await("server", lambda: made._answers("/healthz"))
        yield made


def called(town: Rig, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", town.port, timeout=60)
    connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind})
    answer = connection.getresponse()
    return Answer(answer.status, answer.getheader("Content-Type"), json.loads(answer.read()))


def draft(town: Rig) -> str:
    body = {"name": "x", "text": {"en": "Dear {name}", "zh": "{name}您好"}, "purpose": "transactional"}
    answer = called(town, "POST", "/v1/campaigns", json.dumps(body).encode())
    assert answer.status == 201, answer
    return str(answer.body["id"])


def rows(tmp_path: Path, count: int) -> bytes:
    write_csv(tmp_path / "rows.csv", crowd(count))
    return (tmp_path / "rows.csv").read_bytes()


def uploaded(town: Rig, campaign: str, body: bytes) -> Answer:
    return called(town, "POST", f"/v1/campaigns/{campaign}/recipients", body, "text/csv")


def refused(answer: Answer) -> None:
    assert (answer.status, answer.kind) == (507, "application/problem+json"), answer
    assert answer.body["type"] == "urn:carillon:problem:store_full"
    assert "the disk that holds the data is full" in answer.body["detail"]


def fill_with_uploads(town: Rig, body: bytes) -> tuple[list[str], str]:
    """Campaigns whose rows were accepted, and the one whose were refused."""
    kept = []
    while True:
        campaign = draft(town)
        answer = uploaded(town, campaign, body)
        if answer.status != 202:
            refused(answer)
            return kept, campaign
        kept.append(campaign)


def test_a_full_disk_is_507_keeps_what_was_accepted_and_goes_on_once_there_is_room(
    town: Rig, disk: Disk, tmp_path: Path
) -> None:
    body = rows(tmp_path, ROWS)
    kept, refused_of = fill_with_uploads(town, body)
    assert kept
    for _ in range(3):
        refused(uploaded(town, refused_of, body))
    # Reading goes on.
    for campaign in kept:
        assert called(town, "GET", f"/v1/campaigns/{campaign}").body["recipients"] == ROWS
    found = called(town, "GET", f"/v1/campaigns/{refused_of}").body
    assert (found["recipients"], found["uploading"], found["counts"]) == (0, False, {})
    assert called(town, "GET", f"/v1/campaigns/{refused_of}/results").body["items"] == []
    assert town._answers("/healthz")
    town.check()
    disk.relieve()
    answer = uploaded(town, refused_of, body)
    assert (answer.status, answer.body["accepted"]) == (202, ROWS)
    for campaign in (*kept, refused_of):
        assert called(town, "GET", f"/v1/campaigns/{campaign}").body["recipients"] == ROWS
    town.check()
    assert town.stop("server") == 0


def test_a_server_that_is_killed_on_a_full_disk_starts_on_it_again_with_all_that_was_accepted(
    town: Rig, disk: Disk, tmp_path: Path
) -> None:
    body = rows(tmp_path, ROWS)
    kept, refused_of = fill_with_uploads(town, body)
    town.kill_server()
    town.check()
    disk.relieve()
    town._start("server", "serve", "--data", str(town.data), "--port", str(town.port))
    town._await("server", lambda: town._answers("/healthz"))
    assert [called(town, "GET", f"/v1/campaigns/{name}").body["recipients"] for name in kept] == [ROWS] * len(kept)
    assert uploaded(town, refused_of, body).status == 202
    assert town.stop("server") == 0


def test_whatever_the_size_of_the_upload_that_meets_the_end_of_the_disk_nothing_of_it_stays(
    town: Rig, disk: Disk, tmp_path: Path
) -> None:
    random = Random(7)
    campaign = draft(town)
    bodies = {count: rows(tmp_path, count) for count in (1, 3, 40, 499, 501, 1_300)}
    disk.fill(but=3 << 20)
    refusals = accepted = 0
    while refusals < 25:
        count = random.choice(list(bodies))
        made = called(
            town, "POST", "/v1/campaigns", json.dumps({"name": "x", "text": "x", "purpose": "service"}).encode()
        )
        if made.status != 201:
            refused(made)
            refusals += 1
            continue
        campaign = str(made.body["id"])
        answer = uploaded(town, campaign, bodies[count])
        found = called(town, "GET", f"/v1/campaigns/{campaign}").body
        if answer.status == 202:
            accepted += count
            assert (found["recipients"], found["uploading"]) == (count, False)
        else:
            refused(answer)
            refusals += 1
            assert (found["recipients"], found["uploading"]) == (0, False)
    disk.relieve()
    assert uploaded(town, campaign, bodies[1_300]).status == 202
    town.check()
    assert town.stop("server") == 0


# -- the directory and its backups


def test_opening_on_a_full_disk_is_an_error_and_no_signal(disk: Disk, tmp_path: Path) -> None:
    """LMDB's table of readers would be written through a map into a hole of the file."""
    Store(disk.path / "data", (Table("names", str),)).close()
    (disk.path / "data" / "lock.mdb").unlink()
    disk.fill()
    for folder in ("data", "new"):
        program = (
            "import sys\n"
            "from pathlib import Path\n"
            "from engine.errors import StoreFull\n"
            "from engine.store.environment import Store\n"
            "try:\n"
            f"    Store(Path({str(disk.path / folder)!r}), ())\n"
            "except StoreFull:\n"
            "    sys.exit(7)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
        assert done.returncode == 7
    disk.relieve()
    Store(disk.path / "data", (Table("names", str),)).close()


def test_a_backup_or_a_restore_that_meets_the_end_of_the_disk_leaves_nothing(disk: Disk, tmp_path: Path) -> None:
    names = Table("names", str)
    store = Store(tmp_path / "data", (names,))
    for number in range(200):
        store.write_now(names.put, number, "x" * 20_000)
    store.close()
    backup.take(tmp_path / "data", tmp_path / "b", 1)
    disk.fill(but=1 << 20)
    free = disk.free_octets
    there = sorted(disk.path.iterdir())
    with pytest.raises(StoreFull):
        backup.take(tmp_path / "data", disk.path / "b", 1)
    with pytest.raises(StoreFull):
        backup.restore(tmp_path / "b", disk.path / "far" / "data")
    assert (sorted(disk.path.iterdir()), disk.free_octets) == (there, free)
    disk.relieve()
    backup.restore(tmp_path / "b", disk.path / "far" / "data")


def test_a_compaction_that_meets_the_end_of_the_disk_leaves_the_data_as_it_was(disk: Disk) -> None:
    names = Table("names", str)
    store = Store(disk.path / "data", (names,))
    for number in range(200):
        store.write_now(names.put, number, "x" * 20_000)
    for number in range(100):
        store.write_now(names.remove, number)
    store.close()
    for room in (0, 4096, 1 << 20):
        disk.relieve()
        disk.fill(but=room)
        free = disk.free_octets
        there = {path.name: path.stat().st_size for path in (disk.path / "data").iterdir()}
        with pytest.raises(StoreFull):
            compact(disk.path / "data")
        assert {path.name: path.stat().st_size for path in (disk.path / "data").iterdir()} == there
        assert disk.free_octets == free
    disk.relieve()
    sizes = compact(disk.path / "data")
    assert sizes.after < sizes.before
    store = Store(disk.path / "data", (names,))
    with store.read() as txn:
        assert names.count(txn) == 100
    store.close()
