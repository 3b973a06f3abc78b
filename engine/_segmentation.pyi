"""Stub of _segmentation.pyx, where the behaviour is documented."""

from typing import final

from typing_extensions import Unpack

from engine._envelope import Envelope, _Options

@final
class Measure:
    """What a text takes."""

    @property
    def alphabet(self) -> int:
        """0 GSM 7-bit, 1 octets, 2 UCS2: `sms.Alphabet`."""
    @property
    def units(self) -> int:
        """Septets, 16-bit code units or octets of the whole text, headers not counted."""
    @property
    def parts(self) -> int:
        """1 to 255."""
    @property
    def room(self) -> int:
        """Units left in the last part."""
    @property
    def single(self) -> int:
        """National language identifier of the single shift table, 0 for none."""
    @property
    def locking(self) -> int:
        """National language identifier of the locking shift table, 0 for none."""
    @property
    def forced_by(self) -> str:
        """The first character that forced more than the GSM 7-bit default alphabet, "" if none did."""
    @property
    def forced_at(self) -> int | None:
        """Where it stands, in characters."""

def measure(text: str | bytes, envelope: Envelope | None = None, **options: Unpack[_Options]) -> Measure:
    """How `text` would go."""

def cut(text: str, envelope: Envelope | None = None, **options: Unpack[_Options]) -> list[str]:
    """The text of each part."""
