"""engine/traffic/routing.py: the loop reads the classes while the writer's thread asks for verdicts."""

import threading

from engine.traffic.message import SEND, Message, Verdict
from engine.traffic.routes import Route, Sender
from engine.traffic.routing import Classes

FIRST = 4900
ROUTES = 200
SIMS = {262_010_000_000_000 + n: f"/dev/ttyS{n}" for n in range(64)}
ROUNDS = 5


def number(index: int) -> int:
    """A number that the route of this index takes."""
    return (FIRST + index) * 10**8


def sim(index: int) -> int:
    """Who sends what that route takes."""
    return list(SIMS)[index % len(SIMS)]


def made() -> Classes:
    """Routes whose classes nobody has met yet."""
    return Classes(
        Route(
            index + 1, f"route {index}", prefixes=(str(FIRST + index),), senders=(Sender(sim(index)),), failover=False
        )
        for index in range(ROUTES)
    )


def test_classes_can_be_read_while_another_thread_asks_for_verdicts() -> None:
    for _ in range(ROUNDS):
        classes, both = made(), threading.Barrier(2)
        verdicts: list[Verdict] = []

        def ask(classes: Classes, both: threading.Barrier, verdicts: list[Verdict]) -> None:
            both.wait()
            verdicts += [classes.verdict(Message(0, number(index), ""), 0) for index in reversed(range(ROUTES))]

        thread = threading.Thread(target=ask, args=(classes, both, verdicts))
        thread.start()
        both.wait()
        try:
            for index in range(ROUTES):
                classes.class_of(number(index))
                classes.masks(SIMS)
        finally:
            thread.join()
        assert verdicts == [SEND] * ROUTES
        assert all(classes.senders(classes.class_of(number(index)), SIMS) == {sim(index)} for index in range(ROUTES))


def test_a_verdict_makes_no_class() -> None:
    asked, fresh = made(), made()
    for index in reversed(range(ROUTES)):
        assert asked.verdict(Message(0, number(index), ""), 0) == SEND
    assert asked.all == fresh.all
    for index in range(ROUTES):
        assert asked.class_of(number(index)) == fresh.class_of(number(index))
