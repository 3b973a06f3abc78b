"""What may go in the year, checked from what went: nothing of the engine is asked but the names of its limits.

A ledger is all parts in the order in which their first octets went: SIM, number, time, and which part of its message.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.config import Limits
from tests.engine.traffic.quota_ledger import Exact, Sent, violations
from tests.engine.traffic.year_rack import Given

# The parts behind the first of a message are not stopped by the evening, but they must not come in the middle of it.
FOLLOWS_MS = 5 * 60_000


class Open(NamedTuple):
    """When people may be written to: from, to, in minutes of their day, on which weekdays (0: Monday)."""

    opens: int
    closes: int
    weekdays: tuple[int, ...]


class Place(NamedTuple):
    """Numbers that begin so are in these zones, all of which must be awake, and may be written to at `hours`."""

    prefix: str
    zones: tuple[str, ...]
    hours: tuple[Open, ...]


def place_of(number: int, places: Iterable[Place]) -> Place:
    return next(place for place in places if str(number).startswith(place.prefix))


def is_awake(place: Place, at_ms: int) -> bool:
    for zone in place.zones:
        wall = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
        minute = wall.hour * 60 + wall.minute
        if not any(each.opens <= minute < each.closes and wall.weekday() in each.weekdays for each in place.hours):
            return False
    return True


def woken(ledger: list[Given], places: list[Place]) -> Iterator[str]:
    """Parts that went when somebody may have been asleep."""
    for given in ledger:
        place = place_of(given.number, places)
        if is_awake(place, given.at_ms):
            continue
        if given.sequence == 1 or not is_awake(place, given.at_ms - FOLLOWS_MS):
            yield f"quiet: {given.number} part {given.sequence} at {given.at_ms}"


def over_quota(ledger: list[Given], limits: Mapping[int, Limits]) -> Iterator[str]:
    """Windows of a SIM that hold more than they may."""
    for sim, its in limits.items():
        sent = [Sent(given.at_ms, given.number) for given in ledger if given.sim == sim]
        yield from (f"{sim}: {found}" for found in violations(sent, its))


def unasked(ledger: list[Given], offered: Mapping[int, int]) -> Iterator[str]:
    """Numbers that got more parts than anybody wanted to send them."""
    for number, parts in Counter(given.number for given in ledger).items():
        if parts > offered.get(number, 0):
            yield f"twice: {number} got {parts} parts of {offered.get(number, 0)}"


def torn(ledger: list[Given], places: list[Place], most_ms: int) -> Iterator[str]:
    """Parts that came so long after the one before on their SIM that they were no message any more.

    What could not follow at once does not come before the morning: then nobody had to.
    """
    last: dict[tuple[int, int, int], int] = {}
    for given in ledger:
        before_ms = last.pop((given.sim, given.number, given.sequence - 1), given.at_ms)
        place = place_of(given.number, places)
        if given.at_ms - before_ms > most_ms and all(
            is_awake(place, at_ms) for at_ms in range(before_ms, given.at_ms, FOLLOWS_MS)
        ):
            yield f"torn: {given.number} part {given.sequence} at {given.at_ms}, {given.at_ms - before_ms} ms later"
        last[given.sim, given.number, given.sequence] = given.at_ms


def two_at_once(ledger: list[Given], fastest_ms: int) -> Iterator[str]:
    """Parts that followed one another on a SIM sooner than it can send: the ledger itself is wrong."""
    last: dict[int, int] = {}
    for given in ledger:
        if given.at_ms - last.get(given.sim, -fastest_ms) < fastest_ms:
            yield f"ledger: {given.sim} at {given.at_ms}"
        last[given.sim] = given.at_ms


def most(limits: Limits, supply: Iterator[tuple[int, int]], from_ms: int, until_ms: int, air_ms: int) -> int:
    """Parts that the SIM could have sent: (number, parts) come from `supply` without end.

    By a sender who knows every time to the millisecond, is never asked to wait for the morning (there is always
    somebody awake), never stopped, and who looks through twenty messages for one that may go, which finds
    those who count already as recipients.  Early is best: what goes sooner leaves its windows sooner.
    """
    exact = Exact(limits)
    waiting = [next(supply) for _ in range(20)]
    now_ms, sent = from_ms, 0
    while now_ms < until_ms:
        again_ms = until_ms
        for place, (number, parts) in enumerate(waiting):
            free_ms = exact.take(number, now_ms)
            if free_ms:
                again_ms = min(again_ms, free_ms)
                continue
            sent += 1
            again_ms = now_ms + air_ms
            waiting[place] = (number, parts - 1) if parts > 1 else next(supply)
            break
        now_ms = again_ms
    return sent
