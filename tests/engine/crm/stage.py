"""Campaigns and rows to play with."""

from collections.abc import Sequence

from engine import proof
from engine._sheet import count
from engine.config import House
from engine.crm.marketing import campaigns, feeding, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign
from engine.crm.marketing.recipients import Row
from engine.crm.marketing.uploads import Fault, Upload
from engine.store.environment import Store
from engine.traffic import messages
from engine.traffic.messages import Message
from engine.traffic.sheets import FED, SHEETS

NOW_MS = 1_700_000_000_000
PEPPER = b"p" * 32
HOUSE = House()
FIRST = 4_915_100_000_000


def draft(store: Store, text: str = "hello", purpose: str = "service", **fields: object) -> Campaign:
    campaign = Campaign(**{"id": 0, "name": "test", "texts": {"en": text}, "purpose": purpose, **fields})  # type: ignore[arg-type]
    return store.write_now(campaigns.add, campaign, NOW_MS)


def row(number: int = FIRST, **fields: object) -> Row:
    return Row(f"+{number}", **fields)  # type: ignore[arg-type]


def numbered(rows: Sequence[Row], first: int = 1) -> list[tuple[int, int, Row]]:
    return [(first + at, int(row.to[1:]), row) for at, row in enumerate(rows)]


def upload(
    store: Store, campaign: int, rows: Sequence[Row], faults: dict[int, Fault] | None = None, chunk: int = 100
) -> Upload:
    """All of an upload, in chunks."""
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    everything = numbered(rows)
    for begin in range(0, len(everything), chunk):
        rows_ = everything[begin : begin + chunk]
        begun = store.write_now(uploads.add_rows, begun, rows_, faults or {}, PEPPER, NOW_MS)
        faults = None
    return store.write_now(uploads.finish, begun, NOW_MS)


def launch(store: Store, campaign: int, now_ms: int = NOW_MS) -> None:
    store.write_now(campaigns.launch, campaign, now_ms)


def feed(store: Store, parts: int = 100, now_ms: int = NOW_MS) -> int:
    return store.write_now(feeding.feed, now_ms, parts, HOUSE, PEPPER)


def running(store: Store, rows: Sequence[Row], text: str = "hello", purpose: str = "service", **fields: object) -> int:
    """A launched campaign with these rows, nothing fed; its id."""
    campaign = draft(store, text, purpose, **fields).id
    upload(store, campaign, rows)
    launch(store, campaign)
    return campaign


def campaign_of(store: Store, identifier: int) -> Campaign:
    with store.read() as txn:
        return CAMPAIGNS.get(txn, identifier)


def counts(store: Store, identifier: int) -> dict[str, int]:
    with store.read() as txn:
        found = campaigns.counts(txn, CAMPAIGNS.get(txn, identifier))
        assert sum(found.values()) == CAMPAIGNS.get(txn, identifier).rows
        return found


def fed(store: Store) -> list[Message]:
    """All messages that somebody has looked at, rows of campaigns among them, oldest first."""
    with store.read() as txn:
        everything = list(messages.listed(txn, None, 0, 10_000))[::-1]
        return [one for one in everything if one.packed_row < 0 or one.packed_row < FED.get(txn, one.group).cursor]


def rows_stored(store: Store) -> int:
    """Rows in sheets, whether they count or not."""
    with store.read() as txn:
        return sum(count(octets) for _, octets in SHEETS.scan(txn))


def differences(store: Store) -> list[str]:
    with store.read() as txn:
        return list(proof.differences(txn))
