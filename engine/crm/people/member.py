"""A member's record: below the rules of points (marketing/members.py), since conditions ask for it."""

from enum import IntEnum
from typing import Final

import msgspec

from engine.store.table import Table


class State(IntEnum):
    """Where a member stands: a pending one collects points, an active one also spends them."""

    PENDING = 0
    ACTIVE = 1
    SUSPENDED = 2
    CLOSED = 3

    @property
    def slug(self) -> str:
        """The word on the wire."""
        return self.name.lower()


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A member: the first three fields stay where they are, a native reader looks at them.

    `earned` are the points of the period that ends on the day `tier_until`; the tier may fall after it, not before.
    `expiring` points lapse after the day `expires`, the next one on which any do (0: none do).  `rows` counts the rows
    of his ledger; `reason` is why he is in his state, where somebody said.
    """

    state: State
    tier: str = ""
    balance: int = 0
    number: str = ""
    earned: int = 0
    tier_until: int = 0
    expires: int = 0
    expiring: int = 0
    joined_ms: int = 0
    join_code: str = ""
    rows: int = 0
    last_digits: int = 0
    updated_ms: int = 0
    version: int = 1
    reason: str = ""


MEMBERS: Final = Table("members", Member)  # customer
