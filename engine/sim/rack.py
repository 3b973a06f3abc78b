"""A rack of simulated modems: pseudo-terminals in a folder, and one network behind them.

Owns the folder: the links `modem-00`, `modem-01` ..., which keep their names over restarts, and
`rack.json`, which tells other programs what is where.  What the SIMs and modems remember is in this process
only: a new rack begins with empty stores and reference 0.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.errors import ConfigError, Conflict, NotFound
from engine.sim.line import CLEAN, Line, Mood
from engine.sim.messages import WORDS
from engine.sim.network import Delay, Latency, Network, Sim
from engine.sim.profile import Quirks
from engine.sim.storage import Storage
from engine.sim.tc35i import TC35i

MOST_MODEMS = 1_000
# A home network and a block of type codes that belong to nobody's subscribers here.
IMSI_PREFIX = "46000"
IMEI_PREFIX = "35000000"
ICCID_PREFIX = "89860000"


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def check_digit(digits: str) -> str:
    """The Luhn digit behind an IMEI's or ICCID's other digits (3GPP TS 23.003 annex B)."""
    doubled = (int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(digits)))
    return str(-sum(value // 10 + value % 10 for value in doubled) % 10)


class Rack:
    """`modems` simulated TC35i under `directory`, from `start` to `close`, on the running loop.

    `latency_ms`, `report_delay_ms` and `ledger` are the network's; `command_delay_ms`, if given, overrides
    that of `quirks`.  SIM numbers count up from `first_number`.  Raises ConfigError for an impossible size.
    """

    def __init__(
        self,
        directory: Path,
        modems: int,
        *,
        latency_ms: Latency = 0,
        report_delay_ms: Delay | None = 0,
        ledger: Path | None = None,
        seed: int = 1,
        now_ms: Callable[[], int] = _wall_ms,
        first_number: str = "+8613900000001",
        command_delay_ms: int | None = None,
        quirks: Quirks | None = None,
        mood: Mood = CLEAN,
        sm_slots: int = 15,
        pin: str | None = None,
        rate_baud: int = 115_200,
        channels: int | None = None,
    ) -> None:
        if not 1 <= modems <= MOST_MODEMS:
            raise ConfigError(f"modems: 1 to {MOST_MODEMS}")
        if not first_number.removeprefix("+").isdecimal():
            raise ConfigError("first_number: digits, with or without a leading +")
        self.directory = directory.absolute()
        self.ledger = ledger.absolute() if ledger is not None else None
        self.directory.mkdir(parents=True, exist_ok=True)
        self.network = Network(
            seed=seed,
            now_ms=now_ms,
            latency_ms=latency_ms,
            report_delay_ms=report_delay_ms,
            ledger=self.ledger,
            channels=channels,
        )
        habits = quirks or Quirks()
        if command_delay_ms is not None:
            habits = replace(habits, command_delay_ms=command_delay_ms)
        self._modems: dict[str, TC35i] = {}
        self._lines: dict[str, Line] = {}
        self._lock = -1
        plus = "+" if first_number.startswith("+") else ""
        first, width = int(first_number.removeprefix("+")), len(first_number.removeprefix("+"))
        for at in range(modems):
            link = self.directory / f"modem-{at:02d}"
            account = f"{ICCID_PREFIX}{at + 1:011d}"
            sim = Sim(
                imsi=f"{IMSI_PREFIX}{at + 1:010d}",
                number=f"{plus}{first + at:0{width}d}",
                iccid=account + check_digit(account),
                service_centre=self.network.service_centre,
                port=str(link),
                pin=pin,
            )
            serial = f"{IMEI_PREFIX}{at + 1:06d}"
            line = Line(link, mood=mood, seed=seed)
            modem = TC35i(
                sim,
                self.network,
                WORDS,
                imei=serial + check_digit(serial),
                write=line.write,
                rate_baud=rate_baud,
                quirks=habits,
                storage=Storage(sm_slots),
            )
            line.receive = modem.feed
            self.network.add(sim)
            self._modems[link.name] = modem
            self._lines[link.name] = line

    @property
    def names(self) -> list[str]:
        """The modems' names, `modem-00` first."""
        return list(self._modems)

    @property
    def ports(self) -> list[Path]:
        """The links a host opens."""
        return [line.link for line in self._lines.values()]

    def start(self) -> None:
        """Claim the folder, plug every line, power every modem, and describe it all in `rack.json`.

        Links of a rack that was killed are replaced or removed.  Raises Conflict if another rack is at work
        there.
        """
        self._lock = os.open(self.directory / ".rack.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = -1
            raise Conflict(f"{self.directory} has a rack at work") from None
        for link in self.directory.glob("modem-*"):
            if link.is_symlink() and link.name not in self._modems:
                link.unlink()
        try:
            for line in self._lines.values():
                line.plug()
        except OSError as error:
            self.close()
            raise ConfigError(f"no terminal for {line.link}: {error.strerror}") from error
        for modem in self._modems.values():
            modem.power_on()
        self._describe()

    def close(self) -> None:
        """Pull every line, remove the links and `rack.json`, close the ledger."""
        for modem in self._modems.values():
            modem.power_off()
        for line in self._lines.values():
            line.unplug()
        self.network.close()
        if self._lock >= 0:
            with contextlib.suppress(FileNotFoundError):
                (self.directory / "rack.json").unlink()
            os.close(self._lock)
            self._lock = -1

    def modem(self, name: str) -> TC35i:
        """The modem of that name.  Raises NotFound."""
        return self._modems[self._known(name)]

    def line(self, name: str) -> Line:
        """Its serial line, whose `mood` may change at any time.  Raises NotFound."""
        return self._lines[self._known(name)]

    def unplug(self, name: str) -> None:
        """Pull the serial line: the host's descriptor hangs up, the modem goes on.  Raises NotFound."""
        self.line(name).unplug()

    def plug(self, name: str) -> None:
        """Give the modem a new line under the old name.  Raises NotFound."""
        self.line(name).plug()

    def _known(self, name: str) -> str:
        if name not in self._modems:
            raise NotFound(f"no modem {name} in this rack")
        return name

    def _describe(self) -> None:
        """Write `rack.json` so that a reader finds the old one or the new one, never half of it."""
        description = {
            "pid": os.getpid(),
            "ledger": str(self.ledger) if self.ledger is not None else None,
            "service_centre": self.network.service_centre,
            "modems": [
                {
                    "name": name,
                    "port": modem.sim.port,
                    "imsi": modem.sim.imsi,
                    "number": modem.sim.number,
                    "imei": modem.imei,
                }
                for name, modem in self._modems.items()
            ],
        }
        fresh = self.directory / ".rack.json"
        fresh.write_text(json.dumps(description, indent=2) + "\n")
        fresh.replace(self.directory / "rack.json")
