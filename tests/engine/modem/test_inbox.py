"""Answers to AT+CMGL and AT+CMGR as records."""

import pytest

from engine.modem.inbox import Record, parse

PDU = "0791947101670000040D91945107000040F20000622041015103400453EA130A"


@pytest.mark.parametrize(
    ("lines", "records"),
    [
        pytest.param(["+CMGR: 0,,24", PDU], [Record(7, 0, PDU, 24)], id="read"),
        pytest.param(["+CMGR: 1,24", PDU], [Record(7, 1, PDU, 24)], id="read, without the empty name"),
        pytest.param(["+CMGR: 0,,0"], [], id="an empty slot"),
        pytest.param(["+CMGL: 26,1,,24", PDU], [Record(26, 1, PDU, 24)], id="listed"),
        pytest.param(
            ['+CMGL: 1,0,"Tea, 2",24', PDU, "+CMGL: 2,3,,24", PDU],
            [Record(1, 0, PDU, 24), Record(2, 3, PDU, 24)],
            id="a name with a comma, and another",
        ),
        pytest.param(["+CMGL: 1,0,,24", "+CMGL: 2,0,,24", PDU], [Record(2, 0, PDU, 24)], id="a PDU went missing"),
        pytest.param(["+CMGR: 0,,24", PDU + ",0"], [Record(7, 0, PDU, 24)], id="a tail of some firmware"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_answers_become_records(lines: list[str], records: list[Record]) -> None:
    assert parse(lines, 7) == records


@pytest.mark.parametrize(
    ("pdu", "is_whole"),
    [
        pytest.param(PDU, True, id="all there"),
        pytest.param(PDU + "FF" * 140, True, id="with the filler of its slot"),
        pytest.param(PDU[:-2], False, id="an octet was lost"),
        pytest.param(PDU[:-1], False, id="a digit was lost"),
        pytest.param(PDU[:-1] + "?", False, id="a digit was mangled"),
    ],
)
def test_a_record_is_whole_when_all_promised_octets_came(pdu: str, is_whole: bool) -> None:
    assert Record(1, 0, pdu, 24).is_whole() is is_whole


def test_filler_and_drafts_are_not_for_us() -> None:
    assert Record(1, 0, "00" + "F" * 348, 0).is_filler()
    assert not Record(1, 0, PDU, 24).is_filler()
    assert not Record(1, 2, PDU, 24).is_ours()
