"""Patience: how long a turn of the rack waits for more to come, so that fewer commits carry more."""

from typing import Final

LEAST_S: Final = 0.003  # a change that takes less is not worth waiting for
MOST_S: Final = 0.010
UNHURRIED_PER_S: Final = 5  # parts of a modem: one in a network takes seconds


class Patience:
    """Knows what a turn's change took lately."""

    def __init__(self) -> None:
        self._change_s = 0.0

    def took(self, change_s: float) -> None:
        """A turn's change took so long."""
        self._change_s += (change_s - self._change_s) / 8

    def wait_s(self, has_idle: bool, rate_per_s: float, modems: int) -> float:
        """How long the next turn may wait; 0: not at all.

        `has_idle`: whether a modem has nothing to send meanwhile; `rate_per_s`: parts of all `modems`.
        """
        if not has_idle and rate_per_s < UNHURRIED_PER_S * modems:
            # All have another part that takes its time.  Others may end just now: no commit is made beside those.
            return MOST_S
        # A modem that has nothing gets two parts in one change, and a commit for a few keeps all others from theirs.
        return min(self._change_s, MOST_S) if self._change_s >= LEAST_S else 0.0
