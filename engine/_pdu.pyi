"""Stub of _pdu.pyx, where the behaviour is documented."""

from typing import final

from typing_extensions import disjoint_base

@disjoint_base
class Tpdu:
    """What the TPDUs that are read have in common."""

    @property
    def protocol(self) -> int:
        """TP-PID: 0 ordinary, 0x41 to 0x47 replaces an earlier message."""
    @property
    def coding(self) -> int:
        """TP-DCS as received."""
    @property
    def alphabet(self) -> int:
        """0 GSM 7-bit, 1 octets, 2 UCS2: `sms.Alphabet`."""
    @property
    def message_class(self) -> int | None:
        """0 (flash) to 3, None where none is named."""
    @property
    def text(self) -> str:
        """Well-formed always; "" for octets."""
    @property
    def octets(self) -> bytes:
        """User data behind the header where `text` cannot say it: 8-bit data, and UCS2 that halves a pair."""
    @property
    def header(self) -> bytes:
        """TP-UDH as received, its length octet first; b"" if there is none."""
    @property
    def concatenation(self) -> tuple[int, int, int] | None:
        """(reference, total, sequence), the sequence from 1."""
    @property
    def service_centre(self) -> str:
        """The number before the TPDU, only from `read`; else ""."""

@final
class Deliver(Tpdu):
    """SMS-DELIVER: a message for us."""

    @property
    def originator(self) -> str:
        """+ and digits if international, digits otherwise, or a name."""
    @property
    def alphanumeric(self) -> bool:
        """Whether the originator is a name, which cannot be answered."""
    @property
    def service_centre_time_ms(self) -> int | None:
        """Epoch milliseconds UTC, None for an impossible date."""

@final
class StatusReport(Tpdu):
    """SMS-STATUS-REPORT: what became of a part."""

    @property
    def reference(self) -> int:
        """TP-MR that the modem gave the part, 0 to 255."""
    @property
    def recipient(self) -> str:
        """As `Deliver.originator`."""
    @property
    def service_centre_time_ms(self) -> int | None:
        """When the service centre took the part: epoch milliseconds UTC."""
    @property
    def discharge_time_ms(self) -> int | None:
        """When the outcome was reached: epoch milliseconds UTC."""
    @property
    def outcome(self) -> int:
        """TP-ST: 0 to 0x1F done, 0x20 to 0x3F still trying, 0x40 and up failed."""

@final
class Submit(Tpdu):
    """SMS-SUBMIT: a part of ours."""

    @property
    def reference(self) -> int:
        """TP-MR, 0 until a modem puts in its own."""
    @property
    def destination(self) -> str:
        """As `Deliver.originator`."""
    @property
    def validity_s(self) -> int | None:
        """Seconds from submission; None where none, or a point in time, is given."""
    @property
    def expires_ms(self) -> int | None:
        """The point in time of an absolute validity: epoch milliseconds UTC."""
    @property
    def wants_report(self) -> bool: ...
    @property
    def reject_duplicates(self) -> bool: ...
    @property
    def reply_path(self) -> bool: ...

def encode(
    destination: str,
    text: str,
    *,
    concatenation: int = 0,
    validity_s: int | None = None,
    wants_report: bool = False,
    alphabet: str = "auto",
    message_class: int | None = None,
) -> list[bytes]:
    """SMS-SUBMIT TPDUs without service centre, TP-MR 0.  `validity_s` is rounded up to what TP-VP can say."""

def line(tpdu: bytes) -> bytes:
    """Hex for AT+CMGS=len(tpdu), without the Ctrl-Z."""

def decode(tpdu: bytes, direction: str = "sc2ms") -> Deliver | StatusReport | Submit:
    """A bare TPDU, to the mobile ("sc2ms") or from it ("ms2sc")."""

def read(pdu_hex: str | bytes, length: int | None = None) -> Deliver | StatusReport | Submit:
    """A PDU as a modem prints it.  `length` in TPDU octets, as the modem stated."""
