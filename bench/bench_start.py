"""The start with a full store: from exec to /readyz, beside an empty one, after a death with parts in the air.

`python -m bench start` makes the stores (bench/stored.py), or takes those that `--keep` names.  Every run starts on a
copy of each; then messages are looked up by number, and what a part costs is held against what it costs on an empty
store.  The copies are in the page cache: no disk is read.
"""

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

from bench.bench_dispatch import STALL_S
from bench.bench_flow import flush_ms
from bench.rack.ground import Disk, Ground, ground
from bench.rack.zero import zero
from bench.stored import CROWDED_NUMBER, FIRST_NUMBER, FOR_EVER_MS, Filling, prepare, upload
from bench.targets import Target, disks, parser_of, report
from server.settings import KEY_FILE

MODEMS: Final = 8  # at the starts that are timed
CLAIM_MODEMS: Final = 64
LOOKED_UP: Final = 200
QUIET_S: Final = 2.0  # longer than upkeep's pause: who used hardly anything meanwhile has nothing more to do
QUIET_CPU_S: Final = 0.1

TARGETS: Final = (
    Target("exec to /readyz", "s", at_most=2.0),
    Target("exec to /readyz, empty store", "s"),
    Target("full store to empty store", "times", at_most=1.2),
    Target("CPU of it", "s"),
    Target("CPU of it, empty store", "s"),
    Target("exec to a part at each modem", "s"),
    Target("exec to all that waits in line, empty store", "s"),
    Target("GET /v1/messages?to= with few, p99", "ms", at_most=20),
    Target("GET /v1/messages?to= with few, median", "ms"),
    Target("GET /v1/messages?to= with many, p99", "ms", at_most=20),
    Target("GET /v1/messages?to= with many, median", "ms"),
    Target("look-ups that found too few", "", at_most=0),
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


def started_s(server: Ground) -> float:
    """From exec to the first 200 of /readyz."""
    began = time.monotonic()
    server.start_server()
    return time.monotonic() - began


def await_quiet(server: Ground) -> None:
    """Return when the server has nothing more to do but wait."""
    before = server.cpu_s()
    while True:
        time.sleep(QUIET_S)
        now = server.cpu_s()
        if now - before < QUIET_CPU_S:
            return
        before = now


def claims(server: Ground, folder: Path, parts: int) -> float:
    """CPU of a thousand parts, in s, once the rack is at work."""
    server.start_server("--modem", str(folder / "claims" / "modem-*"), ready=False)
    await_quiet(server)
    with zero(folder / "claims", CLAIM_MODEMS) as rack:
        rack.await_parts(CLAIM_MODEMS, STALL_S)
        cpu_s, before = server.cpu_s(), rack.parts
        rack.await_parts(before + parts, STALL_S)
        cpu_s, done = server.cpu_s() - cpu_s, rack.parts - before
        server.kill_server()
    return cpu_s / done * 1000


def look_up(server: Ground, what: str, numbers: list[int], least: int) -> dict[str, float]:
    """GET the newest messages to each of the numbers, which have `least` of them or more."""
    took, too_few = [], 0
    for number in numbers:
        began = time.perf_counter()
        page = server.call("GET", f"/v1/messages?to=%2B{number}&limit=20")
        took.append((time.perf_counter() - began) * 1000)
        too_few += len(page["items"]) < least
    took.sort()
    return {
        f"GET /v1/messages?to= with {what}, p99": took[math.ceil(len(took) * 0.99) - 1],
        f"GET /v1/messages?to= with {what}, median": took[len(took) // 2],
        "look-ups that found too few": too_few,
    }


def run(folder: Path, disk: Disk, full: Path, empty: Path, filling: Filling, parts: int) -> dict[str, float]:
    """One run on copies of both stores: its figures by name."""
    figures: dict[str, float] = {}
    for place, source in (("", full), (", empty store", empty)):
        here = folder / source.name
        here.mkdir()
        copy(source, here)
        with ground(here, disk) as server, zero(here / "rack", MODEMS, latency_ms=FOR_EVER_MS) as rack:
            began = time.monotonic()
            figures[f"exec to /readyz{place}"] = started_s(server)
            figures[f"CPU of it{place}"] = server.cpu_s()
            if not place:
                while rack.flying < MODEMS:
                    if time.monotonic() > began + STALL_S:
                        raise TimeoutError(f"{rack.flying} of {MODEMS} modems were given a part after the start")
                    time.sleep(0.01)
                figures["exec to a part at each modem"] = time.monotonic() - began
                random = Random(len(figures))
                few = [FIRST_NUMBER + random.randrange(filling.rows) for _ in range(LOOKED_UP)]
                found = look_up(server, "few", few, 1)
                many = look_up(server, "many", [CROWDED_NUMBER] * LOOKED_UP, min(20, filling.singles // 10))
                many["look-ups that found too few"] += found["look-ups that found too few"]
                figures |= found | many
                figures["unknown behind it"] = counts(server)["unknown"]
            else:
                # Rows to claim, of as many campaigns: behind the start that was timed.
                for campaign in upload(server, 2 * parts, -(-2 * parts // filling.campaigns)):
                    server.launch(campaign)
            server.kill_server()
        with ground(here, disk) as server:
            figures[f"CPU of a thousand parts{place}"] = claims(server, here, parts)
    figures["full store to empty store"] = figures["exec to /readyz"] / figures["exec to /readyz, empty store"]
    figures["CPU of a part, full to empty store"] = (
        figures["CPU of a thousand parts"] / figures["CPU of a thousand parts, empty store"]
    )
    return figures


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    parser = parser_of("start", __doc__)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--singles", type=int, default=100_000, help="of the messages, sent one by one")
    parser.add_argument("--waiting", type=int, default=10_000, help="of the messages, for tomorrow")
    parser.add_argument("--flying", type=int, default=1_000, help="parts in the air when the server is killed")
    parser.add_argument("--claims", type=int, default=30_000, help="parts whose cost is measured")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the stores there, or take those that are there")
    chosen = parser.parse_args(list(arguments))
    filling = Filling(chosen.messages, chosen.singles, chosen.waiting, chosen.flying)
    if filling.rows < 2 * chosen.claims + chosen.flying:
        parser.error("--messages is too few for --singles, --waiting, --flying and twice --claims")
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-start-", dir=chosen.directory) as name:
        root = Path(name)
        full, empty = prepare(chosen.keep or root, filling)
        targets = [
            Target("unknown behind it", "", at_least=filling.flying, at_most=filling.flying)
            if target.figure == "unknown behind it"
            else target
            for target in TARGETS
        ]
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            runs = []
            for _ in range(chosen.runs):
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    runs.append(run(Path(folder), disk, full, empty, filling, chosen.claims))
            shown = [target.free() for target in targets] if disk.slow_ms else targets
            missed += report(f"start, {filling.told}; {told}", shown, runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)
