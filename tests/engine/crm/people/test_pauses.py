"""engine/crm/people/pauses.py: whichever number a doubt came from, a decision about the person ends it."""

import msgspec
import pytest

from engine.crm.people import agreement, consent, customers, pauses
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer
from engine.errors import Conflict
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.messages import Message, State

NOW_MS = 1_790_000_000_000
FIRST, SECOND, OTHERS = 8613900000001, 8613900000002, 8613900000003


def person(store: Store) -> int:
    """Who has two numbers, agreed by both, and is doubted by the second."""
    made = store.write_now(customers.add, Customer(0, FIRST, "Ann", numbers=(SECOND,)), NOW_MS)
    for number in (FIRST, SECOND, OTHERS):
        row = Consent(Status.GRANTED, "paper", "card", NOW_MS)
        store.write_now(agreement.add, number, "marketing", row)
    store.write_now(pauses.pause, SECOND, 77, NOW_MS)
    return made.id


def held(store: Store) -> int:
    """The id of an offer to the second number, that waits for a person."""
    message = store.write_now(messages.enqueue, Message(0, SECOND, "tea", "marketing"), NOW_MS)

    def hold(txn: Txn) -> None:
        verdict = pauses.held(txn, message, NOW_MS)
        assert verdict is not None
        messages.leave_line(txn, message)
        aside = msgspec.structs.replace(message, state=State.HELD, reason=verdict.reason)
        messages.line_up(txn, messages.store(txn, message, aside, NOW_MS))

    store.write_now(hold)
    return message.id


def state_of(store: Store, identifier: int) -> State:
    with store.read() as txn:
        return messages.get(txn, identifier).state


def status_of(store: Store, number: int) -> Status:
    with store.read() as txn:
        row = consent.newest(txn, number, "marketing")
    assert row is not None
    return row.status


def test_it_was_no_refusal(store: Store) -> None:
    identifier = person(store)
    offer = held(store)
    assert store.write_now(pauses.resume, identifier, NOW_MS) == 1
    assert (state_of(store, offer), status_of(store, SECOND)) == (State.QUEUED, Status.GRANTED)
    with pytest.raises(Conflict):
        store.write_now(pauses.resume, identifier, NOW_MS)


def test_it_was_one_of_the_number_that_said_so(store: Store) -> None:
    identifier = person(store)
    offer = held(store)
    assert store.write_now(pauses.withdraw, identifier, "Chen", NOW_MS + 1) == 1
    assert (state_of(store, offer), status_of(store, SECOND)) == (State.SUPPRESSED, Status.WITHDRAWN)
    assert (status_of(store, FIRST), status_of(store, OTHERS)) == (Status.GRANTED, Status.GRANTED)
    with pytest.raises(Conflict):
        store.write_now(pauses.withdraw, identifier, "Chen", NOW_MS)
