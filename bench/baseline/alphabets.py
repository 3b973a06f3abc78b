"""Characters and what stands for them: septets of GSM 7-bit with its shift tables, code units, and what a TP-DCS names.

3GPP TS 23.038.  A packed text is one big number; a pair of tables is said by two languages, `single` for the one
behind an escape and `locking` for the main one, 0 being the default alphabet.
"""

from functools import cache
from importlib import import_module
from typing import Any

MAIN = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\0ÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
BEHIND_ESCAPE = dict(zip(b"\x0a\x14()/<=>@e", "\f^{}\\[~]|€", strict=True))
ESCAPE = 27

GSM7, OCTETS, UCS2 = 0, 1, 2

# §6.2.1.2: Spanish has only a single shift table.
SINGLE_SHIFTS = range(1, 14)
LOCKING_SHIFTS = [language for language in range(1, 14) if language != 2]


def _national() -> Any:
    """The tables of TS 23.038 annex A, which both codecs read from one place: they are data, not a method."""
    return import_module("engine._national")


@cache
def main_table(locking: int = 0) -> dict[int, str]:
    """The characters that stand alone."""
    table: str = _national().locking(locking) if locking else MAIN
    undefined = "\0\x1b"
    return {code: character for code, character in enumerate(table) if character not in undefined}


@cache
def escaped_table(single: int = 0) -> dict[int, str]:
    """The characters behind an escape."""
    table: dict[int, str] = _national().single(single) if single else BEHIND_ESCAPE
    return {code: character for code, character in table.items() if code != ESCAPE}


@cache
def codes(single: int = 0, locking: int = 0) -> dict[str, tuple[int, ...]]:
    """The septets of each character: a plain one rather than an escaped one, the higher code rather than the lower.

    Some tables of the annex have a character twice, and only of the higher code all transcriptions agree.
    """
    found: dict[str, tuple[int, ...]] = {}
    found |= {character: (ESCAPE, code) for code, character in sorted(escaped_table(single).items())}
    found |= {character: (code,) for code, character in sorted(main_table(locking).items())}
    return found


SEPTETS = codes()


def septets_of(text: str, single: int = 0, locking: int = 0) -> list[int]:
    return [septet for character in text for septet in codes(single, locking)[character]]


def spell(septets: list[int], single: int = 0, locking: int = 0) -> str:
    """The text of septets.  What no table has is a space, and so is an escape with no character behind it."""
    plain, escaped = main_table(locking), escaped_table(single)
    text = ""
    behind_escape = False
    for septet in septets:
        if septet == ESCAPE:
            text += " " * behind_escape
            behind_escape = not behind_escape
        elif behind_escape:
            text += escaped.get(septet, plain.get(septet, " "))
            behind_escape = False
        else:
            text += plain.get(septet, " ")
    return text + " " * behind_escape


def pack_septets(septets: list[int], fill_bits: int = 0) -> bytes:
    """Septets as one big number, lowest first, behind `fill_bits` zero bits."""
    number = sum(septet << (fill_bits + 7 * place) for place, septet in enumerate(septets))
    return number.to_bytes(-(-(fill_bits + 7 * len(septets)) // 8), "little")


def unpack_septets(octets: bytes, count: int, fill_bits: int = 0) -> list[int]:
    number = int.from_bytes(octets, "little") >> fill_bits
    return [number >> (7 * place) & 127 for place in range(count)]


def pack(text: str, fill_bits: int = 0, single: int = 0, locking: int = 0) -> bytes:
    return pack_septets(septets_of(text, single, locking), fill_bits)


def unpack(octets: bytes, septets: int, fill_bits: int = 0, single: int = 0, locking: int = 0) -> str:
    return spell(unpack_septets(octets, septets, fill_bits), single, locking)


def units_of(character: str, alphabet: int, single: int = 0, locking: int = 0) -> int:
    if alphabet == GSM7:
        return len(codes(single, locking)[character])
    return len(character.encode("utf-16-be")) // 2


def is_compressed(coding: int) -> bool:
    return coding < 0x80 and bool(coding & 0x20)


def alphabet_of(coding: int) -> tuple[int, int | None]:
    """§4: the alphabet and the class.  What is compressed is octets to us."""
    group = coding >> 4
    if group == 15:
        return (OCTETS if coding & 4 else GSM7), coding & 3
    if group == 14:
        return UCS2, None
    if group >= 8:
        return GSM7, None
    message_class = coding & 3 if coding & 16 else None
    if is_compressed(coding):
        return OCTETS, message_class
    return (GSM7, OCTETS, UCS2, GSM7)[coding >> 2 & 3], message_class
