"""Grapheme clusters: where UAX #29 says a reader's character begins, against another implementation of it."""

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from bench import baseline, corpus
from engine._graphemes import UNICODE_VERSION, clusters, may_join
from tools import graphemes

same_unicode = pytest.mark.skipif(
    graphemes.unicode_version() != UNICODE_VERSION, reason="regex follows another version of Unicode"
)

# A few of each class, and of those that only look like them.
INTERESTING = {
    "controls": "\r\n\0\x7f\x85\xad\u061c\u200b\u2028\ufeff\U000e0001\U000e0fff",
    "marks": "\u0300\u0308\u0591\u093c\u09be\u20e3\ufe0f\u302a\u3099\U0001f3fd\U000e0067\U000e007f\U000e0100",
    "apart": "\u200c",
    "joiner": "\u200d",
    "prepended": "\u0600\u06dd\u070f\u0d4e\U000110bd",
    "spacing": "\u0903\u093f\u0bbf\u0e33\U00011183",
    "flags": "🇦🇩🇪🇫🇿",
    "jamo": "\u1100\u115f\ua960\u1160\u1161\u11a7\ud7b0\u11a8\u11ff\ud7cb\U00016d63",
    "syllables": "가각갂개객힣한글\uabff\ud7a4",
    "pictures": "©®‼☺❤⌚〰㊗😀👩👧💻🏳🌈🏿🀄\U0001fffd",
    "consonants": "कषतরকட\u1b13\u1780ಕ",
    "viramas": "\u094d\u09cd\u0d4d\u1b44\u17d2",
    "linkers": "\u1cf5\u1cf6\U00011a3a",
    "virama without conjuncts": "\u0bcd\u0e3a",
    "plain": "a1#*é~ΩЖ漢あ々々ไا\u0300\u036f\u0370\u0482\u0483\u309a\u309b\u3296\u3297\ua66e\ua66f",
    "halves of pairs": "\ud800\udbff\udc00\udfff",
    "far": "\U0001ffff\U00020000\U000dffff\U000e1000\U0010ffff",
}
CHARACTERS = st.sampled_from(list(INTERESTING.values())).flatmap(st.sampled_from)
TEXTS = st.text(CHARACTERS, max_size=40)
MIXED = st.text(CHARACTERS | st.characters(), max_size=40)

ALL = list(map(chr, range(0x110000)))


@pytest.mark.parametrize(
    "divided",
    [
        pytest.param("", id="nothing"),
        pytest.param("a|b", id="letters"),
        pytest.param("\r\n", id="a line end of two characters"),
        pytest.param("a|\n|\u0308", id="a mark after a control stands alone"),
        pytest.param("\n|\r", id="two line ends"),
        pytest.param("g\u0308|o\u0323\u0302", id="combining sequences"),
        pytest.param("각|\u1100\u1161\u11a8|가\u11a8|\u1100", id="Hangul syllables, composed and not"),
        pytest.param("각\u11a8|가|\u1100각", id="Hangul syllables with more final or leading consonants"),
        pytest.param("\u1161\u1161\u11a8|\u1161", id="a final consonant takes no vowel"),
        pytest.param("நி|กำ|षि", id="spacing marks"),
        pytest.param("a|\u0600b|\u0600|\n", id="a prepended mark, but before a control"),
        pytest.param("🇩🇪|🇫🇷|🇮🇹", id="flags"),
        pytest.param("a|🇩🇪|🇫|b", id="an odd regional indicator"),
        pytest.param("🇩\u200d|🇪🇫", id="regional indicators with a joiner between"),
        pytest.param("\u0600🇩🇪|🇫", id="a flag after a prepended mark"),
        pytest.param("1\ufe0f\u20e3|#\ufe0f\u20e3", id="keycaps"),
        pytest.param("👍🏽|👶🏿|👶", id="skin tones"),
        pytest.param(
            "👩\u200d👩\u200d👧\u200d👦|👩🏾\u200d🚀|🏳\ufe0f\u200d🌈", id="families, professions and the rainbow"
        ),
        pytest.param("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f|🏴", id="a flag of tags"),
        pytest.param("a\u200d|🛑", id="a joiner after a letter joins no picture"),
        pytest.param("👶\u200d\u0308|👶", id="nor does one with a mark behind it"),
        pytest.param("👶\u0308\u200d👶\u200d\u200d|👶", id="nor do two of them"),
        pytest.param("क्त|क्ष|क्त्य", id="Indic conjuncts"),
        pytest.param("क्\u200dत|क़्\u200dत|क़\u200d्त", id="conjuncts with marks and joiners"),
        pytest.param("क|त|त्|a", id="consonants without a virama, and a virama without a consonant"),
        pytest.param("क्\u200c|त", id="a non-joiner keeps a conjunct apart"),
        pytest.param("க்|ஷ", id="Tamil writes its virama and knows no conjuncts"),
        # New in Unicode 18: the virama joins whatever stands before it, and two linkers are no marks.
        pytest.param("a्त", id="a virama after a letter joins a consonant"),
        pytest.param("क|\u1cf5क|\u1cf5\u200c|क", id="a linker that is no mark"),
        pytest.param("\ud83d|\ude00\u0308|\ud83d", id="halves of pairs are as letters"),
    ],
)
def test_clusters_are_what_a_reader_takes_for_a_character(divided: str) -> None:
    """UAX #29, tables 1b, 1c and 2, as of Unicode 18."""
    expected = divided.split("|") if divided else []
    assert clusters("".join(expected)) == expected


@same_unicode
@given(TEXTS | MIXED)
@example("क\u0903\u094dक")
def test_agrees_with_regex(text: str) -> None:
    assert clusters(text) == regex.findall(r"\X", text)


@same_unicode
@pytest.mark.parametrize(
    "between",
    [
        pytest.param("a{}\u0308", id="a letter and a mark"),
        pytest.param("\u0600{}\u200d😀", id="a prepended mark and a joined picture"),
        pytest.param("\u1100{}\u11a8", id="a leading and a final consonant"),
        pytest.param("क\u094d{}क", id="a conjunct"),
        pytest.param("😀\u200d{}\u1161", id="a joiner and a vowel"),
        pytest.param("🇩{}🇪\n", id="halves of a flag"),
    ],
)
def test_every_character_stands_as_in_regex(between: str) -> None:
    """All of Unicode, a thousand at a time: one text of them all would be slow to compare."""
    for start in range(0, len(ALL), 0x1000):
        text = "".join(between.format(character) for character in ALL[start : start + 0x1000])
        assert clusters(text) == regex.findall(r"\X", text)


@same_unicode
def test_agrees_with_regex_on_what_people_send() -> None:
    for text in corpus.texts():
        assert clusters(text) == regex.findall(r"\X", text)


def test_the_corpus_is_the_same_for_a_seed_and_goes_in_six_parts_at_most() -> None:
    assert corpus.texts(50, seed=1) == corpus.texts(50, seed=1) != corpus.texts(50, seed=2)
    assert {baseline.measure(text).parts for text in corpus.texts()} == {1, 2, 3, 4, 5, 6}


def test_a_cut_at_67_units_halves_clusters_of_the_corpus() -> None:
    """Or it would prove nothing of a finer cut."""
    assert sum(map(halved, corpus.texts())) >= 50


def halved(text: str) -> int:
    """How many parts of 67 code units, as many pairs whole as fit, end inside a cluster."""
    begins = {0}
    for cluster in clusters(text):
        begins.add(max(begins) + len(cluster))
    room, count = 67, 0
    for at, character in enumerate(text if corpus.units(text) > 70 else ""):
        width = corpus.units(character)
        if width > room:
            room = 67
            count += at not in begins
        room -= width
    return count


@given(MIXED)
def test_the_clusters_joined_are_the_text_and_none_is_empty(text: str) -> None:
    found = clusters(text)
    assert "".join(found) == text
    assert all(found)


@given(st.text(st.characters(max_codepoint=0xFF)) | st.text(st.characters(max_codepoint=0xFFFF)) | TEXTS)
def test_texts_are_marked_alike_however_wide_their_characters_are_held(text: str) -> None:
    """CPython holds a str in 1, 2 or 4 octets per character, as its widest needs."""
    assert clusters("\U0010ffff\n" + text)[2:] == clusters(text)


@given(MIXED)
def test_may_join_is_false_only_where_a_cluster_begins(text: str) -> None:
    begins = set()
    at = 0
    for cluster in clusters(text):
        begins.add(at)
        at += len(cluster)
    for at in range(1, len(text)):
        assert at in begins or may_join(text[at - 1], text[at])


@given(CHARACTERS | st.characters(), CHARACTERS | st.characters())
def test_may_join_is_true_only_where_something_before_could_join_them(before: str, after: str) -> None:
    """It would be safe to say True always, and useless."""
    contexts = ["", "😀", "🇩", "क\u094d"]
    joined = any(clusters(context + before + after)[-1] != after for context in contexts)
    assert may_join(before, after) == joined


@pytest.mark.parametrize(
    ("before", "after"),
    [("a", "b"), (" ", "Ж"), ("您", "的"), ("が", "い"), ("한", "글"), ("a", "😀"), ("😀", "😀"), ("\n", "\u0308")],
)
def test_usual_neighbours_never_join(before: str, after: str) -> None:
    assert not may_join(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [("\r", "\n"), ("a", "\u0308"), ("🇩", "🇪"), ("\u200d", "🚀"), ("\u094d", "त"), ("\u093c", "त"), ("가", "\u11a8")],
)
def test_neighbours_of_a_cluster_may_join(before: str, after: str) -> None:
    assert may_join(before, after)


@same_unicode
def test_the_classes_are_what_the_generator_writes() -> None:
    assert graphemes.TARGET.read_text(encoding="utf-8") == graphemes.render()
