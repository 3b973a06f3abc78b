"""Customers over HTTP, and what they agreed to."""

from typing import Any

import pytest

from tests.server.conftest import Answer, Place

NUMBER = "+8613912345678"


async def made(place: Place, **fields: Any) -> Answer:
    return await place.call("POST", "/v1/customers", {"number": NUMBER, "name": "李娜", **fields})


async def test_a_customer_is_made_and_found(desk: Place) -> None:
    answer = await made(desk, language="zh", tags=["silver"])
    found = await desk.call("GET", answer.headers["Location"])
    assert (answer.status, found.headers["ETag"]) == (201, '"1"')
    assert {name: found.body[name] for name in ("number", "name", "language", "tags", "source")} == {
        "number": NUMBER, "name": "李娜", "language": "zh", "tags": ["silver"], "source": "api",
    }  # fmt: skip
    assert found.body["consent"] == {"marketing": None, "survey": None, "research": None}


async def test_a_number_is_one_person_however_it_is_written(desk: Place) -> None:
    await made(desk)
    answer = await made(desk, number="+86 (139) 1234-5678")
    assert (answer.status, answer.slug) == (409, "conflict")
    assert NUMBER not in answer.body["detail"]


async def test_lists_mask_the_number(desk: Place) -> None:
    await made(desk)
    for query in ("", "?number=%2B8613912345678"):
        listed = await desk.call("GET", f"/v1/customers{query}")
        assert [customer["number"] for customer in listed.body["items"]] == ["+8613*****5678"]


@pytest.mark.parametrize(
    "number", [pytest.param("+29051234", id="Saint Helena"), pytest.param("+4722222222", id="Norway")]
)
async def test_short_numbers_cannot_be_dialled_from_a_list(desk: Place, number: str) -> None:
    await made(desk, number=number)
    (customer,) = (await desk.call("GET", "/v1/customers")).body["items"]
    assert customer["number"].count("*") >= 4


async def test_a_list_is_read_in_pages_newest_first(desk: Place) -> None:
    names = [(await made(desk, number=f"+86139000000{place:02d}")).body["id"] for place in range(3)]
    first = await desk.call("GET", "/v1/customers?limit=2")
    second = await desk.call("GET", f"/v1/customers?limit=2&cursor={first.body['next']}")
    assert [customer["id"] for page in (first, second) for customer in page.body["items"]] == names[::-1]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"number": "12"}, "number", id="a number that is none"),
        pytest.param({"number": None}, "number", id="no number"),
        pytest.param({"name": "x" * 201}, "name", id="a name too long"),
        pytest.param({"language": "de"}, "language", id="a language we do not speak"),
        pytest.param({"tags": [1]}, "tags[0]", id="a tag that is no text"),
        pytest.param({"tags": ["x"] * 51}, "tags", id="too many tags"),
        pytest.param({"points": 5}, "points", id="an unknown field"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(desk: Place, fields: dict[str, Any], field: str) -> None:
    answer = await made(desk, **fields)
    assert (answer.status, [name.replace("[...]", "[0]") for name in answer.params]) == (422, [field])


async def test_fields_left_out_of_a_change_stay(desk: Place) -> None:
    path = (await made(desk, language="zh")).headers["Location"]
    answer = await desk.call("PATCH", path, {"name": "Li Na"})
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert (answer.body["name"], answer.body["language"], answer.body["version"]) == ("Li Na", "zh", 2)


async def test_a_change_of_an_older_version_is_refused(desk: Place) -> None:
    path = (await made(desk)).headers["Location"]
    taken = await desk.call("PATCH", path, {"name": "first"}, headers={"If-Match": '"1"'})
    late = await desk.call("PATCH", path, {"name": "second"}, headers={"If-Match": '"1"'})
    assert (taken.status, late.status) == (200, 409)
    assert (await desk.call("GET", path)).body["name"] == "first"


@pytest.mark.parametrize(
    "match",
    [
        "one",
        "-1",
        'W/"1"',
        pytest.param(
            "1" * 5000,
            id="5000 digits",
        ),
    ],
)
async def test_a_version_that_is_none_is_refused(desk: Place, match: str) -> None:
    path = (await made(desk)).headers["Location"]
    answer = await desk.call("PATCH", path, {"name": "x"}, headers={"If-Match": match})
    assert (answer.status, list(answer.params)) == (422, ["If-Match"])


async def test_the_newest_word_on_a_purpose_counts(desk: Place) -> None:
    path = (await made(desk)).headers["Location"]
    for status in ("granted", "withdrawn"):
        body = {"purpose": "marketing", "status": status, "method": "paper", "evidence": "card 7"}
        answer = await desk.call("POST", f"{path}/consents", body)
        assert (answer.status, answer.body["consent"]["status"]) == (201, status)
    found = (await desk.call("GET", path)).body["consent"]
    assert (found["marketing"]["status"], found["marketing"]["evidence"], found["survey"]) == (
        "withdrawn", "card 7", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"purpose": "service"}, "purpose", id="a purpose that needs none"),
        pytest.param({"status": "pending"}, "status", id="a status nobody may set"),
        pytest.param({"method": "telepathy"}, "method", id="no method"),
        pytest.param({"evidence": ""}, "evidence", id="no evidence"),
        pytest.param({"at": "now"}, "at", id="an unknown field"),
    ],
)
async def test_a_wrong_consent_is_refused_by_its_field(desk: Place, fields: dict[str, Any], field: str) -> None:
    path = (await made(desk)).headers["Location"]
    body = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card 7", **fields}
    answer = await desk.call("POST", f"{path}/consents", body)
    assert (answer.status, list(answer.params)) == (422, [field])


async def test_nobody_can_be_neither_changed_nor_asked(desk: Place) -> None:
    path = "/v1/customers/cus_0000000000001"
    body = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card 7"}
    answers = [
        await desk.call("GET", path),
        await desk.call("PATCH", path, {"name": "x"}),
        await desk.call("POST", f"{path}/consents", body),
    ]
    assert [answer.status for answer in answers] == [404, 404, 404]
    assert desk.differences() == []
