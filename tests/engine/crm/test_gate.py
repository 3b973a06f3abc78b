"""engine/crm/gate.py: asked inside the transaction that claims, so that a STOP or a pause is exact."""

import pytest

from engine.crm.gate import gate_with
from engine.crm.marketing import campaigns
from engine.crm.people import agreement, suppressions
from engine.crm.people.consent import Consent, Status
from engine.store.environment import Store
from engine.traffic import intents, messages
from engine.traffic.messages import SEND, Message, Pick, State, Verdict
from tests.engine.crm.stage import FIRST, NOW_MS, PEPPER, counts, differences, fed, feed, row, running

GATE = gate_with(PEPPER)


def ask(store: Store, *asked: Message) -> list[Verdict]:
    with store.read() as txn:
        return GATE(txn, list(asked), NOW_MS)


def claim_all(store: Store) -> list[Verdict]:
    picks = [Pick(message.id, sim + 1) for sim, message in enumerate(fed(store))]
    return [claimed.verdict for claimed in store.write_now(intents.claim, picks, NOW_MS, GATE)]


def test_one_verdict_for_each_in_their_order(store: Store) -> None:
    store.write_now(suppressions.add, PEPPER, FIRST, "stop_all", NOW_MS)
    verdicts = ask(
        store,
        Message(1, FIRST, "x"),
        Message(2, FIRST, "x", purpose="legal"),
        Message(3, FIRST + 1, "x"),
        Message(4, FIRST + 1, "x", purpose="marketing"),
    )
    assert verdicts == [
        Verdict(State.SUPPRESSED, "stop_all"),
        SEND,
        SEND,
        Verdict(State.SUPPRESSED, "no_consent"),
    ]
    assert ask(store) == []


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        pytest.param((), SEND, id="running"),
        pytest.param((campaigns.pause,), Verdict(State.QUEUED, "campaign_paused"), id="paused"),
        pytest.param((campaigns.pause, campaigns.resume), SEND, id="resumed"),
        pytest.param((campaigns.cancel,), Verdict(State.CANCELLED, "campaign_cancelled"), id="cancelled"),
    ],
)
def test_a_campaigns_messages_do_as_their_campaign(
    store: Store, steps: tuple[campaigns.Step, ...], verdict: Verdict
) -> None:
    campaign = running(store, [row(FIRST + number) for number in range(3)])
    feed(store)
    for step in steps:
        store.write_now(step, campaign, NOW_MS)
    assert claim_all(store) == [verdict] * 3
    assert sum(counts(store, campaign).values()) == 3
    assert differences(store) == []


def test_a_stop_between_feeding_and_claiming_is_obeyed(store: Store) -> None:
    for number in (FIRST, FIRST + 1):
        store.write_now(agreement.add, number, "marketing", Consent(Status.GRANTED, "web", "", NOW_MS))
    campaign = running(store, [row(FIRST), row(FIRST + 1)], purpose="marketing")
    feed(store)
    store.write_now(agreement.withdraw, FIRST, "marketing", "sms_keyword", "m", NOW_MS)
    store.write_now(suppressions.add, PEPPER, FIRST + 1, "stop_all", NOW_MS)
    assert [verdict.state for verdict in claim_all(store)] == [State.SUPPRESSED] * 2
    assert counts(store, campaign) == {"suppressed": 2}
    assert differences(store) == []


def test_a_stop_after_the_claim_lets_the_part_in_the_air_land_and_stops_the_next(store: Store) -> None:
    message = store.write_now(messages.enqueue, Message(0, FIRST, "a" * 300), NOW_MS)
    assert claim_all(store) == [SEND]
    store.write_now(suppressions.add, PEPPER, FIRST, "stop_all", NOW_MS)
    assert store.write_now(messages.withdraw, FIRST, lambda _: True, "stop_all", NOW_MS) == 0
    store.write_now(intents.mark_sent, message.id, 0, 1, NOW_MS)
    assert claim_all(store) == [Verdict(State.SUPPRESSED, "stop_all")]
    (ended,) = fed(store)
    assert (ended.state, [part.state for part in ended.parts]) == (State.FAILED, [State.SENT, State.FAILED])
    assert differences(store) == []
