"""Segments: how long it takes to find whom a condition takes among a million customers, and what else waits for it.

`python -m bench segments` fills a store, counts two conditions with literals that were never asked for before, and
looks one customer up by number.  Some of the people are judged by the plain evaluator too: it must take the same ones.
"""

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import uvloop

from bench.baseline.conditions import World, matches
from bench.targets import Target, report
from engine.crm.people import audience, customers, fields, regions, segments, tags, timeline
from engine.crm.people.conditions import Condition
from engine.crm.people.customer import BY_NUMBER, CUSTOMERS, Customer, Lifecycle
from engine.crm.people.fields import FieldDef
from engine.crm.people.happenings import HAPPENED, KINDS, Happening
from engine.crm.people.regions import Region
from engine.store.environment import Store
from engine.store.table import Txn
from engine.wiring import TABLES

NOW_MS: Final = 1_790_000_000_000
DAY_MS: Final = 86_400_000
ZONE: Final = "Asia/Shanghai"
SEED: Final = 925
CITIES: Final = ("Nanjing", "Suzhou", "Wuxi", "Shanghai", "南京", "苏州")
TAGS: Final = 20
REGIONS: Final = 10
EVENTS: Final = 5
FILLED_AT_ONCE: Final = 20_000
FIRST: Final = 8_613_900_000_000

TARGETS: Final = (
    Target("four conditions", "s", at_most=0.5),
    Target("with a sum over 5 events a person", "s", at_most=1.5),
    Target("the loop was late meanwhile, p99", "ms", at_most=5),
    Target("the loop was late meanwhile, most", "ms"),
    Target("four conditions by the plain evaluator", "s"),
    Target("people on whom the two disagree", "", at_most=0),
    Target("look-up by number", "us", at_most=50),
    Target("what a customer's page shows", "ms", at_most=5),
    Target("octets a customer with 5 events", ""),
)

Person = dict[str, Any]


def prepare(txn: Txn) -> None:
    """What people are sorted by."""
    fields.add(txn, FieldDef(0, "room", "integer"), frozenset(), NOW_MS)
    tags.require(txn, [f"t{place}" for place in range(1, TAGS + 1)], NOW_MS)
    for place in range(1, REGIONS + 1):
        regions.add(txn, Region(0, f"R{place}", f"R{place}"), NOW_MS)


def people(random: Random, first: int, last: int) -> Iterator[tuple[Customer, list[Happening]]]:
    """Customers with two-word names and what they bought."""
    for place in range(first, last):
        known = Customer(
            place,
            FIRST + place,
            name=f"Person{place} Family{random.randrange(1000)}",
            lifecycle=Lifecycle(random.randrange(4)),
            grade="ABC"[random.randrange(3)],
            granted=random.randrange(2),
            region=1 + random.randrange(REGIONS),
            tags=tuple(sorted(random.sample(range(1, TAGS + 1), 2))),
            language="zh",
            city=random.choice(CITIES),
            last_order_ms=NOW_MS - random.randrange(400) * DAY_MS,
            created_ms=NOW_MS - random.randrange(1000) * DAY_MS,
            attrs={1: random.randrange(500)},
            reference=place,
        )
        bought = [
            Happening(NOW_MS - random.randrange(400) * DAY_MS, random.randrange(100_000), "T10", f"O{place}-{order}")
            for order in range(EVENTS)
        ]
        yield known, sorted(bought)


def fill(txn: Txn, random: Random, first: int, last: int) -> None:
    """The next people, and by which numbers they are found."""
    for known, bought in people(random, first, last):
        CUSTOMERS.append(txn, known.id, known)
        BY_NUMBER.add(txn, known.number, known.id)
        HAPPENED.append(txn, (known.id, KINDS.index("order"), 0), bought)


def person_of(known: Customer, bought: list[Happening]) -> Person:
    """As the plain evaluator knows people."""
    return {
        "city": known.city,
        "class": known.grade,
        "tags": [f"t{tag}" for tag in known.tags],
        "region": f"R{known.region}",
        "last_order": iso(known.last_order_ms),
        "room": known.attrs[1],
        "events": [{"type": "order", "at": iso(one.at_ms), "amount": one.amount} for one in bought],
    }


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def texts(random: Random) -> tuple[str, str]:
    """Two conditions, with literals of their own."""
    four = (
        f"tag:t{random.randint(1, TAGS)} and city = {random.choice(CITIES)} and class = {random.choice('ABC')}"
        f" and last_order older than {random.randint(60, 200)}d"
    )
    summed = f"order({random.randint(200, 365)}d).sum(amount) >= {random.randint(150_000, 300_000)}"
    return four, f"class = {random.choice('ABC')} and {summed}"


async def counted(store: Store, condition: Condition, late_s: list[float]) -> tuple[int, float]:
    """How many it takes, and how long that took; how late the loop was meanwhile is added to `late_s`."""
    with store.read() as txn:
        words = segments.words_of(txn)
    compiling = audience.compiling(condition, words, segments.resolver, NOW_MS, ZONE)
    found = 0

    def take(more: list[int]) -> None:
        nonlocal found
        found += len(more)

    loop = asyncio.get_running_loop()

    async def watch() -> None:
        while True:
            began_s = loop.time()
            await asyncio.sleep(0.001)
            late_s.append(loop.time() - began_s - 0.001)

    watching = asyncio.create_task(watch())
    began_s = time.perf_counter()
    await audience.walk(store, compiling, take)
    took_s = time.perf_counter() - began_s
    watching.cancel()
    return found, took_s


def disagreements(store: Store, known: list[tuple[int, Person]], condition: Condition) -> tuple[int, float]:
    """On how many of the first people native code and the plain evaluator disagree; how long the latter took."""
    world = World(NOW_MS, ZONE)
    began_s = time.perf_counter()
    wanted = {identifier for identifier, person in known if matches(condition, person, world)}
    took_s = time.perf_counter() - began_s
    with store.read() as txn:
        compiling = audience.compiling(condition, segments.words_of(txn), segments.resolver, NOW_MS, ZONE)
        items = CUSTOMERS.stretch(txn, b"", len(known))
        found = set(audience.judged(txn, compiling(txn), items))
    return len(found ^ wanted), took_s


async def measured(store: Store, count: int, known: list[tuple[int, Person]], random: Random) -> dict[str, float]:
    """One run."""
    with store.read() as txn:
        four, summed = (segments.read(txn, text) for text in texts(random))
    late_s: list[float] = []
    _, four_s = await counted(store, four, late_s)
    _, summed_s = await counted(store, summed, late_s)
    wrong, plain_s = disagreements(store, known, four)
    wrong += disagreements(store, known, summed)[0]
    numbers = [FIRST + random.randint(1, count) for _ in range(10_000)]
    with store.read() as txn:
        began_s = time.perf_counter()
        for number in numbers:
            customers.find_by_number(txn, number)
        look_up_s = (time.perf_counter() - began_s) / len(numbers)
        began_s = time.perf_counter()
        for number in numbers[:200]:
            found = customers.find_by_number(txn, number)
            assert found is not None
            timeline.page(txn, found, 0, 50)
        page_s = (time.perf_counter() - began_s) / 200
    late_s.sort()
    return {
        "four conditions": four_s,
        "with a sum over 5 events a person": summed_s,
        "the loop was late meanwhile, p99": late_s[math.ceil(len(late_s) * 0.99) - 1] * 1000,
        "the loop was late meanwhile, most": late_s[-1] * 1000,
        "four conditions by the plain evaluator": plain_s * count / len(known),
        "people on whom the two disagree": wrong,
        "look-up by number": look_up_s * 1e6,
        "what a customer's page shows": page_s * 1000,
    }


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench segments", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="the median of so many")
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--judged", type=int, default=20_000, help="of them, by the plain evaluator too")
    parser.add_argument("--directory", help="where the data stands; default: the folder for temporary files")
    chosen = parser.parse_args(list(arguments))
    with tempfile.TemporaryDirectory(prefix="carillon-segments-", dir=chosen.directory) as name:
        store = Store(Path(name) / "data", TABLES)
        store.write_now(prepare)
        random = Random(SEED)
        for first in range(1, chosen.people + 1, FILLED_AT_ONCE):
            store.write_now(fill, random, first, min(first + FILLED_AT_ONCE, chosen.people + 1))
        octets = (Path(name) / "data" / "data.mdb").stat().st_size
        known = [(one.id, person_of(one, bought)) for one, bought in people(Random(SEED), 1, chosen.judged + 1)]
        runs = [await measured(store, chosen.people, known, Random(place)) for place in range(chosen.runs)]
        for figures in runs:
            figures["octets a customer with 5 events"] = octets / chosen.people
        store.close()
    missed = report(f"segments, {chosen.people:,} customers", TARGETS, runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
