"""The rack in C says what a TC35i says, as far as it says anything."""

import os
import re
import select
import shutil
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rack.ground import Disk
from bench.rack.zero import Zero, zero
from engine import sms

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

LIMIT_S = 5.0


class Host:
    """Who has a modem's port open."""

    def __init__(self, port: Path) -> None:
        self.fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd, termios.TCSANOW)

    def say(self, octets: bytes) -> None:
        os.write(self.fd, octets)

    def hear(self, ending: bytes) -> bytes:
        """What comes up to `ending`."""
        heard = b""
        while not heard.endswith(ending):
            assert select.select([self.fd], [], [], LIMIT_S)[0], f"{heard!r}, and then silence"
            heard += os.read(self.fd, 4096)
        return heard

    def ask(self, command: str) -> bytes:
        self.say(command.encode() + b"\r")
        return self.hear(b"OK\r\n")

    def submit(self, pdu: str, length: int, ending: bytes = b"OK\r\n") -> bytes:
        self.say(b"AT+CMGS=%d\r" % length)
        self.hear(b"\r\n> ")
        self.say(pdu.encode() + b"\x1a")
        return self.hear(ending)

    def close(self) -> None:
        os.close(self.fd)


def part(*, wants_report: bool = False) -> tuple[str, int]:
    """A PDU and its length as AT+CMGS takes it."""
    (tpdu,) = sms.encode("+8613800000007", "Hello", sms.Envelope(wants_report=wants_report))
    return sms.line(tpdu).decode(), len(tpdu)


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Zero]:
    with zero(tmp_path / "rack", 2, ledger=tmp_path / "ledger", reports=True) as made:
        yield made


@pytest.fixture
def host(rack: Zero) -> Iterator[Host]:
    made = Host(rack.folder / "modem-01")
    made.ask("ATE0")
    yield made
    made.close()


def test_each_modem_has_a_sim_of_its_own(rack: Zero, host: Host) -> None:
    other = Host(rack.folder / "modem-00")
    assert b"460000000000001" in other.ask("AT+CIMI")
    assert b"460000000000002" in host.ask("AT+CIMI")
    other.close()


def test_references_count_up_and_wrap_behind_255(rack: Zero, host: Host) -> None:
    for expected in (*range(256), 0):
        assert host.submit(*part()) == b"\r\n+CMGS: %d\r\n\r\nOK\r\n" % expected
    assert rack.parts == 257


def test_a_pdu_of_another_length_than_announced_is_refused(rack: Zero, host: Host) -> None:
    pdu, length = part()
    assert host.submit(pdu, length + 1, b"304\r\n") == b"\r\n+CMS ERROR: 304\r\n"
    assert rack.measured()["refused"] == 1


def test_escape_leaves_a_prompt_that_a_killed_host_left_open(rack: Zero, host: Host) -> None:
    host.say(b"AT+CMGS=20\r")
    host.hear(b"> ")
    host.close()
    host.fd = os.open(rack.folder / "modem-01", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    host.say(b"\x1b\r")
    host.hear(b"OK\r\n")
    assert host.ask("AT") == b"\r\nOK\r\n"
    assert rack.parts == 0


def test_what_cannot_be_answered_is_an_error(host: Host) -> None:
    host.say(b"AT+WHAT\r")
    assert host.hear(b"ERROR\r\n") == b"\r\nERROR\r\n"


def test_a_part_that_wants_a_report_gets_it_behind_its_ok(host: Host) -> None:
    host.ask("AT+CNMI=2,1,0,2,1")
    host.say(b"AT+CMGS=%d\r" % part(wants_report=True)[1])
    host.hear(b"> ")
    host.say(part(wants_report=True)[0].encode() + b"\x1a")
    assert host.hear(b",1\r\n") == b'\r\n+CMGS: 0\r\n\r\nOK\r\n\r\n+CDSI: "MT",1\r\n'
    shown = re.search(rb"\+CMGR: 0,,(\d+)\r\n(\w+)\r\n", host.ask("AT+CMGR=1"))
    assert shown is not None
    report = sms.read(shown[2].decode(), int(shown[1]))
    assert isinstance(report, sms.StatusReport)
    assert (report.reference, report.recipient, report.outcome) == (0, "+8613800000007", 0)
    host.ask("AT+CMGD=1")
    assert b"+CMGR: 0,,0" in host.ask("AT+CMGR=1")


def test_the_ledger_holds_the_reference_in_the_tpdu(rack: Zero, host: Host, tmp_path: Path) -> None:
    for _ in range(2):
        host.submit(*part())
    rack.measured()
    lines = (tmp_path / "ledger").read_text().splitlines()
    assert [line.partition('"tpdu": "')[2][2:4] for line in lines] == ["00", "01"]


def test_the_air_takes_as_long_as_it_is_told(tmp_path: Path) -> None:
    with zero(tmp_path / "slow", 1, latency_ms=50) as rack:
        host = Host(rack.folder / "modem-00")
        began = time.monotonic()
        pdu, length = part()
        host.say(b"AT+CMGS=%d\r" % length)
        host.hear(b"> ")
        assert rack.flying == 0
        host.say(pdu.encode() + b"\x1a")
        host.hear(b"OK\r\n")
        assert time.monotonic() - began >= 0.05
        assert (rack.parts, rack.flying) == (1, 0)
        host.close()
        found = rack.measured()
    assert found["parts"] == 1
    assert found["air_s"] >= 0.05


def test_the_ledger_says_when_a_part_came_and_when_its_air_ended(tmp_path: Path) -> None:
    with zero(tmp_path / "slow", 1, latency_ms=50, ledger=tmp_path / "ledger") as rack:
        host = Host(rack.folder / "modem-00")
        began_s = time.monotonic()
        host.submit(*part())
        ended_s = time.monotonic()
        host.close()
        rack.measured()
        (taken,) = rack.taken()
    assert (taken.modem, taken.destination) == ("modem-00", "+8613800000007")
    assert began_s < taken.asked_s <= taken.given_s < taken.landed_s < ended_s
    assert taken.landed_s - taken.given_s >= 0.05


def test_the_first_part_of_a_modem_that_is_spread_is_longer_in_the_air(tmp_path: Path) -> None:
    with zero(tmp_path / "slow", 2, latency_ms=40, ledger=tmp_path / "ledger", spread=True) as rack:
        # The one that lands last begins first.
        hosts = [Host(rack.folder / name) for name in ("modem-01", "modem-00")]
        pdu, length = part()
        for host in hosts:
            host.say(b"AT+CMGS=%d\r" % length)
            host.hear(b"> ")
            host.say(pdu.encode() + b"\x1a")
        for host in hosts:
            host.hear(b"OK\r\n")
            host.close()
        rack.measured()
        air_s = {taken.modem: taken.landed_s - taken.given_s for taken in rack.taken()}
    assert air_s["modem-00"] >= 0.04
    assert air_s["modem-01"] >= 0.06


def test_who_waits_for_parts_in_the_air_is_told_how_many_there_are(tmp_path: Path) -> None:
    with zero(tmp_path / "slow", 2, latency_ms=3_600_000) as rack:
        for place, name in enumerate(("modem-00", "modem-01"), 1):
            host = Host(rack.folder / name)
            pdu, length = part()
            host.say(b"AT+CMGS=%d\r" % length)
            host.hear(b"> ")
            host.say(pdu.encode() + b"\x1a")
            until = time.monotonic() + LIMIT_S
            while rack.flying < place:
                assert time.monotonic() < until
            host.close()
        assert (rack.parts, rack.flying) == (0, 2)


def test_the_bare_loop_gets_every_part_through(rack: Zero) -> None:
    assert rack.bare(100)["parts"] == 100
    assert rack.measured()["parts"] == 100


def test_a_slow_disk_is_slow_for_every_way_to_flush(tmp_path: Path) -> None:
    script = (
        "import mmap, os, sys, time\n"
        "file = open(sys.argv[1], 'wb+')\n"
        "file.write(bytes(4096)); file.flush()\n"
        "page = mmap.mmap(file.fileno(), 4096)\n"
        "for flush in (lambda: os.fsync(file.fileno()), lambda: os.fdatasync(file.fileno()), page.flush):\n"
        "    began = time.monotonic(); flush(); print(time.monotonic() - began)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "file")],
        env={**os.environ, **Disk(30).environment}, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert all(float(line) >= 0.03 for line in said.splitlines())
    assert len(said.splitlines()) == 3
