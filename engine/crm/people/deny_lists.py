"""Deny lists: numbers that others say must not be texted, and how one gets off again.

    take       a register, a complaint: many numbers at a time
    ask        a member of the staff asks that a number be taken off
    confirm    another one says so too, who must know the number: it is not kept here

What a person said himself (STOP) he takes back himself (START), in engine/apps/commands/wishes.py.
"""

import hmac
from typing import Final, Literal

import msgspec

from engine.crm.people import audit, suppressions
from engine.crm.people.audit import By
from engine.crm.people.suppressions import SUPPRESSIONS, Suppression
from engine.errors import Conflict, Forbidden, Invalid, InvalidParam, NotFound
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events

REASONS: Final = ("legal", "complaint", "stop_all")
OPEN_MS: Final = 7 * 86_400_000  # how long a request waits for a second person
WHY_LONGEST: Final = 500  # characters
RIGHT: Final = "consents:write"


class Removal(msgspec.Struct, frozen=True, array_like=True):
    """That somebody asked to take a number off: `digest` is its keyed hash."""

    id: int
    digest: bytes
    reasons: tuple[str, ...]
    why: str
    asked_by: int
    asked_name: str
    asked_ms: int
    state: Literal["waiting", "done"] = "waiting"
    done_by: int = 0
    done_name: str = ""
    done_ms: int = 0


REMOVALS: Final = Table("suppression_removals", Removal)

TABLES: Final = (REMOVALS,)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("rmv", identifier)


def take(txn: Txn, pepper: bytes, numbers: list[int], reason: str, now_ms: int) -> int:
    """Suppress these numbers; how many were not yet, for that reason."""
    return sum(suppressions.add(txn, pepper, number, reason, now_ms) for number in numbers)


def note_taken(txn: Txn, by: By, reason: str, rows: int, new: int, now_ms: int) -> None:
    """A whole list was taken: that is news, and worth a row of the audit log."""
    events.append(txn, "suppressions.imported", now_ms, "", reason=reason, rows=rows, new=new)
    told = {"reason": (None, reason), "rows": (None, rows), "new": (None, new)}
    audit.append(txn, by, "suppressions.imported", "suppressions", now_ms, told)


def ask(txn: Txn, by: By, number: int, why: str, now_ms: int) -> Removal:
    """Ask that a number be texted again.  Raises Forbidden for who is no person, NotFound where it is not denied."""
    _require_person(by)
    if not 0 < len(why.strip()) <= WHY_LONGEST:
        raise Invalid(InvalidParam("why", f"is not 1 to {WHY_LONGEST} characters"))
    found = suppressions.find(txn, by.pepper, number)
    if found is None:
        raise NotFound("the number is not suppressed")
    removal = Removal(
        ids.take(txn, now_ms), suppressions.digest(by.pepper, number), suppressions.reasons_of(found), why,
        by.caller.id, by.caller.name, now_ms,
    )  # fmt: skip
    REMOVALS.put(txn, removal.id, removal)
    told = {"reasons": (None, list(removal.reasons))}
    audit.append(txn, by, "suppression.removal_asked", name_of(removal.id), now_ms, told, why)
    events.append(txn, "suppression.removal_asked", now_ms, name_of(removal.id))
    return removal


def confirm(txn: Txn, by: By, identifier: int, number: int, now_ms: int) -> Removal:
    """A second person says so too: the number is denied no more.

    Raises NotFound, Forbidden for who is no person or the one who asked, Conflict where it was done, is too old, or is
    about another number.
    """
    _require_person(by)
    removal = REMOVALS.get(txn, identifier)
    if removal.state != "waiting":
        raise Conflict("the number was taken off already")
    if now_ms > removal.asked_ms + OPEN_MS:
        raise Conflict("the request is older than a week: ask again", code="too_old")
    if removal.asked_by == by.caller.id:
        raise Forbidden("who asked cannot confirm it: another person must", code="same_person")
    if not hmac.compare_digest(removal.digest, suppressions.digest(by.pepper, number)):
        raise Conflict("the request is about another number", code="other_number")
    SUPPRESSIONS.remove(txn, removal.digest)
    done = msgspec.structs.replace(
        removal, state="done", done_by=by.caller.id, done_name=by.caller.name, done_ms=now_ms
    )
    REMOVALS.put(txn, identifier, done)
    told = {"reasons": (list(removal.reasons), None)}
    audit.append(txn, by, "suppression.removed", name_of(identifier), now_ms, told, removal.why)
    events.append(txn, "suppression.removed", now_ms, name_of(identifier))
    return done


def listed(txn: Txn, before: int, limit: int) -> list[Removal]:
    """Requests, newest first, older than id `before` (0: from the newest)."""
    found: list[Removal] = []
    for _, removal in REMOVALS.scan(txn, after=before or None, reverse=True):
        if len(found) >= limit:
            break
        found.append(removal)
    return found


def of(txn: Txn, pepper: bytes, number: int) -> Suppression | None:
    """Why and since when the number is denied, or None."""
    return suppressions.find(txn, pepper, number)


def _require_person(by: By) -> None:
    by.caller.require(RIGHT)
    if not by.caller.is_person:
        raise Forbidden("only a member of the staff takes numbers off, and a second one confirms", code="not_a_person")
