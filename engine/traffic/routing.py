"""Routing: from a message to its class, and from the SIMs that are available to what each may send.

Of the routes that match, the more specific comes first: the more digits of the number it names (an operator and a
country stand for theirs), then one that names the tag, then one that names the purpose; then the cheaper, then the one
of lower order, then the older.  Each is cut into tiers, its senders by price.

    A message may go by the SIMs of the first tier any of whose senders is available, and by no others.

A SIM is available while it is in service, does not rest and has a quota left: so modem failure, refusals and a used-up
quota all lead to the next tier, and back once they are over.

Messages with the same tiers are of one class, a small number that the due line knows.  Class ANY may go by every SIM.
What has NO_ROUTE is given to whoever asks, for the gate to hold it; what is NOBODY's waits for its deadline.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import phonenumbers

from engine._packed import Packed
from engine.store.environment import Store
from engine.store.table import Note, Txn
from engine.traffic import sticky
from engine.traffic.message import SEND, Asked, Due, Gate, State, Verdict
from engine.traffic.routes import ROUTES, Operators, Route, Sender, listed

log = logging.getLogger(__name__)

ANY: Final = 0
NO_ROUTE: Final = 1
NOBODY: Final = 2  # there are more classes than numbers for them
CLASSES: Final = 256
# A class for each SIM that somebody names or that keeps a number: no more than that, so that routes find room.
SINGLES_MOST: Final = 128
_RESERVED: Final = 3
HOLD_MS: Final = 300_000  # what has no route asks again after
REASON: Final = "no_route"

_KEPT: Final = 65_536  # beginnings of numbers
_CODE: Final = 3  # digits of the longest calling code
_SHARED: Final = frozenset(
    str(code) for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items() if len(regions) > 1
)
_AREA: Final = 8  # digits that tell the country of a shared calling code

# SIMs by IMSI and modems by port, any of which will do; an empty one is every SIM of the rack.
Tier = frozenset[int | str]
Tiers = tuple[Tier, ...]
# SIMs that could take a part now, and the port that each is in.
Available = Mapping[int, str]

_EVERYBODY: Final[Tiers] = (frozenset(),)
_NONE: Final[Tiers] = (frozenset({-1}),)


class Classes:
    """The classes of one set of routes; which routes those are never changes, classes are made as they are met."""

    def __init__(self, routes: Iterable[Route] = (), operators: Operators | None = None) -> None:
        self.routes: Final = tuple(routes)
        self._tiers = {route.id: _tiers_of(route) for route in self.routes}
        self._reaches = {route.id: _reach_of(route, operators or {}) for route in self.routes}
        self._tags = {tag for route in self.routes for tag in route.tags}
        self._purposes = {purpose for route in self.routes for purpose in route.purposes}
        self._deepest = max((len(prefix) for reach in self._reaches.values() for prefix in reach), default=0)
        self._by_country = any(route.countries for route in self.routes)
        self.are_priced: Final = any(
            _cost_of(route, sender) for route in self.routes for sender in (*route.senders, Sender())
        )
        self._found: dict[tuple[str, str, str], tuple[int, tuple[Route, ...]]] = {}
        self._classes: dict[Tiers, int] = {_EVERYBODY: ANY, (): NO_ROUTE, _NONE: NOBODY}
        self._singles = 0
        self._masks: tuple[dict[int, str], int, dict[int, int]] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether there is no route, and no class was ever asked for but that of messages which any SIM may send."""
        return not self.routes and len(self._classes) == _RESERVED

    # -- a message's class

    def class_of(
        self, number: int, tag: str = "", purpose: str = "", pin: int = 0, keeper: int = 0, refused_by: int = 0
    ) -> int:
        """The class of a message to `number`, ANY where there are no routes or the number is not known (0).

        `pin` is the SIM that its sender asked for, before all routes.  `keeper` is the SIM that the number was texted
        by: it comes first if any of the routes has it.  The routes that have `refused_by` come last.
        """
        if pin:
            return self._class((frozenset({pin}),), NOBODY, is_single=True)
        if not number or not (self.routes or keeper):
            return ANY
        if not self.routes:
            return self._kept(keeper, _EVERYBODY, ANY)
        known, candidates = self._look(number, tag, purpose)
        if refused_by and len(candidates) > 1:
            tiers = self._joined(sorted(candidates, key=lambda route: self._has(route, refused_by)))
            known = self._class(tiers, known)
        if keeper and candidates:
            return self._kept(keeper, self._joined(candidates), known)
        return known

    def of_due(self, due: Due, keeper: int = 0) -> int:
        """The class of a message by its entry in the store's due line."""
        return self.class_of(due.number, due.tag, due.purpose, due.wanted, keeper, due.refused_by)

    def candidates(self, number: int, tag: str = "", purpose: str = "") -> tuple[Route, ...]:
        """The routes that such a message may go by, the first one first."""
        return self._look(number, tag, purpose)[1]

    def _look(self, number: int, tag: str, purpose: str) -> tuple[int, tuple[Route, ...]]:
        key = self._key(number, tag, purpose)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _KEPT:
                self._found.clear()
            candidates = self._match(number, key[1], key[2])
            found = self._found[key] = (self._class(self._joined(candidates), NOBODY), candidates)
        return found

    def _key(self, number: int, tag: str, purpose: str) -> tuple[str, str, str]:
        """All that the routes can tell messages apart by."""
        tag = tag if tag in self._tags else ""
        purpose = purpose if purpose in self._purposes else ""
        digits = str(number)
        if self._by_country:
            known_by = max(self._deepest, _AREA if _SHARED.intersection(_heads(digits)) else _CODE)
        else:
            known_by = self._deepest
        return digits[:known_by], tag, purpose

    def _match(self, number: int, tag: str, purpose: str) -> tuple[Route, ...]:
        digits = str(number)
        country = country_of(number) if self._by_country else ""
        of_country = len(_code_of(digits)) if country else 0
        matching: list[tuple[tuple[int, bool, bool, int, int, int], Route]] = []
        for route in self.routes:
            if (route.tags and tag not in route.tags) or (route.purposes and purpose not in route.purposes):
                continue
            reach = _depth(self._reaches[route.id], digits[: self._deepest])
            if of_country > reach and country in route.countries:
                reach = of_country
            if reach or not (self._reaches[route.id] or route.countries):
                rank = (-reach, not route.tags, not route.purposes, route.cost_minor, route.order, route.id)
                matching.append((rank, route))
        candidates: list[Route] = []
        for _, route in sorted(matching, key=lambda entry: entry[0]):
            candidates.append(route)
            if not route.failover:
                break
        return tuple(candidates)

    def _joined(self, candidates: Iterable[Route]) -> Tiers:
        tiers: list[Tier] = []
        for route in candidates:
            for tier in self._tiers[route.id]:
                tiers.append(tier)
                if not tier:
                    return tuple(tiers)  # every SIM: there is nobody behind it
        return tuple(tiers)

    def _has(self, route: Route, sim: int) -> bool:
        return any(sim in tier for tier in self._tiers[route.id])

    def _kept(self, keeper: int, tiers: Tiers, known: int) -> int:
        """The class of the SIM that keeps a number, if one of the tiers has it; else the one `known` without."""
        if not any(not tier or keeper in tier for tier in tiers):
            return known
        return self._class((frozenset({keeper}), *tiers), known, is_single=True)

    def _class(self, tiers: Tiers, otherwise: int, *, is_single: bool = False) -> int:
        known = self._classes.get(tiers)
        if known is not None:
            return known
        if len(self._classes) >= CLASSES or (is_single and self._singles >= SINGLES_MOST):
            log.warning("routes make more than %d classes: some messages wait, or go by the usual order", CLASSES)
            return otherwise
        self._singles += is_single
        made = self._classes[tiers] = len(self._classes)
        return made

    # -- what it costs

    def cost(self, number: int, tag: str, purpose: str, sim: int, port: str) -> int:
        """What a part costs by the first of its routes that has the SIM, or the modem it is in; in minor units.

        0 where none has it.  From any thread: it makes no class.
        """
        for route in self._known(number, tag, purpose):
            if not route.senders:
                return route.cost_minor
            for sender in route.senders:
                if (sender.sim and sender.sim == sim) or (sender.port and sender.port == port):
                    return _cost_of(route, sender)
        return 0

    def dearest(self, number: int, tag: str, purpose: str) -> int:
        """What a part costs at most, whichever of its senders takes it.  From any thread."""
        costs = [
            cost
            for route in self._known(number, tag, purpose)
            for cost in ([_cost_of(route, sender) for sender in route.senders] or [route.cost_minor])
        ]
        return max(costs, default=0)

    def _known(self, number: int, tag: str, purpose: str) -> tuple[Route, ...]:
        key = self._key(number, tag, purpose)
        found = self._found.get(key)
        return self._match(number, key[1], key[2]) if found is None else found[1]

    # -- who may send it

    def masks(self, available: Available) -> dict[int, int]:
        """Of each available SIM, the classes it may send as bits: what the due line's `pop` takes."""
        if self._masks is not None and self._masks[:2] == (available, len(self._classes)):
            return self._masks[2]
        masks = dict.fromkeys(available, 1 << ANY | 1 << NO_ROUTE)
        for tiers, number in self._classes.items():
            for sim in _first(tiers, available):
                masks[sim] |= 1 << number
        self._masks = dict(available), len(self._classes), masks
        return masks

    @property
    def all(self) -> int:
        """All classes as bits.  What no available SIM may send waits, and nobody else meets its deadline."""
        return (1 << len(self._classes)) - 1

    def senders(self, number: int, available: Available) -> frozenset[int]:
        """The SIMs by which a message of class `number` may go now."""
        return frozenset(sim for sim, mask in self.masks(available).items() if mask >> number & 1)

    def reachable(self, number: int, present: Available) -> frozenset[int]:
        """Those of the SIMs by which a message of class `number` could go at all, were the others not there."""
        tiers = next(tiers for tiers, known in self._classes.items() if known == number)
        return frozenset(sim for sim, port in present.items() if _first(tiers, {sim: port}))

    def verdict(self, message: Asked, now_ms: int) -> Verdict:
        """SEND, or HELD where routes are defined and none takes the message.  From any thread: it makes no class."""
        if message.sim or not self.routes:
            return SEND
        if self._known(message.number, message.tag, message.purpose):
            return SEND
        return Verdict(State.HELD, REASON, now_ms + HOLD_MS)


def _tiers_of(route: Route) -> Tiers:
    if not route.senders:
        return _EVERYBODY
    by_cost: dict[int, set[int | str]] = {}
    for sender in route.senders:
        by_cost.setdefault(_cost_of(route, sender), set()).add(sender.sim or sender.port)
    return tuple(frozenset(by_cost[cost]) for cost in sorted(by_cost))


def _cost_of(route: Route, sender: Sender) -> int:
    return sender.cost_minor if sender.cost_minor >= 0 else route.cost_minor


def _first(tiers: Tiers, available: Available) -> Iterable[int]:
    for tier in tiers:
        found = [sim for sim, port in available.items() if not tier or sim in tier or port in tier]
        if found:
            return found
    return ()


# -- where a number is


def _reach_of(route: Route, operators: Operators) -> frozenset[str]:
    """All prefixes that the route names, without the plus."""
    named = (prefix.removeprefix("+") for operator in route.operators for prefix in operators.get(operator, ()))
    # An operator that the settings do not know any more has no numbers; that is not the same as naming none.
    return frozenset((*route.prefixes, *named)) or (frozenset({"0"}) if route.operators else frozenset())


def _depth(prefixes: frozenset[str], digits: str) -> int:
    """How many digits of the number are named, 0 for none."""
    return next((length for length in range(len(digits), 0, -1) if digits[:length] in prefixes), 0) if prefixes else 0


def _heads(digits: str) -> tuple[str, str, str]:
    """What may be its calling code."""
    return digits[:1], digits[:2], digits[:3]


def _code_of(digits: str) -> str:
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((head for head in _heads(digits) if int(head) in codes), "")


@lru_cache(maxsize=_KEPT)
def country_of(number: int) -> str:
    """The country of a number (ISO 3166-1 alpha-2), empty where its calling code is none's.

    Of a calling code that several share, the number itself tells; where it does not, the largest of them has it.
    """
    code = _code_of(str(number))
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)] if code else ()
    if len(regions) > 1:
        national = phonenumbers.PhoneNumber(int(code), int(str(number)[len(code) :] or "0"))
        found = phonenumbers.region_code_for_number(national)
        if found:
            return str(found)
    return regions[0] if regions and regions[0] != "001" else ""


# -- the routes as they are


class Routing:
    """The classes of the routes in the store, made anew when those change; `on_change` is told then.

    Where it `is_sticky`, a number is kept by the SIM that texted it last (sticky.py).
    """

    def __init__(
        self,
        store: Store,
        operators: Operators | None = None,
        on_change: Callable[[], None] | None = None,
        is_sticky: bool = False,
    ) -> None:
        self._store = store
        self._operators = operators or {}
        self.on_change = on_change
        self.is_sticky = is_sticky
        self.classes = Classes()
        self._ports: dict[int, str] = {}
        store.follow(self._follow)

    def load(self) -> None:
        """Read the routes; once, before anything is lined up."""
        with self._store.read() as txn:
            self.classes = Classes(listed(txn), self._operators)

    def _follow(self, notes: list[Note]) -> None:
        if any(line == ROUTES.name for line, _, _ in notes):
            self.load()
            if self.on_change is not None:
                self.on_change()

    @property
    def is_plain(self) -> bool:
        """Whether every SIM may send everything: no routes, no numbers that are kept, no message that names a SIM."""
        return self.classes.is_plain and not self.is_sticky

    def of(self, known: Due | Packed) -> int:
        """The class of what stands in the line.  What is under way on a SIM is pinned to it, whoever pops it."""
        if isinstance(known, Packed):
            return self.classes.class_of(known.number, "", known.purpose, 0, self._keeper(known.number))
        return ANY if known.sim else self.classes.of_due(known, self._keeper(known.number))

    def _keeper(self, number: int) -> int:
        if not self.is_sticky:
            return 0
        with self._store.read() as txn:
            return sticky.of(txn, number)

    def price(self, number: int, purpose: str) -> int | None:
        """What a part to a number costs by the first of its routes, in minor units; None where none takes it."""
        if not self.classes.routes:
            return 0
        candidates = self.classes.candidates(number, "", purpose)
        if not candidates:
            return None
        first = candidates[0]
        return min((_cost_of(first, sender) for sender in first.senders), default=first.cost_minor)

    @property
    def are_priced(self) -> bool:
        """Whether any part costs anything."""
        return self.classes.are_priced

    def sits(self, sim: int, port: str) -> None:
        """A SIM is in the modem of that port: prices of senders that are told by their port are its own."""
        self._ports[sim] = port

    def cost(self, number: int, tag: str, purpose: str, sim: int) -> int:
        """What a part costs by that SIM, in minor units.  From any thread."""
        classes = self.classes
        return classes.cost(number, tag, purpose, sim, self._ports.get(sim, "")) if classes.are_priced else 0

    def dearest(self, number: int, tag: str, purpose: str) -> int:
        """What a part costs at most, whichever SIM takes it.  From any thread."""
        return self.classes.dearest(number, tag, purpose) if self.classes.are_priced else 0

    def accepted(self, txn: Txn, number: int, sim: int, now_ms: int) -> None:
        """The network took a part to the number from the SIM."""
        if self.is_sticky:
            sticky.note(txn, number, sim, now_ms)

    def gated(self, gate: Gate) -> Gate:
        """The gate, and behind it the rule that what has no route is held."""

        def routed(txn: Txn, asked: Sequence[Asked], now_ms: int) -> list[Verdict]:
            verdicts = gate(txn, asked, now_ms)
            if not self.classes.routes:
                return verdicts
            return [
                self.classes.verdict(message, now_ms) if verdict.sends else verdict
                for message, verdict in zip(asked, verdicts, strict=True)
            ]

        return routed
