"""A text into parts: the alphabet, the number of parts, and where each ends."""

from typing import Any

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
PORTS = (0x05, b"\x0b\x84\x23\xf0")
SMALL = (0x70, b"\x01")
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


# Headers, tables and look-alikes


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        pytest.param("a" * 161, {"reference_bits": 16}, (0, 2, 143), id="a reference of 16 bits leaves 152 septets"),
        pytest.param("漢" * 71, {"reference_bits": 16}, (2, 2, 61), id="… or 66 code units"),
        pytest.param("a" * 155, {"elements": [SMALL]}, (0, 1, 0), id="four octets leave 155 septets"),
        pytest.param("a" * 156, {"elements": [SMALL]}, (0, 2, 142), id="nine leave 149 of each part"),
        pytest.param("漢" * 66, {"elements": [PORTS]}, (2, 1, 0), id="ports leave 66 code units"),
        pytest.param("漢" * 67, {"elements": [PORTS]}, (2, 2, 61), id="… and 64 of several parts"),
        pytest.param(bytes(140), {}, (1, 1, 0), id="140 octets are one part"),
        pytest.param(bytes(141), {}, (1, 2, 127), id="141 are two of 134"),
        pytest.param(bytes(134), {"elements": [PORTS]}, (1, 2, 122), id="ports leave 133, or 128"),
        pytest.param(b"", {}, (1, 1, 140), id="no octets are one part"),
        pytest.param("a", {"coding": 0xC8}, (0, 1, 159), id="a coding names the alphabet"),
        pytest.param("a", {"coding": 0x48}, (2, 1, 69), id="… another than the text would need"),
    ],
)
def test_a_header_takes_its_octets_from_every_part(
    text: str | bytes, options: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    """Alphabet, parts, and room in the last: 140 octets less the header, 3GPP TS 23.040 §9.2.3.24."""
    found = measure(text, **options)
    assert (found.alphabet, found.parts, found.room) == expected


@pytest.mark.parametrize(
    ("text", "national", "expected"),
    [
        pytest.param("hello", "all", (0, 0, 0, 1), id="none where the default alphabet does"),
        pytest.param("ş", "off", (2, 0, 0, 1), id="none where none may be used"),
        pytest.param("ş", "single", (0, 1, 0, 1), id="Turkish single shift, which is as short as UCS2"),
        pytest.param("ş", "all", (0, 1, 0, 1), id="… and goes before locking shift"),
        pytest.param("á", "all", (0, 2, 0, 1), id="Spanish, the first language that has it"),
        pytest.param("ş" * 77, "all", (0, 1, 0, 1), id="77 escape sequences are 154 of 155 septets"),
        pytest.param("ş" * 78, "all", (0, 0, 1, 1), id="one more, and locking shift saves a part"),
        pytest.param("ş" * 78, "single", (0, 1, 0, 2), id="… unless it may not be used"),
        pytest.param("ş" * 155, "all", (0, 0, 1, 1), id="as many as a locking table can say in one part"),
        pytest.param("कA", "all", (0, 6, 6, 1), id="Hindi, whose capitals only the single shift table has"),
        pytest.param("क", "single", (2, 0, 0, 1), id="no single shift table has a Hindi letter"),
        pytest.param("ş漢", "all", (2, 0, 0, 1), id="none has all of it"),
        pytest.param("şñá", "all", (2, 0, 0, 1), id="two languages at once"),
    ],
)
def test_national_tables_are_taken_where_they_save_parts(
    text: str, national: str, expected: tuple[int, int, int, int]
) -> None:
    """Alphabet, language of the single and of the locking shift, parts: 3GPP TS 23.038 §6.2.1.2."""
    found = measure(text, national=national)
    assert (found.alphabet, found.single, found.locking, found.parts) == expected
    if text != "hello":
        assert (found.forced_by, found.forced_at) == (text[0], 0)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("“" + "a" * 80 + "”", ['"' + "a" * 80 + '"'], id="where that saves a part"),
        pytest.param("“Hi” – yes…", ["“Hi” – yes…"], id="not where it does not"),
        pytest.param("a" * 70 + "…", ["a" * 70 + "..."], id="one character for three"),
        pytest.param("a" * 69 + "\u00a0–\u2009’", ["a" * 69 + " - '"], id="spaces, dashes and apostrophes"),
        pytest.param("“" + "漢" * 70, ["“" + "漢" * 66, "漢" * 4], id="not where another character forces UCS2"),
    ],
)
def test_look_alikes_are_taken_where_they_save_a_part(text: str, parts: list[str]) -> None:
    assert cut(text, transliterate=True) == parts
    assert cut(text) != parts or "".join(parts) == text


def test_what_forced_the_tables_is_named_where_it_stands_in_the_text_given() -> None:
    text = "“" + "a" * 70 + "…ş"
    found = measure(text, transliterate=True, national="single")
    assert (found.forced_by, found.parts) == ("ş", 1)
    assert found.forced_at == text.index("ş")


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
