"""The schedule: campaigns that begin by themselves, at a time that was set before.

    draft ──schedule──► scheduled ──its time──► running
      ▲                     │
      └────unschedule───────┘

Whether it may go is asked when it is put down and again when it begins: what may not then is a draft again.
"""

from typing import Final

from engine.config import House
from engine.crm.marketing import campaigns
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.errors import Conflict, Invalid, InvalidParam, Refusal
from engine.store.table import Index, Txn
from engine.traffic import events

AHEAD_MOST_MS: Final = 366 * 86_400_000

STARTS: Final = Index("campaign_starts", "QQ")  # when, campaign

TABLES: Final = (STARTS,)


def put_down(txn: Txn, identifier: int, starts_ms: int, now_ms: int, house: House) -> Campaign:
    """Let a draft begin at `starts_ms`.

    Raises NotFound, Invalid naming `start_at` or `objective`: who plans says what for; Conflict and Invalid as
    `campaigns.launch`.
    """
    campaign = CAMPAIGNS.get(txn, identifier)
    if not now_ms < starts_ms <= now_ms + AHEAD_MOST_MS:
        raise Invalid(InvalidParam("start_at", "is not in the coming year"))
    if not campaign.objective.strip():
        raise Invalid(InvalidParam("objective", "is missing: a campaign that is planned has one"), code="no_objective")
    if campaign.stage is not Stage.DRAFT:
        raise Conflict(f"the campaign is {campaign.stage}: only a draft can be scheduled")
    campaigns.require_launchable(campaign, starts_ms, house.approval_over, house)
    STARTS.add(txn, starts_ms, identifier)
    events.append(txn, "campaign.scheduled", now_ms, campaigns.name_of(identifier), start_ms=starts_ms)
    return campaigns.store(txn, campaign, stage=Stage.SCHEDULED, starts_ms=starts_ms)


def take_up(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """Let it be a draft again.  Raises NotFound, Conflict unless it is scheduled."""
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage is not Stage.SCHEDULED:
        raise Conflict(f"the campaign is {campaign.stage}, not scheduled")
    STARTS.remove(txn, campaign.starts_ms, identifier)
    events.append(txn, "campaign.unscheduled", now_ms, campaigns.name_of(identifier))
    return campaigns.store(txn, campaign, stage=Stage.DRAFT, starts_ms=0)


def begin_due(txn: Txn, now_ms: int, house: House) -> int:
    """Begin those whose time has come; how many left the schedule."""
    left = 0
    for starts_ms, identifier in list(STARTS.scan(txn)):
        if starts_ms > now_ms:
            break
        left += 1
        STARTS.remove(txn, starts_ms, identifier)
        campaign = CAMPAIGNS.find(txn, identifier)
        if campaign is None or campaign.stage is not Stage.SCHEDULED:
            continue
        campaigns.store(txn, campaign, stage=Stage.DRAFT)
        try:
            campaigns.launch(txn, identifier, now_ms, house.approval_over, house)
        except Refusal as refusal:
            name = campaigns.name_of(identifier)
            events.append(txn, "campaign.not_begun", now_ms, name, reason=refusal.code)
    return left
