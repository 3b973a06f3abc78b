"""engine/crm/marketing/uploads.py and recipients.py: all of an upload or none of it, and each row once."""

import pytest

from engine.crm.marketing import campaigns, recipients, uploads
from engine.crm.marketing.campaigns import Stage
from engine.crm.marketing.recipients import Row
from engine.crm.marketing.uploads import Fault
from engine.crm.people import suppressions
from engine.errors import Conflict, Invalid
from engine.store.environment import Store
from engine.traffic import messages
from engine.traffic.messages import State
from engine.wiring import TABLES
from tests.engine.crm.stage import (
    FIRST,
    NOW_MS,
    PEPPER,
    campaign_of,
    counts,
    differences,
    draft,
    fed,
    feed,
    launch,
    numbered,
    row,
    rows_stored,
    running,
    upload,
)


def faults(store: Store, identifier: int) -> dict[int, Fault]:
    with store.read() as txn:
        return dict(uploads.faults(txn, identifier, 0, 100))


def sizes(store: Store) -> tuple[int, int]:
    """Rows of sheets, pages and heads of the number index."""
    with store.read() as txn:
        return rows_stored(store), sum(table.count(txn) for table in messages.NUMBERS.tables)


def test_rows_count_when_the_last_has_come_and_not_before(store: Store) -> None:
    campaign = draft(store).id
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    rows = numbered([row(FIRST + number) for number in range(5)])
    begun = store.write_now(uploads.add_rows, begun, rows, {}, PEPPER, NOW_MS)
    assert campaign_of(store, campaign).rows == 0
    done = store.write_now(uploads.finish, begun, NOW_MS)
    assert (done.accepted, done.done, campaign_of(store, campaign).rows) == (5, True, 5)
    assert differences(store) == []


def test_a_row_is_known_by_its_reference_else_by_its_number(store: Store) -> None:
    campaign = draft(store).id
    rows = [
        row(FIRST, client_ref="a"),
        row(FIRST + 1, client_ref="a"),
        row(FIRST, client_ref="b"),
        row(FIRST),
        row(FIRST),
        row(FIRST + 1),
    ]
    done = upload(store, campaign, rows, chunk=2)
    assert (done.rows, done.accepted, done.duplicate) == (6, 4, 2)
    assert faults(store, done.id) == {2: Fault("duplicate"), 5: Fault("duplicate")}
    assert differences(store) == []


def test_the_same_file_again_adds_nothing(store: Store) -> None:
    campaign = draft(store).id
    rows = [row(FIRST + number) for number in range(30)]
    upload(store, campaign, rows, chunk=7)
    again = upload(store, campaign, rows, chunk=11)
    assert (again.accepted, again.duplicate) == (0, 30)
    more = upload(store, campaign, [*rows, row(FIRST + 99)])
    assert (more.accepted, campaign_of(store, campaign).rows) == (1, 31)
    assert differences(store) == []


def test_the_same_row_in_two_campaigns_is_two_rows(store: Store) -> None:
    one, other = draft(store).id, draft(store).id
    assert upload(store, one, [row()]).accepted == upload(store, other, [row()]).accepted == 1
    assert differences(store) == []


def test_what_could_not_be_read_and_who_is_suppressed_are_told_by_row(store: Store) -> None:
    store.write_now(suppressions.add, PEPPER, FIRST + 1, "complaint", NOW_MS)
    campaign = draft(store).id
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    wrong = {2: Fault("invalid", "to", "is not a telephone number")}
    rows = [(1, FIRST, row(FIRST)), (3, FIRST + 1, row(FIRST + 1))]
    begun = store.write_now(uploads.add_rows, begun, rows, wrong, PEPPER, NOW_MS)
    done = store.write_now(uploads.finish, begun, NOW_MS)
    assert (done.rows, done.accepted, done.invalid, done.suppressed) == (3, 1, 1, 1)
    assert faults(store, done.id) == {**wrong, 3: Fault("suppressed", "to", "complaint")}
    launch(store, campaign)
    feed(store)
    assert counts(store, campaign) == {"queued": 1, "suppressed": 1}
    assert differences(store) == []


def test_an_upload_that_breaks_off_leaves_nothing(store: Store) -> None:
    campaign = draft(store).id
    upload(store, campaign, [row(FIRST + number) for number in range(10)])
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    many = numbered([row(FIRST + 100 + number) for number in range(550)])
    store.write_now(uploads.add_rows, begun, many, {}, PEPPER, NOW_MS)
    chunks = 1
    while store.write_now(uploads.discard, campaign):
        chunks += 1
    assert chunks == 2
    assert sizes(store) == (10, 2)
    assert not campaign_of(store, campaign).uploading
    assert upload(store, campaign, [row(FIRST + 100)]).accepted == 1
    assert differences(store) == []


def test_discarding_where_nothing_broke_removes_nothing(store: Store) -> None:
    campaign = draft(store).id
    upload(store, campaign, [row()])
    assert not store.write_now(uploads.discard, campaign)
    assert sizes(store) == (1, 2)


def test_after_a_crash_the_broken_upload_is_found_and_discarded(store: Store) -> None:
    campaign, whole = draft(store).id, running(store, [row()])
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    store.write_now(uploads.add_rows, begun, numbered([row(FIRST + 5)]), {}, PEPPER, NOW_MS)
    store.close()
    again = Store(store.directory, TABLES)
    try:
        with again.read() as txn:
            assert uploads.broken(txn) == [campaign]
        while again.write_now(uploads.discard, campaign):
            pass
        assert campaign_of(again, campaign).rows == 0
        assert campaign_of(again, whole).rows == 1
        assert upload(again, campaign, [row(FIRST + 5)]).accepted == 1
        assert differences(again) == []
    finally:
        again.close()


def test_one_upload_at_a_time_and_none_into_what_has_ended(store: Store) -> None:
    campaign = draft(store).id
    store.write_now(uploads.begin, campaign, NOW_MS)
    with pytest.raises(Conflict):
        store.write_now(uploads.begin, campaign, NOW_MS)
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    store.write_now(uploads.discard, campaign)
    with pytest.raises(Conflict):
        store.write_now(uploads.begin, campaign, NOW_MS)


def test_a_running_campaign_takes_more_rows(store: Store) -> None:
    campaign = running(store, [row()])
    feed(store)
    upload(store, campaign, [row(FIRST + 1), row()])
    assert counts(store, campaign) == {"queued": 1, "accepted": 1}
    assert feed(store) == 1
    assert [message.number for message in fed(store)] == [FIRST, FIRST + 1]
    assert differences(store) == []


def test_a_campaign_does_not_complete_under_an_upload(store: Store) -> None:
    store.write_now(suppressions.add, PEPPER, FIRST + 9, "stop_all", NOW_MS)
    campaign = running(store, [row(FIRST + 9)])
    feed(store)
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    feed(store)
    assert campaign_of(store, campaign).stage is Stage.RUNNING
    begun = store.write_now(uploads.add_rows, begun, numbered([row()]), {}, PEPPER, NOW_MS)
    feed(store)
    store.write_now(uploads.finish, begun, NOW_MS)
    assert feed(store) == 1
    assert differences(store) == []


def test_an_upload_that_ends_after_its_campaign_was_cancelled_counts_as_cancelled(store: Store) -> None:
    campaign = running(store, [row()])
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    begun = store.write_now(uploads.add_rows, begun, numbered([row(FIRST + 1)]), {}, PEPPER, NOW_MS)
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    store.write_now(uploads.finish, begun, NOW_MS)
    assert counts(store, campaign) == {State.CANCELLED.slug: 2}
    assert differences(store) == []


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        pytest.param(Row("+1"), "to", id="too short a number"),
        pytest.param(Row("4915100000000"), "to", id="no plus and no country"),
        pytest.param(Row("hello"), "to", id="no number"),
        pytest.param(Row("+4915100000000", client_ref="x" * 201), "client_ref", id="too long a reference"),
        pytest.param(Row("+4915100000000", values={str(n): "" for n in range(51)}), "values", id="too many values"),
        pytest.param(Row("+4915100000000", values={"a": "x" * 1001}), "values.a", id="too long a value"),
    ],
)
def test_a_wrong_row_is_refused_by_the_name_of_its_field(wrong: Row, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        recipients.check(wrong, None)
    assert refused.value.params[0].name == name


def test_a_national_number_is_read_by_the_country_of_the_house() -> None:
    assert recipients.check(Row("0151 00000000"), "DE") == 4_915_100_000_000
