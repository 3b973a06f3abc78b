"""Rates: how often each token may call, counted in memory.

A bucket of `burst` calls that fills by `per_minute`: a restart fills all of them, which costs nobody anything.
"""

import math
from collections import OrderedDict
from typing import Final, NamedTuple

PER_MINUTE_MOST: Final = 600_000
BUCKETS_MOST: Final = 10_000  # those that called last; the others are full again by then


class Turn(NamedTuple):
    """Whether a call may go on; how many may come at once, how many now, and when all of them may again.

    `wait_s` is how long a refused one waits.
    """

    is_allowed: bool
    limit: int
    remaining: int
    reset_s: int
    wait_s: int


class Rates:
    """The buckets of all tokens, by the token's number."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()  # calls left, as of so many seconds

    def take(self, token: int, per_minute: int, burst: int, at_s: float) -> Turn:
        """A call of the token at `at_s`, in seconds of any clock that is never set back.

        `burst` 0 stands for a minute's calls.
        """
        limit = burst or per_minute
        per_s = per_minute / 60
        left = self._left(token, limit, per_s, at_s)
        # What adds up to one call must be one: seconds are not exact.
        is_allowed = left >= 1 - 1e-9
        if is_allowed:
            left = max(0.0, left - 1)
        self._buckets[token] = left, at_s
        self._buckets.move_to_end(token)
        if len(self._buckets) > BUCKETS_MOST:
            self._buckets.popitem(last=False)
        reset_s = math.ceil((limit - left) / per_s)
        wait_s = 0 if is_allowed else max(1, math.ceil((1 - left) / per_s))
        return Turn(is_allowed, limit, int(left + 1e-9), reset_s, wait_s)

    def wait_s(self, token: int, per_minute: int, burst: int, at_s: float) -> int:
        """How long a call would wait, 0 for not at all; none is counted."""
        per_s = per_minute / 60
        left = self._left(token, burst or per_minute, per_s, at_s)
        return 0 if left >= 1 - 1e-9 else max(1, math.ceil((1 - left) / per_s))

    def _left(self, token: int, limit: int, per_s: float, at_s: float) -> float:
        left, since_s = self._buckets.get(token, (float(limit), at_s))
        return min(float(limit), left + max(0.0, at_s - since_s) * per_s)
