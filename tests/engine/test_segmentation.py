"""A text into parts: the alphabet, the number of parts, and where each ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import baseline
from engine._segmentation import cut, measure
from engine.errors import CodecError

# Long enough for several parts, and dense in what must not be cut.
GSM7_TEXTS = st.lists(st.sampled_from(["a", "€", "[", "hello ", "{}", "é", "0123456789" * 7]), max_size=60).map("".join)
ANY_TEXTS = st.lists(st.sampled_from(["a", "€", "漢", "😀", "語" * 30, "👍🏽", "0123456789" * 6]), max_size=40).map(
    "".join
)
RANDOM_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (0, 0, 1, 160, ""), id="nothing"),
        pytest.param("a" * 160, (0, 160, 1, 0, ""), id="160 letters are one part"),
        pytest.param("a" * 161, (0, 161, 2, 145, ""), id="161 are two of 153"),
        pytest.param("汉" * 70, (2, 70, 1, 0, "汉"), id="70 Chinese characters are one part"),
        pytest.param("汉" * 71, (2, 71, 2, 63, "汉"), id="71 are two of 67"),
        pytest.param("a" * 159 + "{", (0, 161, 2, 145, ""), id="a brace is two units"),
        pytest.param("a" * 152 + "{" + "a" * 10, (0, 164, 2, 141, ""), id="a brace on the edge moves whole"),
        pytest.param("a" * 40 + "ç" + "汉", (2, 42, 1, 28, "ç"), id="the first that forced it is named"),
        pytest.param("a" * 306, (0, 306, 2, 0, ""), id="two full parts"),
        pytest.param("😀" * 36, (2, 72, 2, 61, "😀"), id="pairs leave a unit of the first part unused"),
    ],
)
def test_measures(text: str, expected: tuple[int, int, int, int, str]) -> None:
    """Alphabet, units, parts, room in the last part, and the character that forced UCS2."""
    found = measure(text)
    assert (found.alphabet, found.units, found.parts, found.room, found.forced_by) == expected


def test_ucs2_by_wish_is_forced_by_no_character() -> None:
    found = measure("abc", alphabet="ucs2")
    assert (found.alphabet, found.units, found.forced_by) == (2, 3, "")


def test_gsm7_by_wish_refuses_what_it_lacks() -> None:
    with pytest.raises(CodecError) as refused:
        measure("ab汉", alphabet="gsm7")
    assert (refused.value.field, refused.value.offset) == ("text", 2)


def test_an_unknown_alphabet_is_refused() -> None:
    with pytest.raises(CodecError) as refused:
        cut("a", alphabet="latin1")
    assert refused.value.field == "alphabet"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("a" * 153 * 255, 255, id="GSM 7-bit"),
        pytest.param("汉" * 67 * 255, 255, id="UCS2"),
        pytest.param("{" * 76 * 255, 255, id="escapes, which leave a septet of each part unused"),
        pytest.param("😀" * 33 * 255, 255, id="pairs, which leave a unit of each part unused"),
    ],
)
def test_255_parts_go_and_one_character_more_is_refused(text: str, parts: int) -> None:
    assert measure(text).parts == parts
    with pytest.raises(CodecError) as refused:
        measure(text + text[0])
    assert refused.value.field == "text"


@given(GSM7_TEXTS | ANY_TEXTS | RANDOM_TEXTS, st.sampled_from(["auto", "ucs2"]))
def test_agrees_with_the_plain_python_codec(text: str, alphabet: str) -> None:
    found, plain = measure(text, alphabet=alphabet), baseline.measure(text, alphabet)
    assert cut(text, alphabet=alphabet) == baseline.cut(text, alphabet)
    assert (found.alphabet, found.units, found.parts) == (plain.alphabet, plain.units, plain.parts)
    assert (found.room, found.forced_by) == (plain.room, plain.forced_by)


@given(GSM7_TEXTS | ANY_TEXTS)
def test_the_parts_joined_are_the_text_and_no_part_is_overfull(text: str) -> None:
    found = measure(text)
    parts = cut(text)
    alone, joined = baseline.ROOM[found.alphabet]
    widths = [sum(baseline.units_of(character, found.alphabet) for character in part) for part in parts]
    assert "".join(parts) == text
    assert max(widths) <= (alone if len(parts) == 1 else joined)
    # Each character stands in one part, so no escape or surrogate pair can be cut.
    assert sum(map(len, parts)) == len(text)
