"""Staff, roles and teams."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from engine import numbers
from engine.access import hashes, passwords, pins
from engine.crm.people import roles, staff, tries
from engine.crm.people.roles import ROLES as ROLES_KEPT
from engine.crm.people.roles import Role
from engine.crm.people.staff import STAFF, TEAMS, Staff, State, Team
from engine.crm.people.tries import Way
from engine.errors import Forbidden
from engine.store import ids
from engine.store.table import Txn
from engine.wiring import Engine
from server import wire
from server.calling import by_of, caller_of
from server.context import ENGINE
from server.repeats import made
from server.route import Route
from server.shapes import staff as shapes


async def create(request: web.Request) -> web.Response:
    """Somebody begins to work here; without a PIN or a password yet."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewStaff)
    await _ship(engine)
    with engine.store.read() as txn:
        held = roles.named(txn, body.roles)
    record = Staff(
        0,
        _number(engine, body.number),
        body.name,
        held,
        team=_id("tea", body.team_id, "team_id"),
        supervisor=_id("stf", body.supervisor_id, "supervisor_id"),
        zones=tuple(body.zones),
        skills=tuple(body.skills),
        working_hours=body.working_hours,
        language=body.language or "",
    )

    def answer(txn: Txn, added: Staff) -> web.Response:
        return _answer(txn, request, added, 201, Location=f"/v1/staff/{staff.name_of(added.id)}")

    return await made(request, answer, staff.add, by_of(request), record, engine.now_ms())


async def list_all(request: web.Request) -> web.Response:
    """Staff newest first, those who have left too; numbers are masked."""
    wire.known_query(request, "cursor", "limit")
    caller = caller_of(request)
    caller.require("staff:read")
    before, limit = wire.page_of(request, "stf")
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.staff_view(txn, caller, record) for record in staff.listed(txn, before, limit)]
    return wire.reply(shapes.StaffPage(items, wire.next_of(items, limit)))


async def get(request: web.Request) -> web.Response:
    """One member of the staff."""
    wire.known_query(request)
    caller_of(request).require("staff:read")
    identifier = wire.id_of(request, "stf")
    with request.app[ENGINE].store.read() as txn:
        record = STAFF.get(txn, identifier)
    return _reply(request, record)


async def change(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read.  What is taken away is gone at once."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.StaffChange)
    identifier, version = wire.id_of(request, "stf"), wire.version_of(request)
    changes = _given(body)
    if "number" in changes:
        changes["number"] = _number(engine, changes["number"])
    if "roles" in changes:
        with engine.store.read() as txn:
            changes["roles"] = roles.named(txn, changes["roles"])
    if "state" in changes:
        changes["state"] = State(changes["state"])
    if "language" in changes:
        changes["language"] = changes["language"] or ""
    if "team_id" in changes:
        changes["team"] = _id("tea", changes.pop("team_id"), "team_id")
    if "supervisor_id" in changes:
        changes["supervisor"] = _id("stf", changes.pop("supervisor_id"), "supervisor_id")
    record = await engine.store.write(staff.change, by_of(request), identifier, changes, version, engine.now_ms())
    return _reply(request, record)


async def set_pin(request: web.Request) -> web.Response:
    """Set the PIN by which somebody is known in a text; who sets his own proves that he knows the present one."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewPin)
    identifier = wire.id_of(request, "stf")
    await _prove(request, identifier, "pin", body.current)
    kept = await hashes.aside(pins.hashed, engine.pepper, body.pin)
    return await made(
        request, _answering(request), staff.set_pin, by_of(request), identifier, kept, engine.now_ms()
    )  # fmt: skip


async def set_password(request: web.Request) -> web.Response:
    """Set the password by which somebody signs in; what the present one opened has ended."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewPassword)
    identifier = wire.id_of(request, "stf")
    await _prove(request, identifier, "password", body.current)
    kept = await hashes.aside(passwords.hashed, engine.pepper, body.password)
    return await made(
        request, _answering(request), staff.set_password, by_of(request), identifier, kept, engine.now_ms()
    )


async def _prove(request: web.Request, identifier: int, kind: tries.Kind, current: str) -> None:
    """That somebody who sets his own secret knows the present one, or else may set another's.  Raises Forbidden."""
    engine, by = request.app[ENGINE], by_of(request)
    if not (by.caller.is_person and by.caller.id == identifier):
        by.caller.require("staff:write")
        return
    with engine.store.read() as txn:
        record = STAFF.get(txn, identifier)
    if not (record.pin_hash if kind == "pin" else record.password_hash):
        return
    way = Way(engine.pepper, by.via, by.source)
    if not await tries.check(engine.store, way, identifier, kind, current, engine.now_ms):
        raise Forbidden(f"that is not your present {kind}", code="wrong_secret")


async def deactivate(request: web.Request) -> web.Response:
    """Somebody leaves and is out at once; what he owns goes to a successor, without whom he must own nothing."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read() or b"{}", shapes.Deactivation)
    identifier, successor = wire.id_of(request, "stf"), _id("stf", body.successor_id, "successor_id")
    answer, now_ms = _answering(request), engine.now_ms()
    return await made(request, answer, staff.deactivate, by_of(request), identifier, successor, now_ms, (), body.reason)


# -- roles


async def create_role(request: web.Request) -> web.Response:
    """A new role, of what the caller has himself."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewRole)
    record = Role(0, body.name, tuple(body.rights), body.sight, body.reveals_a_day)
    return await made(request, _role_made, roles.add, by_of(request), record, engine.now_ms())


def _role_made(_txn: Txn, added: Role) -> web.Response:
    return wire.reply(shapes.role_view(added), 201, Location=f"/v1/roles/{roles.name_of(added.id)}")


async def list_roles(request: web.Request) -> web.Response:
    """All roles, the oldest first: there are few."""
    wire.known_query(request)
    caller_of(request).require("staff:read")
    engine = request.app[ENGINE]
    await _ship(engine)
    with engine.store.read() as txn:
        items = [shapes.role_view(record) for record in roles.listed(txn)]
    return wire.reply(shapes.RolePage(items, None))


async def get_role(request: web.Request) -> web.Response:
    """One role."""
    wire.known_query(request)
    caller_of(request).require("staff:read")
    identifier = wire.id_of(request, "rol")
    with request.app[ENGINE].store.read() as txn:
        record = ROLES_KEPT.get(txn, identifier)
    return wire.reply(shapes.role_view(record), ETag=f'"{record.version}"')


async def change_role(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read.  Who has the role has the new rights at once."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.RoleChange)
    identifier, version = wire.id_of(request, "rol"), wire.version_of(request)
    written = engine.store.write(roles.change, by_of(request), identifier, _given(body), version, engine.now_ms())
    record = await written
    return wire.reply(shapes.role_view(record), ETag=f'"{record.version}"')


# -- teams


async def create_team(request: web.Request) -> web.Response:
    """A new team."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.NewTeam)
    record = Team(0, body.name, _id("stf", body.supervisor_id, "supervisor_id"))
    return await made(request, _team_made, staff.add_team, by_of(request), record, engine.now_ms())


def _team_made(_txn: Txn, added: Team) -> web.Response:
    return wire.reply(shapes.team_view(added), 201, Location=f"/v1/teams/{staff.team_name_of(added.id)}")


async def list_teams(request: web.Request) -> web.Response:
    """All teams, the oldest first: there are few."""
    wire.known_query(request)
    caller_of(request).require("staff:read")
    with request.app[ENGINE].store.read() as txn:
        items = [shapes.team_view(record) for record in staff.listed_teams(txn)]
    return wire.reply(shapes.TeamPage(items, None))


async def get_team(request: web.Request) -> web.Response:
    """One team."""
    wire.known_query(request)
    caller_of(request).require("staff:read")
    identifier = wire.id_of(request, "tea")
    with request.app[ENGINE].store.read() as txn:
        record = TEAMS.get(txn, identifier)
    return wire.reply(shapes.team_view(record), ETag=f'"{record.version}"')


async def change_team(request: web.Request) -> web.Response:
    """Replace fields; with `If-Match` only the version that was read."""
    engine = request.app[ENGINE]
    body = wire.decode(await request.read(), shapes.TeamChange)
    identifier, version = wire.id_of(request, "tea"), wire.version_of(request)
    changes = _given(body)
    if "supervisor_id" in changes:
        changes["supervisor"] = _id("stf", changes.pop("supervisor_id"), "supervisor_id")
    record = await engine.store.write(staff.change_team, by_of(request), identifier, changes, version, engine.now_ms())
    return wire.reply(shapes.team_view(record), ETag=f'"{record.version}"')


# -- what they share


def _given(body: msgspec.Struct) -> dict[str, Any]:
    """The fields that a body names, lists as the records have them."""
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in fields.items()
        if value is not msgspec.UNSET
    }


def _id(prefix: str, text: str | None, field: str) -> int:
    return ids.parse(prefix, text, field) if text is not None else 0


def _number(engine: Engine, text: str) -> int:
    return numbers.to_key(numbers.parse(text, engine.settings.house.country or None, "number"))


async def _ship(engine: Engine) -> None:
    """The roles that come with the house are made when they are first asked for."""
    with engine.store.read() as txn:
        are_there = roles.are_shipped(txn)
    if not are_there:
        await engine.store.write(roles.ship, engine.now_ms())


def _reply(request: web.Request, record: Staff, status: int = 200, **headers: str) -> web.Response:
    with request.app[ENGINE].store.read() as txn:
        return _answer(txn, request, record, status, **headers)


def _answering(request: web.Request) -> Callable[[Txn, Staff], web.Response]:
    return lambda txn, record: _answer(txn, request, record)


def _answer(txn: Txn, request: web.Request, record: Staff, status: int = 200, **headers: str) -> web.Response:
    view = _view(txn, request, record)
    return wire.reply(view, status, **headers, ETag=f'"{record.version}"')


def _view(txn: Txn, request: web.Request, record: Staff) -> shapes.StaffView:
    return shapes.staff_view(txn, caller_of(request), record, whole=True)


_LIST: Final = {"cursor": "`next` of the page before", "limit": "1 to 1000, 50 if left out"}

ROUTES: Final = (
    Route(
        "POST",
        "/v1/staff",
        create,
        201,
        takes=shapes.NewStaff,
        gives=shapes.StaffView,
        problems=(403, 409),
        tells=("Location", "ETag"),
        right="staff:write",
    ),
    Route("GET", "/v1/staff", list_all, gives=shapes.StaffPage, query=_LIST, problems=(403, 422), right="staff:read"),
    Route(
        "GET", "/v1/staff/{id}", get, gives=shapes.StaffView, problems=(403, 404), tells=("ETag",), right="staff:read"
    ),
    Route(
        "PATCH",
        "/v1/staff/{id}",
        change,
        takes=shapes.StaffChange,
        gives=shapes.StaffView,
        problems=(403, 404, 409, 412),
        tells=("ETag",),
        right="staff:write",
    ),
    Route(
        "POST",
        "/v1/staff/{id}/pin",
        set_pin,
        takes=shapes.NewPin,
        gives=shapes.StaffView,
        problems=(403, 404, 409, 429),
        tells=("ETag",),
    ),
    Route(
        "POST",
        "/v1/staff/{id}/password",
        set_password,
        takes=shapes.NewPassword,
        gives=shapes.StaffView,
        problems=(403, 404, 409, 429),
        tells=("ETag",),
    ),
    Route(
        "POST",
        "/v1/staff/{id}/deactivate",
        deactivate,
        takes=shapes.Deactivation,
        gives=shapes.StaffView,
        problems=(403, 404, 409),
        tells=("ETag",),
        right="staff:write",
    ),
    Route(
        "POST",
        "/v1/roles",
        create_role,
        201,
        takes=shapes.NewRole,
        gives=shapes.RoleView,
        problems=(403, 409),
        tells=("Location",),
        right="staff:write",
    ),
    Route("GET", "/v1/roles", list_roles, gives=shapes.RolePage, problems=(403,), right="staff:read"),
    Route(
        "GET",
        "/v1/roles/{id}",
        get_role,
        gives=shapes.RoleView,
        problems=(403, 404),
        tells=("ETag",),
        right="staff:read",
    ),
    Route(
        "PATCH",
        "/v1/roles/{id}",
        change_role,
        takes=shapes.RoleChange,
        gives=shapes.RoleView,
        problems=(403, 404, 409, 412),
        tells=("ETag",),
        right="staff:write",
    ),
    Route(
        "POST",
        "/v1/teams",
        create_team,
        201,
        takes=shapes.NewTeam,
        gives=shapes.TeamView,
        problems=(403, 409),
        tells=("Location",),
        right="staff:write",
    ),
    Route("GET", "/v1/teams", list_teams, gives=shapes.TeamPage, problems=(403,), right="staff:read"),
    Route(
        "GET",
        "/v1/teams/{id}",
        get_team,
        gives=shapes.TeamView,
        problems=(403, 404),
        tells=("ETag",),
        right="staff:read",
    ),
    Route(
        "PATCH",
        "/v1/teams/{id}",
        change_team,
        takes=shapes.TeamChange,
        gives=shapes.TeamView,
        problems=(403, 404, 409, 412),
        tells=("ETag",),
        right="staff:write",
    ),
)
