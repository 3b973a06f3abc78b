"""Racks as other programs see them: terminals in a folder."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import ConfigError, Conflict, NotFound
from engine.sim.line import ONE_OCTET, lossy, slow
from engine.sim.rack import Rack, check_digit

from .conftest import Host, until

TPDU = "1100" + "0D91945107000040F2" + "0000A7104F39B92C07C564331A485E0E93F3"
ASK = f"AT+CMGS={len(TPDU) // 2}\r".encode()
GIVE = f"00{TPDU}\x1a".encode()
SENT = b"\r\n+CMGS: 0\r\n\r\nOK\r\n"
ECHO_OFF = (b"ATE0\r", b"ATE0\r\r\nOK\r\n")
Connect = Callable[[Path], Host]


async def test_a_whole_send_octet_by_octet(racks: Callable[..., Rack], hosts: Connect) -> None:
    host = hosts(racks().ports[0])
    await host.transcript(
        *ECHO_OFF,
        b"AT+CMEE=1\r",
        b"\r\nOK\r\n",
        b"AT^SM20=0,0\r",
        b"\r\nOK\r\n",
        b"AT+CNMI=2,1,0,2,1\r",
        b"\r\nOK\r\n",
        ASK.replace(b"AT", b"at"),
        b"\r\n> ",
        GIVE.replace(b"001100", b"003100"),
        SENT + b'\r\n+CDSI: "MT",1\r\n',
        b"AT+CMGD=1\r",
        b"\r\nOK\r\n",
    )


async def test_a_killed_host_leaves_its_prompt_open_and_its_messages_in_place(
    racks: Callable[..., Rack], hosts: Connect
) -> None:
    rack = racks()
    first = hosts(rack.ports[0])
    await first.transcript(*ECHO_OFF, ASK, b"\r\n> ")
    first.write(b"0011")
    first.close()
    rack.network.text("+4915700000042", rack.modem("modem-00").sim.number, "meanwhile")
    second = hosts(rack.ports[0])
    await second.transcript(b"AT\r\x1b", b"\r\nOK\r\n", b"AT\r", b"\r\nOK\r\n")
    assert b"+CMGR: 0,," in await second.ask(b"AT+CMGR=1")


async def test_the_ledger_line_is_there_before_cmgs(
    racks: Callable[..., Rack], hosts: Connect, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    host = hosts(racks(ledger=ledger).ports[0])
    await host.transcript(*ECHO_OFF, ASK, b"\r\n> ", GIVE, b"\r\n+CMGS")
    line = json.loads(ledger.read_text())
    assert line["port"] == str(tmp_path / "rack" / "modem-00")
    assert line["reference"] == 0


async def test_unplugging_hangs_the_host_up_and_plugging_gives_a_new_line(
    racks: Callable[..., Rack], hosts: Connect
) -> None:
    rack = racks()
    host = hosts(rack.ports[0])
    await host.transcript(*ECHO_OFF, ASK, b"\r\n> ")
    rack.unplug("modem-00")
    async with asyncio.timeout(5):
        await host.is_lost.wait()
    assert not rack.ports[0].is_symlink()
    rack.network.text("+4915700000042", rack.modem("modem-00").sim.number, "into the void")
    rack.plug("modem-00")
    again = hosts(rack.ports[0])
    await again.transcript(b"\x1b", b"\r\nOK\r\n")
    assert b"+CMGR: 0,," in await again.ask(b"AT+CMGR=1")


@pytest.mark.parametrize(
    "mood", [pytest.param(ONE_OCTET, id="one octet at a time"), pytest.param(slow(57_600), id="57600 baud")]
)
async def test_a_moody_line_carries_the_same_octets(
    racks: Callable[..., Rack], hosts: Connect, mood: object
) -> None:
    host = hosts(racks(mood=mood, rate_baud=0).ports[0])
    await host.transcript(*ECHO_OFF, ASK, b"\r\n> ", GIVE, SENT, b"ATI\r", b"\r\nSIEMENS\r\nTC35i\r\n")


async def test_a_slow_line_takes_its_time(racks: Callable[..., Rack], hosts: Connect) -> None:
    host = hosts(racks(mood=slow(9_600), rate_baud=0).ports[0])
    began_s = time.monotonic()
    await host.transcript(b"AT+CSQ" + b" " * 90 + b"\r", b"AT+CSQ" + b" " * 90)
    assert time.monotonic() - began_s > 0.09


async def test_a_lossy_line_loses_the_same_octets_every_time(tmp_path: Path) -> None:
    heard = []
    for attempt in range(2):
        rack = Rack(tmp_path / str(attempt), 1, mood=lossy(0.2), seed=5)
        modem, line = rack.modem("modem-00"), rack.line("modem-00")
        rack.start()
        host = Host(line.link)
        kept: list[bytes] = []
        line.receive = kept.append
        host.write(b"0123456789" * 20 + b"!!!!!!")
        await until(lambda: any(b"!" in octets for octets in kept))  # noqa: B023
        heard.append(b"".join(kept).rstrip(b"!"))
        assert modem.is_on
        host.close()
        rack.close()
    assert heard[0] == heard[1]
    assert 120 < len(heard[0]) < 190


async def test_a_host_that_never_reads_stops_nobody(racks: Callable[..., Rack], hosts: Connect) -> None:
    rack = racks(2)
    deaf, other = hosts(rack.ports[0]), hosts(rack.ports[1])
    asyncio.get_running_loop().remove_reader(deaf.fd)
    for _ in range(40):
        rack.line("modem-00").write(b"x" * 10_000)
    await other.transcript(b"AT\r", b"AT\r\r\nOK\r\n")


async def test_the_rack_describes_itself(racks: Callable[..., Rack], tmp_path: Path) -> None:
    rack = racks(2, first_number="+4915700009999")
    described = json.loads((tmp_path / "rack" / "rack.json").read_text())
    assert described["pid"] == os.getpid()
    assert described["ledger"] is None
    assert described["modems"] == [
        {
            "name": "modem-00",
            "port": str(tmp_path / "rack" / "modem-00"),
            "imsi": "460000000000001",
            "number": "+4915700009999",
            "imei": "350000000000014",
        },
        {
            "name": "modem-01",
            "port": str(tmp_path / "rack" / "modem-01"),
            "imsi": "460000000000002",
            "number": "+4915700010000",
            "imei": "350000000000022",
        },
    ]
    rack.close()
    assert [one.name for one in (tmp_path / "rack").iterdir()] == [".rack.lock"]


async def test_names_outlive_a_killed_rack(
    racks: Callable[..., Rack], hosts: Connect, tmp_path: Path
) -> None:
    folder = tmp_path / "rack"
    folder.mkdir()
    for name in ("modem-00", "modem-07"):
        (folder / name).symlink_to("/dev/pts/999999")
    (folder / "modem-notes").write_text("not a link: not ours")
    rack = racks()
    await hosts(rack.ports[0]).transcript(b"AT\r", b"AT\r\r\nOK\r\n")
    assert not (folder / "modem-07").is_symlink()
    assert (folder / "modem-notes").exists()


async def test_one_folder_one_rack(racks: Callable[..., Rack], tmp_path: Path) -> None:
    racks()
    with pytest.raises(Conflict):
        Rack(tmp_path / "rack", 1).start()


async def test_asks_for_what_is_not_there(racks: Callable[..., Rack], tmp_path: Path) -> None:
    rack = racks()
    for ask in (rack.modem, rack.line, rack.unplug, rack.plug):
        with pytest.raises(NotFound):
            ask("modem-99")
    with pytest.raises(ConfigError):
        Rack(tmp_path / "none", 0)


@pytest.mark.parametrize(("digits", "check"), [("49015420323751", "8"), ("7992739871", "3")])
def test_check_digits(digits: str, check: str) -> None:
    assert check_digit(digits) == check


RACK = """
import asyncio, sys
from pathlib import Path
from engine.sim.rack import Rack

async def main():
    Rack(Path(sys.argv[1]), 4, ledger=Path(sys.argv[1]) / "ledger.jsonl").start()
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def killed_rack(tmp_path: Path) -> Iterator[Path]:
    """The folder of a rack of four in a process of its own, which is killed at the end."""
    rack = subprocess.Popen([sys.executable, "-c", RACK, tmp_path], stdout=subprocess.PIPE, text=True)
    with rack:
        assert rack.stdout is not None
        assert rack.stdout.readline() == "up\n"
        yield tmp_path
        rack.kill()


async def test_every_part_a_host_was_told_of_is_in_the_ledger(
    killed_rack: Path, hosts: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    """And how fast four modems are: printed, since it depends on who else is on the machine."""
    each = 250

    async def run(host: Host) -> None:
        await host.transcript(*ECHO_OFF)
        for part in range(each):
            said = b"\r\n+CMGS: %d\r\n\r\nOK\r\n" % (part % 256)
            await host.transcript(ASK, b"\r\n> ", GIVE, said)

    ports = [killed_rack / f"modem-{at:02d}" for at in range(4)]
    began_s = time.monotonic()
    await asyncio.gather(*(run(hosts(port)) for port in ports))
    took_s = time.monotonic() - began_s
    lines = (killed_rack / "ledger.jsonl").read_text().splitlines()
    assert Counter(json.loads(line)["port"] for line in lines) == {str(port): each for port in ports}
    with capsys.disabled():
        print(f" {4 * each / took_s:,.0f} parts/s ", end="")
