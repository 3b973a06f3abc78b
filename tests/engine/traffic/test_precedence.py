"""engine/traffic/precedence.py: an `otp` message waits for no more than the rest of the part that ends first."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.traffic.messages import Lane
from engine.traffic.precedence import Precedence
from tests.engine.traffic.air import Air, Modem
from tests.engine.traffic.stage import NOW_MS, SIM

OTP = 99


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    made = Air(tmp_path)
    yield made
    made.close()


def of(air: Air) -> Precedence:
    return Precedence(air.line, air.flights, air.rests, lambda: None)


def asking(air: Air, count: int) -> list[Modem]:
    modems = [Modem(air, SIM + number) for number in range(count)]
    for modem in modems:
        modem.ask()
    return modems


def taker(air: Air) -> int:
    """Which modem, counted from 0, a turn gives the `otp` to."""
    of(air).make_way(air.now_ms)
    return next(flight.sim - SIM for flight in air.turn() if flight.message == OTP)


def test_a_modem_with_nothing_takes_it_and_nobody_gives_way(air: Air) -> None:
    (busy,) = asking(air, 1)
    air.put(1, 2, lane=Lane.BULK)
    _, ahead = air.turn()
    busy.write()
    Modem(air, SIM + 1).ask()
    air.put(OTP)
    assert of(air).short(NOW_MS) == 0
    assert taker(air) == 1
    assert busy.ahead is ahead.job
    assert not ahead.is_withdrawn


def test_a_modem_with_nothing_chooses_before_one_that_asked_earlier_and_still_sends(air: Air) -> None:
    busy = Modem(air, SIM)
    air.put(1, lane=Lane.BULK)
    busy.ask()
    air.turn()
    busy.write()
    assert [seat.modem for seat in air.flights.wanting] == [busy]
    Modem(air, SIM + 1).ask()
    air.put(2, lane=Lane.BULK)
    assert [(flight.message, flight.sim) for flight in air.turn()] == [(2, SIM + 1)]


def test_one_that_only_wants_a_part_behind_its_own_is_no_reason_to_wait_for_it(air: Air) -> None:
    early, late = modems = asking(air, 2)
    air.put(1, 2, 3, 4, lane=Lane.BULK)
    air.turn()
    for modem in modems:
        modem.write()
        air.now_ms += 100
    # The second has nothing ahead any more, but all of its part before it.
    late.accept(5)
    late.write()
    assert [seat.modem for seat in air.flights.wanting] == [late]
    air.put(OTP)
    assert of(air).short(air.now_ms) == 1
    assert taker(air) == 0
    assert early.ahead is not None
    assert early.ahead.tag.message == OTP


def test_who_began_first_is_free_first_whenever_its_part_was_claimed(air: Air) -> None:
    claimed_first, given_first = asking(air, 2)
    air.put(1, 2, 3, 4, lane=Lane.BULK)
    air.turn()
    given_first.write()
    air.now_ms += 100
    claimed_first.write()
    air.put(OTP)
    assert taker(air) == 1


def test_what_has_not_begun_is_taken_back_at_once(air: Air) -> None:
    on_line, waiting = Modem(air, SIM), Modem(air, SIM + 1)
    waiting.is_busy = True
    on_line.ask()
    waiting.ask()
    air.put(1, 2, 3, 4, lane=Lane.BULK)
    air.turn()
    on_line.write()
    air.put(OTP)
    assert taker(air) == 1


def test_each_otp_has_a_modem_of_its_own_and_none_takes_the_place_of_another(air: Air) -> None:
    modems = asking(air, 3)
    air.put(*range(1, 7), lane=Lane.BULK)
    air.turn()
    for modem in modems:
        modem.write()
        air.now_ms += 100
    air.put(OTP, OTP + 1)
    of(air).make_way(air.now_ms)
    assert {flight.message: flight.sim - SIM for flight in air.turn() if flight.lane == Lane.OTP} == {
        OTP: 0,
        OTP + 1: 1,
    }
    air.put(OTP + 2, OTP + 3)
    of(air).make_way(air.now_ms)
    assert [(flight.message, flight.sim - SIM) for flight in air.turn()] == [(OTP + 2, 2)]


def test_a_modem_whose_part_has_no_end_is_not_the_one_that_is_free_first(air: Air) -> None:
    stuck, sound = modems = asking(air, 2)
    air.put(1, 2, 3, 4, lane=Lane.BULK)
    air.turn()
    stuck.write()
    # A part takes seconds; this one will have no outcome before its time-out.
    air.now_ms += 60_000
    sound.write()
    air.now_ms += 100
    air.put(OTP)
    assert modems[taker(air)] is sound
