"""Rewards: what a member may have for his points, which is a coupon.

Redeeming one is one change: the points go, the coupon comes, the stock falls.  Where two of the same moment want points
or stock that are there once, the writer lets one of them have it.
"""

import secrets
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from engine.crm.marketing import coupons, days, ledger, members, points
from engine.crm.marketing.codes import Draw
from engine.crm.marketing.coupons import Issued, Terms
from engine.crm.marketing.ledger import Kind
from engine.crm.marketing.loyalty import POINTS_MOST
from engine.crm.marketing.points import InsufficientPoints, Posted
from engine.crm.people.member import State
from engine.errors import Conflict, Invalid, InvalidParam, NotFound, Stale
from engine.store import ids
from engine.store.table import Table, Txn, Unique
from engine.traffic import events

CODE_LONGEST: Final = 20  # characters
STOCK_MOST: Final = 1_000_000_000
DAYS_MOST: Final = 36_500


class Reward(msgspec.Struct, frozen=True, array_like=True):
    """What may be had for `cost` points, from the day `begins` to the day `ends` (0: no bound), while `stock` lasts.

    `stock` None: without end.  `name` by language.  The coupon's last day is `valid_days` behind the one on which it is
    given, that one included, and not behind that of its terms.
    """

    code: str
    name: dict[str, str]
    cost: int
    terms: Terms
    stock: int | None = None
    begins: int = 0
    ends: int = 0
    valid_days: int = 0
    redeemed: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


class Redeemed(NamedTuple):
    """The coupon with its code, which is known only now, and the member's row."""

    issued: Issued
    posted: Posted


REWARDS: Final = Table("rewards", Reward)
BY_CODE: Final = Unique("rewards_by_code", "16s")

TABLES: Final = (REWARDS, BY_CODE)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("rwd", identifier)


def normalised(code: str) -> str:
    """A reward's code as it is kept and compared: `c20` is C20, and so it is in full width.

    Raises Invalid where it is not 1 to 20 letters and digits.
    """
    text = unicodedata.normalize("NFKC", code).strip().upper()
    if not (0 < len(text) <= CODE_LONGEST and text.isalnum()):
        raise Invalid(InvalidParam("code", f"is not 1 to {CODE_LONGEST} letters and digits"))
    return text


def _key(code: str) -> bytes:
    return blake2b(code.encode(), digest_size=16).digest()


def _check(reward: Reward) -> None:
    coupons.check(reward.terms)
    if not reward.name:
        raise Invalid(InvalidParam("name", "is missing"))
    if not 0 < reward.cost <= POINTS_MOST:
        raise Invalid(InvalidParam("cost", f"is not 1 to {POINTS_MOST}"))
    if reward.stock is not None and not 0 <= reward.stock <= STOCK_MOST:
        raise Invalid(InvalidParam("stock", f"is not 0 to {STOCK_MOST}"))
    if reward.ends and reward.ends < reward.begins:
        raise Invalid(InvalidParam("to", "is before from"))
    if not 0 <= reward.valid_days <= DAYS_MOST:
        raise Invalid(InvalidParam("valid_days", f"is not 0 to {DAYS_MOST}"))


# -- what there is


def add(txn: Txn, reward: Reward, now_ms: int) -> tuple[int, Reward]:
    """Store a new reward.  Raises Invalid naming the field, Conflict `reward_code` where its code is taken."""
    reward = msgspec.structs.replace(
        reward, code=normalised(reward.code), redeemed=0, created_ms=now_ms, updated_ms=now_ms, version=1
    )
    _check(reward)
    identifier = ids.take(txn, now_ms)
    if not BY_CODE.add(txn, _key(reward.code), identifier):
        raise Conflict(f"there is a reward {reward.code}", code="reward_code")
    REWARDS.put(txn, identifier, reward)
    events.append(txn, "reward.created", now_ms, name_of(identifier), code=reward.code, cost=reward.cost)
    return identifier, reward


def get(txn: Txn, identifier: int) -> Reward:
    """The reward.  Raises NotFound `reward_unknown`."""
    reward = REWARDS.find(txn, identifier)
    if reward is None:
        raise NotFound("there is no such reward", code="reward_unknown")
    return reward


def find_by_code(txn: Txn, code: str) -> tuple[int, Reward]:
    """The reward with that code, however it is written.  Raises NotFound `reward_unknown`."""
    try:
        identifier = BY_CODE.find(txn, _key(normalised(code)))
    except Invalid:
        identifier = None
    if identifier is None:
        raise NotFound("there is no reward with that code", code="reward_unknown")
    return identifier, REWARDS.get(txn, identifier)


def change(txn: Txn, identifier: int, changes: dict[str, Any], version: int | None, now_ms: int) -> Reward:
    """Replace fields.  Raises NotFound, Invalid, Stale where `version` is given and is not the stored one."""
    old = get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the reward has version {old.version}, not {version}")
    new: Reward = msgspec.structs.replace(old, **{**changes, "updated_ms": now_ms, "version": old.version + 1})
    if "code" in changes:
        new = msgspec.structs.replace(new, code=normalised(new.code))
    _check(new)
    if new.code != old.code:
        if not BY_CODE.add(txn, _key(new.code), identifier):
            raise Conflict(f"there is a reward {new.code}", code="reward_code")
        BY_CODE.remove(txn, _key(old.code))
    REWARDS.put(txn, identifier, new)
    events.append(txn, "reward.changed", now_ms, name_of(identifier), fields=sorted(changes))
    return new


def remove(txn: Txn, identifier: int, now_ms: int) -> None:
    """Offer it no more; coupons that were given for it stay good.  Raises NotFound."""
    old = get(txn, identifier)
    BY_CODE.remove(txn, _key(old.code))
    REWARDS.remove(txn, identifier)
    events.append(txn, "reward.removed", now_ms, name_of(identifier), code=old.code)


def listed(txn: Txn) -> Iterator[tuple[int, Reward]]:
    """All rewards and their ids, the oldest first: there are few."""
    for (identifier,), reward in REWARDS.scan(txn):
        yield identifier, reward


# -- having one


def redeem(
    txn: Txn,
    pepper: bytes,
    member: int,
    code: str,
    by: str,
    now_ms: int,
    zone: str,
    *,
    draw: Draw = secrets.token_bytes,
) -> Redeemed:
    """Give a member the coupon of a reward for his points, the soonest to lapse first.

    Raises NotFound `reward_unknown` and `member_unknown`, Conflict `member_suspended` and the like, `reward_early`,
    `reward_ended`, `out_of_stock`, and InsufficientPoints.
    """
    members.require(members.get(txn, member), State.ACTIVE)
    identifier, reward = find_by_code(txn, code)
    today = days.of(now_ms, zone)
    if today < reward.begins:
        raise Conflict(f"{reward.code} begins on {days.text(reward.begins)}", code="reward_early")
    last = min(reward.ends or days.NEVER, reward.terms.valid_to or days.NEVER)
    if last < today:
        raise Conflict(f"{reward.code} ended on {days.text(last)}", code="reward_ended")
    if reward.stock == 0:
        raise Conflict(f"there is no {reward.code} left", code="out_of_stock")
    # Before anything is written: who answers a refusal in the same change keeps nothing of this one.
    had = points.available(txn, member, now_ms, zone)
    if had < reward.cost:
        raise InsufficientPoints(reward.code, reward.cost, had)
    terms = reward.terms
    if reward.valid_days:
        valid_to = min(today + reward.valid_days - 1, terms.valid_to or days.NEVER)
        terms = msgspec.structs.replace(terms, valid_to=valid_to)
    source = name_of(identifier)
    (issued,) = coupons.issue(txn, pepper, terms, by, now_ms, customers=(member,), source=source, draw=draw)
    ref = coupons.name_of(issued.id)
    posted = points.spend(txn, member, reward.cost, ref, by, now_ms, zone, what=reward.code, reason=reward.code)
    stock = None if reward.stock is None else reward.stock - 1
    REWARDS.put(txn, identifier, msgspec.structs.replace(reward, stock=stock, redeemed=reward.redeemed + 1))
    events.append(txn, "reward.redeemed", now_ms, members.name_of(member), reward=source, coupon=ref)
    return Redeemed(issued, posted)


def give_back(txn: Txn, member: int, ref: str, by: str, now_ms: int, zone: str, *, reason: str = "") -> Posted:
    """Take back that he redeemed something: the points return, its coupon is withdrawn, the stock grows again.

    `ref` is that of the row, which for a reward is the coupon's id.  Raises NotFound `points_unknown`, Conflict
    `coupon_used`.
    """
    place = ledger.find_by_ref(txn, Kind.REDEEM, ref)
    if place is not None and place[0] == member and ledger.find_reversal(txn, place) is None:
        identifier = _coupon_of(txn, ref)
        if identifier is not None:
            coupon = coupons.void(txn, identifier, by, reason or "given back", now_ms)
            _restock(txn, coupon.source)
    return points.reverse(txn, member, Kind.REDEEM, ref, by, now_ms, zone, reason=reason)


def _coupon_of(txn: Txn, ref: str) -> int | None:
    try:
        identifier = ids.parse("cpn", ref)
    except Invalid:
        return None
    return identifier if coupons.COUPONS.find(txn, identifier) is not None else None


def _restock(txn: Txn, source: str) -> None:
    try:
        identifier = ids.parse("rwd", source)
    except Invalid:
        return
    reward = REWARDS.find(txn, identifier)
    if reward is not None:
        stock = None if reward.stock is None else reward.stock + 1
        REWARDS.put(txn, identifier, msgspec.structs.replace(reward, stock=stock, redeemed=reward.redeemed - 1))


def differences(txn: Txn) -> Iterator[str]:
    """What of the index is not as a rebuild from the rewards would make it."""
    wanted = {(_key(reward.code), identifier) for (identifier,), reward in REWARDS.scan(txn)}
    found = {(key, owner) for (key,), owner in BY_CODE.scan(txn)}
    for _, identifier in sorted(wanted - found):
        yield f"{BY_CODE.name}: {identifier} is missing"
    for _, identifier in sorted(found - wanted):
        yield f"{BY_CODE.name}: {identifier} leads nowhere"
