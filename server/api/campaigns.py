"""Campaigns: draft, recipients, launch, results."""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from engine.access.caller import Caller
from engine.crm.marketing import (
    approval,
    audiences,
    campaigns,
    launching,
    links,
    responses,
    schedule,
    topics,
    uploads,
    variants,
)
from engine.crm.marketing.arrival import Arrival
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign
from engine.crm.marketing.recipients import Row
from engine.crm.marketing.uploads import Upload
from engine.crm.people import segments
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from engine.wiring import Engine
from server import problems, rows, views, wire
from server.calling import caller_of, token_of
from server.context import ENGINE
from server.middleware import person_of
from server.repeats import made
from server.route import Handler, Route
from server.shapes import audiences as audience_shapes
from server.shapes import campaigns as shapes

TURN_OCTETS: Final = 16_384  # of a body per turn of the loop, so that other requests stay quick
FAULTS_SHOWN: Final = 20
EXPORT_ROWS: Final = 2_000


async def create(request: web.Request) -> web.Response:
    """A new draft."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewCampaign)
    with engine.store.read() as txn:
        topic = topics.require(txn, body.topic).id if body.topic else 0
    record, base = shapes.draft(engine, body, person_of(request), topic), engine.settings.house.link_base
    return await made(request, _answer(engine, 201), campaigns.add, record, engine.now_ms(), body.link, base)


async def list_all(request: web.Request) -> web.Response:
    """Campaigns, newest first."""
    wire.known_query(request, "cursor", "limit")
    before, limit = wire.page_of(request, "cmp")
    engine = request.app[ENGINE]
    with engine.store.read() as txn:
        items = [_view(txn, engine, campaign) for campaign in campaigns.listed(txn, before, limit)]
    return wire.reply(shapes.CampaignPage(items, wire.next_of(items, limit)))


def _view(txn: Txn, engine: Engine, campaign: Campaign) -> shapes.CampaignView:
    identifier = campaign.id
    came = shapes.Came(
        campaigns.counts(txn, campaign),
        engine.spent(txn, identifier),
        responses.counted_of(txn, identifier),
        links.url_of(txn, identifier),
    )
    return shapes.campaign(campaign, came, engine.settings.house)


async def get(request: web.Request) -> web.Response:
    """One campaign with its counters, exact at this moment."""
    wire.known_query(request)
    identifier = wire.id_of(request, "cmp")
    engine = request.app[ENGINE]
    with engine.store.read() as txn:
        return wire.reply(_view(txn, engine, CAMPAIGNS.get(txn, identifier)))


async def change(request: web.Request) -> web.Response:
    """Change what it may cost; what the cap had halted goes on where it fits now."""
    engine = request.app[ENGINE]
    identifier = wire.id_of(request, "cmp")
    body = wire.decode(await request.read(), shapes.CampaignChange)
    wanted = shapes.caps_of(body, engine.settings.house)
    return await made(request, _answer(engine), engine.change_caps, identifier, wanted, engine.now_ms())


async def approve(request: web.Request) -> web.Response:
    """Say, as a second person, that it may go to all the recipients it has.

    Only a person who is signed in can, and not the one who made it: 403 for a program.
    """
    engine, person = request.app[ENGINE], person_of(request)
    identifier = wire.id_of(request, "cmp")
    if not person:
        return problems.response(403, "not_a_person", "only a person who has signed in approves", request.path)
    over = engine.settings.house.approval_over
    answer, house = _answer(engine), engine.settings.house
    return await made(request, answer, approval.approve, identifier, person, over, engine.now_ms(), house)


async def launch(request: web.Request) -> web.Response:
    """Start it.  202, for queued is not sent.

    409 where it needs the approval of a second person, which a campaign that a program made never does; 429 where it
    does not fit into what the token may send today.
    """
    engine = request.app[ENGINE]
    identifier, house = wire.id_of(request, "cmp"), engine.settings.house
    answer = _answer(engine, 202)
    return await made(request, answer, launching.launch, identifier, engine.now_ms(), house, token_of(request))


async def plan(request: web.Request) -> web.Response:
    """Let it begin by itself.

    422 `no_objective` where nobody said what it is for; 409 as a launch, which is tried again when its time has come.
    """
    engine = request.app[ENGINE]
    identifier, house = wire.id_of(request, "cmp"), engine.settings.house
    body = wire.decode(await request.read(), audience_shapes.Plan)
    starts_ms = wire.time_ms(body.start_at, "start_at")
    return await made(request, _answer(engine), schedule.put_down, identifier, starts_ms, engine.now_ms(), house)


async def unplan(request: web.Request) -> web.Response:
    """Let it be a draft again."""
    return await _step(request, schedule.take_up)


async def pause(request: web.Request) -> web.Response:
    """Hold everything that is not in the air."""
    return await _step(request, campaigns.pause)


async def resume(request: web.Request) -> web.Response:
    """Go on where it was paused."""
    return await _step(request, campaigns.resume)


async def cancel(request: web.Request) -> web.Response:
    """End it; what is not in the air is cancelled."""
    return await _step(request, campaigns.cancel)


async def _step(request: web.Request, change: "campaigns.Step") -> web.Response:
    engine = request.app[ENGINE]
    return await made(request, _answer(engine), change, wire.id_of(request, "cmp"), engine.now_ms())


def _answer(engine: Engine, status: int = 200) -> Callable[[Txn, Campaign], web.Response]:
    def answer(txn: Txn, campaign: Campaign) -> web.Response:
        headers = {"Location": f"/v1/campaigns/{campaigns.name_of(campaign.id)}"} if status == 201 else {}
        return wire.reply(_view(txn, engine, campaign), status, **headers)

    return answer


# -- recipients


async def upload(request: web.Request) -> web.Response:
    """Take a stream of recipients: all of it counts once the last row has come, nothing if it breaks off.

    Rows that cannot be used are told apart by row; uploading the same file again adds nothing.
    """
    engine = request.app[ENGINE]
    identifier = wire.id_of(request, "cmp")
    if request.content_type not in rows.READERS:
        detail = f"{request.content_type} is none of {', '.join(rows.READERS)}"
        return problems.response(415, "unsupported_media_type", detail, request.path)
    packing = rows.encoding_of(request)
    if packing and packing not in rows.ENCODINGS:
        detail = f"{packing} is none of {', '.join(rows.ENCODINGS)}"
        return problems.response(415, "unsupported_media_type", detail, request.path)
    arrival = await engine.receive(identifier)
    try:
        done = await _take(request, arrival, engine.settings.house.country or None)
    except BaseException as error:
        await asyncio.shield(arrival.discard())
        if isinstance(error, web.RequestPayloadError | ConnectionResetError):
            detail = "the body ended early: nothing of it was kept"
            return problems.response(400, "body_cut_off", detail, request.path)
        raise
    with engine.store.read() as txn:
        faults = [wire.fault(row, fault) for row, fault in uploads.faults(txn, done.id, 0, FAULTS_SHOWN)]
    return wire.reply(wire.upload(done, faults), 202)


async def address(request: web.Request) -> web.Response:
    """Let everybody be a recipient whom a condition takes now.

    Whoever is one already is none a second time.  `holdout_percent` of them get nothing, to be compared with.  Of a
    campaign with a topic only its active subscribers are, and all of them where there is no condition.
    """
    engine = request.app[ENGINE]
    identifier = wire.id_of(request, "cmp")
    body = wire.decode(await request.read(), audience_shapes.Audience)
    with engine.store.read() as txn:
        definition = None if body.definition is None else segments.read(txn, body.definition)
        exclude = None if body.exclude is None else segments.read(txn, body.exclude, "exclude")
        campaign = CAMPAIGNS.get(txn, identifier)
    wanted = audiences.wanted(campaign, definition, exclude)
    arrival = await engine.receive(identifier)
    try:
        compiling = None if wanted is None else engine.compiling(wanted)
        held_out = await audiences.fill(engine.store, arrival, campaign, compiling, body.holdout_percent)
        done = await arrival.finish()
    except BaseException:
        await asyncio.shield(arrival.discard())
        raise
    await engine.store.write(audiences.note, identifier, definition, exclude, held_out, body.holdout_percent)
    with engine.store.read() as txn:
        faults = [wire.fault(row, fault) for row, fault in uploads.faults(txn, done.id, 0, FAULTS_SHOWN)]
    return wire.reply(wire.upload(done, faults), 202)


async def _take(request: web.Request, arrival: Arrival, country: str | None) -> Upload:
    body = rows.Body(request.content_type, arrival, country)
    unpacker = rows.Unpacker(rows.encoding_of(request))
    while octets := await request.content.read(TURN_OCTETS):
        for piece in unpacker.feed(octets):
            body.feed(piece)
            await arrival.settle()
            await asyncio.sleep(0)  # what has come already is no reason to keep others waiting
    unpacker.end()
    body.end()
    if not arrival.rows:
        raise Invalid(InvalidParam("body", "holds no rows: with curl, send a file with -T or --data-binary"))
    return await arrival.finish()


def _rows_of(request: web.Request) -> tuple[int, int]:
    """(last row read, limit) of a request for rows.  Raises Invalid."""
    wire.known_query(request, "cursor", "limit")
    after = request.query.get("cursor", "0")
    if not (after.isascii() and after.isdigit() and len(after) <= 9):
        raise Invalid(InvalidParam("cursor", "is not a row number"))
    return int(after), wire.limit_of(request)


def _next_row(items: Sequence[views.FaultView | views.ResultView], limit: int) -> str | None:
    return str(items[-1].row) if len(items) == limit else None


async def list_faults(request: web.Request) -> web.Response:
    """Rows of an upload that will not be texted, in order; `cursor` is the last row read."""
    after, limit = _rows_of(request)
    identifier = wire.id_of(request, "upl")
    with request.app[ENGINE].store.read() as txn:
        upload = uploads.UPLOADS.get(txn, identifier)
        items = [wire.fault(row, fault) for row, fault in uploads.faults(txn, identifier, after, limit)]
    return wire.reply(views.FaultPage(items, _next_row(items, limit), upload.faults_gone))


# -- results


async def results(request: web.Request) -> web.Response:
    """What became of each row, in order; `cursor` is the last row read.  The first `gone` rows are kept no more."""
    after, limit = _rows_of(request)
    identifier, caller = wire.id_of(request, "cmp"), caller_of(request)
    with request.app[ENGINE].store.read() as txn:
        campaign = CAMPAIGNS.get(txn, identifier)
        items = _results(txn, campaign, after, limit, caller)
        gone = campaigns.gone(txn, campaign)
    return wire.reply(views.ResultPage(items, _next_row(items, limit), gone))


def _results(txn: Txn, campaign: Campaign, first: int, limit: int, caller: Caller) -> list[views.ResultView]:
    found = list(campaigns.results(txn, campaign, first, limit))
    if not found:
        return []
    did = responses.of_rows(txn, campaign.id, found[0].row, found[-1].row)
    return [
        wire.result(row, did.get(row.row, responses.NOTHING), variants.letter(campaign, row.message.id), caller)
        for row in found
    ]


async def by_variant(request: web.Request) -> web.Response:
    """How each wording of it did: rows by state, and people who replied, clicked and want no more."""
    wire.known_query(request)
    engine, identifier = request.app[ENGINE], wire.id_of(request, "cmp")
    with engine.store.read() as txn:
        said = _view(txn, engine, CAMPAIGNS.get(txn, identifier)).variants
    found = await variants.outcomes(engine.store, identifier)
    return wire.reply(shapes.VariantPage([shapes.outcome(*pair) for pair in zip(said, found, strict=True)], None))


async def results_csv(request: web.Request) -> web.StreamResponse:
    """The same as a CSV file, streamed: without the rows that are kept no more."""
    wire.known_query(request)
    engine, caller = request.app[ENGINE], caller_of(request)
    identifier = wire.id_of(request, "cmp")
    with engine.store.read() as txn:
        campaign = CAMPAIGNS.get(txn, identifier)
    name = f"{campaigns.name_of(identifier)}.csv"
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    header = views.ResultView.__struct_fields__
    await response.write((",".join(header) + "\r\n").encode())
    first = 0
    while first < campaign.rows:
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        behind = campaign.rows  # where there is none to come
        with engine.store.read() as txn:
            for view in _results(txn, campaign, first, EXPORT_ROWS, caller):
                writer.writerow([wire.cell(getattr(view, column)) for column in header])
                behind = view.row
        first = behind
        await response.write(lines.getvalue().encode())
    await response.write_eof()
    return response


_ROWS: Final = {"cursor": "the last row already read", "limit": "1 to 1000, 50 if left out"}
_PAGE: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}

_ROW: Final = {"cursor": {"type": "string", "pattern": "^[0-9]{1,9}$"}}


def _stepping(word: str, handler: Handler, status: int = 200, right: str = "campaigns:launch") -> Route:
    path = f"/v1/campaigns/{{id}}/{word}"
    return Route("POST", path, handler, status, gives=shapes.CampaignView, problems=(404, 409), right=right)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/campaigns",
        create,
        201,
        takes=shapes.NewCampaign,
        gives=shapes.CampaignView,
        problems=(409,),
        right="campaigns:write",
        tells=("Location",),
    ),
    Route("GET", "/v1/campaigns", list_all, gives=shapes.CampaignPage, query=_PAGE, right="campaigns:read"),
    Route("GET", "/v1/campaigns/{id}", get, gives=shapes.CampaignView, problems=(404,), right="campaigns:read"),
    Route(
        "PATCH",
        "/v1/campaigns/{id}",
        change,
        takes=shapes.CampaignChange,
        gives=shapes.CampaignView,
        problems=(404, 409),
        right="campaigns:write",
    ),
    _stepping("approve", approve, right="campaigns:approve"),
    Route(
        "POST",
        "/v1/campaigns/{id}/recipients",
        upload,
        202,
        takes=Row,
        gives=views.UploadView,
        media=tuple(rows.READERS),
        audited="campaign.uploaded",
        problems=(404, 409, 415),
        right="campaigns:write",
    ),
    Route(
        "POST",
        "/v1/campaigns/{id}/audience",
        address,
        202,
        takes=audience_shapes.Audience,
        audited="campaign.addressed",
        gives=views.UploadView,
        problems=(404, 409),
        right="campaigns:write",
    ),
    Route(
        "POST",
        "/v1/campaigns/{id}/schedule",
        plan,
        takes=audience_shapes.Plan,
        gives=shapes.CampaignView,
        problems=(404, 409),
        right="campaigns:launch",
    ),
    _stepping("unschedule", unplan),
    _stepping("launch", launch, 202),
    _stepping("pause", pause),
    _stepping("resume", resume),
    _stepping("cancel", cancel),
    Route(
        "GET",
        "/v1/campaigns/{id}/results",
        results,
        gives=views.ResultPage,
        query=_ROWS,
        problems=(404,),
        right="campaigns:read",
        schemas=_ROW,
    ),
    Route(
        "GET",
        "/v1/campaigns/{id}/variants",
        by_variant,
        gives=shapes.VariantPage,
        problems=(404,),
        right="campaigns:read",
    ),
    Route(
        "GET",
        "/v1/campaigns/{id}/results.csv",
        results_csv,
        gives=views.Sheet,
        audited="campaign.exported",
        gives_media="text/csv",
        problems=(404,),
        right="campaigns:read",
    ),
    Route(
        "GET",
        "/v1/uploads/{id}/faults",
        list_faults,
        gives=views.FaultPage,
        query=_ROWS,
        problems=(404,),
        right="campaigns:read",
        schemas=_ROW,
    ),
)
