"""Caps: how many parts a campaign may cost at most.

A message that does not fit into what is left halts its campaign, in the change that would have claimed it: nothing of
the campaign is picked any more, though it runs, until somebody raises the cap or parts turn out not to have gone.
Messages of which a part went are finished in any case; all their parts are counted from their first one on.

What was spent is counted by traffic; it is asked through `Spent`.
"""

from collections.abc import Callable
from typing import Final

from engine.crm.marketing import campaigns
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store.table import Txn
from engine.traffic import events
from engine.traffic.messages import GROUPS, Sending

PARTS_MOST: Final = 1_000_000_000  # of any cap

Spent = Callable[[Txn, int], int]


def room(txn: Txn, campaign: Campaign, spent: Spent) -> int | None:
    """How many parts may still be begun; None without a cap."""
    return max(0, campaign.parts_most - spent(txn, campaign.id)) if campaign.parts_most else None


def halt(txn: Txn, identifier: int, parts: int, now_ms: int) -> None:
    """Let nothing of a campaign be picked: a message of so many parts does not fit."""
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage is Stage.RUNNING and GROUPS.find(txn, identifier) == Sending.RUNNING:
        campaigns.store(txn, campaign, capped=parts)
        GROUPS.put(txn, identifier, Sending.PAUSED.value)
        events.append(txn, "campaign.capped", now_ms, campaigns.name_of(identifier), parts_most=campaign.parts_most)


def change(txn: Txn, identifier: int, parts_most: int, now_ms: int, spent: Spent) -> Campaign:
    """Set the cap, or lift it with 0; what it halted goes on where it fits now.

    Raises NotFound, Invalid, Conflict where the campaign has ended.
    """
    if not 0 <= parts_most <= PARTS_MOST:
        raise Invalid(InvalidParam("parts_most", f"is not 0 to {PARTS_MOST}"))
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage in (Stage.COMPLETED, Stage.CANCELLED):
        raise Conflict(f"the campaign is {campaign.stage}")
    return _go_on(txn, campaigns.store(txn, campaign, parts_most=parts_most), now_ms, spent)


def reopen(txn: Txn, now_ms: int, spent: Spent) -> None:
    """Let campaigns go on of which parts turned out not to have gone, or whose window has ended with messages open.

    To be asked now and then.
    """
    for (group,), sending in list(GROUPS.scan(txn)):
        if sending == Sending.PAUSED:
            campaign = CAMPAIGNS.find(txn, group)
            if campaign is not None:
                _go_on(txn, campaign, now_ms, spent)


def _go_on(txn: Txn, campaign: Campaign, now_ms: int, spent: Spent) -> Campaign:
    left = room(txn, campaign, spent)
    fits = left is None or left >= campaign.capped or campaign.expires_ms <= now_ms
    if not (campaign.capped and fits):
        return campaign
    if campaign.stage is Stage.RUNNING:
        GROUPS.put(txn, campaign.id, Sending.RUNNING.value)
    return campaigns.store(txn, campaign, capped=0)
