"""What to do after a refused part: again later, or give up, and whose fault it was.  Pure: no clock, no store.

Classes follow the TC35i's +CMS ERROR numbers: RP causes 0-127 (3GPP TS 24.011 §8.2.5.4), TP-FCS 128-255
(TS 23.040 §9.2.3.22), local 300-500 (TS 27.005 §3.2.5), Siemens 512 and up.
"""

from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

ATTEMPTS: Final = 5  # per part; then a passing error counts as final
FIRST_WAIT_MS: Final = 5_000
LONGEST_WAIT_MS: Final = 600_000


class Blame(Enum):
    """Whose fault a refusal is."""

    MESSAGE = "message"  # no other modem will take it either
    NETWORK = "network"  # passes; wait and try again
    SIM = "sim"  # this SIM or modem; another may take it
    US = "us"  # a malformed request: trying again changes nothing


_NUMBERED: Final[dict[Blame, frozenset[int]]] = {
    Blame.MESSAGE: frozenset({1, 30, *range(128, 148), 159, 160, 161, 175, 176, 195, 196}),
    Blame.NETWORK: frozenset(
        {21, 27, 38, 41, 42, 47, 127, 192, 194, 212, 255, 301, 314, 331, 332, 500, 512, 521, 522, 535}
    ),
    Blame.SIM: frozenset(
        {
            8,
            10,
            22,
            28,
            29,
            50,
            69,
            193,
            *range(208, 212),
            213,
            300,
            302,
            *range(310, 314),
            *range(315, 319),
            320,
            330,
            513,
            532,
        }
    ),
    Blame.US: frozenset(
        {81, *range(95, 100), 111, 198, 199, 303, 304, 305, 321, 322, 340, *range(514, 521), *range(538, 555)}
    ),
}
# Those that speak of the number itself: nobody's, no subscriber's, not one that takes texts.
_OF_NUMBER: Final = frozenset({1, 30, 195, 196})
_BLAME: Final = {number: blame for blame, numbers in _NUMBERED.items() for number in numbers}


@dataclass(frozen=True, slots=True)
class Again:
    """Try the part again, not before `after_ms` from now."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The part has failed for good; `permanent` says that the fault is the message's own."""

    reason: str
    permanent: bool


def blame(cms: int | None, cme: int | None = None) -> Blame:
    """Whose fault: an unnumbered ERROR is taken for the network's, since it may pass."""
    if cms is not None:
        return _BLAME.get(cms, Blame.NETWORK)
    if cme is not None:
        return Blame.NETWORK if cme in (14, 30, 31, 256, 258) else Blame.SIM
    return Blame.NETWORK


def is_of_number(cms: int | None) -> bool:
    """Whether a refusal says that no text will ever reach the number."""
    return cms in _OF_NUMBER


def decide(cms: int | None, cme: int | None, attempt: int, jitter: Random) -> Again | GiveUp:
    """What follows refusal number `attempt` (1 for the first): doubling waits with a quarter of jitter."""
    whose = blame(cms, cme)
    if whose is Blame.MESSAGE:
        return GiveUp("refused_by_network", permanent=True)
    if whose is Blame.US:
        return GiveUp("refused_by_modem", permanent=True)
    if attempt >= ATTEMPTS:
        return GiveUp("attempts_exhausted", permanent=False)
    wait_ms = min(FIRST_WAIT_MS << (attempt - 1), LONGEST_WAIT_MS)
    return Again(int(wait_ms * jitter.uniform(0.75, 1.25)))
