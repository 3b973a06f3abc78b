"""Status reports: which part each speaks of, and what that makes of it.

Matched on SIM, reference, recipient and time (3GPP TS 23.040 §9.2.3.6: TP-MR is 8 bits and wraps), and for a part
nobody could prove, on the references that could have been its own.  A report may be stored before the outcome of
the part it speaks of: it waits in EARLY until that is settled.
"""

from typing import Final, Protocol

import msgspec

from engine import numbers
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events, intents, messages, sims, unproven
from engine.traffic.intents import INTENTS, REFERENCES, Reference
from engine.traffic.messages import OnUnknown, State

# Networks write the recipient in national or international form; so many last digits must agree.
SUFFIX_DIGITS: Final = 8
VALIDITY_EXPIRED: Final = 0x46
# A SIM needs longer than this to come round to the same reference, and two clocks differ by less.
REPEAT_MS: Final = 10 * 60_000


class Report(Protocol):
    """A decoded SMS-STATUS-REPORT, as far as it matters here."""

    @property
    def reference(self) -> int: ...
    @property
    def recipient(self) -> str: ...
    @property
    def outcome(self) -> int: ...
    @property
    def service_centre_time_ms(self) -> int | None: ...


# A key of REFERENCES and what it leads to.
Expected = tuple[tuple[int, int, int, int], Reference]
# Message, part, and what is known of it.
Candidate = tuple[int, int, unproven.Unproven]


class Early(msgspec.Struct, frozen=True, array_like=True):
    """A report that came before its part's outcome: the same fields as Report."""

    reference: int
    recipient: str
    outcome: int
    service_centre_time_ms: int | None


EARLY: Final = Table("early_reports", Early, "QQ")  # sim, id

TABLES: Final = (EARLY,)


def state_of(outcome: int) -> State | None:
    """What TP-ST means for the part (TS 23.040 §9.2.3.15); None where it stays `sent`: not final, or unconfirmed."""
    if outcome in (0x00, 0x02):
        return State.DELIVERED
    if outcome >= 0x40:
        return State.UNDELIVERED
    return None


def take(txn: Txn, sim: int, report: Report, now_ms: int) -> None:
    """Apply a report, or keep it while it cannot be told which part it speaks of."""
    at_ms = report.service_centre_time_ms or now_ms
    expected = _expected(txn, sim, report, at_ms)
    if expected is not None:
        _apply(txn, expected, report, now_ms)
        return
    if _is_repeat(txn, sim, report, at_ms):
        return
    # A part in the air to the same recipient may be the one meant: its outcome will tell.
    flying = _is_flying(txn, sim, report)
    candidates = _unproven(txn, sim, report)
    if flying or candidates:
        early = Early(report.reference, report.recipient, report.outcome, report.service_centre_time_ms)
        EARLY.put(txn, (sim, ids.take(txn, now_ms)), early)
        if not flying:
            _prove_all(txn, sim, candidates, now_ms)
    else:
        events.append(txn, "report.unmatched", now_ms, "", sim=str(sim), reference=report.reference)


def _is_flying(txn: Txn, sim: int, report: Report) -> bool:
    """Whether a part to that recipient has an intent on the SIM and no outcome."""
    if txn.beside is not None:
        return any(is_same(report.recipient, number) for number in txn.beside.numbers_of(sim))
    return any(intent.sim == sim and _could_mean(txn, report, key[0]) for key, intent in INTENTS.scan(txn))


def catch_up(txn: Txn, sim: int, now_ms: int) -> None:
    """The outcome of the SIM's part in the air is settled: apply what came too early for it."""
    for key, early in list(EARLY.scan(txn, sim)):
        EARLY.remove(txn, key)
        take(txn, sim, early, now_ms)


def catch_up_all(txn: Txn, now_ms: int) -> None:
    """The same for every SIM, after a start."""
    for sim in {sim for (sim, _), _ in EARLY.scan(txn)}:
        catch_up(txn, sim, now_ms)


def _is_repeat(txn: Txn, sim: int, report: Report, at_ms: int) -> bool:
    """Whether the report has told of its part before: a crash before it was deleted, or the network, brings it again.

    It must not prove another part to the same recipient.
    """
    for number in {row.number for _, _, row in unproven.on(txn, sim) if is_same(report.recipient, row.number)}:
        for identifier in messages.of_number(txn, number):
            message = messages.find(txn, identifier)
            for part in message.parts if message is not None else ():
                if (part.sim, part.reference) == (sim, report.reference) and abs(part.sent_ms - at_ms) <= REPEAT_MS:
                    return part.outcome >= 0
    return False


def _could_mean(txn: Txn, report: Report, message_id: int) -> bool:
    message = messages.find(txn, message_id)
    return message is not None and is_same(report.recipient, message.number)


def _apply(txn: Txn, expected: Expected, report: Report, now_ms: int) -> None:
    """Write the report into the part it speaks of."""
    key, reference = expected
    state = state_of(report.outcome)
    if state is None:
        _note(txn, reference.message, reference.part, report, now_ms)
        return
    reason = "" if state is State.DELIVERED else _reason(report.outcome)
    intents.mark_report(txn, reference.message, reference.part, report.outcome, state, reason, now_ms)
    if state is State.DELIVERED:
        REFERENCES.remove(txn, key)


def _note(txn: Txn, message_id: int, part: int, report: Report, now_ms: int) -> None:
    """Keep a report that decides nothing as an event."""
    events.append(txn, "message.report", now_ms, messages.name(message_id), part=part + 1, outcome=report.outcome)


def _reason(outcome: int) -> str:
    return "validity_expired" if outcome == VALIDITY_EXPIRED else f"report_{outcome:02x}"


def _expected(txn: Txn, sim: int, report: Report, at_ms: int) -> Expected | None:
    """The waiting part of that SIM, reference and recipient which was sent nearest to the report's time."""
    best: tuple[int, Expected] | None = None
    for key, reference in REFERENCES.scan(txn, sim, report.reference):
        _, _, number, sent_ms = key
        if not is_same(report.recipient, number):
            continue
        distance = abs(sent_ms - at_ms)
        if best is None or distance < best[0]:
            best = (distance, (key, reference))
    return None if best is None else best[1]


def _unproven(txn: Txn, sim: int, report: Report) -> list[Candidate]:
    """The unknown parts to that recipient whose reference could be the report's, oldest first."""
    rows = sorted(unproven.on(txn, sim), key=lambda entry: (entry[2].at_ms, entry[:2]))
    is_believed = sims.find(txn, sim).is_believed
    candidates = []
    for identifier, index, row in rows:
        if row.reference >= 0:
            could_be = report.reference == row.reference
        else:
            between = (row.sent, row.after, row.following)
            alike = sum((other.sent, other.after, other.following) == between for _, _, other in rows)
            if is_believed and row.following >= 0:
                alike = min(alike, (row.following - row.after - 1) % 256)
            could_be = row.after < 0 or (report.reference - row.after - 1) % 256 < alike
        if could_be and is_same(report.recipient, row.number):
            candidates.append((identifier, index, row))
    return candidates


def _prove_all(txn: Txn, sim: int, candidates: list[Candidate], now_ms: int) -> None:
    """Where there are as many references as unknown parts that could have had them, each part has its own, in order."""
    reports: dict[int, tuple[tuple[int, int], Early]] = {}
    for key, early in EARLY.scan(txn, sim):
        at_ms = early.service_centre_time_ms or now_ms
        # One that a known part waits for, and that is only not caught up yet, proves nothing else.
        if _expected(txn, sim, early, at_ms) is None and _unproven(txn, sim, early) == candidates:
            reports[early.reference] = (key, early)
    if len(reports) != len(candidates):
        _rule_out(txn, sim, candidates, now_ms)
        return
    after = candidates[0][2].after
    in_order = sorted(reports, key=lambda reference: (reference - after - 1) % 256)
    for candidate, reference in zip(candidates, in_order, strict=True):
        key, early = reports[reference]
        EARLY.remove(txn, key)
        _prove(txn, sim, candidate, early, early.service_centre_time_ms or now_ms, now_ms)


def _rule_out(txn: Txn, sim: int, candidates: list[Candidate], now_ms: int) -> None:
    """Nobody can tell which of the candidates went; but where reports to them and others name every reference that
    their SIM gave meanwhile, what went to anybody else was never tried.
    """
    first = candidates[0][2]
    between = (first.sent, first.after, first.following)
    if first.reference >= 0 or min(between) < 0 or not sims.find(txn, sim).is_believed:
        return
    told: dict[int, set[str]] = {}  # one may be of a part that had the same reference a round before
    for _, early in EARLY.scan(txn, sim):
        own = {(row.sent, row.after, row.following) for _, _, row in _unproven(txn, sim, early)}
        if own == {between} and _expected(txn, sim, early, early.service_centre_time_ms or now_ms) is None:
            told.setdefault(early.reference, set()).add(early.recipient)
    if len(told) == (first.following - first.after - 1) % 256:
        others = [
            (identifier, index)
            for identifier, index, row in unproven.on(txn, sim)
            if row.reference < 0
            and (row.sent, row.after, row.following) == between
            and not any(is_same(recipient, row.number) for recipients in told.values() for recipient in recipients)
        ]
        intents.wait_again(txn, sim, others, now_ms)


def _prove(txn: Txn, sim: int, candidate: Candidate, report: Report, at_ms: int, now_ms: int) -> None:
    """The report shows that an unknown part went; under `hold` that is evidence for a person, not a verdict."""
    identifier, index, _ = candidate
    if identifier == unproven.SETTLED:
        intents.prove_settled(txn, sim, index, report.reference, now_ms)
        events.append(txn, "report.unmatched", now_ms, "", sim=str(sim), reference=report.reference)
        return
    message = messages.get(txn, identifier)
    if message.on_unknown is OnUnknown.HOLD:
        _note(txn, identifier, index, report, now_ms)
        return
    intents.prove_sent(txn, identifier, index, report.reference, at_ms, now_ms)
    _apply(txn, ((sim, report.reference, message.number, at_ms), Reference(identifier, index)), report, now_ms)


def is_same(recipient: str, number: int) -> bool:
    """Whether a report's recipient is that number, in whichever form the network writes it."""
    full = numbers.from_key(number)
    if recipient == full:
        return True
    digits = recipient.lstrip("+0")
    return len(digits) >= SUFFIX_DIGITS and full.endswith(digits[-SUFFIX_DIGITS:])
