"""engine/_at.pyx against its plain twins: any stream, any borders, any order of lines; and who wins a submission."""

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from bench.baseline import exchange, stream
from engine.errors import ModemError, ModemLost
from engine.modem.at import ERROR, LONGEST_LINE, OK, PROMPT, Final, Indication, Info, Line, Unsolicited, reader
from engine.modem.submission import ACCEPTED, AHEAD, ASKED, DONE, GIVEN, WITHDRAWN, Submission

PDU = b"0011"

# Words that streams are made of: whole lines, halves of lines, ends, prompts, echoes, noise, and lines too long.
WORDS = st.sampled_from(
    [
        *(b"\r\n", b"\r", b"\n", b"> ", b">", b" ", b"OK", b"\r\nOK\r\n", b"ERROR", b"O", b"K", b"\r\n> "),
        *(b"+CMGS: 7", b"+CMGS: 255", b"+CMGS: 256", b"+CMGS: 07", b"+CMGS:9", b"+CMGS: 1,2", b"+CMGS: ", b"+CMG"),
        *(b'+CMTI: "MT",3', b"+CMT: ,24", b"+CDS: 26", b"00AB", b"00A", b"^SYSSTART", b"RING", b"+CREG: 1"),
        *(b"+CMS ERROR: 38", b"+CMS ERROR: network timeout", b"+CME ERROR: 14", b"\x00", b"\x11", b"\x1a", b"\x1b"),
        *(b"AT+CMGS=24", PDU, b"x" * (LONGEST_LINE - 1), b"x" * LONGEST_LINE, b"\xff"),
    ]
)
STREAMS = st.lists(st.one_of(WORDS, st.binary(max_size=4)), max_size=40).map(b"".join)
BORDERS = st.lists(st.integers(0, 10_000), max_size=12)
ECHOES = st.sampled_from([b"", b"AT+CMGS=24", PDU, b"OK", b"+CMGS: 7", b"> ", b"+CMT: ,24"])


def cut(octets: bytes, borders: list[int]) -> list[bytes]:
    cuts = sorted({border % (len(octets) + 1) for border in borders})
    return [octets[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]


@given(STREAMS, BORDERS, ECHOES, st.lists(ECHOES, max_size=12))
def test_any_stream_in_any_pieces_reads_as_the_plain_reader_has_it(
    octets: bytes, borders: list[int], echo: bytes, later: list[bytes]
) -> None:
    native, plain = reader(), stream.Reader()
    native.echo = plain.echo = echo
    for place, chunk in enumerate(cut(octets, borders)):
        assert native.feed(chunk) == plain.feed(chunk)
        if place < len(later):
            native.echo = plain.echo = later[place]


LINES = st.one_of(
    st.sampled_from(
        [PROMPT, PROMPT, OK, ERROR, Info("+CMGS: 42"), Info("+CMGS: 255,00"), Info("+CMGS: 256"), Info("")]
    ),
    st.sampled_from([Unsolicited("RING"), Indication("+CMTI", "MT", 1), Info("+CMGS:"), Info("+CMGS: 1x")]),
    st.builds(lambda cms: Final(False, cms=cms), st.sampled_from([21, 38, 41, 47, 304, 332, 500, 521])),
    st.builds(lambda text: Info("+CMGS:" + text), st.text("0123456789, x", max_size=8)),
)
ENDS = st.sampled_from(["", "time out", "break off"])
STAGES = {ASKED: "asked", GIVEN: "given", ACCEPTED: "accepted", DONE: "done"}


def said(outcome: object) -> object:
    """An outcome that can be compared."""
    if isinstance(outcome, ModemError):
        return type(outcome), str(outcome), getattr(outcome, "cms", None), getattr(outcome, "cme", None)
    return outcome


@given(st.lists(st.tuples(LINES, st.floats(0, 20)), max_size=8), ENDS, st.integers(0, 2))
def test_any_order_of_lines_ends_as_the_plain_submission_has_it(
    heard: list[tuple[Line, float]], end: str, written: int
) -> None:
    native, plain = Submission(PDU, 1), exchange.Submission(PDU)
    native.begin()
    native.written_before = plain.written_before = 1
    now_s = 0.0
    for line, after_s in heard:
        now_s += after_s
        assert native.hear(line, now_s) == plain.hear(line, now_s)
        assert STAGES[native.stage] == plain.stage
    if plain.stage != "done" and end == "time out":
        native.time_out(90, written)
        plain.time_out(90, written)
    elif plain.stage != "done" and end == "break off":
        native.break_off("unplugged", written)
        plain.break_off("unplugged", written)
    assert said(native.outcome) == said(plain.outcome)
    assert (native.is_suspect, native.hid_errors) == (plain.is_suspect, plain.hid_errors)


@given(st.text(max_size=12))
def test_an_info_is_equal_by_its_text(text: str) -> None:
    assert Info(text) == Info(text)
    assert hash(Info(text)) == hash(Info(text))
    assert Info(text) != Info(text + "x")
    assert Info(text).text == text


def test_a_submission_is_begun_or_withdrawn_or_lost_and_never_two_of_these() -> None:
    begun, withdrawn, lost = (Submission(PDU, 1, "tag") for _ in range(3))
    assert (begun.stage, begun.is_begun, begun.tag) == (AHEAD, False, "tag")
    assert begun.begin() == b"AT+CMGS=1\r"
    assert begun.is_begun
    assert (begun.begin(), begun.withdraw(), begun.lose("gone")) == (b"", False, False)
    assert withdrawn.withdraw()
    assert (withdrawn.begin(), withdrawn.withdraw(), withdrawn.lose("gone")) == (b"", False, False)
    assert (withdrawn.stage, withdrawn.is_withdrawn, withdrawn.is_begun) == (WITHDRAWN, True, False)
    assert withdrawn.outcome is None
    assert lost.lose("gone")
    assert (lost.begin(), lost.withdraw(), lost.is_begun) == (b"", False, False)
    assert isinstance(lost.outcome, ModemLost)


def test_what_is_not_begun_hears_nothing() -> None:
    ahead = Submission(PDU, 1)
    assert ahead.hear(PROMPT, 0.0) is None
    assert ahead.stage == AHEAD


def test_of_two_threads_one_has_each_submission() -> None:
    jobs = [Submission(PDU, 1) for _ in range(20_000)]
    barrier = threading.Barrier(2)

    def take(won: list[int], step: Callable[[Submission], object]) -> None:
        barrier.wait()
        for place, job in enumerate(jobs):
            if step(job):
                won.append(place)

    withdrawn: list[int] = []
    begun: list[int] = []
    other = threading.Thread(target=take, args=(withdrawn, Submission.withdraw))
    other.start()
    take(begun, Submission.begin)
    other.join()
    assert sorted(withdrawn + begun) == list(range(len(jobs)))
