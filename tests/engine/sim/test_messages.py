"""The commands about messages that are not sending."""

from collections.abc import Callable

import pytest

from .conftest import Desk

STORED = b"0011000D91945107000040F20008A7020041"
DELIVER = b"0891683109000000F0040D91945107000040F20008"


@pytest.mark.parametrize(
    ("wrote", "heard"),
    [
        pytest.param(b"AT+CPMS?", b'+CPMS: "MT",0,40,"MT",0,40,"MT",0,40', id="factory memories"),
        pytest.param(
            b"AT+CPMS=?", b'+CPMS: ("MT","SM","ME"),("MT","SM","ME"),("MT","SM")', id="mem3 is never ME"
        ),
        pytest.param(b'AT+CPMS="SM","SM","SM"', b"+CPMS: 0,15,0,15,0,15", id="all on the SIM"),
        pytest.param(
            b"AT+CPMS=SM,ME", b"+CPMS: 0,15,0,25,0,40", id="without quotation marks, and two of three"
        ),
        pytest.param(b"AT+CSMS?", b"+CSMS: 0,1,1,1", id="phase 2"),
        pytest.param(b"AT+CSMS=1", b"+CSMS: 1,1,1", id="phase 2+"),
        pytest.param(b"AT+CNMI?", b"+CNMI: 0,0,0,0,1", id="no indications"),
        pytest.param(b"AT+CNMI=?", b"+CNMI: (0-3),(0,1),(0,2,3),(0,2),(1)", id="indications in phase 2"),
        pytest.param(b"AT+CMGF?", b"+CMGF: 0", id="PDU mode"),
        pytest.param(b"AT+CSCA?", b'+CSCA: "+8613900000000",145', id="service centre"),
        pytest.param(b"AT+CMGR=40", b"+CMGR: 0,,0", id="a free slot"),
        pytest.param(b"AT^SMGR=1", b"^SMGR: 0,,0", id="a free slot by the other name"),
        pytest.param(b"AT+CMGL=?", b"+CMGL: (0-4)", id="kinds of message"),
        pytest.param(b"AT^SMGO?", b"^SMGO: 0,0", id="overflow"),
        pytest.param(b"AT^SSCONF?", b"^SSCONF: 0,0", id="reports with filler"),
        pytest.param(b"AT^SSMSS?", b"^SSMSS: 0", id="ME before SM"),
        pytest.param(b"AT+CNMA=?", b"+CNMA: (0)", id="acknowledgement"),
    ],
)
async def test_answers_with_one_line_and_ok(desk: Desk, wrote: bytes, heard: bytes) -> None:
    desk.quietly()
    assert desk.say(wrote + b"\r") == b"\r\n" + heard + b"\r\n\r\nOK\r\n"


@pytest.mark.parametrize("wrote", [b"AT+CMGL=4", b"AT+CMGL", b"AT+CMGD=40", b"AT+CMGS=?"])
async def test_answers_with_ok_alone(desk: Desk, wrote: bytes) -> None:
    desk.quietly()
    assert desk.say(wrote + b"\r") == b"\r\nOK\r\n"


@pytest.mark.parametrize(
    ("wrote", "heard"),
    [
        pytest.param(b'AT+CPMS="ME","ME","ME"', b"+CMS ERROR: 302", id="mem3 ME"),
        pytest.param(b'AT+CPMS="XX"', b"+CMS ERROR: 302", id="no such memory"),
        pytest.param(b"AT+CNMI=2,1,0,2,0", b"+CMS ERROR: 302", id="bfr 0"),
        pytest.param(b"AT+CNMI=2,2,0,0,1", b"+CMS ERROR: 302", id="mt 2 in phase 2"),
        pytest.param(b"AT+CNMI=2,1,0,1,1", b"+CMS ERROR: 302", id="ds 1 in phase 2"),
        pytest.param(b"AT+CNMI=2,1,1,0,1", b"+CMS ERROR: 302", id="bm 1"),
        pytest.param(b"AT+CNMI=x", b"+CMS ERROR: 302", id="not a number"),
        pytest.param(b"AT+CMGR=0", b"+CMS ERROR: 321", id="below the store"),
        pytest.param(b"AT+CMGR=41", b"+CMS ERROR: 321", id="above the store"),
        pytest.param(b"AT+CMGD=41", b"+CMS ERROR: 321", id="deleting above the store"),
        pytest.param(b"AT+CMGD=1,4", b"+CMS ERROR: 321", id="no second parameter"),
        pytest.param(b"AT+CMGS=0", b"+CMS ERROR: 304", id="no length"),
        pytest.param(b'AT+CMGS="+49"', b"+CMS ERROR: 304", id="text mode's form in PDU mode"),
        pytest.param(b"AT+CNMA", b"+CMS ERROR: 340", id="nothing to acknowledge"),
        pytest.param(b"AT+CMMS=?", b"ERROR", id="not on a TC35i"),
        pytest.param(b"AT+CMMS=2", b"ERROR", id="not on a TC35i either"),
    ],
)
async def test_refuses(desk: Desk, wrote: bytes, heard: bytes) -> None:
    desk.quietly()
    assert desk.say(wrote + b"\r") == b"\r\n" + heard + b"\r\n"


async def test_what_cnmi_leaves_out_stays(desk: Desk) -> None:
    desk.quietly("AT+CNMI=2,1,0,2,1", "AT+CNMI=1", "AT+CNMI=,,2")
    assert b"+CNMI: 1,1,2,2,1\r\n" in desk.say(b"AT+CNMI?\r")


async def test_listing_joins_entries_and_flips_what_was_unread(desk: Desk) -> None:
    desk.quietly()
    for text in ("a", "b"):
        desk.network.text("+4915700000042", desk.sim.number, text)
    entries = [line for line in desk.say(b"AT^SMGL\r").split(b"\r\n") if line]
    assert [line for line in entries if line.startswith(b"^")] == [b"^SMGL: 1,0,,22", b"^SMGL: 2,0,,22"]
    heard = desk.say(b"AT+CMGL=0\r")
    assert heard.startswith(b"\r\n+CMGL: 1,0,,22\r\n" + DELIVER)
    assert heard.endswith(b"020062\r\n\r\nOK\r\n")
    assert heard.count(b"\r\n\r\n") == 1, "one blank line, before OK"
    assert desk.say(b"AT+CMGL=0\r") == b"\r\nOK\r\n"
    assert desk.say(b"AT+CMGL=1\r").count(b"+CMGL: ") == 2
    assert desk.say(b"AT+CMGL=4\r").count(b",1,,22\r\n") == 2
    assert desk.say(b"AT+CMGR=2\r").startswith(b"\r\n+CMGR: 1,,22\r\n" + DELIVER)


async def test_reading_flips_and_deleting_frees(desk: Desk) -> None:
    desk.quietly()
    desk.network.text("+4915700000042", desk.sim.number, "a")
    assert b"+CMGR: 0,,22" in desk.say(b"AT+CMGR=1\r")
    assert b"+CMGR: 1,,22" in desk.say(b"AT+CMGR=1\r")
    assert b'+CPMS: "MT",1,40' in desk.say(b"AT+CPMS?\r")
    assert desk.say(b"AT+CMGD=1\r") == b"\r\nOK\r\n"
    assert desk.say(b"AT+CMGR=1\r") == b"\r\n+CMGR: 0,,0\r\n\r\nOK\r\n"


async def test_a_message_can_be_written_and_sent_from_store(desk: Desk) -> None:
    desk.quietly()
    assert desk.say(b"AT+CMGW=17\r") == b"\r\n> "
    assert desk.say(STORED + b"\x1a") == b"\r\n+CMGW: 1\r\n\r\nOK\r\n"
    assert b"+CMGR: 2,,17\r\n" + STORED in desk.say(b"AT+CMGR=1\r")
    assert desk.say(b"AT+CMSS=1\r") == b"\r\n+CMSS: 0\r\n\r\nOK\r\n"
    assert b"+CMGL: 1,3,,17" in desk.say(b"AT+CMGL=3\r")
    assert [one.destination for one in desk.network.accepted] == ["+4915700000042"]


async def test_text_mode_is_refused_where_it_would_matter(desk: Desk) -> None:
    desk.quietly("AT+CMGF=1")
    assert desk.say(b'AT+CMGS="+4915700000042"\r') == b"\r\n+CMS ERROR: 302\r\n"
    assert desk.say(b"AT+CMGR=1\r") == b"\r\n+CMS ERROR: 302\r\n"


async def test_switching_mem3_takes_its_time(lay: Callable[..., Desk]) -> None:
    desk = lay(switch_ms=20)
    desk.quietly()
    assert desk.say(b'AT+CPMS="SM","SM"\r') == b"\r\n+CPMS: 0,15,0,15,0,40\r\n\r\nOK\r\n"
    assert desk.say(b'AT+CPMS="SM","SM","SM"\r') == b""
    assert await desk.until(b"OK\r\n") == b"\r\n+CPMS: 0,15,0,15,0,15\r\n\r\nOK\r\n"


async def test_every_cdsi_may_come_twice(lay: Callable[..., Desk]) -> None:
    desk = lay(repeats_cdsi=True)
    desk.quietly("AT+CNMI=2,1,0,2,1")
    desk.say(b"AT+CMGS=17\r")
    heard = desk.say(STORED.replace(b"0011", b"0031", 1) + b"\x1a")
    assert heard.endswith(b'OK\r\n\r\n+CDSI: "MT",1\r\n\r\n+CDSI: "MT",1\r\n')
