"""Customers and what they agreed to."""

from typing import Final

from aiohttp import web

from engine import numbers
from engine.crm.people import consent, customers
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customers import CUSTOMERS, Customer
from engine.store.table import Txn
from server import views, wire
from server.context import ENGINE
from server.route import Route


async def create(request: web.Request) -> web.Response:
    """A new customer; one person per number."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), wire.NewCustomer)
    number = numbers.parse(body.number, engine.settings.house.country or None, "number")
    record = Customer(0, numbers.to_key(number), body.name, body.language or "", tags=tuple(body.tags))
    made = await engine.store.write(customers.add, record, engine.now_ms())
    location = f"/v1/customers/{customers.name_of(made.id)}"
    return wire.reply(wire.customer(made, whole=True), 201, Location=location)


async def list_all(request: web.Request) -> web.Response:
    """Customers newest first, or the one with `number`."""
    wire.known_query(request, "cursor", "limit", "number")
    engine = request.app[ENGINE]
    before, limit = wire.page_of(request, "cus")
    text = request.query.get("number")
    with engine.store.read() as txn:
        if text:
            number = wire.number_of(text, engine.settings.house.country or None, "number")
            found = customers.find_by_number(txn, numbers.to_key(number))
            return wire.reply(views.CustomerPage([] if found is None else [wire.customer(found)], None))
        items = [wire.customer(record) for record in customers.listed(txn, before, limit)]
    return wire.reply(views.CustomerPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One customer, with the newest word on each purpose."""
    wire.known_query(request)
    identifier = wire.id_of(request, "cus")
    with request.app[ENGINE].store.read() as txn:
        record = CUSTOMERS.get(txn, identifier)
        said = {purpose: _consent(txn, record.number, purpose) for purpose in consent.NEEDED}
    return wire.reply(wire.customer(record, whole=True, said=said), ETag=f'"{record.version}"')


def _consent(txn: Txn, number: int, purpose: str) -> views.ConsentView | None:
    return wire.consented(consent.newest(txn, number, purpose))


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), wire.CustomerChange)
    changes: dict[str, str | tuple[str, ...]] = {}
    if body.name is not None:
        changes["name"] = body.name
    if body.language is not None:
        changes["language"] = body.language
    if body.tags is not None:
        changes["tags"] = tuple(body.tags)
    identifier = wire.id_of(request, "cus")
    version = wire.version_of(request)
    record = await engine.store.write(customers.change, identifier, changes, version, engine.now_ms())
    return wire.reply(wire.customer(record, whole=True), ETag=f'"{record.version}"')


async def consented(request: web.Request) -> web.Response:
    """Append what the customer agreed to or withdrew."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), wire.NewConsent)
    identifier = wire.id_of(request, "cus")
    with engine.store.read() as txn:
        record = CUSTOMERS.get(txn, identifier)
    row = Consent(Status(body.status), body.method, body.evidence, engine.now_ms())
    await engine.store.write(consent.add, record.number, body.purpose, row)
    with engine.store.read() as txn:
        return wire.reply(views.ConsentAnswer(body.purpose, _consent(txn, record.number, body.purpose)), 201)


_LIST: Final = {
    "number": "only the customer with this number",
    "cursor": "`next` of the page before",
    "limit": "1 to 1000, 50 if left out",
}

ROUTES: Final = (
    Route("POST", "/v1/customers", create, 201, takes=wire.NewCustomer, gives=views.CustomerView, problems=(409,)),
    Route("GET", "/v1/customers", list_all, gives=views.CustomerPage, query=_LIST),
    Route("GET", "/v1/customers/{id}", get, gives=views.CustomerView, problems=(404,)),
    Route(
        "PATCH",
        "/v1/customers/{id}",
        change,
        takes=wire.CustomerChange,
        gives=views.CustomerView,
        problems=(
            404,
            409,
        ),
    ),
    Route(
        "POST",
        "/v1/customers/{id}/consents",
        consented,
        201,
        takes=wire.NewConsent,
        gives=views.ConsentAnswer,
        problems=(404,),
    ),
)
