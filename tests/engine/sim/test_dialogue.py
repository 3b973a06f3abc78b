"""Framing, the prompt, and the moment at which unsolicited lines come."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.sim.dialogue import LINE_OCTETS
from engine.sim.network import Network
from engine.sim.profile import Quirks

from .conftest import Desk

TPDU = "1100" + "0D91945107000040F2" + "0000A7104F39B92C07C564331A485E0E93F3"
LENGTH = len(TPDU) // 2
ASK = f"AT+CMGS={LENGTH}\r".encode()
GIVE = f"00{TPDU}\x1a".encode()
URC = b'\r\n+CMTI: "MT",1\r\n'


def text_in(desk: Desk, text: str = "STOP") -> None:
    desk.network.text("+4915700000042", desk.sim.number, text)


@pytest.mark.parametrize(
    ("wrote", "heard"),
    [
        pytest.param(b"AT\r", b"AT\r\r\nOK\r\n", id="echo keeps the CR"),
        pytest.param(b"at\r", b"at\r\r\nOK\r\n", id="lower case"),
        pytest.param(b"AT+CSQ\r", b"AT+CSQ\r\r\n+CSQ: 19,99\r\n\r\nOK\r\n", id="a line of information"),
        pytest.param(
            b"ATI\r", b"ATI\r\r\nSIEMENS\r\nTC35i\r\nREVISION 03.01\r\n\r\nOK\r\n", id="three lines"
        ),
        pytest.param(b"ATE0\rAT\r", b"ATE0\r\r\nOK\r\n\r\nOK\r\n", id="no echo after ATE0"),
        pytest.param(b"AT+NO\r", b"AT+NO\r\r\nERROR\r\n", id="unknown"),
        pytest.param(b"At\r", b"At\r", id="mixed case is echoed and nothing more"),
        pytest.param(b"\x1b\r", b"\x1b\r", id="so is an ESC out of place"),
        pytest.param(b"AX\bT\r", b"AX\bT\r\r\nOK\r\n", id="backspace edits a command line"),
        pytest.param(b"ATV0\rAT\r", b"ATV0\r0\rAT\r0\r", id="numeric results"),
        pytest.param(b"ATQ1\rAT\r", b"ATQ1\rAT\r", id="no results"),
    ],
)
async def test_answers_are_framed_as_v25ter_says(desk: Desk, wrote: bytes, heard: bytes) -> None:
    assert desk.say(wrote) == heard


async def test_octets_may_come_one_by_one(desk: Desk) -> None:
    heard = b"".join(desk.say(bytes((octet,))) for octet in b"AT+CSQ\r")
    assert heard == b"AT+CSQ\r\r\n+CSQ: 19,99\r\n\r\nOK\r\n"


@given(
    st.lists(
        st.sampled_from(
            [
                b"AT\r",
                b"A",
                b"at",
                b"T\r",
                b"\r",
                b"\n",
                b"\x1b",
                b"\x1a",
                b"\b",
                ASK,
                GIVE,
                b"AT+CMGL=4\r",
                b'"',
                b";",
            ]
        )
        | st.binary(max_size=8),
        max_size=12,
    ).map(b"".join),
    st.lists(st.integers(0, 200), max_size=6).map(sorted),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
async def test_it_is_the_same_talk_however_it_is_cut(typed: bytes, cuts: list[int]) -> None:
    whole, pieces = (Desk(Network(seed=1, now_ms=lambda: 0), Quirks()) for _ in range(2))
    heard = whole.say(typed)
    said = b"".join(pieces.say(typed[a:b]) for a, b in zip([0, *cuts], [*cuts, len(typed)], strict=True))
    assert said == heard
    for desk in (whole, pieces):
        assert desk.say(b"\x1b\rAT\r").endswith(b"\r\nOK\r\n") or b"Q1" in typed.upper()
        desk.modem.power_off()


async def test_a_command_line_holds_391_characters(desk: Desk) -> None:
    desk.quietly()
    longest = b"AT+CSCS=" + b"x" * (LINE_OCTETS - 8)
    assert desk.say(longest + b"\r") == b"\r\nOK\r\n"
    assert desk.say(longest + b"x\r") == b"\r\nERROR\r\n"


async def test_message_commands_stand_alone(desk: Desk) -> None:
    desk.quietly()
    assert desk.say(b"AT+CMGF=0;+CSQ\r") == b"\r\nERROR\r\n"
    assert desk.say(b"AT+CREG=1;+CREG?\r") == b"\r\n+CREG: 1,1\r\n\r\nOK\r\n"


async def test_cmee_decides_how_an_error_is_said(desk: Desk) -> None:
    desk.quietly("AT+CMEE=1")
    assert desk.say(b"AT+CREG=9\r") == b"\r\n+CME ERROR: 100\r\n"
    assert desk.say(b"AT+NO\r") == b"\r\nERROR\r\n", "it does not know what it does not know"
    assert desk.say(b"AT+CMGR=99\r") == b"\r\n+CMS ERROR: 321\r\n"
    desk.quietly("AT+CMEE=2")
    assert desk.say(b"AT+CREG=9\r") == b"\r\n+CME ERROR: unknown\r\n"
    assert desk.say(b"AT+CMGR=99\r") == b"\r\n+CMS ERROR: invalid memory index\r\n"


async def test_the_prompt_is_four_octets_and_the_pdu_is_echoed_with_its_ctrl_z(desk: Desk) -> None:
    assert desk.say(ASK) == ASK + b"\r\n> "
    assert desk.say(GIVE) == GIVE + b"\r\n+CMGS: 0\r\n\r\nOK\r\n"
    assert desk.say(ASK + GIVE) == ASK + b"\r\n> " + GIVE + b"\r\n+CMGS: 1\r\n\r\nOK\r\n"


async def test_escape_ends_the_prompt_with_ok_and_nothing_sent(desk: Desk) -> None:
    desk.quietly("AT^SM20=0,0")
    desk.say(ASK)
    assert desk.say(GIVE[:-1] + b"\x1b") == b"\r\nOK\r\n"
    assert not desk.network.accepted


async def test_a_command_typed_at_the_prompt_is_eaten(desk: Desk) -> None:
    desk.quietly("AT^SM20=0,0")
    desk.say(ASK)
    assert desk.say(b"AT\r") == b""
    assert desk.say(GIVE) == b"\r\n+CMS ERROR: 304\r\n"
    assert desk.say(b"AT\r") == b"\r\nOK\r\n"


async def test_a_line_feed_behind_the_prompt_is_payload(desk: Desk) -> None:
    desk.quietly("AT^SM20=0,0")
    assert desk.say(ASK + b"\n") == b"\r\n> "
    assert desk.say(GIVE) == b"\r\n+CMS ERROR: 304\r\n"


@pytest.mark.parametrize(("hides", "code"), [(0, b"521"), (1, b"500")])
async def test_a_prompt_without_input_times_out(lay: Callable[..., Desk], hides: int, code: bytes) -> None:
    desk = lay(prompt_timeout_ms=20)
    desk.quietly(f"AT^SM20=0,{hides}")
    assert desk.say(ASK) == b"\r\n> "
    assert await desk.until(b"ERROR") == b"\r\n+CMS ERROR: " + code + b"\r\n"
    assert desk.say(b"AT\r") == b"\r\nOK\r\n"


async def test_input_puts_the_prompts_end_off(lay: Callable[..., Desk]) -> None:
    desk = lay(prompt_timeout_ms=200)
    desk.quietly()
    desk.say(ASK)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    while loop.time() < begun_s + 0.3:
        assert desk.say(b"0") == b""
        await asyncio.sleep(0.02)
    assert b"+CMS ERROR: 500" in await desk.until(b"ERROR")


async def test_an_unsolicited_line_waits_from_the_first_a_to_the_final_result(desk: Desk) -> None:
    desk.quietly("AT+CNMI=2,1,0,2,1")
    assert desk.say(b"A") == b""
    text_in(desk)
    assert desk.taken() == b""
    assert desk.say(b"T+CSQ\r") == b"\r\n+CSQ: 19,99\r\n\r\nOK\r\n" + URC


async def test_an_unsolicited_line_waits_through_prompt_and_sending(lay: Callable[..., Desk]) -> None:
    desk = lay()
    desk.network.latency_ms = 20
    desk.quietly("AT+CNMI=2,1,0,2,1")
    assert desk.say(ASK) == b"\r\n> "
    text_in(desk)
    assert desk.say(GIVE) == b""
    text_in(desk)
    second = URC.replace(b"1", b"2")
    assert await desk.until(second) == b"\r\n+CMGS: 0\r\n\r\nOK\r\n" + URC + second


async def test_an_unsolicited_line_may_race_the_echo(lay: Callable[..., Desk]) -> None:
    desk = lay(race_ms=60_000)
    desk.say(b"AT+CNMI=2,1,0,2,1\r")
    text_in(desk)
    assert desk.taken() == b""
    assert desk.say(b"AT\r") == URC + b"AT\r\r\nOK\r\n"


async def test_nobody_waits_for_a_race_for_ever(lay: Callable[..., Desk]) -> None:
    desk = lay(race_ms=10)
    desk.quietly("AT+CNMI=2,1,0,2,1")
    text_in(desk)
    assert await desk.until(b"\r\n+CMTI") == URC


async def test_what_is_typed_during_a_command_is_read_after_it(lay: Callable[..., Desk]) -> None:
    desk = lay(command_delay_ms=5)
    desk.say(b"ATE0\r")
    await desk.until(b"OK\r\n")
    assert desk.say(b"AT+CSQ\rAT\r") == b""
    assert await desk.until(b"OK\r\n\r\nOK\r\n") == b"\r\n+CSQ: 19,99\r\n\r\nOK\r\n\r\nOK\r\n"


async def test_a_slow_modem_opens_its_prompt_late(lay: Callable[..., Desk]) -> None:
    desk = lay(command_delay_ms=5)
    desk.say(b"ATE0\r")
    await desk.until(b"OK\r\n")
    desk.say(ASK)
    assert await desk.until(b"> ") == b"\r\n> "
    assert desk.say(GIVE) == b"\r\n+CMGS: 0\r\n\r\nOK\r\n"


async def test_a_hung_modem_says_nothing_until_it_is_restarted(desk: Desk) -> None:
    desk.modem.is_hung = True
    assert desk.say(b"AT\r") == b""
    desk.modem.restart()
    assert await desk.until(b"^SYSSTART\r\n") == b"\r\n^SYSSTART\r\n"
    assert desk.say(b"AT\r") == b"AT\r\r\nOK\r\n"
