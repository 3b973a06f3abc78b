"""Reassembly: parts of a text to the text, duplicates told from repeats, and what never became whole.

Parts belong together by SIM, originator and concatenation reference and total (3GPP TS 23.040 §9.2.3.24.1).  A part is
a duplicate when SIM, originator, service-centre time, reference, sequence and text are all equal: a modem that was
read twice, not a person who repeats himself.
"""

import hashlib
from typing import Final

import msgspec

from engine import sms
from engine.store.table import Index, Table, Txn
from engine.traffic import inbox
from engine.traffic.inbox import Received

PATIENCE_MS: Final = 600_000  # then a text is delivered with what there is of it, flagged incomplete
MEMORY_MS: Final = 86_400_000  # how long a part is remembered for telling duplicates


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """The parts that have come, by sequence number from 1: what each says alone, and its octets.

    They are read together in the end, for the sender may have cut an emoji or an escape sequence in two.
    """

    originator: str
    since_ms: int
    service_centre_time_ms: int
    texts: dict[int, str]
    tpdus: dict[int, bytes] = {}


PENDING: Final = Table("reassembly", Pending, "Q8sHB")  # sim, originator's digest, reference, total
SEEN: Final = Table("reassembly_seen", int, "16s")
SEEN_BY_TIME: Final = Index("reassembly_seen_by_time", "Q16s")

TABLES: Final = (PENDING, SEEN, SEEN_BY_TIME)


def take(txn: Txn, sim: int, deliver: sms.Deliver, now_ms: int) -> Received | None:
    """Store one part; the whole text once it is there, None while parts are missing or it was a duplicate."""
    if _is_duplicate(txn, sim, deliver, now_ms):
        return None
    service_centre_time_ms = deliver.service_centre_time_ms or 0
    if deliver.concatenation is None or deliver.concatenation[1] < 2:
        text = Received(0, deliver.originator, sim, deliver.text, now_ms, service_centre_time_ms)
        return inbox.add(txn, text, now_ms)
    reference, total, sequence = deliver.concatenation
    key = (sim, _digest(deliver.originator.encode())[:8], reference, total)
    pending = PENDING.find(txn, key) or Pending(deliver.originator, now_ms, service_centre_time_ms, {})
    pending.texts.setdefault(sequence, deliver.text)
    pending.tpdus.setdefault(sequence, deliver.encode())
    if len(pending.texts) < total:
        PENDING.put(txn, key, pending)
        return None
    PENDING.remove(txn, key)
    return _whole(txn, sim, pending, total, now_ms)


def _whole(txn: Txn, sim: int, pending: Pending, total: int, now_ms: int) -> Received:
    if pending.tpdus.keys() == pending.texts.keys():
        text = sms.join(sms.decode(tpdu) for tpdu in pending.tpdus.values())
    else:  # a store of before this was kept
        text = "".join(pending.texts[sequence] for sequence in sorted(pending.texts))
    complete = len(pending.texts) == total
    received = Received(0, pending.originator, sim, text, now_ms, pending.service_centre_time_ms, total, complete)
    return inbox.add(txn, received, now_ms)


def _digest(octets: bytes) -> bytes:
    return hashlib.blake2b(octets, digest_size=16).digest()


def _is_duplicate(txn: Txn, sim: int, deliver: sms.Deliver, now_ms: int) -> bool:
    said = repr((
        sim, deliver.originator, deliver.service_centre_time_ms, deliver.concatenation, deliver.text, deliver.octets,
    ))  # fmt: skip
    digest = _digest(said.encode("utf-8", "surrogatepass"))
    if SEEN.find(txn, digest) is not None:
        return True
    SEEN.put(txn, digest, now_ms)
    SEEN_BY_TIME.add(txn, now_ms, digest)
    return False


def expire(txn: Txn, now_ms: int) -> int:
    """Deliver what has waited too long as it is, and forget old digests; how many texts were delivered so."""
    late = [(key, pending) for key, pending in PENDING.scan(txn) if pending.since_ms + PATIENCE_MS <= now_ms]
    for key, pending in late:
        PENDING.remove(txn, key)
        _whole(txn, key[0], pending, key[3], now_ms)
    old: list[tuple[int, bytes]] = []
    for at_ms, digest in SEEN_BY_TIME.scan(txn):
        if at_ms + MEMORY_MS > now_ms or len(old) >= 1000:
            break
        old.append((at_ms, digest))
    for at_ms, digest in old:
        SEEN_BY_TIME.remove(txn, at_ms, digest)
        SEEN.remove(txn, digest)
    return len(late)
