"""Transcripts of a TC35i's lines, cut anywhere, mean what the manual says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.modem.at import (
    ERROR,
    LONGEST_LINE,
    OK,
    PROMPT,
    Final,
    Indication,
    Info,
    Line,
    Unsolicited,
    is_ambiguous,
    reader,
)

PDU = "0791947101670000040D91945107000040F20000622041015103400453EA130A"

TRANSCRIPTS = [
    pytest.param(b"\r\nOK\r\n", [OK], id="ok"),
    pytest.param(b"\r\n> ", [PROMPT], id="the prompt has no end of line"),
    pytest.param(b"\r\n+CMGS: 42\r\n\r\nOK\r\n", [Info("+CMGS: 42"), OK], id="a reference, and the OK behind it"),
    pytest.param(b"\r\n+CMS ERROR: 38\r\n", [Final(False, cms=38)], id="a refusal by the network"),
    pytest.param(b"\r\n+CME ERROR: 14\r\n", [Final(False, cme=14)], id="a SIM that is busy"),
    pytest.param(b"\r\n+CMS ERROR: network timeout\r\n", [Final(False, cms=332)], id="an error in words"),
    pytest.param(b"\r\n+CMS ERROR: unknown error\r\n", [Final(False, cms=500)], id="500 in words"),
    pytest.param(b"\r\n+CMS ERROR: what now\r\n", [Final(False, cms=500)], id="words nobody knows are ambiguous"),
    pytest.param(b"\r\n+CME ERROR: SIM busy\r\n", [Final(False, cme=14)], id="words in capitals"),
    pytest.param(b"\r\nERROR\r\n", [ERROR], id="a bare error"),
    pytest.param(b'\r\n+CMTI: "MT",3\r\n\r\n> ', [Indication("+CMTI", "MT", 3), PROMPT], id="news before the prompt"),
    pytest.param(
        b'\r\n+CMGS: 7\r\n\r\n+CDSI: "MT",12\r\n\r\nOK\r\n',
        [Info("+CMGS: 7"), Indication("+CDSI", "MT", 12), OK],
        id="news between a reference and its OK",
    ),
    pytest.param(
        b"\r\n+CMT: ,24\r\n" + PDU.encode() + b"\r\n\r\nOK\r\n",
        [Unsolicited("+CMT: ,24", PDU), OK],
        id="a pushed message takes the line below",
    ),
    pytest.param(b"\r\n+CDS: 26\r\n\r\nOK\r\n", [Unsolicited("+CDS: 26"), OK], id="a pushed report that lost its PDU"),
    pytest.param(b"\r\n+CREG: 0,1\r\n\r\nOK\r\n", [Info("+CREG: 0,1"), OK], id="the registration that was asked for"),
    pytest.param(b'\r\n+CREG: 1,"00A1","BEEF"\r\n', [Unsolicited('+CREG: 1,"00A1","BEEF"')], id="and unasked"),
    pytest.param(b"\r\n^SMGO: 2\r\n", [Unsolicited("^SMGO: 2")], id="a full store"),
    pytest.param(b"\r\n^SMGO: 0,0\r\n", [Info("^SMGO: 0,0")], id="the setting of that"),
    pytest.param(b"^SYSSTART\r\n", [Unsolicited("^SYSSTART")], id="a start without a line before it"),
    pytest.param(b"\r\n+CSQ: 1^SYSSTART\r\n", [Unsolicited("^SYSSTART")], id="a start in the middle of a line"),
    pytest.param(b"\r\nRING\r\n\r\n^SHUTDOWN\r\n", [Unsolicited("RING"), Unsolicited("^SHUTDOWN")], id="a call"),
    pytest.param(
        b"\r\n+CMGR: 0,,24\r\n" + PDU.encode() + b"\r\n\r\nOK\r\n",
        [Info("+CMGR: 0,,24"), Info(PDU), OK],
        id="a message that was read",
    ),
    pytest.param(b"\x00\r\n\x11OK\x13\r\n", [OK], id="a break and flow characters are no text"),
    pytest.param(b"x" * (LONGEST_LINE + 1) + b"\r\nOK\r\n", [OK], id="a line of hostile length is dropped whole"),
    pytest.param(b'\r\n+CMTI: "MT",99999999\r\n', [Unsolicited('+CMTI: "MT",99999999')], id="an absurd slot"),
]


def read(octets: bytes, borders: list[int], echo: bytes = b"") -> list[Line]:
    stream = reader()
    stream.echo = echo
    cuts = sorted({border % (len(octets) + 1) for border in borders})
    meanings: list[Line] = []
    for begin, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        meanings.extend(stream.feed(octets[begin:end]))
    return meanings


@pytest.mark.parametrize(("octets", "meanings"), TRANSCRIPTS)
def test_a_transcript_means_the_same_whole_and_octet_by_octet(octets: bytes, meanings: list[Line]) -> None:
    assert read(octets, []) == meanings
    assert read(octets, list(range(len(octets)))) == meanings


@given(st.lists(st.sampled_from([case.values for case in TRANSCRIPTS]), max_size=6), st.lists(st.integers(0)))
def test_transcripts_in_a_row_mean_the_same_however_they_are_cut(
    cases: list[tuple[bytes, list[Line]]], borders: list[int]
) -> None:
    octets = b"".join(octets for octets, _ in cases)
    assert read(octets, borders) == [line for _, meanings in cases for line in meanings]


@given(st.binary(max_size=3000), st.lists(st.integers(0), max_size=20))
def test_no_octets_are_too_strange_and_borders_never_matter(octets: bytes, borders: list[int]) -> None:
    assert read(octets, borders) == read(octets, [])


@given(st.lists(st.integers(0), max_size=20))
def test_the_echo_of_our_command_and_of_our_pdu_is_dropped(borders: list[int]) -> None:
    assert read(b"AT+CMGS=24\r\r\n> ", borders, echo=b"AT+CMGS=24") == [PROMPT]
    answer = PDU.encode() + b"\x1a\r\n+CMGS: 1\r\n\r\nOK\r\n"
    assert read(answer, borders, echo=PDU.encode()) == [Info("+CMGS: 1"), OK]


def test_the_echo_behind_a_prompt_in_one_chunk_is_dropped() -> None:
    stream = reader()
    stream.echo = PDU.encode()
    assert list(stream.feed(b"\r\n> " + PDU.encode() + b"\x1a\r\n")) == [PROMPT]


def test_an_endless_line_takes_no_memory() -> None:
    stream = reader()
    for _ in range(1000):
        assert not stream.feed(b"A" * 1000)
    assert list(stream.feed(b"A\r\nOK\r\n")) == [OK]


@pytest.mark.parametrize(
    ("cms", "after_s", "ambiguous"),
    [
        pytest.param(332, 0, True, id="network time-out"),
        pytest.param(500, 0, True, id="unknown error"),
        pytest.param(521, 0, True, id="timer expired"),
        pytest.param(38, 3, False, id="network out of order, at once"),
        pytest.param(38, 26, True, id="network out of order, after a long silence"),
        pytest.param(41, 26, True, id="temporary failure, after a long silence"),
        pytest.param(47, 26, True, id="resources, after a long silence"),
        pytest.param(21, 26, False, id="rejected, even late"),
        pytest.param(None, 26, False, id="a bare error"),
    ],
)
def test_which_errors_leave_open_if_the_part_went(cms: int | None, after_s: float, ambiguous: bool) -> None:
    assert is_ambiguous(cms, after_s) is ambiguous
