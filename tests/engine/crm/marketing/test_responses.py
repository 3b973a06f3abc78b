"""engine/crm/marketing/responses.py: who answered a campaign, counted once, and gone with who is gone."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.access.caller import SYSTEM
from engine.crm import erasure
from engine.crm.marketing import campaigns, responses
from engine.crm.marketing.links import Led
from engine.crm.marketing.responses import ANSWERED_MS, COUNTED, LOOKED_AT, RESPONSES, Counted, Response
from engine.crm.people import customers, happenings
from engine.crm.people.audit import By
from engine.crm.people.customer import Customer
from engine.store.environment import Store
from engine.traffic import intents, messages, retention
from engine.traffic.events import EVENTS
from engine.traffic.messages import SEND, Message, Pick
from engine.traffic.traces import Left
from engine.wiring import TABLES
from tests.engine.crm.stage import FIRST, NOW_MS, PEPPER, differences, feed, row, running

BY = By(SYSTEM, "system", PEPPER)


def send(store: Store, identifier: int, at_ms: int = NOW_MS) -> None:
    store.write_now(intents.claim, [Pick(identifier, 1)], at_ms, lambda _txn, asked, _now: [SEND] * len(asked))
    store.write_now(intents.mark_sent, identifier, 0, 1, at_ms)


def sent(store: Store, people: int = 3, at_ms: int = NOW_MS) -> int:
    """A campaign that went to so many people; its id."""
    campaign = running(store, [row(FIRST + at) for at in range(people)])
    feed(store, now_ms=at_ms)
    with store.read() as txn:
        rows = [one.message.id for one in campaigns.results(txn, campaigns.CAMPAIGNS.get(txn, campaign), 0, people)]
    for identifier in rows:
        send(store, identifier, at_ms)
    return campaign


def text(store: Store, number: int = FIRST, at_ms: int = NOW_MS, **fields: object) -> int:
    message = Message(0, number, "x", **fields)  # type: ignore[arg-type]
    return store.write_now(messages.enqueue, message, at_ms).id


def hear(store: Store, number: int = FIRST, at_ms: int = NOW_MS + 10, *, refuses: bool = False) -> None:
    store.write_now(lambda txn: responses.hear(txn, PEPPER, number, at_ms, refuses=refuses))
    assert differences(store) == []


def click(store: Store, campaign: int, at: int = 0, at_ms: int = NOW_MS + 20) -> None:
    store.write_now(responses.click, PEPPER, Led(campaign, at, "https://example.com/"), at_ms)
    assert differences(store) == []


def counted(store: Store, campaign: int) -> tuple[int, int, int, int]:
    with store.read() as txn:
        found = responses.counted_of(txn, campaign)
    return found.replied, found.clicked, found.opted_out, found.clicks


def did(store: Store, campaign: int) -> dict[int, Response]:
    with store.read() as txn:
        return responses.of_rows(txn, campaign, 0, 100)


# -- replies


def test_a_person_counts_once_however_often_he_writes(store: Store) -> None:
    campaign = sent(store)
    for at_ms in (10, 20, 30):
        hear(store, FIRST + 1, NOW_MS + at_ms)
    hear(store, FIRST + 2, NOW_MS + 40, refuses=True)
    hear(store, FIRST + 2, NOW_MS + 50, refuses=True)
    assert counted(store, campaign) == (1, 0, 1, 0)
    assert did(store, campaign) == {1: Response(replied_ms=NOW_MS + 10), 2: Response(opted_out_ms=NOW_MS + 40)}


def test_a_reply_and_then_a_stop_are_both(store: Store) -> None:
    campaign = sent(store)
    hear(store)
    hear(store, at_ms=NOW_MS + 11, refuses=True)
    assert counted(store, campaign) == (1, 0, 1, 0)


@pytest.mark.parametrize(("after_ms", "replies"), [(ANSWERED_MS - 1, 1), (ANSWERED_MS, 0)])
def test_what_was_sent_7_days_ago_is_answered_no_more(store: Store, after_ms: int, replies: int) -> None:
    campaign = sent(store)
    hear(store, at_ms=NOW_MS + after_ms)
    assert counted(store, campaign)[0] == replies


def test_the_last_text_that_went_is_answered(store: Store) -> None:
    first, second = sent(store), sent(store, at_ms=NOW_MS + 5)
    hear(store)
    assert (counted(store, first)[0], counted(store, second)[0]) == (0, 1)
    alone = text(store, at_ms=NOW_MS + 20)
    hear(store, at_ms=NOW_MS + 30, refuses=True)  # that one waits still
    assert counted(store, second)[2] == 1
    send(store, alone, NOW_MS + 40)
    hear(store, FIRST, NOW_MS + 50)
    hear(store, FIRST + 1, NOW_MS + 50)
    assert (counted(store, first)[0], counted(store, second)[0]) == (0, 2)


def test_what_was_made_earlier_and_went_later_is_the_last(store: Store) -> None:
    early = running(store, [row()])
    late = sent(store, 1)
    with store.read() as txn:
        (only,) = campaigns.results(txn, campaigns.CAMPAIGNS.get(txn, early), 0, 1)
    send(store, only.message.id, NOW_MS + 5)
    hear(store)
    assert (counted(store, early)[0], counted(store, late)[0]) == (1, 0)


def test_our_own_answer_is_not_what_is_answered(store: Store) -> None:
    campaign = sent(store)
    send(store, text(store, at_ms=NOW_MS + 1, in_reply_to=7, source="command"), NOW_MS + 1)
    hear(store, refuses=True)
    assert counted(store, campaign)[2] == 1


def test_who_was_sent_nothing_answers_nothing(store: Store) -> None:
    campaign = running(store, [row()])
    hear(store)
    hear(store, FIRST + 7)
    feed(store)
    hear(store)
    assert counted(store, campaign) == (0, 0, 0, 0)


def test_it_looks_at_few_messages_however_many_there_are(store: Store) -> None:
    campaign = sent(store, 1)
    for _ in range(LOOKED_AT):
        text(store)
    hear(store)
    assert counted(store, campaign) == (0, 0, 0, 0)


# -- clicks


def test_the_first_click_has_a_time_and_all_are_counted(store: Store) -> None:
    campaign = sent(store)
    for at, at_ms in ((0, 1), (0, 2), (2, 3)):
        click(store, campaign, at, NOW_MS + at_ms)
    assert counted(store, campaign) == (0, 2, 0, 3)
    assert did(store, campaign)[0] == Response(clicked_ms=NOW_MS + 1, clicks=2)


def test_a_customers_first_click_is_a_happening(store: Store) -> None:
    campaign = sent(store)
    person = store.write_now(customers.add, Customer(0, FIRST), NOW_MS)
    for at in (0, 0, 1):
        click(store, campaign, at)
    with store.read() as txn:
        (only,) = happenings.of(txn, person.id, "click")
    assert (only.ref, only.at_ms) == (campaigns.name_of(campaign), NOW_MS + 20)


@pytest.mark.parametrize("at", [3, 1_000])
def test_a_click_of_a_row_that_is_none_changes_nothing(store: Store, at: int) -> None:
    campaign = sent(store)
    click(store, campaign, at)
    click(store, campaign + 1)
    with store.read() as txn:
        assert (RESPONSES.count(txn), COUNTED.count(txn)) == (0, 0)


def test_what_somebody_did_first_is_told_with_his_message_and_not_his_number(store: Store) -> None:
    campaign = sent(store)
    for _ in range(2):
        hear(store)
        click(store, campaign)
        hear(store, refuses=True)
    with store.read() as txn:
        told = [event for _, event in EVENTS.scan(txn) if event.kind.startswith("campaign.")][-3:]
        first = next(campaigns.results(txn, campaigns.CAMPAIGNS.get(txn, campaign), 0, 1)).message
    assert [event.kind for event in told] == ["campaign.replied", "campaign.clicked", "campaign.opted_out"]
    assert {event.subject for event in told} == {campaigns.name_of(campaign)}
    assert [event.detail for event in told] == [{"message_id": messages.name(first.id)}] * 3


DEEDS = st.lists(st.tuples(st.sampled_from(["hear", "refuse", "click", "forget"]), st.integers(0, 2)), max_size=30)


@settings(max_examples=40, deadline=None)
@given(DEEDS)
def test_counters_are_what_people_did_in_whatever_order(deeds: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data", TABLES)
        campaign = sent(store)
        people = Counter[tuple[str, int]]()
        first, clicks = Counter[str](), 0
        for place, (deed, at) in enumerate(deeds):
            now_ms = NOW_MS + 10 + place
            if deed == "click":
                click(store, campaign, at, now_ms)
                clicks += 1
            elif deed == "forget":
                store.write_now(responses.forget, campaign, at)
                for known in ("hear", "refuse", "click"):
                    people.pop((known, at), None)  # who does it again is somebody else, for all we know
            else:
                hear(store, FIRST + at, now_ms, refuses=deed == "refuse")
            if deed != "forget":
                first[deed] += not people[deed, at]
                people[deed, at] += 1
            assert differences(store) == []
        assert counted(store, campaign) == (first["hear"], first["click"], first["refuse"], clicks)
        store.close()


# -- going


def erased(store: Store, number: int, rows: int = 1) -> None:
    person = store.write_now(customers.add, Customer(0, number), NOW_MS)
    challenge = store.write_now(erasure.ask, person.id, NOW_MS, BY)[1]
    found = store.write_now(erasure.confirm, person.id, challenge, NOW_MS + 5, BY).erasure
    with store.read() as txn:
        assert erasure.running(txn) == [found.id]
        campaign = next(iter(COUNTED.scan(txn)))[0][0]
    # While it runs her row has its number still.
    click(store, campaign)
    hear(store, refuses=True)
    while store.write_now(erasure.step, found.id, NOW_MS + 6, rows) is not Left.NOTHING:
        assert differences(store) == []


def test_of_who_is_erased_nothing_is_left_but_that_there_was_somebody_and_no_click_brings_it_back(store: Store) -> None:
    campaign = sent(store)
    hear(store)
    click(store, campaign)
    click(store, campaign, 1)
    before = counted(store, campaign)
    erased(store, FIRST)
    for _ in range(2):
        assert counted(store, campaign) == before == (1, 2, 0, 2)
        assert list(did(store, campaign)) == [1]
        click(store, campaign)
        hear(store, at_ms=NOW_MS + 60, refuses=True)
    with store.read() as txn:
        assert customers.find_by_number(txn, FIRST) is None
    assert differences(store) == []


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_with_rows_that_are_kept_no_more_their_responses_go_and_the_counters_stay(store: Store, limit: int) -> None:
    gone, kept = sent(store), sent(store)  # the first was over when the second was fed
    for campaign in (gone, kept):
        for at in range(3):
            click(store, campaign, at)
    store.write_now(retention.forget_rows, 0, NOW_MS + 60, campaigns.has_ended)
    assert differences(store) == []
    after: int | None = 0
    for _ in range(20):
        after = store.write_now(responses.forget_gone, after, limit) if after is not None else None
        assert differences(store) == []
    assert after is None
    assert (list(did(store, gone)), list(did(store, kept))) == ([], [0, 1, 2])
    assert counted(store, gone) == counted(store, kept) == (0, 3, 0, 3)
    click(store, gone)  # of a row that nobody knows any more
    assert (did(store, gone), counted(store, gone)) == ({}, (0, 3, 0, 3))


def test_counters_that_are_not_as_a_rebuild_would_make_them_are_found(store: Store) -> None:
    campaign = sent(store)
    hear(store)
    store.write_now(COUNTED.put, campaign, Counted(2))
    assert differences(store) == [f"responses_counted: campaign {campaign} says [2, 0, 0, 0], a rebuild [1, 0, 0, 0]"]
    store.write_now(RESPONSES.put, (campaign, 9), Response(replied_ms=1))
    assert differences(store) == [f"responses: row 9 of campaign {campaign} is none"]
