"""The verdict: what the ledger and the store say of a round, held against what was promised."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from bench.kill.errand import Addressee
from bench.rig import Submitted
from engine import proof
from engine.store.environment import Store
from engine.wiring import TABLES

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
) -> Verdict:
    """Hold the messages that the server shows and the parts that the network took against the promises."""
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
        if state == "unknown" and policy == "await_report":
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


def differences(data: Any) -> list[str]:
    """What `carillon check` would find."""
    store = Store(data, TABLES, read_only=True)
    try:
        with store.read() as txn:
            return [f"check: {line}" for line in proof.differences(txn)]
    finally:
        store.close()
