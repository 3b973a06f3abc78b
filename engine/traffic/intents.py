"""Intents: the durable promise, written before any octet of a PDU, that this part goes to this SIM now.

    claim ──► SENDING ──► mark_sent      +CMGS and OK
                     ├──► put_back       no octet of the PDU was written
                     ├──► mark_refused   the modem or the network said no: again later, or for good
                     └──► mark_unknown   nobody can prove what became of it

After a crash a part is either still queued or has an intent, where `recover` finds it.  Under `hold` and
`await_report` an unknown part is never sent again without proof that it did not go.
"""

from collections import Counter
from typing import Any, Final, NamedTuple

import msgspec

from engine.errors import Conflict
from engine.store.table import Table, Txn
from engine.traffic import costs, messages, quotas, retry, sheets, sims, slots, unproven
from engine.traffic.messages import Gate, Message, OnUnknown, Part, Pick, Resolution, State, Verdict
from engine.traffic.page import ACCEPTED, NOT_SENT, Entry, Page
from engine.traffic.retry import Again, GiveUp
from engine.traffic.spending import Spending
from engine.traffic.unproven import SETTLED, UNPROVEN, Unproven

_GONE: Final = Verdict(State.CANCELLED, "not_waiting")
_EXPIRED: Final = Verdict(State.EXPIRED, "deadline_passed")
_OTHER_SIM: Final = Verdict(State.QUEUED, "other_sim")


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """Which SIM, which attempt (1 for the first), since when."""

    sim: int
    attempt: int
    at_ms: int


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """The part that a status report for this SIM, reference and recipient speaks of."""

    message: int
    part: int


INTENTS: Final = Table("intents", Intent, "QB")  # message, part
REFERENCES: Final = Table("references", Reference, "QBQQ")  # sim, reference, number, sent_ms

TABLES: Final = (INTENTS, REFERENCES)

# Outcomes (3GPP TS 23.040 §9.2.3.15) that are permanent and the number's own fault: not that somebody deleted the text.
_NEVER: Final = frozenset(range(0x40, 0x46))
_TOO_LATE: Final = 0x46
# A phone that was off for so long while a text waited for it counts as one that cannot be reached.
LONG_ENOUGH_MS: Final = 12 * 3_600_000

_Unproven = tuple[tuple[Any, ...], Unproven]


class Claimed(NamedTuple):
    """What became of a pick: the verdict, the message as it was found (None where there is none), which part."""

    verdict: Verdict
    message: Message | None
    part: int


def claim(txn: Txn, picks: list[Pick], now_ms: int, gate: Gate) -> list[Claimed]:
    """Write the intent for the next part of each message that the gate lets through; one answer per pick.

    All in one transaction, before a PDU is written to any line.
    """
    found = [messages.find(txn, pick.message) for pick in picks]
    asked = [
        message
        for pick, message in zip(picks, found, strict=True)
        if message is not None and _refusal(message, pick, now_ms) is None
    ]
    said = dict(zip((message.id for message in asked), gate(txn, asked, now_ms), strict=True))
    results: list[Claimed] = []
    taken: set[int] = set()
    for pick, message in zip(picks, found, strict=True):
        if message is None or pick.message in taken:
            results.append(Claimed(_GONE, message, 0))
            continue
        taken.add(pick.message)
        verdict = _refusal(message, pick, now_ms) or said[message.id]
        part = next((index for index, part in enumerate(message.parts) if part.state is State.QUEUED), 0)
        if verdict is not _GONE:
            obey(txn, pick, message, part, verdict, now_ms)
        results.append(Claimed(verdict, message, part))
    return results


def _refusal(message: Message, pick: Pick, now_ms: int) -> Verdict | None:
    """Why this message may not be claimed, before the gate is asked; None where it may."""
    if message.state not in messages.OPEN and message.state is not State.UNKNOWN:
        return _GONE
    if message.packed_row >= 0 and message.state is State.ACCEPTED:
        return _GONE  # it was not fed
    if all(part.state is not State.QUEUED for part in message.parts):
        return _GONE
    if message.expires_ms <= now_ms:
        return _EXPIRED
    return None if messages.pinned_to(message) in (0, pick.sim) else _OTHER_SIM


def expire(txn: Txn, identifiers: list[int], now_ms: int) -> list[int]:
    """End those of the messages that have parts to claim and whose deadline has passed; which those were."""
    expired = []
    for identifier in identifiers:
        message = messages.find(txn, identifier)
        if message is not None and _refusal(message, Pick(identifier, 0), now_ms) is _EXPIRED:
            obey(txn, Pick(identifier, 0), message, 0, _EXPIRED, now_ms)
            expired.append(identifier)
    return expired


def obey(txn: Txn, pick: Pick, message: Message, index: int, verdict: Verdict, now_ms: int) -> None:
    """Do with a message what the verdict on its part `index` says."""
    if verdict.sends:
        part = message.parts[index]
        attempt = part.attempt + 1
        INTENTS.put(txn, (message.id, index), Intent(pick.sim, attempt, now_ms))
        claimed = msgspec.structs.replace(part, state=State.SENDING, sim=pick.sim, attempt=attempt, reference=-1)
        _change(txn, message, index, claimed, now_ms)
    elif verdict.state in messages.WAITING:
        if verdict.until_ms:
            _hold(txn, message, verdict, now_ms)
    elif message.state in messages.WAITING:
        messages.end(txn, message, verdict.state, verdict.reason, now_ms)
    else:
        # Some of its parts went: what is left ends the message as failed, never as if nothing had been sent.
        messages.fail_rest(txn, message, verdict.reason or verdict.state.slug, now_ms)


def _hold(txn: Txn, message: Message, verdict: Verdict, now_ms: int) -> None:
    messages.leave_line(txn, message)
    state = verdict.state if message.state in messages.WAITING else message.state
    held = msgspec.structs.replace(message, state=state, reason=verdict.reason, due_ms=verdict.until_ms)
    messages.line_up(txn, messages.store(txn, message, held, now_ms))


def _change(txn: Txn, message: Message, index: int, part: Part, now_ms: int, reason: str = "", error: int = -1) -> None:
    """Replace one part; the message's state and its place in the due line follow."""
    parts = (*message.parts[:index], part, *message.parts[index + 1 :])
    waits = any(part.state is State.QUEUED for part in parts)
    waited = any(part.state is State.QUEUED for part in message.parts)
    untouched = all(part.state is State.QUEUED for part in parts)
    state = State.QUEUED if untouched else messages.rolled_up(parts)
    if state is message.state and not reason:
        # News of one part does not unsay why the message is where it is.
        reason, error = message.reason, message.error
    changed = msgspec.structs.replace(message, parts=parts, state=state, reason=reason, error=error)
    if waited and not waits:
        messages.leave_line(txn, message)
    changed = messages.store(txn, message, changed, now_ms)
    if waits and not waited:
        messages.line_up(txn, changed)


def _closed(txn: Txn, identifier: int, part: int, sim: int = 0, at_ms: int = 0) -> Message | None:
    """The message, its part's intent taken away; None where there is none, or not that of `sim` since `at_ms`."""
    intent = INTENTS.find(txn, (identifier, part))
    if intent is not None:
        if sim and (intent.sim, intent.at_ms) != (sim, at_ms):
            return None
        INTENTS.remove(txn, (identifier, part))
        return messages.get(txn, identifier)
    message = messages.find(txn, identifier)
    if message is None or message.packed_row < 0 or message.state is not State.SENDING:
        return None
    claimed_ms = slots.find(txn, message.group, message.packed_row)[-1]
    return None if sim and (message.parts[0].sim, claimed_ms) != (sim, at_ms) else message


def mark_sent(txn: Txn, identifier: int, index: int, reference: int, now_ms: int) -> None:
    """The network took the part and the modem gave `reference`."""
    message = _closed(txn, identifier, index)
    if message is None:
        return
    part = message.parts[index]
    conclude(txn, part.sim, reference, now_ms)
    # Read again: the message may have been among those concluded about.
    message = messages.get(txn, identifier)
    sent = msgspec.structs.replace(part, state=State.SENT, reference=reference, sent_ms=now_ms)
    expect_report(txn, message, index, sent)
    _change(txn, message, index, sent, now_ms)


def expect_report(txn: Txn, message: Message, index: int, part: Part) -> None:
    """Remember whom a report for this SIM and reference will speak of, if one was asked for."""
    if message.wants_report:
        key = (part.sim, part.reference, message.number, part.sent_ms)
        REFERENCES.put(txn, key, Reference(message.id, index))


def put_back(txn: Txn, identifier: int, index: int, now_ms: int, sim: int = 0, at_ms: int = 0) -> bool:
    """No octet of the PDU was written: the part waits again and the attempt is not counted.

    With `sim` and `at_ms`, only where the open intent is that SIM's of that time.  False where there is no intent.
    """
    message = _closed(txn, identifier, index, sim, at_ms)
    if message is None:
        return False
    _requeue(txn, message, index, now_ms, now_ms, counted=False)
    return True


def _requeue(txn: Txn, message: Message, index: int, due_ms: int, now_ms: int, *, counted: bool) -> None:
    if any(part.state is State.FAILED for part in message.parts):
        # The message has failed meanwhile: nothing more of it goes.
        _change(txn, message, index, msgspec.structs.replace(message.parts[index], state=State.FAILED), now_ms)
        return
    messages.leave_line(txn, message)
    part = message.parts[index]
    attempt = part.attempt if counted else part.attempt - 1
    # Parts that went pin the message to their SIM; a message of which nothing went may leave by any.
    # Whom it was refused by, it avoids where it can.
    waiting = Part(sim=part.sim if counted else 0, attempt=attempt)
    parts = (*message.parts[:index], waiting, *message.parts[index + 1 :])
    untouched = all(part.state is State.QUEUED for part in parts)
    state = State.QUEUED if untouched else messages.rolled_up(parts)
    changed = msgspec.structs.replace(message, parts=parts, state=state, due_ms=due_ms)
    messages.line_up(txn, messages.store(txn, message, changed, now_ms))


def mark_refused(
    txn: Txn, identifier: int, index: int, decision: Again | GiveUp, error: int | None, now_ms: int
) -> None:
    """The part was certainly not taken: wait and try again, or fail with the message."""
    message = _closed(txn, identifier, index)
    if message is None:
        return
    if isinstance(decision, Again):
        _requeue(txn, message, index, now_ms + decision.after_ms, now_ms, counted=True)
        return
    part = msgspec.structs.replace(message.parts[index], state=State.FAILED)
    number = -1 if error is None else error
    _change(txn, message, index, part, now_ms, decision.reason, number)
    messages.fail_rest(txn, messages.get(txn, identifier), decision.reason, now_ms)
    if txn.told is not None and retry.is_of_number(error):
        txn.told(txn, message.number, False, now_ms)


def mark_unknown(
    txn: Txn, identifier: int, index: int, reason: str, now_ms: int, *, is_order_known: bool = True
) -> None:
    """Nobody can prove whether the part went; its message's policy decides what follows.

    `is_order_known` says that its SIM was given it later than all that is unknown on it.
    """
    message = _closed(txn, identifier, index)
    if message is None:
        return
    part = message.parts[index]
    known = sims.find(txn, part.sim)
    # The clock may have been set back meanwhile, and two may be found at once.
    latest_ms = max((row.at_ms + is_order_known for _, row in UNPROVEN.scan(txn, part.sim)), default=0)
    row = Unproven(message.number, known.reference, known.sent, max(now_ms, latest_ms))
    if message.on_unknown is OnUnknown.RESEND:
        unproven.keep_settled(txn, part.sim, row)
        _requeue(txn, message, index, now_ms, now_ms, counted=True)
        return
    UNPROVEN.put(txn, (part.sim, identifier, index), row)
    _change(txn, message, index, msgspec.structs.replace(part, state=State.UNKNOWN), now_ms, reason)


def conclude(txn: Txn, sim: int, reference: int, now_ms: int) -> None:
    """Learn from the next accepted reference what became of the unknown parts before it on the same SIM.

    None was tried if it follows the last known one at once: they wait again, under every policy.  All were, if it
    leaves room for each: then each one's own reference is known, and a report for it can speak.  Of a SIM that has not
    been seen to step by one it is said once it has.  Where only some were tried, reports tell which (`_follow`).
    """
    known = sims.find(txn, sim)
    rows = [(key, row) for key, row in UNPROVEN.scan(txn, sim) if row.reference < 0]
    since = [(key, row) for key, row in rows if (row.after, row.sent) == (known.reference, known.sent)]
    sims.accepted(txn, sim, reference, len(since))
    if since and known.reference >= 0:
        _bound(txn, sim, since, known.reference, reference, now_ms if known.is_believed else None)
    if not known.is_believed and sims.find(txn, sim).is_believed:
        waiting: dict[tuple[int, int, int], list[_Unproven]] = {}
        for key, row in rows:
            if row.following >= 0:
                waiting.setdefault((row.sent, row.after, row.following), []).append((key, row))
        for (_, after, following), own in waiting.items():
            _decide(txn, sim, after, following, own, now_ms)
    unproven.forget_settled(txn, sim)


def _bound(txn: Txn, sim: int, rows: list[_Unproven], after: int, following: int, believed_ms: int | None) -> None:
    """These unknown parts, if they were tried, had their references between those two; `believed_ms` is now, or None
    where the SIM has not been seen to step by one."""
    bounded = [(key, msgspec.structs.replace(row, after=after, following=following)) for key, row in rows]
    for key, row in bounded:
        UNPROVEN.put(txn, key, row)
    if bounded and after >= 0 and following >= 0 and believed_ms is not None:
        _decide(txn, sim, after, following, bounded, believed_ms)


def _decide(txn: Txn, sim: int, after: int, following: int, rows: list[_Unproven], now_ms: int) -> None:
    """The unknown parts between two references of a SIM that steps by one: none of them was tried, or all were."""
    tried = (following - after - 1) % 256
    if tried == 0:
        wait_again(txn, sim, [(identifier, index) for (_, identifier, index), _ in rows], now_ms)
    elif tried == len(rows) == len({row.at_ms for _, row in rows}):
        for place, (key, row) in enumerate(sorted(rows, key=lambda entry: entry[1].at_ms)):
            UNPROVEN.put(txn, key, msgspec.structs.replace(row, reference=(after + 1 + place) % 256))


def wait_again(txn: Txn, sim: int, parts: list[tuple[int, int]], now_ms: int) -> None:
    """These unknown parts of a SIM, by message and place, were never tried: they go again, under every policy."""
    for identifier, index in parts:
        UNPROVEN.remove(txn, (sim, identifier, index))
        if identifier == SETTLED:
            continue
        message = messages.get(txn, identifier)
        if message.parts[index].state is State.UNKNOWN:
            _requeue(txn, message, index, now_ms, now_ms, counted=False)


def recover(txn: Txn, now_ms: int, page: Page | None = None) -> int:
    """Settle what had an intent when the last run ended; how many parts became unknown.

    A page that is trusted tells how far each came.  Without one, nobody knows of any.
    """
    trusted = page if page is not None and page.is_trusted else None
    begun = [(identifier, part, intent.sim) for (identifier, part), intent in INTENTS.scan(txn)]
    untouched: list[Message] = []
    for row in sheets.sending(txn, messages.GROUPS):
        sim = row.parts[0].sim
        if trusted is not None and not _may_have_gone(trusted.left(sim, row.id, 0)):
            untouched.append(row)
        else:
            begun.append((row.id, 0, sim))
    _wait_again(txn, untouched, now_ms)
    left = [(one, None if trusted is None else trusted.left(one[2], one[0], one[1])) for one in begun]
    # In the order in which each SIM had them: the reference of one must not speak of another that came behind it.
    left.sort(key=lambda found: found[1] is not None and found[1].is_later)
    unknown = 0
    for (identifier, part, sim), entry in left:
        number, claimed_ms = _claimed(txn, identifier, part)
        may_have_gone = trusted is None or _may_have_gone(entry)
        quotas.recover(txn, sim, number, claimed_ms, now_ms, may_have_gone=may_have_gone)
        if not may_have_gone:
            put_back(txn, identifier, part, now_ms)
        elif entry is not None and entry.how_far == ACCEPTED:
            mark_sent(txn, identifier, part, entry.reference, now_ms)
        else:
            mark_unknown(txn, identifier, part, "crash", now_ms, is_order_known=trusted is not None)
            unknown += 1
    return unknown


def _claimed(txn: Txn, identifier: int, part: int) -> tuple[int, int]:
    """To whom the part goes, and when it was claimed."""
    intent = INTENTS.find(txn, (identifier, part))
    if intent is not None:
        return messages.get(txn, identifier).number, intent.at_ms
    message = messages.get(txn, identifier)
    return message.number, slots.find(txn, message.group, message.packed_row)[-1]


def _may_have_gone(entry: Entry | None) -> bool:
    return entry is not None and entry.how_far != NOT_SENT


def _wait_again(txn: Txn, rows: list[Message], now_ms: int) -> None:
    """Rows of which no octet was written wait in their slots as before; nobody has them in a line yet."""
    opened, spending = slots.opened(txn), Spending(txn)
    for row in rows:
        part, claimed_ms = row.parts[0], opened.get(row.group, row.packed_row)[-1]
        quotas.recover(txn, part.sim, row.number, claimed_ms, now_ms, may_have_gone=False)
        opened.put(row.group, row.packed_row, slots.WAITING, part.attempt - 1)
        spending.move(row.group, -1, -costs.price(txn, row.number, row.tag, row.purpose, part.sim))
    opened.flush()
    spending.save(now_ms)
    for group, units in Counter(row.group for row in rows).items():
        messages.count(txn, group, State.SENDING, -units)
        messages.count(txn, group, State.QUEUED, units)


def prove_sent(txn: Txn, identifier: int, index: int, reference: int, sent_ms: int, now_ms: int) -> None:
    """An unknown part did go: a report, or a person, says so."""
    part = messages.get(txn, identifier).parts[index]
    row = UNPROVEN.find(txn, (part.sim, identifier, index))
    UNPROVEN.remove(txn, (part.sim, identifier, index))
    if row is not None and reference >= 0:
        _follow(txn, part.sim, row, reference, now_ms)
    elif row is not None:
        unproven.keep_settled(txn, part.sim, row)
    # Read again: another part of it may have been concluded about.
    message = messages.get(txn, identifier)
    sent = msgspec.structs.replace(part, state=State.SENT, reference=reference, sent_ms=sent_ms)
    if reference >= 0:
        expect_report(txn, message, index, sent)
    _change(txn, message, index, sent, now_ms)


def prove_settled(txn: Txn, sim: int, index: int, reference: int, now_ms: int) -> None:
    """What was settled in place `index` did go: a report says so, and nobody waits for it."""
    row = UNPROVEN.find(txn, (sim, SETTLED, index))
    UNPROVEN.remove(txn, (sim, SETTLED, index))
    if row is not None:
        _follow(txn, sim, row, reference, now_ms)


def _follow(txn: Txn, sim: int, proven: Unproven, reference: int, now_ms: int) -> None:
    """A part is known to have had `reference`: what its SIM was given before has one before that, or none, and what
    it was given later one behind it, or none."""
    after, following = proven.after, proven.following
    known = sims.find(txn, sim)
    is_first = after >= 0 and reference == (after + 1) % 256
    is_last = following >= 0 and following == (reference + 1) % 256
    if after >= 0 and following >= 0 and (reference - after - 1) % 256 >= (following - after - 1) % 256:
        return  # not between the two: this SIM does not step by one
    earlier: list[_Unproven] = []
    later: list[_Unproven] = []
    for key, row in UNPROVEN.scan(txn, sim):
        if row.reference >= 0 or (row.sent, row.after, row.following) != (proven.sent, after, following):
            continue
        # Where nobody knows which of the two came first, only one side may have room for it.
        if row.at_ms > proven.at_ms or (row.at_ms == proven.at_ms and is_first):
            later.append((key, row))
        elif row.at_ms < proven.at_ms or is_last:
            earlier.append((key, row))
        else:
            # It may be on either side: the gap stays as it is, with one reference of it taken.
            unproven.keep_settled(txn, sim, proven)
            return
    if (known.reference, known.sent) == (after, proven.sent):
        sims.put(txn, known._replace(reference=reference))
    believed_ms = now_ms if known.is_believed else None
    if after >= 0:
        _bound(txn, sim, earlier, after, reference, believed_ms)
    _bound(txn, sim, later, reference, following, believed_ms)


def resolve(txn: Txn, identifier: int, resolution: Resolution, now_ms: int) -> Message:
    """A person decides about an unknown message.  Raises NotFound, Conflict where it is not unknown."""
    message = messages.get(txn, identifier)
    if message.state is not State.UNKNOWN:
        raise Conflict(f"the message is {message.state.slug}, not unknown")
    for index, part in enumerate(message.parts):
        if part.state is not State.UNKNOWN:
            continue
        if resolution is Resolution.SENT:
            prove_sent(txn, identifier, index, -1, now_ms, now_ms)
            continue
        row = UNPROVEN.find(txn, (part.sim, identifier, index))
        UNPROVEN.remove(txn, (part.sim, identifier, index))
        if row is not None:
            unproven.keep_settled(txn, part.sim, row)
        now = messages.get(txn, identifier)
        if resolution is Resolution.RESEND:
            _requeue(txn, now, index, now_ms, now_ms, counted=True)
        else:
            _change(txn, now, index, msgspec.structs.replace(part, state=State.FAILED), now_ms, "resolved_failed")
    if resolution is Resolution.FAILED:
        messages.fail_rest(txn, messages.get(txn, identifier), "resolved_failed", now_ms)
    return messages.get(txn, identifier)


def mark_report(txn: Txn, identifier: int, index: int, outcome: int, state: State, reason: str, now_ms: int) -> bool:
    """Write a status report's outcome into its part; whether that changed anything.  Never downgrades."""
    message = messages.find(txn, identifier)
    if message is None:
        return False
    part = message.parts[index]
    if part.state is State.DELIVERED or part.state not in (State.SENT, State.UNDELIVERED):
        return False
    if txn.told is not None:
        _tell_of_number(txn, message, part, outcome, state, now_ms)
    if message.packed_row >= 0 and messages.report_row(txn, message, outcome, state, reason, now_ms):
        return True
    reported = msgspec.structs.replace(part, state=state, outcome=outcome, reported_ms=now_ms)
    _change(txn, message, index, reported, now_ms, reason)
    return True


def _tell_of_number(txn: Txn, message: Message, part: Part, outcome: int, state: State, now_ms: int) -> None:
    """Say what a report says of the number: once of a message, however many parts it has."""
    if state is State.DELIVERED:
        txn.told(txn, message.number, True, now_ms)
    elif all(known.state is not State.UNDELIVERED for known in message.parts) and (
        outcome in _NEVER or (outcome == _TOO_LATE and message.expires_ms - part.sent_ms >= LONG_ENOUGH_MS)
    ):
        txn.told(txn, message.number, False, now_ms)
