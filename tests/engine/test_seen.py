"""engine/_seen.pyx: numbers as they are and references as digests, each new once, whatever a file's sender chooses."""

import tracemalloc
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._seen import Seen

SECRET = bytes(range(16))
MASK = 2**64 - 1

NUMBERS = st.integers(1, 99) | st.integers(1, 10**15) | st.integers(1, MASK)
REFERENCES = st.just("") | st.text(st.sampled_from("ab"), max_size=3) | st.text(st.characters(codec="utf-8"))


def numbers(count: int) -> list[int]:
    """Of one country, as a file has them."""
    return Random(1).sample(range(447_000_000_000, 448_000_000_000), count)


def sip(key: bytes, text: bytes) -> bytes:
    """SipHash-2-4-128, word by word as its authors write it down."""
    first, second = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    a, b = first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D ^ 0xEE
    c, d = first ^ 0x6C7967656E657261, second ^ 0x7465646279746573

    def turned(word: int, bits: int) -> int:
        return (word << bits | word >> 64 - bits) & MASK

    def stir(rounds: int) -> None:
        nonlocal a, b, c, d
        for _ in range(rounds):
            a, c = a + b & MASK, c + d & MASK
            b, d = turned(b, 13) ^ a, turned(d, 16) ^ c
            a = turned(a, 32)
            c, a = c + b & MASK, a + d & MASK
            b, d = turned(b, 17) ^ c, turned(d, 21) ^ a
            c = turned(c, 32)

    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        d ^= word
        stir(2)
        a ^= word
    c ^= 0xEE
    stir(4)
    low = a ^ b ^ c ^ d
    b ^= 0xDD
    stir(4)
    return low.to_bytes(8, "little") + (a ^ b ^ c ^ d).to_bytes(8, "little")


def test_a_number_is_new_once() -> None:
    seen = Seen(SECRET)
    assert seen.add(447911123456, "")
    assert not seen.add(447911123456, "")
    assert seen.add(447911123457, "")
    assert len(seen) == 2


def test_a_row_with_a_reference_goes_by_it_alone() -> None:
    seen = Seen(SECRET)
    assert seen.add(447911123456, "order 1")
    assert seen.add(447911123456, "order 2")
    assert not seen.add(447911123457, "order 1")
    # By number there was no row so far.
    assert seen.add(447911123456, "")


def test_a_reference_needs_no_number() -> None:
    assert Seen(SECRET).add(0, "order 1")


def test_0_is_no_number() -> None:
    seen = Seen(SECRET)
    with pytest.raises(ValueError, match="0 is no telephone number"):
        seen.add(0, "")
    assert len(seen) == 0


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_has_64_bits(number: int) -> None:
    with pytest.raises(OverflowError):
        Seen(SECRET).add(number, "")


def test_a_reference_that_is_no_text_changes_nothing() -> None:
    seen = Seen(SECRET)
    with pytest.raises(UnicodeEncodeError):
        seen.add(1, "\ud800")
    assert len(seen) == 0


@given(st.lists(st.tuples(NUMBERS, REFERENCES)))
def test_it_answers_as_a_set_does(rows: list[tuple[int, str]]) -> None:
    seen = Seen(SECRET)
    model: set[int | str] = set()
    for number, reference in rows:
        row = reference or number
        assert seen.add(number, reference) == (row not in model)
        model.add(row)
        assert len(seen) == len(model)


@pytest.mark.parametrize("by_reference", [False, True])
def test_every_table_keeps_its_rows_while_it_grows(by_reference: bool) -> None:
    seen = Seen(SECRET)
    rows = [(number, f"order {number}" if by_reference else "") for number in numbers(100_000)]
    assert all(seen.add(*row) for row in rows)
    assert not any(seen.add(*row) for row in rows)
    assert len(seen) == 100_000


@pytest.mark.parametrize("length", range(64))
def test_a_digest_is_siphash(length: int) -> None:
    text = bytes(range(length))
    assert Seen(SECRET).digest(text.decode("ascii")) == sip(SECRET, text)


def test_digests_are_those_that_the_authors_of_siphash_publish() -> None:
    seen = Seen(SECRET)
    assert seen.digest("").hex() == "a3817f04ba25a8e66df67214c7550293"
    assert seen.digest("\0").hex() == "da87c1d86b99af44347659119b22fc45"


@given(st.text(st.characters(codec="utf-8")), st.binary(min_size=16, max_size=16))
def test_a_digest_is_that_of_utf_8_by_the_secret(text: str, secret: bytes) -> None:
    assert Seen(secret).digest(text) == sip(secret, text.encode())


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_secret_has_16_octets(length: int) -> None:
    with pytest.raises(ValueError, match=f"16 octets, not {length}"):
        Seen(bytes(length))


def test_none_is_neither_secret_nor_reference() -> None:
    nothing: Any = None
    with pytest.raises(TypeError):
        Seen(nothing)
    with pytest.raises(TypeError):
        Seen(SECRET).add(1, nothing)


def test_there_is_no_set_without_a_secret() -> None:
    kind: Any = Seen
    with pytest.raises(TypeError):
        kind.__new__(kind)


def test_to_initialise_again_changes_nothing() -> None:
    seen = Seen(SECRET)
    seen.add(1, "")
    again: Any = seen
    again.__init__(bytes(16))
    assert not seen.add(1, "")
    assert seen.digest("") == Seen(SECRET).digest("")


def test_a_number_takes_at_most_24_octets_on_average() -> None:
    seen = Seen(SECRET)
    for count, number in enumerate(numbers(1_000_000), 1):
        seen.add(number, "")
        if count >= 50_000 and count % 25_000 == 0:
            assert seen.octets <= 24 * count, count


def test_the_octets_are_those_that_it_took() -> None:
    rows = [(number, "" if number % 2 else f"order {number}") for number in numbers(20_000)]
    tracemalloc.start()
    try:
        seen = Seen(SECRET)
        for row in rows:
            seen.add(*row)
        octets = seen.octets
        held, _ = tracemalloc.get_traced_memory()
        del seen
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held == pytest.approx(octets, rel=0.01)
    assert left < octets / 100


def test_an_empty_set_takes_nothing() -> None:
    assert Seen(SECRET).octets == 0


def test_what_nobody_needs_any_more_is_given_back_piece_by_piece() -> None:
    seen = Seen(SECRET)
    for number in numbers(20_000):
        seen.add(number, f"order {number}" if number % 2 else "")
    full, rest, pieces = seen.octets, len(seen), 1
    while seen.give_back(100):
        assert len(seen) < rest
        rest, pieces = len(seen), pieces + 1
    assert len(seen) == 0
    # The arrays of the tables are left.
    assert seen.octets < full / 3
    assert pieces == 82
    assert not seen.give_back(100)
    assert seen.add(1, "")


def test_an_empty_set_has_nothing_to_give_back() -> None:
    seen = Seen(SECRET)
    while seen.give_back(1000):
        pass
    assert len(seen) == 0


@pytest.mark.parametrize("by_reference", [False, True])
def test_where_there_is_no_memory_the_set_stays_as_it_is(by_reference: bool) -> None:
    scarcity = pytest.importorskip("_testcapi")
    seen = Seen(SECRET)
    failed = 0
    for number in numbers(30_000):
        before, reference = len(seen), f"order {number}" if by_reference else ""
        new = None
        scarcity.set_nomemory(0)
        try:
            new = seen.add(number, reference)
        except MemoryError:
            pass
        finally:
            scarcity.remove_mem_hooks()
        failed += new is None
        assert len(seen) == before + (new is not None)
        assert seen.add(number, reference) == (new is None)
    # The array of the tables, the tables, and each time that one of them grew.
    assert failed > 4096
    assert len(seen) == 30_000
