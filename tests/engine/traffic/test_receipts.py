"""engine/traffic/receipts.py: which part a status report speaks of, and what that makes of it."""

import pytest

from engine.store.environment import Store
from engine.traffic import events, intents, receipts
from engine.traffic.intents import REFERENCES
from engine.traffic.messages import OnUnknown, State
from engine.traffic.receipts import EARLY, Early
from tests.engine.traffic.stage import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    OTHER_SIM,
    SIM,
    claim,
    differences,
    lose,
    message,
    part_states,
    put,
    send,
    state,
)

DELIVERED, UNDELIVERED, SENT, UNKNOWN = State.DELIVERED, State.UNDELIVERED, State.SENT, State.UNKNOWN


def report(
    store: Store,
    reference: int,
    outcome: int = 0,
    *,
    sim: int = SIM,
    recipient: str = f"+{NUMBER}",
    at_ms: int = NOW_MS,
) -> None:
    early = Early(reference, recipient, outcome, at_ms)
    store.write_now(receipts.take, sim, early, NOW_MS)


def kinds(store: Store) -> list[str]:
    with store.read() as txn:
        return [event.kind for _, event in events.after(txn, 0, 1000)]


def waiting(store: Store) -> int:
    with store.read() as txn:
        return EARLY.count(txn)


@pytest.mark.parametrize(
    ("outcomes", "means"),
    [
        pytest.param([0x00, 0x02], DELIVERED, id="received, replaced"),
        pytest.param([0x01, *range(0x03, 0x20)], None, id="forwarded, or the centre's own"),
        pytest.param(range(0x20, 0x40), None, id="still trying"),
        pytest.param(range(0x40, 0x100), UNDELIVERED, id="given up"),
    ],
)
def test_every_tp_st_has_a_meaning(outcomes: list[int], means: State | None) -> None:
    assert {receipts.state_of(outcome) for outcome in outcomes} == {means}


def test_a_report_delivers_the_part_it_speaks_of_and_the_message_follows(store: Store) -> None:
    identifier = put(store, parts=2, wants_report=True)
    send(store, identifier, 7)
    send(store, identifier, 8)
    report(store, 8)
    assert (state(store, identifier), part_states(store, identifier)) == (SENT, [SENT, DELIVERED])
    report(store, 7)
    assert state(store, identifier) is DELIVERED
    with store.read() as txn:
        assert REFERENCES.count(txn) == 0
    assert differences(store) == []


@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param("+4917012345678", id="international"),
        pytest.param("017012345678", id="national, with its zero"),
        pytest.param("17012345678", id="national, without"),
        pytest.param("004917012345678", id="dialled"),
        pytest.param("4917012345678", id="international without its plus"),
    ],
)
def test_the_recipient_may_be_written_in_any_form(store: Store, recipient: str) -> None:
    identifier = put(store, wants_report=True)
    send(store, identifier, 7)
    report(store, 7, recipient=recipient)
    assert state(store, identifier) is DELIVERED


@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param("+4917012345679", id="another number"),
        pytest.param("12345", id="a short code"),
        pytest.param("", id="nothing"),
        pytest.param("00000000", id="zeros"),
        pytest.param("0000000078", id="padded with zeros"),
    ],
)
def test_a_report_of_somebody_else_changes_nothing(store: Store, recipient: str) -> None:
    identifier = put(store, wants_report=True)
    send(store, identifier, 7)
    report(store, 7, recipient=recipient)
    assert state(store, identifier) is SENT
    assert "report.unmatched" in kinds(store)


def test_a_report_on_another_sim_or_of_another_reference_changes_nothing(store: Store) -> None:
    identifier = put(store, wants_report=True)
    send(store, identifier, 7)
    report(store, 7, sim=OTHER_SIM)
    report(store, 8)
    assert state(store, identifier) is SENT


def test_a_lower_report_never_takes_anything_back(store: Store) -> None:
    identifier = put(store, wants_report=True)
    send(store, identifier, 7)
    report(store, 7)
    for outcome in (0x46, 0x30, 0x01, 0x00):
        report(store, 7, outcome)
    assert state(store, identifier) is DELIVERED
    assert kinds(store).count("message.delivered") == 1
    assert differences(store) == []


def test_a_phone_that_was_found_after_all_is_delivered_to(store: Store) -> None:
    identifier = put(store, wants_report=True)
    send(store, identifier, 7)
    report(store, 7, 0x30)
    assert state(store, identifier) is SENT
    assert "message.report" in kinds(store)
    report(store, 7, 0x46)
    assert (state(store, identifier), message(store, identifier).reason) == (UNDELIVERED, "validity_expired")
    report(store, 7, 0x00)
    assert (state(store, identifier), message(store, identifier).reason) == (DELIVERED, "")
    assert differences(store) == []


def test_after_a_wrap_the_report_belongs_to_the_part_sent_nearest_to_its_time(store: Store) -> None:
    hour_ms = 3_600_000
    first, second = put(store, wants_report=True), put(store, wants_report=True)
    send(store, first, 7, now_ms=NOW_MS)
    send(store, second, 7, now_ms=NOW_MS + hour_ms)
    report(store, 7, at_ms=NOW_MS + hour_ms + 2000)
    assert (state(store, first), state(store, second)) == (SENT, DELIVERED)
    report(store, 7, at_ms=NOW_MS + 1000)
    assert state(store, first) is DELIVERED
    assert differences(store) == []


# -- too early


def test_a_report_may_come_before_the_outcome_of_its_part(store: Store) -> None:
    identifier = put(store, wants_report=True)
    part = claim(store, identifier).part
    report(store, 7)
    assert waiting(store) == 1
    store.write_now(intents.mark_sent, identifier, part, 7, NOW_MS)
    store.write_now(receipts.catch_up, SIM, NOW_MS)
    assert state(store, identifier) is DELIVERED
    assert waiting(store) == 0
    assert differences(store) == []


def test_a_report_that_came_before_a_crash_resolves_its_part_afterwards(store: Store) -> None:
    for reference in range(1, 7):
        send(store, put(store, number=OTHER_NUMBER), reference)
    identifier = put(store, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT)
    claim(store, identifier)
    report(store, 7)
    store.write_now(intents.recover, NOW_MS)
    store.write_now(receipts.catch_up_all, NOW_MS)
    assert state(store, identifier) is DELIVERED
    assert waiting(store) == 0
    assert differences(store) == []


def test_an_early_report_of_a_part_that_was_refused_is_told_as_unmatched(store: Store) -> None:
    identifier = put(store, wants_report=True)
    claim(store, identifier)
    report(store, 7)
    store.write_now(intents.put_back, identifier, 0, NOW_MS)
    store.write_now(receipts.catch_up, SIM, NOW_MS)
    assert waiting(store) == 0
    assert "report.unmatched" in kinds(store)
    assert state(store, identifier) is State.QUEUED


# -- unknown


def sim_at(store: Store, reference: int) -> None:
    send(store, put(store, number=OTHER_NUMBER), reference)


def test_under_await_report_the_next_reference_proves_that_it_went(store: Store) -> None:
    sim_at(store, 255)
    identifier = put(store, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT)
    lose(store, identifier)
    report(store, 0, 0x30)
    assert state(store, identifier) is SENT
    assert message(store, identifier).parts[0].reference == 0
    report(store, 0, 0x00)
    assert state(store, identifier) is DELIVERED
    assert differences(store) == []


def test_a_reference_that_cannot_be_its_own_proves_nothing(store: Store) -> None:
    sim_at(store, 10)
    identifier = put(store, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT)
    lose(store, identifier)
    for reference in (10, 12, 200):
        report(store, reference)
    report(store, 11, recipient=f"+{OTHER_NUMBER}")
    report(store, 11, sim=OTHER_SIM)
    assert state(store, identifier) is UNKNOWN
    assert differences(store) == []


def test_under_hold_a_report_is_evidence_for_a_person_and_decides_nothing(store: Store) -> None:
    sim_at(store, 10)
    identifier = put(store, wants_report=True, on_unknown=OnUnknown.HOLD)
    lose(store, identifier)
    report(store, 11)
    assert state(store, identifier) is UNKNOWN
    assert "message.report" in kinds(store)


def test_two_unknown_parts_to_one_number_are_proved_by_two_references(store: Store) -> None:
    sim_at(store, 10)
    ids = [put(store, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT) for _ in range(2)]
    for identifier in ids:
        lose(store, identifier)
    report(store, 11)
    report(store, 12)
    states = [state(store, identifier) for identifier in ids]
    assert states.count(DELIVERED) >= 1
    assert differences(store) == []
