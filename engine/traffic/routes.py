"""Routes: which SIMs a text may leave by, told by where it goes and what it is.  Records and their rules.

A route matches a message where all that it names does: where it goes (any of its prefixes, operators and countries),
its tag, its purpose; what it does not name matches everything.  Its senders are SIMs, or modems by their port, each
with a price a part where they differ; without any, every SIM of the rack is one.

Which of several routes comes first, and what that means for a SIM, is engine/traffic/routing.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import phonenumbers

from engine.errors import Conflict, Invalid, InvalidParam, Stale
from engine.store import ids
from engine.store.table import Keyed, Line, Txn
from engine.traffic import events
from engine.traffic.message import PURPOSES

ROUTES_MOST: Final = 200
ENTRIES_MOST: Final = 1_000  # of one list of a route
NAME_LONGEST: Final = 200  # characters
TAG_LONGEST: Final = 100
PREFIX_LONGEST: Final = 15  # digits of E.164
COST_MOST: Final = 1_000_000

Operators = Mapping[str, tuple[str, ...]]


class Sender(msgspec.Struct, frozen=True, array_like=True):
    """A SIM by its IMSI, or else whichever SIM is in the modem on `port`; `cost_minor` a part, -1 as its route's."""

    sim: int = 0
    port: str = ""
    cost_minor: int = -1


class Route(msgspec.Struct, frozen=True, array_like=True):
    """`prefixes` are digits without the plus, `cost_minor` is a part's price in the smallest coin.

    Where `failover` is false, no later route takes its messages: they wait for its senders.
    """

    id: int
    name: str
    kind: str = "modem"
    tariff: str = "normal"
    prefixes: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    senders: tuple[Sender, ...] = ()
    cost_minor: int = 0
    order: int = 0
    failover: bool = True
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


ROUTES: Final = Line("routes", Route)

TABLES: Final[tuple[Keyed, ...]] = (ROUTES,)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("rte", identifier)


def add(txn: Txn, route: Route, operators: Operators, now_ms: int) -> Route:
    """Store a new route.  Raises Invalid naming each field, Conflict where the name is taken or there are too many."""
    route = _checked(txn, route, operators)
    if ROUTES.count(txn) >= ROUTES_MOST:
        raise Conflict(f"there are {ROUTES_MOST} routes: remove one first")
    route = msgspec.structs.replace(route, id=ids.take(txn, now_ms), created_ms=now_ms, updated_ms=now_ms)
    ROUTES.put(txn, route.id, route)
    events.append(txn, "route.created", now_ms, name_of(route.id), name=route.name)
    return route


def change(
    txn: Txn, identifier: int, changes: Mapping[str, Any], version: int | None, operators: Operators, now_ms: int
) -> Route:
    """Replace fields.  Raises NotFound, Invalid, and Stale where `version` is given and is not the stored one."""
    old = ROUTES.get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the route has version {old.version}, not {version}")
    fields: dict[str, Any] = {**changes, "updated_ms": now_ms, "version": old.version + 1}
    route = _checked(txn, msgspec.structs.replace(old, **fields), operators)
    ROUTES.put(txn, identifier, route)
    events.append(txn, "route.changed", now_ms, name_of(identifier), fields=sorted(changes))
    return route


def remove(txn: Txn, identifier: int, now_ms: int) -> None:
    """Forget a route; what waits goes by those that are left.  Raises NotFound."""
    route = ROUTES.get(txn, identifier)
    ROUTES.remove(txn, identifier)
    events.append(txn, "route.removed", now_ms, name_of(identifier), name=route.name)


def listed(txn: Txn) -> list[Route]:
    """All routes, in the order in which they were made."""
    return [route for _, route in ROUTES.scan(txn)]


def require_normal(tariff: str, field: str = "tariff") -> None:
    """Raises Invalid of code `tariff_not_supported` for every other tariff: a SIM knows no more than its own price."""
    if tariff != "normal":
        reason = f"a SIM cannot send at tariff {tariff}: only an operator's short code can"
        raise Invalid(InvalidParam(field, reason), code="tariff_not_supported")


# -- rules


def _checked(txn: Txn, route: Route, operators: Operators) -> Route:
    """The route, its lists sorted and each entry once.  Raises Invalid, Conflict."""
    if route.kind != "modem":
        reason = f"routes of kind {route.kind} are not supported yet: only modem"
        raise Invalid(InvalidParam("kind", reason), code="kind_not_supported")
    require_normal(route.tariff)
    wrong = [*_wrong_words(route, operators), *_wrong_senders(route.senders)]
    if wrong:
        raise Invalid(*wrong)
    for other in listed(txn):
        if other.name == route.name and other.id != route.id:
            raise Conflict(f"there is a route with the name {route.name!r}")
    return msgspec.structs.replace(
        route,
        prefixes=_once(prefix.removeprefix("+") for prefix in route.prefixes),
        countries=_once(route.countries),
        operators=_once(route.operators),
        tags=_once(route.tags),
        purposes=_once(route.purposes),
    )


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))


def _wrong_words(route: Route, operators: Operators) -> list[InvalidParam]:
    """What is wrong with all but the senders."""
    wrong = []
    if not 1 <= len(route.name) <= NAME_LONGEST:
        wrong.append(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if not 0 <= route.cost_minor <= COST_MOST:
        wrong.append(InvalidParam("cost_minor", f"is not 0 to {COST_MOST}"))
    if not -COST_MOST <= route.order <= COST_MOST:
        wrong.append(InvalidParam("order", f"is not {-COST_MOST} to {COST_MOST}"))
    for field, is_right, reason in (
        ("prefixes", is_prefix, "is no prefix of a number: + and 1 to 15 digits"),
        ("countries", phonenumbers.SUPPORTED_REGIONS.__contains__, "is not a country's two capital letters"),
        ("operators", operators.__contains__, "is no operator of the settings"),
        ("tags", lambda tag: 1 <= len(tag) <= TAG_LONGEST, f"is not 1 to {TAG_LONGEST} characters"),
        ("purposes", PURPOSES.__contains__, f"is none of {', '.join(PURPOSES)}"),
    ):
        entries = getattr(route, field)
        if len(entries) > ENTRIES_MOST:
            wrong.append(InvalidParam(field, f"has more than {ENTRIES_MOST} entries"))
        wrong += [
            InvalidParam(f"{field}[{place}]", reason) for place, entry in enumerate(entries) if not is_right(entry)
        ]
    return wrong


def is_prefix(text: str) -> bool:
    """Whether it is the beginning of a number in E.164, with its plus or without."""
    digits = text.removeprefix("+")
    return digits.isascii() and digits.isdigit() and len(digits) <= PREFIX_LONGEST and digits[0] != "0"


def _wrong_senders(senders: tuple[Sender, ...]) -> list[InvalidParam]:
    wrong = []
    known: set[int | str] = set()
    if len(senders) > ENTRIES_MOST:
        return [InvalidParam("senders", f"has more than {ENTRIES_MOST} entries")]
    for place, sender in enumerate(senders):
        field = f"senders[{place}]"
        if bool(sender.sim) == bool(sender.port):
            wrong.append(InvalidParam(field, "needs either sim or port"))
        elif (sender.sim or sender.port) in known:
            wrong.append(InvalidParam(field, "stands in the list already"))
        if not -1 <= sender.cost_minor <= COST_MOST:
            wrong.append(InvalidParam(f"{field}.cost_minor", f"is not 0 to {COST_MOST}"))
        known.add(sender.sim or sender.port)
    return wrong
