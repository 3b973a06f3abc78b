"""engine/access/pins.py, passwords.py and hashes.py: what is kept of a secret shows nothing to who has no key file."""

import time

import pytest

from engine.access import hashes, passwords, pins
from engine.errors import Invalid

PEPPER = bytes(range(32))
OTHER = bytes(range(1, 33))
PASSWORD = "a heron stood in the reeds"


def test_a_pin_is_known_again_and_no_other_is() -> None:
    kept = pins.hashed(PEPPER, "4711")
    assert pins.is_right(PEPPER, "4711", kept)
    for wrong in ("4712", "471", "47110", "", "４７１２", "\ud800"):
        assert not pins.is_right(PEPPER, wrong, kept)


def test_a_pin_is_not_found_by_trying_without_the_key_file() -> None:
    """The right one among the tries, as whoever tries all ten thousand must come upon it."""
    kept = pins.hashed(PEPPER, "4711")
    tried = ("4709", "4710", "4711", "4712")
    assert [pin for pin in tried if pins.is_right(OTHER, pin, kept)] == []
    assert [pin for pin in tried if pins.is_right(b"", pin, kept)] == []
    assert [pin for pin in tried if pins.is_right(PEPPER, pin, kept)] == ["4711"]


def test_a_try_costs_twenty_milliseconds_or_more() -> None:
    kept = pins.hashed(PEPPER, "4711")
    cost_s = []
    for pin in ("0000", "4711", "9999"):
        began = time.perf_counter()
        pins.is_right(PEPPER, pin, kept)
        cost_s.append(time.perf_counter() - began)
    assert min(cost_s) >= 0.020


def test_the_same_pin_is_kept_as_something_else_each_time() -> None:
    first, second = pins.hashed(PEPPER, "4711"), pins.hashed(PEPPER, "4711")
    assert first != second
    assert first.startswith("$argon2id$")


def test_what_is_kept_of_a_pin_is_no_password() -> None:
    kept = passwords.hashed(PEPPER, "0123456789")
    assert not hashes.is_right(PEPPER, b"pin", "0123456789", kept)
    assert hashes.is_right(PEPPER, b"password", "0123456789", kept)


def test_full_width_digits_are_the_same_pin() -> None:
    assert pins.is_right(PEPPER, "4711", pins.hashed(PEPPER, "４７１１"))


@pytest.mark.parametrize("pin", ["", "471", "123456789", "47a1", "47 1", "-471", "٤٧١١"])
def test_what_is_no_pin_is_refused(pin: str) -> None:
    with pytest.raises(Invalid) as refused:
        pins.hashed(PEPPER, pin)
    assert refused.value.params[0].name == "pin"
    assert pin == "" or pin not in str(refused.value)


def test_a_password_is_known_again_however_it_was_typed() -> None:
    kept = passwords.hashed(PEPPER, "café au lait du matin")
    assert passwords.is_right(PEPPER, "cafe\u0301 au lait du matin", kept)
    assert not passwords.is_right(PEPPER, "cafe au lait du matin", kept)


def test_a_password_longer_than_any_is_not_the_one_that_it_begins_with() -> None:
    longest = "x" * passwords.LONGEST
    assert not passwords.is_right(PEPPER, longest + "y", passwords.hashed(PEPPER, longest))


@pytest.mark.parametrize("password", ["", "too short", "x" * 201])
def test_a_password_too_short_or_too_long_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        passwords.hashed(PEPPER, password)


def test_where_nothing_is_kept_nothing_is_right_and_that_takes_as_long() -> None:
    began = time.perf_counter()
    assert not passwords.is_right(PEPPER, PASSWORD, "")
    assert time.perf_counter() - began >= 0.020


@pytest.mark.parametrize("kept", ["x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "ü"])
def test_what_is_no_hash_of_ours_is_no_one_s_password(kept: str) -> None:
    assert not passwords.is_right(PEPPER, PASSWORD, kept)


async def test_tries_are_made_beside_the_loop() -> None:
    kept = await hashes.aside(pins.hashed, PEPPER, "4711")
    assert await hashes.aside(pins.is_right, PEPPER, "4711", kept)
