"""engine/crm/marketing/topics.py: who subscribes, by a word, and whether he may be texted now."""

from functools import partial

import pytest

from engine.crm.gate import gate_with
from engine.crm.marketing import campaigns, topics
from engine.crm.marketing.topics import BY_WORD, Topic
from engine.crm.people import customers, words
from engine.crm.people.customer import Customer
from engine.crm.people.subscription import OF_CUSTOMER, SUBSCRIPTIONS, Frequency, State, Subscription
from engine.errors import Conflict, Invalid, NotFound
from engine.store.environment import Store
from engine.traffic import intents, messages
from engine.traffic.messages import Pick
from tests.engine.crm.stage import (
    FIRST,
    NOW_MS,
    PEPPER,
    counts,
    differences,
    draft,
    fed,
    feed,
    launch,
    row,
    running,
    upload,
)

GATE = gate_with(PEPPER)
DAY_MS = 86_400_000
NOON_MS = NOW_MS - NOW_MS % DAY_MS + DAY_MS // 2


def topic(store: Store, word: str = "NEWS", purpose: str = "service") -> int:
    return store.write_now(topics.add, Topic(0, word, {}, purpose), NOW_MS).id


def person(store: Store, at: int = 0) -> int:
    return store.write_now(customers.add, Customer(0, FIRST + at, f"Guest {at}"), NOW_MS).id


def subscribe(store: Store, customer: int, word: str = "news", frequency: Frequency | None = None) -> Subscription:
    return store.write_now(partial(topics.subscribe, frequency=frequency), customer, word, NOW_MS)


def ended(store: Store, campaign: int) -> list[tuple[str, str]]:
    """The state of each row of a campaign, and why."""
    return [(one.state.slug, one.reason) for one in fed(store) if one.group == campaign]


def claim_all(store: Store, now_ms: int = NOW_MS) -> None:
    picks = [Pick(one.id, sim + 1) for sim, one in enumerate(fed(store)) if one.state is messages.State.QUEUED]
    for claimed in store.write_now(intents.claim, picks, now_ms, GATE):
        if claimed.verdict.sends and claimed.message is not None:
            store.write_now(intents.mark_sent, claimed.message.id, 0, 1, now_ms)


def test_a_word_is_found_in_any_case_and_width_and_belongs_to_one_topic(store: Store) -> None:
    news = topic(store, "Straße")
    with store.read() as txn:
        for said in ("STRASSE", " straße ", "ＳＴＲＡＳＳＥ"):
            found = topics.find(txn, said)
            assert found is not None
            assert (found.id, found.word) == (news, "STRASSE")
        assert topics.find(txn, "NEWS") is None
    with pytest.raises(Conflict):
        topic(store, "strasse")
    assert differences(store) == []


def test_a_text_with_a_word_begins_and_ends_a_subscription(store: Store) -> None:
    topic(store)
    somebody = person(store)
    made = subscribe(store, somebody, frequency=Frequency.WEEKLY)
    assert (made.state, made.frequency, made.source) == (State.ACTIVE, Frequency.WEEKLY, "sms")
    over = store.write_now(topics.unsubscribe, somebody, "NEWS", NOW_MS + 5)
    assert (over.state, over.since_ms, over.until_ms) == (State.ENDED, NOW_MS, NOW_MS + 5)
    with store.read() as txn:
        assert [(one.word, two) for one, two in topics.of_customer(txn, somebody)] == [("NEWS", over)]
    # Who refuses what he never asked for has said so.
    assert store.write_now(topics.unsubscribe, person(store, 1), "news", NOW_MS).state is State.ENDED
    with pytest.raises(Invalid) as refused:
        subscribe(store, somebody, "BATH")
    assert refused.value.params[0].name == "topic"
    with pytest.raises(NotFound):
        subscribe(store, somebody + 1_000_000)
    assert differences(store) == []


def test_who_ends_it_between_feeding_and_sending_is_not_texted(store: Store) -> None:
    news = topic(store)
    people = [person(store, at) for at in range(3)]
    for one in people:
        subscribe(store, one)
    campaign = running(store, [row(FIRST + at) for at in range(3)], text="hello", topic=news)
    feed(store)
    assert counts(store, campaign) == {"queued": 3}
    store.write_now(topics.unsubscribe, people[1], "NEWS", NOW_MS)
    claim_all(store)
    assert ended(store, campaign) == [("sent", ""), ("suppressed", "not_subscribed"), ("sent", "")]
    assert counts(store, campaign) == {"sent": 2, "suppressed": 1}
    assert differences(store) == []


def test_a_row_with_a_name_of_its_own_is_counted_for_the_frequency_too(store: Store) -> None:
    news = topic(store)
    subscribe(store, person(store), frequency=Frequency.MONTHLY)
    for text in ("Dear {name}", "hello"):
        campaign = running(store, [row(FIRST)], text=text, topic=news)
        feed(store)
        claim_all(store)
    assert ended(store, campaign) == [("suppressed", "frequency")]
    assert differences(store) == []


def test_a_text_that_came_to_nothing_is_not_counted_for_the_frequency(store: Store) -> None:
    news = topic(store)
    subscribe(store, person(store), frequency=Frequency.MONTHLY)
    first = running(store, [row(FIRST)], topic=news)
    feed(store)
    store.write_now(campaigns.cancel, first, NOW_MS)
    (message,) = (one.id for one in fed(store))
    store.write_now(messages.cancel_all, [message], "campaign_cancelled", NOW_MS)
    second = running(store, [row(FIRST)], topic=news)
    feed(store)
    assert counts(store, second) == {"queued": 1}
    third = running(store, [row(FIRST)], topic=news)
    feed(store)
    assert ended(store, third) == [("suppressed", "frequency")]
    assert differences(store) == []


def test_seven_days_are_days_of_the_house_so_monday_at_nine_is_free_a_week_later(store: Store) -> None:
    news = topic(store)
    subscribe(store, person(store), frequency=Frequency.WEEKLY)
    for after_ms, state in ((300_000, "sent"), (7 * DAY_MS - DAY_MS, "suppressed"), (7 * DAY_MS, "sent")):
        campaign = draft(store, topic=news).id
        upload(store, campaign, [row(FIRST)])
        launch(store, campaign, NOON_MS + after_ms)
        feed(store, now_ms=NOON_MS + after_ms)
        claim_all(store, NOON_MS + after_ms)
        assert counts(store, campaign) == {state: 1}


def test_a_basis_is_nobodys_consent_who_does_not_subscribe(store: Store) -> None:
    news = topic(store, purpose="marketing")
    subscribe(store, person(store))
    person(store, 1)
    campaign = running(
        store, [row(FIRST), row(FIRST + 1)], purpose="marketing", topic=news, consent_basis="the order form"
    )
    feed(store)
    assert counts(store, campaign) == {"queued": 1, "suppressed": 1}
    with store.read() as txn:
        granted = [customers.find_by_number(txn, FIRST + at) for at in range(2)]
    assert [one is not None and bool(one.granted) for one in granted] == [True, False]


def test_a_campaign_on_an_archived_topic_does_not_begin(store: Store) -> None:
    news = topic(store)
    subscribe(store, person(store))
    campaign = running(store, [row(FIRST)], topic=news)
    store.write_now(topics.change, news, {"is_archived": True}, None, NOW_MS)
    with pytest.raises(Conflict) as refused:
        running(store, [row(FIRST)], topic=news)
    assert refused.value.code == "topic_archived"
    feed(store)
    assert counts(store, campaign) == {"queued": 1}  # it was under way
    with pytest.raises(Conflict):
        launch(store, campaign)


def test_a_check_finds_what_leads_nowhere(store: Store) -> None:
    news = topic(store)
    somebody = person(store)
    subscribe(store, somebody)
    store.write_now(OF_CUSTOMER.remove, somebody, news)
    store.write_now(BY_WORD.remove, words.digest("NEWS"))
    store.write_now(SUBSCRIPTIONS.put, (news, somebody + 1), Subscription(State.ACTIVE, NOW_MS))
    store.write_now(SUBSCRIPTIONS.put, (news + 1, somebody), Subscription(State.ACTIVE, NOW_MS))
    found = differences(store)
    assert len([line for line in found if "is missing" in line]) == 4
    assert any(line.endswith("is nobody's") for line in found)
    assert any(line.endswith("is to no topic") for line in found)
