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
