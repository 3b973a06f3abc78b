"""The codec's face: what a modem is given, what it prints, and PDUs of other people's test suites."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import baseline
from engine import sms
from engine.errors import CodecError

VECTORS = [
    json.loads(row)
    for row in (Path(__file__).parents[1] / "vectors" / "pdus.jsonl").read_text(encoding="utf-8").splitlines()
]

KINDS = {
    "SMS-DELIVER": sms.Deliver,
    "SMS-SUBMIT": sms.Submit,
    "SMS-STATUS REPORT": sms.StatusReport,
    "SMS-COMMAND": sms.Command,
}

# A TC35i's session: an order's answer goes out, its report and a reply come in.
SUBMIT_LINE = b"0031000D91945107000040F20000A7104F39B92C07C564331A485E0E93F3"
REPORT_LINE = "0791947101670000062A0D91945107000040F2622041015103406220410151244000"
DELIVER_LINE = "0791947101670000040D91945107000040F20000622041015103400453EA130A"

NUMBERS = st.from_regex(r"\+[0-9]{1,20}|[0-9*#abc]{1,20}", fullmatch=True)
WORDS = st.sampled_from(["a", "€", "{}", "Ihre Bestellung ", "漢字", "😀", "é", "@", "\n", "ş"])
TEXTS = st.lists(WORDS, max_size=120).map("".join) | st.text(st.characters(exclude_categories=["Cs"]))


# At the modem


def test_writes_what_a_modem_is_given() -> None:
    (tpdu,) = sms.encode("+4915700000042", "Order 1234 ready", validity_s=86_400, wants_report=True)
    assert sms.line(tpdu) == SUBMIT_LINE
    assert len(tpdu) == 29  # what AT+CMGS= states


def test_reads_the_report_a_modem_prints() -> None:
    report = sms.read(REPORT_LINE, 26)
    assert isinstance(report, sms.StatusReport)
    assert (report.reference, report.recipient, report.outcome) == (42, "+4915700000042", 0)
    assert report.service_centre_time_ms == 1_771_060_530_000
    assert report.discharge_time_ms == 1_771_060_542_000
    assert report.service_centre == "+491710760000"


def test_reads_the_message_a_modem_prints() -> None:
    message = sms.read(DELIVER_LINE.encode(), 24)
    assert isinstance(message, sms.Deliver)
    assert (message.originator, message.text, message.alphanumeric) == ("+4915700000042", "STOP", False)
    assert (message.alphabet, message.concatenation, message.header) == (sms.Alphabet.GSM7, None, b"")


def test_reads_a_stored_submit() -> None:
    stored = sms.read(SUBMIT_LINE, 29)
    assert isinstance(stored, sms.Submit)
    assert (stored.destination, stored.text) == ("+4915700000042", "Order 1234 ready")
    assert (stored.validity_s, stored.wants_report, stored.service_centre) == (86_400, True, "")


@pytest.mark.parametrize("printed", [REPORT_LINE, DELIVER_LINE, SUBMIT_LINE.decode()])
def test_the_filler_of_a_stored_record_is_passed_over(printed: str) -> None:
    filled = printed.ljust(2 * 176, "F")
    assert type(sms.read(filled)) is type(sms.read(printed.lower()))
    with pytest.raises(CodecError) as refused:
        sms.read(filled + "00")
    assert refused.value.offset is not None


@pytest.mark.parametrize(
    ("printed", "length", "field", "offset"),
    [
        pytest.param(DELIVER_LINE, 23, "length", 8, id="another length than the modem stated"),
        pytest.param(DELIVER_LINE[:-2], 24, "length", 8, id="an octet lost on the line"),
        pytest.param(DELIVER_LINE[:-2], None, "user_data", 31, id="an octet lost, no length stated"),
        pytest.param(DELIVER_LINE[:-1], 24, "pdu", 31, id="a digit lost on the line"),
        pytest.param("", None, "service_centre", 0, id="nothing"),
        pytest.param("07919471", None, "service_centre", 4, id="the end within the service centre"),
        pytest.param("0C91" + "11" * 30, None, "service_centre", 0, id="a service centre of 22 digits"),
        pytest.param("00", None, "message_type", 1, id="nothing behind the service centre"),
        pytest.param("0003" + "00" * 20, None, "message_type", 1, id="a reserved type"),
        pytest.param("00X4", None, "pdu", 1, id="no hex digit"),
        pytest.param("00é4", None, "pdu", None, id="no ASCII"),
        pytest.param("00" * 257, None, "pdu", 256, id="too long for any record"),
    ],
)
def test_refuses_what_no_modem_should_print(printed: str, length: int | None, field: str, offset: int | None) -> None:
    with pytest.raises(CodecError) as refused:
        sms.read(printed, length)
    assert (refused.value.field, refused.value.offset) == (field, offset)


# Collected PDUs


def read_vector(vector: dict[str, Any]) -> Any:
    return sms.decode(bytes.fromhex(vector["tpdu"]), vector["direction"])


def check(vector: dict[str, Any]) -> None:
    """`text` is what two independent decoders agree on, `fields` what tshark reads."""
    if vector["must_fail"]:
        with pytest.raises(CodecError) as refused:
            read_vector(vector)
        assert refused.value.offset is not None
        return
    found = read_vector(vector)
    expected = vector["fields"]
    kind: Any = KINDS[expected["type"]]
    assert type(found) is kind
    number = next(getattr(found, name) for name in ("originator", "destination", "recipient") if hasattr(found, name))
    assert number.removeprefix("+") == expected.get("address", "")
    for field, name in (("pid", "protocol"), ("dcs", "coding"), ("mr", "reference"), ("status", "outcome")):
        if field in expected:
            assert getattr(found, name) == expected[field], field
    if "scts" in expected:
        stamp = baseline.Octets(bytes.fromhex(expected["scts"]))
        assert found.service_centre_time_ms == baseline.take_time(stamp)
    elements = b"".join(
        bytes([element, len(value) // 2]) + bytes.fromhex(value) for element, value in expected.get("udh", [])
    )
    assert found.header == (bytes([len(elements)]) + elements if elements else b"")
    if "concat" in expected:
        concat = expected["concat"]
        assert found.concatenation == (concat["msg_id"], concat["msg_parts"], concat["msg_part"])
    if vector["text"] is not None:
        assert found.text == vector["text"]
    if vector["service_centre"] is not None:
        printed = sms.read(vector["service_centre"] + vector["tpdu"], len(vector["tpdu"]) // 2)
        assert (type(printed), printed.text) == (type(found), found.text)


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["id"]) for vector in VECTORS])
def test_reads_what_other_decoders_read(vector: dict[str, Any]) -> None:
    check(vector)


def test_every_line_of_the_collection_is_read_or_refused_as_it_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    kinds: Counter[str] = Counter()
    for vector in VECTORS:
        check(vector)
        kinds["refused" if vector["must_fail"] else "text" if vector["text"] is not None else "fields"] += 1
    with capsys.disabled():
        print(
            f"\ncollected PDUs: {kinds['refused']} refused, {kinds['text']} with their text, "
            f"{kinds['fields']} with their fields"
        )
    assert kinds == {"refused": 28, "text": 159, "fields": 24}


def test_reads_the_collected_command_to_its_end() -> None:
    """3GPP TS 23.040 §9.2.2.4."""
    (vector,) = (vector for vector in VECTORS if vector["fields"].get("type") == "SMS-COMMAND")
    found = read_vector(vector)
    assert (found.destination, found.command, found.number) == ("+6391", 0x89, 0x34)
    assert (found.data, found.has_header, found.wants_report) == (b"a command", False, False)


# Round trips


@given(
    NUMBERS,
    TEXTS,
    st.integers(0, 255),
    st.none() | st.integers(0, 10**8),
    st.booleans(),
    st.sampled_from(["auto", "ucs2"]),
    st.none() | st.integers(0, 3),
)
def test_what_is_written_is_read_again_and_the_plain_python_codec_writes_the_same(
    destination: str,
    text: str,
    concatenation: int,
    validity_s: int | None,
    wants_report: bool,
    alphabet: str,
    message_class: int | None,
) -> None:
    asked: dict[str, Any] = {
        "concatenation": concatenation,
        "validity_s": validity_s,
        "wants_report": wants_report,
        "alphabet": alphabet,
        "message_class": message_class,
    }
    tpdus = sms.encode(destination, text, **asked)
    assert tpdus == baseline.encode(destination, text, **asked)
    found = [sms.read(sms.line(tpdu), len(tpdu)) for tpdu in tpdus]
    assert "".join(part.text for part in found) == text
    assert [part.text for part in found] == sms.cut(text, alphabet=alphabet)
    for sequence, part in enumerate(found, 1):
        assert isinstance(part, sms.Submit)
        assert (part.destination, part.wants_report, part.reference) == (destination, wants_report, 0)
        assert part.message_class == message_class
        assert part.concatenation == ((concatenation, len(found), sequence) if len(found) > 1 else None)
        if validity_s is None:
            assert part.validity_s is None
        else:
            assert part.validity_s is not None
            assert part.validity_s >= min(validity_s, 63 * 7 * 86_400)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        pytest.param({"concatenation": 256}, "concatenation", id="a reference of 9 bits"),
        pytest.param({"concatenation": -1}, "concatenation", id="a reference below zero"),
        pytest.param({"message_class": 4}, "message_class", id="class 4"),
        pytest.param({"validity_s": -1}, "validity", id="a validity that is over"),
        pytest.param({"alphabet": "latin1"}, "alphabet", id="an unknown alphabet"),
    ],
)
def test_values_out_of_range_are_refused(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(CodecError) as refused:
        sms.encode("12345", "text", **asked)
    assert refused.value.field == field


def test_a_lone_surrogate_is_refused_by_every_function() -> None:
    for refuses in (sms.measure, sms.cut, lambda text: sms.encode("12345", text)):
        with pytest.raises(CodecError) as refused:
            refuses("ab\ude00")
        assert (refused.value.field, refused.value.offset) == ("text", 2)


def test_damaged_lines_are_read_or_refused() -> None:
    dice = random.Random(27_005)
    lines = [REPORT_LINE, DELIVER_LINE, SUBMIT_LINE.decode(), *("00" + vector["tpdu"] for vector in VECTORS)]
    read = 0
    for _ in range(5_000):
        digits = list(dice.choice(lines).ljust(dice.choice((0, 352)), "F"))
        for _ in range(dice.randint(0, 4)):
            digits[dice.randrange(len(digits))] = dice.choice("0123456789ABCDEFf x\x00é")
        printed = "".join(digits[: dice.choice((None, None, dice.randrange(len(digits)))) or len(digits)])
        try:
            sms.read(printed, dice.choice((None, None, len(printed) // 2 - 8)))
            read += 1
        except CodecError:
            pass
    assert read > 500


def test_a_stored_report_is_read_without_the_filler_that_its_length_does_not_count() -> None:
    """EF_SMS records have 176 octets: a TC35i prints the tail as FF and states the TPDU's own length."""
    line = "0791947101670000062A0D91945107000040F2622041015103406220410151244000"
    filled = line + "F" * (2 * 175 - len(line))
    report = sms.read(filled, 26)
    assert isinstance(report, sms.StatusReport)
    assert (report.reference, report.outcome) == (42, 0)
    with pytest.raises(CodecError):
        sms.read(filled, 25)
    with pytest.raises(CodecError):
        sms.read(filled, -1)
    with pytest.raises(CodecError):
        sms.read(filled[:-2] + "00", 26)
