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


@needs_a_switchboard
def test_several_that_raise_in_one_turn_are_told_as_a_group(ends: ExitStack) -> None:
    board = Switchboard()

    def fail(_: bytes) -> None:
        raise ValueError("always")

    for _ in range(3):
        wire = line(ends)
        board.add(wire)
        wire.on_octets = fail
        wire.far.send(b"OK")
    with pytest.raises(ExceptionGroup) as raised:
        board.readable()
    assert len(raised.value.exceptions) == 3


def heard_by_far(wire: Line) -> bytes:
    try:
        return wire.far.recv(999)
    except BlockingIOError:
        return b""


@needs_a_switchboard
@pytest.mark.parametrize("wires_at_once", [1, 20, MORE_THAN_A_TURN_SERVES])
def test_what_is_written_in_a_turn_leaves_at_its_end_in_order(ends: ExitStack, wires_at_once: int) -> None:
    board = Switchboard()
    wires = [line(ends) for _ in range(wires_at_once)]

    def answer(wire: Line, octets: bytes) -> None:
        wire.heard.append(octets)
        for other in wires:
            other.write(octets)
            other.write(b";")
            assert (heard_by_far(other), other.written) == (b"", 0)

    for wire in wires:
        board.add(wire)
        wire.on_octets = partial(answer, wire)
    wires[-1].far.send(b"RING")
    board.readable()
    assert [heard_by_far(wire) for wire in wires] == [b"RING;"] * wires_at_once
    assert [wire.written for wire in wires] == [5] * wires_at_once


@needs_a_switchboard
@pytest.mark.parametrize("wires_at_once", [1, 20])
def test_what_is_gathered_is_written_once_nobody_gathers_even_if_somebody_failed(
    ends: ExitStack, wires_at_once: int
) -> None:
    board = Switchboard()
    wires = [line(ends) for _ in range(wires_at_once)]

    def gather() -> None:
        with board:
            with board:
                for wire in wires:
                    board.add(wire)
                    wire.write(b"AT")
            assert [heard_by_far(wire) for wire in wires] == [b""] * wires_at_once
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        gather()
    assert [heard_by_far(wire) for wire in wires] == [b"AT"] * wires_at_once
    wires[0].write(b"H")
    assert heard_by_far(wires[0]) == b"H"


@needs_a_switchboard
def test_what_is_gathered_can_be_pushed_or_forgotten_and_goes_before_its_wire_does(ends: ExitStack) -> None:
    board = Switchboard()
    pushed, forgotten, removed, gone, lost = wires = [line(ends) for _ in range(5)]
    with board:
        for wire in wires:
            board.add(wire)
            wire.write(b"AT")
        pushed.push()
        pushed.push()
        assert (heard_by_far(pushed), pushed.written) == (b"AT", 2)
        pushed.write(b"H")
        forgotten.forget()
        board.remove(removed)
        removed.write(b"I")
        assert (heard_by_far(removed), removed.written) == (b"ATI", 3)
        gone.let_go()
        lost.is_up = False
    assert [(heard_by_far(wire), wire.written) for wire in wires] == [(b"H", 3), (b"", 0), (b"", 3), (b"", 0), (b"", 0)]


@needs_a_switchboard
@pytest.mark.parametrize("wires_at_once", [0, 20])
def test_a_line_that_is_full_or_gone_at_the_end_of_a_gathering_is_told_so(ends: ExitStack, wires_at_once: int) -> None:
    board = Switchboard()
    full, fuller, held, gone, *others = wires = [line(ends) for _ in range(4 + wires_at_once)]
    octets = b"0" * 1_000_000
    fuller.write(octets)
    fuller.held.clear()
    taken = fuller.written
    gone.far.close()
    with board:
        for wire in wires:
            board.add(wire)
        full.write(octets)
        for wire in wires[1:]:
            wire.write(b"AT")
        held.backlog = b"ATH"
    assert 0 < full.written < len(octets)
    assert full.held == [octets[full.written :]]
    assert (fuller.held, fuller.written) == ([b"AT"], taken)
    assert (held.held, held.written) == ([b"AT"], 0)
    assert (gone.failed, gone.written) == ([errno.EPIPE], 0)
    assert [heard_by_far(wire) for wire in others] == [b"AT"] * wires_at_once


@needs_a_switchboard
def test_a_number_that_is_used_again_gets_nothing_of_what_was_for_the_line_before(ends: ExitStack) -> None:
    board = Switchboard()
    old = line(ends)
    with board:
        board.add(old)
        old.write(b"old")
        number = old.fd
        old.is_up = False
        board.remove(old)
        old.let_go()
        old.ours.close()
        new = line(ends)
        assert new.fd == number
        board.add(new)
    assert heard_by_far(new) == b""


@needs_a_switchboard
def test_who_is_told_of_a_full_line_may_write(ends: ExitStack) -> None:
    board = Switchboard()
    other = line(ends)

    class Teller(Line):
        def hold(self, octets: bytes) -> None:
            super().hold(octets)
            other.write(b"full")
            raise ValueError("so it is")

    wire = line(ends)
    full = Teller(wire.ours, wire.far)
    board.add(full)
    board.add(other)

    def gather() -> None:
        with board:
            full.write(b"0" * 1_000_000)
            other.write(b"is ")

    with pytest.raises(ValueError, match="so it is"):
        gather()
    assert heard_by_far(other) == b"is full"
