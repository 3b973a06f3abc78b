"""engine/crm/people: who they are, what they agreed to, whom we must not text."""

import pytest

from engine.crm.people import agreement, consent, customers, suppressions
from engine.crm.people.consent import CONSENTS, Consent, Status
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.permission import may_text
from engine.crm.people.suppressions import SUPPRESSIONS
from engine.errors import Conflict, Invalid, NotFound
from engine.store.environment import Store
from engine.traffic.messages import PURPOSES, SEND, Message, State, Verdict
from tests.engine.crm.stage import FIRST, NOW_MS, PEPPER, differences

GRANTED, PENDING, WITHDRAWN = Status.GRANTED, Status.PENDING, Status.WITHDRAWN


def say(store: Store, status: Status, purpose: str = "marketing", now_ms: int = NOW_MS, number: int = FIRST) -> None:
    store.write_now(agreement.add, number, purpose, Consent(status, "web", "", now_ms))


# -- customers


def test_one_number_is_one_customer(store: Store) -> None:
    ann = store.write_now(customers.add, Customer(0, FIRST, name="Ann"), NOW_MS)
    with pytest.raises(Conflict) as refused:
        store.write_now(customers.add, Customer(0, FIRST, name="Ben"), NOW_MS)
    assert str(FIRST) not in str(refused.value)
    with store.read() as txn:
        assert CUSTOMERS.count(txn) == 1
        assert customers.find_by_number(txn, FIRST) == ann
        assert customers.find_by_number(txn, FIRST + 1) is None
    assert differences(store) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 201),
        ("language", "French!"),
        ("country", "China"),
        ("grade", "D"),
        ("time_zone", "Mars/Olympus"),
        ("region", 7),
    ],
)
def test_a_wrong_field_is_refused_by_its_name_when_added_and_when_changed(store: Store, field: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        store.write_now(customers.add, Customer(0, FIRST, **{field: value}), NOW_MS)  # type: ignore[arg-type]
    assert refused.value.params[0].name == field
    ann = store.write_now(customers.add, Customer(0, FIRST), NOW_MS)
    with pytest.raises(Invalid):
        store.write_now(customers.change, ann.id, {field: value}, None, NOW_MS)
    with store.read() as txn:
        assert CUSTOMERS.get(txn, ann.id) == ann
    assert differences(store) == []


def test_a_change_steps_the_version_and_refuses_an_old_one(store: Store) -> None:
    ann = store.write_now(customers.add, Customer(0, FIRST, name="Ann"), NOW_MS)
    changed = store.write_now(customers.change, ann.id, {"name": "Anna"}, 1, NOW_MS + 5)
    assert (changed.name, changed.version, changed.updated_ms, changed.created_ms) == (
        "Anna",
        2,
        NOW_MS + 5,
        NOW_MS,
    )
    with pytest.raises(Conflict):
        store.write_now(customers.change, ann.id, {"name": "Anne"}, 1, NOW_MS)
    assert store.write_now(customers.change, ann.id, {"city": "Nanjing"}, None, NOW_MS).version == 3
    with pytest.raises(NotFound):
        store.write_now(customers.change, 4711, {}, None, NOW_MS)
    assert differences(store) == []


def test_who_writes_to_us_is_met_once(store: Store) -> None:
    first = store.write_now(customers.meet, FIRST, "zh", NOW_MS)
    assert (first.source, first.language) == ("sms", "zh")
    assert store.write_now(customers.meet, FIRST, "en", NOW_MS + 1) == first
    assert differences(store) == []


def test_customers_are_listed_newest_first_in_pages(store: Store) -> None:
    ids = [store.write_now(customers.add, Customer(0, FIRST + number), NOW_MS).id for number in range(5)]
    with store.read() as txn:
        page = [customer.id for customer in customers.listed(txn, 0, 2)]
        rest = [customer.id for customer in customers.listed(txn, page[-1], 10)]
    assert page + rest == ids[::-1]


# -- consent


def test_the_newest_row_counts_and_no_row_is_ever_lost(store: Store) -> None:
    said = [GRANTED, WITHDRAWN, PENDING, GRANTED]
    for step, status in enumerate(said):
        say(store, status, now_ms=NOW_MS + step)
        with store.read() as txn:
            assert consent.is_granted(txn, FIRST, "marketing") is (status is GRANTED)
    with store.read() as txn:
        assert [row.status for _, row in CONSENTS.scan(txn, FIRST)] == said


def test_a_clock_set_back_does_not_bring_an_old_consent_back(store: Store) -> None:
    say(store, GRANTED, now_ms=NOW_MS)
    say(store, WITHDRAWN, now_ms=NOW_MS - 86_400_000)
    with store.read() as txn:
        assert not consent.is_granted(txn, FIRST, "marketing")


def test_purposes_and_numbers_are_told_apart(store: Store) -> None:
    say(store, GRANTED, "survey")
    say(store, GRANTED, "marketing", number=FIRST + 1)
    with store.read() as txn:
        assert [consent.is_granted(txn, FIRST, purpose) for purpose in consent.NEEDED] == [False, True, False]
        assert consent.newest(txn, FIRST - 1, "marketing") is None


def test_withdrawing_twice_is_one_row_and_withdrawing_what_was_never_asked_is_kept(store: Store) -> None:
    for _ in range(2):
        store.write_now(agreement.withdraw_all, FIRST, "sms_keyword", "m", NOW_MS)
    with store.read() as txn:
        assert [row.status for _, row in CONSENTS.scan(txn, FIRST)] == [WITHDRAWN] * 3


# -- suppressions


def test_a_suppression_stands_under_a_keyed_hash(store: Store) -> None:
    assert store.write_now(suppressions.add, PEPPER, FIRST, "complaint", NOW_MS)
    assert store.write_now(suppressions.add, PEPPER, FIRST, "stop_all", NOW_MS)
    assert not store.write_now(suppressions.add, PEPPER, FIRST, "stop_all", NOW_MS)
    with store.read() as txn:
        found = suppressions.find(txn, PEPPER, FIRST)
        assert found is not None
        assert suppressions.reasons_of(found) == ("complaint", "stop_all")
        assert suppressions.find(txn, b"q" * 32, FIRST) is None
        (key,) = [key for key, _ in SUPPRESSIONS.scan(txn)]
    assert FIRST.to_bytes(8, "big") not in key[0]
    assert suppressions.digest(PEPPER, FIRST) != suppressions.digest(PEPPER, FIRST + 1)


@pytest.mark.parametrize("reason", suppressions.REASONS)
def test_a_stop_and_an_erasure_alone_are_lifted_by_a_start(store: Store, reason: str) -> None:
    store.write_now(suppressions.add, PEPPER, FIRST, reason, NOW_MS)
    assert store.write_now(suppressions.lift, PEPPER, FIRST) is (reason in ("stop_all", "erased"))
    assert not store.write_now(suppressions.lift, PEPPER, FIRST + 1)
    with store.read() as txn:
        assert (suppressions.find(txn, PEPPER, FIRST) is None) is (reason in ("stop_all", "erased"))


# -- permission


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("agreed", [False, True])
@pytest.mark.parametrize("suppressed", [False, True])
def test_who_may_be_texted_what(store: Store, purpose: str, agreed: bool, suppressed: bool) -> None:
    if agreed:
        for needed in consent.NEEDED:
            say(store, GRANTED, needed)
    if suppressed:
        store.write_now(suppressions.add, PEPPER, FIRST, "stop_all", NOW_MS)
    if purpose == "legal":
        wanted = SEND
    elif suppressed:
        wanted = Verdict(State.SUPPRESSED, "stop_all")
    elif purpose in consent.NEEDED and not agreed:
        wanted = Verdict(State.SUPPRESSED, "no_consent")
    else:
        wanted = SEND
    with store.read() as txn:
        assert may_text(txn, Message(1, FIRST, "x", purpose=purpose), PEPPER) == wanted
