"""The due line: ten thousand messages in and out again, in an order that both must agree on."""

from random import Random
from typing import Protocol

from bench import queue_baseline
from bench.case import Case
from engine import _queue

MESSAGES = 10_000
NOW_MS = 1_000_000


class Line(Protocol):
    """What both lines do."""

    def push(self, identifier: int, group: int, lane: int, due_ms: int, parts: int, weight: int = 1) -> None: ...
    def pop(self, now_ms: int) -> tuple[int, int, int, int] | None: ...


def entries(groups: int, lanes: int) -> list[tuple[int, int, int, int, int, int]]:
    """Messages of 1 to 3 parts, due at different times until now, from so many campaigns."""
    random = Random(1)
    times = random.sample(range(NOW_MS), MESSAGES)
    rows = []
    for identifier in range(1, MESSAGES + 1):
        group = random.randrange(groups)
        lane, parts = random.randrange(lanes), random.randint(1, 3)
        rows.append((identifier, group, lane, times[identifier - 1], parts, 1 + group % 3))
    return rows


ONE_CAMPAIGN = entries(groups=1, lanes=1)
TWENTY_CAMPAIGNS = entries(groups=20, lanes=4)


def push_and_pop(line: Line, rows: list[tuple[int, int, int, int, int, int]]) -> list[int]:
    """The ids in the order in which they go."""
    for row in rows:
        line.push(*row)
    order = []
    while (taken := line.pop(NOW_MS)) is not None:
        order.append(taken[0])
    return order


CASES: list[Case] = [
    Case(
        "queue/push-pop/one-campaign",
        {
            "cython": lambda: push_and_pop(_queue.DueLine(), ONE_CAMPAIGN),
            "python": lambda: push_and_pop(queue_baseline.DueLine(), ONE_CAMPAIGN),
        },
        per=MESSAGES,
    ),
    Case(
        "queue/push-pop/20-campaigns",
        {
            "cython": lambda: push_and_pop(_queue.DueLine(), TWENTY_CAMPAIGNS),
            "python": lambda: push_and_pop(queue_baseline.DueLine(), TWENTY_CAMPAIGNS),
        },
        per=MESSAGES,
    ),
]
