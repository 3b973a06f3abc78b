"""Ahead: parts whose intent is committed while their modem still sends another, and that can be taken back.

A change that ends or holds a message withdraws its part in its own transaction, on the writer's thread, unless the
AT+CMGS was written: `Flight.withdraw` is one step that no other thread can stand in the middle of.  So what was
refused when it committed will never be on a line.
"""

from collections.abc import Mapping
from typing import Final

from engine._flights import Flight
from engine.config import Limits
from engine.store.table import Note, Txn
from engine.traffic import intents, quotas

RECALLED: Final = "recalled"  # notes of this name tell the scheduler of claims that were taken back


class Ahead:
    """The claims without a committed outcome.  Turns add and remove; a change takes back what has not begun."""

    def __init__(self, limits: Mapping[int, Limits]) -> None:
        self._limits = limits
        self.flights: dict[Flight, None] = {}

    def remove(self, flight: Flight) -> None:
        """Its outcome is in the store, or it was taken back."""
        self.flights.pop(flight, None)

    def numbers_of(self, sim: int) -> list[int]:
        """To whom the SIM's parts go whose outcome is not in the store yet."""
        return [flight.number for flight in list(self.flights) if flight.sim == sim]

    def recall(self, txn: Txn, message: int, now_ms: int) -> None:
        """Put back the message's parts that have not begun, in this change."""
        self._put_back(txn, [flight for flight in list(self.flights) if flight.message == message], now_ms)

    def recall_group(self, txn: Txn, group: int, now_ms: int) -> None:
        """The same for all messages of a group."""
        self._put_back(txn, [flight for flight in list(self.flights) if flight.group == group], now_ms)

    def _put_back(self, txn: Txn, flights: list[Flight], now_ms: int) -> None:
        for flight in flights:
            # A change that is attempted again finds withdrawn what it has withdrawn before; its intent is open then.
            if not (flight.withdraw() or flight.is_withdrawn):
                continue
            # Before what the change itself has to tell: the message is in nobody's hands any more.
            txn.notes.append(Note(RECALLED, (flight.message, flight.part), flight))
            is_open = intents.put_back(txn, flight.message, flight.part, now_ms, flight.sim, flight.at_ms)
            if is_open and (limits := self._limits.get(flight.sim)) is not None:
                quotas.refund(txn, flight.sim, flight.number, flight.at_ms, limits, flight.counted_ms)
