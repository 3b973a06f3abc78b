"""engine/crm/people/frequency.py: how many marketing texts a number got, by its own calendar."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from engine.config import NO_CAPS, Caps
from engine.crm.gate import gate_with
from engine.crm.people import agreement, frequency
from engine.crm.people.consent import Consent, Status
from engine.crm.people.frequency import KEPT, KEPT_MS, SENT, Frequency
from engine.errors import NotFound
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.messages import SEND, Message, Part, State, Verdict

PEPPER = b"p" * 32
SHANGHAI = 8_613_900_000_001
AMERICAN = 18_005_550_100  # no area: any zone of its country
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def ms(text: str, zone: str = "Asia/Shanghai") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def sent(store: Store, at_ms: int, text: str = "tea", number: int = SHANGHAI, state: State = State.SENT) -> int:
    """A message that was claimed at that time, and what became of it since."""

    def change(txn: Txn) -> int:
        message = messages.enqueue(txn, Message(0, number, text, "marketing"), at_ms)
        counted = Frequency(txn, NO_CAPS, PEPPER, "UTC", at_ms)
        counted.note(message)
        counted.save()
        if state is not State.QUEUED:
            part = Part(State.QUEUED if state is State.CANCELLED else state)
            new = Message(message.id, number, text, "marketing", state=state, parts=(part,))
            messages.leave_line(txn, message)
            messages.store(txn, message, new, at_ms)
        return message.id

    return store.write_now(change)


def verdict(
    store: Store, now_ms: int, text: str = "cake", number: int = SHANGHAI, caps: Caps | None = None, **fields: int
) -> Verdict:
    message = Message(fields.pop("id", 1), number, text, "marketing", **fields)  # type: ignore[arg-type]
    with store.read() as txn:
        return Frequency(txn, caps or Caps(), PEPPER, "UTC", now_ms).verdict(message)


def test_a_day_ends_at_the_receivers_midnight(store: Store) -> None:
    sent(store, ms("2027-06-01 23:50"))
    assert verdict(store, ms("2027-06-01 23:59")) == Verdict(State.HELD, "cap", ms("2027-06-02 00:00"))
    assert verdict(store, ms("2027-06-02 00:00")) == SEND


def test_a_number_that_may_be_in_several_zones_waits_for_the_last_midnight(store: Store) -> None:
    noon = ms("2027-06-01 12:00", "America/New_York")
    sent(store, noon, number=AMERICAN)
    found = verdict(store, noon + HOUR_MS, number=AMERICAN)
    assert found.until_ms > ms("2027-06-02 00:00", "America/Los_Angeles")
    assert verdict(store, found.until_ms, number=AMERICAN) == SEND
    assert verdict(store, found.until_ms - 1, number=AMERICAN).state is State.HELD


def test_a_month_is_today_and_the_29_days_before(store: Store) -> None:
    for day in (1, 2, 3, 4):
        sent(store, ms(f"2027-06-0{day} 23:00"), f"day {day}")
    last = ms("2027-06-30 23:59")
    assert verdict(store, last) == Verdict(State.HELD, "cap", ms("2027-07-01 00:00"))
    assert verdict(store, last + 60_000) == SEND


def test_a_day_of_25_hours_has_one_text(store: Store) -> None:
    berlin = 4_930_123_456
    sent(store, ms("2027-10-31 00:30", "Europe/Berlin"), number=berlin)
    found = verdict(store, ms("2027-10-31 23:30", "Europe/Berlin"), number=berlin)
    assert found == Verdict(State.HELD, "cap", ms("2027-11-01 00:00", "Europe/Berlin"))
    assert found.until_ms - ms("2027-10-31 00:00", "Europe/Berlin") == 25 * HOUR_MS


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (State.SENDING, True), (State.SENT, True), (State.UNKNOWN, True), (State.DELIVERED, True),
        (State.UNDELIVERED, True), (State.QUEUED, False), (State.FAILED, False), (State.CANCELLED, False),
    ],
)  # fmt: skip
def test_what_went_or_may_have_gone_counts(store: Store, state: State, counts: bool) -> None:
    now_ms = ms("2027-06-01 12:00")
    sent(store, now_ms, state=state)
    assert (verdict(store, now_ms + 1).state is State.HELD) is counts
    assert (verdict(store, now_ms + 1, "tea").state is State.SUPPRESSED) is counts


def test_one_of_which_nothing_is_kept_any_more_counts(store: Store) -> None:
    now_ms = ms("2027-06-01 12:00")
    identifier = sent(store, now_ms)
    store.write_now(messages.MESSAGES.remove, identifier)
    with pytest.raises(NotFound), store.read() as txn:
        messages.get(txn, identifier)
    assert verdict(store, now_ms + 1).state is State.HELD


def test_a_message_does_not_stand_in_its_own_way(store: Store) -> None:
    now_ms = ms("2027-06-01 12:00")
    identifier = sent(store, now_ms)
    assert verdict(store, now_ms + 1, "tea", id=identifier) == SEND


def test_a_deadline_before_the_cap_frees_is_the_end(store: Store) -> None:
    sent(store, ms("2027-06-01 12:00"))
    ends = ms("2027-06-02 00:00")
    assert verdict(store, ms("2027-06-01 13:00"), expires_ms=ends) == Verdict(State.EXPIRED, "cap")
    assert verdict(store, ms("2027-06-01 13:00"), expires_ms=ends + 1).state is State.HELD


def test_without_caps_nothing_is_held(store: Store) -> None:
    now_ms = ms("2027-06-01 12:00")
    for _ in range(3):
        sent(store, now_ms)
    assert verdict(store, now_ms, "tea", caps=NO_CAPS) == SEND


def test_of_two_in_one_batch_the_second_waits(store: Store) -> None:
    now_ms = ms("2027-06-01 12:00")
    gate = gate_with(PEPPER, often=Caps())

    def ask(txn: Txn) -> list[State]:
        made = [
            messages.enqueue(txn, Message(0, SHANGHAI + place // 2, f"{place}", "marketing", in_reply_to=0), now_ms)
            for place in range(3)
        ]
        for number in {one.number for one in made}:
            consented(txn, number, now_ms)
        return [found.state for found in gate(txn, made, now_ms)]

    assert store.write_now(ask) == [State.SENDING, State.HELD, State.SENDING]


def consented(txn: Txn, number: int, now_ms: int) -> None:
    agreement.add(txn, number, "marketing", Consent(Status.GRANTED, "web", "", now_ms))


def test_so_many_are_kept_and_no_more(store: Store) -> None:
    for place in range(KEPT + 5):
        sent(store, place * HOUR_MS + DAY_MS, f"{place}")
    with store.read() as txn:
        kept = frequency.entries(txn, SHANGHAI)
    assert (len(kept), kept[-1].at_ms) == (KEPT, (KEPT + 4) * HOUR_MS + DAY_MS)


def test_what_no_window_reaches_is_forgotten(store: Store) -> None:
    now_ms = ms("2027-06-01 12:00")
    for place in range(5):
        sent(store, now_ms + place * DAY_MS, number=SHANGHAI + place)
    horizon_ms = now_ms + 3 * DAY_MS
    after: int | None = 0
    while after is not None:
        after = store.write_now(frequency.forget, after, horizon_ms, 2)
    with store.read() as txn:
        assert [number for (number,), _ in SENT.scan(txn)] == [SHANGHAI + 3, SHANGHAI + 4]
    assert KEPT_MS > 31 * DAY_MS


def test_texts_and_other_houses_cannot_be_told_from_what_is_kept(store: Store) -> None:
    sent(store, DAY_MS, "tea")
    with store.read() as txn:
        (entry,) = frequency.entries(txn, SHANGHAI)
        other = frequency._digest(b"q" * 32, "tea")
    assert b"tea" not in entry.digest
    assert entry.digest != other
