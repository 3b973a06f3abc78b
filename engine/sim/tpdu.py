"""The octets that a modem checks and a service centre writes (3GPP TS 23.040 §9.2).

SMS-SUBMIT is only checked for its shape; SMS-DELIVER and SMS-STATUS-REPORT are built.  Texts are UCS2, so no
alphabet is known here.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from engine.errors import CodecError, Invalid, InvalidParam

MTI_SUBMIT = 1
MTI_REPORT = 2
UDHI = 0x40
SRR = 0x20

# Code units that fit 140 octets, alone and behind a 6-octet header (§9.2.3.24.1).
ROOM_UNITS = 70
PART_UNITS = 67
MOST_PARTS = 255
UCS2 = 0x08

_SWAP = bytes(((octet & 0x0F) << 4) | octet >> 4 for octet in range(256))
_SEMI = str.maketrans("abcde", "*#abc")
_NIBBLE = {**{str(digit): digit for digit in range(10)}, "*": 10, "#": 11, "a": 12, "b": 13, "c": 14}
# Octets of TP-VP by TP-VPF: none, enhanced, relative, absolute (§9.2.3.3).
_VALIDITY_OCTETS = (0, 7, 1, 7)


class Submit(NamedTuple):
    """What a service centre reads in an SMS-SUBMIT; `address` is TP-DA as sent: length, type, semi-octets."""

    destination: str
    address: bytes
    wants_report: bool
    is_last_part: bool


def _counts_septets(coding: int) -> bool:
    """Whether TP-UDL counts septets under this TP-DCS (3GPP TS 23.038 §4); reserved groups do."""
    group = coding >> 4
    if group < 8:
        return not coding & 0x20 and coding & 0x0C in (0x00, 0x0C)
    if group == 0xF:
        return not coding & 0x04
    return group != 0xE


_SEPTETS = tuple(_counts_septets(coding) for coding in range(256))


def message_class(coding: int) -> int | None:
    """The class 0-3 that a TP-DCS carries, or None (3GPP TS 23.038 §4)."""
    group = coding >> 4
    if (group < 8 and coding & 0x10) or group == 0xF:
        return coding & 0x03
    return None


def class_of_deliver(tpdu: bytes) -> int | None:
    """The class of an SMS-DELIVER (§9.2.2.1)."""
    return message_class(tpdu[4 + (tpdu[1] + 1) // 2])


def read_address(octets: bytes) -> str:
    """The digits of an address field (length, type, semi-octets), with + where it is international."""
    digits = octets[2:].translate(_SWAP).hex()[: octets[0]]
    if not digits.isdecimal():
        digits = digits.translate(_SEMI)
    return "+" + digits if octets[1] & 0x70 == 0x10 else digits


def write_address(number: str, field: str = "number") -> bytes:
    """An address field: `+` makes it international (91), else it is of unknown type (81).

    Raises Invalid, naming `field`, for anything but 1 to 20 digits.
    """
    digits = number.removeprefix("+")
    if not 1 <= len(digits) <= 20 or any(digit not in _NIBBLE for digit in digits):
        raise Invalid(InvalidParam(field, "1 to 20 digits, with or without a leading +"))
    return bytes((len(digits), 0x91 if number.startswith("+") else 0x81)) + semi_octets(digits)


def write_service_centre(number: str) -> bytes:
    """The SCA field before a TPDU: its length counts octets, type included (3GPP TS 24.011 §8.2.5.1)."""
    address = write_address(number, "service_centre")
    return bytes((len(address) - 1,)) + address[1:]


def semi_octets(digits: str) -> bytes:
    """Digits as swapped semi-octets, an odd one filled with F."""
    nibbles = [_NIBBLE[digit] for digit in digits]
    if len(nibbles) % 2:
        nibbles.append(0x0F)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def parse_submit(tpdu: bytes) -> Submit:
    """Check the shape of an SMS-SUBMIT to the last octet (§9.2.2.2).  Raises CodecError with the field."""
    try:
        first = tpdu[0]
        if first & 0x03 != MTI_SUBMIT:
            raise CodecError("not an SMS-SUBMIT", "message_type", 0)
        digits = tpdu[2]
        if not 1 <= digits <= 20:
            raise CodecError("1 to 20 digits", "destination", 2)
        end = 4 + (digits + 1) // 2
        coding = tpdu[end + 1]
        at = end + 2 + _VALIDITY_OCTETS[first >> 3 & 0x03]
        length = tpdu[at]
    except IndexError:
        raise CodecError("ends too early", "tpdu", len(tpdu)) from None
    octets = (length * 7 + 7) // 8 if _SEPTETS[coding] else length
    if octets != len(tpdu) - at - 1 or octets > 140:
        raise CodecError("length and user data differ", "length", at)
    last = True
    if first & UDHI:
        last = _is_last_part(tpdu, at + 1)
    address = tpdu[2:end]
    return Submit(read_address(address), address, bool(first & SRR), last)


def _is_last_part(tpdu: bytes, at: int) -> bool:
    """Whether the header at `at` names no concatenation (IE 00, 08), or the last part of one."""
    if at >= len(tpdu) or at + 1 + tpdu[at] > len(tpdu):
        raise CodecError("header longer than the user data", "header", at)
    end = at + 1 + tpdu[at]
    at += 1
    while at + 2 <= end:
        name, octets = tpdu[at], tpdu[at + 1]
        value = tpdu[at + 2 : min(at + 2 + octets, end)]
        if (name == 0x00 and len(value) == 3) or (name == 0x08 and len(value) == 4):
            return value[-2] == value[-1]
        at += 2 + octets
    return True


@lru_cache(maxsize=256)
def _stamp_second(second: int, zone_quarters: int) -> bytes:
    local = datetime.fromtimestamp(second, UTC) + timedelta(minutes=15 * zone_quarters)
    quarters = abs(zone_quarters)
    stamp = semi_octets(f"{local:%y%m%d%H%M%S}{quarters:02d}")
    # Bit 3 of the last octet is the algebraic sign (§9.2.3.11).
    return stamp if zone_quarters >= 0 else stamp[:6] + bytes((stamp[6] | 0x08,))


def stamp(at_ms: int, zone_quarters: int) -> bytes:
    """TP-SCTS of an instant in local time, the zone in quarters of an hour east (§9.2.3.11)."""
    return _stamp_second(at_ms // 1000, zone_quarters)


def build_report(reference: int, address: bytes, accepted: bytes, discharged: bytes, status: int) -> bytes:
    """An SMS-STATUS-REPORT, no more messages waiting (§9.2.2.3); the last three are SCTS, DT and TP-ST."""
    return bytes((0x06, reference)) + address + accepted + discharged + bytes((status,))


def build_deliver(originator: bytes, service_centre_time: bytes, user_data: bytes, has_header: bool) -> bytes:
    """An SMS-DELIVER of UCS2 user data, no more messages waiting (§9.2.2.1)."""
    first = 0x04 | (UDHI if has_header else 0)
    return (
        bytes((first,)) + originator + bytes((0x00, UCS2)) + service_centre_time + bytes((len(user_data),)) + user_data
    )


def cut(text: str, room: int) -> Iterator[bytes]:
    """UTF-16BE pieces of at most `room` code units, never half a surrogate pair."""
    octets = text.encode("utf-16-be", "surrogatepass")
    at = 0
    while at < len(octets):
        end = min(at + 2 * room, len(octets))
        if end < len(octets) and octets[end - 2] & 0xFC == 0xD8:
            end -= 2
        yield octets[at:end]
        at = end


def build_text(text: str, originator: bytes, service_centre_time: bytes, concatenation: int) -> list[bytes]:
    """The SMS-DELIVERs of a text: one of up to 70 units, else parts of up to 67 under an 8-bit reference.

    Raises Invalid where that takes more than 255 parts.
    """
    pieces = list(cut(text, ROOM_UNITS)) or [b""]
    if len(pieces) == 1:
        return [build_deliver(originator, service_centre_time, pieces[0], has_header=False)]
    pieces = list(cut(text, PART_UNITS))
    total = len(pieces)
    if total > MOST_PARTS:
        raise Invalid(InvalidParam("text", "too long for 255 parts"))
    return [
        build_deliver(
            originator,
            service_centre_time,
            bytes((5, 0x00, 3, concatenation & 0xFF, total, sequence)) + piece,
            has_header=True,
        )
        for sequence, piece in enumerate(pieces, 1)
    ]
