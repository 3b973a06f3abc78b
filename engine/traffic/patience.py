"""Patience: how long a turn of the rack waits for more to come, so that fewer commits carry more.

And how many modems begin at once: where parts take their time, those that began together end together, and then each
waits until this process has answered the others.
"""

from typing import Final

LEAST_S: Final = 0.003  # a change that takes less is not worth waiting for
MOST_S: Final = 0.010
LEISURE_S: Final = 0.040  # while all modems have another part that takes its time
HURRIED_MS: Final = 200  # a part in a network takes seconds
BEGIN_AT_ONCE: Final = 2
PACE_S: Final = 0.003  # between those and the next


class Patience:
    """Knows what a turn's change took lately, and how long a part is in the air."""

    def __init__(self) -> None:
        self._change_s = 0.0
        self._air_ms: int | None = None
        self._is_beginning = False

    def took(self, change_s: float) -> None:
        """A turn's change took so long."""
        self._change_s += (change_s - self._change_s) / 8

    def lasted(self, air_ms: int) -> None:
        """A part has its outcome so long after its PDU was given."""
        self._air_ms = air_ms

    @property
    def is_hurried(self) -> bool:
        """Whether parts take so little time that the modems wait for this process."""
        return self._air_ms is not None and self._air_ms < HURRIED_MS

    def wait_s(self, *, has_idle: bool) -> float:
        """How long the next turn may wait, 0: not at all.  `has_idle`: whether a modem has nothing to send by then."""
        if not self.is_hurried:
            if has_idle:
                return PACE_S if self._is_beginning else 0.0
            # All have another part that takes its time.  Others may end just now: no commit is made beside those.
            return LEISURE_S
        # A modem that has nothing gets two parts in one change, and a commit for a few keeps all others from theirs.
        return min(self._change_s, MOST_S) if self._change_s >= LEAST_S else 0.0

    def begin_most(self, idle: int) -> int:
        """How many of so many modems that have nothing to do may begin in this turn."""
        most = idle if self.is_hurried else min(idle, BEGIN_AT_ONCE)
        self._is_beginning = most < idle
        return most
