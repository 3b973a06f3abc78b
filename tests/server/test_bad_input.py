"""Bad input, one row of the table each: what was put in, how it was refused, and that nothing was kept of it.

`pytest -rP tests/server/test_bad_input.py` prints the table.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.sim.storage import UNREAD, Record
from engine.traffic.inbound import UNREADABLE
from tests.server.conftest import PATIENCE_S, TOKEN, Answer, Place, place_in, until

NUMBER = "+8613912345678"
GOOD = b"to,name\n+8613900000011,Ada\n"
# A text from +8613912345678, "hello" in UCS2: service centre, then 29 octets of SMS-DELIVER.
PDU = "00040D91683119325476F80008621112132535230A00680065006C006C006F"
LENGTH = len(PDU) // 2 - 1


def row(what: str, status: object, said: str) -> None:
    print(f"| {what} | {status} | {said} |")


def told(what: str, answer: Answer) -> None:
    """A row of the table, from a problem."""
    row(what, answer.status, answer.body["detail"])


@pytest.fixture
async def kept(desk: Place) -> AsyncIterator[str]:
    """A campaign with one good row, and nothing else when it is over."""
    campaign = await desk.draft()
    assert (await desk.upload(campaign, GOOD)).body["accepted"] == 1
    yield campaign
    found = (await desk.call("GET", f"/v1/campaigns/{campaign}")).body
    assert (found["recipients"], found["uploading"], desk.rows()) == (1, False, 1)
    items = (await desk.call("GET", "/v1/messages")).body["items"]
    assert [(item["state"], item["campaign_id"]) for item in items] == [("accepted", campaign)]
    assert desk.differences() == []
    assert (await desk.upload(campaign, GOOD)).body["duplicate"] == 1


# -- rows and fields


@pytest.mark.parametrize(
    ("kind", "octets", "name"),
    [
        pytest.param("text/csv", b"to,name\n+8613900000012\n", "body", id="CSV row with a column too few"),
        pytest.param("text/csv", b'to,name\n+8613900000012,"a"b\n', "body", id="CSV row with a quote out of place"),
        pytest.param("text/csv", b"to,name\n+8613900000012,\xff\n", "body", id="CSV row that is no UTF-8"),
        pytest.param("text/csv", b"to,name\nfive,Ada\n", "to", id="CSV row with a number that is none"),
        pytest.param("application/x-ndjson", b'{"to":\n', "body", id="NDJSON row that is no JSON"),
        pytest.param("application/x-ndjson", b'{"to":"+8613900000012","x":1}\n', "x", id="NDJSON row, unknown field"),
        pytest.param("application/x-msgpack", b"\x05", "body", id="msgpack row that is a number"),
    ],
)
async def test_a_malformed_row(
    desk: Place, kept: str, kind: str, octets: bytes, name: str, request: pytest.FixtureRequest
) -> None:
    answer = await desk.upload(kept, octets, kind)
    (fault,) = answer.body["first_faults"]
    row(
        request.node.callspec.id,
        f"{answer.status}, invalid: 1",
        f"row {fault['row']}: {fault['name']}: {fault['reason']}",
    )
    assert (answer.status, answer.body["invalid"], answer.body["accepted"]) == (202, 1, 0)
    assert (fault["row"], fault["status"], fault["name"]) == (1, "invalid", name)


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        pytest.param("text/csv", b"number,name\n+8613900000012,Ada\n", id="CSV header without to"),
        pytest.param("text/csv", b"", id="CSV without a header"),
        pytest.param("text/csv", b'to\n"' + b"x" * 70_000, id="CSV row of 70,000 octets"),
        pytest.param("application/x-ndjson", b"x" * 100_000, id="NDJSON line of 100,000 octets"),
        pytest.param("application/x-msgpack", b"\xc1", id="an octet that msgpack does not have"),
        pytest.param(
            "application/x-msgpack", b"\x81\xa2to", id="msgpack that ends inside a row",
        ),
    ],
)  # fmt: skip
async def test_a_file_that_cannot_be_read(
    desk: Place, kept: str, kind: str, octets: bytes, request: pytest.FixtureRequest
) -> None:
    answer = await desk.upload(kept, octets, kind)
    told(request.node.callspec.id, answer)
    assert (answer.status, answer.slug) == (422, "invalid")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        pytest.param("/v1/messages", {"to": NUMBER, "text": "x", "colour": 1}, "colour", id="unknown field, message"),
        pytest.param(
            "/v1/campaigns", {"name": "x", "text": "x", "purpose": "service", "colour": 1}, "colour",
            id="unknown field, campaign",
        ),
        pytest.param("/v1/customers", {"number": NUMBER, "colour": 1}, "colour", id="unknown field, customer"),
        pytest.param("/v1/messages", {"to": "five", "text": "x"}, "to", id="number that is none, message"),
        pytest.param("/v1/messages", {"to": "+86", "text": "x"}, "to", id="number too short, message"),
        pytest.param("/v1/messages", {"to": "13912345678", "text": "x"}, "to", id="number without a country, message"),
        pytest.param("/v1/customers", {"number": "five"}, "number", id="number that is none, customer"),
    ],
)  # fmt: skip
async def test_a_wrong_field(
    desk: Place, kept: str, path: str, body: dict[str, Any], field: str, request: pytest.FixtureRequest
) -> None:
    answer = await desk.call("POST", path, body)
    told(request.node.callspec.id, answer)
    assert (answer.status, list(answer.params)) == (422, [field])


@pytest.mark.parametrize("token", [None, "car_of-somebody-else"], ids=["no token", "wrong token"])
async def test_a_wrong_token(desk: Place, kept: str, token: str | None, request: pytest.FixtureRequest) -> None:
    body = {"to": NUMBER, "text": "x"}
    for path in ("/v1/messages", f"/v1/campaigns/{kept}/recipients", f"/v1/campaigns/{kept}/launch"):
        answer = await desk.call("POST", path, body, token=token)
        assert (answer.status, answer.slug) == (401, "unauthorized")
    told(request.node.callspec.id, answer)


# -- a body cut off in the middle

HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: text/csv\r\n".encode()
CUTS = {
    "Content-Length and too few octets": b"Content-Length: 500\r\n\r\nto,name\n+8613900000012,Ada\n",
    "Content-Length and nothing": b"Content-Length: 500\r\n\r\n",
    "chunks without the last": b"Transfer-Encoding: chunked\r\n\r\n1b\r\nto,name\n+8613900000012,Ada\n\r\n",
    "half a chunk": b"Transfer-Encoding: chunked\r\n\r\n50\r\nto,name\n+8613900000012,Ada\n",
    "many rows": b"Content-Length: 500000\r\n\r\nto\n" + b"".join(b"+86139%08d\n" % n for n in range(3000)),
}


async def uploading(place: Place, campaign: str) -> bool:
    return bool((await place.call("GET", f"/v1/campaigns/{campaign}")).body["uploading"])


async def upload_is(place: Place, campaign: str, wanted: bool) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await uploading(place, campaign) is not wanted:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.002)


async def begun(place: Place, campaign: str, octets: bytes) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", place.client.port)
    writer.write(f"POST /v1/campaigns/{campaign}/recipients HTTP/1.1\r\n".encode() + HEAD + octets)
    await writer.drain()
    return writer


@pytest.mark.parametrize("octets", CUTS.values(), ids=CUTS)
async def test_an_upload_that_is_cut_off(desk: Place, kept: str, octets: bytes, request: pytest.FixtureRequest) -> None:
    writer = await begun(desk, kept, octets)
    await upload_is(desk, kept, True)
    writer.close()
    await upload_is(desk, kept, False)
    row(
        f"upload cut off: {request.node.callspec.id}",
        "connection closed",
        "nobody is there to be told; nothing was kept",
    )


async def test_uploads_that_are_cut_off_before_the_server_looks(desk: Place, kept: str) -> None:
    """All of it may come within one turn of the server's loop: the rows, and that their connection is gone."""
    for place in range(30):
        writer = await begun(desk, kept, list(CUTS.values())[place % len(CUTS)])
        if place % 2:
            writer.transport.abort()
        else:
            writer.close()
    async with asyncio.timeout(PATIENCE_S):
        while (await desk.upload(kept, GOOD)).status != 202:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.01)


async def test_a_message_that_is_cut_off(desk: Place, kept: str, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.client.port)
    writer.write(b"POST /v1/messages HTTP/1.1\r\n" + HEAD + b'Content-Length: 500\r\n\r\n{"to":"+8613912345678"')
    writer.write_eof()
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    row("message cut off", "connection closed", "nobody is there to be told; nothing was kept")
    writer.close()


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"not gzip at all", id="no gzip"),
        pytest.param(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xff\xff", id="a broken stream"),
    ],
)
async def test_an_upload_that_is_not_packed_as_it_says(
    desk: Place, kept: str, octets: bytes, request: pytest.FixtureRequest
) -> None:
    answer = await desk.upload(kept, octets, headers={"Content-Encoding": "gzip"})
    told(f"upload said to be gzip: {request.node.callspec.id}", answer)
    assert (answer.status, answer.slug) == (400, "body_cut_off")


# -- the rack


async def test_a_port_that_does_not_exist(tmp_path: Path) -> None:
    port = str(tmp_path / "ttyUSB9")
    async with place_in(tmp_path, ports=(port,)) as place:
        await until(place.engine.rack)
        name = (await place.call("POST", "/v1/messages", {"to": NUMBER, "text": "x"})).body["id"]
        ready = await place.call("GET", "/readyz", held=False)
        (modem,) = (await place.call("GET", "/v1/modems")).body["items"]
        explained = (await place.call("GET", f"/v1/messages/{name}/explain")).body["explanation"]
        row("port that does not exist", f"/readyz {ready.status}", f"{modem['state']}: {modem['detail']}; {explained}")
        assert (ready.status, modem["state"], modem["detail"]) == (503, "lost", "no such port")
        assert (await place.message(name))["state"] == "queued"
        assert (place.rows(), place.differences()) == (0, [])


async def test_a_modem_unplugged_during_a_send(tmp_path: Path) -> None:
    async with place_in(tmp_path, 1, latency_ms=500) as place:
        await place.ready()
        name = (await place.call("POST", "/v1/messages", {"to": NUMBER, "text": "x"})).body["id"]
        other = (await place.call("POST", "/v1/messages", {"to": NUMBER, "text": "y"})).body["id"]
        await until(lambda: place.rack.modem("modem-00").sim.reference == 1)  # the PDU is in the air
        place.rack.unplug("modem-00")
        async with asyncio.timeout(PATIENCE_S):
            while (await place.message(name))["state"] == "sending":  # noqa: ASYNC110 - asked from outside
                await asyncio.sleep(0.002)
        message = await place.message(name)
        row("modem unplugged during a send", message["state"], str(message["reason"]))
        assert message["state"] == "unknown"
        assert (await place.message(other))["state"] == "queued"
        assert (place.rows(), place.differences()) == (0, [])
        place.rack.network.latency_ms = 0
        place.rack.plug("modem-00")
        await until(lambda: place.engine.is_settled and place.engine.rack()[0].state == "ready")
        assert [(await place.message(one))["state"] for one in (name, other)] == ["unknown", "sent"]
        assert place.differences() == []


def stored(place: Place, pdu: str, length: int) -> None:
    """The modem has a record and says so."""
    modem = place.rack.modem("modem-00")
    index = modem.storage.add(Record(UNREAD, pdu, length), "MT")
    modem.urc(f'+CMTI: "MT",{index}')


@pytest.fixture
async def listening(house: Place) -> AsyncIterator[Place]:
    """A place that still hears a good text afterwards, and is whole."""
    yield house
    stored(house, PDU, LENGTH)
    await until(lambda: house.rack.modem("modem-00").storage.usage("MT")[0] == 0 or house.engine.rack()[0].received)
    async with asyncio.timeout(PATIENCE_S):
        while not (await house.call("GET", "/v1/messages?direction=in")).body["items"]:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    newest = (await house.call("GET", "/v1/messages?direction=in")).body["items"][0]
    assert (newest["from"], newest["text"]) == ("+8613*****5678", "hello")
    assert (house.rows(), house.differences()) == (0, [])


async def test_a_pdu_shorter_than_the_modem_says(listening: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    cases = {
        "an octet fewer than stated": (PDU, LENGTH + 1),
        "half of what is stated": (PDU[:20], LENGTH),
        "half an octet fewer": (PDU[:-1], LENGTH),
    }
    for place, (what, (pdu, length)) in enumerate(cases.items(), 1):
        stored(listening, pdu, length)
        await until(lambda place=place: listening.engine.rack()[0].received == place)  # type: ignore[misc]
        events = (await listening.call("GET", "/v1/events?limit=1000")).body["items"]
        news = [event["data"]["reason"] for event in events if event["type"] == "message.unreadable"]
        row(f"PDU from the modem: {what}", "kept as unreadable", f"event message.unreadable: {news[-1]}")
        assert len(news) == place
    await until(lambda: listening.rack.modem("modem-00").storage.usage("MT")[0] == 0)
    assert "12345678" not in caplog.text


async def test_a_pdu_that_can_never_be_read_is_kept_where_somebody_sees_it(listening: Place) -> None:
    stored(listening, PDU, LENGTH + 1)
    async with asyncio.timeout(1):
        while not listening.engine.rack()[0].received:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.01)


async def test_a_pdu_that_is_none(listening: Place) -> None:
    cases = {
        "more octets than stated": (PDU, 3),
        "an address that does not end": ("00" + "40" * 20, 20),
        "one octet": ("0004", 1),
        "a type that is reserved": ("00" + "03" + "00" * 20, 21),
        "more than a record holds": (PDU[:-2] + "00" * 200, LENGTH + 199),
    }
    modem = listening.rack.modem("modem-00")
    for place, (what, (pdu, length)) in enumerate(cases.items(), 1):
        stored(listening, pdu, length)
        await until(lambda place=place: listening.engine.rack()[0].received == place)  # type: ignore[misc]
        await until(lambda: modem.storage.usage("MT")[0] == 0)
        with listening.engine.store.read() as txn:
            kept = [record.pdu for _, record in UNREADABLE.scan(txn)]
        events = (await listening.call("GET", "/v1/events?limit=1000")).body["items"]
        news = [event["data"]["reason"] for event in events if event["type"] == "message.unreadable"]
        row(f"PDU from the modem: {what}", "kept as unreadable", f"event message.unreadable: {news[-1]}")
        assert (len(news), kept[-1]) == (place, pdu)
    assert (await listening.call("GET", "/v1/messages?direction=in")).body["items"] == []
