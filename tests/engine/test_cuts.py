"""Where a text is cut: at the edge of a part, around what a reader takes for one character, and never for a part more.

A part of several holds 67 code units or 153 septets: 3GPP TS 23.040 §9.2.3.24.1.
"""

import pytest

from engine import sms
from engine.sms import cut, measure

HAN = "漢"
FAMILY = "👨\u200d👩\u200d👧\u200d👦"  # eleven units


def units(text: str) -> int:
    """Code units of 16 bits."""
    return len(text.encode("utf-16-be")) // 2


def elements(room: int) -> list[tuple[int, bytes]]:
    """An element that leaves so many code units of a part that is one of several."""
    return [(0x70, bytes(140 - 6 - 2 - 2 * room))]


# At the edge

CLUSTERS = [
    pytest.param("🇩🇪", id="a flag"),
    pytest.param("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", id="a flag of tags"),
    pytest.param("🏳\ufe0f\u200d🌈", id="the rainbow flag"),
    pytest.param("👨\u200d👩\u200d👧\u200d👦", id="a family"),
    pytest.param("🧑🏾\u200d🤝\u200d🧑🏻", id="people holding hands"),
    pytest.param("👩🏾\u200d🚀", id="an astronaut of a skin tone"),
    pytest.param("👍🏽", id="a hand of a skin tone"),
    pytest.param("1\ufe0f\u20e3", id="a keycap"),
    pytest.param("❤\ufe0f", id="a heart, and the selector that colours it"),
    pytest.param("\u1112\u1161\u11ab", id="a Hangul syllable of jamo"),
    pytest.param("하\u11ab", id="a Hangul syllable composed in part"),
    pytest.param("e\u0301", id="a letter and its accent"),
    pytest.param("o\u0323\u0302\u0301", id="a letter and three marks"),
    pytest.param("שּׁ", id="a Hebrew letter and its points"),
    pytest.param("क्षि", id="a Devanagari conjunct and its vowel"),
    pytest.param("நி", id="a Tamil letter and its vowel"),
    pytest.param("กำ", id="a Thai letter and its vowel"),
    pytest.param("\r\n", id="a line end"),
]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_what_is_seen_as_one_moves_whole_to_the_next_part(cluster: str) -> None:
    """Wherever the edge of the first part falls within it."""
    for inside in range(1, units(cluster)):
        before = HAN * (67 - inside)
        assert cut(before + cluster + HAN * 10) == [before, cluster + HAN * 10]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_what_ends_at_the_edge_stays(cluster: str) -> None:
    before = HAN * (67 - units(cluster))
    assert cut(before + cluster + HAN * 10) == [before + cluster, HAN * 10]
    assert cut(HAN * 67 + cluster + HAN * 10) == [HAN * 67, cluster + HAN * 10]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_what_fits_one_part_is_not_cut_at_all(cluster: str) -> None:
    text = HAN * (70 - units(cluster)) + cluster
    assert cut(text) == [text]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param("한", "글", id="Hangul syllables, composed"),
        pytest.param("🇩🇪", "🇫🇷", id="flags"),
        pytest.param("😀", "😀", id="faces"),
        pytest.param("é", "é", id="letters, composed"),
        pytest.param("\n", "\r", id="two line ends"),
        pytest.param("ไ", "ท", id="Thai letters"),
        pytest.param("漢", "👍🏽", id="a character and a hand"),
    ],
)
def test_neighbours_are_cut_apart_at_the_edge(left: str, right: str) -> None:
    before = HAN * (67 - units(left)) + left
    assert cut(before + right * 10) == [before, right * 10]


@pytest.mark.parametrize(
    ("before", "text", "behind"),
    [
        pytest.param(152, "\r\n", 20, id="a line end on the edge"),
        pytest.param(151, "\r\n", 20, id="a line end before it"),
        pytest.param(153, "\r\n", 20, id="a line end behind it"),
        pytest.param(152, "€", 20, id="an escape sequence"),
    ],
)
def test_gsm_7_bit_parts_keep_line_ends_and_escape_sequences(before: int, text: str, behind: int) -> None:
    parts = cut("a" * before + text + "b" * behind)
    edge = before if before == 152 else 153
    assert parts == [("a" * before + text + "b" * behind)[:edge], ("a" * before + text + "b" * behind)[edge:]]
    assert measure("a" * before + text + "b" * behind).alphabet == sms.Alphabet.GSM7


def test_two_line_ends_are_cut_between() -> None:
    assert cut("a" * 151 + "\r\n\r\n" + "b" * 20) == ["a" * 151 + "\r\n", "\r\n" + "b" * 20]
    assert cut("a" * 152 + "\n\n" + "b" * 20) == ["a" * 152 + "\n", "\n" + "b" * 20]


def test_national_tables_keep_line_ends_too() -> None:
    """The header names the table, which leaves 149 septets."""
    text = "ş" * 74 + "\r\n" + "ş" * 30
    assert cut(text, national="single") == ["ş" * 74, "\r\n" + "ş" * 30]


# What it costs


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param(HAN * 66 + "e\u0301" + HAN * 66, [67, 67], id="two full parts, an accent cut off"),
        pytest.param(HAN * 66 + "e\u0301" + HAN * 65, [66, 67], id="one character less, and it is kept"),
        pytest.param(HAN * 65 + "🇩🇪" + HAN * 65, [67, 67], id="two full parts, a flag cut in two"),
        pytest.param(HAN * 65 + "🇩🇪" + HAN * 64, [67, 66], id="one unit to spare does not save a flag"),
        pytest.param(HAN * 65 + "🇩🇪" + HAN * 63, [65, 67], id="two units do"),
        pytest.param(
            HAN * 66 + "e\u0301" + HAN * 65 + "e\u0301" + HAN * 66, [67] * 3, id="three full parts, two cut off"
        ),
        pytest.param(
            HAN * 66 + "e\u0301" + HAN * 64 + "e\u0301" + HAN * 65, [66, 66, 67], id="two less, and both are kept"
        ),
        pytest.param(
            HAN * 66 + "e\u0301" + HAN * 64 + "e\u0301" + HAN * 66, [67, 67, 66], id="one less, and one is kept"
        ),
        pytest.param(HAN * 65 + "🇩🇪" + HAN * 64 + "e\u0301" + HAN * 65, [67, 66, 67], id="… which is not the flag"),
        pytest.param("e\u0301" * 100, [67, 67, 66], id="accents alone, one unit to spare"),
        pytest.param("a" * 152 + "\r\n" + "a" * 152, [153, 153], id="two full parts of septets, a line end cut"),
        pytest.param("a" * 152 + "\r\n" + "a" * 151, [152, 153], id="one letter less, and it is kept"),
    ],
)
def test_keeping_characters_whole_never_takes_another_part(text: str, parts: list[int]) -> None:
    """What would need one is cut where filling cuts it."""
    assert [units(part) for part in cut(text)] == parts


def test_parts_are_filled_as_early_as_they_can_be() -> None:
    """Of ways that keep all whole, the first part is the fullest, then the second."""
    assert [units(part) for part in cut("e\u0301" * 99)] == [66, 66, 66]
    assert [units(part) for part in cut("e\u0301" * 102)] == [66, 66, 66, 6]
    assert [units(part) for part in cut(HAN * 66 + "e\u0301" + HAN * 100)] == [66, 67, 35]


# Longer than a part


def test_what_no_part_could_hold_is_cut_as_anything_else() -> None:
    stacked = "e" + "\u0301" * 100
    assert [units(part) for part in cut(stacked)] == [67, 34]
    assert [units(part) for part in cut(HAN * 10 + stacked)] == [67, 44]
    # What fits behind it moves whole all the same.
    assert cut(stacked + HAN * 32 + "e\u0301" + HAN * 5) == [
        stacked[:67],
        stacked[67:] + HAN * 32,
        "e\u0301" + HAN * 5,
    ]


@pytest.mark.parametrize(
    ("room", "behind", "parts"),
    [
        pytest.param(11, 10, ["漢漢", FAMILY, HAN * 10], id="which has just its room"),
        pytest.param(12, 12, ["漢漢", FAMILY + HAN, HAN * 11], id="which has more"),
        pytest.param(11, 9, ["漢漢👨\u200d👩\u200d👧\u200d", "👦" + HAN * 9], id="unless two parts can hold the text"),
        pytest.param(10, 10, ["漢漢👨\u200d👩\u200d👧", "\u200d👦" + HAN * 7, HAN * 3], id="unless it has less"),
    ],
)
def test_a_family_is_kept_whole_by_a_part_that_could_hold_it(room: int, behind: int, parts: list[str]) -> None:
    assert cut("漢漢" + FAMILY + HAN * behind, elements=elements(room)) == parts


def test_in_the_least_room_nothing_but_pairs_is_kept() -> None:
    assert cut("😀e\u0301👍🏽ab", elements=elements(2)) == ["😀", "e\u0301", "👍", "🏽", "ab"]


# And as octets


def test_what_is_cut_is_what_is_sent() -> None:
    text = HAN * 66 + "👨\u200d👩\u200d👧\u200d👦" + HAN * 60 + "🇩🇪" + "1\ufe0f\u20e3" * 20
    sent = [sms.decode(tpdu, "ms2sc").text for tpdu in sms.encode("12345", text)]
    assert sent == cut(text)
    assert measure(text).parts == len(sent)
    assert measure(text).room == 67 - units(sent[-1])


def test_255_parts_are_cut_in_the_best_way_too() -> None:
    """Sixty units are to spare, and sixty accents need one each."""
    text = (HAN * 66 + "e\u0301" + HAN * 65) * 60 + HAN * 67 * 135
    parts = cut(text)
    assert [units(part) for part in parts] == [66, 67] * 60 + [67] * 135
    assert len(sms.encode("12345", text)) == 255
