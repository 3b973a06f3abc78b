"""The plain codec itself: against octets drawn by hand from the standard, other people's PDUs, and brute force."""

import json
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import baseline
from bench.baseline import cutting
from engine.errors import CodecError

VECTORS = [
    json.loads(row)
    for row in (Path(__file__).parents[1] / "vectors" / "pdus.jsonl").read_text(encoding="utf-8").splitlines()
]
MOMENT_MS = 1_771_060_530_000  # 2026-02-14 09:15:30 UTC
FAMILY = "👨‍👩‍👧‍👦"  # 11 code units, seen as one character


# Octets


@pytest.mark.parametrize(
    ("text", "options", "octets"),
    [
        pytest.param("hi", {}, "0100048121430000" + "02e834", id="nothing asked"),
        pytest.param("hi", {"protocol": 0x41}, "0100048121434100" + "02e834", id="replaces an earlier message"),
        pytest.param("hi", {"reply_path": True, "reject_duplicates": True}, "8500048121430000" + "02e834", id="flags"),
        pytest.param(b"\xca\xfe", {}, "0100048121430004" + "02cafe", id="octets"),
        pytest.param("я", {"coding": 0xE0}, "01000481214300e0" + "02044f", id="a coding"),
        pytest.param(
            "", {"validity_s": 45, "exact_validity": True}, "0900048121430000022d0000000000" + "00", id="45 s"
        ),
        pytest.param(
            "", {"validity_s": 43_425, "exact_validity": True}, "090004812143000003213054000000" + "00", id="12:03:45"
        ),
        pytest.param(
            "", {"validity_s": 360_000, "exact_validity": True}, "090004812143000001ab0000000000" + "00", id="100 hours"
        ),
        pytest.param("", {"single_shot": True}, "090004812143000040000000000000" + "00", id="one attempt"),
        pytest.param("", {"expires_ms": MOMENT_MS - 1}, "190004812143000062204190510300" + "00", id="a moment"),
        pytest.param(
            b"\x01",
            {"elements": ((5, b"\x0b\x84\x23\xf0"),)},
            "4100048121430004" + "08" + "0605040b8423f0" + "01",
            id="ports",
        ),
        pytest.param(
            "ş", {"national": "single"}, "4100048121430000" + "07" + "03240101" + "d8cc01", id="a Turkish single shift"
        ),
        pytest.param("ş", {"national": "off"}, "0100048121430008" + "02015f", id="no Turkish wanted"),
    ],
)
def test_writes_what_the_standard_draws(text: str | bytes, options: dict[str, Any], octets: str) -> None:
    """3GPP TS 23.040 §9.2.2.2, §9.2.3.12, §9.2.3.24."""
    assert [tpdu.hex() for tpdu in baseline.encode("1234", text, **options)] == [octets]


def test_a_16_bit_reference_takes_a_septet_of_each_part() -> None:
    first, second = baseline.encode("1234", "a" * 161, reference_bits=16, concatenation=0x0102)
    assert first[8:].hex().startswith("a0" + "06080401020201")
    assert second[8:].hex().startswith("11" + "06080401020202")
    assert baseline.measure("a" * 161, reference_bits=16).room == 152 - 9


def test_the_earlier_way_is_taken_where_parts_are_equal() -> None:
    ways = {
        text: (found.alphabet, found.single, found.locking)
        for text in ("a", "ş", "ş" * 80, "ş" * 81, "ăş", "ß" * 161)
        for found in [baseline.measure(text, national="all")]
    }
    assert ways == {
        "a": (0, 0, 0),
        "ş": (0, 1, 0),
        "ş" * 80: (0, 0, 1),  # behind a header escaped ones do not fit in one part
        "ş" * 81: (0, 0, 1),
        "ăş": (2, 0, 0),
        "ß" * 161: (0, 0, 0),
    }


# Cuts


def test_a_cluster_moves_whole_where_that_costs_no_part() -> None:
    assert baseline.cut("ы" * 60 + FAMILY + "ы" * 10) == ["ы" * 60, FAMILY + "ы" * 10]


def test_a_cluster_is_halved_rather_than_sent_in_a_part_more() -> None:
    first, second = baseline.cut("ы" * 60 + FAMILY + "ы" * 62)
    assert (first, second) == ("ы" * 60 + FAMILY[:4], FAMILY[4:] + "ы" * 62)


def compositions(widths: list[int], room: int, parts: int) -> Iterator[list[int]]:
    """All ways to end `parts` parts of at most `room` units."""
    for inner in combinations(range(1, len(widths)), parts - 1):
        ends = [*inner, len(widths)]
        if all(sum(widths[begin:end]) <= room for begin, end in pairwise([0, *ends])):
            yield ends


@given(
    st.lists(st.integers(1, 2), min_size=1, max_size=11),
    st.integers(2, 6),
    st.sets(st.integers(1, 10)),
)
def test_the_cuts_are_the_best_of_all(widths: list[int], room: int, spoilt: set[int]) -> None:
    parts = len(cutting.greedy(widths, room))
    ways = list(compositions(widths, room, parts))
    assert parts == 1 or not list(compositions(widths, room, parts - 1))
    best = min(ways, key=lambda ends: (len(spoilt.intersection(ends[:-1])), [-end for end in ends]))
    assert cutting.best_ends(widths, room, spoilt - {len(widths)}) == best


# Reading


def test_reads_what_other_decoders_read() -> None:
    for vector in VECTORS:
        octets, expected = bytes.fromhex(vector["tpdu"]), vector["fields"]
        if vector["must_fail"]:
            with pytest.raises(CodecError):
                baseline.decode(octets, vector["direction"])
            continue
        found: Any = baseline.decode(octets, vector["direction"])
        assert vector["text"] in (None, found.text)
        names = {"pid": "protocol", "dcs": "coding", "mr": "reference", "status": "outcome"}
        assert all(getattr(found, names[name]) == value for name, value in expected.items() if name in names)
        assert [(element, value.hex()) for element, value in found.elements] == [
            (element, value) for element, value in expected.get("udh", [])
        ]


@pytest.mark.parametrize(
    ("tpdu", "direction", "fields"),
    [
        pytest.param(
            "2205000200" + "04812143" + "00",
            "ms2sc",
            {"wants_report": True, "reference": 5, "protocol": 0, "command": 2, "number": 0, "destination": "1234"},
            id="a command",
        ),
        pytest.param(
            "01" + "00" + "62204190510300",
            "sc2ms",
            {"failure": None, "parameters": 0, "service_centre_time_ms": MOMENT_MS},
            id="a submission that was taken",
        ),
        pytest.param("00" + "07" + "7f" + "08" + "020041", "ms2sc", {"protocol": 0x7F, "text": "A"}, id="an answer"),
    ],
)
def test_reads_the_types_that_a_modem_seldom_prints(tpdu: str, direction: str, fields: dict[str, object]) -> None:
    found = baseline.decode(bytes.fromhex(tpdu), direction)
    assert {name: getattr(found, name) for name in fields} == fields
    assert baseline.write(found).hex() == tpdu


@pytest.mark.parametrize(
    ("front", "direction", "answer", "most"),
    [
        pytest.param("04048121430004" + "62204190510300", "sc2ms", "ack", 140, id="DELIVER"),
        pytest.param("0100048121430004", "ms2sc", "ack", 140, id="SUBMIT"),
        pytest.param("06000081" + "62204190510300" * 2 + "00" + "06" + "04", "sc2ms", "ack", 143, id="STATUS-REPORT"),
        pytest.param("02000000000081", "ms2sc", "ack", 156, id="COMMAND"),
        pytest.param("01" + "06" + "62204190510300" + "04", "sc2ms", "ack", 152, id="SUBMIT-REPORT"),
        pytest.param("01" + "ff06" + "62204190510300" + "04", "sc2ms", "error", 151, id="SUBMIT-REPORT, failure"),
        pytest.param("00" + "06" + "04", "ms2sc", "ack", 159, id="DELIVER-REPORT"),
        pytest.param("00" + "ff06" + "04", "ms2sc", "error", 158, id="DELIVER-REPORT, failure"),
    ],
)
def test_user_data_has_the_longest_that_its_type_may_have(front: str, direction: str, answer: str, most: int) -> None:
    """3GPP TS 23.040 §9.2.2.1 to §9.2.2.4."""
    for size in (most, most + 1):
        octets = bytes.fromhex(front) + bytes([size]) + bytes(size)
        found = baseline.decode(octets, direction, rp=answer, strict=False)
        assert len(found.faults) == size - most
        assert baseline.write(found) == octets
    with pytest.raises(CodecError):
        baseline.decode(octets, direction, rp=answer)


def test_a_report_of_failure_begins_with_its_cause() -> None:
    found: Any = baseline.decode(bytes.fromhex("01" + "d3" + "00" + "62204190510300"), "sc2ms", rp="error")
    assert found.failure == 0xD3


@pytest.mark.parametrize(
    ("tpdu", "text", "faults"),
    [
        pytest.param("04048121430000" + "62204190510300" + "04d4f29c", "Tes", ["user_data"], id="cut off"),
        pytest.param("04048121430000" + "62204190510300" + "04d4f29c0e00", "Test", ["length"], id="too long"),
        pytest.param("04048121430020" + "62204190510300" + "0141", "", ["coding"], id="compressed"),
        pytest.param("0404812f430000" + "62204190510300" + "04d4f29c0e", "Test", ["originator"], id="a filler inside"),
        pytest.param("44048121430000" + "62204190510300" + "0205e9", "", ["header"], id="a header beyond its end"),
        pytest.param("04048121430000" + "622041", "", ["service_centre_time"], id="the end is missed once"),
        pytest.param("04", "", ["originator"], id="one octet"),
    ],
)
def test_the_tolerant_read_on_and_note_what_was_wrong(tpdu: str, text: str, faults: list[str]) -> None:
    with pytest.raises(CodecError) as refused:
        baseline.decode(bytes.fromhex(tpdu))
    found = baseline.decode(bytes.fromhex(tpdu), strict=False)
    assert found.text == text
    assert [fault.field for fault in found.faults] == faults
    assert refused.value.field == faults[0]
