"""The envelope by hand: the octets of every option in an SMS-SUBMIT, and what is refused."""

import re
from typing import Any

import pytest

from engine import sms
from engine.errors import CodecError

NUMBER = "05812143f5"  # 12345
DAY_S = 86_400
# 2026-02-14 09:15:30 UTC
MOMENT_MS = 1_771_060_530_000
YEAR_2000_MS = 946_684_800_000
YEAR_2100_MS = 4_102_444_800_000
DEFAULTS = {
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


def submitted(text: str | bytes = "a", **options: Any) -> str:
    """The one SMS-SUBMIT to 12345."""
    (tpdu,) = sms.encode("12345", text, **options)
    return tpdu.hex()


# Octets


@pytest.mark.parametrize(
    ("options", "octets"),
    [
        pytest.param({}, f"0100{NUMBER}0000" + "0161", id="nothing"),
        pytest.param({"reject_duplicates": True}, f"0500{NUMBER}0000" + "0161", id="TP-RD is bit 2"),
        pytest.param(
            {"single_shot": True}, f"0900{NUMBER}0000" + "40000000000000" + "0161", id="TP-VPF 01 in bits 4, 3"
        ),
        pytest.param({"validity_s": DAY_S}, f"1100{NUMBER}0000" + "a7" + "0161", id="TP-VPF 10"),
        pytest.param(
            {"expires_ms": MOMENT_MS}, f"1900{NUMBER}0000" + "62204190510300" + "0161", id="TP-VPF 11, the zone UTC"
        ),
        pytest.param({"wants_report": True}, f"2100{NUMBER}0000" + "0161", id="TP-SRR is bit 5"),
        # Three octets of header are 24 bits, four short of the fourth septet.
        pytest.param({"elements": [(0x70, b"")]}, f"4100{NUMBER}0000" + "05027000" + "1006", id="TP-UDHI is bit 6"),
        pytest.param({"reply_path": True}, f"8100{NUMBER}0000" + "0161", id="TP-RP is bit 7"),
        pytest.param(
            {"wants_report": True, "reject_duplicates": True, "reply_path": True, "validity_s": 0},
            f"b500{NUMBER}0000" + "00" + "0161",
            id="all flags, and five minutes",
        ),
        pytest.param({"protocol": 0x41}, f"0100{NUMBER}4100" + "0161", id="TP-PID: replaces message 1"),
        pytest.param({"protocol": 255}, f"0100{NUMBER}ff00" + "0161", id="TP-PID: the last"),
        pytest.param({"message_class": 0}, f"0100{NUMBER}0010" + "0161", id="TP-DCS: flash"),
        pytest.param({"message_class": 3}, f"0100{NUMBER}0013" + "0161", id="TP-DCS: for the terminal equipment"),
        pytest.param({"alphabet": "ucs2"}, f"0100{NUMBER}0008" + "020061", id="TP-DCS: UCS2"),
        pytest.param({"alphabet": "ucs2", "message_class": 2}, f"0100{NUMBER}001a" + "020061", id="UCS2 for the SIM"),
        pytest.param({"alphabet": "gsm7"}, f"0100{NUMBER}0000" + "0161", id="GSM 7-bit by wish"),
        pytest.param({"coding": 0xC8}, f"0100{NUMBER}00c8" + "0161", id="voice mail waits, the text may go"),
        pytest.param({"coding": 0xD9}, f"0100{NUMBER}00d9" + "0161", id="a fax waits, the text stays"),
        pytest.param({"coding": 0xE8}, f"0100{NUMBER}00e8" + "020061", id="voice mail waits, in UCS2"),
        pytest.param({"coding": 0xF1}, f"0100{NUMBER}00f1" + "0161", id="class 1, the short way"),
        pytest.param({"coding": 0x48}, f"0100{NUMBER}0048" + "020061", id="to be deleted once read, UCS2"),
        pytest.param({"coding": 0x48, "alphabet": "ucs2"}, f"0100{NUMBER}0048" + "020061", id="… which both say"),
    ],
)
def test_an_option_stands_where_its_clause_puts_it(options: dict[str, Any], octets: str) -> None:
    """3GPP TS 23.040 §9.2.2.2, TS 23.038 §4."""
    assert submitted(**options) == octets


@pytest.mark.parametrize(
    ("options", "octets"),
    [
        pytest.param({}, f"0100{NUMBER}0004" + "02002a", id="general"),
        pytest.param({"message_class": 1}, f"0100{NUMBER}0015" + "02002a", id="with a class"),
        pytest.param({"coding": 0xF6}, f"0100{NUMBER}00f6" + "02002a", id="data for the SIM, the short way"),
        pytest.param({"coding": 0x44}, f"0100{NUMBER}0044" + "02002a", id="to be deleted once read"),
    ],
)
def test_octets_are_octets_whatever_they_are_for(options: dict[str, Any], octets: str) -> None:
    assert submitted(b"\x00\x2a", **options) == octets


def test_options_go_with_every_part() -> None:
    parts = sms.encode("12345", "漢" * 71, validity_s=DAY_S, wants_report=True, protocol=0x7F, message_class=1)
    assert [part.hex()[:34] for part in parts] == [
        f"7100{NUMBER}7f19a7" + "8c" + "050003000201",
        f"7100{NUMBER}7f19a7" + "0e" + "050003000202",
    ]


# Validity


@pytest.mark.parametrize(
    ("expires_ms", "octets"),
    [
        pytest.param(MOMENT_MS, "62204190510300", id="a whole second"),
        pytest.param(MOMENT_MS + 1, "62204190511300", id="a millisecond later"),
        pytest.param(MOMENT_MS + 999, "62204190511300", id="a second less one millisecond later"),
        pytest.param(MOMENT_MS + 1_000, "62204190511300", id="a second later"),
        pytest.param(1_798_761_599_001, "72101000000000", id="the last second of 2026 rounds into the next year"),
        pytest.param(1_709_164_799_001, "42209200000000", id="that before a leap day rounds into it"),
        pytest.param(YEAR_2000_MS, "00101000000000", id="the first second that can be said"),
        pytest.param(YEAR_2000_MS - 999, "00101000000000", id="what rounds to it"),
        pytest.param(YEAR_2100_MS - 1_000, "99211332959500", id="the last second that can be said"),
    ],
)
def test_a_moment_is_said_in_whole_seconds_and_never_too_early(expires_ms: int, octets: str) -> None:
    """3GPP TS 23.040 §9.2.3.12.2, in the digits of §9.2.3.11."""
    assert submitted(expires_ms=expires_ms) == f"1900{NUMBER}0000{octets}0161"


@pytest.mark.parametrize(
    ("options", "octets"),
    [
        pytest.param({"validity_s": 1}, "02010000000000", id="a second"),
        pytest.param({"validity_s": 255}, "02ff0000000000", id="as many seconds as an octet can say"),
        pytest.param({"validity_s": 256}, "03004061000000", id="a second more: 00:04:16"),
        pytest.param({"validity_s": 0}, "03000000000000", id="none: zero seconds are reserved, 00:00:00 is not"),
        pytest.param({"validity_s": 45_296}, "03214365000000", id="12:34:56"),
        pytest.param({"validity_s": 359_999}, "03999595000000", id="99:59:59"),
        pytest.param({"validity_s": 360_000}, "01ab0000000000", id="a second more: five days, as the relative format"),
        pytest.param({"validity_s": 5 * DAY_S}, "01ab0000000000", id="five days"),
        pytest.param({"validity_s": 5 * DAY_S + 1}, "01ac0000000000", id="a second more: six"),
        pytest.param({"validity_s": 10**12}, "01ff0000000000", id="63 weeks at most"),
        pytest.param({"validity_s": 60, "single_shot": True}, "423c0000000000", id="a minute, and one attempt"),
        pytest.param({"validity_s": 3_600, "single_shot": True}, "43100000000000", id="an hour, and one attempt"),
        pytest.param({"validity_s": 10**6, "single_shot": True}, "41b20000000000", id="twelve days, and one attempt"),
    ],
)
def test_an_exact_validity_has_seven_octets_whatever_it_says(options: dict[str, Any], octets: str) -> None:
    """3GPP TS 23.040 §9.2.3.12.3: bits 2 to 0 of the first say the form, bit 6 that there is one attempt only."""
    assert submitted(exact_validity=True, **options) == f"0900{NUMBER}0000{octets}0161"


def test_one_attempt_may_go_without_a_validity() -> None:
    assert submitted(single_shot=True) == f"0900{NUMBER}0000" + "40000000000000" + "0161"
    assert submitted(single_shot=True, validity_s=60) == f"0900{NUMBER}0000" + "423c0000000000" + "0161"


# Refusals


@pytest.mark.parametrize(
    ("options", "field"),
    [
        pytest.param({"alphabet": "gsm"}, "alphabet", id="an unknown alphabet"),
        pytest.param({"alphabet": "GSM7"}, "alphabet", id="an alphabet in capitals"),
        pytest.param({"national": "locking"}, "national", id="unknown national tables"),
        pytest.param({"reference_bits": 7}, "reference_bits", id="a reference of seven bits"),
        pytest.param({"reference_bits": 0}, "reference_bits", id="a reference of none"),
        pytest.param({"validity_s": -1}, "validity", id="a validity that is over"),
        pytest.param({"exact_validity": True}, "validity", id="exactly nothing"),
        pytest.param({"exact_validity": True, "validity_s": -1}, "validity", id="exactly a second ago"),
        pytest.param({"expires_ms": MOMENT_MS, "validity_s": 60}, "validity", id="a moment and a duration"),
        pytest.param({"expires_ms": MOMENT_MS, "exact_validity": True}, "validity", id="a moment and an exact nothing"),
        pytest.param({"expires_ms": MOMENT_MS, "single_shot": True}, "validity", id="a moment and one attempt"),
        pytest.param({"expires_ms": YEAR_2000_MS - 1_000}, "validity", id="a moment before 2000"),
        pytest.param({"expires_ms": 0}, "validity", id="the epoch"),
        pytest.param({"expires_ms": -1}, "validity", id="a moment before it"),
        pytest.param({"expires_ms": YEAR_2100_MS - 999}, "validity", id="a moment that rounds into 2100"),
        pytest.param({"expires_ms": 10**30}, "validity", id="a moment beyond all clocks"),
        pytest.param({"protocol": 256}, "protocol", id="a protocol of nine bits"),
        pytest.param({"protocol": -1}, "protocol", id="a protocol below zero"),
        pytest.param({"message_class": 4}, "message_class", id="class 4"),
        pytest.param({"message_class": -1}, "message_class", id="a class below zero"),
        pytest.param({"coding": 0x10, "message_class": 0}, "message_class", id="a coding and a class"),
        pytest.param({"coding": 256}, "coding", id="a coding of nine bits"),
        pytest.param({"coding": -1}, "coding", id="a coding below zero"),
        pytest.param({"coding": 0x20}, "coding", id="compressed"),
        pytest.param({"coding": 0x38}, "coding", id="compressed, with a class"),
        pytest.param({"coding": 0x60}, "coding", id="compressed, to be deleted once read"),
        pytest.param({"coding": 0x08, "alphabet": "gsm7"}, "coding", id="UCS2, where GSM 7-bit is wished"),
        pytest.param({"coding": 0x00, "alphabet": "ucs2"}, "coding", id="GSM 7-bit, where UCS2 is wished"),
        pytest.param({"coding": 0x04, "alphabet": "ucs2"}, "coding", id="octets, where UCS2 is wished"),
        pytest.param({"elements": [(0x00, b"\x01\x02\x01")]}, "header", id="an element the engine writes"),
        pytest.param({"service_centre": "+49 171"}, "service_centre", id="a service centre with a space"),
        pytest.param({"service_centre": "1" * 21}, "service_centre", id="a service centre of 21 digits"),
        pytest.param({"service_centre": "Carillon"}, "service_centre", id="a service centre with a name"),
    ],
)
def test_what_cannot_be_said_is_refused_before_any_text_is_there(options: dict[str, Any], field: str) -> None:
    for refuses in (
        lambda: sms.Envelope(**options),
        lambda: sms.encode("12345", "a", **options),
        lambda: sms.measure("a", **options),
        lambda: sms.cut("a", **options),
    ):
        with pytest.raises(CodecError) as refused:
            refuses()
        assert refused.value.field == field


@pytest.mark.parametrize("coding", range(0x20, 0x40), ids=lambda coding: f"{coding:#04x}")
def test_no_compressed_text_is_made(coding: int) -> None:
    """3GPP TS 23.038 §4: bit 5 of the general groups says TS 23.042."""
    for compressed in (coding, coding + 0x40):
        with pytest.raises(CodecError) as refused:
            sms.Envelope(coding=compressed)
        assert refused.value.field == "coding"


@pytest.mark.parametrize(
    ("text", "options", "field"),
    [
        pytest.param("a", {"coding": 0x04}, "coding", id="a text for octets"),
        pytest.param("漢", {"coding": 0x00}, "text", id="what the alphabet of the coding lacks"),
        pytest.param(b"a", {"coding": 0x08}, "alphabet", id="octets for UCS2"),
        pytest.param(b"a", {"coding": 0xF1}, "alphabet", id="octets for GSM 7-bit"),
        pytest.param(b"a", {"alphabet": "gsm7"}, "alphabet", id="octets where GSM 7-bit is wished"),
    ],
)
def test_a_text_that_does_not_go_with_its_envelope_is_refused(
    text: str | bytes, options: dict[str, Any], field: str
) -> None:
    envelope = sms.Envelope(**options)
    with pytest.raises(CodecError) as refused:
        sms.encode("12345", text, envelope)
    assert refused.value.field == field


# As an object


def test_an_envelope_without_options_says_nothing() -> None:
    plain = sms.Envelope()
    assert {name: getattr(plain, name) for name in DEFAULTS} == DEFAULTS
    assert sms.encode("12345", "a", plain) == sms.encode("12345", "a")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"validity_s": 61, "exact_validity": True, "single_shot": True, "reply_path": True}, id="exact"),
        pytest.param({"expires_ms": MOMENT_MS + 1, "wants_report": True, "reject_duplicates": True}, id="a moment"),
        pytest.param(
            {"message_class": 2, "protocol": 0x7F, "alphabet": "ucs2", "reference_bits": 16}, id="for the SIM"
        ),
        pytest.param({"coding": 0xC8, "elements": ((1, b"\x80\x03"),), "service_centre": "+49171"}, id="voice mail"),
        pytest.param({"national": "all", "transliterate": True}, id="tables and look-alikes"),
    ],
)
def test_an_envelope_keeps_what_it_was_given_and_says_it_like_options(options: dict[str, Any]) -> None:
    envelope = sms.Envelope(**options)
    assert {name: getattr(envelope, name) for name in DEFAULTS} == DEFAULTS | options
    text = "Order 1234 is ready"
    assert sms.encode("12345", text, envelope) == sms.encode("12345", text, **options)
    assert sms.lines("12345", text, envelope) == [
        sms.line(tpdu, options.get("service_centre", "")) for tpdu in sms.encode("12345", text, **options)
    ]


def test_elements_may_be_said_by_an_iterator_again_and_again() -> None:
    for _ in range(3):
        assert (
            submitted("漢", elements=iter([(0x70, b"\x01\x02")])) == f"4100{NUMBER}0008" + "07" + "0470020102" + "6f22"
        )
    assert sms.Envelope(elements=iter([(0x70, b"")])).elements == ((0x70, b""),)


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_envelope_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(sms.Envelope(), name, DEFAULTS[name])


def test_an_envelope_takes_nothing_else() -> None:
    with pytest.raises(AttributeError):
        sms.Envelope().colour = "red"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        sms.Envelope("ucs2")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        sms.Envelope(colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        sms.Envelope(alphabet=None)  # type: ignore[arg-type]


def test_an_envelope_and_its_options_are_too_much() -> None:
    envelope = sms.Envelope()
    for refuses in (
        lambda: sms.encode("12345", "a", envelope, wants_report=True),
        lambda: sms.measure("a", envelope, alphabet="ucs2"),
        lambda: sms.cut("a", envelope, alphabet="ucs2"),
    ):
        with pytest.raises(TypeError, match=re.escape("an envelope and its options")):
            refuses()


def test_the_service_centre_stands_before_the_tpdu_and_its_length_counts_octets() -> None:
    """3GPP TS 27.005 §4.3 with TS 24.011 §8.2.5.2."""
    envelope = sms.Envelope(service_centre="+491710760000")
    assert sms.lines("12345", "a", envelope) == [b"07919471016700000100" + NUMBER.upper().encode() + b"00000161"]
    envelope = sms.Envelope(service_centre="123")
    assert sms.lines("12345", "a", envelope) == [b"038121F30100" + NUMBER.upper().encode() + b"00000161"]
