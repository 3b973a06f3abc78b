"""The event log: append inside a change, read from a cursor.  Does not know who reads it.

Sequence numbers step by one from 1.  What happens to rows of a campaign is told by the hundred: one record then holds
many events, and stands under the number of its last.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from engine.store import ids
from engine.store.table import Line, Txn

# Events of rows that are kept together: so many at most, and not when they are further apart.
PACKED_MOST: Final = 200
PACKED_MS: Final = 1_000

PACK: Final = "pack"
# What a pack can tell of, by position: only ever added to at the end.
PACKED_KINDS: Final = ("message.sent", "message.delivered", "message.undelivered")


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
    """Add an event; its sequence number."""
    sequence = newest(txn) + 1
    EVENTS.put(txn, sequence, Event(kind, at_ms, subject, detail))
    return sequence


def entry(kind: str, message: int) -> bytes:
    """What a pack holds of an event of `kind`, one of PACKED_KINDS."""
    return bytes([PACKED_KINDS.index(kind)]) + message.to_bytes(8, "big")


def append_rows(txn: Txn, at_ms: int, campaign: str, entries: bytes) -> None:
    """Add the events of messages of one campaign that these entries tell, one behind the other."""
    sequence, octets, count, since_ms = newest(txn), b"", 0, at_ms
    last = EVENTS.find(txn, sequence) if sequence else None
    if last is not None and last.kind == PACK and last.subject == campaign:
        count = last.detail["count"]
        if count < PACKED_MOST and 0 <= at_ms - last.at_ms <= PACKED_MS:
            octets, since_ms = last.detail["entries"], last.at_ms
            EVENTS.remove_quietly(txn, sequence)
        else:
            count = 0
    added = len(entries) // _ENTRY_OCTETS
    count += added
    sequence += added
    detail = {"count": count, "entries": octets + entries}
    EVENTS.put(txn, sequence, Event(PACK, since_ms, campaign, detail))


def _unpacked(sequence: int, event: Event) -> Iterator[tuple[int, Event]]:
    if event.kind != PACK:
        yield sequence, event
        return
    entries: bytes = event.detail["entries"]
    first = sequence - event.detail["count"] + 1
    for place in range(event.detail["count"]):
        at = place * _ENTRY_OCTETS
        identifier = int.from_bytes(entries[at + 1 : at + _ENTRY_OCTETS], "big")
        told = Event(
            PACKED_KINDS[entries[at]], event.at_ms, ids.render("msg", identifier), {"campaign_id": event.subject}
        )
        yield first + place, told


_ENTRY_OCTETS: Final = 9


def after(txn: Txn, cursor: int, limit: int) -> Iterator[tuple[int, Event]]:
    """Up to `limit` events behind the sequence number `cursor`, oldest first."""
    for (last,), record in EVENTS.scan(txn, after=cursor):
        for sequence, event in _unpacked(last, record):
            if sequence <= cursor:
                continue
            if limit <= 0:
                return
            limit -= 1
            yield sequence, event


def newest(txn: Txn) -> int:
    """The last sequence number given, or 0."""
    last = EVENTS.last_key(txn)
    return 0 if last is None else int(last[0])
