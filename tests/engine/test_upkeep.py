"""engine/upkeep.py: what is too old goes once an hour, whatever happened before, and the file stops growing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import proof
from engine.access import replays
from engine.access.caller import SYSTEM
from engine.config import Keep
from engine.crm import erasure
from engine.crm.marketing import campaigns, feeding, loyalty, points, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS, Stage
from engine.crm.marketing.loyalty import EarnRule, Programme
from engine.crm.people import agreement, audit, audit_heads, consent, customers
from engine.crm.people.audit import By
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer
from engine.crm.people.member import MEMBERS
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import inbound, inbox, intents, messages, receipts, retention, sheets
from engine.traffic.events import EVENTS
from engine.traffic.inbox import RECEIVED, Progress, Received
from engine.traffic.message import Message, Pick, State
from engine.traffic.messages import MESSAGES, NUMBERS
from engine.traffic.receipts import Early
from engine.traffic.retention import Budget
from engine.traffic.sheets import FED
from engine.upkeep import DAY_MS, REPLAYS_FORGOTTEN, Upkeep
from engine.wiring import TABLES
from tests.engine.crm import stage
from tests.engine.store.test_environment_before import fill
from tests.engine.traffic.stage import NOW_MS, SIM

HOUR_MS = 3_600_000
ROWS, TALKS = 600, 100  # of a day


class Proven(Store):
    """A store that is whole after every step of upkeep."""

    steps = 0

    async def write_bulk(self, change: Any, *args: Any, **kwargs: Any) -> Any:
        done = await super().write_bulk(change, *args, **kwargs)
        self.steps += 1
        with self.read() as txn:
            assert list(proof.differences(txn)) == []
        return done


@pytest.fixture
def proven(tmp_path: Path) -> Iterator[Proven]:
    opened = Proven(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def forget(store: Store, keep: Keep, now_ms: int, budget: Budget = retention.BUDGET) -> None:
    asyncio.run(Upkeep(store, lambda: now_ms, keep, 0.0, budget).forget(now_ms))


def counted(store: Store) -> dict[str, int]:
    with store.read() as txn:
        return {table.name: table.count(txn) for table in TABLES}


# -- a town in which all kinds of things happen, and what should be left of it


class Town:
    """What happens in a store, and when each thing was over."""

    def __init__(self, store: Store, random: Random) -> None:
        self.store = store
        self.random = random
        self.now_ms = NOW_MS
        self.references = 0
        self.alone: dict[int, int | None] = {}  # message -> when it was over
        self.rows: dict[int, int] = {}  # campaign -> rows
        self.received: dict[int, int | None] = {}
        store.write_now(customers.add, Customer(0, stage.FIRST + 3, "Zoë"), NOW_MS)

    def write(self, change: Any, *args: Any) -> Any:
        return self.store.write_now(change, *args)

    def a_message(self) -> None:
        number = stage.FIRST + self.random.randrange(20)
        text = Message(0, number, "x" * self.random.choice([9, 300]), wants_report=self.random.random() < 0.5)
        made = self.write(messages.enqueue, text, self.now_ms)
        self.alone[made.id] = None
        end = self.random.choice(["waits", "sent", "cancelled", "lost", "flies"])
        if end == "cancelled":
            self.write(messages.cancel, made.id, self.now_ms)
            self.alone[made.id] = self.now_ms
        elif end != "waits":
            for part in range(len(made.parts)):
                self._claim(made.id)
                if end == "lost":
                    self.write(intents.mark_unknown, made.id, part, "no_outcome", self.now_ms)
                elif end == "sent":
                    self._sent(made.id, part, number)
            if end == "sent":
                self.alone[made.id] = self.now_ms

    def _claim(self, identifier: int) -> None:
        self.write(intents.claim, [Pick(identifier, SIM)], self.now_ms, _let_all_go)

    def _sent(self, identifier: int, part: int, number: int) -> None:
        self.references = (self.references + 1) % 256
        self.write(intents.mark_sent, identifier, part, self.references, self.now_ms)
        if self.random.random() < 0.5:
            report = Early(self.references, f"+{number}", self.random.choice([0, 0x46]), self.now_ms)
            self.write(receipts.take, SIM, report, self.now_ms)

    def a_campaign(self) -> None:
        made = stage.draft(self.store, "Dear {name:you}", report_percent=self.random.choice([0, 100]))
        rows = self.random.choice([1, 30, 520])
        begun = self.write(uploads.begin, made.id, self.now_ms)
        people = [stage.row(stage.FIRST + at) for at in range(rows)]
        begun = self.write(uploads.add_rows, begun, stage.numbered(people), {}, stage.PEPPER, self.now_ms)
        self.write(uploads.finish, begun, self.now_ms)
        self.rows[made.id] = rows
        if self.random.random() < 0.1:
            return
        self.write(campaigns.launch, made.id, self.now_ms)

    def work(self) -> None:
        """Something becomes of the rows of running campaigns, and of those of cancelled ones."""
        self.write(feeding.feed, self.now_ms, self.random.choice([5, 4000]), stage.HOUSE, stage.PEPPER)
        for campaign in self.rows:
            self.write(self._work_on, campaign)
            if self._stage(campaign) is Stage.RUNNING:
                step = self.random.choice([None, None, campaigns.cancel, campaigns.pause])
                if step is not None:
                    self.write(step, campaign, self.now_ms)

    def _stage(self, campaign: int) -> Stage:
        with self.store.read() as txn:
            return CAMPAIGNS.get(txn, campaign).stage

    def _work_on(self, txn: Txn, campaign: int) -> None:
        record = CAMPAIGNS.get(txn, campaign)
        if record.stage not in (Stage.RUNNING, Stage.CANCELLED):
            return
        cursor = FED.get(txn, campaign).cursor
        fed = [result.message for result in campaigns.results(txn, record, 0, cursor) if result.row < cursor]
        # As the scheduler does, sooner or later.
        ends = ["cancelled"] if record.stage is Stage.CANCELLED else ["sent", "sent", "cancelled"]
        if self.random.random() < 0.3:
            ends += ["lost", "waits"]
        for message in fed:
            if message.state is not State.QUEUED:
                continue
            end = self.random.choice(ends)
            if end == "cancelled":
                messages.cancel_all(txn, [message.id], "by_request", self.now_ms)
            elif end != "waits":
                intents.claim(txn, [Pick(message.id, SIM)], self.now_ms, _let_all_go)
                if end == "sent":
                    self.references = (self.references + 1) % 256
                    intents.mark_sent(txn, message.id, 0, self.references, self.now_ms)
                else:
                    intents.mark_unknown(txn, message.id, 0, "no_outcome", self.now_ms)

    def a_text(self) -> None:
        sender = self.random.choice([f"+{stage.FIRST}", "BANK"])
        made = self.write(inbox.add, Received(0, sender, SIM, "hello", self.now_ms), self.now_ms)
        self.received[made.id] = None
        if self.random.random() < 0.7:
            self.write(inbox.mark_routed, made, Progress.ROUTED, "person")
            self.received[made.id] = self.now_ms
        self.write(inbound.take, SIM, "00", None, self.now_ms)

    def check(self, horizon_ms: int) -> None:
        """What is not old enough is there, what is is not."""
        with self.store.read() as txn:
            assert list(proof.differences(txn)) == []
            there = {key[0] for key, message in MESSAGES.scan(txn) if not message.group}
            wanted = {one for one, over_ms in self.alone.items() if over_ms is None or over_ms >= horizon_ms}
            assert there == wanted
            texts = {key[0] for key, _ in RECEIVED.scan(txn)}
            assert texts == {one for one, over_ms in self.received.items() if over_ms is None or over_ms >= horizon_ms}
            for campaign, rows in self.rows.items():
                record = CAMPAIGNS.get(txn, campaign)
                assert sum(campaigns.counts(txn, record).values()) == rows == record.rows
                results = list(campaigns.results(txn, record, 0, 1000))
                begins = campaigns.gone(txn, record)
                assert [result.row for result in results] == list(range(begins, rows))
                if not campaigns.has_ended(txn, campaign, horizon_ms):
                    assert begins == 0
                elif begins < rows:
                    assert any(result.message.state in messages.OPEN for result in results)
            for number in range(stage.FIRST, stage.FIRST + 20):
                found = [one.id for one in messages.listed(txn, f"+{number}", 0, 10_000)]
                assert found == sorted(set(found), reverse=True)
            assert all(event.at_ms >= horizon_ms for _, event in list(EVENTS.scan(txn))[:-1])


def _let_all_go(_txn: Txn, asked: list[Message], _now_ms: int) -> list[messages.Verdict]:
    return [messages.SEND] * len(asked)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32))
def test_whatever_happened_what_is_over_goes_and_the_rest_stays(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random = Random(seed)
    store = Proven(tmp_path_factory.mktemp("town") / "data", TABLES)
    town = Town(store, random)
    try:
        for _ in range(6):
            for _ in range(random.randrange(1, 7)):
                random.choice([town.a_message, town.a_campaign, town.work, town.work, town.a_text])()
                town.now_ms += random.choice([1, HOUR_MS])
            town.now_ms += DAY_MS // 2
            budget = Budget(random.choice([9, 500]), random.choice([9, 100]))
            store.write_now(intents.recover, town.now_ms)
            forget(store, Keep(1, 1, 1), town.now_ms, budget)
            town.check(town.now_ms - DAY_MS)
    finally:
        store.close()


def test_of_a_store_with_something_of_everything_what_has_not_ended_is_left(proven: Proven) -> None:
    proven.write_now(fill)
    before = counted(proven)
    now_ms = 1_770_000_000_000
    forget(proven, Keep(), now_ms + 29 * DAY_MS, Budget(1, 1))
    assert counted(proven) == before
    forget(proven, Keep(1, 1, 1), now_ms + 400 * DAY_MS, Budget(1, 1))
    after = counted(proven)
    with proven.read() as txn:
        left = sorted(message.state.slug for _, message in MESSAGES.scan(txn))
        campaign_rows = [campaigns.gone(txn, one) for one in campaigns.listed(txn, 0, 10)]
    assert left == ["queued", "sending", "sending", "sending", "unknown"]
    assert campaign_rows == [0, 0, 1], "those that run or will run keep their rows"
    assert (after["received"], after["unreadable"], after["events"], after["references"]) == (1, 0, 1, 0)
    assert proven.steps > 10


# -- when it runs


async def test_it_runs_at_the_start_and_once_an_hour(store: Store) -> None:
    now_ms = NOW_MS
    upkeep = Upkeep(store, lambda: now_ms, Keep(messages_days=1))
    assert upkeep._is_due()
    running = asyncio.create_task(upkeep.run())
    for _ in range(1000):
        await asyncio.sleep(0.001)
        if not upkeep._is_due():
            break
    assert not upkeep._is_due()
    now_ms += HOUR_MS - 1
    assert not upkeep._is_due()
    now_ms += 1
    assert upkeep._is_due()
    now_ms -= 3 * HOUR_MS
    assert upkeep._is_due(), "the clock was set back"
    running.cancel()


def test_by_default_only_events_go(store: Store) -> None:
    store.write_now(messages.cancel, store.write_now(messages.enqueue, Message(0, 49, "x"), NOW_MS).id, NOW_MS)
    over = stage.running(store, [stage.row()])
    store.write_now(campaigns.cancel, over, NOW_MS)
    before = counted(store)
    forget(store, Keep(), NOW_MS + 4000 * DAY_MS)
    assert counted(store) == {**before, "events": 1}


# -- words, proofs, and what a club wants every minute


def test_words_go_before_messages_do_and_what_they_were_about_stays(proven: Proven) -> None:
    over = stage.running(proven, [stage.row(values={"name": "Ann"})], "Dear {name}")
    going = stage.running(proven, [stage.row(values={"name": "Bob"})], "Dear {name}")
    alone = proven.write_now(messages.enqueue, Message(0, 49, "secret"), NOW_MS).id
    waiting = proven.write_now(messages.enqueue, Message(0, 49, "secret", expires_ms=NOW_MS + 900 * DAY_MS), NOW_MS).id
    proven.write_now(messages.cancel, alone, NOW_MS)
    proven.write_now(campaigns.cancel, over, NOW_MS)
    text = proven.write_now(inbox.add, Received(0, "+49", SIM, "secret", NOW_MS), NOW_MS)
    proven.write_now(inbox.mark_routed, text, Progress.ROUTED, "person")
    before = counted(proven)
    forget(proven, Keep(events_days=0), NOW_MS + 729 * DAY_MS, Budget(1, 1))
    with proven.read() as txn:
        assert MESSAGES.get(txn, alone).text == "secret"
    forget(proven, Keep(events_days=0), NOW_MS + 731 * DAY_MS, Budget(1, 1))
    assert counted(proven) == before
    with proven.read() as txn:
        assert (MESSAGES.get(txn, alone).text, MESSAGES.get(txn, alone).number) == ("", 49)
        assert MESSAGES.get(txn, waiting).text == "secret"
        assert RECEIVED.get(txn, text.id).text == ""
        said = [[row.values for _, row in sheets.read_rows(txn, group, 0, 1)] for group in (over, going)]
    assert said == [[{"name": ""}], [{"name": "Bob"}]]


def test_a_consent_goes_three_years_after_it_ended_and_never_comes_back_by_that(store: Store) -> None:
    def say(txn: Txn, number: int, *said: tuple[Status, int]) -> None:
        for status, day in said:
            agreement.add(txn, number, "marketing", Consent(status, "web", "page", NOW_MS + day * DAY_MS))

    store.write_now(say, 1, (Status.GRANTED, 0))
    store.write_now(say, 2, (Status.GRANTED, 0), (Status.WITHDRAWN, 100))
    store.write_now(say, 3, (Status.GRANTED, 0), (Status.WITHDRAWN, 1))
    # The clock was set back between the two.
    store.write_now(say, 4, (Status.GRANTED, 90), (Status.WITHDRAWN, 1))
    forget(store, Keep(), NOW_MS + 1_098 * DAY_MS, Budget(1, 1))
    with store.read() as txn:
        left = {number: [row.status.value for _, _, row in consent.history(txn, number)] for number in (1, 2, 3, 4)}
    assert left == {1: ["granted"], 2: ["granted", "withdrawn"], 3: [], 4: []}


def test_the_audit_log_is_cut_and_its_last_row_of_a_day_stands_beside_the_data(store: Store) -> None:
    by = By(SYSTEM, "system", bytes(32))
    for day in (0, 0, 1):
        store.write_now(audit.append, by, "role.changed", "rol_1", NOW_MS + day * DAY_MS)
    forget(store, Keep(), NOW_MS + DAY_MS)
    heads = audit_heads.read(store.directory / audit_heads.FILE)
    assert not isinstance(heads, audit.Broken)
    assert [head.number for head in heads] == [2]
    forget(store, Keep(), NOW_MS + 1_097 * DAY_MS)
    with store.read() as txn:
        assert audit.AUDIT.count(txn) == 1
        assert audit_heads.walk(store.directory / audit_heads.FILE).step(txn, 10) is False


async def test_every_minute_the_club_is_kept_and_an_erasure_goes_on(store: Store) -> None:
    by = By(SYSTEM, "system", bytes(32))
    person = store.write_now(customers.add, Customer(0, 49), NOW_MS)
    await store.write(loyalty.replace, Programme((EarnRule("visit", 1),), valid_months=1), None, NOW_MS)
    await store.write(points.enrol, person.id, "till", NOW_MS, "UTC")
    await store.write(points.earn, person.id, 10, "O1", "till", NOW_MS, "UTC")
    other = await store.write(customers.add, Customer(0, 50), NOW_MS)
    sent = await store.write(messages.enqueue, Message(0, 50, "x"), NOW_MS)
    _, challenge = await store.write(erasure.ask, other.id, NOW_MS, by)
    begun = (await store.write(erasure.confirm, other.id, challenge, NOW_MS, by)).erasure
    now_ms = NOW_MS + 400 * DAY_MS
    running = asyncio.create_task(Upkeep(store, lambda: now_ms, Keep(), 0.0).run())

    def is_done() -> bool:
        with store.read() as txn:
            return MEMBERS.get(txn, person.id).balance == 0 and not erasure.running(txn)

    async with asyncio.timeout(5):
        while not is_done():  # noqa: ASYNC110 - what is asked for tells nobody
            await asyncio.sleep(0.005)
    running.cancel()
    with store.read() as txn:
        assert erasure.get(txn, begun.id).state is erasure.State.DONE
        assert MESSAGES.get(txn, sent.id).number == 0
        assert list(proof.differences(txn)) == []


# -- a month


def test_a_month_of_traffic_with_three_days_kept_takes_the_room_of_a_few_days(store: Store) -> None:
    """LMDB's file never shrinks, but what is freed is used again: from the second week on it does not grow."""
    sizes = []
    for day in range(30):
        now_ms = NOW_MS + day * DAY_MS
        _a_day(store, day, now_ms)
        forget(store, Keep(messages_days=3, received_days=3, events_days=3), now_ms + DAY_MS - 1)
        sizes.append((store.directory / "data.mdb").stat().st_size)
        with store.read() as txn:
            assert len(list(NUMBERS.scan(txn))) <= 2 * 5 * ROWS
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
        totals = [campaigns.counts(txn, one) for one in campaigns.listed(txn, 0, 100)]
    assert totals == [{"cancelled": ROWS - ROWS // 10, "sent": ROWS // 10}] * 30
    assert max(sizes[10:]) <= 1.15 * max(sizes[:10]), sizes
    assert counted(store)["messages"] <= 5 * (ROWS // 10 + TALKS)


def _a_day(store: Store, day: int, now_ms: int) -> None:
    campaign = stage.draft(store).id
    begun = store.write_now(uploads.begin, campaign, now_ms)
    people = [stage.row(stage.FIRST + (day * ROWS + at) * 7919 % 100_000_000) for at in range(ROWS)]
    for first in range(0, ROWS, ROWS // 2):
        rows = stage.numbered(people[first : first + ROWS // 2], first + 1)
        begun = store.write_now(uploads.add_rows, begun, rows, {}, stage.PEPPER, now_ms)
    store.write_now(uploads.finish, begun, now_ms)
    store.write_now(campaigns.launch, campaign, now_ms)
    store.write_now(feeding.feed, now_ms, 5000, stage.HOUSE, stage.PEPPER)
    store.write_now(_settle, campaign, now_ms)
    store.write_now(campaigns.cancel, campaign, now_ms)
    store.write_now(_talk, now_ms)


def _settle(txn: Txn, campaign: int, now_ms: int) -> None:
    rows = [result.message.id for result in campaigns.results(txn, CAMPAIGNS.get(txn, campaign), 0, ROWS)]
    _send(txn, rows[::10], now_ms)
    messages.cancel_all(txn, rows, "campaign_cancelled", now_ms)


def _send(txn: Txn, identifiers: list[int], now_ms: int) -> None:
    for at, identifier in enumerate(identifiers):
        intents.claim(txn, [Pick(identifier, SIM)], now_ms, _let_all_go)
        intents.mark_sent(txn, identifier, 0, at % 256, now_ms)


def _talk(txn: Txn, now_ms: int) -> None:
    made = [messages.enqueue(txn, Message(0, stage.FIRST + at, "x" * 100), now_ms).id for at in range(TALKS)]
    _send(txn, made, now_ms)
    for _ in range(50):
        text = inbox.add(txn, Received(0, f"+{stage.FIRST}", SIM, "hello", now_ms), now_ms)
        inbox.mark_routed(txn, text, Progress.ROUTED, "person")


async def test_answers_to_repeats_go_after_a_day(store: Store) -> None:
    answer = replays.Answer(200, "text/plain", {}, b"x")
    for number in range(replays_kept := 2 * REPLAYS_FORGOTTEN + 5):
        claim = replays.claim(bytes(32), "token 1", str(number), b"POST")
        store.submit(replays.keep, claim, answer, NOW_MS + (number == replays_kept - 1))
    upkeep = Upkeep(store, lambda: NOW_MS + replays.KEPT_MS, Keep())
    await upkeep._prune()
    with store.read() as txn:
        assert (replays.REPLAYS.count(txn), replays.BY_TIME.count(txn)) == (1, 1)
