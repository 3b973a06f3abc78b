"""engine/_queue.pyx: campaigns share the rack by weight in parts, on every window, and an `otp` passes them all."""

from collections import deque
from random import Random

import pytest

from engine._queue import DueLine

WINDOW = 1_000  # consecutive intents
POINTS = 0.02
LIGHT, HEAVY = 1, 2
WEIGHTS = {LIGHT: 1, HEAVY: 3}
OTP, BULK = 0, 3


class Rack:
    """SIMs that take a part each in turn; the parts of a message go one behind the other on one SIM."""

    def __init__(self, sims: int, random: Random, longest: int) -> None:
        self.line = DueLine()
        self.random = random
        self.longest = longest
        self.fed = 0
        self.waiting = dict.fromkeys(WEIGHTS, 0)
        self.under_way: list[tuple[int, int]] = [(0, 0)] * sims  # group, parts still to go

    def feed(self) -> None:
        """Both campaigns always have work."""
        for group, weight in WEIGHTS.items():
            while self.waiting[group] < 100:
                self.fed += 1
                self.waiting[group] += 1
                self.line.push(self.fed, group, BULK, 0, self.random.randint(1, self.longest), weight)

    def intents(self, count: int) -> list[int]:
        """The group of each part, in the order in which they are claimed."""
        claimed: list[int] = []
        while len(claimed) < count:
            for sim, (group, left) in enumerate(self.under_way):
                if not left:
                    self.feed()
                    taken = self.line.pop(0)
                    assert taken is not None
                    _, group, _, left, _ = taken  # noqa: PLW2901
                    self.waiting[group] -= 1
                claimed.append(group)
                self.under_way[sim] = (group, left - 1)
        return claimed


@pytest.mark.parametrize("sims", [1, 8, 64])
@pytest.mark.parametrize("longest", [1, 6])
def test_every_window_of_a_thousand_intents_holds_the_shares(sims: int, longest: int) -> None:
    claimed = Rack(sims, Random(7), longest).intents(40_000)[1_000:]
    wanted = WEIGHTS[HEAVY] / sum(WEIGHTS.values())
    inside: deque[int] = deque()
    heavy, worst = 0, 0.0
    for group in claimed:
        inside.append(group)
        heavy += group == HEAVY
        if len(inside) > WINDOW:
            heavy -= inside.popleft() == HEAVY
        if len(inside) == WINDOW:
            worst = max(worst, abs(heavy / WINDOW - wanted))
    print(f"{sims} SIMs, messages of up to {longest} parts: off by {100 * worst:.2f} points at most")
    assert worst <= POINTS


def test_a_campaign_that_comes_late_has_its_share_from_then_on_and_no_more() -> None:
    random = Random(11)
    line = DueLine()
    for identifier in range(1, 5_001):
        line.push(identifier, HEAVY, BULK, 0, random.randint(1, 6), 3)
    for _ in range(1_000):
        line.pop(0)
    for identifier in range(10_001, 13_001):
        line.push(identifier, LIGHT, BULK, 0, random.randint(1, 6), 1)
    parts = {LIGHT: 0, HEAVY: 0}
    while sum(parts.values()) < WINDOW:
        taken = line.pop(0)
        assert taken is not None
        parts[taken[1]] += taken[3]
    assert abs(parts[LIGHT] / sum(parts.values()) - 0.25) <= POINTS


def test_an_otp_is_next_whatever_waits() -> None:
    rack = Rack(8, Random(3), 6)
    for turn in range(200):
        rack.feed()
        rack.line.push(1_000_000 + turn, 99, OTP, 0, 1)
        taken = rack.line.pop(0)
        assert taken is not None
        assert taken[0] == 1_000_000 + turn
        rack.intents(8)
