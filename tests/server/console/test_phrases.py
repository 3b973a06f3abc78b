import re
from pathlib import Path

import pytest

from server.console import fragments, phrases
from server.console.snapshot import TALLIES

FIELD = re.compile(r"\{(\w*)\}")


def test_every_language_has_every_phrase() -> None:
    english, chinese = phrases.PHRASES["en"], phrases.PHRASES["zh"]
    assert list(english) == list(chinese)
    assert all(english.values())
    assert all(chinese.values())


@pytest.mark.parametrize("key", phrases.PHRASES["en"])
def test_a_phrase_fills_in_the_same_in_every_language(key: str) -> None:
    assert sorted(FIELD.findall(phrases.PHRASES["en"][key])) == sorted(FIELD.findall(phrases.PHRASES["zh"][key]))


def test_every_phrase_that_a_template_or_page_names_exists_and_no_other() -> None:
    sources = [*fragments.TEMPLATES.glob("*.html"), *Path(phrases.__file__).parent.glob("*.py")]
    text = "\n".join(path.read_text() for path in sources if path.name != "phrases.py")
    named = set(re.findall(r"\bt\('([a-z_]+)'", text))
    known = {key for key in phrases.PHRASES["en"] if "." not in key}
    assert named <= known
    assert all(re.search(rf"['\"]{key}['\"]", text) for key in known)


def test_every_counter_of_a_campaign_has_a_word() -> None:
    assert {f"tally.{name}" for name, _ in TALLIES} == {
        key for key in phrases.PHRASES["en"] if key.startswith("tally.")
    }


def test_what_nobody_has_worded_yet_is_shown_as_it_is() -> None:
    assert phrases.worded("zh", "reason", "missing_value_name") == "missing value name"
    assert phrases.worded("en", "event", "rack.fire") == "rack: fire"


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        pytest.param("zh-CN,zh;q=0.9,en;q=0.8", "zh", id="a browser in China"),
        pytest.param("en-GB,en;q=0.9", "en", id="a browser in Britain"),
        pytest.param("en;q=0.4, zh;q=0.7", "zh", id="the better liked one"),
        pytest.param("de, fr;q=0.5", "zh", id="neither: the house's own"),
        pytest.param("", "zh", id="nothing said"),
        pytest.param("en;q=", "en", id="an empty weight"),
        pytest.param("en;q=x", "zh", id="a broken weight"),
        pytest.param("en;q=0", "zh", id="not at all"),
    ],
)
def test_the_browser_is_asked_which_language_it_likes(accept: str, language: str) -> None:
    assert phrases.preferred(accept, "zh") == language
