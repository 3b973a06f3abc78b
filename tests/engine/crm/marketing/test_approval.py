"""engine/crm/marketing/approval.py: what a person makes for many needs a second person's word."""

import pytest

from engine.config import ANY_HOUR, House
from engine.crm.gate import judge_with
from engine.crm.marketing import campaigns, feeding
from engine.crm.marketing.approval import approve
from engine.crm.marketing.campaigns import Stage
from engine.errors import Conflict
from engine.store.environment import Store
from engine.traffic import events
from tests.engine.crm.stage import FIRST, NOW_MS, PEPPER, campaign_of, counts, draft, launch, row, upload

OVER = 3
HOUSE = House(approval_over=OVER)


def made_by(store: Store, person: str, rows: int) -> int:
    campaign = draft(store, made_by=person).id
    upload(store, campaign, [row(FIRST + at) for at in range(rows)])
    return campaign


def start(store: Store, campaign: int) -> None:
    store.write_now(campaigns.launch, campaign, NOW_MS, OVER)


def feed(store: Store) -> int:
    return store.write_now(feeding.feed, NOW_MS, 100, HOUSE, PEPPER)


def say_yes(store: Store, campaign: int, person: str) -> None:
    store.write_now(approve, campaign, person, OVER, NOW_MS)


def verdicts(store: Store, campaign: int) -> list[str]:
    """What the gate would say of each row."""
    judge = judge_with(PEPPER, HOUSE, ANY_HOUR, lambda _txn, _group: 0)
    with store.read() as txn:
        rows = [result.message for result in campaigns.results(txn, campaign_of(store, campaign), 0, 100)]
        return [verdict.reason for verdict in judge(txn, rows, NOW_MS)]


def test_a_large_one_is_launched_with_the_word_of_another_only(store: Store) -> None:
    campaign = made_by(store, "ann", OVER + 1)
    with pytest.raises(Conflict, match="approval of another person"):
        start(store, campaign)
    assert verdicts(store, campaign) == ["approval"] * (OVER + 1)
    with pytest.raises(Conflict, match="another person must"):
        say_yes(store, campaign, "ann")
    say_yes(store, campaign, "ben")
    assert verdicts(store, campaign) == ["not_launched"] * (OVER + 1)
    approved = campaign_of(store, campaign)
    assert (approved.approved_by, approved.approved_ms, approved.approved_rows) == ("ben", NOW_MS, OVER + 1)
    start(store, campaign)
    assert feed(store) == OVER + 1


@pytest.mark.parametrize(("person", "rows"), [("ann", OVER), ("", OVER + 1)])
def test_a_small_one_and_a_programs_need_nobodys_word(store: Store, person: str, rows: int) -> None:
    campaign = made_by(store, person, rows)
    with pytest.raises(Conflict, match="needs no approval"):
        say_yes(store, campaign, "ben")
    start(store, campaign)
    assert feed(store) == rows


def test_recipients_added_after_the_approval_need_another(store: Store) -> None:
    campaign = made_by(store, "ann", OVER + 1)
    say_yes(store, campaign, "ben")
    upload(store, campaign, [row(FIRST + 100)])
    with pytest.raises(Conflict, match="approval"):
        start(store, campaign)
    say_yes(store, campaign, "cem")
    start(store, campaign)
    upload(store, campaign, [row(FIRST + 200)])
    assert feed(store) == OVER + 2
    assert feed(store) == 0
    assert counts(store, campaign) == {"queued": OVER + 2, "accepted": 1}
    assert campaign_of(store, campaign).stage is Stage.RUNNING
    assert verdicts(store, campaign) == [""] * (OVER + 2) + ["approval"]
    say_yes(store, campaign, "ben")
    assert feed(store) == 1


def test_a_small_one_that_grows_waits_for_the_word(store: Store) -> None:
    campaign = made_by(store, "ann", OVER)
    start(store, campaign)
    assert feed(store) == OVER
    upload(store, campaign, [row(FIRST + 100 + at) for at in range(5)])
    assert feed(store) == 0
    say_yes(store, campaign, "ben")
    assert feed(store) == 5


def test_an_ended_one_and_one_under_way_cannot_be_approved(store: Store) -> None:
    campaign = made_by(store, "ann", OVER + 1)
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    with pytest.raises(Conflict, match="cancelled"):
        say_yes(store, campaign, "ben")


def test_the_approval_is_an_event(store: Store) -> None:
    campaign = made_by(store, "ann", OVER + 1)
    say_yes(store, campaign, "ben")
    with store.read() as txn:
        (event,) = [event for _, event in events.after(txn, 0, 100) if event.kind == "campaign.approved"]
    assert event.subject == campaigns.name_of(campaign)
    assert event.detail == {"by": "ben", "recipients": OVER + 1}


def test_by_itself_a_house_asks_over_a_hundred(store: Store) -> None:
    assert House().approval_over == 100
    campaign = made_by(store, "ann", 101)
    with pytest.raises(Conflict, match="more than 100"):
        launch(store, campaign)
