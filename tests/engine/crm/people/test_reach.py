"""engine/crm/people/reach.py: which numbers texts do not reach, told in the change that learns it."""

import pytest

from engine.crm.gate import gate_with
from engine.crm.people import customers, reach, suppressions
from engine.crm.people.customer import Customer, PhoneState
from engine.crm.people.reach import UNREACHED
from engine.store.environment import Store
from engine.traffic import intents, messages, receipts
from engine.traffic.intents import LONG_ENOUGH_MS
from engine.traffic.messages import Message, Pick
from engine.traffic.receipts import Early
from engine.traffic.retry import GiveUp

NUMBER = 8_613_900_000_001
NOW_MS = 1_700_000_000_000
SIM = 460_000_000_000_001
PEPPER = b"p" * 32


@pytest.fixture
def told(store: Store) -> Store:
    store.told = reach.telling(PEPPER)
    store.write_now(customers.add, Customer(0, NUMBER), NOW_MS)
    return store


def phone_state(store: Store) -> PhoneState:
    with store.read() as txn:
        found = customers.find_by_number(txn, NUMBER)
        assert found is not None
        return found.phone_state


def claimed(store: Store, text: str = "hello", lives_ms: int = LONG_ENOUGH_MS, first: int = 1) -> Message:
    """A message whose parts the network took; the references of its parts begin with `first`."""
    message = Message(0, NUMBER, text, wants_report=True, expires_ms=NOW_MS + lives_ms)
    made = store.write_now(messages.enqueue, message, NOW_MS)
    for place in range(len(made.parts)):
        store.write_now(intents.claim, [Pick(made.id, SIM)], NOW_MS, gate_with(PEPPER))
        store.write_now(intents.mark_sent, made.id, place, first + place, NOW_MS)
    return made


def reported(store: Store, outcome: int, reference: int = 1) -> None:
    store.write_now(receipts.take, SIM, Early(reference, f"+{NUMBER}", outcome, NOW_MS), NOW_MS)


@pytest.mark.parametrize("outcome", [0x40, 0x41, 0x43, 0x45, 0x46])
def test_a_permanent_report_is_a_failure(told: Store, outcome: int) -> None:
    claimed(told)
    reported(told, outcome)
    assert phone_state(told) is PhoneState.SUSPECT


@pytest.mark.parametrize("outcome", [0x00, 0x01, 0x02, 0x20, 0x30, 0x47, 0x48, 0x49, 0x60, 0x65, 0x80])
def test_a_delivery_what_may_pass_and_what_somebody_deleted_are_none(told: Store, outcome: int) -> None:
    claimed(told)
    reported(told, outcome)
    assert phone_state(told) is PhoneState.OK


def test_a_text_that_was_soon_too_late_says_nothing_of_the_number(told: Store) -> None:
    claimed(told, lives_ms=LONG_ENOUGH_MS - 1)
    reported(told, 0x46)
    assert phone_state(told) is PhoneState.OK


def test_a_message_of_several_parts_fails_once(told: Store) -> None:
    message = claimed(told, "a" * 400)
    for place in range(len(message.parts)):
        reported(told, 0x43, 1 + place)
    with told.read() as txn:
        assert UNREACHED.get(txn, NUMBER).count == 1


@pytest.mark.parametrize(("cms", "state"), [(1, "SUSPECT"), (30, "SUSPECT"), (38, "OK"), (50, "OK"), (500, "OK")])
def test_a_refusal_that_is_the_numbers_own_fault_is_a_failure(told: Store, cms: int, state: str) -> None:
    made = told.write_now(messages.enqueue, Message(0, NUMBER, "hello"), NOW_MS)
    told.write_now(intents.claim, [Pick(made.id, SIM)], NOW_MS, gate_with(PEPPER))
    told.write_now(intents.mark_refused, made.id, 0, GiveUp("refused", permanent=True), cms, NOW_MS)
    assert phone_state(told) is PhoneState[state]


def test_the_third_failure_suppresses_and_a_delivery_forgets_all(told: Store) -> None:
    for _ in range(3):
        with told.read() as txn:
            assert suppressions.find(txn, PEPPER, NUMBER) is None
        told.write_now(reach.failed, PEPPER, NUMBER, NOW_MS)
    assert phone_state(told) is PhoneState.BAD
    with told.read() as txn:
        found = suppressions.find(txn, PEPPER, NUMBER)
    assert found is not None
    assert found.reason == "bad_number"
    told.write_now(reach.reached, PEPPER, NUMBER, NOW_MS)
    with told.read() as txn:
        assert suppressions.find(txn, PEPPER, NUMBER) is None
        assert UNREACHED.find(txn, NUMBER) is None
    assert phone_state(told) is PhoneState.OK


def test_a_good_number_lifts_no_refusal(told: Store) -> None:
    for _ in range(3):
        told.write_now(reach.failed, PEPPER, NUMBER, NOW_MS)
    told.write_now(suppressions.add, PEPPER, NUMBER, "stop_all", NOW_MS)
    told.write_now(reach.reached, PEPPER, NUMBER, NOW_MS)
    with told.read() as txn:
        found = suppressions.find(txn, PEPPER, NUMBER)
    assert found is not None
    assert suppressions.reasons_of(found) == ("stop_all",)


def test_another_number_of_the_same_person_is_as_good_as_new(told: Store) -> None:
    for _ in range(3):
        told.write_now(reach.failed, PEPPER, NUMBER, NOW_MS)
    with told.read() as txn:
        found = customers.find_by_number(txn, NUMBER)
        assert found is not None
    changed = told.write_now(customers.change, found.id, {"number": NUMBER + 1}, None, NOW_MS)
    assert changed.phone_state is PhoneState.OK
