"""Caps: how many parts a campaign may take at most, and how much money.

A message that does not fit into what is left halts its campaign, in the change that would have claimed it: nothing of
the campaign is picked any more, until somebody raises the cap or parts turn out not to have gone.  Messages of which a
part went are finished in any case; all their parts are counted from their first one on.

A message fits into the money that is left if it does at the price of the dearest sender that may take it: no SIM that
it may go by takes the campaign over its cap.

What was spent is counted by traffic; it is asked through `Spent` and `Prices`.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from engine.crm.marketing import campaigns, pace
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store.table import Txn
from engine.traffic import events
from engine.traffic.messages import GROUPS, Sending

PARTS_MOST: Final = 1_000_000_000  # of any cap
MINOR_MOST: Final = 1_000_000_000_000

# A group: how many of its parts went or may have gone, or what they cost in minor units.
Spent = Callable[[Txn, int], int]


class Prices(NamedTuple):
    """`cost` is what a campaign has cost, `dearest` what a part to a number, of a tag and a purpose, costs at most."""

    cost: Spent
    dearest: Callable[[int, str, str], int]


FREE: Final = Prices(lambda _txn, _group: 0, lambda _number, _tag, _purpose: 0)


class Room:
    """How much of a campaign may still be begun: parts, and minor units; None: without a cap.

    What is taken in money is taken at the dearest price: what did not fit into the rest may fit once it is known what
    the others really cost.
    """

    __slots__ = ("_minor_at_first", "minor", "parts")

    def __init__(self, parts: int | None, minor: int | None) -> None:
        self.parts = parts
        self.minor = self._minor_at_first = minor

    def holds(self, parts: int, minor: int) -> bool:
        """Whether so much fits."""
        return (self.parts is None or parts <= self.parts) and (self.minor is None or minor <= self.minor)

    def take(self, parts: int, minor: int) -> bool:
        """Whether so much fits; then it is taken."""
        if not self.holds(parts, minor):
            return False
        if self.parts is not None:
            self.parts -= parts
        if self.minor is not None:
            self.minor -= minor
        return True

    def may_fit_later(self, parts: int, minor: int) -> bool:
        """Whether so much would fit, did the others cost nothing."""
        return (self.parts is None or parts <= self.parts) and minor <= (self._minor_at_first or 0)


def room(txn: Txn, campaign: Campaign, spent: Spent, prices: Prices = FREE) -> Room | None:
    """What may still be begun; None without any cap."""
    if not (campaign.parts_most or campaign.cost_cap_minor):
        return None
    parts = max(0, campaign.parts_most - spent(txn, campaign.id)) if campaign.parts_most else None
    minor = max(0, campaign.cost_cap_minor - prices.cost(txn, campaign.id)) if campaign.cost_cap_minor else None
    return Room(parts, minor)


def halt(txn: Txn, identifier: int, parts: int, minor: int, now_ms: int) -> None:
    """Let nothing of a campaign be picked: a message of so many parts, or of that price, does not fit."""
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage is Stage.RUNNING and GROUPS.find(txn, identifier) == Sending.RUNNING:
        campaigns.store(txn, campaign, capped=parts, capped_minor=minor)
        GROUPS.put(txn, identifier, Sending.PAUSED.value)
        caps = {"parts_most": campaign.parts_most, "cost_cap_minor": campaign.cost_cap_minor}
        events.append(txn, "campaign.capped", now_ms, campaigns.name_of(identifier), **caps)


class Wanted(NamedTuple):
    """What caps shall be, 0 to lift one; None leaves it as it is."""

    parts_most: int | None = None
    cost_cap_minor: int | None = None


def change(txn: Txn, identifier: int, wanted: Wanted, now_ms: int, spent: Spent, prices: Prices = FREE) -> Campaign:
    """Set caps; what they had halted goes on where it fits now.

    Raises NotFound, Invalid, Conflict where the campaign has ended.
    """
    changes = {name: cap for name, cap in wanted._asdict().items() if cap is not None}
    for name, cap in changes.items():
        most = PARTS_MOST if name == "parts_most" else MINOR_MOST
        if not 0 <= cap <= most:
            raise Invalid(InvalidParam(name, f"is not 0 to {most}"))
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage in (Stage.COMPLETED, Stage.CANCELLED):
        raise Conflict(f"the campaign is {campaign.stage}")
    return _go_on(txn, campaigns.store(txn, campaign, **changes), now_ms, spent, prices)


def reopen(txn: Txn, now_ms: int, spent: Spent, prices: Prices = FREE) -> None:
    """Let campaigns go on that a cap or their pace has halted, where there is room again.

    Where parts turned out not to have gone, where the window has ended with messages open, and where time has gone by.
    To be asked now and then.
    """
    for (group,), sending in list(GROUPS.scan(txn)):
        if sending == Sending.PAUSED:
            campaign = CAMPAIGNS.find(txn, group)
            if campaign is not None and campaign.stage is Stage.RUNNING and not campaign.capped:
                pace.go_on(txn, group, campaign.rate, now_ms)
            elif campaign is not None:
                _go_on(txn, campaign, now_ms, spent, prices)


def _go_on(txn: Txn, campaign: Campaign, now_ms: int, spent: Spent, prices: Prices) -> Campaign:
    left = room(txn, campaign, spent, prices)
    fits = left is None or left.holds(campaign.capped, campaign.capped_minor) or campaign.expires_ms <= now_ms
    if not (campaign.capped and fits):
        return campaign
    if campaign.stage is Stage.RUNNING:
        GROUPS.put(txn, campaign.id, Sending.RUNNING.value)
    return campaigns.store(txn, campaign, capped=0, capped_minor=0)
