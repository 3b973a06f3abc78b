"""Stub of _content.pyx, where the behaviour is documented."""

from typing_extensions import disjoint_base

from engine.errors import CodecError

@disjoint_base
class Tpdu:
    """What all TPDUs have in common."""

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
    def elements(self) -> tuple[tuple[int, bytes], ...]:
        """Every information element, identifier and octets; none where they do not fill the header."""
    @property
    def concatenation(self) -> tuple[int, int, int] | None:
        """(reference, total, sequence), the sequence from 1."""
    @property
    def ports(self) -> tuple[int, int] | None:
        """(destination, source) of the applications it is for and from."""
    @property
    def indications(self) -> tuple[tuple[int, bool, int], ...]:
        """(kind, whether to store it, how many wait) of each special message indication."""
    @property
    def single(self) -> int:
        """National language identifier of the single shift table, 0 for none."""
    @property
    def locking(self) -> int:
        """National language identifier of the locking shift table, 0 for none."""
    @property
    def user_data(self) -> bytes:
        """TP-UD, header and all."""
    @property
    def length(self) -> int:
        """TP-UDL: septets or octets."""
    @property
    def service_centre(self) -> str:
        """The number before the TPDU, only from `read`; else ""."""
    @property
    def faults(self) -> tuple[CodecError, ...]:
        """What was wrong with it, where that did not matter to the reader."""
    def encode(self) -> bytes:
        """The octets of this TPDU."""
