"""A start after a kill: what was tried twice, and which of two parts of one SIM went first."""

from collections.abc import Iterator

import pytest

from engine.store.environment import Store
from engine.traffic import intents
from engine.traffic.messages import OnUnknown, State
from engine.traffic.retry import Again
from tests.engine.traffic.air import Air, Modem
from tests.engine.traffic.stage import (
    NOW_MS,
    OTHER_NUMBER,
    SIM,
    claim,
    count_steps,
    differences,
    in_line,
    message,
    put,
    send,
    state,
)

LATER_MS = NOW_MS + 6_000


@pytest.fixture
def air(store: Store) -> Iterator[Air]:
    made = Air(store.directory)
    yield made
    made.close()


def restart(store: Store, air: Air) -> int:
    """The process is killed, and the next one settles what it left; how many parts are unknown."""
    unknown = store.write_now(intents.recover, LATER_MS + 1_000, air.left())
    assert differences(store) == []
    return unknown


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_part_that_was_refused_and_was_on_the_line_again_is_unknown(store: Store, air: Air, before: int) -> None:
    modem = Modem(air)
    for reference in range(before):
        other = put(store, number=OTHER_NUMBER)
        claim(store, other)
        air.fly(modem, other)
        modem.send(reference)
        store.write_now(intents.mark_sent, other, 0, reference, NOW_MS)
    tried = put(store, on_unknown=OnUnknown.HOLD)
    claim(store, tried)
    air.fly(modem, tried)
    modem.write()
    modem.refuse()
    store.write_now(intents.mark_refused, tried, 0, Again(5_000), 38, NOW_MS)
    assert claim(store, tried, now_ms=LATER_MS).verdict.sends
    air.fly(modem, tried)
    modem.write()
    assert restart(store, air) == 1
    assert state(store, tried) is State.UNKNOWN
    assert in_line(store) == []


def test_a_part_that_was_refused_and_accepted_the_next_time_is_sent(store: Store, air: Air) -> None:
    modem, tried = Modem(air), put(store)
    claim(store, tried)
    air.fly(modem, tried)
    modem.write()
    modem.refuse()
    store.write_now(intents.mark_refused, tried, 0, Again(5_000), 38, NOW_MS)
    claim(store, tried, now_ms=LATER_MS)
    air.fly(modem, tried)
    modem.send(9)
    assert restart(store, air) == 0
    assert (state(store, tried), message(store, tried).parts[0].reference) == (State.SENT, 9)


def two_claimed(store: Store) -> tuple[int, int, int]:
    """Two messages of a SIM whose references are believed, in the order of their ids, and its last reference."""
    last = count_steps(SIM, store, iter(range(5, 11)).__next__)
    first, second = put(store), put(store)
    for identifier in (first, second):
        claim(store, identifier)
    return first, second, last


def go_on(store: Store, reference: int) -> None:
    """The SIM sends on, from that reference."""
    for step in range(6):
        send(store, put(store, number=OTHER_NUMBER), reference + step)


@pytest.mark.parametrize("is_older_first", [True, False])
def test_what_was_accepted_before_says_nothing_about_the_part_that_came_behind_it(
    store: Store, air: Air, is_older_first: bool
) -> None:
    older, newer, last = two_claimed(store)
    modem = Modem(air)
    accepted, open_ = (older, newer) if is_older_first else (newer, older)
    air.fly(modem, accepted)
    modem.send(last + 1)
    air.fly(modem, open_)
    modem.write()
    assert restart(store, air) == 1
    assert (state(store, accepted), state(store, open_)) == (State.SENT, State.UNKNOWN)
    # The next reference is its own: it was tried.
    go_on(store, last + 3)
    assert state(store, open_) is State.UNKNOWN
    assert in_line(store) == []


@pytest.mark.parametrize("is_older_first", [True, False])
def test_a_part_behind_what_was_accepted_that_took_no_reference_goes_again(
    store: Store, air: Air, is_older_first: bool
) -> None:
    older, newer, last = two_claimed(store)
    modem = Modem(air)
    accepted, open_ = (older, newer) if is_older_first else (newer, older)
    air.fly(modem, accepted)
    modem.send(last + 1)
    air.fly(modem, open_)
    modem.write()
    assert restart(store, air) == 1
    go_on(store, last + 2)
    assert (state(store, accepted), state(store, open_)) == (State.SENT, State.QUEUED)
    assert in_line(store) == [open_]


@pytest.mark.parametrize("is_older_first", [True, False])
def test_a_part_in_doubt_before_an_accepted_one_is_not_sent_again_where_it_took_a_reference(
    store: Store, air: Air, is_older_first: bool
) -> None:
    older, newer, last = two_claimed(store)
    modem = Modem(air)
    in_doubt, accepted = (older, newer) if is_older_first else (newer, older)
    air.fly(modem, in_doubt)
    modem.write()
    # No end of it was heard; the modem was woken, and took the next.
    modem.on_line = None
    air.fly(modem, accepted)
    modem.send(last + 2)
    assert restart(store, air) == 1
    assert (state(store, in_doubt), state(store, accepted)) == (State.UNKNOWN, State.SENT)
    go_on(store, last + 3)
    assert state(store, in_doubt) is State.UNKNOWN
    assert in_line(store) == []
