"""Points: the ledger, its lots, and that the balance is the sum of both whatever happens."""

from typing import Any

import pytest

from engine.crm.marketing import days, ledger, points
from engine.crm.marketing.ledger import LOTS, POINTS, Kind, Row
from engine.crm.marketing.loyalty import EarnRule, Programme
from engine.crm.marketing.points import InsufficientPoints, Posted
from engine.errors import CarillonError, Conflict, Invalid, NotFound
from engine.store.environment import Store
from engine.store.table import Txn
from tests.engine.crm.club import (
    NOW_MS,
    ONE_IN_TEN,
    ZONE,
    at,
    balance,
    differences,
    do,
    earn,
    member,
    programme,
    record,
    reverse,
    spend,
    told,
)


def rows(store: Store, identifier: int) -> list[Row]:
    with store.read() as txn:
        return [row for _, row in ledger.history(txn, identifier, None, 100)]


def lots(store: Store, identifier: int) -> list[tuple[str | None, int]]:
    with store.read() as txn:
        return [(days.text(day), left) for day, _, left in ledger.lots(txn, identifier)]


def buy(store: Store, identifier: int, amount_minor: int, ref: str, **named: Any) -> Posted | None:
    money = {"amount_minor": amount_minor, "currency": "CNY", **named}
    posted: Posted | None = do(store, points.earn_for, identifier, "amount", ref, "tests", NOW_MS, ZONE, **money)
    return posted


# -- earning


def test_G3_an_order_earns_by_the_rules_and_its_refund_takes_that_back(store: Store) -> None:
    programme(store)
    identifier = member(store)
    posted = buy(store, identifier, 13_600, "O12")
    assert posted is not None
    assert (posted.row.delta, posted.member.balance) == (13, 13)
    assert (reverse(store, identifier, "O12").row.delta, balance(store, identifier)) == (-13, 0)
    assert differences(store) == []


def test_G3_the_same_order_earns_once(store: Store) -> None:
    programme(store)
    identifier = member(store)
    first, again = buy(store, identifier, 13_600, "O12"), buy(store, identifier, 13_600, "O12")
    assert first is not None
    assert again == first._replace(is_new=False)
    assert balance(store, identifier) == 13


def test_a_reference_that_earned_something_else_is_refused(store: Store) -> None:
    first, second = member(store, 8613900000000), member(store, 8613900000001)
    earn(store, first, 10, "O1")
    for identifier, delta in ((first, 11), (second, 10)):
        with pytest.raises(Conflict) as refused:
            earn(store, identifier, delta, "O1")
        assert refused.value.code == "ref_used"
    assert earn(store, first, 10, "").is_new
    assert earn(store, first, 10, "").is_new


def test_rules_hold_on_their_days_and_add_up(store: Store) -> None:
    today = days.of(NOW_MS, ZONE)
    rules = (
        ONE_IN_TEN,
        EarnRule("amount", 1, 1_000, "CNY", today, today),
        EarnRule("amount", 5, 1_000, "CNY", today + 1),
        EarnRule("visit", 3),
    )
    programme(store, Programme(rules))
    identifier = member(store)
    posted = buy(store, identifier, 13_600, "O12")
    assert posted is not None
    assert posted.row.delta == 26
    visit = do(store, points.earn_for, identifier, "visit", "V1", "tests", NOW_MS, ZONE)
    assert (visit.row.delta, visit.member.balance) == (3, 29)


def test_an_amount_too_small_earns_nothing_and_another_currency_is_refused(store: Store) -> None:
    programme(store)
    identifier = member(store)
    assert buy(store, identifier, 999, "O1") is None
    with pytest.raises(Invalid) as refused:
        buy(store, identifier, 13_600, "O2", currency="JPY")
    assert [param.name for param in refused.value.params] == ["amount.currency"]
    assert rows(store, identifier) == []


# -- spending


def test_points_that_lapse_first_are_spent_first(store: Store) -> None:
    programme(store, Programme(valid_months=1))
    identifier = member(store)
    earn(store, identifier, 10, "O1", at("2026-10-10"))
    earn(store, identifier, 10, "O2", at("2026-09-25"))  # told later, earned earlier
    earn(store, identifier, 10, "O3", at("2026-10-10"))
    spend(store, identifier, 15, "R1", at("2026-10-11"))
    assert lots(store, identifier) == [("2026-11-10", 5), ("2026-11-10", 10)]


def test_more_than_there_is_cannot_be_spent(store: Store) -> None:
    identifier = member(store)
    earn(store, identifier, 120, "O1")
    with pytest.raises(InsufficientPoints) as refused:
        do(store, points.spend, identifier, 500, "R1", "tests", NOW_MS, ZONE, what="C50")
    assert (refused.value.code, refused.value.needed, refused.value.had) == ("insufficient_points", 500, 120)
    assert str(refused.value) == "C50 takes 500 points, there are 120"
    assert balance(store, identifier) == 120


def test_G3_an_adjustment_says_why_and_who(store: Store) -> None:
    identifier = member(store)
    earn(store, identifier, 120, "O1")
    with pytest.raises(Invalid) as refused:
        do(store, points.adjust, identifier, 50, " ", "staff:S1", NOW_MS, ZONE)
    assert [param.name for param in refused.value.params] == ["reason"]
    posted = do(store, points.adjust, identifier, 50, "late check-in", "staff:S1", NOW_MS, ZONE)
    assert (posted.row.by, posted.row.reason, posted.member.balance) == ("staff:S1", "late check-in", 170)
    with pytest.raises(InsufficientPoints):
        do(store, points.adjust, identifier, -171, "a mistake", "staff:S1", NOW_MS, ZONE)


def test_events_hold_no_reason(store: Store) -> None:
    identifier = member(store)
    do(store, points.adjust, identifier, 50, "call +8613912345678", "tests", NOW_MS, ZONE)
    (event,) = told(store, "points.")
    assert (event.kind, event.detail) == ("points.adjusted", {"delta": 50, "balance": 50})


# -- taking back


def test_what_was_spent_is_owed_when_its_order_is_taken_back_and_paid_by_the_next(store: Store) -> None:
    identifier = member(store)
    earn(store, identifier, 13, "O1")
    spend(store, identifier, 10, "R1")
    assert reverse(store, identifier, "O1").member.balance == -10
    assert lots(store, identifier) == []
    earn(store, identifier, 15, "O2")
    assert (balance(store, identifier), lots(store, identifier)) == (5, [(None, 5)])
    assert differences(store) == []


def test_an_order_is_taken_back_from_its_own_points_before_older_ones(store: Store) -> None:
    programme(store, Programme(valid_months=1))
    identifier = member(store)
    earn(store, identifier, 10, "O1", at("2026-09-25"))
    earn(store, identifier, 10, "O2", at("2026-09-26"))
    reverse(store, identifier, "O2", now_ms=at("2026-09-26"))
    assert lots(store, identifier) == [("2026-10-25", 10)]


def test_what_is_owed_is_taken_from_other_points_that_there_are(store: Store) -> None:
    identifier = member(store)
    earn(store, identifier, 10, "O1")
    spend(store, identifier, 8, "R1")
    earn(store, identifier, 10, "O2")
    assert reverse(store, identifier, "O1").member.balance == 2
    assert differences(store) == []


def test_a_row_is_taken_back_once(store: Store) -> None:
    identifier = member(store)
    earn(store, identifier, 13, "O1")
    first, again = reverse(store, identifier, "O1"), reverse(store, identifier, "O1")
    assert again == first._replace(is_new=False)
    assert balance(store, identifier) == 0


def test_what_was_spent_comes_back_where_it_came_from(store: Store) -> None:
    programme(store, Programme(valid_months=1))
    identifier = member(store)
    earn(store, identifier, 10, "O1", at("2026-09-25"))
    earn(store, identifier, 10, "O2", at("2026-09-26"))
    before = lots(store, identifier)
    spend(store, identifier, 15, "R1", at("2026-09-27"))
    reverse(store, identifier, "R1", Kind.REDEEM, at("2026-09-27"))
    assert lots(store, identifier) == before


def test_what_comes_back_after_its_day_has_lapsed(store: Store) -> None:
    programme(store, Programme(valid_months=1))
    identifier = member(store)
    earn(store, identifier, 10, "O1", at("2026-09-25"))
    spend(store, identifier, 10, "R1", at("2026-09-26"))
    posted = reverse(store, identifier, "R1", Kind.REDEEM, at("2026-12-01"))
    assert (posted.row.delta, posted.member.balance) == (10, 0)
    assert [row.kind for row in rows(store, identifier)] == ["expire", "reverse", "redeem", "earn"]
    assert differences(store) == []


def test_what_has_lapsed_is_not_asked_for_again(store: Store) -> None:
    programme(store, Programme(valid_months=1))
    identifier = member(store)
    earn(store, identifier, 13, "O1", at("2026-09-25"))
    spend(store, identifier, 5, "R1", at("2026-09-26"))
    posted = reverse(store, identifier, "O1", now_ms=at("2026-12-01"))
    assert (posted.row.delta, posted.member.balance) == (-5, -5)
    assert differences(store) == []


def test_an_order_taken_back_leads_to_no_tier(store: Store) -> None:
    identifier = member(store)
    earn(store, identifier, 100, "O1")
    earn(store, identifier, 30, "O2")
    reverse(store, identifier, "O1")
    assert record(store, identifier).earned == 30
    # An order of the period before: its points were counted and are gone.
    earn(store, identifier, 5, "O3", at("2027-10-01"))
    reverse(store, identifier, "O2", now_ms=at("2027-10-01"))
    assert record(store, identifier).earned == 5


def test_what_is_not_there_is_not_taken_back(store: Store) -> None:
    first, second = member(store, 8613900000000), member(store, 8613900000001)
    earn(store, first, 13, "O1")
    for identifier, ref in ((first, "O2"), (second, "O1"), (first, "")):
        with pytest.raises(NotFound) as refused:
            reverse(store, identifier, ref)
        assert refused.value.code == "points_unknown"
    with pytest.raises(Invalid):
        reverse(store, first, "O1", Kind.EXPIRE)


# -- handing on


def test_points_are_handed_on_with_their_last_days(store: Store) -> None:
    programme(store, Programme(valid_months=1))
    giver, taker = member(store, 8613900000000), member(store, 8613900000001)
    earn(store, giver, 10, "O1", at("2026-09-25"))
    earn(store, giver, 10, "O2", at("2026-09-26"))
    do(store, points.transfer, giver, taker, 15, "tests", at("2026-09-27"), ZONE, ref="T1")
    again = do(store, points.transfer, giver, taker, 15, "tests", at("2026-09-27"), ZONE, ref="T1")
    assert not again.is_new
    assert (lots(store, giver), lots(store, taker)) == (
        [("2026-10-26", 5)],
        [("2026-10-25", 10), ("2026-10-26", 5)],
    )
    assert differences(store) == []
    with pytest.raises(Invalid):
        do(store, points.transfer, giver, giver, 1, "tests", NOW_MS, ZONE)
    with pytest.raises(InsufficientPoints):
        do(store, points.transfer, giver, taker, 6, "tests", at("2026-09-27"), ZONE)


# -- lapsing


def test_G3_points_are_good_on_their_last_day_and_lapse_behind_it(store: Store) -> None:
    programme(store)
    identifier = member(store)
    earn(store, identifier, 50, "O1")
    assert do(store, points.expire, at("2026-12-31", 23), ZONE, 100) == 0
    assert spend(store, identifier, 20, "R1", at("2026-12-31", 23)).member.balance == 30
    assert do(store, points.expire, at("2027-01-01", 0), ZONE, 100) == 1
    assert do(store, points.expire, at("2027-01-01", 0), ZONE, 100) == 0
    (newest, *_) = rows(store, identifier)
    assert (newest.kind, newest.delta, days.text(newest.pieces[0].expires)) == ("expire", -30, "2026-12-31")
    assert balance(store, identifier) == 0


def test_points_that_lapsed_are_not_spent_though_nobody_swept_yet(store: Store) -> None:
    programme(store)
    identifier = member(store)
    earn(store, identifier, 50, "O1")
    late_ms = at("2027-01-01", 0)
    with store.read() as txn:
        assert points.available(txn, identifier, late_ms, ZONE) == 0
        assert points.available(txn, identifier, late_ms - 1, ZONE) == 50
    with pytest.raises(InsufficientPoints) as refused:
        spend(store, identifier, 20, "R1", late_ms)
    assert refused.value.had == 0


def test_a_refusal_that_is_answered_in_its_own_change_leaves_the_books_right(store: Store) -> None:
    programme(store)
    identifier = member(store)
    earn(store, identifier, 50, "O1")

    def answered(txn: Txn) -> str:
        try:
            points.spend(txn, identifier, 20, "R1", "tests", at("2027-01-01", 0), ZONE)
        except CarillonError as error:
            return error.code
        return ""

    assert do(store, answered) == "insufficient_points"
    assert (balance(store, identifier), differences(store)) == (0, [])


def test_a_member_knows_what_lapses_next(store: Store) -> None:
    programme(store, Programme(valid_months=1))
    identifier = member(store)
    for ref, day in (("O1", "2026-09-25"), ("O2", "2026-09-25"), ("O3", "2026-09-26")):
        earn(store, identifier, 25, ref, at(day))
    found = record(store, identifier)
    assert (found.expiring, days.text(found.expires)) == (50, "2026-10-25")
    spend(store, identifier, 60, "R1", at("2026-09-27"))
    found = record(store, identifier)
    assert (found.expiring, days.text(found.expires)) == (15, "2026-10-26")


def test_a_sweep_does_a_few_at_a_time(store: Store) -> None:
    programme(store)
    identifiers = [member(store, 8613900000000 + place) for place in range(5)]
    for identifier in identifiers:
        earn(store, identifier, 5, f"O{identifier}")
    late_ms = at("2027-02-01")
    swept = [do(store, points.expire, late_ms, ZONE, 2) for _ in range(4)]
    assert swept == [2, 2, 1, 0]
    assert differences(store) == []


# -- reading and proving


def test_the_ledger_is_read_in_pages_newest_first(store: Store) -> None:
    identifier, other = member(store, 8613900000000), member(store, 8613900000001)
    for place in range(5):
        earn(store, identifier, place + 1, f"O{place}", NOW_MS + place // 2)
    earn(store, other, 99, "O9")
    deltas: list[int] = []
    before = None
    with store.read() as txn:
        while page := ledger.history(txn, identifier, before, 2):
            deltas += [row.delta for _, row in page]
            before = page[-1][0][1:]
    assert deltas == [5, 4, 3, 2, 1]


def test_the_proof_finds_what_does_not_add_up(store: Store) -> None:
    identifier = member(store)
    earn(store, identifier, 10, "O1")

    def spoil(txn: Txn) -> None:
        ((key, left),) = LOTS.scan(txn)
        LOTS.put(txn, key, left + 1)
        ((place, row),) = POINTS.scan(txn)
        POINTS.put(txn, place, Row(row.kind, 9, 8, row.by))

    do(store, spoil)
    assert len(differences(store)) == 4
