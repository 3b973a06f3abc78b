"""engine/store/ids.py: never twice, in order of time, and one way of writing each."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Invalid
from engine.store import ids
from engine.store.environment import Store

NOW_MS = 1_700_000_000_000


def test_ids_rise_whatever_the_clock_does(store: Store) -> None:
    clock_ms = [NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS - 86_400_000, 0, NOW_MS, NOW_MS + 5]
    given_ids = [store.write_now(ids.take, now_ms) for now_ms in clock_ms]
    assert given_ids == sorted(set(given_ids))
    assert ids.created_ms(given_ids[0]) == NOW_MS
    assert ids.created_ms(given_ids[-1]) == NOW_MS + 5


def test_a_range_is_contiguous_and_nobody_elses(store: Store) -> None:
    first = store.write_now(ids.take, NOW_MS, 1000)
    assert store.write_now(ids.take, NOW_MS) == first + 1000
    assert store.write_now(ids.take, NOW_MS, 0) == store.write_now(ids.take, NOW_MS)


def test_a_refused_change_takes_no_id_out_of_order(store: Store) -> None:
    def take_and_refuse(txn: object) -> None:
        ids.take(txn, NOW_MS + 1000)  # type: ignore[arg-type]
        raise Invalid

    before = store.write_now(ids.take, NOW_MS)
    with pytest.raises(Invalid):
        store.write_now(take_and_refuse)
    assert store.write_now(ids.take, NOW_MS) == before + 1


@given(st.integers(0, (1 << 64) - 1), st.sampled_from(["msg", "cmp", "cus"]))
def test_what_is_written_is_read_again(identifier: int, prefix: str) -> None:
    text = ids.render(prefix, identifier)
    assert len(text) == len(prefix) + 14
    assert ids.parse(prefix, text) == identifier


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_text_order_is_id_order(one: int, other: int) -> None:
    assert (ids.render("msg", one) < ids.render("msg", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("msg_", id="no digits"),
        pytest.param("cmp_0000000000001", id="another prefix"),
        pytest.param("msg_000000000000", id="too short"),
        pytest.param("msg_00000000000001", id="too long"),
        pytest.param("msg_000000000000u", id="a letter that is none of ours"),
        pytest.param("msg_000000000000A", id="a capital"),
        pytest.param("msg_00000000000 1", id="a space"),
        pytest.param("msg_００００００００００００１", id="full-width digits"),
        pytest.param("msg_g000000000000", id="beyond 64 bits"),
        pytest.param("msg-0000000000001", id="no underscore"),
        pytest.param("msg_-000000000001", id="a sign"),
    ],
)
def test_what_is_no_id_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        ids.parse("msg", text, "message_id")
    assert refused.value.params[0].name == "message_id"


@given(st.text(max_size=20))
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert ids.render("msg", ids.parse("msg", text)) == text
