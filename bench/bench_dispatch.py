"""Dispatch: how fast accepted messages go out through modems that need no time, and what a part costs.

`python -m bench dispatch` accepts the messages first and plugs the modems in then.  The rack measures: parts a second
from the first Ctrl-Z to the last result.  Beside it stand a run during which recipients are uploaded to other
campaigns without a pause, and a loop of C that does nothing but speak to the modems.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

from bench.bench_flow import flush_ms
from bench.rack.ground import Disk, Ground, ground
from bench.rack.zero import Zero, zero
from bench.targets import Target, disks, parser_of, report

TEXT: Final = "Your parcel is on its way and comes tomorrow between 9 and 11."
STALL_S: Final = 30.0

# By whether it goes beside an upload, and on a slow disk.
RATES: Final = {
    (False, False): Target("parts", "1/s", at_least=25_000),
    (True, False): Target("parts", "1/s", at_least=15_000),
    (False, True): Target("parts", "1/s", at_least=8_000),
    (True, True): Target("parts", "1/s"),
}
CPU: Final = Target("CPU of a thousand parts", "s", at_most=0.03)
REST: Final = (
    Target("CPU without start-up of the rack", "s per 1,000"),
    Target("rows uploaded meanwhile", "1/s"),
    Target("OK to the next AT+CMGS, mean", "ms"),
    Target("bare loop of C", "parts/s"),
    Target("CPU of the bare loop", "s per 1,000"),
    Target("CPU of the rack", "s per 1,000"),
    Target("share of the bare loop's rate", ""),
    Target("accepted before", "rows/s"),
)


def write_rows(path: Path, rows: int, first: int = 0) -> None:
    """A CSV file of so many numbers, each once."""
    with path.open("w", encoding="ascii") as file:
        file.write("to\n")
        file.writelines(f"+8613{place:09d}\n" for place in range(first, first + rows))


class Uploading:
    """Uploads of one file after the other, each to a campaign of its own, until it is closed."""

    def __init__(self, server: Ground, path: Path, rows: int) -> None:
        self.rows = 0
        self._server = server
        self._path = path
        self._file_rows = rows
        self._names = count(1)
        self._curl: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Begin the next where one has ended.  Raises RuntimeError where it was refused."""
        if self._curl is not None:
            code = self._curl.poll()
            if code is None:
                return
            if code:
                raise RuntimeError(f"an upload ended with {code}")
            self.rows += self._file_rows
        campaign = self._server.draft(f"beside-{next(self._names)}", TEXT)
        command = self._server.curl_command(campaign, self._path, "text/csv")
        self._curl = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        """Break the last one off."""
        if self._curl is not None:
            self._curl.kill()
            self._curl.wait()


def run(folder: Path, disk: Disk, chosen: argparse.Namespace, *, beside: bool) -> dict[str, float]:
    """One run on an empty store: its figures by name."""
    path, beside_path = folder / "rows.csv", folder / "beside.csv"
    write_rows(path, chosen.messages)
    if beside:
        write_rows(beside_path, chosen.upload_rows, chosen.messages)
    figures: dict[str, float] = {}
    if not chosen.no_bare:
        with zero(folder / "bare", chosen.modems) as rack:
            bare = rack.bare(chosen.messages)
        figures["bare loop of C"] = bare["parts_per_s"]
        figures["CPU of the bare loop"] = bare["cpu_s"] / bare["parts"] * 1000
    with ground(folder, disk) as server:
        server.start_server(ready=False)
        campaign = server.draft("dispatch", TEXT)
        taken = server.curl(campaign, path, "text/csv")
        if taken.answer["accepted"] != chosen.messages:
            raise RuntimeError(f"not every row was taken: {taken.answer}")
        figures["accepted before"] = chosen.messages / taken.took_s
        server.launch(campaign)
        uploading = Uploading(server, beside_path, chosen.upload_rows) if beside else None
        before_s = server.cpu_s()
        with zero(folder / "rack", chosen.modems) as rack:
            try:
                figures |= dispatched(server, rack, chosen.messages, before_s, uploading)
            finally:
                if uploading is not None:
                    uploading.close()
    if "bare loop of C" in figures:
        figures["share of the bare loop's rate"] = figures["parts"] / figures["bare loop of C"]
    return figures


def dispatched(
    server: Ground, rack: Zero, messages: int, before_s: float, uploading: Uploading | None
) -> dict[str, float]:
    """From the rack's start to the last part."""
    look = uploading.look if uploading is not None else _nothing
    rack.await_parts(1, STALL_S, look)
    began_s = server.cpu_s()
    rack.await_parts(messages, STALL_S, look)
    ended_s = server.cpu_s()
    found = rack.measured()
    if found["refused"] or found["parts"] != messages:
        raise RuntimeError(f"{found['parts']} parts were taken and {found['refused']} refused of {messages}")
    figures = {
        "parts": found["parts_per_s"],
        "OK to the next AT+CMGS, mean": found["gap_ms"]["mean"],
        "CPU of the rack": found["cpu_s"] / messages * 1000,
    }
    if uploading is None:
        # An upload's CPU cannot be told from a part's.
        figures["CPU of a thousand parts"] = (ended_s - before_s) / messages * 1000
        figures["CPU without start-up of the rack"] = (ended_s - began_s) / messages * 1000
    else:
        figures["rows uploaded meanwhile"] = uploading.rows / found["span_s"]
    return figures


def _nothing() -> None:
    """No upload to look after."""


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    parser = parser_of("dispatch", __doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--modems", type=int, default=64)
    parser.add_argument("--upload-rows", type=int, default=1_000_000, help="in the file that is uploaded beside it")
    parser.add_argument("--no-upload", action="store_true", help="without the run beside an upload")
    parser.add_argument("--no-bare", action="store_true", help="without the bare loop")
    chosen = parser.parse_args(list(arguments))
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-dispatch-", dir=chosen.directory) as name:
        root = Path(name)
        places = count()
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            for beside in (False,) if chosen.no_upload else (False, True):
                runs = []
                for _ in range(chosen.runs):
                    with tempfile.TemporaryDirectory(prefix=f"{next(places)}-", dir=root) as folder:
                        runs.append(run(Path(folder), disk, chosen, beside=beside))
                rate = RATES[beside, bool(disk.slow_ms)]
                targets = (rate, CPU.free() if disk.slow_ms else CPU, *REST)
                what = "beside an upload" if beside else "alone"
                missed += report(f"dispatch, {chosen.messages:,} parts, {what}; {told}", targets, runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)
