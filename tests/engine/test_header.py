"""The user data header by hand: each information element, their order, what spoils a header and what is refused."""

from typing import Any

import pytest

from engine import sms
from engine.errors import CodecError

NUMBER = "05812143f5"  # 12345
MOMENT = "62204101510340"  # 2026-02-14 10:15:30 +01:00


def submitted(text: str | bytes, **options: Any) -> list[str]:
    """TP-UDL and TP-UD of each part to 12345, which has a header and no validity."""
    tpdus = [tpdu.hex() for tpdu in sms.encode("12345", text, **options)]
    assert {tpdu[:14] for tpdu in tpdus} == {f"4100{NUMBER}"}
    return [tpdu[18:] for tpdu in tpdus]


def received(header: str, coding: str = "08", body: str = "0041") -> Any:
    """An SMS-DELIVER with this header before "A" in UCS2."""
    data = header + body
    return sms.decode(bytes.fromhex(f"44{NUMBER}00{coding}{MOMENT}{len(data) // 2:02x}{data}"))


# One element


@pytest.mark.parametrize(
    ("element", "octets"),
    [
        pytest.param(sms.ports(2948, 9200), "05040b8423f0", id="WAP push"),
        pytest.param(sms.ports(5499), "0504157b0000", id="no port to answer to"),
        pytest.param(sms.ports(65_535, 65_535), "0504ffffffff", id="the last ports of 16 bits"),
        pytest.param(sms.ports(240, 241, bits=8), "0402f0f1", id="ports of 8 bits"),
        pytest.param(sms.ports(255, bits=8), "0402ff00", id="the last port of 8 bits"),
        pytest.param(sms.indication(0, 3, store=True), "01028003", id="three voice messages, stored"),
        pytest.param(sms.indication(0, 0), "01020000", id="no voice message any more"),
        pytest.param(sms.indication(1, 1), "01020101", id="a fax"),
        pytest.param(sms.indication(2, 255), "010202ff", id="255 electronic mails or more"),
        pytest.param(sms.indication(7, 1), "01020701", id="a video message, an extended kind"),
        pytest.param(sms.indication(0x20, 2, store=True), "0102a002", id="two voice messages of the second profile"),
    ],
)
def test_an_element_stands_before_the_text_as_its_clause_says(element: tuple[int, bytes], octets: str) -> None:
    """3GPP TS 23.040 §9.2.3.24.2 to .4."""
    size = len(octets) // 2
    assert submitted("A", elements=[element], alphabet="ucs2") == [f"{size + 3:02x}{size:02x}{octets}0041"]
    assert received(f"{size:02x}{octets}").elements == (element,)


@pytest.mark.parametrize(
    ("element", "header", "ports"),
    [
        pytest.param(sms.ports(2948, 9200), "0605040b8423f0", (2948, 9200), id="16 bits"),
        pytest.param(sms.ports(240, 241, bits=8), "040402f0f1", (240, 241), id="8 bits"),
    ],
)
def test_ports_are_read(element: tuple[int, bytes], header: str, ports: tuple[int, int]) -> None:
    found = received(header)
    assert (found.ports, found.elements, found.text) == (ports, (element,), "A")


@pytest.mark.parametrize(
    ("header", "indications"),
    [
        pytest.param("0401028003", ((0, True, 3),), id="one"),
        pytest.param("080102800301020100", ((0, True, 3), (1, False, 0)), id="of two kinds, each with its count"),
        pytest.param("04010283ff", ((3, True, 255),), id="other"),
        pytest.param("040102a002", ((0x20, True, 2),), id="of the second profile"),
        pytest.param("0501030300ff", (), id="an octet too long"),
    ],
)
def test_waiting_messages_are_read(header: str, indications: tuple[tuple[int, bool, int], ...]) -> None:
    """3GPP TS 23.040 §9.2.3.24.2: bit 7 has the message stored, bits 6 to 0 say what waits."""
    assert received(header).indications == indications


# Several


def test_a_header_without_fill_bits_ends_where_a_septet_does() -> None:
    """Seven octets are eight septets: TP-UDL counts these and the letter."""
    assert submitted("a", elements=[sms.ports(2948, 9200)]) == ["090605040b8423f061"]


def test_the_first_septet_behind_a_header_is_moved_to_the_next_septet_border() -> None:
    """3GPP TS 23.040 §9.2.3.24, figure 9.2.3.24 (a): five octets are 40 bits, two short of the sixth septet."""
    assert submitted("a", elements=[sms.ports(240, 241, bits=8)]) == ["07040402f0f184" + "01"]


def test_elements_stand_in_the_order_given_behind_the_count_of_parts_and_before_the_tables() -> None:
    elements = [(0x70, b"\x01\x02"), sms.ports(2948, 9200), (0xDF, b"")]
    text = "ğ" * 78
    first, second = submitted(text, elements=elements, national="single", concatenation=7)
    # 1 + 5 + 4 + 6 + 2 + 3 octets are 24 septets; 136 are left, 68 escape sequences.
    for part, sequence, letters in ((first, "01", 68), (second, "02", 10)):
        assert int(part[:2], 16) == 24 + 2 * letters
        assert part[2:44] == "14" + f"00030702{sequence}" + "70020102" + "05040b8423f0" + "df00" + "240101"


def test_elements_stand_alone_where_there_is_one_part() -> None:
    assert submitted(b"\x2a", elements=[(0x70, b"\xff"), (0x71, b"")]) == ["07057001ff71002a"]


@pytest.mark.parametrize(
    ("concatenation", "octets"),
    [
        pytest.param(0x2A2B, "2a2b", id="of two octets"),
        pytest.param(7, "0007", id="small, of two octets nevertheless"),
        pytest.param(65_535, "ffff", id="the last"),
    ],
)
def test_a_reference_of_16_bits_takes_an_octet_more_of_each_part(concatenation: int, octets: str) -> None:
    """3GPP TS 23.040 §9.2.3.24.8: 7 octets of header leave 133, which are 152 septets or 66 code units."""
    parts = submitted("a" * 161, reference_bits=16, concatenation=concatenation)
    assert [part[:16] for part in parts] == [f"a0060804{octets}0201", f"11060804{octets}0202"]
    assert parts[1][16:] == "e170381c0e87c3" + "61"  # eight letters fill seven octets
    assert sms.measure("a" * 305, reference_bits=16).parts == 3
    assert sms.measure("漢" * 132, reference_bits=16).parts == 2
    assert sms.measure("漢" * 133, reference_bits=16).parts == 3


@pytest.mark.parametrize(
    ("header", "concatenation"),
    [
        pytest.param("060804ffff0403", (65_535, 4, 3), id="16 bits"),
        pytest.param("0b0003010202080400020302", (2, 3, 2), id="of 8 and of 16 bits: the last"),
        pytest.param("0b0804000203020003010201", (1, 2, 1), id="of 16 and of 8 bits: the last"),
        pytest.param("0a00030102010003020300", (1, 2, 1), id="one with an impossible sequence counts for nothing"),
        pytest.param("06000400010201", None, id="a reference of 16 bits in the element of 8"),
        pytest.param("050803010201", None, id="a reference of 8 bits in the element of 16"),
    ],
)
def test_the_last_of_several_counts_is_taken(header: str, concatenation: tuple[int, int, int] | None) -> None:
    """3GPP TS 23.040 §9.2.3.24: of elements that exclude each other the last counts."""
    assert received(header).concatenation == concatenation


# National tables


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        # Four octets are 32 bits, three short of the fifth septet.
        pytest.param("ş", "0703240101" + "d8cc01", id="single: an escape and 0x73"),
        pytest.param("ş" * 100, "6903250101" + "e8743a9d", id="locking, where single would take two parts: 0x1D"),
        pytest.param("कA", "0b06240106250106" + "954d10", id="both: a letter of the locking table, then an escape"),
    ],
)
def test_a_table_is_named_where_it_is_used(text: str, octets: str) -> None:
    """3GPP TS 23.040 §9.2.3.24.15 and .16, TS 23.038 A.2.1, A.3.1, A.2.6 and A.3.6."""
    (part,) = submitted(text, national="all")
    assert part.startswith(octets)


@pytest.mark.parametrize(
    ("header", "single", "locking"),
    [
        pytest.param("03240101", 1, 0, id="Turkish single shift"),
        pytest.param("03250101", 0, 1, id="Turkish locking shift"),
        pytest.param("0624010d25010d", 13, 13, id="Urdu, both"),
        pytest.param("06240101240103", 3, 0, id="two single shifts: the last"),
        pytest.param("03250102", 0, 0, id="Spanish has no locking table"),
        pytest.param("0324010e", 0, 0, id="a language not yet known"),
        pytest.param("03240100", 0, 0, id="the default table"),
        pytest.param("0424020101", 0, 0, id="an octet too long"),
    ],
)
def test_national_tables_are_read(header: str, single: int, locking: int) -> None:
    """3GPP TS 23.040 §9.2.3.24.15 and .16, TS 23.038 §6.2.1.2.4."""
    found = received(header, "00", "")
    assert (found.single, found.locking) == (single, locking)


# What spoils a header


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("00", id="of no elements"),
        pytest.param("0100", id="an identifier alone"),
        pytest.param("0400032a03", id="an element that ends behind the header"),
        pytest.param("0600032a030200", id="half an element behind a whole one"),
        pytest.param("0505040b8423", id="ports that are cut short"),
        pytest.param("02248a", id="a table of 138 octets"),
    ],
)
def test_a_header_that_its_elements_do_not_fill_has_none_and_keeps_its_octets(header: str) -> None:
    found = received(header)
    assert (found.elements, found.concatenation, found.ports, found.indications) == ((), None, None, ())
    assert (found.single, found.locking) == (0, 0)
    assert (found.header.hex(), found.text) == (header, "A")


def test_unknown_elements_are_kept() -> None:
    """3GPP TS 23.040 §9.2.3.24: what is not known is passed over."""
    found = received("0b700201027f00a003010203")
    assert found.elements == ((0x70, b"\x01\x02"), (0x7F, b""), (0xA0, b"\x01\x02\x03"))
    assert found.text == "A"


def test_a_header_may_be_all_there_is() -> None:
    found = received("0401028001", body="")
    assert (found.text, found.indications, found.user_data.hex()) == ("", ((0, True, 1),), "0401028001")


# What is refused


@pytest.mark.parametrize(
    "element",
    [
        pytest.param((0x00, b"\x01\x02\x01"), id="the count of parts"),
        pytest.param((0x08, b"\x00\x01\x02\x01"), id="the count of parts, 16 bits"),
        pytest.param((0x24, b"\x01"), id="a single shift table"),
        pytest.param((0x25, b"\x01"), id="a locking shift table"),
        pytest.param((-1, b""), id="an identifier below zero"),
        pytest.param((256, b""), id="an identifier of nine bits"),
        pytest.param((0x70, bytes(256)), id="more octets than its length can say"),
        pytest.param((0x70, bytes(140)), id="more octets than user data have"),
    ],
)
def test_an_element_is_refused(element: tuple[int, bytes]) -> None:
    """The engine writes itself which part of how many it is and which tables it took."""
    for elements in ([element], [sms.ports(2948), element]):
        with pytest.raises(CodecError) as refused:
            sms.Envelope(elements=elements)
        assert refused.value.field == "header"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        pytest.param({"destination": 65_536}, "ports", id="a port of 17 bits"),
        pytest.param({"destination": -1}, "ports", id="a port below zero"),
        pytest.param({"destination": 1, "source": 65_536}, "ports", id="a source of 17 bits"),
        pytest.param({"destination": 256, "bits": 8}, "ports", id="a port of 9 bits for 8"),
        pytest.param({"destination": 1, "bits": 7}, "ports", id="ports of 7 bits"),
    ],
)
def test_ports_out_of_range_are_refused(asked: dict[str, int], field: str) -> None:
    with pytest.raises(CodecError) as refused:
        sms.ports(**asked)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("kind", "count", "field"),
    [
        pytest.param(128, 0, "kind", id="a kind of 8 bits"),
        pytest.param(-1, 0, "kind", id="a kind below zero"),
        pytest.param(0, 256, "count", id="256 messages"),
        pytest.param(0, -1, "count", id="less than no messages"),
    ],
)
def test_indications_out_of_range_are_refused(kind: int, count: int, field: str) -> None:
    with pytest.raises(CodecError) as refused:
        sms.indication(kind, count)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        pytest.param(136, "ab", id="septets"),
        pytest.param(136, "a€", id="an escape sequence"),
        pytest.param(137, "a", id="two characters where there is a septet"),
        pytest.param(133, "漢漢漢", id="code units"),
        pytest.param(135, "😀", id="a surrogate pair"),
        pytest.param(135, b"abc", id="octets"),
    ],
)
def test_a_header_that_leaves_no_room_for_the_text_is_refused(octets: int, text: str | bytes) -> None:
    """In one part it does not fit, and the count of several leaves even less."""
    with pytest.raises(CodecError) as refused:
        sms.encode("12345", text * 4, elements=[(0x70, bytes(octets))])
    assert refused.value.field == "header"


@pytest.mark.parametrize(
    ("octets", "text", "parts"),
    [
        pytest.param(134, "abc", 1, id="three septets behind 137 octets"),
        pytest.param(133, b"abcd", 1, id="four octets behind 136"),
        pytest.param(130, b"ab" * 3, 1, id="six octets behind 133"),
        pytest.param(130, b"ab" * 255, 255, id="two octets in each of 255 parts"),
        pytest.param(130, "ab" * 255, 255, id="two septets in each of 255 parts"),
        pytest.param(128, "😀" * 255, 255, id="a pair in each of 255 parts"),
    ],
)
def test_a_header_leaves_what_it_does_not_take(octets: int, text: str | bytes, parts: int) -> None:
    """A header is one octet, two of each element and its data; those that count the parts are five more."""
    assert len(sms.encode("12345", text, elements=[(0x70, bytes(octets))])) == parts
