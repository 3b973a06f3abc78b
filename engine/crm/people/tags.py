"""Tags: words that staff put on people; kept once, and on a person as a number."""

from collections.abc import Iterable
from typing import Final

import msgspec

from engine.crm.people import words
from engine.crm.people.customer import BY_TAG
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store.table import Table, Txn, Unique
from engine.traffic import events

NAME_LONGEST: Final = 64  # characters
ON_ONE_MOST: Final = 100  # tags on a person


class Tag(msgspec.Struct, frozen=True, array_like=True):
    """`id` counts from 1 and is never given twice."""

    id: int
    name: str
    created_ms: int = 0


TAGS: Final = Table("tags", Tag, "I")
BY_NAME: Final = Unique("tags_by_name", "16s")
GIVEN: Final = Table("tags_given", int, "B")  # the last id that was given, whether there is still such a tag

TABLES: Final = (TAGS, BY_NAME, GIVEN)


def find(txn: Txn, name: str) -> int | None:
    """The tag of that name, whatever its case, or None."""
    return BY_NAME.find(txn, words.digest(name))


def require(txn: Txn, names: Iterable[str], now_ms: int, field: str = "tags") -> tuple[int, ...]:
    """The tags of these names, sorted; those that are new are made.  Raises Invalid naming `field`."""
    found = {_require(txn, name, now_ms, field) for name in names}
    if len(found) > ON_ONE_MOST:
        raise Invalid(InvalidParam(field, f"are more than {ON_ONE_MOST}"))
    return tuple(sorted(found))


def _require(txn: Txn, name: str, now_ms: int, field: str) -> int:
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LONGEST:
        raise Invalid(InvalidParam(field, f"a tag is not 1 to {NAME_LONGEST} characters"))
    found = find(txn, name)
    if found is not None:
        return found
    last = TAGS.last_key(txn)
    tag = Tag(1 + max(0 if last is None else last[0], GIVEN.find(txn, 0) or 0), name, now_ms)
    GIVEN.put(txn, 0, tag.id)
    TAGS.put(txn, tag.id, tag)
    BY_NAME.add(txn, words.digest(name), tag.id)
    events.append(txn, "tag.created", now_ms, f"tag_{tag.id}", name=name)
    return tag.id


def withdraw(txn: Txn, identifier: int, name: str, now_ms: int) -> bool:
    """Take a tag away that nobody has and that is called so still; whether it was."""
    tag = TAGS.find(txn, identifier)
    if tag is None or tag.name != name or next(BY_TAG.scan(txn, identifier), None) is not None:
        return False
    TAGS.remove(txn, identifier)
    BY_NAME.remove(txn, words.digest(name))
    events.append(txn, "tag.removed", now_ms, f"tag_{identifier}", name=name)
    return True


def rename(txn: Txn, identifier: int, name: str, now_ms: int) -> Tag:
    """Give a tag another name; who has it keeps it.  Raises NotFound, Invalid, Conflict."""
    old = TAGS.get(txn, identifier)
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if find(txn, name) not in (None, identifier):
        raise Conflict(f"there is a tag {name!r}")
    BY_NAME.remove(txn, words.digest(old.name))
    BY_NAME.add(txn, words.digest(name), identifier)
    tag = msgspec.structs.replace(old, name=name)
    TAGS.put(txn, identifier, tag)
    events.append(txn, "tag.changed", now_ms, f"tag_{identifier}", name=name)
    return tag


def names(txn: Txn, identifiers: Iterable[int]) -> list[str]:
    """Their names, in order."""
    return sorted(TAGS.get(txn, identifier).name for identifier in identifiers)


def listed(txn: Txn) -> list[Tag]:
    """All tags, the oldest first."""
    return [tag for _, tag in TAGS.scan(txn)]
