"""engine/store/codec.py: records that grow, and octets that are none of ours."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.codec import RecordCodec
from engine.traffic.messages import Lane, Message, OnUnknown, Part, State


class Old(msgspec.Struct, frozen=True, array_like=True):
    name: str
    number: int = 0


class New(msgspec.Struct, frozen=True, array_like=True):
    name: str
    number: int = 0
    tag: str = "none"


def test_an_older_record_is_read_with_the_defaults_of_what_was_added() -> None:
    assert RecordCodec(New).decode(RecordCodec(Old).encode(Old("x", 5))) == New("x", 5, "none")


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 2, expected 1"):
        RecordCodec(New).decode(RecordCodec(New, version=2).encode(New("x")))


@given(st.binary(max_size=40))
def test_octets_that_are_none_of_ours_raise_one_kind_of_error(octets: bytes) -> None:
    with contextlib.suppress(ValueError, msgspec.MsgspecError):
        RecordCodec(Message).decode(octets)


@given(
    st.integers(0, (1 << 64) - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(Lane),
    st.sampled_from(OnUnknown),
    st.lists(st.builds(Part, st.sampled_from(State), st.integers(0, (1 << 50)), st.integers(-1, 255)), max_size=4),
)
def test_a_message_survives_the_disk(
    identifier: int, text: str, lane: Lane, policy: OnUnknown, parts: list[Part]
) -> None:
    message = Message(identifier, identifier, text, lane=lane, on_unknown=policy, parts=tuple(parts))
    codec = RecordCodec(Message)
    read = codec.decode(codec.encode(message))
    assert read == message
    assert (type(read.lane), type(read.on_unknown)) == (Lane, OnUnknown)
