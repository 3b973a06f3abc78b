"""Octets in and out of descriptors, one by one and many behind one."""

import asyncio
import errno
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from engine._wire import Switchboard, Wire

MORE_THAN_A_TURN_SERVES = 150


class Line(Wire):
    """Writes down what is told of it."""

    def __init__(self, ours: socket.socket, far: socket.socket) -> None:
        super().__init__(ours.fileno())
        self.ours = ours
        self.far = far
        self.heard: list[bytes] = []
        self.failed: list[int] = []
        self.held: list[bytes] = []
        self.on_octets = self.heard.append

    def hold(self, octets: bytes) -> None:
        self.held.append(octets)

    def fail(self, number: int) -> None:
        self.failed.append(number)


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def line(ends: ExitStack) -> Line:
    ours, far = socket.socketpair()
    for end in (ours, far):
        ends.enter_context(end)
        end.setblocking(False)
    return Line(ours, far)


needs_a_switchboard = pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has none")


def test_what_is_read_is_told_and_nothing_where_there_is_nothing(ends: ExitStack) -> None:
    wire = line(ends)
    wire.readable()
    wire.far.send(b"OK")
    wire.readable()
    assert (wire.heard, wire.failed) == ([b"OK"], [])


def test_a_long_saying_comes_in_pieces_and_in_order(ends: ExitStack) -> None:
    wire = line(ends)
    said = bytes(at % 251 for at in range(5000))
    wire.far.send(said)
    while b"".join(wire.heard) != said:
        wire.readable()
    assert len(wire.heard) > 1


def test_the_end_of_a_line_has_no_number_and_an_error_has_its_own(ends: ExitStack) -> None:
    wire = line(ends)
    wire.far.close()
    wire.readable()
    wire.write(b"AT\r")
    assert wire.failed == [0, errno.EPIPE]
    assert wire.written == 0


def test_what_is_not_taken_is_held_and_not_counted(ends: ExitStack) -> None:
    wire = line(ends)
    octets = b"0" * 1_000_000
    wire.write(octets)
    assert 0 < wire.written < len(octets)
    assert wire.held == [octets[wire.written :]]
    written = wire.written
    wire.write(b"AT\r")
    wire.backlog = wire.held[0]
    wire.write(b"ATH\r")
    assert wire.held[1:] == [b"AT\r", b"ATH\r"]
    assert wire.written == written


def test_a_line_that_is_not_up_neither_reads_nor_writes(ends: ExitStack) -> None:
    wire = line(ends)
    wire.far.send(b"OK")
    wire.is_up = False
    wire.readable()
    wire.write(b"AT\r")
    wire.let_go()
    assert (wire.heard, wire.failed, wire.written, wire.fd) == ([], [], 0, -1)


@needs_a_switchboard
def test_a_switchboard_is_readable_as_long_as_one_of_its_wires_is(ends: ExitStack) -> None:
    board = Switchboard()
    wires = [line(ends) for _ in range(MORE_THAN_A_TURN_SERVES)]
    for number, wire in enumerate(wires):
        board.add(wire)
        wire.far.send(b"%d" % number)
    turns = 0
    while select.select([board.fd], [], [], 0)[0]:
        board.readable()
        turns += 1
    assert 1 < turns <= MORE_THAN_A_TURN_SERVES
    assert [wire.heard for wire in wires] == [[b"%d" % number] for number in range(MORE_THAN_A_TURN_SERVES)]


@needs_a_switchboard
def test_a_wire_removed_by_what_another_told_is_not_read_and_the_one_in_its_place_is(ends: ExitStack) -> None:
    board = Switchboard()
    first, second = line(ends), line(ends)
    late: list[Line] = []

    def replace(wire: Line, gone: Line, octets: bytes) -> None:
        """Whoever comes first closes the other, whose number the next line takes."""
        wire.heard.append(octets)
        board.remove(gone)
        board.remove(gone)
        gone.ours.close()
        late.append(line(ends))
        board.add(late[0])

    for wire, gone in ((first, second), (second, first)):
        board.add(wire)
        wire.far.send(b"RING")
        wire.on_octets = partial(replace, wire, gone)
    board.readable()
    assert first.heard + second.heard == [b"RING"]
    assert late[0].heard == []
    late[0].far.send(b"OK")
    board.readable()
    assert late[0].heard == [b"OK"]


@needs_a_switchboard
def test_what_one_wire_raises_reaches_the_caller_and_the_others_are_read_next(ends: ExitStack) -> None:
    board = Switchboard()
    wires = [line(ends) for _ in range(3)]

    def fail(_: bytes) -> None:
        raise ValueError("always")

    for wire in wires:
        board.add(wire)
        wire.far.send(b"OK")
    wires[0].on_octets = fail
    raised = 0
    for _ in range(3):
        try:
            board.readable()
        except ValueError:
            raised += 1
    assert raised == 1
    assert [wire.heard for wire in wires] == [[], [b"OK"], [b"OK"]]


@needs_a_switchboard
def test_two_loops_in_one_process_have_two_switchboards(ends: ExitStack) -> None:
    heard: dict[str, list[bytes]] = {}

    async def listen(name: str, wire: Line) -> None:
        board, loop, whole = Switchboard(), asyncio.get_running_loop(), asyncio.Event()

        def take(octets: bytes) -> None:
            heard.setdefault(name, []).append(octets)
            if octets.endswith(b"."):
                whole.set()

        wire.on_octets = take
        board.add(wire)
        loop.add_reader(board.fd, board.readable)
        wire.far.send(name.encode() + b".")
        await asyncio.wait_for(whole.wait(), 5)
        loop.remove_reader(board.fd)

    listening = [listen("one", line(ends)), listen("two", line(ends))]
    threads = [threading.Thread(target=asyncio.run, args=[each]) for each in listening]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {"one": [b"one."], "two": [b"two."]}
