"""Approval: a second person's word for a large campaign that a person made.

It is given for the recipients that there are: those that are added behind it need another.
"""

from engine.config import House
from engine.crm.marketing import campaigns
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.errors import Conflict
from engine.store.table import Txn
from engine.traffic import events


def approve(
    txn: Txn, identifier: int, person: str, approval_over: int, now_ms: int, house: House | None = None
) -> Campaign:
    """`person` says that the campaign may go to all the recipients it has.

    Raises NotFound, Conflict where it has ended, needs nobody's word, or is that person's own, and with a `house`
    Invalid of code `missing_opt_out` where a marketing text does not say who sends it or how to refuse it.
    """
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage in (Stage.COMPLETED, Stage.CANCELLED):
        raise Conflict(f"the campaign is {campaign.stage}")
    if campaign.uploading:
        raise Conflict("an upload to this campaign is under way")
    if campaigns.cleared(campaign, approval_over) == campaign.rows:
        raise Conflict("the campaign needs no approval")
    if campaign.made_by == person:
        raise Conflict("who made a campaign cannot approve it: another person must")
    if house is not None:
        campaigns.require_opt_out(campaign, house)
    events.append(txn, "campaign.approved", now_ms, campaigns.name_of(identifier), by=person, recipients=campaign.rows)
    return campaigns.store(txn, campaign, approved_by=person, approved_ms=now_ms, approved_rows=campaign.rows)
