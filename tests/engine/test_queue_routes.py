"""engine/_queue.pyx: who asks gets only what its routes allow, and nobody's share changes for that."""

import sys
import weakref
from collections import Counter
from random import Random

import pytest

from bench import queue_baseline
from engine._queue import DueLine

BULK = 3
FIRST, SECOND = 1 << 1, 1 << 2


def test_only_the_classes_asked_for_are_popped_and_class_0_always() -> None:
    line = DueLine()
    for identifier, route in ((1, 1), (2, 2), (3, 0), (4, 1)):
        line.push(identifier, 0, BULK, 0, 1, route=route)
    assert line.ready_for(0, FIRST)
    assert [taken[0] for taken in iter(lambda: line.pop(0, routes=SECOND), None)] == [2, 3]
    assert not line.ready_for(0, SECOND)
    assert line.ready_parts(0, routes=SECOND) == 0
    assert line.ready_parts(0) == 2
    assert [taken[0] for taken in iter(lambda: line.pop(0, routes=FIRST), None)] == [1, 4]


def test_a_group_keeps_the_order_of_its_messages_across_classes() -> None:
    line = DueLine()
    line.push_rows(7, BULK, 100, 1, [(1, 1, 2, None), (2, 1, 1, None), (3, 1, 2, None)])
    line.push(4, 7, BULK, 50, 1, route=1)
    assert [taken[0] for taken in iter(lambda: line.pop(100), None)] == [4, 1, 2, 3]


def test_what_was_given_with_a_message_comes_back_with_it_and_is_let_go() -> None:
    class Row:
        pass

    line = DueLine()
    rows = [Row() for _ in range(5)]
    kept = [weakref.ref(row) for row in rows]
    line.push(1, 0, BULK, 0, 1, packed=rows[0])
    line.push_rows(0, BULK, 0, 1, [(2, 1, 0, rows[1]), (3, 1, 5, rows[2]), (4, 1, 0, rows[3]), (5, 1, 0, rows[4])])
    taken = line.pop(0)
    assert taken is not None
    assert taken[4] is rows[0]
    del taken
    line.remove(4)
    rows.clear()
    assert [row() is None for row in kept] == [True, False, False, True, False]
    del line
    assert all(row() is None for row in kept)


def test_a_line_of_a_hundred_thousand_is_let_go_without_recursion() -> None:
    line = DueLine()
    line.push_rows(0, BULK, 0, 1, [(identifier, 1, 0, None) for identifier in range(100_000)])
    line.push_rows(0, BULK, 10, 1, [(identifier, 1, 0, None) for identifier in range(100_000, 200_000)])
    assert line.ready_parts(0) == 100_000
    before = sys.getrefcount(None)
    del line
    assert sys.getrefcount(None) < before


def test_rows_that_were_removed_before_they_are_due_do_not_come_back() -> None:
    line = DueLine()
    line.push_rows(0, BULK, 100, 1, [(identifier, 1, 0, None) for identifier in (1, 2, 3, 2)])
    line.remove(1)
    assert (len(line), line.parts, line.next_due_ms()) == (2, 2, 100)
    assert [taken[0] for taken in iter(lambda: line.pop(100), None)] == [3, 2]
    line.push_rows(0, BULK, 200, 1, [(1, 1, 0, None)])
    line.remove(1)
    assert line.next_due_ms() is None


@pytest.mark.parametrize("mask", [FIRST, SECOND, FIRST | SECOND])
def test_groups_share_by_weight_whatever_part_of_them_may_go(mask: int) -> None:
    """1:3, with a third group in front of both that has nothing for who asks."""
    random = Random(5)
    line = DueLine()
    line.push_rows(9, BULK, 0, 7, [(identifier, 1, 5, None) for identifier in range(1, 1_000)])
    for group, weight in ((1, 1), (2, 3)):
        rows = [(group * 100_000 + n, random.randint(1, 6), random.choice((1, 2)), None) for n in range(20_000)]
        line.push_rows(group, BULK, 0, weight, rows)
    parts: Counter[int] = Counter()
    while parts.total() < 1_000:
        taken = line.pop(0, routes=mask)
        assert taken is not None
        parts[taken[1]] += taken[3]
    assert abs(parts[2] / parts.total() - 0.75) <= 0.02
    assert line.ready_parts(0, routes=1 << 5) == 999


def test_a_group_passed_over_keeps_its_turn_and_is_paid_for_none() -> None:
    line = DueLine()
    line.push_rows(1, BULK, 0, 1, [(identifier, 1, 1, None) for identifier in range(100, 200)])
    line.push_rows(2, BULK, 0, 1, [(identifier, 1, 2, None) for identifier in range(200, 300)])
    for _ in range(40):
        assert line.pop(0, routes=SECOND) is not None
    groups = [taken[1] for taken in iter(lambda: line.pop(0), None)]
    assert groups[:16] == [1] * 4 + [2] * 4 + [1] * 4 + [2] * 4


def test_a_long_message_for_one_sim_is_not_outrun_by_short_ones_of_its_group_for_another() -> None:
    line = DueLine()
    line.push(1, 1, BULK, 0, 10, route=1)
    line.push_rows(1, BULK, 0, 1, [(identifier, 1, 2, None) for identifier in range(1_000, 3_000)])
    line.push_rows(2, BULK, 0, 1, [(identifier, 1, 1, None) for identifier in range(5_000, 7_000)])
    for _ in range(40):
        taken = line.pop(0, routes=FIRST)
        assert taken is not None
        if taken[0] == 1:
            return
        line.pop(0, routes=SECOND)
        line.pop(0, routes=SECOND)
    pytest.fail("it waits and waits")


def test_agrees_with_the_plain_line_on_every_pop() -> None:
    random = Random(2)
    for _ in range(30):
        line, plain = DueLine(), queue_baseline.DueLine()
        weighed: dict[int, tuple[int, int]] = {}
        now_ms = fed = 0
        for _ in range(1_500):
            act = random.random()
            if act < 0.35:
                fed += 1
                due_ms = now_ms + random.randrange(-5, 40)
                row = (fed, random.randrange(4), random.choice((0, 3)), due_ms, random.randint(1, 9))
                weight, route = random.randint(1, 3), random.choice((0, 1, 2, 255))
                weighed[fed] = weight, route
                line.push(*row, weight, route, row)
                plain.push(*row, weight, route, row)
            elif act < 0.4:
                rows = [(fed + n, random.randint(1, 6), random.choice((0, 1, 2, 255)), n) for n in range(1, 9)]
                fed += len(rows)
                where = (random.randrange(4), BULK, now_ms + random.randrange(-5, 40), random.randint(1, 3))
                weighed.update({row[0]: (where[3], row[2]) for row in rows})
                line.push_rows(*where, rows)
                plain.push_rows(*where, rows)
            elif act < 0.45 and fed:
                identifier = random.randint(1, fed)
                assert line.remove(identifier) == plain.remove(identifier)
            else:
                now_ms += random.randrange(3)
                mask = random.choice((None, 0, 2, 4, 6, 1 << 255, 2**300 - 1))
                lane = random.choice((0, 3, 3))
                assert line.ready_parts(now_ms, routes=mask) == plain.ready_parts(now_ms, routes=mask)
                assert mask is None or line.ready_for(now_ms, mask) == (plain.ready_parts(now_ms, routes=mask) > 0)
                taken = line.pop(now_ms, lane, mask)
                assert taken == plain.pop(now_ms, lane, mask)
                if taken is not None and random.random() < 0.1:
                    identifier, group, lane, parts, packed = taken
                    back = (identifier, group, lane, parts, *weighed[identifier], packed)
                    line.give_back(*back)
                    plain.give_back(*back)


def test_messages_get_other_classes_and_keep_their_order_and_their_share() -> None:
    line = DueLine()
    line.push_rows(1, BULK, 0, 1, [(identifier, 1, 1, identifier % 3) for identifier in range(1, 10)])
    line.push_rows(1, BULK, 100, 1, [(identifier, 1, 1, identifier % 3) for identifier in range(11, 20)])
    line.push(30, 2, BULK, 0, 1, route=1, packed=2)
    line.park(2)
    assert line.ready_parts(0, routes=0) == 0
    line.reroute(lambda _, packed: 200 + packed)
    assert line.ready_parts(0) == 9
    assert not line.ready_for(0, FIRST)
    assert line.of_classes(1 << 202) == [2, 5, 8, 11, 14, 17, 30]
    assert [taken[0] for taken in iter(lambda: line.pop(0, routes=1 << 200 | 1 << 202), None)] == [2, 3, 5, 6, 8, 9]
    line.unpark(2)
    assert [taken[0] for taken in iter(lambda: line.pop(100, routes=1 << 202), None)] == [11, 14, 17, 30]
    with pytest.raises(ValueError, match="class"):
        line.reroute(lambda _, __: 256)
