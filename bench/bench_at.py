"""The lines of a submit: a thousand prompts and references read, a thousand parts from AT+CMGS to their outcome."""

from collections.abc import Callable, Sequence

from bench.baseline import exchange, stream
from bench.case import Case
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


CASES: list[Case] = [
    Case(
        "at/read/prompt-and-reference",
        {"cython": lambda: read(reader().feed), "python": lambda: read(stream.Reader().feed)},
        per=PARTS,
    ),
    Case("at/submit/taken", {"cython": native, "python": plain}, per=PARTS),
]
