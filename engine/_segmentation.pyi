"""Stub of _segmentation.pyx, where the behaviour is documented."""

from typing import final

@final
class Measure:
    """What a text takes."""

    @property
    def alphabet(self) -> int:
        """0 GSM 7-bit, 2 UCS2: `sms.Alphabet`."""
    @property
    def units(self) -> int:
        """Septets or 16-bit code units of the whole text, headers not counted."""
    @property
    def parts(self) -> int:
        """1 to 255."""
    @property
    def room(self) -> int:
        """Units left in the last part."""
    @property
    def forced_by(self) -> str:
        """The first character that forced UCS2, "" if none did."""

def measure(text: str, alphabet: str = "auto") -> Measure:
    """How `text` would go.  `alphabet` is "auto", "gsm7" or "ucs2"."""

def cut(text: str, alphabet: str = "auto") -> list[str]:
    """The text of each part."""
