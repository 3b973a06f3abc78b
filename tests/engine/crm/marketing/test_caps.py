"""engine/crm/marketing/caps.py: a campaign stops at what it may cost, and goes on when somebody raises it."""

import pytest

from engine.crm.gate import gate_with
from engine.crm.marketing import campaigns, caps
from engine.crm.marketing.campaigns import CAMPAIGNS, Stage
from engine.crm.marketing.caps import Wanted
from engine.errors import Conflict, Invalid
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import intents
from engine.traffic.messages import GROUPS, SEND, Message, Pick, Sending, State, Verdict
from tests.engine.crm.stage import (
    FIRST,
    NOW_MS,
    PEPPER,
    campaign_of,
    counts,
    differences,
    draft,
    fed,
    feed,
    launch,
    row,
    running,
    upload,
)

CAP = Verdict(State.HELD, "cost_cap")
LONG = "a" * 300  # two parts


class Purse:
    """What was spent, as traffic would count it."""

    def __init__(self) -> None:
        self.parts = 0

    def spent(self, _txn: Txn, _group: int) -> int:
        return self.parts


@pytest.fixture
def purse() -> Purse:
    return Purse()


def claim(store: Store, purse: Purse, *only: Message) -> list[Verdict]:
    """Claim the next part of each of these, or of all, and let the purse count as traffic does."""
    gate = gate_with(PEPPER, spent=purse.spent)
    asked = list(only) or fed(store)
    claims = store.write_now(intents.claim, [Pick(one.id, at + 1) for at, one in enumerate(asked)], NOW_MS, gate)
    for message, claimed in zip(asked, claims, strict=True):
        if claimed.verdict.sends and all(part.state is State.QUEUED for part in message.parts):
            purse.parts += len(message.parts)
    return [claimed.verdict for claimed in claims]


def sending(store: Store, campaign: int) -> str | None:
    with store.read() as txn:
        return GROUPS.find(txn, campaign)


def capped(store: Store, rows: int, parts_most: int, text: str = "hello") -> int:
    campaign = running(store, [row(FIRST + at) for at in range(rows)], text, parts_most=parts_most)
    feed(store)
    return campaign


def test_no_part_more_is_begun_than_the_cap_allows(store: Store, purse: Purse) -> None:
    campaign = capped(store, 8, 5)
    assert claim(store, purse) == [SEND] * 5 + [CAP] * 3
    assert counts(store, campaign) == {"sending": 5, "queued": 3}
    assert (campaign_of(store, campaign).stage, sending(store, campaign)) == (Stage.RUNNING, Sending.PAUSED)
    assert feed(store) == 0
    assert differences(store) == []


def test_a_message_begins_only_if_all_of_it_fits_and_is_finished_then(store: Store, purse: Purse) -> None:
    capped(store, 3, 3, LONG)
    first = fed(store)[0]
    assert claim(store, purse) == [SEND, CAP, CAP]
    store.write_now(intents.mark_sent, first.id, 0, 1, NOW_MS)
    purse.parts = 3  # whatever else it was spent for
    assert claim(store, purse, fed(store)[0]) == [SEND]


def test_raising_the_cap_lets_it_go_on_and_lifting_it_too(store: Store, purse: Purse) -> None:
    campaign = capped(store, 8, 2)
    assert claim(store, purse).count(SEND) == 2
    store.write_now(caps.change, campaign, Wanted(2), NOW_MS, purse.spent)
    assert sending(store, campaign) == Sending.PAUSED
    store.write_now(caps.change, campaign, Wanted(4), NOW_MS, purse.spent)
    assert (sending(store, campaign), campaign_of(store, campaign).capped) == (Sending.RUNNING, 0)
    waiting = [message for message in fed(store) if message.state is State.QUEUED]
    assert claim(store, purse, *waiting).count(SEND) == 2
    store.write_now(caps.change, campaign, Wanted(0), NOW_MS, purse.spent)
    waiting = [message for message in fed(store) if message.state is State.QUEUED]
    assert claim(store, purse, *waiting) == [SEND] * 4


def test_parts_that_did_not_go_are_given_back(store: Store, purse: Purse) -> None:
    campaign = capped(store, 3, 2)
    claim(store, purse)
    store.write_now(caps.reopen, NOW_MS, purse.spent)
    assert sending(store, campaign) == Sending.PAUSED
    purse.parts -= 1
    store.write_now(caps.reopen, NOW_MS, purse.spent)
    assert sending(store, campaign) == Sending.RUNNING


def test_a_pause_by_hand_stays_one(store: Store, purse: Purse) -> None:
    campaign = capped(store, 3, 2)
    claim(store, purse)
    store.write_now(campaigns.pause, campaign, NOW_MS)
    store.write_now(caps.change, campaign, Wanted(0), NOW_MS, purse.spent)
    store.write_now(caps.reopen, NOW_MS, purse.spent)
    assert (campaign_of(store, campaign).stage, sending(store, campaign)) == (Stage.PAUSED, Sending.PAUSED)
    store.write_now(campaigns.resume, campaign, NOW_MS)
    assert sending(store, campaign) == Sending.RUNNING


def test_a_resumed_campaign_that_is_still_at_its_cap_halts_again(store: Store, purse: Purse) -> None:
    campaign = capped(store, 3, 2)
    claim(store, purse)
    store.write_now(campaigns.pause, campaign, NOW_MS)
    store.write_now(campaigns.resume, campaign, NOW_MS)
    assert claim(store, purse, fed(store)[2]) == [CAP]
    assert sending(store, campaign) == Sending.PAUSED


def test_what_its_cap_halted_expires_with_its_window(store: Store, purse: Purse) -> None:
    campaign = capped(store, 3, 2)
    claim(store, purse)
    store.write_now(caps.reopen, campaign_of(store, campaign).expires_ms, purse.spent)
    assert sending(store, campaign) == Sending.RUNNING


def test_a_cap_that_is_just_enough_never_shows(store: Store, purse: Purse) -> None:
    campaign = capped(store, 4, 4)
    assert claim(store, purse) == [SEND] * 4
    assert sending(store, campaign) == Sending.RUNNING


def test_a_cap_is_changed_while_there_is_something_to_cap(store: Store, purse: Purse) -> None:
    campaign = draft(store).id
    with pytest.raises(Invalid, match="parts_most"):
        store.write_now(caps.change, campaign, Wanted(-1), NOW_MS, purse.spent)
    with pytest.raises(Invalid, match="parts_most"):
        draft(store, parts_most=-1)
    assert store.write_now(caps.change, campaign, Wanted(5), NOW_MS, purse.spent).parts_most == 5
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    with pytest.raises(Conflict, match="cancelled"):
        store.write_now(caps.change, campaign, Wanted(6), NOW_MS, purse.spent)


def test_the_gate_says_so_without_writing_where_it_has_halted_before(store: Store, purse: Purse) -> None:
    capped(store, 3, 2)
    claim(store, purse)
    gate = gate_with(PEPPER, spent=purse.spent)
    with store.read() as txn:
        assert gate(txn, [fed(store)[2]], NOW_MS) == [CAP]


def test_a_refused_draft_is_not_halted(store: Store, purse: Purse) -> None:
    campaign = draft(store, parts_most=1).id
    upload(store, campaign, [row(FIRST)])
    store.write_now(caps.halt, campaign, 1, 0, NOW_MS)
    assert sending(store, campaign) is None
    launch(store, campaign)
    assert sending(store, campaign) == Sending.RUNNING
    with store.read() as txn:
        assert CAMPAIGNS.get(txn, campaign).capped == 0
