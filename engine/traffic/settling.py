"""Settling: one turn's change.  The outcomes of the parts that landed, then the intents of those that go next.

Most of a rack's work are rows of campaigns in one part that nothing out of the ordinary happens to: they are settled in
their slots, with one word for all of them to the tally and the event log.  Everything else goes the long way
(engine/traffic/intents.py), and says the same.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

import msgspec

from engine import numbers, sms
from engine.config import Limits
from engine.errors import ModemError, SubmitRefused, SubmitUnknown
from engine.modem.pool import Submission
from engine.store import ids
from engine.store.table import Txn
from engine.traffic import events, intents, messages, quotas, receipts, retry, sheets, sims, slots
from engine.traffic.ahead import Ahead, Claim
from engine.traffic.intents import REFERENCES, UNPROVEN, Reference
from engine.traffic.message import Gate, Message, Pick, State, Verdict
from engine.traffic.page import Page
from engine.traffic.receipts import EARLY
from engine.traffic.sheets import Feeding, Waiting
from engine.traffic.slots import Slots
from engine.traffic.spending import Spending

QUOTA: Final = "quota"  # why a message waits whose SIM has sent what it may

# Steps of the relative validity period (3GPP TS 23.040 §9.2.3.12.1): what is left is rounded down to one, so that
# neighbours have the same envelope.
_STEPS_S: Final = ((12 * 3600, 300), (24 * 3600, 1800), (30 * 86400, 86400))


class Packed(msgspec.Struct, frozen=True, gc=False):
    """Where a row is that stands in the line."""

    group: int
    waiting: Waiting
    feeding: Feeding


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A message whose next part the scheduler would like to send by a SIM."""

    message: int
    sim: int
    lane: int
    packed: Packed | None


@dataclass(slots=True, eq=False)
class Flight:
    """A part that was claimed, until its outcome is known."""

    message: int
    part: int
    sim: int
    lane: int
    attempt: int
    at_ms: int
    packed: Packed | None
    number: int
    claim: Claim | None = None
    given_ms: int = 0  # the first octet of its PDU was written, 0: not yet
    seat: object = None  # the scheduler's own


class Landed(msgspec.Struct, frozen=True):
    """What came of a flight: the modem's reference, or why there is none."""

    flight: Flight
    reference: int
    error: ModemError | None


class Claimed(msgspec.Struct, frozen=True):
    """What became of a choice: the verdict, the message as it was found (None where there is none), and the job.

    Where a quota of the SIM is reached, `full_ms` tells until when, and `is_full` whether for everybody.
    """

    verdict: Verdict
    message: Message | None
    job: Submission | None
    full_ms: int = 0
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What a turn asks beside the store: `limits` are those of the SIMs that have any."""

    gate: Gate
    random: Random
    ahead: Ahead
    limits: Mapping[int, Limits] = field(default_factory=dict)


def settle(txn: Txn, landed: list[Landed], choices: list[Choice], now_ms: int, rules: Rules) -> list[Claimed]:
    """One turn's change; one answer per choice."""
    return _Turn(txn, now_ms, rules).settle(landed, choices)


def recover(txn: Txn, now_ms: int, page: Page | None = None) -> int:
    """Settle what the last run left in the air, by the page and by reports that came since; how many are unknown."""
    unknown = intents.recover(txn, now_ms, page)
    receipts.catch_up_all(txn, now_ms)
    return unknown


class _Turn:
    def __init__(self, txn: Txn, now_ms: int, rules: Rules) -> None:
        self._txn = txn
        self._now_ms = now_ms
        self._rules = rules
        self._slots = Slots(txn)
        self._spending = Spending(txn)
        self._tally: Counter[tuple[int, State]] = Counter()
        self._sent: dict[int, list[int]] = {}
        self._is_proven = UNPROVEN.count(txn) == 0
        self._is_early = EARLY.count(txn) > 0
        self._sims: dict[int, int] = {}
        self._full: dict[int, tuple[int, bool]] = {}

    def settle(self, landed: list[Landed], choices: list[Choice]) -> list[Claimed]:
        for one in landed:
            if one.flight.claim is not None:
                self._rules.ahead.remove(one.flight.claim)
                one.flight.claim = None  # it leads back to the flight
            if not (one.error is None and one.flight.packed is not None and self._land_row(one, one.flight.packed)):
                self._flush()
                self._land(one)
            if self._is_early:
                self._flush()
                receipts.catch_up(self._txn, one.flight.sim, self._now_ms)
        claimed = self._claim(choices)
        self._flush()
        return claimed

    def _flush(self) -> None:
        self._slots.flush()
        for (group, state), units in self._tally.items():
            messages.count(self._txn, group, state, units)
        self._tally.clear()
        self._spending.save()
        for group, sent in self._sent.items():
            events.append_rows(self._txn, "message.sent", self._now_ms, ids.render("cmp", group), sent)
        self._sent.clear()

    # -- outcomes

    def _land_row(self, one: Landed, packed: Packed) -> bool:
        """Settle a row in its slot; False where it is no row any more, or the claim is not this flight's."""
        flight, now_ms = one.flight, self._now_ms
        group, waiting, feeding = packed.group, packed.waiting, packed.feeding
        slot = self._slots.get(group, waiting.number)
        if slot[0] != State.SENDING or slot[7:] != (flight.sim, flight.at_ms):
            return False
        self._went(flight)
        if self._is_proven:
            sims.accepted(self._txn, flight.sim, one.reference)
        else:
            intents.conclude(self._txn, flight.sim, one.reference, now_ms)
        self._slots.put(
            group, waiting.number, State.SENT, flight.attempt, one.reference,
            flags=slots.HAS_REFERENCE, sim=flight.sim, sent_ms=now_ms,
        )  # fmt: skip
        self._tally[group, State.SENDING] -= 1
        self._tally[group, State.SENT] += 1
        self._sent.setdefault(group, []).append(flight.message)
        if sheets.wants_report(feeding.bulk, flight.message):
            key = (flight.sim, one.reference, waiting.row.number, now_ms)
            REFERENCES.put(self._txn, key, Reference(flight.message, 0))
        return True

    def _land(self, one: Landed) -> None:
        flight, error, txn, now_ms = one.flight, one.error, self._txn, self._now_ms
        self._is_proven = False
        if error is None:
            self._went(flight)
            intents.mark_sent(txn, flight.message, flight.part, one.reference, now_ms)
        elif isinstance(error, SubmitRefused):
            self._refund(flight)
            decision = retry.decide(error.cms, error.cme, flight.attempt, self._rules.random)
            intents.mark_refused(txn, flight.message, flight.part, decision, error.cms, now_ms)
        elif isinstance(error, SubmitUnknown):
            intents.mark_unknown(txn, flight.message, flight.part, error.reason, now_ms)
        else:
            self._refund(flight)
            intents.put_back(txn, flight.message, flight.part, now_ms, flight.sim, flight.at_ms)

    # -- quotas

    def _went(self, flight: Flight) -> None:
        limits = self._rules.limits.get(flight.sim)
        if limits is not None and flight.given_ms:
            quotas.went(self._txn, flight.sim, flight.at_ms, flight.given_ms, limits)

    def _refund(self, flight: Flight) -> None:
        limits = self._rules.limits.get(flight.sim)
        if limits is not None:
            quotas.refund(self._txn, flight.sim, flight.number, flight.at_ms, limits)

    def _gate(self, txn: Txn, asked: list[Message], now_ms: int) -> list[Verdict]:
        """The gate, and behind it the quotas of the SIMs: what passes is spent."""
        verdicts = self._rules.gate(txn, asked, now_ms)
        if not self._rules.limits:
            return verdicts
        return [
            self._spent(message, now_ms) if verdict.sends else verdict
            for message, verdict in zip(asked, verdicts, strict=True)
        ]

    def _spent(self, message: Message, now_ms: int) -> Verdict:
        sim = self._sims[message.id]
        limits = self._rules.limits.get(sim)
        if limits is None:
            return messages.SEND
        # A message that has begun must be able to end: its first part asks for room for all.
        parts = sum(part.state is State.QUEUED for part in message.parts)
        until_ms = quotas.take(self._txn, sim, message.number, now_ms, limits, parts)
        if not until_ms:
            return messages.SEND
        self._full[message.id] = until_ms, quotas.sim_room(self._txn, sim, now_ms, limits) > 0
        return Verdict(State.QUEUED, QUOTA)

    # -- intents

    def _claim(self, choices: list[Choice]) -> list[Claimed]:
        self._sims = {choice.message: choice.sim for choice in choices} if self._rules.limits else {}
        rows: list[tuple[int, Message]] = []
        others: list[int] = []
        for place, choice in enumerate(choices):
            message = self._row(choice) if choice.packed is not None else None
            if message is None:
                others.append(place)
            else:
                rows.append((place, message))
        answers: dict[int, Claimed] = {}
        if others:
            self._flush()
            picks = [Pick(choices[place].message, choices[place].sim) for place in others]
            for place, claimed in zip(others, intents.claim(self._txn, picks, self._now_ms, self._gate), strict=True):
                answers[place] = self._recorded(choices[place], claimed)
        verdicts = self._gate(self._txn, [message for _, message in rows], self._now_ms) if rows else []
        for (place, message), verdict in zip(rows, verdicts, strict=True):
            answers[place] = self._claim_row(choices[place], message, verdict)
        return [answers[place] for place in range(len(choices))]

    def _row(self, choice: Choice) -> Message | None:
        """The message of a row that can be claimed in its slot, or None."""
        if choice.packed is None:
            return None
        packed = choice.packed
        group, waiting, feeding = packed.group, packed.waiting, packed.feeding
        slot = self._slots.get(group, waiting.number)
        if slot[0] != slots.WAITING or waiting.parts != 1 or feeding.fed.expires_ms <= self._now_ms:
            return None
        return sheets.message_of(group, waiting.number, waiting.row, feeding.bulk, feeding.fed, slot, waiting.text, 1)

    def _claim_row(self, choice: Choice, message: Message, verdict: Verdict) -> Claimed:
        if not verdict.sends:
            self._flush()
            intents.obey(self._txn, Pick(choice.message, choice.sim), message, 0, verdict, self._now_ms)
            return Claimed(verdict, message, None, *self._full.get(message.id, (0, False)))
        attempt = message.parts[0].attempt + 1
        self._slots.put(message.group, message.packed_row, State.SENDING, attempt, sim=choice.sim, sent_ms=self._now_ms)
        self._tally[message.group, State.QUEUED] -= 1
        self._tally[message.group, State.SENDING] += 1
        self._spending.move(message.group, 1)
        return Claimed(verdict, message, self._job(choice, message, 0, attempt))

    def _recorded(self, choice: Choice, claimed: intents.Claimed) -> Claimed:
        verdict, message, part = claimed
        if message is None or not verdict.sends:
            return Claimed(verdict, message, None, *self._full.get(choice.message, (0, False)))
        return Claimed(verdict, message, self._job(choice, message, part, message.parts[part].attempt + 1))

    def _job(self, choice: Choice, message: Message, part: int, attempt: int) -> Submission:
        """The submission of a claimed part; from now on a change can take it back."""
        left_s = max(1, (message.expires_ms - self._now_ms) // 1000)
        envelope = messages.envelope(message, _rounded(left_s))
        line = sms.lines(numbers.from_key(message.number), message.text, envelope, message.concatenation)[part]
        flight = Flight(message.id, part, choice.sim, choice.lane, attempt, self._now_ms, choice.packed, message.number)
        # AT+CMGS counts the TPDU, without the empty service centre in front of it.
        job = Submission(line, len(line) // 2 - 1, flight)
        flight.claim = Claim(message.id, part, message.group, message.number, choice.sim, self._now_ms, job)
        self._rules.ahead.add(flight.claim)
        return job


def _rounded(left_s: int) -> int:
    for most_s, step_s in _STEPS_S:
        if left_s <= most_s:
            return left_s - left_s % step_s or left_s
    return left_s
