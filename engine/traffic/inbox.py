"""The inbox: texts that people sent us.

A text is stored before anything acts on it.  INBOX holds an entry exactly as long as nobody has acted; the
conversation's answer and the removal of that entry are one transaction.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final

import msgspec

from engine import numbers
from engine.store import ids
from engine.store.table import Index, Line, Table, Txn
from engine.traffic import events
from engine.traffic.messages import Lane

E164_DIGITS: Final = 17  # 15 by the letter of the recommendation; a few countries' numbers are longer


class Progress(IntEnum):
    """How far a text has come; the slug on the wire is the name in lower case."""

    ASSEMBLED = 0
    ROUTED = 1
    FAILED = 2


class Received(msgspec.Struct, frozen=True, array_like=True):
    """A text somebody sent us.  `originator` is E.164, a short code, or letters; `to` is the SIM it came to."""

    id: int
    originator: str
    sim: int
    text: str
    at_ms: int
    service_centre_time_ms: int = 0
    parts: int = 1
    complete: bool = True
    progress: Progress = Progress.ASSEMBLED
    routed_to: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What an application answers: it never sends.  `purpose` "legal" passes every block, once."""

    text: str
    purpose: str = "service"
    lane: Lane = Lane.HIGH


class Routed(msgspec.Struct, frozen=True):
    """Who acted on a text ("command:stop", "person", …) and what is answered; `number` where the originator is none."""

    to: str
    replies: tuple[Reply, ...] = ()
    number: int = 0


Route = Callable[[Txn, Received, int], Routed]


RECEIVED: Final = Table("received", Received)
BY_ORIGINATOR: Final = Index("received_by_number", "QQ")  # number, id
INBOX: Final = Line("inbox", int)  # id -> 1

TABLES: Final = (RECEIVED, BY_ORIGINATOR, INBOX)


def name(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("msg", identifier)


def key_of(originator: str) -> int:
    """The originator as an index key; 0 for letters, short codes and what is too long for E.164."""
    digits = originator[1:]
    is_number = originator.startswith("+") and digits.isascii() and digits.isdigit() and len(digits) <= E164_DIGITS
    return numbers.to_key(originator) if is_number else 0


def add(txn: Txn, received: Received, now_ms: int) -> Received:
    """Store a whole text and let it wait for an answer; returns it with its id."""
    received = msgspec.structs.replace(received, id=ids.take(txn, now_ms))
    RECEIVED.put(txn, received.id, received)
    BY_ORIGINATOR.add(txn, key_of(received.originator), received.id)
    INBOX.put(txn, received.id, 1)
    events.append(txn, "message.received", now_ms, name(received.id), parts=received.parts)
    return received


def mark_routed(txn: Txn, received: Received, progress: Progress, routed_to: str) -> None:
    """It was acted upon: by what, and whether that went well."""
    RECEIVED.put(txn, received.id, msgspec.structs.replace(received, progress=progress, routed_to=routed_to))
    INBOX.remove(txn, received.id)


def listed(txn: Txn, number: str | None, before: int, limit: int) -> Iterator[Received]:
    """Texts newest first, from `number` only where one is given, older than id `before` (0: from the newest)."""
    if number is None:
        for _, received in RECEIVED.scan(txn, after=before or None, reverse=True):
            if limit <= 0:
                return
            limit -= 1
            yield received
        return
    key = key_of(number)
    for _, identifier in BY_ORIGINATOR.scan(txn, key, after=(key, before) if before else None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield RECEIVED.get(txn, identifier)
