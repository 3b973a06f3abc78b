"""Till codes: six digits with which a member shows at a till who he is, once, and for five minutes.

Kept as a keyed hash.  A member has one at a time: a new one takes the place of the last.
"""

import secrets
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from engine.crm.marketing import members
from engine.crm.marketing.codes import DIGEST_OCTETS, digester
from engine.crm.people.member import State
from engine.errors import Conflict, Invalid, InvalidParam, NotFound
from engine.store.table import Index, Octets, Table, Txn
from engine.traffic import events

DIGITS: Final = 6
VALID_MS: Final = 5 * 60_000
CLEARED: Final = 100  # codes that nobody used, removed whenever one is given
TRIES: Final = 100  # draws until one is free: with half a million in use, one in 2^100 gives up

Below = Callable[[int], int]  # a number below the given one that nobody can guess


class TillCode(msgspec.Struct, frozen=True, array_like=True):
    """Whose it is and until when."""

    member: int
    until_ms: int


class Given(NamedTuple):
    """A code as it was given: it is not kept."""

    code: str
    until_ms: int


CODES: Final = Table("till_codes", TillCode, f"{DIGEST_OCTETS}s")
OF_MEMBER: Final = Octets("till_code_of", "Q")
ENDING: Final = Index("till_codes_ending", f"Q{DIGEST_OCTETS}s")

TABLES: Final = (CODES, OF_MEMBER, ENDING)


def give(txn: Txn, pepper: bytes, member: int, now_ms: int, below: Below = secrets.randbelow) -> Given:
    """A new code for a member.  Raises NotFound, Conflict where he is not active or no code is free."""
    members.require(members.get(txn, member), State.ACTIVE)
    clear(txn, now_ms, CLEARED)
    former = OF_MEMBER.find(txn, member)
    if former is not None:
        _remove(txn, former, CODES.get(txn, former))
    digest = digester(pepper, b"till code")
    for _ in range(TRIES):
        code = f"{below(10**DIGITS):0{DIGITS}d}"
        key = digest(code)
        if CODES.find(txn, key) is None:
            until_ms = now_ms + VALID_MS
            CODES.put(txn, key, TillCode(member, until_ms))
            OF_MEMBER.put(txn, member, key)
            ENDING.add(txn, until_ms, key)
            events.append(txn, "till_code.given", now_ms, members.name_of(member))
            return Given(code, until_ms)
    raise Conflict("all codes are in use", code="no_code_free")


def use(txn: Txn, pepper: bytes, code: str, now_ms: int) -> int:
    """The id of the member who shows this code, which is worth nothing from now on.

    Raises Invalid where it is not six digits, NotFound `till_code_unknown` where nobody was given it, it was used or
    its five minutes are over.
    """
    text = "".join(code.split())
    if not (text.isascii() and text.isdigit() and len(text) == DIGITS):
        raise Invalid(InvalidParam("code", f"is not {DIGITS} digits"))
    key = digester(pepper, b"till code")(text)
    found = CODES.find(txn, key)
    if found is None or found.until_ms <= now_ms:
        raise NotFound("there is no such code, or it was used, or its time is over", code="till_code_unknown")
    _remove(txn, key, found)
    members.require(members.get(txn, found.member), State.ACTIVE)
    events.append(txn, "till_code.used", now_ms, members.name_of(found.member))
    return found.member


def clear(txn: Txn, now_ms: int, limit: int) -> int:
    """Remove codes whose time is over, `limit` at most; how many."""
    over = [key for until_ms, key in islice(ENDING.scan(txn), limit) if until_ms <= now_ms]
    for key in over:
        _remove(txn, key, CODES.get(txn, key))
    return len(over)


def withdraw(txn: Txn, member: int) -> None:
    """The code that a member has, if any, is worth nothing from now on."""
    key = OF_MEMBER.find(txn, member)
    if key is not None:
        _remove(txn, key, CODES.get(txn, key))


def _remove(txn: Txn, key: bytes, found: TillCode) -> None:
    CODES.remove(txn, key)
    OF_MEMBER.remove(txn, found.member)
    ENDING.remove(txn, found.until_ms, key)
