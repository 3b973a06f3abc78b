"""Members: joining, leaving, tiers, and how a till finds them."""

from datetime import date

import pytest

from engine.crm.marketing import days, members, points, tiers, till_codes
from engine.crm.marketing.loyalty import EarnRule, Programme
from engine.crm.marketing.tiers import Tier
from engine.crm.people.member import State
from engine.errors import Conflict, Invalid, NotFound, Stale
from engine.store.environment import Store
from tests.engine.crm.club import (
    DAY_MS,
    NOW_MS,
    PEPPER,
    ZONE,
    at,
    customer,
    differences,
    do,
    member,
    programme,
    record,
    told,
)

SILVER = Tier("silver", {"en": "Silver", "zh": "银卡"}, 100)
GOLD = Tier("gold", {"en": "Gold", "zh": "金卡"}, 500)


# -- joining


def test_members_are_numbered_in_a_row_from_the_first_number_that_is_set(store: Store) -> None:
    programme(store, Programme(first_number=10_231))
    numbers = [record(store, member(store, 8613900000000 + place)).number for place in range(3)]
    assert numbers == ["10231", "10232", "10233"]


def test_a_higher_first_number_holds_from_the_next_member_on_and_a_lower_one_changes_nothing(store: Store) -> None:
    member(store, 8613900000000)
    programme(store, Programme(first_number=20_000))
    assert record(store, member(store, 8613900000001)).number == "20000"
    programme(store, Programme(first_number=5))
    assert record(store, member(store, 8613900000002)).number == "20001"


def test_a_customer_is_a_member_once(store: Store) -> None:
    identifier = member(store)
    with pytest.raises(Conflict) as refused:
        do(store, points.enrol, identifier, "tests", NOW_MS, ZONE)
    assert refused.value.code == "already_member"


def test_only_a_customer_joins(store: Store) -> None:
    with pytest.raises(NotFound):
        do(store, members.join, 7, NOW_MS, ZONE)


def test_joining_gives_what_the_rules_give_for_it(store: Store) -> None:
    programme(store, Programme((EarnRule("join", 50),)))
    assert record(store, member(store)).balance == 50


def test_joining_is_told_without_a_telephone_number(store: Store) -> None:
    identifier = member(store, code="入会")
    (event,) = told(store, "member.")
    assert (event.kind, event.subject) == ("member.joined", members.name_of(identifier))
    assert "13912345678" not in repr(event)


# -- states


@pytest.mark.parametrize(
    ("way", "kinds"),
    [
        pytest.param((State.SUSPENDED, State.ACTIVE), ["member.suspended", "member.activated"], id="suspended"),
        pytest.param((State.CLOSED, State.ACTIVE), ["member.closed", "member.reopened"], id="closed and opened again"),
        pytest.param((State.SUSPENDED, State.CLOSED), ["member.suspended", "member.closed"], id="closed for good"),
    ],
)
def test_a_member_goes_from_state_to_state(store: Store, way: tuple[State, ...], kinds: list[str]) -> None:
    identifier = member(store)
    for state in way:
        assert do(store, members.move, identifier, state, None, NOW_MS).state is state
    assert [event.kind for event in told(store, "member.")[1:]] == kinds
    assert differences(store) == []


@pytest.mark.parametrize("state", [State.PENDING, State.ACTIVE])
def test_a_state_that_does_not_follow_is_refused(store: Store, state: State) -> None:
    identifier = member(store)
    with pytest.raises(Conflict) as refused:
        do(store, members.move, identifier, state, None, NOW_MS)
    assert refused.value.code == "member_state"


def test_a_change_of_an_older_version_is_refused(store: Store) -> None:
    identifier = member(store)
    do(store, members.move, identifier, State.SUSPENDED, 1, NOW_MS)
    with pytest.raises(Stale):
        do(store, members.move, identifier, State.ACTIVE, 1, NOW_MS)


def test_a_pending_member_collects_points_and_spends_none(store: Store) -> None:
    identifier = member(store, is_pending=True)
    assert do(store, points.earn, identifier, 10, "O1", "tests", NOW_MS, ZONE).member.balance == 10
    with pytest.raises(Conflict) as refused:
        do(store, points.spend, identifier, 5, "R1", "tests", NOW_MS, ZONE)
    assert refused.value.code == "member_pending"
    do(store, members.move, identifier, State.ACTIVE, None, NOW_MS)
    assert do(store, points.spend, identifier, 5, "R1", "tests", NOW_MS, ZONE).member.balance == 5


@pytest.mark.parametrize("state", [State.SUSPENDED, State.CLOSED])
def test_nobody_earns_or_spends_who_is_not_active(store: Store, state: State) -> None:
    identifier = member(store)
    do(store, points.earn, identifier, 10, "O1", "tests", NOW_MS, ZONE)
    do(store, members.move, identifier, state, None, NOW_MS)
    for change in (points.earn, points.spend):
        with pytest.raises(Conflict) as refused:
            do(store, change, identifier, 5, "O2", "tests", NOW_MS, ZONE)
        assert refused.value.code == f"member_{state.slug}"


# -- tiers


def ladder(store: Store, *known: Tier) -> None:
    do(store, tiers.replace, known, None, NOW_MS)


def test_a_member_rises_at_once_and_is_told_so_once(store: Store) -> None:
    ladder(store, SILVER, GOLD)
    identifier = member(store)
    for place in range(3):
        do(store, points.earn, identifier, 60, f"O{place}", "tests", NOW_MS, ZONE)
    assert record(store, identifier).tier == "silver"
    assert [event.detail for event in told(store, "tier.")] == [{"tier": "silver", "before": ""}]


def test_points_still_needed_are_those_of_the_period(store: Store) -> None:
    ladder(store, SILVER, GOLD)
    identifier = member(store)
    do(store, points.earn, identifier, 320, "O1", "tests", NOW_MS, ZONE)
    do(store, points.spend, identifier, 200, "R1", "tests", NOW_MS, ZONE)
    with store.read() as txn:
        assert tiers.next_of(tiers.ladder(txn), members.get(txn, identifier)) == (GOLD, 180)


def test_points_given_by_hand_lead_to_no_tier(store: Store) -> None:
    ladder(store, SILVER)
    identifier = member(store)
    do(store, points.adjust, identifier, 1_000, "a gift", "tests", NOW_MS, ZONE)
    assert (record(store, identifier).tier, record(store, identifier).earned) == ("", 0)


def test_a_tier_falls_only_when_its_period_has_ended(store: Store) -> None:
    ladder(store, SILVER, GOLD)
    identifier = member(store)
    do(store, points.earn, identifier, 600, "O1", "tests", NOW_MS, ZONE)
    assert days.text(record(store, identifier).tier_until) == "2027-09-24"
    # The period in which it was earned is over: its points decide, and the next begins from nothing.
    assert do(store, tiers.weigh, at("2027-09-24", 23), ZONE, 10) == 0
    assert do(store, tiers.weigh, at("2027-09-25", 0), ZONE, 10) == 1
    assert (record(store, identifier).tier, record(store, identifier).earned) == ("gold", 0)
    do(store, points.earn, identifier, 120, "O2", "tests", at("2028-01-01"), ZONE)
    assert do(store, tiers.weigh, at("2028-09-25", 0), ZONE, 10) == 1
    assert record(store, identifier).tier == "silver"
    assert [event.kind for event in told(store, "tier.")] == ["tier.raised", "tier.lowered"]
    assert differences(store) == []


def test_periods_that_went_by_unseen_are_all_decided(store: Store) -> None:
    ladder(store, SILVER, GOLD)
    identifier = member(store)
    do(store, points.earn, identifier, 600, "O1", "tests", NOW_MS, ZONE)
    # Nothing ran for three years: then he buys.
    do(store, points.earn, identifier, 1, "O2", "tests", at("2029-10-01"), ZONE)
    found = record(store, identifier)
    assert (found.tier, found.earned, days.text(found.tier_until)) == ("", 1, "2030-09-24")
    assert do(store, tiers.weigh, at("2029-10-02"), ZONE, 10) == 0


def test_new_tiers_let_members_rise_and_none_fall_before_his_time(store: Store) -> None:
    ladder(store, SILVER, GOLD)
    kept, risen = member(store, 8613900000000), member(store, 8613900000001)
    for identifier in (kept, risen):
        do(store, points.earn, identifier, 150, f"O{identifier}", "tests", NOW_MS, ZONE)
    do(store, points.earn, risen, 100, "O3", "tests", NOW_MS, ZONE)
    ladder(store, Tier("silver", {"en": "Silver"}, 180), Tier("gold", {"en": "Gold"}, 200))
    last = do(store, tiers.regrade, 0, NOW_MS, ZONE, 1)
    assert last == kept
    assert do(store, tiers.regrade, last, NOW_MS, ZONE, 10) is None
    assert [record(store, identifier).tier for identifier in (kept, risen)] == ["silver", "gold"]


def test_a_tier_that_is_gone_is_nobodys(store: Store) -> None:
    ladder(store, SILVER)
    identifier = member(store)
    do(store, points.earn, identifier, 150, "O1", "tests", NOW_MS, ZONE)
    ladder(store, Tier("amber", {"en": "Amber"}, 1_000))
    do(store, tiers.regrade, 0, NOW_MS, ZONE, 10)
    assert record(store, identifier).tier == ""


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        pytest.param((SILVER, SILVER), "code", id="twice the same"),
        pytest.param((GOLD, SILVER), "points", id="not in order"),
    ],
)
def test_wrong_tiers_are_refused_by_their_field(store: Store, wrong: tuple[Tier, ...], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        ladder(store, *wrong)
    assert field in [param.name for param in refused.value.params]


def test_a_period_of_months_ends_on_the_day_before(store: Store) -> None:
    leap = date(2028, 2, 29).toordinal()
    assert days.text(days.later(leap, 12)) == "2029-02-28"
    assert days.text(days.later(leap, -1)) == "2028-01-29"
    assert days.text(days.later(date(2026, 12, 31).toordinal(), 2)) == "2027-02-28"


# -- found at a till


def test_G4_a_till_finds_a_member_by_number_phone_or_its_last_digits(store: Store) -> None:
    identifier, other = member(store, 8613912345678), member(store, 8613800005678)
    customer(store, 8613700005678)
    number = record(store, identifier).number
    with store.read() as txn:
        assert [members.find_by_number(txn, text) for text in (number, f"M{number}", f"m{number} ")] == [identifier] * 3
        assert members.find_by_phone(txn, 8613912345678) == identifier
        assert members.find_by_phone(txn, 8613700005678) is None
        assert members.list_by_last_digits(txn, "5678") == [identifier, other]
        assert members.list_by_last_digits(txn, "0000") == []
        assert members.find_by_number(txn, "99999") is None
        assert members.find_by_number(txn, "１") is None


def test_a_card_is_found_by_the_number_that_its_holder_has_now(store: Store) -> None:
    identifier = member(store)
    do(store, members.renumber, identifier, 8613912340001)
    with store.read() as txn:
        # The customer's own record decides, and still has the old one here.
        assert members.list_by_last_digits(txn, "5678") == []
        assert members.list_by_last_digits(txn, "0001") == []
    assert differences(store) == []


def test_G4_a_till_code_is_good_for_five_minutes_and_once(store: Store) -> None:
    identifier = member(store)
    given = do(store, till_codes.give, PEPPER, identifier, NOW_MS)
    assert len(given.code) == 6
    last_ms = NOW_MS + 5 * 60_000 - 1
    assert do(store, till_codes.use, PEPPER, given.code, last_ms) == identifier
    with pytest.raises(NotFound) as refused:
        do(store, till_codes.use, PEPPER, given.code, last_ms)
    assert refused.value.code == "till_code_unknown"
    late = do(store, till_codes.give, PEPPER, identifier, NOW_MS)
    with pytest.raises(NotFound):
        do(store, till_codes.use, PEPPER, late.code, last_ms + 1)


def test_G4_a_new_code_ends_the_one_before(store: Store) -> None:
    identifier = member(store)
    drawn = iter((7, 8))
    first, second = (do(store, till_codes.give, PEPPER, identifier, NOW_MS, lambda _: next(drawn)) for _ in range(2))
    assert (first.code, second.code) == ("000007", "000008")
    with pytest.raises(NotFound):
        do(store, till_codes.use, PEPPER, first.code, NOW_MS)
    assert do(store, till_codes.use, PEPPER, " 000 008 ", NOW_MS) == identifier


def test_two_members_never_have_the_same_code(store: Store) -> None:
    first, second = member(store, 8613900000000), member(store, 8613900000001)
    drawn = iter((7, 7, 7, 9))
    codes = [do(store, till_codes.give, PEPPER, one, NOW_MS, lambda _: next(drawn)).code for one in (first, second)]
    assert codes == ["000007", "000009"]


def test_codes_are_kept_only_as_a_keyed_hash_and_not_for_ever(store: Store) -> None:
    identifiers = [member(store, 8613900000000 + place) for place in range(3)]
    for identifier in identifiers:
        do(store, till_codes.give, PEPPER, identifier, NOW_MS)
    with store.read() as txn:
        assert till_codes.CODES.count(txn) == till_codes.ENDING.count(txn) == 3
    do(store, till_codes.give, PEPPER, identifiers[0], NOW_MS + DAY_MS)
    with store.read() as txn:
        counts = [table.count(txn) for table in (till_codes.CODES, till_codes.ENDING, till_codes.OF_MEMBER)]
    assert counts == [1, 1, 1]
    other = do(store, till_codes.give, PEPPER, identifiers[1], NOW_MS + DAY_MS)
    with pytest.raises(NotFound):
        do(store, till_codes.use, PEPPER[::-1], other.code, NOW_MS + DAY_MS)


@pytest.mark.parametrize("code", ["12345", "1234567", "12345x", "", "１２３４５６"])
def test_what_is_not_six_digits_is_no_code(store: Store, code: str) -> None:
    with pytest.raises(Invalid):
        do(store, till_codes.use, PEPPER, code, NOW_MS)
