"""Roles: what their holders may do, and how much they see of a person.

Some come with the house and are made when roles are first asked for; they are changed like any other.  Nobody gives by
a role what he has not himself.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from engine.access import rights
from engine.access.caller import SENSITIVE, Caller, Sight
from engine.access.rights import EVERY, NUMBERS
from engine.crm.people import audit
from engine.crm.people.audit import By
from engine.errors import Conflict, Forbidden, Invalid, InvalidParam, Stale
from engine.store import ids
from engine.store.table import Keyed, Table, Txn
from engine.traffic import events

NAME_LONGEST: Final = 60  # characters
ROLES_MOST: Final = 200
REVEALS_MOST: Final = 10_000
REVEALS_A_DAY: Final = 20

# Of a field that a role says nothing about.
UNSAID: Final[Sight] = "masked"
_RANK: Final[dict[Sight, int]] = {"none": 0, "masked": 1, "full": 2}


class Role(msgspec.Struct, frozen=True, array_like=True):
    """`rights` are words of engine/access/rights.py; `sight` says how much is seen of each of SENSITIVE."""

    id: int
    name: str
    rights: tuple[str, ...] = ()
    sight: dict[str, Sight] = {}
    reveals_a_day: int = REVEALS_A_DAY
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


ROLES: Final = Table("roles", Role)

TABLES: Final[tuple[Keyed, ...]] = (ROLES,)


def _sight(number: Sight, email: Sight, birthday: Sight, address: Sight) -> dict[str, Sight]:
    return dict(zip(SENSITIVE, (number, email, birthday, address), strict=True))


_READING: Final = (
    "campaigns:read", "customers:read", "events:read", "members:read", "messages:read", "rack:read", "stats:read",
)  # fmt: skip
_SELLING: Final = (
    "campaigns:read", "campaigns:write", "consents:write", "coupons:redeem", "customers:read", "customers:reveal",
    "customers:write", "events:read", "greetings:write", "members:read", "members:write", "messages:read",
    "messages:send", "segments:write", "stats:read",
)  # fmt: skip
_SERVING: Final = (
    "consents:write", "coupons:redeem", "customers:read", "customers:reveal", "customers:write", "events:read",
    "members:read", "messages:read", "messages:send",
)  # fmt: skip
_VISITING: Final = ("customers:read", "messages:read", "messages:send")
_KEEPING_SHOP: Final = ("coupons:redeem", "customers:read", "members:read", "members:write")

SHIPPED: Final = (
    Role(0, "owner", tuple(sorted(EVERY)), _sight("full", "full", "full", "full")),
    Role(
        0,
        "supervisor",
        tuple(sorted(EVERY - {"customers:erase", NUMBERS, "tokens:write", "sim"})),
        _sight("masked", "masked", "full", "full"),
    ),
    Role(0, "sales", _SELLING, _sight("masked", "masked", "full", "full")),
    Role(0, "service", _SERVING, _sight("masked", "masked", "masked", "full")),
    Role(0, "engineer", _VISITING, _sight("masked", "none", "none", "full"), 0),
    Role(0, "store", _KEEPING_SHOP, _sight("masked", "none", "masked", "none"), 0),
    Role(0, "reader", _READING, _sight("masked", "masked", "masked", "masked"), 0),
)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("rol", identifier)


def are_shipped(txn: Txn) -> bool:
    """Whether there are any roles yet."""
    return ROLES.any(txn)


def ship(txn: Txn, now_ms: int) -> None:
    """Make the roles that come with the house, unless there are any."""
    if ROLES.any(txn):
        return
    for role in SHIPPED:
        identifier = ids.take(txn, now_ms)
        shipped = msgspec.structs.replace(role, id=identifier, created_ms=now_ms, updated_ms=now_ms)
        ROLES.put(txn, identifier, shipped)


def add(txn: Txn, by: By, role: Role, now_ms: int) -> Role:
    """Store a new role.  Raises Invalid naming the field, Conflict where the name is taken, Forbidden."""
    by.caller.require("staff:write")
    ship(txn, now_ms)
    role = _checked(txn, by.caller, role)
    if ROLES.count(txn) >= ROLES_MOST:
        raise Conflict(f"there are {ROLES_MOST} roles already")
    role = msgspec.structs.replace(role, id=ids.take(txn, now_ms), created_ms=now_ms, updated_ms=now_ms)
    ROLES.put(txn, role.id, role)
    name = name_of(role.id)
    events.append(txn, "role.created", now_ms, name, name=role.name)
    audit.append(txn, by, "role.created", name, now_ms, {field: (None, getattr(role, field)) for field in _TOLD})
    return role


def change(txn: Txn, by: By, identifier: int, changes: Mapping[str, Any], version: int | None, now_ms: int) -> Role:
    """Replace fields; who has the role has the new rights at once.

    Raises NotFound, Invalid, Conflict, Forbidden, and Stale where `version` is given and is not the stored one.
    """
    by.caller.require("staff:write")
    ship(txn, now_ms)
    old = ROLES.get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the role has version {old.version}, not {version}")
    # Nobody takes from a role either what he could not give back.
    require_no_less(by.caller, old.rights)
    fields: dict[str, Any] = {**changes, "updated_ms": now_ms, "version": old.version + 1}
    role = _checked(txn, by.caller, msgspec.structs.replace(old, **fields))
    ROLES.put(txn, identifier, role)
    told = {field: (getattr(old, field), getattr(role, field)) for field in _TOLD if field in changes}
    events.append(txn, "role.changed", now_ms, name_of(identifier), fields=sorted(told))
    audit.append(txn, by, "role.changed", name_of(identifier), now_ms, told)
    return role


def listed(txn: Txn) -> list[Role]:
    """All roles, the oldest first."""
    return [role for _, role in ROLES.scan(txn)]


def named(txn: Txn, names: Iterable[str], field: str = "roles") -> tuple[int, ...]:
    """The ids of the roles of these names, in order, each once.  Raises Invalid naming `field` and the place."""
    known = {role.name.casefold(): role.id for role in listed(txn)}
    found = set()
    for place, name in enumerate(names):
        identifier = known.get(name.casefold())
        if identifier is None:
            raise Invalid(InvalidParam(f"{field}[{place}]", f"there is no role {name!r}"))
        found.add(identifier)
    return tuple(sorted(found))


def names(txn: Txn, identifiers: Iterable[int]) -> list[str]:
    """The names of these roles."""
    return [ROLES.get(txn, identifier).name for identifier in identifiers]


def together(roles: Iterable[Role]) -> tuple[frozenset[str], dict[str, Sight], int]:
    """The rights, the sight and the reveals a day of somebody who has all of these roles: of each the most.

    To see numbers in full and to have the right to is one and the same, whichever a role says.
    """
    held = list(roles)
    sight: dict[str, Sight] = {}
    for field in SENSITIVE:
        seen = (role.sight.get(field, UNSAID) for role in held)
        sight[field] = max(seen, key=_RANK.__getitem__, default=UNSAID)
    granted = frozenset(right for role in held for right in role.rights)
    if NUMBERS in granted:
        sight["number"] = "full"
    if sight["number"] == "full":
        granted |= {NUMBERS}
    return granted, sight, max((role.reveals_a_day for role in held), default=0)


def require_no_less(caller: Caller, wanted: Iterable[str]) -> None:
    """Raises Forbidden where there is a right that the caller has not himself."""
    lacking = sorted(set(wanted) - caller.rights)
    if lacking:
        raise Forbidden(f"this needs the right {lacking[0]} itself", code="no_right")


# -- rules

_TOLD: Final = ("name", "rights", "sight", "reveals_a_day")


def _checked(txn: Txn, caller: Caller, role: Role) -> Role:
    """The role, its rights sorted and each once.  Raises Invalid, Conflict, Forbidden."""
    name = role.name.strip()
    if not 1 <= len(name) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if not 0 <= role.reveals_a_day <= REVEALS_MOST:
        raise Invalid(InvalidParam("reveals_a_day", f"is not 0 to {REVEALS_MOST}"))
    for field, seen in role.sight.items():
        if field not in SENSITIVE:
            raise Invalid(InvalidParam(f"sight.{field}", f"is none of {', '.join(SENSITIVE)}"))
        if seen not in _RANK:
            raise Invalid(InvalidParam(f"sight.{field}", f"is none of {', '.join(_RANK)}"))
    role = msgspec.structs.replace(role, name=name, rights=rights.checked(role.rights))
    require_no_less(caller, role.rights)
    for field in SENSITIVE:
        if _RANK[role.sight.get(field, UNSAID)] > _RANK[caller.sees(field)]:
            raise Forbidden(f"you do not see so much of {field} yourself", code="no_right")
    for other in listed(txn):
        if other.name.casefold() == name.casefold() and other.id != role.id:
            raise Conflict(f"there is a role with the name {other.name!r}")
    return role
