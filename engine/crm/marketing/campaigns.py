"""Campaigns: one text, in as many languages as needed, for many recipients.

    draft ──launch──► running ◄──pause/resume──► paused
                         │  └────────cancel────────┴──► cancelled
                         └─ every row fed, none open ──► completed

Rows are fed a little ahead of the rack; the tally counts those that were, the cursor the rest, so the counters of a
campaign always sum to its rows.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from engine import numbers, sms
from engine.config import House
from engine.crm.marketing import recipients, templates
from engine.crm.marketing.recipients import Recipient
from engine.crm.people import consent, customers, permission
from engine.errors import CodecError, Conflict, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events, messages
from engine.traffic.messages import GROUPS, MESSAGES, Lane, Message, OnUnknown, Sending, State, Verdict

WINDOW_MS: Final = 3 * 86_400_000  # how long after its launch a campaign may send, where nothing else is said
TEXT_LONGEST: Final = 10_000  # characters, before merge values


class Stage(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Campaign(msgspec.Struct, frozen=True, array_like=True):
    """`texts` by language; `report_percent` is how many of a hundred messages ask for a status report; `rows` are the
    recipients that count, `cursor` the next of them to feed, `uploading` that rows stand behind the mark.
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
    cursor: int = 0
    uploading: bool = False
    created_ms: int = 0
    launched_ms: int = 0
    ended_ms: int = 0
    version: int = 1


CAMPAIGNS: Final = Table("campaigns", Campaign)

TABLES: Final = (CAMPAIGNS,)

_parsed = lru_cache(maxsize=256)(templates.parse)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("cmp", identifier)


def add(txn: Txn, campaign: Campaign, now_ms: int) -> Campaign:
    """Store a new draft.  Raises Invalid naming the field."""
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
    for language, text in campaign.texts.items():
        if not 0 < len(text) <= TEXT_LONGEST:
            raise Invalid(InvalidParam(f"text.{language}", f"is not 1 to {TEXT_LONGEST} characters"))
        templates.parse(text, f"text.{language}")
    campaign = msgspec.structs.replace(campaign, id=ids.take(txn, now_ms), created_ms=now_ms)
    CAMPAIGNS.put(txn, campaign.id, campaign)
    return campaign


def store(txn: Txn, campaign: Campaign, **changes: Any) -> Campaign:
    """Write the campaign with `changes`; its version steps."""
    campaign = msgspec.structs.replace(campaign, version=campaign.version + 1, **changes)
    CAMPAIGNS.put(txn, campaign.id, campaign)
    return campaign


# -- running

Step = Callable[[Txn, int, int], Campaign]


def launch(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """Start it; its rows are fed as the rack takes them.  Raises NotFound, Conflict if it was launched before."""
    campaign = CAMPAIGNS.get(txn, identifier)
    if campaign.stage is not Stage.DRAFT:
        raise Conflict(f"the campaign is {campaign.stage}: only a draft can be launched")
    if campaign.uploading:
        raise Conflict("an upload to this campaign is under way")
    if not campaign.rows:
        raise Conflict("the campaign has no recipients yet")
    expires_ms = campaign.expires_ms or now_ms + WINDOW_MS
    if expires_ms <= now_ms:
        raise Conflict("the campaign's window has ended")
    return _move(txn, campaign, Stage.RUNNING, now_ms, launched_ms=now_ms, expires_ms=expires_ms)


def pause(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """Hold everything that is not in the air.  Raises NotFound, Conflict unless it runs."""
    return _step(txn, identifier, (Stage.RUNNING,), Stage.PAUSED, now_ms)


def resume(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """Go on.  Raises NotFound, Conflict unless it is paused."""
    return _step(txn, identifier, (Stage.PAUSED,), Stage.RUNNING, now_ms)


def cancel(txn: Txn, identifier: int, now_ms: int) -> Campaign:
    """End it; what is not in the air is cancelled.  Raises NotFound, Conflict where it has ended."""
    stages = (Stage.DRAFT, Stage.RUNNING, Stage.PAUSED)
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
    else:
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
        if campaign.cursor < campaign.rows:
            fed += _feed_one(txn, campaign, max(1, parts // len(running)), house, pepper, now_ms)
        elif not campaign.uploading and _is_through(txn, group):
            _move(txn, campaign, Stage.COMPLETED, now_ms, ended_ms=now_ms)
    return fed


def _is_through(txn: Txn, group: int) -> bool:
    tally = messages.tally(txn, group)
    return not any(tally.get(state) for state in messages.OPEN)


def _feed_one(txn: Txn, campaign: Campaign, parts: int, house: House, pepper: bytes, now_ms: int) -> int:
    cursor = campaign.cursor
    room = min(parts, campaign.rows - cursor)
    for row, recipient in recipients.listed(txn, campaign.id, cursor, room):
        parts -= _feed_row(txn, campaign, recipient, house, pepper, now_ms)
        cursor = row + 1
        if parts <= 0:
            break
    fed = cursor - campaign.cursor
    CAMPAIGNS.put(txn, campaign.id, msgspec.structs.replace(campaign, cursor=cursor))
    return fed


def _feed_row(txn: Txn, campaign: Campaign, row: Recipient, house: House, pepper: bytes, now_ms: int) -> int:
    """Make the row's message; how many parts it has."""
    customer = customers.find_by_number(txn, row.number)
    language = row.language or (customer.language if customer else "") or house.language
    message = Message(
        row.id, row.number, "", campaign.purpose, Lane.BULK, campaign.id, row.client_ref, source="campaign",
        wants_report=row.id % 100 < campaign.report_percent, on_unknown=campaign.on_unknown,
        expires_ms=campaign.expires_ms, weight=campaign.weight,
    )  # fmt: skip
    values = {"name": customer.name, **row.values} if customer and customer.name else row.values
    verdict = messages.SEND
    try:
        message = msgspec.structs.replace(message, text=templates.render(text_in(campaign, language), values))
    except Invalid as error:
        verdict = Verdict(State.FAILED, f"missing_value_{error.params[0].name}")
    if campaign.expires_ms <= now_ms:
        verdict = Verdict(State.EXPIRED, "deadline_passed")
    needs_basis = campaign.purpose in consent.NEEDED and campaign.consent_basis
    if needs_basis and consent.newest(txn, row.number, campaign.purpose) is None:
        basis = consent.Consent(consent.Status.GRANTED, "import", campaign.consent_basis, now_ms)
        consent.add(txn, row.number, campaign.purpose, basis)
    if verdict.sends:
        verdict = permission.may_text(txn, message, pepper)
    if not verdict.sends:
        messages.record_ended(txn, message, verdict, now_ms)
        return 1
    try:
        return len(messages.enqueue(txn, message, now_ms).parts)
    except CodecError as error:
        ended = msgspec.structs.replace(message, text="")
        messages.record_ended(txn, ended, Verdict(State.FAILED, f"unencodable_{error.field}"), now_ms)
        return 1


def text_in(campaign: Campaign, language: str) -> sms.Template:
    """The campaign's text in `language`, else in the nearest wider one, else its first."""
    while language:
        if language in campaign.texts:
            return _parsed(campaign.texts[language])
        language = language.rpartition("-")[0]
    return _parsed(next(iter(campaign.texts.values())))


# -- looking up


def counts(txn: Txn, campaign: Campaign) -> dict[str, int]:
    """Rows by state; their sum is `campaign.rows`."""
    tally = {state.slug: units for state, units in messages.tally(txn, campaign.id).items()}
    unfed = campaign.rows - campaign.cursor
    if unfed:
        slug = _unfed_state(campaign).slug
        tally[slug] = tally.get(slug, 0) + unfed
    return tally


def _unfed_state(campaign: Campaign) -> State:
    return State.CANCELLED if campaign.stage is Stage.CANCELLED else State.ACCEPTED


class Result(msgspec.Struct, frozen=True):
    """What became of one row; `message` is None while it was not fed."""

    row: int
    recipient: Recipient
    state: State
    message: Message | None


def results(txn: Txn, campaign: Campaign, first: int, limit: int) -> Iterator[Result]:
    """Rows from `first` on with their states, at most `limit`."""
    for row, recipient in recipients.listed(txn, campaign.id, first, min(limit, campaign.rows - first)):
        message = MESSAGES.find(txn, recipient.id)
        yield Result(row, recipient, message.state if message else _unfed_state(campaign), message)


def listed(txn: Txn, before: int, limit: int) -> Iterator[Campaign]:
    """Campaigns newest first, older than id `before` (0: from the newest)."""
    for _, campaign in CAMPAIGNS.scan(txn, after=before or None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield campaign


def masked(recipient: Recipient) -> str:
    """The recipient's number as lists show it."""
    return numbers.mask(numbers.from_key(recipient.number))
