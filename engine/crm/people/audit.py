"""The audit log: who did what to which thing, every row bound to the one before it.

Rules of this file:

1. Rows are appended, and cut from the front by time; nothing else is done to them.
2. A row is stored behind its own hash and the hash of the row before.  Its own is SHA-256 over the hash before, its key
   and its octets: one changed octet is found at that very row, a row that is missing at the next.
3. A row holds no value and no reason, only a keyed digest of each, under a salt of the row's own.  The values stand
   beside it in a row of VALUES, with the salt: where that is erased, the chain stays whole, and not even who has the
   key file can find by trying what the digest was made of.
4. A log that was cut short or written anew as a whole is whole in itself.  What betrays it are the heads, one a day,
   that are kept elsewhere (engine/crm/people/audit_heads.py).
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from engine.access.caller import Caller
from engine.errors import RecordBroken
from engine.store import ids
from engine.store.codec import RecordCodec
from engine.store.table import Index, Keyed, Octets, Table, Txn

Via = Literal["web", "api", "sms", "system"]
Key = tuple[int, int]  # milliseconds, and which one of them
Changes = Mapping[str, tuple[Any, Any]]  # field -> before and after, plain JSON values; None for no value

DAY_MS: Final = 86_400_000
_HASH_OCTETS: Final = 32
_SALT_OCTETS: Final = 16
_SEQUENCES: Final = 1 << ids.COUNTER_BITS  # of one millisecond, so that a key is an id
_PERSON: Final = b"carillon audit"
_ONLY: Final = 0
_BEGINNING: Final = bytes(_HASH_OCTETS)


class By(msgspec.Struct, frozen=True):
    """Whose hand it is, and by which way: what every row begins with.

    `source` is the address or the id of the message that it came from; the pepper keys the digests.
    """

    caller: Caller
    via: Via
    pepper: bytes
    source: str = ""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One thing that was done.  `number` counts from 1; `changes` are digests of what was before and after."""

    number: int
    at_ms: int
    actor_kind: str
    actor_name: str
    actor_id: int
    via: str
    action: str
    target: str
    changes: dict[str, tuple[bytes, bytes]] = {}
    reason: bytes = b""
    source: str = ""


class Values(msgspec.Struct, frozen=True, array_like=True):
    """What an entry's digests were made of, as JSON text, empty for no value.  An erasure may remove it."""

    salt: bytes
    changes: dict[str, tuple[str, str]] = {}
    reason: str = ""


class Log(msgspec.Struct, frozen=True, array_like=True):
    """How many rows were ever written and the last one's hash; the last one that was cut off, and its hash."""

    rows: int = 0
    head: bytes = _BEGINNING
    cut: int = 0
    base: bytes = _BEGINNING
    cut_at: Key = (0, 0)


class Row(NamedTuple):
    """A row as it is read: `values` is None where there are none, or no longer."""

    id: int
    entry: Entry
    values: Values | None


class Head(NamedTuple):
    """The last row of a day, as it is kept outside of the store: its number, id on the wire, and hash in hex."""

    day: str
    number: int
    name: str
    hash: str


class Broken(NamedTuple):
    """The first row that is not as it was written: its id on the wire, its number, and what is wrong."""

    name: str
    number: int
    reason: str


AUDIT: Final = Octets("audit", "QI")
VALUES: Final = Table("audit_values", Values, "QI")
BY_ACTOR: Final = Index("audit_by_actor", "16sQI")
BY_TARGET: Final = Index("audit_by_target", "16sQI")
LOG: Final = Table("audit_log", Log, "B")

TABLES: Final[tuple[Keyed, ...]] = (AUDIT, VALUES, BY_ACTOR, BY_TARGET, LOG)

_entries: Final = RecordCodec(Entry)


# -- names


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("aud", identifier)


def id_of(key: Key) -> int:
    """A row's key as an id."""
    return key[0] << ids.COUNTER_BITS | key[1]


def key_of(identifier: int) -> Key:
    """The key that `id_of` took."""
    return identifier >> ids.COUNTER_BITS, identifier & _SEQUENCES - 1


def actor_name(kind: str, name: str, identifier: int) -> str:
    """By what an actor is looked up: the id of a member of the staff, else its kind and name, as `token:till`."""
    return ids.render("stf", identifier) if kind == "staff" else f"{kind}:{name}"


def _looked_up(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


# -- writing


def append(
    txn: Txn,
    by: By,
    action: str,
    target: str,
    now_ms: int,
    changes: Changes | None = None,
    reason: str = "",
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> int:
    """Add a row; its id.  `action` is a slug like "staff.changed", `target` the thing's id on the wire."""
    log = LOG.find(txn, _ONLY) or Log()
    last_ms, sequence = AUDIT.last_key(txn) or log.cut_at
    key = _behind((last_ms, sequence), now_ms)
    told = {field: (_text(before), _text(after)) for field, (before, after) in (changes or {}).items()}
    values = Values(random(_SALT_OCTETS), told, reason)
    caller = by.caller
    entry = Entry(
        log.rows + 1, now_ms, caller.kind, caller.name, caller.id, by.via, action, target,
        *_digests(by.pepper, values), by.source,
    )  # fmt: skip
    body = _entries.encode(entry)
    own = _hash(log.head, key, body)
    AUDIT.put(txn, key, own + log.head + body)
    if told or reason:
        VALUES.put(txn, key, values)
    for index, text in _indexed(entry):
        index.add(txn, text, *key)
    LOG.put(txn, _ONLY, msgspec.structs.replace(log, rows=entry.number, head=own))
    return id_of(key)


def written(txn: Txn) -> int:
    """How many rows were ever written."""
    return (LOG.find(txn, _ONLY) or Log()).rows


def _behind(last: Key, now_ms: int) -> Key:
    """The next key, also where the clock was set back."""
    if now_ms > last[0]:
        return now_ms, 0
    return (last[0], last[1] + 1) if last[1] + 1 < _SEQUENCES else (last[0] + 1, 0)


def _text(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value, order="deterministic").decode()


def _digests(pepper: bytes, values: Values) -> tuple[dict[str, tuple[bytes, bytes]], bytes]:
    """What stands in the row for its values and its reason."""

    def digest(field: str, text: str) -> bytes:
        told = f"{field}\0{text}".encode("utf-8", "surrogatepass")
        keyed = hashlib.blake2b(told, key=pepper, salt=values.salt, person=_PERSON, digest_size=16)
        return keyed.digest() if text else b""

    changes = {
        field: (digest(f"{field} before", before), digest(f"{field} after", after))
        for field, (before, after) in values.changes.items()
    }
    return changes, digest("", values.reason)


def _hash(before: bytes, key: Key, body: bytes) -> bytes:
    return hashlib.sha256(before + AUDIT.layout.pack(*key) + body).digest()


def _indexed(entry: Entry) -> tuple[tuple[Index, bytes], tuple[Index, bytes]]:
    actor = actor_name(entry.actor_kind, entry.actor_name, entry.actor_id)
    return (BY_ACTOR, _looked_up(actor)), (BY_TARGET, _looked_up(entry.target))


def erase_values(txn: Txn, target: str) -> int:
    """Remove what was before and after in all rows about `target`, and their reasons; of how many rows."""
    keys = [key[1:] for key in BY_TARGET.scan(txn, _looked_up(target))]
    return sum(VALUES.remove(txn, key) for key in keys)


def cut(txn: Txn, horizon_ms: int, most: int = 500) -> bool:
    """Remove up to `most` of the rows that are older than the horizon; whether there may be more."""
    log = LOG.find(txn, _ONLY) or Log()
    doomed: list[tuple[Key, bytes]] = []
    for key, octets in AUDIT.scan(txn):
        if key[0] >= horizon_ms or len(doomed) >= most:
            break
        doomed.append(((key[0], key[1]), octets))
    for key, octets in doomed:
        entry = _entry(key, octets)
        AUDIT.remove(txn, key)
        VALUES.remove(txn, key)
        for index, text in _indexed(entry):
            index.remove(txn, text, *key)
        log = msgspec.structs.replace(log, cut=entry.number, base=octets[:_HASH_OCTETS], cut_at=key)
    if doomed:
        LOG.put(txn, _ONLY, log)
    return len(doomed) == most


# -- reading


def _entry(key: Key, octets: bytes) -> Entry:
    try:
        return _entries.decode(octets[2 * _HASH_OCTETS :])
    except (ValueError, msgspec.MsgspecError) as error:
        raise RecordBroken(AUDIT.name, AUDIT.layout.pack(*key), str(error)) from error


def get(txn: Txn, key: Key) -> Row | None:
    """The row that stands there, or None.  Raises RecordBroken."""
    octets = AUDIT.find(txn, key)
    return None if octets is None else Row(id_of(key), _entry(key, octets), VALUES.find(txn, key))


def listed(
    txn: Txn,
    limit: int,
    *,
    before: int = 0,
    since_ms: int = 0,
    until_ms: int = 0,
    actor: str = "",
    target: str = "",
) -> list[Row]:
    """Up to `limit` rows newest first: those older than the id `before` (0: from the newest), of these times, by this
    actor (as `actor_name` has it) and about this target.  Raises RecordBroken.
    """
    ends = [key_of(before)] * bool(before) + [(until_ms, 0)] * bool(until_ms)
    end = min(ends, default=None)
    found: list[Row] = []
    for key in _keys(txn, end, actor, target):
        if key[0] < since_ms or len(found) >= limit:
            break
        row = get(txn, key)
        if row is not None and (not actor or actor_name(*_actor(row.entry)) == actor):
            found.append(row)
    return found


def _actor(entry: Entry) -> tuple[str, str, int]:
    return entry.actor_kind, entry.actor_name, entry.actor_id


def _keys(txn: Txn, end: Key | None, actor: str, target: str) -> Iterator[Key]:
    """Newest first, below `end`."""
    if not actor and not target:
        for key, _ in AUDIT.scan(txn, after=end, reverse=True):
            yield key[0], key[1]
        return
    # About one thing there is less than by one actor.
    index, text = (BY_TARGET, _looked_up(target)) if target else (BY_ACTOR, _looked_up(actor))
    for _, at_ms, sequence in index.scan(txn, text, after=None if end is None else (text, *end), reverse=True):
        yield at_ms, sequence


def daily_head(txn: Txn, now_ms: int) -> Head | None:
    """The last row before the day of `now_ms` (UTC) began; None where there is none."""
    midnight_ms = now_ms - now_ms % DAY_MS
    found = AUDIT.at_or_before(txn, (midnight_ms - 1, (1 << 32) - 1))
    if found is None:
        return None
    (at_ms, sequence), octets = found
    key = (at_ms, sequence)
    day = datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
    return Head(day, _entry(key, octets).number, name_of(id_of(key)), octets[:_HASH_OCTETS].hex())


# -- proving


class Walk:
    """A proof on its way: some rows at a time, each time in a snapshot of its own, while others append and cut.

    Without a pepper the values are not held against their digests.
    """

    def __init__(self, heads: Sequence[Head] = (), pepper: bytes | None = None) -> None:
        self.rows = 0
        self.broken: Broken | None = None
        self._heads = {head.number: head for head in heads}
        self._pepper = pepper
        self._number = -1  # of the last row that is proven
        self._hash = b""
        self._after: Key | None = None

    def step(self, txn: Txn, most: int) -> bool:
        """Prove up to `most` rows more; whether there is more to do."""
        log = LOG.find(txn, _ONLY) or Log()
        if self._number < log.cut:
            self._number, self._hash = log.cut, log.base
            if self.broken is None:
                self.broken = self._wrong_head(log.cut, log.base)
        for seen, (key, octets) in enumerate(AUDIT.scan(txn, after=self._after)):
            if self.broken is not None or seen >= most:
                return self.broken is None
            self._prove(txn, (key[0], key[1]), octets)
        if self.broken is None:
            self.broken = self._wrong_end(log)
        return False

    def _prove(self, txn: Txn, key: Key, octets: bytes) -> None:
        number, name = self._number + 1, name_of(id_of(key))
        own, before = octets[:_HASH_OCTETS], octets[_HASH_OCTETS : 2 * _HASH_OCTETS]
        body = octets[2 * _HASH_OCTETS :]
        reason = ""
        if not hmac.compare_digest(own, _hash(before, key, body)):
            reason = "its octets are not those that were written"
        elif before != self._hash:
            reason = "the row before it is missing, or another one"
        else:
            reason = self._wrong_inside(txn, key, octets, number)
        if reason:
            self.broken = Broken(name, number, reason)
            return
        self.broken = self._wrong_head(number, own)
        self._number, self._hash, self._after = number, own, key
        self.rows += 1

    def _wrong_inside(self, txn: Txn, key: Key, octets: bytes, number: int) -> str:
        """What is wrong with a row whose hash fits: hashes can be made by anybody."""
        try:
            entry = _entry(key, octets)
        except RecordBroken:
            return "it cannot be read"
        if entry.number != number:
            return "it has the number of another row"
        # The values, where there are any yet, are those that the digests were made of.
        try:
            values = VALUES.find(txn, key)
        except RecordBroken:
            return "its values cannot be read"
        if values is None or self._pepper is None:
            return ""
        is_right = len(values.salt) == _SALT_OCTETS and _digests(self._pepper, values) == (entry.changes, entry.reason)
        return "" if is_right else "its values are not those that were written"

    def _wrong_head(self, number: int, own: bytes) -> Broken | None:
        head = self._heads.pop(number, None)
        if head is None or head.hash == own.hex():
            return None
        return Broken(head.name, number, f"it is not the row that ended the day {head.day}")

    def _wrong_end(self, log: Log) -> Broken | None:
        if (self._number, self._hash) != (log.rows, log.head):
            return Broken("", self._number + 1, f"the log ends before it, and {log.rows} rows were written")
        for number in sorted(self._heads):
            if number > log.rows:
                head = self._heads[number]
                return Broken(head.name, number, f"it ended the day {head.day}, and is missing")
        return None


def verify(txn: Txn, heads: Sequence[Head] = (), pepper: bytes | None = None) -> int | Broken:
    """How many rows there are, all as they were written; or the first that is not."""
    walk = Walk(heads, pepper)
    while walk.step(txn, 1 << 30):
        pass
    return walk.rows if walk.broken is None else walk.broken


def differences(txn: Txn) -> Iterator[str]:
    """What the indexes are not, as a rebuild would make them."""
    wanted: dict[str, set[tuple[Any, ...]]] = {BY_ACTOR.name: set(), BY_TARGET.name: set()}
    rows: set[tuple[Any, ...]] = set()
    for key, octets in AUDIT.scan(txn):
        rows.add(key)
        for index, text in _indexed(_entry((key[0], key[1]), octets)):
            wanted[index.name].add((text, *key))
    for index in (BY_ACTOR, BY_TARGET):
        found = set(index.scan(txn))
        for missing in sorted(wanted[index.name] - found):
            yield f"{index.name}: {missing} is missing"
        for stray in sorted(found - wanted[index.name]):
            yield f"{index.name}: {stray} leads nowhere"
    for key, _ in VALUES.scan(txn):
        if key not in rows:
            yield f"{VALUES.name}: {key} belongs to no row"
