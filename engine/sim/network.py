"""A service centre, a cell and the SIMs in it.

Owns what became of every SMS-SUBMIT: the ledger, one JSON line per accepted part, is the truth about lost and
duplicate.  Delivers reports and short messages to the modem a SIM sits in, and keeps them while that modem
is full, absent or busy.  Knows no AT.

What goes wrong is set from outside, as plain attributes: `refuse`, `loses_submission`, `loses_answer`,
`outcome` take a destination in digits and may be made with `sometimes`.
"""

import asyncio
import json
import os
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar

from engine.errors import ConfigError, NotFound
from engine.sim import tpdu as octets
from engine.sim.agenda import Agenda

# Time to +CMGS in a real cell: log-normal about the median, within these bounds (ms).
MEDIAN_LATENCY_MS = 3_800
SPREAD = 0.3
LEAST_LATENCY_MS = 2_500
MOST_LATENCY_MS = 8_000
# A message whose delivery failed is tried again on its own after this long, if nothing else caused it before.
RETRY_MS = 60_000
# An immediate-assignment reject makes the modem wait (T3122), then ask again; the third reject is congestion.
T3122_MS = 2_000
CHANNEL_TRIES = 3

OPERATOR_BARRED = 8
CONGESTION = 42

Outcome = int
Done = Callable[[int, int | None], None]
Latency = int | Literal["realistic"]
Delay = int | tuple[int, int]
T = TypeVar("T")


class Receiver(Protocol):
    """The modem a SIM sits in, as the network sees it."""

    def receive(self, tpdu: bytes) -> int | None:
        """Take an SMS-DELIVER or SMS-STATUS-REPORT: None, or the RP cause of the refusal."""


@dataclass(slots=True, eq=False)
class Sim:
    """A SIM card, and the state of its subscription.

    `reference` is the next TP-MR; `allowance` how many parts the operator still takes, None without limit;
    `registration` the stat of +CREG.  All of it lives as long as the process.
    """

    imsi: str
    number: str
    iccid: str
    service_centre: str
    port: str = ""
    pin: str | None = None
    puk: str = "12345678"
    pin_tries: int = 3
    reference: int = 0
    allowance: int | None = None
    registration: int = 1
    modem: Receiver | None = None
    waiting: deque[bytes] = field(default_factory=deque)
    is_retried: bool = False


class Acceptance(NamedTuple):
    """One part the service centre took; `address` is TP-DA as it was sent, `tpdu` carries the reference."""

    at_ms: int
    sim: Sim
    reference: int
    destination: str
    address: bytes
    tpdu: bytes
    is_last_part: bool


class Network:
    """The far side of every modem of a rack; all of it on one loop, all its chance from `seed`.

    `latency_ms` from Ctrl-Z to the answer: 0 answers at once, "realistic" draws 2.5 to 8
    s.  `report_delay_ms` from acceptance to the status report: 0 is right behind the final OK, a pair draws
    between the two, None sends none. `channels` is the cell's shared pool of signalling channels, None
    without limit.
    """

    def __init__(
        self,
        *,
        seed: int,
        now_ms: Callable[[], int],
        latency_ms: Latency = 0,
        report_delay_ms: Delay | None = 0,
        ledger: Path | None = None,
        service_centre: str = "+8613900000000",
        operator: str = "CARILLON",
        zone_quarters: int = 32,
        channels: int | None = None,
        keep: int = 100_000,
    ) -> None:
        self.now_ms = now_ms
        self.latency_ms = latency_ms
        self.report_delay_ms = report_delay_ms
        self.service_centre = service_centre
        self.sca = octets.write_service_centre(service_centre)
        self.operator = operator
        self.zone_quarters = zone_quarters
        self.channels = channels
        self.agenda = Agenda(now_ms)
        self.sims: list[Sim] = []
        self.accepted: deque[Acceptance] = deque()
        self.on_accept: list[Callable[[Acceptance], None]] = []
        # Scenario: an RP cause to refuse with; True to lose a submission before or after it was accepted;
        # TP-ST.
        self.refuse: Callable[[str], int | None] | None = None
        self.loses_submission: Callable[[str], bool | None] | None = None
        self.loses_answer: Callable[[str], bool | None] | None = None
        self.outcome: Callable[[str], int | None] | None = None
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._keep = keep
        self._newest: dict[tuple[str, int, str], Acceptance] = {}
        self._by_number: dict[str, Sim] = {}
        self._concatenation = 0
        self._in_air = 0
        self._ledger = -1
        if ledger is not None:
            try:
                self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise ConfigError(f"ledger {ledger}: {error.strerror}") from error

    def close(self) -> None:
        """Forget what is due, close the ledger."""
        self.agenda.close()
        if self._ledger >= 0:
            os.close(self._ledger)
            self._ledger = -1

    def add(self, sim: Sim) -> None:
        """Put a SIM on the books."""
        self.sims.append(sim)
        self._by_number[sim.number] = sim

    def sometimes(self, probability: float, then: T) -> Callable[[str], T | None]:
        """A scenario that answers `then` with a probability, whatever the destination."""
        draw = self.random.random
        return lambda _destination: then if draw() < probability else None

    # From the modem.

    def submit(self, sim: Sim, tpdu: bytes, part: octets.Submit, done: Done) -> None:
        """Carry an SMS-SUBMIT to the service centre.

        `done(reference, None)` when it was accepted, `done(reference, cause)` when it was refused, never
        when the answer was lost; at once where there is no latency.  The ledger has the part before `done`
        is called.
        """
        reference = sim.reference
        sim.reference = (reference + 1) & 0xFF
        if self.loses_submission is not None and self.loses_submission(part.destination):
            return
        if self.latency_ms == 0 and self.channels is None:
            self._arrive(sim, reference, tpdu, part, done)
            return
        land = partial(self._arrive, sim, reference, tpdu, part, done)
        self._transmit(CHANNEL_TRIES, land, partial(done, reference, CONGESTION))

    def _transmit(self, tries: int, land: Callable[[], None], give_up: Callable[[], None]) -> None:
        """Take a channel for as long as the latency lasts, or wait for one."""
        loop = asyncio.get_running_loop()
        if self.channels is None or self._in_air < self.channels:
            self._in_air += 1
            loop.call_later(self._draw_latency_ms() / 1000, self._land, land)
        elif tries > 1:
            loop.call_later(T3122_MS / 1000, self._transmit, tries - 1, land, give_up)
        else:
            give_up()

    def _land(self, land: Callable[[], None]) -> None:
        self._in_air -= 1
        land()

    def _draw_latency_ms(self) -> float:
        if self.latency_ms == "realistic":
            drawn_ms = MEDIAN_LATENCY_MS * self.random.lognormvariate(0.0, SPREAD)
            return min(max(drawn_ms, LEAST_LATENCY_MS), MOST_LATENCY_MS)
        return self.latency_ms

    def _arrive(self, sim: Sim, reference: int, tpdu: bytes, part: octets.Submit, done: Done) -> None:
        destination = part.destination
        cause = self.refuse(destination) if self.refuse is not None else None
        if cause is None and sim.allowance is not None:
            if sim.allowance <= 0:
                cause = OPERATOR_BARRED
            else:
                sim.allowance -= 1
        if cause is not None:
            done(reference, cause)
            return
        acceptance = Acceptance(
            self.now_ms(),
            sim,
            reference,
            destination,
            part.address,
            bytes((tpdu[0], reference)) + tpdu[2:],
            part.is_last_part,
        )
        self._note(acceptance)
        if self.loses_answer is None or not self.loses_answer(destination):
            done(reference, None)
        for call in self.on_accept:
            call(acceptance)
        if part.wants_report and self.report_delay_ms is not None:
            status = self.outcome(destination) if self.outcome is not None else None
            self._report_later(acceptance, status or 0)

    def _note(self, acceptance: Acceptance) -> None:
        """Write the ledger's line in one call, then remember the part."""
        if self._ledger >= 0:
            sim = acceptance.sim
            line = (
                f'{{"at_ms": {acceptance.at_ms}, "port": {json.dumps(sim.port)}, "imsi": "{sim.imsi}", '
                f'"reference": {acceptance.reference}, "destination": "{acceptance.destination}", '
                f'"tpdu": "{acceptance.tpdu.hex().upper()}"}}\n'
            )
            os.write(self._ledger, line.encode())
        accepted, newest = self.accepted, self._newest
        if len(accepted) >= self._keep:
            oldest = accepted.popleft()
            key = (oldest.sim.imsi, oldest.reference, oldest.destination)
            if newest.get(key) is oldest:
                del newest[key]
        accepted.append(acceptance)
        newest[acceptance.sim.imsi, acceptance.reference, acceptance.destination] = acceptance

    # To the modem.

    def _report_later(self, acceptance: Acceptance, status: Outcome) -> None:
        delay = self.report_delay_ms
        if isinstance(delay, tuple):
            delay = self.random.randint(*delay)
        if delay:
            self.agenda.at(acceptance.at_ms + delay, self._report, acceptance, status)
        else:
            self._report(acceptance, status)

    def _report(self, acceptance: Acceptance, status: Outcome) -> None:
        zone = self.zone_quarters
        accepted = octets.stamp(acceptance.at_ms, zone)
        discharged = octets.stamp(self.now_ms(), zone)
        self.deliver(
            acceptance.sim,
            octets.build_report(acceptance.reference, acceptance.address, accepted, discharged, status),
        )

    def report(self, imsi: str, reference: int, destination: str, status: Outcome) -> None:
        """Deliver one more SMS-STATUS-REPORT, TP-ST `status`, for the newest such part among `accepted`.

        Its TP-SCTS is the time of acceptance.  Raises NotFound.
        """
        acceptance = self._newest.get((imsi, reference, destination))
        if acceptance is None:
            raise NotFound(f"no part {reference} of SIM {imsi} for that destination")
        self._report(acceptance, status)

    def text(self, sender: str, to: str, text: str, at_ms: int | None = None) -> int:
        """Send a text to the SIM whose number is `to`, in UCS2; at `at_ms` if that is still to come.

        Gives the number of parts.  Raises NotFound for a number that is not in the rack, Invalid for a
        sender that is not a number.
        """
        sim = self._by_number.get(to)
        if sim is None:
            raise NotFound(f"no SIM has the number {to}")
        originator = octets.write_address(sender, "sender")
        now_ms = self.now_ms()
        if at_ms is not None and at_ms > now_ms:
            parts = octets.build_text(text, originator, octets.stamp(at_ms, self.zone_quarters), 0)
            self.agenda.at(at_ms, self.text, sender, to, text)
            return len(parts)
        self._concatenation = (self._concatenation + 1) & 0xFF
        stamp = octets.stamp(now_ms, self.zone_quarters)
        parts = octets.build_text(text, originator, stamp, self._concatenation)
        for part in parts:
            self.deliver(sim, part)
        return len(parts)

    def deliver(self, sim: Sim, tpdu: bytes) -> None:
        """Hand a TPDU to the SIM's modem, or keep it, in order, until the modem can take it."""
        sim.waiting.append(tpdu)
        if len(sim.waiting) == 1 and not self.retry(sim):
            self.postpone(sim)

    def postpone(self, sim: Sim) -> None:
        """Try again in `RETRY_MS`, if nothing else causes it before."""
        if not sim.is_retried:
            sim.is_retried = True
            self.agenda.at(self.now_ms() + RETRY_MS, self._retry_again, sim)

    def retry(self, sim: Sim) -> bool:
        """Deliver what waits for a SIM: False if some of it still does.

        Called when that may have become possible: RP-SMMA, an acknowledgement, a registration.
        """
        while sim.waiting:
            tpdu = sim.waiting.popleft()
            if sim.modem is None or sim.modem.receive(tpdu) is not None:
                sim.waiting.appendleft(tpdu)
                return False
        return True

    def _retry_again(self, sim: Sim) -> None:
        sim.is_retried = False
        if not self.retry(sim):
            self.postpone(sim)
