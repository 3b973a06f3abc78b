"""Bearer tokens: 256 random bits, kept only as a hash, and what each of them may do.

A plain fast hash is right here: the token is random, so there is nothing to guess from a stolen table.

A token is spoken of by its number, which is small and never given again; the hash leaves this file nowhere.  One
without scopes has every right, as those had that are older than scopes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from engine.access.caller import Caller, Sight
from engine.access.rates import PER_MINUTE_MOST
from engine.access.rights import EVERY, NUMBERS, checked
from engine.errors import Conflict, Forbidden, Invalid, InvalidParam, NotFound, Stale
from engine.store.table import Octets, Table, Txn

PREFIX: Final = "car_"
SHORTEST: Final = 24  # characters of a token that somebody brings along
NAME_LONGEST: Final = 100
PARTS_MOST: Final = 1_000_000_000  # of any budget
MAKER: Final = "tokens:write"


class Token(msgspec.Struct, frozen=True, array_like=True):
    """Whose it is, since when, and what it may do: `scopes` are rights, none for every right.

    `per_minute` calls, `burst` of them at once, and `parts_a_day` to send; 0 is no limit.
    """

    name: str
    created_ms: int
    number: int = 0
    scopes: tuple[str, ...] = ()
    per_minute: int = 0
    burst: int = 0
    parts_a_day: int = 0
    is_disabled: bool = False
    created_by: str = ""
    version: int = 1

    @property
    def rights(self) -> frozenset[str]:
        """What it may do."""
        return frozenset(self.scopes) if self.scopes else EVERY

    @property
    def sight(self) -> dict[str, Sight]:
        """How much it sees of a person: numbers only masked without the right to them."""
        return {} if NUMBERS in self.rights else {"number": "masked"}


TOKENS: Final = Table("tokens", Token, "32s")
# The hash behind a number; nothing where the token was revoked, so that the number is not given again.
BY_NUMBER: Final = Octets("tokens_by_number", "I")

TABLES: Final = (TOKENS, BY_NUMBER)


def digest(token: str) -> bytes:
    """The hash under which `token` stands."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def fresh() -> str:
    """A new random token; it exists once it was added."""
    return PREFIX + secrets.token_urlsafe(32)


def add(
    txn: Txn,
    token: str,
    name: str,
    now_ms: int,
    scopes: tuple[str, ...] = (),
    per_minute: int = 0,
    burst: int = 0,
    parts_a_day: int = 0,
    created_by: str = "",
) -> Token:
    """Let `token` in under `name`; one that is known stays as it is, but is let in again where it was disabled.

    Raises Invalid where it is too short to be safe, or a field is wrong.
    """
    if len(token) < SHORTEST:
        raise Invalid(InvalidParam("token", f"is shorter than {SHORTEST} characters"))
    hashed = digest(token)
    known = TOKENS.find(txn, hashed)
    if known is not None:
        if known.is_disabled:
            known = _store(txn, hashed, msgspec.structs.replace(known, is_disabled=False, version=known.version + 1))
        return known
    made = Token(name, now_ms, 0, scopes, per_minute, burst, parts_a_day, created_by=created_by)
    return _number(txn, hashed, _checked(made))


def _checked(token: Token) -> Token:
    """The token with its scopes in order, each once.  Raises Invalid naming the field."""
    if not 0 < len(token.name.strip()) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    for field, most in (("per_minute", PER_MINUTE_MOST), ("burst", PER_MINUTE_MOST), ("parts_a_day", PARTS_MOST)):
        if not 0 <= getattr(token, field) <= most:
            raise Invalid(InvalidParam(field, f"is not 0 to {most}"))
    if token.burst and not token.per_minute:
        raise Invalid(InvalidParam("burst", "is for a token with per_minute"))
    return msgspec.structs.replace(token, scopes=checked(token.scopes, "scopes"))


def _number(txn: Txn, hashed: bytes, token: Token) -> Token:
    last = BY_NUMBER.last_key(txn)
    return _store(txn, hashed, msgspec.structs.replace(token, number=(last[0] if last else 0) + 1))


def _store(txn: Txn, hashed: bytes, token: Token) -> Token:
    TOKENS.put(txn, hashed, token)
    BY_NUMBER.put(txn, token.number, hashed)
    return token


def number_all(txn: Txn) -> int:
    """Give a number to each token that is older than numbers; how many those were."""
    bare = [(hashed, token) for (hashed,), token in TOKENS.scan(txn) if not token.number]
    for hashed, token in sorted(bare, key=lambda pair: pair[1].created_ms):
        _number(txn, hashed, token)
    return len(bare)


# -- looking


def find(txn: Txn, token: str) -> Token | None:
    """The token's entry, or None, also where it is disabled.

    Looked up by hash, so time tells only of the hash; the comparison is in constant time all the same.
    """
    wanted = digest(token)
    for (known,), entry in TOKENS.scan(txn, wanted):
        if hmac.compare_digest(known, wanted):
            return None if entry.is_disabled else entry
    return None


def any_known(txn: Txn) -> bool:
    """Whether there is any token at all."""
    return TOKENS.any(txn)


def get(txn: Txn, number: int) -> Token:
    """The token with that number.  Raises NotFound."""
    return TOKENS.get(txn, _hash_of(txn, number))


def _hash_of(txn: Txn, number: int) -> bytes:
    hashed = BY_NUMBER.find(txn, number) if 0 < number < 1 << 32 else None
    if not hashed:
        raise NotFound("there is no such token")
    return hashed


def listed(txn: Txn, after: int, limit: int) -> Iterator[Token]:
    """Tokens by number, behind `after`."""
    for _, hashed in BY_NUMBER.scan(txn, after=after or None):
        if limit <= 0:
            return
        if hashed:
            limit -= 1
            yield TOKENS.get(txn, hashed)


# -- changing


def change(txn: Txn, number: int, changes: dict[str, Any], version: int | None, caller: Caller) -> Token:
    """Replace fields.

    Raises NotFound, Stale, Invalid, Conflict where nobody could make tokens any more, Forbidden where it is the
    caller's own or may do, before or after, what he may not.
    """
    hashed = _hash_of(txn, number)
    old = TOKENS.get(txn, hashed)
    _require_below(old, caller)
    if version is not None and version != old.version:
        raise Stale(f"the token has version {old.version}, not {version}")
    new = _checked(msgspec.structs.replace(old, **changes, version=old.version + 1))
    require_rights(new.rights, caller)
    if new.is_disabled or MAKER not in new.rights:
        _require_another_maker(txn, old)
    return _store(txn, hashed, new)


def revoke(txn: Txn, number: int, caller: Caller) -> None:
    """Let it in no more.

    Raises NotFound, Conflict where nobody could make tokens any more, Forbidden where it is the caller's own or may do
    what he may not.
    """
    hashed = _hash_of(txn, number)
    token = TOKENS.get(txn, hashed)
    _require_another_maker(txn, token)
    _require_below(token, caller)
    TOKENS.remove(txn, hashed)
    BY_NUMBER.put(txn, number, b"")


def require_rights(rights: Iterable[str], caller: Caller) -> None:
    """Nobody gives what he has not.  Raises Forbidden naming the first right that the caller lacks."""
    for right in sorted(rights):
        caller.require(right)


def _require_below(token: Token, caller: Caller) -> None:
    if caller.kind == "token" and caller.id == token.number:
        # Its limits would be none, and a program that locks itself out cannot say that it was a mistake.
        raise Forbidden("a token does not change itself: call with another one", code="own_token")
    require_rights(token.rights, caller)


def _is_maker(token: Token) -> bool:
    return not token.is_disabled and MAKER in token.rights


def _require_another_maker(txn: Txn, token: Token) -> None:
    if _is_maker(token) and not any(_is_maker(one) and one.number != token.number for _, one in TOKENS.scan(txn)):
        raise Conflict(f"it is the last token with {MAKER}: add another one first", code="last_token")
