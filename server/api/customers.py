"""Customers and what they agreed to."""

from typing import Final

import msgspec
from aiohttp import web

from engine import numbers
from engine.access.caller import Caller
from engine.config import House
from engine.crm import merging
from engine.crm.marketing import members
from engine.crm.people import agreement, asking, consent, customers, references, suppressions, wordings
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer, Lifecycle, numbers_of
from engine.crm.people.customers import Sought
from engine.errors import Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Txn
from server import views, wire
from server.calling import actor_of, caller_of
from server.context import ENGINE
from server.noting import written
from server.repeats import made
from server.route import Route
from server.shapes import customers as shapes


async def create(request: web.Request) -> web.Response:
    """A new customer; one person per number.  409 `erased` where its holder was, who comes back only by a text."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewCustomer)
    country = engine.settings.house.country or None
    return await made(request, _created, _create, body, country, engine.pepper, engine.now_ms(), caller_of(request))


def _created(_txn: Txn, view: shapes.CustomerView) -> web.Response:
    return wire.reply(view, 201, Location=f"/v1/customers/{view.id}", ETag=f'"{view.version}"')


def _create(
    txn: Txn, body: shapes.NewCustomer, country: str | None, pepper: bytes, now_ms: int, caller: Caller
) -> shapes.CustomerView:
    changes = shapes.changes_of(txn, body, country, now_ms)
    changes["attrs"] = {number: value for number, value in changes.get("attrs", {}).items() if value is not None}
    record = Customer(0, **changes)
    for number in numbers_of(record):
        suppressions.refuse_erased(txn, pepper, number)
    customers.require_complete(txn, record)
    return shapes.view(txn, customers.add(txn, record, now_ms, actor_of(caller)), caller, whole=True)


async def list_all(request: web.Request) -> web.Response:
    """Customers newest first; or those who are looked for, oldest first.

    `number` and `reference` lead to one.  `name` are beginnings of words; with `tag`, `region` (and what lies in it)
    and `lifecycle` everything that is said must be true.
    """
    wire.known_query(request, "cursor", "limit", "number", "reference", "name", "tag", "region", "lifecycle")
    engine = request.app[ENGINE]
    cursor, limit = wire.page_of(request, "cus")
    query = request.query
    sought = Sought(
        query.get("name", ""), query.get("tag", ""), query.get("region", ""), _lifecycle(query.get("lifecycle", ""))
    )
    with engine.store.read() as txn:
        if query.get("number"):
            number = wire.number_of(query["number"], engine.settings.house.country or None, "number")
            found = customers.find_by_number(txn, numbers.to_key(number))
            return _page(txn, caller_of(request), [] if found is None else [found], 0)
        if query.get("reference"):
            found = customers.find_by_reference(txn, query["reference"])
            return _page(txn, caller_of(request), [] if found is None else [found], 0)
        if sought != Sought():
            return _page(txn, caller_of(request), *customers.search(txn, sought, cursor, limit))
        listed = list(customers.listed(txn, cursor, limit))
        return _page(txn, caller_of(request), listed, listed[-1].id if len(listed) == limit else 0)


def _lifecycle(said: str) -> Lifecycle | None:
    if not said:
        return None
    if said.upper() not in Lifecycle.__members__:
        words = ", ".join(step.name.lower() for step in Lifecycle)
        raise Invalid(InvalidParam("lifecycle", f"is none of {words}"))
    return Lifecycle[said.upper()]


def _page(txn: Txn, caller: Caller, found: list[Customer], last: int) -> web.Response:
    items = [shapes.view(txn, record, caller) for record in found]
    return wire.reply(shapes.CustomerPage(items, customers.name_of(last) if last else None))


async def get(request: web.Request) -> web.Response:
    """One customer, with the newest word on each purpose; `with=sources` tells where each value came from.

    The id of a record that was merged into another leads to that one, as `Content-Location` says.
    """
    wire.known_query(request, "with")
    beside = request.query.get("with", "")
    if beside not in ("", "sources"):
        raise Invalid(InvalidParam("with", "is not sources"))
    identifier = _id_of(request)
    with request.app[ENGINE].store.read() as txn:
        record = customers.require(txn, merging.survivor(txn, identifier))
        sources = shapes.sources_of(customers.sources_of(txn, record)) if beside else msgspec.UNSET
        view = shapes.view(
            txn, record, caller_of(request), whole=True, said=shapes.newest(txn, record.number), sources=sources
        )
    if record.id != identifier:
        return wire.reply(view, ETag=f'"{record.version}"', Content_Location=f"/v1/customers/{view.id}")
    return wire.reply(view, ETag=f'"{record.version}"')


def _id_of(request: web.Request) -> int:
    return wire.id_of(request, "cus")


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.CustomerChange)
    country = engine.settings.house.country or None
    view = await written(
        request,
        _change,
        _id_of(request),
        body,
        wire.version_of(request),
        country,
        engine.pepper,
        engine.now_ms(),
        caller_of(request),
    )
    return wire.reply(view, ETag=f'"{view.version}"')


def _change(
    txn: Txn,
    identifier: int,
    body: shapes.CustomerChange,
    version: int | None,
    country: str | None,
    pepper: bytes,
    now_ms: int,
    caller: Caller,
) -> shapes.CustomerView:
    old = customers.require(txn, identifier)
    changes = shapes.changes_of(txn, body, country, now_ms)
    for number in {changes.get("number", old.number), *changes.get("numbers", ())} - {*numbers_of(old)}:
        suppressions.refuse_erased(txn, pepper, number)
    changed = customers.change(txn, identifier, changes, version, now_ms, actor_of(caller))
    members.renumber(txn, identifier, changed.number)
    return shapes.view(txn, changed, caller, whole=True)


async def consented(request: web.Request) -> web.Response:
    """Append what the customer agreed to or withdrew; or ask him."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewConsent)
    is_question = body.status == "ask"
    if not (body.evidence or is_question):
        raise Invalid(InvalidParam("evidence", "is missing"))
    row = Consent(
        Status.PENDING if is_question else Status(body.status),
        body.method,
        body.evidence,
        engine.now_ms(),
        wording=body.wording,
        by=actor_of(caller_of(request)),
        detail=body.detail,
        jurisdiction=body.jurisdiction,
    )
    if is_question:
        house, pepper = engine.settings.house, engine.pepper
        return await made(request, _agreed, _ask, _id_of(request), body.purpose, row, house, pepper)
    return await made(request, _agreed, _consent, _id_of(request), body.purpose, row)


def _agreed(_txn: Txn, answer: views.ConsentAnswer) -> web.Response:
    return wire.reply(answer, 201)


def _ask(txn: Txn, identifier: int, purpose: str, row: Consent, house: House, pepper: bytes) -> views.ConsentAnswer:
    wording = wordings.get(txn, ids.parse("wrd", row.wording, "wording")) if row.wording else None
    return views.ConsentAnswer(
        purpose, wire.consented(asking.ask(txn, identifier, purpose, row, wording, house, pepper))
    )


def _consent(txn: Txn, identifier: int, purpose: str, row: Consent) -> views.ConsentAnswer:
    number = customers.require(txn, identifier).number
    agreement.add(txn, number, purpose, row)
    return views.ConsentAnswer(purpose, wire.consented(consent.newest(txn, number, purpose)))


async def consents(request: web.Request) -> web.Response:
    """All that the customer ever agreed to or withdrew."""
    wire.known_query(request)
    with request.app[ENGINE].store.read() as txn:
        record = customers.require(txn, _id_of(request))
        return wire.reply(shapes.consents(consent.history(txn, record.number)))


_LIST: Final = {
    "number": "only the customer with this number",
    "reference": f"only the customer that is called so, as {references.render(references.CUSTOMER, 17)}",
    "name": "beginnings of words of the name",
    "tag": "with this tag",
    "region": "of the region with this code, or of one that lies in it",
    "lifecycle": "lead, prospect, customer or lost",
    "cursor": "`next` of the page before",
    "limit": "1 to 1000, 50 if left out",
}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/customers",
        create,
        201,
        takes=shapes.NewCustomer,
        gives=shapes.CustomerView,
        problems=(409,),
        tells=("Location", "ETag"),
        right="customers:write",
    ),
    Route("GET", "/v1/customers", list_all, gives=shapes.CustomerPage, query=_LIST, right="customers:read"),
    Route(
        "GET",
        "/v1/customers/{id}",
        get,
        gives=shapes.CustomerView,
        query={"with": "sources: where each value came from"},
        audited="customer.read",
        problems=(404,),
        tells=("ETag",),
        right="customers:read",
    ),
    Route(
        "PATCH",
        "/v1/customers/{id}",
        change,
        takes=shapes.CustomerChange,
        gives=shapes.CustomerView,
        problems=(404, 409, 412),
        tells=("ETag",),
        right="customers:write",
    ),
    Route(
        "POST",
        "/v1/customers/{id}/consents",
        consented,
        201,
        takes=shapes.NewConsent,
        gives=views.ConsentAnswer,
        problems=(404, 409),
        right="consents:write",
    ),
    Route(
        "GET",
        "/v1/customers/{id}/consents",
        consents,
        gives=shapes.ConsentHistory,
        audited="customer.read",
        problems=(404,),
        right="customers:read",
    ),
)
