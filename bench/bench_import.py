"""Imports: a million customers from a CSV, to the last flush, while small changes go on beside.

`python -m bench import` brings a list of random numbers and two-word names into an empty store: record, number and
reference, both words of the name, tag, region, lifecycle, a row of consent, what became of every row, and what an undo
needs.  Beside it one small change after the other waits until it is durable.  Each run is a process.
"""

import argparse
import asyncio
import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import uvloop

from bench.bench_flow import flush_ms
from bench.bench_small import PEPPER, p99, timed
from bench.targets import Target, child, disks, parser_of, report
from engine.crm.people import imports, regions
from engine.crm.people.customer import CUSTOMERS
from engine.crm.people.import_files import Receiving
from engine.crm.people.import_work import Imports
from engine.crm.people.imports import Import, State
from engine.crm.people.regions import Region
from engine.crm.people.suppressions import Suppressions
from engine.store.environment import Store
from engine.wiring import TABLES
from server.serving import COLLECTED, SWITCH_S

NOW_MS: Final = 1_790_000_000_000
PAUSE_S: Final = 0.005  # between two small changes
ALONE_S: Final = 2.0  # small changes go on before the import begins
VOCABULARY: Final = 20_000  # words that names are made of
REGIONS: Final = 30
TAGS: Final = 20
PIECE: Final = 1 << 18

TARGETS: Final = (
    Target("rows of the import", "1/s", at_least=60_000),
    Target("rows, with the file's way into the store", "1/s"),
    Target("CPU of a row", "µs"),
    Target("small changes alone, p99", "ms"),
    Target("small changes beside, p99", "ms", at_most=15),
    Target("small changes beside, most", "ms"),
    Target("small changes beside", ""),
    Target("highest RssAnon above the start", "MiB"),
    Target("of it behind the first tenth", "MiB"),
    Target("flushes", "s"),
    Target("rows of the undo", "1/s"),
    Target("small changes beside the undo, p99", "ms"),
)


def write_list(path: Path, rows: int) -> None:
    """The file: each number once, in no order."""
    random = Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(random.choices(letters, k=random.randint(3, 9))).title() for _ in range(VOCABULARY)]
    numbers = random.sample(range(10**8), rows)
    steps = ("lead", "prospect", "customer", "lost")
    with path.open("w") as file:
        file.write("number,name,tags,region,lifecycle\n")
        for number in numbers:
            tag, region = number % TAGS, number // 7 % REGIONS
            name = f"{random.choice(words)} {random.choice(words)}"
            file.write(f"+86139{number:08d},{name},tag {tag},R{region},{steps[number % 4]}\n")


def rss_anon() -> float:
    """MiB of this process that are no file's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def probe(store: Store, took: list[float]) -> None:
    """One small change after the other, until cancelled."""
    place = 0
    while True:
        took.append(await timed(store, place))
        place += 1
        await asyncio.sleep(PAUSE_S)


async def measured(folder: Path, chosen: argparse.Namespace) -> dict[str, float]:
    """One import into an empty store, and its undo."""
    # As the server does.
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED)
    store = Store(folder / "data", TABLES)
    try:
        return await _measured(store, folder / "list.csv", chosen)
    finally:
        store.close()


async def _measured(store: Store, path: Path, chosen: argparse.Namespace) -> dict[str, float]:
    for place in range(REGIONS):
        await store.write(regions.add, Region(0, f"Region {place}", f"R{place}"), NOW_MS)
    works = Imports(store, Suppressions(PEPPER), lambda: NOW_MS, "CN", "Asia/Shanghai")
    proven = Import(0, "Fair", basis="consent", purposes=("marketing",), evidence="form of the fair")
    record = await store.write(imports.begin, proven, NOW_MS)
    sent = time.perf_counter()
    receiving = Receiving(store, record.id)
    with path.open("rb") as file:
        while octets := file.read(PIECE):
            receiving.feed(octets)
            await receiving.settle()
    encoding = await receiving.finish()
    await store.write(imports.uploaded, record.id, receiving.octets, encoding, NOW_MS)
    await store.write(imports.ask_run, record.id, NOW_MS)
    took: list[float] = []
    probing = asyncio.create_task(probe(store, took))
    stored_s = time.perf_counter() - sent
    await asyncio.sleep(ALONE_S)
    alone = list(took)
    took.clear()
    base, flushed, used = rss_anon(), store.flush_s, cpu_s()
    highest: list[float] = []
    began = time.perf_counter()
    working = asyncio.create_task(works.once())
    while not working.done():
        highest.append(rss_anon())
        await asyncio.wait({working}, timeout=0.1)
    await working
    took_s = time.perf_counter() - began
    used = cpu_s() - used
    flushed = store.flush_s - flushed
    beside = list(took)
    with store.read() as txn:
        done = imports.IMPORTS.get(txn, record.id)
        assert done.state is State.DONE, done
        assert (done.counts.new, CUSTOMERS.count(txn)) == (chosen.rows, chosen.rows)
    figures = {
        "rows of the import": chosen.rows / took_s,
        "rows, with the file's way into the store": chosen.rows / (stored_s + took_s),
        "CPU of a row": used / chosen.rows * 1e6,
        "small changes alone, p99": p99(alone),
        "small changes beside, p99": p99(beside),
        "small changes beside, most": max(beside),
        "small changes beside": len(beside),
        "highest RssAnon above the start": max(highest) - base,
        "of it behind the first tenth": max(highest) - max(highest[: max(1, len(highest) // 10)]),
        "flushes": flushed,
    }
    if chosen.undo:
        await store.write(imports.ask_undo, record.id, NOW_MS)
        took.clear()
        began = time.perf_counter()
        await works.once()
        figures["rows of the undo"] = chosen.rows / (time.perf_counter() - began)
        figures["small changes beside the undo, p99"] = p99(took)
    probing.cancel()
    return figures


def parser() -> argparse.ArgumentParser:
    made = parser_of("import", __doc__)
    made.add_argument("--rows", type=int, default=1_000_000, help="of the list")
    made.add_argument("--undo", action="store_true", help="undo it as well")
    made.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    return made


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    chosen = parser().parse_args(list(arguments))
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-import-", dir=chosen.directory) as name:
        root = Path(name)
        write_list(root / "list.csv", chosen.rows)
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            runs = []
            for _ in range(chosen.runs):
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    (Path(folder) / "list.csv").hardlink_to(root / "list.csv")
                    runs.append(child("bench.bench_import", Path(folder), disk, arguments))
            targets = [target.free() for target in TARGETS] if disk.slow_ms else TARGETS
            missed += report(f"import of {chosen.rows:,} customers; {told}", targets, runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    asked = parser().parse_args()
    print(json.dumps(uvloop.run(measured(asked.folder, asked))))
