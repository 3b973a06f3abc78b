"""Organisations: firms and shops that people belong to."""

from typing import Final, Literal

import msgspec

from engine.crm.people import regions, words
from engine.errors import Conflict, Invalid, InvalidParam, Stale
from engine.store import ids
from engine.store.table import Index, Table, Txn
from engine.traffic import events

NAME_LONGEST: Final = 200  # characters

Kind = Literal["customer", "partner", "supplier", "competitor", "public", "store"]


class Organisation(msgspec.Struct, frozen=True, array_like=True):
    """`region` and `parent` are 0 for none."""

    id: int
    name: str
    kind: Kind = "customer"
    region: int = 0
    parent: int = 0
    is_active: bool = True
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


ORGANISATIONS: Final = Table("organisations", Organisation)
BY_WORD: Final = Index("organisations_by_word", f"{words.KEY_OCTETS}sQ")

TABLES: Final = (ORGANISATIONS, BY_WORD)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("org", identifier)


def add(txn: Txn, organisation: Organisation, now_ms: int) -> Organisation:
    """Store a new one.  Raises Invalid naming the field."""
    organisation = msgspec.structs.replace(
        organisation, id=ids.take(txn, now_ms), created_ms=now_ms, updated_ms=now_ms, version=1
    )
    _put(txn, None, organisation)
    events.append(txn, "organisation.created", now_ms, name_of(organisation.id), type=organisation.kind)
    return organisation


def change(txn: Txn, organisation: Organisation, version: int | None, now_ms: int) -> Organisation:
    """Replace one.  Raises NotFound, Invalid, Conflict, and Stale where `version` is not the stored one."""
    old = ORGANISATIONS.get(txn, organisation.id)
    if version is not None and version != old.version:
        raise Stale(f"the organisation has version {old.version}, not {version}")
    organisation = msgspec.structs.replace(
        organisation, created_ms=old.created_ms, updated_ms=now_ms, version=old.version + 1
    )
    _put(txn, old, organisation)
    events.append(txn, "organisation.changed", now_ms, name_of(organisation.id))
    return organisation


def _put(txn: Txn, old: Organisation | None, new: Organisation) -> None:
    if not 0 < len(new.name) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if new.region and regions.REGIONS.find(txn, new.region) is None:
        raise Invalid(InvalidParam("region", "is not a region"))
    above, seen = new.parent, {new.id}
    while above:
        if above in seen:
            raise Conflict("an organisation cannot belong to itself")
        seen.add(above)
        parent = ORGANISATIONS.find(txn, above)
        if parent is None:
            raise Invalid(InvalidParam("parent", "is not an organisation"))
        above = parent.parent
    for word in words.of_name(old.name) if old else ():
        BY_WORD.remove(txn, words.key(word), new.id)
    for word in words.of_name(new.name):
        BY_WORD.add(txn, words.key(word), new.id)
    ORGANISATIONS.put(txn, new.id, new)


def search(txn: Txn, name: str, limit: int) -> list[Organisation]:
    """Those of which a word begins with each word of `name`, the oldest first."""
    begun = words.of_name(name)
    if not begun:
        return []
    longest = max(begun, key=len)
    found = sorted({key[-1] for key in BY_WORD.scan_octets(txn, words.start(longest))})
    records = (ORGANISATIONS.get(txn, identifier) for identifier in found)
    return [record for record in records if words.has_all(record.name, begun)][:limit]


def listed(txn: Txn, after: int, limit: int) -> list[Organisation]:
    """Up to `limit` behind the id `after`, the oldest first."""
    found: list[Organisation] = []
    for _, record in ORGANISATIONS.scan(txn, after=after or None):
        if len(found) >= limit:
            break
        found.append(record)
    return found
