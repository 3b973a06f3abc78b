"""Statistics as JSON."""

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


class Costs:
    """What quarters of an hour cost, added up by day and tariff; those of other days are passed over."""

    def __init__(self, first: date, last: date, house: House) -> None:
        self._first = first
        self._last = last
        self._house = house
        self._by_day: dict[tuple[date, str], Cost] = {}
        self._by_tariff: dict[str, Cost] = {"normal": Cost()}

    def add(self, at_ms: int, tariff: str, cost: Cost) -> None:
        """A quarter of an hour that began at `at_ms`."""
        day = date.fromordinal(days.of(at_ms, self._house.time_zone))
        if self._first <= day <= self._last:
            self._by_day[day, tariff] = _sum(self._by_day.get((day, tariff), Cost()), cost)
            self._by_tariff[tariff] = _sum(self._by_tariff.get(tariff, Cost()), cost)

    def report(self) -> CostReport:
        """All of it."""
        whole = Cost()
        for cost in self._by_tariff.values():
            whole = _sum(whole, cost)
        return CostReport(
            since=self._first,
            until=self._last,
            parts=whole.parts,
            cost=self._amount(whole),
            tariffs=[CostLine(tariff, cost.parts, self._amount(cost)) for tariff, cost in self._by_tariff.items()],
            days=[DayCost(day, tariff, cost.parts, self._amount(cost)) for (day, tariff), cost in self._by_day.items()],
        )

    def _amount(self, cost: Cost) -> AmountView:
        return AmountView(cost.minor, self._house.currency or None)


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(one.parts + other.parts, one.minor + other.minor)


def nearby(day: date, by: int) -> date:
    """So many days later, or the last one of the calendar on that side."""
    try:
        return day + timedelta(by)
    except OverflowError:
        return date.max if by > 0 else date.min
