"""Seats: what the scheduler knows of each modem, and of each message that is in the air."""

from engine.modem.pool import Modem, Submission
from engine.traffic.settling import Flight


class Seat:
    """A modem as the scheduler sees it: what it has, begun or ahead, in order."""

    __slots__ = ("flights", "modem", "sim")

    def __init__(self, modem: Modem) -> None:
        self.modem = modem
        self.sim = int(modem.imsi)
        self.flights: list[tuple[Flight, Submission]] = []

    @property
    def has_one_ahead(self) -> bool:
        """Whether it was given a job that has not begun: the last one, if any."""
        return bool(self.flights) and not self.flights[-1][1].is_begun

    def drop(self, job: Submission) -> None:
        """The job is the seat's no more."""
        self.flights = [(flight, own) for flight, own in self.flights if own is not job]


class Aloft:
    """A message of which parts are in flight: how many; `is_stale` where the due line has news of it."""

    __slots__ = ("is_stale", "parts")

    def __init__(self) -> None:
        self.parts = 0
        self.is_stale = False
