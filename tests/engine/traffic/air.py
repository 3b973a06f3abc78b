"""Parts in the air without a rack: real flights over a real page, and modems that do what a test says and no more."""

from pathlib import Path

from engine._at import OK, PROMPT, Final, Info, Submission
from engine._flights import Flight, Flights, Seat
from engine._queue import DueLine
from engine.errors import ModemError, SubmitRefused
from engine.traffic.messages import Lane
from engine.traffic.page import Page
from engine.traffic.rests import Rests
from tests.engine.traffic.stage import NOW_MS, NUMBER, SIM

BOOT = b"the boot of the tests"
PDU = b"0031000D91945107000040F20000A7104F39B92C07C564331A485E0E93F3"
LENGTH = 29


class Air:
    """The flights, and the page in `directory` that they write."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.page = Page(directory, BOOT)
        self.page.begin()
        self.line = DueLine()
        self.calls = 0
        self.rests = Rests()
        self.now_ms = NOW_MS
        self.flights = Flights(
            self.page, self.rests, lambda: self.now_ms, self._called, lambda _: None, self._not_accepted
        )

    def put(self, *messages: int, lane: Lane = Lane.OTP) -> None:
        """These stand in the line, one part each."""
        for message in messages:
            self.line.push(message, 0, lane, 0, 1)

    def choose(self, most: int = 999) -> list[tuple[Seat, Flight]]:
        """What a turn chooses, claimed as its change does."""
        chosen = self.flights.choose(self.line, {}, {}, None, NOW_MS, lambda *_: None, most)
        for _, flight in chosen:
            flight.claim(0, 0, NUMBER, 1, NOW_MS)
            flight.job = Submission(PDU, LENGTH, flight)
        return chosen

    def launch(self, chosen: list[tuple[Seat, Flight]]) -> list[Flight]:
        """The change is committed: what it chose goes to the modems."""
        for seat, flight in chosen:
            if not self.flights.launch(seat, flight):
                self.flights.land(flight, ModemError("the modem was not free any more"))
                self.flights.want(seat)
        return [flight for _, flight in chosen]

    def turn(self, most: int = 999) -> list[Flight]:
        """Choose and launch."""
        return self.launch(self.choose(most))

    def fly(self, modem: "Modem", message: int, part: int = 0) -> Flight:
        """Give one part to a modem, past the line."""
        flight = Flight(message, int(modem.imsi), 0)
        flight.claim(part, 0, NUMBER, 1, NOW_MS)
        flight.job = Submission(PDU, LENGTH, flight)
        self.flights.go_up(message)
        modem.give(flight.job)
        return flight

    def left(self) -> Page:
        """The page as the next process finds it."""
        return Page(self.directory, BOOT)

    def close(self) -> None:
        self.flights.close()
        self.page.close()

    def _called(self) -> None:
        self.calls += 1

    def _not_accepted(self, flight: Flight, error: ModemError | None) -> None:
        error = error or ModemError("taken back")
        if isinstance(error, SubmitRefused):
            self.flights.not_sent(flight)
        self.flights.land(flight, error)


class Modem:
    """A part on the line, one ahead.  While it `is_busy` with something else it begins none."""

    def __init__(self, air: Air, sim: int = SIM) -> None:
        self.air = air
        self.imsi = str(sim)
        self.port = f"/dev/{sim}"
        self.is_busy = False
        self.is_there = True
        self.on_line: Submission | None = None
        self.ahead: Submission | None = None

    def ask(self) -> None:
        """It has nothing ahead."""
        self.air.flights.on_wanted(self)

    def give(self, job: Submission) -> None:
        assert self.ahead is None or self.ahead.is_withdrawn, "it has one ahead"
        self.ahead = job
        if self._begin():
            self.ask()

    def rest(self) -> None:
        """It has nothing else to do any more."""
        self.is_busy = False
        if self.on_line is None and (self._begin() or self.ahead is None):
            self.ask()

    def write(self) -> Submission:
        """Its prompt came: the PDU of the part on the line."""
        job = self._writing()
        self.air.flights.on_given(self, job)
        job.hear(PROMPT, 0.0)
        return job

    def accept(self, reference: int) -> None:
        """The network takes the part on the line."""
        self._writing().hear(Info(f"+CMGS: {reference}"), 0.0)
        self._end(OK)

    def refuse(self, cms: int = 38) -> None:
        """The network refuses it."""
        self._end(Final(False, None, cms))

    def send(self, reference: int) -> None:
        """All of it."""
        self.write()
        self.accept(reference)

    def go(self) -> None:
        """Its line is gone."""
        self.is_there = False
        jobs = [job for job in (self.on_line, self.ahead) if job is not None]
        self.on_line = self.ahead = None
        for job in jobs:
            if job.is_begun:
                job.break_off("lost", 0)
                self.air.flights.on_done(self, job)
            elif job.lose("lost"):
                self.air.flights.on_done(self, job)
        self.air.flights.on_lost(self)

    def _writing(self) -> Submission:
        assert self.on_line is not None, "nothing is on the line"
        return self.on_line

    def _end(self, final: Final) -> None:
        job = self._writing()
        job.hear(final, 0.0)
        self.on_line = None
        self._begin()
        self.air.flights.on_done(self, job)
        if self.ahead is None:
            self.ask()

    def _begin(self) -> bool:
        """Whether it has nothing ahead now and had before."""
        if self.is_busy or self.on_line is not None or self.ahead is None:
            return False
        job, self.ahead = self.ahead, None
        if job.begin():
            self.on_line = job
        return True
