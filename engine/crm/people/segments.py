"""Segments: sets of customers, by a condition that is kept with its name.

A live one is who fulfils the condition at the moment that it is asked; a fixed one who did when it was made.
"""

from typing import Any, Final, Literal

import msgspec

from engine.crm.people import condition_json, condition_text, fields, words
from engine.crm.people.conditions import Condition, segments_in
from engine.crm.people.house_words import HouseWords
from engine.crm.people.programs import Resolve
from engine.crm.people.vocabulary import checked
from engine.errors import Conflict, Invalid, InvalidParam, NotFound, Stale
from engine.store import ids
from engine.store.table import Table, Txn, Unique
from engine.traffic import events

NAME_LONGEST: Final = 100  # characters
CHAIN_LONGEST: Final = 16  # segments that refer to one another in a row

Kind = Literal["live", "fixed"]


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """`definition` is the condition as JSON; `last_count` customers were in it at `last_ms`."""

    id: int
    name: str
    definition: dict[str, Any]
    kind: Kind = "live"
    last_count: int = 0
    last_ms: int = 0
    is_archived: bool = False
    created_ms: int = 0
    created_by: str = ""
    updated_ms: int = 0
    version: int = 1


SEGMENTS: Final = Table("segments", Segment)
BY_NAME: Final = Unique("segments_by_name", "16s")

TABLES: Final = (SEGMENTS, BY_NAME)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("seg", identifier)


def words_of(txn: Txn) -> HouseWords:
    """What conditions may speak of now."""
    return HouseWords(fields.by_key(txn))


def read(txn: Txn, said: str | dict[str, Any], field: str = "definition") -> Condition:
    """A condition in either form, checked against what the house knows.  Raises Invalid naming the place."""
    condition = condition_text.parse(said) if isinstance(said, str) else condition_json.from_json(said, field)
    return checked(condition, words_of(txn), field)


def condition_of(txn: Txn, segment: Segment) -> Condition:
    """What the segment says.  Raises Invalid where a field that it speaks of is no more."""
    return read(txn, segment.definition)


def find(txn: Txn, name: str) -> Segment | None:
    """The segment of that name, whatever its case, or None."""
    identifier = BY_NAME.find(txn, words.digest(name))
    return None if identifier is None else SEGMENTS.get(txn, identifier)


def resolver(txn: Txn) -> Resolve:
    """How a condition finds the conditions that it refers to by name."""

    def resolve(name: str) -> Condition | None:
        found = find(txn, name)
        return None if found is None else condition_of(txn, found)

    return resolve


def add(txn: Txn, name: str, said: str | dict[str, Any], now_ms: int, by: str = "") -> Segment:
    """Keep a condition under a name.  Raises Invalid naming the place, Conflict where the name is taken."""
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    condition = read(txn, said)
    _check_references(txn, name, condition)
    identifier = ids.take(txn, now_ms)
    if not BY_NAME.add(txn, words.digest(name), identifier):
        raise Conflict(f"there is a segment {name!r}")
    segment = Segment(
        identifier, name, condition_json.to_json(condition), created_ms=now_ms, created_by=by, updated_ms=now_ms
    )
    SEGMENTS.put(txn, identifier, segment)
    events.append(txn, "segment.created", now_ms, name_of(identifier), name=name)
    return segment


def change(
    txn: Txn, identifier: int, said: str | dict[str, Any] | None, name: str | None, version: int | None, now_ms: int
) -> Segment:
    """Another condition, or another name.

    Raises NotFound, Invalid, Conflict for a name that is taken or another segment refers to, or a condition that leads
    back to its segment, and Stale where `version` is not the stored one.
    """
    old = SEGMENTS.get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the segment has version {old.version}, not {version}")
    new = old
    if name is not None and (name := " ".join(name.split())) != old.name:
        if not 0 < len(name) <= NAME_LONGEST:
            raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
        users = used_by(txn, old.name)
        if users and words.digest(name) != words.digest(old.name):
            raise Conflict(f"the segment is part of {', '.join(users)}")
        BY_NAME.remove(txn, words.digest(old.name))
        if not BY_NAME.add(txn, words.digest(name), identifier):
            raise Conflict(f"there is a segment {name!r}")
        new = msgspec.structs.replace(new, name=name)
    if said is not None:
        condition = read(txn, said)
        _check_references(txn, new.name, condition)
        new = msgspec.structs.replace(new, definition=condition_json.to_json(condition), last_count=0, last_ms=0)
    new = msgspec.structs.replace(new, version=old.version + 1, updated_ms=now_ms)
    SEGMENTS.put(txn, identifier, new)
    events.append(txn, "segment.changed", now_ms, name_of(identifier), name=new.name)
    return new


def archive(txn: Txn, identifier: int, now_ms: int) -> Segment:
    """Take it out of the lists.  Raises NotFound, and Conflict where another segment refers to it."""
    old = SEGMENTS.get(txn, identifier)
    users = used_by(txn, old.name)
    if users:
        raise Conflict(f"the segment is part of {', '.join(users)}")
    new = msgspec.structs.replace(old, is_archived=True, version=old.version + 1, updated_ms=now_ms)
    SEGMENTS.put(txn, identifier, new)
    events.append(txn, "segment.archived", now_ms, name_of(identifier), name=old.name)
    return new


def note_count(txn: Txn, counted: Segment, count: int, now_ms: int) -> None:
    """How many were in it at `now_ms`, unless it says something else by now; no new version."""
    found = SEGMENTS.find(txn, counted.id)
    if found is not None and found.definition == counted.definition:
        SEGMENTS.put(txn, found.id, msgspec.structs.replace(found, last_count=count, last_ms=now_ms))


def used_by(txn: Txn, name: str) -> list[str]:
    """The names of the segments that refer to it."""
    wanted = words.digest(name)
    return [
        segment.name
        for _, segment in SEGMENTS.scan(txn)
        if not segment.is_archived
        and any(words.digest(used) == wanted for used in segments_in(condition_json.from_json(segment.definition)))
    ]


def _check_references(txn: Txn, name: str, condition: Condition) -> None:
    """Raises NotFound for a segment that there is not, Conflict naming the chain that leads back, or is too long."""
    own = words.digest(name)

    def follow(below: Condition, chain: tuple[str, ...]) -> None:
        for used in segments_in(below):
            longer = (*chain, used)
            if words.digest(used) == own:
                raise Conflict(f"the condition leads back to its segment: {' → '.join(longer)}", code="segment_cycle")
            if len(longer) > CHAIN_LONGEST:
                raise Conflict(f"more than {CHAIN_LONGEST} segments in a row: {' → '.join(longer)}")
            found = find(txn, used)
            if found is None:
                raise NotFound(f"there is no segment {used!r}")
            follow(condition_json.from_json(found.definition), longer)

    follow(condition, (name,))


def listed(txn: Txn, after: int, limit: int) -> list[Segment]:
    """Up to `limit` that are in use behind the id `after`, the oldest first."""
    found: list[Segment] = []
    for _, segment in SEGMENTS.scan(txn, after=after or None):
        if len(found) >= limit:
            break
        if not segment.is_archived:
            found.append(segment)
    return found
