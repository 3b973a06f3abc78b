"""What we answer: the shapes of records as JSON.  `wire` fills them, and the OpenAPI document is made from them."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

# What may be or hold a telephone number, so that the document says where numbers are.
_MARK = Meta(extra_json_schema={"x-phone": True})
Phone = Annotated[str, _MARK]
AnyPhone = Annotated[Any, _MARK]
Sheet = Annotated[str, Meta(description="a table, telephone numbers in it"), _MARK]


class PartView(msgspec.Struct, frozen=True):
    """One part of a message: `sim` is the IMSI, `reference` the modem's TP-MR, `outcome` the TP-ST."""

    state: str
    sim: str | None
    reference: int | None
    attempt: int
    sent_at: str | None
    outcome: int | None


class MessageView(msgspec.Struct, frozen=True, tag_field="direction", tag="out"):
    """A message we send.  `to` is masked in lists; `parts` counts them by state; `part_details` stand in no list."""

    id: str
    to: Phone | None
    text: str
    state: str
    reason: str | None
    until: str | None
    cms_error: int | None
    parts: dict[str, int]
    purpose: str
    lane: str
    source: str
    campaign_id: str | None
    in_reply_to: str | None
    client_ref: str | None
    on_unknown: str
    created_at: str | None
    updated_at: str | None
    delivered_at: str | None
    expires_at: str | None
    part_details: list[PartView] | UnsetType = UNSET


class ReceivedView(msgspec.Struct, frozen=True, tag_field="direction", tag="in", rename={"from_": "from"}):
    """A text that somebody sent us.  `from` is masked in lists; `complete` is false where parts never came."""

    id: str
    from_: Phone | None
    text: str
    state: str
    routed_to: str | None
    complete: bool
    parts: int
    sim: str
    received_at: str | None


class MessagePage(msgspec.Struct, frozen=True):
    """Messages; `next` is the cursor of the following page, or null."""

    items: list[MessageView | ReceivedView]
    next: str | None


class MessageList(msgspec.Struct, frozen=True):
    """The messages that a batch became, in its order."""

    messages: list[MessageView]


class Explanation(msgspec.Struct, frozen=True):
    """Why a message has not gone yet."""

    explanation: str


class PreviewView(msgspec.Struct, frozen=True):
    """How a text goes out: `room` is what is left of the last part, in `units`; `texts` are its parts.

    `national_parts` is how many it would take with national language tables, where that is fewer.
    """

    alphabet: str
    units: int
    parts: int
    room: int
    forced_by: str | None
    texts: list[str]
    estimate_s: float | None
    national_parts: int | None


class FaultView(msgspec.Struct, frozen=True):
    """A row that will not be texted: "invalid", "duplicate" or "suppressed", the field and why."""

    row: int
    status: str
    name: str | None
    reason: str | None


class FaultPage(msgspec.Struct, frozen=True):
    """Faults by row; `next` is the cursor of the following page, or null.  Where `gone`, they are kept no more."""

    items: list[FaultView]
    next: str | None
    gone: bool


class UploadView(msgspec.Struct, frozen=True):
    """What became of the rows of an upload."""

    id: str
    campaign_id: str
    done: bool
    rows: int
    accepted: int
    duplicate: int
    suppressed: int
    invalid: int
    first_faults: list[FaultView]
    faults_url: str


class ResultView(msgspec.Struct, frozen=True):
    """What became of one row of a campaign, and what somebody did about it.

    `variant` is the wording that it has, A for the first; null where there is one alone.
    """

    row: int
    message_id: str
    client_ref: str | None
    to: Phone | None
    state: str
    reason: str | None
    updated_at: str | None
    replied_at: str | None
    clicked_at: str | None
    opted_out: bool
    variant: str | None


class ResultPage(msgspec.Struct, frozen=True):
    """Results by row; `next` is the cursor of the following page, or null.

    The first `gone` rows of the campaign are kept no more: its counts tell of them still.
    """

    items: list[ResultView]
    next: str | None
    gone: int


class ConsentView(msgspec.Struct, frozen=True):
    """The newest word on one purpose."""

    status: str
    method: str
    evidence: str
    at: str | None


class ConsentAnswer(msgspec.Struct, frozen=True):
    """What counts now for a purpose."""

    purpose: str
    consent: ConsentView | None


class SenderView(msgspec.Struct, frozen=True):
    """Who sends for a route: a SIM by its IMSI or a modem by its port."""

    sim: str | None
    port: str | None
    cost_minor: int | None


class RouteView(msgspec.Struct, frozen=True):
    """A route.  Its messages go by the cheapest of its senders that is available; without senders by any SIM."""

    id: str
    name: str
    kind: str
    tariff: str
    prefixes: list[str]
    countries: list[str]
    operators: list[str]
    tags: list[str]
    purposes: list[str]
    senders: list[SenderView]
    cost_minor: int
    order: int
    failover: bool
    created_at: str | None
    updated_at: str | None
    version: int


class RoutePage(msgspec.Struct, frozen=True):
    """All routes, the oldest first."""

    items: list[RouteView]
    next: str | None


class EventView(msgspec.Struct, frozen=True):
    """Something that happened to one thing."""

    id: str
    type: str
    at: str | None
    object_id: str
    data: dict[str, Any]


class EventPage(msgspec.Struct, frozen=True):
    """Events; `next` is the cursor to come back with, null only where there never was one."""

    items: list[EventView]
    next: str | None


class PortView(msgspec.Struct, frozen=True):
    """One modem of the rack."""

    port: str
    imsi: str | None
    state: str
    detail: str | None
    signal_dbm: int | None
    operator: str | None
    service_centre: str | None
    sent: int
    refused: int
    received: int
    since: str | None


class RackView(msgspec.Struct, frozen=True):
    """The rack: its modems, what waits, and how much it sends."""

    items: list[PortView]
    next: str | None
    waiting_parts: int
    rate_per_minute: float


class Status(msgspec.Struct, frozen=True):
    """One word."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """How many modems can send."""

    status: str
    modems_ready: int


class Reported(msgspec.Struct, frozen=True):
    """How many reports the laboratory had delivered."""

    reports: int


class Now(msgspec.Struct, frozen=True):
    """What time it is."""

    now: str | None
