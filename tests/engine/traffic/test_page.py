"""engine/traffic/page.py with engine/_flights.pyx: what a killed process leaves behind, and who believes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.traffic.page import ACCEPTED, GIVEN, LINES, NOT_SENT, Entry, Page
from tests.engine.traffic.air import BOOT, Air, Modem
from tests.engine.traffic.stage import OTHER_SIM, SIM

# Where a SIM's second place begins in its line, and what stands where in a place.
SECOND_PLACE = 40
HOW_FAR = 9


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    made = Air(tmp_path)
    yield made
    made.close()


def send_before(air: Air, modem: Modem, parts: int) -> None:
    for number in range(parts):
        air.fly(modem, 1_000 + number)
        modem.send(number % 256)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_of_a_part_that_was_tried_twice_the_later_entry_counts_whatever_its_place(air: Air, before: int) -> None:
    modem = Modem(air)
    send_before(air, modem, before)
    air.fly(modem, 1)
    modem.write()
    modem.refuse()
    assert air.left().left(SIM, 1, 0) == Entry(NOT_SENT, 0, is_later=True)
    air.fly(modem, 1)
    modem.write()
    assert air.left().left(SIM, 1, 0) == Entry(GIVEN, 0, is_later=True)


@pytest.mark.parametrize("before", [0, 1, 253, 254, 255, 256, 257, 511, 512])
def test_which_of_two_is_the_later_one_is_known_beyond_a_byte_of_parts(air: Air, before: int) -> None:
    modem = Modem(air)
    send_before(air, modem, before)
    air.fly(modem, 1)
    modem.send(77)
    air.fly(modem, 2)
    modem.write()
    left = air.left()
    assert left.left(SIM, 1, 0) == Entry(ACCEPTED, 77, is_later=False)
    assert left.left(SIM, 2, 0) == Entry(GIVEN, 0, is_later=True)
    assert left.left(SIM, 1_000 + before - 1, 0) is None


def test_a_part_is_not_on_the_page_before_its_pdu(air: Air) -> None:
    modem = Modem(air)
    air.fly(modem, 1)
    assert modem.on_line is not None
    assert air.left().left(SIM, 1, 0) is None


def test_parts_and_sims_are_told_apart(air: Air) -> None:
    modem, other = Modem(air), Modem(air, OTHER_SIM)
    air.fly(modem, 1, part=0)
    modem.send(5)
    air.fly(modem, 1, part=1)
    modem.write()
    air.fly(other, 1, part=2)
    other.write()
    left = air.left()
    assert [entry and entry.how_far for part in range(3) for entry in [left.left(SIM, 1, part)]] == [
        ACCEPTED,
        GIVEN,
        None,
    ]
    assert left.left(OTHER_SIM, 1, 2) == Entry(GIVEN, 0, is_later=True)


@pytest.mark.parametrize("written", range(9))
def test_an_entry_of_which_only_some_octets_were_written_tells_nothing_and_spoils_nothing(
    air: Air, written: int
) -> None:
    modem = Modem(air)
    for message, reference in ((1, 5), (2, 6), (3, 7)):
        air.fly(modem, message)
        modem.send(reference)
    # The fourth part takes the second place; the process dies within its entry.
    second = air.page.line_of(SIM) + SECOND_PLACE
    air.page.memory[second + HOW_FAR] = 0
    air.page.memory[second : second + written] = (4).to_bytes(8, "little")[:written]
    left = air.left()
    assert left.is_trusted
    assert left.left(SIM, 2, 0) is None
    assert left.left(SIM, 4, 0) is None
    entry = left.left(SIM, 3, 0)
    assert entry is not None
    assert (entry.how_far, entry.reference) == (ACCEPTED, 7)


def test_a_page_of_another_boot_is_not_trusted(air: Air) -> None:
    modem = Modem(air)
    air.fly(modem, 1)
    modem.write()
    foreign = Page(air.directory, b"another boot")
    assert not foreign.is_trusted
    assert foreign.left(SIM, 1, 0) is None


def test_a_page_that_was_never_written_is_not_trusted(tmp_path: Path) -> None:
    page = Page(tmp_path, BOOT)
    assert not page.is_trusted
    page.begin()
    page.close()
    assert Page(tmp_path, BOOT).is_trusted


def test_a_page_that_is_begun_anew_tells_of_nothing_before(air: Air) -> None:
    modem = Modem(air)
    air.fly(modem, 1)
    modem.write()
    left = air.left()
    left.begin()
    assert left.left(SIM, 1, 0) is None
    assert air.left().left(SIM, 1, 0) is None


def test_the_page_names_the_sim_for_which_there_is_no_room(air: Air) -> None:
    lines = {air.page.line_of(sim) for sim in range(1, LINES + 1)}
    assert len(lines) == LINES
    with pytest.raises(RuntimeError, match="1024 SIMs"):
        air.page.line_of(LINES + 1)
    assert air.page.line_of(1) in lines
