"""Stub of _envelope.pyx, where the behaviour is documented."""

from collections.abc import Iterable
from typing import TypedDict, final

class _Options(TypedDict, total=False):
    """What an Envelope is made of, for `**options: Unpack[_Options]`."""

    alphabet: str
    national: str
    transliterate: bool
    reference_bits: int
    validity_s: int | None
    expires_ms: int | None
    exact_validity: bool
    single_shot: bool
    wants_report: bool
    reject_duplicates: bool
    reply_path: bool
    protocol: int
    message_class: int | None
    coding: int | None
    elements: Iterable[tuple[int, bytes]]
    service_centre: str

@final
class Envelope:
    """All that is said about a message but its text and whom it goes to, checked once."""

    def __new__(
        cls,
        *,
        alphabet: str = "auto",
        national: str = "off",
        transliterate: bool = False,
        reference_bits: int = 8,
        validity_s: int | None = None,
        expires_ms: int | None = None,
        exact_validity: bool = False,
        single_shot: bool = False,
        wants_report: bool = False,
        reject_duplicates: bool = False,
        reply_path: bool = False,
        protocol: int = 0,
        message_class: int | None = None,
        coding: int | None = None,
        elements: Iterable[tuple[int, bytes]] = (),
        service_centre: str = "",
    ) -> Envelope:
        """`alphabet` is "auto", "gsm7" or "ucs2", `national` "off", "single" or "all"; elements are (id, octets)."""
    @property
    def alphabet(self) -> str: ...
    @property
    def national(self) -> str: ...
    @property
    def transliterate(self) -> bool: ...
    @property
    def reference_bits(self) -> int: ...
    @property
    def validity_s(self) -> int | None: ...
    @property
    def expires_ms(self) -> int | None: ...
    @property
    def exact_validity(self) -> bool: ...
    @property
    def single_shot(self) -> bool: ...
    @property
    def wants_report(self) -> bool: ...
    @property
    def reject_duplicates(self) -> bool: ...
    @property
    def reply_path(self) -> bool: ...
    @property
    def protocol(self) -> int: ...
    @property
    def message_class(self) -> int | None: ...
    @property
    def coding(self) -> int | None: ...
    @property
    def elements(self) -> tuple[tuple[int, bytes], ...]: ...
    @property
    def service_centre(self) -> str: ...
