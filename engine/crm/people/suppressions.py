"""Suppressions: numbers that must get nothing more, whatever is queued.

Kept as keyed hashes, so that a stolen data directory does not list them (the space of telephone numbers is small
enough to try them all against an unkeyed one).
"""

import hashlib
from typing import Final

import msgspec

from engine.store.table import Table, Txn

REASONS: Final = ("stop_all", "erased", "bad_number", "complaint", "legal")


class Suppression(msgspec.Struct, frozen=True, array_like=True):
    """Why and since when."""

    reason: str
    at_ms: int


SUPPRESSIONS: Final = Table("suppressions", Suppression, "16s")

TABLES: Final = (SUPPRESSIONS,)


def digest(pepper: bytes, number: int) -> bytes:
    """The keyed hash under which `number` stands."""
    return hashlib.blake2b(number.to_bytes(8, "big"), key=pepper, digest_size=16).digest()


def find(txn: Txn, pepper: bytes, number: int) -> Suppression | None:
    """The suppression of `number`, or None."""
    return SUPPRESSIONS.find(txn, digest(pepper, number))


def add(txn: Txn, pepper: bytes, number: int, reason: str, now_ms: int) -> bool:
    """Suppress `number`; False where it was already, whose older reason then stays."""
    key = digest(pepper, number)
    if SUPPRESSIONS.find(txn, key) is not None:
        return False
    SUPPRESSIONS.put(txn, key, Suppression(reason, now_ms))
    return True


def lift(txn: Txn, pepper: bytes, number: int) -> bool:
    """Take a `stop_all` away, at the person's own wish; False where there was none, or it has another reason."""
    key = digest(pepper, number)
    found = SUPPRESSIONS.find(txn, key)
    return found is not None and found.reason == "stop_all" and SUPPRESSIONS.remove(txn, key)
