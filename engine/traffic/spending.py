"""Spending: how many parts of a group's messages went or may have gone, which is what the group has cost.

    parts_of    what one message counts for, told by its parts alone
    Spending    what one change moves, written once for each group

A message counts with all its parts from its first intent on, since what has begun is finished; a part counts no more
once it is certain that it did not go.  So the counter equals a rebuild from the messages at every moment, and a part
that was sent twice (under `resend`, or with its message by another SIM) counts once.

Money moves with the parts (costs.py), of messages without a group too.  Knows no caps: what may be spent is for the
gate to say.
"""

from typing import Final

from engine.store.table import Table, Txn
from engine.traffic import costs
from engine.traffic.message import Message, Part, State, pinned_to

SPENT: Final = Table("parts_spent", int)  # group

TABLES: Final = (SPENT, *costs.TABLES)


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
        self._moved: dict[int, tuple[int, int]] = {}

    def change(self, old: Message, new: Message) -> None:
        """A message becomes another."""
        parts = parts_of(new.parts) - parts_of(old.parts)
        if parts:
            going = new if parts > 0 else old
            price = costs.price(self._txn, going.number, going.tag, going.purpose, pinned_to(going))
            self.move(new.group, parts, parts * price)

    def move(self, group: int, parts: int, minor: int = 0) -> None:
        """So many more, or fewer, of a group's parts count, which cost so much; group 0 is of messages without one."""
        known_parts, known_minor = self._moved.get(group, (0, 0))
        self._moved[group] = known_parts + parts, known_minor + minor

    def save(self, now_ms: int = 0) -> None:
        """Store what was moved since the last time; it counts for that time, or, at 0, for none."""
        all_parts = all_minor = 0
        for group, (parts, minor) in self._moved.items():
            all_parts += parts
            all_minor += minor
            if group and parts:
                SPENT.put(self._txn, group, spent(self._txn, group) + parts)
            costs.move(self._txn, group, minor)
        if now_ms and (all_parts or all_minor):
            costs.note(self._txn, all_parts, all_minor, now_ms)
        self._moved.clear()
