"""Pace: at most so many parts of a campaign a minute, where it was made with a rate.

Asked when a message's first part is claimed.  A group that has begun what it may is parked, as one that is paused, by
one small write, and let go a few seconds later: in any stretch of time at most its rate is begun, and AHEAD_MS more.
What waited, for a modem or for the morning, goes no faster.

What a single SIM may send a minute is its own limit (engine/traffic/quotas.py).
"""

from typing import Final

from engine.store.table import Table, Txn
from engine.traffic.messages import GROUPS, Sending

MINUTE_MS: Final = 60_000
AHEAD_MS: Final = 10_000  # what may go at once: who waits is looked for every few seconds
PARTS_LONGEST: Final = 255  # of a message
RATE_MOST: Final = 1_000_000  # parts a minute

PACES: Final = Table("paces", int)  # group -> until when what was begun takes, at its rate; epoch milliseconds

TABLES: Final = (PACES,)


def allowed(txn: Txn, group: int, rate: int, now_ms: int) -> int:
    """How many parts may be begun now, at `rate` parts a minute."""
    return (now_ms - _since(txn, group, rate, now_ms)) * rate // MINUTE_MS


def note(txn: Txn, group: int, rate: int, parts: int, now_ms: int) -> None:
    """So many parts were begun."""
    PACES.put(txn, group, _since(txn, group, rate, now_ms) + -(-parts * MINUTE_MS // rate))


def _since(txn: Txn, group: int, rate: int, now_ms: int) -> int:
    known_ms = PACES.find(txn, group) or 0
    if known_ms > now_ms + PARTS_LONGEST * MINUTE_MS // rate:
        known_ms = now_ms  # the clock was set back
    return max(known_ms, now_ms - max(AHEAD_MS, MINUTE_MS // rate))


def park(txn: Txn, group: int) -> None:
    """Let nothing of it be picked until `go_on`."""
    if GROUPS.find(txn, group) == Sending.RUNNING:
        GROUPS.put(txn, group, Sending.PAUSED.value)


def go_on(txn: Txn, group: int, rate: int, now_ms: int) -> bool:
    """Let it be picked again, where half of what may go at once may go; whether it does."""
    most = max(1, AHEAD_MS * rate // MINUTE_MS // 2)
    if rate and allowed(txn, group, rate, now_ms) < most:
        return False
    GROUPS.put(txn, group, Sending.RUNNING.value)
    return True
