"""Spending: how many parts of a group's messages went or may have gone, which is what the group has cost.

    parts_of    what one message counts for, told by its parts alone
    Spending    what one change moves, written once for each group

A message counts with all its parts from its first intent on, since what has begun is finished; a part counts no more
once it is certain that it did not go.  So the counter equals a rebuild from the messages at every moment, and a part
that was sent twice (under `resend`, or with its message by another SIM) counts once.

Knows no caps: what may be spent is for the gate to say.
"""

from collections import Counter
from typing import Final

from engine.store.table import Table, Txn
from engine.traffic.message import Message, Part, State

SPENT: Final = Table("parts_spent", int)  # group

TABLES: Final = (SPENT,)


def parts_of(parts: tuple[Part, ...]) -> int:
    """How many of a message's parts went, may have gone, or will follow those."""
    unsent = 0
    begun = False
    for part in parts:
        if part.state is State.FAILED:
            unsent += 1
        elif part.state is not State.QUEUED:
            begun = True
    return len(parts) - unsent if begun else 0


def spent(txn: Txn, group: int) -> int:
    """The parts of a group that went, may have gone, or follow others of their message."""
    return SPENT.find(txn, group) or 0


class Spending:
    """What one change moves of any groups' counters; nothing is stored before `save`."""

    __slots__ = ("_moved", "_txn")

    def __init__(self, txn: Txn) -> None:
        self._txn = txn
        self._moved: Counter[int] = Counter()

    def change(self, old: Message, new: Message) -> None:
        """A message of a group becomes another."""
        if new.group:
            self.move(new.group, parts_of(new.parts) - parts_of(old.parts))

    def move(self, group: int, parts: int) -> None:
        """So many more, or fewer, of a group's parts count."""
        if parts:
            self._moved[group] += parts

    def save(self) -> None:
        """Store what was moved since the last time."""
        for group, parts in self._moved.items():
            if parts:
                SPENT.put(self._txn, group, spent(self._txn, group) + parts)
        self._moved.clear()
