"""The store: small changes a second, committed in groups, beside one commit for each; a whole run, not a case.

`python -m bench store [--changes N] [--directory DIR]`.  Everything is flushed to the disk that DIR is on.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from engine.crm.gate import gate_with
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import intents, messages
from engine.traffic.messages import Message, Pick
from engine.wiring import TABLES

NOW_MS = 1_700_000_000_000
NUMBER = 4_917_000_000_000
TEXT = "Your parcel is on its way and comes tomorrow between 9 and 11."
IN_FLIGHT = 500  # callers that wait at any moment
GATE = gate_with(b"p" * 32)

Run = Callable[[Store, int], Awaitable[None]]


async def many_callers(store: Store, changes: int) -> None:
    """As an HTTP server would: each caller waits for its own message."""
    places = iter(range(changes))

    async def call() -> None:
        for place in places:
            await store.write(messages.enqueue, Message(0, NUMBER + place, TEXT), NOW_MS)

    await asyncio.gather(*(call() for _ in range(IN_FLIGHT)))


async def one_caller(store: Store, changes: int) -> None:
    """Who waits for each before the next: a flush for every change."""
    for place in range(changes):
        await store.write(messages.enqueue, Message(0, NUMBER + place, TEXT), NOW_MS)


async def bulk(store: Store, changes: int) -> None:
    """A thousand to a change."""

    def chunk(txn: Txn, first: int, count: int) -> None:
        for place in range(first, first + count):
            messages.enqueue(txn, Message(0, NUMBER + place, TEXT), NOW_MS)

    for first in range(0, changes, 1000):
        await store.write_bulk(chunk, first, min(1000, changes - first))


async def claims(store: Store, changes: int) -> None:
    """What a turn of the scheduler writes: the outcomes of eight parts, and the intents of the next eight."""
    await bulk(store, changes)
    with store.read() as txn:
        ids = [identifier for (_, _, identifier), _ in messages.DUE.scan(txn)]

    def turn(txn: Txn, sent: list[int], picks: list[Pick]) -> None:
        for sim, identifier in enumerate(sent):
            intents.mark_sent(txn, identifier, 0, sim, NOW_MS)
        intents.claim(txn, picks, NOW_MS, GATE)

    flying: list[int] = []
    for first in range(0, len(ids), 8):
        following = ids[first : first + 8]
        await store.write(turn, flying, [Pick(identifier, sim + 1) for sim, identifier in enumerate(following)])
        flying = following
    await store.write(turn, flying, [])


async def timed(name: str, run: Run, changes: int, directory: Path | None) -> None:
    """One line: how many a second, in how many commits, and what share of the time was the disk's."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        store = Store(Path(place) / "data", TABLES)
        try:
            begun = time.perf_counter()
            await run(store, changes)
            taken_s = time.perf_counter() - begun
        finally:
            store.close()
    print(
        f"{name:<34} {changes / taken_s:>9,.0f} /s  {store.commits:>7,} commits"
        f"  {store.flush_s / taken_s:>4.0%} flushing",
        flush=True,
    )


async def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench store")
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args(list(arguments))
    changes: int = options.changes
    await timed(f"store/enqueue/{IN_FLIGHT}-callers", many_callers, changes, options.directory)
    await timed("store/enqueue/one-caller", one_caller, max(1, changes // 20), options.directory)
    await timed("store/enqueue/bulk", bulk, changes, options.directory)
    await timed("store/enqueue-claim-sent/8-modems", claims, max(1, changes // 2), options.directory)
