"""Consent: what the holder of a number agreed to, per purpose, append only.

The newest row of number and purpose is the state; no row means not granted.  `service`, `transactional` and `legal`
need none, only the absence of a suppression.  Rows are added in agreement.py.
"""

from enum import StrEnum
from typing import Final

import msgspec

from engine.store.table import Table, Txn

NEEDED: Final = ("marketing", "survey", "research")
# What a row may be about, by position: only ever added to at the end.
PURPOSES: Final = (*NEEDED, "service")


class Status(StrEnum):
    """The states of a consent."""

    PENDING = "pending"
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Consent(msgspec.Struct, frozen=True, array_like=True):
    """One thing said about one purpose, and how we know: `evidence` is message ids, a file, or words.

    `wording` is the version of the words that were agreed to, `by` who entered it, `detail` the keyword or page.
    """

    status: Status
    method: str
    evidence: str
    at_ms: int
    wording: str = ""
    by: str = ""
    detail: str = ""
    jurisdiction: str = ""


CONSENTS: Final = Table("consents", Consent, "QBQ")  # number, purpose, id

TABLES: Final = (CONSENTS,)


def newest(txn: Txn, number: int, purpose: str) -> Consent | None:
    """The row that counts, or None."""
    for _, consent in CONSENTS.scan(txn, number, PURPOSES.index(purpose), reverse=True):
        return consent
    return None


def history(txn: Txn, number: int) -> list[tuple[str, int, Consent]]:
    """(purpose, id, row) of everything that was ever said, by purpose and the oldest first."""
    return [(PURPOSES[key[1]], key[2], row) for key, row in CONSENTS.scan(txn, number)]


def forget(txn: Txn, after: bytes, horizon_ms: int, rows: int) -> bytes | None:
    """Remove rows that ended before the horizon, of so many behind the packed key `after`; where to go on, or None.

    A row ends when a newer one says otherwise, and one that grants nothing with itself.  What is granted stays.
    """
    found = CONSENTS.stretch(txn, after, rows + 1)
    told = [(CONSENTS.layout.unpack(key), CONSENTS.decode(CONSENTS.layout.unpack(key), value)) for key, value in found]
    for place, (key, row) in enumerate(told[:rows]):
        newer = told[place + 1][1] if place + 1 < len(told) and told[place + 1][0][:2] == key[:2] else None
        # What follows a row is asked first: else a clock that was set back could leave the grant without its end.
        has_ended = newer.at_ms < horizon_ms if newer is not None else row.status is not Status.GRANTED
        if has_ended and (newer is not None or row.at_ms < horizon_ms):
            CONSENTS.remove(txn, key)
    return found[rows - 1][0] if len(found) > rows else None


def is_granted(txn: Txn, number: int, purpose: str) -> bool:
    """Whether texts of `purpose` may go to `number`."""
    if purpose not in NEEDED:
        return True
    row = newest(txn, number, purpose)
    return row is not None and row.status is Status.GRANTED


def bit(purpose: str) -> int:
    """What stands for `purpose` in `standing`."""
    return 1 << PURPOSES.index(purpose)


def standing(txn: Txn, number: int) -> int:
    """The purposes that are granted, as bits."""
    granted = 0
    for key, row in CONSENTS.scan(txn, number):
        mask = 1 << key[1]
        granted = granted | mask if row.status is Status.GRANTED else granted & ~mask
    return granted
