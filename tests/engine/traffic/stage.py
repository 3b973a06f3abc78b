"""Messages to play with, and the shortest way through a claim."""

from collections.abc import Callable

from engine import proof
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import intents, messages
from engine.traffic.intents import Claimed
from engine.traffic.messages import DUE, MESSAGES, SEND, Gate, Message, Pick, State, Verdict

NOW_MS = 1_700_000_000_000
SIM = 262_010_000_000_001
OTHER_SIM = 262_010_000_000_002
NUMBER = 4_917_012_345_678
OTHER_NUMBER = 8_613_800_138_000
TEXTS = {1: "one part", 2: "a" * 200, 3: "b" * 400}


def text(parts: int = 1, **fields: object) -> Message:
    """A message of so many parts to NUMBER, not stored yet."""
    return Message(**{"id": 0, "number": NUMBER, "text": TEXTS[parts], **fields})  # type: ignore[arg-type]


def put(store: Store, parts: int = 1, now_ms: int = NOW_MS, **fields: object) -> int:
    """Enqueue such a message; its id."""
    return store.write_now(messages.enqueue, text(parts, **fields), now_ms).id


def say(verdict: Verdict) -> Gate:
    """A gate that says the same to everything."""

    def gate(_txn: Txn, asked: list[Message], _now_ms: int) -> list[Verdict]:
        return [verdict] * len(asked)

    return gate


def claim(store: Store, identifier: int, sim: int = SIM, now_ms: int = NOW_MS, verdict: Verdict = SEND) -> Claimed:
    return store.write_now(intents.claim, [Pick(identifier, sim)], now_ms, say(verdict))[0]


def send(store: Store, identifier: int, reference: int, sim: int = SIM, now_ms: int = NOW_MS) -> int:
    """Claim the next part and let the network take it; which part it was."""
    claimed = claim(store, identifier, sim, now_ms)
    assert claimed.verdict.sends
    store.write_now(intents.mark_sent, identifier, claimed.part, reference, now_ms)
    return claimed.part


def lose(store: Store, identifier: int, sim: int = SIM, now_ms: int = NOW_MS) -> int:
    """Claim the next part and let nobody know what became of it; which part it was."""
    claimed = claim(store, identifier, sim, now_ms)
    assert claimed.verdict.sends
    store.write_now(intents.mark_unknown, identifier, claimed.part, "no_outcome", now_ms)
    return claimed.part


def message(store: Store, identifier: int) -> Message:
    with store.read() as txn:
        return MESSAGES.get(txn, identifier)


def state(store: Store, identifier: int) -> State:
    return message(store, identifier).state


def part_states(store: Store, identifier: int) -> list[State]:
    return [part.state for part in message(store, identifier).parts]


def in_line(store: Store) -> list[int]:
    """Ids in the due line, in its order."""
    with store.read() as txn:
        return [key[2] for key, _ in DUE.scan(txn)]


def differences(store: Store) -> list[str]:
    with store.read() as txn:
        return list(proof.differences(txn))


def count_steps(sim: int, store: Store, references: Callable[[], int], steps: int = 6) -> int:
    """Send so many messages that the SIM's references are believed; the last one given."""
    reference = -1
    for _ in range(steps):
        reference = references()
        send(store, put(store, number=OTHER_NUMBER), reference, sim)
    return reference
