"""server/sight.py: how much of a person a caller sees."""

from typing import Any

import pytest

from engine.access.caller import SENSITIVE, Asked, Caller, Sight
from server import sight

ADDRESS = {"street": "1 Lotus Road", "postcode": "100000", "city": "Beijing", "country": "CN"}
MASKED_ADDRESS = {"street": "***", "postcode": "***", "city": "Beijing", "country": "CN"}


def who(seen: Sight) -> Caller:
    return Caller("staff", "Chen", 7, sight=dict.fromkeys(SENSITIVE, seen))


def test_who_has_no_policy_sees_everything() -> None:
    program = Caller("token", "program")
    assert sight.number(program, 8613912345678) == "+8613912345678"
    assert sight.email(program, "na@lotus.example") == "na@lotus.example"
    assert sight.birthday(program, "1990-05-17") == "1990-05-17"
    assert sight.address(program, ADDRESS) == ADDRESS


def test_a_mask_leaves_enough_to_recognise_and_too_little_to_use() -> None:
    clerk = who("masked")
    assert sight.number(clerk, 8613912345678) == "+8613*****5678"
    assert sight.email(clerk, "na@lotus.example") == "n***@lotus.example"
    assert sight.email(clerk, "no address") == "***"
    assert sight.birthday(clerk, "1990-05-17") == "****-05-**"
    assert sight.birthday(clerk, "--05-17") == "****-05-**"
    assert sight.birthday(clerk, "the 8th of the leap month") == "***"
    assert sight.address(clerk, ADDRESS) == MASKED_ADDRESS


def test_a_list_shows_masks_to_everybody() -> None:
    assert sight.number(who("full"), 8613912345678, whole=False) == "+8613*****5678"
    assert sight.email(who("full"), "na@lotus.example", whole=False) == "n***@lotus.example"
    assert sight.number(who("none"), 8613912345678, whole=False) is None


def test_who_sees_nothing_sees_nothing() -> None:
    nobody = who("none")
    assert sight.number(nobody, 8613912345678) is None
    assert sight.email(nobody, "na@lotus.example") is None
    assert sight.birthday(nobody, "1990-05-17") is None
    assert sight.address(nobody, ADDRESS) is None


def test_what_is_not_there_is_not_masked() -> None:
    assert (sight.email(who("masked"), ""), sight.birthday(who("masked"), "")) == (None, None)
    assert sight.address(who("masked"), {}) is None


@pytest.mark.parametrize(
    ("field", "told", "masked"),
    [
        ("number", "+8613912345678", "+8613*****5678"),
        ("email", "na@lotus.example", "n***@lotus.example"),
        ("birthday", "1990-05-17", "****-05-**"),
        ("address", ADDRESS, MASKED_ADDRESS),
        ("number", 8613912345678, "***"),
        ("number", ["+8613912345678"], "***"),
        ("number", None, None),
        ("numbers", ["+8613912345678"], ["+8613*****5678"]),
        ("street", "1 Lotus Road", "***"),
        ("special_days", [{"name": "wedding", "date": "2001-05-17"}], "***"),
        ("own_sensitive", {"passport": "E1"}, None),
        ("name", "Li Na", "Li Na"),
    ],
)
def test_a_value_of_any_field_is_masked_by_its_name(field: str, told: Any, masked: Any) -> None:
    assert sight.value(who("masked"), field, told) == masked
    assert sight.value(who("full"), field, told) == told
    assert sight.value(who("none"), field, told) == (told if field == "name" else None)


def test_who_may_see_numbers_and_asked_finds_them_in_lists_too_and_they_are_counted() -> None:
    asking = Caller("token", "program", asked=Asked())
    assert sight.number(asking, 8613912345678, whole=False) == "+8613912345678"
    assert sight.value(asking, "numbers", ["+8613912345678"], whole=False) == ["+8613912345678"]
    assert sight.email(asking, "na@lotus.example", whole=False) == "n***@lotus.example"
    assert asking.asked is not None
    assert asking.asked.told == 2
    not_asking = Caller("token", "program")
    assert sight.value(not_asking, "number", "+8613912345678", whole=False) == "+8613*****5678"
    assert sight.value(not_asking, "number", 8613912345678, whole=False) == "***"
    assert sight.number(None, 8613912345678) == "+8613*****5678"
