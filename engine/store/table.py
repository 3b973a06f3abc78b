"""Tables of the store: key layouts, and what may be done with them inside a transaction.

    Table     key -> record
    Unique    key -> id, where a key may stand for one id only
    Index     key alone; the last field of the key is the id it leads to
    Line      key -> record, and every put or removal is told to the store's followers after the commit
    Octets    key -> octets as they are, for what native code packs and reads

A key is one value or a tuple of values in a fixed `struct` layout, big-endian, so that octet order is the
order of the fields.  Knows no noun.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

import lmdb
import msgspec

from engine.errors import Conflict, NotFound, RecordBroken
from engine.store.codec import RecordCodec

T = TypeVar("T")
Key = int | bytes | tuple[int | bytes, ...]

_ID: Final = struct.Struct(">Q")


class Note(NamedTuple):
    """One committed change of a Line: `value` is None where the entry was removed."""

    line: str
    key: tuple[Any, ...]
    value: Any


_note: Final = tuple.__new__  # a Note made by its own name takes twice as long


class Txn(msgspec.Struct, eq=False):
    """A transaction as changes see it: LMDB's, the handles of the named databases, and the notes it leaves.

    `beside` is what a change must reach beside the tables, in the very moment it is made, and `told` who is told in the
    same change what became of a number's texts (engine/traffic/message.py), and `price` what a part costs
    (engine/traffic/costs.py); the store does not know them.
    """

    raw: lmdb.Transaction
    handles: dict[str, Any]
    beside: Any = None
    notes: list[Note] = []
    told: Any = None
    price: Any = None


class Keyed:
    """What every kind of table shares: a name and a key layout."""

    def __init__(self, name: str, layout: str) -> None:
        self.name = name
        self.layout: Final = struct.Struct(">" + layout)
        self._pack: Final = self.layout.pack
        fields = _fields(self.layout.format)
        self._prefixes: Final = [struct.Struct(">" + "".join(fields[:count])) for count in range(len(fields) + 1)]

    def _key(self, key: Key) -> bytes:
        return self._pack(*key) if type(key) is tuple else self._pack(key)

    def _scan(
        self, txn: Txn, prefix: bytes, after: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Raw items whose key begins with `prefix`, strictly behind `after` in the direction of reading."""
        cursor = txn.raw.cursor(db=txn.handles[self.name])
        try:
            if reverse:
                # The first key beyond the prefix: step back from it.
                end = after if after is not None else prefix + b"\xff" * (self.layout.size - len(prefix) + 1)
                found = cursor.set_range(end)
                found = cursor.prev() if found else cursor.last()
                items = cursor.iterprev() if found else iter(())
            else:
                found = cursor.set_range(prefix if after is None else after)
                if found and after is not None and cursor.key() == after:
                    found = cursor.next()
                items = cursor.iternext() if found else iter(())
            for key, value in cast("Iterator[tuple[bytes, bytes]]", items):
                if not key.startswith(prefix):
                    return
                yield key, value
        finally:
            cursor.close()

    def at_or_before(self, txn: Txn, key: Key) -> tuple[tuple[Any, ...], bytes] | None:
        """The highest entry whose key is `key` or lower, with its raw value; None where there is none."""
        packed = self._key(key)
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            if cursor.set_range(packed):
                if cursor.key() != packed and not cursor.prev():
                    return None
            elif not cursor.last():
                return None
            return self.layout.unpack(cursor.key()), cast("bytes", cursor.value())

    def keys(self, txn: Txn, after: bytes, limit: int) -> list[bytes]:
        """Up to `limit` packed keys behind the packed key `after`, in order."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            found = cursor.set_range(after)
            if found and cursor.key() == after:
                found = cursor.next()
            items = cursor.iternext(keys=True, values=False) if found else iter(())
            return list(islice(cast("Iterator[bytes]", items), limit))

    def stretch(self, txn: Txn, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Up to `limit` packed keys behind the packed key `after` and their values, in order."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            found = cursor.set_range(after)
            if found and cursor.key() == after:
                found = cursor.next()
            return list(islice(cast("Iterator[tuple[bytes, bytes]]", cursor.iternext()), limit)) if found else []

    def between(self, txn: Txn, first: bytes, behind: bytes) -> list[tuple[bytes, bytes]]:
        """All packed keys from `first` on and before `behind`, with their values, in order."""
        items: list[tuple[bytes, bytes]] = []
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            if cursor.set_range(first):
                for item in cast("Iterator[tuple[bytes, bytes]]", cursor.iternext()):
                    if item[0] >= behind:
                        break
                    items.append(item)
        return items

    def find_many(self, txn: Txn, keys: list[bytes]) -> dict[bytes, bytes]:
        """The raw values of these packed keys; those that are not there are left out.  Quickest in order."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            return dict(cast("list[tuple[bytes, bytes]]", cursor.getmulti(keys)))

    def put_many(self, txn: Txn, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Write or replace these packed keys and their raw values.  Quickest in order."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            cursor.putmulti(items)

    def put_new(self, txn: Txn, items: list[tuple[bytes, bytes]]) -> bool:
        """Write those of these packed keys that are not there; whether that were all of them."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            consumed, added = cursor.putmulti(items, overwrite=False)
        return bool(consumed == added)

    def begun(self, txn: Txn, starts: list[bytes]) -> list[bytes]:
        """Those of these beginnings that some key has.  Quickest in order."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            seek, key = cursor.set_range, cast("Callable[[], bytes]", cursor.key)
            return [start for start in starts if seek(start) and key().startswith(start)]

    def last_key(self, txn: Txn) -> tuple[Any, ...] | None:
        """The highest key, or None where there is none."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            return self.layout.unpack(cursor.key()) if cursor.last() else None

    def any(self, txn: Txn) -> bool:
        """Whether there is an entry; a tenth of what `count` takes."""
        with txn.raw.cursor(db=txn.handles[self.name]) as cursor:
            return bool(cursor.first())

    def count(self, txn: Txn) -> int:
        """How many entries there are."""
        return int(txn.raw.stat(db=txn.handles[self.name])["entries"])

    def _prefix(self, prefix: tuple[int | bytes, ...]) -> bytes:
        # Every field of our layouts is one format character with an optional count, so a prefix packs by itself.
        return self._prefixes[len(prefix)].pack(*prefix)


def _fields(layout: str) -> list[str]:
    fields: list[str] = []
    digits = ""
    for character in layout.lstrip(">"):
        if character.isdigit():
            digits += character
        else:
            fields.append(digits + character)
            digits = ""
    return fields


class Table(Keyed, Generic[T]):
    """key -> record.  `get` raises NotFound, `find` returns None."""

    def __init__(self, name: str, kind: type[T], layout: str = "Q", version: int = 1) -> None:
        super().__init__(name, layout)
        self._codec: RecordCodec[T] = RecordCodec(kind, version)
        self._encode: Final = self._codec.encode

    def decode(self, key: Key, value: bytes) -> T:
        """The record in a raw value that stood under `key`.  Raises RecordBroken."""
        return self._decode(self._key(key), value)

    def _decode(self, key: bytes, value: bytes) -> T:
        try:
            return self._codec.decode(value)
        except (ValueError, msgspec.MsgspecError) as error:
            raise RecordBroken(self.name, key, str(error)) from error

    def find(self, txn: Txn, key: Key) -> T | None:
        """The record, or None."""
        packed = self._pack(*key) if type(key) is tuple else self._pack(key)
        value = txn.raw.get(packed, None, txn.handles[self.name])
        return None if value is None else self._decode(packed, cast("bytes", value))

    def octets(self, txn: Txn, packed: bytes) -> bytes | None:
        """The raw value under a packed key, or None."""
        return cast("bytes | None", txn.raw.get(packed, None, txn.handles[self.name]))

    def packed(self, key: Key, record: T) -> tuple[bytes, bytes]:
        """The key and the value as they are kept."""
        return self._key(key), self._encode(record)

    def encoded(self, record: T) -> bytes:
        """The value as it is kept."""
        return self._encode(record)

    def get(self, txn: Txn, key: Key) -> T:
        """The record.  Raises NotFound."""
        record = self.find(txn, key)
        if record is None:
            raise NotFound(f"there is no such entry in {self.name}")
        return record

    def put(self, txn: Txn, key: Key, record: T) -> None:
        """Write or replace."""
        packed = self._pack(*key) if type(key) is tuple else self._pack(key)
        txn.raw.put(packed, self._encode(record), True, True, False, txn.handles[self.name])

    def append(self, txn: Txn, key: Key, record: T) -> None:
        """Write behind the last key: quicker than `put`.  Raises Conflict where the key is not the highest."""
        if not txn.raw.put(self._key(key), self._encode(record), True, True, True, txn.handles[self.name]):
            raise Conflict(f"{self.name}: a key was appended out of order")

    def remove(self, txn: Txn, key: Key) -> bool:
        """Whether there was something to remove."""
        return bool(txn.raw.delete(self._key(key), b"", txn.handles[self.name]))

    def scan(
        self, txn: Txn, *prefix: int | bytes, after: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[tuple[Any, ...], T]]:
        """(key, record) in key order below `prefix`, behind `after`.  Break off early: nothing is read ahead."""
        behind = None if after is None else self._key(after)
        for key, value in self._scan(txn, self._prefix(prefix), behind, reverse):
            yield self.layout.unpack(key), self._decode(key, value)


class Unique(Keyed):
    """key -> the id of the one thing that has it."""

    def find(self, txn: Txn, key: Key) -> int | None:
        """The id, or None."""
        value = txn.raw.get(self._key(key), None, txn.handles[self.name])
        return None if value is None else int(_ID.unpack(value)[0])

    def add(self, txn: Txn, key: Key, owner: int) -> bool:
        """Whether the key was free and is now `owner`'s."""
        return bool(txn.raw.put(self._key(key), _ID.pack(owner), True, False, False, txn.handles[self.name]))

    def remove(self, txn: Txn, key: Key) -> bool:
        """Whether there was something to remove."""
        return bool(txn.raw.delete(self._key(key), b"", txn.handles[self.name]))

    def scan(self, txn: Txn, *prefix: int | bytes) -> Iterator[tuple[tuple[Any, ...], int]]:
        """(key, id) in key order."""
        for key, value in self._scan(txn, self._prefix(prefix), None):
            yield self.layout.unpack(key), int(_ID.unpack(value)[0])


class Index(Keyed):
    """Keys whose last field is the id they lead to."""

    def add(self, txn: Txn, *key: int | bytes) -> None:
        """Put the key in; a second time changes nothing."""
        txn.raw.put(self._key(key), b"", True, True, False, txn.handles[self.name])

    def remove(self, txn: Txn, *key: int | bytes) -> bool:
        """Whether it was there."""
        return bool(txn.raw.delete(self._key(key), b"", txn.handles[self.name]))

    def scan(
        self,
        txn: Txn,
        *prefix: int | bytes,
        after: tuple[int | bytes, ...] | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[Any, ...]]:
        """Keys in order below `prefix`, behind `after`."""
        behind = None if after is None else self._key(after)
        for key, _ in self._scan(txn, self._prefix(prefix), behind, reverse):
            yield self.layout.unpack(key)

    def scan_octets(self, txn: Txn, start: bytes) -> Iterator[tuple[Any, ...]]:
        """Keys in order that begin with these octets, wherever a field ends."""
        for key, _ in self._scan(txn, start, None):
            yield self.layout.unpack(key)


class Line(Table[T]):
    """A table whose committed changes the store tells to its followers: work that somebody waits for."""

    def put(self, txn: Txn, key: Key, record: T) -> None:
        """Write or replace, and note it."""
        fields = key if type(key) is tuple else (key,)
        txn.raw.put(self._pack(*fields), self._encode(record), True, True, False, txn.handles[self.name])
        txn.notes.append(_note(Note, (self.name, fields, record)))

    def remove(self, txn: Txn, key: Key) -> bool:
        """Whether there was something to remove; noted if so."""
        gone = super().remove(txn, key)
        if gone:
            txn.notes.append(Note(self.name, key if type(key) is tuple else (key,), None))
        return gone

    def remove_quietly(self, txn: Txn, key: Key) -> bool:
        """Whether there was something to remove; nobody is told, since the same is put under another key."""
        return super().remove(txn, key)


class Octets(Keyed):
    """key -> octets as they are: whoever reads them checks them."""

    def find(self, txn: Txn, key: Key) -> bytes | None:
        """The octets, or None."""
        return cast("bytes | None", txn.raw.get(self._key(key), None, txn.handles[self.name]))

    def put(self, txn: Txn, key: Key, octets: bytes) -> None:
        """Write or replace."""
        txn.raw.put(self._key(key), octets, True, True, False, txn.handles[self.name])

    def remove(self, txn: Txn, key: Key) -> bool:
        """Whether there was something to remove."""
        return bool(txn.raw.delete(self._key(key), b"", txn.handles[self.name]))

    def scan(
        self, txn: Txn, *prefix: int | bytes, after: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[tuple[Any, ...], bytes]]:
        """(key, octets) in key order below `prefix`, behind `after`."""
        behind = None if after is None else self._key(after)
        for key, value in self._scan(txn, self._prefix(prefix), behind, reverse):
            yield self.layout.unpack(key), value
