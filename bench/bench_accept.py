"""Acceptance: how fast a file of recipients is taken from its first octet to the 202, and what it leaves behind.

`python -m bench accept` uploads NDJSON and CSV, with a shared text and with three values for each row, twice each,
beside recipients that are stored already; while it does, another process asks a hundred things a second.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench import rows
from bench.bench_flow import flush_ms
from bench.open_loop import Asked, asking
from bench.rack.ground import Disk, Ground, Memory, ground
from bench.rack.zero import zero
from bench.rows import KINDS, Kind
from bench.targets import Target, disks, parser_of, report
from server.settings import KEY_FILE, read_key

STORED_FILE_ROWS: Final = 1_000_000
STORED_FIRST: Final = 500_000_000  # numbers of what is stored before: far from those of the files
GETS_A_SECOND: Final = 100
LOOKED_UP: Final = 20
QUIET_S: Final = 3.0  # of a data file that grows no more
QUIET_LIMIT_S: Final = 60.0
ASKED_AT_LEAST: Final = 500
DELIVERED_FIRST: Final = 900_000_000 // 2
DELIVERED_MODEMS: Final = 64
STALL_S: Final = 30.0
MB: Final = 1e6


def targets(disk: Disk) -> list[Target]:
    """What must be reached on this disk."""
    found = []
    for kind in KINDS:
        if disk.slow_ms:
            found.append(Target(kind.title, "rows/s", at_least=400_000))
        else:
            found.append(Target(kind.title, "rows/s", at_least=500_000 if kind.has_values else 800_000))
        again = Target(f"{kind.title}, again", "rows/s", at_least=None if kind.has_values else 800_000)
        found.append(again.free() if disk.slow_ms else again)
        growth = Target(f"{kind.title}, growth", "octets a recipient", at_most=60)
        found.append(growth.free() if disk.slow_ms else growth)
    others = [
        Target("growth when all is quiet", "octets a recipient", at_most=60),
        Target("growth when all are delivered", "octets a recipient", at_most=100),
        Target("highest RssAnon", "MB", at_most=120),
        Target("GETs answered meanwhile", "", at_least=ASKED_AT_LEAST),
        Target("GETs meanwhile, p99", "ms", at_most=10),
        Target("GETs meanwhile, most", "ms"),
        Target("GETs meanwhile that failed", "", at_most=0),
        Target("look-ups by number that found nothing", "", at_most=0),
        Target("look-up by number behind the 202, median", "ms"),
        Target("look-up by number behind the 202, most", "ms"),
    ]
    return found + [other.free() if disk.slow_ms else other for other in others]


def prepare(folder: Path, chosen: argparse.Namespace) -> None:
    """A data directory with what is stored before, and its key file."""
    data = folder / "data"
    rows.suppress(data, read_key(folder / KEY_FILE), chosen.suppressed, time.time_ns() // 1_000_000)
    with ground(folder, Disk()) as server:
        server.start_server(ready=False)
        path = folder / "stored.csv"
        for first in range(0, chosen.stored, STORED_FILE_ROWS):
            count = min(STORED_FILE_ROWS, chosen.stored - first)
            rows.write(path, KINDS[1], count, STORED_FIRST // 2 + first)
            taken = server.curl(server.draft(f"stored-{first}", KINDS[1].text), path, KINDS[1].content_type)
            verify(taken.answer, rows.expected(count))
        path.unlink(missing_ok=True)
        settle(data / "data.mdb")
        server.stop("server")


def settle(path: Path) -> int:
    """The size of a file that does not grow any more."""
    until = time.monotonic() + QUIET_LIMIT_S
    size, since = path.stat().st_size, time.monotonic()
    while time.monotonic() < min(since + QUIET_S, until):
        time.sleep(0.1)
        if (now := path.stat().st_size) != size:
            size, since = now, time.monotonic()
    return size


def verify(answer: dict[str, Any], wanted: dict[str, int]) -> None:
    """Raises RuntimeError where an upload's counts are not those."""
    found = {name: answer[name] for name in wanted}
    if found != wanted:
        raise RuntimeError(f"the upload counts {found}, and it should be {wanted}")


def look_up(server: Ground, campaign: str, places: Sequence[int]) -> tuple[list[float], int]:
    """How long each look-up took, in ms, and how many did not find the campaign's message."""
    took, missing = [], 0
    for place in places:
        began = time.perf_counter()
        page = server.call("GET", f"/v1/messages?to=%2B{rows.number_at(place)}&limit=20")
        took.append((time.perf_counter() - began) * 1000)
        missing += not any(item["campaign_id"] == campaign for item in page["items"])
    return took, missing


def run(folder: Path, prepared: Path, files: Path, disk: Disk, chosen: argparse.Namespace) -> dict[str, float]:
    """One run on a copy of what was prepared: its figures by name."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(prepared / "data"), str(prepared / KEY_FILE), folder], check=True)
    count: int = chosen.rows
    figures: dict[str, float] = {}
    looked_up: list[float] = []
    not_found = 0
    # Rows of ordinary numbers, from the first hundred to the last.
    places = range(10, count, max(rows.EVERY, count // LOOKED_UP // rows.EVERY * rows.EVERY))
    windows: list[tuple[float, float]] = []
    wanted = rows.expected(count)
    data = folder / "data" / "data.mdb"
    with ground(folder, disk) as server:
        server.start_server(ready=False)
        before = settle(data)
        memory = Memory(server.pid)
        paths = ("/v1/campaigns?limit=20", f"/v1/messages?to=%2B{rows.number_at(0, STORED_FIRST // 2)}&limit=20")
        with memory.watched(), asking(server.url, GETS_A_SECOND, paths) as getting:
            time.sleep(0.5)
            for kind in KINDS:
                campaign = server.draft(kind.title, kind.text)
                size = data.stat().st_size
                for title in (kind.title, f"{kind.title}, again"):
                    began = time.monotonic()
                    taken = server.curl(campaign, path_of(files, kind), kind.content_type)
                    windows.append((began, time.monotonic()))
                    figures[title] = count / taken.took_s
                    if title == kind.title:
                        verify(taken.answer, wanted)
                        grown = data.stat().st_size - size
                        figures[f"{kind.title}, growth"] = grown / wanted["accepted"]
                        took, missing = look_up(server, campaign, places)
                        looked_up += took
                        not_found += missing
                    else:
                        verify(taken.answer, {"rows": count, "accepted": 0, "invalid": 0})
        figures["growth when all is quiet"] = (settle(data) - before) / wanted["accepted"] / len(KINDS)
        if chosen.delivered and not disk.slow_ms:
            figures["growth when all are delivered"] = deliver(server, folder, chosen.delivered)
        server.stop("server")
    looked_up.sort()
    figures["look-ups by number that found nothing"] = not_found
    figures["look-up by number behind the 202, median"] = looked_up[len(looked_up) // 2]
    figures["look-up by number behind the 202, most"] = looked_up[-1]
    figures["highest RssAnon"] = memory.most_octets / MB
    return {**figures, **gets(getting.asked, windows)}


def deliver(server: Ground, folder: Path, count: int) -> float:
    """Accept, send and have delivered so many; by how many octets a recipient the data file has grown then."""
    kind = KINDS[1]
    path, data = folder / "delivered.csv", folder / "data" / "data.mdb"
    rows.write(path, kind, count, DELIVERED_FIRST)
    before = settle(data)
    campaign = server.draft("delivered", kind.text, delivery_report="all")
    accepted = int(server.curl(campaign, path, kind.content_type).answer["accepted"])
    server.launch(campaign)
    with zero(folder / "rack", DELIVERED_MODEMS, reports=True):
        delivered, since = 0, time.monotonic()
        while delivered < accepted:
            time.sleep(0.5)
            if (now := server.counts(campaign)["delivered"]) != delivered:
                delivered, since = now, time.monotonic()
            elif time.monotonic() > since + STALL_S:
                raise TimeoutError(f"{delivered} of {accepted} are delivered, and for {STALL_S:g} s no more")
    return (settle(data) - before) / accepted


def gets(asked: Sequence[Asked], windows: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The figures of those that were planned while something was uploaded."""
    meanwhile = [one for one in asked if any(begun <= one.planned_s <= ended for begun, ended in windows)]
    took = sorted(one.took_ms for one in meanwhile if one.took_ms is not None and one.status == 200)
    figures: dict[str, float] = {
        "GETs answered meanwhile": len(took),
        "GETs meanwhile that failed": len(meanwhile) - len(took),
    }
    if took:
        figures["GETs meanwhile, p99"] = took[math.ceil(len(took) * 0.99) - 1]
        figures["GETs meanwhile, most"] = took[-1]
    return figures


def path_of(files: Path, kind: Kind) -> Path:
    return files / f"{'values' if kind.has_values else 'shared'}.{kind.name}"


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    parser = parser_of("accept", __doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stored", type=int, default=5_000_000, help="recipients that are there before")
    parser.add_argument("--suppressed", type=int, default=200_000, help="numbers; one of a hundred rows hits one")
    parser.add_argument("--delivered", type=int, default=100_000, help="recipients that are sent to at the end")
    chosen = parser.parse_args(list(arguments))
    if chosen.suppressed * rows.EVERY < max(chosen.rows, min(chosen.stored, STORED_FILE_ROWS)):
        parser.error("--suppressed is fewer than what the rows hit")
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-accept-", dir=chosen.directory) as name:
        root = Path(name)
        prepared = root / "prepared"
        prepared.mkdir()
        for kind in KINDS:
            rows.write(path_of(root, kind), kind, chosen.rows)
        prepare(prepared, chosen)
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            runs = []
            for _ in range(chosen.runs):
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    runs.append(run(Path(folder), prepared, root, disk, chosen))
            title = f"accept, {chosen.rows:,} rows beside {chosen.stored:,} stored; {told}"
            missed += report(title, targets(disk), runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)
