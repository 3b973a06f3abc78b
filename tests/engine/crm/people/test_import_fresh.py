"""New customers of a stage as native code packs them: the very octets and keys that the record gives."""

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._staging import Newcomers, Order
from engine._words import Words, unusual
from engine.crm.people import cleaning, customers, words
from engine.crm.people.customer import BY_BIRTHDAY, BY_REFERENCE, BY_WORD, CUSTOMERS, Customer, Lifecycle, keys_of
from engine.crm.people.dates import Day
from engine.crm.people.import_fresh import _BUILT, _DIFFERING, Fresh, Given, Range, pieces
from engine.crm.people.import_rows import Cleaned
from engine.crm.people.imports import Import

ALONG = (*_BUILT, BY_BIRTHDAY)
NAMES = st.one_of(
    st.text("aAbB zZ_0'-.", max_size=40),
    st.text("王李伟娜 aA·", max_size=30),
    st.text(max_size=60).filter(lambda text: text.isprintable()),
    st.lists(st.sampled_from(["Ann", "ann", "Bell", "christophorus", "Christophoros", "Öz", "ﬁt"]), max_size=16).map(
        " ".join
    ),
)
REGIONS = st.integers(0, 2**32 - 1)
TAGS = st.lists(st.integers(1, 2**32 - 1), max_size=20, unique=True).map(lambda found: tuple(sorted(found)))
ROWS = st.lists(
    st.tuples(
        st.integers(1, 10**15),
        NAMES,
        st.sampled_from([None, *Lifecycle]),
        REGIONS,
        TAGS,
        st.sampled_from([{}, {}, {"city": "Wuxi"}, {"birthday": Day(0, 5, 8, 1990)}]),
    ),
    max_size=40,
    unique_by=lambda row: row[0],
)


def cleaned_of(rows: list[Any], *, has_others: bool) -> Cleaned:
    cleaned = Cleaned()
    for number, name, lifecycle, region, tags, others in rows:
        cleaned.rows.append(len(cleaned.rows) + 1)
        cleaned.numbers.append(number)
        cleaned.names.append(name)
        cleaned.lifecycles.append(lifecycle)
        cleaned.regions.append(region)
        cleaned.tags.append(tags)
        if has_others:
            cleaned.others.append(others)
    return cleaned


def staged(
    cleaned: Cleaned, chosen: list[int], purposes: tuple[str, ...] = (), more: Given | None = None, first: int = 1 << 50
) -> Fresh:
    order = Order(cleaned.numbers)
    order.sort()
    assert list(order.keep_but(set(range(len(cleaned.rows))) - set(chosen))) == chosen
    record = Import(7, "Fair", purposes=purposes, evidence="x")
    return Fresh(record, more or Given(), cleaned, array("I", chosen), order, Range(first, 250, 1_790_000_000_000))


def built(fresh: Fresh) -> dict[str, list[tuple[bytes, bytes]]]:
    into: dict[str, list[tuple[bytes, bytes]]] = {table.name: [] for table in ALONG}
    for first in range(0, fresh.count, 7):
        for table, items in fresh.build(first, min(first + 7, fresh.count)):
            found = list(items)
            assert found == sorted(found)
            into[table.name] += found
    return into


@given(
    ROWS, st.data(), st.booleans(), TAGS, REGIONS, st.sampled_from(Lifecycle), st.integers(0, 2**63),
    st.sampled_from([(), ("marketing",), ("survey", "marketing")]),
)  # fmt: skip
def test_what_is_packed_is_what_the_record_gives(
    rows: list[Any], data: st.DataObject, has_others: bool, tags: tuple[int, ...], region: int, lifecycle: Lifecycle,
    first: int, purposes: tuple[str, ...],
) -> None:  # fmt: skip
    cleaned = cleaned_of(rows, has_others=has_others)
    chosen = [at for at in range(len(rows)) if data.draw(st.booleans())]
    fresh = staged(cleaned, chosen, purposes, Given(tags, region, lifecycle), first)
    into = built(fresh)
    people = [fresh.written(at) for at in range(len(chosen))]
    assert into[CUSTOMERS.name] == [CUSTOMERS.packed(one.id, one) for one in people]
    assert into[BY_REFERENCE.name] == [
        (BY_REFERENCE.layout.pack(one.reference), CUSTOMERS.layout.pack(one.id)) for one in people
    ]
    wanted: dict[str, list[tuple[bytes, bytes]]] = {table.name: [] for table in ALONG}
    wanted[BY_WORD.name] = []
    for one in people:
        for index, key in keys_of(one):
            wanted[index.name].append((index.layout.pack(*key), b""))
    for table in ALONG[2:]:
        assert sorted(into[table.name]) == sorted(wanted[table.name])
    gone = {at for at in range(len(chosen)) if at % 5 == 4}
    fresh.gather(0, len(chosen), set())
    count = fresh.sort_words()
    assert sorted(set(wanted[BY_WORD.name])) == sorted(set(fresh.word_items(0, count)))
    found = [key for key, _ in fresh.word_items(0, count)]
    assert found == sorted(found)
    assert fresh.changed(into[CUSTOMERS.name], 0, len(chosen), gone) == []
    sweep = fresh.sweep(0, len(chosen))
    assert [int.from_bytes(key, "big") for key, _ in sweep.numbers] == sorted(one.number for one in people)
    assert {(int.from_bytes(key, "big"), int.from_bytes(owner, "big")) for key, owner in sweep.numbers} == {
        (one.number, one.id) for one in people
    }
    said = [key for key, _ in sweep.consents]
    assert len(said) == len(people) * len(purposes)
    assert said == sorted(set(said))


def test_the_fields_that_differ_stand_in_the_order_of_the_record() -> None:
    names = Customer.__struct_fields__
    assert [name for name in names if name in _DIFFERING] == list(_DIFFERING)
    encoded = CUSTOMERS.encoded(Customer(0, 0))
    assert sum(map(len, pieces(CUSTOMERS, Customer(0, 0)))) == len(encoded) - 7  # an octet each: all are empty


@given(st.lists(NAMES, max_size=30))
def test_words_are_those_by_which_a_name_is_found(names: list[str]) -> None:
    found = Words()
    asked: list[str] = []

    def keys_of(name: str) -> list[bytes]:
        asked.append(name)
        return [words.key(word) for word in words.of_name(name)]

    found.gather(names, array("I", range(len(names))), 0, len(names), set(), keys_of)
    assert not any(map(str.isascii, asked))
    found.sort()
    keys = [key for key, _ in found.items(0, len(found), 100)]
    wanted = [
        words.key(word) + (100 + at).to_bytes(8, "big") for at, name in enumerate(names) for word in words.of_name(name)
    ]
    assert keys == sorted(wanted)


@given(st.lists(NAMES | st.text("a 王\x7f\t\u3000", max_size=6) | st.text("a ", min_size=190, max_size=210)))
def test_a_name_that_is_usual_is_left_by_cleaning(names: list[str]) -> None:
    strange = unusual(names)
    for at, name in enumerate(names):
        if at not in strange:
            assert cleaning.name(name) == (name, "")
            assert len(name) <= customers.NAME_LONGEST
        elif name.isascii() and len(name) <= customers.NAME_LONGEST:
            assert cleaning.name(name) != (name, "") or not name.isprintable()


def _nobody(name: str) -> list[bytes]:
    raise AssertionError(name)


def test_all_of_han_that_is_read_natively_is_left_as_it_is_by_folding() -> None:
    for code in range(0x4E00, 0xA000):
        assert words.of_name(chr(code)) == [chr(code)]
    for code in range(0x80):
        name = f"a{chr(code)}b"
        found = Words()
        found.gather([name], array("I", [0]), 0, 1, set(), _nobody)
        found.sort()
        assert [key[:16] for key, _ in found.items(0, len(found), 0)] == sorted(map(words.key, words.of_name(name)))


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(10, 30), max_size=200), st.data())
def test_numbers_are_in_order_and_those_that_stand_twice_are_told(numbers: list[int], data: st.DataObject) -> None:
    order = Order(array("Q", numbers))
    order.sort()
    ranked = sorted(range(len(numbers)), key=lambda at: (numbers[at], at))
    assert order.places(0, len(order)) == ranked
    assert [int.from_bytes(key, "big") for key in order.keys(0, len(order))] == sorted(numbers)
    assert sorted(order.twice()) == [at for at in range(len(numbers)) if numbers[at] in numbers[:at]]
    kept = [at for at in range(len(numbers)) if data.draw(st.booleans())]
    assert list(order.keep_but(set(range(len(numbers))) - set(kept))) == kept
    assert order.places(0, len(order)) == [kept.index(at) for at in ranked if at in kept]


def test_a_record_that_was_changed_or_has_gone_is_told() -> None:
    rows = [(at + 1, f"Person {at}", None, 0, (), {}) for at in range(9)]
    fresh = staged(cleaned_of(rows, has_others=False), list(range(9)))
    records = built(fresh)[CUSTOMERS.name]
    assert fresh.changed(records, 0, 9, set()) == []
    assert fresh.changed(records[3:6], 3, 6, set()) == []
    key, octets = records[4]
    records[4] = key, octets + b"\0"
    assert fresh.changed(records, 0, 9, set()) == [4]
    del records[7]
    assert fresh.changed(records, 0, 9, set()) == [4, 7]
    assert fresh.changed(records, 0, 9, {7}) == [4]
    fresh.mark_anew({key: octets + b"\0"})
    assert fresh.changed(records, 0, 9, {7}) == []


def test_what_does_not_fit_together_is_refused() -> None:
    ahead = pieces(CUSTOMERS, Customer(0, 0))
    numbers, places = array("Q", [1]), array("I", [0])
    given_ = ((), 0, 0)
    with pytest.raises(ValueError, match="one length"):
        Newcomers(ahead, numbers, [], [None], [0], [()], places, 1, 1, given_)
    with pytest.raises(ValueError, match="no row 1"):
        Newcomers(ahead, numbers, ["x"], [None], [0], [()], array("I", [1]), 1, 1, given_)
    with pytest.raises(ValueError, match="eight"):
        Newcomers(ahead[1:], numbers, ["x"], [None], [0], [()], places, 1, 1, given_)
    one = Newcomers(ahead, numbers, ["x"], [None], [0], [()], places, 1, 1, given_)
    for refused in ((0, 2), (-1, 1), (1, 0)):
        with pytest.raises(ValueError, match="no newcomers"):
            one.build(*refused)
        with pytest.raises(ValueError, match="no newcomers"):
            list(one.build_records(*refused))
        with pytest.raises(ValueError, match="no newcomers"):
            one.changed([], *refused, set())
        with pytest.raises(ValueError, match="no numbers"):
            Order(numbers).keys(*refused)
    with pytest.raises(ValueError, match="no place"):
        Order(numbers).keep_but({1})
    with pytest.raises(ValueError, match="16 octets"):
        Words().gather(["é"], places, 0, 1, set(), lambda _: [b"x"])
    with pytest.raises(ValueError, match="no words"):
        list(Words().items(0, 0, 1))
