"""The gate: may this message go now?

Asked inside the transaction that claims a message's parts, so that a STOP, a pause, a cancellation, an evening or a cap
is exact: what was not on a line when it committed never will be.

In this order: the campaign's stage and its approval; refusals and consents; a doubt that only a person can settle; the
recipient's quiet hours; how often he was texted; the campaign's cost cap.  The last three are not asked of a message of
which a part went: half a text in the evening is worse than all of it.  But what could not follow at once, for a crash
or a quota, waits for the morning as any other.
"""

from collections.abc import Callable, Sequence
from typing import Final

from engine.config import ANY_HOUR, NO_CAPS, Caps, House, QuietHours
from engine.crm import quiet
from engine.crm.marketing import campaigns, caps
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.crm.marketing.caps import Spent
from engine.crm.people import pauses, suppressions
from engine.crm.people.consent import NEEDED
from engine.crm.people.frequency import Frequency
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
CAPPED: Final = Verdict(State.HELD, "cost_cap")
_HOUSE: Final = House()


def _nothing(_txn: Txn, _group: int) -> int:
    return 0


def gate_with(
    pepper: bytes,
    house: House = _HOUSE,
    hours: QuietHours = ANY_HOUR,
    spent: Spent = _nothing,
    often: Caps = NO_CAPS,
) -> Gate:
    """The gate of a house whose suppressions are keyed with `pepper`; `spent` tells what a campaign has cost.

    Without `hours` nobody is disturbed at any hour, without `often` nobody too often.
    """
    judge = _judging(pepper, house, hours, spent, often)

    def gate(txn: Txn, messages: Sequence[Asked], now_ms: int) -> list[Verdict]:
        verdicts, frequency = judge(txn, messages, now_ms)
        if frequency is not None:
            frequency.save()
        if CAPPED not in verdicts:
            return verdicts
        for message, verdict in zip(messages, verdicts, strict=True):
            if verdict is CAPPED:
                caps.halt(txn, message.group, message.size, now_ms)
        return verdicts

    return gate


def judge_with(pepper: bytes, house: House, hours: QuietHours, spent: Spent, often: Caps = NO_CAPS) -> Gate:
    """As the gate, but it changes nothing: for whoever only wants to know."""
    judge = _judging(pepper, house, hours, spent, often)
    return lambda txn, messages, now_ms: judge(txn, messages, now_ms)[0]


_Judge = Callable[[Txn, Sequence[Asked], int], tuple[list[Verdict], Frequency | None]]


def _judging(pepper: bytes, house: House, hours: QuietHours, spent: Spent, often: Caps) -> _Judge:
    """The verdicts, and what a gate must keep of them where there was any marketing."""

    def judge(txn: Txn, messages: Sequence[Asked], now_ms: int) -> tuple[list[Verdict], Frequency | None]:
        known: dict[int, Campaign | None] = {0: None}
        rooms: dict[int, int] = {}
        verdicts = []
        any_refusal = suppressions.any_known(txn)
        frequency: Frequency | None = None
        any_paused = False
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
                verdict = may_text(txn, message, pepper, now_ms)
            is_begun = message.waiting_parts != message.size
            is_offer = message.purpose == "marketing" and not message.in_reply_to
            if is_offer and frequency is None:
                frequency = Frequency(txn, often, pepper, house.time_zone, now_ms)
                any_paused = pauses.PAUSED.any(txn)
            if is_offer and any_paused and verdict is SEND:
                verdict = pauses.held(txn, message, now_ms) or SEND
            if verdict is SEND and any_hours and hours.of(message.purpose):
                is_asked = True
                if not (is_begun and now_ms - message.on_line_ms(now_ms) <= quiet.ON_THE_WAY_MS):
                    zones = zones_of(message.number, house.time_zone)
                    verdict = quiet.may_disturb(message, zones, hours, now_ms)
            if is_offer and verdict is SEND and not is_begun and frequency is not None:
                verdict = frequency.verdict(message)
                if verdict.state is State.HELD:
                    verdict = _in_hours(message, verdict, hours, house)
            if verdict is SEND and not is_begun and group in rooms:
                if message.size > rooms[group]:
                    verdict = CAPPED
                else:
                    rooms[group] -= message.size
            is_asked = is_asked or group in rooms
            if verdict is SEND and group and not is_asked and message.state is State.QUEUED:
                plain.add(group)
            if is_offer and verdict is SEND and not is_begun and frequency is not None:
                frequency.note(message)
            verdicts.append(verdict)
        return verdicts, frequency

    return judge


def _in_hours(message: Asked, verdict: Verdict, hours: QuietHours, house: House) -> Verdict:
    """A cap that frees at night frees in the morning, and not for everybody in the same minute."""
    open_ = hours.of(message.purpose)
    if not open_:
        return verdict
    zones = zones_of(message.number, house.time_zone)
    before_ms = message.expires_ms
    until_ms = quiet.release(verdict.until_ms, zones, *open_, key=message.id, before_ms=before_ms)
    if not until_ms:
        return verdict
    if before_ms and until_ms >= before_ms:
        return Verdict(State.EXPIRED, verdict.reason)
    return Verdict(State.HELD, verdict.reason, until_ms)


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
