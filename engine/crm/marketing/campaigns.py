"""Campaigns: one text, in as many languages as needed, for many recipients.

    draft ──launch──► running ◄──pause/resume──► paused
                         │  └────────cancel────────┴──► cancelled
                         └─ every row fed, none open ──► completed

Rows are fed a little ahead of the rack; the tally counts those that were, FED's cursor the rest, so the counters of a
campaign always sum to its rows.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Final

import msgspec

from engine.config import Hours, House
from engine.crm.marketing import links, opt_out, templates, topics
from engine.crm.people import consent
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events, messages, sheets
from engine.traffic.bulk import Bulk, Variant
from engine.traffic.messages import GROUPS, Message, OnUnknown, Sending, State
from engine.traffic.sheets import BULKS, FED, Fed

WINDOW_MS: Final = 3 * 86_400_000  # how long after its launch a campaign may send, where nothing else is said
TEXT_LONGEST: Final = 10_000  # characters, before merge values
OBJECTIVE_LONGEST: Final = 500  # characters


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
    active subscribers of that alone.  `variants` are other wordings, each for so many in a hundred.
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
    variants: tuple[Variant, ...] = ()


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
    if not all(texts for _, texts in wordings(campaign)):
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
    if sum(variant.percent for variant in campaign.variants) >= 100:
        raise Invalid(InvalidParam("variants", "leave nobody for the first text: their percents reach 100"))
    for field, texts in wordings(campaign):
        for language, text in texts.items():
            if not 0 < len(text) <= TEXT_LONGEST:
                raise Invalid(InvalidParam(f"{field}.{language}", f"is not 1 to {TEXT_LONGEST} characters"))
            templates.parse(text, f"{field}.{language}")
        links.check(texts, link, base)
    if campaign.topic and (own := topics.require_open(txn, campaign.topic).purpose) != campaign.purpose:
        raise Invalid(InvalidParam("purpose", f"is not that of the topic, {own}"))
    campaign = msgspec.structs.replace(campaign, id=ids.take(txn, now_ms), created_ms=now_ms)
    CAMPAIGNS.put(txn, campaign.id, campaign)
    BULKS.put(txn, campaign.id, bulk_of(campaign, ""))
    FED.put(txn, campaign.id, Fed())
    if link:
        links.add(txn, campaign.id, link)
    return campaign


def wordings(campaign: Campaign) -> list[tuple[str, dict[str, str]]]:
    """(field, texts by language) of the first wording and of each variant."""
    others = [(f"variants[{place}].text", variant.texts) for place, variant in enumerate(campaign.variants)]
    return [("text", campaign.texts), *others]


def texts_of(campaign: Campaign) -> list[str]:
    """All texts that it may say."""
    return [text for _, texts in wordings(campaign) for text in texts.values()]


def bulk_of(campaign: Campaign, language: str) -> Bulk:
    """What all its messages have in common; `language` is for those whose own is unknown."""
    return Bulk(
        campaign.texts,
        language,
        campaign.purpose,
        report_percent=campaign.report_percent,
        on_unknown=campaign.on_unknown,
        weight=campaign.weight,
        variants=campaign.variants,
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
        require_opt_out(campaign, house)
    if campaign.expires_ms and campaign.expires_ms <= at_ms:
        raise Conflict("the campaign's window has ended")


def require_opt_out(campaign: Campaign, house: House) -> None:
    """Raises Invalid of code `missing_opt_out` where a marketing text does not say who sends it or how to refuse it."""
    for field, texts in wordings(campaign):
        opt_out.require(texts, campaign.purpose, house, field)


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


def complete(txn: Txn, campaign: Campaign, now_ms: int) -> None:
    """Every row was fed, and none is open any more."""
    _move(txn, campaign, Stage.COMPLETED, now_ms, ended_ms=now_ms)


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
