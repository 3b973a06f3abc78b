"""Feeding: rows of running campaigns come into the due line, a little ahead of the rack.

Most rows need no word in the store but that they were fed.  What they are asked about here, consent, refusals, their
topic, is asked again when a part is claimed: but each row that is turned away there costs a modem's turn.
"""

from typing import Final, NamedTuple

import msgspec

from engine import sms
from engine.config import ANY_HOUR, House, QuietHours
from engine.crm import quiet
from engine.crm.marketing import campaigns, links, topics
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign
from engine.crm.people import agreement, consent, customers, permission, suppressions
from engine.crm.people.zones import zones_of
from engine.errors import CodecError
from engine.store.table import Txn
from engine.traffic import bulk, messages, sheets, slots
from engine.traffic.messages import GROUPS, Sending, State, Verdict
from engine.traffic.sheets import BULKS, FED, Feeding, Row, Waiting

HELD_MOST: Final = 10_000  # messages of a campaign that wait for the morning; the rows behind them wait unfed
LOOKED_AT: Final = 20  # of the rows behind them


def feed(txn: Txn, now_ms: int, parts: int, house: House, pepper: bytes, hours: QuietHours = ANY_HOUR) -> int:
    """Move the next rows of the running campaigns into the due line, about `parts` in all; how many rows that were."""
    running = [group for (group,), sending in GROUPS.scan(txn) if sending == Sending.RUNNING]
    fed = 0
    for group in running:
        campaign = CAMPAIGNS.get(txn, group)
        cursor = FED.get(txn, group).cursor
        if cursor < campaign.rows:
            may_wait = _has_enough(txn, campaign) or (
                _count(txn, group, State.HELD) >= HELD_MOST and _is_night(txn, campaign, cursor, house, hours, now_ms)
            )
            if cursor < campaigns.cleared(campaign, house.approval_over) and not may_wait:
                fed += _Feeder(txn, campaign, house, pepper, now_ms).feed(max(1, parts // len(running)))
        elif not campaign.uploading and _is_through(txn, group):
            campaigns.complete(txn, campaign, now_ms)
    return fed


def _is_night(txn: Txn, campaign: Campaign, cursor: int, house: House, hours: QuietHours, now_ms: int) -> bool:
    """Whether the next rows would have to wait for the morning too; not so where the others wait for their caps."""
    open_ = quiet.open_hours(campaign.purpose, hours, campaign.hours)
    numbers = [row.number for _, row in sheets.read_rows(txn, campaign.id, cursor, LOOKED_AT) if row.number]
    return bool(open_) and all(quiet.opening(now_ms, zones_of(one, house.time_zone), *open_) for one in numbers)


def _has_enough(txn: Txn, campaign: Campaign) -> bool:
    """Whether more wait already than its rate lets go in a minute: the line is not for one campaign alone."""
    return 0 < campaign.rate <= _count(txn, campaign.id, State.QUEUED)


def _count(txn: Txn, group: int, state: State) -> int:
    return messages.TALLY.find(txn, (group, state)) or 0


def _is_through(txn: Txn, group: int) -> bool:
    tally = messages.tally(txn, group)
    return not any(tally.get(state) for state in messages.OPEN)


class Said(NamedTuple):
    """A text and its parts; no parts where each row has its own."""

    text: str
    parts: int


class _Feeder:
    """One feeding of one campaign: most rows need no word in the store but that they were fed."""

    def __init__(self, txn: Txn, campaign: Campaign, house: House, pepper: bytes, now_ms: int) -> None:
        self._txn = txn
        self._campaign = campaign
        self._house = house
        self._pepper = pepper
        self._now_ms = now_ms
        self._fed = FED.get(txn, campaign.id)
        self._bulk = BULKS.get(txn, campaign.id)
        if self._bulk.language != house.language and not self._fed.cursor:
            self._bulk = campaigns.bulk_of(campaign, house.language)
            BULKS.put(txn, campaign.id, self._bulk)
        if self._fed.expires_ms != campaign.expires_ms:
            self._fed = msgspec.structs.replace(self._fed, expires_ms=campaign.expires_ms)
        self._any_ended = State.ACCEPTED in messages.tally(txn, campaign.id)
        self._asks_customers = customers.any_known(txn)
        # All this is asked again when the part is claimed; but each row that is turned away there costs a modem's turn.
        self._knows_suppressions = suppressions.any_known(txn)
        self._asks_consent = campaign.purpose in consent.NEEDED
        self._is_over = campaign.expires_ms <= now_ms
        self._link = links.writer(txn, campaign.id, house.link_base, pepper)
        self._plain: dict[tuple[str, int], Said] = {}
        self._needs_basis = bool(campaign.purpose in consent.NEEDED and campaign.consent_basis)
        zone = house.time_zone
        self._subscribers = topics.Subscribers(txn, campaign.topic, now_ms, zone) if campaign.topic else None
        self._waiting: list[Waiting] = []
        self._queued = 0

    def feed(self, parts: int) -> int:
        """Feed rows of about `parts`; how many rows."""
        campaign, first = self._campaign, self._fed.cursor
        cursor = first
        is_simple = not (self._asks_customers or self._asks_consent or self._is_over or self._any_ended)
        is_simple = is_simple and self._subscribers is None
        last = campaigns.cleared(campaign, self._house.approval_over)
        for number, row in sheets.read_rows(self._txn, campaign.id, first, min(parts, last - first)):
            cursor = number + 1
            said = self._said(row) if is_simple and not self._is_suppressed(row.number) else None
            if said is None:
                parts -= self._row(number, row)
            else:
                self._waiting.append(Waiting(number, row, said.text, said.parts))
                self._queued += 1
                parts -= said.parts
            if parts <= 0:
                break
        messages.count(self._txn, campaign.id, State.QUEUED, self._queued)
        sheets.feed(self._txn, campaign.id, cursor, Feeding(self._bulk, self._fed, self._now_ms, self._waiting))
        return cursor - first

    def _is_suppressed(self, number: int) -> bool:
        return self._knows_suppressions and suppressions.find(self._txn, self._pepper, number) is not None

    def _said(self, row: Row) -> "Said | None":
        """What every row of its language and variant says, where that needs no value of the row's own."""
        key = row.language, bulk.variant_of(self._bulk.variants, row.id)
        if key not in self._plain:
            text, parts = "", 0
            template = bulk.template_of(self._bulk, *key)
            if not template.fields:
                text = template.render(())
                empty = Row(0, 0, "", row.language, None)
                message = sheets.message_of(self._campaign.id, 0, empty, self._bulk, self._fed, slots.EMPTY, text, 1)
                try:
                    parts = sms.measure(text, messages.envelope(message)).parts
                except CodecError:
                    parts = 0
            self._plain[key] = Said(text, parts)
        said = self._plain[key]
        return said if said.parts else None

    def _row(self, number: int, row: Row) -> int:
        """How many parts it has."""
        txn, now_ms = self._txn, self._now_ms
        if self._any_ended and slots.find(txn, self._campaign.id, number)[0] != slots.WAITING:
            messages.count(txn, self._campaign.id, State.ACCEPTED, 1)
            return 1
        verdict, text = messages.SEND, ""
        customer = customers.find_by_number(txn, row.number) if self._asks_customers else None
        known = row
        if customer is not None:
            # A name or a language that the customer may change tomorrow: what is sent today is worth a record.
            values = {"name": customer.name, **(row.values or {})} if customer.name else row.values
            known = msgspec.structs.replace(row, language=row.language or customer.language, values=values)
        if self._link is not None:
            known = msgspec.structs.replace(known, values={**(known.values or {}), links.FIELD: self._link(number)})
        try:
            text = sheets.text_of(self._bulk, known)
        except CodecError as error:
            verdict = Verdict(State.FAILED, f"missing_value_{error.field}")
        message = sheets.message_of(self._campaign.id, number, row, self._bulk, self._fed, slots.EMPTY, text, 1)
        if self._is_over:
            verdict = Verdict(State.EXPIRED, "deadline_passed")
        as_subscriber = messages.SEND
        if self._subscribers is not None:
            as_subscriber = self._subscribers.verdict(0 if customer is None else customer.id)
        if (
            as_subscriber.sends
            and self._needs_basis
            and consent.newest(txn, row.number, self._campaign.purpose) is None
        ):
            basis = consent.Consent(consent.Status.GRANTED, "import", self._campaign.consent_basis, now_ms)
            agreement.add(txn, row.number, self._campaign.purpose, basis)
        if verdict.sends:
            verdict = permission.may_text(txn, message, self._pepper)
        if verdict.sends:
            verdict = as_subscriber
        if not verdict.sends:
            messages.record_ended(txn, message, verdict, now_ms)
            return 1
        is_own = known is not row and not self._says_the_same(row, text)
        try:
            if is_own:
                parts = len(messages.enqueue(txn, message, now_ms).parts)
            else:
                parts = sms.measure(text, messages.envelope(message)).parts
        except CodecError as error:
            ended = msgspec.structs.replace(message, text="")
            messages.record_ended(txn, ended, Verdict(State.FAILED, f"unencodable_{error.field}"), now_ms)
            return 1
        if self._subscribers is not None and customer is not None:
            self._subscribers.note(customer.id, row.id)
        if is_own:
            return parts
        self._waiting.append(Waiting(number, row, text, parts))
        self._queued += 1
        return parts

    def _says_the_same(self, row: Row, text: str) -> bool:
        """Whether the row alone says what it says together with what is known of the customer, and its link."""
        try:
            return sheets.text_of(self._bulk, row) == text
        except CodecError:
            return False
