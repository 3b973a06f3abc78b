"""engine/crm/dossier.py: everything of a person is in it, however much there is, and nothing of anybody else."""

import pytest

from engine.access.caller import SYSTEM, Caller
from engine.crm import dossier, erasure, merging
from engine.crm.marketing import topics
from engine.crm.marketing.topics import Topic
from engine.crm.people import audit, customers
from engine.crm.people.audit import By
from engine.crm.people.customer import CUSTOMERS
from engine.errors import Forbidden
from engine.store.environment import Store
from engine.traffic.events import EVENTS
from tests.engine.crm.stage import NOW_MS, PEPPER
from tests.engine.crm.test_erasure import fill

BY = By(SYSTEM, "system", PEPPER)


def everything(store: Store, identifier: int) -> dict[str, list[object]]:
    with store.read() as txn:
        person = CUSTOMERS.get(txn, identifier)
        return {
            chapter: [record for page in dossier.pages(txn, person, chapter) for record in page.records]
            for chapter in dossier.CHAPTERS
        }


def test_every_chapter_has_what_is_kept_of_the_person_and_nothing_of_another(store: Store) -> None:
    ann, bob, _ = fill(store)
    store.write_now(erasure.ask, ann, NOW_MS, BY)
    for word, customer in (("NEWS", ann), ("BATH", bob)):
        store.write_now(topics.add, Topic(0, word, {}), NOW_MS)
        store.write_now(topics.subscribe, customer, word, NOW_MS)
    found = everything(store, ann)
    assert {chapter: len(records) for chapter, records in found.items()} == {
        "consents": 2, "messages": 5, "received": 1, "campaigns": 1, "responses": 1, "timeline": 3,
        "happenings": 2, "members": 1, "points": 1, "coupons": 1, "subscriptions": 1, "audit": 2, "erasures": 1,
    }  # fmt: skip
    assert "roberto" not in repr(found)
    assert "annabel" not in repr(everything(store, bob))


@pytest.mark.parametrize("most", [1, 2])
def test_in_pages_nothing_is_left_out_or_comes_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:  # fmt: skip
    ann, bob, _ = fill(store)
    store.write_now(merging.merge, ann, bob, NOW_MS, BY, "UTC")
    whole = everything(store, ann)
    monkeypatch.setattr(dossier, "PAGE", most)
    assert everything(store, ann) == whole
    assert len(whole["messages"]) == 10


def test_that_it_was_taken_is_kept_and_needs_a_right(store: Store) -> None:
    ann, _, _ = fill(store)
    with pytest.raises(Forbidden):
        store.write_now(dossier.begin, ann, NOW_MS, By(Caller("token", "till"), "api", PEPPER))
    store.write_now(dossier.begin, ann, NOW_MS, BY)
    with store.read() as txn:
        row, *_ = audit.listed(txn, 1, target=customers.name_of(ann))
        *_, (_, event) = EVENTS.scan(txn)
    assert (row.entry.action, event.kind, event.detail) == ("customer.exported", "customer.exported", {})
