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
        pytest.param({"language": "German"}, "language", id="a language that is none"),
        pytest.param({"tags": [1]}, "tags[0]", id="a tag that is no text"),
        pytest.param({"tags": ["x"] * 101}, "tags", id="too many tags"),
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
    assert (taken.status, late.status, late.slug) == (200, 412, "stale")
    assert (await desk.call("GET", path)).body["name"] == "first"


@pytest.mark.parametrize(
    "match",
    [
        "one",
        "-1",
        "",
        '""',
        '"1',
        '"1", "2"',
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
        pytest.param({"purpose": "transactional"}, "purpose", id="a purpose that nobody is asked about"),
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


EVERYTHING: dict[str, Any] = {
    "name_sort": "Li Na",
    "lifecycle": "prospect",
    "class": "A",
    "tags": ["VIP", "spa"],
    "birthday": {"calendar": "chinese", "month": 8, "day": 15, "leap": False, "year": None},
    "special_days": [{"name": "wedding", "date": "2019-05-20"}],
    "time_zone": "Asia/Shanghai",
    "language": "zh-Hans-CN",
    "country": "CN",
    "address": {"street": "Zhongshan Road 1", "postcode": "210000", "city": "Nanjing"},
    "email": "lina@example.org",
    "gender": "female",
    "source": "fair",
    "source_code": "F26",
    "preferred_channel": "sms",
    "preferred_hours": "evenings",
    "credit_limit": {"amount_minor": 680_000, "currency": "CNY"},
    "next_contact_at": "2026-12-01T01:00:00.000Z",
    "numbers": ["+8613912345679"],
}


async def test_everything_that_was_said_of_a_customer_is_given_back(desk: Place) -> None:
    await desk.call("POST", "/v1/regions", {"name": "Jiangsu", "code": "JS", "time_zone": "Asia/Shanghai"})
    firm = await desk.call("POST", "/v1/organisations", {"name": "Lotus Hotel", "kind": "partner", "region": "js"})
    for field in ({"key": "room", "kind": "text"}, {"key": "since", "kind": "date"}, {"key": "wed", "kind": "day"}):
        assert (await desk.call("POST", "/v1/fields", field)).status == 201
    own = {"room": "302", "since": "2024-02-29", "wed": "--05-20"}
    said = {**EVERYTHING, "region": "JS", "organisation": firm.body["id"], "attrs": own}
    answer = await made(desk, **said)
    assert answer.status == 201
    found = (await desk.call("GET", answer.headers["Location"])).body
    assert {name: found[name] for name in said} == {**said, "tags": ["VIP", "spa"]}
    assert found["reference"] == "C1"
    cleared = dict.fromkeys(("birthday", "region", "organisation", "credit_limit", "next_contact_at"))
    later = await desk.call("PATCH", answer.headers["Location"], {**cleared, "attrs": {"room": None}, "tags": []})
    assert {name: later.body[name] for name in cleared} == cleared
    assert (later.body["attrs"], later.body["tags"]) == ({"since": "2024-02-29", "wed": "--05-20"}, [])
    assert desk.differences() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"birthday": "2026-02-30"}, "birthday", id="a day that was not"),
        pytest.param({"special_days": [{"name": "x", "date": "soon"}]}, "special_days[0].date", id="no date"),
        pytest.param({"region": "XX"}, "region", id="no region"),
        pytest.param({"organisation": "org_0000000000001"}, "organisation", id="no organisation"),
        pytest.param({"attrs": {"room": "1"}}, "attrs.room", id="a field that nobody declared"),
        pytest.param({"email": "nobody"}, "email", id="no address"),
        pytest.param({"time_zone": "Mars/Olympus"}, "time_zone", id="no zone"),
        pytest.param({"numbers": [NUMBER]}, "numbers", id="one number twice"),
        pytest.param({"numbers": ["12"]}, "numbers[0]", id="a further number that is none"),
    ],
)
async def test_what_cannot_be_of_a_customer_is_refused_by_its_field(
    desk: Place, fields: dict[str, Any], field: str
) -> None:
    answer = await made(desk, **fields)
    assert (answer.status, list(answer.params)) == (422, [field])
    assert (await desk.call("GET", "/v1/customers")).body["items"] == []


async def test_a_required_field_must_be_given(desk: Place) -> None:
    await desk.call("POST", "/v1/fields", {"key": "room", "kind": "text", "required": True})
    answer = await made(desk)
    assert (answer.status, list(answer.params)) == (422, ["attrs.room"])
    assert (await made(desk, attrs={"room": "302"})).status == 201


async def test_customers_are_found_by_words_of_their_names_by_reference_tag_region_and_lifecycle(desk: Place) -> None:
    for code, parent in (("CN", None), ("JS", "CN"), ("NJ", "JS")):
        await desk.call("POST", "/v1/regions", {"name": code, "code": code, "parent": parent})
    people = [
        {"name": "Li Na", "tags": ["vip"], "region": "NJ"},
        {"name": "Li Nan", "region": "CN", "lifecycle": "customer"},
        {"name": "李小娜", "tags": ["VIP", "spa"], "lifecycle": "customer"},
    ]
    for place, person in enumerate(people):
        await made(desk, number=f"+86139000000{place:02d}", **person)
    found = {}
    for query in (
        "name=li", "name=na%20LI", "name=nan", "name=%E5%B0%8F%E5%A8%9C", "name=%E6%9D%8E", "tag=vip",
        "tag=vip&name=li",
        "region=JS", "region=cn", "lifecycle=customer", "lifecycle=lost", "reference=c2", "tag=nobody", "name=x",
    ):  # fmt: skip
        answer = await desk.call("GET", f"/v1/customers?{query}")
        found[query] = [customer["reference"] for customer in answer.body["items"]]
    assert found == {
        "name=li": ["C1", "C2"],
        "name=na%20LI": ["C1", "C2"],
        "name=nan": ["C2"],
        "name=%E5%B0%8F%E5%A8%9C": ["C3"],
        "name=%E6%9D%8E": ["C3"],
        "tag=vip": ["C1", "C3"],
        "tag=vip&name=li": ["C1"],
        "region=JS": ["C1"],
        "region=cn": ["C1", "C2"],
        "lifecycle=customer": ["C2", "C3"],
        "lifecycle=lost": [],
        "reference=c2": ["C2"],
        "tag=nobody": [],
        "name=x": [],
    }
    first = await desk.call("GET", "/v1/customers?name=li&limit=1")
    second = await desk.call("GET", f"/v1/customers?name=li&limit=1&cursor={first.body['next']}")
    assert [page.body["items"][0]["reference"] for page in (first, second)] == ["C1", "C2"]


async def test_M2_each_value_tells_where_it_came_from_who_entered_it_and_when(desk: Place) -> None:
    path = (await made(desk, language="zh", source="fair")).headers["Location"]
    await desk.call("PATCH", path, {"address": {"city": "Nanjing"}})
    found = (await desk.call("GET", f"{path}?with=sources")).body
    assert (found["sources"]["name"]["source"], found["sources"]["city"]["source"]) == ("fair", "api")
    assert found["sources"]["name"]["at"] == found["created_at"]
    assert "street" not in found["sources"]
    assert (await desk.call("GET", f"{path}?with=luck")).status == 422


async def test_what_a_customer_did_elsewhere_is_told_once_and_stands_on_the_timeline(desk: Place) -> None:
    path = (await made(desk)).headers["Location"]
    order = {
        "kind": "order",
        "at": "2026-09-01T10:00:00Z",
        "amount": 13_600,
        "currency": "CNY",
        "sku": "T10",
        "ref": "O1",
    }
    first, again = await desk.call("POST", f"{path}/events", order), await desk.call("POST", f"{path}/events", order)
    assert (first.status, first.body["is_new"], again.status, again.body["is_new"]) == (201, True, 201, False)
    found = (await desk.call("GET", path)).body
    assert (found["last_order_at"], found["lifecycle"]) == ("2026-09-01T10:00:00.000Z", "customer")
    await desk.call("POST", "/v1/messages", {"to": NUMBER, "text": "Thank you", "purpose": "transactional"})
    page = (await desk.call("GET", f"{path}/timeline")).body["items"]
    assert [(entry["kind"], entry["text"]) for entry in page] == [("sms_out", "Thank you"), ("order", "T10")]
    wrong = await desk.call("POST", f"{path}/events", {"kind": "order", "at": "2026-09-01T10:00:00"})
    assert (wrong.status, list(wrong.params)) == (422, ["at"])
    assert desk.differences() == []


async def test_all_that_was_ever_agreed_to_is_kept(desk: Place) -> None:
    path = (await made(desk)).headers["Location"]
    for status in ("granted", "withdrawn"):
        body = {"purpose": "marketing", "status": status, "method": "paper", "evidence": "card 7", "wording": "w3"}
        await desk.call("POST", f"{path}/consents", body)
    rows = (await desk.call("GET", f"{path}/consents")).body["items"]
    assert [(row["purpose"], row["status"], row["wording"]) for row in rows] == [
        ("marketing", "granted", "w3"), ("marketing", "withdrawn", "w3"),
    ]  # fmt: skip
    assert desk.differences() == []
