"""engine/_suppressed.pyx: the digests of hashlib, and a set of them that is exact whatever stands in the file."""

import hashlib
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._suppressed import Suppressed

PEPPER = b"a pepper of any length"

NUMBERS = st.integers(0, 99) | st.integers(0, 10**15) | st.integers(0, 2**64 - 1)
# Neighbours in two of the tables, about the end of which they meet.
NEAR = st.builds(
    lambda table, tag, slot: (tag << 57 | slot).to_bytes(8, "little") + (table << 52).to_bytes(8, "little"),
    st.sampled_from([0, 4095]),
    st.sampled_from([0, 1, 127]),
    st.sampled_from([0, 1, 2, 3, 5, 7, 13, 14, 15, 29, 30, 31, 62, 63]),
)
DIGESTS = NEAR | st.binary(min_size=16, max_size=16)


def digest(pepper: bytes, number: int) -> bytes:
    return hashlib.blake2b(number.to_bytes(8, "big"), key=pepper, digest_size=16).digest()


@given(st.binary(min_size=1, max_size=64), NUMBERS)
def test_a_digest_is_the_keyed_blake2b_of_hashlib(pepper: bytes, number: int) -> None:
    assert Suppressed(pepper).digest(number) == digest(pepper, number)


@pytest.mark.parametrize("length", range(1, 65))
def test_a_pepper_has_any_length_that_blake2b_takes(length: int) -> None:
    pepper = Random(length).randbytes(length)
    assert Suppressed(pepper).digest(447911123456) == digest(pepper, 447911123456)


@pytest.mark.parametrize("length", [0, 65])
def test_a_pepper_has_1_to_64_octets(length: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 64 octets, not {length}"):
        Suppressed(bytes(length))


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_has_64_bits(number: int) -> None:
    suppressed = Suppressed(PEPPER)
    with pytest.raises(OverflowError):
        suppressed.digest(number)
    with pytest.raises(OverflowError):
        assert number not in suppressed


def test_a_number_is_in_the_set_by_its_digest() -> None:
    suppressed = Suppressed(PEPPER)
    assert 447911123456 not in suppressed
    suppressed.add(digest(PEPPER, 447911123456))
    assert 447911123456 in suppressed
    assert 447911123457 not in suppressed
    suppressed.discard(digest(PEPPER, 447911123456))
    assert 447911123456 not in suppressed


@pytest.mark.parametrize("octet", range(16))
def test_all_octets_of_a_digest_count(octet: int) -> None:
    other = bytearray(digest(PEPPER, 447911123456))
    other[octet] ^= 0x10
    suppressed = Suppressed(PEPPER)
    suppressed.add(bytes(other))
    assert 447911123456 not in suppressed


def test_those_of_a_file_are_in_it_and_no_others() -> None:
    suppressed = Suppressed(PEPPER)
    numbers = Random(1).sample(range(447_000_000_000, 448_000_000_000), 60_000)
    suppressed.load(suppressed.digest(number) for number in numbers[:30_000])
    assert len(suppressed) == 30_000
    assert all(number in suppressed for number in numbers[:30_000])
    assert not any(number in suppressed for number in numbers[30_000:])
    for number in numbers[:15_000]:
        suppressed.discard(suppressed.digest(number))
    assert len(suppressed) == 15_000
    assert not any(number in suppressed for number in numbers[:15_000])
    assert all(number in suppressed for number in numbers[15_000:30_000])


def test_to_add_twice_or_to_discard_what_is_not_there_changes_nothing() -> None:
    suppressed = Suppressed(PEPPER)
    suppressed.discard(bytes(16))
    suppressed.add(bytes(16))
    suppressed.add(bytes(16))
    assert len(suppressed) == 1
    suppressed.discard(bytes(16))
    suppressed.discard(bytes(16))
    assert len(suppressed) == 0


@given(st.lists(st.tuples(st.booleans(), DIGESTS), max_size=300))
def test_it_holds_what_a_set_does_however_its_digests_crowd(steps: list[tuple[bool, bytes]]) -> None:
    suppressed = Suppressed(PEPPER)
    model: set[bytes] = set()
    for is_added, each in steps:
        if is_added:
            suppressed.add(each)
            model.add(each)
        else:
            suppressed.discard(each)
            model.discard(each)
        assert len(suppressed) == len(model)
    for each in {each for _, each in steps}:
        suppressed.discard(each)
        model.discard(each)
        assert len(suppressed) == len(model)
    assert len(suppressed) == 0


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_digest_has_16_octets(length: int) -> None:
    suppressed = Suppressed(PEPPER)
    for refusing in (suppressed.add, suppressed.discard):
        with pytest.raises(ValueError, match=f"16 octets, not {length}"):
            refusing(bytes(length))
    with pytest.raises(ValueError, match=f"16 octets, not {length}"):
        suppressed.load([bytes(16), bytes(length), b"x" * 16])
    assert len(suppressed) == 1


def test_what_is_no_octets_is_refused() -> None:
    suppressed: Any = Suppressed(PEPPER)
    for refused in (None, "0" * 16, 1):
        with pytest.raises(TypeError):
            suppressed.add(refused)
        with pytest.raises(TypeError):
            suppressed.discard(refused)
        with pytest.raises(TypeError):
            Suppressed(refused)  # type: ignore[arg-type]


def test_an_error_among_the_digests_comes_through() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(16)
        raise LookupError

    suppressed = Suppressed(PEPPER)
    with pytest.raises(LookupError):
        suppressed.load(broken())
    assert len(suppressed) == 1


def test_there_is_no_set_without_a_pepper() -> None:
    kind: Any = Suppressed
    with pytest.raises(TypeError):
        kind.__new__(kind)


def test_to_initialise_again_changes_nothing() -> None:
    suppressed = Suppressed(PEPPER)
    suppressed.add(digest(PEPPER, 1))
    again: Any = suppressed
    again.__init__(b"another")
    assert 1 in suppressed
    assert suppressed.digest(1) == digest(PEPPER, 1)


def test_where_there_is_no_memory_the_set_stays_as_it_is() -> None:
    scarcity = pytest.importorskip("_testcapi")
    suppressed = Suppressed(PEPPER)
    random = Random(1)
    failed = 0
    for count in range(20_000):
        each = random.randbytes(16)
        scarcity.set_nomemory(0)
        try:
            suppressed.add(each)
        except MemoryError:
            pass
        finally:
            scarcity.remove_mem_hooks()
        failed += len(suppressed) == count
        suppressed.add(each)
        assert len(suppressed) == count + 1
    assert failed > 4096


def test_without_memory_for_the_tables_there_is_no_set() -> None:
    scarcity = pytest.importorskip("_testcapi")
    for first in range(8):
        scarcity.set_nomemory(first, first + 1)
        try:
            made = Suppressed(PEPPER)
        except MemoryError:
            made = None
        finally:
            scarcity.remove_mem_hooks()
        assert made is None or len(made) == 0
