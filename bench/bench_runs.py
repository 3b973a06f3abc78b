"""Runs: numbers of an upload sorted and packed, eight runs merged, a number looked up; and all of it on a store.

`python -m bench runs [--pairs N] [--directory DIR]` writes N pairs in runs of 20,000, merges them, and looks numbers up
before and after.  Everything is flushed to the disk that DIR is on.
"""

import argparse
import gc
import heapq
import statistics
import struct
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from bench.case import Case
from engine import _runs
from engine.store.disk import DATA_FILE
from engine.store.environment import Store
from engine.store.runs import FAN_IN, Runs
from engine.store.table import Txn

ROWS = 20_000  # of a run
PAGES = 64  # of a step of a merge
NUMBERS = 49_150_000_000_000, 49_180_000_000_000
LOOK_UPS = 2_000
FIRST_ID = 1_000_000

RUNS = Runs("runs")


def rows(seed: int, count: int = ROWS) -> bytes:
    """Numbers of a country in the order of a file, with ids that count up."""
    random = Random(seed)
    pairs = ((random.randrange(*NUMBERS), FIRST_ID + seed * ROWS + row) for row in range(count))
    return b"".join(struct.pack("<QQ", *pair) for pair in pairs)


def newest_first(pair: tuple[int, ...]) -> tuple[int, int]:
    return pair[0], -pair[1]


def by_sorting(pairs: bytes) -> list[tuple[int, int]]:
    """The pairs in order, without packing them."""
    return sorted(struct.iter_unpack("<QQ", pairs), key=newest_first)


def by_heap(lots: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    return list(heapq.merge(*lots, key=newest_first))


FILES = [rows(seed) for seed in range(FAN_IN)]
SORTED = [by_sorting(pairs) for pairs in FILES]

Pages = list[tuple[bytes, bytes]]


def under_keys(pages: Pages) -> Pages:
    """As they lie in a table."""
    return [(bytes(9) + place, page) for place, page in pages]


PACKED = [under_keys(_runs.pack(pairs)[0]) for pairs in FILES]


def agree(results: dict[str, object]) -> None:
    """Raises AssertionError where the pages do not hold what the other found."""
    pages: Pages = results["cython"][0]  # type: ignore[index]
    assert _runs.blend("runs", [(b"", under_keys(pages))], b"") == results["python"]


CASES: list[Case] = [
    Case(
        "runs/pack/20,000",
        {"cython": lambda: _runs.pack(FILES[0]), "python": lambda: by_sorting(FILES[0])},
        check=agree,
        per=ROWS,
    ),
    Case(
        "runs/merge/8x20,000",
        {
            "cython": lambda: _runs.merge("runs", [(b"", pages) for pages in PACKED], b"", 0),
            "python": lambda: by_heap(SORTED),
        },
        check=agree,
        per=ROWS * FAN_IN,
    ),
]


def write(txn: Txn, run: int, pairs: bytes) -> None:
    RUNS.write(txn, run, pairs)
    RUNS.publish(txn, [run])


def timed_write(store: Store, run: int, pairs: bytes) -> float:
    """Seconds inside the transaction."""

    def change(txn: Txn) -> float:
        begun = time.perf_counter()
        write(txn, run, pairs)
        return time.perf_counter() - begun

    return store.write_now(change)


def timed_merge(store: Store) -> tuple[bool, float]:
    """Whether there is more to merge, and seconds inside the transaction."""

    def change(txn: Txn) -> tuple[bool, float]:
        begun = time.perf_counter()
        return RUNS.merge(txn, PAGES), time.perf_counter() - begun

    return store.write_now(change)


def looked_up(store: Store, random: Random, numbers: list[int] | None) -> list[float]:
    """Seconds of each look-up in a transaction of its own: of numbers that are there, or of any."""
    times = []
    for _ in range(LOOK_UPS):
        number = random.choice(numbers) if numbers else random.randrange(*NUMBERS)
        begun = time.perf_counter()
        with store.read() as txn:
            found = list(RUNS.find(txn, number))
        times.append(time.perf_counter() - begun)
        assert found or not numbers
    return times


def of_times(name: str, times: list[float]) -> str:
    ordered = sorted(times)
    median, most = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    return f"{name:<34} {median * 1e6:>9,.0f} µs  p99 {most * 1e6:>7,.0f} µs  most {ordered[-1] * 1e6:>7,.0f} µs"


def flow(store: Store, file: Path, runs: int) -> None:
    random = Random(1)
    known: list[int] = []
    writes: list[float] = []
    steps: list[float] = []
    for run in range(1, runs + 1):
        pairs = rows(run)
        known += [number for number, _ in struct.iter_unpack("<QQ", pairs[:160])]
        writes.append(timed_write(store, run, pairs))
    pairs_written = runs * ROWS
    written = file.stat().st_size

    def share(times: list[float], octets: int) -> str:
        return f"{sum(times) / pairs_written * 1e9:>9,.0f} ns a pair, {octets / pairs_written:.2f} octets in the file"

    print(of_times("runs/write/20,000", writes))
    print(f"{'in all':<34} {share(writes, written)}")
    print(of_times(f"runs/find/{runs}-runs", looked_up(store, random, known)))
    while True:
        more, taken = timed_merge(store)
        steps.append(taken)
        if not more:
            break
    with store.read() as txn:
        left = RUNS.tables[1].count(txn)
        pages = RUNS.tables[0].count(txn)
    merged = file.stat().st_size
    print(of_times(f"runs/merge/{PAGES}-pages", steps))
    print(f"{'in all':<34} {share(steps, merged)}; {pages:,} pages, {left} runs")
    print(of_times("runs/find/merged", looked_up(store, random, known)))
    print(of_times("runs/find/merged, any number", looked_up(store, random, None)))


async def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench runs")
    parser.add_argument("--pairs", type=int, default=5_000_000)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args(list(arguments))
    # What the other benchmarks hold is none of ours to be searched in the middle of a step.
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        store = Store(Path(place) / "data", RUNS.tables)
        try:
            flow(store, Path(place) / "data" / DATA_FILE, max(1, options.pairs // ROWS))
        finally:
            store.close()
