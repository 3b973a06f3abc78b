"""Whether other decoders read in our PDUs what was asked for.

A Recorder overhears the calls of the codec that encode, and keeps what was asked next to what came out; `compare`
gives all of it to tshark and to libgammu and says where either reads something else.  What is expected of a PDU is
worked out here from the question, never from its octets; only where the message is cut is taken from `sms.cut`.

A decoder that says nothing of a field is not asked about it.  Where one reads a field against the standard, its
expectation is bent as little as possible, in `expected` of tshark_sms and of gammu_sms, each time with the clause.
"""

import functools
import gc
import os
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import sms
from tests.engine import gammu_sms, tshark_sms

MOST_CALLS = 30_000  # kept of a session; beyond, a sample
MOST_ROWS = 1_000  # kept of one batch
MOST_PDUS = 40_000  # compared at once; beyond, a sample: these take about 7 s
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
EXTENDED = "\f^{}\\[~]|€"  # two septets each: 3GPP TS 23.038 §6.2.1.1
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
SHAPING = ("alphabet", "national", "transliterate", "reference_bits", "coding", "elements")

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


def length_of(content: str | bytes, alphabet: int, header: int) -> int:
    """TP-UDL: 3GPP TS 23.040 §9.2.3.16."""
    if isinstance(content, bytes):
        return header + len(content)
    if alphabet == UCS2:
        return header + len(content.encode("utf-16-be"))
    return -(-8 * header // 7) + len(content) + sum(map(content.count, EXTENDED))


def body(content: str | bytes, coding: int, elements: Sequence[tuple[int, bytes]]) -> Asked:
    """What decoders should make of the user data: nothing is asked of national shifts, nor of reserved codings."""
    alphabet = alphabet_of(coding)
    if alphabet is None:
        return {}
    asked: Asked = {"alphabet": alphabet}
    if isinstance(content, bytes):
        asked["octets"] = content
    elif not {identifier for identifier, _ in elements} & {0x24, 0x25}:
        asked["text"] = content
    if len(asked) == 2:
        asked["length"] = length_of(content, alphabet, len(header_of(elements)))
        if content:
            asked["octets" if "text" in asked else "text"] = None
    return asked


def submits(
    destination: str, text: str | bytes, envelope: Any = None, concatenation: int = 0, **options: Any
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
        parts = cut = sms.cut(text, **shaping)
        if not options["transliterate"]:
            assert "".join(cut) == text
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
    said = {name: getattr(tpdu, name, None) for name in (*tshark_sms.NUMBERS, *tshark_sms.FLAGS)}
    asked |= {name: value for name, value in said.items() if value is not None}
    if kind == "status_report" and not asked["parameters"]:
        del asked["parameters"]  # the octet may be there or not
    for name in ("destination", "originator", "recipient"):
        if hasattr(tpdu, name):
            asked["number"] = getattr(tpdu, name)
    if hasattr(tpdu, "address_type"):
        asked["address_type"] = tpdu.address_type
    times = []
    for event in ("service_centre", "discharge"):
        at_ms = getattr(tpdu, f"{event}_time_ms", None)
        if at_ms is not None:
            times.append(moment(at_ms // 1_000, getattr(tpdu, f"{event}_zone") or 0))
            asked[f"{event}_time"] = times[-1]
    if times and len(times) == 1 + (kind == "status_report"):
        asked["times"] = times
    if kind == "submit":
        if tpdu.expires_ms is not None:
            asked["expires"] = moment(tpdu.expires_ms // 1_000)
        elif tpdu.validity_format == 2:
            asked["relative"] = PERIODS_S.index(rounded_up_s(tpdu.validity_s))
        elif tpdu.validity_format == 1:
            asked["inner"] = True  # which of the forms is not said
        if tpdu.validity_format != 1:
            asked.pop("single_shot", None)
    if kind == "command":
        asked |= {"message_number": tpdu.number, "data_length": len(tpdu.data)}
        del asked["coding"], asked["message_class"]
        asked.pop("length", None)
    else:
        asked |= head(tpdu.elements)
        if tpdu.alphabet == OCTETS:
            asked |= body(tpdu.octets, tpdu.coding, tpdu.elements)
        elif not tpdu.octets:  # no half of a pair is left over
            asked |= body(tpdu.text, tpdu.coding, tpdu.elements)
    direction = "ms2sc" if kind in ("submit", "command", "deliver_report") else "sc2ms"
    return direction, asked


# The comparison


def differences(name: str, pdu: Pdu, expected: Asked, found: dict[str, Any]) -> Iterator[str]:
    for key, value in expected.items():
        if key not in found:
            yield f"{name} shows no {key}, which is {value!r}, in {pdu.tpdu.hex()} ({pdu.direction})"
        elif found[key] != value:
            yield f"{name} reads {key} {found[key]!r}, not {value!r}, in {pdu.tpdu.hex()} ({pdu.direction})"


@contextmanager
def without_collecting() -> Iterator[None]:
    """Many small objects are made here and few die: the garbage collector takes half of the time to see that."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@without_collecting()
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
        verdict.differences += differences("tshark", pdu, tshark_sms.expected(pdu.asked), found)
    asked_for = [(pdu, expected) for pdu in pdus if (expected := gammu_sms.expected(pdu.asked)) is not None]
    lines = list(dict.fromkeys(pdu.centre + pdu.tpdu for pdu, _ in asked_for))
    read = dict(zip(lines, gammu_sms.decode(lines), strict=True))
    verdict.libgammu = len(read)
    for pdu, expected in asked_for:
        found = read[pdu.centre + pdu.tpdu]
        if found:
            verdict.differences += differences("libgammu", pdu, expected, found)
        else:
            verdict.differences.append(f"libgammu refuses {pdu.tpdu.hex()} ({pdu.direction})")
    return verdict


# The recorder


def split(line: bytes) -> tuple[bytes, bytes]:
    """Service centre, with its length, and TPDU of a line for AT+CMGS."""
    octets = bytes.fromhex(line.decode())
    return octets[: 1 + octets[0]], octets[1 + octets[0] :]


class Recorder:
    """Keeps what the codec was asked to encode, and what it made of it: everything, or a sample if that is a lot."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], list[Pdu]]] = []
        self.heard = 0
        self.dice = random.Random(27_005)

    def keep(self, call: Callable[[], list[Pdu]]) -> None:
        self.heard += 1
        if len(self.calls) < MOST_CALLS:
            self.calls.append(call)
        elif (place := self.dice.randrange(self.heard)) < MOST_CALLS:
            self.calls[place] = call

    def pdus(self) -> list[Pdu]:
        return [pdu for call in self.calls for pdu in call()]

    def encode(self, tpdus: list[bytes], *args: Any, **kwargs: Any) -> None:
        """Keeps what `sms.encode` gave for these arguments."""

        def pdus() -> list[Pdu]:
            asked = submits(*args, **kwargs)
            return [Pdu(tpdu, "ms2sc", one | {"service_centre": ""}) for tpdu, one in zip(tpdus, asked, strict=True)]

        self.keep(pdus)

    def lines(self, lines: list[bytes], *args: Any, **kwargs: Any) -> None:
        """Keeps what `sms.lines` gave for these arguments."""

        def pdus() -> list[Pdu]:
            kept = []
            for line, asked in zip(lines, submits(*args, **kwargs), strict=True):
                centre, tpdu = split(line)
                kept.append(Pdu(tpdu, "ms2sc", asked, centre))
            return kept

        self.keep(pdus)

    def batch(
        self,
        rows: list[list[bytes]],
        destinations: Sequence[str],
        text: Any,
        values: Any = None,
        envelope: Any = None,
        concatenation: int | Sequence[int] = 0,
    ) -> None:
        """Keeps rows of what `sms.batch` gave for these arguments."""
        for row in self.dice.sample(range(len(rows)), min(len(rows), MOST_ROWS)):
            said = text.render(values[row]) if isinstance(text, sms.Template) else text
            reference = concatenation if isinstance(concatenation, int) else concatenation[row]
            self.lines(rows[row], destinations[row], said, envelope, reference)

    def tpdu(self, tpdu: Any) -> bytes:
        """`tpdu.encode()`, kept."""
        octets: bytes = tpdu.encode()

        def pdus() -> list[Pdu]:
            direction, asked = of_attributes(tpdu)
            return [Pdu(octets, direction, asked | {"service_centre": ""})]

        self.keep(pdus)
        return octets

    def overhear(self, name: str, speaks: Callable[..., Any]) -> Callable[..., Any]:
        """The function `name` of the codec, which is then heard by the method of that name."""
        hears = getattr(self, name)

        @functools.wraps(speaks)
        def overheard(*args: Any, **kwargs: Any) -> Any:
            if isinstance(kwargs.get("elements"), Iterator):  # which can be read only once
                kwargs["elements"] = tuple(kwargs["elements"])
            said = speaks(*args, **kwargs)
            hears(said, *args, **kwargs)
            return said

        return overheard


SESSION = Recorder()
SAID: list[str] = []  # for the terminal's summary


def encoded(tpdu: Any) -> bytes:
    """`tpdu.encode()`, to be read by the other decoders at the end of the session too."""
    return SESSION.tpdu(tpdu)


@contextmanager
def listening() -> Iterator[Recorder]:
    """Overhears `encode`, `lines` and `batch` of the codec by whatever module they are called."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("encode", "lines", "batch"):
            speaks = getattr(sms, name, None)
            if speaks is None:
                continue
            overheard = SESSION.overhear(name, speaks)
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(name) is speaks:
                    patch.setattr(module, name, overheard)
        yield SESSION


def goes_last(items: list[pytest.Item]) -> None:
    """Puts the test that asks the witnesses behind all others."""
    items.sort(key=lambda item: item.name == "test_every_pdu_that_the_tests_encoded_reads_the_same_elsewhere")
