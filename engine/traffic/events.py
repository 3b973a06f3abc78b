"""The event log: append inside a change, read from a cursor.  Does not know who reads it."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from engine.store.table import Line, Txn


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened to one thing, for cursors, streams and webhooks alike.

    `kind` is a slug like "message.sent", `subject` the thing's id on the wire, `detail` plain JSON values.
    """

    kind: str
    at_ms: int
    subject: str
    detail: dict[str, Any]


EVENTS: Final = Line("events", Event)


def append(txn: Txn, kind: str, at_ms: int, subject: str, **detail: Any) -> int:
    """Add an event; its sequence number, which steps by one from 1."""
    last = EVENTS.last_key(txn)
    sequence = 1 if last is None else last[0] + 1
    EVENTS.put(txn, sequence, Event(kind, at_ms, subject, detail))
    return int(sequence)


def after(txn: Txn, cursor: int, limit: int) -> Iterator[tuple[int, Event]]:
    """Up to `limit` events behind the sequence number `cursor`, oldest first."""
    for (sequence,), event in EVENTS.scan(txn, after=cursor):
        if limit <= 0:
            return
        limit -= 1
        yield sequence, event


def newest(txn: Txn) -> int:
    """The last sequence number given, or 0."""
    last = EVENTS.last_key(txn)
    return 0 if last is None else int(last[0])
