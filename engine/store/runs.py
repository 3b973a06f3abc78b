"""Runs: an index of (key, id) pairs that come by the ten thousand and are looked up by key, newest first.

A run is a sorted lot of pairs in packed pages; it is written at once and never changed.  Rules of this file:

1. A run is found from the moment it is published.  One that never is can be discarded, a few pages at a time.
2. Runs of similar size are merged, FAN_IN at a time, so that there are few of them however many were written.  A
   merge goes in steps: each writes the next full pages of the new run, and removes those that it has used up, so that
   the file does not grow by a run.
3. The new run is found from its first step on.  Its `floor` is the place up to which it has what its sources hold:
   there it alone counts, beyond it they alone.  So every pair is found once after every commit.
4. Retention is a merge too, of one run or more, that leaves the old ids out.  Broken off, it goes on as a merge that
   leaves out nothing more.

Knows no noun: the caller says what a key and an id are.
"""

import heapq
import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple, cast

import msgspec

from engine import _runs
from engine.errors import Conflict, RecordBroken
from engine.store.table import Keyed, Table, Txn

# Merging eight of a size writes a pair once in three doublings, and leaves at most seven of a size to look into.
FAN_IN: Final = 8
_FAN_IN_BITS: Final = 3

# How many pages `scan` reads at a time beside one of each run.
_SCANNED_PAGES: Final = 32

_ALL: Final = (1 << 64) - 1
_PAIR: Final = struct.Struct("<QQ")

# Where a run stands.
_UNPUBLISHED: Final = 0
_DISCARDED: Final = 1
_PUBLISHED: Final = 2

# Who numbered it.
_WRITTEN: Final = 0
_MERGED: Final = 1

_Stored = tuple[bytes, bytes]


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a run beside its pages."""

    pairs: int
    lowest: int  # id
    into: int = 0  # the merged run that its pairs go to now; 0: none
    is_open: bool = False  # a merged run that is still being made
    floor: bytes = b""  # the place up to which an open one is made
    horizon: int = 0  # ids below it are left out of an open one
    turn: int = 0  # of the last forgetting that it went through


class _Run(NamedTuple):
    kind: int
    number: int
    head: Head


class _Merge(NamedTuple):
    """One that is under way."""

    target: _Run
    sources: list[_Run]


def _tier(head: Head) -> int:
    """Runs of one tier are merged with one another, into the next."""
    return (max(head.pairs, 1).bit_length() - 1) // _FAN_IN_BITS


class Runs:
    """One such index.  `tables` are what the store has to be opened with."""

    def __init__(self, name: str) -> None:
        self._pages: Final = Keyed(name, "BQQQ")  # who numbered the run, its number, key and turned id of its last pair
        self._heads: Final = Table(f"{name}_heads", Head, "BBQ")  # where it stands, who numbered it, its number
        self.tables: Final[tuple[Keyed, ...]] = (self._pages, self._heads)

    # -- writing

    def write(self, txn: Txn, run: int, pairs: bytes) -> None:
        """Keep packed (u64 key, u64 id), little-endian, in any order, as a run that nobody finds yet.

        A pair that comes twice is kept once.  Raises Conflict where the run is there already, ValueError where the
        octets are no whole pairs.
        """
        stages = (_UNPUBLISHED, _DISCARDED, _PUBLISHED)
        if any(self._heads.find(txn, (stage, _WRITTEN, run)) is not None for stage in stages):
            raise Conflict(f"{self._pages.name}: run {run} was written before")
        packed, count, lowest = _runs.pack(pairs)
        self._put_pages(txn, _WRITTEN, run, packed)
        self._heads.put(txn, (_UNPUBLISHED, _WRITTEN, run), Head(count, lowest))

    def publish(self, txn: Txn, runs: Iterable[int]) -> None:
        """Let the runs be found from now on.  Raises NotFound for one that is not there to be published."""
        for run in runs:
            head = self._heads.get(txn, (_UNPUBLISHED, _WRITTEN, run))
            self._heads.remove(txn, (_UNPUBLISHED, _WRITTEN, run))
            if head.pairs:
                self._heads.put(txn, (_PUBLISHED, _WRITTEN, run), head)

    def unpublished(self, txn: Txn) -> list[int]:
        """The runs that nobody finds yet, and those that are being discarded."""
        stages = (_UNPUBLISHED, _DISCARDED)
        return sorted(key[2] for stage in stages for key, _ in self._heads.scan(txn, stage))

    def discard(self, txn: Txn, run: int, pages: int) -> bool:
        """Remove up to `pages` pages of an unpublished run; whether there may be more.

        From the first time on it can no longer be published.  Raises Conflict for a published run.
        """
        if self._heads.find(txn, (_PUBLISHED, _WRITTEN, run)) is not None:
            raise Conflict(f"{self._pages.name}: run {run} is published")
        doomed = self._first_pages(txn, _prefix(_WRITTEN, run), max(pages, 1))
        self._remove_pages(txn, doomed)
        head = self._heads.find(txn, (_UNPUBLISHED, _WRITTEN, run))
        if head is not None:
            self._heads.remove(txn, (_UNPUBLISHED, _WRITTEN, run))
            self._heads.put(txn, (_DISCARDED, _WRITTEN, run), head)
        if len(doomed) >= max(pages, 1):
            return True
        self._heads.remove(txn, (_DISCARDED, _WRITTEN, run))
        return False

    # -- finding

    def find(self, txn: Txn, key: int, before: int = 0) -> Iterator[int]:
        """The ids of `key`, highest first, below `before` if that is not 0; each once.

        Read on while the transaction lasts.  Raises RecordBroken.
        """
        found: list[Iterable[int]] = []
        published = self._published(txn)
        floors = _floors(published)
        wanted = key.to_bytes(8, "big")
        with txn.raw.cursor(db=txn.handles[self._pages.name]) as cursor:
            for kind, number, head in published:
                limit = before
                if head.into:
                    floor = self._floor(floors, kind, number, head)
                    # What lies up to the floor, the merged run has.
                    if wanted < floor[:8]:
                        continue
                    if wanted == floor[:8]:
                        lowest_moved = _turned(floor)
                        if not lowest_moved:
                            continue
                        limit = min(limit, lowest_moved) if limit else lowest_moved
                prefix = _prefix(kind, number)
                if not cursor.set_range(prefix + _place(key, limit)):
                    continue
                place, page = cast("_Stored", cursor.item())
                if not place.startswith(prefix):
                    continue
                ids = _runs.find(self._pages.name, place, page, key, limit)
                if ids:
                    goes_on = place[9:17] == wanted and ids[-1]
                    found.append(chain(ids, self._older(txn, prefix, key, ids[-1])) if goes_on else ids)
        return iter(found[0]) if len(found) == 1 else _once(heapq.merge(*found, reverse=True))

    def _older(self, txn: Txn, prefix: bytes, key: int, before: int) -> Iterator[int]:
        """The ids of `key` in the run below `before`, which is not 0: those on the pages after the first."""
        wanted = key.to_bytes(8, "big")
        while before:
            with txn.raw.cursor(db=txn.handles[self._pages.name]) as cursor:
                if not cursor.set_range(prefix + _place(key, before)):
                    return
                place, page = cast("_Stored", cursor.item())
            if not place.startswith(prefix):
                return
            ids = _runs.find(self._pages.name, place, page, key, before)
            yield from ids
            if not ids or place[9:17] != wanted:
                return
            before = ids[-1]

    def scan(self, txn: Txn) -> Iterator[tuple[int, int]]:
        """All (key, id) of published runs, by key and the highest id first; each once.  Raises RecordBroken."""
        published = self._published(txn)
        floors = _floors(published)
        behind = [
            (_prefix(kind, number), self._floor(floors, kind, number, head) if head.into else b"")
            for kind, number, head in published
        ]
        pages = max(_SCANNED_PAGES, len(published))
        done = b""
        while True:
            loaded, until = self._load(txn, [(prefix, max(floor, done)) for prefix, floor in behind], pages)
            yield from _runs.blend(self._pages.name, loaded, until)
            if not until:
                return
            done = until

    # -- merging

    def merge(self, txn: Txn, pages: int) -> bool:
        """Do one step of the merging that is due, which reads about `pages` pages; whether there is more to do.

        Small runs come first: they are many, and soon done.  Raises RecordBroken.
        """
        published = self._published(txn)
        merge = min(_under_way(published), key=_tier_of_merge, default=None)
        crowd = min(_crowds(published), key=_tier_of_crowd, default=None)
        if crowd is not None and (merge is None or _tier_of_crowd(crowd) < _tier_of_merge(merge)):
            merge = self._begin(txn, published, crowd)
        if merge is None:
            return False
        if merge.target.head.horizon:
            # Who began to forget knew what to spare.
            head = msgspec.structs.replace(merge.target.head, horizon=0, turn=0)
            merge = merge._replace(target=merge.target._replace(head=head))
        self._step(txn, merge, pages)
        published = self._published(txn)
        return bool(_under_way(published) or _crowds(published))

    def wants_merge(self, txn: Txn) -> bool:
        """Whether `merge` would find anything to do."""
        published = self._published(txn)
        return bool(_under_way(published) or _crowds(published))

    def count(self, txn: Txn) -> int:
        """How many pairs published runs hold; one of a merge that is under way may count twice."""
        return sum(run.head.pairs for run in self._published(txn))

    def forget(self, txn: Txn, before_id: int, pages: int, spared: bytes = b"", turn: int = 0) -> bool:
        """Drop pairs with ids below `before_id`, reading about `pages` pages; whether there may be more of them.

        Every run that holds such a pair is written anew, so it is worth while once they are many.  Ids in `spared`
        stay: packed (u64 first, u64 last), in the machine's order of octets, the lowest first.  Where there are any,
        `turn` is the number, higher each time, by which a run is known that was gone through.
        """
        published = self._published(txn)
        old = [merge for merge in _under_way(published) if _lowest(merge) < before_id]
        if old:
            merge = min(old, key=_tier_of_merge)
            horizon = max(merge.target.head.horizon, before_id)
            head = msgspec.structs.replace(merge.target.head, horizon=horizon)
            self._step(txn, merge._replace(target=merge.target._replace(head=head)), pages, spared)
            return True
        settled = [run for run in published if not run.head.into and not run.head.is_open]
        old_runs = [run for run in settled if run.head.lowest < before_id and not 0 < turn <= run.head.turn]
        if not old_runs:
            return False
        tier = min(_tier(run.head) for run in old_runs)
        sources = [run for run in old_runs if _tier(run.head) == tier][:FAN_IN]
        self._step(txn, self._begin(txn, published, sources, before_id, turn), pages, spared)
        return True

    def drop(self, txn: Txn, key: int) -> int:
        """Drop every pair of `key` from the published runs; how many those were.

        Raises Conflict while a merge is under way: its floor may stand at the key.
        """
        published = self._published(txn)
        if any(run.head.into or run.head.is_open for run in published):
            raise Conflict(f"{self._pages.name}: a merge is under way")
        wanted, dropped = key.to_bytes(8, "big"), 0
        for kind, number, head in published:
            prefix = _prefix(kind, number)
            stored: list[_Stored] = []
            for place, page in self._pages._scan(txn, prefix, prefix + wanted + bytes(8)):
                stored.append((place, page))
                if place[9:17] != wanted:
                    break
            pairs = _runs.blend(self._pages.name, [(b"", stored)], b"") if stored else []
            left = [pair for pair in pairs if pair[0] != key]
            if len(left) == len(pairs):
                continue
            packed, _, _ = _runs.pack(b"".join(_PAIR.pack(*pair) for pair in left))
            self._remove_pages(txn, [place for place, _ in stored])
            self._put_pages(txn, kind, number, packed)
            gone = len(pairs) - len(left)
            dropped += gone
            if head.pairs > gone:
                fewer = msgspec.structs.replace(head, pairs=head.pairs - gone)
                self._heads.put(txn, (_PUBLISHED, kind, number), fewer)
            else:
                self._heads.remove(txn, (_PUBLISHED, kind, number))
        return dropped

    def _begin(self, txn: Txn, published: list[_Run], sources: list[_Run], horizon: int = 0, turn: int = 0) -> _Merge:
        number = 1 + max((run.number for run in published if run.kind == _MERGED), default=0)
        for kind, source, head in sources:
            self._heads.put(txn, (_PUBLISHED, kind, source), msgspec.structs.replace(head, into=number))
        return _Merge(_Run(_MERGED, number, Head(0, _ALL, is_open=True, horizon=horizon, turn=turn)), sources)

    def _step(self, txn: Txn, merge: _Merge, pages: int, spared: bytes = b"") -> None:
        (kind, number, head), sources = merge
        loaded, until = self._load(
            txn, [(_prefix(source.kind, source.number), head.floor) for source in sources], max(pages, 1)
        )
        packed, count, lowest, floor = _runs.merge(self._pages.name, loaded, until, head.horizon, spared)
        self._remove_pages(txn, [key for _, stored in loaded for key, _ in stored if not until or key[9:] <= floor])
        self._put_pages(txn, kind, number, packed)
        made = msgspec.structs.replace(
            head, pairs=head.pairs + count, lowest=min(head.lowest, lowest) if count else head.lowest, floor=floor
        )
        if until:
            self._heads.put(txn, (_PUBLISHED, kind, number), made)
            return
        for source in sources:
            self._heads.remove(txn, (_PUBLISHED, source.kind, source.number))
        self._heads.remove(txn, (_PUBLISHED, kind, number))
        if made.pairs:
            self._heads.put(txn, (_PUBLISHED, kind, number), Head(made.pairs, made.lowest, turn=made.turn))

    def _load(
        self, txn: Txn, behind: list[tuple[bytes, bytes]], pages: int
    ) -> tuple[list[tuple[bytes, list[_Stored]]], bytes]:
        """Of each (prefix, floor) the first page and, of all together, `pages` more; and up to where they reach.

        The next page is always that of the run whose pages reach least far.  Reaching nowhere, b"", is the end.
        """
        loaded: list[tuple[bytes, list[_Stored]]] = []
        readers: list[Iterator[_Stored]] = []
        reach: list[tuple[bytes, int]] = []
        for place, (prefix, floor) in enumerate(behind):
            reader = self._pages._scan(txn, prefix, prefix + floor if floor else None)
            loaded.append((floor, []))
            readers.append(reader)
            _read_on(reader, place, loaded, reach)
        for _ in range(pages):
            if not reach:
                break
            _, place = heapq.heappop(reach)
            _read_on(readers[place], place, loaded, reach)
        until = reach[0][0] if reach else b""
        readers.clear()  # and their cursors with them
        return loaded, until

    # -- pages and heads

    def _put_pages(self, txn: Txn, kind: int, number: int, packed: list[_Stored]) -> None:
        prefix = _prefix(kind, number)
        handle = txn.handles[self._pages.name]
        for place, page in packed:
            txn.raw.put(prefix + place, page, db=handle)

    def _first_pages(self, txn: Txn, prefix: bytes, pages: int) -> list[bytes]:
        found: list[bytes] = []
        for key, _ in self._pages._scan(txn, prefix, None):
            if len(found) >= pages:
                break
            found.append(key)
        return found

    def _remove_pages(self, txn: Txn, keys: list[bytes]) -> None:
        handle = txn.handles[self._pages.name]
        for key in keys:
            txn.raw.delete(key, db=handle)

    def _published(self, txn: Txn) -> list[_Run]:
        return [_Run(key[1], key[2], head) for key, head in self._heads.scan(txn, _PUBLISHED)]

    def _floor(self, floors: dict[int, bytes], kind: int, number: int, head: Head) -> bytes:
        floor = floors.get(head.into)
        if floor is None or len(floor) != 16:
            key = self._heads.layout.pack(_PUBLISHED, kind, number)
            raise RecordBroken(self._heads.name, key, f"goes into run {head.into}, which is not being made")
        return floor


def _prefix(kind: int, number: int) -> bytes:
    return bytes([kind]) + number.to_bytes(8, "big")


def _place(key: int, before: int) -> bytes:
    """Where the highest id of `key` below `before` would stand; 0 is above all."""
    return key.to_bytes(8, "big") + (((before - 1) & _ALL) ^ _ALL).to_bytes(8, "big")


def _turned(place: bytes) -> int:
    return int.from_bytes(place[8:], "big") ^ _ALL


def _read_on(
    reader: Iterator[_Stored], place: int, loaded: list[tuple[bytes, list[_Stored]]], reach: list[tuple[bytes, int]]
) -> None:
    stored = next(reader, None)
    if stored is not None:
        loaded[place][1].append(stored)
        heapq.heappush(reach, (stored[0][9:], place))


def _once(ids: Iterable[int]) -> Iterator[int]:
    """Without those that equal the one before."""
    previous: int | None = None
    for each in ids:
        if each != previous:
            yield each
        previous = each


def _floors(published: list[_Run]) -> dict[int, bytes]:
    """Of each merged run that is being made, how far it is."""
    return {run.number: run.head.floor for run in published if run.kind == _MERGED and run.head.is_open}


def _under_way(published: list[_Run]) -> list[_Merge]:
    targets = [run for run in published if run.kind == _MERGED and run.head.is_open]
    return [_Merge(target, [run for run in published if run.head.into == target.number]) for target in targets]


def _crowds(published: list[_Run]) -> list[list[_Run]]:
    """Of each tier with enough runs to merge, the first ones."""
    tiers: dict[int, list[_Run]] = {}
    for run in published:
        if not run.head.into and not run.head.is_open:
            tiers.setdefault(_tier(run.head), []).append(run)
    return [runs[:FAN_IN] for runs in tiers.values() if len(runs) >= FAN_IN]


def _tier_of_merge(merge: _Merge) -> int:
    return max((_tier(source.head) for source in merge.sources), default=0)


def _tier_of_crowd(crowd: list[_Run]) -> int:
    return _tier(crowd[0].head)


def _lowest(merge: _Merge) -> int:
    return min(merge.target.head.lowest, *(source.head.lowest for source in merge.sources))
