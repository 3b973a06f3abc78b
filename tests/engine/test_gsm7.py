"""The GSM 7-bit alphabet: its characters, and septets in octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import baseline
from engine import _gsm7
from engine.errors import CodecError

ALPHABET = sorted(baseline.SEPTETS)
TEXTS = st.text(st.sampled_from(ALPHABET), max_size=200)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("hellohello", "e8329bfd4697d9ec37", id="the example everybody uses"),
        pytest.param("Hahahaha", "c8303a8c0ea3c3", id="eight septets fill seven octets"),
        pytest.param("@@@@@@@", "00000000000000", id="a septet of zero bits is a character"),
        pytest.param("€", "9b32", id="escaped"),
        pytest.param("[", "1b1e", id="escaped, with a letter of the main table behind"),
    ],
)
def test_packs_low_bits_first(text: str, octets: str) -> None:
    """3GPP TS 23.038 §6.1.2.1.1."""
    assert _gsm7.pack(text).hex() == octets


def test_fill_bits_move_the_first_septet() -> None:
    assert _gsm7.pack("a", 1) == bytes([ord("a") << 1])


def test_has_137_characters_and_no_more() -> None:
    """127 of the main table, for the escape is none, and ten behind it."""
    known = []
    for code in [*range(0xD800), *range(0xE000, 0x11000)]:
        try:
            septets = _gsm7.count_septets(chr(code))
        except CodecError:
            continue
        known.append((chr(code), septets))
    assert known == sorted((character, len(septets)) for character, septets in baseline.SEPTETS.items())
    assert len(known) == 137


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        pytest.param("gar\u00e7on", 3, id="the small cedilla, which the table has only as a capital"),
        pytest.param("ab\x1b", 2, id="the escape itself"),
        pytest.param("漢", 0, id="Chinese"),
        pytest.param("a😀", 1, id="an emoji"),
        pytest.param("a\ud83d", 1, id="a lone surrogate"),
        pytest.param("\x00", 0, id="a null"),
    ],
)
def test_a_character_it_lacks_is_refused_where_it_stands(text: str, offset: int) -> None:
    for refuses in (_gsm7.pack, _gsm7.count_septets):
        with pytest.raises(CodecError) as refused:
            refuses(text)
        assert (refused.value.field, refused.value.offset) == ("text", offset)


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        pytest.param([0x1B, 0x65], "€", id="escape and a code of the extension table"),
        pytest.param([0x1B, 0x61], "a", id="escape and another shows the main table"),
        pytest.param([0x1B, 0x1B, 0x61], " a", id="a second escape shows a space"),
        pytest.param([0x61, 0x1B], "a ", id="an escape at the end shows a space"),
        pytest.param([0x1B, 0x0A], "\f", id="page break"),
    ],
)
def test_shows_what_the_standard_says_behind_an_escape(septets: list[int], text: str) -> None:
    """3GPP TS 23.038 §6.2.1 and the notes to §6.2.1.1."""
    packed = sum(septet << 7 * place for place, septet in enumerate(septets)).to_bytes(8, "little")
    assert _gsm7.unpack(packed, len(septets)) == text


@pytest.mark.parametrize(
    ("text", "single", "locking", "septets"),
    [
        pytest.param("€", 0, 0, "1b65", id="the default tables"),
        pytest.param("ş", 1, 0, "1b73", id="Turkish, single shift"),
        pytest.param("ş", 0, 1, "1d", id="Turkish, locking shift"),
        pytest.param("ş", 1, 1, "1d", id="both: plainly, where the locking table has it"),
        pytest.param("{", 1, 0, "1b28", id="a brace of the single shift table"),
        pytest.param("{", 0, 1, "1b28", id="a brace of the default extension"),
        pytest.param("ç", 2, 0, "1b09", id="Spanish, single shift"),
        pytest.param("€", 0, 1, "04", id="Turkish has the euro in its locking table"),
    ],
)
def test_a_character_is_said_by_the_tables_named(text: str, single: int, locking: int, septets: str) -> None:
    """3GPP TS 23.038 A.2 and A.3."""
    assert _gsm7.septets_of(text, single, locking).hex() == septets
    assert _gsm7.characters_of(bytes.fromhex(septets), single, locking) == text


@pytest.mark.parametrize(
    ("text", "single", "locking"),
    [
        pytest.param("ş", 0, 0, id="not in the default tables"),
        pytest.param("ş", 2, 0, id="not in the Spanish ones"),
        pytest.param("è", 0, 1, id="what the locking table has replaced"),
        pytest.param("á", 1, 0, id="what another single shift table has"),
    ],
)
def test_a_character_that_the_tables_named_lack_is_refused(text: str, single: int, locking: int) -> None:
    with pytest.raises(CodecError) as refused:
        _gsm7.septets_of("ab" + text, single, locking)
    assert (refused.value.field, refused.value.offset) == ("text", 2)


@pytest.mark.parametrize(("single", "locking"), [(14, 0), (-1, 0), (0, 2), (0, 14)])
def test_a_language_without_that_table_is_refused(single: int, locking: int) -> None:
    for refuses in (lambda: _gsm7.septets_of("a", single, locking), lambda: _gsm7.characters_of(b"a", single, locking)):
        with pytest.raises(CodecError):
            refuses()


def test_too_few_octets_are_refused() -> None:
    assert _gsm7.unpack(bytes(7), 8) == "@" * 8
    with pytest.raises(CodecError):
        _gsm7.unpack(bytes(7), 9)
    with pytest.raises(CodecError):
        _gsm7.unpack(bytes(7), 8, 1)
    with pytest.raises(CodecError):
        _gsm7.unpack(bytes(300), 256)
    with pytest.raises(CodecError):
        _gsm7.unpack(bytes(300), -1)


@given(TEXTS, st.integers(0, 6))
def test_agrees_with_the_plain_python_codec(text: str, fill_bits: int) -> None:
    packed = _gsm7.pack(text, fill_bits)
    septets = _gsm7.count_septets(text)
    assert packed == baseline.pack(text, fill_bits)
    if septets <= 255:
        assert _gsm7.unpack(packed, septets, fill_bits) == text


@given(st.binary(max_size=140), st.integers(0, 6), st.data())
def test_reads_any_octets_as_the_plain_python_codec_does(octets: bytes, fill_bits: int, data: st.DataObject) -> None:
    septets = data.draw(st.integers(0, max(0, (8 * len(octets) - fill_bits) // 7)))
    if (fill_bits + 7 * septets + 7) // 8 <= len(octets):
        assert _gsm7.unpack(octets, septets, fill_bits) == baseline.unpack(octets, septets, fill_bits)
