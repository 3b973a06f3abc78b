"""Rewards: a coupon for points, in one change."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from engine.crm.marketing import codes, coupons, days, members, points, rewards
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.loyalty import Programme
from engine.crm.marketing.points import InsufficientPoints
from engine.crm.marketing.rewards import Redeemed, Reward
from engine.crm.people.member import State
from engine.errors import CarillonError, Conflict, Invalid, NotFound, Stale
from engine.store.environment import Store
from engine.store.table import Txn
from tests.engine.crm.club import NOW_MS, PEPPER, ZONE, at, balance, differences, do, member, programme, told

TWENTY_OFF = Terms("amount", 2_000, "CNY", valid_to=days.of(at("2026-12-31"), ZONE))
C20 = Reward("C20", {"en": "CNY 20 off", "zh": "20元券"}, 200, TWENTY_OFF)


@dataclass
class Shop:
    """A house with one reward and a member who has some points."""

    store: Store
    member: int

    def offer(self, **fields: Any) -> int:
        identifier, _ = do(self.store, rewards.add, msgspec.structs.replace(C20, **fields), NOW_MS)
        return int(identifier)

    def redeem(self, code: str = "C20", now_ms: int = NOW_MS, **named: Any) -> Redeemed:
        given: Redeemed = do(self.store, rewards.redeem, PEPPER, self.member, code, "tests", now_ms, ZONE, **named)
        return given

    def refused(self, code: str = "C20", now_ms: int = NOW_MS) -> CarillonError:
        with pytest.raises(CarillonError) as refused:
            self.redeem(code, now_ms)
        return refused.value

    def coupons(self) -> int:
        with self.store.read() as txn:
            return coupons.COUPONS.count(txn)


@pytest.fixture
def shop(store: Store) -> Shop:
    programme(store)
    identifier = member(store)
    do(store, points.earn, identifier, 50, "O0", "tests", NOW_MS, ZONE)
    programme(store, Programme(valid_months=12, to_year_end=True))
    do(store, points.earn, identifier, 270, "O1", "tests", NOW_MS, ZONE)
    return Shop(store, identifier)


def test_G5_a_reward_costs_points_and_gives_a_coupon(shop: Shop) -> None:
    """V06: 320 points, the soonest to lapse spent first; the code is the one of the vector."""
    shop.offer()
    octets = sum(codes.ALPHABET.index(character) << 5 * place for place, character in enumerate("7K3M9QT"))
    given = shop.redeem("c20", draw=lambda count: octets.to_bytes(count, "big"))
    assert codes.grouped(given.issued.code) == "7K3M-9QT4"
    assert days.text(given.issued.coupon.terms.valid_to) == "2026-12-31"
    assert (given.posted.row.delta, given.posted.member.balance) == (-200, 120)
    assert [(days.text(piece.expires), piece.points) for piece in given.posted.row.pieces] == [
        ("2026-12-31", -50), ("2027-12-31", -150),
    ]  # fmt: skip
    assert given.issued.coupon.customer == shop.member
    assert differences(shop.store) == []


def test_G5_too_few_points_are_told_with_what_it_takes_and_what_there_is(shop: Shop) -> None:
    """V07."""
    shop.offer()
    shop.offer(code="C50", cost=500)
    shop.redeem()
    error = shop.refused("C50")
    assert isinstance(error, InsufficientPoints)
    assert (error.code, error.needed, error.had) == ("insufficient_points", 500, 120)
    assert str(error) == "C50 takes 500 points, there are 120"
    assert (balance(shop.store, shop.member), shop.coupons()) == (120, 1)


async def test_G5_of_two_redeems_at_the_same_moment_with_points_for_one_one_gets_a_coupon(shop: Shop) -> None:
    shop.offer()
    given = await asyncio.gather(
        *(shop.store.write(rewards.redeem, PEPPER, shop.member, "C20", "tests", NOW_MS, ZONE) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in given) == ["InsufficientPoints", "Redeemed"]
    assert (balance(shop.store, shop.member), shop.coupons(), differences(shop.store)) == (120, 1, [])


async def test_of_many_who_want_the_last_one_one_has_it(shop: Shop) -> None:
    reward = shop.offer(stock=1, cost=1)
    others = [shop.member]
    for place in range(9):
        others.append(await asyncio.to_thread(member, shop.store, 8613900000000 + place))
        await shop.store.write(points.earn, others[-1], 5, f"P{place}", "tests", NOW_MS, ZONE)
    given = await asyncio.gather(
        *(shop.store.write(rewards.redeem, PEPPER, one, "C20", "tests", NOW_MS, ZONE) for one in others),
        return_exceptions=True,
    )
    refused = [one.code for one in given if isinstance(one, Conflict)]
    assert refused == ["out_of_stock"] * 9
    with shop.store.read() as txn:
        assert (rewards.get(txn, reward).stock, rewards.get(txn, reward).redeemed) == (0, 1)
    assert differences(shop.store) == []


@pytest.mark.parametrize(
    ("fields", "now_ms", "code"),
    [
        pytest.param({"stock": 0}, NOW_MS, "out_of_stock", id="none left"),
        pytest.param({"ends": days.of(at("2026-09-24"), ZONE)}, NOW_MS, "reward_ended", id="ended yesterday"),
        pytest.param({"begins": days.of(at("2026-09-26"), ZONE)}, NOW_MS, "reward_early", id="begins tomorrow"),
        pytest.param({}, at("2027-01-01", 0), "reward_ended", id="its coupon would be expired"),
        pytest.param({"code": "C21"}, NOW_MS, "reward_unknown", id="another code"),
    ],
)
def test_G5_a_reward_that_cannot_be_had_says_why(shop: Shop, fields: dict[str, Any], now_ms: int, code: str) -> None:
    shop.offer(**fields)
    assert shop.refused(now_ms=now_ms).code == code
    assert shop.coupons() == 0


def test_a_reward_can_be_had_on_its_first_and_its_last_day(shop: Shop) -> None:
    today = days.of(NOW_MS, ZONE)
    shop.offer(begins=today, ends=today, cost=10)
    shop.redeem(now_ms=at("2026-09-25", 0))
    shop.redeem(now_ms=at("2026-09-25", 23))
    assert shop.refused(now_ms=at("2026-09-26", 0)).code == "reward_ended"


def test_only_an_active_member_has_rewards(shop: Shop) -> None:
    shop.offer()
    do(shop.store, members.move, shop.member, State.SUSPENDED, None, NOW_MS)
    assert shop.refused().code == "member_suspended"


def test_the_coupon_is_good_for_so_many_days_and_not_beyond_its_terms(shop: Shop) -> None:
    shop.offer(cost=1, valid_days=30)
    assert days.text(shop.redeem().issued.coupon.terms.valid_to) == "2026-10-24"
    assert days.text(shop.redeem(now_ms=at("2026-12-30")).issued.coupon.terms.valid_to) == "2026-12-31"


def test_a_refusal_that_is_answered_in_its_own_change_gives_nothing(shop: Shop) -> None:
    shop.offer(cost=500)

    def answered(txn: Txn) -> str:
        try:
            rewards.redeem(txn, PEPPER, shop.member, "C20", "tests", NOW_MS, ZONE)
        except CarillonError as error:
            return error.code
        return ""

    assert do(shop.store, answered) == "insufficient_points"
    assert (shop.coupons(), balance(shop.store, shop.member), differences(shop.store)) == (0, 320, [])


def test_what_was_redeemed_is_taken_back_with_its_coupon_and_the_stock(shop: Shop) -> None:
    reward = shop.offer(stock=1)
    given = shop.redeem()
    ref = coupons.name_of(given.issued.id)
    back = (rewards.give_back, shop.member, ref, "tests", NOW_MS, ZONE)
    first, again = do(shop.store, *back), do(shop.store, *back)
    assert (first.is_new, again.is_new, balance(shop.store, shop.member)) == (True, False, 320)
    with shop.store.read() as txn:
        assert coupons.get(txn, given.issued.id).state is coupons.State.VOID
        assert (rewards.get(txn, reward).stock, rewards.get(txn, reward).redeemed) == (1, 0)
    assert differences(shop.store) == []


def test_what_was_redeemed_and_used_is_not_taken_back(shop: Shop) -> None:
    shop.offer()
    given = shop.redeem()
    do(shop.store, coupons.redeem, PEPPER, given.issued.code, "tests", "spa", "O1", NOW_MS, ZONE)
    with pytest.raises(Conflict) as refused:
        do(shop.store, rewards.give_back, shop.member, coupons.name_of(given.issued.id), "tests", NOW_MS, ZONE)
    assert (refused.value.code, balance(shop.store, shop.member)) == ("coupon_used", 120)


# -- what there is


@pytest.mark.parametrize("code", ["c20", " C20 ", "Ｃ２０"])
def test_a_code_is_one_reward_however_it_is_written(shop: Shop, code: str) -> None:
    identifier = shop.offer()
    with pytest.raises(Conflict) as refused:
        shop.offer(code=code)
    assert refused.value.code == "reward_code"
    with shop.store.read() as txn:
        assert rewards.find_by_code(txn, code)[0] == identifier


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"code": "C-20"}, "code", id="a code with a sign"),
        pytest.param({"cost": 0}, "cost", id="for nothing"),
        pytest.param({"stock": -1}, "stock", id="less than none"),
        pytest.param({"name": {}}, "name", id="no name"),
        pytest.param({"begins": 9, "ends": 8}, "to", id="ends before it begins"),
        pytest.param({"terms": Terms("percent", percent=101)}, "percent", id="more than all off"),
    ],
)
def test_a_wrong_reward_is_refused_by_its_field(shop: Shop, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        shop.offer(**fields)
    assert [param.name for param in refused.value.params] == [field]


def test_a_reward_changes_by_version_and_goes(shop: Shop) -> None:
    identifier = shop.offer()
    changed = do(shop.store, rewards.change, identifier, {"cost": 100, "code": "d20"}, 1, NOW_MS)
    assert (changed.cost, changed.code, changed.version) == (100, "D20", 2)
    with pytest.raises(Stale):
        do(shop.store, rewards.change, identifier, {"cost": 50}, 1, NOW_MS)
    assert shop.refused("C20").code == "reward_unknown"
    shop.redeem("D20")
    do(shop.store, rewards.remove, identifier, NOW_MS)
    assert shop.refused("D20").code == "reward_unknown"
    with shop.store.read() as txn:
        assert list(rewards.differences(txn)) == []
    with pytest.raises(NotFound):
        do(shop.store, rewards.remove, identifier, NOW_MS)
    assert [event.kind for event in told(shop.store, "reward.")] == [
        "reward.created", "reward.changed", "reward.redeemed", "reward.removed",
    ]  # fmt: skip
