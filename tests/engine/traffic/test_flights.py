"""engine/_flights.pyx: who has which part, whatever the modems, the changes and the store do to one another."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine._flights import Flight, Seat
from engine.errors import ModemError, ModemLost, SubmitRefused
from engine.traffic.page import ACCEPTED, GIVEN, NOT_SENT
from tests.engine.traffic.air import Air, Modem
from tests.engine.traffic.stage import OTHER_SIM, SIM


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    made = Air(tmp_path)
    yield made
    made.close()


def landed(air: Air) -> list[int]:
    """Messages of the parts that landed since."""
    return [flight.message for flight in air.flights.landed]


def two_of(air: Air, modem: Modem) -> tuple[Flight, Flight]:
    """What a modem that has nothing is given: one part, and one behind it."""
    modem.ask()
    air.put(1, 2)
    first, second = air.turn()
    return first, second


def test_a_modem_that_has_nothing_gets_two_parts_and_wants_none(air: Air) -> None:
    modem = Modem(air)
    first, second = two_of(air, modem)
    assert modem.on_line is first.job
    assert modem.ahead is second.job
    assert not air.flights.wanting
    modem.send(5)
    # The second began with the end of the first.
    assert modem.on_line is second.job
    assert [seat.modem for seat in air.flights.wanting] == [modem]


def test_all_modems_have_one_part_before_any_has_two(air: Air) -> None:
    modems = [Modem(air, SIM), Modem(air, OTHER_SIM)]
    for modem in modems:
        modem.ask()
    air.put(1, 2, 3)
    assert [(flight.message, flight.sim) for flight in air.turn()] == [(1, SIM), (2, OTHER_SIM), (3, SIM)]


def test_where_more_modems_have_nothing_than_may_begin_nobody_else_is_given_any(air: Air) -> None:
    modems = [Modem(air, SIM + number) for number in range(4)]
    modems[0].ask()
    air.put(1)
    air.turn()
    for modem in modems[1:]:
        modem.ask()
    air.put(2, 3, 4, 5, 6, 7, 8)
    # The first wants its next, but others have nothing at all; and none has two while one has none.
    assert [(flight.message, flight.sim - SIM) for flight in air.turn(2)] == [(2, 1), (3, 2)]
    assert [(flight.message, flight.sim - SIM) for flight in air.turn(2)] == [(4, 3), (5, 0), (6, 1), (7, 2), (8, 3)]


def test_a_modem_with_a_part_ahead_wants_none_so_that_the_part_can_be_taken_back_for_another(air: Air) -> None:
    modem = Modem(air)
    _, second = two_of(air, modem)
    assert second.withdraw()
    air.flights.land(second, ModemError("an otp message goes first"))
    (seat,) = air.flights.seats.values()
    air.flights.want(seat)
    air.put(3)
    (third,) = air.turn()
    assert modem.ahead is third.job
    modem.send(5)
    modem.send(6)
    assert landed(air) == [2, 1, 3]
    assert len(air.flights) == 0


# -- the part that is kept


def two_for_a_busy_modem(air: Air) -> tuple[Modem, Flight, Flight]:
    modem = Modem(air)
    modem.is_busy = True
    first, kept = two_of(air, modem)
    assert modem.ahead is first.job
    return modem, first, kept


def test_what_a_modem_cannot_take_yet_it_gets_when_it_asks(air: Air) -> None:
    modem, first, kept = two_for_a_busy_modem(air)
    assert not air.flights.wanting
    modem.rest()
    assert modem.on_line is first.job
    assert modem.ahead is kept.job
    assert not air.flights.wanting
    modem.send(5)
    modem.send(6)
    assert landed(air) == [1, 2]
    assert [flight.reference for flight in air.flights.landed] == [5, 6]


def test_what_was_kept_lands_when_its_modem_goes(air: Air) -> None:
    modem, _, kept = two_for_a_busy_modem(air)
    modem.go()
    assert landed(air) == [1, 2]
    assert isinstance(kept.error, ModemError)
    assert len(air.flights) == 0
    assert not air.flights.seats
    assert not air.flights.wanting


def test_what_was_kept_and_taken_back_is_not_given_and_the_modem_gets_another(air: Air) -> None:
    modem, first, kept = two_for_a_busy_modem(air)
    assert kept.withdraw()
    modem.rest()
    assert modem.on_line is first.job
    assert modem.ahead is None
    assert landed(air) == [2]
    air.put(3)
    (third,) = air.turn()
    assert modem.ahead is third.job


def test_what_was_kept_and_taken_back_by_a_change_that_is_told_is_in_the_air_no_more(air: Air) -> None:
    modem, _, kept = two_for_a_busy_modem(air)
    assert kept.withdraw()
    air.flights.take_back(kept)
    assert 2 not in air.flights
    modem.rest()
    modem.send(5)
    assert landed(air) == [1]
    assert [seat.modem for seat in air.flights.wanting] == [modem]


# -- what a change took back that was refused itself


def test_a_part_that_a_refused_change_took_back_lands_when_its_modem_asks(air: Air) -> None:
    modem = Modem(air)
    _, second = two_of(air, modem)
    assert second.withdraw()
    modem.send(5)
    assert landed(air) == [1, 2]
    assert (second.error is None, len(air.flights)) == (False, 0)


def test_a_part_that_a_refused_change_took_back_lands_when_its_modem_goes(air: Air) -> None:
    modem = Modem(air)
    first, second = two_of(air, modem)
    modem.write()
    assert second.withdraw()
    modem.go()
    assert landed(air) == [1, 2]
    assert not isinstance(first.error, SubmitRefused)
    assert not isinstance(second.error, ModemLost)
    assert len(air.flights) == 0


def test_a_part_that_a_change_takes_back_before_it_is_launched_lands_once(air: Air) -> None:
    modem = Modem(air)
    modem.ask()
    air.put(1)
    chosen = air.choose()
    assert chosen[0][1].withdraw()
    air.flights.take_back(chosen[0][1])
    air.launch(chosen)
    assert landed(air) == [1]
    assert len(air.flights) == 0
    assert modem.on_line is None
    assert [seat.modem for seat in air.flights.wanting] == [modem]


def test_a_part_whose_modem_went_before_it_was_launched_lands_once(air: Air) -> None:
    modem = Modem(air)
    modem.ask()
    air.put(1, 2)
    chosen = air.choose()
    modem.go()
    air.launch(chosen)
    assert landed(air) == [1, 2]
    assert len(air.flights) == 0
    assert not air.flights.wanting


# -- counting


def test_a_turn_is_ripe_when_nearly_all_modems_want_a_part_and_have_nothing(air: Air) -> None:
    modems = [Modem(air, SIM + number) for number in range(8)]
    for modem in modems:
        modem.ask()
    assert air.flights.is_ripe
    air.put(*range(1, 9))
    air.turn()
    # All have one on the line, and could take another.
    assert len(air.flights.wanting) == 8
    assert not air.flights.is_ripe
    # Nor is it where nobody wants one yet: they will, before long.
    air.put(*range(11, 19))
    air.turn()
    assert not air.flights.wanting
    assert not air.flights.is_ripe
    for modem in modems:
        modem.send(5)
    for modem in modems[:6]:
        modem.send(5)
    assert not air.flights.is_ripe
    modems[6].send(5)
    assert air.flights.is_ripe
    modems[0].go()
    assert not air.flights.is_ripe
    modems[7].send(5)
    assert air.flights.is_ripe


def test_one_that_is_patient_is_called_once_a_turn_is_ripe(air: Air) -> None:
    modems = [Modem(air, SIM + number) for number in range(2)]
    for modem in modems:
        modem.ask()
    air.put(1, 2)
    air.turn()
    air.flights.is_called, air.flights.is_patient, air.calls = False, True, 0
    modems[0].send(5)
    assert air.calls == 0
    modems[1].send(5)
    assert air.calls == 1


# -- anything in any order


class Rack:
    """A few modems, one change at a time, and what is in the store of all that."""

    def __init__(self, air: Air, random: Random) -> None:
        self.air = air
        self.random = random
        self.modems = [Modem(air, SIM + number) for number in range(3)]
        self.flying: list[Flight] = []
        self.change: tuple[list[Flight], list[tuple[Seat, Flight]]] | None = None
        self.put = 0
        self.ends = Counter[int]()
        for modem in self.modems:
            modem.ask()

    def step(self) -> None:
        steps = (self.work, self.begin, self.commit, self.disturb, self.refuse)
        self.random.choices(steps, (12, 8, 4, 4, 1))[0]()

    def work(self) -> None:
        """A modem does the next that it has to do."""
        modem = self.random.choice(self.modems)
        if modem.on_line is None:
            modem.rest()
        elif not modem.on_line.tag.is_given:
            modem.write()
        elif self.random.random() < 0.8:
            modem.accept(self.random.randrange(256))
        else:
            modem.refuse()

    def begin(self) -> None:
        """A turn's change is on its way."""
        if self.change is None:
            self.air.put(*range(self.put + 1, self.put + 5))
            self.put += 4
            chosen = self.air.choose()
            found, self.air.flights.landed = self.air.flights.landed, []
            self.flying += [flight for _, flight in chosen]
            self.change = found, chosen

    def commit(self) -> None:
        """It is in the store."""
        if self.change is None:
            return
        (found, chosen), self.change = self.change, None
        for flight in found:
            self.end(flight)
        self.air.launch(chosen)

    def refuse(self) -> None:
        """The store did not take it."""
        if self.change is None:
            return
        (found, chosen), self.change = self.change, None
        self.air.flights.landed = found + self.air.flights.landed
        for seat, flight in chosen:
            self.air.flights.come_down(flight.message)
            self.air.flights.want(seat)
            self.flying.remove(flight)

    def disturb(self) -> None:
        """Somebody takes a part back, a modem has something else to do, or goes and is there again."""
        modem = self.random.choice(self.modems)
        match self.random.randrange(4):
            case 0:
                modem.is_busy = True
            case 1 if self.flying:
                self.random.choice(self.flying).withdraw()
            case 2 if self.flying and (flight := self.random.choice(self.flying)).withdraw():
                self.air.flights.take_back(flight)
                # Otherwise its launch is still to come, which lands it.
                if flight.job is None:
                    self.end(flight)
            case 3:
                modem.go()
                self.modems[self.modems.index(modem)] = again = Modem(self.air, int(modem.imsi))
                again.ask()

    def end(self, flight: Flight) -> None:
        """The store knows what became of it."""
        self.flying.remove(flight)
        self.ends[flight.message] += 1


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_page_has_every_part_whose_outcome_is_in_no_store(air: Air, seed: int) -> None:
    rack = Rack(air, Random(seed))
    for _ in range(250):
        rack.step()
        given: dict[int, list[Flight]] = {}
        for flight in rack.flying:
            if flight.is_given:
                given.setdefault(flight.sim, []).append(flight)
        assert max(map(len, given.values()), default=0) <= 2
        left = air.left()
        for flights in given.values():
            for flight in flights:
                entry = left.left(flight.sim, flight.message, 0)
                assert entry is not None
                assert entry.how_far in (GIVEN, ACCEPTED, NOT_SENT)
                assert (entry.how_far == ACCEPTED) == (flight.reference >= 0)
                assert entry.reference == max(flight.reference, 0)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_every_part_comes_down_once_and_the_counts_are_right(air: Air, seed: int) -> None:
    rack = Rack(air, Random(100 + seed))
    flights = air.flights
    for _ in range(400):
        rack.step()
        idle = sum(not seat.flights for seat in flights.wanting)
        assert flights.is_ripe == (8 * idle >= 7 * len(flights.seats))
        for seat in flights.wanting:
            assert flights.seats[seat.modem] is seat
    for modem in rack.modems:
        modem.go()
    rack.commit()
    rack.begin()
    rack.commit()
    assert len(flights) == 0
    assert rack.flying == []
    assert set(rack.ends.values()) == {1}
    assert len(rack.ends) > 50
