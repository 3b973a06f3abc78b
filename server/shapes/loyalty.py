"""The loyalty programme, its tiers and its rewards as JSON."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.crm.marketing import days, loyalty, rewards, tiers
from engine.crm.marketing.loyalty import MONTHS_MOST, POINTS_MOST, RULES_MOST, EarnRule, Programme
from engine.crm.marketing.rewards import Reward
from engine.crm.marketing.tiers import Ladder, Tier
from server import wire
from server.shapes.coupons import CouponTerms, Currency, TermsView, terms, terms_of

Points = Annotated[int, Meta(ge=1, le=POINTS_MOST)]
Language = Annotated[str, Meta(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]  # BCP 47
Words = dict[Language, Annotated[str, Meta(min_length=1, max_length=1000)]]
Stock = Annotated[int, Meta(ge=0, le=rewards.STOCK_MOST)]
RewardCode = Annotated[str, Meta(min_length=1, max_length=rewards.CODE_LONGEST)]
ValidDays = Annotated[int, Meta(ge=0, le=rewards.DAYS_MOST)]


class EarnRuleShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What earns `points`: every `per_minor` minor units of a `currency`, rounded down; a visit; joining.

    From the day `from` to the day `to`, where they are given.
    """

    kind: Literal["amount", "visit", "join"]
    points: Points
    per_minor: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    currency: Currency | None = None
    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None


class LoyaltyShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole programme.  Points live `valid_months` and on `to_year_end`; with neither they never lapse.

    A tier is weighed every `period_months` after somebody joined; members are numbered from `first_number` on.
    """

    earn: Annotated[list[EarnRuleShape], Meta(max_length=RULES_MOST)] = []
    valid_months: Annotated[int, Meta(ge=0, le=MONTHS_MOST)] = 0
    to_year_end: bool = False
    period_months: Annotated[int, Meta(ge=1, le=MONTHS_MOST)] = 12
    first_number: Annotated[int, Meta(ge=1, le=10**15)] = 10_001


class TierShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tier: `name` and `benefits` by language, `points` earned in a period lead to it."""

    code: Annotated[str, Meta(min_length=1, max_length=40)]
    name: Words
    points: Annotated[int, Meta(ge=0, le=POINTS_MOST)]
    benefits: Words = {}


class TiersShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All tiers, the lowest first."""

    tiers: Annotated[list[TierShape], Meta(max_length=tiers.TIERS_MOST)]


class NewReward(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be had for `cost` points, from the day `from` to the day `to`, while `stock` lasts (null: for ever).

    The coupon is good for `valid_days`, and not beyond `valid_to` of its terms.
    """

    code: RewardCode
    name: Words
    cost: Points
    coupon: CouponTerms
    stock: Stock | None = None
    from_: date | None = msgspec.field(default=None, name="from")
    to: date | None = None
    valid_days: ValidDays = 0


class RewardChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    code: RewardCode | UnsetType = UNSET
    name: Words | UnsetType = UNSET
    cost: Points | UnsetType = UNSET
    coupon: CouponTerms | UnsetType = UNSET
    stock: Stock | UnsetType | None = UNSET
    from_: date | UnsetType | None = msgspec.field(default=UNSET, name="from")
    to: date | UnsetType | None = UNSET
    valid_days: ValidDays | UnsetType = UNSET


class EarnRuleView(msgspec.Struct, frozen=True):
    """What earns points."""

    kind: str
    points: int
    per_minor: int | None
    currency: str | None
    from_: str | None = msgspec.field(name="from")
    to: str | None


class LoyaltyView(msgspec.Struct, frozen=True):
    """The whole programme."""

    earn: list[EarnRuleView]
    valid_months: int
    to_year_end: bool
    period_months: int
    first_number: int
    version: int


class TierView(msgspec.Struct, frozen=True):
    """A tier."""

    code: str
    name: dict[str, str]
    points: int
    benefits: dict[str, str]


class TiersView(msgspec.Struct, frozen=True):
    """All tiers, the lowest first."""

    tiers: list[TierView]
    version: int


class RewardView(msgspec.Struct, frozen=True):
    """A reward; `redeemed` counts how often somebody had it."""

    id: str
    code: str
    name: dict[str, str]
    cost: int
    coupon: TermsView
    stock: int | None
    from_: str | None = msgspec.field(name="from")
    to: str | None
    valid_days: int
    redeemed: int
    created_at: str | None
    updated_at: str | None
    version: int


class RewardPage(msgspec.Struct, frozen=True):
    """All rewards, the oldest first."""

    items: list[RewardView]
    next: str | None


def _day(given: date | None) -> int:
    return given.toordinal() if given else 0


def programme_of(given: LoyaltyShape) -> Programme:
    """The programme as the engine knows it."""
    rules = tuple(
        EarnRule(rule.kind, rule.points, rule.per_minor or 0, rule.currency or "", _day(rule.from_), _day(rule.to))
        for rule in given.earn
    )
    return Programme(rules, given.valid_months, given.to_year_end, given.period_months, given.first_number)


def programme(record: loyalty.Programme) -> LoyaltyView:
    """The programme as JSON."""
    return LoyaltyView(
        [
            EarnRuleView(
                rule.kind,
                rule.points,
                rule.per_minor or None,
                rule.currency or None,
                days.text(rule.begins),
                days.text(rule.ends),
            )
            for rule in record.rules
        ],
        record.valid_months,
        record.to_year_end,
        record.period_months,
        record.first_number,
        record.version,
    )


def tiers_of(given: TiersShape) -> tuple[Tier, ...]:
    """The tiers as the engine knows them."""
    return tuple(Tier(tier.code, dict(tier.name), tier.points, dict(tier.benefits)) for tier in given.tiers)


def ladder(record: Ladder) -> TiersView:
    """All tiers as JSON."""
    return TiersView(
        [TierView(tier.code, tier.name, tier.points, tier.benefits) for tier in record.tiers], record.version
    )


def reward_of(given: NewReward) -> Reward:
    """A new reward as the engine knows it."""
    return Reward(
        given.code,
        dict(given.name),
        given.cost,
        terms_of(given.coupon),
        given.stock,
        _day(given.from_),
        _day(given.to),
        given.valid_days,
    )


def reward_changes(given: RewardChange) -> dict[str, object]:
    """The fields of a record that a change replaces."""
    changes: dict[str, object] = {
        name: value
        for name in ("code", "name", "cost", "stock", "valid_days")
        if (value := getattr(given, name)) is not UNSET
    }
    if given.coupon is not UNSET:
        changes["terms"] = terms_of(given.coupon)
    if given.from_ is not UNSET:
        changes["begins"] = _day(given.from_)
    if given.to is not UNSET:
        changes["ends"] = _day(given.to)
    return changes


def reward(identifier: int, record: Reward) -> RewardView:
    """A reward as JSON."""
    return RewardView(
        rewards.name_of(identifier),
        record.code,
        record.name,
        record.cost,
        terms(record.terms),
        record.stock,
        days.text(record.begins),
        days.text(record.ends),
        record.valid_days,
        record.redeemed,
        wire.time(record.created_ms),
        wire.time(record.updated_ms),
        record.version,
    )
