"""Sending, the SM20 trap, and what becomes of a message that arrives."""

from collections.abc import Callable

import pytest

from .conftest import Desk, until

TO_42 = "0D91945107000040F2"
QUIET = f"1100{TO_42}0000A7104F39B92C07C564331A485E0E93F3"
WITH_REPORT = "31" + QUIET[2:]
SENT = b"\r\n+CMGS: 0\r\n\r\nOK\r\n"


def submit(desk: Desk, tpdu: str = QUIET, length: int | None = None, sca: str = "00") -> bytes:
    """What AT+CMGS gives after its prompt."""
    asked = desk.say(f"AT+CMGS={len(tpdu) // 2 if length is None else length}\r".encode())
    assert asked == b"\r\n> "
    return desk.say(f"{sca}{tpdu}\x1a".encode())


async def test_the_modem_puts_its_own_reference_in(desk: Desk, ledger_lines: Callable[[], list[str]]) -> None:
    desk.quietly()
    desk.sim.reference = 255
    assert submit(desk, "11AA" + QUIET[4:]) == b"\r\n+CMGS: 255\r\n\r\nOK\r\n"
    assert submit(desk) == SENT
    assert [one.tpdu.hex().upper()[:4] for one in desk.network.accepted] == ["11FF", "1100"]
    assert len(ledger_lines()) == 2


async def test_lower_case_and_a_service_centre_of_its_own_are_taken(desk: Desk) -> None:
    desk.quietly()
    assert submit(desk, QUIET.lower(), sca="0891683109000000f0") == SENT


WRONG = [
    pytest.param(QUIET, 1, id="length"),
    pytest.param(QUIET[:-1] + "G", None, id="not hex"),
    pytest.param(QUIET[:-3], None, id="half an octet"),
    pytest.param(QUIET + "00", None, id="too long for its own length"),
    pytest.param("04" + QUIET[2:], None, id="a deliver"),
    pytest.param(" " + QUIET[1:], None, id="blank"),
]


@pytest.mark.parametrize(("tpdu", "length"), WRONG)
async def test_factory_settings_hide_a_wrong_pdu_behind_ok(desk: Desk, tpdu: str, length: int | None) -> None:
    desk.quietly()
    assert submit(desk, tpdu, length) == b"\r\nOK\r\n"
    assert not desk.network.accepted


@pytest.mark.parametrize(("tpdu", "length"), WRONG)
async def test_sm20_0_shows_it(desk: Desk, tpdu: str, length: int | None) -> None:
    desk.quietly("AT^SM20=0,0")
    assert submit(desk, tpdu, length) == b"\r\n+CMS ERROR: 304\r\n"
    assert not desk.network.accepted


@pytest.mark.parametrize(
    ("hides", "hides_refusals", "heard"),
    [
        pytest.param(0, True, b"\r\n+CMS ERROR: 38\r\n", id="shown"),
        pytest.param(1, True, b"\r\nOK\r\n", id="hidden"),
        pytest.param(1, False, b"\r\n+CMS ERROR: 38\r\n", id="a firmware that hides only its own errors"),
    ],
)
async def test_a_refusal_by_the_network(
    lay: Callable[..., Desk], hides: int, hides_refusals: bool, heard: bytes
) -> None:
    desk = lay(hides_refusals=hides_refusals)
    desk.network.refuse = lambda _destination: 38
    desk.quietly(f"AT^SM20=0,{hides}")
    assert submit(desk) == heard
    assert not desk.network.accepted
    desk.network.refuse = None
    assert submit(desk) == SENT.replace(b"0", b"1"), "a refused submission took a reference too"


@pytest.mark.parametrize(("hides", "code"), [(0, b"332"), (1, b"500")])
async def test_a_lost_answer_times_out_though_the_part_was_accepted(
    lay: Callable[..., Desk], hides: int, code: bytes
) -> None:
    desk = lay(answer_timeout_ms=10)
    desk.network.loses_answer = lambda _destination: True
    desk.quietly(f"AT^SM20=0,{hides}")
    assert submit(desk) == b""
    assert await desk.until(b"ERROR") == b"\r\n+CMS ERROR: " + code + b"\r\n"
    assert len(desk.network.accepted) == 1


async def test_an_answer_that_comes_too_late_is_not_said(lay: Callable[..., Desk]) -> None:
    desk = lay(answer_timeout_ms=5)
    desk.network.latency_ms = 30
    desk.quietly()
    submit(desk)
    await desk.until(b"+CMS ERROR: 500")
    await until(lambda: desk.network.accepted)
    assert desk.say(b"AT\r") == b"\r\nOK\r\n"


async def test_a_bare_ok_can_be_asked_for(desk: Desk) -> None:
    desk.quietly("AT^SM20=0,0")
    desk.modem.bare_oks = 1
    assert submit(desk) == b"\r\nOK\r\n"
    assert submit(desk) == SENT


async def test_without_service_centre_nothing_goes(desk: Desk) -> None:
    desk.quietly("AT^SM20=0,0", 'AT+CSCA=""')
    assert submit(desk) == b"\r\n+CMS ERROR: 330\r\n"
    assert submit(desk, sca="0891683109000000F0") == SENT


async def test_without_registration_nothing_goes_and_nothing_comes(desk: Desk) -> None:
    desk.quietly("AT^SM20=0,0", "AT+CREG=1", "AT+CNMI=2,1,0,2,1")
    desk.modem.register(2)
    assert desk.taken() == b"\r\n+CREG: 2\r\n"
    assert submit(desk) == b"\r\n+CMS ERROR: 331\r\n"
    desk.network.text("+4915700000042", desk.sim.number, "hello")
    assert desk.taken() == b""
    desk.modem.register(1)
    assert desk.taken() == b'\r\n+CREG: 1\r\n\r\n+CMTI: "MT",1\r\n'


async def test_a_report_is_stored_and_indicated_right_behind_the_final_ok(desk: Desk) -> None:
    desk.quietly("AT+CNMI=2,1,0,2,1", "AT^SSCONF=0,1")
    assert submit(desk, WITH_REPORT) == SENT + b'\r\n+CDSI: "MT",1\r\n'
    header, pdu = desk.say(b"AT+CMGR=1\r").decode().split("\r\n")[1:3]
    assert header == "+CMGR: 0,,26"
    sca, report = pdu[:18], pdu[18:]
    assert sca == "0891683109000000F0"
    assert report.startswith("0600" + TO_42)
    assert report.endswith("00")
    assert len(report) == 52


async def test_a_stored_report_is_read_with_the_filler_of_its_row(desk: Desk) -> None:
    desk.quietly()
    submit(desk, WITH_REPORT)
    header, pdu = desk.say(b"AT+CMGR=1\r").decode().split("\r\n")[1:3]
    assert header == "+CMGR: 0,,26"
    assert len(pdu) == 350
    assert pdu[70:] == "F" * 280


async def test_a_report_can_be_routed_and_must_be_acknowledged(desk: Desk) -> None:
    desk.quietly("AT+CSMS=1", "AT+CNMI=2,1,0,1,1")
    heard = submit(desk, WITH_REPORT)
    assert heard.startswith(SENT + b"\r\n+CDS: 26\r\n0891683109000000F00600" + TO_42.encode())
    assert submit(desk, WITH_REPORT) == SENT.replace(b"0", b"1"), "only one at a time"
    heard = desk.say(b"AT+CNMA\r")
    assert heard.startswith(b"\r\nOK\r\n\r\n+CDS: 26\r\n0891683109000000F00601")
    assert desk.say(b"AT+CNMA=0\r") == b"\r\nOK\r\n"
    assert desk.say(b"AT+CNMA\r") == b"\r\n+CMS ERROR: 340\r\n"


async def test_an_unacknowledged_message_ends_routing(lay: Callable[..., Desk]) -> None:
    desk = lay(acknowledge_timeout_ms=10)
    desk.quietly("AT+CSMS=1", "AT+CNMI=2,2,0,1,1")
    desk.network.text("+4915700000042", desk.sim.number, "好的")
    assert desk.taken().startswith(b"\r\n+CMT: ,24\r\n0891683109000000F0040D91945107000040F20008")
    await until(lambda: b"+CNMI: 0,0,0,0,1" in desk.say(b"AT+CNMI?\r"))
    desk.network.retry(desk.sim)
    assert desk.say(b"AT+CMGR=1\r").startswith(b"\r\n+CMGR: 0,,24\r\n0891683109000000F0040D91")


async def test_by_default_a_message_is_stored_in_silence(desk: Desk) -> None:
    desk.quietly()
    desk.network.text("+4915700000042", desk.sim.number, "hi")
    assert desk.taken() == b""
    assert desk.say(b"AT+CMGR=1\r").startswith(b"\r\n+CMGR: 0,,24\r\n0891683109000000F0040D91")


async def test_a_full_store_leaves_messages_with_the_network(lay: Callable[..., Desk]) -> None:
    desk = lay(sm_slots=1)
    desk.quietly("AT+CNMI=2,1,0,2,1", "AT^SMGO=1")
    for _ in range(25):
        desk.network.text("+4915700000042", desk.sim.number, "x")
    assert desk.taken().count(b"+CMTI") == 25
    desk.network.text("+4915700000042", desk.sim.number, "y")
    assert desk.taken() == b'\r\n+CMTI: "MT",26\r\n\r\n^SMGO: 1\r\n'
    desk.network.text("+4915700000042", desk.sim.number, "z")
    assert desk.taken() == b"\r\n^SMGO: 2\r\n"
    assert desk.say(b"AT^SMGO?\r") == b"\r\n^SMGO: 1,2\r\n\r\nOK\r\n"
    assert len(desk.sim.waiting) == 1
    heard = desk.say(b"AT+CMGD=7\r")
    assert heard == b'\r\nOK\r\n\r\n^SMGO: 0\r\n\r\n+CMTI: "MT",7\r\n\r\n^SMGO: 1\r\n'
    assert not desk.sim.waiting
    assert b"007A\r\n" in desk.say(b"AT+CMGR=7\r")


async def test_cfun_1_1_restarts_and_forgets_all_but_storage(desk: Desk) -> None:
    desk.quietly("AT^SM20=0,0", "AT+CNMI=2,1,0,2,1", "AT+CMEE=1")
    desk.network.text("+4915700000042", desk.sim.number, "kept")
    desk.taken()
    assert desk.say(b"AT+CFUN=1,1\r") == b"\r\nOK\r\n"
    assert desk.say(b"AT\r") == b""
    assert await desk.until(b"^SYSSTART\r\n") == b"\r\n^SYSSTART\r\n"
    assert desk.say(b"AT^SM20?\r") == b"AT^SM20?\r\r\n^SM20: 1,1\r\n\r\nOK\r\n"
    assert b"+CNMI: 0,0,0,0,1" in desk.say(b"AT+CNMI?\r")
    assert b"+CMGR: 0,," in desk.say(b"AT+CMGR=1\r")


async def test_under_autobaud_there_is_no_sysstart(desk: Desk) -> None:
    desk.quietly("AT+IPR=0", "AT&W")
    desk.modem.power_off()
    desk.modem.power_on()
    assert desk.taken() == b""
    assert desk.say(b"AT\r") == b"\r\nOK\r\n", "echo off was stored"
