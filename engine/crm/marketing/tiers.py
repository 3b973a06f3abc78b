"""Tiers: what a member is called for the points that he earned in a period of his, and what he has of it.

He rises at once, and falls only when his period has ended: then the points of that period decide, and the next begins
from nothing.  One record holds the whole ladder.
"""

from itertools import islice
from typing import Final

import msgspec

from engine.crm.marketing import days, loyalty, members
from engine.crm.marketing.loyalty import Programme
from engine.crm.marketing.members import PERIODS
from engine.crm.people.member import MEMBERS, Member
from engine.errors import Invalid, InvalidParam, Stale
from engine.store.table import Table, Txn
from engine.traffic import events

TIERS_MOST: Final = 20


class Tier(msgspec.Struct, frozen=True, array_like=True):
    """A rung: `name` and `benefits` by language, `points` earned in a period lead to it."""

    code: str
    name: dict[str, str]
    points: int
    benefits: dict[str, str] = {}


class Ladder(msgspec.Struct, frozen=True, array_like=True):
    """The tiers, the lowest first."""

    tiers: tuple[Tier, ...] = ()
    version: int = 0


LADDER: Final = Table("tiers", Ladder, "B")

TABLES: Final = (LADDER,)

_NONE: Final = Ladder()


def ladder(txn: Txn) -> Ladder:
    """The tiers there are."""
    return LADDER.find(txn, 0) or _NONE


def replace(txn: Txn, tiers: tuple[Tier, ...], version: int | None, now_ms: int) -> Ladder:
    """Put these in the place of all tiers; `regrade` then looks at every member.

    Raises Invalid naming the field, Stale where `version` is given and is not the present one.
    """
    known = ladder(txn).version
    if version is not None and version != known:
        raise Stale(f"the tiers have version {known}, not {version}")
    if len(tiers) > TIERS_MOST:
        raise Invalid(InvalidParam("tiers", f"are more than {TIERS_MOST}"))
    codes: set[str] = set()
    points = -1
    for row, tier in enumerate(tiers, 1):
        if tier.code in codes:
            raise Invalid(InvalidParam("code", f"{tier.code!r} is there twice", row))
        if tier.points <= points:
            raise Invalid(InvalidParam("points", "is not more than that of the tier before", row))
        codes.add(tier.code)
        points = tier.points
    new = Ladder(tiers, known + 1)
    LADDER.put(txn, 0, new)
    events.append(txn, "tiers.changed", now_ms, "tiers", codes=[tier.code for tier in tiers])
    return new


def place_of(known: Ladder, code: str) -> int:
    """Which rung the tier of that code is, from 0; -1 for none."""
    return next((place for place, tier in enumerate(known.tiers) if tier.code == code), -1)


def reached(known: Ladder, points: int) -> int:
    """Which rung so many points lead to; -1 where they lead to none."""
    return sum(points >= tier.points for tier in known.tiers) - 1


def next_of(known: Ladder, member: Member) -> tuple[Tier, int] | None:
    """The tier above his, and how many points it still takes in this period; None at the top."""
    above = place_of(known, member.tier) + 1
    if above >= len(known.tiers):
        return None
    tier = known.tiers[above]
    return tier, max(0, tier.points - member.earned)


def weighed(known: Ladder, programme: Programme, member: Member, today: int) -> Member:
    """The member as he stands today: every period that has ended decided, and risen where he has earned it."""
    tier, earned, until = place_of(known, member.tier), member.earned, member.tier_until
    while until < today:
        tier, earned = reached(known, earned), 0
        until = loyalty.period_end(programme, until + 1)
    tier = max(tier, reached(known, earned))
    code = known.tiers[tier].code if tier >= 0 else ""
    if (code, earned, until) == (member.tier, member.earned, member.tier_until):
        return member
    new: Member = msgspec.structs.replace(member, tier=code, earned=earned, tier_until=until)
    return new


def tell(txn: Txn, identifier: int, known: Ladder, old: Member, new: Member, now_ms: int) -> None:
    """Append the event of a tier that changed: once for each change."""
    if old.tier != new.tier:
        is_rise = place_of(known, new.tier) > place_of(known, old.tier)
        kind = "tier.raised" if is_rise else "tier.lowered"
        events.append(txn, kind, now_ms, members.name_of(identifier), tier=new.tier, before=old.tier)


def _settle(txn: Txn, identifier: int, known: Ladder, programme: Programme, today: int, now_ms: int) -> bool:
    old = members.get(txn, identifier)
    new = weighed(known, programme, old, today)
    if new is old:
        return False
    new = msgspec.structs.replace(new, updated_ms=now_ms, version=old.version + 1)
    members.save(txn, identifier, old, new)
    tell(txn, identifier, known, old, new, now_ms)
    return True


def weigh(txn: Txn, now_ms: int, zone: str, limit: int) -> int:
    """Decide the periods that have ended, of `limit` members at most; how many those were.  For every night."""
    today, known, programme = days.of(now_ms, zone), ladder(txn), loyalty.current(txn)
    due = [identifier for day, identifier in islice(PERIODS.scan(txn), limit) if day < today]
    for identifier in due:
        _settle(txn, identifier, known, programme, today, now_ms)
    return len(due)


def regrade(txn: Txn, after: int, now_ms: int, zone: str, limit: int) -> int | None:
    """Look at `limit` members behind id `after` by tiers that are new; the last one's id, None behind the last.

    Who stands on a tier that is still there keeps it until his period ends.
    """
    today, known, programme = days.of(now_ms, zone), ladder(txn), loyalty.current(txn)
    found = [identifier for (identifier,), _ in islice(MEMBERS.scan(txn, after=after), limit)]
    for identifier in found:
        _settle(txn, identifier, known, programme, today, now_ms)
    return found[-1] if len(found) == limit else None
