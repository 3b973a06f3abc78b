"""Opt-out: a marketing text says who sends it and how to refuse it, in every language that it has."""

import re
from typing import Final

from engine.config import House
from engine.errors import Invalid, InvalidParam

CODE: Final = "missing_opt_out"


def require(texts: dict[str, str], purpose: str, house: House, field: str = "text") -> None:
    """Raises Invalid of code `missing_opt_out` naming each of the texts that does not; others need neither."""
    if purpose != "marketing":
        return
    wrong = [
        InvalidParam(f"{field}.{language}", f"lacks {' and '.join(lacking)}")
        for language, text in texts.items()
        if (lacking := missing(text, house))
    ]
    if wrong:
        raise Invalid(*wrong, code=CODE)


def missing(text: str, house: House) -> list[str]:
    """What a text lacks, in words."""
    names = (house.name_en, house.name_zh, *house.other_names)
    lacking = []
    if not any(_says(text, name) for name in names):
        lacking.append(f"the sender's name ({' or '.join(dict.fromkeys(names))})")
    if not any(_says(text, word) for word in house.opt_out_words):
        lacking.append(f"a way to refuse (one of {', '.join(house.opt_out_words)})")
    return lacking


def _says(text: str, words: str) -> bool:
    if not words.isascii():
        return words.casefold() in text.casefold()
    return re.search(rf"(?<![A-Za-z]){re.escape(words)}(?![A-Za-z])", text, re.IGNORECASE) is not None
