"""engine/traffic/intents.py: what a part may become, one door at a time."""

import pytest

from engine.config import Limits
from engine.errors import Conflict, NotFound
from engine.store.environment import Store
from engine.traffic import events, intents, messages, quotas, sims, unproven
from engine.traffic.intents import INTENTS
from engine.traffic.messages import SEND, OnUnknown, Pick, Resolution, State, Verdict
from engine.traffic.page import Page
from engine.traffic.retry import Again, GiveUp
from engine.traffic.sims import STEPS_BELIEVED
from engine.traffic.unproven import UNPROVEN
from tests.engine.traffic.stage import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    OTHER_SIM,
    SIM,
    claim,
    differences,
    in_line,
    lose,
    message,
    part_states,
    put,
    say,
    send,
    state,
)

QUEUED, SENDING, SENT, UNKNOWN, FAILED = State.QUEUED, State.SENDING, State.SENT, State.UNKNOWN, State.FAILED


def believed(store: Store, last: int = 10, sim: int = SIM) -> None:
    """Let the SIM's references step by one until they are believed; the last one given is `last`."""
    for reference in range(last - 5, last + 1):
        send(store, put(store, number=OTHER_NUMBER), reference % 256, sim)


# -- the ladder


def test_a_message_climbs_with_its_parts(store: Store) -> None:
    identifier = put(store, parts=2)
    assert (state(store, identifier), in_line(store)) == (QUEUED, [identifier])
    assert claim(store, identifier).part == 0
    assert (state(store, identifier), part_states(store, identifier)) == (SENDING, [SENDING, QUEUED])
    assert in_line(store) == [identifier]
    store.write_now(intents.mark_sent, identifier, 0, 7, NOW_MS)
    assert state(store, identifier) is SENDING
    send(store, identifier, 8)
    assert state(store, identifier) is SENT
    assert in_line(store) == []
    assert [part.reference for part in message(store, identifier).parts] == [7, 8]
    assert differences(store) == []


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        pytest.param([SENT, FAILED], FAILED, id="failed is lowest"),
        pytest.param([UNKNOWN, SENDING], UNKNOWN, id="then unknown"),
        pytest.param([SENT, QUEUED], SENDING, id="a part without an intent counts as sending"),
        pytest.param([State.DELIVERED, SENT], SENT, id="sent below delivered"),
        pytest.param([State.DELIVERED, State.UNDELIVERED], State.UNDELIVERED, id="undelivered below delivered"),
        pytest.param([State.DELIVERED, State.DELIVERED], State.DELIVERED, id="all delivered"),
    ],
)
def test_a_message_shows_the_lowest_state_of_its_parts(states: list[State], shown: State) -> None:
    assert messages.rolled_up(tuple(messages.Part(state) for state in states)) is shown


def test_a_second_claim_of_a_part_in_the_air_gets_nothing(store: Store) -> None:
    identifier = put(store)
    assert claim(store, identifier).verdict.sends
    assert not claim(store, identifier).verdict.sends
    assert not claim(store, identifier, OTHER_SIM).verdict.sends
    assert differences(store) == []


@pytest.mark.parametrize("parts", [1, 3])
def test_two_picks_of_one_message_in_one_turn_get_one_intent(store: Store, parts: int) -> None:
    identifier = put(store, parts=parts)
    picks = [Pick(identifier, SIM), Pick(identifier, OTHER_SIM)]
    claims = store.write_now(intents.claim, picks, NOW_MS, say(SEND))
    assert [claimed.verdict.sends for claimed in claims] == [True, False]


def test_a_message_that_does_not_exist_is_gone(store: Store) -> None:
    claimed = claim(store, 12345)
    assert (claimed.verdict.sends, claimed.message) == (False, None)


def test_the_gate_is_asked_inside_the_claim_and_obeyed(store: Store) -> None:
    until_ms = NOW_MS + 1000
    cases = [
        (Verdict(State.SUPPRESSED, "stop_all"), State.SUPPRESSED),
        (Verdict(State.CANCELLED, "campaign_cancelled"), State.CANCELLED),
        (Verdict(State.QUEUED, "campaign_paused"), State.QUEUED),
        (Verdict(State.HELD, "quiet_hours", until_ms), State.HELD),
    ]
    for verdict, becomes in cases:
        identifier = put(store)
        assert not claim(store, identifier, verdict=verdict).verdict.sends
        assert state(store, identifier) is becomes
        assert (identifier in in_line(store)) is (becomes in messages.WAITING)
    held = message(store, identifier)
    assert (held.due_ms, held.reason) == (until_ms, "quiet_hours")
    assert claim(store, identifier, now_ms=until_ms).verdict.sends
    assert differences(store) == []


def test_what_is_refused_by_the_gate_halfway_ends_as_failed_never_as_if_nothing_had_gone(
    store: Store,
) -> None:
    identifier = put(store, parts=3)
    send(store, identifier, 1)
    claim(store, identifier, verdict=Verdict(State.SUPPRESSED, "stop_all"))
    assert (state(store, identifier), message(store, identifier).reason) == (FAILED, "stop_all")
    assert part_states(store, identifier) == [SENT, FAILED, FAILED]
    assert differences(store) == []


def test_a_message_whose_deadline_has_passed_expires_when_it_is_claimed(store: Store) -> None:
    identifier = put(store, expires_ms=NOW_MS + 1000)
    assert claim(store, identifier, now_ms=NOW_MS + 1000).verdict.state is State.EXPIRED
    assert (state(store, identifier), in_line(store)) == (State.EXPIRED, [])
    halfway = put(store, parts=2, expires_ms=NOW_MS + 1000)
    send(store, halfway, 1)
    claim(store, halfway, now_ms=NOW_MS + 1000)
    assert (state(store, halfway), message(store, halfway).reason) == (FAILED, "deadline_passed")
    assert differences(store) == []


def test_a_deadline_ends_a_message_whichever_sim_asks_for_it(store: Store) -> None:
    identifier = put(store, parts=2, expires_ms=NOW_MS + 1000)
    send(store, identifier, 1)
    assert claim(store, identifier, OTHER_SIM, NOW_MS + 1000).verdict.state is State.EXPIRED


# -- one SIM


def test_parts_follow_on_the_sim_that_took_the_first(store: Store) -> None:
    identifier = put(store, parts=3)
    send(store, identifier, 1)
    assert not claim(store, identifier, OTHER_SIM).verdict.sends
    assert claim(store, identifier, SIM).part == 1
    store.write_now(intents.mark_unknown, identifier, 1, "no_outcome", NOW_MS)
    assert not claim(store, identifier, OTHER_SIM).verdict.sends
    assert claim(store, identifier, SIM).part == 2
    assert differences(store) == []


def test_a_message_of_which_nothing_went_may_leave_by_another_sim(store: Store) -> None:
    identifier = put(store, parts=2)
    claim(store, identifier)
    store.write_now(intents.mark_refused, identifier, 0, Again(0), 28, NOW_MS)
    assert claim(store, identifier, OTHER_SIM).verdict.sends
    assert differences(store) == []


# -- outcomes


def test_put_back_waits_again_and_counts_no_attempt(store: Store) -> None:
    identifier = put(store)
    for _ in range(3):
        claim(store, identifier)
        store.write_now(intents.put_back, identifier, 0, NOW_MS)
    assert (state(store, identifier), message(store, identifier).parts[0].attempt) == (QUEUED, 0)
    assert in_line(store) == [identifier]
    assert differences(store) == []


def test_a_passing_refusal_waits_and_counts(store: Store) -> None:
    identifier = put(store)
    claim(store, identifier)
    store.write_now(intents.mark_refused, identifier, 0, Again(5000), 38, NOW_MS)
    waiting = message(store, identifier)
    assert (waiting.state, waiting.due_ms, waiting.parts[0].attempt) == (QUEUED, NOW_MS + 5000, 1)
    assert differences(store) == []


def test_a_final_refusal_of_one_part_ends_the_message_and_spares_the_others(store: Store) -> None:
    identifier = put(store, parts=3)
    send(store, identifier, 1)
    claim(store, identifier)
    store.write_now(intents.mark_refused, identifier, 1, GiveUp("refused_by_network", permanent=True), 1, NOW_MS)
    ended = message(store, identifier)
    assert (ended.state, ended.reason, ended.error) == (FAILED, "refused_by_network", 1)
    assert part_states(store, identifier) == [SENT, FAILED, FAILED]
    assert in_line(store) == []
    assert differences(store) == []


def test_an_outcome_is_taken_once(store: Store) -> None:
    identifier = put(store)
    claim(store, identifier)
    store.write_now(intents.mark_sent, identifier, 0, 5, NOW_MS)
    before = message(store, identifier)
    for late in (
        lambda txn: intents.put_back(txn, identifier, 0, NOW_MS),
        lambda txn: intents.mark_unknown(txn, identifier, 0, "no_outcome", NOW_MS),
        lambda txn: intents.mark_refused(txn, identifier, 0, GiveUp("late", permanent=True), 1, NOW_MS),
        lambda txn: intents.mark_sent(txn, identifier, 0, 6, NOW_MS),
    ):
        store.write_now(late)
    assert message(store, identifier) == before
    assert differences(store) == []


# -- unknown


@pytest.mark.parametrize("policy", [OnUnknown.HOLD, OnUnknown.AWAIT_REPORT])
def test_an_unknown_part_is_never_claimed_again_without_proof(store: Store, policy: OnUnknown) -> None:
    identifier = put(store, on_unknown=policy)
    lose(store, identifier)
    assert (state(store, identifier), in_line(store)) == (UNKNOWN, [])
    for sim in (SIM, OTHER_SIM):
        assert not claim(store, identifier, sim).verdict.sends
    assert differences(store) == []


def test_resend_goes_again_at_once_and_counts_the_attempt(store: Store) -> None:
    identifier = put(store, on_unknown=OnUnknown.RESEND)
    lose(store, identifier)
    assert (state(store, identifier), in_line(store)) == (QUEUED, [identifier])
    assert message(store, identifier).parts[0].attempt == 1
    assert differences(store) == []


def test_what_was_in_the_air_at_a_crash_counts_from_the_restart(store: Store) -> None:
    limits = Limits(minute=1)
    claim(store, put(store))
    store.write_now(quotas.take, SIM, NUMBER, NOW_MS, limits)
    store.write_now(intents.recover, NOW_MS + 20_000)
    with store.read() as txn:
        assert quotas.sim_room(txn, SIM, NOW_MS + 60_001, limits) == NOW_MS + 80_001


def test_what_was_claimed_and_not_written_before_a_crash_does_not_count(store: Store) -> None:
    limits = Limits(minute=1)
    Page(store.directory, b"a boot").begin()
    claim(store, put(store))
    store.write_now(quotas.take, SIM, NUMBER, NOW_MS, limits)
    store.write_now(intents.recover, NOW_MS + 20_000, Page(store.directory, b"a boot"))
    with store.read() as txn:
        assert quotas.sim_room(txn, SIM, NOW_MS + 20_000, limits) == 0


def test_what_was_in_the_air_at_a_crash_is_unknown_and_recovering_twice_changes_nothing(store: Store) -> None:
    hold, resend, queued = put(store, parts=2), put(store, on_unknown=OnUnknown.RESEND), put(store)
    claim(store, hold)
    claim(store, resend, OTHER_SIM)
    assert store.write_now(intents.recover, NOW_MS) == 2
    assert store.write_now(intents.recover, NOW_MS) == 0
    assert [state(store, identifier) for identifier in (hold, resend, queued)] == [UNKNOWN, QUEUED, QUEUED]
    assert message(store, hold).reason == "crash"
    with store.read() as txn:
        assert INTENTS.count(txn) == 0
        assert [key for key, _ in UNPROVEN.scan(txn, SIM)] == [(SIM, hold, 0)]
    assert differences(store) == []


# -- references


@pytest.mark.parametrize("policy", [OnUnknown.HOLD, OnUnknown.AWAIT_REPORT])
@pytest.mark.parametrize("last", [pytest.param(10, id="plain"), pytest.param(255, id="at the wrap")])
def test_the_reference_after_the_last_proves_that_the_unknown_part_was_never_tried(
    store: Store, policy: OnUnknown, last: int
) -> None:
    believed(store, last)
    unknown = put(store, on_unknown=policy)
    lose(store, unknown)
    send(store, put(store, number=OTHER_NUMBER), (last + 1) % 256)
    assert (state(store, unknown), in_line(store)) == (QUEUED, [unknown])
    assert message(store, unknown).parts[0].attempt == 0
    assert differences(store) == []


def test_a_step_of_two_says_that_it_was_tried_and_proves_nothing_more(store: Store) -> None:
    believed(store, 10)
    unknown = put(store)
    lose(store, unknown)
    send(store, put(store, number=OTHER_NUMBER), 12)
    send(store, put(store, number=OTHER_NUMBER), 13)
    assert state(store, unknown) is UNKNOWN
    assert differences(store) == []


def test_where_references_do_not_step_by_one_nothing_is_concluded(store: Store) -> None:
    for reference in (3, 90, 4, 17, 200, 10):
        send(store, put(store, number=OTHER_NUMBER), reference)
    unknown = put(store)
    lose(store, unknown)
    send(store, put(store, number=OTHER_NUMBER), 11)
    assert state(store, unknown) is UNKNOWN
    assert differences(store) == []


def test_a_sim_that_was_hardly_seen_concludes_once_it_has_been_seen_to_step(store: Store) -> None:
    send(store, put(store, number=OTHER_NUMBER), 10)
    unknown = put(store)
    lose(store, unknown)
    for reference in range(11, 11 + STEPS_BELIEVED):
        assert state(store, unknown) is UNKNOWN
        send(store, put(store, number=OTHER_NUMBER), reference)
    assert (state(store, unknown), in_line(store)) == (QUEUED, [unknown])
    assert differences(store) == []


def test_a_sim_that_was_hardly_seen_and_stepped_by_two_says_later_that_the_part_was_tried(store: Store) -> None:
    send(store, put(store, number=OTHER_NUMBER), 10)
    unknown = put(store)
    lose(store, unknown)
    for reference in range(12, 12 + STEPS_BELIEVED + 1):
        send(store, put(store, number=OTHER_NUMBER), reference)
    assert state(store, unknown) is UNKNOWN
    with store.read() as txn:
        assert [row.reference for _, _, row in unproven.on(txn, SIM)] == [11]
    assert differences(store) == []


def test_a_sim_never_seen_before_concludes_nothing(store: Store) -> None:
    unknown = put(store)
    lose(store, unknown)
    send(store, put(store, number=OTHER_NUMBER), 0)
    assert state(store, unknown) is UNKNOWN


def test_one_step_too_few_for_two_unknown_parts_leaves_both(store: Store) -> None:
    believed(store, 10)
    first, second = put(store), put(store)
    lose(store, first)
    lose(store, second)
    send(store, put(store, number=OTHER_NUMBER), 12)
    assert [state(store, first), state(store, second)] == [UNKNOWN, UNKNOWN]
    assert differences(store) == []


def test_the_references_of_one_sim_say_nothing_of_another(store: Store) -> None:
    believed(store, 10)
    believed(store, 10, OTHER_SIM)
    unknown = put(store)
    lose(store, unknown)
    send(store, put(store, number=OTHER_NUMBER), 11, OTHER_SIM)
    assert state(store, unknown) is UNKNOWN
    with store.read() as txn:
        assert sims.find(txn, OTHER_SIM).reference == 11


# -- a person decides


def test_a_person_resolves_an_unknown_message(store: Store) -> None:
    wanted = {Resolution.SENT: SENT, Resolution.FAILED: FAILED, Resolution.RESEND: QUEUED}
    for resolution, becomes in wanted.items():
        identifier = put(store)
        lose(store, identifier)
        assert store.write_now(intents.resolve, identifier, resolution, NOW_MS).state is becomes
        assert (identifier in in_line(store)) is (becomes is QUEUED)
    assert differences(store) == []


def test_only_an_unknown_message_can_be_resolved(store: Store) -> None:
    identifier = put(store)
    with pytest.raises(Conflict):
        store.write_now(intents.resolve, identifier, Resolution.SENT, NOW_MS)
    with pytest.raises(NotFound):
        store.write_now(intents.resolve, 4711, Resolution.SENT, NOW_MS)


def test_a_message_resolved_as_failed_leaves_the_line_with_all_its_parts(store: Store) -> None:
    identifier = put(store, parts=3)
    lose(store, identifier)
    store.write_now(intents.resolve, identifier, Resolution.FAILED, NOW_MS)
    assert state(store, identifier) is FAILED
    assert in_line(store) == []
    assert differences(store) == []


def test_a_part_that_was_never_tried_does_not_come_back_to_a_message_that_failed(store: Store) -> None:
    believed(store, 10)
    identifier = put(store, parts=2)
    lose(store, identifier)
    claim(store, identifier)
    store.write_now(intents.mark_refused, identifier, 1, GiveUp("refused_by_network", permanent=True), 1, NOW_MS)
    assert state(store, identifier) is FAILED
    send(store, put(store, number=OTHER_NUMBER), 11)
    assert in_line(store) == []
    assert differences(store) == []


def test_a_part_in_the_air_that_was_put_back_ends_with_a_message_resolved_as_failed(store: Store) -> None:
    identifier = put(store, parts=2)
    lose(store, identifier)
    claim(store, identifier)
    store.write_now(intents.resolve, identifier, Resolution.FAILED, NOW_MS)
    store.write_now(intents.put_back, identifier, 1, NOW_MS)
    assert in_line(store) == []
    assert differences(store) == []


def test_why_a_message_failed_is_still_known_when_more_is_heard_of_its_other_parts(store: Store) -> None:
    identifier = put(store, parts=2, wants_report=True)
    send(store, identifier, 1)
    claim(store, identifier)
    store.write_now(intents.mark_refused, identifier, 1, GiveUp("refused_by_network", permanent=True), 1, NOW_MS)
    store.write_now(intents.mark_report, identifier, 0, 0, State.DELIVERED, "", NOW_MS)
    ended = message(store, identifier)
    assert (ended.state, ended.reason, ended.error) == (FAILED, "refused_by_network", 1)


def test_why_a_message_is_unknown_is_still_known_when_its_next_part_goes(store: Store) -> None:
    identifier = put(store, parts=2)
    lose(store, identifier)
    send(store, identifier, 9)
    assert (state(store, identifier), message(store, identifier).reason) == (UNKNOWN, "no_outcome")


# -- cancelling, withdrawing


def test_what_waits_can_be_cancelled_and_what_is_on_its_way_cannot(store: Store) -> None:
    waiting, flying = put(store), put(store)
    claim(store, flying)
    assert store.write_now(messages.cancel, waiting, NOW_MS).state is State.CANCELLED
    assert store.write_now(messages.cancel, waiting, NOW_MS).state is State.CANCELLED
    with pytest.raises(Conflict):
        store.write_now(messages.cancel, flying, NOW_MS)
    with pytest.raises(NotFound):
        store.write_now(messages.cancel, 4711, NOW_MS)
    assert in_line(store) == []
    assert not claim(store, waiting).verdict.sends
    assert differences(store) == []


def test_withdrawing_takes_what_waits_for_a_number_and_nothing_else(store: Store) -> None:
    mine, legal, flying, other = (
        put(store),
        put(store, purpose="legal"),
        put(store),
        put(store, number=OTHER_NUMBER),
    )
    claim(store, flying)
    ended = store.write_now(messages.withdraw, NUMBER, lambda found: found.purpose != "legal", "stop_all", NOW_MS)
    assert ended == 1
    assert [state(store, found) for found in (mine, legal, flying, other)] == [
        State.SUPPRESSED,
        QUEUED,
        SENDING,
        QUEUED,
    ]
    assert differences(store) == []


def test_news_is_told_once_per_state(store: Store) -> None:
    identifier = put(store, parts=2)
    send(store, identifier, 1)
    send(store, identifier, 2)
    with store.read() as txn:
        assert [event.kind for _, event in events.after(txn, 0, 10)] == ["message.sent"]
