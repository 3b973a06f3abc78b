"""Quiet hours: when a purpose may be sent, by the clock on the wall of who receives it.

A moment is open where the wall clock reads from `opens` to just before `closes` on one of the days: a gap in the clock
leaves out what it leaves out, an hour that comes twice is open twice.

Where a number may be in several zones, all must be open.  Zones that are never all open together in a week (a North
American number without an area may be in Guam or in Newfoundland) are taken for open while as many of them are as ever
are together in that week.  A week begins on Sunday at 00:00 UTC, for that is when clocks change: it has one rule.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

from engine.config import Hours, QuietHours
from engine.crm.people.zones import Zones, clock
from engine.errors import Invalid, InvalidParam
from engine.traffic.messages import SEND, Asked, Lane, State, Verdict

SPREAD_MS: Final = 30 * 60_000  # what was held over night goes in the first half hour, not in the first minute

# A part is asked about when it is claimed, and may have to wait for the one in the air: as long as a modem waits for
# the network, and a little.
ON_THE_WAY_MS: Final = 2 * 60_000

_MINUTE_S: Final = 60
_DAY_S: Final = 86_400
_WEEK_S: Final = 7 * _DAY_S
_SUNDAY_S: Final = 3 * _DAY_S  # 1970-01-04
_EPOCH_WEEKDAY: Final = 3  # a Thursday, and Monday is 0

Span = tuple[int, int]  # from, and just before; seconds


def may_disturb(
    message: Asked, zones: Zones, quiet: QuietHours, now_ms: int, window: tuple[Hours, ...] = ()
) -> Verdict:
    """SEND, HELD until `message` may go, or EXPIRED where it would be too late by then; `window` is its campaign's.

    Just before the evening nothing is sent any more: it could be on the line in the evening.  A one-time password and
    an answer to somebody who has just written go at any hour.
    """
    if message.lane is Lane.OTP or message.in_reply_to:
        return SEND
    hours = open_hours(message.purpose, quiet, window)
    if not hours:
        return Verdict(State.EXPIRED, "window") if window else SEND
    reason = "window" if window else "quiet_hours"
    closed_ms = _closing(now_ms, zones, hours)
    until_ms = release(closed_ms or now_ms, zones, *hours, key=message.id, before_ms=message.expires_ms)
    if not until_ms:
        return SEND
    if message.expires_ms and until_ms >= message.expires_ms:
        return Verdict(State.EXPIRED, reason)
    return Verdict(State.HELD, reason, until_ms)


def open_hours(purpose: str, quiet: QuietHours, window: tuple[Hours, ...] = ()) -> tuple[Hours, ...]:
    """When a purpose may be sent within a campaign's window; empty without either, and where they never meet."""
    hours = quiet.of(purpose)
    return _both(hours, window) if hours and window else hours or window


@lru_cache(maxsize=1024)
def _both(hours: tuple[Hours, ...], window: tuple[Hours, ...]) -> tuple[Hours, ...]:
    both = [
        (max(one.opens, other.opens), min(one.closes, other.closes), one.days & other.days)
        for one in hours
        for other in window
    ]
    return tuple(Hours(opens, closes, days) for opens, closes, days in both if opens < closes and days)


def opening(now_ms: int, zones: Zones, *hours: Hours) -> int:
    """0 where one of `hours` is open now in all `zones`; else when they open, in epoch milliseconds.

    That is 8 days ahead at most, or 15 where a clock change swallows the only hours of a week or moves them away from
    those of another zone.  Raises Invalid for no zones, no hours, or a zone that is not known.
    """
    opens_ms, _ = _present_or_next(now_ms, zones, hours)
    return opens_ms if opens_ms > now_ms else 0


def release(now_ms: int, zones: Zones, *hours: Hours, key: int, before_ms: int = 0) -> int:
    """As `opening`, but spread over the first half hour, by `key` and always alike.

    Within the hours and, where they open before `before_ms`, before that.
    """
    opens_ms, closes_ms = _present_or_next(now_ms, zones, hours)
    if opens_ms <= now_ms:
        return 0
    spread_ms = min(SPREAD_MS, closes_ms - opens_ms - _too_late_ms(opens_ms, closes_ms))
    if before_ms > opens_ms:
        spread_ms = min(spread_ms, before_ms - opens_ms)
    # Fibonacci hashing: neighbouring keys fall far apart, and any run of them is spread evenly.
    return opens_ms + (((key * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF) * spread_ms >> 64)


def _closing(now_ms: int, zones: Zones, hours: tuple[Hours, ...]) -> int:
    """When it closes, where that is so soon that nothing claimed now is sure to be on the line before; else 0."""
    opens_ms, closes_ms = _present_or_next(now_ms, zones, hours)
    if now_ms < max(opens_ms, closes_ms - _too_late_ms(opens_ms, closes_ms)):
        return 0
    # A week's last span may go on in the next week.
    return closes_ms if _present_or_next(closes_ms, zones, hours)[0] > closes_ms else 0


def _too_late_ms(opens_ms: int, closes_ms: int) -> int:
    """How long before it closes nothing is claimed any more.  Hours of a few minutes are too short for all of that."""
    return min(ON_THE_WAY_MS, (closes_ms - opens_ms) // 2)


def _present_or_next(now_ms: int, zones: Zones, hours: tuple[Hours, ...]) -> Span:
    """From when and until when it is open: the span that `now_ms` is in, or the next; cut at the end of its week."""
    week = (now_ms // 1000 - _SUNDAY_S) // _WEEK_S
    edges = _edges(zones, hours, week)
    behind = bisect_right(edges, now_ms) & ~1  # an odd number of edges passed is within a span
    while behind == len(edges):
        week += 1
        edges, behind = _edges(zones, hours, week), 0
    return edges[behind], edges[behind + 1]


@lru_cache(maxsize=4096)
def _edges(zones: Zones, hours: tuple[Hours, ...], week: int) -> tuple[int, ...]:
    """Opening, closing, opening, closing ... of one week, in epoch milliseconds."""
    if not zones or not hours:
        raise Invalid(InvalidParam("time_zone" if hours else "hours", "is missing"))
    begin_s = week * _WEEK_S + _SUNDAY_S
    steps: dict[int, int] = {}
    for zone in zones:
        for opens_s, closes_s in _spans(zone, hours, begin_s):
            steps[opens_s] = steps.get(opens_s, 0) + 1
            steps[closes_s] = steps.get(closes_s, 0) - 1
    together = 0
    counts: dict[int, int] = {}
    for at_s in sorted(steps):
        together += steps[at_s]
        counts[at_s] = together
    most = max(counts.values(), default=0)
    edges: list[int] = []
    for at_s, count in counts.items():
        # Inside of a span the next edge closes it, outside it opens one.
        if (count == most) != (len(edges) % 2 == 1):
            edges.append(at_s * 1000)
    return tuple(edges) if most else ()


@lru_cache(maxsize=4096)
def _spans(zone: str, hours: tuple[Hours, ...], begin_s: int) -> tuple[Span, ...]:
    """When `hours` are open in one zone in the week from `begin_s`: in order, and none touches the next."""
    found: list[Span] = []
    for from_s, to_s, offset_s in _steady(clock(zone), begin_s, begin_s + _WEEK_S):
        for day in range((from_s + offset_s) // _DAY_S, (to_s - 1 + offset_s) // _DAY_S + 1):
            midnight_s = day * _DAY_S - offset_s
            for window in hours:
                if window.days >> (day + _EPOCH_WEEKDAY) % 7 & 1:
                    opens_s = max(from_s, midnight_s + window.opens * _MINUTE_S)
                    closes_s = min(to_s, midnight_s + window.closes * _MINUTE_S)
                    if opens_s < closes_s:
                        found.append((opens_s, closes_s))
    found.sort()
    spans: list[Span] = []
    for opens_s, closes_s in found:
        if spans and opens_s <= spans[-1][1]:
            opens_s, closes_s = spans[-1][0], max(spans.pop()[1], closes_s)  # noqa: PLW2901
        spans.append((opens_s, closes_s))
    return tuple(spans)


def _steady(zone: tzinfo, begin_s: int, end_s: int) -> Iterator[tuple[int, int, int]]:
    """From, to, and the offset from UTC that holds between them, all in seconds.

    Looks twice a day: no clock is set twice within half a day.
    """
    from_s, offset_s = begin_s, _offset_s(zone, begin_s)
    for seen_s in range(begin_s, end_s, _DAY_S // 2):
        next_s = seen_s + _DAY_S // 2
        if _offset_s(zone, next_s) != offset_s:
            before_s, after_s = seen_s, next_s
            while after_s - before_s > 1:
                middle_s = (before_s + after_s) // 2
                if _offset_s(zone, middle_s) == offset_s:
                    before_s = middle_s
                else:
                    after_s = middle_s
            if after_s < end_s:
                yield from_s, after_s, offset_s
                from_s, offset_s = after_s, _offset_s(zone, next_s)
    yield from_s, end_s, offset_s


def _offset_s(zone: tzinfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
