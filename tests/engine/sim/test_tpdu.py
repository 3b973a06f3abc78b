"""Shapes of TPDUs; the long vectors are worked by hand from 3GPP TS 23.040."""

import pytest

from engine.errors import CodecError, Invalid
from engine.sim import tpdu

TO_42 = "0D91945107000040F2"
ORDER = "0000A7104F39B92C07C564331A485E0E93F3"


@pytest.mark.parametrize(
    ("hexadecimal", "destination", "wants_report", "is_last"),
    [
        pytest.param(f"3100{TO_42}{ORDER}", "+4915700000042", True, True, id="relative validity, report"),
        pytest.param(f"0100{TO_42}000402CAFE", "+4915700000042", False, True, id="8 bit, no validity"),
        pytest.param("0100038121F3000800", "123", False, True, id="national, UCS2, empty"),
        pytest.param(
            f"4100{TO_42}000808050003070201" + "0041", "+4915700000042", False, False, id="part 1 of 2"
        ),
        pytest.param(f"4100{TO_42}00080706080400070202", "+4915700000042", False, True, id="part 2 of 2"),
    ],
)
def test_reads_what_a_service_centre_needs(
    hexadecimal: str, destination: str, wants_report: bool, is_last: bool
) -> None:
    part = tpdu.parse_submit(bytes.fromhex(hexadecimal))
    assert (part.destination, part.wants_report, part.is_last_part) == (destination, wants_report, is_last)


@pytest.mark.parametrize(
    ("hexadecimal", "field"),
    [
        pytest.param("", "tpdu", id="empty"),
        pytest.param("00" + "00" * 12, "message_type", id="an SMS-DELIVER"),
        pytest.param(f"3100{TO_42}0000A7", "tpdu", id="ends before the length"),
        pytest.param(f"3100{TO_42}{ORDER}00", "length", id="an octet too many"),
        pytest.param(f"3100{TO_42}{ORDER}"[:-2], "length", id="an octet too few"),
        pytest.param(f"0100{TO_42}00048D" + "00" * 141, "length", id="141 octets"),
        pytest.param("0100009100000100", "destination", id="no destination"),
        pytest.param(f"4100{TO_42}00040205AA", "header", id="a header beyond the end"),
    ],
)
def test_refuses_what_is_not_an_sms_submit_to_the_last_octet(hexadecimal: str, field: str) -> None:
    with pytest.raises(CodecError) as refusal:
        tpdu.parse_submit(bytes.fromhex(hexadecimal))
    assert refusal.value.field == field


def test_a_report_copies_the_address_and_says_when() -> None:
    """SCTS 2026-02-14 10:15:30 +01:00, DT twelve seconds later, delivered."""
    accepted_ms = 1_771_060_530_000
    report = tpdu.build_report(
        0x2A,
        bytes.fromhex(TO_42),
        tpdu.stamp(accepted_ms, 4),
        tpdu.stamp(accepted_ms + 12_000, 4),
        0x00,
    )
    assert report.hex().upper() == "062A0D91945107000040F2622041015103406220410151244000"


def test_a_zone_west_of_greenwich_has_its_sign_in_bit_3() -> None:
    assert tpdu.stamp(0, -5 * 4).hex() == "9621139100000a"


@pytest.mark.parametrize(
    ("text", "units"),
    [
        pytest.param("a" * 70, [70], id="seventy fit alone"),
        pytest.param("a" * 71, [67, 4], id="seventy-one make two"),
        pytest.param("a" * 66 + "😀" + "b" * 10, [66, 12], id="a pair that straddles the cut moves whole"),
        pytest.param("", [0], id="nothing"),
    ],
)
def test_a_text_is_cut_for_its_header(text: str, units: list[int]) -> None:
    parts = tpdu.build_text(text, tpdu.write_address("+4915700000042"), bytes(7), 9)
    header = 0 if len(parts) == 1 else 6
    at = 1 + 9 + 2 + 7 + 1
    assert [(len(part) - at - header) // 2 for part in parts] == units
    assert b"".join(part[at + header :] for part in parts).decode("utf-16-be") == text
    for sequence, part in enumerate(parts, 1):
        assert part[at - 1] == len(part) - at
        if header:
            assert part[at : at + 6] == bytes((5, 0, 3, 9, len(parts), sequence))


def test_a_sender_must_be_a_number() -> None:
    with pytest.raises(Invalid, match="sender"):
        tpdu.write_address("Lotus", "sender")


def test_classes_are_read_from_both_groups() -> None:
    assert [tpdu.message_class(coding) for coding in (0x00, 0x12, 0x18, 0xF1, 0xD0)] == [None, 2, 0, 1, None]
