"""Campaigns over HTTP: a draft, its recipients in a stream, its steps, its results."""

import asyncio
import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from engine.crm.marketing import uploads
from engine.crm.marketing.campaigns import has_ended
from engine.traffic import retention
from engine.traffic.retention import Budget
from tests.server.conftest import Place, place_in, until

ROWS = [
    {"to": "+8613900000011", "client_ref": "a", "values": {"name": "李娜"}},
    {"to": "+8613900000012", "client_ref": "b", "values": {"name": "Ada, the first"}},
    {"to": "+8613900000013", "client_ref": "c", "values": {"name": 'Ben "B"'}},
]


def as_ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("to", "client_ref", "name"))
    writer.writerows((row["to"], row["client_ref"], row["values"]["name"]) for row in rows)
    return text.getvalue().encode()


def as_msgpack(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(msgpack.packb(row) for row in rows)


# -- drafts


async def test_a_draft_is_made_and_found(desk: Place) -> None:
    fields = {"name": "Spring", "text": {"en": "Hi {name}", "zh": "{name:您}好"}, "purpose": "marketing"}
    made = await desk.call("POST", "/v1/campaigns", {**fields, "delivery_report": "sample:5%", "weight": 3})
    assert (made.status, made.headers["Location"]) == (201, f"/v1/campaigns/{made.body['id']}")
    found = await desk.call("GET", made.headers["Location"])
    wanted = {
        **fields,
        "delivery_report": "sample:5%",
        "weight": 3,
        "state": "draft",
        "on_unknown": "await_report",
    }
    assert {name: found.body[name] for name in wanted} == wanted


async def test_one_text_is_in_the_language_of_the_house(desk: Place) -> None:
    found = await desk.call("GET", f"/v1/campaigns/{await desk.draft(text='Hi')}")
    assert found.body["text"] == {"en": "Hi"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"name": "  "}, "name", id="a name of blanks"),
        pytest.param({"text": {}}, "text", id="no text"),
        pytest.param({"text": {"en": ""}}, "text.en", id="an empty text"),
        pytest.param({"text": "x" * 10_001}, "text.en", id="a text too long"),
        pytest.param({"text": "Dear {name"}, "text.en", id="a brace that stays open"),
        pytest.param({"purpose": "fun"}, "purpose", id="no purpose"),
        pytest.param({"purpose": "legal"}, "purpose", id="our own purpose"),
        pytest.param({"weight": 0}, "weight", id="no weight"),
        pytest.param({"weight": 101}, "weight", id="too much weight"),
        pytest.param({"delivery_report": "some"}, "delivery_report", id="a report that is none"),
        pytest.param({"delivery_report": "sample:0%"}, "delivery_report", id="a sample of nobody"),
        pytest.param({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at", id="a window that is over"),
        pytest.param({"colour": 1}, "colour", id="an unknown field"),
        pytest.param(
            {"delivery_report": f"sample:{'1' * 5000}%"}, "delivery_report", id="a sample of very many digits",
        ),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_refused_by_its_name(desk: Place, fields: dict[str, Any], field: str) -> None:
    body = {"name": "Spring", "text": "Hi", "purpose": "service", **fields}
    answer = await desk.call("POST", "/v1/campaigns", body)
    assert (answer.status, list(answer.params)) == (422, [field])


async def test_a_list_is_read_in_pages_newest_first(desk: Place) -> None:
    names = [await desk.draft() for _ in range(3)]
    first = await desk.call("GET", "/v1/campaigns?limit=2")
    second = await desk.call("GET", f"/v1/campaigns?limit=2&cursor={first.body['next']}")
    seen = [campaign["id"] for page in (first, second) for campaign in page.body["items"]]
    assert (seen, second.body["next"]) == (names[::-1], None)


# -- recipients


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        pytest.param("application/x-ndjson", as_ndjson(ROWS), id="ndjson"),
        pytest.param("application/jsonl", as_ndjson(ROWS), id="jsonl"),
        pytest.param("text/csv", as_csv(ROWS), id="csv"),
        pytest.param("text/csv; charset=utf-8; header=present", as_csv(ROWS), id="csv with parameters"),
        pytest.param("application/x-msgpack", as_msgpack(ROWS), id="msgpack"),
        pytest.param("application/vnd.msgpack", as_msgpack(ROWS), id="msgpack by its other name"),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
async def test_rows_come_in_any_form(desk: Place, kind: str, octets: bytes, is_packed: bool) -> None:
    campaign = await desk.draft()
    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    for accepted in (3, 0):
        answer = await desk.upload(campaign, gzip.compress(octets) if is_packed else octets, kind, headers)
        counts = {name: answer.body[name] for name in ("rows", "accepted", "duplicate", "suppressed", "invalid")}
        assert answer.status == 202
        assert counts == {
            "rows": 3,
            "accepted": accepted,
            "duplicate": 3 - accepted,
            "suppressed": 0,
            "invalid": 0,
        }
        assert answer.body["done"] is True
    assert desk.rows() == 3
    assert desk.differences() == []


async def test_wrong_rows_are_told_apart_and_the_others_taken(desk: Place) -> None:
    lines = (
        b'{"to":"+8613900000011"}',
        b'{"to":"nobody"}',
        b"{",
        b'{"to":"+8613900000011"}',
        b'{"to":"+8613900000012","colour":"red"}',
        b'{"client_ref":"x"}',
    )
    campaign = await desk.draft()
    answer = await desk.upload(campaign, b"\n".join(lines), "application/x-ndjson")
    assert {name: answer.body[name] for name in ("rows", "accepted", "duplicate", "invalid")} == {
        "rows": 6, "accepted": 1, "duplicate": 1, "invalid": 4,
    }  # fmt: skip
    faults = await desk.call("GET", answer.body["faults_url"])
    found = [(fault["row"], fault["status"], fault["name"]) for fault in faults.body["items"]]
    assert found == [
        (2, "invalid", "to"), (3, "invalid", "body"), (4, "duplicate", None), (5, "invalid", "colour"),
        (6, "invalid", "to"),
    ]  # fmt: skip
    rest = await desk.call("GET", f"{answer.body['faults_url']}?limit=2&cursor=3")
    assert ([fault["row"] for fault in rest.body["items"]], rest.body["next"]) == ([4, 5], "5")


async def test_a_number_that_said_stop_is_suppressed_at_the_door(house: Place) -> None:
    await house.call("POST", "/v1/sim/inbound", {"from": "+8613900000012", "text": "STOP"})
    answer = await house.upload(await house.draft(), as_csv(ROWS))
    assert (answer.body["accepted"], answer.body["suppressed"]) == (2, 1)


async def test_an_upload_takes_no_idempotency_key(desk: Place) -> None:
    campaign = await desk.draft()
    answer = await desk.upload(campaign, as_csv(ROWS), headers={"Idempotency-Key": "k"})
    assert (answer.status, answer.slug, desk.rows()) == (400, "idempotency_key", 0)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream"])
async def test_another_media_type_is_refused_with_those_there_are(desk: Place, kind: str) -> None:
    answer = await desk.upload(await desk.draft(), as_csv(ROWS), kind)
    assert (answer.status, "text/csv" in answer.body["detail"]) == (415, True)


async def test_only_one_upload_at_a_time(desk: Place) -> None:
    campaign = await desk.draft()

    async def slowly() -> Any:
        yield b"to\n"
        await until(lambda: is_refused)
        yield b"+8613900000011\n"

    is_refused = False

    async def impatient() -> None:
        nonlocal is_refused
        async with asyncio.timeout(5):
            while not (await desk.call("GET", f"/v1/campaigns/{campaign}")).body["uploading"]:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        second = await desk.upload(campaign, as_csv(ROWS))
        launched = await desk.call("POST", f"/v1/campaigns/{campaign}/launch")
        assert (second.status, launched.status) == (409, 409)
        is_refused = True

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(impatient())
        first = tasks.create_task(
            desk.call("POST", f"/v1/campaigns/{campaign}/recipients", data=slowly(),
                      headers={"Content-Type": "text/csv"})
        )  # fmt: skip
    assert (first.result().body["accepted"], desk.rows()) == (1, 1)


# -- steps


@pytest.mark.parametrize(
    ("steps", "status", "state"),
    [
        pytest.param(["pause"], 409, "draft", id="a draft does not pause"),
        pytest.param(["resume"], 409, "draft", id="a draft does not resume"),
        pytest.param(["cancel"], 200, "cancelled", id="a draft can be cancelled"),
        pytest.param(["launch"], 202, "running", id="launch"),
        pytest.param(["launch", "launch"], 409, "running", id="once"),
        pytest.param(["launch", "pause"], 200, "paused", id="pause"),
        pytest.param(["launch", "pause", "pause"], 409, "paused", id="pause once"),
        pytest.param(["launch", "pause", "resume"], 200, "running", id="resume"),
        pytest.param(["launch", "cancel"], 200, "cancelled", id="cancel"),
        pytest.param(["cancel", "launch"], 409, "cancelled", id="what was cancelled stays so"),
        pytest.param(["launch", "pause", "cancel"], 200, "cancelled", id="cancel in a pause"),
        pytest.param(["cancel", "cancel"], 409, "cancelled", id="cancel once"),
    ],
)
async def test_steps(desk: Place, steps: list[str], status: int, state: str) -> None:
    campaign = await desk.draft()
    await desk.upload(campaign, as_csv(ROWS))
    for step in steps:
        answer = await desk.call("POST", f"/v1/campaigns/{campaign}/{step}")
    found = (await desk.call("GET", f"/v1/campaigns/{campaign}")).body
    assert (answer.status, found["state"]) == (status, state)
    assert sum(found["counts"].values()) == found["recipients"] == 3
    assert desk.differences() == []


async def test_what_has_ended_takes_no_more_rows(desk: Place) -> None:
    campaign = await desk.draft()
    await desk.call("POST", f"/v1/campaigns/{campaign}/cancel")
    assert (await desk.upload(campaign, as_csv(ROWS))).status == 409
    assert desk.rows() == 0


# -- sending


async def test_a_campaign_runs_to_its_end(house: Place) -> None:
    campaign = await house.draft(text={"en": "Dear {name}"}, delivery_report="all")
    await house.upload(campaign, as_csv([*ROWS, {"to": "+8613900000014", "client_ref": "d", "values": {"name": ""}}]))
    await house.call("POST", f"/v1/campaigns/{campaign}/launch")
    counts = None
    async with asyncio.timeout(5):
        while counts != {"delivered": 3, "failed": 1}:
            counts = (await house.call("GET", f"/v1/campaigns/{campaign}")).body["counts"]
    results = await house.call("GET", f"/v1/campaigns/{campaign}/results")
    found = [(row["row"], row["client_ref"], row["state"], row["reason"]) for row in results.body["items"]]
    assert found == [
        (1, "a", "delivered", None), (2, "b", "delivered", None), (3, "c", "delivered", None),
        (4, "d", "failed", "missing_value_name"),
    ]  # fmt: skip
    assert house.differences() == []


@pytest.mark.parametrize(
    "purpose",
    [
        "marketing",
        "survey",
    ],
)
async def test_a_campaign_with_a_consent_basis_is_sent(tmp_path: Path, purpose: str) -> None:
    async with place_in(tmp_path, 1) as place:
        await place.ready()
        campaign = await place.draft(purpose=purpose, consent_basis="guest cards of May", text="Lotus Hotel: hi, STOP")
        await place.upload(campaign, as_csv(ROWS))
        await place.call("POST", f"/v1/campaigns/{campaign}/launch")
        counts = None
        async with asyncio.timeout(5):
            while counts != {"sent": 3}:
                counts = (await place.call("GET", f"/v1/campaigns/{campaign}")).body["counts"]
        assert place.differences() == []


@pytest.mark.parametrize(
    ("purpose", "counts"),
    [
        pytest.param("transactional", {"failed": 1, "sent": 1}, id="that may go"),
        pytest.param(
            "marketing", {"suppressed": 2}, id="that may not",
        ),
    ],
)  # fmt: skip
async def test_a_row_whose_text_is_too_long_harms_no_other(
    tmp_path: Path, purpose: str, counts: dict[str, int]
) -> None:
    async with place_in(tmp_path, 1) as place:
        await place.ready()
        campaign = await place.draft(purpose=purpose, text="{name}" * 50 + " Lotus Hotel, STOP")
        rows = [
            {"to": "+8613900000011", "values": {"name": "汉" * 1000}},
            {"to": "+8613900000012", "values": {"name": "x"}},
        ]
        await place.upload(campaign, as_ndjson(rows), "application/x-ndjson")
        await place.call("POST", f"/v1/campaigns/{campaign}/launch")
        found = None
        async with asyncio.timeout(3):
            while found != counts:
                found = (await place.call("GET", f"/v1/campaigns/{campaign}")).body["counts"]
        assert place.differences() == []


async def test_results_as_a_file_are_safe_in_a_spreadsheet(desk: Place) -> None:
    campaign = await desk.draft()
    await desk.upload(campaign, b'to,client_ref,name\r\n+8613900000011,"=1+1",x\r\n+8613900000012,,"a\nb"\r\n')
    answer = await desk.call("GET", f"/v1/campaigns/{campaign}/results.csv")
    rows = list(csv.DictReader(io.StringIO(answer.body, newline="")))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{campaign}.csv"'
    assert [(row["row"], row["client_ref"], row["to"], row["state"]) for row in rows] == [
        ("1", "'=1+1", "'+8613*****0011", "accepted"), ("2", "", "'+8613*****0012", "accepted"),
    ]  # fmt: skip


async def test_results_are_read_in_pages(desk: Place) -> None:
    campaign = await desk.draft()
    await desk.upload(campaign, as_csv(ROWS))
    first = await desk.call("GET", f"/v1/campaigns/{campaign}/results?limit=2")
    second = await desk.call("GET", f"/v1/campaigns/{campaign}/results?limit=2&cursor={first.body['next']}")
    beyond = await desk.call("GET", f"/v1/campaigns/{campaign}/results?cursor=999999999")
    assert [row["row"] for page in (first, second) for row in page.body["items"]] == [1, 2, 3]
    assert (second.body["next"], beyond.body["items"]) == (None, [])


async def test_results_begin_behind_what_is_kept_no_more_and_say_so(desk: Place) -> None:
    campaign = await desk.draft()
    first = [{**ROWS[0], "to": f"+86139{at:08}", "client_ref": f"x{at}"} for at in range(600)]
    loaded = await desk.upload(campaign, as_csv([*first, first[0]]))
    assert (await desk.call("GET", f"/v1/campaigns/{campaign}/results")).body["gone"] == 0
    await desk.call("POST", f"/v1/campaigns/{campaign}/cancel")
    after = await desk.engine.store.write(
        retention.forget_rows, 0, 1 << 41, has_ended, Budget(1, 1)
    )  # fmt: skip
    page = (await desk.call("GET", f"/v1/campaigns/{campaign}/results?limit=1000")).body
    assert after is not None
    assert 0 < page["gone"] < 600
    assert [row["row"] for row in page["items"]] == list(range(page["gone"] + 1, 601))
    file = (await desk.call("GET", f"/v1/campaigns/{campaign}/results.csv")).body
    assert [row["row"] for row in csv.DictReader(io.StringIO(file, newline=""))] == [
        str(row["row"]) for row in page["items"]
    ]
    assert (await desk.call("GET", f"/v1/campaigns/{campaign}")).body["counts"] == {"cancelled": 600}
    faults = (await desk.call("GET", loaded.body["faults_url"])).body
    assert (len(faults["items"]), faults["gone"]) == (1, False)
    await desk.engine.store.write(uploads.forget_faults, 0, 1 << 41, 10)
    faults = (await desk.call("GET", loaded.body["faults_url"])).body
    assert (faults["items"], faults["gone"]) == ([], True)
    assert desk.differences() == []


@pytest.mark.parametrize(
    "path",
    ["/v1/campaigns/cmp_0000000000001", "/v1/campaigns/cmp_0000000000001/results",
     "/v1/campaigns/cmp_0000000000001/results.csv", "/v1/uploads/upl_0000000000001/faults"],
)  # fmt: skip
async def test_what_is_not_there_is_not_found(desk: Place, path: str) -> None:
    assert (await desk.call("GET", path)).status == 404


@pytest.mark.parametrize("step", ["launch", "pause", "resume", "cancel"])
async def test_a_step_of_nothing_is_not_found(desk: Place, step: str) -> None:
    assert (await desk.call("POST", f"/v1/campaigns/cmp_0000000000001/{step}")).status == 404
