"""engine/numbers.py: one choke point for telephone numbers."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import numbers
from engine.errors import Invalid


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        pytest.param("+4917012345678", None, "+4917012345678", id="E.164"),
        pytest.param(" +49 (170) 1234-5678 ", None, "+4917012345678", id="spaces and brackets"),
        pytest.param("＋４９１７０１２３４５６７８", None, "+4917012345678", id="full width"),
        pytest.param("0170 12345678", "DE", "+4917012345678", id="national"),
        pytest.param("13800138000", "CN", "+8613800138000", id="Chinese national"),
        pytest.param("+390612345678", None, "+390612345678", id="an Italian zero stays"),
        pytest.param("+8613800138000", "DE", "+8613800138000", id="the plus counts more than the country"),
    ],
)
def test_a_number_is_read_however_it_is_written(written: str, country: str | None, number: str) -> None:
    assert numbers.parse(written, country) == number


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="letters"),
        pytest.param("0170 12345678", id="national without a country"),
        pytest.param("+", id="a plus"),
        pytest.param("+999123456789", id="no such country"),
        pytest.param("+861", id="too short"),
        pytest.param("+49170123456789012345", id="too long"),
        pytest.param("+49170123x5678", id="a letter inside"),
        pytest.param("+1-800-FLOWERS", id="a word for a number"),
        pytest.param("+4917012345678;ext=5", id="an extension"),
        pytest.param("tel:+4917012345678", id="a URI"),
        pytest.param("++4917012345678", id="two plus signs"),
    ],
)
def test_what_is_no_number_is_refused_by_the_name_of_its_field(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        numbers.parse(written, None, "from")
    assert refused.value.params[0].name == "from"


@given(st.text("+0123456789０-() .x\n\u0661", max_size=30), st.sampled_from([None, "DE", "CN", "US", "XX"]))
def test_no_text_raises_anything_else_and_what_is_read_is_e164(text: str, country: str | None) -> None:
    with contextlib.suppress(Invalid):
        number = numbers.parse(text, country)
        assert number.startswith("+")
        assert number[1:].isascii()
        assert number[1:].isdigit()
        assert numbers.to_key(number) < 1 << 64
        assert numbers.from_key(numbers.to_key(number)) == number
        assert numbers.parse(number) == number


@given(st.integers(10, 10**15 - 1).map(lambda digits: f"+{digits}"))
def test_a_masked_number_hides_at_least_four_digits(number: str) -> None:
    masked = numbers.mask(number)
    assert len(masked) == len(number)
    assert masked.count("*") >= min(4, len(number) - 1)
    assert all(shown in ("*", digit) for shown, digit in zip(masked, number, strict=True))


def test_a_usual_number_can_be_recognised_behind_its_mask() -> None:
    assert numbers.mask("+8613900000001") == "+8613*****0001"
    assert numbers.mask("+8613800138000") == "+8613*****8000"
