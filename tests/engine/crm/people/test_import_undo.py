"""Undoing an import leaves nothing of it, but who has become somebody since."""

from typing import Any

import pytest

from engine.crm.marketing import topics
from engine.crm.marketing.topics import Topic
from engine.crm.people import (
    customers,
    regions,
    tags,
)
from engine.crm.people.customer import Customer
from engine.crm.people.imports import Counts, State
from engine.crm.people.regions import Region
from engine.store.environment import Store
from tests.engine.crm.people.import_desk import NOW_MS, PROVEN, Desk


def _with_tags(txn: Any, number: int, names: list[str]) -> Customer:
    return customers.add(txn, Customer(0, number, tags=tags.require(txn, names, NOW_MS)), NOW_MS)


@pytest.fixture
def desk(store: Store) -> Desk:
    store.write_now(regions.add, Region(0, "Jiangsu", "JS"), NOW_MS)
    return Desk(store)


async def test_undoing_restores_the_counts_exactly(desk: Desk) -> None:
    desk.store.write_now(customers.add, Customer(0, 8613912345678, "Ann", city="Wuxi"), NOW_MS)
    before, old = desk.counts(), desk.customer(8613912345678)
    file = "number,name,city,tags\n13912345678,Anna Bell,Nanjing,gold\n" + "".join(
        f"+86138{at:08d},Person {at},Nanjing,gold\n" for at in range(700)
    )
    done = await desk.bring(file.encode(), **PROVEN)
    assert done.counts == Counts(new=700, updated=1)
    undone = await desk.undo(done)
    now = desk.customer(8613912345678)
    assert (undone.state, undone.removed, undone.restored, undone.kept) == (State.UNDONE, 700, 1, 0)
    assert desk.counts() == before
    assert now is not None
    assert old is not None
    assert (now.name, now.city, now.tags, now.granted) == (old.name, old.city, old.tags, old.granted)
    assert desk.is_whole() == []


def _names(desk: Desk) -> list[str]:
    with desk.store.read() as txn:
        return [tag.name for tag in tags.listed(txn)]


async def test_tags_that_only_an_import_brought_into_being_go_with_it(desk: Desk) -> None:
    desk.store.write_now(tags.require, ["vip"], NOW_MS)
    file = b"number,tags\n13912345678,VIP;gold\n13912345679,gold;silver\n13912345680,copper;tin\n"
    done = await desk.bring(file, tags=("fair",))
    assert _names(desk) == ["vip", "fair", "copper", "gold", "silver", "tin"]
    # One is somebody else's as well by now, one has another name, one is of the house since before.
    desk.store.write_now(_with_tags, 8613700000000, ["Silver"])
    with desk.store.read() as txn:
        tin = tags.find(txn, "tin")
    assert tin is not None
    desk.store.write_now(tags.rename, tin, "pewter", NOW_MS)
    undone = await desk.undo(done)
    assert (undone.removed, undone.kept, _names(desk)) == (3, 0, ["vip", "silver", "pewter"])
    # An id is not given again, and a name may be.
    (again,) = desk.store.write_now(tags.require, ["gold"], NOW_MS)
    assert again > tin
    assert desk.is_whole() == []


async def test_a_tag_of_an_import_that_is_given_back_to_who_stayed_stays(desk: Desk) -> None:
    done = await desk.bring(b"number,tags\n13912345678,gold\n13912345679,silver\n")
    ann = desk.customer(8613912345678)
    assert ann is not None
    desk.store.write_now(customers.change, ann.id, {"city": "Wuxi"}, None, NOW_MS)
    await desk.undo(done)
    assert _names(desk) == ["gold"]
    assert desk.is_whole() == []


async def test_who_subscribed_to_something_since_stays_at_an_undo(desk: Desk) -> None:
    done = await desk.bring(b"number,name\n13912345678,Ann\n13912345679,Bob\n")
    bob = desk.customer(8613912345679)
    assert bob is not None
    desk.store.write_now(topics.add, Topic(0, "NEWS", {}), NOW_MS)
    desk.store.write_now(topics.subscribe, bob.id, "NEWS", NOW_MS)
    undone = await desk.undo(done)
    assert (undone.removed, undone.kept, desk.customer(8613912345679)) == (1, 1, bob)
    assert desk.is_whole() == []


async def test_whoever_something_happened_to_stays_at_an_undo(desk: Desk) -> None:
    done = await desk.bring(b"number,name\n13912345678,Ann\n13912345679,Bob\n", **PROVEN)
    bob = desk.customer(8613912345679)
    assert bob is not None
    desk.store.write_now(customers.change, bob.id, {"city": "Wuxi"}, None, NOW_MS)
    undone = await desk.undo(done)
    bob = desk.customer(8613912345679)
    assert (undone.removed, undone.kept) == (1, 1)
    assert bob is not None
    assert bob.granted == 0
    assert desk.is_whole() == []
