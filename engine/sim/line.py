"""A serial line: a pseudo-terminal whose host end is a link of a steady name.

Owns the two descriptors, the link and the mood of the line; carries octets and knows none of them.  The
modem's end never learns whether a host is there: a slave descriptor stays open here, so that a host which
closes its port, or is killed, hangs nothing up.  What the modem says meanwhile waits in the terminal's
buffer, and what exceeds `BACKLOG_OCTETS` is lost, as on a wire nobody reads.
"""

import asyncio
import contextlib
import os
import pty
import random
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

READ_OCTETS = 16_384
BACKLOG_OCTETS = 65_536
# Start, eight data, stop.
BITS_PER_OCTET = 10
# A slow line moves in bites of this long: finer than a host can tell, coarser than the loop's overhead.
BITE_S = 0.005


@dataclass(frozen=True, slots=True)
class Mood:
    """How a line behaves, in both directions.

    `bite_octets` is how many octets pass per turn of the loop (0: all), `baud` limits the rate (0: does
    not), `loss` is the probability that an octet vanishes.
    """

    bite_octets: int = 0
    baud: int = 0
    loss: float = 0.0


CLEAN = Mood()
ONE_OCTET = Mood(bite_octets=1)


def slow(baud: int) -> Mood:
    """A line at `baud`, 8N1."""
    return Mood(bite_octets=max(1, int(baud / BITS_PER_OCTET * BITE_S)), baud=baud)


def lossy(loss: float) -> Mood:
    """A line that drops each octet with probability `loss`."""
    return Mood(loss=loss)


class Line:
    """One pseudo-terminal under `link`; `receive` is called with what the host wrote."""

    def __init__(self, link: Path, *, mood: Mood = CLEAN, seed: int = 1) -> None:
        self.link = link
        self.mood = mood
        self.receive: Callable[[bytes], object] = len
        self._random = random.Random(f"{seed} {link.name}")  # noqa: S311 - repeatable, not secret
        self._loop: asyncio.AbstractEventLoop | None = None
        self._master = -1
        self._slave = -1
        self._backlog = bytearray()
        self._writing = False
        self._timers: set[asyncio.Handle] = set()
        self._read_next_s = 0.0
        self._write_next_s = 0.0

    @property
    def is_plugged(self) -> bool:
        """Whether there is a terminal under the link."""
        return self._master >= 0

    def plug(self) -> None:
        """Make a new terminal, raw and silent, under the same link; a stale link is replaced at once."""
        if self.is_plugged:
            return
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        fresh = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self.link)
        self._loop.add_reader(self._master, self._readable)

    def unplug(self) -> None:
        """Take the link away and close the terminal: a host that has it open reads its end."""
        if not self.is_plugged:
            return
        assert self._loop is not None  # noqa: S101 - plug set it
        with contextlib.suppress(OSError):
            if os.readlink(self.link) == os.ttyname(self._slave):
                self.link.unlink()
        self._loop.remove_reader(self._master)
        if self._writing:
            self._loop.remove_writer(self._master)
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._backlog.clear()
        self._writing = False
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def write(self, octets: bytes) -> None:
        """Send to the host without ever waiting for it."""
        if self._master < 0:
            return
        mood = self.mood
        if mood.loss:
            octets = self._thin(octets)
        if self._backlog or self._writing or mood.bite_octets:
            self._backlog += octets[: BACKLOG_OCTETS - len(self._backlog)]
            if not self._writing:
                self._writing = True
                self._drain()
            return
        try:
            written = os.write(self._master, octets)
        except BlockingIOError:
            written = 0
        except OSError:
            return
        if written < len(octets):
            self._backlog += octets[written:]
            self._wait_writable()

    def _thin(self, octets: bytes) -> bytes:
        loss, draw = self.mood.loss, self._random.random
        return bytes(octet for octet in octets if draw() >= loss)

    def _wait_writable(self) -> None:
        assert self._loop is not None  # noqa: S101
        self._writing = True
        self._loop.add_writer(self._master, self._writable)

    def _writable(self) -> None:
        assert self._loop is not None  # noqa: S101
        self._loop.remove_writer(self._master)
        self._drain()

    def _drain(self) -> None:
        """Write one bite of the backlog, and see to the next."""
        bite = self.mood.bite_octets or len(self._backlog)
        try:
            written = os.write(self._master, self._backlog[:bite])
        except BlockingIOError:
            self._wait_writable()
            return
        except OSError:
            self._backlog.clear()
            self._writing = False
            return
        del self._backlog[:written]
        if not self._backlog and not self.mood.baud:
            self._writing = False
        elif self.mood.bite_octets:
            self._write_next_s = self._later(self._write_next_s, written, self._drain_more)
        else:
            self._wait_writable()

    def _drain_more(self) -> None:
        self._writing = bool(self._backlog)
        if self._writing:
            self._drain()

    def _later(self, next_s: float, octets: int, call: Callable[[], None]) -> float:
        """Call `call` when `octets` have passed a line that is busy until `next_s`: the new `next_s`."""
        loop = self._loop
        assert loop is not None  # noqa: S101
        if self.mood.baud:
            next_s = max(loop.time(), next_s) + octets * BITS_PER_OCTET / self.mood.baud

        def fire() -> None:
            self._timers.discard(timer)
            call()

        timer: asyncio.Handle = loop.call_at(next_s, fire) if self.mood.baud else loop.call_soon(fire)
        self._timers.add(timer)
        return next_s

    def _readable(self) -> None:
        bite = self.mood.bite_octets
        try:
            octets = os.read(self._master, bite or READ_OCTETS)
        except OSError:
            return
        if self.mood.loss:
            octets = self._thin(octets)
        if bite and self.mood.baud:
            assert self._loop is not None  # noqa: S101
            self._loop.remove_reader(self._master)
            self._read_next_s = self._later(self._read_next_s, len(octets), self._read_more)
        if octets:
            self.receive(octets)

    def _read_more(self) -> None:
        assert self._loop is not None  # noqa: S101
        self._loop.add_reader(self._master, self._readable)
