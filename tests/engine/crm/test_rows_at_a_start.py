"""What a start makes of the rows that the last run had fed and claimed."""

from pathlib import Path

import pytest

from engine import proof
from engine._flights import Flight, Flights
from engine.modem.submission import Submission
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import intents, messages, sheets, slots
from engine.traffic.message import Lane, State
from engine.traffic.messages import GROUPS, MESSAGES
from engine.traffic.page import Page
from engine.traffic.rests import Rests
from engine.traffic.sheets import Waiting
from engine.traffic.spending import Spending, spent
from tests.engine.crm.stage import FIRST, NOW_MS, counts, differences, feed, row, running

SIM = 262_010_000_000_001
LATER_MS = NOW_MS + 60_000


def claim(txn: Txn, group: int, numbers: range, attempt: int = 1) -> None:
    """Rows of one part, as a turn of the scheduler claims them: each on a SIM of its own."""
    opened, spending = slots.opened(txn), Spending(txn)
    for number in numbers:
        opened.put(group, number, State.SENDING, attempt, sim=SIM + number, sent_ms=NOW_MS)
        spending.move(group, 1)
    opened.flush()
    spending.save()
    messages.count(txn, group, State.QUEUED, -len(numbers))
    messages.count(txn, group, State.SENDING, len(numbers))


def end(txn: Txn, group: int, numbers: range) -> None:
    for _, _, message in list(sheets.listed(txn, group, numbers.start, len(numbers), GROUPS)):
        assert message is not None
        messages.end(txn, message, State.CANCELLED, "by_request", NOW_MS)


def waiting(store: Store) -> dict[int, Waiting]:
    with store.read() as txn:
        return {one.number: one for _, feeding in sheets.waiting(txn, GROUPS) for one in feeding.rows}


def sending(store: Store) -> list[int]:
    with store.read() as txn:
        return [message.packed_row for message in sheets.sending(txn, GROUPS)]


def test_open_rows_are_found_wherever_they_stand(store: Store) -> None:
    rows = 3 * slots.OF_A_SHEET
    group = running(store, [row(FIRST + at) for at in range(rows)])
    assert feed(store, rows - 10) == rows - 10
    store.write_now(end, group, range(1, 20))
    store.write_now(end, group, range(21, 200))
    store.write_now(claim, group, range(200, 203))
    store.write_now(end, group, range(203, 400))
    assert sorted(waiting(store)) == [0, 20, *range(400, rows - 10)]
    assert sending(store) == [200, 201, 202]
    with store.read() as txn:
        assert [one.row.number for _, feeding in sheets.waiting(txn, GROUPS) for one in feeding.rows][:2] == [
            FIRST,
            FIRST + 20,
        ]
    assert differences(store) == []


def test_what_ended_behind_a_row_that_waits_long_is_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 20 * slots.OF_A_SHEET
    group = running(store, [row(FIRST + at) for at in range(rows)])
    feed(store, rows)
    store.write_now(end, group, range(1, rows - 1))
    read = 0
    whole = sheets.read_rows

    def counted(txn: Txn, group: int, first: int, limit: int) -> object:
        nonlocal read
        for found in whole(txn, group, first, limit):
            read += 1
            yield found

    monkeypatch.setattr(sheets, "read_rows", counted)
    assert sorted(waiting(store)) == [0, rows - 1]
    assert read == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("hello", {0: ("hello", 1), 1: ("hello", 1)}, id="all the same"),
        pytest.param("x" * 161, {0: ("x" * 161, 2), 1: ("x" * 161, 2)}, id="in two parts"),
        pytest.param(
            "Hi {name:you}" + "x" * 150,
            {0: ("Hi Ada" + "x" * 150, 1), 1: ("Hi Maximiliane" + "x" * 150, 2)},
            id="each its own",
        ),
    ],
)
def test_a_row_says_after_a_start_what_it_said_before(
    store: Store, text: str, said: dict[int, tuple[str, int]]
) -> None:
    running(store, [row(FIRST, values={"name": "Ada"}), row(FIRST + 1, values={"name": "Maximiliane"})], text)
    feed(store)
    assert {number: (one.text, one.parts) for number, one in waiting(store).items()} == said


def test_rows_of_which_nothing_was_written_wait_in_their_slots_again(store: Store, tmp_path: Path) -> None:
    group = running(store, [row(FIRST + at) for at in range(10)])
    feed(store)
    store.write_now(claim, group, range(6), 3)
    page = Page(tmp_path, b"this boot")
    page.begin()
    with store.read() as txn:
        begun = next(message for message in sheets.sending(txn, GROUPS) if message.packed_row == 2)
    flights = Flights(page, Rests(), lambda: NOW_MS, lambda: None, lambda _: None, lambda *_: None)
    flights.on_given(None, Submission(b"", 0, Flight(begun.id, SIM + 2, Lane.BULK)))
    flights.close()
    page.close()
    assert store.write_now(intents.recover, LATER_MS, Page(tmp_path, b"this boot")) == 1
    assert sorted(waiting(store)) == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert sending(store) == []
    assert counts(store, group) == {"queued": 9, "unknown": 1}
    with store.read() as txn:
        assert [message.packed_row for _, message in MESSAGES.scan(txn)] == [-1], "only the unknown one has a record"
        assert slots.find(txn, group, 0) == (slots.WAITING, 2, 0, 0, 0, 0, 0, 0, 0), "the attempt is not counted"
        assert spent(txn, group) == 1
        assert list(proof.differences(txn)) == []


def test_without_a_page_every_claimed_row_is_unknown(store: Store, tmp_path: Path) -> None:
    group = running(store, [row(FIRST + at) for at in range(10)])
    feed(store)
    store.write_now(claim, group, range(6))
    assert store.write_now(intents.recover, LATER_MS, Page(tmp_path, b"another boot")) == 6
    assert counts(store, group) == {"queued": 4, "unknown": 6}
    assert differences(store) == []
