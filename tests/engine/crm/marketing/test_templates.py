"""engine/crm/marketing/templates.py: braces, fields and fallbacks."""

import contextlib
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.marketing.templates import parse, render
from engine.errors import Invalid


class Field(NamedTuple):
    name: str
    fallback: None


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXT)
def test_any_text_survives_with_its_braces_doubled(text: str) -> None:
    assert render(parse(text.replace("{", "{{").replace("}", "}}")), {}) == text


@given(
    st.lists(st.one_of(TEXT, st.builds(Field, st.sampled_from(["a", "b", "naïve_1", "名字"]), st.none()))),
    TEXT,
)
def test_fields_are_filled_where_they_stand(pieces: list[str | Field], value: str) -> None:
    written = "".join(
        f"{{{piece.name}}}" if isinstance(piece, Field) else piece.replace("{", "{{").replace("}", "}}")
        for piece in pieces
    )
    wanted = "".join(value if isinstance(piece, Field) else piece for piece in pieces)
    values = dict.fromkeys(("a", "b", "naïve_1", "名字"), value)
    if value or not any(isinstance(piece, Field) for piece in pieces):
        assert render(parse(written), values) == wanted
    else:
        with pytest.raises(Invalid):
            render(parse(written), values)


@given(st.text("{}:a1 ", max_size=12))
def test_what_is_no_template_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with contextlib.suppress(Invalid):
        render(parse(text), {"a": "x"})


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("{", "1", id="open"),
        pytest.param("ab}", "3", id="closed"),
        pytest.param("{{{", "3", id="one too many"),
        pytest.param("x{}", "2", id="no name"),
        pytest.param("x{1a}", "2", id="a digit first"),
        pytest.param("x{a b}", "2", id="a space in it"),
        pytest.param("{" + "a" * 41 + "}", "1", id="too long a name"),
        pytest.param("{a:{b}}", "1", id="a field in a fallback"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, at: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text, "text.en")
    (param,) = refused.value.params
    assert param.name == "text.en"
    assert f"at character {at}" in param.reason


def test_a_fallback_stands_in_for_a_value_that_is_missing_or_empty() -> None:
    template = parse("Dear {name:friend}{x:}, {a:b:c}!")
    assert render(template, {}) == "Dear friend, b:c!"
    assert render(template, {"name": "Li", "x": "1", "a": "2"}) == "Dear Li1, 2!"
    assert render(template, {"name": ""}) == "Dear friend, b:c!"


def test_a_value_is_never_read_as_a_template() -> None:
    assert render(parse("{a}"), {"a": "{b} {{ }}"}) == "{b} {{ }}"


def test_a_missing_value_is_told_by_its_name() -> None:
    with pytest.raises(Invalid) as refused:
        render(parse("{a:x} {code}"), {})
    assert refused.value.params[0].name == "code"
