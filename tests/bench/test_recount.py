"""A recount tells a counter that is wrong, and its crowd is one among whom every counter moves."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from bench.recount import GOING, KINDS, crowd, recount
from engine.config import QuietHours
from engine.crm import quiet
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.crm.people.zones import zones_of
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.messages import State
from engine.wiring import TABLES
from tests.engine.crm import stage

HOUR_MS = 3_600_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()


def found(txn: Txn, campaign: int) -> list[str]:
    return recount(txn, CAMPAIGNS.get(txn, campaign)).differences


def test_a_counter_beside_its_rows_is_told(store: Store) -> None:
    campaign = stage.running(store, [stage.row(stage.FIRST + at) for at in range(10)])
    stage.feed(store, 4)
    with store.read() as txn:
        assert recount(txn, CAMPAIGNS.get(txn, campaign)) == ({"queued": 4, "accepted": 6}, 10, [])
    store.write_now(messages.count, campaign, State.QUEUED, -1)
    store.write_now(messages.count, campaign, State.SENT, 1)
    with store.read() as txn:
        assert found(txn, campaign) == [
            "queued: 3 by the counter, 4 by the rows",
            "sent: 1 by the counter, 0 by the rows",
        ]
    store.write_now(messages.count, campaign, State.SENT, 1)
    with store.read() as txn:
        assert "the counters sum to 11, and there are 10 recipients" in found(txn, campaign)


@pytest.mark.parametrize("hour", range(24))
def test_at_any_hour_it_is_day_for_some_and_night_for_others(hour: int) -> None:
    now_ms = stage.NOW_MS + hour * HOUR_MS
    people = crowd(Random(hour), 1000, now_ms)
    assert len({person.number for person in people}) == 1000
    assert {person.kind.name for person in people} == {kind.name for kind in KINDS}
    for person in people[:100]:
        zones = zones_of(person.number, "UTC")
        is_night = bool(quiet.opening(now_ms, zones, *QuietHours().service))
        assert is_night is (person.kind.name == "at night")


def test_what_goes_is_known_in_parts() -> None:
    assert Counter(kind.parts for kind in GOING) == {1: 2, 3: 1}
