"""TPDUs of all six types, and PDUs as a modem prints them: 3GPP TS 23.040 §9.2.2.

Strict, the first fault is a CodecError.  Tolerant, what there is is read and each fault is noted: a field of fixed size
that is cut short says nothing, an address, a text or data as much as is left of it.  Where octets were missing once,
nothing behind them is missed again.
"""

from dataclasses import replace
from typing import Any

from bench.baseline import fields, header
from bench.baseline.alphabets import GSM7, OCTETS, alphabet_of, is_compressed, spell
from bench.baseline.fields import Octets
from bench.baseline.joining import text_septets
from bench.baseline.records import Command, Deliver, DeliverReport, StatusReport, Submit, SubmitReport, Tpdu
from engine.errors import CodecError

LONGEST_RECORD = 256  # octets that `read` takes
MOST_KEPT = 160  # octets of user data, more than any type may have
MOST_DATA = 156  # octets of a command's data, which is sure of 146 only

# Octets of TP-UD: §9.2.2.  A STATUS-REPORT is sure of 131, and may have 143 where its recipient is short.
MOST_OCTETS = {Deliver: 140, Submit: 140, StatusReport: 143}
MOST_OCTETS_OF_REPORT = {
    (SubmitReport, "ack"): 152,
    (SubmitReport, "error"): 151,
    (DeliverReport, "ack"): 159,
    (DeliverReport, "error"): 158,
}

PROTOCOL, CODING, USER_DATA, MORE = 1, 2, 4, 0x80  # TP-PI: §9.2.3.27


def bit(first: int, place: int) -> bool:
    return bool(first >> place & 1)


def take_coding(source: Octets) -> int:
    coding = source.one("coding")
    if is_compressed(coding):
        source.note("compressed", "coding")
    return coding


def take_content(source: Octets, coding: int, has_header: bool, most_octets: int) -> dict[str, Any]:
    """What follows from a coding and the user data behind it."""
    alphabet, message_class = alphabet_of(coding)
    found: dict[str, Any] = {"coding": coding, "alphabet": alphabet, "message_class": message_class}
    length = source.one("user_data")
    if source.ended:
        return found
    size = -(-length * 7 // 8) if alphabet == GSM7 else length
    if size > most_octets:
        source.note(f"more than {most_octets} octets", "user_data")
    source.expect(size, "user_data")
    data = source.take(min(size, MOST_KEPT), "user_data")
    front = b""
    if has_header:
        if (not data or data[0] >= len(data)) and not source.ended:
            source.note("longer than the user data", "header")
        front = data[: data[0] + 1] if data else b""
    elements = header.split_elements(front)
    single, locking = header.shifts_of(elements)
    found |= {
        "header": front,
        "elements": elements,
        "concatenation": header.concatenation_of(elements),
        "ports": header.ports_of(elements),
        "indications": header.indications_of(elements),
        "single": single,
        "locking": locking,
        "user_data": data,
        "length": length,
    }
    body = data[len(front) :]
    if alphabet == GSM7:
        return found | {"text": spell(text_septets(Tpdu(header=front, user_data=data, length=length)), single, locking)}
    if alphabet == OCTETS:
        return found | {"octets": body}
    try:
        return found | {"text": body.decode("utf-16-be")}
    except UnicodeDecodeError:  # half a pair, whose other half another part may have
        return found | {"text": body.decode("utf-16-be", "replace"), "octets": body}


def take_parameters(source: Octets) -> int:
    """TP-PI, which announces what follows; its top bit announces another octet, of which we know nothing."""
    present = more = source.one("parameters")
    while more & MORE:
        more = source.one("parameters")
    return present


def take_announced(source: Octets, present: int, has_header: bool, most_octets: int) -> dict[str, Any]:
    protocol = source.one("protocol") if present & PROTOCOL else 0
    coding = take_coding(source) if present & CODING else 0
    if present & USER_DATA:
        return {"parameters": present, "protocol": protocol} | take_content(source, coding, has_header, most_octets)
    found: dict[str, Any] = {"parameters": present, "protocol": protocol, "coding": coding}
    found["alphabet"], found["message_class"] = alphabet_of(coding)
    return found


def take_stamp(source: Octets, name: str) -> dict[str, Any]:
    time_ms, zone = fields.take_stamp(source, f"{name}_time")
    return {f"{name}_time_ms": time_ms, f"{name}_zone": zone}


def deliver(source: Octets, first: int) -> Deliver:
    originator, kind = fields.take_address(source, "originator")
    found: dict[str, Any] = {"protocol": source.one("protocol")}
    coding = take_coding(source)
    found |= take_stamp(source, "service_centre")
    found |= take_content(source, coding, bit(first, 6), MOST_OCTETS[Deliver])
    return Deliver(
        originator=originator,
        alphanumeric=kind >> 4 & 7 == 5,
        address_type=kind,
        more_messages=not bit(first, 2),
        loop_prevention=bit(first, 3),
        report_indication=bit(first, 5),
        reply_path=bit(first, 7),
        **found,
    )


def status_report(source: Octets, first: int, filler: bool) -> StatusReport:
    reference = source.one("reference")
    recipient, kind = fields.take_address(source, "recipient")
    found = take_stamp(source, "service_centre") | take_stamp(source, "discharge")
    outcome = source.one("outcome")
    if source.left.strip(b"\xff" if filler else b""):
        found |= take_announced(source, take_parameters(source), bit(first, 6), MOST_OCTETS[StatusReport])
    return StatusReport(
        reference=reference,
        recipient=recipient,
        address_type=kind,
        outcome=outcome,
        more_messages=not bit(first, 2),
        loop_prevention=bit(first, 3),
        for_command=bit(first, 5),
        **found,
    )


def submit(source: Octets, first: int) -> Submit:
    reference = source.one("reference")
    destination, kind = fields.take_address(source, "destination")
    found: dict[str, Any] = {"protocol": source.one("protocol")}
    coding = take_coding(source)
    form = first >> 3 & 3
    match form:
        case fields.RELATIVE:
            octets = source.take(1, "validity")
            found["validity_s"] = fields.validity_seconds(octets[0]) if octets else None
        case fields.ABSOLUTE:
            found["expires_ms"] = fields.take_time(source, "validity")
        case fields.ENHANCED:
            found["validity_s"], found["single_shot"] = fields.take_enhanced(source)
    found |= take_content(source, coding, bit(first, 6), MOST_OCTETS[Submit])
    return Submit(
        reference=reference,
        destination=destination,
        address_type=kind,
        validity_format=form,
        reject_duplicates=bit(first, 2),
        wants_report=bit(first, 5),
        reply_path=bit(first, 7),
        **found,
    )


def command(source: Octets, first: int) -> Command:
    reference = source.one("reference")
    protocol = source.one("protocol")
    what = source.one("command")
    number = source.one("number")
    destination, kind = fields.take_address(source, "destination")
    size = source.one("data")
    if size > MOST_DATA:
        source.note(f"more than {MOST_DATA} octets", "data")
    data = source.take(size, "data")
    return Command(
        reference=reference,
        protocol=protocol,
        command=what,
        number=number,
        destination=destination,
        address_type=kind,
        data=data,
        wants_report=bit(first, 5),
        has_header=bit(first, 6),
    )


def submit_report(source: Octets, first: int, rp: str) -> SubmitReport:
    failure = source.one("failure") if rp == "error" else None
    present = take_parameters(source)
    found = take_stamp(source, "service_centre")
    found |= take_announced(source, present, bit(first, 6), MOST_OCTETS_OF_REPORT[SubmitReport, rp])
    return SubmitReport(failure=failure, **found)


def deliver_report(source: Octets, first: int, rp: str) -> DeliverReport:
    failure = source.one("failure") if rp == "error" else None
    found = take_announced(source, take_parameters(source), bit(first, 6), MOST_OCTETS_OF_REPORT[DeliverReport, rp])
    return DeliverReport(failure=failure, **found)


def take_tpdu(source: Octets, direction: str, rp: str, filler: bool) -> Tpdu:
    """Whatever lies there, to its end.  `direction` is "both" for what a modem prints: no reports on TPDUs."""
    if not source.left or source.left[0] & 3 == 3:
        raise CodecError("no type of message", "message_type")
    first = source.one("message_type")
    found: Tpdu
    match direction, first & 3:
        case "sc2ms" | "both", 0:
            found = deliver(source, first)
        case "sc2ms", 1:
            found = submit_report(source, first, rp)
        case "sc2ms" | "both", 2:
            found = status_report(source, first, filler)
        case "ms2sc", 0:
            found = deliver_report(source, first, rp)
        case "ms2sc" | "both", 1:
            found = submit(source, first)
        case "ms2sc", 2:
            found = command(source, first)
    if source.left.strip(b"\xff" if filler else b""):
        source.note("octets behind the end", "length")
    return replace(found, faults=tuple(source.faults))


def decode(tpdu: bytes, direction: str = "sc2ms", *, rp: str = "ack", strict: bool = True) -> Tpdu:
    if direction not in ("sc2ms", "ms2sc"):
        raise CodecError("neither sc2ms nor ms2sc", "direction")
    if rp not in ("ack", "error"):
        raise CodecError("neither ack nor error", "rp")
    return take_tpdu(Octets(tpdu, strict), direction, rp, False)


def decode_submit(tpdu: bytes) -> Submit:
    found = decode(tpdu, "ms2sc")
    if not isinstance(found, Submit):
        raise CodecError("not a SUBMIT", "message_type")
    return found


def read(pdu_hex: str | bytes, length: int | None = None, *, strict: bool = True) -> Tpdu:
    """A PDU as a modem prints it.  FF behind the TPDU is the filler of a stored record."""
    digits = pdu_hex if isinstance(pdu_hex, bytes) else pdu_hex.encode()
    if len(digits) % 2 or not all(digit in b"0123456789abcdefABCDEF" for digit in digits):
        raise CodecError("not hex digits", "pdu")
    if len(digits) > 2 * LONGEST_RECORD:
        raise CodecError("longer than a PDU can be", "pdu")
    source = Octets(bytes.fromhex(digits.decode()), strict)
    service_centre = fields.take_service_centre(source)
    if length is not None:
        if 0 <= length <= len(source.left) and not source.left[length:].strip(b"\xff"):
            source.left = source.left[:length]
        else:
            source.note("not as many octets as the modem stated", "length")
    return replace(take_tpdu(source, "both", "ack", True), service_centre=service_centre)
