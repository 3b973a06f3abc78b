"""The lines of a submit: a thousand prompts and references read, a thousand parts from AT+CMGS to their outcome.

`at/line` is the same over a socket: what a read and a write cost, at both ends, is in it.
"""

import socket
from collections.abc import Callable, Sequence

from bench.baseline import exchange, stream
from bench.case import Case
from engine._exchange import FREE, Exchange, Hand
from engine._wire import Wire
from engine.modem.at import reader
from engine.modem.submission import Submission

PARTS = 1000
PDU = b"0011000D91945107000040F20000A7A0" + b"5A" * 140
LENGTH = len(PDU) // 2 - 1

# As a TC35i says them where nothing comes between: the prompt whole, then the reference and its OK whole.
CHUNKS = [chunk for part in range(PARTS) for chunk in (b"\r\n> ", b"\r\n+CMGS: %d\r\n\r\nOK\r\n" % (part % 256))]


def read(feed: Callable[[bytes], Sequence[object]]) -> int:
    """How many lines the chunks hold."""
    return sum(len(feed(chunk)) for chunk in CHUNKS)


def native() -> list[object]:
    """The outcome of each part."""
    ear, outcomes = reader(), list[object]()
    for part in range(PARTS):
        submission = Submission(PDU, LENGTH)
        ear.echo = submission.begin()[:-1]
        for chunk in CHUNKS[2 * part : 2 * part + 2]:
            for line in ear.feed(chunk):
                submission.hear(line, 0.0)
        outcomes.append(submission.outcome)
    return outcomes


def plain() -> list[object]:
    """The same in plain Python."""
    ear, outcomes = stream.Reader(), list[object]()
    for part in range(PARTS):
        submission = exchange.Submission(PDU)
        ear.echo = b"AT+CMGS=%d" % LENGTH
        for chunk in CHUNKS[2 * part : 2 * part + 2]:
            for line in ear.feed(chunk):
                submission.hear(line, 0.0)
        outcomes.append(submission.outcome)
    return outcomes


class Watched(Exchange):
    """Its timer never comes."""

    def watch(self, deadline_s: float) -> None:
        """Leave it at that."""
        self.watch_s = deadline_s


def talk(far: socket.socket, readable: Callable[[], None]) -> None:
    """Play the modem at the `far` end until all parts went."""
    for chunk in CHUNKS:
        far.recv(512)
        far.send(chunk)
        readable()


def line_native() -> list[object]:
    """The outcomes of all parts, the next begun where the end of the last is heard."""
    outcomes: list[object] = []
    parts = iter([Submission(PDU, LENGTH) for _ in range(PARTS)])

    def give(hand: Hand) -> None:
        if (job := next(parts, None)) is not None:
            hand.give(job)

    near, far = socket.socketpair()
    with near, far:
        hand = Hand(give, lambda _, job: outcomes.append(job.outcome), None)
        wire = Wire(near.fileno())
        hand.exchange = Watched(wire, reader(), lambda: 0.0, 10, 90, 3, hand.submitted, None)
        hand.phase, hand.is_held = FREE, False
        hand.ask()
        talk(far, wire.readable)
    return outcomes


def line_plain() -> list[object]:
    """The same in plain Python."""
    near, far = socket.socketpair()
    with near, far:
        modem = exchange.Modem(near.fileno(), iter([(PDU, LENGTH)] * PARTS))
        talk(far, modem.readable)
    return [*modem.outcomes]


CASES: list[Case] = [
    Case(
        "at/read/prompt-and-reference",
        {"cython": lambda: read(reader().feed), "python": lambda: read(stream.Reader().feed)},
        per=PARTS,
    ),
    Case("at/submit/taken", {"cython": native, "python": plain}, per=PARTS),
    Case("at/line/one-part-after-another", {"cython": line_native, "python": line_plain}, per=PARTS),
]
