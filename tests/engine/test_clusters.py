"""Keeping what a reader takes for one character whole, on any text and on what people send: what it saves, what it
costs.  Both are told by other means: clusters are what `regex` finds, and filling is that of the plain codec.
"""

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench import baseline, corpus
from bench.baseline import cutting
from engine import sms
from engine._graphemes import UNICODE_VERSION
from tools import graphemes

pytestmark = pytest.mark.skipif(
    graphemes.unicode_version() != UNICODE_VERSION, reason="regex follows another version of Unicode"
)

CLUSTERS = st.sampled_from(
    [
        *corpus.FLAGS,
        *corpus.KEYCAPS,
        *corpus.HANDS,
        *corpus.PEOPLE,
        "\r\n",
        "e\u0301",
        "क्षि",
        "\u1112\u1161\u11ab",
        "각\u11a8",
    ]
)
WORDS = st.sampled_from(["a", "€", "漢", " ", "漢" * 33, "a" * 76, "e" + "\u0301" * 70]) | st.sampled_from(
    [phrase for phrases in corpus.PHRASES.values() for phrase in phrases]
)
DENSE = st.lists(CLUSTERS | WORDS, max_size=60).map("".join)
PLAIN = st.lists(st.sampled_from(["a", "\r\n", "€", "a" * 50, "Grüße "]), max_size=40).map("".join)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def alphabet_of(text: str) -> int:
    return baseline.GSM7 if baseline.SEPTETS.keys() >= set(text) else baseline.UCS2


def filled(text: str) -> list[str]:
    """Each part filled before the next begins, whatever that cuts in two."""
    alphabet = alphabet_of(text)
    widths = [baseline.units_of(character, alphabet) for character in text]
    alone, joined = baseline.ROOM[alphabet]
    if sum(widths) <= alone:
        return [text]
    return [text[begin:end] for begin, end in cutting.spans(cutting.greedy(widths, joined))]


def cuts_inside(parts: list[str]) -> int:
    """How many parts end inside a cluster that a part could hold."""
    text = "".join(parts)
    alphabet = alphabet_of(text)
    room = baseline.ROOM[alphabet][1]
    inside: set[int] = set()
    for match in regex.finditer(r"\X", text):
        if sum(baseline.units_of(character, alphabet) for character in match.group()) <= room:
            inside.update(range(match.start() + 1, match.end()))
    ends, end = [], 0
    for part in parts[:-1]:
        end += len(part)
        ends.append(end)
    return len(inside.intersection(ends))


@settings(max_examples=150, deadline=None)
@given(DENSE | PLAIN | ANY)
@example("漢" * 66 + "e\u0301" + "漢" * 66)
@example("a" * 152 + "\r\n" + "a" * 152)
@example("👨\u200d👩\u200d👧\u200d👦" * 60)
def test_keeping_clusters_whole_takes_no_part_more_and_cuts_no_cluster_more(text: str) -> None:
    parts, without = sms.cut(text), filled(text)
    assert "".join(parts) == text
    assert len(parts) == len(without) == sms.measure(text).parts
    assert cuts_inside(parts) <= cuts_inside(without)
    if cuts_inside(without) == 0:
        assert parts == without


def test_of_what_people_send_hardly_a_cluster_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand texts in nineteen languages, with emoji of every kind."""
    texts = corpus.texts()
    without = [filled(text) for text in texts]
    kept = [sms.cut(text) for text in texts]
    cuts = sum(len(parts) - 1 for parts in without)
    torn_without, torn = sum(map(cuts_inside, without)), sum(map(cuts_inside, kept))
    with capsys.disabled():
        print(
            f"\n{len(texts):,} texts in {len(corpus.PHRASES)} languages, {cuts:,} cuts: "
            f"{torn_without} inside a cluster by filling alone, {torn} with clusters kept whole"
        )
    assert len(texts) == 1_000
    assert [len(parts) for parts in kept] == [len(parts) for parts in without]
    assert torn_without >= 50
    assert torn <= torn_without // 20
    for text, parts in zip(texts, kept, strict=True):
        if cuts_inside(parts):  # there is no better way in as many parts
            assert parts == baseline.cut(text)


def test_a_text_of_what_people_send_is_read_as_it_was_cut() -> None:
    for text in corpus.texts(100):
        sent = [sms.decode(tpdu, "ms2sc") for tpdu in sms.encode("12345", text)]
        assert [part.text for part in sent] == sms.cut(text)
        assert sms.join(sent) == text
