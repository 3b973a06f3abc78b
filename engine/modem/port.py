"""One serial line as octets in and out.  Knows ttys, not AT.

The only module that imports `serial`.  Reading and writing never block, and are native (`engine._wire`): the file
descriptor is watched by the event loop, and what the line does not take at once waits here.
"""

import asyncio
import contextlib
import errno
import os
import select
import termios
from collections.abc import Callable

import serial

from engine._wire import Switchboard, Wire
from engine.errors import ModemLost

__all__ = ["Port", "Switchboard", "switchboard"]


def switchboard() -> Switchboard | None:
    """One descriptor for the loop to watch in place of many ports'; None where the system has no such thing."""
    return Switchboard() if hasattr(select, "epoll") else None


class Port(Wire):
    """An open serial line.  `on_octets` gets what was heard, `on_lost` is called once if the line goes.

    Neither is called from inside `write`; after `close` neither is called at all.  `written` counts the
    octets that the line has taken: what still waits here, or is gathered by the board, is not in it.
    """

    def __init__(self, device: serial.Serial, path: str, board: Switchboard | None) -> None:
        super().__init__(device.fileno())
        self.path = path
        self.on_octets: Callable[[bytes], None] = lambda _: None
        self.on_lost: Callable[[str], None] = lambda _: None
        self._device = device
        self._loop = asyncio.get_running_loop()
        self._board = board
        if board is not None:
            board.add(self)
        else:
            self._loop.add_reader(self.fd, self.readable)

    @classmethod
    def open(cls, path: str, baud: int, hardware_flow: bool, board: Switchboard | None = None) -> "Port":
        """Open `path` raw, 8N1, for us alone; a pseudo-terminal will do.  `board` watches it, else the loop itself.

        Opening raises DTR, which may power a terminal on.  A BREAK, which announces an unsolicited line, is
        ignored rather than read as NUL.  Raises ModemLost if it cannot be opened or someone else holds it.
        """
        try:
            device = serial.Serial(path, baud, timeout=0, write_timeout=0, rtscts=hardware_flow, exclusive=True)
        except (OSError, ValueError) as trouble:  # SerialException is an OSError
            raise ModemLost(_reason(trouble)) from trouble
        try:
            attributes = termios.tcgetattr(device.fileno())
            attributes[0] |= termios.IGNBRK
            termios.tcsetattr(device.fileno(), termios.TCSANOW, attributes)
            os.set_blocking(device.fileno(), False)
        except (OSError, termios.error) as trouble:
            device.close()
            raise ModemLost(_reason(trouble)) from trouble
        return cls(device, path, board)

    def hold(self, octets: bytes) -> None:
        """Let `octets` follow when the line takes more."""
        if not self.backlog:
            self._loop.add_writer(self.fd, self._writable)
        self.backlog += octets

    def forget_backlog(self) -> None:
        """Drop what the line has not taken yet: it must not follow a question that was given up."""
        self.forget()
        if self.backlog:
            self.backlog = b""
            self._loop.remove_writer(self.fd)

    def close(self) -> None:
        """Let go of the line.  Safe to call twice."""
        self.is_up = False
        if (fd := self.fd) < 0:
            return
        self._release()
        # Without this a tty may hold the whole process for its closing_wait, 30 s by default.
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(fd, termios.TCOFLUSH)
        self.let_go()
        self._device.close()

    def fail(self, number: int) -> None:
        """The line is gone: tell it once."""
        if not self.is_up:
            return
        self.is_up = False
        self._release()
        # From the loop, not from here: whoever is writing finishes first.
        self._loop.call_soon(self._tell_lost, _said(number) if number else "end of line")

    def _writable(self) -> None:
        octets, self.backlog = self.backlog, b""
        self._loop.remove_writer(self.fd)
        self.write(octets)

    def _tell_lost(self, reason: str) -> None:
        if self.fd >= 0:
            self.on_lost(reason)

    def _release(self) -> None:
        self.forget_backlog()
        if self._board is not None:
            self._board.remove(self)
        else:
            self._loop.remove_reader(self.fd)


def _reason(trouble: Exception) -> str:
    """Why, in words without the path: the port's name stands beside it everywhere."""
    number = getattr(trouble, "errno", None)
    if number is None and trouble.args and isinstance(trouble.args[0], int):
        number = trouble.args[0]
    return _said(number) if number else str(trouble)


def _said(number: int) -> str:
    return "in use by another process" if number in (errno.EAGAIN, errno.EBUSY) else os.strerror(number)
