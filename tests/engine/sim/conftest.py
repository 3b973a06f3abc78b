"""A modem whose octets are caught in memory, and racks with a host at the other end of a real terminal."""

import asyncio
import os
import re
import termios
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.sim.messages import WORDS
from engine.sim.network import Network, Sim
from engine.sim.profile import Quirks
from engine.sim.rack import Rack
from engine.sim.storage import Storage
from engine.sim.tc35i import TC35i

PATIENCE_S = 5.0
FINAL = re.compile(rb"\r\n(OK|ERROR|\+CM[ES] ERROR: [^\r]*)\r\n$")


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is asked for tells nobody
            await asyncio.sleep(0.001)


class Clock:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.ms = 1_770_000_000_000

    def __call__(self) -> int:
        return self.ms


class Desk:
    """One modem on the table: `say` gives what it answers at once."""

    def __init__(self, network: Network, quirks: Quirks, **options: Any) -> None:
        self.network = network
        self.sim = Sim(
            imsi="460000000000001",
            number="+8613900000001",
            iccid="89860000000000000012",
            service_centre=network.service_centre,
            port="desk",
            pin=options.pop("pin", None),
        )
        network.add(self.sim)
        self.heard = b""
        storage = Storage(options.pop("sm_slots", 15))
        self.modem = TC35i(
            self.sim, network, WORDS, imei="350000000000014", write=self.hear, quirks=quirks, storage=storage
        )
        self.modem.power_on()
        self.taken()

    def hear(self, octets: bytes) -> None:
        self.heard += octets

    def taken(self) -> bytes:
        """What came since the last look."""
        heard, self.heard = self.heard, b""
        return heard

    def say(self, octets: bytes) -> bytes:
        self.modem.feed(octets)
        return self.taken()

    def quietly(self, *commands: str) -> None:
        """Commands that must succeed, without echo."""
        for command in ("ATE0", *commands):
            assert self.say(command.encode() + b"\r").endswith(b"\r\nOK\r\n")

    async def until(self, pattern: bytes) -> bytes:
        """What came, once it contains a pattern."""
        await until(lambda: pattern in self.heard)
        return self.taken()


class Host:
    """A program that has a port open."""

    def __init__(self, port: Path) -> None:
        self.fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        termios.tcflush(self.fd, termios.TCIFLUSH)
        self.heard = b""
        self.is_lost = asyncio.Event()
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    def _read(self) -> None:
        try:
            octets = os.read(self.fd, 65_536)
        except OSError:
            octets = b""
        if not octets:
            self.is_lost.set()
            asyncio.get_running_loop().remove_reader(self.fd)
        self.heard += octets
        self._news.set()

    def write(self, octets: bytes) -> None:
        os.write(self.fd, octets)

    async def octets(self, count: int) -> bytes:
        """Exactly so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()
        taken, self.heard = self.heard[:count], self.heard[count:]
        return taken

    async def transcript(self, *turns: bytes) -> None:
        """Alternately what the host writes and what it must hear, octet by octet."""
        for wrote, expected in zip(turns[::2], turns[1::2], strict=True):
            self.write(wrote)
            assert await self.octets(len(expected)) == expected

    async def ask(self, command: bytes) -> bytes:
        """Everything up to the final result."""
        self.write(command + b"\r")
        async with asyncio.timeout(PATIENCE_S):
            while not FINAL.search(self.heard):
                self._news.clear()
                await self._news.wait()
        taken, self.heard = self.heard, b""
        return taken

    def close(self) -> None:
        if self.fd >= 0:
            asyncio.get_running_loop().remove_reader(self.fd)
            os.close(self.fd)
            self.fd = -1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def network(clock: Clock, tmp_path: Path) -> AsyncIterator[Network]:
    network = Network(seed=1, now_ms=clock, ledger=tmp_path / "ledger.jsonl")
    yield network
    network.close()


@pytest.fixture
async def lay(network: Network) -> AsyncIterator[Callable[..., Desk]]:
    """Put a modem on the table; keywords are quirks, or `pin`, `sm_slots`."""
    desks: list[Desk] = []

    def put(**options: Any) -> Desk:
        own = {name: options.pop(name) for name in ("pin", "sm_slots") if name in options}
        desks.append(Desk(network, Quirks(**options), **own))
        return desks[-1]

    yield put
    for desk in desks:
        desk.modem.power_off()


@pytest.fixture
async def desk(lay: Callable[..., Desk]) -> Desk:
    return lay()


@pytest.fixture
async def racks(tmp_path: Path) -> AsyncIterator[Callable[..., Rack]]:
    """Start racks in one folder; those still running are closed at the end."""
    started: list[Rack] = []

    def start(modems: int = 1, **options: Any) -> Rack:
        rack = Rack(tmp_path / "rack", modems, **options)
        rack.start()
        started.append(rack)
        return rack

    yield start
    for rack in started:
        rack.close()


@pytest.fixture
async def hosts() -> AsyncIterator[Callable[[Path], Host]]:
    opened: list[Host] = []

    def connect(port: Path) -> Host:
        opened.append(Host(port))
        return opened[-1]

    yield connect
    for host in opened:
        host.close()


@pytest.fixture
def ledger_lines(tmp_path: Path) -> Callable[[], list[str]]:
    def read() -> list[str]:
        return (tmp_path / "ledger.jsonl").read_text().splitlines()

    return read
