"""Variants: how each wording of a campaign did.

Which row has which wording is told by its message's id alone (engine/traffic/bulk.py), so that nothing is kept of it;
what became of the rows is read from their slots, a stretch at a turn of the loop.
"""

import asyncio
from collections import Counter
from typing import Final

import msgspec

from engine.crm.marketing import campaigns, responses
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import sheets, slots
from engine.traffic.bulk import variant_of
from engine.traffic.messages import MESSAGES, State

SHEETS: Final = 30  # of some hundred rows each, at a turn of the loop
VARIANTS_MOST: Final = 9
LETTERS: Final = "ABCDEFGHIJ"


class Outcome(msgspec.Struct):
    """What became of the rows that one wording was for, and what people did about it."""

    states: Counter[State] = msgspec.field(default_factory=Counter)
    replied: int = 0
    clicked: int = 0
    opted_out: int = 0


def letter(campaign: Campaign, identifier: int) -> str:
    """Which wording the message has: A is the first.  Empty where there is one alone."""
    return LETTERS[variant_of(campaign.variants, identifier)] if campaign.variants else ""


async def outcomes(store: Store, identifier: int) -> list[Outcome]:
    """One of each wording, the first one first; rows that are kept no more are left out.  Raises NotFound."""
    with store.read() as txn:
        campaign = CAMPAIGNS.get(txn, identifier)
        place = campaigns.gone(txn, campaign)
    found = [Outcome() for _ in range(1 + len(campaign.variants))]
    pattern = bytes(variant_of(campaign.variants, place) for place in range(100))
    while place < campaign.rows:
        with store.read() as txn:
            following = _step(txn, campaign, place, pattern, found)
        if following == place:
            break
        place = following
        await asyncio.sleep(0)
    return found


def _step(txn: Txn, campaign: Campaign, first: int, pattern: bytes, found: list[Outcome]) -> int:
    """Look at some sheets from row `first` on; the row to go on with."""
    cursor = sheets.FED.get(txn, campaign.id).cursor
    unfed = State.CANCELLED if campaign.stage is Stage.CANCELLED else State.ACCEPTED
    behind = first
    for start, identifier, rows in sheets.stretches(txn, campaign.id, first, SHEETS):
        behind = min(start + rows, campaign.rows)
        count = behind - start
        states = slots.states_of(txn, campaign.id, start, count)
        said = (pattern * (count // 100 + 2))[identifier % 100 :][:count]
        fed = min(max(cursor - start, 0), count)
        _count(found, said[:fed], states[:fed], State.QUEUED)
        _count(found, said[fed:], states[fed:], unfed)
        place = states.find(slots.WRITTEN)
        while place >= 0:
            message = MESSAGES.get(txn, identifier + place)
            found[said[place]].states[message.state] += 1
            place = states.find(slots.WRITTEN, place + 1)
        for row, did in responses.of_rows(txn, campaign.id, start, behind - 1).items():
            outcome = found[said[row - start]]
            outcome.replied += did.replied_ms > 0
            outcome.clicked += did.clicked_ms > 0
            outcome.opted_out += did.opted_out_ms > 0
    return behind


def _count(found: list[Outcome], said: bytes, states: bytes, waiting: State) -> None:
    """Count rows by wording and state; those that have a record are asked about there."""
    for (variant, state), rows in Counter(zip(said, states, strict=True)).items():
        if state != slots.WRITTEN:
            found[variant].states[waiting if state == slots.WAITING else State(state)] += rows


def counts(outcome: Outcome) -> dict[str, int]:
    """Rows by the slug of their state."""
    return {state.slug: rows for state, rows in sorted(outcome.states.items()) if rows}
