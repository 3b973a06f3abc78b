"""The due line: ten thousand messages in and out again, in an order that both must agree on."""

from random import Random
from typing import Any, Protocol

from bench import queue_baseline
from bench.case import Case
from engine import _queue

MESSAGES = 10_000
NOW_MS = 1_000_000


class Line(Protocol):
    """What both lines do."""

    def push(
        self, identifier: int, group: int, lane: int, due_ms: int, parts: int, weight: int = 1, route: int = 0
    ) -> None: ...
    def push_rows(
        self, group: int, lane: int, due_ms: int, weight: int, entries: list[tuple[int, int, int, Any]]
    ) -> None: ...
    def pop(
        self, now_ms: int, lowest_lane: int = 3, routes: int | None = None
    ) -> tuple[int, int, int, int, Any] | None: ...


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


def feed_and_pop(line: Line, rows: list[tuple[int, int, int, Any]]) -> list[int]:
    """The same where a campaign's rows come due together."""
    line.push_rows(1, 3, NOW_MS, 1, rows)
    order = []
    while (taken := line.pop(NOW_MS)) is not None:
        order.append(taken[0])
    return order


def behind_others(line: Line, rows: list[tuple[int, int, int, Any]]) -> list[int]:
    """One class of many: nine in ten stand in front of it, for other SIMs."""
    line.push_rows(1, 3, NOW_MS, 1, rows)
    order = []
    for route in range(ROUTES - 1, -1, -1):
        while (taken := line.pop(NOW_MS, 3, 1 << route)) is not None:
            order.append(taken[0])
    return order


ROUTES = 10
FED = [(identifier, 1 + identifier % 3, 0, None) for identifier in range(1, MESSAGES + 1)]
FEW = 1_000
ROUTED = [(identifier, 1 + identifier % 3, identifier * ROUTES // (FEW + 1), None) for identifier in range(1, FEW + 1)]

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
    Case(
        "queue/feed-pop/one-campaign",
        {
            "cython": lambda: feed_and_pop(_queue.DueLine(), FED),
            "python": lambda: feed_and_pop(queue_baseline.DueLine(), FED),
        },
        per=MESSAGES,
    ),
    Case(
        "queue/feed-pop/10-routes",
        {
            "cython": lambda: behind_others(_queue.DueLine(), ROUTED),
            "python": lambda: behind_others(queue_baseline.DueLine(), ROUTED),
        },
        per=FEW,
    ),
]
