"""Several unknown parts of one SIM, some of which were tried: references and reports together tell which.

A chain of kills leaves them so, each before its SIM has sent anything else.  The SIM steps by one throughout.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.environment import Store
from engine.traffic import intents, receipts
from engine.traffic.messages import OnUnknown, State
from engine.traffic.receipts import Early
from tests.engine.traffic.air import Air, Modem
from tests.engine.traffic.stage import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    SIM,
    claim,
    count_steps,
    differences,
    in_line,
    lose,
    part_states,
    put,
    send,
    state,
)

LAST = 253  # so that what follows comes round
CHAIN = 3

DELIVERED, QUEUED, UNKNOWN = State.DELIVERED, State.QUEUED, State.UNKNOWN


class Sim:
    """A SIM whose references are believed; what it is given is in doubt, or goes to somebody else."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reference = count_steps(SIM, store, iter(range(LAST - 5, LAST + 1)).__next__)
        self.tried: dict[int, int] = {}

    def lose(self, number: int = NUMBER, *, is_tried: bool, policy: OnUnknown = OnUnknown.AWAIT_REPORT) -> int:
        identifier = put(self.store, number=number, wants_report=True, on_unknown=policy)
        lose(self.store, identifier)
        if is_tried:
            self.tried[identifier] = self.take()
        return identifier

    def take(self) -> int:
        self.reference = (self.reference + 1) % 256
        return self.reference

    def send_on(self, times: int = 1) -> None:
        for _ in range(times):
            send(self.store, put(self.store, number=OTHER_NUMBER), self.take())
            self.store.write_now(receipts.catch_up, SIM, NOW_MS)

    def report(self, reference: int, number: int = NUMBER) -> None:
        self.store.write_now(receipts.take, SIM, Early(reference, f"+{number}", 0, NOW_MS), NOW_MS)


@pytest.fixture
def sim(store: Store) -> Sim:
    return Sim(store)


def cases(parts: int) -> Iterator[tuple[tuple[bool, ...], tuple[int, ...], int]]:
    """Which of so many parts were tried, in what order their reports come, and before which the SIM sends on."""
    for tried in itertools.product([False, True], repeat=parts):
        places = [place for place, is_tried in enumerate(tried) if is_tried]
        for order in itertools.permutations(places):
            for sends_before in range(len(order) + 1):
                yield tried, order, sends_before


def test_what_was_tried_is_delivered_and_what_was_not_goes_again_whatever_comes_first(sim: Sim) -> None:
    store = sim.store
    for tried, order, sends_before in cases(CHAIN):
        case = f"tried {tried}, reports {order}, the SIM sends before report {sends_before}"
        lost = [sim.lose(NUMBER + place, is_tried=is_tried) for place, is_tried in enumerate(tried)]
        for turn, place in enumerate(order):
            if turn == sends_before:
                sim.send_on()
            sim.report(sim.tried[lost[place]], NUMBER + place)
            again = [one for one, is_tried in zip(lost, tried, strict=True) if is_tried and one in in_line(store)]
            assert again == [], case
        sim.send_on(2)
        wanted = [DELIVERED if is_tried else QUEUED for is_tried in tried]
        assert [state(store, one) for one in lost] == wanted, case
        assert differences(store) == [], case
        for identifier in in_line(store):
            send(store, identifier, sim.take())


def test_a_report_for_the_later_of_two_says_that_the_earlier_was_never_tried(sim: Sim) -> None:
    """This one a chain of kills has found: the earlier one stayed unknown however much its SIM sent."""
    first = sim.lose(NUMBER, is_tried=False)
    second = sim.lose(NUMBER + 1, is_tried=True)
    sim.report(sim.tried[second], NUMBER + 1)
    assert (state(sim.store, first), state(sim.store, second)) == (QUEUED, DELIVERED)
    assert in_line(sim.store) == [first]


def test_a_part_of_the_same_message_that_was_never_tried_goes_again(sim: Sim) -> None:
    store = sim.store
    identifier = put(store, 3, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT)
    send(store, identifier, sim.take())
    lose(store, identifier)
    other = sim.lose(OTHER_NUMBER, is_tried=True)
    lose(store, identifier)
    third = sim.take()
    sim.report(sim.tried[other], OTHER_NUMBER)
    assert part_states(store, identifier) == [State.SENT, QUEUED, UNKNOWN]
    sim.report(third)
    assert part_states(store, identifier) == [State.SENT, QUEUED, DELIVERED]
    assert differences(store) == []


def test_of_two_to_one_number_one_of_which_was_tried_nobody_can_say_which(sim: Sim) -> None:
    first = sim.lose(is_tried=False)
    second = sim.lose(is_tried=True)
    sim.report(sim.tried[second])
    sim.send_on(3)
    assert [state(sim.store, one) for one in (first, second)] == [UNKNOWN, UNKNOWN]
    assert in_line(sim.store) == []


@pytest.mark.parametrize("tried", [0, 1])
def test_what_went_to_somebody_else_than_every_report_names_was_never_tried(sim: Sim, tried: int) -> None:
    """A chain of kills has found this one too: nobody can tell which of the two to one number went."""
    pair = [sim.lose(is_tried=place == tried) for place in range(2)]
    other = sim.lose(OTHER_NUMBER, is_tried=False)
    sim.report(sim.tried[pair[tried]])
    assert in_line(sim.store) == []
    sim.send_on()
    assert [state(sim.store, one) for one in (*pair, other)] == [UNKNOWN, UNKNOWN, QUEUED]
    assert in_line(sim.store) == [other]
    assert differences(sim.store) == []


def test_while_a_reference_has_no_report_it_may_be_anybodys(sim: Sim) -> None:
    pair = [sim.lose(is_tried=place == 0) for place in range(2)]
    other = sim.lose(OTHER_NUMBER, is_tried=True)
    sim.report(sim.tried[pair[0]])
    sim.send_on(3)
    assert [state(sim.store, one) for one in (*pair, other)] == [UNKNOWN, UNKNOWN, UNKNOWN]
    assert in_line(sim.store) == []
    sim.report(sim.tried[other], OTHER_NUMBER)
    assert state(sim.store, other) is DELIVERED
    assert in_line(sim.store) == []


def test_a_sim_that_was_hardly_seen_sends_nothing_again_before_it_has_been_seen_to_step(store: Store) -> None:
    sim = Sim.__new__(Sim)
    sim.store, sim.reference, sim.tried = store, 9, {}
    sim.send_on()
    first = sim.lose(NUMBER, is_tried=False)
    second = sim.lose(NUMBER + 1, is_tried=True)
    sim.report(sim.tried[second], NUMBER + 1)
    assert (state(store, first), state(store, second)) == (UNKNOWN, DELIVERED)
    sim.send_on(6)
    assert (state(store, first), in_line(store)) == (QUEUED, [first])
    assert differences(store) == []


@pytest.mark.parametrize("is_page_trusted", [True, False])
@pytest.mark.parametrize("is_older_first", [True, False])
def test_of_two_that_one_start_finds_the_order_counts_where_it_is_known(
    store: Store, tmp_path: Path, is_older_first: bool, is_page_trusted: bool
) -> None:
    sim, air = Sim(store), Air(tmp_path)
    awaiting = {"wants_report": True, "on_unknown": OnUnknown.AWAIT_REPORT}
    pair = [put(store, number=NUMBER + place, **awaiting) for place in range(2)]
    for identifier in pair:
        claim(store, identifier)
    order = pair if is_older_first else pair[::-1]
    modem = Modem(air)
    for identifier in order:
        air.fly(modem, identifier)
        modem.write()
        modem.on_line = None
    store.write_now(intents.recover, NOW_MS, air.left() if is_page_trusted else None)
    air.close()
    # The later one took a reference, the earlier one did not.
    sim.report(sim.take(), NUMBER + pair.index(order[1]))
    # Without an order the other one may have been given later: the SIM's next reference tells.
    assert in_line(store) == ([order[0]] if is_page_trusted else [])
    sim.send_on()
    assert in_line(store) == [order[0]]
    assert differences(store) == []


def test_an_order_is_kept_where_the_clock_was_set_back(sim: Sim) -> None:
    store = sim.store
    first = sim.lose(NUMBER, is_tried=True)
    second = put(store, number=NUMBER + 1, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT)
    lose(store, second, now_ms=NOW_MS - 60_000)
    sim.report(sim.tried[first], NUMBER)
    assert (state(store, second), in_line(store)) == (UNKNOWN, [])
    sim.report(sim.take(), NUMBER + 1)
    assert state(store, second) is DELIVERED
