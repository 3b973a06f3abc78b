"""Reports after a crash: what they prove of unknown parts, and what they must not.

The first case was found by killing a server: a part that was never tried was taken for delivered, because the next
part of the same message got the reference it would have had, and its report came before its outcome was written.
"""

from engine.store.environment import Store
from engine.traffic import intents, receipts, settling
from engine.traffic.messages import OnUnknown, State
from engine.traffic.receipts import EARLY, Early
from tests.engine.traffic.stage import NOW_MS, NUMBER, SIM, claim, differences, lose, part_states, put, send, state


def steps(store: Store, last: int) -> None:
    """The SIM has been seen to step by one, and gave `last` at the end."""
    for reference in range(last - 5, last + 1):
        send(store, put(store), reference)


def report(store: Store, reference: int) -> None:
    store.write_now(receipts.take, SIM, Early(reference, f"+{NUMBER}", 0, NOW_MS), NOW_MS)


def settle(store: Store, identifier: int, part: int, reference: int) -> None:
    store.write_now(intents.mark_sent, identifier, part, reference, NOW_MS)
    store.write_now(receipts.catch_up, SIM, NOW_MS)


def awaiting(store: Store, parts: int) -> int:
    return put(store, parts, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT)


def test_a_report_for_the_part_in_the_air_proves_nothing_of_the_unknown_one_before_it(store: Store) -> None:
    steps(store, 85)
    identifier = awaiting(store, 2)
    lose(store, identifier)
    claim(store, identifier)
    report(store, 86)
    assert part_states(store, identifier) == [State.UNKNOWN, State.SENDING]
    settle(store, identifier, 1, 86)
    # The reference follows the last known one at once: the first part was never tried.
    assert part_states(store, identifier) == [State.QUEUED, State.DELIVERED]
    assert differences(store) == []


def test_a_report_for_the_unknown_part_is_told_from_one_for_the_part_behind_it(store: Store) -> None:
    steps(store, 85)
    identifier = awaiting(store, 2)
    lose(store, identifier)
    claim(store, identifier)
    report(store, 87)
    report(store, 86)
    assert part_states(store, identifier) == [State.UNKNOWN, State.SENDING]
    settle(store, identifier, 1, 87)
    assert part_states(store, identifier) == [State.DELIVERED, State.DELIVERED]
    with store.read() as txn:
        assert EARLY.count(txn) == 0
    assert differences(store) == []


def test_a_report_that_was_read_before_the_crash_counts_after_it(store: Store) -> None:
    steps(store, 85)
    identifier = awaiting(store, 1)
    claim(store, identifier)
    report(store, 86)
    assert state(store, identifier) is State.SENDING
    assert store.write_now(settling.recover, NOW_MS) == 1
    assert state(store, identifier) is State.DELIVERED
    assert differences(store) == []


def test_references_that_come_round_conclude_nothing_about_an_old_unknown_part(store: Store) -> None:
    """The second thing that killing a server has shown: 256 parts later the references are the same again."""
    steps(store, 85)
    identifier = awaiting(store, 1)
    lose(store, identifier)
    for reference in range(87, 87 + 300):
        send(store, put(store), reference % 256)
    assert state(store, identifier) is State.UNKNOWN
    assert differences(store) == []


def test_of_two_unknown_parts_to_one_number_one_report_proves_neither(store: Store) -> None:
    steps(store, 85)
    first, second = awaiting(store, 1), awaiting(store, 1)
    lose(store, first)
    lose(store, second)
    report(store, 86)
    assert [state(store, one) for one in (first, second)] == [State.UNKNOWN, State.UNKNOWN]
    # The next accepted part shows that both were tried, and so whose the reference was.
    send(store, put(store), 88)
    store.write_now(receipts.catch_up, SIM, NOW_MS)
    assert [state(store, one) for one in (first, second)] == [State.DELIVERED, State.UNKNOWN]
    assert differences(store) == []
