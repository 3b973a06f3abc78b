"""WCAG 2.2 §1.4.3: text has a contrast of 4.5 to 1 with what lies under it, in the light and in the dark."""

import re
from pathlib import Path

import pytest

from server.console import pages

SHEET = (Path(pages.__file__).parent / "static" / "console.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#\w{6});", rules)) for rules in re.findall(r":root \{(.*?)\}", SHEET, re.DOTALL)
)

PAIRS = [
    *((ink, ground) for ink in ("ink", "soft", "brass") for ground in ("ground", "panel", "raised")),
    *((state, "raised") for state in ("well", "busy", "care", "ill")),
    *((state, "panel") for state in ("well", "busy", "care", "ill")),
    ("ink", "brass-wash"),
    ("on-brass", "brass"),
]


def luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(scheme: dict[str, str], text: str, ground: str) -> None:
    low, high = sorted((luminance(scheme[text]), luminance(scheme[ground])))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_both_schemes_name_the_same_colours() -> None:
    assert set(LIGHT) == set(DARK)


def test_the_sheet_asks_nobody_else_for_anything() -> None:
    assert "url(" not in SHEET
    assert "@import" not in SHEET
