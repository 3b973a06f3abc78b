"""The codec, a message at a time: what it costs on its way out and in, beside every peer that can do the same."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bench import baseline
from bench.case import Case
from bench.peers import Peer, found
from engine import sms

NUMBER = "+4915700000042"
# A campaign says once what it asks for of each message.
ENVELOPE = sms.Envelope(validity_s=86_400, wants_report=True)
GERMAN_160 = ("Ihre Bestellung ist unterwegs und kommt morgen zwischen 9 und 11 Uhr. " * 3)[:160]
CHINESE_70 = ("您的订单已经发出，预计明天上午九点到十一点之间送达。" * 3)[:70]
CHINESE_200 = (CHINESE_70 * 3)[:200]
ENGLISH_400 = ("Your order is on its way and will be with you tomorrow between 9 and 11. " * 6)[:400]

RECIPIENTS = 1_000
NUMBERS = [f"+49157{number:08}" for number in range(RECIPIENTS)]
TEMPLATE = "Dear {name}, your table is ready from 7 tonight. Show the code {code} at the door. Until then, your Luigi"
NAMES = ("Ann", "Jürgen", "Maximiliane", "Bo", "Zoé Winter", "Søren", "Giovanni", "Eva-Maria", "Åsa", "Tim")
VALUES = [(NAMES[place % len(NAMES)], f"{place * 7919 % 100_000:05}") for place in range(RECIPIENTS)]

# As a TC35i prints them behind AT+CMGR: the service centre, then the TPDU.
CENTRE = "0791947101670000"
FROM_US = "0D91945107000040F2"
DELIVER_GSM7 = f"{CENTRE}04{FROM_US}000062204101510340A0{baseline.pack(GERMAN_160).hex().upper()}"
DELIVER_UCS2 = f"{CENTRE}04{FROM_US}0008622041015103408C{CHINESE_70.encode('utf-16-be').hex().upper()}"
REPORT = f"{CENTRE}062A{FROM_US}622041015103406220410151244000"

HERE, MISSING = found()
NOTE = "not compared with " + ", ".join(f"{name} ({why})" for name, why in MISSING.items()) if MISSING else ""


def plain_lines(number: str, text: str) -> list[bytes]:
    tpdus = baseline.encode(number, text, validity_s=86_400, wants_report=True)
    return [b"00" + tpdu.hex().upper().encode() for tpdu in tpdus]


def same_lines(name: str, ours: list[bytes], theirs: list[str | bytes]) -> None:
    """Octet for octet, or else (a peer that chooses a reference itself) field for field but that reference."""
    lines = [line if isinstance(line, bytes) else line.encode() for line in theirs]
    if any(peer.name == name and not peer.exact for peer in HERE):
        assert [fields(line) for line in lines] == [fields(line) for line in ours], (name, lines)
    else:
        assert lines == ours, (name, lines)


def fields(line: bytes) -> tuple[object, ...]:
    """What a written line says, read by the plain codec."""
    part = baseline.read(line.decode())
    assert isinstance(part, baseline.Submit)
    sequence = part.concatenation and part.concatenation[1:]
    return part.destination, part.text, part.coding, part.protocol, part.validity_s, part.wants_report, sequence


def encode_case(name: str, text: str) -> Case:
    """What a campaign asks for, ready for the line: a day of validity and a status report."""

    def by(peer: Peer) -> Callable[[], object]:
        assert peer.encode is not None
        encode = peer.encode
        return lambda: encode(NUMBER, text)

    def check(results: dict[str, object]) -> None:
        for by_whom, lines in results.items():
            assert isinstance(lines, list)
            same_lines(by_whom, plain_lines(NUMBER, text), lines)

    return Case(
        f"sms/encode/{name}",
        {
            "cython": partial(sms.lines, NUMBER, text, ENVELOPE),
            "python": lambda: plain_lines(NUMBER, text),
            **{peer.name: by(peer) for peer in HERE if peer.encode is not None},
        },
        check,
        note=NOTE,
    )


def batch_case() -> Case:
    """A thousand personal messages of about a hundred characters, from template to line."""
    template = sms.Template(TEMPLATE)
    assert template.fields == ("name", "code")

    def by(encode: Callable[[str, str], object]) -> Callable[[], object]:
        return lambda: [
            encode(number, TEMPLATE.format(name=name, code=code))
            for number, (name, code) in zip(NUMBERS, VALUES, strict=True)
        ]

    def check(results: dict[str, object]) -> None:
        expected = results["python"]
        assert isinstance(expected, list)
        for by_whom, messages in results.items():
            assert isinstance(messages, list)
            for ours, theirs in zip(expected, messages, strict=True):
                same_lines(by_whom, ours, theirs)

    return Case(
        "sms/batch/personalised",
        {
            "cython": partial(sms.batch, NUMBERS, template, VALUES, ENVELOPE),
            "python": by(plain_lines),
            **{peer.name: by(peer.encode) for peer in HERE if peer.encode is not None},
        },
        check,
        per=RECIPIENTS,
        note=NOTE,
    )


def said_deliver(ours: Any) -> tuple[str, str, int]:
    return ours.originator, ours.text, ours.service_centre_time_ms


def said_report(ours: Any) -> tuple[int, str, int]:
    return ours.reference, ours.recipient, ours.outcome


def deliver_case(name: str, line: str) -> Case:
    """The check compares the originator, the text and the service centre's time."""
    said = {peer.name: peer.said_deliver for peer in HERE if peer.said_deliver is not None}

    def check(results: dict[str, object]) -> None:
        expected = said_deliver(baseline.read(line))
        for by_whom, result in results.items():
            seen = said.get(by_whom, said_deliver)(result)
            assert seen == expected, (by_whom, seen)

    return Case(f"sms/read/{name}", reading(line, {peer.name: peer.read_deliver for peer in HERE}), check, note=NOTE)


def report_case(line: str) -> Case:
    """The check compares the reference, the recipient and the outcome."""
    said = {peer.name: peer.said_report for peer in HERE if peer.said_report is not None}

    def check(results: dict[str, object]) -> None:
        expected = said_report(baseline.read(line))
        for by_whom, result in results.items():
            seen = said.get(by_whom, said_report)(result)
            assert seen == expected, (by_whom, seen)

    return Case("sms/read/report", reading(line, {peer.name: peer.read_report for peer in HERE}), check, note=NOTE)


def reading(line: str, peers: dict[str, Callable[[str], object] | None]) -> dict[str, Callable[[], object]]:
    def by(read: Callable[[str], object]) -> Callable[[], object]:
        return lambda: read(line)

    # The modem says how many octets the TPDU has; only ours wants to know.
    length = (len(line) - len(CENTRE)) // 2
    return {
        "cython": partial(sms.read, line, length),
        "python": partial(baseline.read, line),
        **{name: by(read) for name, read in peers.items() if read is not None},
    }


def measure_case(name: str, text: str) -> Case:
    def check(results: dict[str, object]) -> None:
        names = ("alphabet", "units", "parts", "room", "forced_by")
        seen = {tuple(getattr(result, name) for name in names) for result in results.values()}
        assert len(seen) == 1, seen

    return Case(
        f"sms/measure/{name}",
        {"cython": partial(sms.measure, text), "python": partial(baseline.measure, text)},
        check,
    )


CASES: list[Case] = [
    encode_case("gsm7-160", GERMAN_160),
    encode_case("ucs2-70", CHINESE_70),
    encode_case("400-3-parts", ENGLISH_400),
    batch_case(),
    deliver_case("deliver-gsm7", DELIVER_GSM7),
    deliver_case("deliver-ucs2", DELIVER_UCS2),
    report_case(REPORT),
    measure_case("160", GERMAN_160),
    measure_case("200-chinese", CHINESE_200),
]
