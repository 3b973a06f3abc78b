"""What was sent, to the millisecond: an independent check of quotas, and the most that they would have allowed."""

from collections import Counter, OrderedDict
from typing import NamedTuple

from engine.config import Limits

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
MONTH_MS = 2_592_000_000

PARTS = {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS, "month": MONTH_MS}
RECIPIENTS = {"day_recipients": DAY_MS, "month_recipients": MONTH_MS}


class Sent(NamedTuple):
    at_ms: int
    number: int


def violations(ledger: list[Sent], limits: Limits) -> list[str]:
    """Every window, both ends included, that holds more than its limit."""
    found: list[str] = []
    ledger = sorted(ledger)
    for name, length_ms in {**PARTS, **RECIPIENTS}.items():
        limit = getattr(limits, name)
        if not limit:
            continue
        within: Counter[int] = Counter()
        oldest = 0
        for place, sent in enumerate(ledger):
            within[sent.number] += 1
            while ledger[oldest].at_ms < sent.at_ms - length_ms:
                gone = ledger[oldest].number
                within[gone] -= 1
                if not within[gone]:
                    del within[gone]
                oldest += 1
            used = len(within) if name in RECIPIENTS else place - oldest + 1
            if used > limit:
                found.append(f"{name}: {used} of {limit} in the window that ends at {sent.at_ms}")
    return found


class Exact:
    """The same questions as engine/traffic/quotas.py, answered from a list of all times of one SIM."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._times: list[int] = []
        self._latest: dict[str, OrderedDict[int, int]] = {name: OrderedDict() for name in RECIPIENTS}

    def sim_room(self, now_ms: int) -> int:
        free_ms = 0
        for name, length_ms in PARTS.items():
            limit = getattr(self.limits, name)
            if limit and len(self._times) >= limit and self._times[-limit] >= now_ms - length_ms:
                free_ms = max(free_ms, self._times[-limit] + length_ms + 1)
        return free_ms

    def take(self, number: int, now_ms: int) -> int:
        free_ms = self.sim_room(now_ms)
        for name, length_ms in RECIPIENTS.items():
            limit, latest = getattr(self.limits, name), self._latest[name]
            while latest and next(iter(latest.values())) < now_ms - length_ms:
                latest.popitem(last=False)
            if limit and number not in latest and len(latest) >= limit:
                free_ms = max(free_ms, next(iter(latest.values())) + length_ms + 1)
        if not free_ms:
            self._times.append(now_ms)
            for latest in self._latest.values():
                latest[number] = now_ms
                latest.move_to_end(number)
        return free_ms
