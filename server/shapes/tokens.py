"""Tokens as JSON: what is asked for, and what is shown of them, which is never the token itself but once."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.access import tokens
from engine.access.rates import PER_MINUTE_MOST
from engine.access.rights import RIGHTS
from engine.access.tokens import Token
from server import wire

Name = Annotated[str, Meta(min_length=1, max_length=tokens.NAME_LONGEST)]
Scope = Annotated[str, Meta(extra_json_schema={"enum": list(RIGHTS)})]
Scopes = Annotated[list[Scope], Meta(min_length=1, max_length=2 * len(RIGHTS))]
Calls = Annotated[int, Meta(ge=0, le=PER_MINUTE_MOST)]
Parts = Annotated[int, Meta(ge=0, le=tokens.PARTS_MOST)]


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token for one program: `scopes` are the rights it gets, `per_minute` how often it may call, `burst` how many
    of those calls may come at once, `parts_a_day` how much it may send.  0 is no limit.
    """

    name: Name
    scopes: Scopes
    per_minute: Calls = 0
    burst: Calls = 0
    parts_a_day: Parts = 0


class TokenChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay.  One that is `disabled` is let in no more until it is enabled."""

    name: Name | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    per_minute: Calls | UnsetType = UNSET
    burst: Calls | UnsetType = UNSET
    parts_a_day: Parts | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class TokenView(msgspec.Struct, frozen=True):
    """A token.  `parts_today` is what of its budget is used up, 0 where it has none."""

    id: int
    name: str
    scopes: list[str]
    per_minute: int
    burst: int
    parts_a_day: int
    parts_today: int
    disabled: bool
    created_by: str | None
    created_at: str | None
    version: int


class NewTokenView(TokenView, frozen=True, kw_only=True):
    """A new token: `token` is shown this once."""

    token: str


class TokenPage(msgspec.Struct, frozen=True):
    """Tokens by number; `next` is the cursor of the following page, or null."""

    items: list[TokenView]
    next: str | None


def view(record: Token, parts_today: int) -> TokenView:
    """A token as JSON."""
    return TokenView(*_fields(record, parts_today))


def new_view(record: Token, token: str) -> NewTokenView:
    """A token as JSON, with itself."""
    return NewTokenView(*_fields(record, 0), token=token)


def _fields(
    record: Token, parts_today: int
) -> tuple[int, str, list[str], int, int, int, int, bool, str | None, str | None, int]:
    return (
        record.number,
        record.name,
        sorted(record.rights),
        record.per_minute,
        record.burst,
        record.parts_a_day,
        parts_today,
        record.is_disabled,
        record.created_by or None,
        wire.time(record.created_ms),
        record.version,
    )
