"""A random walk over everything that may happen to messages: the store is whole after every step, and under `hold`
and `await_report` no part is given to a modem twice unless it certainly did not go or a person said so.
"""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine import proof
from engine.errors import Conflict
from engine.store.environment import Store
from engine.traffic import intents, messages, receipts, sims
from engine.traffic.messages import DUE, MESSAGES, SEND, OnUnknown, Part, Pick, Resolution, State, Verdict
from engine.traffic.receipts import Early
from engine.traffic.retry import Again, GiveUp
from engine.traffic.sims import STEPS_BELIEVED, Sim
from engine.wiring import TABLES
from tests.engine.traffic.stage import NOW_MS, NUMBER, OTHER_NUMBER, OTHER_SIM, SIM, say, text

SIMS = (SIM, OTHER_SIM)
GROUPS = (0, 77)
VERDICTS = (
    *[SEND] * 20,
    Verdict(State.SUPPRESSED, "stop_all"),
    Verdict(State.CANCELLED, "campaign_cancelled"),
    Verdict(State.QUEUED, "campaign_paused"),
    Verdict(State.HELD, "quiet_hours", NOW_MS + 500),
)
OUTCOMES = (
    "later",
    "sent",
    "sent",
    "sent",
    "sent, report first",
    "put back",
    "refused",
    "refused for good",
    "unknown, tried",
    "unknown, never tried",
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
            self.store.write_now(sims.put, Sim(sim, 250, STEPS_BELIEVED))
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

    @rule(
        parts=st.integers(1, 3),
        policy=st.sampled_from(OnUnknown),
        group=st.sampled_from(GROUPS),
        number=st.sampled_from([NUMBER, OTHER_NUMBER]),
        wants_report=st.booleans(),
        wait_ms=st.sampled_from([0, 0, 300]),
    )
    def enqueue(self, parts: int, policy: OnUnknown, group: int, number: int, wants_report: bool, wait_ms: int) -> None:
        message = text(
            parts,
            on_unknown=policy,
            group=group,
            number=number,
            wants_report=wants_report,
            not_before_ms=self.now_ms + wait_ms if wait_ms else 0,
            expires_ms=self.now_ms + 20_000,
        )
        self.known.append(self.store.write_now(messages.enqueue, message, self.now_ms).id)

    @precondition(lambda self: self.known and len(self.flying) < len(SIMS))
    @rule(
        which=PLACE,
        second_sim=st.booleans(),
        verdict=st.sampled_from(VERDICTS),
        outcome=st.sampled_from(OUTCOMES),
    )
    def goes(self, which: int, second_sim: bool, verdict: Verdict, outcome: str) -> None:
        """Claimed, and landed in the same breath unless the outcome is to come later."""
        # One modem has one part in the air, and one message is with one modem.
        free = [sim for sim in SIMS if sim not in self.flying.values()]
        aloft = {place[0] for place in self.flying}
        with self.store.read() as txn:
            due = [key[2] for key, _ in DUE.scan(txn) if key[2] not in aloft]
        if which % 10 == 0:
            due = [identifier for identifier in self.known if identifier not in aloft]
        if not due:
            return
        pick = Pick(due[which // 10 % len(due)], free[-1 if second_sim else 0])
        claimed = self.store.write_now(intents.claim, [pick], self.now_ms, say(verdict))[0]
        if not claimed.verdict.sends:
            return
        place = (pick.message, claimed.part)
        assert place not in self.spent, "a part is given to a modem a second time"
        if claimed.message is not None and claimed.message.on_unknown is not OnUnknown.RESEND:
            self.spent.add(place)
        self.flying[place] = pick.sim
        if outcome != "later":
            self.land(place, outcome)

    @precondition(lambda self: self.flying)
    @rule(which=PLACE, outcome=st.sampled_from(OUTCOMES[1:]))
    def lands(self, which: int, outcome: str) -> None:
        self.land(sorted(self.flying)[which % len(self.flying)], outcome)

    def land(self, place: Place, outcome: str) -> None:
        sim = self.flying.pop(place)
        if outcome in ("sent", "sent, report first"):
            self.is_sent(place, sim, report_first=outcome != "sent")
        elif outcome == "put back":
            self.spent.discard(place)
            self.store.write_now(intents.put_back, *place, self.now_ms)
        elif outcome in ("refused", "refused for good"):
            if outcome == "refused for good":
                self.next_reference(sim)  # a refused submission may take a reference too
            self.spent.discard(place)
            again = outcome == "refused"
            decision = Again(200) if again else GiveUp("refused_by_network", permanent=True)
            self.store.write_now(intents.mark_refused, *place, decision, 38, self.now_ms)
        else:
            self.become_unknown(place, sim, tried=outcome == "unknown, tried")
            self.store.write_now(intents.mark_unknown, *place, "no_outcome", self.now_ms)
        self.store.write_now(receipts.catch_up, sim, self.now_ms)

    def is_sent(self, place: Place, sim: int, *, report_first: bool) -> None:
        reference = self.next_reference(sim)
        with self.store.read() as txn:
            number = MESSAGES.get(txn, place[0]).number
        if report_first:
            self.report(sim, reference, number, 0)
        self.store.write_now(intents.mark_sent, *place, reference, self.now_ms)
        self.accepted.append((sim, reference, number))
        # What the references prove was never tried may go again.
        for other, was_tried in list(self.tried.items()):
            if self.part(other).state is not State.UNKNOWN:
                if self.part(other).state is State.QUEUED:
                    assert not was_tried, "a part that was tried is taken for one that was not"
                    self.spent.discard(other)
                del self.tried[other]

    def become_unknown(self, place: Place, sim: int, tried: bool) -> None:
        if tried:
            reference = self.next_reference(sim)
            with self.store.read() as txn:
                message = MESSAGES.get(txn, place[0])
            self.accepted.append((sim, reference, message.number))
        if place in self.spent:
            self.tried[place] = tried

    @precondition(lambda self: self.flying)
    @rule(tried=st.booleans())
    def crashes(self, tried: bool) -> None:
        for place, sim in sorted(self.flying.items()):
            self.become_unknown(place, sim, tried)
        count = len(self.flying)
        self.flying.clear()
        assert self.store.write_now(intents.recover, self.now_ms) == count
        self.store.write_now(receipts.catch_up_all, self.now_ms)

    @precondition(lambda self: self.accepted)
    @rule(which=PLACE, outcome=st.sampled_from([0x00, 0x01, 0x30, 0x46, 0x60]))
    def is_reported(self, which: int, outcome: int) -> None:
        sim, reference, number = self.accepted[which % len(self.accepted)]
        if which % 5 == 0:
            number = 351_910_000_000
        self.report(sim, reference, number, outcome)

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
        try:
            self.store.write_now(intents.resolve, identifier, resolution, self.now_ms)
        except Conflict:
            return
        for index, part in enumerate(message.parts):
            if part.state is State.UNKNOWN:
                self.tried.pop((identifier, index), None)
                if resolution is Resolution.RESEND:
                    self.spent.discard((identifier, index))

    @precondition(lambda self: len(self.known) > 2)
    @rule(which=PLACE)
    def is_taken_back(self, which: int) -> None:
        if which % 4 == 0:
            wanted = lambda message: message.group == 77  # noqa: E731
            self.store.write_now(messages.withdraw, NUMBER, wanted, "stop_all", self.now_ms)
            return
        with contextlib.suppress(Conflict):
            self.store.write_now(messages.cancel, self.known[which // 4 % len(self.known)], self.now_ms)

    @rule(ms=st.sampled_from([1, 300, 600, 9000]))
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


Walk.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestWalk = Walk.TestCase
