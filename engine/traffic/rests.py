"""Rests: SIMs that refuse one message after the other are left alone for a while.

A barred SIM refuses at once, and so is free again at once: without a rest it would draw all traffic of the rack and
burn the attempts of every message.  One message that every SIM refuses must not rest the rack, so it takes several
refusals in a row, of the kind that is the SIM's own fault.  In memory only: after a start every SIM may try again.

A SIM that has sent what it may is left alone too, but for another reason: a part that the network takes says nothing
about what its quota leaves.  So the two are kept apart.  What is under way on such a SIM may have room left although
others have none, where it is recipients of which there are enough.
"""

import logging
from typing import Final

from engine.errors import SubmitRefused
from engine.traffic import retry

log = logging.getLogger(__name__)

REFUSALS: Final = 3  # in a row, until the first rest
FIRST_MS: Final = 60_000
LONGEST_MS: Final = 900_000


class Rests:
    """Which SIMs rest, and until when; times are epoch milliseconds.

    `refusals`, `until_ms` (of what was refused) and `full_ms` (of quotas) are empty while there is nothing to be asked.
    """

    def __init__(self) -> None:
        self.refusals: dict[int, int] = {}
        self.until_ms: dict[int, int] = {}
        self.full_ms: dict[int, int] = {}
        self._under_way_ms: dict[int, int] = {}

    def refused(self, sim: int, error: SubmitRefused, now_ms: int) -> int:
        """A part of the SIM was refused; until when it rests, 0 where it does not yet, or the fault is not its own."""
        if retry.blame(error.cms, error.cme) is not retry.Blame.SIM:
            return 0
        refusals = self.refusals.get(sim, 0) + 1
        self.refusals[sim] = refusals
        if refusals < REFUSALS:
            return 0
        # Behind a rest the first refusal is enough for the next, twice as long.
        until_ms = now_ms + min(FIRST_MS << min(refusals - REFUSALS, 10), LONGEST_MS)
        self.until_ms[sim] = until_ms
        rest_s = (until_ms - now_ms) // 1000
        log.warning("SIM ···%04d refuses one part after the other: it rests for %d s", sim % 10_000, rest_s)
        return until_ms

    def full(self, sim: int, until_ms: int) -> None:
        """The SIM has sent what it may, until then: what its quota says last counts."""
        self.full_ms[sim] = until_ms

    def full_for_all(self, sim: int, until_ms: int) -> None:
        """The same, even for what is under way on it."""
        self._under_way_ms[sim] = until_ms
        self.full_ms[sim] = max(self.full_ms.get(sim, 0), until_ms)

    def look_again(self) -> None:
        """The clock was set: the quotas are to be asked again."""
        self.full_ms.clear()
        self._under_way_ms.clear()

    def accepted(self, sim: int) -> None:
        """The network took a part from the SIM: whatever it refused, that is over."""
        self.refusals.pop(sim, None)
        self.until_ms.pop(sim, None)

    def is_resting(self, sim: int, now_ms: int) -> bool:
        """Whether nothing is to begin on the SIM."""
        return self.until_ms.get(sim, 0) > now_ms or self.full_ms.get(sim, 0) > now_ms

    def may_go_on(self, sim: int, now_ms: int) -> bool:
        """Whether it may send what is under way on it."""
        return max(self.until_ms.get(sim, 0), self._under_way_ms.get(sim, 0)) <= now_ms

    def next_end_ms(self, now_ms: int) -> int | None:
        """When the next SIM that rests may try again, or None."""
        ends_ms = (*self.until_ms.values(), *self.full_ms.values(), *self._under_way_ms.values())
        return min((until_ms for until_ms in ends_ms if until_ms > now_ms), default=None)
