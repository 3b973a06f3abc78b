"""Templates: the notation, what takes a fallback, where a mistake stands, and texts of every width."""

import pytest

from engine.errors import CodecError
from engine.sms import Template, batch, lines


@pytest.mark.parametrize(
    ("source", "fields", "values", "text"),
    [
        pytest.param("", (), (), "", id="nothing"),
        pytest.param("Hello", (), (), "Hello", id="no field"),
        pytest.param("{name}", ("name",), ("Ann",), "Ann", id="nothing but a field"),
        pytest.param("Hello {name}!", ("name",), ("Ann",), "Hello Ann!", id="a field amid words"),
        pytest.param("{a}{b}", ("a", "b"), ("1", "2"), "12", id="two side by side"),
        pytest.param("{b} {a} {b}", ("b", "a"), ("1", "2"), "1 2 1", id="in the order of their first appearance"),
        pytest.param("{größe} {имя} {名前}", ("größe", "имя", "名前"), ("1", "2", "3"), "1 2 3", id="in any script"),
        pytest.param("{a1_}", ("a1_",), ("x",), "x", id="with digits and underscores behind the first letter"),
        pytest.param("{" + "n" * 40 + "}", ("n" * 40,), ("x",), "x", id="a name of forty characters"),
        pytest.param("{{name}}", (), (), "{name}", id="braces, doubled"),
        pytest.param("{{{name}}}", ("name",), ("Ann",), "{Ann}", id="a field between braces"),
        pytest.param("{{{{}}}}", (), (), "{{}}", id="two braces each"),
        pytest.param("100 % $name \\n", (), (), "100 % $name \\n", id="other signs are as they are"),
        pytest.param("{a}", ("a",), ("{b}",), "{b}", id="a value is no template"),
        pytest.param("{a}", ("a",), (" ",), " ", id="a space is a value"),
    ],
)
def test_fills_fields(source: str, fields: tuple[str, ...], values: tuple[str, ...], text: str) -> None:
    template = Template(source)
    assert (template.fields, template.source) == (fields, source)
    assert template.render(values) == text


@pytest.mark.parametrize("value", [pytest.param(None, id="None"), pytest.param("", id="an empty text")])
@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("Hello {name:you}!", "Hello you!", id="words"),
        pytest.param("Hello{name:}!", "Hello!", id="nothing, which is a fallback too"),
        pytest.param("{name:at 12:30: here}", "at 12:30: here", id="with colons of its own"),
        pytest.param("{name: }", " ", id="a space"),
        pytest.param("{name:you}, {name:friend}", "you, friend", id="another at each place"),
        pytest.param("{name:d’accord 👍🏽}", "d’accord 👍🏽", id="wider than the words"),
    ],
)
def test_what_has_no_value_takes_the_fallback(source: str, text: str, value: str | None) -> None:
    assert Template(source).render((value,)) == text


@pytest.mark.parametrize("value", [None, ""])
def test_a_field_with_neither_is_named(value: str | None) -> None:
    template = Template("{name:you} {code} {name}")
    assert template.render(("Ann", "4711")) == "Ann 4711 Ann"
    for values, field in ((("Ann", value), "code"), ((value, "4711"), "name")):
        with pytest.raises(CodecError) as refused:
            template.render(values)
        assert (refused.value.field, refused.value.offset) == (field, None)


@pytest.mark.parametrize(
    ("source", "offset"),
    [
        pytest.param("{", 0, id="a brace alone"),
        pytest.param("}", 0, id="a closing brace alone"),
        pytest.param("Hello {name", 6, id="a field that does not end"),
        pytest.param("Hello name}", 10, id="a field that does not begin"),
        pytest.param("{name}}", 6, id="a brace too many"),
        pytest.param("{{name}", 6, id="a doubled brace and a single one"),
        pytest.param("{a{b}}", 0, id="a field within a field"),
        pytest.param("{a:{b}}", 0, id="a field within a fallback"),
        pytest.param("ok {}", 3, id="no name"),
        pytest.param("ok {:you}", 3, id="a fallback of no name"),
        pytest.param("{ name}", 0, id="a space before the name"),
        pytest.param("{name }", 0, id="a space behind it"),
        pytest.param("{first name}", 0, id="a space within"),
        pytest.param("{1st}", 0, id="a digit first"),
        pytest.param("{a-b}", 0, id="a hyphen"),
        pytest.param("{a.b}", 0, id="a dot"),
        pytest.param("{a!r}", 0, id="what Python would allow"),
        pytest.param("{" + "n" * 41 + "}", 0, id="a name of 41 characters"),
        pytest.param("😀é漢{", 3, id="behind wide characters, which are one each"),
    ],
)
def test_a_mistake_is_refused_where_it_stands(source: str, offset: int) -> None:
    with pytest.raises(CodecError) as refused:
        Template(source)
    assert (refused.value.field, refused.value.offset) == ("text", offset)


@pytest.mark.parametrize("words", ["plain", "Grüße", "Ω漢", "😀"])
@pytest.mark.parametrize("value", ["plain", "é", "\xff", "\u0100", "漢字", "\uffff", "🇩🇪", "\U0010ffff"])
def test_words_and_values_of_every_width_are_put_together(words: str, value: str) -> None:
    """CPython holds a str in 1, 2 or 4 octets per character; the text has the width of its widest."""
    text = Template(words + "{a}" + words + "{b}").render((value, "x"))
    expected = words + value + words + "x"
    assert text == expected
    assert (hash(text), text.isascii(), len(text)) == (hash(expected), expected.isascii(), len(expected))
    assert text.encode() == expected.encode()


def test_a_wide_value_that_is_not_used_does_not_widen_the_text() -> None:
    template = Template("{a:漢} {b}")
    assert template.render(("x", "y")).isascii()
    assert template.render(("", "y")) == "漢 y"


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_another_number_of_values_is_refused(count: int) -> None:
    with pytest.raises(CodecError) as refused:
        Template("{a} {b:x} {a}").render(("x",) * count)
    assert refused.value.field == "values"


def test_a_value_that_is_no_text_is_refused() -> None:
    template = Template("{a} {b}")
    for value in (1, b"x", 1.5, ("x",), False):
        with pytest.raises(TypeError, match="b is no text"):
            template.render(("x", value))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        template.render(["x", "y"])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Template(None)  # type: ignore[arg-type]


def test_1023_fields_go_and_one_more_is_refused() -> None:
    assert Template("{a} " * 1023).render(("x",)) == "x " * 1023
    with pytest.raises(CodecError) as refused:
        Template("{a} " * 1024)
    assert refused.value.field == "text"


def test_a_batch_fills_a_template_for_each_recipient() -> None:
    template = Template("Hi {name:you}")
    rows = [("Ann",), (None,), ("Şule",)]
    texts = ["Hi Ann", "Hi you", "Hi Şule"]
    assert batch(["1", "2", "3"], template, rows) == [
        lines(number, text) for number, text in zip("123", texts, strict=True)
    ]
    with pytest.raises(CodecError) as refused:
        batch(["1", "2"], Template("Hi {name}"), [("Ann",), ("",)])
    assert refused.value.field == "row 2: name"
    for rows_given in (None, rows[:2]):
        with pytest.raises((TypeError, CodecError)):
            batch(["1", "2", "3"], template, rows_given)
