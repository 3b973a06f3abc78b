"""Budgets: how many parts a token may still send today, counted in the change that accepts them.

A day is the house's.  Of each token only its newest day is kept.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from engine.access import tokens
from engine.errors import TooMany
from engine.store.table import Table, Txn

SPENT: Final = Table("token_parts", int, "II")  # token, day

TABLES: Final = (SPENT,)


def spent(txn: Txn, token: int, now_ms: int, zone: ZoneInfo) -> int:
    """The parts that a token has had accepted today."""
    return SPENT.find(txn, (token, _local(now_ms, zone).toordinal())) or 0


def spend(txn: Txn, token: int, parts: int, now_ms: int, zone: ZoneInfo) -> None:
    """Count `parts` more for the token of that number, 0 for a caller who has none.

    Raises TooMany where they do not fit into its budget, and none of them is taken then.
    """
    budget = tokens.get(txn, token).parts_a_day if token else 0
    if not budget or not parts:
        return
    here = _local(now_ms, zone)
    day = here.toordinal()
    had = SPENT.find(txn, (token, day)) or 0
    if had + parts > budget:
        left = max(0, budget - had)
        said = f"the token may send {budget} parts a day: {left} are left today, this takes {parts}"
        raise TooMany(said, _until_tomorrow_s(here, now_ms, zone), code="budget_spent")
    for key in [key for key, _ in SPENT.scan(txn, token) if key[1] != day]:
        SPENT.remove(txn, key)
    SPENT.put(txn, (token, day), had + parts)


def _local(now_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, zone)


def _until_tomorrow_s(here: datetime, now_ms: int, zone: ZoneInfo) -> int:
    midnight = datetime.combine(here.date() + timedelta(days=1), time(), zone).astimezone(UTC)
    return max(1, -int(now_ms // 1000 - midnight.timestamp()))
