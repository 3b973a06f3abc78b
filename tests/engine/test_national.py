"""The national language shift tables, against digests that two transcriptions of the annex agree on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from engine import _national

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "national.json").read_text("utf-8"))
LOCKING = {table["language"]: table for table in VECTORS["tables"] if table["kind"] == "locking"}
SINGLE = {table["language"]: table for table in VECTORS["tables"] if table["kind"] == "single"}

SPANISH = 2
KANNADA = 7
# 0 is the default alphabet's; from 14 on they are reserved.
NOWHERE = [-(2**31), -1, 0, 14, 255, 2**31 - 1]
# The basic plane and the next, whose code points end in the same sixteen bits.
CHARACTERS = [chr(code) for code in range(0x20000)]


def digest(characters: str) -> str:
    return hashlib.sha256(characters.encode("utf-32-be")).hexdigest()


def locking(language: int) -> str:
    characters = _national.locking(language)
    assert characters is not None
    return characters


def single(language: int) -> str:
    """The table with a null at an empty code, as the digests have it."""
    characters = _national.single(language)
    return "".join(characters.get(septet, "\0") for septet in range(128))


def named(table: dict[str, Any]) -> str:
    return f"{table['kind']} {table['name']}"


@pytest.mark.parametrize("table", VECTORS["tables"], ids=named)
def test_a_table_is_what_two_transcriptions_say(table: dict[str, Any]) -> None:
    """3GPP TS 23.038 Annex A."""
    characters = (locking if table["kind"] == "locking" else single)(table["language"])
    assert digest(characters) == table["sha256"]
    assert _national.NAMES[table["language"]] == table["name"]
    assert len(set(table["equal"])) >= 2
    assert set(table["equal"]) <= set(VECTORS["transcriptions"])


def test_there_are_thirteen_single_and_twelve_locking_tables() -> None:
    """3GPP TS 23.038 §6.2.1.2.4: A.3.2 is void, so Spanish has a single shift table alone."""
    assert list(_national.NAMES) == list(range(1, 14))
    assert set(SINGLE) == set(range(1, 14))
    assert set(LOCKING) == set(range(1, 14)) - {SPANISH}
    assert _national.locking(SPANISH) is None
    assert set(_national.single(SPANISH).values()) == set("\f^{}\\[~]|€çÁÍÓÚáíóú")


@pytest.mark.parametrize("language", NOWHERE)
def test_no_other_identifier_has_a_table(language: int) -> None:
    assert _national.locking(language) is None
    assert _national.single(language) == {}
    for character in "aA@€∞\0\x1b":
        assert _national.find_locking(language, character) is None
        assert _national.find_single(language, character) is None


def later_codes(characters: str) -> dict[str, int]:
    """Character → septet; the later one, where there are two."""
    codes = {character: septet for septet, character in enumerate(characters)}
    return {character: septet for character, septet in codes.items() if character not in "\0\x1b"}


@pytest.mark.parametrize("language", range(14))
def test_a_septet_is_found_by_its_character_and_no_other(language: int) -> None:
    """Every character of the basic plane and of one beyond."""
    table = later_codes(_national.locking(language) or "")
    assert {c: found for c in CHARACTERS if (found := _national.find_locking(language, c)) is not None} == table
    table = later_codes(single(language))
    assert {c: found for c in CHARACTERS if (found := _national.find_single(language, c)) is not None} == table


@pytest.mark.parametrize("language", LOCKING)
def test_a_locking_table_keeps_what_every_text_needs(language: int) -> None:
    """Digits, small letters, the line end and the escape stand where they stand in the default alphabet."""
    characters = locking(language)
    assert len(characters) == 128
    assert characters[0x30:0x3A] == "0123456789"
    assert characters[0x61:0x7B] == "abcdefghijklmnopqrstuvwxyz"
    assert [characters[septet] for septet in (0x0A, 0x0D, 0x1B, 0x20)] == ["\n", "\r", "\x1b", " "]
    assert characters.count("\x1b") == characters.count(" ") == 1


@pytest.mark.parametrize("language", SINGLE)
def test_a_single_shift_table_leaves_the_control_codes_empty(language: int) -> None:
    """3GPP TS 23.038 notes to A.2: 0x0A is a page break, 0x0D a control code, 0x1B reserved for further tables."""
    characters = _national.single(language)
    assert characters[0x0A] == "\f"
    assert 0x0D not in characters
    assert 0x1B not in characters


@pytest.mark.parametrize(
    ("language", "septet", "character"),
    [
        pytest.param(1, 0x04, "€", id="A.3.1 Turkish, in place of è"),
        pytest.param(1, 0x07, "ı", id="A.3.1 Turkish, the dotless i"),
        pytest.param(1, 0x40, "İ", id="A.3.1 Turkish, the dotted capital"),
        pytest.param(3, 0x15, "∞", id="A.3.3 Portuguese, the one beyond the scripts besides the euro"),
        pytest.param(3, 0x17, "\\", id="A.3.3 Portuguese, without the escape"),
        pytest.param(3, 0x18, "€", id="A.3.3 Portuguese"),
        pytest.param(6, 0x15, "\u0915", id="A.3.6 Hindi, ka"),
        pytest.param(8, 0x7F, "\u0d79", id="A.3.8 Malayalam, the last of the last script"),
        pytest.param(11, 0x60, "\u0bd0", id="A.3.11 Tamil, om"),
        pytest.param(13, 0x00, "\u0627", id="A.3.13 Urdu, alef"),
        pytest.param(13, 0x28, ")", id="A.3.13 Urdu, whose brackets are turned round"),
    ],
)
def test_a_locking_table_has(language: int, septet: int, character: str) -> None:
    assert locking(language)[septet] == character
    assert _national.find_locking(language, character) == septet


@pytest.mark.parametrize(
    ("language", "septet", "character"),
    [
        pytest.param(1, 0x47, "Ğ", id="A.2.1 Turkish, behind its G"),
        pytest.param(2, 0x61, "á", id="A.2.2 Spanish, behind its a"),
        pytest.param(3, 0x05, "ê", id="A.2.3 Portuguese"),
        pytest.param(4, 0x19, "\u09e6", id="A.2.4 Bengali, where the others have a danda"),
        pytest.param(6, 0x19, "\u0964", id="A.2.6 Hindi, the danda"),
        pytest.param(7, 0x3C, "[", id="A.2.7 Kannada"),
        pytest.param(10, 0x41, "A", id="A.2.10 Punjabi, capitals behind the escape"),
        pytest.param(11, 0x24, "\u0bee", id="A.2.11 Tamil, eight"),
        pytest.param(12, 0x22, "\u0c6c", id="A.2.12 Telugu, six"),
        pytest.param(13, 0x3F, "\u06d4", id="A.2.13 Urdu, the full stop"),
    ],
)
def test_a_single_shift_table_has(language: int, septet: int, character: str) -> None:
    assert _national.single(language)[septet] == character
    assert _national.find_single(language, character) == septet


def test_telugu_alone_has_no_euro_behind_the_escape() -> None:
    """3GPP TS 23.038 §A.2.12."""
    assert [language for language in SINGLE if _national.find_single(language, "€") is None] == [12]


def test_of_two_codes_the_later_is_sent() -> None:
    """A.3.7 prints U+0CAA at 0x24 too, where others read U+0CA1: 0x3D is read alike by everybody."""
    assert locking(KANNADA)[0x24] == locking(KANNADA)[0x3D] == "\u0caa"
    assert _national.find_locking(KANNADA, "\u0caa") == 0x3D
    assert _national.find_locking(KANNADA, "\u0ca1") is None
    assert [_national.find_single(KANNADA, character) for character in "*¡"] == [0x18, 0x15]
