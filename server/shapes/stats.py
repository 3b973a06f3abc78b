"""Statistics as JSON."""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from engine.config import House
from engine.crm.marketing import days
from engine.traffic.costs import Cost
from server.shapes.campaigns import AmountView


class CostLine(msgspec.Struct, frozen=True):
    """What the parts of one tariff cost."""

    tariff: str
    parts: int
    cost: AmountView


class DayCost(msgspec.Struct, frozen=True):
    """The same of one day, in the zone of the house."""

    date: date
    tariff: str
    parts: int
    cost: AmountView


class CostReport(msgspec.Struct, frozen=True):
    """What was begun from the first day to the last, both with it, at the prices of when it was; by tariff and by day.

    Days on which nothing was begun are left out.
    """

    since: date
    until: date
    parts: int
    cost: AmountView
    tariffs: list[CostLine]
    days: list[DayCost]


def cost_report(first: date, last: date, found: Iterable[tuple[int, str, Cost]], house: House) -> CostReport:
    """The report of quarters of an hour; those of other days than these are passed over."""
    currency = house.currency or None
    by_day: dict[tuple[date, str], Cost] = {}
    by_tariff: dict[str, Cost] = {"normal": Cost()}
    for at_ms, tariff, cost in found:
        day = date.fromordinal(days.of(at_ms, house.time_zone))
        if first <= day <= last:
            by_day[day, tariff] = _sum(by_day.get((day, tariff), Cost()), cost)
            by_tariff[tariff] = _sum(by_tariff.get(tariff, Cost()), cost)
    whole = Cost()
    for cost in by_tariff.values():
        whole = _sum(whole, cost)
    return CostReport(
        since=first,
        until=last,
        parts=whole.parts,
        cost=AmountView(whole.minor, currency),
        tariffs=[CostLine(tariff, cost.parts, AmountView(cost.minor, currency)) for tariff, cost in by_tariff.items()],
        days=[
            DayCost(day, tariff, cost.parts, AmountView(cost.minor, currency)) for (day, tariff), cost in by_day.items()
        ],
    )


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(one.parts + other.parts, one.minor + other.minor)


def nearby(day: date, by: int) -> date:
    """So many days later, or the last one of the calendar on that side."""
    try:
        return day + timedelta(by)
    except OverflowError:
        return date.max if by > 0 else date.min
