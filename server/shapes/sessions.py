"""Signing in over HTTP, as JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta


class NewSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the staff, by telephone number and password."""

    number: Annotated[str, Meta(min_length=1, max_length=40)]
    password: Annotated[str, Meta(min_length=1, max_length=1000)]


class SessionView(msgspec.Struct, frozen=True):
    """Who is signed in.  What changes anything carries `form_token` in the header X-Form-Token, beside the cookie."""

    id: str
    name: str
    rights: list[str]
    form_token: str
    expires_at: str | None
