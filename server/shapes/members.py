"""Members and their points as JSON."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.access.caller import Caller
from engine.crm.marketing import days, members, points, tiers
from engine.crm.marketing.ledger import Place, Row
from engine.crm.marketing.loyalty import POINTS_MOST
from engine.crm.marketing.rewards import CODE_LONGEST
from engine.crm.marketing.tiers import Ladder
from engine.crm.marketing.till_codes import Given
from engine.crm.people import customers
from engine.crm.people.customer import Customer
from engine.crm.people.member import Member
from server import sight, views, wire
from server.shapes.coupons import IssuedView, Money, Text

Delta = Annotated[int, Meta(ge=-POINTS_MOST, le=POINTS_MOST)]


class NewMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer who joins, by what `join_code` if any; a `pending` one collects points and spends none."""

    customer_id: str
    join_code: Annotated[str, Meta(max_length=members.CODE_LONGEST)] = ""
    pending: bool = False


class MemberChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the member shall be, and why."""

    state: Literal["active", "suspended", "closed"]
    reason: Text = ""


class NewPoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened to points.  `ref` is what for, and counts once for its kind: a second call changes nothing.

    earn      `delta` points, or what the rules give for the `amount` of an order or for a `visit`
    adjust    `delta` points more, or fewer where it is below 0, for a `reason`
    reverse   takes back the row of kind `of` with this `ref`
    transfer  hands `delta` points on to the member `to`
    """

    kind: Literal["earn", "adjust", "reverse", "transfer"]
    delta: Delta | None = None
    amount: Money | None = None
    visit: bool = False
    reason: Annotated[str, Meta(max_length=points.REASON_LONGEST)] = ""
    ref: Annotated[str, Meta(max_length=points.REF_LONGEST)] = ""
    of: Literal["earn", "redeem", "adjust"] = "earn"
    to: str | None = None


class RedeemReward(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code of the reward he wants."""

    reward: Annotated[str, Meta(min_length=1, max_length=CODE_LONGEST)]


class ShownCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that somebody shows at a till."""

    code: Annotated[str, Meta(min_length=1, max_length=20)]


class ExpiringView(msgspec.Struct, frozen=True):
    """The points that lapse next, and their last day."""

    points: int
    last_day: str | None


class NextTierView(msgspec.Struct, frozen=True):
    """The tier above, and how many points it still takes in this period."""

    code: str
    points: int


class MemberView(msgspec.Struct, frozen=True):
    """A member; the telephone number is masked.

    `earned` are the points of the period that ends on `tier_until`, behind which the tier may fall.
    """

    id: str
    customer_id: str
    number: str
    name: str
    phone: views.Phone | None
    state: str
    reason: str | None
    tier: str | None
    tier_until: str | None
    next_tier: NextTierView | None
    balance: int
    earned: int
    expiring: ExpiringView | None
    joined_at: str | None
    join_code: str | None
    updated_at: str | None
    version: int


class MemberPage(msgspec.Struct, frozen=True):
    """Members; `next` is the cursor of the following page, or null."""

    items: list[MemberView]
    next: str | None


class LotView(msgspec.Struct, frozen=True):
    """So many points into a lot or out of it, and the last day of these."""

    points: int
    last_day: str | None


class PointsView(msgspec.Struct, frozen=True):
    """A row of the ledger: `balance` is what it left.  Rows of a member count from 1."""

    row: int
    at: str | None
    kind: str
    delta: int
    balance: int
    by: str
    ref: str | None
    reason: str | None
    lots: list[LotView]


class PointsPage(msgspec.Struct, frozen=True):
    """Rows of the ledger, the newest first; `next` is the cursor of the following page, or null."""

    items: list[PointsView]
    next: str | None


class PointsAnswer(msgspec.Struct, frozen=True):
    """The row and the member behind it; `new` is false where the row was there before.

    There is no row where the rules give nothing.
    """

    member: MemberView
    row: PointsView | None
    new: bool


class RewardGiven(msgspec.Struct, frozen=True):
    """The coupon, with its code, and the member who paid for it."""

    issued: IssuedView
    member: MemberView


class TillCodeView(msgspec.Struct, frozen=True):
    """Six digits to be shown at a till, once, before `until`."""

    code: str
    until: str | None


def member(
    caller: Caller, identifier: int, record: Member, customer: Customer | None, ladder: Ladder, *, whole: bool = False
) -> MemberView:
    """A member as JSON, as the caller sees him."""
    above = tiers.next_of(ladder, record)
    return MemberView(
        id=members.name_of(identifier),
        customer_id=customers.name_of(identifier),
        number=record.number,
        name=customer.name if customer else "",
        phone=sight.number(caller, customer.number, whole=whole) if customer else None,
        state=record.state.slug,
        reason=record.reason or None,
        tier=record.tier or None,
        tier_until=days.text(record.tier_until),
        next_tier=NextTierView(above[0].code, above[1]) if above else None,
        balance=record.balance,
        earned=record.earned,
        expiring=ExpiringView(record.expiring, days.text(record.expires)) if record.expiring else None,
        joined_at=wire.time(record.joined_ms),
        join_code=record.join_code or None,
        updated_at=wire.time(record.updated_ms),
        version=record.version,
    )


def row(place: Place, record: Row) -> PointsView:
    """A row of the ledger as JSON."""
    return PointsView(
        row=place[2],
        at=wire.time(place[1]),
        kind=record.kind.value,
        delta=record.delta,
        balance=record.balance,
        by=record.by,
        ref=record.ref or None,
        reason=record.reason or None,
        lots=[LotView(piece.points, days.text(piece.expires)) for piece in record.pieces],
    )


def till_code(given: Given) -> TillCodeView:
    """A till code as it was given."""
    return TillCodeView(given.code, wire.time(given.until_ms))
