"""engine/_queue.pyx: lanes, fair shares in parts, due times."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from engine._queue import DueLine

BULK = 3


def drain(line: DueLine, now_ms: int = 0, most: int = 1_000_000) -> list[tuple[int, int, int, int, Any]]:
    taken: list[tuple[int, int, int, int, Any]] = []
    while len(taken) < most and (item := line.pop(now_ms)) is not None:
        taken.append(item)
    return taken


def test_a_higher_lane_goes_first() -> None:
    line = DueLine()
    for identifier, lane in ((1, 3), (2, 0), (3, 2), (4, 1)):
        line.push(identifier, 0, lane, 0, 1)
    assert [item[0] for item in drain(line)] == [2, 4, 3, 1]


def test_what_is_not_due_waits_and_then_goes_in_order_of_time() -> None:
    line = DueLine()
    line.push(1, 0, BULK, 300, 1)
    line.push(2, 0, BULK, 100, 1)
    assert line.pop(99) is None
    assert line.next_due_ms() == 100
    assert [item[0] for item in drain(line, 300)] == [2, 1]
    assert line.next_due_ms() is None


def test_groups_share_by_weight_counted_in_parts() -> None:
    line = DueLine()
    for number in range(2000):
        line.push(10_000 + number, 1, BULK, 0, 1, weight=1)
        line.push(20_000 + number, 2, BULK, 0, 3, weight=3)
    parts: Counter[int] = Counter()
    for _, group, _, size, _ in drain(line, most=800):
        parts[group] += size
    assert parts[2] / parts[1] == pytest.approx(3, rel=0.05)


def test_a_late_campaign_starts_at_once_beside_a_large_one() -> None:
    line = DueLine()
    for number in range(5000):
        line.push(number + 1, 1, BULK, 0, 1)
    drain(line, most=100)
    line.push(9999, 2, BULK, 0, 1)
    assert 9999 in [item[0] for item in drain(line, most=12)]


def test_a_message_larger_than_its_share_still_goes() -> None:
    line = DueLine()
    line.push(1, 1, BULK, 0, 200)
    line.push(2, 2, BULK, 0, 1)
    assert sorted(item[0] for item in drain(line)) == [1, 2]


def test_pushing_an_id_again_replaces_it() -> None:
    line = DueLine()
    line.push(1, 0, BULK, 0, 2)
    line.push(1, 0, 0, 500, 3)
    assert len(line) == 1
    assert line.parts == 3
    assert line.pop(499) is None
    assert line.pop(500) == (1, 0, 0, 3, None)
    assert line.pop(10_000) is None


def test_a_removed_message_is_gone() -> None:
    line = DueLine()
    line.push(1, 0, BULK, 0, 1)
    assert line.remove(1)
    assert not line.remove(1)
    assert line.pop(0) is None
    assert line.parts == 0


def test_a_parked_group_keeps_its_messages_until_it_is_unparked() -> None:
    line = DueLine()
    line.push(1, 7, BULK, 0, 1)
    line.push(2, 8, BULK, 0, 1)
    line.park(7)
    assert [item[0] for item in drain(line)] == [2]
    line.push(3, 7, BULK, 0, 1)
    assert line.pop(0) is None
    line.unpark(7)
    assert [item[0] for item in drain(line)] == [1, 3]


def test_only_what_is_due_and_not_parked_is_ready() -> None:
    line = DueLine()
    line.push(1, 7, BULK, 0, 3)
    line.push(2, 8, BULK, 0, 5)
    line.push(3, 8, BULK, 100, 7)
    line.park(7)
    assert (line.parts, line.ready_parts(0), line.ready_parts(100)) == (15, 5, 12)
    line.unpark(7)
    assert line.ready_parts(100) == 15
    line.remove(2)
    assert line.ready_parts(100) == 10
    line.push(3, 8, BULK, 500, 7)
    assert line.ready_parts(100) == 3
    drain(line, 100)
    assert (line.parts, line.ready_parts(100), line.ready_parts(500)) == (7, 0, 7)


def test_a_dropped_group_gives_its_ids() -> None:
    line = DueLine()
    for identifier in (5, 3, 4):
        line.push(identifier, identifier % 2, BULK, identifier, 1)
    assert line.drop(1) == [3, 5]
    assert [item[0] for item in drain(line, 10)] == [4]


def test_only_the_lanes_asked_for_are_popped() -> None:
    line = DueLine()
    line.push(1, 0, 2, 0, 1)
    assert line.pop(0, 0) is None
    line.push(2, 0, 0, 0, 1)
    assert line.pop(0, 0) == (2, 0, 0, 1, None)


@pytest.mark.parametrize(
    ("lane", "parts", "weight", "route"),
    [(4, 1, 1, 0), (-1, 1, 1, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 1, 1, 256), (0, 1, 1, -1)],
)
def test_nonsense_is_refused(lane: int, parts: int, weight: int, route: int) -> None:
    line = DueLine()
    with pytest.raises(ValueError, match=r"lane|parts|class"):
        line.push(1, 0, lane, 0, parts, weight, route)
    with pytest.raises(ValueError, match=r"lane|parts|class"):
        line.push_rows(0, lane, 0, weight, [(1, parts, route, None)])
    assert len(line) == 0


def test_agrees_with_a_plain_model_under_random_work() -> None:
    """Whatever is done to it, what comes out is what went in and was not taken out, each once, never early."""
    random = Random(1)
    line = DueLine()
    model: dict[int, tuple[int, int, int, int]] = {}
    parked: set[int] = set()
    now_ms = 0
    for step in range(20_000):
        act = random.random()
        identifier = random.randrange(1, 300)
        group = random.randrange(5)
        if act < 0.45:
            lane, due_ms = random.randrange(4), now_ms + random.randrange(-5, 50)
            parts = random.randrange(1, 6)
            line.push(identifier, group, lane, due_ms, parts, random.randrange(1, 4))
            model[identifier] = (group, lane, due_ms, parts)
        elif act < 0.55:
            assert line.remove(identifier) == (model.pop(identifier, None) is not None)
        elif act < 0.57:
            line.park(group)
            parked.add(group)
        elif act < 0.6:
            line.unpark(group)
            parked.discard(group)
        elif act < 0.605:
            gone = line.drop(group)
            assert gone == sorted(key for key, value in model.items() if value[0] == group)
            for key in gone:
                del model[key]
        else:
            now_ms += random.randrange(3)
            item = line.pop(now_ms)
            ripe = {k: v for k, v in model.items() if v[2] <= now_ms and v[0] not in parked}
            if item is None:
                assert not ripe, step
            else:
                assert ripe[item[0]][0] == item[1]
                assert item[2] == min(value[1] for value in ripe.values())
                del model[item[0]]
        assert len(line) == len(model)
        assert line.ready_parts(now_ms) == sum(
            value[3] for value in model.values() if value[2] <= now_ms and value[0] not in parked
        )
