"""Costs: what the parts that went, or may have gone, cost in money, by tariff and by quarter of an hour.

A part is priced when its message is claimed, by the route and the SIM that it goes by, and what certainly did not go
is given back at the price that it would have now.  So a change of prices never changes what was spent.

    OF_GROUPS   what each group has cost, in minor units: what a cap in money is held against
    COSTS       how many parts each quarter of an hour began, and what they cost

A quarter of an hour, since every zone's midnight is the beginning of one: days are added up by whoever reads.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from engine.store.table import Table, Txn

QUARTER_MS: Final = 15 * 60_000
TARIFFS: Final = ("normal", "free", "premium")  # by position in keys: only ever added to at the end

# A number, its tag and purpose, and a SIM: what a part costs, in minor units.
Price = Callable[[int, str, str, int], int]


class Cost(msgspec.Struct, frozen=True, array_like=True):
    """So many parts, and what they cost in minor units."""

    parts: int = 0
    minor: int = 0


OF_GROUPS: Final = Table("costs_of_groups", int)  # group
COSTS: Final = Table("costs", Cost, "IB")  # quarter of an hour since 1970, tariff

TABLES: Final = (OF_GROUPS, COSTS)


def price(txn: Txn, number: int, tag: str, purpose: str, sim: int) -> int:
    """What a part costs by that SIM now, in minor units."""
    known: Price | None = txn.price
    return 0 if known is None else known(number, tag, purpose, sim)


def of_group(txn: Txn, group: int) -> int:
    """What a group has cost, in minor units."""
    return OF_GROUPS.find(txn, group) or 0


def move(txn: Txn, group: int, minor: int) -> None:
    """A group costs so much more, or less."""
    if group and minor:
        OF_GROUPS.put(txn, group, of_group(txn, group) + minor)


def note(txn: Txn, parts: int, minor: int, now_ms: int) -> None:
    """So many parts were begun now, or given back."""
    key = (now_ms // QUARTER_MS, 0)
    known = COSTS.find(txn, key) or Cost()
    COSTS.put(txn, key, Cost(known.parts + parts, known.minor + minor))


def between(txn: Txn, from_ms: int, before_ms: int) -> Iterator[tuple[int, str, Cost]]:
    """(when a quarter of an hour began, tariff, cost) of those that begin in that time, in order."""
    first = from_ms // QUARTER_MS
    for (quarter, tariff), cost in COSTS.scan(txn, after=(first - 1, 255) if first else None):
        if quarter * QUARTER_MS >= before_ms:
            return
        yield quarter * QUARTER_MS, TARIFFS[tariff], cost
