"""A serial line as octets, over a real pseudo-terminal."""

import asyncio
import contextlib
import os
import pty
import termios
import tty
from collections.abc import Iterator

import pytest

from engine.errors import ModemLost
from engine.modem.port import Port


@pytest.fixture
def ends() -> Iterator[tuple[int, str]]:
    """The other end's descriptor, and the path of ours."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for end in (slave, master):
        with contextlib.suppress(OSError):  # the test may have
            os.close(end)


async def test_octets_pass_unchanged_both_ways(ends: tuple[int, str]) -> None:
    master, path = ends
    port = Port.open(path, 115_200, hardware_flow=False)
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    port.on_octets = heard.set_result
    octets = bytes(range(256))
    port.write(octets)
    assert os.read(master, 999) == octets
    assert port.written == 256
    os.write(master, octets)
    assert await asyncio.wait_for(heard, 5) == octets
    port.close()
    port.close()


async def test_hardware_flow_is_tolerated_on_a_pseudo_terminal_and_breaks_are_ignored(
    ends: tuple[int, str],
) -> None:
    port = Port.open(ends[1], 19_200, hardware_flow=True)
    assert termios.tcgetattr(port.fd)[0] & termios.IGNBRK
    port.close()


async def test_what_the_line_does_not_take_at_once_follows_in_order(ends: tuple[int, str]) -> None:
    master, path = ends
    port = Port.open(path, 115_200, hardware_flow=False)
    octets = bytes(at % 251 for at in range(200_000))
    port.write(octets[:150_000])
    port.write(octets[150_000:])
    assert port.written < len(octets)
    os.set_blocking(master, False)
    loop, got, all_there = asyncio.get_running_loop(), bytearray(), asyncio.Event()

    def read() -> None:
        got.extend(os.read(master, 65_536))
        if len(got) == len(octets):
            all_there.set()

    loop.add_reader(master, read)
    await asyncio.wait_for(all_there.wait(), 5)
    loop.remove_reader(master)
    assert bytes(got) == octets
    assert port.written == len(octets)
    port.close()


async def test_a_forgotten_backlog_is_never_written(ends: tuple[int, str]) -> None:
    master, path = ends
    port = Port.open(path, 115_200, hardware_flow=False)
    port.write(b"x" * 200_000)
    taken = port.written
    port.forget_backlog()
    os.set_blocking(master, False)
    left = 0
    while left < taken:
        left += len(os.read(master, 65_536))
        await asyncio.sleep(0)
    assert port.written == taken
    port.close()


async def test_the_loss_of_the_line_is_told_once_and_not_from_inside_a_write(ends: tuple[int, str]) -> None:
    master, path = ends
    port = Port.open(path, 115_200, hardware_flow=False)
    reasons: list[str] = []
    lost = asyncio.Event()
    port.on_lost = lambda reason: (reasons.append(reason), lost.set())[0]
    os.close(master)
    port.write(b"AT\r")
    assert not reasons
    await asyncio.wait_for(lost.wait(), 5)
    port.write(b"AT\r")
    await asyncio.sleep(0)
    assert len(reasons) == 1
    port.close()


async def test_a_port_that_is_not_there_or_taken_is_lost(ends: tuple[int, str]) -> None:
    with pytest.raises(ModemLost, match="No such file"):
        Port.open("/dev/no-such-port", 115_200, hardware_flow=False)
    port = Port.open(ends[1], 115_200, hardware_flow=False)
    with pytest.raises(ModemLost):
        Port.open(ends[1], 115_200, hardware_flow=False)
    port.close()
