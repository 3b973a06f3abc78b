"""People who answer what they are sent."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from engine.sim.network import Acceptance, Delay, Network


@dataclass(frozen=True, slots=True)
class Reply:
    """With this probability a recipient answers with this text, so long after the part was accepted."""

    probability: float
    text: str
    delay_ms: Delay = (1_000, 30_000)


REPLIES = (
    Reply(0.010, "STOP"),
    Reply(0.010, "退订"),
    Reply(0.015, "thanks"),
    Reply(0.015, "好的"),
)


class People:
    """Everyone whom a rack texts: each message is answered at most once, by one of `replies`, or not at all.

    A concatenated message counts by its last part.
    """

    def __init__(self, network: Network, replies: Sequence[Reply] = REPLIES, seed: int = 1) -> None:
        self._network = network
        self._replies = tuple(replies)
        self._random = random.Random(f"people {seed}")  # noqa: S311 - repeatable, not secret
        network.on_accept.append(self._read)

    def _read(self, acceptance: Acceptance) -> None:
        if not acceptance.is_last_part:
            return
        draw = self._random.random()
        for reply in self._replies:
            draw -= reply.probability
            if draw < 0:
                self._answer(acceptance, reply)
                return

    def _answer(self, acceptance: Acceptance, reply: Reply) -> None:
        delay = reply.delay_ms
        if isinstance(delay, tuple):
            delay = self._random.randint(*delay)
        # One more millisecond than nothing, so that an answer never overtakes the final OK it answers.
        at_ms = acceptance.at_ms + max(delay, 1)
        self._network.text(acceptance.destination, acceptance.sim.number, reply.text, at_ms)
