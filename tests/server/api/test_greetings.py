"""Greetings, festivals and public holidays over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.crm.gate import gate_with
from engine.traffic import messages
from engine.traffic.messages import Message
from tests.server.conftest import Answer, Place, place_in, until

ZONE = "Asia/Shanghai"
NUMBER = "+8613912345678"
GIFT = {"kind": "gift", "gift": "Green tea"}


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW_MS = utc("2026-01-05T04:00")


@pytest.fixture
async def office(desk: Place) -> AsyncIterator[Place]:
    """A house in UTC, on 5 January 2026."""
    desk.engine.set_clock(NOW_MS)
    yield desk
    assert desk.differences() == []


async def person(place: Place, number: str = NUMBER, *, agrees: bool = True, **fields: Any) -> str:
    """The id of a new customer in Shanghai."""
    body = {"number": number, "name": "李娜", "time_zone": ZONE, **fields}
    made = await place.call("POST", "/v1/customers", body)
    assert made.status == 201, made
    identifier = str(made.body["id"])
    if agrees:
        consent = {"purpose": "marketing", "status": "granted", "method": "web", "evidence": "form 7"}
        assert (await place.call("POST", f"/v1/customers/{identifier}/consents", consent)).status == 201
    return identifier


async def draft(place: Place, **fields: Any) -> Answer:
    body = {"name": "Birthday", "when": "birthday", "text": {"en": "All the best", "zh": "生日快乐"}, **fields}
    return await place.call("POST", "/v1/greetings", body)


async def rule(place: Place, **fields: Any) -> str:
    """The id of an active rule."""
    made = await draft(place, **fields)
    assert made.status == 201, made
    active = await place.call("POST", f"{made.headers['Location']}/activate")
    assert (active.status, active.body["state"]) == (200, "active")
    return str(made.body["id"])


def texts(place: Place) -> list[Message]:
    with place.engine.store.read() as txn:
        return list(messages.listed(txn, None, 0, 1_000))[::-1]


async def count_on(place: Place, identifier: str, day: str) -> int:
    answer = await place.call("GET", f"/v1/greetings/{identifier}/preview?date={day}")
    assert answer.status == 200, answer
    return int(answer.body["total"])


def lunar(month: int, day: int, *, leap: bool = False, year: int | None = None) -> dict[str, Any]:
    return {"calendar": "chinese", "month": month, "day": day, "leap": leap, "year": year}


# -- H1: birthdays


@pytest.mark.parametrize(
    ("birthday", "fields", "days"),
    [
        pytest.param(lunar(1, 1), {}, ["2026-02-17", "2027-02-06", "2030-02-03"], id="1/1"),
        pytest.param(lunar(6, 10, leap=True, year=2025), {}, ["2026-07-23", "2036-07-03"], id="leap month, first"),
        pytest.param(
            lunar(6, 10, leap=True, year=2025),
            {"leap_policy": "leap"},
            ["2026-07-23", "2036-08-01"],
            id="leap month, leap",
        ),
        pytest.param(lunar(8, 30), {}, ["2026-10-09", "2029-10-07"], id="a thirtieth"),
        pytest.param("1996-02-29", {"feb29": "before"}, ["2027-02-28", "2028-02-29"], id="29 February, before"),
        pytest.param("--02-29", {"feb29": "after"}, ["2027-03-01", "2028-02-29"], id="29 February, after"),
    ],
)
async def test_H1_a_birthday_comes_on_the_dates_of_the_table(
    office: Place, birthday: Any, fields: dict[str, Any], days: list[str]
) -> None:
    await person(office, birthday=birthday)
    identifier = str((await draft(office, **fields)).body["id"])
    assert [await count_on(office, identifier, day) for day in days] == [1] * len(days)
    for day in days:
        year = day[:4]
        found = await office.call("GET", f"/v1/greetings/{identifier}/upcoming?date={year}-01-01&days=365")
        assert found.body["items"] == [{"date": day, "count": 1}]


async def test_H1_a_birthday_begins_at_the_customers_midnight_and_is_greeted_at_nine(office: Place) -> None:
    """The server is in UTC: at 16:30 on the 24th it is the 25th in Shanghai."""
    await person(office, birthday="--09-25", language="zh-Hans-CN")
    await rule(office, send_at="09:00")
    at_midnight = await rule(office, name="Midnight", send_at="00:00", text="{house}")
    office.engine.set_clock(utc("2026-09-24T16:30"))
    await until(lambda: len(texts(office)) == 1)
    assert texts(office)[0].client_ref == at_midnight
    office.engine.set_clock(utc("2026-09-25T00:59"))
    await office.engine.greeter.look()
    assert len(texts(office)) == 1
    office.engine.set_clock(utc("2026-09-25T01:00"))
    await until(lambda: len(texts(office)) == 2)
    assert texts(office)[1].text == "生日快乐"
    answer = await office.call("GET", f"/v1/messages?to=%2B{NUMBER[1:]}")
    assert [one["source"] for one in answer.body["items"]] == ["greeting", "greeting"]
    assert answer.body["items"][0]["expires_at"] == "2026-09-25T16:00:00.000Z"


async def test_H1_one_text_per_person_per_year_also_after_a_restart_and_a_clock_set_back(tmp_path: Path) -> None:
    async with place_in(tmp_path) as office:
        office.engine.set_clock(NOW_MS)
        await person(office, birthday="--09-25")
        identifier = await rule(office)
        office.engine.set_clock(utc("2026-09-25T01:30"))
        await until(lambda: len(texts(office)) == 1)
        office.engine.set_clock(utc("2026-09-25T00:30"))
        await office.engine.greeter.look()
    async with place_in(tmp_path) as office:
        for moment in ("2026-09-25T01:30", "2026-09-25T01:00", "2026-09-25T09:00"):
            office.engine.set_clock(utc(moment))
            await office.engine.greeter.look()
        assert len(texts(office)) == 1
        seen = (await office.call("GET", f"/v1/greetings/{identifier}/preview?date=2026-09-25")).body
        assert (seen["total"], seen["greeted"]) == (1, 1)
        office.engine.set_clock(utc("2027-09-25T01:30"))
        await until(lambda: len(texts(office)) == 2)


async def test_H1_a_birthday_text_has_a_coupon_of_its_own(office: Place) -> None:
    owners = {}
    for place in range(100):
        number = f"+86139000{place:05}"
        owners[number] = await person(office, number, birthday="--09-25")
    await rule(office, text={"en": "A gift for you: {coupon}"}, coupon=GIFT, coupon_days=30)
    office.engine.set_clock(utc("2026-09-25T01:30"))
    await until(lambda: len(texts(office)) == 100)
    codes = {f"+{message.number}": message.text.rpartition(" ")[2] for message in texts(office)}
    assert len(set(codes.values())) == 100
    for number in list(owners)[:3]:
        checked = await office.call("POST", "/v1/coupons/check", {"code": codes[number]})
        coupon = checked.body["coupon"]
        assert (coupon["customer_id"], coupon["terms"]["valid_to"]) == (owners[number], "2026-10-25")


# -- H2: festivals and holidays


@pytest.mark.parametrize(
    ("festival", "days"),
    [
        ("mid_autumn", ["2026-09-25", "2027-09-15", "2028-10-03"]),
        ("new_years_eve", ["2026-02-16", "2027-02-05", "2028-01-25", "2029-02-12", "2030-02-02"]),
        ("spring_festival", ["2026-02-17", "2027-02-06", "2028-01-26", "2029-02-13", "2030-02-03"]),
        ("dragon_boat", ["2026-06-19", "2027-06-09", "2028-05-28"]),
        ("double_seventh", ["2025-08-29", "2026-08-19"]),
        ("double_ninth", ["2026-10-18"]),
    ],
)
async def test_H2_a_festival_comes_on_the_dates_of_the_table(office: Place, festival: str, days: list[str]) -> None:
    for day in days:
        found = await office.call("GET", f"/v1/festivals/{festival}?year={day[:4]}")
        assert (found.status, found.body["dates"], found.body["is_own"]) == (200, [day], False)
    await person(office)
    identifier = str((await draft(office, when=f"festival:{festival}")).body["id"])
    assert [await count_on(office, identifier, day) for day in days] == [1] * len(days)
    found = await office.call("GET", f"/v1/greetings/{identifier}/upcoming?date={days[0][:4]}-01-01&days=365")
    assert found.body["items"] == [{"date": days[0], "count": 1}]


async def test_H2_everybody_is_greeted_on_mid_autumn(office: Place) -> None:
    for place in range(3):
        await person(office, f"+861390000000{place}", language=("zh", "en", "")[place])
    await rule(office, when="festival:mid_autumn", text={"en": "Happy {festival}", "zh": "{festival}快乐"})
    office.engine.set_clock(utc("2026-09-25T01:00"))
    await until(lambda: len(texts(office)) == 3)
    english = "Happy Mid-Autumn Festival"
    assert sorted(message.text for message in texts(office)) == [english, english, "中秋节快乐"]
    sent = [event for event in await told(office) if event["type"] == "greeting.sent"]
    assert [event["data"] for event in sent] == [{"sent": 3, "refused": 0, "incomplete": 0}]


async def told(place: Place) -> list[dict[str, Any]]:
    return list((await place.call("GET", "/v1/events?limit=1000")).body["items"])


async def test_H2_a_table_of_festivals_is_taken_in_as_json_and_goes_before_ours(office: Place) -> None:
    table = [
        {"id": "founding", "name": {"en": "Founding Day"}, "kind": "fixed", "spec": {"month": 5, "day": 4}},
        {"id": "mid_autumn", "name": {"en": "Moon Day"}, "kind": "chinese", "spec": {"month": 8, "day": 16}},
        {"id": "fair", "name": {"en": "Fair"}, "kind": "listed", "spec": {"dates": ["2026-04-11", "2027-04-10"]}},
        {"id": "thanks", "name": {"en": "T"}, "kind": "nth_weekday",
         "spec": {"month": 11, "weekday": "thursday", "nth": 4}},
        {"id": "solstice", "name": {"en": "S"}, "kind": "solar_term", "spec": {"term": "dongzhi"}},
    ]  # fmt: skip
    answer = await office.call("PUT", "/v1/festivals", table)
    assert (answer.status, answer.body) == (200, {"count": 5, "changed": 5})
    assert (await office.call("PUT", "/v1/festivals", table)).body["changed"] == 0
    items = (await office.call("GET", "/v1/festivals?year=2026")).body["items"]
    days = {one["id"]: one["dates"] for one in items if one["is_own"]}
    assert days == {
        "mid_autumn": ["2026-09-26"], "fair": ["2026-04-11"], "founding": ["2026-05-04"],
        "solstice": ["2026-12-22"], "thanks": ["2026-11-26"],
    }  # fmt: skip
    assert {one["id"]: one["dates"] for one in items}["national_day"] == ["2026-10-01"]
    await rule(office, when="festival:founding")
    assert (await office.call("DELETE", "/v1/festivals/founding")).status == 409
    assert (await office.call("DELETE", "/v1/festivals/mid_autumn")).status == 204
    assert (await office.call("DELETE", "/v1/festivals/mid_autumn")).status == 404
    assert (await office.call("GET", "/v1/festivals/mid_autumn?year=2026")).body["dates"] == ["2026-09-25"]


async def test_H2_one_festival_is_put_and_a_wrong_one_is_refused(office: Place) -> None:
    body = {"name": {"en": "Fair"}, "kind": "fixed", "spec": {"month": 4, "day": 11}}
    answer = await office.call("PUT", "/v1/festivals/fair", body)
    assert (answer.status, answer.body["dates"]) == (200, ["2026-04-11"])
    wrongs: tuple[dict[str, Any], ...] = (
        {"spec": {"month": 13, "day": 1}},
        {"kind": "listed", "spec": {"dates": ["2100-01-01"]}},
        {"name": {}},
        {"kind": "moon"},
    )
    for wrong in wrongs:
        assert (await office.call("PUT", "/v1/festivals/fair", {**body, **wrong})).status == 422
    refused = await office.call("PUT", "/v1/festivals", [{"id": "x", **body}, {"id": "x", **body}])
    assert (refused.status, list(refused.params)) == (422, ["x"])
    assert (await office.call("GET", "/v1/festivals/fair?year=2100")).status == 422
    assert (await office.call("GET", "/v1/festivals/nothing")).status == 404


async def test_H2_public_holidays_are_shipped_and_can_be_replaced(office: Place) -> None:
    shipped = (await office.call("GET", "/v1/holidays/CN-2026")).body
    assert "2026-02-14" in shipped["make_up_workdays"]
    assert (shipped["is_own"], "2026-10-01" in [day["date"] for day in shipped["days_off"]]) == (False, True)
    moved = [{"day_off": "2027-02-05", "workday": "2027-02-20"}]
    new_year = {"name": {"en": "Spring Festival"}, "from": "2027-02-05", "to": "2027-02-11", "moved": moved}
    body = {"country": "CN", "year": 2027, "holidays": [new_year]}
    assert (await office.call("GET", "/v1/holidays/CN-2027")).status == 404
    told = await office.call("PUT", "/v1/holidays/CN-2027", body)
    assert (told.status, told.body["is_own"], len(told.body["days_off"])) == (200, True, 7)
    assert told.body["make_up_workdays"] == ["2027-02-20"]
    assert (await office.call("PUT", "/v1/holidays/CN-2026", body)).status == 409
    longer = {**body, "holidays": [{**new_year, "to": "2028-01-01"}]}
    assert (await office.call("PUT", "/v1/holidays/CN-2027", longer)).status == 422
    assert (await office.call("DELETE", "/v1/holidays/CN-2027")).status == 204
    assert (await office.call("GET", "/v1/holidays/CN-2027")).status == 404
    assert (await office.call("DELETE", "/v1/holidays/CN-2026")).status == 404
    for wrong in ("cn-2026", "CN", "CN-26", "CHN-2026"):
        assert (await office.call("GET", f"/v1/holidays/{wrong}")).status == 422


# -- H3: any day of a customer


async def test_H3_a_policy_that_ends_is_told_thirty_days_before(office: Place) -> None:
    field = {"key": "policy_end", "kind": "date"}
    assert (await office.call("POST", "/v1/fields", field)).status == 201
    await person(office, attrs={"policy_end": "2027-03-31"}, agrees=False)
    identifier = await rule(
        office,
        name="Policy",
        when="field:policy_end",
        offset_days=-30,
        purpose="service",
        text="Your policy ends on {day}",
    )
    found = await office.call("GET", f"/v1/greetings/{identifier}/upcoming?date=2027-01-01&days=366")
    assert found.body["items"] == [{"date": "2027-03-01", "count": 1}]
    office.engine.set_clock(utc("2027-03-01T01:00"))
    await until(lambda: len(texts(office)) == 1)
    assert (texts(office)[0].text, texts(office)[0].purpose) == ("Your policy ends on 2027-03-31", "service")


async def test_H3_a_wedding_day_and_a_year_of_membership_are_greeted(office: Place) -> None:
    identifier = await person(office, special_days=[{"name": "Wedding", "date": "2019-05-20"}])
    await rule(office, when="special:wedding", text="{years} years")
    await rule(office, when="membership_year", text="Member for {years}")
    await rule(office, when="created_year", text="Met {years} ago")
    office.engine.set_clock(utc("2026-03-02T00:00"))
    assert (await office.call("POST", "/v1/members", {"customer_id": identifier})).status == 201
    for moment, total in (("2026-05-20T01:00", 1), ("2027-01-05T01:00", 2), ("2027-03-02T01:00", 3)):
        office.engine.set_clock(utc(moment))
        await until(lambda: len(texts(office)) >= total)  # noqa: B023 - it is asked within the turn
        assert len(texts(office)) == total
    assert [message.text for message in texts(office)] == ["7 years", "Met 1 ago", "Member for 1"]


# -- H4: wish or reminder


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"coupon": GIFT, "text": "{coupon}"}, id="a coupon"),
        pytest.param({"text": "Book at https://example.org"}, id="a link"),
        pytest.param({"is_offer": True}, id="an offer in words"),
    ],
)
async def test_H4_an_offer_with_purpose_service_is_refused(office: Place, fields: dict[str, Any]) -> None:
    answer = await draft(office, purpose="service", **fields)
    assert (answer.status, answer.slug, list(answer.params)) == (422, "offer_needs_marketing", ["purpose"])
    assert (await draft(office, purpose="marketing", **fields)).status == 201
    plain = (await draft(office, purpose="service")).headers["Location"]
    assert (await office.call("PATCH", plain, fields)).slug == "offer_needs_marketing"


async def test_H4_who_refused_offers_gets_no_offer_but_his_reminder(house: Place) -> None:
    """C texts TD before his birthday; the text that was due goes out to nobody else's loss."""
    house.engine.set_clock(NOW_MS)
    other = "+8613900000009"
    await person(house, birthday="--09-25")
    await person(house, other, birthday="--09-25")
    offer = await rule(house, text={"en": "For you: {coupon}"}, coupon=GIFT)
    await rule(house, name="Reminder", purpose="service", text="Your table is laid")
    assert (await house.call("POST", "/v1/sim/inbound", {"from": NUMBER, "text": "退订"})).status < 300
    seen = (await house.call("GET", f"/v1/greetings/{offer}/preview?date=2026-09-25")).body
    assert (seen["total"], seen["refused"]) == (2, 1)
    before = len(texts(house))
    house.engine.set_clock(utc("2026-09-25T01:00"))
    await until(lambda: len(texts(house)) == before + 3)
    sent = [(message.purpose, f"+{message.number}") for message in texts(house)[before:]]
    assert sorted(sent) == sorted([("service", NUMBER), ("service", other), ("marketing", other)])
    assert len((await house.call("GET", "/v1/coupons")).body["items"]) == 1


async def test_H4_who_refuses_while_his_offer_waits_does_not_get_it(office: Place) -> None:
    identifier = await person(office, birthday="--09-25")
    await rule(office)
    office.engine.set_clock(utc("2026-09-25T01:00"))
    await until(lambda: len(texts(office)) == 1)
    body = {"purpose": "marketing", "status": "withdrawn", "method": "staff", "evidence": "he called"}
    assert (await office.call("POST", f"/v1/customers/{identifier}/consents", body)).status == 201
    message = texts(office)[0]
    with office.engine.store.read() as txn:
        (verdict,) = gate_with(office.engine.pepper)(txn, [message], office.engine.now_ms())
    assert (verdict.state.slug, verdict.reason) == ("suppressed", "no_consent")


# -- rules


async def test_a_rule_is_made_read_changed_moved_and_taken_away(office: Place) -> None:
    await office.call("POST", "/v1/segments", {"name": "Guests", "definition": "tag:gold"})
    made = await draft(office, segment="guests", coupon=GIFT, text={"en": "{coupon}"}, send_at="18:05")
    path = made.headers["Location"]
    assert (made.body["state"], made.body["segment"], made.body["send_at"]) == ("draft", "segment:guests", "18:05")
    assert (await office.call("GET", path)).body == made.body
    changed = await office.call(
        "PATCH", path, {"segment": {"tag": "vip"}, "coupon": None, "text": "Hi"}, headers={"If-Match": '"1"'}
    )
    assert (changed.status, changed.body["version"], changed.body["segment"]) == (200, 2, "tag:vip")
    assert (changed.body["text"], changed.body["coupon"]) == ({"en": "Hi"}, None)
    until_six = (await office.call("PATCH", path, {"send_at": "08:00", "send_until": "18:00"})).body
    assert (until_six["send_at"], until_six["send_until"], until_six["version"]) == ("08:00", "18:00", 3)
    assert (await office.call("PATCH", path, {"send_until": "07:00"})).status == 422
    assert (await office.call("PATCH", path, {"name": "x"}, headers={"If-Match": '"1"'})).status == 412
    assert (await office.call("POST", f"{path}/pause")).status == 409
    assert (await office.call("POST", f"{path}/activate")).body["state"] == "active"
    assert (await office.call("DELETE", path)).status == 409
    assert (await office.call("POST", f"{path}/pause")).body["state"] == "paused"
    assert [one["id"] for one in (await office.call("GET", "/v1/greetings")).body["items"]] == [made.body["id"]]
    assert (await office.call("DELETE", path)).status == 204
    assert (await office.call("GET", path)).status == 404
    kinds = [event["type"] for event in await told(office) if event["type"].startswith("greeting.")]
    moves = [
        "greeting.created",
        "greeting.changed",
        "greeting.changed",
        "greeting.activated",
        "greeting.paused",
        "greeting.removed",
    ]
    assert sorted(kinds) == sorted(moves)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"when": "festival:nothing"}, "when"),
        ({"when": "field:nothing"}, "when"),
        ({"text": "Dear {name"}, "text.en"),
        ({"text": {"en": "{colour}"}}, "text.en"),
        ({"segment": "height > 5"}, "segment.field"),
        ({"send_at": "24:00"}, "send_at"),
        ({"offset_days": 366}, "offset_days"),
        ({"colour": 1}, None),
    ],
)
async def test_a_rule_that_is_wrong_is_refused_by_its_field(
    office: Place, fields: dict[str, Any], name: str | None
) -> None:
    answer = await draft(office, **fields)
    assert answer.status == 422
    assert name is None or list(answer.params) == [name]


async def test_a_year_beyond_the_tables_is_refused_when_the_rule_is_saved(office: Place) -> None:
    office.engine.set_clock(utc("2099-06-01T00:00"))
    for fields in ({"offset_days": -365}, {}, {"when": "festival:mid_autumn"}):
        answer = await draft(office, **fields)
        assert (answer.status, list(answer.params)) == (422, ["when"])


async def test_a_preview_shows_who_and_an_example_with_its_parts(office: Place) -> None:
    ids = [await person(office, f"+861390000000{place}", birthday="--09-25", name=f"P{place}") for place in range(3)]
    path = (await draft(office, text="Dear {name}")).headers["Location"]
    seen = (await office.call("GET", f"{path}/preview?date=2026-09-25")).body
    assert [one["id"] for one in seen["customers"]] == ids
    assert (seen["text"], seen["parts"], seen["total"]) == ("Dear P0", 1, 3)
    assert "+861390000000" not in str(seen)
    today = (await office.call("GET", f"{path}/preview")).body
    assert (today["date"], today["total"], today["text"]) == ("2026-01-05", 0, None)
    for query in ("date=2100-01-01", "date=yesterday", "date=1901-01-01", "colour=1"):
        status = (await office.call("GET", f"{path}/preview?{query}")).status
        assert status == (200 if query == "date=1901-01-01" else 422), query
    for query in ("days=0", "days=367", "date=2099-12-31"):
        assert (await office.call("GET", f"{path}/upcoming?{query}")).status == 422
