"""Stub of _reading.pyx, where the behaviour is documented."""

from collections.abc import Iterable
from typing import Literal, overload

from engine._content import Tpdu
from engine._reports import DeliverReport, StatusReport, SubmitReport
from engine._tpdu import Command, Deliver, Submit

@overload
def decode(
    tpdu: bytes, direction: Literal["sc2ms"] = "sc2ms", *, rp: str = "ack", strict: bool = True
) -> Deliver | SubmitReport | StatusReport: ...
@overload
def decode(
    tpdu: bytes, direction: Literal["ms2sc"], *, rp: str = "ack", strict: bool = True
) -> DeliverReport | Submit | Command: ...
@overload
def decode(
    tpdu: bytes, direction: str = "sc2ms", *, rp: str = "ack", strict: bool = True
) -> Deliver | SubmitReport | StatusReport | DeliverReport | Submit | Command:
    """A bare TPDU, to the mobile ("sc2ms") or from it ("ms2sc")."""

def read(pdu_hex: str | bytes, length: int | None = None, *, strict: bool = True) -> Deliver | StatusReport | Submit:
    """A PDU as a modem prints it.  `length` in TPDU octets, as the modem stated."""

def join(tpdus: Iterable[Tpdu]) -> str:
    """The text of the parts of one message, in any order."""
