"""Days: the calendar of the house, by which points lapse, coupons are valid and tiers are weighed.

A day is its number in the proleptic Gregorian calendar, as `datetime.date.toordinal` has it; 0 is no day.
"""

from calendar import monthrange
from datetime import date, datetime
from typing import Final

from engine.crm.people.zones import clock

NEVER: Final = 0xFFFF_FFFF  # behind every day


def of(now_ms: int, zone: str) -> int:
    """The day that it is in `zone`.  Raises Invalid where there is no such zone."""
    return datetime.fromtimestamp(now_ms / 1000, clock(zone)).toordinal()


def later(day: int, months: int) -> int:
    """The same day of the month so many months later, or the last one of a month that is too short."""
    start = date.fromordinal(day)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1])).toordinal()


def year_end(day: int) -> int:
    """The last day of its year."""
    return date(date.fromordinal(day).year, 12, 31).toordinal()


def text(day: int) -> str | None:
    """`2026-12-31`, or None for no day and for never."""
    return date.fromordinal(day).isoformat() if 0 < day < NEVER else None
