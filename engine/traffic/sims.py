"""SIMs: what each is known by, and the message references it gives.

TP-MR is the modem's own counter.  Where a SIM has been seen to step it by one, the reference of the next accepted
part tells how many of the unknown parts before it were really tried.
"""

import struct
from typing import Final, NamedTuple

from engine._settling import counted, keys
from engine.errors import RecordBroken
from engine.store.table import Octets, Txn

# So many single steps in a row before a SIM's references are believed.
STEPS_BELIEVED: Final = 4


class Sim(NamedTuple):
    """`reference` is the last TP-MR given or -1; `steps` counts single steps in a row; `sent` counts parts."""

    imsi: int
    reference: int = -1
    steps: int = 0
    sent: int = 0

    @property
    def is_believed(self) -> bool:
        """Whether it has been seen to step by one."""
        return self.reference >= 0 and self.steps >= STEPS_BELIEVED


# IMSI -> whether there is a reference, reference, steps, parts sent
SIMS: Final = Octets("sim_counters", "Q")
_KEY: Final = SIMS.layout
_LAYOUT: Final = struct.Struct("<?BBQ")

TABLES: Final = (SIMS,)


def find(txn: Txn, imsi: int) -> Sim:
    """The SIM's counters; fresh ones where it was never seen."""
    octets = SIMS.find(txn, imsi)
    if octets is None:
        return Sim(imsi)
    try:
        is_known, reference, steps, sent = _LAYOUT.unpack(octets)
    except struct.error as error:
        raise RecordBroken(SIMS.name, _KEY.pack(imsi), str(error)) from error
    return Sim(imsi, reference if is_known else -1, steps, sent)


def put(txn: Txn, sim: Sim) -> None:
    """Write a SIM's counters."""
    octets = _LAYOUT.pack(sim.reference >= 0, max(sim.reference, 0), sim.steps, sim.sent)
    SIMS.put(txn, sim.imsi, octets)


def accepted(txn: Txn, imsi: int, reference: int, unknown: int = 0) -> None:
    """Note that the SIM gave `reference`; up to `unknown` submissions before it may have taken references too."""
    sim = find(txn, imsi)
    gap = (reference - sim.reference - 1) % 256
    steps = sim.steps + 1 if sim.reference >= 0 and gap <= unknown else 0
    put(txn, Sim(imsi, reference, min(steps, STEPS_BELIEVED), sim.sent + 1))


def accepted_all(txn: Txn, references: dict[int, bytearray]) -> None:
    """Note the references that SIMs gave, an octet each, in order; nothing is unknown on any of them."""
    known = SIMS.find_many(txn, keys(references))
    try:
        changed = counted(references, known, STEPS_BELIEVED)
    except ValueError as error:
        raise RecordBroken(SIMS.name, b"", str(error)) from error
    SIMS.put_many(txn, changed)
