"""TPDUs of all six types from their fields, and read ones once more as octets: 3GPP TS 23.040 §9.2.2.

What is built is written and read again, so that a built record and a read one are the same.
"""

from collections.abc import Iterable
from typing import Any

from bench.baseline import fields, header
from bench.baseline.alphabets import GSM7, OCTETS, UCS2, alphabet_of, codes, is_compressed
from bench.baseline.envelope import GENERAL_GROUP
from bench.baseline.reading import CODING, PROTOCOL, USER_DATA, decode
from bench.baseline.records import Command, Deliver, DeliverReport, StatusReport, Submit, SubmitReport, Tpdu
from bench.baseline.writing import user_data
from engine.errors import CodecError

DIRECTIONS = {
    "Deliver": "sc2ms",
    "SubmitReport": "sc2ms",
    "StatusReport": "sc2ms",
    "DeliverReport": "ms2sc",
    "Submit": "ms2sc",
    "Command": "ms2sc",
}
LONGEST_TPDU = 164  # octets of each of the six: §9.2.2
RECORDS = {kind.__name__: kind for kind in (Command, Deliver, DeliverReport, StatusReport, Submit, SubmitReport)}
CONTENT_NAMES = ("text", "coding", "message_class", "elements", "single", "locking")


def flags(bits: dict[int, bool]) -> int:
    """The first octet but for its type: values by their bits."""
    return sum(value << place for place, value in bits.items())


def octet(value: int, field: str) -> bytes:
    if not 0 <= value <= 255:
        raise CodecError("not one octet", field)
    return bytes([value])


def content(
    text: str | bytes = "",
    coding: int | None = None,
    message_class: int | None = None,
    elements: Iterable[header.Element] = (),
    single: int = 0,
    locking: int = 0,
) -> dict[str, Any]:
    """TP-DCS, TP-UDL and TP-UD of a text: GSM 7-bit where it has all of it, unless the coding is given."""
    if coding is not None and message_class is not None:
        raise CodecError("the coding says it", "message_class")
    if coding is not None and (not 0 <= coding <= 255 or is_compressed(coding)):
        raise CodecError("not one we write", "coding")
    if message_class not in (None, 0, 1, 2, 3):
        raise CodecError("not 0 to 3", "message_class")
    if coding is not None:
        alphabet = alphabet_of(coding)[0]
    elif isinstance(text, bytes):
        alphabet = OCTETS
    elif all(character in codes(single, locking) for character in text):
        alphabet = GSM7
    else:
        alphabet = UCS2
    if (isinstance(text, bytes) and alphabet == GSM7) or (isinstance(text, str) and text and alphabet == OCTETS):
        raise CodecError("octets are no text", "coding")
    if isinstance(text, str):
        if alphabet == GSM7 and not all(character in codes(single, locking) for character in text):
            raise CodecError("not in that alphabet", "text")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise CodecError("half a surrogate pair", "text")
    if coding is None:
        coding = GENERAL_GROUP[alphabet] | (0 if message_class is None else 0x10 | message_class)
    every = [*elements, *header.shift_elements(single, locking)]
    length, octets = user_data(text, alphabet, every, single, locking)
    if len(octets) > 255 or length > 255:
        raise CodecError("too long", "user_data")
    return {"coding": coding, "length": length, "user_data": octets, "header": header.join_elements(every)}


def build(kind: str, **given: Any) -> Tpdu:
    """The record of that name, from the keywords that the native class takes.  Raises CodecError."""
    said = {name: given.pop(name) for name in list(given) if name in CONTENT_NAMES}
    explicit = said.get("coding") is not None
    found = content(**said) if kind != "Command" else {}
    for name in ("originator", "recipient", "destination"):
        if name in given:
            given["address_type"] = fields.type_of_address(given[name], name, names=True)
    if kind == "Submit" and "validity_format" not in given:
        given["validity_format"] = format_of(given)
    if kind in ("StatusReport", "SubmitReport", "DeliverReport"):
        given["parameters"] = (
            (PROTOCOL if given.get("protocol") else 0)
            | (CODING if explicit or found["coding"] else 0)
            | (USER_DATA if found["length"] else 0)
        )
    octets = write(RECORDS[kind](**found, **given))
    if len(octets) > LONGEST_TPDU:
        raise CodecError("longer than a TPDU can be", "user_data")
    return decode(octets, DIRECTIONS[kind], rp="ack" if given.get("failure") is None else "error")


def format_of(given: dict[str, Any]) -> int:
    """TP-VPF: a moment, one attempt, seconds from now, or nothing."""
    if given.get("expires_ms") is not None:
        if given.get("validity_s") is not None or given.get("single_shot"):
            raise CodecError("two formats at once", "validity")
        return fields.ABSOLUTE
    if given.pop("exact_validity", False) or given.get("single_shot"):
        return fields.ENHANCED
    return fields.NO_VALIDITY if given.get("validity_s") is None else fields.RELATIVE


def stamp(found: Any, name: str) -> bytes:
    return fields.write_stamp(getattr(found, f"{name}_time_ms"), getattr(found, f"{name}_zone"), f"{name}_time")


def body(found: Tpdu) -> bytes:
    return octet(found.length, "user_data") + found.user_data


def announced(found: Any) -> bytes:
    """What TP-PI announces."""
    octets = octet(found.protocol, "protocol") if found.parameters & PROTOCOL else b""
    octets += octet(found.coding, "coding") if found.parameters & CODING else b""
    return octets + (body(found) if found.parameters & USER_DATA else b"")


def parameters(found: Any) -> bytes:
    return octet(found.parameters & (PROTOCOL | CODING | USER_DATA), "parameters")


def validity(found: Submit) -> bytes:
    return fields.write_validity(found.validity_format, found.validity_s, found.expires_ms, found.single_shot)


def failure(found: SubmitReport | DeliverReport) -> bytes:
    return b"" if found.failure is None else octet(found.failure, "failure")


def write(found: Tpdu) -> bytes:
    """The octets of a record: those it was read from, if they were as we would write them."""
    has_header = bool(found.header)
    match found:
        case Deliver():
            first = flags(
                {
                    2: not found.more_messages,
                    3: found.loop_prevention,
                    5: found.report_indication,
                    6: has_header,
                    7: found.reply_path,
                }
            )
            address = fields.write_address(found.originator, found.address_type)
            front = bytes([first]) + address + octet(found.protocol, "protocol") + octet(found.coding, "coding")
            return front + stamp(found, "service_centre") + body(found)
        case StatusReport():
            bits = {2: not found.more_messages, 3: found.loop_prevention, 5: found.for_command, 6: has_header}
            first = 2 | flags(bits)
            address = fields.write_address(found.recipient, found.address_type)
            front = bytes([first]) + octet(found.reference, "reference") + address
            front += stamp(found, "service_centre") + stamp(found, "discharge") + octet(found.outcome, "outcome")
            return front + (parameters(found) + announced(found) if found.parameters else b"")
        case Submit():
            first = 1 | flags({2: found.reject_duplicates, 5: found.wants_report, 6: has_header, 7: found.reply_path})
            first |= found.validity_format << 3
            address = fields.write_address(found.destination, found.address_type)
            front = bytes([first]) + octet(found.reference, "reference") + address
            front += octet(found.protocol, "protocol") + octet(found.coding, "coding")
            return front + validity(found) + body(found)
        case Command():
            first = 2 | flags({5: found.wants_report, 6: found.has_header})
            front = bytes([first]) + octet(found.reference, "reference") + octet(found.protocol, "protocol")
            front += octet(found.command, "command") + octet(found.number, "number")
            front += fields.write_address(found.destination, found.address_type)
            return front + octet(len(found.data), "data") + found.data
        case SubmitReport():
            first = 1 | flags({6: has_header})
            return (
                bytes([first]) + failure(found) + parameters(found) + stamp(found, "service_centre") + announced(found)
            )
        case DeliverReport():
            return bytes([flags({6: has_header})]) + failure(found) + parameters(found) + announced(found)
    raise TypeError("no TPDU")
