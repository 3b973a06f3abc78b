"""Regions: a tree of places, each with its code and, if it has one of its own, its time zone."""

from collections.abc import Iterator
from typing import Final

import msgspec

from engine.crm.people import words
from engine.crm.people.zones import clock
from engine.errors import Conflict, Invalid, InvalidParam, NotFound, Stale
from engine.store.table import Table, Txn, Unique
from engine.traffic import events

NAME_LONGEST: Final = 200  # characters
CODE_LONGEST: Final = 32
DEPTH_MOST: Final = 16


class Region(msgspec.Struct, frozen=True, array_like=True):
    """`parent` is 0 at the top of the tree; `time_zone` is an IANA name, empty where the parent's holds."""

    id: int
    name: str
    code: str
    parent: int = 0
    time_zone: str = ""
    version: int = 1


REGIONS: Final = Table("regions", Region, "I")
BY_CODE: Final = Unique("regions_by_code", "16s")

TABLES: Final = (REGIONS, BY_CODE)


def add(txn: Txn, region: Region, now_ms: int) -> Region:
    """Store a new region.  Raises Invalid naming the field, Conflict where the code is taken."""
    last = REGIONS.last_key(txn)
    region = msgspec.structs.replace(region, id=1 if last is None else last[0] + 1, version=1)
    _check(txn, region)
    if not BY_CODE.add(txn, words.digest(region.code), region.id):
        raise Conflict(f"there is a region with the code {region.code}")
    REGIONS.put(txn, region.id, region)
    events.append(txn, "region.created", now_ms, f"reg_{region.id}", code=region.code)
    return region


def change(txn: Txn, region: Region, version: int | None, now_ms: int) -> Region:
    """Replace a region.

    Raises NotFound, Invalid, Conflict where the code is taken or the tree would be none, and Stale where `version` is
    not the stored one.
    """
    old = REGIONS.get(txn, region.id)
    if version is not None and version != old.version:
        raise Stale(f"the region has version {old.version}, not {version}")
    region = msgspec.structs.replace(region, version=old.version + 1)
    _check(txn, region)
    if BY_CODE.find(txn, words.digest(region.code)) not in (None, region.id):
        raise Conflict(f"there is a region with the code {region.code}")
    BY_CODE.remove(txn, words.digest(old.code))
    BY_CODE.add(txn, words.digest(region.code), region.id)
    REGIONS.put(txn, region.id, region)
    events.append(txn, "region.changed", now_ms, f"reg_{region.id}", code=region.code)
    return region


def _check(txn: Txn, region: Region) -> None:
    if not 0 < len(region.name) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if not 0 < len(region.code) <= CODE_LONGEST:
        raise Invalid(InvalidParam("code", f"is not 1 to {CODE_LONGEST} characters"))
    if region.time_zone:
        clock(region.time_zone)
    if region.parent and REGIONS.find(txn, region.parent) is None:
        raise Invalid(InvalidParam("parent", "is not a region"))
    above = [found.id for found in _above(txn, region.parent)]
    if region.id in above:
        raise Conflict("a region cannot lie within itself")
    if len(above) >= DEPTH_MOST:
        raise Invalid(InvalidParam("parent", f"lies {DEPTH_MOST} deep: no deeper"))


def _above(txn: Txn, identifier: int) -> Iterator[Region]:
    """The region and those that it lies in."""
    seen: set[int] = set()
    while identifier and identifier not in seen:
        seen.add(identifier)
        region = REGIONS.find(txn, identifier)
        if region is None:
            return
        yield region
        identifier = region.parent


def find(txn: Txn, said: str) -> int | None:
    """The region with that code, or None."""
    return BY_CODE.find(txn, words.digest(said))


def require(txn: Txn, said: str, field: str = "region") -> int:
    """The region with that code.  Raises Invalid naming `field`."""
    found = find(txn, said)
    if found is None:
        raise Invalid(InvalidParam(field, f"there is no region with the code {said!r}"))
    return found


def code_of(txn: Txn, identifier: int) -> str:
    """Its code, empty for 0.  Raises NotFound."""
    return REGIONS.get(txn, identifier).code if identifier else ""


def zone_of(txn: Txn, identifier: int) -> str:
    """The time zone that holds in a region, empty where none was told."""
    return next((region.time_zone for region in _above(txn, identifier) if region.time_zone), "")


def listed(txn: Txn) -> list[Region]:
    """All regions, the oldest first."""
    return [region for _, region in REGIONS.scan(txn)]


def below(txn: Txn, identifier: int) -> frozenset[int]:
    """The region and all that lie in it.  Raises NotFound."""
    if REGIONS.find(txn, identifier) is None:
        raise NotFound("there is no such region")
    children: dict[int, list[int]] = {}
    for region in listed(txn):
        children.setdefault(region.parent, []).append(region.id)
    found, todo = {identifier}, [identifier]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return frozenset(found)
