"""Frequency: which marketing texts a number was sent lately, and whether it may get another.

    SENT    number -> (when, which message, what it said) of its last ones, packed

An entry is written in the change that claims the message, once for each however many parts and attempts it has.  It
counts while its message went, may have gone or is on its way: what was refused, put back or withdrawn since then does
not, which the message itself tells when it matters.  So nothing has to be taken back here.

Days are those of the receiver's own calendar; of a number that may be in several zones, a day lasts until it has ended
in all of them.  A window of 30 days is today and the 29 before.  Texts are kept as keyed hashes.
"""

import hashlib
import struct
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from engine.config import Caps
from engine.crm.people import dates
from engine.crm.people.zones import Zones, zones_of
from engine.store.table import Octets, Txn
from engine.traffic import messages
from engine.traffic.messages import SEND, Asked, State, Verdict

KEPT: Final = 64  # entries of one number: more than any cap allows
KEPT_MS: Final = 33 * 86_400_000  # 30 days by the receiver's calendar, wherever he is
MONTH_DAYS: Final = 30
OVER: Final = "cap"
SAME: Final = "duplicate"

_ENTRY: Final = struct.Struct("<QQ8s")
_HOUR_MS: Final = 3_600_000
_QUARTER_MS: Final = 900_000  # no zone's midnight is at anything else
_NOT_GONE: Final = messages.WAITING | {State.SUPPRESSED, State.CANCELLED, State.EXPIRED}

SENT: Final = Octets("marketing_sent", "Q")  # number

TABLES: Final = (SENT,)


class Entry(NamedTuple):
    """One message that was claimed."""

    at_ms: int
    message: int
    digest: bytes


@lru_cache(maxsize=1024)
def _digest(pepper: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=pepper, digest_size=8).digest()


def entries(txn: Txn, number: int) -> list[Entry]:
    """What is kept of a number, the oldest first."""
    octets = SENT.find(txn, number)
    return [] if octets is None else [Entry(*found) for found in _ENTRY.iter_unpack(octets)]


def went(txn: Txn, entry: Entry) -> bool:
    """Whether the message of an entry went, may have gone, or is on its way; one that is kept no more did."""
    message = messages.find(txn, entry.message)
    if message is None:
        return True
    if message.state in _NOT_GONE:
        return False
    return any(part.state not in (State.QUEUED, State.FAILED) for part in message.parts)


def latest(txn: Txn, number: int, since_ms: int) -> int:
    """The last marketing message that went to a number since then, 0 for none."""
    found = [entry for entry in entries(txn, number) if entry.at_ms >= since_ms and went(txn, entry)]
    return max(found).message if found else 0


class Frequency:
    """One batch of claims: what it lets through counts for the rest of it, and is stored by `save`."""

    def __init__(self, txn: Txn, caps: Caps, pepper: bytes, zone: str, now_ms: int) -> None:
        self._txn = txn
        self._caps = caps
        self._pepper = pepper
        self._zone = zone
        self._now_ms = now_ms
        self._known: dict[int, list[Entry]] = {}
        self._noted = set[int]()  # messages of this batch
        self._changed = set[int]()  # numbers

    def verdict(self, message: Asked) -> Verdict:
        """SEND; HELD until a cap frees; EXPIRED where that is too late; SUPPRESSED for the same text again."""
        known = self._of(message.number)
        others = [entry for entry in known if entry.message != message.id] if known else known
        if not others:
            return SEND
        caps, now_ms = self._caps, self._now_ms
        same_ms = now_ms - caps.same_text_hours * _HOUR_MS
        digest = _digest(self._pepper, message.text)
        if any(one.digest == digest and one.at_ms > same_ms and self._went(one) for one in others):
            return Verdict(State.SUPPRESSED, SAME)
        until_ms = self.free_ms(message.number, others)
        if not until_ms:
            return SEND
        if message.expires_ms and until_ms >= message.expires_ms:
            return Verdict(State.EXPIRED, OVER)
        return Verdict(State.HELD, OVER, until_ms)

    def free_ms(self, number: int, others: list[Entry] | None = None) -> int:
        """When a number may get another text; 0 for now."""
        others = self._of(number) if others is None else others
        caps = self._caps
        if len(others) < min(caps.marketing_a_day or KEPT, caps.marketing_in_30_days or KEPT):
            return 0
        zones = zones_of(number, self._zone)
        until_ms = 0
        for most, days in ((caps.marketing_a_day, 1), (caps.marketing_in_30_days, MONTH_DAYS)):
            if not most or len(others) < most:
                continue
            since_ms = _begin_ms(zones, self._now_ms // _QUARTER_MS, days - 1)
            within = [one for one in others if one.at_ms >= since_ms]
            if len(within) < most:
                continue
            within = sorted(one for one in within if self._went(one))
            if len(within) >= most:
                until_ms = max(until_ms, _end_ms(zones, within[-most].at_ms // _QUARTER_MS, days))
        return until_ms

    def note(self, message: Asked) -> None:
        """The message is claimed now."""
        number = message.number
        self._noted.add(message.id)
        kept = [one for one in self._of(number) if one.message != message.id and one.at_ms > self._now_ms - KEPT_MS]
        kept.append(Entry(self._now_ms, message.id, _digest(self._pepper, message.text)))
        self._known[number] = kept[-KEPT:]
        self._changed.add(number)

    def save(self) -> None:
        """Store what was noted."""
        for number in self._changed:
            SENT.put(self._txn, number, b"".join(_ENTRY.pack(*entry) for entry in self._known[number]))
        self._changed.clear()

    def _of(self, number: int) -> list[Entry]:
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = entries(self._txn, number)
        return known

    def _went(self, entry: Entry) -> bool:
        return entry.message in self._noted or went(self._txn, entry)


@lru_cache(maxsize=4096)
def _begin_ms(zones: Zones, quarter: int, days: int) -> int:
    """When the day so many days before the one of `quarter` began, in the first of the zones to have it."""
    return min(_midnight_ms(zone, quarter, -days) for zone in zones)


@lru_cache(maxsize=4096)
def _end_ms(zones: Zones, quarter: int, days: int) -> int:
    """When so many days from the one of `quarter` on are over, in the last of the zones."""
    return max(_midnight_ms(zone, quarter, days) for zone in zones)


def _midnight_ms(zone: str, quarter: int, days: int) -> int:
    today = dates.today(quarter * _QUARTER_MS, zone)
    return dates.moment_ms(today.fromordinal(today.toordinal() + days), 0, zone)


def forget(txn: Txn, after: int, horizon_ms: int, rows: int) -> int | None:
    """Remove numbers whose last text is from before the horizon; where to go on behind, None at the end."""
    place: int | None = None
    doomed = []
    for seen, ((number,), octets) in enumerate(islice(SENT.scan(txn, after=after), rows), 1):
        if max(at_ms for at_ms, _, _ in _ENTRY.iter_unpack(octets)) < horizon_ms:
            doomed.append(number)
        place = number if seen == rows else None
    for number in doomed:
        SENT.remove(txn, number)
    return place
