"""Unproven: parts of which nobody can say whether they went, by SIM, and what its references leave room for.

What concludes from them is engine/traffic/intents.py; the reports that prove them are those of
engine/traffic/receipts.py.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from engine.store.table import Table, Txn

SETTLED: Final = 0  # no message's id
_MOST_SETTLED: Final = 256  # as many as there are references


class Unproven(msgspec.Struct, frozen=True, array_like=True):
    """An unknown part, by SIM: `after` is the SIM's last known reference before it, or -1.

    `sent` is how many parts the SIM had sent by then: references come round after 256, this does not.  `following` is
    the SIM's first known reference behind it, or -1: if it was tried, its own lies between the two.  `reference` is
    its own, where that is known, else -1.  Of two on one SIM the one with the lower `at_ms` was given first; where
    that is the same nobody knows which was.

    Of one that a person has decided about, or that was sent again, it stays until nothing given beside it is unknown:
    under SETTLED in place of its message, since a reference or a report may be its own.
    """

    number: int
    after: int
    sent: int
    at_ms: int
    reference: int = -1
    following: int = -1


UNPROVEN: Final = Table("unproven", Unproven, "QQB")  # sim, message, part

TABLES: Final = (UNPROVEN,)


def are_any(txn: Txn, sim: int) -> bool:
    """Whether the SIM's next reference may tell of any part."""
    return next(UNPROVEN.scan(txn, sim), None) is not None


def on(txn: Txn, sim: int) -> Iterator[tuple[int, int, Unproven]]:
    """(message, part, what is known) of each unknown part on a SIM, and of those that were SETTLED meanwhile."""
    for (_, identifier, index), row in UNPROVEN.scan(txn, sim):
        yield identifier, index, row


def keep_settled(txn: Txn, sim: int, row: Unproven) -> None:
    """The part is unknown no more, and what became of it then is not known either: keep its place in the gap.

    One whose own reference is known has left the gap.
    """
    if row.reference >= 0:
        return
    taken = {index for (_, identifier, index), _ in UNPROVEN.scan(txn, sim) if identifier == SETTLED}
    free = next((index for index in range(_MOST_SETTLED) if index not in taken), None)
    if free is not None:
        UNPROVEN.put(txn, (sim, SETTLED, free), row)


def forget_settled(txn: Txn, sim: int) -> None:
    """What was settled tells of nothing any more where nothing that was given beside it is unknown."""
    rows = list(UNPROVEN.scan(txn, sim))
    beside = {row.sent for (_, identifier, _), row in rows if identifier != SETTLED}
    for key, row in rows:
        if key[1] == SETTLED and row.sent not in beside:
            UNPROVEN.remove(txn, key)
