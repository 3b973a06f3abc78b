"""The rack in C as a process: start it, ask what it measured, and let the bare loop drive it."""

import json
import mmap
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import baseline
from bench.rack import building

_START_S: Final = 10.0
_NUMBERS: Final = struct.Struct("=QQ")  # parts that were taken, parts in the air


class Taken(NamedTuple):
    """A part of the ledger: whom it is for, and when AT+CMGS, Ctrl-Z and result were; CLOCK_MONOTONIC in seconds."""

    modem: str
    destination: str
    asked_s: float
    given_s: float
    landed_s: float


class Zero:
    """`modems` simulated TC35i under `folder`, each part `latency_ms` in the air.  Raises RuntimeError if it dies.

    `spread` makes the first part of each longer, so that they do not go on all landing at once.
    """

    def __init__(
        self,
        folder: Path,
        modems: int,
        *,
        latency_ms: float = 0,
        ledger: Path | None = None,
        reports: bool = False,
        spread: bool = False,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.modems = modems
        self.ledger = ledger
        command = [str(building.program("zero")), "--modems", str(modems), "--dir", str(folder)]
        command += ["--latency-ms", str(latency_ms), "--reports", str(int(reports))]
        command += ["--spread", str(int(spread))]
        if ledger is not None:
            command += ["--ledger", str(ledger)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + _START_S
        while not (folder / "rack.json").exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                raise RuntimeError("the rack did not start")
            time.sleep(0.005)
        with (folder / "parts").open("rb") as file:
            self._parts = mmap.mmap(file.fileno(), _NUMBERS.size, prot=mmap.PROT_READ)

    @property
    def parts(self) -> int:
        """How many parts it has taken since it was started; asking costs it nothing."""
        return int(_NUMBERS.unpack_from(self._parts)[0])

    @property
    def flying(self) -> int:
        """How many parts are in the air, their PDU taken and no result given; asking costs it nothing."""
        return int(_NUMBERS.unpack_from(self._parts)[1])

    def await_parts(self, parts: int, stall_s: float, look: Callable[[], None] = lambda: None) -> None:
        """Return when it has taken so many; `look` is called meanwhile.

        Raises TimeoutError where none has come for `stall_s`.
        """
        seen, seen_s = -1, time.monotonic()
        while (now := self.parts) < parts:
            if now != seen:
                seen, seen_s = now, time.monotonic()
            elif time.monotonic() > seen_s + stall_s:
                raise TimeoutError(f"{now} of {parts} parts have come, and for {stall_s:g} s no more")
            look()
            time.sleep(0.005)

    def measured(self) -> dict[str, Any]:
        """What it measured since it was asked last."""
        self._process.send_signal(signal.SIGUSR1)
        return self._read()

    def taken(self) -> list[Taken]:
        """Every part that has its result, as far as the ledger was written when it was last asked what it measured."""
        assert self.ledger is not None
        found = []
        for line in self.ledger.read_text().splitlines():
            entry = json.loads(line)
            destination = baseline.decode_submit(bytes.fromhex(entry["tpdu"])).destination
            asked_s, given_s, landed_s = (entry[name] / 1e9 for name in ("asked_ns", "given_ns", "landed_ns"))
            found.append(Taken(entry["modem"], destination, asked_s, given_s, landed_s))
        return found

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the rack ended with exit code {self._process.wait()}")
        return dict(json.loads(line))

    def bare(self, parts: int) -> dict[str, Any]:
        """What the bare loop makes of it while nobody else has its ports."""
        command = [str(building.program("bare")), "--modems", str(self.modems), "--dir", str(self.folder)]
        done = subprocess.run([*command, "--parts", str(parts)], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the bare loop failed: {done.stderr}")
        return dict(json.loads(done.stdout))

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()
        self._parts.close()


@contextmanager
def zero(
    folder: Path,
    modems: int,
    *,
    latency_ms: float = 0,
    ledger: Path | None = None,
    reports: bool = False,
    spread: bool = False,
) -> Iterator[Zero]:
    """A rack that is cleared away at the end, whatever happens."""
    made = Zero(folder, modems, latency_ms=latency_ms, ledger=ledger, reports=reports, spread=spread)
    try:
        yield made
    finally:
        made.close()
