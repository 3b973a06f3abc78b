"""The page: which part each modem is writing, in shared memory that outlives the process.

One line of 64 octets a SIM, two parts in each: the one on the line, and the one before it, whose outcome may not be
committed yet.  A part is entered (engine/_flights.pyx) just before the first octet of its PDU is written, without a
flush; a killed process leaves the page as it was.  After a power loss it is not to be trusted: then it names another
boot, or none.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = "carillon.page"
LINES: Final = 1024
_LINE_OCTETS: Final = 64
_PLACE_OCTETS: Final = 24
_FIRST_PLACE: Final = 16
_MAGIC: Final = b"carillon page 1\n"
_BOOT_OCTETS: Final = 48
_SIM: Final = struct.Struct("<Q")
_PLACE: Final = struct.Struct("<QBBBB")  # message, part, how far, reference, running number of the line

GIVEN: Final = 1  # an octet of the PDU may have been written
ACCEPTED: Final = 2  # the network took it, with this reference
NOT_SENT: Final = 3  # it certainly did not go


class Entry(NamedTuple):
    """How far a part came; of two on one SIM, whether it is the later one."""

    how_far: int
    reference: int
    is_later: bool


class Page:
    """The page of a data directory.  One process at a time writes it: the one that has the directory's lock."""

    def __init__(self, directory: Path, boot: bytes) -> None:
        descriptor = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # All of it now: a page that is a hole would be a SIGBUS where the disk is full.
            os.posix_fallocate(descriptor, 0, _LINE_OCTETS * (LINES + 1))
            self._memory = mmap.mmap(descriptor, _LINE_OCTETS * (LINES + 1))
        finally:
            os.close(descriptor)
        self._boot = boot[:_BOOT_OCTETS].ljust(_BOOT_OCTETS, b"\0")
        self._lines: dict[int, int] = {}
        self._left = self._read()

    def _read(self) -> dict[tuple[int, int, int], Entry] | None:
        if self._memory[: len(_MAGIC)] != _MAGIC or self._memory[len(_MAGIC) : _LINE_OCTETS] != self._boot:
            return None
        if not self._boot.strip(b"\0"):
            return None  # nobody knows which boot that was
        found = {}
        for line in range(1, LINES + 1):
            (sim,) = _SIM.unpack_from(self._memory, line * _LINE_OCTETS)
            places = [_PLACE.unpack_from(self._memory, self._offset(line, place)) for place in range(2)]
            # The later one last: of a part that was tried twice it is what counts.
            if places[0][4] == (places[1][4] + 1) % 256:
                places.reverse()
            for is_later, (message, part, how_far, reference, _) in enumerate(places):
                if sim and how_far in (GIVEN, ACCEPTED, NOT_SENT):
                    found[sim, message, part] = Entry(how_far, reference, bool(is_later))
        return found

    @property
    def is_trusted(self) -> bool:
        """Whether the last process that wrote it ran since this machine was started."""
        return self._left is not None

    def left(self, sim: int, message: int, part: int) -> Entry | None:
        """What the last process entered of the part on that SIM, or None."""
        return None if self._left is None else self._left.get((sim, message, part))

    def begin(self) -> None:
        """Forget what was left, and write from now on: once all that was left is in the store."""
        self._memory[:] = bytes(len(self._memory))
        self._memory[len(_MAGIC) : _LINE_OCTETS] = self._boot
        self._memory[: len(_MAGIC)] = _MAGIC
        self._left = {}

    @staticmethod
    def _offset(line: int, place: int) -> int:
        return line * _LINE_OCTETS + _FIRST_PLACE + place * _PLACE_OCTETS

    @property
    def memory(self) -> mmap.mmap:
        """All of it, for whoever enters parts."""
        return self._memory

    def line_of(self, sim: int) -> int:
        """Where the SIM's line begins.  Raises RuntimeError beyond 1,024 SIMs."""
        line = self._lines.get(sim)
        if line is None:
            line = len(self._lines) + 1
            if line > LINES:
                raise RuntimeError(f"the page has room for {LINES} SIMs")
            self._lines[sim] = line
            _SIM.pack_into(self._memory, line * _LINE_OCTETS, sim)
        return line * _LINE_OCTETS

    def close(self) -> None:
        """Unmap it."""
        self._memory.close()


def boot_of_this_machine() -> bytes:
    """What names the time since the machine was started; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return b""
