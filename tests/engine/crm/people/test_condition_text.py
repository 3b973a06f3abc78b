"""Conditions as text."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.people.condition_json import from_json, to_json
from engine.crm.people.condition_text import LONGEST, Unreadable, parse, write
from engine.crm.people.conditions import CONDITIONS_MOST, DEEPEST, Condition, Field, Op, Tag
from engine.errors import Invalid
from tests.engine.condition_strategies import AWKWARD, JSONS, TRIPLES, Json, Triple

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "segments.json").read_text(encoding="utf-8"))


def octets(definition: object) -> str:
    """Which tell 1 from true, as Python does not."""
    return json.dumps(definition, ensure_ascii=False, sort_keys=True)


def json_of(text: str) -> str:
    return octets(to_json(parse(text)))


def read_or_refused(text: str) -> Condition | None:
    """The condition, or None where the text was refused with a place in it."""
    place = 1
    try:
        return parse(text)
    except Unreadable as error:
        place = error.position
    assert 1 <= place <= len(text) + 1
    return None


def refusal(text: str) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        parse(text)
    return caught.value


# There and back


@pytest.mark.parametrize("vector", VECTORS["conditions"], ids=lambda vector: vector["text"])
def test_reads_the_vectors(vector: Json) -> None:
    assert to_json(parse(vector["text"])) == vector["json"]
    assert to_json(parse(write(from_json(vector["json"])))) == vector["json"]


@given(JSONS)
def test_json_comes_back_through_text(definition: Json) -> None:
    text = write(from_json(definition))
    assert json_of(text) == octets(definition)
    assert write(parse(text)) == text


@given(TRIPLES)
def test_a_checked_condition_comes_back_through_json_and_text(triple: Triple) -> None:
    """As JSON: what looks like a date is text for a field of text only once it was checked again."""
    condition, _, _ = triple
    assert json_of(write(condition)) == octets(to_json(condition))
    assert write(from_json(to_json(condition))) == write(condition)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  city=Nanjing\n", "city = Nanjing"),
        ("points.balance>300且consent:marketing", None),  # no spaces, no end of the word
        ("((city = a))", "city = a"),
        ("a = 1 and (b = 2 and c = 3)", "a = 1 and (b = 2 and c = 3)"),
        ("a = 1 and b = 2 and c = 3", "a = 1 and b = 2 and c = 3"),
        ("(a = 1 and b = 2) or c = 3", "a = 1 and b = 2 or c = 3"),
        ("a = 1 and (b = 2 or c = 3)", "a = 1 and (b = 2 or c = 3)"),
        ("a = 1 或 (b = 2 或 c = 3)", "a = 1 or (b = 2 or c = 3)"),
        ("a = 1 并且 b = 2 且 c = 3", "a = 1 and b = 2 and c = 3"),
        ("非 tag:vip", "not tag:vip"),
        ("非(tag:vip)", "not tag:vip"),
        ("not (not tag:vip)", "not (not tag:vip)"),
        ("not (tag:vip)", "not tag:vip"),
        ("not (tag:vip and tag:spa)", "not (tag:vip and tag:spa)"),
        ('tag:"vip"', "tag:vip"),
        ("tag: vip", "tag:vip"),
        ('tag:"two words"', 'tag:"two words"'),
        ("tag:2026", "tag:2026"),
        ('city = "Nan \\"the\\" \\\\ jing"', 'city = "Nan \\"the\\" \\\\ jing"'),
        ('city = "true"', 'city = "true"'),
        ('city = "7"', 'city = "7"'),
        ("sku = 007", 'sku = "007"'),
        ('x = "2026-09-01"', "x = 2026-09-01"),
        ("x = 2026-02-30", "x = 2026-02-30"),
        ("phone ~ 138", "phone ~ 138"),
        ('x ~ "true"', "x ~ true"),
        ('phone ^= "+86"', "phone ^= +86"),
        ("x = -5", "x = -5"),
        ("x<-5", "x < -5"),
        ("x in(1,a,true,2026-09-01)", "x in (1, a, true, 2026-09-01)"),
        ("x in last 007d", "x in last 7d"),
        ("x in next 2w", "x in next 2w"),
        ("b anniversary in next 2w", "b anniversary in next 14d"),
        ("b anniversary in next 1d", "b anniversary"),
        ("b anniversary from 0d solar", "b anniversary solar"),
        ("b anniversary from 2w in next 3d lunar", "b anniversary from 2w in next 3d lunar"),
        ("b anniversary from - 1mo", "b anniversary from -1mo"),
        ("b anniversary from -0d", "b anniversary"),
        ("order().count = 0", "order(ever).count = 0"),
        ("order(,sku=T10).count = 0", "order(ever, sku = T10).count = 0"),
        ("order ( 12h , not (sku=T10 或 paid=true) ) . max ( amount )<=7",
         "order(12h, not (sku = T10 or paid = true)).max(amount) <= 7"),
        ("in in (in, is)", "in in (in, is)"),
        ("is is missing", "is is missing"),
        ("tag = segment and order = 7", "tag = segment and order = 7"),
        ("城市 = 南京", "城市 = 南京"),
        ("城市　=　南京", "城市 = 南京"),
    ],
)  # fmt: skip
def test_the_normal_form(text: str, normal: str | None) -> None:
    if normal is None:
        assert refusal(text)
        return
    assert write(parse(text)) == normal
    assert write(parse(normal)) == normal
    assert json_of(normal) == json_of(text)


@pytest.mark.parametrize("text", AWKWARD)
def test_any_text_can_be_a_value(text: str) -> None:
    assert parse(write(Field("x", Op.STARTS, text))) == Field("x", Op.STARTS, text)
    if text:
        assert parse(write(Tag(text))) == Tag(text)


# Refusals


@pytest.mark.parametrize("vector", VECTORS["malformed"], ids=lambda vector: vector["text"])
def test_refuses_the_malformed_in_these_words(vector: Json) -> None:
    error = refusal(vector["text"])
    assert error.reason == vector["error"]
    assert [(param.name, param.reason) for param in error.params] == [("text", vector["error"])]


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "unexpected end of condition", 1),
        (" \n", "unexpected end of condition", 3),
        ("= 7", "expected a condition at 1, got '='", 1),
        ("and tag:a", "expected a condition at 1, got 'and'", 1),
        ("not not tag:a", "expected a condition at 5, got 'not'", 5),
        ("tag:a and", "unexpected end of condition", 10),
        ("tag:a and or tag:b", "expected a condition at 11, got 'or'", 11),
        ("city Nanjing", "expected a comparison at 6, got 'Nanjing'", 6),
        ('"city" = a', "expected a condition at 1, got '\"city\"'", 1),
        ("city = and", "expected a value at 8, got 'and'", 8),
        ("city = = a", "expected a value at 8, got '='", 8),
        ("city ~ (a)", "expected a text at 8, got '('", 8),
        ("city = Nanjing)", "unexpected ')' at 15", 15),
        ("city = Nanjing Road", "unexpected 'Road' at 16 (missing and/or?)", 16),
        ('city = a "b"', "unexpected '\"b\"' at 10 (missing and/or?)", 10),
        ("(tag:a tag:b)", "unexpected 'tag' at 8 (missing and/or?)", 8),
        ("tag:", "unexpected end of condition", 5),
        ('tag:""', "expected a name at 5, got '\"\"'", 5),
        ("flag:vip", "expected a comparison at 5, got ':'", 5),
        ("city in Nanjing", "expected a list, last or next at 9, got 'Nanjing'", 9),
        ("city in (a b)", "expected ) at 12, got 'b'", 12),
        ("city in ()", "expected a value at 10, got ')'", 10),
        ("city is blue", "expected set or missing at 9, got 'blue'", 9),
        ("x older 7d", "expected than at 9, got '7d'", 9),
        ("x in last 7", "expected a duration at 11, got '7'", 11),
        ("x in last 7m", "expected a duration at 11, got '7m'", 11),
        ("x in last 1000y", "expected at most 999y at 11, got '1000y'", 11),
        ("x = 9223372036854775808", "expected a number of 64 bits at 5, got '9223372036854775808'", 5),
        ("x = " + "9" * 5000, f"expected a number of 64 bits at 5, got '{'9' * 40}'", 5),
        ("b anniversary in next 1mo", "expected days or weeks at 23, got '1mo'", 23),
        ("b anniversary in next 0d", "expected 1 to 366 days at 23, got '0d'", 23),
        ("b anniversary in last 7d", "expected next at 18, got 'last'", 18),
        ("b anniversary from -7h", "expected days, weeks, months or years at 20, got '-7h'", 20),
        ("b anniversary from --7d", "expected a duration at 21, got '-7d'", 21),
        ("order(sku = T10).count = 1", "expected a duration at 7, got 'sku'", 7),
        ("order(90d, tag:a).count = 1", "expected a property of the event at 12, got 'tag'", 12),
        ("order(90d, visit(1d).count = 1).count = 1", "expected a property of the event at 12, got 'visit'", 12),
        ("order(90d).mean(x) = 1", "expected one of count, sum, max, min at 12, got 'mean'", 12),
        ("order(90d).sum = 1", "expected ( at 16, got '='", 16),
        ("order(90d).count ~ 1", "expected a comparison at 18, got '~'", 18),
        ("order(90d).count = many", "expected a number at 20, got 'many'", 20),
        ("order(90d).count = true", "expected a number at 20, got 'true'", 20),
        ('order(90d).count = "1"', "expected a number at 20, got '\"1\"'", 20),
        ('x = "a\\n"', 'a backslash before neither " nor \\ at 5', 5),
        ('x = "a\\', "unclosed quote at 5", 5),
        ('x = "a\\"', "unclosed quote at 5", 5),
        ('南京 = 1 且 x = "', "unclosed quote at 14", 14),
        ('"', "unclosed quote at 1", 1),
        ("x = \ud800", "has half of a surrogate pair", 1),
    ],
    ids=lambda case: repr(case)[:40] if isinstance(case, str) else "",
)  # fmt: skip
def test_a_refusal_names_the_place(text: str, reason: str, position: int) -> None:
    error = refusal(text)
    assert (error.reason, error.position) == (reason, position)


def test_the_field_is_called_as_the_caller_calls_it() -> None:
    with pytest.raises(Invalid) as caught:
        parse("", field="condition")
    assert caught.value.params[0].name == "condition"


# Limits and hostile texts


def test_brackets_may_be_as_deep_as_conditions() -> None:
    assert parse("(" * DEEPEST + "tag:a" + ")" * DEEPEST) == Tag("a")
    assert refusal("(" * 9999 + "tag:a").reason == f"nested deeper than {DEEPEST} at {DEEPEST + 2}"


def test_a_text_may_be_as_deep_as_json() -> None:
    deepest = "not (" * (DEEPEST - 2) + "not tag:a" + ")" * (DEEPEST - 2)
    assert from_json(to_json(parse(deepest)))
    assert refusal(f"not ({deepest})").reason == f"nested deeper than {DEEPEST} at 1"
    assert refusal(f"tag:b and tag:c or {deepest}").reason == f"nested deeper than {DEEPEST} at 1"


def test_what_an_event_is_asked_is_one_deeper() -> None:
    deepest = "not (" * (DEEPEST - 3) + "order(1d, not sku = a).count = 1" + ")" * (DEEPEST - 3)
    assert from_json(to_json(parse(deepest)))
    assert refusal(f"not ({deepest})").reason.startswith("nested deeper")


def test_a_text_may_have_as_many_conditions_as_allowed() -> None:
    conditions = ["tag:a"] * CONDITIONS_MOST
    assert parse(" or ".join(conditions))
    error = refusal(" or ".join([*conditions, "tag:b"]))
    assert error.reason == f"more than {CONDITIONS_MOST} conditions at {9 * CONDITIONS_MOST + 1}"


def test_a_text_may_be_as_long_as_can_be_written() -> None:
    longest = f'x = "{"é" * (LONGEST - 6)}"'
    assert write(parse(longest)) == longest.replace('"', "")
    assert refusal(longest + " ").position == LONGEST + 1
    with pytest.raises(Invalid, match=f"^definition: is longer than {LONGEST} characters"):
        write(Field("x", Op.EQ, "é" * LONGEST))


@pytest.mark.parametrize(
    "unit",
    ["(", "not ", "not (", "a(", "order(1d, ", "x in (", '"', '\\"', '"\\', "x = \"a\" and ", "or ", "-", ".", "9", " ",
     "x = 1 and ", "a.", "a:", "x anniversary ", "x = (", "\x00", "\ud83d\ude00", "且", "x in (a,"],
)  # fmt: skip
def test_hostile_texts_are_refused_in_a_moment(unit: str) -> None:
    text = (unit * LONGEST)[:LONGEST]
    begun = time.perf_counter()
    assert refusal(text)
    assert time.perf_counter() - begun < 1


PIECES = [*sorted({piece for vector in VECTORS["conditions"] for piece in vector["text"].split()}), "(", ")", '"', "\\"]


@given(st.lists(st.sampled_from(PIECES + AWKWARD), max_size=30), st.sampled_from(["", " "]))
def test_any_text_is_read_or_refused_with_a_place_in_it(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    condition = read_or_refused(text)
    if condition is not None:
        assert json_of(write(condition)) == json_of(text)
        from_json(to_json(condition))


@given(st.data())
def test_a_condition_with_a_piece_cut_out_is_read_or_refused(data: st.DataObject) -> None:
    text = write(from_json(data.draw(JSONS)))
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    condition = read_or_refused(text[:start] + text[end:])
    if condition is not None:
        assert write(parse(write(condition))) == write(condition)
