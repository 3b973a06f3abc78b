"""Whether other decoders read in our PDUs what was asked for.

A Recorder overhears the calls of the codec that encode, and keeps what was asked next to what came out; `compare`
gives all of it to tshark and to libgammu and says where either reads something else.  What is expected of a PDU is
worked out here from the question, never from its octets; only where the message is cut is taken from `sms.cut`.

A decoder that says nothing of a field is not asked about it.  Where one reads a field against the standard, its
expectation is bent as little as possible, in `for_tshark` and `for_libgammu`, each with the clause.
"""

import functools
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import _pdu, sms
from tests.engine import gammu_sms, tshark_sms

MOST_CALLS = 40_000  # kept of a session; beyond, a sample
MOST_ROWS = 1_000  # kept of one batch
MOST_PDUS = 60_000  # compared at once; beyond, a sample: tshark reads 60,000 in about 5 s
ENOUGH = 1_000  # PDUs that each decoder must have compared
WEEK_S = 7 * 86_400
# What the octet of a relative TP-VP stands for, in seconds: 3GPP TS 23.040 §9.2.3.12.1.
PERIODS_S = [
    *((value + 1) * 300 for value in range(144)),
    *(43_200 + (value - 143) * 1_800 for value in range(144, 168)),
    *((value - 166) * 86_400 for value in range(168, 197)),
    *((value - 192) * WEEK_S for value in range(197, 256)),
]
LONGEST_EXACT_S = 99 * 3_600 + 59 * 60 + 59  # §9.2.3.12.3, semi-octets of hours, minutes and seconds
GSM7, OCTETS, UCS2 = 0, 1, 2
OPTIONS: dict[str, Any] = {
    "alphabet": "auto",
    "national": "off",
    "transliterate": False,
    "reference_bits": 8,
    "validity_s": None,
    "expires_ms": None,
    "exact_validity": False,
    "single_shot": False,
    "wants_report": False,
    "reject_duplicates": False,
    "reply_path": False,
    "protocol": 0,
    "message_class": None,
    "coding": None,
    "elements": (),
    "service_centre": "",
}
SHAPING = ("alphabet", "national", "transliterate", "reference_bits", "message_class", "coding", "elements")
ASCII_NAME = re.compile(r"[A-Za-z0-9 !\"#%&'()*+,./:;<=>?-]*")  # characters that are the same in the GSM alphabet

Asked = dict[str, Any]


@dataclass(slots=True)
class Pdu:
    """A TPDU, its direction, its service centre in front, and what was asked of it."""

    tpdu: bytes
    direction: str
    asked: Asked
    centre: bytes = b"\0"


@dataclass(slots=True)
class Verdict:
    """How many different PDUs each decoder was compared with, and what it read otherwise."""

    tshark: int = 0
    libgammu: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"PDUs read by other decoders: {self.tshark:,} by tshark, {self.libgammu:,} by libgammu"


def missing() -> list[str]:
    """Debian's names of what is not on this machine."""
    return [*tshark_sms.missing(), *gammu_sms.missing()]


def require() -> None:
    """Skips the test where a decoder is missing; in CI fails it."""
    absent = missing()
    if absent and os.environ.get("CI"):
        pytest.fail(f"not installed: {' '.join(absent)}")
    if absent:
        pytest.skip(f"not installed: {' '.join(absent)}")


# What is asked of a message


def alphabet_of(coding: int) -> int | None:
    """The alphabet that TP-DCS names, None where the value is reserved: 3GPP TS 23.038 §4."""
    group = coding >> 4
    if group < 8:
        return {0: GSM7, 1: OCTETS, 2: UCS2}.get(coding >> 2 & 3)
    if coding & 4 and group in (12, 13, 14):
        return None
    if coding & 8 and group == 15:
        return None
    return {12: GSM7, 13: GSM7, 14: UCS2, 15: OCTETS if coding & 4 else GSM7}.get(group)


def class_of(coding: int) -> int | None:
    """The message class that TP-DCS names: 3GPP TS 23.038 §4."""
    return coding & 3 if coding >> 4 == 15 or coding & 0x90 == 0x10 else None


def rounded_up_s(period_s: int) -> int:
    return next((said for said in PERIODS_S if said >= period_s), PERIODS_S[-1])


def moment(epoch_s: int, zone: int = 0) -> tuple[int, ...]:
    """Year of the century, month, day, hour, minute and second there, and the zone in quarters of an hour."""
    at = datetime.fromtimestamp(epoch_s, UTC) + timedelta(minutes=15 * zone)
    return (at.year % 100, at.month, at.day, at.hour, at.minute, at.second, zone)


def validity(options: dict[str, Any]) -> Asked:
    period_s = options["validity_s"]
    if options["expires_ms"] is not None:
        return {"validity_format": 3, "expires": moment(-(-options["expires_ms"] // 1_000))}
    if options["exact_validity"] or options["single_shot"]:
        asked: Asked = {"validity_format": 1, "single_shot": bool(options["single_shot"])}
        if period_s is None:
            return asked
        if period_s <= LONGEST_EXACT_S:
            return asked | {"period_s": period_s}
        return asked | {"relative": PERIODS_S.index(rounded_up_s(period_s)), "inner": True}
    if period_s is None:
        return {"validity_format": 0}
    return {"validity_format": 2, "relative": PERIODS_S.index(rounded_up_s(period_s))}


def header_of(elements: Sequence[tuple[int, bytes]]) -> bytes:
    body = b"".join(bytes([identifier, len(data)]) + data for identifier, data in elements)
    return bytes([len(body)]) + body if body else b""


def head(elements: Sequence[tuple[int, bytes]]) -> Asked:
    return {
        "has_header": bool(elements),
        "elements": list(elements),
        "outline": [(identifier, len(data)) for identifier, data in elements],
        "header": header_of(elements),
    }


def body(content: str | bytes, coding: int, elements: Sequence[tuple[int, bytes]]) -> Asked:
    """What decoders should make of the user data: nothing is asked of national shifts, nor of reserved codings."""
    alphabet = alphabet_of(coding)
    if alphabet is None:
        return {}
    asked: Asked = {"alphabet": alphabet}
    if isinstance(content, bytes):
        return asked | {"octets": content, "text": None} if alphabet == OCTETS else asked
    if {identifier for identifier, _ in elements} & {0x24, 0x25}:
        return asked
    return asked | {"text": content, "octets": b"" if not content and not elements else None}


def submits(
    destination: str, text: str | bytes, envelope: Any = None, *, concatenation: int = 0, **options: Any
) -> list[Asked]:
    """What each part of a message is asked to say."""
    if envelope is not None:
        options = {name: getattr(envelope, name) for name in OPTIONS}
    shaping = {name: value for name, value in options.items() if name in SHAPING}
    options = OPTIONS | options
    measured = sms.measure(text, **shaping)
    shifts = [(0x24, getattr(measured, "single", 0)), (0x25, getattr(measured, "locking", 0))]
    own = [
        *((identifier, bytes(data)) for identifier, data in options["elements"]),
        *((identifier, bytes([language])) for identifier, language in shifts if language),
    ]
    if isinstance(text, bytes):
        room = 140 - len(header_of(own))
        if len(text) > room:
            room = 140 - len(header_of([(8, b"....") if options["reference_bits"] == 16 else (0, b"..."), *own]))
        parts: Sequence[str | bytes] = [text[at : at + room] for at in range(0, len(text), room)] or [b""]
    else:
        parts = sms.cut(text, **shaping)
        if not options["transliterate"]:
            assert "".join(parts) == text, "the parts are the text"  # type: ignore[arg-type]
    coding = options["coding"]
    if coding is None:
        coding = {GSM7: 0x00, OCTETS: 0x04, UCS2: 0x08}[int(measured.alphabet)]
        if options["message_class"] is not None:
            coding |= 0x10 | options["message_class"]
    asked = []
    for sequence, part in enumerate(parts, 1):
        elements = list(own)
        if len(parts) > 1:
            counted = bytes([len(parts), sequence])
            long = options["reference_bits"] == 16
            elements.insert(0, (8 if long else 0, concatenation.to_bytes(2 if long else 1, "big") + counted))
        asked.append(
            {
                "kind": "submit",
                "reference": 0,
                "number": destination,
                "address_type": 0x91 if destination.startswith("+") else 0x81,
                "protocol": options["protocol"],
                "coding": coding,
                "message_class": class_of(coding),
                "wants_report": bool(options["wants_report"]),
                "reject_duplicates": bool(options["reject_duplicates"]),
                "reply_path": bool(options["reply_path"]),
                "service_centre": options["service_centre"],
            }
            | validity(options)
            | head(elements)
            | body(part, coding, elements)
        )
    return asked


# What is asked of a TPDU of the codec's own classes


def of_attributes(tpdu: Any) -> tuple[str, Asked]:
    """Direction and expectation of an object that was built, or read, and is to be encoded."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(tpdu).__name__).lower()
    asked: Asked = {"kind": kind, "message_class": tpdu.message_class}
    asked |= {name: getattr(tpdu, name) for name in ("protocol", "coding")}
    said = {name: getattr(tpdu, name) for name in (*tshark_sms.NUMBERS, *tshark_sms.FLAGS) if hasattr(tpdu, name)}
    asked |= {name: value for name, value in said.items() if value is not None}
    for name in ("destination", "originator", "recipient"):
        if hasattr(tpdu, name):
            asked["number"] = getattr(tpdu, name)
    if hasattr(tpdu, "address_type"):
        asked["address_type"] = tpdu.address_type
    times = []
    for name in ("service_centre_time", "discharge_time"):
        at_ms = getattr(tpdu, f"{name}_ms", None)
        if at_ms is not None:
            times.append(moment(at_ms // 1_000, getattr(tpdu, f"{name}_zone") or 0))
            asked[name] = times[-1]
    if times and len(times) == 1 + (kind == "status_report"):
        asked["times"] = times
    if kind == "submit":
        asked |= {"validity_format": tpdu.validity_format, "expires_ms": None}
        if tpdu.expires_ms is not None:
            asked["expires"] = moment(tpdu.expires_ms // 1_000)
        elif tpdu.validity_format == 2:
            asked["relative"] = PERIODS_S.index(tpdu.validity_s)
    if kind == "command":
        asked["data_length"] = len(tpdu.data)
    else:
        content = tpdu.octets if tpdu.alphabet == OCTETS else tpdu.text
        asked |= head(tpdu.elements) | body(content, tpdu.coding, tpdu.elements)
    direction = "ms2sc" if kind in ("submit", "command", "deliver_report") else "sc2ms"
    return direction, asked


# The exceptions


def for_tshark(asked: Asked) -> Asked:
    """What tshark 4.0 should read, by its own errors."""
    expected = {name: value for name, value in asked.items() if name not in ("header", "alphabet", "service_centre")}
    expected["malformed"] = False
    # Fields of the enhanced format follow in seven octets, whichever they are (§9.2.3.12.3): tshark takes a relative
    # period in it to end TP-VP behind its own octet, and reads all that follows out of place.
    if expected.pop("inner", False):
        for name in ("length", "text", "octets", "elements", "outline", "malformed"):
            expected.pop(name, None)
    # A text is for tshark a C string, which U+0000 ends.
    if expected.get("text") is not None:
        expected["text"] = expected["text"].split("\0")[0]
    # Without a TP-DCS the user data are in the default alphabet (§9.2.3.27 with §9.2.3.10); tshark shows octets.
    if "parameters" in asked and not asked["parameters"] & 2:
        for name in ("text", "octets", "coding", "message_class"):
            expected.pop(name, None)
    if "parameters" in asked and not asked["parameters"] & 1:
        expected.pop("protocol", None)
    # Shown without its sign.
    for name in ("service_centre_time", "discharge_time"):
        expected.pop(name, None)
    if "expires" in expected:
        expected["times"] = [expected.pop("expires")]
    if "times" in expected:
        expected["times"] = [(*date, abs(zone)) for *date, zone in expected["times"]]
    # Elements of a length that their clause does not give are malformed, and their data not all shown.
    odd = any(tshark_sms.TAKEN_APART.get(identifier, size) != size for identifier, size in asked.get("outline", ()))
    if odd or any(identifier in tshark_sms.TAKEN_TO_PIECES for identifier, _ in asked.get("outline", ())):
        expected.pop("elements", None)
        expected.pop("malformed", None)
    return expected


def for_libgammu(asked: Asked) -> Asked | None:
    """What libgammu 1.42 should read, by its own errors; None where it does not read the like at all."""
    if asked["kind"] not in ("submit", "deliver", "status_report"):
        return None
    expected = {
        name: asked[name]
        for name in (
            *("kind", "service_centre", "number", "reference", "message_class", "header", "alphabet", "text", "octets"),
            *("reply_path", "reject_duplicates", "outcome", "service_centre_time", "discharge_time", "expires"),
        )
        if name in asked
    }
    if asked["kind"] == "status_report":  # its optional parameters are not read
        for name in ("header", "alphabet", "text", "octets", "message_class"):
            expected.pop(name, None)
    else:
        expected["replaces"] = asked["protocol"] - 0x40 if 0x41 <= asked["protocol"] <= 0x47 else 0
    if asked.get("validity_format") == 2:
        expected["relative"] = asked["relative"]
    # Addresses of up to 20 semi-octets (§9.1.2.5): refuses from 18 on, and leaves *, #, a, b and c out (§9.1.2.3).
    # Of a name it gives the septets as they are; those of ASCII_NAME are what they seem.
    number = asked["number"]
    if asked.get("address_type", 0) >> 4 & 7 == 5:
        if not ASCII_NAME.fullmatch(number):
            del expected["number"]
    elif len(number.lstrip("+")) > 17:
        return None
    else:
        expected["number"] = re.sub("[*#abc]", "", number)
    # In UCS2 a tilde is doubled, and U+0001 made one: an escape of Nokia's.
    if asked.get("alphabet") == UCS2 and expected.get("text") is not None:
        expected["text"] = expected["text"].replace("~", "~~").replace("\x01", "~")
    # Of the years 90 to 99 of the century ten are taken away (§9.2.3.11 has no such pivot).
    for name in ("service_centre_time", "discharge_time", "expires"):
        if name in expected and expected[name][0] >= 90:
            expected[name] = (expected[name][0] - 10, *expected[name][1:])
    return expected


def found_by_libgammu(found: gammu_sms.Found, expected: Asked) -> gammu_sms.Found:
    """Without the zeros that were printed behind a text in UCS2, as long as they are zeros."""
    text = expected.get("text")
    if found.get("alphabet") == UCS2 and text is not None and found["text"].rstrip("\0") == text.rstrip("\0"):
        if found["units"] * 2 == len((found["text"]).encode("utf-16-be", "surrogatepass")) // 2:
            return found | {"text": text}
    return found


def differences(name: str, pdu: Pdu, expected: Asked, found: dict[str, Any]) -> Iterator[str]:
    for key, value in expected.items():
        if key in found and found[key] != value:
            yield f"{name} reads {key} {found[key]!r}, not {value!r}, in {pdu.tpdu.hex()} ({pdu.direction})"


def compare(pdus: Sequence[Pdu]) -> Verdict:
    """Decodes the PDUs by tshark and by libgammu and compares what they read with what was asked."""
    if len(pdus) > MOST_PDUS:
        pdus = random.Random(23_040).sample(pdus, MOST_PDUS)
    verdict = Verdict()
    packets = list(dict.fromkeys((pdu.tpdu, pdu.direction) for pdu in pdus))
    shown = dict(zip(packets, tshark_sms.decode(packets), strict=True))
    verdict.tshark = len(shown)
    for pdu in pdus:
        found = shown[pdu.tpdu, pdu.direction]
        verdict.differences += differences("tshark", pdu, for_tshark(pdu.asked), found)
    asked_for = [(pdu, expected) for pdu in pdus if (expected := for_libgammu(pdu.asked)) is not None]
    lines = list(dict.fromkeys(pdu.centre + pdu.tpdu for pdu, _ in asked_for))
    read = dict(zip(lines, gammu_sms.decode(lines), strict=True))
    verdict.libgammu = len(read)
    for pdu, expected in asked_for:
        found = read[pdu.centre + pdu.tpdu]
        if not found:
            verdict.differences.append(f"libgammu refuses {pdu.tpdu.hex()} ({pdu.direction})")
        verdict.differences += differences("libgammu", pdu, expected, found_by_libgammu(found, expected))
    return verdict
