"""Settling: one turn's change.  The outcomes of the parts that landed, then the intents of those that go next.

Most of a rack's work are rows of campaigns in one part that nothing out of the ordinary happens to: they are settled in
their slots, with one word for all of them to the tally and the event log.  Everything else goes the long way
(engine/traffic/intents.py), and says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

import msgspec

from engine import numbers, sms
from engine._flights import Flight
from engine._settling import Rows, alike
from engine.config import Limits
from engine.errors import SubmitRefused, SubmitUnknown
from engine.modem.pool import Submission
from engine.store import ids
from engine.store.table import Note, Txn
from engine.traffic import costs, events, intents, messages, quotas, receipts, retry, sheets, sims, slots, unproven
from engine.traffic.ahead import Ahead
from engine.traffic.intents import REFERENCES, Reference
from engine.traffic.message import Asked, Gate, Message, Pick, State, Verdict
from engine.traffic.page import Page
from engine.traffic.receipts import EARLY
from engine.traffic.routing import Routing
from engine.traffic.spending import Spending
from engine.traffic.unproven import UNPROVEN

COUNTED: Final = "counted"  # notes of this name tell the scheduler from when a quota counts a flight
QUOTA: Final = "quota"  # why a message waits whose SIM has sent what it may

# Steps of the relative validity period (3GPP TS 23.040 §9.2.3.12.1): what is left is rounded down to one, so that
# neighbours have the same envelope.
_STEPS_S: Final = ((12 * 3600, 300), (24 * 3600, 1800), (30 * 86400, 86400))


class Claimed(msgspec.Struct, frozen=True):
    """What became of a flight that is no row in one part, or may not go: the verdict, and the message as it was found
    (None where there is none).

    Where a quota of the SIM is reached, `full_ms` tells until when, and `is_full` whether for everybody.
    """

    verdict: Verdict
    message: Message | None
    full_ms: int = 0
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What a turn asks beside the store: `limits` are those of the SIMs that have any."""

    gate: Gate
    random: Random
    ahead: Ahead
    routing: Routing
    limits: Mapping[int, Limits] = field(default_factory=dict)


def settle(txn: Txn, landed: list[Flight], chosen: list[Flight], now_ms: int, rules: Rules) -> list[Claimed | None]:
    """One turn's change.  Those of the chosen that may go have their job then; one answer for each.

    None for the ordinary: a row that may go.
    """
    turn = _Turn(txn, now_ms, rules)
    turn.land(landed)
    claimed = turn.claim(chosen)
    turn.flush()
    return claimed


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
        self._slots = slots.opened(txn)
        self._rows = Rows(self._slots, now_ms)
        self._sims: dict[int, int] = {}
        self._full: dict[int, tuple[int, bool]] = {}
        # By group, what its rows cost whose moves were not written yet.
        self._costs: dict[int, int] = {}
        # By SIM, the parts of messages that begin with this change and will follow: their room is nobody else's.
        self._following: dict[int, int] = {}

    def flush(self) -> None:
        """Write what the rows moved: nobody else may look before."""
        txn, rows = self._txn, self._rows
        self._slots.flush()
        if rows.moves:
            spending = Spending(txn)
            for group, moves in rows.moves.items():
                for state, units in (
                    (State.QUEUED, moves.queued), (State.SENDING, moves.sending), (State.SENT, moves.went)
                ):  # fmt: skip
                    if units:
                        messages.count(txn, group, state, units)
                spending.move(group, moves.spent, self._costs.get(group, 0))
                if moves.sent:
                    events.append_rows(txn, self._now_ms, ids.render("cmp", group), bytes(moves.sent))
            spending.save(self._now_ms)
            self._costs.clear()
        if rows.references:
            sims.accepted_all(txn, rows.references)
        for flight in rows.reported:
            key = (flight.sim, flight.reference, flight.number, self._now_ms)
            REFERENCES.put(txn, key, Reference(flight.message, 0))
        rows.clear()

    # -- outcomes

    def land(self, landed: list[Flight]) -> None:
        """Settle what landed, in its order."""
        limits, rows = self._rules.limits, self._rows
        # Where parts of a SIM are unknown, its next reference may tell of them.
        doubted = set[int]()
        if UNPROVEN.any(self._txn):
            doubted = {sim for sim in {flight.sim for flight in landed} if unproven.are_any(self._txn, sim)}
        if limits or self._rules.routing.is_sticky:
            for flight in landed:
                if flight.error is None or isinstance(flight.error, SubmitUnknown):
                    self._count(flight)
                if flight.error is None:
                    self._rules.routing.accepted(self._txn, flight.number, flight.sim, self._now_ms)
        place = rows.land(landed, 0, doubted)
        while place < len(landed):
            flight = landed[place]
            self.flush()
            self._land(flight)
            if unproven.are_any(self._txn, flight.sim):
                doubted.add(flight.sim)
            place = rows.land(landed, place + 1, doubted)
        if EARLY.any(self._txn):
            self.flush()
            for sim in {flight.sim for flight in landed}:
                receipts.catch_up(self._txn, sim, self._now_ms)

    def _land(self, flight: Flight) -> None:
        error, txn, now_ms = flight.error, self._txn, self._now_ms
        if error is None:
            intents.mark_sent(txn, flight.message, flight.part, flight.reference, now_ms)
        elif isinstance(error, SubmitRefused):
            self._refund(flight)
            decision = retry.decide(error.cms, error.cme, flight.attempt, self._rules.random)
            intents.mark_refused(txn, flight.message, flight.part, decision, error.cms, now_ms)
        elif isinstance(error, SubmitUnknown):
            intents.mark_unknown(txn, flight.message, flight.part, error.reason, now_ms)
        elif intents.put_back(txn, flight.message, flight.part, now_ms, flight.sim, flight.at_ms):
            # A change that took it back has refunded it.
            self._refund(flight)

    # -- quotas

    def _count(self, flight: Flight) -> None:
        """Count a part that may go, or may have gone, from when it was given; where it was not, from now."""
        limits = self._rules.limits.get(flight.sim)
        if limits is None:
            return
        was_ms, is_ms = flight.counted_ms or flight.at_ms, flight.given_ms or self._now_ms
        if is_ms > was_ms:
            quotas.went(self._txn, flight.sim, was_ms, is_ms, limits)
            # Not at once: this change may be undone.
            self._txn.notes.append(Note(COUNTED, (flight.message, flight.part), (flight, is_ms)))

    def _count_ahead(self, sims: set[int]) -> None:
        """The same for all that these SIMs have not sent yet: it goes before what they are given now."""
        for flight in list(self._rules.ahead.flights):
            if flight.sim in sims:
                self._count(flight)

    def _refund(self, flight: Flight) -> None:
        limits = self._rules.limits.get(flight.sim)
        if limits is not None:
            quotas.refund(self._txn, flight.sim, flight.number, flight.at_ms, limits, flight.counted_ms)

    def _gate(self, txn: Txn, asked: Sequence[Asked], now_ms: int) -> list[Verdict]:
        """The gate, and behind it the quotas of the SIMs: what passes is spent."""
        verdicts = self._rules.gate(txn, asked, now_ms)
        if not self._rules.limits:
            return verdicts
        return [
            self._spent(message, now_ms) if verdict.sends else verdict
            for message, verdict in zip(asked, verdicts, strict=True)
        ]

    def _spent(self, message: Asked, now_ms: int) -> Verdict:
        sim = self._sims[message.id]
        limits = self._rules.limits.get(sim)
        if limits is None:
            return messages.SEND
        # A message that has begun must be able to end: its first part asks for room for all of them.
        is_under_way = isinstance(message, Message) and messages.pinned_to(message) != 0
        parts = 1 if is_under_way else message.waiting_parts
        following = self._following.get(sim, 0)
        until_ms = quotas.take(self._txn, sim, message.number, now_ms, limits, parts + following)
        if not until_ms:
            self._following[sim] = following + parts - 1
            return messages.SEND
        self._full[message.id] = until_ms, quotas.sim_room(self._txn, sim, now_ms, limits) > 0
        return Verdict(State.QUEUED, QUOTA)

    # -- intents

    def claim(self, chosen: list[Flight]) -> list[Claimed | None]:
        """Write the intents of what may go."""
        if self._rules.limits:
            self._sims = {flight.message: flight.sim for flight in chosen}
            self._count_ahead(set(self._sims.values()))
        answers: dict[Flight, Claimed] = {}
        rows, others = self._rows.sorted(chosen)
        if others:
            self.flush()
            self._claim_recorded(others, answers)
        if rows:
            self._claim_rows(rows, answers)
        return [answers.get(flight) for flight in chosen] if answers else [None] * len(chosen)

    def _claim_recorded(self, chosen: list[Flight], answers: dict[Flight, Claimed]) -> None:
        picks = [Pick(flight.message, flight.sim) for flight in chosen]
        for flight, claimed in zip(chosen, intents.claim(self._txn, picks, self._now_ms, self._gate), strict=True):
            verdict, message, part = claimed
            if message is None or not verdict.sends:
                answers[flight] = Claimed(verdict, message, *self._full.get(flight.message, (0, False)))
                continue
            answers[flight] = Claimed(verdict, message)
            flight.claim(part, message.group, message.number, message.parts[part].attempt + 1, self._now_ms)
            envelope = messages.envelope(message, self._left_s(message.expires_ms))
            lines = sms.lines(numbers.from_key(message.number), message.text, envelope, message.concatenation)
            line = lines[part]
            # AT+CMGS counts the TPDU, without the empty service centre in front of it.
            flight.job = Submission(line, len(line) // 2 - 1, flight)
            # From now on a change can take it back.
            self._rules.ahead.flights[flight] = None

    def _claim_rows(self, chosen: list[Flight], answers: dict[Flight, Claimed]) -> None:
        asked = [flight.packed for flight in chosen if flight.packed is not None]
        verdicts = self._gate(self._txn, asked, self._now_ms)
        going = chosen
        if verdicts.count(messages.SEND) < len(verdicts):
            going = []
            self.flush()
            for flight, row, verdict in zip(chosen, asked, verdicts, strict=True):
                if verdict.sends:
                    going.append(flight)
                    continue
                message = sheets.message_in_line(self._txn, row)
                intents.obey(self._txn, Pick(flight.message, flight.sim), message, 0, verdict, self._now_ms)
                answers[flight] = Claimed(verdict, message, *self._full.get(flight.message, (0, False)))
        if self._txn.price is not None and self._rules.routing.are_priced:
            for flight in going:
                self._charge(flight)
        place = 0
        while place < len(going):
            # Neighbours mostly say the same: then the text is measured and encoded once for all of them.
            destinations = alike(going, place)
            said, end = going[place].packed, place + len(destinations)
            assert said is not None  # noqa: S101  what was chosen for its slot is a row
            envelope = messages.envelope_of_row(self._left_s(said.expires_ms), wants_report=said.wants_report)
            lines = sms.batch(destinations, said.text, None, envelope)
            self._rows.claim(going[place:end], lines, self._rules.ahead.flights, Submission)
            place = end

    def _charge(self, flight: Flight) -> None:
        row = flight.packed
        assert row is not None  # noqa: S101  what was chosen for its slot is a row
        minor = costs.price(self._txn, row.number, row.tag, row.purpose, flight.sim)
        self._costs[row.group] = self._costs.get(row.group, 0) + minor

    def _left_s(self, expires_ms: int) -> int:
        return _rounded(max(1, (expires_ms - self._now_ms) // 1000))


def _rounded(left_s: int) -> int:
    for most_s, step_s in _STEPS_S:
        if left_s <= most_s:
            return left_s - left_s % step_s or left_s
    return left_s
