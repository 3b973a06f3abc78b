"""Unknown parts of one SIM, one of which a person has decided about or was sent again meanwhile.

It had a reference of its own, or none: a report for that must not be taken for the report of another.
"""

import pytest

from engine.store.environment import Store
from engine.traffic import intents, receipts
from engine.traffic.messages import OnUnknown, Resolution, State
from tests.engine.traffic.stage import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    OTHER_SIM,
    SIM,
    claim,
    differences,
    in_line,
    put,
    send,
    state,
)
from tests.engine.traffic.test_unproven import Sim

DELIVERED, QUEUED, UNKNOWN = State.DELIVERED, State.QUEUED, State.UNKNOWN


@pytest.fixture
def sim(store: Store) -> Sim:
    return Sim(store)


def settle(sim: Sim, identifier: int, resolution: Resolution) -> None:
    sim.store.write_now(intents.resolve, identifier, resolution, NOW_MS)
    if resolution is Resolution.RESEND:
        send(sim.store, identifier, 77, OTHER_SIM)


@pytest.mark.parametrize("resolution", [*Resolution, None])
@pytest.mark.parametrize("sends_before", [False, True])
def test_what_went_goes_once_though_an_earlier_part_to_the_number_of_a_later_was_settled(
    sim: Sim, resolution: Resolution | None, sends_before: bool
) -> None:
    store = sim.store
    policy = OnUnknown.RESEND if resolution is None else OnUnknown.AWAIT_REPORT
    settled = sim.lose(NUMBER, is_tried=True, policy=policy)
    if resolution is None:
        send(store, settled, 77, OTHER_SIM)
    else:
        settle(sim, settled, resolution)
    other = sim.lose(OTHER_NUMBER, is_tried=True)
    later = sim.lose(NUMBER, is_tried=False)
    if sends_before:
        sim.send_on()
    sim.report(sim.tried[settled], NUMBER)
    assert other not in in_line(store)  # it went
    assert state(store, later) is not DELIVERED  # it did not
    sim.report(sim.tried[other], OTHER_NUMBER)
    sim.send_on(2)
    assert state(store, other) is DELIVERED
    assert state(store, later) in (UNKNOWN, QUEUED)
    assert differences(store) == []


@pytest.mark.parametrize("resolution", list(Resolution))
def test_a_report_that_was_kept_for_two_does_not_tell_of_a_third(sim: Sim, resolution: Resolution) -> None:
    store = sim.store
    pair = [sim.lose(NUMBER, is_tried=place == 0) for place in range(2)]
    sim.report(sim.tried[pair[0]], NUMBER)
    for one in pair:
        settle(sim, one, resolution)
    other = sim.lose(OTHER_NUMBER, is_tried=True)
    third = sim.lose(NUMBER, is_tried=False)
    store.write_now(receipts.catch_up, SIM, NOW_MS)
    assert other not in in_line(store)
    assert state(store, third) is not DELIVERED


def test_the_count_of_references_says_nothing_of_one_beside_which_another_was_sent_again(sim: Sim) -> None:
    store = sim.store
    resent = sim.lose(NUMBER, is_tried=True, policy=OnUnknown.RESEND)
    send(store, resent, 77, OTHER_SIM)
    other = sim.lose(NUMBER, is_tried=False)
    sim.send_on()
    sim.report(sim.tried[resent], NUMBER)
    assert state(store, other) is UNKNOWN
    assert in_line(store) == []


def test_a_reference_that_two_reports_name_is_nobodys_proof_that_the_others_were_never_tried(sim: Sim) -> None:
    """One of them is of a part whose reference came round."""
    store = sim.store
    first = [sim.lose(NUMBER, is_tried=place == 0) for place in range(2)]
    second = [sim.lose(OTHER_NUMBER, is_tried=place == 0) for place in range(3)]
    sim.send_on()
    sim.report(sim.tried[first[0]], NUMBER)
    sim.report(sim.tried[first[0]], OTHER_NUMBER)
    sim.report(sim.tried[second[0]], OTHER_NUMBER)
    assert first[0] not in in_line(store)
    assert in_line(store) == []


def test_of_two_whose_order_nobody_knows_the_other_may_still_have_any_reference(sim: Sim) -> None:
    """A power cut leaves two behind one that was lost before; what comes later must not be taken for one of them."""
    store = sim.store
    sim.lose(NUMBER, is_tried=True)
    pair = [put(store, number=NUMBER + place, wants_report=True, on_unknown=OnUnknown.AWAIT_REPORT) for place in (1, 2)]
    for one in pair:
        claim(store, one, now_ms=NOW_MS + 1)
    store.write_now(intents.recover, NOW_MS + 1, None)
    references = [sim.take(), sim.take()]
    sim.report(references[0], NUMBER + 1)
    other = sim.lose(OTHER_NUMBER, is_tried=True)
    third = sim.lose(NUMBER + 2, is_tried=False)
    sim.report(references[1], NUMBER + 2)
    assert other not in in_line(store)  # it went
    assert state(store, third) is not DELIVERED  # it did not
    assert differences(store) == []
