"""Consent: what the holder of a number agreed to, per purpose, append only.

The newest row of number and purpose is the state; no row means not granted.  `service`, `transactional` and `legal`
need none, only the absence of a suppression.
"""

from enum import StrEnum
from typing import Final

import msgspec

from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events

NEEDED: Final = ("marketing", "survey", "research")


class Status(StrEnum):
    """The states of a consent."""

    PENDING = "pending"
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Consent(msgspec.Struct, frozen=True, array_like=True):
    """One thing said about one purpose, and how we know: `evidence` is message ids, a file, or words."""

    status: Status
    method: str
    evidence: str
    at_ms: int


CONSENTS: Final = Table("consents", Consent, "QBQ")  # number, purpose, id

TABLES: Final = (CONSENTS,)


def add(txn: Txn, number: int, purpose: str, consent: Consent) -> None:
    """Append a row.  `purpose` is one of NEEDED."""
    identifier = ids.take(txn, consent.at_ms)
    CONSENTS.put(txn, (number, NEEDED.index(purpose), identifier), consent)
    events.append(
        txn, "consent.changed", consent.at_ms, ids.render("con", identifier),
        purpose=purpose, status=consent.status.value, method=consent.method,
    )  # fmt: skip


def newest(txn: Txn, number: int, purpose: str) -> Consent | None:
    """The row that counts, or None."""
    for _, consent in CONSENTS.scan(txn, number, NEEDED.index(purpose), reverse=True):
        return consent
    return None


def is_granted(txn: Txn, number: int, purpose: str) -> bool:
    """Whether texts of `purpose` may go to `number`."""
    if purpose not in NEEDED:
        return True
    row = newest(txn, number, purpose)
    return row is not None and row.status is Status.GRANTED


def withdraw_all(txn: Txn, number: int, method: str, evidence: str, now_ms: int) -> None:
    """Withdraw every purpose, whether it was granted or never asked for: the refusal itself is worth keeping."""
    for purpose in NEEDED:
        withdraw(txn, number, purpose, method, evidence, now_ms)


def withdraw(txn: Txn, number: int, purpose: str, method: str, evidence: str, now_ms: int) -> None:
    """Withdraw one purpose, unless its newest row says so already."""
    row = newest(txn, number, purpose)
    if row is None or row.status is not Status.WITHDRAWN:
        add(txn, number, purpose, Consent(Status.WITHDRAWN, method, evidence, now_ms))
