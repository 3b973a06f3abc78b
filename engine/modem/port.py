"""One serial line as octets in and out.  Knows ttys, not AT.

The only module that imports `serial`.  Reading and writing never block: the file descriptor belongs to the
event loop, and what the line does not take at once waits here.
"""

import asyncio
import contextlib
import errno
import os
import termios
from collections.abc import Callable

import serial

from engine.errors import ModemLost

# More than a modem says at once, lists apart, which come in pieces anyway.  Room for 4 KiB, made for every reading and
# given back, takes 0.1 us longer.
READ_OCTETS = 448


class Port:
    """An open serial line.  `on_octets` gets what was heard, `on_lost` is called once if the line goes.

    Neither is called from inside `write`; after `close` neither is called at all.  `written` counts the
    octets that the line has taken: what still waits here is not in it.
    """

    def __init__(self, device: serial.Serial, path: str) -> None:
        self.path = path
        self.written = 0
        self.on_octets: Callable[[bytes], None] = lambda _: None
        self.on_lost: Callable[[str], None] = lambda _: None
        self._device = device
        self._fd: int = device.fileno()
        self._backlog = b""
        self._alive = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    @classmethod
    def open(cls, path: str, baud: int, hardware_flow: bool) -> "Port":
        """Open `path` raw, 8N1, for us alone; a pseudo-terminal will do.

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
        return cls(device, path)

    def write(self, octets: bytes) -> None:
        """Give `octets` to the line in order; what it does not take now follows when it can."""
        if self._backlog:
            self._backlog += octets
            return
        if not self._alive:
            return
        try:
            taken = os.write(self._fd, octets)
        except BlockingIOError:
            taken = 0
        except OSError as trouble:
            self._lose_soon(trouble)
            return
        self.written += taken
        if taken < len(octets):
            self._backlog = octets[taken:]
            self._loop.add_writer(self._fd, self._writable)

    def forget_backlog(self) -> None:
        """Drop what the line has not taken yet: it must not follow a question that was given up."""
        if self._backlog:
            self._backlog = b""
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        """Let go of the line.  Safe to call twice."""
        self._alive = False
        if self._fd < 0:
            return
        self._release()
        # Without this a tty may hold the whole process for its closing_wait, 30 s by default.
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
        self._fd = -1
        self._device.close()

    def _readable(self) -> None:
        try:
            octets = os.read(self._fd, READ_OCTETS)
        except BlockingIOError:
            return
        except OSError as trouble:
            self._lose_soon(trouble)
            return
        if octets:
            self.on_octets(octets)
        else:
            self._lose_soon(EOFError("end of line"))

    def _writable(self) -> None:
        octets, self._backlog = self._backlog, b""
        self._loop.remove_writer(self._fd)
        self.write(octets)

    def _lose_soon(self, trouble: Exception) -> None:
        if not self._alive:
            return
        self._alive = False
        self._release()
        # From the loop, not from here: whoever is writing finishes first.
        self._loop.call_soon(self._tell_lost, _reason(trouble))

    def _tell_lost(self, reason: str) -> None:
        if self._fd >= 0:
            self.on_lost(reason)

    def _release(self) -> None:
        self.forget_backlog()
        self._loop.remove_reader(self._fd)


def _reason(trouble: Exception) -> str:
    """Why, in words without the path: the port's name stands beside it everywhere."""
    number = getattr(trouble, "errno", None)
    if number is None and trouble.args and isinstance(trouble.args[0], int):
        number = trouble.args[0]
    if number in (errno.EAGAIN, errno.EBUSY):
        return "in use by another process"
    return os.strerror(number) if number else str(trouble)
