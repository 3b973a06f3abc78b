"""Rights: what may be done, in words that tokens (as scopes) and roles share.

A right is a noun and a verb.  `read` sees, `write` makes and changes; the other verbs are for what is worth a word.
"""

from collections.abc import Iterable
from typing import Final

from engine.errors import Invalid, InvalidParam

RIGHTS: Final = (
    "messages:read",
    "messages:send",
    "campaigns:read",
    "campaigns:write",
    "campaigns:approve",
    "campaigns:launch",
    "customers:read",
    "customers:write",
    "customers:export",
    "customers:reveal",
    "customers:erase",
    "numbers:read",
    "consents:write",
    "segments:write",
    "imports:write",
    "members:read",
    "members:write",
    "points:adjust",
    "coupons:write",
    "coupons:redeem",
    "greetings:write",
    "staff:read",
    "staff:write",
    "tokens:write",
    "webhooks:write",
    "events:read",
    "audit:read",
    "rack:read",
    "rack:write",
    "stats:read",
    "sim",
)

EVERY: Final = frozenset(RIGHTS)
# To see telephone numbers in full: of a person it goes with a role that shows them so, and such a role with it.
NUMBERS: Final = "numbers:read"


def checked(words: Iterable[str], field: str = "rights") -> tuple[str, ...]:
    """The rights in `words`, sorted, each once.  Raises Invalid naming `field` and the first word that is none."""
    known = tuple(sorted(set(words)))
    for word in known:
        if word not in EVERY:
            raise Invalid(InvalidParam(field, f"{word!r} is not a right"))
    return known
