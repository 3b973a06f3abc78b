"""Utilisation: how much of its time a modem has a part in the air while there is work, and what that costs.

`python -m bench utilisation` gives every part the same time in the air.  The rack measures, for each modem from its
first Ctrl-Z to its last result, the time between a Ctrl-Z and its result, less the pause that is configured, and the
time from each OK to the AT+CMGS that follows.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.bench_dispatch import TEXT, write_rows
from bench.bench_flow import flush_ms
from bench.rack.ground import Disk, Ground, ground
from bench.rack.zero import zero
from bench.targets import Target, disks, parser_of, report

# Beyond those that are asked for: who has drawn ahead of another takes from what is left.
SPARE_PARTS: Final = 2
STARTED_S: Final = 60.0
CPU_PERCENT: Final = ((64, 1.0), (256, 2.5))


def targets(modems: int, *, slow: bool) -> list[Target]:
    """What must be reached with so many modems; on a slow disk the utilisation alone."""
    percent = next((percent for most, percent in CPU_PERCENT if modems <= most), None)
    binding = [
        Target("OK to the next AT+CMGS, mean", "ms", at_most=0.5),
        Target("OK to the next AT+CMGS, p99", "ms", at_most=2.0),
        Target("CPU of the server", "% of a core", at_most=percent),
    ]
    return [
        Target("utilisation", "", at_least=0.9997),
        Target("utilisation of the worst modem", ""),
        *(target.free() if slow else target for target in binding),
        Target("OK to the next AT+CMGS, most", "ms"),
        Target("with nothing asked between, p99", "ms"),
        Target("fewest parts of a modem", ""),
        Target("CPU of the rack", "% of a core"),
    ]


def figures_of(found: dict[str, Any], pause_ms: int) -> dict[str, float]:
    """The figures in what the rack measured; each part but a modem's last is followed by the pause."""

    def share(of: dict[str, Any], modems: int) -> float:
        return float(of["air_s"] / (of["busy_s"] - (of["parts"] - modems) * pause_ms / 1000))

    gaps, direct = found["gap_ms"], found["gap_direct_ms"]
    return {
        "utilisation": share(found, found["modems"]),
        "utilisation of the worst modem": min(share(one, 1) for one in found["each"]),
        "OK to the next AT+CMGS, mean": gaps["mean"] - pause_ms,
        "OK to the next AT+CMGS, p99": gaps["p99"] - pause_ms,
        "OK to the next AT+CMGS, most": gaps["max"] - pause_ms,
        "with nothing asked between, p99": direct["p99"] - pause_ms,
        "fewest parts of a modem": found["fewest"],
        "CPU of the rack": 100 * found["cpu_s"] / found["span_s"],
    }


def run(folder: Path, disk: Disk, modems: int, chosen: argparse.Namespace) -> dict[str, float]:
    """One run on an empty store: its figures by name.  Raises RuntimeError where a modem had too few parts."""
    messages = modems * (chosen.parts + SPARE_PARTS)
    path = folder / "rows.csv"
    write_rows(path, messages)
    with ground(folder, disk) as server, zero(folder / "rack", modems, latency_ms=chosen.latency_ms) as rack:
        server.start_server("--command-gap-ms", str(chosen.command_gap_ms))
        await_ready(server, modems)
        campaign = server.draft("utilisation", TEXT)
        server.curl(campaign, path, "text/csv")
        server.launch(campaign)
        stall_s = STARTED_S + chosen.latency_ms / 1000
        # Every modem has one behind it and one before it: from here on nothing starts up any more.
        rack.await_parts(modems, stall_s)
        cpu_s, began_s = server.cpu_s(), time.monotonic()
        rack.await_parts(modems * chosen.parts, stall_s)
        cpu_s, took_s = server.cpu_s() - cpu_s, time.monotonic() - began_s
        rack.await_parts(messages, stall_s)
        found = rack.measured()
    if found["fewest"] < chosen.parts or found["refused"]:
        raise RuntimeError(f"a modem had {found['fewest']} parts, not {chosen.parts}; {found['refused']} were refused")
    return {**figures_of(found, chosen.command_gap_ms), "CPU of the server": 100 * cpu_s / took_s}


def await_ready(server: Ground, modems: int) -> None:
    """Return when so many modems are ready.  Raises TimeoutError."""
    until = time.monotonic() + STARTED_S
    while (ready := server.call("GET", "/readyz")["modems_ready"]) < modems:
        if time.monotonic() > until:
            raise TimeoutError(f"{ready} of {modems} modems are ready")
        time.sleep(0.05)


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    parser = parser_of("utilisation", __doc__)
    parser.add_argument("--modems", default="64,256", help="of each run; several with commas between")
    parser.add_argument("--latency-ms", type=float, default=3000.0, help="a part's time in the air")
    parser.add_argument("--parts", type=int, default=60, help="that each modem sends at least")
    parser.add_argument("--command-gap-ms", type=int, default=0, help="the configured pause")
    chosen = parser.parse_args(list(arguments))
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-utilisation-", dir=chosen.directory) as name:
        root = Path(name)
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            for modems in (int(word) for word in chosen.modems.split(",")):
                runs = []
                for _ in range(chosen.runs):
                    with tempfile.TemporaryDirectory(dir=root) as folder:
                        runs.append(run(Path(folder), disk, modems, chosen))
                title = f"utilisation, {modems} modems, {chosen.latency_ms:g} ms in the air, {chosen.parts} parts each"
                missed += report(f"{title}; {told}", targets(modems, slow=bool(disk.slow_ms)), runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)
