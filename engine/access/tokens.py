"""Bearer tokens: 256 random bits, kept only as a hash.

A plain fast hash is right here: the token is random, so there is nothing to guess from a stolen table.
"""

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from engine.errors import Invalid, InvalidParam
from engine.store.table import Table, Txn

PREFIX: Final = "car_"
SHORTEST: Final = 24  # characters of a token that somebody brings along


class Token(msgspec.Struct, frozen=True, array_like=True):
    """Whose it is and since when."""

    name: str
    created_ms: int


TOKENS: Final = Table("tokens", Token, "32s")

TABLES: Final = (TOKENS,)


def digest(token: str) -> bytes:
    """The hash under which `token` stands."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def fresh() -> str:
    """A new random token; it exists once it was added."""
    return PREFIX + secrets.token_urlsafe(32)


def add(txn: Txn, token: str, name: str, now_ms: int) -> None:
    """Let `token` in under `name`.  Raises Invalid where it is too short to be safe."""
    if len(token) < SHORTEST:
        raise Invalid(InvalidParam("token", f"is shorter than {SHORTEST} characters"))
    TOKENS.put(txn, digest(token), Token(name, now_ms))


def find(txn: Txn, token: str) -> Token | None:
    """The token's entry, or None.

    Looked up by hash, so time tells only of the hash; the comparison is in constant time all the same.
    """
    wanted = digest(token)
    for (known,), entry in TOKENS.scan(txn, wanted):
        if hmac.compare_digest(known, wanted):
            return entry
    return None


def any_known(txn: Txn) -> bool:
    """Whether there is any token at all."""
    return TOKENS.any(txn)
