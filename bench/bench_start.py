"""The start with a full store: from exec to /readyz, beside an empty one, after a death with parts in the air.

`python -m bench start` stores the messages, lets so many modems begin a part, and kills the server.  Every run starts
on a copy of what that left behind; then messages are looked up by number, and what a part costs is held against what
it costs on an empty store.  The copies are in the page cache: no disk is read.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from bench.bench_dispatch import STALL_S, TEXT, write_rows
from bench.bench_flow import flush_ms
from bench.rack.ground import Disk, Ground, ground
from bench.rack.zero import zero
from bench.targets import Target, disks, parser_of, report
from server.settings import KEY_FILE

FILE_ROWS: Final = 1_000_000
FLYING_S: Final = 120.0
MODEMS: Final = 8  # at the starts that are timed
CLAIM_MODEMS: Final = 64
FOR_EVER_MS: Final = 3_600_000.0  # in the air: nothing ends while starts are timed
LOOKED_UP: Final = 100
NUMBER: Final = 8_613_000_000_000  # that of the first row of write_rows

TARGETS: Final = (
    Target("exec to /readyz", "s", at_most=2.0),
    Target("exec to /readyz, empty store", "s"),
    Target("full store to empty store", "times", at_most=1.2),
    Target("GET /v1/messages?to=, p99", "ms", at_most=20),
    Target("GET /v1/messages?to=, median", "ms"),
    Target("look-ups that found nothing", "", at_most=0),
    Target("in flight before the death", ""),
    Target("unknown behind it", ""),
    Target("CPU of a thousand parts", "s"),
    Target("CPU of a thousand parts, empty store", "s"),
    # Unchanged, as far as two such figures can be told from each other.
    Target("CPU of a part, full to empty store", "times", at_most=1.2),
)


def copy(source: Path, folder: Path) -> None:
    """Copy a data directory and its key file."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source / "data"), str(source / KEY_FILE), folder], check=True)


def counts(server: Ground) -> Counter[str]:
    """Rows of all campaigns by state."""
    total: Counter[str] = Counter()
    cursor = ""
    while True:
        page = server.call("GET", f"/v1/campaigns?limit=100{cursor}")
        for item in page["items"]:
            total.update(item["counts"])
        if page["next"] is None:
            return total
        cursor = f"&cursor={page['next']}"


def store(server: Ground, messages: int, first: int = 0) -> list[str]:
    """Upload so many recipients in files of a million; the campaigns, which are drafts."""
    path = server.folder / "rows.csv"
    made = []
    for begin in range(first, first + messages, FILE_ROWS):
        rows = min(FILE_ROWS, first + messages - begin)
        write_rows(path, rows, begin)
        campaign = server.draft(f"stored-{begin}", TEXT)
        taken = server.curl(campaign, path, "text/csv")
        if taken.answer["accepted"] != rows:
            raise RuntimeError(f"not every row was taken: {taken.answer}")
        made.append(campaign)
    path.unlink()
    return made


def prepare(folder: Path, messages: int, flying: int) -> int:
    """A store that a killed server left behind; how many parts were then on a line or given to a modem."""
    with ground(folder, Disk()) as server:
        server.start_server(ready=False)
        for campaign in store(server, messages):
            server.launch(campaign)
        with zero(folder / "rack", flying, latency_ms=FOR_EVER_MS):
            until = time.monotonic() + FLYING_S
            while (sending := counts(server)["sending"]) < flying:
                if time.monotonic() > until:
                    raise TimeoutError(f"{sending} of {flying} are in flight")
                time.sleep(0.2)
            server.kill_server()
    return sending


def started_s(server: Ground) -> float:
    """From exec to the first 200 of /readyz."""
    began = time.monotonic()
    server.start_server()
    return time.monotonic() - began


def claims(server: Ground, folder: Path, parts: int) -> float:
    """CPU of a thousand parts, in s, once the rack is at work."""
    with zero(folder / "claims", CLAIM_MODEMS) as rack:
        server.start_server("--modem", str(folder / "claims" / "modem-*"), ready=False)
        rack.await_parts(CLAIM_MODEMS, STALL_S)
        cpu_s, before = server.cpu_s(), rack.parts
        rack.await_parts(before + parts, STALL_S)
        cpu_s, done = server.cpu_s() - cpu_s, rack.parts - before
        server.kill_server()
    return cpu_s / done * 1000


def look_up(server: Ground, messages: int, random: Random) -> dict[str, float]:
    """Messages by number, anywhere in the store."""
    took, missing = [], 0
    for _ in range(LOOKED_UP):
        number = NUMBER + random.randrange(messages)
        began = time.perf_counter()
        page = server.call("GET", f"/v1/messages?to=%2B{number}&limit=20")
        took.append((time.perf_counter() - began) * 1000)
        missing += not page["items"]
    took.sort()
    return {
        "GET /v1/messages?to=, p99": took[math.ceil(len(took) * 0.99) - 1],
        "GET /v1/messages?to=, median": took[len(took) // 2],
        "look-ups that found nothing": missing,
    }


def run(folder: Path, disk: Disk, full: Path, empty: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """One run on copies of both stores: its figures by name."""
    figures: dict[str, float] = {}
    for place, source in (("", full), (", empty store", empty)):
        here = folder / source.name
        here.mkdir()
        copy(source, here)
        with ground(here, disk) as server, zero(here / "rack", MODEMS, latency_ms=FOR_EVER_MS):
            figures[f"exec to /readyz{place}"] = started_s(server)
            if not place:
                figures["unknown behind it"] = counts(server)["unknown"]
                figures |= look_up(server, chosen.messages, Random(len(figures)))
            else:
                # Rows to claim, behind the start that was timed.
                for campaign in store(server, 2 * chosen.claims):
                    server.launch(campaign)
            server.kill_server()
        with ground(here, disk) as server:
            figures[f"CPU of a thousand parts{place}"] = claims(server, here, chosen.claims)
    figures["full store to empty store"] = figures["exec to /readyz"] / figures["exec to /readyz, empty store"]
    figures["CPU of a part, full to empty store"] = (
        figures["CPU of a thousand parts"] / figures["CPU of a thousand parts, empty store"]
    )
    return figures


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    parser = parser_of("start", __doc__)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--flying", type=int, default=1_000, help="parts in the air when the server is killed")
    parser.add_argument("--claims", type=int, default=50_000, help="parts whose cost is measured")
    chosen = parser.parse_args(list(arguments))
    if chosen.messages < 2 * chosen.claims + chosen.flying:
        parser.error("--messages is too few for --flying and twice --claims")
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-start-", dir=chosen.directory) as name:
        root = Path(name)
        full, empty = root / "full", root / "empty"
        full.mkdir()
        sending = prepare(full, chosen.messages, chosen.flying)
        with ground(empty, Disk()) as server:
            server.start_server(ready=False)
            server.stop("server")
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            runs = []
            for _ in range(chosen.runs):
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    figures = run(Path(folder), disk, full, empty, chosen)
                runs.append({**figures, "in flight before the death": sending})
            targets = [target.free() for target in TARGETS] if disk.slow_ms else TARGETS
            missed += report(f"start, {chosen.messages:,} messages, {sending:,} in flight; {told}", targets, runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)
