"""Small changes: three puts each, durable before their future is done.

`python -m bench small` lets 64 submitters wait for one change after the other, then one for changes that come now and
then, then does that while a file is uploaded to the server in whose process they run.  Each run is a process.
"""

import argparse
import asyncio
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import uvloop

from bench import rows
from bench.bench_flow import flush_ms
from bench.rack.ground import Disk, Ground
from bench.rig import TOKEN
from bench.rows import KINDS
from bench.targets import Target, child, disks, parser_of, report
from engine.config import Http, Settings
from engine.crm.people.suppressions import SUPPRESSIONS, Suppression
from engine.store.environment import Store
from engine.store.table import Txn
from engine.wiring import TABLES
from server import serving
from server.serving import Served

SUBMITTERS: Final = 64
PAUSE_S: Final = 0.02  # between the changes of who submits now and then
PEPPER: Final = b"p" * 32

TARGETS: Final = (
    Target("from 64 submitters", "changes/s", at_least=25_000),
    Target("from 64 submitters, p99", "ms", at_most=8),
    Target("from 64 submitters, most", "ms"),
    Target("changes to a commit", ""),
    Target("idle, p99", "ms", at_most=3),
    Target("idle, median", "ms"),
    Target("beside an upload, p99", "ms", at_most=10),
    Target("beside an upload, most", "ms"),
    Target("changes beside the upload", ""),
    Target("rows of the upload", "1/s"),
)


def put_three(txn: Txn, place: int) -> None:
    """The change: three rows of a few octets."""
    for at in range(3):
        SUPPRESSIONS.put(txn, (3 * place + at).to_bytes(16, "big"), Suppression("stop_all", place))


async def timed(store: Store, place: int) -> float:
    """One change: how long it took to be durable, in ms."""
    began = time.perf_counter()
    await store.write(put_three, place)
    return (time.perf_counter() - began) * 1000


def p99(took: list[float]) -> float:
    return sorted(took)[math.ceil(len(took) * 0.99) - 1]


async def many(store: Store, changes: int) -> dict[str, float]:
    """64 submitters, each waiting for its own change before the next."""
    places = iter(range(changes))
    took: list[float] = []

    async def submit() -> None:
        for place in places:  # one after the other, drawn from what is left for all
            took.append(await timed(store, place))  # noqa: PERF401

    commits, began = store.commits, time.perf_counter()
    await asyncio.gather(*(submit() for _ in range(SUBMITTERS)))
    return {
        "from 64 submitters": changes / (time.perf_counter() - began),
        "from 64 submitters, p99": p99(took),
        "from 64 submitters, most": max(took),
        "changes to a commit": changes / (store.commits - commits),
    }


async def idle(store: Store, changes: int) -> dict[str, float]:
    """One change now and then."""
    took = []
    for place in range(changes):
        took.append(await timed(store, place))
        await asyncio.sleep(PAUSE_S)
    took.sort()
    return {"idle, p99": p99(took), "idle, median": took[len(took) // 2]}


async def beside(served: Served, folder: Path, row_count: int, times: int) -> dict[str, float]:
    """One change now and then while file after file is uploaded, each to a campaign of its own."""
    took: list[float] = []
    store = served.engine.store
    uploaded_s = 0.0
    places = count()
    server = Ground(folder, Disk())
    server.url = served.url.rstrip("/")
    for at in range(times):
        campaign = await asyncio.to_thread(server.draft, f"beside-{at}", KINDS[0].text)
        uploading = asyncio.ensure_future(
            asyncio.to_thread(server.curl, campaign, folder / "rows", KINDS[0].content_type)
        )
        while not uploading.done():
            took.append(await timed(store, next(places)))
            await asyncio.sleep(PAUSE_S / 4)
        uploaded_s += (await uploading).took_s
    return {
        "beside an upload, p99": p99(took),
        "beside an upload, most": max(took),
        "changes beside the upload": len(took),
        "rows of the upload": row_count * times / uploaded_s,
    }


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    store = Store(folder / "alone", TABLES)
    try:
        yield store
    finally:
        store.close()


async def measured(folder: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """All three, one after the other."""
    async with opened(folder) as store:
        figures = await many(store, chosen.changes)
        figures |= await idle(store, chosen.idle_changes)
    if not chosen.uploads:
        return figures
    rows.write(folder / "rows", KINDS[0], chosen.rows)
    settings = Settings(data=str(folder / "data"), http=Http("127.0.0.1", 0))
    found: dict[str, float] = {}

    async def started(served: Served) -> None:
        try:
            found.update(await beside(served, folder, chosen.rows, chosen.uploads))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # serving ends as it always does

    await serving.serve(settings, PEPPER, None, started)
    return figures | found


def parser() -> argparse.ArgumentParser:
    made = parser_of("small", __doc__)
    made.add_argument("--changes", type=int, default=100_000, help="from 64 submitters")
    made.add_argument("--idle-changes", type=int, default=500, help="from one")
    made.add_argument("--rows", type=int, default=1_000_000, help="of the file that is uploaded beside")
    made.add_argument("--uploads", type=int, default=4, help="of that file, each to a new campaign; 0: none")
    made.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    return made


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    chosen = parser().parse_args(list(arguments))
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-small-", dir=chosen.directory) as name:
        root = Path(name)
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            runs = []
            for _ in range(chosen.runs):
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    token = {"CARILLON_TOKEN": TOKEN}
                    runs.append(child("bench.bench_small", Path(folder), disk, arguments, token))
            targets = [target.free() for target in TARGETS] if disk.slow_ms else TARGETS
            missed += report(f"small changes; {told}", targets, runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    asked = parser().parse_args()
    print(json.dumps(uvloop.run(measured(asked.folder, asked))))
