"""The gate: may this message go now?

Asked inside the transaction that claims a message's parts, so that a STOP, a pause, a cancellation, an evening or a cap
is exact: what was not on a line when it committed never will be.

In this order: the campaign's stage and its approval; refusals and consents; whether he subscribes to its topic; a doubt
that only a person can settle; the recipient's quiet hours and the campaign's window; how often he was texted; the
campaign's caps and its pace.  From the quiet hours on it is not asked of a message of which a part went: half a text in
the evening is worse than all of it.  But what could not follow at once, for a crash or a quota, waits for the morning
as any other.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.config import ANY_HOUR, NO_CAPS, Caps, Hours, House, QuietHours
from engine.crm import quiet
from engine.crm.marketing import campaigns, caps, pace, topics
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.crm.marketing.caps import FREE, Prices, Room, Spent
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
PACED: Final = Verdict(State.HELD, "rate")
_HOUSE: Final = House()


def _nothing(_txn: Txn, _group: int) -> int:
    return 0


class Rules(NamedTuple):
    """What is asked beside the store.

    Without `hours` nobody is disturbed at any hour, without `often` nobody too often.

    `spent` tells how many parts of a campaign went, `prices` what they cost and what others would.
    """

    pepper: bytes
    house: House = _HOUSE
    hours: QuietHours = ANY_HOUR
    spent: Spent = _nothing
    often: Caps = NO_CAPS
    prices: Prices = FREE


def gate_with(
    pepper: bytes,
    house: House = _HOUSE,
    hours: QuietHours = ANY_HOUR,
    spent: Spent = _nothing,
    often: Caps = NO_CAPS,
    prices: Prices = FREE,
) -> Gate:
    """The gate of a house whose suppressions are keyed with `pepper`."""
    rules = Rules(pepper, house, hours, spent, often, prices)

    def gate(txn: Txn, messages: Sequence[Asked], now_ms: int) -> list[Verdict]:
        sitting = _Sitting(txn, rules, now_ms)
        verdicts = sitting.judge(messages)
        sitting.keep()
        for message, verdict in zip(messages, verdicts, strict=True):
            if verdict is PACED:
                pace.park(txn, message.group)
            elif verdict is CAPPED:
                caps.halt(txn, message.group, message.size, _price(rules, message), now_ms)
        return verdicts

    return gate


def judge_with(
    pepper: bytes, house: House, hours: QuietHours, spent: Spent, often: Caps = NO_CAPS, prices: Prices = FREE
) -> Gate:
    """As the gate, but it changes nothing: for whoever only wants to know."""
    rules = Rules(pepper, house, hours, spent, often, prices)
    return lambda txn, messages, now_ms: _Sitting(txn, rules, now_ms).judge(messages)


class _Sitting:
    """One asking: the campaigns as they stand, and what those before have taken of caps, paces and patience."""

    def __init__(self, txn: Txn, rules: Rules, now_ms: int) -> None:
        self._txn = txn
        self._rules = rules
        self._now_ms = now_ms
        self._known: dict[int, Campaign | None] = {0: None}
        self._rooms: dict[int, Room] = {}
        self._paces: dict[int, int] = {}
        self._begun: dict[tuple[int, int], int] = {}
        self._any_refusal = suppressions.any_known(txn)
        self._frequency: Frequency | None = None
        self._any_paused = False

    def judge(self, messages: Sequence[Asked]) -> list[Verdict]:
        """One verdict for each, in their order."""
        verdicts = []
        plain = set[int]()  # groups about whose rows there is nothing to be asked one by one
        for message in messages:
            group = message.group
            if group in plain and message.state is State.QUEUED:
                verdicts.append(SEND)
                continue
            if group not in self._known:
                self._meet(group)
            campaign = self._known[group]
            verdict = self._verdict(message, campaign)
            if campaign is not None and verdict is SEND and not self._is_asked(message, campaign):
                plain.add(group)
            verdicts.append(verdict)
        return verdicts

    def keep(self) -> None:
        """Write what was taken."""
        if self._frequency is not None:
            self._frequency.save()
        for (group, rate), parts in self._begun.items():
            pace.note(self._txn, group, rate, parts, self._now_ms)

    def _meet(self, group: int) -> None:
        txn, rules = self._txn, self._rules
        campaign = self._known[group] = CAMPAIGNS.get(txn, group)
        room = caps.room(txn, campaign, rules.spent, rules.prices)
        if room is not None:
            self._rooms[group] = room
        if campaign.rate:
            self._paces[group] = pace.allowed(txn, group, campaign.rate, self._now_ms)

    def _has_hours(self, message: Asked, campaign: Campaign | None) -> bool:
        hours = self._rules.hours
        return bool((campaign is not None and campaign.hours) or (hours is not ANY_HOUR and hours.of(message.purpose)))

    def _is_asked(self, message: Asked, campaign: Campaign) -> bool:
        """Whether the next row of the campaign may have another answer."""
        return (
            self._any_refusal
            or message.purpose in NEEDED
            or message.state is not State.QUEUED
            or campaign.topic > 0
            or campaign.id in self._rooms
            or campaign.id in self._paces
            or self._has_hours(message, campaign)
        )

    def _verdict(self, message: Asked, campaign: Campaign | None) -> Verdict:
        txn, rules, now_ms = self._txn, self._rules, self._now_ms
        verdict = _of_campaign(campaign, message, rules.house)
        if verdict is SEND and (self._any_refusal or message.purpose in NEEDED):
            verdict = may_text(txn, message, rules.pepper, now_ms)
        if verdict is SEND and campaign is not None and campaign.topic:
            verdict = topics.may_text(txn, campaign.topic, message.number)
        is_begun = message.waiting_parts != message.size
        is_offer = message.purpose == "marketing" and not message.in_reply_to
        if is_offer and self._frequency is None:
            self._frequency = Frequency(txn, rules.often, rules.pepper, rules.house.time_zone, now_ms)
            self._any_paused = pauses.PAUSED.any(txn)
        if is_offer and self._any_paused and verdict is SEND:
            verdict = pauses.held(txn, message, now_ms) or SEND
        window = () if campaign is None else campaign.hours
        is_on_its_way = is_begun and now_ms - message.on_line_ms(now_ms) <= quiet.ON_THE_WAY_MS
        if verdict is SEND and not is_on_its_way and self._has_hours(message, campaign):
            zones = zones_of(message.number, rules.house.time_zone)
            verdict = quiet.may_disturb(message, zones, rules.hours, now_ms, window)
        if is_begun or verdict is not SEND:
            return verdict
        frequency = self._frequency if is_offer else None
        if frequency is not None:
            verdict = frequency.verdict(message)
            if verdict.state is State.HELD:
                verdict = _in_hours(
                    message, verdict, quiet.open_hours(message.purpose, rules.hours, window), rules.house
                )
        if verdict is SEND and campaign is not None:
            verdict = self._take(message, campaign)
        if verdict is SEND and frequency is not None:
            frequency.note(message)
        return verdict

    def _take(self, message: Asked, campaign: Campaign) -> Verdict:
        """Whether caps and pace have room for it: then it has that room."""
        room, size = self._rooms.get(campaign.id), message.size
        price = 0 if room is None else _price(self._rules, message)
        if room is not None and not room.take(size, price):
            return PACED if room.may_fit_later(size, price) else CAPPED
        if campaign.rate:
            if self._paces[campaign.id] <= 0:
                return PACED
            self._paces[campaign.id] -= size
            key = campaign.id, campaign.rate
            self._begun[key] = self._begun.get(key, 0) + size
        return SEND


def _price(rules: Rules, message: Asked) -> int:
    """What all its parts cost at most."""
    return message.size * rules.prices.dearest(message.number, message.tag, message.purpose)


def _in_hours(message: Asked, verdict: Verdict, open_: tuple[Hours, ...], house: House) -> Verdict:
    """A cap that frees at night frees in the morning, and not for everybody in the same minute."""
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
