"""Audiences: who a campaign goes to, found by a condition and put down person by person.

The condition stays on the campaign beside the list, so that a result can be explained later.  Whoever is found again is
no second recipient; what must not be sent to somebody is decided when it would go (crm/gate.py), not here.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from struct import pack
from typing import Any, Final

from engine import sms
from engine.crm.marketing import campaigns, topics
from engine.crm.marketing.arrival import Arrival
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign
from engine.crm.people import audience, condition_json, customers, fields, references
from engine.crm.people.audience import BATCH, SLICE_S, SNAPSHOT_S, Compile
from engine.crm.people.conditions import AllOf, Condition, Not
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.fields import FieldDef
from engine.crm.people.programs import Compiled
from engine.crm.people.subscription import State
from engine.errors import Invalid, InvalidParam
from engine.store.environment import Store
from engine.store.table import Txn

HOLDOUT_MOST: Final = 90  # of a hundred


def wanted(campaign: Campaign, definition: Condition | None, exclude: Condition | None) -> Condition | None:
    """Whom the one takes and the other does not; None for everybody who subscribes to the campaign's topic.

    Raises Invalid naming `definition` where there is none and no topic either.
    """
    if definition is None and not campaign.topic:
        raise Invalid(
            InvalidParam("definition", "is missing: only a campaign with a topic goes to all its subscribers")
        )
    said = [] if definition is None else [definition]
    if exclude is not None:
        said.append(Not(exclude))
    return None if not said else said[0] if len(said) == 1 else AllOf(tuple(said))


def note(
    txn: Txn, campaign: int, definition: Condition | None, exclude: Condition | None, held_out: int, percent: int
) -> None:
    """Keep on the campaign whom it was meant for.  Raises NotFound."""
    old = CAMPAIGNS.get(txn, campaign)
    told: dict[str, Any] = {"topic": topics.name_of(old.topic)} if old.topic else {}
    if definition is not None:
        told["definition"] = condition_json.to_json(definition)
    if exclude is not None:
        told["exclude"] = condition_json.to_json(exclude)
    campaigns.store(txn, old, audience=told, holdout_percent=percent, held_out=old.held_out + held_out)


def is_held_out(campaign: int, customer: int, percent: int) -> bool:
    """Whether somebody is of those who get nothing, to be compared with: always the same ones."""
    if not percent:
        return False
    drawn = hashlib.blake2b(f"{campaign} {customer}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") % 100 < percent


async def fill(store: Store, arrival: Arrival, campaign: Campaign, compile_: Compile | None, percent: int) -> int:
    """Let everybody whom the condition takes arrive, of the subscribers where the campaign has a topic; how many were
    held out.  Raises RecordBroken, StoreError.
    """
    asked = frozenset(name for text in campaigns.texts_of(campaign) for name in sms.Template(text).fields)
    clock, held_out = time.perf_counter, 0
    arrival.expect(None, lambda *_: None)
    after: bytes | None = b""
    while after is not None:
        with store.read() as txn:
            compiled = None if compile_ is None else compile_(txn)
            own, opened_s = fields.by_key(txn), clock()
            while after is not None and clock() - opened_s < SNAPSHOT_S:
                begun_s = clock()
                while after is not None and clock() - begun_s < SLICE_S:
                    after, found = _step(txn, campaign.topic, compiled, after)
                    for identifier in found:
                        if is_held_out(campaign.id, identifier, percent):
                            held_out += 1
                            continue
                        person = CUSTOMERS.get(txn, identifier)
                        values = merged(person, asked, own)
                        arrival.add((person.number, customers.name_of(identifier), person.language, values))
                await arrival.settle()
                await asyncio.sleep(0)
    return held_out


def _step(txn: Txn, topic: int, compiled: Compiled | None, after: bytes) -> tuple[bytes | None, list[int]]:
    """(the key to go on behind, None at the end; ids of whom the campaign is meant for) of the next customers."""
    if compiled is None:
        found, last = topics.subscribers(txn, topic, int.from_bytes(after, "big"), BATCH, State.ACTIVE)
        return pack(">Q", last) if last else None, [customer for customer, _ in found]
    behind, meant = audience.step(txn, compiled, after)
    return behind, [one for one in meant if topics.is_subscriber(txn, topic, one)] if topic else meant


def merged(person: Customer, asked: frozenset[str], own: Mapping[str, FieldDef]) -> dict[str, str]:
    """The values of a person that a text asks for; what he has not is left out."""
    found: dict[str, str] = {}
    for name in asked:
        value: Any = None
        if name in _PLAIN:
            value = getattr(person, name)
        elif name == "reference":
            value = references.render(references.CUSTOMER, person.reference)
        elif name in own and own[name].id in person.attrs:
            value = fields.write(own[name], person.attrs[own[name].id])
        if value not in (None, "", []):
            found[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


_PLAIN: Final = frozenset({"name", "city", "country", "street", "postcode", "gender"})
