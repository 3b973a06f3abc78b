"""SIMs: what each is known by, and the message references it gives.

TP-MR is the modem's own counter.  Where a SIM has been seen to step it by one, the reference of the next accepted
part tells how many of the unknown parts before it were really tried.
"""

from typing import Final

import msgspec

from engine.store.table import Table, Txn

# So many single steps in a row before a SIM's references are believed.
STEPS_BELIEVED: Final = 4


class Sim(msgspec.Struct, frozen=True, array_like=True):
    """`reference` is the last TP-MR given or -1; `steps` counts single steps in a row; `sent` counts parts."""

    imsi: int
    reference: int = -1
    steps: int = 0
    sent: int = 0


SIMS: Final = Table("sims", Sim)

TABLES: Final = (SIMS,)


def find(txn: Txn, imsi: int) -> Sim:
    """The SIM's record; a fresh one where it was never seen."""
    return SIMS.find(txn, imsi) or Sim(imsi)


def tried_since(txn: Txn, imsi: int, reference: int) -> int | None:
    """How many submissions the SIM made between its last known reference and this one; None where it cannot be told."""
    sim = find(txn, imsi)
    if sim.reference < 0 or sim.steps < STEPS_BELIEVED:
        return None
    return (reference - sim.reference - 1) % 256


def accepted(txn: Txn, imsi: int, reference: int, unknown: int = 0) -> None:
    """Note that the SIM gave `reference`; up to `unknown` submissions before it may have taken references too."""
    sim = find(txn, imsi)
    gap = (reference - sim.reference - 1) % 256
    steps = sim.steps + 1 if sim.reference >= 0 and gap <= unknown else 0
    SIMS.put(txn, imsi, Sim(imsi, reference, min(steps, STEPS_BELIEVED), sim.sent + 1))
