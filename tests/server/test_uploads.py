"""Uploads of more than one chunk through real HTTP: all of one counts or nothing of it, whatever happens in between."""

import asyncio
import gzip
import socket
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgpack
import pytest

from bench.rig import TOKEN as RIG_TOKEN
from bench.rig import Rig, rig
from engine.crm.marketing.arrival import CHUNK_ROWS
from engine.crm.marketing.uploads import STRETCHES, UPLOADS
from engine.store import ids
from engine.traffic.messages import NUMBERS
from engine.traffic.sheets import PLACES, SHEETS, read_rows
from tests.server.conftest import PATIENCE_S, TOKEN, Answer, Place, until
from tests.server.test_full_disk import Disk, called, disk, draft, refused, town

__all__ = ["disk", "town"]

MANY = CHUNK_ROWS + 5_000
PACKED: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}
COUNTED = ("rows", "accepted", "duplicate", "suppressed", "invalid")


def numbers(first: int, count: int) -> list[str]:
    return [f"+86139{number:08d}" for number in range(first, first + count)]


def as_csv(people: list[str], header: bytes = b"to,client_ref,name") -> bytes:
    rows = "".join(f"{number},ref-{number[4:]},Ada\n" for number in people)
    return header + b"\n" + rows.encode()


def as_ndjson(people: list[str]) -> bytes:
    return "".join(f'{{"to":"{number}","values":{{"name":"Ada"}}}}\n' for number in people).encode()


def as_msgpack(people: list[str]) -> bytes:
    return b"".join(msgpack.packb({"to": number, "values": {"name": "李娜"}}) for number in people)


FORMS: dict[str, Callable[[list[str]], bytes]] = {
    "text/csv": as_csv,
    "application/x-ndjson": as_ndjson,
    "application/x-msgpack": as_msgpack,
}


def counted(answer: Answer) -> list[int]:
    assert answer.status == 202, answer
    return [answer.body[name] for name in COUNTED]


def nothing_is_left(place: Place) -> None:
    """Not one row, number or page of an index."""
    with place.engine.store.read() as txn:
        assert (SHEETS.count(txn), PLACES.count(txn), list(NUMBERS.scan(txn))) == (0, 0, [])
        assert [table.count(txn) for table in NUMBERS.tables] == [0, 0]
        assert NUMBERS.unpublished(txn) == []
        assert (UPLOADS.count(txn), STRETCHES.count(txn)) == (0, 0)
    assert place.differences() == []


async def is_uploading(place: Place, campaign: str) -> bool:
    return bool((await place.call("GET", f"/v1/campaigns/{campaign}")).body["uploading"])


async def ended(place: Place, campaign: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await is_uploading(place, campaign):  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.005)


async def in_pieces(octets: bytes, size: int) -> AsyncIterator[bytes]:
    for begin in range(0, len(octets), size):
        yield octets[begin : begin + size]


async def stream(place: Place, campaign: str, pieces: AsyncIterator[bytes], kind: str = "text/csv") -> Answer:
    headers = {"Content-Type": kind}
    return await place.call("POST", f"/v1/campaigns/{campaign}/recipients", data=pieces, headers=headers)


# -- what is sent is what counts


@pytest.mark.parametrize("packing", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("kind", FORMS)
async def test_a_file_of_several_chunks_counts_once(desk: Place, kind: str, packing: str) -> None:
    campaign = await desk.draft()
    packed = PACKED[packing]
    people = numbers(0, MANY)
    headers = {"Content-Encoding": packing}
    twice = packed(FORMS[kind](people + people[:10]))
    assert counted(await desk.upload(campaign, twice, kind, headers)) == [MANY + 10, MANY, 10, 0, 0]
    # The same again, from the last to the first, with one more.
    again = packed(FORMS[kind]([*people, *numbers(MANY, 1)][::-1]))
    assert counted(await desk.upload(campaign, again, kind, headers)) == [MANY + 1, 1, MANY, 0, 0]
    assert desk.rows() == MANY + 1
    assert desk.differences() == []


async def test_a_fault_is_told_by_its_row_wherever_chunks_end(desk: Place) -> None:
    people = numbers(0, MANY)
    wrong = [1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, MANY]
    for row in wrong:
        people[row - 1] = "nobody"
    answer = await desk.upload(await desk.draft(), as_ndjson(people), "application/x-ndjson")
    assert counted(answer) == [MANY, MANY - len(wrong), 0, 0, len(wrong)]
    found: list[int] = []
    cursor = "0"
    while cursor is not None:
        page = (await desk.call("GET", f"{answer.body['faults_url']}?limit=2&cursor={cursor}")).body
        found += [fault["row"] for fault in page["items"]]
        cursor = page["next"]
    assert found == wrong


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        pytest.param(b'"to","client_ref","name"', ["name"], id="quotes"),
        pytest.param(b'\xef\xbb\xbf"to",client_ref,"na""me"', ['na"me'], id="a byte order mark and quotes doubled"),
        pytest.param(b'to,client_ref,"na,me"', ["na,me"], id="a comma in a name"),
        pytest.param(b'to,client_ref,"na\nme"', ["na\nme"], id="a line end in a name"),
        pytest.param(b'\n\r\n"to",client_ref, name\r', ["name"], id="empty lines before it"),
        pytest.param("to,client_ref,姓名".encode(), ["姓名"], id="Chinese"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_a_header_may_come_in_any_pieces(desk: Place, header: bytes, wanted: list[str], size: int) -> None:
    (name,) = wanted
    is_field = name in ("name", "姓名")
    campaign = await desk.draft(text=f"Hi {{{name}}}" if is_field else "Hi")
    octets = header + b'\n+8613900000001,a,Ada\n+8613900000002,b,"B,\nB"\n'
    assert counted(await stream(desk, campaign, in_pieces(octets, size))) == [2, 2, 0, 0, 0]
    results = (await desk.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
    texts = [(await desk.message(row["message_id"]))["text"] for row in results]
    assert texts == (["Hi Ada", "Hi B,\nB"] if is_field else ["Hi", "Hi"])
    with desk.engine.store.read() as txn:
        identifier = ids.parse("cmp", campaign)
        values = [row.values for _, row in read_rows(txn, identifier, 0, 10)]
    assert values == [{name: "Ada"}, {name: "B,\nB"}]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"], ids=["no line end", "one", "two"])
async def test_every_octet_may_come_alone(desk: Place, kind: str, end: bytes) -> None:
    octets = FORMS[kind](numbers(0, 3))
    if kind != "application/x-msgpack":
        octets = octets.rstrip(b"\n") + end
    assert counted(await stream(desk, await desk.draft(), in_pieces(octets, 1), kind)) == [3, 3, 0, 0, 0]


# -- what breaks off


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("is_abort", [False, True], ids=["closed", "reset"])
async def test_an_upload_that_breaks_off_behind_a_chunk_leaves_nothing(desk: Place, kind: str, is_abort: bool) -> None:
    campaign = await desk.draft()
    octets = FORMS[kind]([*numbers(0, MANY), *numbers(0, 5), "nobody"])
    _, writer = await asyncio.open_connection("127.0.0.1", desk.client.port)
    head = (
        f"POST /v1/campaigns/{campaign}/recipients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(octets) + 1}\r\n\r\n"
    )
    writer.write(head.encode() + octets)
    await writer.drain()
    await until(lambda: desk.rows() >= CHUNK_ROWS)
    assert await is_uploading(desk, campaign)
    if is_abort:
        writer.transport.abort()
    else:
        writer.close()
    await ended(desk, campaign)
    nothing_is_left(desk)
    assert counted(await desk.upload(campaign, octets, kind)) == [MANY + 6, MANY, 5, 0, 1]
    assert desk.differences() == []


@pytest.mark.parametrize(
    ("kind", "tail"),
    [
        pytest.param("text/csv", b"x" * 70_000, id="a line too long"),
        pytest.param("application/x-ndjson", b"x" * 70_000, id="a line too long, of NDJSON"),
        pytest.param("application/x-msgpack", b"\xc1", id="no msgpack"),
        pytest.param("application/x-msgpack", msgpack.packb({"to": "x"})[:-1], id="half a row"),
    ],
)
async def test_a_file_that_cannot_be_read_to_its_end_leaves_nothing(desk: Place, kind: str, tail: bytes) -> None:
    campaign = await desk.draft()
    octets = FORMS[kind](numbers(0, MANY))
    answer = await desk.upload(campaign, octets + tail, kind)
    assert (answer.status, list(answer.params)) == (422, ["body"])
    nothing_is_left(desk)
    assert counted(await desk.upload(campaign, octets, kind)) == [MANY, MANY, 0, 0, 0]


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("missing", [1, 9, 5_000])
@pytest.mark.parametrize("packing", ["gzip", "deflate"])
async def test_a_packed_file_that_is_cut_short_leaves_nothing(
    desk: Place, kind: str, missing: int, packing: str
) -> None:
    """Its last row may have lost digits, and be the number of somebody else."""
    campaign = await desk.draft()
    packed = PACKED[packing](FORMS[kind](numbers(0, MANY)))
    answer = await desk.upload(campaign, packed[:-missing], kind, {"Content-Encoding": packing})
    assert (answer.status, answer.slug) == (400, "body_cut_off")
    nothing_is_left(desk)


async def test_a_file_packed_in_several_members_is_read_whole(desk: Place) -> None:
    octets = as_csv(numbers(0, MANY))
    half = len(octets) // 2
    packed = gzip.compress(octets[:half]) + gzip.compress(octets[half:])
    answer = await desk.upload(await desk.draft(), packed, headers={"Content-Encoding": "gzip"})
    assert counted(answer) == [MANY, MANY, 0, 0, 0]


# -- two at once


async def test_a_second_upload_is_refused_and_harms_nothing_of_the_first(desk: Place) -> None:
    campaign, other = await desk.draft(), await desk.draft()
    octets = as_csv(numbers(0, MANY))
    refusals = []

    async def slowly() -> AsyncIterator[bytes]:
        yield octets[: len(octets) - 100]
        await until(lambda: desk.rows() >= CHUNK_ROWS)
        for _ in range(3):
            refusals.append(await desk.upload(campaign, as_csv(numbers(50_000, 10))))
            # That of another campaign comes in meanwhile.
            assert (await desk.upload(other, as_csv(numbers(0, 10)))).status == 202
        yield octets[len(octets) - 100 :]

    assert counted(await stream(desk, campaign, slowly())) == [MANY, MANY, 0, 0, 0]
    assert [(answer.status, answer.slug) for answer in refusals] == [(409, "conflict")] * 3
    assert desk.rows() == MANY + 10
    assert desk.differences() == []


@pytest.mark.parametrize("step", ["cancel", "launch"])
async def test_a_step_in_the_middle_of_an_upload_leaves_the_campaign_whole(desk: Place, step: str) -> None:
    campaign = await desk.draft()
    assert (await desk.upload(campaign, as_csv(numbers(90_000, 3)))).status == 202
    octets = as_csv(numbers(0, MANY))
    statuses = []

    async def slowly() -> AsyncIterator[bytes]:
        yield octets[:-100]
        await until(lambda: desk.rows() >= CHUNK_ROWS)
        statuses.append((await desk.call("POST", f"/v1/campaigns/{campaign}/{step}")).status)
        yield octets[-100:]

    answer = await stream(desk, campaign, slowly())
    found = (await desk.call("GET", f"/v1/campaigns/{campaign}")).body
    assert (answer.status, statuses, found["recipients"]) == (202, [200 if step == "cancel" else 409], MANY + 3)
    assert found["counts"] == {"cancelled" if step == "cancel" else "accepted": MANY + 3}
    assert desk.differences() == []


async def test_many_uploads_to_one_campaign_one_behind_the_other(desk: Place) -> None:
    campaign = await desk.draft()
    for place in range(30):
        octets = as_csv(numbers(place * 50, 100))
        assert counted(await desk.upload(campaign, octets))[1] == (100 if not place else 50)
        if place % 5 == 0:  # and one that is refused in between
            assert (await desk.upload(campaign, octets + b"x" * 70_000)).status == 422
    assert desk.rows() == 30 * 50 + 50
    assert desk.differences() == []


# -- the machine


def begin(town: Rig, campaign: str, octets: bytes) -> socket.socket:
    """An upload that goes on: all of `octets` was handed over."""
    made = socket.create_connection(("127.0.0.1", town.port))
    head = (
        f"POST /v1/campaigns/{campaign}/recipients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {RIG_TOKEN}\r\n"
        f"Content-Type: text/csv\r\nContent-Length: {len(octets) + 1}\r\n\r\n"
    )
    made.sendall(head.encode() + octets)
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Rig]:
    """A server without modems, as a process that can be killed."""
    with rig(tmp_path, 1) as made:
        started(made)
        yield made


def started(made: Rig) -> None:
    made._start("server", "serve", "--data", str(made.data), "--port", str(made.port))
    made._await("server", lambda: made._answers("/healthz"))


@pytest.mark.parametrize("rows", [10, 4 * CHUNK_ROWS])
def test_a_server_that_is_killed_in_the_middle_of_an_upload_starts_without_it(server: Rig, rows: int) -> None:
    campaign = draft(server)
    octets = as_csv(numbers(0, rows))
    with begin(server, campaign, octets):
        until_s = time.monotonic() + PATIENCE_S
        while not called(server, "GET", f"/v1/campaigns/{campaign}").body["uploading"]:
            assert time.monotonic() < until_s
        for _ in range(5):  # the server reads on between any two calls
            called(server, "GET", f"/v1/campaigns/{campaign}")
        server.kill_server()
    server.check()
    started(server)
    found = called(server, "GET", f"/v1/campaigns/{campaign}").body
    assert (found["recipients"], found["uploading"], found["counts"]) == (0, False, {})
    assert called(server, "GET", f"/v1/campaigns/{campaign}/results").body["items"] == []
    answer = called(server, "POST", f"/v1/campaigns/{campaign}/recipients", octets, "text/csv")
    assert (answer.status, answer.body["accepted"]) == (202, rows)
    server.check()
    assert server.stop("server") == 0


def test_a_server_that_is_told_to_stop_in_the_middle_of_an_upload_stops(server: Rig) -> None:
    campaign = draft(server)
    octets = as_csv(numbers(0, MANY))
    with begin(server, campaign, octets):
        while not called(server, "GET", f"/v1/campaigns/{campaign}").body["uploading"]:
            pass
        assert server.stop("server") == 0
    server.check()
    started(server)
    answer = called(server, "POST", f"/v1/campaigns/{campaign}/recipients", octets, "text/csv")
    assert (answer.status, answer.body["accepted"]) == (202, MANY)


def test_a_disk_that_is_full_in_the_middle_of_an_upload_keeps_nothing_of_it(town: Rig, disk: Disk) -> None:
    first, campaign = draft(town), draft(town)
    assert called(town, "POST", f"/v1/campaigns/{first}/recipients", as_csv(numbers(0, 500)), "text/csv").status == 202
    disk.fill(but=2 << 20)
    octets = as_csv(numbers(0, 40 * CHUNK_ROWS))
    for _ in range(3):
        refused(called(town, "POST", f"/v1/campaigns/{campaign}/recipients", octets, "text/csv"))
        found = called(town, "GET", f"/v1/campaigns/{campaign}").body
        assert (found["recipients"], found["uploading"], found["counts"]) == (0, False, {})
    assert called(town, "GET", f"/v1/campaigns/{first}").body["recipients"] == 500
    disk.relieve()
    answer = called(town, "POST", f"/v1/campaigns/{campaign}/recipients", octets, "text/csv")
    assert (answer.status, answer.body["accepted"]) == (202, 40 * CHUNK_ROWS)
    town.check()
    assert town.stop("server") == 0
