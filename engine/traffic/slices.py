"""Much of the store, read on the loop a slice at a time: whoever else waits for the loop has a turn between them.

Each slice is a snapshot of its own.  What is committed meanwhile is told to the store's followers behind the slices
that have it already: a follower that puts an entry in its place, or takes it out, has the last word.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.messages import DUE, Due

SLICE: Final = 500  # entries: a few milliseconds


async def line_up(store: Store, now_ms: int, take: Callable[[int, int, int, Due], None]) -> None:
    """Call `take(lane, due_ms, message, due)` for everything in the store's due line, in order.

    The entry of a message that has begun is the one of before: of those that are due it is asked what has gone.
    """
    after: tuple[int, int, int] | None = None
    while True:
        with store.read() as txn:
            found = [
                (key, _as_it_is(txn, key[2], due) if due.parts > 1 and not due.sim and key[1] <= now_ms else due)
                for key, due in islice(DUE.scan(txn, after=after), SLICE)
            ]
        for (lane, due_ms, identifier), due in found:
            take(lane, due_ms, identifier, due)
        if len(found) < SLICE:
            return
        after = found[-1][0]
        await asyncio.sleep(0)


def _as_it_is(txn: Txn, identifier: int, due: Due) -> Due:
    message = messages.find(txn, identifier)
    return due if message is None else messages.due_of(message)


async def overdue(store: Store, waiting: Sequence[int], now_ms: int) -> list[int]:
    """Those of the messages whose deadline has passed."""
    over: list[int] = []
    for begin in range(0, len(waiting), SLICE):
        with store.read() as txn:
            found = [messages.find(txn, identifier) for identifier in waiting[begin : begin + SLICE]]
        over += [message.id for message in found if message is not None and message.expires_ms <= now_ms]
        await asyncio.sleep(0)
    return over
