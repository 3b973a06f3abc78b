"""Tries: proving by PIN or password who one is, and what comes of being wrong too often.

A try is counted before it is looked at, and forgotten only once it was right: a hundred tries at once are no more than
three.  The hash is worked out between two changes, in a thread of its own (engine/access/hashes.py), so nobody may take
the first half for the whole: `check` and `sign_in` do all of it.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import msgspec

from engine.access import hashes, passwords, pins
from engine.access.caller import Caller
from engine.crm.people import audit, staff
from engine.crm.people.audit import By, Via
from engine.crm.people.staff import STAFF, State
from engine.errors import Forbidden, NotFound, TooMany
from engine.store.environment import Store
from engine.store.table import Keyed, Table, Txn
from engine.traffic import events

Kind = Literal["pin", "password"]

TRIES_MOST: Final = 3
WINDOW_MS: Final = 10 * 60_000
LOCKED_MS: Final = 15 * 60_000

_KINDS: Final[tuple[Kind, ...]] = ("pin", "password")
_RIGHT: Final[dict[Kind, Callable[[bytes, str, str], bool]]] = {"pin": pins.is_right, "password": passwords.is_right}


class Tried(msgspec.Struct, frozen=True, array_like=True):
    """When tries were begun that have not proven right, and since when no more are taken; 0: they are."""

    at_ms: tuple[int, ...] = ()
    locked_ms: int = 0


class Way(NamedTuple):
    """By which way somebody tries: what the audit log tells of it."""

    pepper: bytes
    via: Via
    source: str = ""


TRIES: Final = Table("staff_tries", Tried, "QB")  # staff, kind

TABLES: Final[tuple[Keyed, ...]] = (TRIES,)


def begin(txn: Txn, identifier: int, kind: Kind, now_ms: int) -> str:
    """Take a try down and give the hash that it is to be held against, empty where none is kept.

    Raises TooMany of code `locked` after three wrong ones in ten minutes, Forbidden where he may not come in.
    """
    found = STAFF.find(txn, identifier)
    if found is None or found.state is not State.ACTIVE:
        raise Forbidden("this person has no access", code="no_access")
    key = identifier, _KINDS.index(kind)
    tried = TRIES.find(txn, key) or Tried()
    if tried.locked_ms and abs(now_ms - tried.locked_ms) < LOCKED_MS:
        raise _locked(tried.locked_ms + LOCKED_MS - now_ms)
    recent = _recent(tried, now_ms)
    if len(recent) >= TRIES_MOST:
        # So many are being looked at, or were when we died.
        raise _locked(min(recent) + WINDOW_MS - now_ms)
    TRIES.put(txn, key, Tried((*recent, now_ms)))
    return found.pin_hash if kind == "pin" else found.password_hash


def end(txn: Txn, way: Way, identifier: int, kind: Kind, is_right: bool, now_ms: int) -> bool:
    """What became of a try that was begun; whether no more are taken now.

    A right one is the end of the count.  The third wrong one is told to whoever must know.
    """
    person = STAFF.get(txn, identifier)
    by = By(Caller("staff", person.name, identifier), way.via, way.pepper, way.source)
    key, name = (identifier, _KINDS.index(kind)), staff.name_of(identifier)
    if is_right:
        TRIES.remove(txn, key)
        audit.append(txn, by, f"staff.{kind}_right", name, now_ms)
        return False
    audit.append(txn, by, f"staff.{kind}_wrong", name, now_ms)
    tried = TRIES.find(txn, key) or Tried()
    recent = _recent(tried, now_ms)
    if len(recent) < TRIES_MOST or tried.locked_ms:
        return bool(tried.locked_ms)
    TRIES.put(txn, key, Tried((), now_ms))
    above = staff.supervisor_of(txn, person)
    events.append(
        txn, f"staff.{kind}_locked", now_ms, name,
        supervisor_id=staff.name_of(above) if above else None, minutes=LOCKED_MS // 60_000,
    )  # fmt: skip
    audit.append(txn, by, f"staff.{kind}_locked", name, now_ms)
    return True


def _recent(tried: Tried, now_ms: int) -> tuple[int, ...]:
    """Those of the window, also where the clock was set back."""
    return tuple(at_ms for at_ms in tried.at_ms if abs(now_ms - at_ms) < WINDOW_MS)


def _locked(left_ms: int) -> TooMany:
    return TooMany("wrong too often: wait", min(max(1, -(-left_ms // 1000)), LOCKED_MS // 1000), code="locked")


async def check(store: Store, way: Way, identifier: int, kind: Kind, secret: str, now_ms: Callable[[], int]) -> bool:
    """Whether that is this person's PIN or password.  Raises TooMany while no tries are taken, Forbidden."""
    kept = await store.write(begin, identifier, kind, now_ms())
    is_right = await hashes.aside(_RIGHT[kind], way.pepper, secret, kept)
    await store.write(end, way, identifier, kind, is_right, now_ms())
    return is_right


async def sign_in(store: Store, way: Way, number: int, password: str, now_ms: Callable[[], int]) -> int | None:
    """The id of whoever has that number and that password, or None: after the same time, whatever was wrong.

    Raises TooMany while no tries are taken.
    """
    with store.read() as txn:
        person = staff.find_by_number(txn, number)
    if person is None or person.state is not State.ACTIVE:
        await hashes.aside(passwords.is_right, way.pepper, password, "")
        return None
    try:
        return person.id if await check(store, way, person.id, "password", password, now_ms) else None
    except (Forbidden, NotFound):
        return None  # he left in this very moment
