"""Coupons: codes that can be typed, and what they are worth, once."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from engine.crm.marketing import codes, coupons, days
from engine.crm.marketing.coupons import Coupon, Issued, State, Terms
from engine.errors import CarillonError, Conflict, Invalid, NotFound
from engine.store.environment import Store
from tests.engine.crm.club import NOW_MS, PEPPER, ZONE, at, customer, do, told

TEN_PERCENT = Terms("percent", percent=10)
LAST_DAY = days.of(at("2026-12-31"), ZONE)


# -- codes


def valid(code: str) -> bool:
    try:
        return codes.parse(code) == code
    except Invalid:
        return False


def whole(characters: str) -> str:
    return characters + codes.check_character(characters)


def test_no_wrong_character_passes() -> None:
    """Every character of some codes replaced by every other one: the sum is linear, so some stand for all."""
    for characters in ("7K3M9QT", "0000000", "ZZZZZZZ", "01Z8XKM"):
        code = whole(characters)
        for place in range(codes.LENGTH):
            for wrong in set(codes.ALPHABET) - {code[place]}:
                assert not valid(code[:place] + wrong + code[place + 1 :])


def test_no_two_neighbours_change_places_unseen() -> None:
    """Every pair of different characters at every place, the last one included."""
    for place in range(codes.LENGTH - 1):
        for first in codes.ALPHABET:
            for second in codes.ALPHABET:
                if first == second:
                    continue
                if place < codes.LENGTH - 2:
                    code = whole(("0" * place + first + second).ljust(codes.LENGTH - 1, "0"))
                else:
                    begins = (whole(begin + "00000" + first) for begin in codes.ALPHABET)
                    code = next(found for found in begins if found[-1] == second)
                assert (code[place], code[place + 1]) == (first, second)
                assert not valid(code[:place] + second + first + code[place + 2 :])


def test_no_two_places_of_a_code_weigh_the_same() -> None:
    """A character that moves from any place to any other is seen, so neighbours are too."""
    weights = [
        codes.ALPHABET.index(codes.check_character("0" * place + "1" + "0" * (6 - place))) ^ 5 for place in range(7)
    ]
    assert sorted({*weights, 1, 0}) == sorted([*weights, 1, 0])
    assert all(before != after for before, after in pairwise(weights))


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("7K3M9QT4", id="as it is"),
        pytest.param("7k3m-9qt4", id="lower case, grouped"),
        pytest.param(" 7K3M 9QT4 ", id="spaces"),
        pytest.param("７Ｋ３Ｍ－９ＱＴ４", id="full width"),
        pytest.param("7K3M–9QT4", id="a typographer's dash"),
    ],
)
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    assert codes.parse(typed) == "7K3M9QT4"


def test_look_alikes_are_what_they_look_like() -> None:
    code = whole("0011AB0")
    assert codes.parse("ooilab0" + code[-1]) == code
    assert codes.parse("OOLIAB0" + code[-1]) == code


@pytest.mark.parametrize("typed", ["", "7K3M9QT", "7K3M9QT44", "7K3M9QU4", "7K3M9QT5", "7" * 5_000, "7K3M9Q\u0000T"])
def test_what_is_no_code_is_refused_as_mistyped(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        codes.parse(typed)
    assert refused.value.code == "coupon_mistyped"


def test_fresh_codes_are_good_ones_and_use_all_their_bits() -> None:
    given = codes.fresh(lambda count: bytes(range(256)) * (count // 256 + 1), 500)
    assert len(set(given)) > 200
    assert all(valid(code) for code in given)
    assert codes.fresh(lambda count: b"\xff" * count) == [whole("ZZZZZZZ")]


# -- a house that gives coupons


@dataclass
class Till:
    store: Store

    def issue(self, terms: Terms = TEN_PERCENT, **named: Any) -> Issued:
        (issued,) = do(self.store, coupons.issue, PEPPER, terms, "tests", NOW_MS, **named)
        found: Issued = issued
        return found

    def redeem(self, code: str, now_ms: int = NOW_MS, order_ref: str = "O12", **named: Any) -> Coupon:
        place = named.pop("place", "front desk")
        _, found = do(self.store, coupons.redeem, PEPPER, code, "tests", place, order_ref, now_ms, ZONE, **named)
        coupon: Coupon = found
        return coupon

    def refused(self, code: str, now_ms: int = NOW_MS, **named: Any) -> CarillonError:
        with pytest.raises(CarillonError) as refused:
            self.redeem(code, now_ms, **named)
        return refused.value

    def differences(self) -> list[str]:
        with self.store.read() as txn:
            return list(coupons.differences(txn))


@pytest.fixture
def till(store: Store) -> Till:
    return Till(store)


# -- what it is worth


@pytest.mark.parametrize(
    ("terms", "total_minor", "minor", "gift"),
    [
        pytest.param(TEN_PERCENT, 13_600, 1_360, "", id="10 per cent of 136.00 are 13.60"),
        pytest.param(TEN_PERCENT, 5, 1, "", id="a half is rounded up"),
        pytest.param(TEN_PERCENT, 4, 0, "", id="less than a half is not"),
        pytest.param(Terms("percent", percent=100), 13_600, 13_600, "", id="all of it"),
        pytest.param(Terms("percent", percent=33), 10_050, 3_317, "", id="33 per cent of 100.50 are 33.165"),
        pytest.param(Terms("amount", 2_000, "CNY"), 13_600, 2_000, "", id="20 off"),
        pytest.param(Terms("amount", 2_000, "CNY"), 1_500, 1_500, "", id="never more than the order"),
        pytest.param(Terms("gift", gift="T10"), 13_600, 0, "T10", id="a gift is a line without a price"),
    ],
)
def test_G6_a_coupon_takes_off_what_it_says(terms: Terms, total_minor: int, minor: int, gift: str) -> None:
    assert coupons.value_of(terms, total_minor, "CNY") == (minor, gift)


def test_G6_a_coupon_may_ask_for_an_order_of_some_size_and_for_its_currency() -> None:
    terms = Terms("amount", 2_000, "CNY", min_spend_minor=10_000)
    assert coupons.value_of(terms, 10_000, "CNY").minor == 2_000
    for total_minor, currency, code in ((9_999, "CNY", "coupon_min_spend"), (20_000, "JPY", "coupon_currency")):
        with pytest.raises(Conflict) as refused:
            coupons.value_of(terms, total_minor, currency)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        pytest.param(Terms("amount", 0, "CNY"), "value", id="an amount of nothing"),
        pytest.param(Terms("amount", 100), "currency", id="an amount of no currency"),
        pytest.param(Terms("percent", percent=0), "percent", id="no per cent"),
        pytest.param(Terms("percent", 100, "CNY", percent=5), "value", id="both"),
        pytest.param(Terms("gift"), "gift", id="no gift"),
        pytest.param(Terms("gift", gift="T10", min_spend_minor=5), "currency", id="spent in no currency"),
        pytest.param(Terms("percent", percent=5, valid_from=9, valid_to=8), "valid_to", id="over before it begins"),
    ],
)
def test_wrong_terms_are_refused_by_their_field(till: Till, terms: Terms, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        till.issue(terms)
    assert field in [param.name for param in refused.value.params]


# -- once


def test_G8_a_second_use_is_refused_with_time_and_place_of_the_first(till: Till) -> None:
    code = till.issue().code
    used = till.redeem(codes.grouped(code).lower(), at("2026-09-25", 13))
    assert (used.state, used.place, used.order_ref, used.moved_by) == (State.REDEEMED, "front desk", "O12", "tests")
    error = till.refused(code, at("2026-09-26"), place="spa")
    assert (error.code, str(error)) == ("coupon_used", "the coupon was used on 2026-09-25 at 13:00, front desk")
    assert till.refused(code).code == "coupon_used"  # the very same call, too
    assert till.differences() == []


def test_G6_an_expired_coupon_is_refused_from_the_day_behind_its_last(till: Till) -> None:
    terms = Terms("percent", percent=10, valid_from=days.of(at("2026-10-01"), ZONE), valid_to=LAST_DAY)
    first, second = till.issue(terms), till.issue(terms)
    assert till.refused(first.code, at("2026-09-30", 23)).code == "coupon_early"
    till.redeem(first.code, at("2026-12-31", 23))
    error = till.refused(second.code, at("2027-01-01", 0))
    assert (error.code, str(error)) == ("coupon_expired", "the coupon was valid to 2026-12-31")
    # One that was used has no end any more.
    assert till.refused(first.code, at("2027-01-01", 0)).code == "coupon_used"


def test_a_mistyped_code_is_another_thing_than_one_that_nobody_has(till: Till) -> None:
    code = till.issue().code
    wrong = ("0" if code[0] != "0" else "1") + code[1:]
    assert till.refused(wrong).code == "coupon_mistyped"
    unknown = whole("7K3M9QT")
    error = till.refused(unknown if unknown != code else whole("7K3M9QS"))
    assert (type(error), error.code) == (NotFound, "coupon_unknown")


def test_somebody_elses_coupon_is_refused(till: Till) -> None:
    first, second = customer(till.store, 8613900000000), customer(till.store, 8613900000001)
    code = till.issue(customers=(first,)).code
    assert till.refused(code, customer=second).code == "coupon_of_another"
    till.redeem(code, customer=first)
    anybodys = till.issue().code
    till.redeem(anybodys, customer=second)


def test_an_order_too_small_leaves_the_coupon_unused(till: Till) -> None:
    code = till.issue(Terms("amount", 2_000, "CNY", min_spend_minor=10_000)).code
    assert till.refused(code, total=(9_999, "CNY")).code == "coupon_min_spend"
    till.redeem(code, total=(10_000, "CNY"))


def test_a_coupon_kept_for_an_order_is_used_by_that_order_or_let_go(till: Till) -> None:
    issued = till.issue()
    reserve = (coupons.reserve, PEPPER, issued.code, "tests")
    do(till.store, *reserve, "O1", NOW_MS, ZONE)
    do(till.store, *reserve, "O1", NOW_MS, ZONE)
    with pytest.raises(Conflict) as refused:
        do(till.store, *reserve, "O2", NOW_MS, ZONE)
    assert refused.value.code == "coupon_reserved"
    assert till.refused(issued.code, order_ref="O2").code == "coupon_reserved"
    do(till.store, coupons.release, issued.id, "tests", NOW_MS)
    do(till.store, *reserve, "O2", NOW_MS, ZONE)
    assert till.redeem(issued.code, order_ref="O2").state is State.REDEEMED
    with pytest.raises(Conflict):
        do(till.store, coupons.release, issued.id, "tests", NOW_MS)


def test_a_withdrawn_coupon_is_worth_nothing(till: Till) -> None:
    issued = till.issue()
    do(till.store, coupons.void, issued.id, "tests", "printed twice", NOW_MS)
    do(till.store, coupons.void, issued.id, "tests", "printed twice", NOW_MS)
    assert till.refused(issued.code).code == "coupon_void"
    used = till.issue()
    till.redeem(used.code)
    with pytest.raises(Conflict) as refused:
        do(till.store, coupons.void, used.id, "tests", "too late", NOW_MS)
    assert refused.value.code == "coupon_used"
    assert [event.kind for event in told(till.store, "coupon.")] == [
        "coupon.issued", "coupon.voided", "coupon.issued", "coupon.redeemed",
    ]  # fmt: skip


# -- many


def test_H6_each_of_a_hundred_customers_gets_a_code_of_his_own(till: Till) -> None:
    people = [customer(till.store, 8613900000000 + place) for place in range(100)]
    issued = do(till.store, coupons.issue, PEPPER, TEN_PERCENT, "tests", NOW_MS, customers=people, source="grt_1")
    assert len({one.code for one in issued}) == 100
    assert [one.coupon.customer for one in issued] == people
    with till.store.read() as txn:
        assert [found for found, _ in coupons.listed(txn, 0, 10, people[7])] == [issued[7].id]
        assert [found for found, _ in coupons.listed(txn, issued[98].id, 2)] == [issued[97].id, issued[96].id]
    assert till.differences() == []


def test_a_code_that_was_given_before_is_drawn_again(till: Till) -> None:
    drawn = iter((bytes(5), bytes(5), bytes(4) + b"\x01"))
    first = till.issue(draw=lambda _: next(drawn))
    second = till.issue(draw=lambda _: next(drawn))
    assert (first.code[:7], second.code[:7]) == ("0000000", "1000000")
    assert till.differences() == []


def test_no_code_and_no_hash_of_it_that_could_be_guessed_lies_in_the_store(till: Till) -> None:
    issued = till.issue()
    with till.store.read() as txn:
        kept = repr(list(coupons.COUPONS.scan(txn))) + repr(list(coupons.BY_CODE.scan(txn)))
        with pytest.raises(NotFound):
            coupons.find(txn, PEPPER[::-1], issued.code)
    assert issued.code not in kept
    assert codes.grouped(issued.code) not in kept
    assert issued.code not in repr(told(till.store, ""))


@pytest.mark.parametrize("count", [0, coupons.ISSUED_MOST + 1])
def test_none_and_too_many_at_once_are_refused(till: Till, count: int) -> None:
    with pytest.raises(Invalid):
        do(till.store, coupons.issue, PEPPER, TEN_PERCENT, "tests", NOW_MS, count=count)
    with pytest.raises(NotFound):
        do(till.store, coupons.issue, PEPPER, TEN_PERCENT, "tests", NOW_MS, customers=(7,))


def test_the_proof_finds_an_index_that_lags(till: Till) -> None:
    person = customer(till.store)
    issued = till.issue(Terms("percent", percent=10, valid_to=LAST_DAY), customers=(person,))
    do(till.store, coupons.BY_CUSTOMER.remove, person, issued.id)
    do(till.store, coupons.BY_LAST_DAY.add, LAST_DAY + 1, issued.id)
    do(till.store, coupons.BY_CODE.remove, issued.coupon.digest)
    assert till.differences() == [
        f"coupons_by_code: ({issued.id},) is missing",
        f"coupons_by_customer: ({person}, {issued.id}) is missing",
        f"coupons_by_last_day: ({LAST_DAY + 1}, {issued.id}) leads nowhere",
    ]
