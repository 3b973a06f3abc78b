"""A random walk over everything that may happen to messages: the store is whole after every step, and under `hold`
and `await_report` no part is given to a modem twice unless it certainly did not go or a person said so.
"""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine import proof
from engine.errors import Conflict
from engine.store.environment import Store
from engine.traffic import intents, messages, receipts
from engine.traffic.intents import INTENTS
from engine.traffic.messages import MESSAGES, SEND, OnUnknown, Part, Pick, Resolution, State, Verdict
from engine.traffic.receipts import Early
from engine.traffic.retry import Again, GiveUp
from engine.traffic.sims import SIMS as SIMS_TABLE
from engine.traffic.sims import STEPS_BELIEVED, Sim
from engine.wiring import TABLES
from tests.engine.traffic.stage import NOW_MS, NUMBER, OTHER_NUMBER, OTHER_SIM, SIM, say, text

SIMS = (SIM, OTHER_SIM)
GROUPS = (0, 77)
VERDICTS = (
    SEND,
    SEND,
    SEND,
    Verdict(State.SUPPRESSED, "stop_all"),
    Verdict(State.CANCELLED, "campaign_cancelled"),
    Verdict(State.QUEUED, "campaign_paused"),
    Verdict(State.HELD, "quiet_hours", NOW_MS + 500),
)
PLACE = st.integers(0, 1_000_000)
Place = tuple[int, int]


class Walk(RuleBasedStateMachine):
    """`tried` is the truth about parts that no outcome is known of; `spent` holds what must not go again."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.directory.name) / "data", TABLES)
        self.now_ms = NOW_MS
        for sim in SIMS:  # whose references are believed
            self.store.write_now(SIMS_TABLE.put, sim, Sim(sim, 250, STEPS_BELIEVED))
        self.known: list[int] = []
        self.counter = dict.fromkeys(SIMS, 250)
        self.spent: set[Place] = set()
        self.flying: dict[Place, int] = {}
        self.tried: dict[Place, bool] = {}
        self.delivered: set[Place] = set()
        self.accepted: list[tuple[int, int, int]] = []  # sim, reference, number

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def part(self, place: Place) -> Part:
        with self.store.read() as txn:
            return MESSAGES.get(txn, place[0]).parts[place[1]]

    def next_reference(self, sim: int) -> int:
        self.counter[sim] = (self.counter[sim] + 1) % 256
        return self.counter[sim]

    def land(self, place: int) -> tuple[Place, int] | None:
        if not self.flying:
            return None
        chosen = sorted(self.flying)[place % len(self.flying)]
        return chosen, self.flying.pop(chosen)

    @rule(
        parts=st.integers(1, 3),
        policy=st.sampled_from(OnUnknown),
        group=st.sampled_from(GROUPS),
        number=st.sampled_from([NUMBER, OTHER_NUMBER]),
        wants_report=st.booleans(),
        wait_ms=st.sampled_from([0, 0, 300]),
    )
    def enqueue(
        self, parts: int, policy: OnUnknown, group: int, number: int, wants_report: bool, wait_ms: int
    ) -> None:
        message = text(
            parts,
            on_unknown=policy,
            group=group,
            number=number,
            wants_report=wants_report,
            not_before_ms=self.now_ms + wait_ms if wait_ms else 0,
            expires_ms=self.now_ms + 3000,
        )
        self.known.append(self.store.write_now(messages.enqueue, message, self.now_ms).id)

    @precondition(lambda self: self.known)
    @rule(which=PLACE, sim=st.sampled_from(SIMS), verdict=st.sampled_from(VERDICTS))
    def claim(self, which: int, sim: int, verdict: Verdict) -> None:
        if sim in self.flying.values():
            return  # one modem, one part
        identifier = self.known[which % len(self.known)]
        if any(place[0] == identifier for place in self.flying):
            return  # the scheduler gives a message to one modem only
        claimed = self.store.write_now(intents.claim, [Pick(identifier, sim)], self.now_ms, say(verdict))[0]
        if not claimed.verdict.sends:
            return
        place = (identifier, claimed.part)
        assert place not in self.spent, "a part is given to a modem a second time"
        if claimed.message is not None and claimed.message.on_unknown is not OnUnknown.RESEND:
            self.spent.add(place)
        self.flying[place] = sim

    @rule(which=PLACE, report_first=st.booleans())
    def is_sent(self, which: int, report_first: bool) -> None:
        landed = self.land(which)
        if landed is None:
            return
        place, sim = landed
        reference = self.next_reference(sim)
        with self.store.read() as txn:
            number = MESSAGES.get(txn, place[0]).number
        if report_first:
            self.report(sim, reference, number, 0)
        self.store.write_now(intents.mark_sent, *place, reference, self.now_ms)
        self.store.write_now(receipts.catch_up, sim, self.now_ms)
        self.accepted.append((sim, reference, number))
        # What the references prove was never tried may go again.
        for other, was_tried in list(self.tried.items()):
            if self.part(other).state is not State.UNKNOWN:
                if self.part(other).state is State.QUEUED:
                    assert not was_tried, "a part that was tried is taken for one that was not"
                    self.spent.discard(other)
                del self.tried[other]

    @rule(which=PLACE)
    def is_put_back(self, which: int) -> None:
        if landed := self.land(which):
            self.spent.discard(landed[0])
            self.store.write_now(intents.put_back, *landed[0], self.now_ms)

    @rule(which=PLACE, again=st.booleans())
    def is_refused(self, which: int, again: bool) -> None:
        if landed := self.land(which):
            self.next_reference(landed[1])  # a refused submission takes a reference too
            decision = Again(200, other_sim=False) if again else GiveUp("refused_by_network", permanent=True)
            self.spent.discard(landed[0])
            with self.store.read() as txn:
                lost = any(part.state is State.UNKNOWN for part in MESSAGES.get(txn, landed[0][0]).parts)
            if lost and not again:
                decision = Again(200, other_sim=False)  # test_intents has what bugs/05 is about
            self.store.write_now(intents.mark_refused, *landed[0], decision, 38, self.now_ms)

    @rule(which=PLACE, tried=st.booleans())
    def is_unknown(self, which: int, tried: bool) -> None:
        if landed := self.land(which):
            self.become_unknown(*landed, tried)
            self.store.write_now(intents.mark_unknown, *landed[0], "no_outcome", self.now_ms)

    def become_unknown(self, place: Place, sim: int, tried: bool) -> None:
        if tried:
            reference = self.next_reference(sim)
            with self.store.read() as txn:
                message = MESSAGES.get(txn, place[0])
            self.accepted.append((sim, reference, message.number))
        if place in self.spent:
            self.tried[place] = tried

    @rule(tried=st.booleans())
    def crashes(self, tried: bool) -> None:
        for place, sim in sorted(self.flying.items()):
            self.become_unknown(place, sim, tried)
        self.flying.clear()
        with self.store.read() as txn:
            waiting = INTENTS.count(txn)
        assert self.store.write_now(intents.recover, self.now_ms) == waiting
        self.store.write_now(receipts.catch_up_all, self.now_ms)

    @precondition(lambda self: self.accepted)
    @rule(which=PLACE, outcome=st.sampled_from([0x00, 0x01, 0x30, 0x46, 0x60]))
    def is_reported(self, which: int, outcome: int) -> None:
        sim, reference, number = self.accepted[which % len(self.accepted)]
        self.report(sim, reference, number, outcome)

    @rule(sim=st.sampled_from(SIMS), reference=st.integers(0, 255), outcome=st.sampled_from([0, 0x46]))
    def is_reported_of_nothing(self, sim: int, reference: int, outcome: int) -> None:
        self.report(sim, reference, 351_910_000_000, outcome)

    def report(self, sim: int, reference: int, number: int, outcome: int) -> None:
        report = Early(reference, f"+{number}", outcome, self.now_ms)
        self.store.write_now(receipts.take, sim, report, self.now_ms)
        for place in list(self.tried):
            if self.part(place).state is not State.UNKNOWN:
                del self.tried[place]

    @precondition(lambda self: self.known)
    @rule(which=PLACE, resolution=st.sampled_from(Resolution))
    def is_resolved(self, which: int, resolution: Resolution) -> None:
        identifier = self.known[which % len(self.known)]
        with self.store.read() as txn:
            message = MESSAGES.get(txn, identifier)
        left = {part.state for part in message.parts} & {State.QUEUED, State.SENDING}
        if resolution is Resolution.FAILED and left:
            return  # test_intents has what bugs/05 is about
        try:
            self.store.write_now(intents.resolve, identifier, resolution, self.now_ms)
        except Conflict:
            return
        for index, part in enumerate(message.parts):
            if part.state is State.UNKNOWN:
                self.tried.pop((identifier, index), None)
                if resolution is Resolution.RESEND:
                    self.spent.discard((identifier, index))

    @precondition(lambda self: self.known)
    @rule(which=PLACE)
    def is_cancelled(self, which: int) -> None:
        try:
            self.store.write_now(messages.cancel, self.known[which % len(self.known)], self.now_ms)
        except Conflict:
            pass

    @rule()
    def is_withdrawn(self) -> None:
        self.store.write_now(messages.withdraw, NUMBER, lambda message: message.group == 77, "stop_all", self.now_ms)

    @rule(ms=st.sampled_from([1, 300, 4000]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @invariant()
    def the_store_is_whole(self) -> None:
        with self.store.read() as txn:
            assert list(proof.differences(txn)) == []
            total = sum(sum(messages.tally(txn, group).values()) for group in GROUPS)
            assert total == len(self.known)

    @invariant()
    def what_was_delivered_stays_so(self) -> None:
        now = set()
        with self.store.read() as txn:
            for identifier in self.known:
                for index, part in enumerate(MESSAGES.get(txn, identifier).parts):
                    if part.state is State.DELIVERED:
                        now.add((identifier, index))
        assert self.delivered <= now
        self.delivered = now


Walk.TestCase.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
TestWalk = Walk.TestCase
