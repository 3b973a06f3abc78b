"""All about a message but its text and its destination, checked when it is made."""

from dataclasses import dataclass

from bench.baseline import fields
from bench.baseline.alphabets import GSM7, OCTETS, UCS2, alphabet_of, is_compressed
from bench.baseline.header import OURS, Element
from engine.errors import CodecError

ALPHABETS = {"gsm7": GSM7, "ucs2": UCS2}
GENERAL_GROUP = {GSM7: 0x00, OCTETS: 0x04, UCS2: 0x08}
MOST_OCTETS = 140  # TP-UD of a SUBMIT


@dataclass(frozen=True, slots=True)
class Envelope:
    """As `engine.sms.Envelope`, but without look-alikes."""

    alphabet: str = "auto"
    national: str = "off"
    reference_bits: int = 8
    validity_s: int | None = None
    expires_ms: int | None = None
    exact_validity: bool = False
    single_shot: bool = False
    wants_report: bool = False
    reject_duplicates: bool = False
    reply_path: bool = False
    protocol: int = 0
    message_class: int | None = None
    coding: int | None = None
    elements: tuple[Element, ...] = ()
    service_centre: str = ""

    def __post_init__(self) -> None:
        wrong = {
            "alphabet": self.alphabet not in ("auto", *ALPHABETS),
            "national": self.national not in ("off", "single", "all"),
            "reference_bits": self.reference_bits not in (8, 16),
            "protocol": not 0 <= self.protocol <= 255,
            "message_class": self.message_class not in (None, 0, 1, 2, 3),
            "coding": self.coding is not None and not 0 <= self.coding <= 255,
            "header": any(
                not 0 <= identifier <= 255 or identifier in OURS or len(value) > 255
                for identifier, value in self.elements
            ),
        }
        for field, is_wrong in wrong.items():
            if is_wrong:
                raise CodecError("out of range", field)
        if self.coding is not None:
            if self.message_class is not None:
                raise CodecError("the coding says it", "message_class")
            contradicted = self.alphabet != "auto" and ALPHABETS[self.alphabet] != alphabet_of(self.coding)[0]
            if is_compressed(self.coding) or contradicted:
                raise CodecError("not as this text is coded", "coding")
        if self.expires_ms is not None and (self.validity_s is not None or self.single_shot):
            raise CodecError("two formats at once", "validity")
        if self.exact_validity and self.validity_s is None:
            raise CodecError("exact, but not given", "validity")
        self.validity_octets()
        fields.write_service_centre(self.service_centre)

    def alphabets(self) -> list[int]:
        """Those that a text may choose from."""
        if self.coding is not None:
            return [alphabet_of(self.coding)[0]]
        return [GSM7, UCS2] if self.alphabet == "auto" else [ALPHABETS[self.alphabet]]

    def coding_of(self, alphabet: int) -> int:
        if self.coding is not None:
            return self.coding
        return GENERAL_GROUP[alphabet] | (0 if self.message_class is None else 0x10 | self.message_class)

    def validity_format(self) -> int:
        if self.expires_ms is not None:
            return fields.ABSOLUTE
        if self.exact_validity or self.single_shot:
            return fields.ENHANCED
        return fields.NO_VALIDITY if self.validity_s is None else fields.RELATIVE

    def validity_octets(self) -> bytes:
        return fields.write_validity(self.validity_format(), self.validity_s, self.expires_ms, self.single_shot)


def envelope_of(envelope: "Envelope | str | None", options: dict[str, object]) -> Envelope:
    """An envelope given whole, as options, or by its alphabet alone; TypeError for more than one of these."""
    if envelope is None:
        return Envelope(**options)  # type: ignore[arg-type]
    if options:
        raise TypeError("an envelope and options")
    return Envelope(envelope) if isinstance(envelope, str) else envelope
