"""Merging, erasing and taking everything of a person along, over HTTP: M5, N3 and the tests of the compliance list."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.access.caller import Caller
from engine.config import ANY_HOUR, House, Settings
from engine.crm.people.customer import CUSTOMERS
from engine.store import ids
from engine.store.disk import DATA_FILE
from engine.traffic import inbox, messages
from engine.traffic.inbox import Received
from engine.wiring import running
from server import middleware
from tests.engine.crm.test_erasure import found_in
from tests.server.conftest import PEPPER, Answer, Place, place_in

ANN, BOB = "+8613911223344", "+8613799887766"


def in_country(place: Place, country: str) -> None:
    house = msgspec.structs.replace(place.engine.settings.house, country=country)
    place.engine.settings = msgspec.structs.replace(place.engine.settings, house=house)


def may(monkeypatch: pytest.MonkeyPatch, *rights: str, **fields: Any) -> None:
    """Whoever calls from now on has these rights alone."""
    monkeypatch.setattr(middleware, "of_token", lambda _: Caller("token", "till", rights=frozenset(rights), **fields))


async def made(place: Place, number: str, **fields: Any) -> str:
    answer = await place.call("POST", "/v1/customers", {"number": number, **fields})
    assert answer.status == 201, answer
    return str(answer.body["id"])


async def erased(place: Place, name: str) -> Answer:
    asked = await place.call("POST", f"/v1/customers/{name}/erase", {})
    assert (asked.status, asked.body["state"]) == (202, "awaiting_confirm")
    return await place.call("POST", f"/v1/customers/{name}/erase", {"challenge": asked.body["challenge"]})


# -- M5


async def test_M5_one_number_in_three_ways_of_writing_is_one_customer(desk: Place) -> None:
    in_country(desk, "CN")
    name = await made(desk, "010-1234 5678")
    for written in ("+86 10 1234 5678", "０１０１２３４５６７８", "+861012345678"):
        answer = await desk.call("POST", "/v1/customers", {"number": written})
        assert answer.status == 409, written
        found = await desk.call("GET", "/v1/customers", params={"number": written})
        assert [item["id"] for item in found.body["items"]] == [name]


async def test_M5_a_merge_keeps_both_histories_and_tells_what_differs(desk: Place) -> None:
    kept = await made(desk, ANN, name="Ann Quill", email="ann@example.org")
    gone = await made(desk, BOB, name="A. Quill", birthday="1990-05-20", tags=["gold"])
    for number in (ANN, BOB):
        body = {"to": number, "text": f"to {number}"}
        assert (await desk.call("POST", "/v1/messages", body)).status == 202
    event = {"kind": "order", "at": "2030-01-31T09:00:00Z", "ref": "O17"}
    assert (await desk.call("POST", f"/v1/customers/{gone}/events", event)).status in (200, 201)
    seen = await desk.call("GET", f"/v1/customers/{kept}/merge?other={gone}")
    assert seen.body["differences"] == [{"field": "name", "kept": "Ann Quill", "other": "A. Quill"}]
    done = await desk.call("POST", f"/v1/customers/{kept}/merge", {"other_id": gone})
    assert (done.status, done.body) == (200, seen.body)
    assert done.body["changes"] == ["birthday", "numbers", "tags"]
    texts = {item["text"] for item in (await desk.call("GET", f"/v1/customers/{kept}/timeline")).body["items"]}
    assert texts >= {f"to {ANN}", f"to {BOB}"}
    # The id that is no more leads to who was kept.
    there = await desk.call("GET", f"/v1/customers/{gone}")
    assert (there.status, there.body["id"]) == (200, kept)
    assert there.headers["Content-Location"] == f"/v1/customers/{kept}"
    assert there.body["numbers"] == [BOB]
    events = (await desk.call("GET", "/v1/events?limit=100")).body["items"]
    assert [event["object_id"] for event in events if event["type"] == "customer.merged"] == [kept]
    assert desk.differences() == []


async def test_M5_who_may_be_one_is_shown_with_masks(desk: Place) -> None:
    older = await made(desk, ANN, name="Ann Quill", birthday="1990-05-20")
    newer = await made(desk, BOB, name="ann quill", birthday="1990-05-20")
    page = (await desk.call("GET", "/v1/customers/duplicates")).body
    (pair,) = page["items"]
    assert (pair["older"]["id"], pair["newer"]["id"], pair["reasons"]) == (older, newer, ["name_birthday"])
    assert BOB not in str(page)
    assert page["next"] is None


async def test_each_call_needs_its_right(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name, other = await made(desk, ANN), await made(desk, BOB)
    may(monkeypatch, "customers:read")
    for method, path, body in (
        ("POST", f"/v1/customers/{name}/merge", {"other_id": other}),
        ("GET", f"/v1/customers/{name}/merge?other={other}", None),
        ("POST", f"/v1/customers/{name}/erase", {}),
        ("GET", f"/v1/customers/{name}/dossier", None),
        ("GET", "/v1/erasures", None),
    ):
        answer = await desk.call(method, path, body)
        assert (answer.status, answer.slug) == (403, "no_right"), path


# -- N3: erasure


async def test_N3_an_erasure_takes_two_calls_and_says_until_when_files_hold_the_person(desk: Place) -> None:
    name = await made(desk, ANN, name="Ann Quill")
    sent = await desk.call("POST", "/v1/messages", {"to": ANN, "text": "Dear Ann Quill"})
    asked = await desk.call("POST", f"/v1/customers/{name}/erase", {})
    challenge = asked.body["challenge"]
    wrong = f"{(int(challenge) + 1) % 10_000:04d}"
    refused = await desk.call("POST", f"/v1/customers/{name}/erase", {"challenge": wrong})
    assert (refused.status, refused.slug) == (403, "wrong_challenge")
    assert (await desk.call("GET", f"/v1/customers/{name}")).status == 200
    done = await desk.call("POST", f"/v1/customers/{name}/erase", {"challenge": challenge})
    assert (done.status, done.body["state"], done.body["compacted_at"]) == (202, "done", None)
    assert done.body["backups_gone_by"] > done.body["done_at"][:10]
    assert (await desk.call("GET", f"/v1/customers/{name}")).status == 404
    message = (await desk.call("GET", f"/v1/messages/{sent.body['id']}")).body
    assert (message["state"], message["reason"], message["text"]) == ("suppressed", "erased", "")
    page = await desk.call("GET", "/v1/erasures")
    assert [item["id"] for item in page.body["items"]] == [done.body["id"]]
    assert (await desk.call("GET", f"/v1/erasures/{done.body['id']}")).body["reference"] == "E1"
    events = (await desk.call("GET", "/v1/events?limit=100")).body["items"]
    (told,) = [event for event in events if event["type"] == "customer.erased"]
    assert (told["object_id"], told["data"]) == (name, {"erasure": done.body["id"]})
    # The log says that there was somebody; who, nobody can say.
    log = await desk.call("GET", f"/v1/audit?target={name}")
    assert [item["action"] for item in log.body["items"]] == ["customer.erased", "erasure.asked", "customer.created"]
    assert log.body["items"][2]["erased"]
    assert ANN not in str(log.body)
    assert (await desk.call("GET", "/v1/audit/verify")).body["whole"]
    assert desk.differences() == []


async def test_77_8_who_was_erased_is_not_brought_back_by_an_import_and_gets_nothing(house: Place) -> None:
    name = await made(house, ANN, name="Ann Quill")
    await erased(house, name)
    again = await house.call("POST", "/v1/customers", {"number": ANN, "name": "Ann Quill"})
    assert (again.status, again.slug) == (409, "erased")
    other = await made(house, BOB)
    for change in ({"number": ANN}, {"numbers": [ANN]}):
        answer = await house.call("PATCH", f"/v1/customers/{other}", change)
        assert (answer.status, answer.slug) == (409, "erased")
    # A list of recipients, and a single text.
    campaign = await house.draft(purpose="transactional", text="Dear you")
    upload = await house.upload(campaign, f"to\n{ANN}\n{BOB}\n".encode())
    assert (upload.body["accepted"], upload.body["suppressed"]) == (1, 1)
    assert (await house.call("POST", f"/v1/campaigns/{campaign}/launch", {})).status == 202
    alone = await house.call("POST", "/v1/messages", {"to": ANN, "text": "hello"})
    await house.settled()
    message = (await house.call("GET", f"/v1/messages/{alone.body['id']}")).body
    assert (message["state"], message["reason"]) == ("suppressed", "erased")
    results = (await house.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
    # Who was not erased got it: the positive control.
    assert (results[0]["state"], results[0]["reason"]) == ("suppressed", "erased")
    assert results[1]["state"] in ("sent", "delivered")


async def test_77_9_a_search_of_the_file_after_the_next_start_finds_nobody_who_was_erased(tmp_path: Path) -> None:
    file = tmp_path / "data" / DATA_FILE
    async with place_in(tmp_path) as desk:
        for number, text in ((ANN, "annabel writes"), (BOB, "roberto writes")):
            name = await made(desk, number, name=text)
            received = Received(0, number, 460001234567890, text, desk.engine.now_ms())
            await desk.engine.store.write(inbox.add, received, desk.engine.now_ms())
            await desk.call("POST", "/v1/messages", {"to": number, "text": text})
            if number == ANN:
                ann = name
        campaign = await desk.draft(purpose="transactional")
        await desk.upload(campaign, f"to,name\n{ANN},annabel\n{BOB},roberto\n".encode())
        before = found_in(file, int(ANN[1:]))
        answer = await erased(desk, ann)
        assert answer.body["state"] == "done"
        erasure = answer.body["id"]
    async with place_in(tmp_path) as desk:
        found = (await desk.call("GET", f"/v1/erasures/{erasure}")).body
        assert found["compacted_at"] >= found["done_at"]
        assert desk.differences() == []
    assert found_in(file, int(ANN[1:])) == set()
    assert b"annabel" not in file.read_bytes()
    # The same search finds who was not erased.
    assert found_in(file, int(BOB[1:])) >= before
    assert {"digits", "E.164", "msgpack", "seven octets"} <= before
    assert b"roberto" in file.read_bytes()


async def test_somebody_is_erased_while_a_campaign_to_him_runs(house: Place) -> None:
    name = await made(house, ANN, name="Ann Quill")
    numbers = [f"+86137000{place:05d}" for place in range(150)]
    numbers[3:3] = numbers[70:70] = [ANN]
    campaign = await house.draft(purpose="transactional", text="Dear {name}")
    rows = "".join(f"{number},row-{place},you\n" for place, number in enumerate(numbers))
    upload = await house.upload(campaign, f"to,client_ref,name\n{rows}".encode())
    assert upload.body["accepted"] == len(numbers)
    await house.call("POST", f"/v1/campaigns/{campaign}/launch", {})
    done = (await erased(house, name)).body
    async with asyncio.timeout(20):
        while done["state"] != "done":
            await asyncio.sleep(0.05)
            done = (await house.call("GET", f"/v1/erasures/{done['id']}")).body
    await house.settled()
    assert house.differences() == []
    states = (await house.call("GET", f"/v1/campaigns/{campaign}")).body["counts"]
    assert sum(states.values()) == len(numbers)
    assert states.get("sent", 0) + states.get("delivered", 0) >= 150
    sent = [one for one in house.rack.network.accepted if one.destination.endswith(ANN[1:])]
    assert len(sent) + states.get("suppressed", 0) == 2
    with house.engine.store.read() as txn:
        assert list(messages.of_number(txn, int(ANN[1:]))) == []


async def test_a_start_without_anybody_erased_compacts_nothing(tmp_path: Path) -> None:
    settings = Settings(str(tmp_path / "data"), House(), quiet=ANY_HOUR)
    async with running(settings, PEPPER) as engine:
        assert engine.store.compacted_ms() == 0
    file = (tmp_path / "data" / DATA_FILE).stat().st_ino
    async with running(settings, PEPPER):
        assert (tmp_path / "data" / DATA_FILE).stat().st_ino == file


async def test_who_texts_us_himself_is_a_new_person(house: Place) -> None:
    name = await made(house, ANN, name="Ann Quill")
    await erased(house, name)
    answer = await house.call("POST", "/v1/sim/inbound", {"from": ANN, "text": "START"})
    assert answer.status in (200, 202), answer
    await house.settled()
    found = (await house.call("GET", "/v1/customers", params={"number": ANN})).body["items"]
    assert [(one["name"], one["source"]) for one in found] == [("", "sms")]
    assert found[0]["id"] != name
    await house.sent(to=ANN)


# -- N3: everything


async def test_N3_the_export_has_all_that_is_kept_and_is_noted(desk: Place) -> None:
    name = await made(desk, ANN, name="Ann Quill", email="ann@example.org", birthday="1990-05-20")
    said = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "form 17", "wording": "v3"}
    await desk.call("POST", f"/v1/customers/{name}/consents", said)
    sent = await desk.call("POST", "/v1/messages", {"to": ANN, "text": "Dear Ann"})
    received = Received(0, ANN, 460001234567890, "who are you", desk.engine.now_ms())
    await desk.engine.store.write(inbox.add, received, desk.engine.now_ms())
    await desk.call("POST", "/v1/members", {"customer_id": name})
    campaign = await desk.draft(purpose="transactional")
    await desk.upload(campaign, f"to,name\n{ANN},Ann\n".encode())
    answer = await desk.call("GET", f"/v1/customers/{name}/dossier")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="C1.json"'
    body = answer.body
    assert (body["customer"]["number"], body["customer"]["sources"]["name"]["source"]) == (ANN, "api")
    assert (body["consents"][0]["row"]["evidence"], body["consents"][0]["row"]["wording"]) == ("form 17", "v3")
    assert sent.body["id"] in [message["id"] for message in body["messages"]]
    assert [text["text"] for text in body["received"]] == ["who are you"]
    assert [one["id"] for one in body["campaigns"]] == [campaign]
    assert len(body["members"]) == 1
    assert body["audit"][0]["action"] == "customer.exported"
    events = (await desk.call("GET", "/v1/events?limit=100")).body["items"]
    assert "customer.exported" in [event["type"] for event in events]


async def test_the_export_shows_no_more_than_its_caller_sees(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await made(desk, ANN, name="Ann Quill", email="ann@example.org", birthday="1990-05-20")
    await desk.call("POST", "/v1/messages", {"to": ANN, "text": "Dear Ann"})
    may(monkeypatch, "customers:export", sight={"number": "masked", "email": "masked", "birthday": "none"})
    body = (await desk.call("GET", f"/v1/customers/{name}/dossier")).body
    assert ANN not in json.dumps(body)
    assert (body["customer"]["email"], body["customer"]["birthday"]) == ("a***@example.org", None)


async def test_erasing_somebody_who_is_not_there_is_refused(desk: Place) -> None:
    name = ids.render("cus", 7)
    assert (await desk.call("POST", f"/v1/customers/{name}/erase", {})).status == 404
    assert (await desk.call("GET", f"/v1/customers/{name}/dossier")).status == 404
    other = await made(desk, ANN)
    refused = await desk.call("POST", f"/v1/customers/{other}/erase", {"challenge": "0000"})
    assert (refused.status, refused.slug) == (409, "no_challenge")
    with desk.engine.store.read() as txn:
        assert CUSTOMERS.find(txn, ids.parse("cus", other)) is not None
