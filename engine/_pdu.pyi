"""Stub of _pdu.pyx, where the behaviour is documented."""

from collections.abc import Sequence

from typing_extensions import Unpack

from engine._envelope import Envelope, _Options
from engine._template import Template

def encode(
    destination: str,
    text: str | bytes,
    envelope: Envelope | None = None,
    *,
    concatenation: int = 0,
    **options: Unpack[_Options],
) -> list[bytes]:
    """SMS-SUBMIT TPDUs without service centre, TP-MR 0.  Octets are 8-bit data."""

def lines(destination: str, text: str | bytes, envelope: Envelope | None = None, concatenation: int = 0) -> list[bytes]:
    """Hex for AT+CMGS of each part, service centre first, without the Ctrl-Z."""

def batch(
    destinations: Sequence[str],
    text: str | bytes | Template,
    values: Sequence[tuple[str | None, ...]] | None = None,
    envelope: Envelope | None = None,
    concatenation: int | Sequence[int] = 0,
) -> list[list[bytes]]:
    """The `lines` for each destination; `values` in the order of the template's `fields`."""

def line(tpdu: bytes, service_centre: str = "") -> bytes:
    """Hex for AT+CMGS=len(tpdu), without the Ctrl-Z."""
