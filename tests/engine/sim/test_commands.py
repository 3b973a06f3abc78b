"""Identity, PIN, network and settings."""

from collections.abc import Callable

import pytest

from .conftest import Clock, Desk


@pytest.mark.parametrize(
    ("wrote", "heard"),
    [
        (b"AT+CGMI", b"SIEMENS"),
        (b"AT+GMM", b"TC35i"),
        (b"AT+CGMR", b"REVISION 03.01"),
        (b"AT+CGSN", b"350000000000014"),
        (b"AT+CIMI", b"460000000000001"),
        (b"AT+CPIN?", b"+CPIN: READY"),
        (b"AT+CREG?", b"+CREG: 0,1"),
        (b"AT+COPS?", b'+COPS: 0,0,"CARILLON"'),
        (b"AT+CSQ", b"+CSQ: 19,99"),
        (b"AT+CPAS", b"+CPAS: 0"),
        (b"AT^SCID", b"^SCID: 89860000000000000012"),
        (b"AT^SM20?", b"^SM20: 1,1"),
        (b"AT+CMEE?", b"+CMEE: 0"),
        (b"AT+CSCS?", b'+CSCS: "GSM"'),
        (b"AT+IPR?", b"+IPR: 115200"),
        (b"AT+CFUN?", b"+CFUN: 1"),
        (b"AT^SPIC", b"^SPIC: 3"),
        (b'AT+CLCK="SC",2', b"+CLCK: 0"),
    ],
)
async def test_says(desk: Desk, wrote: bytes, heard: bytes) -> None:
    desk.quietly()
    assert desk.say(wrote + b"\r") == b"\r\n" + heard + b"\r\n\r\nOK\r\n"


@pytest.mark.parametrize("wrote", [b"AT+CMEE=3", b"AT^SM20=2,0", b"AT+IPR=12345", b"AT+CREG=x", b"AT+CGSN=1"])
async def test_refuses_what_it_does_not_know(desk: Desk, wrote: bytes) -> None:
    desk.quietly()
    assert desk.say(wrote + b"\r") == b"\r\nERROR\r\n"


@pytest.mark.parametrize("wrote", [b"AT\\Q3", b"AT&D0", b"ATS0=0", b"ATH", b"AT+CLIP=1", b"ATE0V1Q0"])
async def test_takes_in_silence(desk: Desk, wrote: bytes) -> None:
    desk.quietly()
    assert desk.say(wrote + b"\r") == b"\r\nOK\r\n"


@pytest.mark.parametrize("reset", [b"AT&F", b"ATZ"])
async def test_a_reset_brings_every_trap_back(desk: Desk, reset: bytes) -> None:
    desk.quietly("AT^SM20=0,0", "AT+CNMI=2,1,0,2,1", "AT+CMEE=1", "AT^SMGO=1")
    assert desk.say(reset + b"\r") == b"\r\nOK\r\n"
    assert desk.say(b"AT^SM20?\r") == b"AT^SM20?\r\r\n^SM20: 1,1\r\n\r\nOK\r\n"
    for asked in (b"+CNMI: 0,0,0,0,1", b"+CMEE: 0", b"^SMGO: 0,0"):
        assert asked in desk.say(b"AT" + asked.partition(b":")[0] + b"?\r")


async def test_a_stored_profile_outlives_a_reset(desk: Desk) -> None:
    desk.quietly("AT+CMEE=1", "AT&W", "AT+CMEE=0", "ATZ")
    assert b"+CMEE: 1" in desk.say(b"AT+CMEE?\r")


async def test_a_locked_sim_wants_its_pin_first(lay: Callable[..., Desk]) -> None:
    desk = lay(pin="1234")
    desk.quietly("AT+CMEE=1")
    desk.network.text("+4915700000042", desk.sim.number, "early")
    assert b"+CPIN: SIM PIN\r\n" in desk.say(b"AT+CPIN?\r")
    assert b"+CREG: 0,0\r\n" in desk.say(b"AT+CREG?\r")
    assert desk.say(b"AT+CIMI\r") == b"\r\n+CME ERROR: 11\r\n"
    assert desk.say(b"AT+CMGS=17\r") == b"\r\n+CMS ERROR: 311\r\n"
    assert desk.say(b"AT+CPIN=9999\r") == b"\r\n+CME ERROR: 16\r\n"
    assert b"^SPIC: 2\r\n" in desk.say(b"AT^SPIC\r")
    desk.quietly('AT+CPIN="1234"')
    assert b"+CPIN: READY\r\n" in desk.say(b"AT+CPIN?\r")
    assert desk.say(b"AT+CPIN=1234\r") == b"\r\n+CME ERROR: 3\r\n"
    assert b"+CMGR: 0,," in desk.say(b"AT+CMGR=1\r")


async def test_three_wrong_pins_ask_for_the_puk(lay: Callable[..., Desk]) -> None:
    desk = lay(pin="1234")
    desk.quietly("AT+CMEE=1")
    heard = [desk.say(b"AT+CPIN=0000\r") for _ in range(3)]
    assert heard == [b"\r\n+CME ERROR: 16\r\n"] * 2 + [b"\r\n+CME ERROR: 12\r\n"]
    assert b"+CPIN: SIM PUK\r\n" in desk.say(b"AT+CPIN?\r")
    assert desk.say(b"AT+CPIN=12345678,4321\r") == b"\r\nOK\r\n"
    assert desk.sim.pin == "4321"


async def test_smso_says_goodbye_and_hears_no_more(desk: Desk) -> None:
    desk.quietly()
    assert desk.say(b"AT^SMSO\r") == b"\r\n^SMSO: MS OFF\r\n\r\nOK\r\n\r\n^SHUTDOWN\r\n"
    assert desk.say(b"AT\r") == b""


async def test_cfun_0_makes_it_deaf(desk: Desk) -> None:
    desk.quietly()
    assert desk.say(b"AT+CFUN=0\r") == b"\r\nOK\r\n"
    assert desk.say(b"AT\r") == b""
    desk.modem.restart()
    assert await desk.until(b"\r\n^SYSSTART\r\n")


async def test_the_clock_is_the_networks(desk: Desk, clock: Clock) -> None:
    desk.quietly()
    clock.ms = 1_771_060_530_000
    assert b'+CCLK: "26/02/14,17:15:30"' in desk.say(b"AT+CCLK?\r")
