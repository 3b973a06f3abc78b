"""An upload as it comes in: the same rows wherever its octets are cut and its chunks end, nothing of one given up."""

import asyncio
import csv
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import proof
from engine.crm.marketing import arrival, campaigns, uploads
from engine.crm.marketing.arrival import Arrival
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.crm.marketing.recipients import Row, check
from engine.crm.marketing.uploads import Upload
from engine.crm.people import suppressions
from engine.crm.people.suppressions import Suppressions
from engine.errors import Conflict, Invalid
from engine.store.environment import Store
from engine.traffic import sheets
from engine.traffic.messages import NUMBERS
from engine.wiring import TABLES
from server.rows import READERS, Body
from tests.engine.crm.stage import FIRST, NOW_MS, PEPPER, rows_stored

LISTED = FIRST + 3  # a number that must get nothing


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("arrival") / "data", TABLES)
    made.write_now(suppressions.add, PEPPER, LISTED, "stop_all", NOW_MS)
    yield made
    made.close()


def drafted(store: Store) -> int:
    draft = Campaign(0, "test", {"en": "hello"}, "service")
    return store.write_now(campaigns.add, draft, NOW_MS).id


async def begun(store: Store, campaign: int) -> Arrival:
    return await Arrival.begin(store, campaign, Suppressions(PEPPER), lambda: NOW_MS)


async def taken(store: Store, kind: str, pieces: list[bytes]) -> Upload:
    """All of an upload to a campaign of its own, a chunk stored whenever it may be."""
    coming = await begun(store, drafted(store))
    try:
        body = Body(kind, coming, None)
        for piece in pieces:
            body.feed(piece)
            await coming.settle()
        body.end()
        return await coming.finish()
    except BaseException:
        await coming.discard()
        raise


def outcome(store: Store, kind: str, pieces: list[bytes]) -> tuple[object, ...]:
    """What an upload comes to: counts, rows and faults, or why it was refused."""
    before = rows_stored(store)
    try:
        done = asyncio.run(taken(store, kind, pieces))
    except Invalid as refusal:
        assert rows_stored(store) == before
        return (str(refusal),)
    with store.read() as txn:
        rows = [msgspec.structs.replace(row, id=0) for _, row in sheets.read_rows(txn, done.campaign, 0, 1_000)]
        faults = [(row, fault.status, fault.name) for row, fault in uploads.faults(txn, done.id, 0, 1_000)]
        for row in rows:
            assert list(NUMBERS.find(txn, row.number))
    assert done.accepted + done.suppressed == len(rows)
    assert done.rows == len(rows) + done.duplicate + done.invalid
    assert len(faults) == done.duplicate + done.suppressed + done.invalid
    return done.rows, done.accepted, done.duplicate, done.suppressed, done.invalid, rows, faults


def by_hand(kind: str, octets: bytes) -> tuple[object, ...]:
    """The same from the plain readers and a plain set."""
    reader = READERS[kind]()
    seen, rows, faults = set(), [], []
    count = listed = 0
    try:
        found = [*reader.feed(octets), *reader.end()]
    except Invalid as refusal:
        return (str(refusal),)
    for number, row in found:
        count = number
        if not isinstance(row, Row):
            faults.append((number, "invalid", row.name.partition("[")[0]))
            continue
        try:
            to = check(row, None)
        except Invalid as refusal:
            faults.append((number, "invalid", refusal.params[0].name))
            continue
        key = row.client_ref or to
        if key in seen:
            faults.append((number, "duplicate", ""))
            continue
        seen.add(key)
        rows.append(sheets.Row(0, to, row.client_ref, row.language, row.values or None))
        if to == LISTED:
            listed += 1
            faults.append((number, "suppressed", "to"))
    twice = sum(status == "duplicate" for _, status, _ in faults)
    wrong = sum(status == "invalid" for _, status, _ in faults)
    return count, len(rows) - listed, twice, listed, wrong, rows, faults


TO = st.integers(FIRST, FIRST + 6).map(lambda number: f"+{number}") | st.sampled_from(
    ["", "x", "+1", "+49 151 00000001"]
)
REF = st.sampled_from(["", "", "a", "b", "ü"])
LANGUAGE = st.sampled_from(["", "en", "zh", "x" * 36])
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
ROWS = st.lists(st.tuples(TO, REF, LANGUAGE, NAME), max_size=12)
CUTS = st.lists(st.integers(0, 10_000), max_size=8)
CHUNKS = st.sampled_from([1, 2, 3, 20_000])


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    borders = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    return [octets[begin:end] for begin, end in pairwise(borders)]


def as_csv(rows: list[tuple[str, str, str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("to", "client_ref", "language", "na,\nme"))
    writer.writerows(rows)
    return text.getvalue().encode()


def as_structs(rows: list[tuple[str, str, str, str]]) -> list[Row]:
    return [Row(to, ref, language, {"name": name} if name else {}) for to, ref, language, name in rows]


def packed(kind: str, rows: list[tuple[str, str, str, str]]) -> bytes:
    if kind == "text/csv":
        return as_csv(rows)
    if kind == "application/x-msgpack":
        return b"".join(msgspec.msgpack.encode(row) for row in as_structs(rows))
    return b"".join(msgspec.json.encode(row) + b"\n" for row in as_structs(rows))


KINDS = ["text/csv", "application/x-ndjson", "application/x-msgpack"]


@pytest.mark.parametrize("kind", KINDS)
@given(rows=ROWS, places=CUTS, chunk=CHUNKS)
def test_what_counts_is_what_a_plain_reader_finds(
    store: Store, kind: str, rows: list[tuple[str, str, str, str]], places: list[int], chunk: int
) -> None:
    octets = packed(kind, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrival, "CHUNK_ROWS", chunk)
        assert outcome(store, kind, cut(octets, places)) == by_hand(kind, octets)


@pytest.mark.parametrize("kind", KINDS)
@given(
    head=st.sampled_from([b"", b"to\n", b'"to"\n', b"\xef\xbb\xbfto,b\n"]), noise=st.binary(max_size=80), places=CUTS
)
@example(head=b'to,"b\n', noise=b'"\n+4915100000000,x', places=[3, 5, 6, 7])
@example(head=b"to\n", noise=b'"', places=[])
@example(head=b'to,"', noise=b"", places=[])
def test_noise_comes_to_the_same_wherever_it_is_cut(
    store: Store, kind: str, head: bytes, noise: bytes, places: list[int]
) -> None:
    octets = head + noise
    assert outcome(store, kind, cut(octets, places)) == outcome(store, kind, [octets])


# -- giving up


def line(number: int) -> bytes:
    return f'{{"to":"+{number}"}}\n'.encode()


async def staged(store: Store, campaign: int, first: int) -> Arrival:
    """An upload with two chunks stored or being stored."""
    coming = await begun(store, campaign)
    body = Body("application/x-ndjson", coming, None)
    for number in range(first, first + 2):
        body.feed(line(number))
        await coming.settle()
    return coming


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(arrival, "CHUNK_ROWS", 1)
    made = Store(tmp_path / "data", TABLES)
    yield made
    with made.read() as txn:
        assert list(proof.differences(txn)) == []
    made.close()


async def test_one_that_is_given_up_twice_harms_nothing(town: Store) -> None:
    campaign = drafted(town)
    coming = await staged(town, campaign, FIRST)
    await asyncio.gather(coming.discard(), coming.discard())
    assert rows_stored(town) == 0
    with town.read() as txn:
        assert not CAMPAIGNS.get(txn, campaign).uploading


async def test_one_that_is_given_up_when_it_counts_already_leaves_the_next_alone(town: Store) -> None:
    campaign = drafted(town)
    first = await staged(town, campaign, FIRST)
    await first.finish()
    second = await staged(town, campaign, FIRST + 10)
    await first.discard()
    assert (await second.finish()).accepted == 2
    assert rows_stored(town) == 4


async def test_what_was_given_up_can_be_neither_fed_nor_finished(town: Store) -> None:
    campaign = drafted(town)
    coming = await staged(town, campaign, FIRST)
    await coming._stored_so_far()
    while await town.write(uploads.discard, campaign):
        pass
    upload = coming._upload
    with pytest.raises(Conflict):
        await town.write(uploads.add_rows, upload, [(3, FIRST + 5, Row(f"+{FIRST + 5}"))], {}, PEPPER, NOW_MS)
    with pytest.raises(Conflict):
        await town.write(uploads.finish, upload, NOW_MS)
    assert rows_stored(town) == 0


@pytest.mark.parametrize("turns", range(12))
async def test_one_that_is_cancelled_at_any_turn_counts_whole_or_leaves_nothing(town: Store, turns: int) -> None:
    campaign = drafted(town)

    async def whole() -> None:
        coming = await staged(town, campaign, FIRST)
        try:
            await coming.finish()
        except BaseException:
            await asyncio.shield(coming.discard())
            raise

    task = asyncio.create_task(whole())
    for _ in range(turns * 3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    # What it had asked of the writer is done, whoever waits for it.
    await town.write(uploads.broken)
    with town.read() as txn:
        # Cancelled before there was anybody who could give it up, it is given up at the next start.
        broken = uploads.broken(txn)
    for identifier in broken:
        while await town.write(uploads.discard, identifier):
            pass
    with town.read() as txn:
        found = CAMPAIGNS.get(txn, campaign)
    assert (found.stage, found.uploading) == (Stage.DRAFT, False)
    assert rows_stored(town) == found.rows
    assert found.rows in (0, 2)


@pytest.mark.parametrize("is_pressed", [True, False])
async def test_an_upload_rests_twice_as_long_as_it_worked_while_modems_wait(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_pressed: bool
) -> None:
    rests_s = []
    sleep = asyncio.sleep

    async def note(delay_s: float) -> None:
        if delay_s:
            rests_s.append(delay_s)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    suppressed = Suppressions(PEPPER)
    coming = await Arrival.begin(store, drafted(store), suppressed, lambda: NOW_MS, lambda: is_pressed)
    coming.expect(("to",), lambda *_: None)
    for chunk in range(3):
        first = FIRST + 10_000 * (chunk + 1)
        coming.feed(b"".join(b"+%d\n" % (first + row) for row in range(arrival.CHUNK_ROWS)))
        await coming.settle()
    done = await coming.finish()
    assert done.accepted == 3 * arrival.CHUNK_ROWS
    assert len(rests_s) == (3 if is_pressed else 0)
    assert all(rest_s <= arrival.REST_MOST_S for rest_s in rests_s)
