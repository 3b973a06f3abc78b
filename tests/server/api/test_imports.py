"""Imports and exports through real HTTP."""

import asyncio
import io
from datetime import UTC, datetime

import pytest

from engine.crm.people import regions
from engine.crm.people.regions import Region
from tests.server.conftest import Answer, Place, until

CSV = {"Content-Type": "text/csv"}
DIRTY = "\n".join(
    [
        "姓名,手机,生日,地区",
        *(f"王伟,1380000000{at},1990-05-0{at + 1},JS" for at in range(7)),
        "Ｆａｙ,１３８ ００００ ０００８,1990/5/8,JS",
        "Gus,86-138-0000-0009,25.12.1990,Jiangsu",
        "Hal,1.38E+10,,",
    ]
).encode()


@pytest.fixture
async def place(desk: Place) -> Place:
    await desk.engine.store.write(regions.add, Region(0, "Jiangsu", "JS"), desk.engine.now_ms())
    desk.engine.imports._country = "CN"
    return desk


async def brought(place: Place, octets: bytes, **fields: object) -> dict[str, object]:
    """The import, once it has run."""
    made = await place.call("POST", "/v1/imports", {"name": "Fair", **fields})
    assert made.status == 201, made
    path = f"/v1/imports/{made.body['id']}"
    sent = await place.call("PUT", f"{path}/file", data=octets, headers=CSV)
    assert (sent.status, sent.body["state"]) == (200, "uploaded"), sent
    assert (await place.call("POST", f"{path}/run")).status == 202
    return await ended(place, str(made.body["id"]))


async def ended(place: Place, name: str) -> dict[str, object]:
    answer: Answer = await place.call("GET", f"/v1/imports/{name}")
    while answer.body["state"] in ("running", "undoing", "checking"):
        await until(lambda: True)
        answer = await place.call("GET", f"/v1/imports/{name}")
    return dict(answer.body)


async def test_M8_a_dry_run_tells_of_ten_dirty_rows_and_changes_nothing(place: Place) -> None:
    answer = await place.call("POST", "/v1/imports?dry_run=1&name=Fair", data=DIRTY, headers=CSV)
    assert answer.status == 201, answer
    counts = answer.body["checked"]
    assert answer.body["state"] == "checked"
    assert (counts["rows"], counts["clean"], counts["fixed"], counts["refused"]) == (10, 7, 2, 1)
    refused = await place.call("GET", f"{answer.body['rows_url']}?result=refused")
    assert [(row["row"], row["field"]) for row in refused.body["items"]] == [(10, "number")]
    assert (await place.call("GET", "/v1/customers")).body["items"] == []
    errors = await place.call("GET", f"/v1/imports/{answer.body['id']}/errors.csv")
    assert [line.split(",")[:2] for line in errors.body.splitlines()[1:]] == [
        ["8", "new"], ["9", "new"], ["10", "refused"],
    ]  # fmt: skip


async def test_M7_a_list_is_brought_in_and_taken_back(place: Place) -> None:
    done = await brought(
        place, DIRTY, legal_basis="consent", purposes=["marketing"], evidence="page 2 of the form", tags=["fair"]
    )
    assert (done["state"], done["counts"]["new"]) == ("done", 9)  # type: ignore[index]
    found = await place.call("GET", "/v1/customers?tag=fair")
    assert len(found.body["items"]) == 9
    rows = await place.call("GET", f"{done['rows_url']}?limit=4")
    assert [row["row"] for row in rows.body["items"]] == [1, 2, 3, 4]
    one = await place.call("GET", f"/v1/customers/{rows.body['items'][0]['customer_id']}")
    assert one.body["consent"]["marketing"]["status"] == "granted"
    assert (await place.call("POST", f"/v1/imports/{done['id']}/run")).status == 409
    assert (await place.call("POST", f"/v1/imports/{done['id']}/undo")).status == 202
    undone = await ended(place, str(done["id"]))
    assert (undone["state"], undone["removed"]) == ("undone", 9)
    assert (await place.call("GET", "/v1/customers")).body["items"] == []
    assert place.differences() == []


async def offered(place: Place, condition: str) -> dict[str, object]:
    """Whom an offer would reach."""
    body = {"definition": condition, "text": "tea", "purpose": "marketing"}
    answer = await place.call("POST", "/v1/segments/preview", body)
    return {"people": answer.body["people"], "matched": answer.body["matched"]}


async def test_M1_a_rented_list_goes_with_its_licence_and_its_report_stays(place: Place) -> None:
    today = datetime.fromtimestamp(place.engine.now_ms() / 1000, UTC).date()
    proven = {"legal_basis": "consent", "purposes": ["marketing"], "evidence": "contract 7", "tags": ["rented"]}
    rented = await brought(place, DIRTY, origin="rent", licence_until=today.isoformat(), **proven)
    assert await offered(place, "tag:rented") == {"people": 9, "matched": 9}
    place.engine.set_clock(place.engine.now_ms() + 86_400_000)
    place.engine.imports.ring()
    async with asyncio.timeout(10):
        while (over := await ended(place, str(rented["id"])))["state"] != "undone":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (over["removed"], over["counts"]) == (9, rented["counts"])
    assert (await place.call("GET", "/v1/customers")).body["items"] == []
    assert await offered(place, "lifecycle = lead") == {"people": 0, "matched": 0}
    rows = await place.call("GET", str(over["rows_url"]))
    assert [row["result"] for row in rows.body["items"]] == ["new"] * 9 + ["refused"]
    assert place.differences() == []


async def test_M1_purchased_people_without_proof_get_no_offers(place: Place) -> None:
    await brought(place, DIRTY, origin="purchase", legal_basis="none", tags=["bought"])
    assert await offered(place, "tag:bought") == {"people": 0, "matched": 9}
    campaign = await place.draft(text="Lotus Hotel: tea. STOP to refuse", purpose="marketing")
    await place.call("POST", f"/v1/campaigns/{campaign}/audience", {"definition": "tag:bought"})
    await place.call("POST", f"/v1/campaigns/{campaign}/launch")
    async with asyncio.timeout(10):
        while (await place.call("GET", f"/v1/campaigns/{campaign}")).body["state"] != "completed":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    rows = (await place.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
    assert {(row["state"], row["reason"]) for row in rows} == {("suppressed", "no_consent")}
    proofless = {"name": "Fair", "origin": "purchase", "legal_basis": "consent", "purposes": ["marketing"]}
    refused = await place.call("POST", "/v1/imports", proofless)
    assert (refused.status, list(refused.params)) == (422, ["evidence"])


async def test_what_is_wrong_with_an_import_is_named(place: Place) -> None:
    for body, field in (
        ({"name": "x", "origin": "rent"}, "licence_until"),
        ({"name": "x", "legal_basis": "consent", "purposes": ["marketing"]}, "evidence"),
        ({"name": "x", "mapping": {"A": "name"}}, "mapping"),
        ({"name": "x", "preset": "none"}, "preset"),
        ({"name": "x", "region": "XX"}, "region"),
    ):
        answer = await place.call("POST", "/v1/imports", body)
        assert (answer.status, [*answer.params]) == (422, [field]), answer
    made = await place.call("POST", "/v1/imports", {"name": "x"})
    path = f"/v1/imports/{made.body['id']}"
    assert (await place.call("POST", f"{path}/run")).status == 409
    bad = await place.call("PUT", f"{path}/file", data=b"number\n+8613912345678\n\xff\xff\xff", headers=CSV)
    assert (bad.status, bad.body["invalid_params"][0]["row"]) == (422, 2)
    other = await place.call("PUT", f"{path}/file", data=b"{}", headers={"Content-Type": "application/json"})
    assert other.status == 415


async def test_a_file_without_a_column_of_numbers_fails_and_says_why(place: Place) -> None:
    failed = await brought(place, b"name,age\nAnn,7\n")
    assert failed["state"] == "failed"
    assert "number" in str(failed["error"])


async def test_a_mapping_is_kept_by_a_name(place: Place) -> None:
    saved = await place.call(
        "POST", "/v1/import-presets", {"name": "Shop", "mapping": {"Cell": "number", "X": "ignore"}}
    )
    assert saved.status == 201
    done = await brought(place, b"Cell,X\n+8613912345678,1\n", preset="Shop")
    assert done["counts"]["new"] == 1  # type: ignore[index]
    listed = await place.call("GET", "/v1/import-presets")
    assert [one["name"] for one in listed.body["items"]] == ["Shop"]
    assert (await place.call("GET", "/v1/imports?limit=1")).body["items"][0]["id"] == done["id"]


async def test_a_workbook_is_a_list_too(place: Place) -> None:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("python_calamine")
    octets = io.BytesIO()
    book = xlsxwriter.Workbook(octets, {"in_memory": True})
    sheet = book.add_worksheet()
    for at, row in enumerate([("手机", "姓名"), (13912345678, "李娜"), ("139 1234 5679", "Ann")]):
        sheet.write_row(at, 0, row)
    book.close()
    kind = {"Content-Type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
    answer = await place.call("POST", "/v1/imports?dry_run=1", data=octets.getvalue(), headers=kind)
    assert answer.status == 201, answer
    assert (answer.body["checked"]["new"], answer.body["checked"]["fixed"]) == (2, 1)


async def test_customers_leave_masked_and_safe_from_spreadsheets(place: Place) -> None:
    file = b"number,name,email\n13912345678,=cmd|x,ann@example.org\n"
    await brought(place, file)
    taken = await place.call("GET", "/v1/customers.csv?columns=number,name,email")
    lines = taken.body.removeprefix("\ufeff").splitlines()
    assert lines[0] == "number,name,email"
    assert "13912345678" not in taken.body
    assert "'=cmd|x" in lines[1]
    assert "exported by tests" in lines[-1]
    whole = await place.call("GET", "/v1/customers.csv?columns=number,email&whole=1&bom=0")
    assert whole.body.splitlines()[1] == "'+8613912345678,ann@example.org"
    some = await place.call("GET", "/v1/customers.csv?condition=tag:nobody")
    assert len(some.body.splitlines()) == 2
    told = await place.call("GET", "/v1/events?limit=100")
    assert [event["type"] for event in told.body["items"]].count("customers.exported") == 3
    assert (await place.call("GET", "/v1/customers.csv?columns=secret")).status == 422
