"""Of a store with something in every table: whoever is erased is in none of them, in whatever table there will be."""

from pathlib import Path

import pytest

from engine import proof
from engine.access.caller import SYSTEM
from engine.crm import erasure
from engine.crm.people import customers, staff
from engine.crm.people.audit import By
from engine.crm.people.customer import Customer, numbers_of
from engine.store.compaction import compact
from engine.store.disk import DATA_FILE
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import intents
from engine.traffic.intents import INTENTS
from engine.traffic.traces import Left
from engine.wiring import TABLES
from tests.engine.crm.test_erasure import found_in
from tests.engine.store.test_environment_before import NOW_MS, PEOPLE, PEPPER, fill

BY = By(SYSTEM, "system", PEPPER)


def land(txn: Txn) -> None:
    """What was in the air came to nobody knows what."""
    for (message, part), _ in list(INTENTS.scan(txn)):
        intents.mark_unknown(txn, message, part, "the line fell silent", NOW_MS + 70)


@pytest.mark.parametrize("left_out", [PEOPLE[0], PEOPLE[5]])
def test_who_is_erased_is_in_no_table_and_who_is_not_is_where_he_was(tmp_path: Path, left_out: int) -> None:
    store = Store(tmp_path / "data", TABLES)
    store.write_now(fill)
    store.write_now(land)
    with store.read() as txn:
        # Who works here is not only a customer.
        staffed = {record.number for record in staff.listed(txn, 0, 100)}
    assert staffed & set(PEOPLE)
    before = found_in(tmp_path / "data" / DATA_FILE, left_out)
    erased = set(PEOPLE) - staffed - {left_out}
    for number in sorted(erased):
        with store.read() as txn:
            person = customers.find_by_number(txn, number)
        if person is None:
            person = store.write_now(customers.add, Customer(0, number), NOW_MS + 80)
        erased |= set(numbers_of(person))
        challenge = store.write_now(erasure.ask, person.id, NOW_MS + 90, BY)[1]
        _ = store.write_now(erasure.confirm, person.id, challenge, NOW_MS + 90, BY).erasure
    with store.read() as txn:
        running = erasure.running(txn)
    for identifier in running:
        while store.write_now(erasure.step, identifier, NOW_MS + 100, 3) is not Left.NOTHING:
            pass
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
    store.close()
    compact(tmp_path / "data")
    assert {number: forms for number in erased if (forms := found_in(tmp_path / "data" / DATA_FILE, number))} == {}
    assert found_in(tmp_path / "data" / DATA_FILE, left_out) >= before - {"u64 little-endian"}
    assert before
