"""The six TPDUs of 3GPP TS 23.040 §9.2.2, one by one and by hand: read, built, and written again."""

from typing import Any, NamedTuple

import pytest

from engine import sms
from engine.errors import CodecError
from tests.engine.witnesses import encoded

NUMBER = "0d91945107000040f2"  # +4915700000042
TAKEN = "62204101510340"  # 2026-02-14 10:15:30 +01:00
TAKEN_MS = 1_771_060_530_000
DONE = "62204101512440"  # twelve seconds later
DONE_MS = 1_771_060_542_000
WESTERN = "6220414051300a"  # 2026-02-14 04:15:03 -05:00
WESTERN_MS = 1_771_060_503_000


class Vector(NamedTuple):
    """A TPDU, how it comes, what its class is given to build it, and what is read beyond that."""

    octets: str
    direction: str
    kind: type[sms.Tpdu]
    given: dict[str, Any]
    also: dict[str, Any]
    rp: str


def vector(
    name: str,
    octets: str,
    direction: str,
    kind: Any,
    given: dict[str, Any],
    also: dict[str, Any],
    rp: str = "ack",
) -> Any:
    return pytest.param(Vector(octets, direction, kind, given, also, rp), id=name)


VECTORS = [
    vector(
        "a message, its fields all zero",
        f"04{NUMBER}0000{TAKEN}0453ea130a",
        "sc2ms",
        sms.Deliver,
        {"originator": "+4915700000042", "text": "STOP", "service_centre_time_ms": TAKEN_MS, "service_centre_zone": 4},
        {"alphabet": 0, "alphanumeric": False, "address_type": 0x91, "more_messages": False, "message_class": None},
    ),
    vector(
        "a message of every flag, a name, ports, a class and UCS2",
        f"e80ed0c3b03ccd66bfdd7f1a{WESTERN}0b0605040b8423f06f225b57",
        "sc2ms",
        sms.Deliver,
        {
            "originator": "Carillon",
            "text": "漢字",
            "protocol": 0x7F,
            "message_class": 2,
            "coding": None,
            "elements": [(0x05, bytes.fromhex("0b8423f0"))],
            "service_centre_time_ms": WESTERN_MS,
            "service_centre_zone": -20,
            "more_messages": True,
            "loop_prevention": True,
            "report_indication": True,
            "reply_path": True,
        },
        {"alphabet": 2, "coding": 0x1A, "alphanumeric": True, "address_type": 0xD0, "ports": (2948, 9200)},
    ),
    vector(
        "a part of ours with nothing said",
        "010005812143f500000161",
        "ms2sc",
        sms.Submit,
        {"destination": "12345", "text": "a"},
        {"reference": 0, "validity_format": 0, "validity_s": None, "expires_ms": None, "address_type": 0x81},
    ),
    vector(
        "a part of ours with a reference and a relative validity",
        "312a05812143f50000a70161",
        "ms2sc",
        sms.Submit,
        {"destination": "12345", "text": "a", "reference": 42, "validity_s": 86_400, "wants_report": True},
        {"validity_format": 2, "expires_ms": None, "single_shot": False},
    ),
    vector(
        "a part of ours with an absolute validity, and octets",
        f"9d0005812143f54115{TAKEN[:6]}9051030002ff00",
        "ms2sc",
        sms.Submit,
        {
            "destination": "12345",
            "text": b"\xff\x00",
            "protocol": 0x41,
            "message_class": 1,
            "expires_ms": TAKEN_MS,
            "reject_duplicates": True,
            "reply_path": True,
        },
        {"alphabet": 1, "octets": b"\xff\x00", "text": "", "coding": 0x15, "validity_format": 3, "validity_s": None},
    ),
    vector(
        "a part of ours with one attempt within ninety seconds",
        "490005812143f50000425a00000000000703240101" + "d8cc01",
        "ms2sc",
        sms.Submit,
        {
            "destination": "12345",
            "text": "ş",
            "single": 1,
            "validity_s": 90,
            "exact_validity": True,
            "single_shot": True,
        },
        {"validity_format": 1, "expires_ms": None, "elements": ((0x24, b"\x01"),), "locking": 0},
    ),
    vector(
        "a status report",
        f"062a{NUMBER}{TAKEN}{DONE}00",
        "sc2ms",
        sms.StatusReport,
        {
            "recipient": "+4915700000042",
            "reference": 42,
            "outcome": 0,
            "service_centre_time_ms": TAKEN_MS,
            "service_centre_zone": 4,
            "discharge_time_ms": DONE_MS,
            "discharge_zone": 4,
        },
        {"parameters": 0, "more_messages": False, "for_command": False, "alphanumeric": False, "user_data": b""},
    ),
    vector(
        "a status report of every flag with a header and user data",
        f"6aff05812143f5{WESTERN}{DONE}45" + "07" + "7f" + "08" + "0603700199" + "00" + "41",
        "sc2ms",
        sms.StatusReport,
        {
            "recipient": "12345",
            "text": "A",
            "reference": 255,
            "outcome": 0x45,
            "protocol": 0x7F,
            "elements": [(0x70, b"\x99")],
            "service_centre_time_ms": WESTERN_MS,
            "service_centre_zone": -20,
            "discharge_time_ms": DONE_MS,
            "discharge_zone": 4,
            "more_messages": True,
            "loop_prevention": True,
            "for_command": True,
            "coding": 8,
        },
        {"parameters": 7, "alphabet": 2, "header": bytes.fromhex("03700199")},
    ),
    vector(
        "a command that deletes, with data",
        f"220700022a{NUMBER}03010203",
        "ms2sc",
        sms.Command,
        {
            "destination": "+4915700000042",
            "command": 2,
            "number": 42,
            "reference": 7,
            "data": b"\x01\x02\x03",
            "wants_report": True,
        },
        {"protocol": 0, "has_header": False, "user_data": b"\x01\x02\x03", "text": ""},
    ),
    vector(
        "an enquiry whose data begin with a header",
        "42ff7f00ff05812143f50403700199",
        "ms2sc",
        sms.Command,
        {
            "destination": "12345",
            "command": 0,
            "number": 255,
            "reference": 255,
            "protocol": 0x7F,
            "data": bytes.fromhex("03700199"),
            "has_header": True,
        },
        {"wants_report": False},
    ),
    vector(
        "what the service centre says to a part it took",
        f"0100{TAKEN}",
        "sc2ms",
        sms.SubmitReport,
        {"service_centre_time_ms": TAKEN_MS, "service_centre_zone": 4},
        {"failure": None, "parameters": 0, "text": ""},
    ),
    vector(
        "… in words",
        f"0107{TAKEN}7f0004c4b7bb0c",
        "sc2ms",
        sms.SubmitReport,
        {
            "service_centre_time_ms": TAKEN_MS,
            "service_centre_zone": 4,
            "text": "Done",
            "protocol": 0x7F,
            "coding": 0,
        },
        {"failure": None, "parameters": 7, "alphabet": 0},
    ),
    vector(
        "what the service centre says to a part it refused",
        f"01c000{TAKEN}",
        "sc2ms",
        sms.SubmitReport,
        {"failure": 0xC0, "service_centre_time_ms": TAKEN_MS, "service_centre_zone": 4},
        {"parameters": 0},
        rp="error",
    ),
    vector(
        "… in words, behind a header, which is three bits short of the fifth septet",
        f"41c006{TAKEN}00" + "0703700199" + "78af01",
        "sc2ms",
        sms.SubmitReport,
        {
            "failure": 0xC0,
            "service_centre_time_ms": TAKEN_MS,
            "service_centre_zone": 4,
            "text": "ok",
            "coding": 0,
            "elements": [(0x70, b"\x99")],
        },
        {"parameters": 6, "header": bytes.fromhex("03700199")},
        rp="error",
    ),
    vector("what a mobile says to a message it took", "0000", "ms2sc", sms.DeliverReport, {}, {"failure": None}),
    vector(
        "… in octets",
        "00077ff603010203",
        "ms2sc",
        sms.DeliverReport,
        {"text": b"\x01\x02\x03", "protocol": 0x7F, "coding": 0xF6},
        {"failure": None, "parameters": 7, "message_class": 2, "octets": b"\x01\x02\x03"},
    ),
    vector(
        "what a mobile says to a message it has no memory for",
        "00d300",
        "ms2sc",
        sms.DeliverReport,
        {"failure": 0xD3},
        {"parameters": 0},
        rp="error",
    ),
    vector(
        "… in words",
        "00d30404c63a9b0d",
        "ms2sc",
        sms.DeliverReport,
        {"failure": 0xD3, "text": "Full"},
        {"parameters": 4, "coding": 0},
        rp="error",
    ),
]


@pytest.mark.parametrize("vector", VECTORS)
def test_every_field_is_read(vector: Vector) -> None:
    found = sms.decode(bytes.fromhex(vector.octets), vector.direction, rp=vector.rp)
    assert type(found) is vector.kind
    assert (found.faults, found.service_centre) == ((), "")
    given = {name: value for name, value in vector.given.items() if name not in ("text", "elements", "exact_validity")}
    expected = {name: value for name, value in (given | vector.also).items() if (name, value) != ("coding", None)}
    assert {name: getattr(found, name) for name in expected} == expected
    content = vector.given.get("text", "")
    assert (found.octets if isinstance(content, bytes) else found.text) == content
    if "elements" in vector.given:
        assert list(found.elements) == vector.given["elements"]


@pytest.mark.parametrize("vector", VECTORS)
def test_what_was_read_is_written_again(vector: Vector) -> None:
    found = sms.decode(bytes.fromhex(vector.octets), vector.direction, rp=vector.rp)
    assert encoded(found).hex() == vector.octets


@pytest.mark.parametrize("vector", VECTORS)
def test_its_fields_make_the_same_octets(vector: Vector) -> None:
    built = vector.kind(**vector.given)
    assert encoded(built).hex() == vector.octets
    assert {name: getattr(built, name) for name in vector.also} == vector.also


def test_what_was_read_cannot_be_changed() -> None:
    for vector in (case.values[0] for case in VECTORS):
        found = sms.decode(bytes.fromhex(vector.octets), vector.direction, rp=vector.rp)
        for name in ("text", "coding", "faults", *vector.given):
            with pytest.raises(AttributeError):
                setattr(found, name, None)


# What a report may bring: TP-PI, 3GPP TS 23.040 §9.2.3.27


@pytest.mark.parametrize(
    ("octets", "given"),
    [
        pytest.param("00", {}, id="nothing"),
        pytest.param("01" + "7f", {"protocol": 0x7F}, id="a protocol"),
        pytest.param("02" + "08", {"coding": 8}, id="a coding"),
        pytest.param("03" + "7f" + "08", {"protocol": 0x7F, "coding": 8}, id="a protocol and a coding"),
        pytest.param("04" + "02ef35", {"text": "ok"}, id="a text in the default alphabet"),
        pytest.param("05" + "7f" + "02ef35", {"protocol": 0x7F, "text": "ok"}, id="a protocol and a text"),
        pytest.param("06" + "08" + "020041", {"coding": 8, "text": "A"}, id="a coding and a text in it"),
        pytest.param("07" + "7f" + "04" + "01ff", {"protocol": 0x7F, "coding": 4, "text": b"\xff"}, id="all three"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "before", "rp", "given_before"),
    [
        pytest.param(sms.DeliverReport, "00", "ack", {}, id="a mobile that took it"),
        pytest.param(sms.DeliverReport, "00ff", "error", {"failure": 0xFF}, id="a mobile that did not"),
        pytest.param(sms.SubmitReport, "01", "ack", {}, id="a centre that took it"),
        pytest.param(sms.SubmitReport, "0180", "error", {"failure": 0x80}, id="a centre that did not"),
        pytest.param(sms.StatusReport, "06", "ack", {"recipient": "12345"}, id="a status report"),
    ],
)
def test_a_report_says_what_it_brings(
    kind: Any, before: str, rp: str, given_before: dict[str, Any], octets: str, given: dict[str, Any]
) -> None:
    at = {"service_centre_time_ms": TAKEN_MS, "service_centre_zone": 4}
    if kind is sms.DeliverReport:
        whole, at = before + octets, {}
    elif kind is sms.SubmitReport:
        whole = before + octets[:2] + TAKEN + octets[2:]
    else:
        at |= {"discharge_time_ms": DONE_MS, "discharge_zone": 4}
        # A status report that brings nothing does not say so.
        whole = f"{before}0005812143f5{TAKEN}{DONE}00" + ("" if octets == "00" else octets)
    built = kind(**given_before, **at, **given)
    assert encoded(built).hex() == whole
    found: Any = sms.decode(bytes.fromhex(whole), "ms2sc" if kind is sms.DeliverReport else "sc2ms", rp=rp)
    assert (type(found), found.parameters, built.parameters) == (kind, int(octets[:2], 16), int(octets[:2], 16))
    for name, value in (given_before | given).items():
        assert getattr(found, "octets" if isinstance(value, bytes) else name) == value
    assert found.encode().hex() == whole


# Limits of the user data


SIZES = [
    pytest.param(sms.Deliver, {"originator": "12345"}, 140, "sc2ms", id="a message"),
    pytest.param(sms.Submit, {"destination": "12345"}, 140, "ms2sc", id="a part of ours"),
    pytest.param(sms.SubmitReport, {}, 152, "sc2ms", id="the centre's answer"),
    pytest.param(sms.SubmitReport, {"failure": 1}, 151, "sc2ms", id="the centre's refusal"),
    pytest.param(sms.DeliverReport, {}, 159, "ms2sc", id="a mobile's answer"),
    pytest.param(sms.DeliverReport, {"failure": 1}, 158, "ms2sc", id="a mobile's refusal"),
]


@pytest.mark.parametrize(("kind", "given", "most", "direction"), SIZES)
def test_user_data_have_a_limit(kind: Any, given: dict[str, Any], most: int, direction: str) -> None:
    """3GPP TS 23.040 §9.2.2: what is left of the TPDU."""
    rp = "error" if "failure" in given else "ack"
    full = kind(**given, text=bytes(most))
    assert (full.length, full.octets) == (most, bytes(most))
    octets = full.encode()
    assert sms.decode(octets, direction, rp=rp).octets == bytes(most)
    length = len(octets) - most - 1
    assert octets[length] == most
    longer = octets[:length] + bytes(most + 2)
    longer = longer[:length] + bytes([most + 1]) + longer[length + 1 :]
    for refuses in (lambda: kind(**given, text=bytes(most + 1)), lambda: sms.decode(longer, direction, rp=rp)):
        with pytest.raises(CodecError) as refused:
            refuses()
        assert refused.value.field == "user_data"


@pytest.mark.parametrize(("kind", "given", "most", "direction"), SIZES)
def test_a_text_has_the_same_limit(kind: Any, given: dict[str, Any], most: int, direction: str) -> None:
    del direction
    septets = most * 8 // 7
    assert kind(**given, text="a" * septets).length == septets
    assert kind(**given, text="漢" * (most // 2)).length == most // 2 * 2
    for text in ("a" * (septets + 1), "漢" * (most // 2 + 1)):
        with pytest.raises(CodecError):
            kind(**given, text=text)


def test_a_status_report_has_what_its_recipient_leaves() -> None:
    """3GPP TS 23.040 §9.2.2.3: 164 octets in all, of which user data may have 143 where nothing else is said."""
    report = "06000081" + "62204190510300" * 2 + "0004"
    assert sms.decode(bytes.fromhex(f"{report}a3{'00' * 143}")).length == 163
    with pytest.raises(CodecError) as refused:
        sms.decode(bytes.fromhex(f"{report}a4{'00' * 144}"))
    assert refused.value.field == "user_data"
    assert len(sms.StatusReport("12345", bytes(139)).encode()) == 164
    with pytest.raises(CodecError) as refused:
        sms.StatusReport("12345", bytes(140))
    assert refused.value.field == "user_data"


def test_a_commands_data_have_a_limit_of_their_own() -> None:
    """3GPP TS 23.040 §9.2.2.4."""
    full = sms.Command("", command=1, data=bytes(156))
    assert len(full.data) == 156
    octets = encoded(full)
    assert sms.decode(octets, "ms2sc").encode() == octets
    with pytest.raises(CodecError) as refused:
        sms.Command("", command=1, data=bytes(157))
    assert refused.value.field == "data"
    with pytest.raises(CodecError) as refused:
        sms.decode(octets[:7] + b"\x9d" + bytes(157), "ms2sc")
    assert (refused.value.field, refused.value.offset) == ("data", 7)


# What is refused to the builder


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        pytest.param(sms.Submit, {"reference": 256}, "reference", id="a reference of nine bits"),
        pytest.param(sms.Submit, {"validity_s": -1}, "validity", id="a validity that is over"),
        pytest.param(sms.Submit, {"coding": 256}, "coding", id="a coding of nine bits"),
        pytest.param(sms.Submit, {"coding": 0x20}, "coding", id="compressed"),
        pytest.param(sms.Submit, {"coding": 0x10, "message_class": 0}, "message_class", id="a coding and a class"),
        pytest.param(sms.Submit, {"message_class": 4}, "message_class", id="class 4"),
        pytest.param(sms.Submit, {"coding": 0, "text": "漢"}, "text", id="a text its coding cannot say"),
        pytest.param(sms.Submit, {"coding": 4, "text": "a"}, "coding", id="a text in a coding for octets"),
        pytest.param(sms.Submit, {"coding": 0, "text": b"a"}, "coding", id="octets in a coding for a text"),
        pytest.param(sms.Submit, {"text": "a\ud83d"}, "text", id="half a pair"),
        pytest.param(sms.Submit, {"single": 14}, "single", id="an unknown language"),
        pytest.param(sms.Submit, {"locking": 2}, "locking", id="a language without a locking table"),
        pytest.param(sms.Command, {"command": 256}, "command", id="a command of nine bits"),
        pytest.param(sms.Command, {"command": 1, "number": -1}, "number", id="a number below zero"),
        pytest.param(sms.Command, {"command": 1, "protocol": 256}, "protocol", id="a protocol of nine bits"),
    ],
)
def test_what_a_field_cannot_say_is_refused(kind: Any, given: dict[str, Any], field: str) -> None:
    with pytest.raises(CodecError) as refused:
        kind("12345", **given)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        pytest.param(sms.StatusReport, {"recipient": "1", "outcome": 256}, "outcome", id="an outcome of nine bits"),
        pytest.param(sms.SubmitReport, {"failure": 256}, "failure", id="a cause of nine bits"),
        pytest.param(sms.DeliverReport, {"failure": -1}, "failure", id="a cause below zero"),
        pytest.param(sms.Deliver, {"originator": "a" * 12 + "z"}, "originator", id="a name of thirteen letters"),
        pytest.param(sms.Deliver, {"originator": "汉"}, "originator", id="a name in Chinese"),
    ],
)
def test_what_a_report_or_a_name_cannot_say_is_refused(kind: Any, given: dict[str, Any], field: str) -> None:
    with pytest.raises(CodecError) as refused:
        kind(**given)
    assert refused.value.field == field
