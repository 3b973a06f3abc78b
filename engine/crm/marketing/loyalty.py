"""The loyalty programme of the house: what earns points, how long they live, how long a tier's period is.

One record.  Knows no members: it says what a purchase is worth, not whose it is.
"""

from typing import Final, Literal

import msgspec

from engine.crm.marketing import days
from engine.errors import Invalid, InvalidParam, Stale
from engine.store.table import Table, Txn
from engine.traffic import events

RULES_MOST: Final = 50
POINTS_MOST: Final = 1_000_000_000  # of one row, and of a rule
MONTHS_MOST: Final = 120


class EarnRule(msgspec.Struct, frozen=True, array_like=True):
    """What earns points, from the day `begins` to the day `ends`, 0 for always.

    amount  `points` for every `per_minor` minor units of `currency`, rounded down
    visit   `points` for coming
    join    `points` for becoming a member
    """

    kind: Literal["amount", "visit", "join"]
    points: int
    per_minor: int = 0
    currency: str = ""
    begins: int = 0
    ends: int = 0

    def holds(self, kind: str, day: int) -> bool:
        """Whether it is of that kind and in force on that day."""
        return self.kind == kind and self.begins <= day <= (self.ends or days.NEVER)


class Programme(msgspec.Struct, frozen=True, array_like=True):
    """Points live `valid_months` and, if `to_year_end`, on to the end of that year; with neither they never lapse.

    A tier is weighed every `period_months` after somebody joined.  `first_number` is the first member's.
    """

    rules: tuple[EarnRule, ...] = ()
    valid_months: int = 0
    to_year_end: bool = False
    period_months: int = 12
    first_number: int = 10_001
    version: int = 0


PROGRAMME: Final = Table("loyalty", Programme, "B")

TABLES: Final = (PROGRAMME,)

_USUAL: Final = Programme()


def current(txn: Txn) -> Programme:
    """The programme as it stands; one without rules where none was ever set."""
    return PROGRAMME.find(txn, 0) or _USUAL


def replace(txn: Txn, programme: Programme, version: int | None, now_ms: int) -> Programme:
    """Put `programme` in the place of the present one: it holds for what is earned from now on.

    Raises Invalid naming the field, Stale where `version` is given and is not the present one.
    """
    known = current(txn).version
    if version is not None and version != known:
        raise Stale(f"the programme has version {known}, not {version}")
    _check(programme)
    new: Programme = msgspec.structs.replace(programme, version=known + 1)
    PROGRAMME.put(txn, 0, new)
    events.append(txn, "loyalty.changed", now_ms, "loyalty", version=new.version)
    return new


def _check(programme: Programme) -> None:
    if len(programme.rules) > RULES_MOST:
        raise Invalid(InvalidParam("earn", f"has more than {RULES_MOST} rules"))
    for row, rule in enumerate(programme.rules, 1):
        if not 0 < rule.points <= POINTS_MOST:
            raise Invalid(InvalidParam("earn.points", f"is not 1 to {POINTS_MOST}", row))
        if (rule.kind == "amount") != (rule.per_minor > 0 and rule.currency != ""):
            raise Invalid(InvalidParam("earn.per_minor", "belongs, with a currency, to a rule of kind amount", row))
        if rule.ends and rule.ends < rule.begins:
            raise Invalid(InvalidParam("earn.to", "is before from", row))
    if not 0 <= programme.valid_months <= MONTHS_MOST:
        raise Invalid(InvalidParam("valid_months", f"is not 0 to {MONTHS_MOST}"))
    if not 1 <= programme.period_months <= MONTHS_MOST:
        raise Invalid(InvalidParam("period_months", f"is not 1 to {MONTHS_MOST}"))
    if programme.first_number < 1:
        raise Invalid(InvalidParam("first_number", "is less than 1"))


def worth(programme: Programme, kind: str, day: int, amount_minor: int = 0, currency: str = "") -> int:
    """The points that a purchase, a visit or joining earns on that day: of all the rules that hold, each rounded down.

    Never more than one row may have.  Raises Invalid where no rule knows the currency.
    """
    rules = [rule for rule in programme.rules if rule.holds(kind, day)]
    known = [rule for rule in rules if rule.currency == currency]
    if kind != "amount":
        points = sum(rule.points for rule in rules)
    elif rules and not known:
        raise Invalid(InvalidParam("amount.currency", f"{currency} earns no points here"))
    else:
        points = sum(amount_minor * rule.points // rule.per_minor for rule in known)
    return min(points, POINTS_MOST)


def expiry(programme: Programme, day: int) -> int:
    """The last day of points that are earned on `day`; NEVER where they do not lapse."""
    if not programme.valid_months and not programme.to_year_end:
        return days.NEVER
    last = days.later(day, programme.valid_months)
    return days.year_end(last) if programme.to_year_end else last


def period_end(programme: Programme, day: int) -> int:
    """The last day of a period that begins on `day`."""
    return days.later(day, programme.period_months) - 1
