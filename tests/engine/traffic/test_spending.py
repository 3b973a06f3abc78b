"""engine/traffic/spending.py: what a group has cost is told by the parts of its messages."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.environment import Store
from engine.traffic import spending
from engine.traffic.messages import Message, Part, State
from engine.traffic.spending import Spending, parts_of

Q, GO, SENT, BAD, LOST = (
    Part(state) for state in (State.QUEUED, State.SENDING, State.SENT, State.FAILED, State.UNKNOWN)
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data", spending.TABLES)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("parts", "counted"),
    [
        pytest.param((Q,), 0, id="waiting"),
        pytest.param((Q, Q, Q), 0, id="all waiting"),
        pytest.param((GO, Q, Q), 3, id="begun: the others follow"),
        pytest.param((SENT, GO, Q), 3, id="on its way"),
        pytest.param((SENT, SENT, SENT), 3, id="gone"),
        pytest.param((LOST,), 1, id="in doubt"),
        pytest.param((BAD,), 0, id="refused"),
        pytest.param((SENT, BAD, BAD), 1, id="ended half-way"),
        pytest.param((Part(State.DELIVERED), Part(State.UNDELIVERED)), 2, id="reported"),
        pytest.param((Part(attempt=3), Q), 0, id="refused for now"),
    ],
)
def test_a_message_counts_for_what_went_may_have_gone_or_must_follow(parts: tuple[Part, ...], counted: int) -> None:
    assert parts_of(parts) == counted


def test_one_change_moves_each_group_once(store: Store) -> None:
    first = Message(1, 1, "x", group=7, parts=(Q, Q))
    alone = Message(2, 1, "x", parts=(Q,))
    with_other = Message(3, 1, "x", group=9, parts=(GO,))

    def change(txn: object) -> None:
        moved = Spending(txn)  # type: ignore[arg-type]
        begun = msgspec.structs.replace(first, parts=(GO, Q))
        moved.change(first, begun)
        moved.change(begun, msgspec.structs.replace(first, parts=(SENT, Q)))
        moved.change(alone, msgspec.structs.replace(alone, parts=(GO,)))
        moved.change(with_other, msgspec.structs.replace(with_other, parts=(Q,)))
        moved.move(9, 1)
        moved.save()
        moved.save()

    store.write_now(change)
    with store.read() as txn:
        assert [spending.spent(txn, group) for group in (0, 7, 9)] == [0, 2, 0]


@given(st.lists(st.lists(st.sampled_from((Q, GO, SENT, BAD, LOST)), min_size=3, max_size=3), min_size=1, max_size=20))
def test_the_counter_equals_a_rebuild_after_any_changes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[Part]]
) -> None:
    store = Store(tmp_path_factory.mktemp("spending"), spending.TABLES)
    try:
        message = Message(1, 1, "x", group=7, parts=(Q, Q, Q))
        for parts in steps:
            changed = msgspec.structs.replace(message, parts=tuple(parts))

            def change(txn: object, old: Message = message, new: Message = changed) -> None:
                moved = Spending(txn)  # type: ignore[arg-type]
                moved.change(old, new)
                moved.save()

            store.write_now(change)
            message = changed
            with store.read() as txn:
                assert spending.spent(txn, 7) == parts_of(message.parts)
    finally:
        store.close()
