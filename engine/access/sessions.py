"""Sessions: what a browser holds once somebody has signed in, with a token or as one of the staff.

A session is a signed statement, not a row: who signed in and when.  Its key comes from the engine's pepper, so every
session ends where the pepper changes.  itsdangerous signs and reads; whether a session is still good is decided here,
by the time that is given.
"""

import hashlib
import hmac
from typing import Final, Literal, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

MAX_AGE_MS: Final = 12 * 3_600_000
# The clock may be set back a little under a session that was just issued.
SKEW_MS: Final = 60_000
LONGEST: Final = 2048  # characters of a cookie that is looked at
NAME_LONGEST: Final = 100  # characters of a token's name that a session keeps

_SESSION: Final = b"session"
_FORM: Final = b"form"


def _key(pepper: bytes, purpose: bytes) -> bytes:
    """A key for one purpose, so that what is signed for one is worth nothing for another."""
    return hashlib.blake2b(b"carillon console " + purpose, key=pepper, digest_size=32).digest()


def _signer(pepper: bytes) -> URLSafeSerializer:
    how = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(_key(pepper, _SESSION), salt=_SESSION, signer_kwargs=how)


class Session(NamedTuple):
    """`who` is the name of a token, or the id of one of the staff."""

    kind: Literal["token", "staff"]
    who: str
    issued_ms: int


def issue(pepper: bytes, who: str, now_ms: int, kind: Literal["token", "staff"] = "token") -> str:
    """The cookie of somebody who signed in now, with the token of that name or as that one of the staff."""
    cookie = _signer(pepper).dumps([kind, who[:NAME_LONGEST], now_ms])
    return cookie if isinstance(cookie, str) else cookie.decode()


def check(pepper: bytes, cookie: str, now_ms: int, max_age_ms: int = MAX_AGE_MS) -> Session | None:
    """What a cookie says that we signed at most `max_age_ms` ago, or None.

    Whether one of the staff has been shut out since is not asked.
    """
    if len(cookie) > LONGEST:
        return None
    try:
        said = _signer(pepper).loads(cookie)
    except (BadData, ValueError):
        return None
    match said:
        case ["token" | "staff" as kind, str(who), int(issued_ms)]:
            found = Session(kind, who, issued_ms)
        case [str(who), int(issued_ms)]:
            found = Session("token", who, issued_ms)  # of before there were others
        case _:
            return None
    return found if -SKEW_MS <= now_ms - found.issued_ms <= max_age_ms else None


def form_token(pepper: bytes, cookie: str) -> str:
    """What a form of this session must carry, so that no other site can post it."""
    return hashlib.blake2b(cookie.encode("utf-8", "surrogatepass"), key=_key(pepper, _FORM), digest_size=24).hexdigest()


def is_form_token(pepper: bytes, cookie: str, said: str) -> bool:
    """Whether `said` is the session's form token; in constant time."""
    return hmac.compare_digest(form_token(pepper, cookie).encode(), said.encode("utf-8", "surrogatepass"))
