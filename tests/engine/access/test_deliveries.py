"""engine/access/deliveries.py: nothing lost and each subject in its order, on a clock that a test moves."""

import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest

from engine.access import deliveries, webhooks
from engine.access.deliveries import DEAD, DUE, PARKED, Delivery, Outcome
from engine.access.webhooks import PLACES, SUBSCRIPTIONS, Place, State, Subscription
from engine.errors import NotFound
from engine.store import ids
from engine.store.environment import Store
from engine.traffic import events, retention
from engine.traffic.events import Event

NOW_MS = 1_700_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

# The status that a receiver answers an event with at a time; 0 for none at all.
Answer = Callable[[int, Event, int], int]


class Told(NamedTuple):
    """An event that was taken."""

    sequence: int
    subject: str
    at_ms: int


def always(status: int) -> Answer:
    return lambda _sequence, _event, _now_ms: status


class Desk:
    """A webhook, its log, and somebody who posts by hand: one turn after the other, in order, in no time."""

    def __init__(self, store: Store, *kinds: str, seed: int = 1) -> None:
        self.store = store
        self.now_ms = NOW_MS
        self.rng = Random(seed)
        self.id = store.write_now(webhooks.add, "https://example.com/", kinds or ("*",), NOW_MS).id
        self.told: list[Told] = []
        self.tries: list[tuple[int, int]] = []  # event, when
        self._read_to = 0

    def happen(self, *subjects: str, kind: str = "message.sent") -> list[int]:
        return self.store.write_now(self._append, subjects, kind)

    def _append(self, txn: object, subjects: Iterable[str], kind: str) -> list[int]:
        return [events.append(txn, kind, self.now_ms, subject, n=1) for subject in subjects]  # type: ignore[arg-type]

    def turn(self, answer: Answer, *, room: int = 20, retries: int = 20, is_lost: bool = False) -> int:
        """One turn; how many posts were made.  With `is_lost` the machine dies before it is written down."""
        with self.store.read() as txn:
            turn = deliveries.take(txn, self.id, self._read_to, (), room, retries, self.now_ms)
        assert turn is not None
        if turn.missed_to:
            self.store.write_now(deliveries.miss, self.id, turn.place.cursor, turn.missed_to, self.now_ms)
            self._read_to = turn.missed_to
            return self.turn(answer)
        outcomes: list[Outcome] = []
        behind = list(turn.blocked)
        failed: set[str] = set()
        for delivery in turn.retries + turn.due:
            if delivery.event.subject in failed:
                behind.append(delivery)
                continue
            outcomes.append(self._post(delivery, answer))
            if outcomes[-1].error:
                failed.add(delivery.event.subject)
        if is_lost:
            self._read_to = 0
        elif outcomes or behind or turn.read_to > turn.place.cursor:
            self._read_to = turn.read_to
            self.settle(turn.read_to, outcomes, behind)
        return len(outcomes)

    def settle(self, cursor: int, outcomes: list[Outcome], behind: Iterable[Delivery] = ()) -> Place:
        place = self.store.write_now(deliveries.settle, self.id, cursor, outcomes, behind, self.now_ms, self.rng)
        assert place is not None
        return place

    def _post(self, delivery: Delivery, answer: Answer) -> Outcome:
        sequence, event = delivery
        self.tries.append((sequence, self.now_ms))
        status = answer(sequence, event, self.now_ms)
        if 200 <= status < 300:
            self.told.append(Told(sequence, event.subject, self.now_ms))
            return Outcome(delivery, self.now_ms, 1, status)
        return Outcome(delivery, self.now_ms, 1, status, "status" if status else "timeout")

    def wait(self) -> bool:
        """Let it be when something is due next; whether there is anything."""
        with self.store.read() as txn:
            due = next((next_ms for _, next_ms, _ in DUE.scan(txn, self.id)), 0)
            place = PLACES.get(txn, self.id)
            is_behind = place.cursor < events.newest(txn)
        if deliveries.is_resting(place) and (due or is_behind):
            due = place.rest_until_ms if is_behind else max(due, place.rest_until_ms)
        elif is_behind:
            due = due or self.now_ms
        self.now_ms = max(self.now_ms, due)
        return due > 0

    def run(self, answer: Answer, until_ms: int) -> None:
        """Post whatever is due until then."""
        while self.now_ms <= until_ms and self.subscription.state is State.ACTIVE:
            if not self.turn(answer) and not self.wait():
                return

    @property
    def subscription(self) -> Subscription:
        with self.store.read() as txn:
            return SUBSCRIPTIONS.get(txn, self.id)

    @property
    def place(self) -> Place:
        with self.store.read() as txn:
            return PLACES.get(txn, self.id)

    @property
    def dead(self) -> list[int]:
        with self.store.read() as txn:
            return [sequence for sequence, _ in reversed(deliveries.dead_letters(txn, self.id, 0, 100_000))]

    def kinds(self) -> list[str]:
        with self.store.read() as txn:
            return [event.kind for _, event in events.after(txn, 0, 10_000)]

    def is_whole(self) -> bool:
        with self.store.read() as txn:
            return list(deliveries.differences(txn)) == []


def in_order(told: list[Told]) -> bool:
    """Whether the first time that each was told is in the order of the log, subject by subject."""
    last: dict[str, int] = {}
    seen: set[int] = set()
    for sequence, subject, _ in told:
        if sequence not in seen and sequence < last.get(subject, 0):
            return False
        seen.add(sequence)
        last[subject] = max(sequence, last.get(subject, 0))
    return True


# -- nothing is lost


class Moody:
    """A receiver who fails by seed: now and then, on some subjects for hours, on all of them for one."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._down_ms = NOW_MS + self._rng.randrange(MINUTE_MS)
        self._share = self._rng.choice((0.0, 0.1, 0.5))
        self._bad = {f"msg_{n}": self._rng.randrange(20 * HOUR_MS) for n in range(0, 25, self._rng.choice((3, 7, 50)))}

    def __call__(self, _sequence: int, event: Event, now_ms: int) -> int:
        if self._down_ms <= now_ms < self._down_ms + HOUR_MS:
            return 0
        if now_ms < NOW_MS + self._bad.get(event.subject, 0) or self._rng.random() < self._share:
            return self._rng.choice((0, 302, 400, 429, 500, 503))
        return self._rng.choice((200, 202, 204, 299))


@pytest.mark.parametrize("seed", range(100 if os.environ.get("CARILLON_LONG") else 6))
def test_nothing_is_lost_and_each_subject_keeps_its_order(store: Store, seed: int) -> None:
    desk, rng = Desk(store, "message.*", seed=seed), Random(seed)
    moody = Moody(seed)
    wanted: list[int] = []
    for _ in range(8):
        wanted += desk.happen(*(f"msg_{rng.randrange(25)}" for _ in range(rng.randrange(1, 40))))
        desk.happen("cmp_1", kind="campaign.paused")
        for _ in range(rng.randrange(4)):
            desk.turn(moody, room=rng.randrange(1, 40), is_lost=rng.random() < 0.2)
        desk.now_ms += rng.randrange(5 * MINUTE_MS)
        assert desk.is_whole()
    desk.run(moody, NOW_MS + 3 * DAY_MS)
    assert {told.sequence for told in desk.told} == set(wanted)
    assert in_order(desk.told)
    assert desk.is_whole()
    assert (desk.dead, desk.place.parked, desk.subscription.state) == ([], 0, State.ACTIVE)


def test_only_the_subject_that_fails_waits(store: Store) -> None:
    desk = Desk(store)
    a, _, c, _, e = desk.happen("a", "b", "a", "c", "a")
    desk.turn(lambda _n, event, _ms: 500 if event.subject == "a" else 200)
    assert [told.subject for told in desk.told] == ["b", "c"]
    late = desk.happen("a", "b")
    desk.turn(always(200))
    assert [told.subject for told in desk.told] == ["b", "c", "b"]
    desk.run(always(200), NOW_MS + HOUR_MS)
    assert [told.sequence for told in desk.told[3:]] == [a, c, e, late[0]]


def test_what_is_kept_in_packs_is_told_one_by_one(store: Store) -> None:
    desk = Desk(store, "message.*")
    entries = b"".join(events.entry("message.sent", n) for n in range(5))
    store.write_now(events.append_rows, NOW_MS, "cmp_1", entries)
    desk.turn(always(200), room=2)
    store.write_now(events.append_rows, NOW_MS + 1, "cmp_1", events.entry("message.delivered", 3))
    desk.run(always(200), NOW_MS + HOUR_MS)
    with store.read() as txn:
        log = [(sequence, event.subject) for sequence, event in events.after(txn, 1, 100)]
    assert len(log) == 6
    assert [(told.sequence, told.subject) for told in desk.told] == log


def test_what_is_not_wanted_is_passed_over(store: Store) -> None:
    desk = Desk(store, "modem.up")
    desk.happen(*["msg"] * (deliveries.SCANNED + 10))
    (wanted,) = desk.happen("/dev/ttyUSB0", kind="modem.up")
    desk.turn(always(200))
    desk.turn(always(200))
    assert [told.sequence for told in desk.told] == [wanted]
    assert desk.place.cursor == wanted


# -- when it is tried again


def test_the_waits_double_up_to_an_hour_and_end_after_48_hours(store: Store) -> None:
    desk = Desk(store)
    (poison,) = desk.happen("a")
    # The others are taken, so that the webhook itself does not rest.
    while desk.now_ms <= NOW_MS + 3 * DAY_MS and not desk.dead:
        desk.happen("b")
        desk.turn(lambda _n, event, _ms: 500 if event.subject == "a" else 200)
        if not desk.dead:
            with store.read() as txn:
                desk.now_ms = next(next_ms for _, next_ms, _ in DUE.scan(txn, desk.id))
    tried = [at_ms for sequence, at_ms in desk.tries if sequence == poison]
    waits = [later - sooner for sooner, later in pairwise(tried)]
    for place, wait_ms in enumerate(waits[:-1]):
        whole_ms = min(5_000 << place, HOUR_MS)
        assert whole_ms // 2 <= wait_ms <= whole_ms
    assert tried[-1] - tried[0] == 48 * HOUR_MS
    assert desk.dead == [poison]


def test_after_a_dead_letter_the_next_of_its_subject_goes_on(store: Store) -> None:
    desk = Desk(store)
    first, second, third = desk.happen("a", "a", "a")
    poison: Answer = lambda sequence, _event, _ms: 500 if sequence == first else 200  # noqa: E731
    while not desk.dead:
        desk.happen("b")
        desk.turn(poison)
        desk.wait()
    desk.run(poison, desk.now_ms)
    assert [told.sequence for told in desk.told if told.subject == "a"] == [second, third]
    with store.read() as txn:
        letter = deliveries.dead_letter(txn, desk.id, first)
    assert (letter.event.subject, letter.status, letter.error, letter.first_ms) == ("a", 500, "status", NOW_MS)
    assert desk.is_whole()


def killed(desk: Desk, *sequences: int) -> None:
    """Make dead letters of these."""
    with desk.store.read() as txn:
        found = [Delivery(*one) for one in events.after(txn, 0, 10_000) if one[0] in sequences]
    for at_ms in (desk.now_ms, desk.now_ms + 48 * HOUR_MS):
        desk.now_ms = at_ms
        desk.settle(0, [Outcome(one, at_ms, 1, 500, "status") for one in found])
    desk.settle(max(sequences), [])
    assert desk.dead == sorted(sequences)


def test_a_person_replays_one_or_all(store: Store) -> None:
    desk = Desk(store)
    one, two, three = desk.happen("a", "a", "b")
    killed(desk, one, two, three)
    store.write_now(deliveries.replay, desk.id, two, desk.now_ms)
    assert (desk.dead, desk.place.dead, desk.place.parked) == ([one, three], 2, 1)
    with pytest.raises(NotFound):
        store.write_now(deliveries.replay, desk.id, two, desk.now_ms)
    assert store.write_now(deliveries.replay_all, desk.id, desk.now_ms) == 2
    assert store.write_now(deliveries.replay_all, desk.id, desk.now_ms) == 0
    assert desk.is_whole()
    desk.run(always(200), desk.now_ms + HOUR_MS)
    assert {told.sequence for told in desk.told} >= {one, two, three}
    assert in_order([told for told in desk.told if told.subject == "a"])
    assert (desk.dead, desk.place.dead, desk.place.parked) == ([], 0, 0)


def test_a_replayed_letter_has_48_hours_more(store: Store) -> None:
    desk = Desk(store)
    (one,) = desk.happen("a")
    killed(desk, one)
    store.write_now(deliveries.replay, desk.id, one, desk.now_ms)
    desk.turn(always(500))
    with store.read() as txn:
        assert PARKED.get(txn, (desk.id, one)).first_ms == desk.now_ms


def test_dead_letters_go_after_a_month(store: Store) -> None:
    desk = Desk(store)
    one, two, three = desk.happen("a", "b", "c")
    killed(desk, one, two)
    desk.now_ms += 31 * DAY_MS
    with store.read() as txn:
        event = dict(events.after(txn, 0, 100))[three]
    for at_ms in (desk.now_ms, desk.now_ms + 48 * HOUR_MS):
        desk.now_ms = at_ms
        desk.settle(0, [Outcome(Delivery(three, event), at_ms, 1, 500, "status")])
    assert (desk.dead, desk.place.dead) == ([three], 1)


# -- rest, and the end


def test_a_receiver_that_is_down_is_asked_now_and_then_and_the_log_waits(store: Store) -> None:
    desk = Desk(store)
    desk.happen(*(f"msg_{n}" for n in range(1_000)))
    desk.run(always(0), NOW_MS + HOUR_MS)
    place = desk.place
    assert deliveries.is_resting(place)
    assert place.parked < 100
    assert place.cursor < 200
    assert len(desk.tries) < 200
    latest = [at_ms for _, at_ms in desk.tries][-1]
    desk.run(always(200), NOW_MS + 3 * HOUR_MS)
    assert len({told.sequence for told in desk.told}) == 1_000
    # It is asked at least every five minutes.
    assert desk.told[0].at_ms - latest <= 5 * MINUTE_MS
    assert in_order(desk.told)


def test_a_rest_grows_from_a_second_to_five_minutes(store: Store) -> None:
    desk = Desk(store)
    desk.happen(*(f"msg_{n}" for n in range(200)))
    desk.run(always(503), NOW_MS + 6 * HOUR_MS)
    at = sorted({at_ms for _, at_ms in desk.tries})
    waits = [later - sooner for sooner, later in pairwise(at)]
    assert waits[0] <= 1_000
    assert 150_000 <= max(waits) <= 300_000


def test_many_bad_subjects_do_not_stop_the_good_ones(store: Store) -> None:
    """Each probe of a rest has a new event with it, so that one which is taken ends the rest."""
    desk = Desk(store)
    desk.happen(*(f"bad_{n}" for n in range(50)))
    good = desk.happen("good", "good", "good")
    desk.run(lambda _n, event, _ms: 200 if event.subject == "good" else 500, NOW_MS + 6 * HOUR_MS)
    assert [told.sequence for told in desk.told] == good
    assert desk.told[-1].at_ms < NOW_MS + 4 * HOUR_MS


def test_who_takes_nothing_for_48_hours_is_disabled(store: Store) -> None:
    desk = Desk(store)
    wanted = desk.happen(*(f"msg_{n}" for n in range(30)))
    desk.run(always(500), NOW_MS + 47 * HOUR_MS)
    assert desk.subscription.state is State.ACTIVE
    desk.run(always(500), NOW_MS + 60 * HOUR_MS)
    assert (desk.subscription.state, desk.subscription.reason) == (State.DISABLED, "failing")
    assert desk.kinds().count("webhook.disabled") == 1
    assert desk.turn(always(200)) == 0
    store.write_now(webhooks.change, desk.id, {"state": State.ACTIVE}, None, desk.now_ms)
    desk.run(always(200), desk.now_ms + DAY_MS)
    assert {told.sequence for told in desk.told} | set(desk.dead) >= set(wanted)
    assert (desk.subscription.reason, desk.place.failures, desk.is_whole()) == ("", 0, True)


def test_one_success_in_48_hours_keeps_it_alive(store: Store) -> None:
    desk = Desk(store)
    desk.happen(*(f"msg_{n}" for n in range(30)))
    desk.run(always(500), NOW_MS + 40 * HOUR_MS)
    only_once = iter([200])
    while not desk.told:
        desk.turn(lambda _n, _event, _ms: next(only_once, 500))
        desk.wait()
    desk.happen("late")
    desk.run(always(500), NOW_MS + 80 * HOUR_MS)
    assert desk.subscription.state is State.ACTIVE
    desk.run(always(500), NOW_MS + 100 * HOUR_MS)
    assert desk.subscription.reason == "failing"


def test_who_says_that_he_is_gone_is_disabled_at_once(store: Store) -> None:
    desk = Desk(store)
    (one,) = desk.happen("a")
    desk.turn(always(410))
    assert (desk.subscription.state, desk.subscription.reason) == (State.DISABLED, "gone")
    store.write_now(webhooks.change, desk.id, {"state": State.ACTIVE}, None, desk.now_ms)
    desk.run(always(200), desk.now_ms + HOUR_MS)
    assert one in [told.sequence for told in desk.told]


def test_what_is_paused_goes_on_where_it_was(store: Store) -> None:
    desk = Desk(store, "message.*")
    store.write_now(webhooks.change, desk.id, {"state": State.PAUSED}, None, NOW_MS)
    wanted = desk.happen("a", "b", "a")
    assert desk.turn(always(200)) == 0
    store.write_now(webhooks.change, desk.id, {"state": State.ACTIVE}, None, NOW_MS)
    desk.turn(always(200))
    assert [told.sequence for told in desk.told] == wanted


def test_no_more_is_parked_than_so_much(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "PARKED_MOST", 5)
    desk = Desk(store)
    desk.happen(*["a"] * 5)
    desk.turn(always(500))
    desk.happen("b")
    assert (desk.place.parked, desk.turn(always(200))) == (5, 0)
    desk.run(always(200), NOW_MS + HOUR_MS)
    assert sorted(told.subject for told in desk.told) == ["a"] * 5 + ["b"]
    assert desk.told[0].subject == "a"


# -- gaps


def test_who_fell_behind_the_log_is_told_so(store: Store) -> None:
    desk = Desk(store, "message.*")
    desk.happen(*(f"msg_{n}" for n in range(10)))
    desk.now_ms += 31 * DAY_MS
    kept = desk.happen("late", "later")
    store.write_now(retention.forget_events, 0, desk.now_ms - 30 * DAY_MS)
    desk.run(always(200), desk.now_ms + HOUR_MS)
    assert [told.sequence for told in desk.told] == [*kept, kept[-1] + 1]
    with store.read() as txn:
        gap = dict(events.after(txn, 0, 100))[kept[-1] + 1]
    assert (gap.kind, gap.subject, gap.detail) == (
        "webhook.gap", webhooks.name_of(desk.id), {"missed": 10, "up_to": ids.render("evt", kept[0] - 1)},
    )  # fmt: skip
    assert desk.place.cursor == kept[-1] + 1


# -- what is kept of it


def test_the_last_attempts_are_kept_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "ATTEMPTS_KEPT", 7)
    desk = Desk(store)
    made = desk.happen(*(f"msg_{n}" for n in range(20)))
    desk.turn(lambda sequence, _event, _ms: 200 if sequence % 2 else 500)
    with store.read() as txn:
        found = deliveries.attempts(txn, desk.id, 0, 100)
        one = deliveries.attempts(txn, desk.id, made[-1], 100)
    assert [attempt.sequence for attempt in found] == made[:-8:-1]
    assert {(attempt.sequence % 2, attempt.status, attempt.error) for attempt in found} == {
        (1, 200, ""),
        (0, 500, "status"),
    }
    assert one == found[:1]
    assert desk.place.attempts == 20


def test_what_is_removed_leaves_nothing(store: Store) -> None:
    desk, other = Desk(store), Desk(store)
    first, *_ = desk.happen(*["a"] * 30)
    killed(desk, first)
    desk.turn(always(500), room=50)
    other.turn(always(500), room=50)
    store.write_now(webhooks.remove, desk.id, desk.now_ms)
    assert store.write_now(deliveries.settle, desk.id, 99, [], [], desk.now_ms, desk.rng) is None
    with store.read() as txn:
        assert deliveries.take(txn, desk.id, 0, (), 1, 1, desk.now_ms) is None
        assert deliveries.orphans(txn) == [desk.id]
    while store.write_now(deliveries.clear, desk.id, 7):
        pass
    with store.read() as txn:
        assert deliveries.orphans(txn) == []
        assert [key for key, _ in PARKED.scan(txn, desk.id)] + [key for key, _ in DEAD.scan(txn, desk.id)] == []
    assert other.place.parked > 0
    assert other.is_whole()
