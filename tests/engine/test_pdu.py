"""TPDUs octet by octet: each field, what is refused and where, and what hostile octets do: nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine import _pdu, _reading, sms
from engine.errors import CodecError
from tests.engine.witnesses import encoded

VECTORS = [
    json.loads(row)
    for row in (Path(__file__).parents[1] / "vectors" / "pdus.jsonl").read_text(encoding="utf-8").splitlines()
]
CONTENT = ("protocol", "coding", "alphabet", "message_class", "text", "octets", "header", "concatenation")
TIMES = ("service_centre_time_ms", "discharge_time_ms")
FLAGS = ("wants_report", "reject_duplicates", "reply_path")
FIELDS = {
    "Deliver": (*CONTENT, "originator", "alphanumeric", TIMES[0]),
    "StatusReport": (*CONTENT, "reference", "recipient", *TIMES, "outcome"),
    "Submit": (*CONTENT, "reference", "destination", "validity_s", "expires_ms", *FLAGS),
}

NUMBER = "0d91945107000040f2"  # +4915700000042
MOMENT = "62204101510340"  # 2026-02-14 10:15:30 +01:00
MOMENT_MS = 1_771_060_530_000


def decode(digits: str, direction: str = "sc2ms") -> Any:
    return _reading.decode(bytes.fromhex(digits), direction)


def all_of(found: object) -> tuple[object, ...]:
    """The type and every field of what was read, by either codec."""
    kind = type(found).__name__
    return (kind, *(getattr(found, name) for name in FIELDS[kind]))


# Addresses


@pytest.mark.parametrize(
    ("address", "number"),
    [
        pytest.param("0d91945107000040f2", "+4915700000042", id="international"),
        pytest.param("05812143f5", "12345", id="national, of odd length"),
        pytest.param("0581214305", "12345", id="what should be the filler is not looked at"),
        pytest.param("0481a1cb", "1*#a", id="star, hash and a letter"),
        pytest.param("0e91945107000040f2", "+4915700000042", id="a length that counts the filler in"),
        pytest.param("0091", "", id="international without digits has no plus"),
        pytest.param("0bd0cdf03c2c4e03", "Masabi", id="a name"),
        pytest.param("0ed0d0f03ccc7c87c9", "PasaLoad", id="a name of eight letters in seven octets"),
        pytest.param("02d000", "@", id="a name in one octet"),
    ],
)
def test_reads_an_originator(address: str, number: str) -> None:
    """3GPP TS 23.040 §9.1.2.5."""
    found = decode(f"04{address}0000{MOMENT}00")
    assert found.originator == number
    assert found.alphanumeric == (address[2] == "d")


@pytest.mark.parametrize(
    ("address", "number", "address_type"),
    [
        pytest.param("05a12143f5", "12345", 0xA1, id="national"),
        pytest.param("05b12143f5", "12345", 0xB1, id="of the network"),
        pytest.param("05c12143f5", "12345", 0xC1, id="of a subscriber"),
        pytest.param("05802143f5", "12345", 0x80, id="of no known plan"),
        pytest.param("05e12143f5", "12345", 0xE1, id="abbreviated"),
        pytest.param("05f12143f5", "12345", 0xF1, id="reserved"),
        pytest.param("05012143f5", "12345", 0x01, id="without its top bit"),
        pytest.param(
            *("05002143f5", "12345", 0x00),
            id="nothing but zeros",
        ),
        pytest.param("05982143f5", "+12345", 0x98, id="international, of the national plan"),
        pytest.param("0581a1cbf2", "1*#a2", 0x81, id="with star and hash"),
        pytest.param("0591a1cbf2", "+1*#a2", 0x91, id="international, with star and hash"),
        pytest.param("0081", "", 0x81, id="without digits"),
        pytest.param("0091", "", 0x91, id="international, without digits"),
        pytest.param("00d0", "", 0xD0, id="a name without letters"),
        pytest.param("07d849b7f90d", "Info", 0xD8, id="a name of another plan"),
    ],
)
def test_every_type_of_address_is_kept(address: str, number: str, address_type: int) -> None:
    """3GPP TS 23.040 §9.1.2.5: what is not known is read as unknown."""
    deliver = f"04{address}0000{MOMENT}00"
    report = f"0600{address}{MOMENT}{MOMENT}00"
    for octets, direction, name in (
        (deliver, "sc2ms", "originator"),
        (report, "sc2ms", "recipient"),
        (f"0100{address}000000", "ms2sc", "destination"),
        (f"0200000000{address}00", "ms2sc", "destination"),
    ):
        found = decode(octets, direction)
        assert (getattr(found, name), found.address_type) == (number, address_type)
        # Others want the top bit, and show the plus of an international number without digits.
        is_asked = number and address_type & 0x80
        assert (encoded(found) if is_asked else found.encode()).hex() == octets


@pytest.mark.parametrize(
    ("address", "again"),
    [
        pytest.param("0581214305", "05812143f5", id="another filler"),
        pytest.param("06812143f5", "05812143f5", id="a length that counts the filler in"),
        pytest.param("08d049b7f90d", "07d049b7f90d", id="a name whose length counts whole octets"),
        pytest.param("07d049b7f9fd", "07d049b7f90d", id="a name with bits behind its end"),
    ],
)
def test_another_spelling_of_an_address_is_written_as_the_standard_has_it(address: str, again: str) -> None:
    assert decode(f"04{address}0000{MOMENT}00").encode().hex() == f"04{again}0000{MOMENT}00"


@pytest.mark.parametrize(
    "sender",
    [
        pytest.param("Gasthaus ABC", id="twelve letters"),
        pytest.param("Gasthaus A€", id="eleven, one of which is escaped"),
        pytest.param("Кафе", id="a name in another script"),
        pytest.param("ab\ud83d", id="half a pair"),
        pytest.param("1" * 21, id="21 digits"),
        pytest.param("+" + "1" * 21, id="21 international digits"),
        pytest.param("+12#4", id="a hash in an international number"),
    ],
)
def test_a_sender_is_refused(sender: str) -> None:
    for refuses, field in ((sms.Deliver, "originator"), (sms.StatusReport, "recipient")):
        with pytest.raises(CodecError) as refused:
            refuses(sender)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("address", "offset"),
    [
        pytest.param("0491f136", 3, id="a filler between digits"),
        pytest.param("159121436587092143658709f1", 1, id="more than twenty semi-octets"),
    ],
)
def test_refuses_an_originator(address: str, offset: int) -> None:
    with pytest.raises(CodecError) as refused:
        decode(f"04{address}0000{MOMENT}00")
    assert (refused.value.field, refused.value.offset) == ("originator", offset)


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        pytest.param("0181f7", "7", id="one digit"),
        pytest.param("0191f7", "+7", id="one international digit"),
        pytest.param("1481" + "2143658709" * 2, "1234567890" * 2, id="twenty digits"),
        pytest.param("1491" + "2143658709" * 2, "+" + "1234567890" * 2, id="twenty international digits"),
        pytest.param("0681a1cbed", "1*#abc", id="all that can be dialled"),
        pytest.param("07d049b7f90d", "Info", id="four letters in 28 bits, which are seven semi-octets"),
        pytest.param("06d0419010", "A B", id="three in 21 bits, which take six"),
        pytest.param("0bd0cf39bd2c7703", "Ostern", id="six in 42 bits, which take eleven"),
        pytest.param("0dd0f3b2bdecbedd00", "seven77", id="seven in 49 bits, which take thirteen"),
        pytest.param("0ed0c3b03ccd66bfdd", "Carillon", id="eight in seven octets"),
        pytest.param("10d0c230da8d7e9b4131", "Bahnhof 1", id="nine in 63 bits, which take sixteen"),
        pytest.param("14d0c7f09c8e0ed7e7a0a010", "Gasthaus AB", id="eleven in 77 bits, which take all twenty"),
        pytest.param("09d09b725dfe06", "€uro", id="an escape sequence is two letters"),
    ],
)
def test_an_address_is_written_as_it_is_read(address: str, sender: str) -> None:
    """3GPP TS 23.040 §9.1.2.5."""
    found = decode(f"04{address}0000{MOMENT}00")
    assert found.originator == sender
    assert encoded(found).hex() == f"04{address}0000{MOMENT}00"
    assert encoded(sms.Deliver(sender)).hex() == f"04{address}0000" + "00" * 8


@pytest.mark.parametrize(
    ("destination", "octets"),
    [
        pytest.param("+4915700000042", NUMBER, id="international"),
        pytest.param("12345", "05812143f5", id="a short number"),
        pytest.param("*101#", "05811a10fb", id="star and hash"),
        pytest.param("0abc", "0481c0ed", id="letters"),
        pytest.param("+" + "1" * 20, "1491" + "11" * 10, id="twenty digits"),
    ],
)
def test_writes_a_destination(destination: str, octets: str) -> None:
    assert _pdu.encode(destination, "")[0].hex() == f"0100{octets}000000"


@pytest.mark.parametrize(
    ("destination", "offset"),
    [
        pytest.param("", None, id="empty"),
        pytest.param("+", None, id="a plus alone"),
        pytest.param("1" * 21, None, id="21 digits"),
        pytest.param("+49*1", 3, id="a star behind a plus"),
        pytest.param("0157 1", 4, id="a space"),
        pytest.param("12A", 2, id="a capital"),
        pytest.param("１２", 0, id="digits of another script"),
        pytest.param("1+2", 1, id="a plus elsewhere"),
    ],
)
def test_refuses_a_destination(destination: str, offset: int | None) -> None:
    with pytest.raises(CodecError) as refused:
        _pdu.encode(destination, "text")
    assert (refused.value.field, refused.value.offset) == ("destination", offset)


# Times and validity


@pytest.mark.parametrize(
    ("stamp", "moment_ms"),
    [
        pytest.param(MOMENT, MOMENT_MS, id="an hour ahead of UTC"),
        pytest.param("62204101510300", MOMENT_MS + 3_600_000, id="UTC"),
        pytest.param("6220410151030a", MOMENT_MS + 3_600_000 * 6, id="five hours behind UTC"),
        pytest.param("00101000000000", 946_684_800_000, id="the first second of 2000"),
        pytest.param("42209200000000", 1_709_164_800_000, id="a leap day"),
        pytest.param("32209200000000", None, id="a leap day in a common year"),
        pytest.param("62201300000000", None, id="31 February"),
        pytest.param("62311000000000", None, id="month 13"),
        pytest.param("62001000000000", None, id="month 0"),
        pytest.param("62200000000000", None, id="day 0"),
        pytest.param("62204142000000", None, id="hour 24"),
        pytest.param("62204101060000", None, id="minute 60"),
        pytest.param("62204101510600", None, id="second 60"),
        pytest.param("ffffffffffffff", None, id="nothing but filler"),
        pytest.param("622041015103e1", None, id="a zone that is no number"),
    ],
)
def test_reads_a_time_stamp(stamp: str, moment_ms: int | None) -> None:
    """3GPP TS 23.040 §9.2.3.11."""
    assert decode(f"04{NUMBER}0000{stamp}00").service_centre_time_ms == moment_ms


@pytest.mark.parametrize(
    ("moment_ms", "zone", "stamp"),
    [
        pytest.param(MOMENT_MS, 4, MOMENT, id="an hour ahead of UTC"),
        pytest.param(MOMENT_MS, 0, "62204190510300", id="UTC"),
        pytest.param(MOMENT_MS, -20, "6220414051030a", id="five hours behind"),
        pytest.param(MOMENT_MS, -14, "62204150540349", id="three and a half behind"),
        pytest.param(MOMENT_MS, -23, "6220413003033a", id="five and three quarters behind"),
        pytest.param(MOMENT_MS, 22, "62204141540322", id="five and a half ahead"),
        pytest.param(MOMENT_MS, 56, "62204132510365", id="fourteen ahead"),
        pytest.param(MOMENT_MS, -48, "6220311251038c", id="twelve behind, the day before"),
        pytest.param(MOMENT_MS, 79, "62205150000397", id="nearly twenty ahead, the day after"),
        pytest.param(MOMENT_MS, -79, "6220313103039f", id="nearly twenty behind, the day before"),
        pytest.param(1_767_225_599_000, 4, "62101000959540", id="New Year an hour earlier"),
        pytest.param(1_767_225_600_000, -1, "52211332540018", id="and a quarter of an hour later"),
        pytest.param(1_709_164_800_000, 0, "42209200000000", id="a leap day"),
        pytest.param(951_782_400_000, 0, "00209200000000", id="that of 2000"),
        pytest.param(951_868_800_000, 0, "00301000000000", id="the day behind it"),
        pytest.param(4_102_444_799_000, 0, "99211332959500", id="the last second of 2099"),
    ],
)
def test_writes_a_time_stamp_in_its_zone(moment_ms: int, zone: int, stamp: str) -> None:
    """3GPP TS 23.040 §9.2.3.11: bit 3 of the seventh octet is the minus of the quarters of an hour."""
    built = sms.Deliver("12345", service_centre_time_ms=moment_ms, service_centre_zone=zone)
    assert encoded(built).hex() == f"0405812143f50000{stamp}00"
    found = _reading.decode(built.encode())
    assert isinstance(found, sms.Deliver)
    assert (found.service_centre_time_ms, found.service_centre_zone) == (moment_ms, zone)


@pytest.mark.parametrize(
    ("moment_ms", "zone"),
    [
        pytest.param(946_684_799_999, 0, id="a millisecond before 2000"),
        pytest.param(946_684_800_000, -1, id="2000, where it is still 1999"),
        pytest.param(4_102_444_800_000, 0, id="2100"),
        pytest.param(4_102_444_799_000, 1, id="where it is 2100 already"),
        pytest.param(MOMENT_MS, 80, id="twenty hours ahead"),
        pytest.param(MOMENT_MS, -80, id="twenty hours behind"),
        pytest.param(-1, 0, id="before the epoch"),
        pytest.param(10**30, 0, id="beyond all clocks"),
    ],
)
def test_a_moment_that_no_stamp_says_is_refused(moment_ms: int, zone: int) -> None:
    with pytest.raises(CodecError) as refused:
        sms.Deliver("12345", service_centre_time_ms=moment_ms, service_centre_zone=zone)
    assert refused.value.field == "service_centre_time"


def test_an_impossible_date_has_no_zone_and_is_written_as_none() -> None:
    found = decode(f"04{NUMBER}0000" + "6220130000000a" + "00")
    assert (found.service_centre_time_ms, found.service_centre_zone) == (None, 0)
    assert found.encode().hex() == f"04{NUMBER}0000" + "00" * 7 + "00"
    assert sms.Deliver("+4915700000042").encode().hex() == f"04{NUMBER}0000" + "00" * 7 + "00"


@pytest.mark.parametrize(
    ("seconds", "octet", "said"),
    [
        pytest.param(0, 0, 300, id="no time at all is five minutes"),
        pytest.param(300, 0, 300, id="five minutes"),
        pytest.param(301, 1, 600, id="a second more is ten"),
        pytest.param(43_200, 143, 43_200, id="twelve hours"),
        pytest.param(43_201, 144, 45_000, id="then half hours"),
        pytest.param(86_400, 167, 86_400, id="a day"),
        pytest.param(86_401, 168, 172_800, id="then days"),
        pytest.param(30 * 86_400, 196, 30 * 86_400, id="thirty days"),
        pytest.param(30 * 86_400 + 1, 197, 35 * 86_400, id="then weeks"),
        pytest.param(441 * 86_400, 255, 441 * 86_400, id="63 weeks"),
        pytest.param(10**20, 255, 441 * 86_400, id="longer than anything"),
    ],
)
def test_rounds_a_validity_up_to_what_can_be_said(seconds: int, octet: int, said: int) -> None:
    """3GPP TS 23.040 §9.2.3.12.1."""
    (tpdu,) = _pdu.encode("12345", "", validity_s=seconds)
    assert tpdu.hex() == f"110005812143f50000{octet:02x}00"
    assert _reading.decode(tpdu, "ms2sc").validity_s == said  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("validity", "seconds"),
    [
        pytest.param("00000000000000", None, id="none"),
        pytest.param("01a70000000000", 86_400, id="as the relative form"),
        pytest.param("022d0000000000", 45, id="seconds"),
        pytest.param("02000000000000", None, id="no seconds are reserved"),
        pytest.param("03213054000000", 12 * 3600 + 3 * 60 + 45, id="hours, minutes, seconds"),
        pytest.param("03210654000000", None, id="sixty minutes"),
        pytest.param("82002d00000000", 45, id="behind an extension octet"),
        pytest.param("07010000000000", None, id="a reserved form"),
    ],
)
def test_reads_an_enhanced_validity(validity: str, seconds: int | None) -> None:
    """3GPP TS 23.040 §9.2.3.12.3."""
    assert decode(f"090005812143f50000{validity}00", "ms2sc").validity_s == seconds


def test_reads_an_absolute_validity_as_a_moment() -> None:
    found = decode(f"190005812143f50000{MOMENT}00", "ms2sc")
    assert (found.validity_s, found.expires_ms) == (None, MOMENT_MS)


# Coding and user data


@pytest.mark.parametrize(
    ("coding", "alphabet", "message_class"),
    [
        pytest.param(0x00, 0, None, id="general"),
        pytest.param(0x04, 1, None, id="general, octets"),
        pytest.param(0x08, 2, None, id="general, UCS2"),
        pytest.param(0x0C, 0, None, id="general, reserved"),
        pytest.param(0x10, 0, 0, id="flash"),
        pytest.param(0x19, 2, 1, id="UCS2 for the phone"),
        pytest.param(0x48, 2, None, id="to be deleted once read"),
        pytest.param(0x80, 0, None, id="a reserved group"),
        pytest.param(0xC8, 0, None, id="waiting, discard"),
        pytest.param(0xD8, 0, None, id="waiting, store"),
        pytest.param(0xE8, 2, None, id="waiting, store, UCS2"),
        pytest.param(0xF2, 0, 2, id="class, GSM 7-bit"),
        pytest.param(0xF7, 1, 3, id="class, octets"),
    ],
)
def test_reads_a_coding(coding: int, alphabet: int, message_class: int | None) -> None:
    """3GPP TS 23.038 §4."""
    found = decode(f"04{NUMBER}00{coding:02x}{MOMENT}00")
    assert (found.coding, found.alphabet, found.message_class) == (coding, alphabet, message_class)


@pytest.mark.parametrize(
    ("header", "concatenation"),
    [
        pytest.param("0500032a0302", (0x2A, 3, 2), id="8-bit reference"),
        pytest.param("0608042a2b0302", (0x2A2B, 3, 2), id="16-bit reference"),
        pytest.param("0b05040b8423f000032a0302", (0x2A, 3, 2), id="behind ports"),
        pytest.param("0500032a0304", None, id="beyond its total"),
        pytest.param("0500032a0300", None, id="a sequence of zero"),
        pytest.param("0a00032a030100032b0202", (0x2B, 2, 2), id="the last of two counts"),
        pytest.param("0400032a03", None, id="an element that ends behind its header"),
        pytest.param("0600032a030200", None, id="half an element at the end spoils the header"),
        pytest.param("00", None, id="empty"),
    ],
)
def test_reads_a_header(header: str, concatenation: tuple[int, int, int] | None) -> None:
    """3GPP TS 23.040 §9.2.3.24, which has a header that its elements do not fill ignored."""
    data = header + "0041" * 3
    found = decode(f"44{NUMBER}0008{MOMENT}{len(data) // 2:02x}{data}")
    assert found.header.hex() == header
    assert found.concatenation == concatenation
    assert found.text == "AAA"


def test_a_header_longer_than_the_user_data_is_refused() -> None:
    with pytest.raises(CodecError) as refused:
        decode(f"44{NUMBER}0008{MOMENT}03040003")
    assert (refused.value.field, refused.value.offset) == ("header", 20)


def test_user_data_beyond_140_octets_is_refused() -> None:
    assert decode(f"04{NUMBER}0000{MOMENT}a0{'00' * 140}").text == "@" * 160
    for coding, length in (("00", 161), ("04", 141)):
        with pytest.raises(CodecError) as refused:
            decode(f"04{NUMBER}00{coding}{MOMENT}{length:02x}{'00' * 141}")
        assert refused.value.field == "user_data"


def test_octets_are_kept_as_octets() -> None:
    found = decode(f"44{NUMBER}0004{MOMENT}0a06050415b300000102ff")
    assert (found.text, found.octets.hex(), found.header.hex()) == ("", "0102ff", "06050415b30000")


def test_half_a_pair_shows_as_a_mark_and_keeps_its_octets() -> None:
    """The other half may begin the next part: some phones cut there."""
    found = decode(f"04{NUMBER}0008{MOMENT}040041d83d")
    assert (found.text, found.octets.hex()) == ("A�", "0041d83d")


# Structure


def test_every_shortened_deliver_is_refused_at_its_end() -> None:
    whole = bytes.fromhex(f"44{NUMBER}0000{MOMENT}0b0500032a0302a8653c1d")
    assert all_of(_reading.decode(whole))[5] == "Text"
    for length in range(len(whole)):
        with pytest.raises(CodecError) as refused:
            _reading.decode(whole[:length])
        assert refused.value.offset == length, refused.value


@pytest.mark.parametrize(
    ("length", "field"),
    [
        pytest.param(0, "message_type", id="nothing"),
        pytest.param(1, "reference", id="the reference"),
        pytest.param(5, "recipient", id="the recipient"),
        pytest.param(12, "service_centre_time", id="the first time"),
        pytest.param(19, "discharge_time", id="the second time"),
        pytest.param(25, "outcome", id="the outcome"),
    ],
)
def test_a_shortened_report_names_the_field_that_lacks(length: int, field: str) -> None:
    whole = bytes.fromhex(f"062a{NUMBER}{MOMENT}{MOMENT}00")
    with pytest.raises(CodecError) as refused:
        _reading.decode(whole[:length])
    assert (refused.value.field, refused.value.offset) == (field, length)


def test_a_report_may_bring_more_fields() -> None:
    """3GPP TS 23.040 §9.2.3.27; its extension octets say nothing we know."""
    report = f"062a{NUMBER}{MOMENT}{MOMENT}30"
    found = decode(report + "87" + "80" + "00" + "40" + "08" + "020041")
    assert (found.outcome, found.protocol, found.coding, found.text) == (0x30, 0x40, 8, "A")


def test_octets_behind_the_end_are_refused() -> None:
    with pytest.raises(CodecError) as refused:
        decode(f"04{NUMBER}0000{MOMENT}00" + "ff")
    assert (refused.value.field, refused.value.offset) == ("length", 20)


@pytest.mark.parametrize(
    ("first", "direction"),
    [
        pytest.param("03", "sc2ms", id="to the mobile"),
        pytest.param("03", "ms2sc", id="from the mobile"),
    ],
)
def test_a_reserved_type_is_refused(first: str, direction: str) -> None:
    with pytest.raises(CodecError) as refused:
        decode(first + "00" * 40, direction)
    assert (refused.value.field, refused.value.offset) == ("message_type", 0)


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(CodecError):
        decode("00", "up")
