"""engine/traffic/retention.py: what is over goes, what has not ended stays, and nothing that counts is moved by it."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.crm.marketing import campaigns, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.crm.marketing.uploads import Fault
from engine.crm.people import customers
from engine.crm.people.customer import Customer
from engine.errors import Conflict
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import events, inbound, inbox, intents, messages, receipts, retention, slots
from engine.traffic.events import EVENTS
from engine.traffic.inbound import UNREADABLE
from engine.traffic.inbox import INBOX, RECEIVED, Progress, Received
from engine.traffic.intents import REFERENCES
from engine.traffic.messages import BY_NUMBER, MESSAGES, NUMBERS, Message, Resolution, State
from engine.traffic.receipts import EARLY, Early
from engine.traffic.retention import Budget
from engine.traffic.retry import GiveUp
from engine.traffic.sheets import FED, PLACES, SHEETS
from engine.traffic.unproven import UNPROVEN
from tests.engine.crm import stage
from tests.engine.traffic.stage import NOW_MS, NUMBER, SIM, claim, differences, lose, put, send

DAY_MS = 86_400_000
LATER_MS = NOW_MS + 10 * DAY_MS
SMALL = Budget(3, 3)


def all_of(store: Store, step: Callable[..., Any], *args: Any, begin: Any = 0, budget: Budget = SMALL) -> int:
    """Step by step to the end, whole after each; how many steps."""
    after, steps = begin, 0
    while after is not None:
        after = store.write_now(step, after, *args, budget)
        assert differences(store) == []
        steps += 1
    return steps


def forget_rows(store: Store, horizon_ms: int = LATER_MS, budget: Budget = SMALL) -> int:
    return all_of(store, retention.forget_rows, horizon_ms, campaigns.has_ended, budget=budget)


def forget_messages(store: Store, horizon_ms: int = LATER_MS) -> int:
    return all_of(store, retention.forget_messages, horizon_ms)


def tables(store: Store) -> dict[str, int]:
    with store.read() as txn:
        return {table.name: table.count(txn) for table in (MESSAGES, BY_NUMBER, SHEETS, PLACES, slots.SLOTS)}


def kept(store: Store) -> set[int]:
    with store.read() as txn:
        return {key[0] for key, _ in MESSAGES.scan(txn)}


# -- messages


def test_what_ended_before_the_horizon_goes_with_its_index_and_its_count(store: Store) -> None:
    for _ in range(10):
        send(store, put(store), 1)
    young = put(store, now_ms=LATER_MS)
    assert forget_messages(store) > 3
    assert kept(store) == {young}
    with store.read() as txn:
        assert list(BY_NUMBER.scan(txn)) == [(NUMBER, young)]
        assert messages.tally(txn, 0) == {State.QUEUED: 1}


def test_what_is_open_or_unknown_stays_however_old(store: Store) -> None:
    waiting, unknown, flying = put(store), put(store), put(store)
    lose(store, unknown)
    claim(store, flying, SIM + 1)
    assert forget_messages(store) == 1 + len(kept(store)) // SMALL.rows
    assert kept(store) == {waiting, unknown, flying}
    store.write_now(intents.resolve, unknown, Resolution.FAILED, NOW_MS + 1)
    forget_messages(store)
    assert kept(store) == {waiting, flying}


def test_a_message_that_failed_stays_while_a_part_of_it_is_in_the_air(store: Store) -> None:
    identifier = put(store, parts=2)
    claim(store, identifier)
    claim(store, identifier)
    give_up = GiveUp("refused", permanent=True)
    store.write_now(intents.mark_refused, identifier, 0, give_up, 21, NOW_MS)
    assert state_of(store, identifier) is State.FAILED
    forget_messages(store)
    assert kept(store) == {identifier}
    store.write_now(intents.mark_unknown, identifier, 1, "no_outcome", NOW_MS)
    assert state_of(store, identifier) is State.FAILED
    forget_messages(store)
    with store.read() as txn:
        assert (MESSAGES.count(txn), UNPROVEN.count(txn)) == (0, 0)


def state_of(store: Store, identifier: int) -> State:
    with store.read() as txn:
        return MESSAGES.get(txn, identifier).state


def test_an_old_message_that_ended_a_while_ago_stays_until_that_is_old_too(store: Store) -> None:
    identifier = put(store, expires_ms=NOW_MS + 9 * DAY_MS)
    send(store, identifier, 1, now_ms=NOW_MS + 8 * DAY_MS)
    forget_messages(store, NOW_MS + 7 * DAY_MS)
    assert kept(store) == {identifier}
    forget_messages(store, NOW_MS + 9 * DAY_MS)
    assert kept(store) == set()


def test_nobody_waits_for_the_report_of_a_message_that_is_gone(store: Store) -> None:
    identifier = put(store, parts=2, wants_report=True)
    send(store, identifier, 1)
    send(store, identifier, 2)
    forget_messages(store)
    with store.read() as txn:
        assert REFERENCES.count(txn) == 0
    report = Early(2, f"+{NUMBER}", 0, NOW_MS)
    store.write_now(receipts.take, SIM, report, LATER_MS)
    assert differences(store) == []


def test_ids_and_event_numbers_are_not_given_again(store: Store) -> None:
    last = put(store)
    store.write_now(messages.cancel, last, NOW_MS)
    store.write_now(events.append, "test", NOW_MS, "")
    store.write_now(events.append, "test", NOW_MS, "")
    forget_messages(store)
    all_of(store, retention.forget_events, LATER_MS)
    assert put(store) > last
    with store.read() as txn:
        assert [key for key, _ in EVENTS.scan(txn)] == [(2,)]
    assert store.write_now(events.append, "test", NOW_MS, "") == 3


# -- campaigns


def ended(store: Store, rows: int = 1200, **fields: Any) -> int:
    """A campaign of several sheets: sent, cancelled, suppressed, unknown and failed rows."""
    campaign = stage.running(store, [stage.row(stage.FIRST + at) for at in range(rows)], **fields)
    stage.feed(store, rows - 100)
    with store.read() as txn:
        results = campaigns.results(txn, CAMPAIGNS.get(txn, campaign), 0, rows)
        found = [(result.row, result.message.id) for result in results]
    store.write_now(settle, [identifier for row, identifier in found if row < rows - 100])
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    return campaign


def settle(txn: Txn, identifiers: list[int]) -> None:
    for at, identifier in enumerate(identifiers):
        if at % 7 == 0:
            pick = messages.Pick(identifier, SIM)
            intents.claim(txn, [pick], NOW_MS, lambda _txn, asked, _now_ms: [messages.SEND] * len(asked))
            if at == 21:
                intents.mark_unknown(txn, identifier, 0, "no_outcome", NOW_MS)
            else:
                intents.mark_sent(txn, identifier, 0, at % 256, NOW_MS)
        else:
            messages.cancel_all(txn, [identifier], "campaign_cancelled", NOW_MS)


def test_a_campaign_keeps_its_totals_though_its_rows_go_and_says_where_they_begin(store: Store) -> None:
    campaign = ended(store)
    before = stage.counts(store, campaign)
    assert before == {"sent": 157, "unknown": 1, "cancelled": 1042}
    steps = 0
    after: int | None = 0
    seen = []
    while after is not None:
        after = store.write_now(retention.forget_rows, after, LATER_MS, campaigns.has_ended, SMALL)
        steps += 1
        assert differences(store) == []
        assert stage.counts(store, campaign) == before
        with store.read() as txn:
            record = CAMPAIGNS.get(txn, campaign)
            gone = campaigns.gone(txn, record)
            rows = [result.row for result in campaigns.results(txn, record, 0, 2000)]
            assert rows == list(range(gone, 1200))
            page = [result.row for result in campaigns.results(txn, record, 5, 10)]
            assert page == list(range(max(5, gone), 1200))[:10]
        seen.append(gone)
    assert len(set(seen)) >= 3
    assert seen[-1] == 1200
    found = tables(store)
    assert (found["messages"], found["messages_by_number"]) == (1, 1)
    assert (found["sheets"], found["sheet_places"], found["slots"]) == (0, 0, 0)


def test_a_row_that_is_unknown_stays_as_a_message_of_its_own_until_somebody_resolves_it(store: Store) -> None:
    campaign = ended(store)
    forget_rows(store)
    forget_messages(store)
    (unknown,) = kept(store)
    with store.read() as txn:
        number = f"+{stage.FIRST + 21}"
        assert [one.id for one in messages.listed(txn, number, 0, 10)] == [unknown]
        assert list(messages.of_number(txn, stage.FIRST + 21)) == [unknown]
        assert [one.id for one in messages.listed(txn, None, 0, 10)] == [unknown]
    store.write_now(intents.resolve, unknown, Resolution.SENT, NOW_MS + 1)
    assert stage.counts(store, campaign)["sent"] == 158
    forget_messages(store)
    assert kept(store) == set()
    assert stage.counts(store, campaign) == {"sent": 158, "cancelled": 1042}


def test_rows_that_have_records_are_passed_over_until_their_campaign_ended(store: Store) -> None:
    store.write_now(customers.add, Customer(0, stage.FIRST, "Zoë"), NOW_MS)
    campaign = stage.running(store, [stage.row(stage.FIRST + at) for at in range(3)], "Dear {name:you}")
    stage.feed(store)
    (identifier,) = kept(store)
    send(store, identifier, 1)
    alone = put(store)
    send(store, alone, 2)
    forget_rows(store)
    forget_messages(store)
    assert kept(store) == {identifier}
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    forget_rows(store)
    assert kept(store) == {identifier}, "two rows were fed and have not ended"
    with store.read() as txn:
        waiting = [one.message.id for one in campaigns.results(txn, CAMPAIGNS.get(txn, campaign), 1, 2)]
    store.write_now(messages.cancel_all, waiting, "campaign_cancelled", NOW_MS)
    forget_rows(store)
    assert kept(store) == set()


def test_a_campaign_that_may_send_yet_keeps_its_rows_and_is_passed_by_those_behind_it(store: Store) -> None:
    rows = [stage.row(stage.FIRST + at) for at in range(600)]
    draft = stage.draft(store).id
    stage.upload(store, draft, rows)
    running = stage.running(store, rows)
    over = stage.running(store, rows)
    store.write_now(campaigns.cancel, over, NOW_MS)
    forget_rows(store)
    with store.read() as txn:
        assert [campaigns.gone(txn, CAMPAIGNS.get(txn, one)) for one in (draft, running, over)] == [0, 0, 600]


def test_nothing_can_be_added_to_a_campaign_whose_rows_are_gone(store: Store) -> None:
    campaign = ended(store)
    forget_rows(store)
    with pytest.raises(Conflict):
        store.write_now(uploads.begin, campaign, NOW_MS)


def test_a_campaign_that_ended_behind_the_horizon_keeps_its_rows(store: Store) -> None:
    campaign = ended(store)
    before = tables(store)
    forget_rows(store, NOW_MS)
    assert tables(store) == before
    assert stage.counts(store, campaign)["cancelled"] == 1042


def test_the_number_index_forgets_what_is_gone_and_keeps_what_an_old_draft_has(store: Store) -> None:
    rows = [stage.row(stage.FIRST + at) for at in range(600)]
    draft = stage.draft(store).id
    stage.upload(store, draft, rows)
    over = stage.running(store, rows)
    store.write_now(campaigns.cancel, over, NOW_MS)
    young = stage.running(store, rows)
    forget_rows(store)
    known = store.write_now(retention.begin_numbers)
    assert known is not None
    with store.read() as txn:
        spared = retention.packed(retention.kept_rows(txn, 0, known.highest + 1, 1000))
        assert len(list(messages.listed(txn, f"+{stage.FIRST}", 0, 10))) == 2
    assert known.stale == 600
    assert len(spared) == 16
    while store.write_now(retention.forget_numbers, known, spared, Budget(1, 1)):
        assert differences(store) == []
    store.write_now(retention.end_numbers, known)
    assert differences(store) == []
    with store.read() as txn:
        assert len(list(NUMBERS.scan(txn))) == 1200
        assert retention.forgotten(txn).stale == 0
        groups = {one.group for one in messages.listed(txn, f"+{stage.FIRST}", 0, 10)}
    assert groups == {draft, young}
    assert store.write_now(retention.begin_numbers) is None
    # What was spared goes with the next turn, though no id is higher than those that went before.
    store.write_now(campaigns.cancel, draft, NOW_MS)
    forget_rows(store)
    known = store.write_now(retention.begin_numbers)
    assert known is not None
    while store.write_now(retention.forget_numbers, known, b"", Budget(1, 1)):
        assert differences(store) == []
    with store.read() as txn:
        assert len(list(NUMBERS.scan(txn))) == 600


def test_a_few_stale_numbers_are_not_worth_writing_the_index_anew(store: Store) -> None:
    stage.running(store, [stage.row(stage.FIRST + at) for at in range(600)])
    over = stage.running(store, [stage.row()])
    store.write_now(campaigns.cancel, over, NOW_MS)
    forget_rows(store)
    with store.read() as txn:
        assert retention.forgotten(txn).stale == 1
    assert store.write_now(retention.begin_numbers) is None


def test_what_was_not_taken_of_an_upload_goes_with_its_campaign_and_says_so(store: Store) -> None:
    faults = {9: Fault("invalid", "to", "is no number")}
    over, draft = stage.draft(store).id, stage.draft(store).id
    of_over = stage.upload(store, over, [stage.row()], dict(faults))
    of_draft = stage.upload(store, draft, [stage.row()], dict(faults))
    store.write_now(campaigns.cancel, over, NOW_MS)
    after: int | None = 0
    while after is not None:
        after = store.write_now(uploads.forget_faults, after, LATER_MS, 1)
    with store.read() as txn:
        assert list(uploads.faults(txn, of_over.id, 0, 10)) == []
        assert uploads.UPLOADS.get(txn, of_over.id).faults_gone
        assert len(list(uploads.faults(txn, of_draft.id, 0, 10))) == 1
        assert not uploads.UPLOADS.get(txn, of_draft.id).faults_gone


# -- what came in, events, reports


def test_texts_that_were_answered_go_and_others_wait(store: Store) -> None:
    received = [store.write_now(inbox.add, Received(0, f"+{NUMBER}", SIM, "x", NOW_MS), NOW_MS) for _ in range(9)]
    for one in received[1:]:
        store.write_now(inbox.mark_routed, one, Progress.ROUTED, "person")
    store.write_now(inbox.add, Received(0, "BANK", SIM, "x", LATER_MS), LATER_MS)
    assert all_of(store, retention.forget_received, LATER_MS) > 2
    with store.read() as txn:
        assert (RECEIVED.count(txn), INBOX.count(txn)) == (2, 2)
        assert RECEIVED.find(txn, received[0].id) is not None


def test_what_nobody_could_read_goes_too(store: Store) -> None:
    for at in range(7):
        store.write_now(inbound.take, SIM, "00", None, NOW_MS + at)
    store.write_now(inbound.take, SIM, "00", None, LATER_MS)
    all_of(store, retention.forget_unreadable, LATER_MS)
    with store.read() as txn:
        assert UNREADABLE.count(txn) == 1


def test_events_go_in_their_order_and_one_from_a_clock_that_was_wrong_stops_nothing(store: Store) -> None:
    for at in range(10):
        store.write_now(events.append, "test", NOW_MS + (400 * DAY_MS if at == 4 else at), "")
    store.write_now(events.append, "test", LATER_MS, "")
    told: list[object] = []
    store.follow(told.append)
    all_of(store, retention.forget_events, LATER_MS, budget=Budget(5, 5))
    with store.read() as txn:
        assert [event.at_ms for _, event in events.after(txn, 0, 100)][-1] == LATER_MS
        assert events.newest(txn) == 11
        assert EVENTS.count(txn) == 1
    assert told == []


def test_reports_are_waited_for_so_long_and_no_longer(store: Store) -> None:
    for at in range(7):
        send(store, put(store, wants_report=True), at, now_ms=NOW_MS)
    send(store, put(store, wants_report=True), 9, now_ms=LATER_MS - DAY_MS - 3_600_000 * 24 * 9 + 1)
    store.write_now(EARLY.put, (SIM, NOW_MS << 22), Early(1, "+1", 0, None))
    store.write_now(EARLY.put, (SIM, LATER_MS << 22), Early(1, "+1", 0, None))
    all_of(store, retention.forget_references, NOW_MS + 1, begin=b"")
    all_of(store, retention.forget_early, NOW_MS + 1, begin=b"")
    with store.read() as txn:
        assert [key[1] for key, _ in REFERENCES.scan(txn)] == [9]
        assert [key[1] for key, _ in EARLY.scan(txn)] == [LATER_MS << 22]
        assert FED.count(txn) == 0
        assert isinstance(next(MESSAGES.scan(txn))[1], Message)
