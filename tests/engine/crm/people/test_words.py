"""engine/crm/people/words.py: texts as they are compared, and the words of a name."""

import pytest

from engine.crm.people import words


@pytest.mark.parametrize(
    ("one", "other"),
    [("ＮＡＮＪＩＮＧ", "nanjing"), ("Straße", "STRASSE"), ("ﬁsh", "FISH"), ("é", "É"), ("南京", "南京")],
)
def test_width_and_case_make_no_difference(one: str, other: str) -> None:
    assert words.folded(one) == words.folded(other)


def test_a_chinese_name_is_found_by_its_given_name_and_any_other_by_its_words() -> None:
    assert words.of_name("李小娜") == ["李小娜", "小娜", "娜"]
    assert words.of_name("Ann-Marie  O'Neil") == ["ann", "marie", "o", "neil"]
    assert words.of_name(" ,. ") == []
    assert len(words.of_name(" ".join(f"w{place}" for place in range(50)))) == words.WORDS_MOST


def test_a_key_is_as_long_as_any_other_and_cuts_no_character() -> None:
    for word in ("a", "南京市鼓楼区中山路", "x" * 50, "é" * 20):
        key = words.key(word)
        assert len(key) == words.KEY_OCTETS
        assert word.startswith(key.rstrip(b"\0").decode())


def test_names_that_differ_in_case_width_or_spaces_only_are_the_same_name() -> None:
    assert words.digest("  VIP  Guest ") == words.digest("vip guest")
    assert words.digest("vip") != words.digest("vips")
