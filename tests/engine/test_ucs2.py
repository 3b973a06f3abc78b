"""UTF-16 code units: counted, cut between characters, written high octet first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import baseline
from engine import _ucs2
from engine.errors import CodecError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "units"),
    [
        pytest.param("", [0], id="an empty text is one empty piece"),
        pytest.param("a" * 70, [67, 3], id="plain"),
        pytest.param("a" * 67, [67], id="exactly full"),
        pytest.param("a" * 66 + "😀", [66, 2], id="a pair that straddles the cut moves whole"),
        pytest.param("a" * 65 + "😀b", [67, 1], id="a pair that just fits stays"),
        pytest.param("😀" * 34, [66, 2], id="nothing but pairs"),
    ],
)
def test_cuts_at_67_units_but_never_inside_a_pair(text: str, units: list[int]) -> None:
    """3GPP TS 23.040 §9.2.3.24.1: 140 octets less a 6-octet header leave 67 code units."""
    assert [len(piece) // 2 for piece in _ucs2.cut(text, room=67)] == units


def test_an_emoji_is_two_units() -> None:
    assert _ucs2.count_units("aé漢😀") == 5


def test_a_lone_surrogate_is_refused_where_it_stands() -> None:
    with pytest.raises(CodecError) as refused:
        _ucs2.cut("ab\ud83d", room=67)
    assert (refused.value.field, refused.value.offset) == ("text", 2)


def test_two_halves_that_python_never_joined_are_refused() -> None:
    with pytest.raises(CodecError):
        _ucs2.count_units("\ud83d\ude00")


def test_a_room_too_small_for_a_pair_is_refused() -> None:
    with pytest.raises(CodecError):
        _ucs2.cut("a", room=1)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("aé", "006100e9", id="Latin"),
        pytest.param("漢字", "6f225b57", id="Chinese"),
        pytest.param("😀", "d83dde00", id="a pair, high half first"),
        pytest.param("\U00010000\U0010ffff", "d800dc00dbffdfff", id="the first pair and the last"),
        pytest.param("\ud7ff\ue000\uffff", "d7ffe000ffff", id="what stands next to the halves"),
        pytest.param("🇩🇪", "d83cdde9d83cddea", id="a flag, two pairs"),
    ],
)
def test_writes_the_high_octet_first(text: str, octets: str) -> None:
    """3GPP TS 23.038 §6.2.3."""
    assert _ucs2.encode(text).hex() == octets
    assert _ucs2.decode(bytes.fromhex(octets)) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        pytest.param("00610062", "ab", id="two letters"),
        pytest.param("d83dde00", "😀", id="a pair"),
        pytest.param("d83d0061", "�a", id="the first half alone"),
        pytest.param("de000061", "�a", id="the second half alone"),
        pytest.param("006100", "a�", id="an odd octet"),
        pytest.param("feff0061", "\ufeffa", id="a byte order mark is no order here"),
        pytest.param("fffe0061", "\ufffea", id="nor is its reverse"),
    ],
)
def test_reads_any_octets_as_well_formed_text(octets: str, text: str) -> None:
    assert _ucs2.decode(bytes.fromhex(octets)) == text


@given(TEXTS, st.integers(2, 70))
def test_agrees_with_the_plain_python_codec(text: str, room: int) -> None:
    pieces = [piece.encode("utf-16-be") for piece in baseline.pieces(text, baseline.UCS2, room)]
    assert _ucs2.cut(text, room) == pieces
    assert _ucs2.decode(b"".join(pieces)) == text
    assert _ucs2.count_units(text) == sum(map(len, pieces)) // 2
