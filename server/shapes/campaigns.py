"""Campaigns as JSON."""

from datetime import datetime, time
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from engine.config import Hours, House
from engine.crm import quiet
from engine.crm.marketing import campaigns, caps, links, pace, topics, variants
from engine.crm.marketing.campaigns import Campaign, Stage
from engine.crm.marketing.responses import Counted
from engine.crm.marketing.variants import VARIANTS_MOST, Outcome
from engine.errors import Invalid, InvalidParam
from engine.traffic import routes
from engine.traffic.bulk import Variant
from engine.traffic.costs import Cost
from engine.traffic.messages import OnUnknown
from engine.wiring import Engine
from server import wire

PartsMost = Annotated[int, Meta(ge=0, le=caps.PARTS_MOST)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]  # ISO 4217
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", examples=["09:00", "18:30"])]

_WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many minor units of the house's currency: 500 of CNY are 5.00."""

    amount_minor: Annotated[int, Meta(ge=0, le=caps.MINOR_MOST)]
    currency: Currency


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of the day, where the recipient lives, and the days of the week they hold on.

    A campaign with a window goes within it and within the hours of its purpose.
    """

    from_: TimeOfDay = msgspec.field(name="from")
    to: TimeOfDay
    days: Annotated[list[Weekday], Meta(min_length=1, max_length=7)] = msgspec.field(
        default_factory=lambda: list(_WEEKDAYS)
    )


class NewVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another wording, in one language or several, for so many recipients in a hundred."""

    text: str | dict[str, str]
    percent: Annotated[int, Meta(ge=1, le=99)]


class NewCampaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A draft.  `text` is one text, or one per language.

    `parts_most` and `cost_cap` are what it may take and cost at most: 0 and null for no cap.  `budget` is what it was
    planned with, and stops nothing.  At most `rate` parts a minute are begun, 0 for as many as the rack takes.

    With a `link` each of its texts says `{link}`: there each recipient gets a short address of their own, which leads
    to that one and is counted.  With a `topic`, its word or id, it goes to who subscribes to that, and has its purpose.

    Of `variants`, wordings to be compared, each goes to so many in a hundred, and `text` to the others.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    text: str | dict[str, str]
    purpose: wire.Purpose
    delivery_report: str = "none"
    on_unknown: wire.OnUnknown | None = None
    weight: Annotated[int, Meta(ge=1, le=100)] = 1
    consent_basis: Annotated[str, Meta(max_length=1000)] = ""
    expires_at: datetime | None = None
    parts_most: PartsMost = 0
    objective: Annotated[str, Meta(max_length=campaigns.OBJECTIVE_LONGEST)] = ""
    cost_cap: Amount | None = None
    budget: Amount | None = None
    window: Window | None = None
    rate: Annotated[int, Meta(ge=0, le=pace.RATE_MOST)] = 0
    tariff: wire.Tariff = "normal"
    link: Annotated[str, Meta(max_length=links.URL_LONGEST, examples=["https://example.com/spring"])] = ""
    topic: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    variants: Annotated[list[NewVariant], Meta(max_length=VARIANTS_MOST)] = []


class CampaignChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of a campaign: what it may cost at most, in parts and in money; 0 and null lift a cap."""

    parts_most: PartsMost | msgspec.UnsetType = msgspec.UNSET
    cost_cap: Amount | msgspec.UnsetType | None = msgspec.UNSET


class AmountView(msgspec.Struct, frozen=True):
    """So many minor units; `currency` is ISO 4217, null where the house has set none."""

    amount_minor: int
    currency: str | None


class VariantView(msgspec.Struct, frozen=True):
    """A wording, for so many recipients in a hundred."""

    variant: str
    percent: int
    text: dict[str, str]


class VariantOutcome(msgspec.Struct, frozen=True):
    """How a wording did: rows that are kept, by state, and people who answered, clicked and want no more."""

    variant: str
    percent: int
    text: dict[str, str]
    recipients: int
    counts: dict[str, int]
    replies: int
    clicked: int
    opt_outs: int


class VariantPage(msgspec.Struct, frozen=True):
    """All wordings of a campaign; `next` is null."""

    items: list[VariantOutcome]
    next: str | None


class WindowView(msgspec.Struct, frozen=True):
    """Hours of the day where the recipient lives, and the days of the week they hold on."""

    from_: str = msgspec.field(name="from")
    to: str
    days: list[Weekday]


class CampaignView(msgspec.Struct, frozen=True):
    """A campaign; `counts` by state sum to `recipients`.

    `reason` says what a person must do before it goes on: `approval` by a second one, or, where a cap has paused it,
    `budget`.  `parts_sent` and `cost` are of what went or may have gone, at the prices of when it did.

    `replies`, `clicked` and `opt_outs` are people, `clicks` how often the `link` was opened in all.
    """

    id: str
    name: str
    state: str
    purpose: str
    text: dict[str, str]
    recipients: int
    counts: dict[str, int]
    delivery_report: str
    on_unknown: str
    weight: int
    consent_basis: str | None
    uploading: bool
    created_at: str | None
    launched_at: str | None
    ended_at: str | None
    expires_at: str | None
    version: int
    reason: str | None
    parts_most: int | None
    parts_sent: int
    made_by: str | None
    approved_by: str | None
    approved_at: str | None
    objective: str | None
    starts_at: str | None
    audience: dict[str, Any] | None
    holdout_percent: int
    held_out: int
    cost_cap: AmountView | None
    cost: AmountView
    budget: AmountView | None
    window: WindowView | None
    rate: int | None
    link: str | None
    replies: int
    clicked: int
    clicks: int
    opt_outs: int
    topic_id: str | None
    variants: list[VariantView]


class CampaignPage(msgspec.Struct, frozen=True):
    """Campaigns; `next` is the cursor of the following page, or null."""

    items: list[CampaignView]
    next: str | None


# -- what was asked for


def draft(engine: Engine, body: NewCampaign, person: str, topic: int) -> Campaign:
    """The record that a request asks for.  Raises Invalid naming the field."""
    house, percent = engine.settings.house, report_percent(body.delivery_report)
    usual = OnUnknown.AWAIT_REPORT if percent else OnUnknown.HOLD
    hours = () if body.window is None else (_hours(body.window),)
    if hours and not quiet.open_hours(body.purpose, engine.settings.quiet, hours):
        raise Invalid(InvalidParam("window", f"is closed whenever a text of purpose {body.purpose} may go"))
    routes.require_normal(body.tariff)
    return Campaign(
        0,
        body.name,
        _texts(body.text, house),
        body.purpose,
        report_percent=percent,
        on_unknown=OnUnknown[body.on_unknown.upper()] if body.on_unknown else usual,
        weight=body.weight,
        consent_basis=body.consent_basis,
        expires_ms=wire.time_ms(body.expires_at, "expires_at"),
        parts_most=body.parts_most,
        made_by=person,
        objective=body.objective,
        cost_cap_minor=_minor(body.cost_cap, house, "cost_cap"),
        budget_minor=_minor(body.budget, house, "budget"),
        hours=hours,
        rate=body.rate,
        topic=topic,
        variants=tuple(Variant(_texts(one.text, house), one.percent) for one in body.variants),
    )


def _texts(said: str | dict[str, str], house: House) -> dict[str, str]:
    return {house.language: said} if isinstance(said, str) else said


def caps_of(body: CampaignChange, house: House) -> caps.Wanted:
    """The caps that a request asks for.  Raises Invalid naming the field."""
    parts_most = None if body.parts_most is msgspec.UNSET else body.parts_most
    minor = None if body.cost_cap is msgspec.UNSET else _minor(body.cost_cap, house, "cost_cap")
    return caps.Wanted(parts_most, minor)


def _minor(amount: Amount | None, house: House, field: str) -> int:
    """Minor units, 0 for none.  Raises Invalid: prices of routes are in the house's currency, and in no other."""
    if amount is None:
        return 0
    if not house.currency:
        raise Invalid(InvalidParam(field, "needs the setting house.currency, which is what routes cost in"))
    if amount.currency != house.currency:
        raise Invalid(InvalidParam(f"{field}.currency", f"is not {house.currency}, which is what routes cost in"))
    if not amount.amount_minor:
        raise Invalid(InvalidParam(f"{field}.amount_minor", "is 0: leave it out for none"))
    return amount.amount_minor


def _hours(window: Window) -> Hours:
    opens, closes = _minutes(window.from_), _minutes(window.to)
    if opens >= closes:
        raise Invalid(InvalidParam("window.to", "is not after window.from: a window does not go over midnight"))
    return Hours(opens, closes, sum(1 << _WEEKDAYS.index(day) for day in set(window.days)))


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


# -- views


class Came(NamedTuple):
    """What came of a campaign: its rows by state, what they cost, what people did about it, and where it leads."""

    counts: dict[str, int]
    cost: Cost
    did: Counted
    link: str


def campaign(record: Campaign, came: Came, house: House) -> CampaignView:
    """A campaign as JSON."""
    return CampaignView(
        id=campaigns.name_of(record.id),
        name=record.name,
        state=_state(record),
        purpose=record.purpose,
        text=record.texts,
        recipients=record.rows,
        counts=came.counts,
        delivery_report=report_words(record.report_percent),
        on_unknown=record.on_unknown.name.lower(),
        weight=record.weight,
        consent_basis=record.consent_basis or None,
        uploading=record.uploading,
        created_at=wire.time(record.created_ms),
        launched_at=wire.time(record.launched_ms),
        ended_at=wire.time(record.ended_ms),
        expires_at=wire.time(record.expires_ms),
        version=record.version,
        reason=_halted_by(record, house.approval_over),
        parts_most=record.parts_most or None,
        parts_sent=came.cost.parts,
        made_by=record.made_by or None,
        approved_by=record.approved_by or None,
        approved_at=wire.time(record.approved_ms),
        objective=record.objective or None,
        starts_at=wire.time(record.starts_ms),
        audience=record.audience or None,
        holdout_percent=record.holdout_percent,
        held_out=record.held_out,
        cost_cap=_amount(record.cost_cap_minor, house),
        cost=AmountView(came.cost.minor, house.currency or None),
        budget=_amount(record.budget_minor, house),
        window=_window(record.hours[0]) if record.hours else None,
        rate=record.rate or None,
        link=came.link or None,
        replies=came.did.replied,
        clicked=came.did.clicked,
        clicks=came.did.clicks,
        opt_outs=came.did.opted_out,
        topic_id=topics.name_of(record.topic) if record.topic else None,
        variants=_variants(record),
    )


def _variants(record: Campaign) -> list[VariantView]:
    first = 100 - sum(variant.percent for variant in record.variants)
    all_ = [(first, record.texts), *((variant.percent, variant.texts) for variant in record.variants)]
    return [
        VariantView(letter, percent, texts) for letter, (percent, texts) in zip(variants.LETTERS, all_, strict=False)
    ]


def outcome(said: VariantView, found: Outcome) -> VariantOutcome:
    """How a wording did, as JSON."""
    return VariantOutcome(
        said.variant,
        said.percent,
        said.text,
        sum(found.states.values()),
        variants.counts(found),
        found.replied,
        found.clicked,
        found.opted_out,
    )


def _state(record: Campaign) -> str:
    """Its stage; one that its cap has halted is paused for whoever looks."""
    return Stage.PAUSED.value if record.capped and record.stage is Stage.RUNNING else record.stage.value


def _halted_by(record: Campaign, approval_over: int) -> str | None:
    if record.stage in (Stage.COMPLETED, Stage.CANCELLED):
        return None
    if campaigns.cleared(record, approval_over) < record.rows:
        return "approval"
    return "budget" if record.capped else None


def _amount(minor: int, house: House) -> AmountView | None:
    return AmountView(minor, house.currency or None) if minor else None


def _window(hours: Hours) -> WindowView:
    days = [day for place, day in enumerate(_WEEKDAYS) if hours.days >> place & 1]
    return WindowView(_clock(hours.opens), _clock(hours.closes), days)


def _clock(minutes: int) -> str:
    return "24:00" if minutes == 24 * 60 else time(minutes // 60, minutes % 60).strftime("%H:%M")


def report_percent(words: str) -> int:
    """`none`, `all` or `sample:N%` as a percentage.  Raises Invalid."""
    if words in ("none", "all"):
        return 100 if words == "all" else 0
    digits = words.removeprefix("sample:").removesuffix("%")
    if words == f"sample:{digits}%" and len(digits) < 3 and digits.isascii() and digits.isdigit() and int(digits) >= 1:
        return int(digits)
    raise Invalid(InvalidParam("delivery_report", "is none of none, all, sample:1% to sample:99%"))


def report_words(percent: int) -> str:
    """What `report_percent` read."""
    return {0: "none", 100: "all"}.get(percent, f"sample:{percent}%")
