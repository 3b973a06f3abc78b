"""engine/crm/gate.py: quiet hours by the recipient's clock, held and let go in the transaction that claims."""

import pytest

from engine.config import Hours, House, QuietHours
from engine.crm.gate import gate_with
from engine.crm.marketing import feeding
from engine.crm.quiet import ON_THE_WAY_MS
from engine.store.environment import Store
from engine.traffic import intents, messages
from engine.traffic.intents import Claimed
from engine.traffic.messages import SEND, Lane, Message, Pick, State, Verdict
from tests.engine.crm.stage import PEPPER, counts, differences, fed, feed, row, running

# 2023-11-14: 20:30 in Berlin, where service may be sent until 21:00, and 03:30 of the next day in Shanghai.
EVENING_MS = 1_699_990_200_000
HOUR_MS = 3_600_000
BERLIN, SHANGHAI = 4_930_100_000_00, 8_613_900_000_000
GATE = gate_with(PEPPER, House(time_zone="Europe/Berlin"), QuietHours())


def put(store: Store, number: int, **fields: object) -> Message:
    message = Message(**{"id": 0, "number": number, "text": "hello", **fields})  # type: ignore[arg-type]
    return store.write_now(messages.enqueue, message, EVENING_MS)


def claim(store: Store, identifier: int, now_ms: int = EVENING_MS) -> Claimed:
    return store.write_now(intents.claim, [Pick(identifier, 1)], now_ms, GATE)[0]


def get(store: Store, identifier: int) -> Message:
    with store.read() as txn:
        return messages.get(txn, identifier)


def test_it_goes_where_it_is_day_and_is_held_where_it_is_night(store: Store) -> None:
    here, there = put(store, BERLIN), put(store, SHANGHAI)
    assert claim(store, here.id).verdict == SEND
    verdict = claim(store, there.id).verdict
    opens_ms = EVENING_MS + 4 * HOUR_MS + HOUR_MS // 2  # 8:00 in Shanghai
    assert (verdict.state, verdict.reason) == (State.HELD, "quiet_hours")
    assert opens_ms <= verdict.until_ms < opens_ms + HOUR_MS // 2
    held = get(store, there.id)
    assert (held.state, held.reason, held.due_ms) == (State.HELD, "quiet_hours", verdict.until_ms)
    assert claim(store, there.id, held.due_ms).verdict == SEND
    assert get(store, there.id).reason == ""
    assert differences(store) == []


def test_what_could_be_on_the_line_in_the_evening_is_not_claimed_before_it(store: Store) -> None:
    message = put(store, BERLIN)
    nine_ms = EVENING_MS + HOUR_MS // 2
    with store.read() as txn:
        assert GATE(txn, [message], nine_ms - ON_THE_WAY_MS - 1) == [SEND]
        late = GATE(txn, [message], nine_ms - ON_THE_WAY_MS)
        assert [verdict.state for verdict in late] == [State.HELD]
        assert late == GATE(txn, [message], nine_ms)
        assert [verdict.state for verdict in GATE(txn, [message], nine_ms)] == [State.HELD]


def test_a_password_an_answer_and_what_is_no_matter_of_hours_go_at_night(store: Store) -> None:
    for fields in ({"lane": Lane.OTP}, {"in_reply_to": 5}, {"purpose": "transactional"}, {"purpose": "legal"}):
        assert claim(store, put(store, SHANGHAI, **fields).id).verdict == SEND


def test_a_message_of_which_a_part_has_just_gone_is_finished(store: Store) -> None:
    message = put(store, BERLIN, text="a" * 400)
    nine_ms = EVENING_MS + HOUR_MS // 2
    assert claim(store, message.id, nine_ms - ON_THE_WAY_MS - 1).verdict == SEND
    assert claim(store, message.id, nine_ms + 1).verdict == SEND  # the first one is in the air
    store.write_now(intents.mark_sent, message.id, 0, 1, nine_ms + 2)
    store.write_now(intents.mark_sent, message.id, 1, 2, nine_ms + 3)
    assert claim(store, message.id, nine_ms + ON_THE_WAY_MS).verdict == SEND


def test_what_could_not_follow_at_once_waits_for_the_morning(store: Store) -> None:
    message = put(store, BERLIN, text="a" * 300, expires_ms=EVENING_MS + 24 * HOUR_MS)
    assert claim(store, message.id).verdict == SEND
    store.write_now(intents.mark_sent, message.id, 0, 1, EVENING_MS)
    late = claim(store, message.id, EVENING_MS + HOUR_MS)
    assert late.verdict.state is State.HELD
    assert get(store, message.id).state is State.SENDING
    assert claim(store, message.id, late.verdict.until_ms).verdict == SEND
    assert differences(store) == []


def test_a_message_that_would_be_too_late_in_the_morning_ends(store: Store) -> None:
    message = put(store, SHANGHAI, expires_ms=EVENING_MS + 4 * HOUR_MS)
    assert claim(store, message.id).verdict == Verdict(State.EXPIRED, "quiet_hours")
    assert get(store, message.id).state is State.EXPIRED


def test_a_number_that_tells_no_zone_has_that_of_the_house(store: Store) -> None:
    message = put(store, 999_000_000_000)
    night = gate_with(PEPPER, House(time_zone="Asia/Shanghai"), QuietHours())
    with store.read() as txn:
        assert GATE(txn, [message], EVENING_MS) == [SEND]
        assert night(txn, [message], EVENING_MS)[0].state is State.HELD


def test_without_hours_nobody_sleeps(store: Store) -> None:
    message = put(store, SHANGHAI, purpose="service")
    with store.read() as txn:
        assert gate_with(PEPPER)(txn, [message], EVENING_MS) == [SEND]


def test_a_campaign_over_night_holds_and_counts_and_goes_in_the_morning(store: Store) -> None:
    campaign = running(store, [row(SHANGHAI + at) for at in range(5)], expires_ms=EVENING_MS + 48 * HOUR_MS)
    feed(store, now_ms=EVENING_MS)
    for message in fed(store):
        claim(store, message.id)
    assert counts(store, campaign) == {"held": 5}
    assert differences(store) == []
    latest_ms = max(message.due_ms for message in fed(store))
    assert len({message.due_ms for message in fed(store)}) == 5  # no burst
    assert all(claim(store, message.id, latest_ms).verdict.sends for message in fed(store))
    assert counts(store, campaign) == {"sending": 5}
    assert differences(store) == []


def test_hours_may_differ_by_day(store: Store) -> None:
    no_tuesday = QuietHours(service=(Hours(days=0b1111101),))
    message = put(store, BERLIN)
    with store.read() as txn:
        (verdict,) = gate_with(PEPPER, House(), no_tuesday)(txn, [message], EVENING_MS)
    assert verdict.state is State.HELD
    assert EVENING_MS + 3.5 * HOUR_MS <= verdict.until_ms < EVENING_MS + 4 * HOUR_MS


def test_at_night_no_more_are_fed_than_may_wait_and_by_day_those_behind_who_has_had_enough_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "HELD_MOST", 3)
    house, hours = House(time_zone="Europe/Berlin"), QuietHours()
    gate = gate_with(PEPPER, house, hours)

    def step(now_ms: int) -> int:
        fed_ = store.write_now(feeding.feed, now_ms, 2, house, PEPPER, hours)
        waiting = [message for message in fed(store) if message.state is State.QUEUED]
        picks = [Pick(message.id, 1 + place) for place, message in enumerate(waiting)]
        store.write_now(intents.claim, picks, now_ms, gate)
        return fed_

    campaign = running(store, [row(BERLIN + place) for place in range(12)], purpose="service")
    night_ms = EVENING_MS + 2 * HOUR_MS
    assert [step(night_ms) for _ in range(4)] == [2, 2, 0, 0]
    assert counts(store, campaign)["held"] == 4
    # By day they would be fed although four of them wait still.
    assert step(night_ms + 11 * HOUR_MS) == 2
    assert counts(store, campaign) == {"held": 4, "sending": 2, "accepted": 6}
    assert differences(store) == []
