"""Conditions as JSON, and against a vocabulary."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.crm.people.condition_json import from_json, to_json
from engine.crm.people.conditions import (
    CONDITIONS_MOST,
    DEEPEST,
    AllOf,
    Anniversary,
    AnyOf,
    Calendar,
    Duration,
    Field,
    Op,
    Tag,
    Unit,
    nodes,
    segments_in,
)
from engine.crm.people.vocabulary import EVENTS, checked
from engine.errors import Invalid
from tests.engine.condition_strategies import JSONS, VOCABULARY, Json

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "segments.json").read_text(encoding="utf-8"))
CITY = {"field": "city", "op": "eq", "value": "Nanjing"}
ORDERS = {"event": "order", "within": "P90D", "agg": "count", "op": "gte", "value": 2}


def same(one: object, other: object) -> bool:
    """As octets, which tell 1 from true; Python does not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def refused(definition: object) -> str:
    with pytest.raises(Invalid) as caught:
        from_json(definition)
    (param,) = caught.value.params
    return param.name


# JSON


@pytest.mark.parametrize("vector", VECTORS["conditions"], ids=lambda vector: vector["text"])
def test_what_was_read_is_written_as_it_came(vector: Json) -> None:
    assert to_json(from_json(vector["json"])) == vector["json"]


@given(JSONS)
def test_every_definition_is_written_as_it_came(definition: Json) -> None:
    assert same(to_json(from_json(definition)), definition)


WORDS = ["eq", "in", "contains", "is_set", "older_than", "anniversary", "count", "sum", "ever", "P7D", "PT7H", "city"]
KEYS = [
    "all",
    "any",
    "not",
    "field",
    "op",
    "value",
    "calendar",
    "tag",
    "event",
    "within",
    "where",
    "agg",
    "of",
    "offset",
]
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)


@given(ANY_JSON | st.fixed_dictionaries({"field": ANY_JSON, "op": st.sampled_from(WORDS[:6]), "value": ANY_JSON}))
def test_any_json_is_refused_or_written_as_it_came(definition: object) -> None:
    try:
        condition = from_json(definition)
    except Invalid:
        return
    assert same(to_json(condition), definition)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        pytest.param("2026-09-01", date(2026, 9, 1), id="a day of the calendar is a date"),
        pytest.param("2026-02-30", "2026-02-30", id="another is text"),
        pytest.param("20260901", "20260901", id="so is another form"),
        pytest.param("7", "7", id="digits in quotes are text"),
        pytest.param(7, 7, id="a number"),
        pytest.param(True, True, id="true"),
    ],
)
def test_values_have_types(value: object, literal: object) -> None:
    condition = from_json({"field": "x", "op": "eq", "value": value})
    assert isinstance(condition, Field)
    assert condition.value == literal
    assert type(condition.value) is type(literal)


def test_what_is_sought_in_a_text_is_text() -> None:
    assert from_json({"field": "x", "op": "contains", "value": "2026-09-01"}) == Field("x", Op.CONTAINS, "2026-09-01")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("PT12H", Duration(12, Unit.HOURS)),
        ("P7D", Duration(7, Unit.DAYS)),
        ("P2W", Duration(2, Unit.WEEKS)),
        ("P6M", Duration(6, Unit.MONTHS)),
        ("P1Y", Duration(1, Unit.YEARS)),
    ],
)
def test_durations_are_of_one_unit(text: str, duration: Duration) -> None:
    assert from_json({"field": "x", "op": "within_last", "value": text}) == Field("x", Op.WITHIN_LAST, duration)


def test_an_anniversary_may_begin_before_today() -> None:
    definition = {
        "field": "x", "op": "anniversary", "value": {"offset": "-P1M", "days": 7}, "calendar": "gregorian",
    }  # fmt: skip
    value = Anniversary(Duration(-1, Unit.MONTHS), 7)
    assert from_json(definition) == Field("x", Op.ANNIVERSARY, value, Calendar.GREGORIAN)


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        pytest.param([], "definition", id="a list"),
        pytest.param(None, "definition", id="null"),
        pytest.param({}, "definition", id="nothing"),
        pytest.param({"tag": "vip", "field": "x"}, "definition", id="two in one"),
        pytest.param({"tag": "vip", "colour": 1}, "definition.colour", id="an unknown key"),
        pytest.param({"tag": ""}, "definition.tag", id="an empty name"),
        pytest.param({"tag": 7}, "definition.tag", id="a name that is no text"),
        pytest.param({"tag": "\ud800"}, "definition.tag", id="half of a pair"),
        pytest.param({"all": [CITY]}, "definition.all", id="one member"),
        pytest.param({"all": CITY}, "definition.all", id="no list"),
        pytest.param({"any": [CITY, {**CITY, "op": "like"}]}, "definition.any[1].op", id="an unknown operator"),
        pytest.param({"not": {"all": [CITY, 7]}}, "definition.not.all[1]", id="no object"),
        pytest.param({**CITY, "op": ["eq"]}, "definition.op", id="an operator that is no text"),
        pytest.param({"field": "city", "op": "eq"}, "definition.value", id="no value"),
        pytest.param({"field": "city"}, "definition.op", id="no operator"),
        pytest.param({**CITY, "op": "is_set"}, "definition.value", id="a value too many"),
        pytest.param({**CITY, "value": 1.5}, "definition.value", id="a fraction"),
        pytest.param({**CITY, "value": None}, "definition.value", id="a null"),
        pytest.param({**CITY, "value": 1 << 63}, "definition.value", id="65 bits"),
        pytest.param({**CITY, "value": ["a"]}, "definition.value", id="a list for one"),
        pytest.param({**CITY, "op": "in"}, "definition.value", id="one for a list"),
        pytest.param({**CITY, "op": "in", "value": []}, "definition.value", id="an empty list"),
        pytest.param({**CITY, "op": "in", "value": ["a", None]}, "definition.value[1]", id="a null in a list"),
        pytest.param({**CITY, "op": "contains", "value": 7}, "definition.value", id="a number in a text"),
        pytest.param({**CITY, "calendar": "chinese"}, "definition.calendar", id="a calendar too many"),
        pytest.param({**CITY, "field": "a b"}, "definition.field", id="a field of two words"),
        pytest.param({**CITY, "field": "not"}, "definition.field", id="a field called as the language says not"),
        pytest.param({**CITY, "field": "a" * 201}, "definition.field", id="a field with a long name"),
        pytest.param({**CITY, "field": ".a"}, "definition.field", id="a field of nothing"),
        *(
            pytest.param({**CITY, "op": "older_than", "value": value}, "definition.value", id=f"duration {value}")
            for value in ("P1M2D", "P07D", "7D", "P7H", "PT7M", "P1000000D", "P1000Y", "-P7D", "P7d", "", 7, "P７D")
        ),
        pytest.param({**CITY, "op": "anniversary", "value": "P7D"}, "definition.value", id="no span"),
        *(
            pytest.param({**CITY, "op": "anniversary", "value": value}, f"definition.value.{key}", id=f"span {value}")
            for key, value in [
                ("offset", {"days": 7}),
                ("days", {"offset": "P0D"}),
                ("offset", {"offset": "PT1H", "days": 7}),
                ("offset", {"offset": "-P0D", "days": 7}),
                ("offset", {"offset": "--P1D", "days": 7}),
                ("days", {"offset": "P0D", "days": 0}),
                ("days", {"offset": "P0D", "days": 367}),
                ("days", {"offset": "P0D", "days": True}),
                ("leap", {"offset": "P0D", "days": 1, "leap": 1}),
            ]
        ),
        *(
            pytest.param({**ORDERS, **change}, f"definition.{key}", id=f"event with {change}")
            for key, change in [
                ("within", {"within": "90"}),
                ("within", {"within": None}),
                ("of", {"of": "amount"}),
                ("of", {"agg": "sum"}),
                ("agg", {"agg": "mean"}),
                ("op", {"op": "in"}),
                ("value", {"value": True}),
                ("value", {"value": "2"}),
                ("value", {"value": -(1 << 63) - 1}),
                ("event", {"event": 7}),
                ("where.tag", {"where": {"tag": "vip"}}),
                ("where.any[1].event", {"where": {"any": [CITY, ORDERS]}}),
            ]
        ),
        pytest.param(
            {key: value for key, value in ORDERS.items() if key != "within"}, "definition.within", id="no time"
        ),
    ],
)
def test_a_refusal_names_the_place(definition: object, place: str) -> None:
    assert refused(definition) == place


def test_the_place_begins_as_the_caller_calls_it() -> None:
    with pytest.raises(Invalid, match=r"^all\[1\]\.op: must be one of eq, ne, "):
        from_json({"all": [CITY, {**CITY, "op": "like"}]}, field="")


def test_events_after_an_event_may_be_asked_again() -> None:
    """What may stand in `where` ends with it."""
    first = {**ORDERS, "where": {"field": "sku", "op": "eq", "value": "T10"}}
    from_json({"all": [first, {"tag": "vip"}, ORDERS]})


# Limits


def deep(levels: int) -> Json:
    definition: Json = CITY
    for _ in range(levels - 1):
        definition = {"not": definition}
    return definition


def test_a_definition_may_be_as_deep_as_allowed() -> None:
    assert from_json(deep(DEEPEST))
    assert refused(deep(DEEPEST + 1)) == "definition" + ".not" * DEEPEST
    assert refused(deep(100_000)) == "definition" + ".not" * DEEPEST


def test_what_an_event_is_asked_is_one_deeper() -> None:
    definition: Json = {**ORDERS, "where": {"not": CITY}}
    for _ in range(DEEPEST - 3):
        definition = {"not": definition}
    assert from_json(definition)
    assert refused({"not": definition})


def test_a_definition_may_have_as_many_conditions_as_allowed() -> None:
    assert from_json({"any": [CITY] * CONDITIONS_MOST})
    assert refused({"any": [CITY] * (CONDITIONS_MOST + 1)}) == f"definition.any[{CONDITIONS_MOST}]"
    within_events = {**ORDERS, "where": {"any": [CITY] * (CONDITIONS_MOST // 2)}}
    assert refused({"any": [within_events] * 2}) == f"definition.any[1].where.any[{CONDITIONS_MOST // 2 - 2}]"


# The tree


def test_segments_are_found_wherever_they_are_named() -> None:
    definition = {"all": [{"segment": "b"}, {"not": {"any": [{"segment": "a"}, {"segment": "b"}]}}]}
    assert segments_in(from_json(definition)) == ("b", "a")


def test_every_node_is_walked() -> None:
    tree = from_json({"any": [{"not": CITY}, {**ORDERS, "where": CITY}, ORDERS, {"tag": "vip"}]})
    assert [type(node).__name__ for node in nodes(tree)] == [
        "AnyOf", "Not", "Field", "Happened", "Field", "Happened", "Tag",
    ]  # fmt: skip


def test_trees_can_be_told_apart_and_kept_in_sets() -> None:
    one, two = Tag("a"), Tag("b")
    assert len({AllOf((one, two)), AnyOf((one, two)), AllOf((one, two))}) == 2


# The vocabulary


@pytest.mark.parametrize(
    ("definition", "place", "reason"),
    [
        ({"field": "citty", "op": "is_set"}, "field", "no such field: citty"),
        ({"field": "sku", "op": "is_set"}, "field", "no such field: sku"),
        ({"field": "city", "op": "gt", "value": "a"}, "op", "gt does not suit city, which is text"),
        ({"field": "city", "op": "eq", "value": 7}, "value", "is not text: in quotes it is"),
        ({"field": "city", "op": "in", "value": ["a", True]}, "value[1]", "is not text: in quotes it is"),
        ({"field": "points.balance", "op": "eq", "value": "7"}, "value", "is not a whole number"),
        ({"field": "points.balance", "op": "eq", "value": True}, "value", "is not a whole number"),
        ({"field": "attrs.newsletter", "op": "eq", "value": 1}, "value", "is not true or false"),
        ({"field": "last_order", "op": "lt", "value": "soon"}, "value", "is not a date"),
        ({"field": "last_seen_at", "op": "lt", "value": 7}, "value", "is not a date"),
        ({"field": "last_order", "op": "contains", "value": "2026"}, "op",
         "contains does not suit last_order, which is a date"),
        ({"field": "last_order", "op": "within_last", "value": "PT7H"}, "value",
         "hours do not suit last_order, which has only a day"),
        ({"field": "birthday", "op": "eq", "value": "2026-09-25"}, "op",
         "eq does not suit birthday, which is a day of the year"),
        ({"field": "region", "op": "starts", "value": "C"}, "op", "starts does not suit region, which is a region"),
        ({"consent": "fun"}, "consent", "no such purpose: fun"),
        ({**ORDERS, "event": "ordeal"}, "event", "no such event: ordeal"),
        ({**ORDERS, "agg": "sum", "of": "weight"}, "of", "no such property of order: weight"),
        ({**ORDERS, "agg": "max", "of": "sku"}, "of", "sku is text, which has no max"),
        ({**ORDERS, "where": CITY}, "where.field", "no such property of order: city"),
        ({**ORDERS, "where": {"field": "amount", "op": "eq", "value": "7"}}, "where.value", "is not a whole number"),
    ],
    ids=lambda case: case if isinstance(case, str) and " " in case else "",
)  # fmt: skip
def test_what_does_not_suit_the_field_is_refused(definition: Any, place: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked(from_json({"all": [{"tag": "vip"}, {"not": definition}]}), VOCABULARY)
    (param,) = caught.value.params
    assert (param.name, param.reason) == (f"definition.all[1].not.{place}", reason)


@pytest.mark.parametrize(
    "definition",
    [
        {"field": "city", "op": "in", "value": ["a", "b"]},
        {"field": "attrs.hobbies", "op": "contains", "value": "ball"},
        {"field": "points.balance", "op": "in", "value": [1, 2]},
        {"field": "last_order", "op": "gte", "value": "2026-09-01"},
        {"field": "last_seen_at", "op": "within_last", "value": "PT7H"},
        {"field": "created_at", "op": "anniversary", "value": {"offset": "P0D", "days": 1}},
        {"field": "birthday", "op": "anniversary", "value": {"offset": "P0D", "days": 1}, "calendar": "chinese"},
        {"field": "region", "op": "ne", "value": "CN"},
        {"segment": "whatever"},
        {"consent": "research"},
        {"event": "complaint", "within": "PT7H", "agg": "max", "of": "rating", "op": "lt", "value": 3},
        {**ORDERS, "where": {"any": [{"field": "sku", "op": "eq", "value": "a"}, {"field": "paid", "op": "is_set"}]}},
    ],
    ids=str,
)
def test_what_suits_is_left_as_it_is(definition: Json) -> None:
    condition = from_json(definition)
    assert checked(condition, VOCABULARY) == condition


def test_what_looked_like_a_date_is_text_for_a_field_of_text() -> None:
    definition = {"any": [{"field": "city", "op": "eq", "value": "2026-09-01"},
                          {"field": "attrs.hobbies", "op": "in", "value": ["a", "2026-09-01"]}]}  # fmt: skip
    condition = checked(from_json(definition), VOCABULARY)
    assert condition == AnyOf((Field("city", Op.EQ, "2026-09-01"), Field("attrs.hobbies", Op.IN, ("a", "2026-09-01"))))
    assert to_json(condition) == definition


def test_every_event_may_be_counted() -> None:
    for event in EVENTS:
        checked(from_json({**ORDERS, "event": event}), VOCABULARY)
