"""The proof that a store is whole: indexes, tallies, the due line and intents against a rebuild from the records.

Reads only.  Each finding names its table and key, the first one first in reading order.
"""

from collections import Counter
from collections.abc import Iterator, Set
from typing import Any

from engine.access import deliveries, replays, tokens
from engine.crm import erasure, merging
from engine.crm.marketing import coupons, links, points, responses, rewards, topics
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.crm.people import audit, consent, customer, staff
from engine.crm.people.customer import CUSTOMERS
from engine.errors import RecordBroken
from engine.store.table import Txn
from engine.traffic import inbox, messages, retention, sheets, slots
from engine.traffic.inbox import INBOX, RECEIVED, Progress
from engine.traffic.intents import INTENTS, REFERENCES
from engine.traffic.messages import DUE, MESSAGES, TALLY, State
from engine.traffic.routes import ROUTES
from engine.traffic.sheets import FED
from engine.traffic.spending import SPENT, parts_of
from engine.traffic.unproven import SETTLED, UNPROVEN

ROWS_MOST = 1 << 32
_COSTS = (State.SENDING, State.SENT, State.DELIVERED, State.UNDELIVERED)


def differences(txn: Txn) -> Iterator[str]:
    """What is not as a rebuild would make it; nothing where all is well."""
    try:
        yield from _messages(txn)
        yield from _references(txn)
        yield from _received(txn)
        yield from _customers(txn)
        yield from _campaigns(txn)
        yield from links.differences(txn)
        yield from responses.differences(txn)
        yield from _routes(txn)
        yield from deliveries.differences(txn)
        yield from staff.differences(txn)
        yield from audit.differences(txn)
        yield from points.differences(txn)
        yield from rewards.differences(txn)
        yield from coupons.differences(txn)
        yield from topics.differences(txn)
        yield from _access(txn)
        yield from merging.differences(txn)
        yield from erasure.differences(txn)
    except RecordBroken as error:
        yield str(error)


def _compare(table: str, found: Set[tuple[Any, ...]], wanted: Set[tuple[Any, ...]]) -> Iterator[str]:
    for key in sorted(wanted - found):
        yield f"{table}: {key} is missing"
    for key in sorted(found - wanted):
        yield f"{table}: {key} leads nowhere"


def _messages(txn: Txn) -> Iterator[str]:
    tally: Counter[tuple[int, int]] = Counter()
    spent: Counter[int] = Counter()
    by_number: set[tuple[int, ...]] = set()
    due: set[tuple[int, ...]] = set()
    intents: set[tuple[int, ...]] = set()
    unproven: set[tuple[int, ...]] = set()
    for (identifier,), message in MESSAGES.scan(txn):
        tally[message.group, message.state] += 1
        spent[message.group] += parts_of(message.parts)
        place = sheets.place_of(txn, identifier)
        if place is None:
            by_number.add((message.number, identifier))
        elif slots.find(txn, *place)[0] != slots.WRITTEN:
            yield f"slots: row {place[1]} of group {place[0]} has a record, and its slot does not say so"
        ended = message.state in (State.SUPPRESSED, State.CANCELLED, State.EXPIRED, State.FAILED)
        for index, part in enumerate(message.parts):
            if part.state is State.QUEUED and not ended:
                due.add((message.lane, message.due_ms, identifier))
            if part.state is State.SENDING:
                intents.add((identifier, index))
            if part.state is State.UNKNOWN:
                unproven.add((part.sim, identifier, index))
    for (group,), fed in sheets.FED.scan(txn):
        for ended_as, units in enumerate(fed.ended):
            tally[group, ended_as] += units
        for row, state in enumerate(slots.states(txn, group, fed.rows)):
            if row >= fed.cursor:
                if state == slots.WAITING:
                    continue
                # It was cancelled before it was fed, and so before it was counted.
                tally[group, State.ACCEPTED] -= 1
            if row < fed.gone or state == slots.WRITTEN:
                continue
            tally[group, State.QUEUED if state == slots.WAITING else state] += 1
            if state in (State.SENDING, State.SENT, State.DELIVERED) and not slots.find(txn, group, row)[-2]:
                yield f"slots: row {row} of group {group} was sent by no SIM"
            if row < fed.settled and state in (slots.WAITING, State.SENDING):
                yield f"fed: row {row} of group {group} is open below the mark"
            if state in _COSTS:
                spent[group] += 1
    whole = {group for (group,), fed in sheets.FED.scan(txn) if not fed.gone}
    for (group,), parts in SPENT.scan(txn):
        if group in whole and parts != spent[group]:
            yield f"parts_spent: group {group} says {parts}, a rebuild {spent[group]}"
    yield from _compare("messages_by_number", set(messages.BY_NUMBER.scan(txn)), by_number)
    yield from _compare("due", {key for key, _ in DUE.scan(txn)}, due)
    yield from _compare("intents", {key for key, _ in INTENTS.scan(txn)}, intents)
    yield from _compare("unproven", {key for key, _ in UNPROVEN.scan(txn) if key[1] != SETTLED}, unproven)
    stored = dict(TALLY.scan(txn))
    for key in sorted(stored.keys() | tally.keys()):
        if stored.get(key, 0) != tally.get(key, 0):
            yield f"tally: {key} says {stored.get(key, 0)}, a rebuild {tally.get(key, 0)}"


def _references(txn: Txn) -> Iterator[str]:
    for key, reference in REFERENCES.scan(txn):
        message = messages.find(txn, reference.message)
        if message is None or reference.part >= len(message.parts):
            yield f"references: {key} leads nowhere"


def _received(txn: Txn) -> Iterator[str]:
    by_number: set[tuple[int, ...]] = set()
    waiting: set[tuple[int, ...]] = set()
    for (identifier,), received in RECEIVED.scan(txn):
        by_number.add((inbox.key_of(received.originator), identifier))
        if received.progress is Progress.ASSEMBLED:
            waiting.add((identifier,))
    yield from _compare("received_by_number", set(inbox.BY_ORIGINATOR.scan(txn)), by_number)
    yield from _compare("inbox", {key for key, _ in INBOX.scan(txn)}, waiting)


def _customers(txn: Txn) -> Iterator[str]:
    numbers: set[tuple[Any, ...]] = set()
    references: set[tuple[Any, ...]] = set()
    entries: dict[str, set[tuple[Any, ...]]] = {index.name: set() for index in customer.INDEXES}
    for (identifier,), record in CUSTOMERS.scan(txn):
        numbers.update((number, identifier) for number in customer.numbers_of(record))
        references.add((record.reference, identifier))
        for index, key in customer.keys_of(record):
            entries[index.name].add(key)
        if record.granted != consent.standing(txn, record.number):
            yield f"customers: {identifier} is granted {record.granted}, its consents say otherwise"
    for unique, wanted in ((customer.BY_NUMBER, numbers), (customer.BY_REFERENCE, references)):
        found = {(*key, identifier) for key, identifier in unique.scan(txn)}
        yield from _compare(unique.name, found, wanted)
    for index in customer.INDEXES:
        yield from _compare(index.name, set(index.scan(txn)), entries[index.name])


def _campaigns(txn: Txn) -> Iterator[str]:
    numbers: set[tuple[int, int]] = set()
    blank: set[int] = set()  # of people who were erased
    for (identifier,), campaign in CAMPAIGNS.scan(txn):
        fed = FED.get(txn, identifier)
        rows = [(number, row) for number, row in sheets.read_rows(txn, identifier, fed.gone, ROWS_MOST)]
        if not campaign.uploading and [number for number, _ in rows] != list(range(fed.gone, campaign.rows)):
            yield f"sheets: campaign {identifier} has {len(rows)} rows and says {campaign.rows}, {fed.gone} are gone"
        if fed.rows != campaign.rows:
            yield f"fed: campaign {identifier} has {campaign.rows} rows, {fed.rows} of which count"
        if not fed.settled <= fed.cursor <= fed.rows:
            yield f"fed: campaign {identifier} has fed {fed.cursor} of {fed.rows} rows, {fed.settled} are settled"
        made = sum(messages.tally(txn, identifier).values())
        if made != fed.cursor:
            yield f"tally: campaign {identifier} has fed {fed.cursor} rows and made {made} messages"
        for number, row in rows[: fed.rows - fed.gone]:
            if row.number:
                numbers.add((row.number, row.id))
            else:
                blank.add(row.id)
            if sheets.place_of(txn, row.id) != (identifier, number):
                yield f"sheet_places: row {number} of campaign {identifier} is not where its id leads"
    found = set(messages.NUMBERS.scan(txn))
    if erasure.running(txn):
        # The index is the last that a number leaves.
        found = {pair for pair in found if pair[1] not in blank}
    known = retention.forgotten(txn)
    stale = {pair for pair in found - numbers if pair[1] <= known.highest and sheets.place_of(txn, pair[1]) is None}
    yield from _compare("row_numbers", found - stale, numbers)
    if len(stale) > known.stale:
        yield f"forgotten: {len(stale)} pairs of row_numbers lead nowhere, not {known.stale} at most"


def _routes(txn: Txn) -> Iterator[str]:
    named: Counter[str] = Counter()
    for (identifier,), route in ROUTES.scan(txn):
        named[route.name] += 1
        if route.id != identifier:
            yield f"routes: {identifier} says that it is {route.id}"
    for name, times in sorted(named.items()):
        if times > 1:
            yield f"routes: {times} have the name {name!r}"


def _access(txn: Txn) -> Iterator[str]:
    by_time = {(kept.at_ms, name) for (name,), kept in replays.REPLAYS.scan(txn)}
    yield from _compare("replays_by_time", set(replays.BY_TIME.scan(txn)), by_time)
    numbered = {(token.number, hashed) for (hashed,), token in tokens.TOKENS.scan(txn) if token.number}
    known = {(number, hashed) for (number,), hashed in tokens.BY_NUMBER.scan(txn) if hashed}
    yield from _compare("tokens_by_number", known, numbered)
