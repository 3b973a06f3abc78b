"""The words of an AT line."""

import pytest

from engine.sim.grammar import Command, parse


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        pytest.param(b"AT", [("", "", "")], id="bare"),
        pytest.param(b"at+cmgf=0", [("+CMGF", "=", "0")], id="lower case"),
        pytest.param(b"AT+CPIN?", [("+CPIN", "?", "")], id="read"),
        pytest.param(b"AT+CNMI=?", [("+CNMI", "=?", "")], id="test"),
        pytest.param(b"AT+CSQ", [("+CSQ", "", "")], id="execute"),
        pytest.param(b"ATE0V1", [("E", "=", "0"), ("V", "=", "1")], id="basic commands run together"),
        pytest.param(b"AT&FE0", [("&F", "=", ""), ("E", "=", "0")], id="ampersand takes one letter"),
        pytest.param(b"AT\\Q3", [("\\Q", "=", "3")], id="backslash takes one letter"),
        pytest.param(
            b"AT+CMEE=1;+CREG=1", [("+CMEE", "=", "1"), ("+CREG", "=", "1")], id="semicolon divides"
        ),
        pytest.param(
            b'AT+CPMS="M;T","SM"', [("+CPMS", "=", '"M;T","SM"')], id="but not between quotation marks"
        ),
        pytest.param(b"\x1b\n?AT+CSQ", [("+CSQ", "", "")], id="noise before AT is passed over"),
        pytest.param(b"ATS0=1", [("S", "=", "0=1")], id="S registers"),
        pytest.param(b"ATD+49170;", [("D", "=", "+49170;")], id="a dial string takes the rest"),
    ],
)
def test_a_line_is_its_commands_in_order(line: bytes, commands: list[tuple[str, str, str]]) -> None:
    assert parse(line) == tuple(Command(*one) for one in commands)


@pytest.mark.parametrize("line", [b"", b"At", b"aT+CSQ", b"\x1a", b"+++", b"0011000B91"])
def test_what_has_neither_at_in_one_case_is_no_command(line: bytes) -> None:
    assert parse(line) is None
