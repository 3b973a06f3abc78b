"""An audience: whom a condition takes, found by one walk over the customers, a little at a turn of the loop."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from engine import numbers
from engine.crm.people.conditions import Condition
from engine.crm.people.customer import CUSTOMERS, Customer, numbers_of
from engine.crm.people.happenings import HAPPENED, KINDS, Happening
from engine.crm.people.house_words import COUNTED, HouseWords
from engine.crm.people.member import MEMBERS
from engine.crm.people.programs import Compiled, Resolve, compile_condition
from engine.errors import RecordBroken
from engine.store import ids
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import inbox, messages
from engine.traffic.messages import State

BATCH: Final = 500  # customers that native code looks at in one go: a fifth of a millisecond
SLICE_S: Final = 0.001  # of the loop's time in one turn
PAGE_S: Final = 0.02
SNAPSHOT_S: Final = 0.5  # a reader that stays longer keeps LMDB from using pages again
# Where more than this part of a batch needs another table, that is walked too; else it is sought in.
_WALK_FROM: Final = 0.25
_TEXTS_MOST: Final = 1000  # of one person, that are looked at for a condition

_IN: Final = KINDS.index("sms_in")
_OUT: Final = KINDS.index("sms_out")
_CAMPAIGN: Final = KINDS.index("campaign")
_WENT: Final = frozenset({State.SENT, State.DELIVERED, State.UNDELIVERED, State.UNKNOWN, State.SENDING})

Compile = Callable[[Txn], Compiled]


def compiling(
    condition: Condition, words: HouseWords, resolve: Callable[[Txn], Resolve], now_ms: int, zone: str
) -> Compile:
    """How `walk` gets the program of a condition, once for each snapshot that it reads."""
    return lambda txn: compile_condition(txn, condition, words, resolve(txn), now_ms, zone)


async def walk(store: Store, compile_: Compile, take: Callable[[list[int]], None]) -> None:
    """Give `take` the ids of all customers of whom the condition is true, in order, lot by lot.

    Customers that change meanwhile are seen as they are before or after.  Raises RecordBroken.
    """
    clock = time.perf_counter
    after: bytes | None = b""
    while after is not None:
        with store.read() as txn:
            compiled, opened_s = compile_(txn), clock()
            while after is not None and clock() - opened_s < SNAPSHOT_S:
                begun_s = clock()
                while after is not None and clock() - begun_s < SLICE_S:
                    after, found = step(txn, compiled, after)
                    if found:
                        take(found)
                await asyncio.sleep(0)


def all_of(txn: Txn, compiled: Compiled) -> list[int]:
    """The ids of all customers of whom the condition is true, in order."""
    found: list[int] = []
    after: bytes | None = b""
    while after is not None:
        after, more = step(txn, compiled, after)
        found += more
    return found


def page(txn: Txn, compiled: Compiled, after: int, limit: int) -> tuple[list[Customer], int]:
    """(customers above id `after` of whom it is true, the id to go on behind or 0 at the end).

    A page may be short, or empty, where few of many are meant.
    """
    found: list[int] = []
    key: bytes | None = after.to_bytes(8, "big")
    begun_s = time.perf_counter()
    while key is not None and len(found) < limit and time.perf_counter() - begun_s < PAGE_S:
        key, more = step(txn, compiled, key)
        found += more
    last = 0 if key is None else int.from_bytes(key, "big")
    if len(found) > limit:
        found, last = found[:limit], found[limit - 1]
    elif len(found) == limit and key is not None:
        last = found[-1]
    return [CUSTOMERS.get(txn, identifier) for identifier in found], last


def step(txn: Txn, compiled: Compiled, after: bytes) -> tuple[bytes | None, list[int]]:
    """(the key to go on behind, None at the end; ids of whom it is true) of the next customers."""
    items = CUSTOMERS.stretch(txn, after, BATCH)
    if not items:
        return None, []
    return items[-1][0] if len(items) == BATCH else None, judged(txn, compiled, items)


def judged(txn: Txn, compiled: Compiled, items: list[tuple[bytes, bytes]]) -> list[int]:
    """The ids of those of these customers of whom it is true, in order.  Raises RecordBroken."""
    try:
        true, open_ = compiled.program.sift(items)
        if open_:
            members = _members(txn, items, open_) if compiled.needs_members else []
            events = _events(txn, compiled.kinds, items, open_) if compiled.kinds else []
            true = sorted(true + compiled.program.settle(items, open_, members, events))
    except ValueError as error:
        place = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        raise RecordBroken(CUSTOMERS.name, items[place][0], "is not as conditions read it") from error
    return true


def _members(txn: Txn, items: list[tuple[bytes, bytes]], places: list[int]) -> list[tuple[bytes, bytes]]:
    if len(places) >= _WALK_FROM * len(items):
        return MEMBERS.between(txn, items[places[0]][0], _behind(items[places[-1]][0]))
    found = []
    for place in places:
        key = items[place][0]
        octets = MEMBERS.octets(txn, key)
        if octets is not None:
            found.append((key, octets))
    return found


def _events(
    txn: Txn, kinds: frozenset[int], items: list[tuple[bytes, bytes]], places: list[int]
) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    if kinds - COUNTED:
        if len(places) >= _WALK_FROM * len(items):
            found = HAPPENED.between(txn, items[places[0]][0], _behind(items[places[-1]][0]))
        else:
            for place in places:
                key = items[place][0]
                found += HAPPENED.between(txn, key, _behind(key))
    if kinds & COUNTED:
        for place in places:
            found += _counted(txn, kinds & COUNTED, *items[place])
        found.sort(key=lambda item: item[0])
    return found


def _behind(key: bytes) -> bytes:
    return (int.from_bytes(key, "big") + 1).to_bytes(8, "big")


def _counted(txn: Txn, kinds: frozenset[int], key: bytes, octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Texts as happenings, packed as those that are kept."""
    customer = CUSTOMERS.decode(int.from_bytes(key, "big"), octets)
    lots: dict[int, list[Happening]] = {kind: [] for kind in kinds}
    for number in map(numbers.from_key, numbers_of(customer)):
        if _IN in kinds:
            for received in inbox.listed(txn, number, 0, _TEXTS_MOST):
                lots[_IN].append(Happening(received.at_ms, id=inbox.name(received.id)))
        if not {_OUT, _CAMPAIGN} & kinds:
            continue
        for message in messages.listed(txn, number, 0, _TEXTS_MOST):
            if message.state not in _WENT:
                continue
            at_ms = max((part.sent_ms for part in message.parts), default=0) or ids.created_ms(message.id)
            if message.group and _CAMPAIGN in kinds:
                lots[_CAMPAIGN].append(Happening(at_ms, id=ids.render("cmp", message.group)))
            if _OUT in kinds:
                lots[_OUT].append(Happening(at_ms, id=ids.render("msg", message.id)))
    for kind, lot in sorted(lots.items()):
        if lot:
            lot.sort(key=lambda one: one.at_ms)
            yield HAPPENED.packed((customer.id, kind, 0), lot)
