"""Campaigns: one text, in as many languages as needed, for many recipients.

    draft ──launch──► running ◄──pause/resume──► paused
                         │  └────────cancel────────┴──► cancelled
                         └─ every row fed, none open ──► completed

Rows are fed a little ahead of the rack; the tally counts those that were, FED's cursor the rest, so the counters of a
campaign always sum to its rows.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from engine import sms
from engine.config import Hours, House
from engine.crm.marketing import links, opt_out, templates, topics
from engine.crm.people import agreement, consent, customers, permission, suppressions
from engine.errors import CodecError, Conflict, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events, messages, sheets, slots
from engine.traffic.messages import GROUPS, Message, OnUnknown, Sending, State, Verdict
from engine.traffic.sheets import BULKS, FED, Bulk, Fed, Feeding, Row, Waiting

WINDOW_MS: Final = 3 * 86_400_000  # how long after its launch a campaign may send, where nothing else is said
TEXT_LONGEST: Final = 10_000  # characters, before merge values
OBJECTIVE_LONGEST: Final = 500  # characters
HELD_MOST: Final = 10_000  # messages of a campaign that wait for the morning; the rows behind them wait unfed


class Stage(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Campaign(msgspec.Struct, frozen=True, array_like=True):
    """`texts` by language; `report_percent` is how many of a hundred messages ask for a status report; `rows` are the
    recipients that count, `uploading` that `upload` has rows behind that mark.  Which of the rows were fed is in
    traffic's FED; `fed` was their number before schema 2.

    `parts_most` and `cost_cap_minor` cap its cost (0: no cap), `capped` and `capped_minor` are what did not fit when a
    cap was reached; `budget_minor` is what it was planned with.  `made_by` is the person who made it, empty where a
    program did; `approved_rows` are those that a second one said yes to.  `audience` is whom its rows were found by, of
    whom `holdout_percent` in a hundred, `held_out` in all, get nothing.  `hours` are its own, where its recipients
    live; at most `rate` parts a minute are begun (0: as many as the rack takes).  With a `topic` (0: none) it goes to
    active subscribers of that alone.
    """

    id: int
    name: str
    texts: dict[str, str]
    purpose: str
    report_percent: int = 0
    on_unknown: OnUnknown = OnUnknown.HOLD
    weight: int = 1
    consent_basis: str = ""
    expires_ms: int = 0
    stage: Stage = Stage.DRAFT
    rows: int = 0
    fed: int = 0
    uploading: bool = False
    created_ms: int = 0
    launched_ms: int = 0
    ended_ms: int = 0
    version: int = 1
    upload: int = 0
    parts_most: int = 0
    capped: int = 0
    made_by: str = ""
    approved_by: str = ""
    approved_ms: int = 0
    approved_rows: int = 0
    audience: dict[str, Any] = {}
    holdout_percent: int = 0
    held_out: int = 0
    objective: str = ""
    starts_ms: int = 0
    cost_cap_minor: int = 0
    capped_minor: int = 0
    budget_minor: int = 0
    hours: tuple[Hours, ...] = ()
    rate: int = 0
    topic: int = 0


CAMPAIGNS: Final = Table("campaigns", Campaign)

TABLES: Final = (CAMPAIGNS,)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("cmp", identifier)


def add(txn: Txn, campaign: Campaign, now_ms: int, link: str = "", base: str = "") -> Campaign:
    """Store a new draft, with the address behind its texts' `{link}`; `base` is where the house's links begin.

    Raises Invalid naming the field, Conflict for its topic.
    """
    if not campaign.name.strip():
        raise Invalid(InvalidParam("name", "is empty"))
    if not campaign.texts:
        raise Invalid(InvalidParam("text", "is empty"))
    if campaign.purpose not in messages.PURPOSES or campaign.purpose == "legal":
        raise Invalid(InvalidParam("purpose", f"is none of {', '.join(messages.PURPOSES[:-1])}"))
    if campaign.consent_basis and campaign.purpose not in consent.NEEDED:
        raise Invalid(InvalidParam("consent_basis", f"is for {', '.join(consent.NEEDED)} only"))
    if not 1 <= campaign.weight <= 100:
        raise Invalid(InvalidParam("weight", "is not 1 to 100"))
    if campaign.expires_ms and campaign.expires_ms <= now_ms:
        raise Invalid(InvalidParam("expires_at", "has passed"))
    if len(campaign.objective) > OBJECTIVE_LONGEST:
        raise Invalid(InvalidParam("objective", f"is longer than {OBJECTIVE_LONGEST} characters"))
    if campaign.parts_most < 0:
        raise Invalid(InvalidParam("parts_most", "is less than 0"))
    if campaign.cost_cap_minor < 0:
        raise Invalid(InvalidParam("cost_cap", "is less than 0"))
    for language, text in campaign.texts.items():
        if not 0 < len(text) <= TEXT_LONGEST:
            raise Invalid(InvalidParam(f"text.{language}", f"is not 1 to {TEXT_LONGEST} characters"))
        templates.parse(text, f"text.{language}")
    links.check(campaign.texts, link, base)
    if campaign.topic and (own := topics.require_open(txn, campaign.topic).purpose) != campaign.purpose:
        raise Invalid(InvalidParam("purpose", f"is not that of the topic, {own}"))
    campaign = msgspec.structs.replace(campaign, id=ids.take(txn, now_ms), created_ms=now_ms)
    CAMPAIGNS.put(txn, campaign.id, campaign)
    BULKS.put(txn, campaign.id, bulk_of(campaign, ""))
    FED.put(txn, campaign.id, Fed())
    if link:
        links.add(txn, campaign.id, link)
    return campaign


def bulk_of(campaign: Campaign, language: str) -> Bulk:
    """What all its messages have in common; `language` is for those whose own is unknown."""
    return Bulk(
        campaign.texts,
        language,
        campaign.purpose,
        report_percent=campaign.report_percent,
        on_unknown=campaign.on_unknown,
        weight=campaign.weight,
    )


def store(txn: Txn, campaign: Campaign, **changes: Any) -> Campaign:
    """Write the campaign with `changes`; its version steps."""
    campaign = msgspec.structs.replace(campaign, version=campaign.version + 1, **changes)
    CAMPAIGNS.put(txn, campaign.id, campaign)
    return campaign


# -- running

Step = Callable[[Txn, int, int], Campaign]


def cleared(campaign: Campaign, approval_over: int) -> int:
    """How many of its rows may be sent: all, unless there are more than `approval_over`, a person made it, and no
    second one has said yes to all of them.
    """
    is_free = not campaign.made_by or campaign.rows <= approval_over
    return campaign.rows if is_free else min(campaign.rows, campaign.approved_rows)


def launch(
    txn: Txn, identifier: int, now_ms: int, approval_over: int = House().approval_over, house: House | None = None
) -> Campaign:
    """Start it; its rows are fed as the rack takes them.

    Raises NotFound, Conflict if it was launched before, or needs an approval, and with a `house` Invalid of code
    `missing_opt_out` where a marketing text does not say who sends it or how to refuse it.
    """
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage is not Stage.DRAFT:
        raise Conflict(f"the campaign is {campaign.stage}: only a draft can be launched")
    require_launchable(campaign, now_ms, approval_over, house)
    if house is not None:
        links.require(txn, identifier, house.link_base)
    if campaign.topic:
        topics.require_open(txn, campaign.topic)
    expires_ms = campaign.expires_ms or now_ms + WINDOW_MS
    return _move(txn, campaign, Stage.RUNNING, now_ms, launched_ms=now_ms, expires_ms=expires_ms)


def require_launchable(campaign: Campaign, at_ms: int, approval_over: int, house: House | None = None) -> None:
    """Raises Conflict where it could not begin at that time as it stands, Invalid `missing_opt_out` in this house."""
    if campaign.uploading:
        raise Conflict("an upload to this campaign is under way")
    if not campaign.rows:
        raise Conflict("the campaign has no recipients yet")
    if cleared(campaign, approval_over) < campaign.rows:
        raise Conflict(f"a campaign with more than {approval_over} recipients needs the approval of another person")
    if house is not None:
        opt_out.require(campaign.texts, campaign.purpose, house)
    if campaign.expires_ms and campaign.expires_ms <= at_ms:
        raise Conflict("the campaign's window has ended")


def pause(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """Hold everything that is not in the air.  Raises NotFound, Conflict unless it runs."""
    return _step(txn, identifier, (Stage.RUNNING,), Stage.PAUSED, now_ms)


def resume(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """Go on.  Raises NotFound, Conflict unless it is paused; one that a cap has halted goes on when that is raised."""
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage is Stage.RUNNING and campaign.capped:
        raise Conflict("the campaign has reached its cap: raise that")
    return _step(txn, identifier, (Stage.PAUSED,), Stage.RUNNING, now_ms)


def cancel(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """End it; what is not in the air is cancelled.  Raises NotFound, Conflict where it has ended."""
    stages = (Stage.DRAFT, Stage.SCHEDULED, Stage.RUNNING, Stage.PAUSED)
    return _step(txn, identifier, stages, Stage.CANCELLED, now_ms, ended_ms=now_ms)


def _step(txn: Txn, identifier: int, wanted: tuple[Stage, ...], stage: Stage, now_ms: int, **changes: Any) -> Campaign:
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage not in wanted:
        raise Conflict(f"the campaign is {campaign.stage}, not {' or '.join(wanted)}")
    return _move(txn, campaign, stage, now_ms, **changes)


_SENDING: Final = {
    Stage.RUNNING: Sending.RUNNING,
    Stage.PAUSED: Sending.PAUSED,
    Stage.CANCELLED: Sending.CANCELLED,
}
_EVENT: Final = {
    (Stage.DRAFT, Stage.RUNNING): "launched",
    (Stage.PAUSED, Stage.RUNNING): "resumed",
}


def _move(txn: Txn, campaign: Campaign, stage: Stage, now_ms: int, **changes: Any) -> Campaign:
    word = _EVENT.get((campaign.stage, stage), stage.value)
    moved = store(txn, campaign, stage=stage, **changes)
    if stage is Stage.COMPLETED:
        GROUPS.remove(txn, campaign.id)
        sheets.close(txn, campaign.id)
    else:
        if stage is not Stage.RUNNING and txn.beside is not None:
            txn.beside.recall_group(txn, campaign.id, now_ms)
        GROUPS.put(txn, campaign.id, _SENDING[stage].value)
    events.append(txn, f"campaign.{word}", now_ms, name_of(campaign.id))
    return moved


# -- feeding


def feed(txn: Txn, now_ms: int, parts: int, house: House, pepper: bytes) -> int:
    """Move the next rows of the running campaigns into the due line, about `parts` in all; how many rows that were."""
    running = [group for (group,), sending in GROUPS.scan(txn) if sending == Sending.RUNNING]
    fed = 0
    for group in running:
        campaign = CAMPAIGNS.get(txn, group)
        cursor = FED.get(txn, group).cursor
        if cursor < campaign.rows:
            is_full = (messages.TALLY.find(txn, (group, State.HELD)) or 0) >= HELD_MOST
            if cursor < cleared(campaign, house.approval_over) and not is_full:
                fed += _Feeder(txn, campaign, house, pepper, now_ms).feed(max(1, parts // len(running)))
        elif not campaign.uploading and _is_through(txn, group):
            _move(txn, campaign, Stage.COMPLETED, now_ms, ended_ms=now_ms)
    return fed


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
            self._bulk = bulk_of(campaign, house.language)
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
        self._plain: dict[str, Said] = {}
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
        last = cleared(campaign, self._house.approval_over)
        for number, row in sheets.read_rows(self._txn, campaign.id, first, min(parts, last - first)):
            cursor = number + 1
            said = self._said(row.language) if is_simple and not self._is_suppressed(row.number) else None
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

    def _said(self, language: str) -> "Said | None":
        """What every row of a language says, where that needs no value of the row's own."""
        if language not in self._plain:
            text, parts = "", 0
            if not sheets.template_of(self._bulk, language).fields:
                empty = Row(0, 0, "", language, None)
                text = sheets.text_of(self._bulk, empty)
                message = sheets.message_of(self._campaign.id, 0, empty, self._bulk, self._fed, slots.EMPTY, text, 1)
                try:
                    parts = sms.measure(text, messages.envelope(message)).parts
                except CodecError:
                    parts = 0
            self._plain[language] = Said(text, parts)
        said = self._plain[language]
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


# -- looking up


def unfed(txn: Txn, campaign: Campaign) -> int:
    """Rows that nobody has looked at yet."""
    return campaign.rows - FED.get(txn, campaign.id).cursor


def gone(txn: Txn, campaign: Campaign) -> int:
    """Rows that are kept no more, from the first on: they count still, and results begin behind them."""
    return FED.get(txn, campaign.id).gone


def has_ended(txn: Txn, identifier: int, before_ms: int) -> bool:
    """Whether the campaign ended before that time, so that no row of it will be sent and none can be added."""
    campaign = CAMPAIGNS.find(txn, identifier)
    if campaign is None or campaign.uploading or campaign.stage not in (Stage.COMPLETED, Stage.CANCELLED):
        return False
    return campaign.ended_ms < before_ms


def counts(txn: Txn, campaign: Campaign) -> dict[str, int]:
    """Rows by state; their sum is `campaign.rows`."""
    tally = {state.slug: units for state, units in messages.tally(txn, campaign.id).items()}
    # Rows that were cancelled before they were fed are counted, and are below zero where they came from.
    rest = unfed(txn, campaign) + tally.pop(State.ACCEPTED.slug, 0)
    if rest:
        slug = _unfed_state(campaign).slug
        tally[slug] = tally.get(slug, 0) + rest
    return tally


def _unfed_state(campaign: Campaign) -> State:
    return State.CANCELLED if campaign.stage is Stage.CANCELLED else State.ACCEPTED


class Result(msgspec.Struct, frozen=True):
    """What became of row number `row`."""

    row: int
    message: Message


def results(txn: Txn, campaign: Campaign, first: int, limit: int) -> Iterator[Result]:
    """Rows from `first` on with their states, at most `limit`; those that are gone are passed over."""
    for number, row, message in sheets.listed(txn, campaign.id, first, limit, GROUPS):
        yield Result(number, message or messages.MESSAGES.get(txn, row.id))


def listed(txn: Txn, before: int, limit: int) -> Iterator[Campaign]:
    """Campaigns newest first, older than id `before` (0: from the newest)."""
    for _, campaign in CAMPAIGNS.scan(txn, after=before or None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield campaign
