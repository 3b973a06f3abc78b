"""Suppressions: numbers that must get nothing more, whatever is queued.

Kept as keyed hashes, so that a stolen data directory does not list them (the space of telephone numbers is small
enough to try them all against an unkeyed one).
"""

import asyncio
from functools import lru_cache
from typing import Final

import msgspec

from engine._suppressed import Suppressed
from engine.errors import Conflict
from engine.store.environment import Store
from engine.store.table import Line, Note, Txn

ERASED: Final = "erased"
REASONS: Final = ("stop_all", "erased", "bad_number", "complaint", "legal")


class Suppression(msgspec.Struct, frozen=True, array_like=True):
    """Why and since when; `also` are reasons that came later."""

    reason: str
    at_ms: int
    also: tuple[str, ...] = ()


SUPPRESSIONS: Final = Line("suppressions", Suppression, "16s")

TABLES: Final = (SUPPRESSIONS,)

SLICE: Final = 2_000  # read in one turn of the loop: half a millisecond

_keyed = lru_cache(maxsize=4)(Suppressed)


def digest(pepper: bytes, number: int) -> bytes:
    """The keyed hash under which `number` stands: BLAKE2b of its 8 octets (RFC 7693), 16 octets long."""
    return _keyed(pepper).digest(number)


def find(txn: Txn, pepper: bytes, number: int) -> Suppression | None:
    """The suppression of `number`, or None."""
    return SUPPRESSIONS.find(txn, digest(pepper, number))


def any_known(txn: Txn) -> bool:
    """Whether anybody is suppressed."""
    return SUPPRESSIONS.any(txn)


def reasons_of(found: Suppression) -> tuple[str, ...]:
    """All reasons, the oldest first."""
    return (found.reason, *found.also)


def add(txn: Txn, pepper: bytes, number: int, reason: str, now_ms: int) -> bool:
    """Suppress `number`; False where it was already for that reason.  The oldest reason is the one that is told."""
    key = digest(pepper, number)
    found = SUPPRESSIONS.find(txn, key)
    if found is None:
        SUPPRESSIONS.put(txn, key, Suppression(reason, now_ms))
        return True
    if reason in reasons_of(found):
        return False
    SUPPRESSIONS.put(txn, key, msgspec.structs.replace(found, also=(*found.also, reason)))
    return True


def mark_erased(txn: Txn, pepper: bytes, number: int, now_ms: int) -> None:
    """Suppress the number of somebody who was erased, whatever it was suppressed for before."""
    key = digest(pepper, number)
    found = SUPPRESSIONS.find(txn, key)
    others = () if found is None else tuple(reason for reason in reasons_of(found) if reason != ERASED)
    SUPPRESSIONS.put(txn, key, Suppression(ERASED, now_ms, others))


def refuse_erased(txn: Txn, pepper: bytes, number: int) -> None:
    """Raises Conflict `erased` where the number's holder was erased: only he brings himself back, by a text to us."""
    found = find(txn, pepper, number)
    if found is not None and ERASED in reasons_of(found):
        raise Conflict("whoever has this number was erased, and comes back only by a text of their own", code=ERASED)


def lift(txn: Txn, pepper: bytes, number: int, reason: str = "stop_all") -> bool:
    """Take one reason away, at the person's own wish a `stop_all` and an `erased`; False where there was none.

    Others stay.
    """
    key = digest(pepper, number)
    found = SUPPRESSIONS.find(txn, key)
    if found is None:
        return False
    known = reasons_of(found)
    lifted = {reason, ERASED} if reason == "stop_all" else {reason}
    left = [other for other in known if other not in lifted]
    if len(left) == len(known):
        return False
    if not left:
        return SUPPRESSIONS.remove(txn, key)
    SUPPRESSIONS.put(txn, key, Suppression(left[0], found.at_ms, tuple(left[1:])))
    return True


class Suppressions:
    """The suppressed numbers in memory, for uploads: what is asked of the store is asked by the gate.

    Empty until the first upload asks for them; from then on it follows the commits.
    """

    def __init__(self, pepper: bytes) -> None:
        self.pepper = pepper
        self.numbers = Suppressed(pepper)
        self._loading: asyncio.Task[None] | None = None
        self._news: list[Note] = []
        self._is_loaded = False

    def follow(self, notes: list[Note]) -> None:
        """Take what a commit changed."""
        if self._loading is None:
            return
        for note in notes:
            if note.line == SUPPRESSIONS.name:
                self._news.append(note)
        if self._is_loaded:
            self._catch_up()

    def _catch_up(self) -> None:
        for _, key, value in self._news:
            (self.numbers.discard if value is None else self.numbers.add)(key[0])
        self._news.clear()

    async def load(self, store: Store) -> None:
        """Read them from the store, the first time."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._read(store))
        await asyncio.shield(self._loading)
        if not self._is_loaded:
            self._is_loaded = True
            self._catch_up()

    async def _read(self, store: Store) -> None:
        # Not in a thread: one that goes in and out of LMDB gives the interpreter up and has it again before the loop
        # can wake up to take it.
        last = b""
        while True:
            with store.read() as txn:
                digests = SUPPRESSIONS.keys(txn, last, SLICE)
            if not digests:
                return
            self.numbers.load(digests)
            last = digests[-1]
            await asyncio.sleep(0)
