"""A subscription's record: below the rules of topics (marketing/topics.py), since an undo of an import asks for it."""

from enum import IntEnum
from typing import Final

import msgspec

from engine.store.table import Index, Keyed, Table, Txn


class State(IntEnum):
    """Where a subscription stands; the slug on the wire is the name in lower case."""

    ACTIVE = 0
    PAUSED = 1
    ENDED = 2

    @property
    def slug(self) -> str:
        """The word on the wire."""
        return self.name.lower()


class Frequency(IntEnum):
    """How often somebody wants to hear of a topic: the days of the house from one text to the next."""

    EVERY = 0
    DAILY = 1
    WEEKLY = 7
    MONTHLY = 30

    @property
    def slug(self) -> str:
        """The word on the wire."""
        return self.name.lower()


class Subscription(msgspec.Struct, frozen=True, array_like=True):
    """Since when, and until when if it ended; `source` and `by` are of the last change, which was at `changed_ms`.

    `message` is the last text of the topic that was lined up for him, at `texted_ms`; 0 for none.
    """

    state: State
    since_ms: int
    until_ms: int = 0
    frequency: Frequency = Frequency.EVERY
    source: str = ""
    by: str = ""
    changed_ms: int = 0
    texted_ms: int = 0
    message: int = 0


SUBSCRIPTIONS: Final = Table("subscriptions", Subscription, "QQ")  # topic, customer
OF_CUSTOMER: Final = Index("subscriptions_of_customer", "QQ")  # customer, topic

TABLES: Final[tuple[Keyed, ...]] = (SUBSCRIPTIONS, OF_CUSTOMER)


def is_any(txn: Txn, customer: int) -> bool:
    """Whether a person subscribes to anything, or did."""
    return next(OF_CUSTOMER.scan(txn, customer), None) is not None
