"""The gate: may this message go now?

Asked inside the transaction that claims a message's parts, so that a STOP, a pause, a cancellation, an evening or a cap
is exact: what was not on a line when it committed never will be.

In this order: the campaign's stage and its approval; refusals and consents; the recipient's quiet hours; the campaign's
cap.  The last two are not asked of a message of which a part went: half a text in the evening is worse than all of it.
But what could not follow at once, for a crash or a quota, waits for the morning as any other.
"""

from collections.abc import Sequence
from typing import Final

from engine.config import ANY_HOUR, House, QuietHours
from engine.crm import quiet
from engine.crm.marketing import campaigns, caps
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.crm.marketing.caps import Spent
from engine.crm.people import suppressions
from engine.crm.people.consent import NEEDED
from engine.crm.people.permission import may_text
from engine.crm.people.zones import zones_of
from engine.store.table import Txn
from engine.traffic.messages import SEND, Asked, Gate, State, Verdict

_STAGES: Final = {
    Stage.PAUSED: Verdict(State.QUEUED, "campaign_paused"),
    Stage.CANCELLED: Verdict(State.CANCELLED, "campaign_cancelled"),
}
NOT_LAUNCHED: Final = Verdict(State.ACCEPTED, "not_launched")
UNAPPROVED: Final = Verdict(State.HELD, "approval")
CAPPED: Final = Verdict(State.HELD, "cap")
_HOUSE: Final = House()


def _nothing(_txn: Txn, _group: int) -> int:
    return 0


def gate_with(pepper: bytes, house: House = _HOUSE, hours: QuietHours = ANY_HOUR, spent: Spent = _nothing) -> Gate:
    """The gate of a house whose suppressions are keyed with `pepper`; `spent` tells what a campaign has cost.

    Without `hours` nobody is disturbed at any hour.
    """
    judge = judge_with(pepper, house, hours, spent)

    def gate(txn: Txn, messages: Sequence[Asked], now_ms: int) -> list[Verdict]:
        verdicts = judge(txn, messages, now_ms)
        if CAPPED not in verdicts:
            return verdicts
        for message, verdict in zip(messages, verdicts, strict=True):
            if verdict is CAPPED:
                caps.halt(txn, message.group, message.size, now_ms)
        return verdicts

    return gate


def judge_with(pepper: bytes, house: House, hours: QuietHours, spent: Spent) -> Gate:
    """As the gate, but it changes nothing: for whoever only wants to know."""

    def judge(txn: Txn, messages: Sequence[Asked], now_ms: int) -> list[Verdict]:
        known: dict[int, Campaign | None] = {0: None}
        rooms: dict[int, int] = {}
        verdicts = []
        any_refusal = suppressions.any_known(txn)
        any_hours = hours is not ANY_HOUR
        plain = set[int]()  # groups about whose rows there is nothing to be asked one by one
        for message in messages:
            group = message.group
            if group in plain and message.state is State.QUEUED:
                verdicts.append(SEND)
                continue
            if group not in known:
                known[group] = campaign = CAMPAIGNS.get(txn, group)
                left = caps.room(txn, campaign, spent)
                if left is not None:
                    rooms[group] = left
            verdict = _of_campaign(known[group], message, house)
            is_asked = any_refusal or message.purpose in NEEDED
            if verdict is SEND and is_asked:
                verdict = may_text(txn, message, pepper)
            is_begun = message.waiting_parts != message.size
            if verdict is SEND and any_hours and hours.of(message.purpose):
                is_asked = True
                if not (is_begun and now_ms - message.on_line_ms(now_ms) <= quiet.ON_THE_WAY_MS):
                    zones = zones_of(message.number, house.time_zone)
                    verdict = quiet.may_disturb(message, zones, hours, now_ms)
            if verdict is SEND and not is_begun and group in rooms:
                if message.size > rooms[group]:
                    verdict = CAPPED
                else:
                    rooms[group] -= message.size
            is_asked = is_asked or group in rooms
            if verdict is SEND and group and not is_asked and message.state is State.QUEUED:
                plain.add(group)
            verdicts.append(verdict)
        return verdicts

    return judge


def _of_campaign(campaign: Campaign | None, message: Asked, house: House) -> Verdict:
    if campaign is None:
        return SEND
    if message.state is State.ACCEPTED and campaign.stage is not Stage.CANCELLED:
        # A row that was not fed.
        cleared = campaigns.cleared(campaign, house.approval_over)
        if cleared < campaign.rows and not 0 <= message.packed_row < cleared:
            return UNAPPROVED
        if campaign.stage in (Stage.DRAFT, Stage.SCHEDULED):
            return NOT_LAUNCHED
    return _STAGES.get(campaign.stage, SEND)
