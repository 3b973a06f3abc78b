"""Points: how they are earned, spent, adjusted, taken back and handed on, and how they lapse.

Every one of these is a row of the ledger (engine/crm/marketing/ledger.py), with who did it and what it was for.  A kind
and a reference are given once: the same order earns once however often it is told, and telling it again answers with
the row that there is.

A balance falls below nothing in one case: what an order earned was spent, and the order is taken back.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from engine.crm.marketing import days, ledger, loyalty, members
from engine.crm.marketing.ledger import POINTS, Account, Kind, Piece, Pieces, Place, Row
from engine.crm.marketing.loyalty import POINTS_MOST
from engine.crm.people.member import Member, State
from engine.errors import Conflict, Invalid, InvalidParam, NotFound
from engine.store.table import Txn

REASON_LONGEST: Final = 200  # characters
REF_LONGEST: Final = 200

_UNDONE: Final = (Kind.EARN, Kind.REDEEM, Kind.ADJUST)


class Posted(NamedTuple):
    """A row of the ledger and the member behind it; `is_new` is false where the row was there before."""

    member: Member
    place: Place
    row: Row
    is_new: bool


class InsufficientPoints(Conflict):
    """`needed` points were asked of a member who had `had`."""

    code = "insufficient_points"

    def __init__(self, what: str, needed: int, had: int) -> None:
        super().__init__(f"{what} takes {needed} points, there are {had}")
        self.needed = needed
        self.had = had


def _check(points: int, ref: str, reason: str) -> None:
    if not 0 < points <= POINTS_MOST:
        raise Invalid(InvalidParam("delta", f"is not 1 to {POINTS_MOST}"))
    for name, text, longest in (("ref", ref, REF_LONGEST), ("reason", reason, REASON_LONGEST)):
        if len(text) > longest:
            raise Invalid(InvalidParam(name, f"is longer than {longest} characters"))


def _known(txn: Txn, member: int, kind: Kind, ref: str, delta: int | None) -> Posted | None:
    """The row that this reference already stands for; None where it is new.  Raises Conflict `ref_used`."""
    place = ledger.find_by_ref(txn, kind, ref)
    if place is None:
        return None
    row = POINTS.get(txn, place)
    if place[0] != member or delta not in (None, row.delta):
        raise Conflict(f"{kind} {ref} is another row already", code="ref_used")
    return Posted(members.get(txn, member), place, row, False)


def _posted(account: Account, txn: Txn, place: Place) -> Posted:
    account.save()
    return Posted(account.member, place, POINTS.get(txn, place), True)


def _give(account: Account, points: int) -> Pieces:
    last = loyalty.expiry(account.programme, account.today)
    return account.give((Piece(last, account.fresh_lot, points),))


# -- earning


def enrol(
    txn: Txn, customer: int, by: str, now_ms: int, zone: str, *, code: str = "", is_pending: bool = False
) -> Member:
    """Make a customer a member and give what joining earns.  Raises NotFound, Conflict `already_member`."""
    member = members.join(txn, customer, now_ms, zone, code=code, is_pending=is_pending)
    points = loyalty.worth(loyalty.current(txn), "join", days.of(now_ms, zone))
    if not points:
        return member
    return earn(txn, customer, points, f"join:{members.name_of(customer)}", by, now_ms, zone).member


def earn(txn: Txn, member: int, points: int, ref: str, by: str, now_ms: int, zone: str, *, reason: str = "") -> Posted:
    """Give points for `ref`, which count for his tier.

    Raises NotFound, Invalid, Conflict `member_suspended` or `member_closed`, and `ref_used` where `ref` earned
    something else.
    """
    _check(points, ref, reason)
    if known := _known(txn, member, Kind.EARN, ref, points):
        return known
    account = Account(txn, member, now_ms, zone)
    members.require(account.member, State.PENDING, State.ACTIVE)
    pieces = _give(account, points)
    place = account.post(Kind.EARN, points, pieces, by, ref=ref, reason=reason, earned=points)
    return _posted(account, txn, place)


def earn_for(
    txn: Txn,
    member: int,
    kind: str,
    ref: str,
    by: str,
    now_ms: int,
    zone: str,
    *,
    amount_minor: int = 0,
    currency: str = "",
    reason: str = "",
) -> Posted | None:
    """Give what the house's rules say that a purchase (`amount`) or a `visit` earns; None where that is nothing.

    An order that is told again answers with its row, whatever the rules say by now.  Raises as `earn` does.
    """
    if known := _known(txn, member, Kind.EARN, ref, None):
        return known
    members.require(members.get(txn, member), State.PENDING, State.ACTIVE)
    points = loyalty.worth(loyalty.current(txn), kind, days.of(now_ms, zone), amount_minor, currency)
    return earn(txn, member, points, ref, by, now_ms, zone, reason=reason) if points else None


# -- spending and adjusting


def available(txn: Txn, member: int, now_ms: int, zone: str) -> int:
    """What a member can spend now: his balance without what has lapsed.  Raises NotFound."""
    today = days.of(now_ms, zone)
    return members.get(txn, member).balance - sum(left for day, _, left in ledger.lots(txn, member) if day < today)


def spend(
    txn: Txn, member: int, points: int, ref: str, by: str, now_ms: int, zone: str, *, what: str = "", reason: str = ""
) -> Posted:
    """Take points, the soonest to lapse first; `what` they are for is named where they do not suffice.

    Raises NotFound, Invalid, InsufficientPoints, and Conflict where the member is not active or `ref` took others.
    """
    _check(points, ref, reason)
    if known := _known(txn, member, Kind.REDEEM, ref, -points):
        return known
    account = Account(txn, member, now_ms, zone)
    members.require(account.member, State.ACTIVE)
    if account.member.balance < points:
        raise InsufficientPoints(what or "this", points, account.member.balance)
    place = account.post(Kind.REDEEM, -points, account.take(points), by, ref=ref, reason=reason)
    return _posted(account, txn, place)


def adjust(txn: Txn, member: int, delta: int, reason: str, by: str, now_ms: int, zone: str, *, ref: str = "") -> Posted:
    """Give or take points by hand, which a reason must go with; they do not count for his tier.

    Raises NotFound, Invalid, InsufficientPoints where the balance would fall below nothing, Conflict `member_closed`.
    """
    _check(abs(delta), ref, reason)
    if not reason.strip():
        raise Invalid(InvalidParam("reason", "is missing: say why"))
    if known := _known(txn, member, Kind.ADJUST, ref, delta):
        return known
    account = Account(txn, member, now_ms, zone)
    members.require(account.member, State.PENDING, State.ACTIVE, State.SUSPENDED)
    if delta < 0 and account.member.balance < -delta:
        raise InsufficientPoints("this", -delta, account.member.balance)
    pieces = _give(account, delta) if delta > 0 else account.take(-delta)
    place = account.post(Kind.ADJUST, delta, pieces, by, ref=ref, reason=reason)
    return _posted(account, txn, place)


# -- taking back


def reverse(
    txn: Txn, member: int, kind: Kind, ref: str, by: str, now_ms: int, zone: str, *, reason: str = ""
) -> Posted:
    """Take back the row of that kind and reference by a row of its own, once.

    What was earned is taken from its own lot, then from the soonest to lapse; what is spent by then is owed, and the
    balance falls below nothing.  What of it has lapsed is not asked for again.  What was spent goes back to the lots
    it came from, and lapses with them.  Raises NotFound `points_unknown`, Invalid where such a row is not taken back.
    """
    if kind not in _UNDONE:
        raise Invalid(InvalidParam("of", f"is none of {', '.join(_UNDONE)}"))
    _check(1, ref, reason)
    place = ledger.find_by_ref(txn, kind, ref)
    if place is None or place[0] != member:
        raise NotFound(f"the member has no row {kind} {ref}", code="points_unknown")
    if (done := ledger.find_reversal(txn, place)) is not None:
        return Posted(members.get(txn, member), done, POINTS.get(txn, done), False)
    row = POINTS.get(txn, place)
    account = Account(txn, member, now_ms, zone)
    if row.delta > 0:
        delta = _lapsed(txn, place, row) - row.delta
        pieces = account.take(min(-delta, max(0, account.member.balance)), row.pieces)
    else:
        delta = -row.delta
        pieces = account.give(tuple(Piece(one.expires, one.lot, -one.points) for one in row.pieces))
    earned = -row.delta if kind is Kind.EARN and account.is_of_period(days.of(place[1], zone)) else 0
    by_place = account.post(Kind.REVERSE, delta, pieces, by, ref=f"{kind}:{ref}", reason=reason, earned=earned)
    ledger.mark_reversed(txn, place, by_place)
    account.save()
    if account.lapse():
        account.save()
    return Posted(account.member, by_place, POINTS.get(txn, by_place), True)


def _lapsed(txn: Txn, place: Place, row: Row) -> int:
    """How many of the points of that row have lapsed."""
    made = {(piece.expires, piece.lot) for piece in row.pieces}
    later: Iterator[Row] = (found for _, found in POINTS.scan(txn, place[0], after=place))
    lapsed = (piece for found in later if found.kind is Kind.EXPIRE for piece in found.pieces)
    return -sum(piece.points for piece in lapsed if (piece.expires, piece.lot) in made)


def transfer(
    txn: Txn, giver: int, taker: int, points: int, by: str, now_ms: int, zone: str, *, ref: str = "", reason: str = ""
) -> Posted:
    """Hand points on to another member, who gets them with the days on which they lapse; the giver's row.

    Raises NotFound, Invalid, InsufficientPoints, Conflict where the giver is not active or the taker cannot collect.
    """
    _check(points, ref, reason)
    if giver == taker:
        raise Invalid(InvalidParam("to", "is the member himself"))
    if known := _known(txn, giver, Kind.TRANSFER, ref, -points):
        return known
    account, other = Account(txn, giver, now_ms, zone), Account(txn, taker, now_ms, zone)
    members.require(account.member, State.ACTIVE)
    members.require(other.member, State.PENDING, State.ACTIVE)
    if account.member.balance < points:
        raise InsufficientPoints("this", points, account.member.balance)
    taken = account.take(points)
    place = account.post(Kind.TRANSFER, -points, taken, by, ref=ref, reason=reason)
    given = other.give(tuple(Piece(one.expires, other.fresh_lot, -one.points) for one in taken))
    other.post(Kind.TRANSFER, points, given, by, ref=ref, reason=reason)
    other.save()
    return _posted(account, txn, place)


# -- lapsing


def expire(txn: Txn, now_ms: int, zone: str, limit: int) -> int:
    """Let points lapse whose last day is over, of `limit` lots or a few more; how many lots those were.

    For upkeep, until it is 0.  Nobody waits for it: whoever touches a member lets his points lapse first.
    """
    lapsed = 0
    for member in ledger.due(txn, days.of(now_ms, zone), limit):
        account = Account(txn, member, now_ms, zone)
        account.save()
        lapsed += account.lapsed
    return lapsed


def differences(txn: Txn) -> Iterator[str]:
    """What of members and their points is not as a rebuild would make it."""
    yield from members.differences(txn)
    yield from ledger.differences(txn)
