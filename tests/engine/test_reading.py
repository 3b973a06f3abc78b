"""Reading what is not as it should be: cut short, too long, compressed, filled up; and the parts of a text, joined."""

from typing import Any

import pytest

from engine import sms
from engine.errors import CodecError

NUMBER = "0d91945107000040f2"  # +4915700000042
MOMENT = "62204101510340"  # 2026-02-14 10:15:30 +01:00
MOMENT_MS = 1_771_060_530_000

# Fields in their order, each with its octets.
DELIVER = [
    ("message_type", "44"),
    ("originator", NUMBER),
    ("protocol", "7f"),
    ("coding", "11"),
    ("service_centre_time", MOMENT),
    ("user_data", "0b" + "0500032a0302" + "a8653c1d"),
]
SUBMIT = [
    ("message_type", "19"),
    ("reference", "2a"),
    ("destination", NUMBER),
    ("protocol", "00"),
    ("coding", "08"),
    ("validity", MOMENT),
    ("user_data", "04" + "6f225b57"),
]
STATUS_REPORT = [
    ("message_type", "06"),
    ("reference", "2a"),
    ("recipient", NUMBER),
    ("service_centre_time", MOMENT),
    ("discharge_time", MOMENT),
    ("outcome", "00"),
    ("parameters", "07"),
    ("protocol", "7f"),
    ("coding", "04"),
    ("user_data", "02" + "ff00"),
]
COMMAND = [
    ("message_type", "02"),
    ("reference", "2a"),
    ("protocol", "00"),
    ("command", "02"),
    ("number", "07"),
    ("destination", NUMBER),
    ("data", "03" + "010203"),
]
SUBMIT_REPORT = [
    ("message_type", "01"),
    ("failure", "c0"),
    ("parameters", "06"),
    ("service_centre_time", MOMENT),
    ("coding", "00"),
    ("user_data", "02" + "ef35"),
]
DELIVER_REPORT = [
    ("message_type", "00"),
    ("failure", "d3"),
    ("parameters", "83"),
    ("parameters", "00"),
    ("protocol", "7f"),
    ("coding", "00"),
]


def tolerant(digits: str, direction: str = "sc2ms", rp: str = "ack") -> Any:
    return sms.decode(bytes.fromhex(digits), direction, rp=rp, strict=False)


def said(found: Any) -> list[tuple[str, int | None]]:
    return [(fault.field, fault.offset) for fault in found.faults]


# Cut short


def every_length(name: str, fields: list[tuple[str, str]], direction: str, rp: str = "ack") -> list[Any]:
    """The TPDU cut behind each octet, with the field that lacks then."""
    lacking = [field for field, octets in fields for _ in range(len(octets) // 2)]
    whole = "".join(octets for _, octets in fields)
    return [
        pytest.param(
            whole[: 2 * length],
            direction,
            rp,
            lacking[length],
            id=f"{name} of {length} octets",
        )
        for length in range(1, len(lacking))
        # A status report may end behind its outcome.
        if not (fields is STATUS_REPORT and lacking[length] == "parameters")
    ]


@pytest.mark.parametrize(
    ("digits", "direction", "rp", "lacks"),
    [
        *every_length("a message", DELIVER, "sc2ms"),
        *every_length("a part of ours", SUBMIT, "ms2sc"),
        *every_length("a status report", STATUS_REPORT, "sc2ms"),
        *every_length("a command", COMMAND, "ms2sc"),
        *every_length("the centre's refusal", SUBMIT_REPORT, "sc2ms", "error"),
        *every_length("a mobile's refusal", DELIVER_REPORT, "ms2sc", "error"),
    ],
)
def test_what_is_cut_short_says_so_once_where_it_ends(digits: str, direction: str, rp: str, lacks: str) -> None:
    found = tolerant(digits, direction, rp)
    assert said(found) == [(lacks, len(digits) // 2)]
    with pytest.raises(CodecError) as refused:
        sms.decode(bytes.fromhex(digits), direction, rp=rp)
    assert (refused.value.field, refused.value.offset) == (lacks, len(digits) // 2)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param(1, {"originator": "", "more_messages": False, "text": ""}, id="the type alone"),
        pytest.param(3, {"originator": ""}, id="the originator's type"),
        pytest.param(5, {"originator": "+4915"}, id="half of the originator"),
        pytest.param(10, {"originator": "+4915700000042", "protocol": 0}, id="all of it"),
        pytest.param(12, {"protocol": 0x7F, "coding": 0x11, "message_class": 1}, id="the coding"),
        pytest.param(18, {"service_centre_time_ms": None, "service_centre_zone": 0}, id="most of the time"),
        pytest.param(19, {"service_centre_time_ms": MOMENT_MS, "service_centre_zone": 4}, id="the time"),
        pytest.param(20, {"length": 11, "header": b"", "user_data": b""}, id="the length of the user data"),
        pytest.param(24, {"concatenation": None, "elements": (), "text": ""}, id="half of the header"),
        pytest.param(26, {"concatenation": (42, 3, 2), "text": ""}, id="the header"),
        pytest.param(28, {"concatenation": (42, 3, 2), "text": "Te"}, id="half of the text"),
        pytest.param(30, {"text": "Text", "faults": ()}, id="all of it, and no fault"),
    ],
)
def test_what_there_is_of_it_is_read(length: int, expected: dict[str, Any]) -> None:
    found = tolerant("".join(octets for _, octets in DELIVER)[: 2 * length])
    assert type(found) is sms.Deliver
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_text_in_ucs2_may_end_within_a_code_unit() -> None:
    found = tolerant("".join(octets for _, octets in SUBMIT)[:-2], "ms2sc")
    assert (found.text, found.octets.hex()) == ("漢\ufffd", "6f225b")
    assert (found.expires_ms, found.reference) == (MOMENT_MS, 42)


@pytest.mark.parametrize("direction", ["sc2ms", "ms2sc"])
@pytest.mark.parametrize(
    "octets",
    [pytest.param("", id="nothing"), pytest.param("03", id="a reserved type"), pytest.param("ff" * 20, id="filler")],
)
def test_what_names_no_type_is_refused_by_the_tolerant_too(octets: str, direction: str) -> None:
    with pytest.raises(CodecError) as refused:
        tolerant(octets, direction)
    assert (refused.value.field, refused.value.offset) == ("message_type", 0)


# Too long, or not to be read


@pytest.mark.parametrize(
    ("digits", "faults", "expected"),
    [
        pytest.param(
            "04" + "1691" + "2143658709" * 2 + "21" + "0000" + MOMENT + "0161",
            [("originator", 1)],
            {"originator": "+" + "1234567890" * 2 + "12", "text": "a"},
            id="22 digits",
        ),
        pytest.param(
            f"040491f1360000{MOMENT}0161",
            [("originator", 3)],
            {"originator": "+1", "text": "a"},
            id="a filler between digits",
        ),
        pytest.param(
            f"0402910f0000{MOMENT}0161",
            [("originator", 3)],
            {"originator": "", "text": "a"},
            id="a filler before any digit",
        ),
        pytest.param(
            f"0405812143f50000{MOMENT}a1" + "00" * 141,
            [("user_data", 15)],
            {"text": "@" * 161, "length": 161},
            id="161 septets",
        ),
        pytest.param(
            f"0405812143f50004{MOMENT}8d" + "2a" * 141,
            [("user_data", 15)],
            {"octets": b"\x2a" * 141, "length": 141},
            id="141 octets",
        ),
        pytest.param(
            f"0405812143f50000{MOMENT}0161ff00",
            [("length", 17)],
            {"text": "a", "user_data": b"a"},
            id="octets behind the end",
        ),
        pytest.param(
            f"4405812143f50008{MOMENT}0305" + "0003",
            [("header", 16)],
            {"text": "", "header": b"\x05\x00\x03", "elements": ()},
            id="a header longer than the user data",
        ),
        pytest.param(
            f"0405812143f50020{MOMENT}0161",
            [("coding", 7)],
            {"text": "", "octets": b"a", "alphabet": 1},
            id="a compressed text",
        ),
        pytest.param(
            f"4405812143f50060{MOMENT}0603240101" + "cafe",
            [("coding", 7)],
            {"octets": b"\xca\xfe", "header": bytes.fromhex("03240101")},
            id="a compressed text behind a header",
        ),
        pytest.param(
            f"040491f1360020{MOMENT}0161ff",
            [("originator", 3), ("coding", 6), ("length", 16)],
            {"originator": "+1", "octets": b"a"},
            id="three of these",
        ),
    ],
)
def test_each_fault_is_told_and_what_there_is_is_read(
    digits: str, faults: list[tuple[str, int]], expected: dict[str, Any]
) -> None:
    found = tolerant(digits)
    assert said(found) == faults
    assert {name: getattr(found, name) for name in expected} == expected
    with pytest.raises(CodecError) as refused:
        sms.decode(bytes.fromhex(digits))
    assert (refused.value.field, refused.value.offset) == faults[0]


def test_a_status_report_may_end_early_and_go_on_longer() -> None:
    """3GPP TS 23.040 §9.2.2.3: parameters, and whatever they announce, may lack."""
    report = f"062a{NUMBER}{MOMENT}{MOMENT}00"
    assert said(tolerant(report)) == []
    assert said(tolerant(report + "00")) == []
    assert said(tolerant(report + "0000")) == [("length", 27)]


def test_answers_are_read_as_they_came() -> None:
    """Whether there is a failure cause the octets do not say: 3GPP TS 23.040 §9.2.2.1a."""
    octets = bytes.fromhex("00d3")
    refused = sms.decode(octets + b"\0", "ms2sc", rp="error")
    assert isinstance(refused, sms.DeliverReport)
    assert (refused.failure, refused.parameters) == (0xD3, 0)
    taken = sms.decode(bytes.fromhex("00017f"), "ms2sc")
    assert isinstance(taken, sms.DeliverReport)
    assert (taken.failure, taken.protocol) == (None, 0x7F)
    for direction, rp, field in (("up", "ack", "direction"), ("ms2sc", "nack", "rp")):
        with pytest.raises(CodecError) as error:
            sms.decode(octets, direction, rp=rp)
        assert error.value.field == field


# As a modem prints it


@pytest.mark.parametrize(
    "tpdu",
    [
        pytest.param(f"04{NUMBER}0000{MOMENT}0453ea130a", id="a message"),
        pytest.param(f"112a{NUMBER}0000a70453ea130a", id="a part of ours"),
        pytest.param(f"062a{NUMBER}{MOMENT}{MOMENT}00", id="a status report"),
        pytest.param(f"062a{NUMBER}{MOMENT}{MOMENT}00017f", id="a status report with a protocol"),
    ],
)
@pytest.mark.parametrize("centre", ["00", "07919471016700f0", "0191"])
def test_the_filler_of_a_record_is_no_fault(tpdu: str, centre: str) -> None:
    """3GPP TS 51.011 §10.5.3: a record has 176 octets, of which the first is its status."""
    printed = (centre + tpdu).ljust(2 * 175, "f")
    for length in (None, len(tpdu) // 2):
        found = sms.read(printed, length)
        assert sms.read(printed, length, strict=False).faults == ()
        assert found.encode().hex() == tpdu
        assert found.service_centre == ("+49171076000" if len(centre) > 4 else "")
    behind = len(centre + tpdu) // 2
    broken = sms.read(printed[:-2] + "00", strict=False)
    assert len(broken.faults) == 1
    assert (broken.faults[0].offset or 0) >= behind


@pytest.mark.parametrize(
    ("printed", "length", "faults", "text"),
    [
        pytest.param(f"0004{NUMBER}0000{MOMENT}0453ea130a", 23, [("length", 1)], "STOP", id="another length"),
        pytest.param(f"0004{NUMBER}0000{MOMENT}0453ea13", 24, [("length", 1), ("user_data", 24)], "STO", id="a loss"),
        pytest.param(f"0004{NUMBER}0000{MOMENT}0453ea13", None, [("user_data", 24)], "STO", id="a loss, no length"),
        pytest.param(
            "0c91" + "11" * 11 + f"04{NUMBER}0000{MOMENT}0453ea130a",
            None,
            [("service_centre", 0)],
            "STOP",
            id="a service centre of 22 digits",
        ),
        pytest.param(f"0004{NUMBER}0000{MOMENT}0453ea130aff00", None, [("length", 25)], "STOP", id="more than filler"),
    ],
)
def test_what_a_line_has_lost_is_told(
    printed: str, length: int | None, faults: list[tuple[str, int]], text: str
) -> None:
    found = sms.read(printed, length, strict=False)
    assert (said(found), found.text) == (faults, text)


@pytest.mark.parametrize(
    ("printed", "field"),
    [
        pytest.param("00X4", "pdu", id="no hex digit"),
        pytest.param("000", "pdu", id="an odd digit"),
        pytest.param("00é4", "pdu", id="no ASCII"),
        pytest.param("0003", "message_type", id="a reserved type"),
        pytest.param("00", "message_type", id="nothing behind the service centre"),
        pytest.param("", "service_centre", id="nothing"),
    ],
)
def test_what_is_no_pdu_at_all_is_refused_by_the_tolerant_too(printed: str, field: str) -> None:
    with pytest.raises(CodecError) as refused:
        sms.read(printed, strict=False)
    assert refused.value.field == field


def test_a_length_beyond_all_numbers_is_another_length() -> None:
    with pytest.raises(CodecError) as refused:
        sms.read(f"0004{NUMBER}0000{MOMENT}0453ea130a", 10**30)
    assert refused.value.field == "length"


# National tables


@pytest.mark.parametrize(
    ("header", "septets", "count", "text"),
    [
        pytest.param("03240101", "d8cc01", 2, "ş", id="a code of the single shift table"),
        pytest.param("03240101", "d89401", 2, "€", id="a code that all of them have"),
        pytest.param("03240101", "d88401", 2, "a", id="a code it lacks shows the main table"),
        pytest.param("03240101", "d86cc2", 3, " a", id="a second escape shows a space"),
        pytest.param(
            "0324010e", "d8cc01", 2, "s", id="an unknown language has the default extension, and it lacks 0x73"
        ),
        pytest.param("03250101", "e80009", 3, "şİ€", id="codes of the locking table"),
        pytest.param("03250101", "d8a000", 2, "{", id="behind an escape the default extension"),
        pytest.param("03250101", "d81000", 2, "€", id="a code it lacks shows the locking table"),
        pytest.param("03250102", "e80009", 3, "æ¡è", id="an unknown locking table is the main one"),
        pytest.param("06240101250101", "9b39", 2, "ş", id="both: the single shift table behind the escape"),
        pytest.param("06240101250101", "9b0e", 2, "ş", id="both: a code it lacks shows the locking table"),
    ],
)
def test_national_tables_are_read_with_their_fall_backs(header: str, septets: str, count: int, text: str) -> None:
    """3GPP TS 23.038 §6.2.1.2.2 and .3, A.2.1 and A.3.1: a code that is in no table shows that of the main one."""
    length = (8 * len(header) // 2 + 6) // 7 + count
    data = header + septets
    found = sms.decode(bytes.fromhex(f"4405812143f50000{MOMENT}{length:02x}{data}"))
    assert found.text == text
    assert sms.join([found]) == text


# The parts of a text


def part(sequence: int, total: int, coding: str, length: int, body: str, elements: str = "") -> sms.Tpdu:
    """A part that has TP-UDL `length`: some other encoder's, which halves what ours keeps whole."""
    header = f"00032a{total:02x}{sequence:02x}{elements}"
    data = f"{len(header) // 2:02x}{header}{body}"
    return sms.decode(bytes.fromhex(f"4405812143f500{coding}{MOMENT}{length:02x}{data}"))


# "ab" and an escape; 0x65, which alone is "e", and "!"
ESCAPE_CUT = [part(1, 2, "00", 10, "c2e20d"), part(2, 2, "00", 9, "ca21")]
# "漢" and half of 😀; the other half and "字"
PAIR_CUT = [part(1, 2, "08", 10, "6f22d83d"), part(2, 2, "08", 10, "de005b57")]
# "a" and an escape; 0x73 and "a"; both with Turkish single shift
TURKISH_CUT = [part(1, 2, "00", 13, "20bc01", "240101"), part(2, 2, "00", 13, "601e06", "240101")]
THREE = [part(1, 3, "00", 8, "c2"), part(2, 3, "00", 8, "c4"), part(3, 3, "00", 8, "c6")]  # a, b, c


def test_the_parts_that_were_cut_show_what_a_part_alone_says() -> None:
    assert [one.text for one in ESCAPE_CUT] == ["ab ", "e!"]
    assert [one.text for one in PAIR_CUT] == ["漢\ufffd", "\ufffd字"]
    assert [one.text for one in TURKISH_CUT] == ["a ", "sa"]
    assert [one.text for one in THREE] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param(ESCAPE_CUT, "ab€!", id="an escape cut off its code"),
        pytest.param(PAIR_CUT, "漢😀字", id="a pair cut in two"),
        pytest.param(TURKISH_CUT, "aşa", id="an escape of a national table"),
        pytest.param(PAIR_CUT[::-1], "漢😀字", id="in the wrong order"),
        pytest.param([*PAIR_CUT, *PAIR_CUT], "漢😀字", id="each twice"),
        pytest.param([THREE[2], THREE[0], THREE[1], THREE[0]], "abc", id="in any order, one of them twice"),
        pytest.param([THREE[0], THREE[2]], "ac", id="one missing"),
        pytest.param([PAIR_CUT[1]], "\ufffd字", id="the first missing: half a pair"),
        pytest.param([ESCAPE_CUT[0]], "ab ", id="the last missing: an escape without a code"),
        pytest.param([part(1, 3, "08", 8, "d83d"), part(3, 3, "08", 8, "de00")], "\ufffd\ufffd", id="halves apart"),
        pytest.param([ESCAPE_CUT[0], PAIR_CUT[1]], "ab \ufffd字", id="of two alphabets"),
        pytest.param([ESCAPE_CUT[0], TURKISH_CUT[1]], "ab sa", id="of two tables"),
        pytest.param([THREE[0], part(2, 3, "04", 8, "ffff"), THREE[2]], "ac", id="octets between"),
        pytest.param([part(1, 2, "00", 8, "c2"), part(1, 2, "00", 8, "c6")], "a", id="the first of two with a number"),
    ],
)
def test_parts_are_joined_before_they_are_read(parts: list[sms.Tpdu], text: str) -> None:
    """3GPP TS 23.040 §9.2.3.24.1."""
    assert sms.join(parts) == text
    assert sms.join(iter(parts)) == text


def test_a_message_of_one_part_is_joined_to_itself() -> None:
    (tpdu,) = sms.encode("12345", "Grüße {1} €")
    assert sms.join([sms.decode(tpdu, "ms2sc")]) == "Grüße {1} €"
    assert sms.join([sms.Deliver("12345", "alone"), *ESCAPE_CUT[1:]]) == "alone" + "e!"
