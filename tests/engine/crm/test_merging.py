"""engine/crm/merging.py: two records become one, nothing that was set is lost, and both histories are there."""

import pytest

from engine.access.caller import SYSTEM, Caller
from engine.crm import merging
from engine.crm.marketing import coupons, members, points, till_codes
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.points import Kind
from engine.crm.merging import Difference
from engine.crm.people import agreement, customers, fields, happenings, tags, timeline
from engine.crm.people.audit import By
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import CUSTOMERS, Customer, Lifecycle, SpecialDay
from engine.crm.people.dates import Day
from engine.crm.people.fields import FieldDef
from engine.crm.people.happenings import Happening
from engine.crm.people.member import MEMBERS, State
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.events import EVENTS
from engine.traffic.messages import Message
from tests.engine.crm import stage
from tests.engine.crm.stage import PEPPER

NOW_MS = stage.NOW_MS
ZONE = "Asia/Shanghai"
ONE, TWO, THREE = 8613911223344, 8613955667788, 861012345678
BY = By(SYSTEM, "system", PEPPER)


def add(store: Store, number: int, **given: object) -> Customer:
    return store.write_now(customers.add, Customer(0, number, **given), NOW_MS)  # type: ignore[arg-type]


def merge(store: Store, kept: int, gone: int) -> merging.Plan:
    planned = store.write_now(merging.merge, kept, gone, NOW_MS + 10, BY, ZONE)
    assert stage.differences(store) == []
    return planned


def test_what_is_set_stays_and_what_is_not_is_taken(store: Store) -> None:
    def prepare(txn: Txn) -> tuple[int, int]:
        for key in ("room", "car"):
            fields.add(txn, FieldDef(0, key, "text"), frozenset(), NOW_MS)
        kept = Customer(
            0, ONE, "Zoë", tags=tags.require(txn, ["gold"], NOW_MS), attrs={1: "302"}, last_seen_ms=7,
            special_days=(SpecialDay("wedding", Day(0, 5, 20, 2019)),),
        )  # fmt: skip
        gone = Customer(
            0, TWO, "Zoe Q.", numbers=(THREE,), email="zoe@example.org", tags=tags.require(txn, ["silver"], NOW_MS),
            attrs={1: "999", 2: "VW"}, lifecycle=Lifecycle.CUSTOMER, last_seen_ms=9, source="web",
            special_days=(SpecialDay("wedding", Day(0, 5, 20, 2019)), SpecialDay("son", Day(0, 1, 2))),
        )  # fmt: skip
        return customers.add(txn, kept, NOW_MS).id, customers.add(txn, gone, NOW_MS, "form").id

    kept, gone = store.write_now(prepare)
    with store.read() as txn:
        foreseen = merging.previewed(txn, kept, gone)
    assert merge(store, kept, gone) == foreseen
    assert foreseen.differences == [Difference("name", "Zoë", "Zoe Q."), Difference("attrs.1", "302", "999")]
    with store.read() as txn:
        now = CUSTOMERS.get(txn, kept)
        assert (now.number, now.numbers) == (ONE, (TWO, THREE))
        assert (now.name, now.email, now.attrs) == ("Zoë", "zoe@example.org", {1: "302", 2: "VW"})
        assert (now.tags, now.lifecycle, now.last_seen_ms) == ((1, 2), Lifecycle.CUSTOMER, 9)
        assert [day.name for day in now.special_days] == ["wedding", "son"]
        found = customers.find_by_number(txn, TWO)
        assert found is not None
        assert (found.id, CUSTOMERS.find(txn, gone), merging.survivor(txn, gone)) == (kept, None, kept)
        # Where a value came from it still did.
        told = customers.sources_of(txn, now)["email"]
        assert (told.source, told.by) == ("web", "form")
        (event,) = [event for _, event in EVENTS.scan(txn) if event.kind == "customer.merged"]
    assert (event.subject, event.detail) == (customers.name_of(kept), {"merged": customers.name_of(gone)})


def test_both_histories_are_one(store: Store) -> None:
    """M5: texts of both numbers, happenings and notes of both, coupons of both; consents stay with their numbers."""
    kept, gone = add(store, ONE).id, add(store, TWO).id

    def live(txn: Txn) -> None:
        for person, number in ((kept, ONE), (gone, TWO)):
            messages.enqueue(txn, Message(0, number, f"to {number}"), NOW_MS)
            happenings.add(txn, person, "order", Happening(NOW_MS, 100, ref=f"O{number}"), NOW_MS)
            timeline.add(txn, person, "note", "", f"met {number}", NOW_MS, NOW_MS)
            coupons.issue(txn, PEPPER, Terms("amount", 2_000, "CNY"), "till", NOW_MS, customers=(person,))
        agreement.add(txn, TWO, "marketing", Consent(Status.GRANTED, "web", "page", NOW_MS))

    store.write_now(live)
    merge(store, kept, gone)
    with store.read() as txn:
        person = CUSTOMERS.get(txn, kept)
        texts = {entry.text for _, entry in timeline.page(txn, person, 0, 100)}
        assert texts >= {f"to {ONE}", f"to {TWO}", f"met {ONE}", f"met {TWO}"}
        assert len(happenings.of(txn, kept, "order")) == 2
        assert len(list(coupons.listed(txn, 0, 10, kept))) == 2
        assert person.granted == 0
    # With the other's number ahead, the other's consent counts.
    store.write_now(customers.change, kept, {"number": TWO, "numbers": (ONE,)}, None, NOW_MS)
    with store.read() as txn:
        assert CUSTOMERS.get(txn, kept).granted == 1


def test_the_points_of_two_cards_are_on_one(store: Store) -> None:
    kept, gone = add(store, ONE).id, add(store, TWO).id
    for person, earned in ((kept, 100), (gone, 50)):
        store.write_now(points.enrol, person, "till", NOW_MS, ZONE)
        store.write_now(points.earn, person, earned, f"O{person}", "till", NOW_MS, ZONE)
    merge(store, kept, gone)
    with store.read() as txn:
        ours, theirs = MEMBERS.get(txn, kept), MEMBERS.get(txn, gone)
    assert (ours.balance, theirs.balance, theirs.state) == (150, 0, State.CLOSED)


def test_the_only_card_goes_with_its_rows_and_can_still_be_taken_back(store: Store) -> None:
    kept, gone = add(store, ONE).id, add(store, TWO).id
    store.write_now(points.enrol, gone, "till", NOW_MS, ZONE)
    for order in ("O1", "O2"):
        store.write_now(points.earn, gone, 50, order, "till", NOW_MS, ZONE)
    store.write_now(points.reverse, gone, Kind.EARN, "O1", "till", NOW_MS, ZONE)
    code = store.write_now(till_codes.give, PEPPER, gone, NOW_MS).code
    with store.read() as txn:
        number = MEMBERS.get(txn, gone).number
    merge(store, kept, gone)
    with store.read() as txn:
        assert MEMBERS.find(txn, gone) is None
        assert members.find_by_number(txn, number) == kept
        assert members.list_by_last_digits(txn, str(ONE)[-4:]) == [kept]
    with pytest.raises(NotFound):
        store.write_now(till_codes.use, PEPPER, code, NOW_MS)
    # Told again, what was earned and taken back is the row that there is.
    assert not store.write_now(points.earn, kept, 50, "O2", "till", NOW_MS, ZONE).is_new
    assert not store.write_now(points.reverse, kept, Kind.EARN, "O1", "till", NOW_MS, ZONE).is_new
    assert store.write_now(points.reverse, kept, Kind.EARN, "O2", "till", NOW_MS, ZONE).member.balance == 0
    assert stage.differences(store) == []


def test_a_card_that_is_suspended_stands_against_it(store: Store) -> None:
    kept, gone = add(store, ONE).id, add(store, TWO).id
    for person in (kept, gone):
        store.write_now(points.enrol, person, "till", NOW_MS, ZONE)
        store.write_now(points.earn, person, 50, f"O{person}", "till", NOW_MS, ZONE)
    store.write_now(members.move, gone, State.SUSPENDED, None, NOW_MS)
    with pytest.raises(Conflict) as refused:
        store.write_now(merging.merge, kept, gone, NOW_MS, BY, ZONE)
    assert refused.value.code == "merge_member"
    with store.read() as txn:
        assert CUSTOMERS.find(txn, gone) is not None
    assert stage.differences(store) == []


def test_who_was_merged_before_leads_to_the_last(store: Store) -> None:
    first, second, third = (add(store, number).id for number in (ONE, TWO, THREE))
    merge(store, second, first)
    merge(store, third, second)
    with store.read() as txn:
        assert [merging.survivor(txn, one) for one in (first, second, third)] == [third] * 3
        assert merging.former(txn, third) == [first, second]


def test_what_cannot_be_merged_is_refused(store: Store) -> None:
    kept = add(store, ONE).id
    with pytest.raises(Invalid):
        store.write_now(merging.merge, kept, kept, NOW_MS, BY, ZONE)
    with pytest.raises(NotFound):
        store.write_now(merging.merge, kept, 1, NOW_MS, BY, ZONE)
    with pytest.raises(Forbidden):
        store.write_now(merging.merge, kept, kept, NOW_MS, By(Caller("token", "till"), "api", PEPPER), ZONE)
    many = add(store, TWO, numbers=tuple(range(8613700000000, 8613700000010))).id
    with pytest.raises(Invalid):
        store.write_now(merging.merge, kept, many, NOW_MS, BY, ZONE)


def test_who_may_be_one_is_found(store: Store) -> None:
    day = Day(0, 5, 20, 1990)
    ann = add(store, ONE, name="Ann  Quill", birthday=day, email="ann@example.org").id
    add(store, THREE, name="Ann Quill", birthday=Day(0, 5, 21, 1990))
    twin = add(store, TWO, name="ａｎｎ QUILL", birthday=day, email="ANN@example.org").id
    slip = add(store, int(str(ONE)[2:]), name="A. Q.").id
    with store.read() as txn:
        found, behind = merging.duplicates(txn, 0, 100, "86")
        assert behind == 0
        pairs = [(pair.older.id, pair.newer.id, pair.reasons) for pair in found]
        assert pairs == [(ann, twin, ("name_birthday", "name_email")), (ann, slip, ("number",))]
        page, behind = merging.duplicates(txn, 0, 1, "86")
        assert [pair.newer.id for pair in page] == [twin]
        assert [pair.newer.id for pair in merging.duplicates(txn, behind, 1, "86")[0]] == [slip]
