"""engine/proof.py: nothing to say about a store that is whole, and each thing that can be wrong with one."""

from collections.abc import Callable

import msgspec
import pytest

from engine import proof
from engine.access import replays, tokens
from engine.access.caller import SYSTEM
from engine.crm.marketing import uploads
from engine.crm.people import customer, customers
from engine.crm.people.customer import Customer
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import inbox, intents, messages, slots
from engine.traffic.inbox import INBOX, Received
from engine.traffic.intents import INTENTS, REFERENCES, Intent, Reference
from engine.traffic.messages import BY_NUMBER, DUE, MESSAGES, NUMBERS, TALLY, Due, State
from engine.traffic.sheets import FED, PLACES, SHEETS
from engine.traffic.unproven import UNPROVEN, Unproven
from tests.engine.crm import stage
from tests.engine.traffic.stage import NOW_MS, NUMBER, SIM, claim, lose, put, send

CLAIM = replays.claim(bytes(32), "token 1", "k", b"POST")


@pytest.fixture
def lived_in(store: Store) -> Store:
    """A store in which some of everything happened."""
    put(store, parts=2)
    send(store, put(store, wants_report=True), 1)
    lose(store, put(store))
    claim(store, put(store, parts=2))
    store.write_now(messages.cancel, put(store), NOW_MS)
    store.write_now(inbox.add, Received(0, f"+{NUMBER}", SIM, "hello", NOW_MS), NOW_MS)
    store.write_now(customers.add, Customer(0, NUMBER), NOW_MS)
    store.write_now(tokens.add, tokens.fresh(), "till", NOW_MS)
    store.write_now(tokens.add, tokens.fresh(), "desk", NOW_MS)
    store.write_now(tokens.revoke, 1, SYSTEM)
    store.write_now(replays.keep, CLAIM, replays.Answer(200, "text/plain", {}, b"x"), NOW_MS)
    stage.running(store, [stage.row(stage.FIRST + number) for number in range(5)])
    stage.feed(store, 3)
    return store


def found(store: Store) -> list[str]:
    with store.read() as txn:
        return list(proof.differences(txn))


def test_a_store_that_is_whole_has_no_differences(lived_in: Store) -> None:
    assert found(lived_in) == []


def first_message(txn: Txn) -> messages.Message:
    return next(message for _, message in MESSAGES.scan(txn))


def forget_a_message(txn: Txn) -> None:
    MESSAGES.remove(txn, first_message(txn).id)


def change_a_state(txn: Txn) -> None:
    message = first_message(txn)
    MESSAGES.put(txn, message.id, msgspec.structs.replace(message, state=State.HELD))


def break_a_record(txn: Txn) -> None:
    txn.raw.put(MESSAGES.layout.pack(first_message(txn).id), b"\x01\xc1", db=txn.handles["messages"])


def lose_a_row(txn: Txn) -> None:
    key = next(key for key, _ in SHEETS.scan(txn))
    SHEETS.remove(txn, key)


def write_run(txn: Txn) -> int:
    NUMBERS.write(txn, 7, uploads.pairs((5).to_bytes(8, "little"), 9))
    return 7


def move_a_cursor(txn: Txn) -> None:
    key, fed = next(FED.scan(txn))
    FED.put(txn, key, msgspec.structs.replace(fed, cursor=1))


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        pytest.param(lambda txn: TALLY.put(txn, (0, State.QUEUED), 99), "tally", id="a tally"),
        pytest.param(lambda txn: TALLY.put(txn, (5, State.SENT), 1), "tally", id="a tally of nothing"),
        pytest.param(lambda txn: BY_NUMBER.add(txn, NUMBER, 5), "messages_by_number", id="an index too many"),
        pytest.param(
            lambda txn: replays.REPLAYS.remove(txn, CLAIM.name), "replays_by_time", id="an answer that is gone"
        ),
        pytest.param(
            lambda txn: tokens.BY_NUMBER.put(txn, 2, b""), "tokens_by_number", id="a token without its number"
        ),
        pytest.param(
            lambda txn: BY_NUMBER.remove(txn, NUMBER, first_message(txn).id),
            "messages_by_number",
            id="one too few",
        ),
        pytest.param(lambda txn: DUE.put(txn, (2, 0, 5), Due(0, 1, 1, 0)), "due", id="a due entry of nothing"),
        pytest.param(
            lambda txn: messages.leave_line(txn, first_message(txn)), "due", id="a message that is in no line"
        ),
        pytest.param(lambda txn: INTENTS.put(txn, (5, 0), Intent(1, 1, 1)), "intents", id="an intent of nothing"),
        pytest.param(
            lambda txn: [INTENTS.remove(txn, key) for key, _ in list(INTENTS.scan(txn))],
            "intents",
            id="no intent",
        ),
        pytest.param(lambda txn: UNPROVEN.put(txn, (1, 5, 0), Unproven(1, -1, 0, 1)), "unproven", id="unproven"),
        pytest.param(
            lambda txn: REFERENCES.put(txn, (1, 1, NUMBER, 1), Reference(5, 0)),
            "references",
            id="a reference",
        ),
        pytest.param(lambda txn: INBOX.put(txn, 5, 1), "inbox", id="an inbox entry of nothing"),
        pytest.param(lambda txn: inbox.BY_ORIGINATOR.add(txn, NUMBER, 5), "received_by_number", id="an index of texts"),
        pytest.param(
            lambda txn: customer.BY_NUMBER.remove(txn, NUMBER),
            "customers_by_number",
            id="a customer's number",
        ),
        pytest.param(
            lambda txn: NUMBERS.publish(txn, [write_run(txn)]), "row_numbers", id="a row's number that is nobody's"
        ),
        pytest.param(
            lambda txn: [PLACES.remove(txn, key) for key, _ in list(PLACES.scan(txn))], "sheet_places", id="a place"
        ),
        pytest.param(
            lambda txn: [slots.write_out(txn, group, 0) for (group,), _ in FED.scan(txn)], "tally", id="a slot"
        ),
        pytest.param(lose_a_row, "sheets", id="a sheet"),
        pytest.param(move_a_cursor, "tally", id="a cursor"),
        pytest.param(forget_a_message, "tally", id="a message"),
        pytest.param(change_a_state, "tally", id="a state"),
        pytest.param(break_a_record, "messages", id="a broken record"),
    ],
)
def test_each_damage_is_found_by_the_name_of_its_table(
    lived_in: Store, damage: Callable[[Txn], object], table: str
) -> None:
    lived_in.write_now(damage)
    assert any(line.startswith(table) for line in found(lived_in))


def test_a_crash_and_its_recovery_leave_it_whole(lived_in: Store) -> None:
    lived_in.write_now(intents.recover, NOW_MS)
    assert found(lived_in) == []
