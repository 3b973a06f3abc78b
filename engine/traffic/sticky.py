"""Sticky senders: who was texted by a SIM is texted by it again, so that one conversation has one number.

A number is the last SIM's that the network took a part to it from.  Written only where that changes, or was said long
ago: a campaign's second round costs no write.  What was not confirmed for KEPT_MS is forgotten.
"""

from itertools import islice
from typing import Final

import msgspec

from engine.store.table import Keyed, Table, Txn

DAY_MS: Final = 86_400_000
CONFIRMED_MS: Final = 7 * DAY_MS  # a SIM that stays the same is written again after this
KEPT_MS: Final = 365 * DAY_MS  # at most: whoever keeps messages for less keeps this for as long


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """The SIM by which a number was texted, and when that was said."""

    sim: int
    at_ms: int


KEPT: Final = Table("sticky", Kept)  # number

TABLES: Final[tuple[Keyed, ...]] = (KEPT,)


def of(txn: Txn, number: int) -> int:
    """The SIM that keeps `number`, 0 for none."""
    kept = KEPT.find(txn, number)
    return 0 if kept is None else kept.sim


def note(txn: Txn, number: int, sim: int, now_ms: int) -> None:
    """The network took a part to `number` from the SIM: it keeps the number from now on."""
    kept = KEPT.find(txn, number)
    if kept is None or kept.sim != sim or abs(now_ms - kept.at_ms) >= CONFIRMED_MS:
        KEPT.put(txn, number, Kept(sim, now_ms))


def forget(txn: Txn, after: int, horizon_ms: int, rows: int) -> int | None:
    """Forget numbers that were last confirmed before the horizon, of so many; where to go on, None at the end."""
    found = list(islice(KEPT.scan(txn, after=after), rows))
    for (number,), kept in found:
        if kept.at_ms < horizon_ms:
            KEPT.remove(txn, number)
    return int(found[-1][0][0]) if len(found) == rows else None
