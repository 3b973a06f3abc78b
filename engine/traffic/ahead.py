"""Ahead: parts whose intent is committed while their modem still sends another, and that can be taken back.

A change that ends or holds a message withdraws its part in its own transaction, on the writer's thread, unless the
AT+CMGS was written: `Submission.withdraw` is one step that no other thread can stand in the middle of.  So what was
refused when it committed will never be on a line.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from engine.config import Limits
from engine.store.table import Note, Txn
from engine.traffic import intents, quotas

RECALLED: Final = "recalled"  # notes of this name tell the scheduler of claims that were taken back


class Job(Protocol):
    """A submission, as far as it matters here."""

    def withdraw(self) -> bool:
        """Whether its AT+CMGS was never written and never will be."""


class Claim(msgspec.Struct, frozen=True):
    """A part that was claimed: by which SIM, when, to whom it goes, and the job it became."""

    message: int
    part: int
    group: int
    number: int
    sim: int
    at_ms: int
    job: Job


class Ahead:
    """The claims without a committed outcome.  Turns add and remove; a change takes back what has not begun."""

    def __init__(self, limits: Mapping[int, Limits]) -> None:
        self._limits = limits
        self._claims: dict[tuple[int, int], Claim] = {}

    def add(self, claim: Claim) -> None:
        """The claim is about to be committed."""
        self._claims[claim.message, claim.part] = claim

    def remove(self, claim: Claim) -> None:
        """Its outcome is in the store, or it was taken back."""
        if self._claims.get((claim.message, claim.part)) is claim:
            del self._claims[claim.message, claim.part]

    def numbers_of(self, sim: int) -> list[int]:
        """To whom the SIM's parts go whose outcome is not in the store yet."""
        return [claim.number for claim in list(self._claims.values()) if claim.sim == sim]

    def recall(self, txn: Txn, message: int, now_ms: int) -> None:
        """Put back the message's parts that have not begun, in this change."""
        self._put_back(txn, [claim for claim in list(self._claims.values()) if claim.message == message], now_ms)

    def recall_group(self, txn: Txn, group: int, now_ms: int) -> None:
        """The same for all messages of a group."""
        self._put_back(txn, [claim for claim in list(self._claims.values()) if claim.group == group], now_ms)

    def _put_back(self, txn: Txn, claims: list[Claim], now_ms: int) -> None:
        for claim in claims:
            if claim.job.withdraw():
                # Before what the change itself has to tell: the message is in nobody's hands any more.
                txn.notes.append(Note(RECALLED, (claim.message, claim.part), claim))
                if (limits := self._limits.get(claim.sim)) is not None:
                    quotas.refund(txn, claim.sim, claim.number, claim.at_ms, limits)
                intents.put_back(txn, claim.message, claim.part, now_ms, claim.sim, claim.at_ms)
