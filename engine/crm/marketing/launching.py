"""Launching on a budget: what a campaign will send counts for the token that launches it, all at once."""

from zoneinfo import ZoneInfo

from engine import sms
from engine.access import budgets
from engine.config import House
from engine.crm.marketing import campaigns, links
from engine.crm.marketing.campaigns import Campaign
from engine.store.table import Txn


def parts_of(campaign: Campaign, link_base: str) -> int:
    """The parts that it may take: each row the longest of its texts, as that stands before values are merged in, but
    for the link.
    """
    texts = [links.stretched(text, link_base) for text in campaigns.texts_of(campaign)]
    parts = campaign.rows * max(sms.measure(text).parts for text in texts)
    return min(parts, campaign.parts_most) if campaign.parts_most else parts


def launch(txn: Txn, identifier: int, now_ms: int, house: House, token: int) -> Campaign:
    """Start it for the token of that number, 0 for a caller who has none.

    Raises what `campaigns.launch` raises, and TooMany where it does not fit into the token's budget of today.
    """
    campaign = campaigns.launch(txn, identifier, now_ms, house.approval_over, house)
    budgets.spend(txn, token, parts_of(campaign, house.link_base), now_ms, ZoneInfo(house.time_zone))
    return campaign
