"""engine/apps/commands/refusals.py: what is offered as a refusal, and what may be one."""

import pytest

from engine.apps.commands.refusals import is_doubtful, letters_of
from engine.apps.router import normal_form


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("【荷花】今天有茶。回T退订", "t"),
        ("【荷花】今天有茶。拒收请回复R", "r"),
        ("退订回N", "n"),
        ("回复“T”退订", "t"),
        ("Lotus: tea. Reply N to opt out", "n"),
        ("Lotus: tea. Text T or R, or reply with r", "tr"),
        ("【荷花】今天有茶。回TD退订", ""),
        ("回T1订茶", ""),
        ("Reply NOW", ""),
        ("Reply STOP to opt out", ""),
        ("Tea, N and R", ""),
        ("context T", ""),
    ],
)
def test_a_letter_is_offered_where_the_text_says_so(text: str, letters: str) -> None:
    assert letters_of(text) == frozenset(letters)


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("Please do not stop the offers", True),
        ("please stop", True),
        ("I want to unsubscribe from this", True),
        ("请不要再发广告了", True),
        ("我想退订短信", True),
        ("cancel my booking", True),
        ("CANCEL 1042", False),
        ("cancel order O1042", False),
        ("see you at the weekend", False),
        ("nonstop music", False),
        ("hello", False),
        ("", False),
        ("你们几点关门", False),
    ],
)
def test_a_word_of_refusal_in_a_sentence_is_a_doubt(text: str, doubtful: bool) -> None:
    assert is_doubtful(normal_form(text)) is doubtful
