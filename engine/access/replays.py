"""Replays: the first answer to a call that carries an Idempotency-Key, kept so that a repeat gets it again.

1. The answer is written in the transaction of the effect: after a crash either both are there or neither is.
2. A call that is still at work is known in memory alone, so none outlives a restart.  Should two get past that all the
   same, the writer does them one after the other and refuses the second.
3. Only what was done is kept.  A refusal changed nothing, so its key stays free: for the same call once what stood in
   its way is gone, or for another.
4. An answer may show what is kept nowhere else in clear: a new token, somebody's number.  So it is sealed with what
   only the caller has, the key itself; the record stands under a hash of it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import msgspec

from engine.errors import Conflict, Invalid, InvalidParam, RecordBroken
from engine.store.table import Index, Table, Txn

KEPT_MS: Final = 86_400_000
KEY_LONGEST: Final = 255  # characters
BODY_MOST: Final = 2 << 20  # octets of an answer that is kept
IN_WORK: Final = "idempotency_in_work"
REUSED: Final = "idempotency_key_reused"
FIELD: Final = "Idempotency-Key"


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What was answered; `headers` are those that say something about this answer, not about its connection."""

    status: int
    media: str
    headers: dict[str, str]
    body: bytes


class Replay(msgspec.Struct, frozen=True, array_like=True):
    """A call that was done: `digest` of what was asked, and the sealed answer."""

    digest: bytes
    at_ms: int
    sealed: bytes


REPLAYS: Final = Table("replays", Replay, "16s")
BY_TIME: Final = Index("replays_by_time", "Q16s")

TABLES: Final = (REPLAYS, BY_TIME)


class Claim(NamedTuple):
    """One call under a key: the name its record has, what unseals the answer, and what was asked."""

    name: bytes
    secret: bytes
    digest: bytes


def claim(pepper: bytes, caller: str, key: str, *asked: bytes) -> Claim:
    """The claim of `caller` on `key` for a call that is told from others by `asked`.  Raises Invalid."""
    if not (0 < len(key) <= KEY_LONGEST and all("!" <= character <= "~" for character in key)):
        raise Invalid(InvalidParam(FIELD, f"is not 1 to {KEY_LONGEST} visible ASCII characters"))
    said = caller.encode("utf-8", "surrogatepass") + b"\0" + key.encode("ascii")
    return Claim(_keyed(pepper, b"name", said, 16), _keyed(pepper, b"seal", said, 32), _digest(pepper, asked))


def _keyed(pepper: bytes, purpose: bytes, said: bytes, size: int) -> bytes:
    return hashlib.blake2b(said, digest_size=size, key=pepper, person=b"replay " + purpose).digest()


def _digest(pepper: bytes, pieces: tuple[bytes, ...]) -> bytes:
    # Keyed: a body may be all but a few digits known, as one with a PIN is.
    whole = hashlib.blake2b(digest_size=32, key=pepper, person=b"replay call")
    for piece in pieces:
        whole.update(len(piece).to_bytes(8, "big"))
        whole.update(piece)
    return whole.digest()


def _sealed(claim: Claim, at_ms: int, octets: bytes) -> bytes:
    """The octets mixed with a stream that belongs to this record alone; a second time gives them back."""
    stream = hashlib.shake_256(claim.secret + at_ms.to_bytes(8, "big") + claim.digest).digest(len(octets))
    mixed = int.from_bytes(octets, "big") ^ int.from_bytes(stream, "big")
    return mixed.to_bytes(len(octets), "big")


def find(txn: Txn, claim: Claim, now_ms: int) -> Answer | None:
    """The answer that was given to this call, None where it was not done yet.

    Raises Invalid where the key stands for another call.
    """
    kept = REPLAYS.find(txn, claim.name)
    if kept is None or _is_over(kept, now_ms):
        return None
    if kept.digest != claim.digest:
        raise reused()
    try:
        return msgspec.msgpack.decode(_sealed(claim, kept.at_ms, kept.sealed), type=Answer)
    except (ValueError, msgspec.MsgspecError) as error:
        raise RecordBroken(REPLAYS.name, claim.name, str(error)) from error


def reused() -> Invalid:
    """What is said to a key that stands for another call."""
    return Invalid(InvalidParam(FIELD, "was used for another call: a new call takes a new key"), code=REUSED)


def require_undone(txn: Txn, claim: Claim, now_ms: int) -> None:
    """To be asked in the change that does it, before anything is done.

    Raises Conflict where another call under this key was quicker.
    """
    old = REPLAYS.find(txn, claim.name)
    if old is not None and not _is_over(old, now_ms):
        raise Conflict("the call under this key has just been done", code=IN_WORK)


def keep(txn: Txn, claim: Claim, answer: Answer, now_ms: int) -> None:
    """Keep the answer, in the change that does what it tells of.

    Raises Conflict where another call under this key was quicker, Invalid where the answer is too large to be kept.
    """
    require_undone(txn, claim, now_ms)
    old = REPLAYS.find(txn, claim.name)
    if old is not None:
        BY_TIME.remove(txn, old.at_ms, claim.name)
    if len(answer.body) > BODY_MOST:
        raise Invalid(InvalidParam(FIELD, f"keeps answers of up to {BODY_MOST} octets: ask for less at once"))
    sealed = _sealed(claim, now_ms, msgspec.msgpack.encode(answer))
    REPLAYS.put(txn, claim.name, Replay(claim.digest, now_ms, sealed))
    BY_TIME.add(txn, now_ms, claim.name)


def _is_over(kept: Replay, now_ms: int) -> bool:
    return now_ms - kept.at_ms >= KEPT_MS


def forget(txn: Txn, now_ms: int, limit: int) -> bool:
    """Remove up to `limit` answers whose time is over, the oldest first; whether there may be more of them."""
    over: list[tuple[int, bytes]] = []
    for at_ms, name in BY_TIME.scan(txn):
        if now_ms - at_ms < KEPT_MS or len(over) == limit:
            break
        over.append((at_ms, name))
    for at_ms, name in over:
        BY_TIME.remove(txn, at_ms, name)
        REPLAYS.remove(txn, name)
    return len(over) == limit


class AtWork:
    """The calls under a key that are being done at this moment, in this process."""

    def __init__(self) -> None:
        self._digests: dict[bytes, bytes] = {}

    def require_free(self, claim: Claim) -> None:
        """Raises Conflict where the same call is at work, Invalid where another one is under its key."""
        digest = self._digests.get(claim.name)
        if digest is not None and digest != claim.digest:
            raise reused()
        if digest is not None:
            raise Conflict("the first call under this key is still at work", code=IN_WORK)

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[None]:
        """Let the call be at work until the context is left.  Ask `require_free` before, in the same turn."""
        self._digests[claim.name] = claim.digest
        try:
            yield
        finally:
            del self._digests[claim.name]
