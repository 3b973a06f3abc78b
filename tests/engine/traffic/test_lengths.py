"""engine/traffic/lengths.py: which SIMs are offered long messages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.environment import Store
from engine.traffic.lengths import FIRST, LONGEST, Lengths
from engine.traffic.routes import Route, Sender
from engine.traffic.routing import ANY, CLASSES, NO_ROUTE, NOBODY, Classes, Routing
from engine.wiring import TABLES
from tests.engine.traffic.stage import NUMBER

A, B, C = 1, 2, 3
HERE = {A: "/dev/ttyS0", B: "/dev/ttyS1", C: "/dev/ttyS2"}


@pytest.fixture
def routing(tmp_path: Path) -> Iterator[Routing]:
    store = Store(tmp_path / "data", TABLES)
    yield Routing(store)
    store.close()


@pytest.fixture
def lengths(routing: Routing) -> Lengths:
    return Lengths(routing, are_asked=True)


def senders(lengths: Lengths, route: int, parts: int, now_ms: int = 0) -> set[int]:
    number = lengths.class_of(route, parts)
    return {sim for sim, mask in lengths.masks(HERE, now_ms).items() if mask >> number & 1}


def test_one_part_stands_where_its_route_says(lengths: Lengths) -> None:
    assert [lengths.class_of(route, 1) for route in (ANY, NO_ROUTE, NOBODY, 7)] == [ANY, NO_ROUTE, NOBODY, 7]
    assert [lengths.class_of(route, 3) for route in (NO_ROUTE, NOBODY)] == [NO_ROUTE, NOBODY]


def test_as_long_ones_have_a_class_in_common(lengths: Lengths) -> None:
    two, three = lengths.class_of(ANY, 2), lengths.class_of(ANY, 3)
    assert len({two, three, lengths.class_of(7, 2)}) == 3
    assert lengths.class_of(ANY, 2) == two
    assert lengths.class_of(ANY, LONGEST) == lengths.class_of(ANY, 200)
    assert all(lengths.is_apart(number) for number in (two, three))
    assert not lengths.is_apart(ANY)


def test_a_sim_without_room_is_offered_shorter_ones_until_it_has(lengths: Lengths) -> None:
    lengths.short(A, 3, 1000)
    assert lengths.are_short(999)
    assert lengths.next_end_ms(999) == 1000
    assert [senders(lengths, ANY, parts, 999) for parts in (1, 2, 3, 4, 99)] == [{A, B, C}] * 2 + [{B, C}] * 3
    assert senders(lengths, ANY, 3, 1000) == {A, B, C}
    assert not lengths.are_short(1000)
    assert lengths.next_end_ms(1000) is None


def test_a_clock_that_was_set_gives_every_sim_another_chance(lengths: Lengths) -> None:
    lengths.short(A, 2, 1000)
    lengths.look_again()
    assert senders(lengths, ANY, 2) == {A, B, C}


def test_the_next_sim_of_a_route_takes_what_the_first_has_no_room_for(lengths: Lengths, routing: Routing) -> None:
    routing.classes = Classes([Route(1, "cheap first", senders=(Sender(A, cost_minor=1), Sender(B, cost_minor=2)))])
    route = routing.classes.class_of(NUMBER)
    assert senders(lengths, route, 2) == {A}
    lengths.short(A, 2, 1000)
    assert senders(lengths, route, 2) == {B}
    assert senders(lengths, route, 1) == {A}
    assert lengths.all >> lengths.class_of(route, 2) & 1


def test_where_there_are_no_classes_left_a_long_message_stands_as_a_short_one(lengths: Lengths) -> None:
    for parts in range(2, LONGEST + 1):
        for route in range(3, 20):
            lengths.class_of(route, parts)
    assert lengths.class_of(100, 2) == 100
    assert not lengths.is_apart(100)
    assert min(number for route in range(3, 20) if (number := lengths.class_of(route, 2)) > 20) >= FIRST


def test_no_route_is_taken_for_a_length(lengths: Lengths) -> None:
    assert [lengths.class_of(route, 1) for route in (FIRST - 1, FIRST, CLASSES - 1)] == [FIRST - 1, NOBODY, NOBODY]
