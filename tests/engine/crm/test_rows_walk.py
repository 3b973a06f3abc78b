"""A random walk over everything that may happen to campaigns and their rows: after every step the store is whole, and
what it shows is what plain lists say (town.py).

The line is the scheduler's, as it learns of it: from what commits tell, and from the store after a start only.
CARILLON_LONG=1 walks for minutes.
"""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from engine import proof
from engine.crm.gate import gate_with
from engine.crm.marketing import campaigns, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS, Stage
from engine.traffic import intents, messages, receipts, sheets
from engine.traffic.messages import DUE, GROUPS, NUMBERS, Message, OnUnknown, Pick, Resolution, State
from engine.traffic.receipts import Early
from engine.traffic.retry import Again, GiveUp
from tests.engine.crm.stage import PEPPER
from tests.engine.crm.town import ENDED, Text
from tests.engine.crm.town_walk import PEOPLE, PLACE, SIMS, Town

IS_LONG = os.environ.get("CARILLON_LONG") == "1"

OUTCOMES = ("later", "sent", "sent", "sent", "put back", "refused", "for good", "unknown, tried", "unknown, untried")


class Walk(Town):
    """All of it."""

    # -- sending

    @precondition(lambda self: self.line and len(self.flying) < len(SIMS))
    @rule(which=PLACE, swap=st.booleans(), outcome=st.sampled_from(OUTCOMES))
    def parts_go(self, which: int, swap: bool, outcome: str) -> None:
        """One for each free SIM, as the scheduler asks: all in one claim."""
        free = [sim for sim in SIMS if sim not in {sim for _, sim in self.flying.values()}]
        found = sorted(self.line)
        if which % 10 == 0:  # what does not wait is asked for too
            found = sorted(text.id for text in self.texts.values() if text.is_fed and text.id not in self.flying)
        picked = [found[(which // 10 + at * 7) % len(found)] for at in range(len(free))]
        picks = [
            Pick(identifier, sim)
            for identifier, sim in zip(dict.fromkeys(picked), free[::-1] if swap else free, strict=False)
        ]
        self.line.difference_update(pick.message for pick in picks)
        # A modem that has a part hears of others of its message behind it only.
        held = {pick.message: (0, 0) for pick in picks}
        self.flying.update(held)
        claimed = self.do(intents.claim, picks, self.now_ms, gate_with(PEPPER))
        for identifier in held:
            del self.flying[identifier]
        for pick, answer in zip(picks, claimed, strict=True):
            self.is_claimed(pick, answer)
        for pick in picks:
            if outcome != "later" and pick.message in self.flying:
                self.land(pick.message, outcome)

    def is_claimed(self, pick: Pick, answer: intents.Claimed) -> None:
        text = self.texts[pick.message]
        drive = self.drive_of(text)
        verdict = answer.verdict
        refusal = self.refusal(text)
        if not text.waits:
            assert (verdict.state, verdict.sends) == (State.CANCELLED, False)
        elif text.expires_ms <= self.now_ms:
            assert verdict.state is State.EXPIRED
            text.stop(State.EXPIRED, "deadline_passed")
        elif text.pinned_to not in (0, pick.sim):
            assert verdict.reason == "other_sim"
            self.line.add(text.id)
        elif drive is not None and drive.stage is Stage.PAUSED:
            assert verdict.reason == "campaign_paused"
            self.line.add(text.id)
        elif drive is not None and drive.stage is Stage.CANCELLED:
            assert verdict.state is State.CANCELLED
            text.stop(State.CANCELLED, "campaign_cancelled")
        elif refusal:
            assert (verdict.state, verdict.reason) == (State.SUPPRESSED, refusal)
            text.stop(State.SUPPRESSED, refusal)
        else:
            assert verdict.sends, verdict
            index = next(at for at, part in enumerate(text.parts) if part.state is State.QUEUED)
            assert answer.part == index, "a part that does not wait is claimed"
            assert answer.message is not None
            assert (answer.message.text, answer.message.number) == (text.text, text.number)
            assert len(answer.message.parts) == len(text.parts)
            part = text.parts[index]
            part.sim, part.attempt = pick.sim, part.attempt + 1
            text.change(index, State.SENDING)
            self.flying[text.id] = (index, pick.sim)

    @precondition(lambda self: self.flying)
    @rule(which=PLACE, outcome=st.sampled_from(OUTCOMES[1:]))
    def part_lands(self, which: int, outcome: str) -> None:
        self.land(sorted(self.flying)[which % len(self.flying)], outcome)

    def land(self, identifier: int, outcome: str) -> None:
        index, sim = self.flying.pop(identifier)
        text = self.texts[identifier]
        if outcome == "sent":
            self.counter[sim] = reference = (self.counter[sim] + 1) % 256
            text.change(index, State.SENT)
            self.do(intents.mark_sent, identifier, index, reference, self.now_ms)
            self.accepted.append((sim, reference, identifier, index))
        elif outcome == "put back":
            text.requeue(index, counted=False)
            self.do(intents.put_back, identifier, index, self.now_ms)
        elif outcome == "refused":
            text.requeue(index, counted=True)
            self.do(intents.mark_refused, identifier, index, Again(200), 38, self.now_ms)
        elif outcome == "for good":
            text.change(index, State.FAILED, "no_such_number")
            text.fail("no_such_number")
            given_up = GiveUp("no_such_number", permanent=True)
            self.do(intents.mark_refused, identifier, index, given_up, 1, self.now_ms)
        else:
            self.becomes_unknown(text, index, sim, "no_outcome", tried=outcome == "unknown, tried")
            self.do(intents.mark_unknown, identifier, index, "no_outcome", self.now_ms)
        self.do(receipts.catch_up, sim, self.now_ms)
        drive = self.drive_of(text)
        if text.waits and drive is not None and drive.stage is Stage.CANCELLED:
            self.dropped.append(identifier)  # cancelled while this part was in the air
        elif text.waits:
            self.line.add(identifier)  # its other parts follow
        self.learn()

    def becomes_unknown(self, text: Text, index: int, sim: int, reason: str, *, tried: bool) -> None:
        if tried:
            self.counter[sim] = (self.counter[sim] + 1) % 256
            self.accepted.append((sim, self.counter[sim], text.id, index))
        if text.policy is OnUnknown.RESEND:
            text.requeue(index, counted=True)
            return
        text.parts[index].tried = tried
        text.change(index, State.UNKNOWN, reason)

    def learn(self) -> None:
        """Take over what the store has found out about unknown parts, if that can be true."""
        for text in self.texts.values():
            for index, part in enumerate(text.parts):
                if part.state is not State.UNKNOWN:
                    continue
                with self.store.read() as txn:
                    found = messages.get(txn, text.id).parts[index]
                if found.state in (State.QUEUED, State.FAILED):
                    assert not part.tried, "what the network had goes again"
                    text.requeue(index, counted=False)
                elif found.state is not State.UNKNOWN:
                    assert part.tried, "what the network never had is proved"
                    assert text.policy is OnUnknown.AWAIT_REPORT
                    text.change(index, State.SENT)
                    if found.state is not State.SENT:
                        text.change(index, found.state, self.reason_of(found.outcome))

    @precondition(lambda self: self.accepted)
    @rule(which=PLACE, outcome=st.sampled_from([0x00, 0x00, 0x30, 0x46]))
    def report_comes(self, which: int, outcome: int) -> None:
        sim, reference, identifier, index = self.accepted[which % len(self.accepted)]
        text = self.texts[identifier]
        part = text.parts[index]
        # Of a part that is tried once more, two references are about.
        if not text.wants_report or part.state not in (State.SENT, State.UNDELIVERED, State.DELIVERED, State.UNKNOWN):
            return
        if part.sim != sim or self.accepted[which % len(self.accepted)] != self.newest(identifier, index):
            return
        if part.state in (State.SENT, State.UNDELIVERED) and outcome != 0x30:
            state = State.UNDELIVERED if outcome else State.DELIVERED
            text.change(index, state, self.reason_of(outcome))
        report = Early(reference, f"+{text.number}", outcome, self.now_ms)
        self.do(receipts.take, sim, report, self.now_ms)
        self.learn()

    def newest(self, identifier: int, index: int) -> tuple[int, int, int, int]:
        return [entry for entry in self.accepted if entry[2:] == (identifier, index)][-1]

    @staticmethod
    def reason_of(outcome: int) -> str:
        return "validity_expired" if outcome == 0x46 else ""

    @precondition(lambda self: any(text.state is State.UNKNOWN for text in self.texts.values()))
    @rule(which=PLACE, resolution=st.sampled_from(Resolution))
    def unknown_is_resolved(self, which: int, resolution: Resolution) -> None:
        found = [text for text in self.texts.values() if text.state is State.UNKNOWN]
        text = found[which % len(found)]
        for index, part in enumerate(text.parts):
            if part.state is not State.UNKNOWN:
                continue
            self.accepted = [entry for entry in self.accepted if entry[2:] != (text.id, index)]
            if resolution is Resolution.SENT:
                text.change(index, State.SENT)
            elif resolution is Resolution.RESEND:
                text.requeue(index, counted=True)
            else:
                text.change(index, State.FAILED, "resolved_failed")
        if resolution is Resolution.FAILED:
            text.fail("resolved_failed")
        self.do(intents.resolve, text.id, resolution, self.now_ms)
        self.learn()

    # -- time and the machine

    @rule(ms=st.sampled_from([1, 300, 9000]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(pages=st.sampled_from([1, 2, 64]))
    def numbers_are_merged(self, pages: int) -> None:
        self.do(NUMBERS.merge, pages)

    @rule(tried=st.booleans())
    def is_killed(self, tried: bool) -> None:
        """Whatever was with a modem was tried, or all of it was not."""
        for identifier, (index, sim) in sorted(self.flying.items()):
            self.becomes_unknown(self.texts[identifier], index, sim, "crash", tried=tried)
        self.reopen()
        self.learn()

    def reopen(self) -> None:
        flying, self.flying = self.flying, {}
        self.store.close()
        self.open()
        with self.store.read() as txn:
            broken = uploads.broken(txn)
        assert sorted(broken) == sorted(self.uploads)
        for identifier in broken:
            while self.do(uploads.discard, identifier):
                pass
        for drive in self.drives:
            drive.staged = None
        self.uploads.clear()
        for identifier, (index, sim) in flying.items():
            if self.texts[identifier].parts[index].state is State.SENDING:  # nobody has said what became of it
                self.becomes_unknown(self.texts[identifier], index, sim, "crash", tried=False)
        assert self.do(intents.recover, self.now_ms) == len(flying)
        self.do(receipts.catch_up_all, self.now_ms)
        self.line, self.dropped = set(), []
        with self.store.read() as txn:
            self.line.update(key[2] for key, _ in DUE.scan(txn))
            for _, feeding in sheets.waiting(txn, GROUPS):
                self.line.update(waiting.row.id for waiting in feeding.rows)
            cancelled = [group for (group,), sending in GROUPS.scan(txn) if sending == "cancelled"]
        for group in cancelled:
            self.drop(group)

    # -- what is so after every step

    @invariant()
    def the_store_is_whole(self) -> None:
        with self.store.read() as txn:
            assert list(proof.differences(txn)) == []

    @invariant()
    def counters_are_what_the_rows_show(self) -> None:
        with self.store.read() as txn:
            for drive in self.drives:
                campaign = CAMPAIGNS.get(txn, drive.id)
                assert (campaign.stage, campaign.rows) == (drive.stage, len(drive.rows))
                assert campaign.uploading == (drive.staged is not None)
                assert campaigns.counts(txn, campaign) == drive.counts

    @invariant()
    def rows_show_what_became_of_them(self) -> None:
        with self.store.read() as txn:
            for drive in self.drives:
                results = list(campaigns.results(txn, CAMPAIGNS.get(txn, drive.id), 0, 100_000))
                assert [result.row for result in results] == list(range(len(drive.rows)))
                for result, row in zip(results, drive.rows, strict=True):
                    self.agrees(result.message, row)

    def agrees(self, message: Message, text: Text) -> None:
        drive = self.drive_of(text)
        state, reason = drive.shown(text) if drive else (text.state, text.reason)
        assert message.id == text.id
        assert (message.number, message.group, message.client_ref) == (text.number, text.group, text.client_ref)
        assert message.state is state
        if state in ENDED or state in (State.UNKNOWN, State.UNDELIVERED):
            assert message.reason == reason
        if text.parts and state not in ENDED:
            assert message.text == text.text
            assert [part.state for part in message.parts] == [part.state for part in text.parts]
            assert [part.attempt for part in message.parts] == [part.attempt for part in text.parts]
            assert message.expires_ms == text.expires_ms

    @invariant()
    def lists_show_every_message_once(self) -> None:
        newest = sorted(self.texts, reverse=True)
        with self.store.read() as txn:
            everything = list(messages.listed(txn, None, 0, 100_000))
            assert [message.id for message in everything] == newest
            for message in everything:
                self.agrees(message, self.texts[message.id])
            for number in PEOPLE:
                own = [identifier for identifier in newest if self.texts[identifier].number == number]
                found = list(messages.listed(txn, f"+{number}", 0, 100_000))
                assert [message.id for message in found] == own
                for message in found:
                    assert message == messages.get(txn, message.id)
                    self.agrees(message, self.texts[message.id])
                if own:
                    middle = own[len(own) // 2]
                    rest = [message.id for message in messages.listed(txn, f"+{number}", middle, 2)]
                    assert rest == own[len(own) // 2 + 1 :][:2]
            if newest:
                middle = newest[len(newest) // 2]
                rest = [message.id for message in messages.listed(txn, None, middle, 3)]
                assert rest == newest[len(newest) // 2 + 1 :][:3]

    @invariant()
    def whatever_waits_is_in_the_line(self) -> None:
        waits = {text.id for text in self.texts.values() if text.waits and text.id not in self.flying}
        assert waits <= self.line | set(self.dropped)


Walk.TestCase.settings = settings(max_examples=1500 if IS_LONG else 18, stateful_step_count=60, deadline=None)
TestWalk = Walk.TestCase
