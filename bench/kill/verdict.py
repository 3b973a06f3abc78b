"""The verdict: what the ledger and the store say of a round, held against what was promised."""

from collections import Counter, defaultdict
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Final

from bench.kill.errand import Addressee
from bench.rig import Submitted
from engine import numbers
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.unproven import SETTLED, UNPROVEN

ENDED: Final = frozenset({"delivered", "undelivered", "suppressed", "cancelled", "expired", "failed"})
_OPEN_PARTS: Final = ("accepted", "queued", "held", "sending", "sent")


@dataclass
class Verdict:
    """What came of one round: refs of messages by what was done to them, and `broken` promises in words.

    `unknown_after` is how many were unknown after each restart, `passed` what sites the last life passed.
    """

    kills: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unknown_after: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)


def is_ended(message: dict[str, Any]) -> bool:
    """Whether nothing more comes of it by itself; an unknown part waits for a report that may never come."""
    return message["state"] in ENDED or not any(message["parts"].get(state) for state in _OPEN_PARTS)


def pieces_of(parts: list[Submitted]) -> dict[int, str]:
    """The texts of one message's parts by their place, however often they went."""
    return {(part.header or (0, 1, 1))[2]: part.text for part in parts}


def is_whole(parts: list[Submitted]) -> bool:
    """Whether these are all parts of their message."""
    return bool(parts) and len(pieces_of(parts)) == max((part.header or (0, 1, 1))[1] for part in parts)


def judge(
    people: list[Addressee],
    promised: set[str],
    found: list[dict[str, Any]],
    parts: list[Submitted],
    *,
    policy: str,
    modems: int,
    unknown_after: list[int],
    undecidable: Set[str] = frozenset(),
) -> Verdict:
    """Hold the messages that the server shows and the parts that the network took against the promises.

    `undecidable` are refs of messages that may stay unknown under await_report.
    """
    kills = len(unknown_after)
    verdict = Verdict(kills=kills, unknown_after=unknown_after)
    states = {message["client_ref"]: message["state"] for message in found}
    verdict.unknown = [ref for ref, state in states.items() if state == "unknown"]
    by_number: dict[str, list[Submitted]] = defaultdict(list)
    for part in parts:
        by_number[part.destination].append(part)
    for person in people:
        own = by_number.pop(person.number, [])
        state = states.get(person.ref, "")
        seen = Counter((part.text, part.header) for part in own)
        if max(seen.values(), default=0) > 1:
            verdict.twice += [person.ref] * (sum(seen.values()) - len(seen))
        went = is_whole(own)
        text = "".join(text for _, text in sorted(pieces_of(own).items()))
        if went and text != person.text:
            verdict.broken.append(f"{person.ref} went as {text!r}")
        if not went and (state not in ("unknown", "") or (person.ref in promised and state != "unknown")):
            verdict.lost.append(person.ref)
        if own and not state:
            verdict.broken.append(f"{person.ref} went, and the store does not know it")
        if state == "unknown" and policy == "await_report" and person.ref not in undecidable:
            verdict.broken.append(f"{person.ref} is unknown, though what went was reported and its SIM has sent since")
        if state and state not in ("delivered", "unknown"):
            verdict.broken.append(f"{person.ref} ended as {state}")
    verdict.broken += [f"{number} was texted, and nobody had asked for it" for number in by_number]
    verdict.broken += [f"{ref} is lost" for ref in verdict.lost]
    bound = kills * modems
    if policy != "resend":
        verdict.broken += [f"{ref} was sent twice" for ref in dict.fromkeys(verdict.twice)]
    else:
        verdict.broken += [f"{ref} is unknown under resend" for ref in verdict.unknown]
        if len(verdict.twice) > bound:
            verdict.broken.append(f"{len(verdict.twice)} parts went twice, more than {bound}")
    if max([*unknown_after, len(verdict.unknown)]) > bound:
        verdict.broken.append(f"{unknown_after} and then {len(verdict.unknown)} are unknown, more than {bound}")
    return verdict


def undecidable(txn: Txn, parts: list[Submitted]) -> set[str]:
    """Refs of the messages of which nobody can know more: between two references of a SIM some of the unknown parts to
    one number were tried and others were not.  A report names the number and the reference, not the part.
    """
    went = {(part.destination, (part.header or (0, 1, 1))[2]) for part in parts}
    between: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for (sim, identifier, index), row in UNPROVEN.scan(txn):
        between[sim, row.number, row.sent, row.after, row.following].append((identifier, index))
    found, known = set[int](), set[int]()
    for (_, number, *_), unknown in between.items():
        tried = sum((numbers.from_key(number), index + 1) in went for _, index in unknown)
        (found if 0 < tried < len(unknown) else known).update(identifier for identifier, _ in unknown)
    return {messages.get(txn, identifier).client_ref for identifier in found - known - {SETTLED}}
