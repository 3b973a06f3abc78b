"""Records to JSON and back: shapes of the API, times, ids, masks.  Nothing else knows a JSON name."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from engine import numbers
from engine.access.caller import Caller
from engine.crm.marketing import campaigns, uploads
from engine.crm.marketing.responses import Response
from engine.crm.marketing.uploads import Fault, Upload
from engine.crm.people import exports
from engine.crm.people.consent import Consent
from engine.errors import Invalid, InvalidParam
from engine.rack import ModemView
from engine.store import ids
from engine.traffic import inbox, messages, routes
from engine.traffic.events import Event
from engine.traffic.inbox import Received
from engine.traffic.messages import Message, Part, State
from engine.traffic.routes import Route, Sender
from server import sight, views
from server.calling import NUMBERS, is_asking

T = TypeVar("T")

LIMIT_MOST: Final = 1000
LIMIT_USUAL: Final = 50
LAST_MS: Final = 4_102_444_800_000  # 2100-01-01: ids can tell milliseconds until 2109

Purpose = Literal["marketing", "survey", "research", "service", "transactional"]
OnUnknown = Literal["hold", "await_report", "resend"]
Language = Literal["en", "zh"]
Imsi = Annotated[str, Meta(pattern="^[1-9][0-9]{5,14}$")]
Tariff = Literal["normal", "free", "premium"]
Words = Annotated[list[str], Meta(max_length=routes.ENTRIES_MOST)]
RouteName = Annotated[str, Meta(min_length=1, max_length=routes.NAME_LONGEST)]
Cost = Annotated[int, Meta(ge=0, le=routes.COST_MOST)]
Order = Annotated[int, Meta(ge=-routes.COST_MOST, le=routes.COST_MOST)]
Dialled = Annotated[str, Meta(examples=["+8613912345678"])]


class NewMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text for one person.  `national` allows the shift tables of a language, which not every phone knows;
    `transliterate` makes typographic signs plain where that saves a part; a `flash` text is shown at once and not kept.
    `sim` is the one to go by, before all routes; a `tariff` other than normal no SIM can do.  An answer to a text of
    the last 24 hours (`in_reply_to`) goes at any hour, whatever else the person refused.
    """

    to: Dialled
    text: Annotated[str, Meta(min_length=1, max_length=40_000)]
    client_ref: Annotated[str, Meta(max_length=200)] = ""
    purpose: Purpose = "service"
    lane: Literal["otp", "high", "normal", "bulk"] = "normal"
    not_before: datetime | None = None
    expires_at: datetime | None = None
    delivery_report: Literal["none", "all"] = "none"
    on_unknown: OnUnknown | None = None
    alphabet: Literal["auto", "gsm7", "ucs2"] = "auto"
    national: Literal["off", "single", "all"] = "off"
    transliterate: bool = False
    flash: bool = False
    tag: Annotated[str, Meta(max_length=100)] = ""
    sim: Imsi | None = None
    tariff: Tariff = "normal"
    in_reply_to: str | None = None


class NewMessages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 texts, taken all together or not at all."""

    messages: Annotated[list[NewMessage], Meta(min_length=1, max_length=1000)]


class Preview(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text to be measured."""

    text: Annotated[str, Meta(max_length=40_000)]
    alphabet: Literal["auto", "gsm7", "ucs2"] = "auto"
    national: Literal["off", "single", "all"] = "off"
    transliterate: bool = False


class Resolve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody found out about an unknown message."""

    as_: Literal["sent", "failed", "resend"] = msgspec.field(name="as")


class RouteSender(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A SIM by its IMSI, or a modem by its `port`; `cost_minor` is a part's price where it is not the route's."""

    sim: Imsi | None = None
    port: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    cost_minor: Cost | None = None


class NewRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way out for the messages that all it names is true of; what it does not name is true of all.

    Of `prefixes`, `countries` and `operators` one is enough.  Without `senders` any SIM may.  Where `failover` is
    false, no other route takes what its senders cannot.
    """

    name: RouteName
    kind: Literal["modem", "http"] = "modem"
    tariff: Tariff = "normal"
    prefixes: Words = []
    countries: Words = []
    operators: Words = []
    tags: Words = []
    purposes: list[Purpose] = []
    senders: Annotated[list[RouteSender], Meta(max_length=routes.ENTRIES_MOST)] = []
    cost_minor: Cost = 0
    order: Order = 0
    failover: bool = True


class RouteChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    name: RouteName | UnsetType = UNSET
    kind: Literal["modem", "http"] | UnsetType = UNSET
    tariff: Tariff | UnsetType = UNSET
    prefixes: Words | UnsetType = UNSET
    countries: Words | UnsetType = UNSET
    operators: Words | UnsetType = UNSET
    tags: Words | UnsetType = UNSET
    purposes: list[Purpose] | UnsetType = UNSET
    senders: Annotated[list[RouteSender], Meta(max_length=routes.ENTRIES_MOST)] | UnsetType = UNSET
    cost_minor: Cost | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    failover: bool | UnsetType = UNSET


def decode(body: bytes, kind: type[T]) -> T:
    """The body as `kind`.  Raises msgspec's errors, which the middleware turns into problems."""
    return msgspec.json.decode(body, type=kind)


def reply(value: Any, status: int = 200, **headers: str) -> web.Response:
    """`value` as JSON."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json", headers=named)


# -- times


def time(at_ms: int) -> str | None:
    """RFC 3339 in UTC with milliseconds; None for 0."""
    if not at_ms:
        return None
    stamp = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def time_ms(at: datetime | None, field: str) -> int:
    """Epoch milliseconds; 0 for None.  Raises Invalid where the time has no zone."""
    if at is None:
        return 0
    if at.tzinfo is None:
        raise Invalid(InvalidParam(field, "has no time zone: write Z or an offset"))
    at_ms = round(at.timestamp() * 1000)
    # 0 stands for none, and an id has 42 bits of milliseconds.
    if not 0 < at_ms < LAST_MS:
        raise Invalid(InvalidParam(field, "is not between 1970 and 2100"))
    return at_ms


# -- lists


def page_of(request: web.Request, prefix: str) -> tuple[int, int]:
    """(before, limit) of a list request.  Raises Invalid."""
    cursor = request.query.get("cursor", "")
    return ids.parse(prefix, cursor, "cursor") if cursor else 0, limit_of(request)


def limit_of(request: web.Request) -> int:
    """How many items a page may have.  Raises Invalid."""
    text = request.query.get("limit", str(LIMIT_USUAL))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= LIMIT_MOST):
        raise Invalid(InvalidParam("limit", f"is not 1 to {LIMIT_MOST}"))
    return int(text)


def time_of(request: web.Request, name: str) -> int:
    """A time in a query as epoch milliseconds, 0 where it is not there.  Raises Invalid."""
    # A plus sign that was not escaped is a space.
    text = request.query.get(name, "").replace(" ", "+")
    try:
        return time_ms(datetime.fromisoformat(text) if text else None, name)
    except ValueError as error:
        raise Invalid(InvalidParam(name, "is no time: write 2030-01-31T09:00:00Z")) from error


def cell(value: Any) -> str:
    """A value as a CSV cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return exports.cell(text)


def known_query(request: web.Request, *names: str) -> None:
    """Refuse query parameters that are none of `names`.  Raises Invalid."""
    for name, value in request.query.items():
        # What every call may say whose answer has numbers stands in no list of names.
        if name not in names and not (name == NUMBERS and is_asking(request)):
            raise Invalid(InvalidParam(name, "is not a parameter of this call"))
        if not value:
            raise Invalid(InvalidParam(name, "is empty: leave it out"))


def number_of(text: str, country: str | None, name: str) -> str:
    """A number in a query, where a plus sign that was not escaped is a space.  Raises Invalid."""
    return numbers.parse(f"+{text[1:]}" if text.startswith(" ") else text, country, name)


def next_of(items: Sequence[Any], limit: int) -> str | None:
    """The cursor behind a page of views that have an `id`."""
    return str(items[-1].id) if len(items) == limit else None


def id_of(request: web.Request, prefix: str) -> int:
    """The id in the path.  Raises Invalid."""
    return ids.parse(prefix, request.match_info["id"])


# -- views


def message(record: Message, caller: Caller | None = None, *, whole: bool = False) -> views.MessageView:
    """A message as JSON, its number as the caller sees it; with its parts where it is `whole`."""
    counts = Counter(part.state.slug for part in record.parts)
    return views.MessageView(
        id=messages.name(record.id),
        to=sight.number(caller, record.number, whole=whole),
        text=record.text,
        state=record.state.slug,
        reason=record.reason or None,
        until=time(record.due_ms) if record.state in messages.WAITING else None,
        cms_error=record.error if record.error >= 0 else None,
        parts=dict(counts),
        purpose=record.purpose,
        lane=record.lane.name.lower(),
        source=record.source,
        campaign_id=campaigns.name_of(record.group) if record.group else None,
        in_reply_to=inbox.name(record.in_reply_to) if record.in_reply_to else None,
        client_ref=record.client_ref or None,
        on_unknown=record.on_unknown.name.lower(),
        created_at=time(ids.created_ms(record.id)),
        updated_at=time(record.updated_ms),
        delivered_at=time(max(part.reported_ms for part in record.parts)) if record.state is State.DELIVERED else None,
        expires_at=time(record.expires_ms),
        part_details=[_part(part) for part in record.parts] if whole else UNSET,
    )


def _part(part: Part) -> views.PartView:
    return views.PartView(
        state=part.state.slug,
        sim=str(part.sim) if part.sim else None,
        reference=part.reference if part.reference >= 0 else None,
        attempt=part.attempt,
        sent_at=time(part.sent_ms),
        outcome=part.outcome if part.outcome >= 0 else None,
    )


def received(record: Received, caller: Caller | None = None, *, whole: bool = False) -> views.ReceivedView:
    """A text somebody sent us as JSON, the sender as the caller sees him."""
    return views.ReceivedView(
        id=inbox.name(record.id),
        from_=sight.spelled(caller, record.originator, whole=whole),
        text=record.text,
        state=record.progress.name.lower(),
        routed_to=record.routed_to or None,
        complete=record.complete,
        parts=record.parts,
        sim=str(record.sim),
        received_at=time(record.at_ms),
    )


def result(row: campaigns.Result, did: Response, variant: str, caller: Caller | None = None) -> views.ResultView:
    """One row of a campaign's results, and what somebody did about it; a list."""
    message = row.message
    return views.ResultView(
        row=row.row + 1,
        message_id=messages.name(message.id),
        client_ref=message.client_ref or None,
        to=sight.number(caller, message.number, whole=False),
        state=message.state.slug,
        reason=message.reason or None,
        updated_at=time(message.updated_ms),
        replied_at=time(did.replied_ms),
        clicked_at=time(did.clicked_ms),
        opted_out=bool(did.opted_out_ms),
        variant=variant or None,
    )


def upload(record: Upload, first_faults: list[views.FaultView]) -> views.UploadView:
    """An upload with the first of its faults."""
    name = uploads.name_of(record.id)
    return views.UploadView(
        id=name,
        campaign_id=campaigns.name_of(record.campaign),
        done=record.done,
        rows=record.rows,
        accepted=record.accepted,
        duplicate=record.duplicate,
        suppressed=record.suppressed,
        invalid=record.invalid,
        first_faults=first_faults,
        faults_url=f"/v1/uploads/{name}/faults",
    )


def fault(row: int, record: Fault) -> views.FaultView:
    """A row that will not be texted."""
    return views.FaultView(row, record.status, record.name or None, record.reason or None)


def senders_of(given: list[RouteSender]) -> tuple[Sender, ...]:
    """The senders of a route as the engine knows them."""
    return tuple(
        Sender(int(one.sim or 0), one.port or "", -1 if one.cost_minor is None else one.cost_minor) for one in given
    )


def route(record: Route) -> views.RouteView:
    """A route as JSON."""
    return views.RouteView(
        id=routes.name_of(record.id),
        name=record.name,
        kind=record.kind,
        tariff=record.tariff,
        prefixes=[f"+{prefix}" for prefix in record.prefixes],
        countries=list(record.countries),
        operators=list(record.operators),
        tags=list(record.tags),
        purposes=list(record.purposes),
        senders=[
            views.SenderView(
                str(sender.sim) if sender.sim else None,
                sender.port or None,
                sender.cost_minor if sender.cost_minor >= 0 else None,
            )
            for sender in record.senders
        ],
        cost_minor=record.cost_minor,
        order=record.order,
        failover=record.failover,
        created_at=time(record.created_ms),
        updated_at=time(record.updated_ms),
        version=record.version,
    )


def version_of(request: web.Request) -> int | None:
    """The version in `If-Match`, None without it or for any.  Raises Invalid."""
    match = request.headers.get("If-Match", "*")
    if match != "*" and not re.fullmatch('[0-9]{1,18}|"[0-9]{1,18}"', match):
        raise Invalid(InvalidParam("If-Match", "is no version"))
    return None if match == "*" else int(match.strip('"'))


def consented(row: Consent | None) -> views.ConsentView | None:
    """The newest word on a purpose, or None."""
    return None if row is None else views.ConsentView(row.status.value, row.method, row.evidence, time(row.at_ms))


def event(sequence: int, record: Event) -> views.EventView:
    """An event as JSON, in lists, streams and webhooks alike."""
    return views.EventView(ids.render("evt", sequence), record.kind, time(record.at_ms), record.subject, record.detail)


def modem(view: ModemView) -> views.PortView:
    """A modem as JSON."""
    return views.PortView(
        port=view.port,
        imsi=view.imsi or None,
        state=view.state,
        detail=view.detail or None,
        signal_dbm=view.signal_dbm,
        operator=view.operator or None,
        service_centre=view.service_centre or None,
        sent=view.sent,
        refused=view.refused,
        received=view.received,
        since=time(view.since_ms),
    )
