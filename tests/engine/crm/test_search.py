"""Search: whatever is looked for, it finds what a plain look at everything finds, however small its steps are."""

import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from engine.crm.marketing import campaigns
from engine.store.environment import Store
from engine.traffic import inbox, intents, messages, retention, search, slots, traces
from engine.traffic.inbox import Progress, Received
from engine.traffic.message import Message
from engine.traffic.messages import SEND, Pick, State
from engine.traffic.retry import GiveUp
from engine.traffic.search import Wanted
from engine.traffic.sheets import FED, PLACES
from engine.traffic.traces import Left
from engine.wiring import TABLES
from tests.engine.crm.stage import FIRST, NOW_MS, feed, row, running, upload
from tests.engine.crm.test_rows_walk import Walk
from tests.engine.crm.town_walk import PEOPLE, PLACE
from tests.engine.traffic.stage import SIM, say

SINGLES = ("Your room is ready", "Ｙｏｕｒ ROOM is late", "您的房间已备好", "Die Straße ist gesperrt", "ﬁnal oﬀer", "")
ANN = FIRST + 3  # who is erased


def everything(store: Store) -> list[Message]:
    with store.read() as txn:
        return list(messages.listed(txn, None, 0, 1_000_000))


def is_meant(message: Message, wanted: Wanted) -> bool:
    """What the parameters say, said plainly."""
    said = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", message.text).casefold())
    return (
        wanted.number in (0, message.number)
        and wanted.state in (None, message.state)
        and wanted.group in (0, message.group)
        and wanted.words in said
        and wanted.first <= message.id
        and (not wanted.behind or message.id < wanted.behind)
    )


def found(store: Store, wanted: Wanted, limit: int = 1000, most: int = search.STEP) -> list[Message]:
    """All steps of a search, each in a transaction of its own."""
    items: list[Message] = []
    before = 0
    while True:
        with store.read() as txn:
            step = search.sent(txn, wanted, before, limit, most)
        assert len(step.items) <= limit
        assert all(not before or one.id < before for one in step.items)
        items += step.items
        if not step.before:
            return items
        assert not before or step.before < before
        before = step.before


def outcome(store: Store, identifier: int, which: int) -> None:
    """Let the row or message be sent, and something come of it."""
    claimed = store.write_now(intents.claim, [Pick(identifier, SIM)], NOW_MS, say(SEND))[0]
    assert claimed.verdict.sends
    if which == 0:
        store.write_now(intents.mark_sent, identifier, 0, identifier % 256, NOW_MS)
    elif which == 1:
        store.write_now(intents.mark_refused, identifier, 0, GiveUp("refused_by_network", permanent=True), 38, NOW_MS)
    elif which == 2:
        store.write_now(intents.mark_unknown, identifier, 0, "no_outcome", NOW_MS)
    elif which == 3:
        store.write_now(intents.put_back, identifier, 0, NOW_MS)


def fill(store: Store) -> None:
    old = running(store, [row(FIRST + at) for at in range(6)], "Long ago {name:guest}")
    feed(store)
    mine = [one.id for one in everything(store) if one.group == old]
    for at, identifier in enumerate(mine):
        outcome(store, identifier, 2 if at == 3 else 0)
    # As if that had been then: what is behind this horizon goes.
    store.write_now(retention.forget_rows, 0, NOW_MS + 86_400_000, lambda _, group, __: group == old)
    for at, text in enumerate(SINGLES):
        store.write_now(messages.enqueue, Message(0, FIRST + at, text or " "), NOW_MS + at)
    big = running(
        store,
        [row(FIRST + at, values={"name": f"Ada {at}"} if at % 3 else {}, language="zh" if at % 5 == 0 else "")
         for at in range(1200)],
        texts={"en": "Dear {name:guest}, your ROOM", "zh": "{name:您}的房间"},
    )  # fmt: skip
    feed(store, 900)
    rows = [one.id for one in everything(store) if one.group == big and one.state is State.QUEUED]
    for at, identifier in enumerate(rows):
        if at % 97 < 5:
            outcome(store, identifier, at % 97)
    cancelled = running(store, [row(FIRST + at) for at in range(150)], "room for all")
    feed(store, 60)
    store.write_now(campaigns.cancel, cancelled, NOW_MS + 5)
    singles = [one.id for one in everything(store) if not one.group]
    for at, identifier in enumerate(singles[:4]):
        outcome(store, identifier, at)
    waiting = running(store, [row(FIRST + at) for at in range(20)], "paused {name:you}")
    feed(store, 10_000)
    store.write_now(campaigns.pause, waiting, NOW_MS + 6)
    upload(store, waiting, [row(FIRST + 500 + at) for at in range(15)])
    traces_of(store, ANN)


def traces_of(store: Store, number: int) -> None:
    """Wipe a number, as far as that goes while a part of it is in the air."""
    before, left = 0, Left.MORE
    while left is Left.MORE:
        left, before = store.write_now(traces.wipe, number, NOW_MS + 9, before)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("full") / "data", TABLES)
    fill(opened)
    yield opened
    opened.close()


def test_the_store_of_these_tests_has_all_that_there_is(full: Store) -> None:
    states = {one.state for one in everything(full)}
    assert states >= {
        State.ACCEPTED, State.QUEUED, State.SENDING, State.SENT, State.UNKNOWN, State.SUPPRESSED, State.CANCELLED,
        State.FAILED,
    }  # fmt: skip
    kept = {one.number for one in everything(full)}
    assert 0 in kept
    assert ANN not in kept
    with full.read() as txn:
        assert sum(1 for _ in PLACES.scan(txn)) > 4
        oldest = everything(full)[-1]
        assert FED.get(txn, oldest.group).gone == 6  # it stayed when its sheet went
        assert oldest.state is State.UNKNOWN
        written = sum(slots.states(txn, group, fed.rows).count(slots.WRITTEN) for (group,), fed in FED.scan(txn))
        assert written > 10


@st.composite
def wishes(draw: st.DrawFn, ids: list[int], groups: list[int]) -> Wanted:
    edges = st.sampled_from([0, 0, *ids[:: len(ids) // 40], ids[0] + 1, ids[-1]])
    return Wanted(
        draw(st.sampled_from([0, 0, 0, FIRST, ANN, FIRST + 7, FIRST + 501, FIRST + 5000])),
        draw(st.sampled_from([None, None, *State])),
        draw(edges),
        draw(edges),
        search.folded(draw(st.sampled_from(["", "", "room", "ROOM", "房间", "STRASSE", "final off", "ada 7", "zzz"]))),
        draw(st.sampled_from([0, 0, 0, *groups, 12345])),
    )


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_search_finds_what_a_look_at_everything_finds(full: Store, data: st.DataObject) -> None:
    all_of_it = everything(full)
    ids = [one.id for one in all_of_it]
    wanted = data.draw(wishes(ids, sorted({one.group for one in all_of_it} - {0})))
    limit, most = data.draw(st.sampled_from([1, 7, 1000])), data.draw(st.sampled_from([1, 20, 500]))
    assert found(full, wanted, limit, most) == [one for one in all_of_it if is_meant(one, wanted)]


def test_a_step_looks_at_no_more_than_it_may(full: Store) -> None:
    before = steps = 0
    while steps == 0 or before:
        with full.read() as txn:
            step = search.sent(txn, Wanted(words="nowhere"), before, 50, 100)
        assert step.items == []
        assert step.looked <= 100 + 8
        before = step.before
        steps += 1
    assert steps > 10


def test_what_lies_outside_a_span_of_time_is_not_read(full: Store) -> None:
    middle = everything(full)[700]
    with full.read() as txn:
        step = search.sent(txn, Wanted(first=middle.id - 3, behind=middle.id), 0, 50)
        assert (len(step.items), step.before) == (3, 0)
        assert step.looked < 20
        step = search.sent(txn, Wanted(first=1, behind=2), 0, 50)
        assert (step.items, step.looked, step.before) == ([], 0, 0)


def test_rows_in_another_state_are_passed_over_by_the_sheet(full: Store) -> None:
    with full.read() as txn:
        step = search.sent(txn, Wanted(state=State.DELIVERED), 0, 50)
    assert (step.items, step.before) == ([], 0)
    assert step.looked < 300  # of 1,400 rows and 100 records


def test_a_row_whose_sheet_is_not_kept_is_found_by_its_campaign(full: Store) -> None:
    oldest = everything(full)[-1]
    assert found(full, Wanted(group=oldest.group)) == [oldest]


@pytest.mark.parametrize(
    ("words", "count"),
    [("straße", 1), ("STRASSE", 1), ("your room", 2), ("ｙｏｕｒ ｒｏｏｍ", 2), ("Final OFF", 1), ("的房间", 1)],
)
def test_words_are_found_however_they_are_written(store: Store, words: str, count: int) -> None:
    for text in SINGLES[:5]:
        store.write_now(messages.enqueue, Message(0, FIRST, text), NOW_MS)
    assert len(found(store, Wanted(words=search.folded(words)))) == count


def test_texts_to_us_are_found_by_the_same_words(store: Store) -> None:
    texts = [
        ("+4917012345678", "Is a ROOM free?"),
        ("+4917012345679", "您的房间"),
        ("Lotus", "a room"),
        ("12345", "no"),
    ]
    for at, (originator, text) in enumerate(texts):
        store.write_now(inbox.add, Received(0, originator, SIM, text, NOW_MS + at), NOW_MS + at)
    with store.read() as txn:
        records = list(inbox.listed(txn, None, 0, 10))
    store.write_now(inbox.mark_routed, records[0], Progress.ROUTED, "person")

    def look(wanted: Wanted, before: int = 0, limit: int = 10, most: int = 500) -> list[str]:
        with store.read() as txn:
            return [one.text for one in search.received(txn, wanted, before, limit, most).items]

    assert look(Wanted()) == ["no", "a room", "您的房间", "Is a ROOM free?"]
    assert look(Wanted(words="room")) == ["a room", "Is a ROOM free?"]
    assert look(Wanted(state=Progress.ROUTED)) == ["no"]
    assert look(Wanted(number=4917012345679)) == ["您的房间"]
    assert look(Wanted(number=4917012345679), before=records[2].id) == []
    assert look(Wanted(first=search.first_of(NOW_MS + 1), behind=search.first_of(NOW_MS + 3))) == ["a room", "您的房间"]
    with store.read() as txn:
        step = search.received(txn, Wanted(words="room"), 0, 10, most=1)
    assert (step.items, step.before) == ([], records[0].id)


class Searched(Walk):
    """The walk over everything that may happen to campaigns, looked for now and then."""

    @precondition(lambda self: self.texts)
    @rule(
        state=st.sampled_from([None, *State]),
        number=st.sampled_from([0, 0, *PEOPLE]),
        words=st.sampled_from(["", "", "guest", "您", "yy", "hello"]),
        edges=st.tuples(PLACE, PLACE),
        group=PLACE,
        limit=st.sampled_from([1, 5, 1000]),
        most=st.sampled_from([1, 30, 500]),
    )
    def is_searched(
        self, state: State | None, number: int, words: str, edges: tuple[int, int], group: int, limit: int, most: int
    ) -> None:
        known = sorted(self.texts)
        first, behind = (known[edge % len(known)] if edge % 3 == 0 else 0 for edge in edges)
        campaign = self.drives[group % len(self.drives)].id if self.drives and group % 2 else 0
        wanted = Wanted(number, state, first, behind, words, campaign)
        expected = [one for one in everything(self.store) if is_meant(one, wanted)]
        assert found(self.store, wanted, limit, most) == expected


Searched.TestCase.settings = settings(max_examples=6, stateful_step_count=50, deadline=None)
TestSearched = Searched.TestCase
