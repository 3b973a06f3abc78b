"""Segments over HTTP: conditions under names, in both forms, and how many customers they take."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from engine.crm.people import consent, dates, tags
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.happenings import HAPPENED, KINDS, Happening
from engine.crm.people.member import MEMBERS, Member, State
from engine.store.table import Txn
from tests.server.conftest import Place

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "segments.json").read_text())


async def people(place: Place) -> dict[str, str]:
    """A, B, C and D of the vectors, by their ids; what happened to them is told as it is from outside."""
    found = {}
    for number, (name, said) in enumerate(VECTORS["people"].items()):
        body: dict[str, Any] = {"number": f"+8613900000{number:03d}", "name": name, "tags": said["tags"]}
        body["time_zone"] = VECTORS["time_zone"]
        if "city" in said:
            body["address"] = {"city": said["city"]}
        if "birthday" in said:
            body["birthday"] = said["birthday"]
        answer = await place.call("POST", "/v1/customers", body)
        path = answer.headers["Location"]
        found[answer.body["id"]] = name
        for purpose, status in said["consent"].items():
            row = {"purpose": purpose, "status": status, "method": "paper", "evidence": "card"}
            await place.call("POST", f"{path}/consents", row)
        for event in said.get("events", []):
            happened = {"kind": event["type"], "at": f"{event['at']}T04:00:00Z"}
            happened |= {key: event[key] for key in ("amount", "sku", "rating") if key in event}
            assert (await place.call("POST", f"{path}/events", happened)).status == 201
        if said.get("last_order") and not any(event["type"] == "order" for event in said.get("events", [])):
            order = {"kind": "visit", "at": f"{said['last_order']}T04:00:00Z"}
            await place.call("POST", f"{path}/events", order)
    return found


@pytest.mark.parametrize("case", VECTORS["malformed"], ids=lambda case: case["text"])
async def test_a_mistake_is_named_with_its_place(desk: Place, case: dict[str, Any]) -> None:
    answer = await desk.call("POST", "/v1/segments/parse", {"definition": case["text"]})
    assert answer.status == 422
    assert case["error"] in answer.params.values()


async def test_a_condition_is_given_back_in_both_forms(desk: Place) -> None:
    text = "tag:vip 且 birthday anniversary in next 2w"
    by_text = await desk.call("POST", "/v1/segments/parse", {"definition": text})
    by_json = await desk.call("POST", "/v1/segments/parse", {"definition": by_text.body["definition"]})
    assert by_text.body == by_json.body
    assert by_text.body["text"] == "tag:vip and birthday anniversary in next 14d"


async def test_a_segment_is_kept_changed_counted_and_archived(desk: Place) -> None:
    await people(desk)
    made = await desk.call("POST", "/v1/segments", {"name": "Guests", "definition": "tag:vip or tag:spa"})
    path = made.headers["Location"]
    assert (made.status, (await desk.call("GET", path)).body) == (201, made.body)
    assert (await desk.call("POST", "/v1/segments", {"name": " guests ", "definition": "tag:x"})).status == 409
    counted = await desk.call("POST", "/v1/segments/count", {"definition": "segment:Guests and not tag:spa"})
    assert counted.body["count"] == 1
    assert (await desk.call("GET", path)).body["last_count"] is None
    assert (await desk.call("POST", "/v1/segments/count", {"definition": "segment:Guests"})).body["count"] == 3
    noted = (await desk.call("GET", path)).body
    assert (noted["last_count"], noted["last_counted_at"] is None, noted["version"]) == (3, False, 1)
    inside = await desk.call("GET", f"{path}/customers")
    assert [customer["name"] for customer in inside.body["items"]] == ["A", "C", "D"]
    first = await desk.call("GET", f"{path}/customers?limit=2")
    rest = await desk.call("GET", f"{path}/customers?limit=2&cursor={first.body['next']}")
    assert [customer["name"] for customer in rest.body["items"]] == ["D"]
    changed = await desk.call("PATCH", path, {"definition": "tag:spa"}, headers={"If-Match": '"1"'})
    assert (changed.status, changed.body["version"], changed.body["last_count"]) == (200, 2, None)
    stale = await desk.call("PATCH", path, {"definition": "tag:vip"}, headers={"If-Match": '"1"'})
    assert stale.status == 412
    assert (await desk.call("DELETE", path)).status == 204
    assert (await desk.call("GET", "/v1/segments")).body["items"] == []


async def test_segments_that_lead_back_to_themselves_are_refused_with_the_chain(desk: Place) -> None:
    one = await desk.call("POST", "/v1/segments", {"name": "one", "definition": "tag:vip"})
    await desk.call("POST", "/v1/segments", {"name": "two", "definition": "segment:one and tag:spa"})
    back = await desk.call("PATCH", one.headers["Location"], {"definition": "segment:two or tag:x"})
    assert (back.status, back.slug) == (409, "segment_cycle")
    assert "one → two → one" in back.body["detail"]
    assert (await desk.call("POST", "/v1/segments", {"name": "x", "definition": "segment:nobody"})).status == 404
    assert (await desk.call("DELETE", one.headers["Location"])).status == 409


async def test_texts_count_as_happenings(house: Place) -> None:
    made = await house.call("POST", "/v1/customers", {"number": "+8613900000001"})
    assert made.status == 201
    await house.call("POST", "/v1/customers", {"number": "+8613900000002"})
    await house.sent(to="+8613900000001", purpose="transactional")
    for condition, count in (
        ("sms_out(1d).count >= 1", 1),
        ("sms_out(ever).count = 0", 1),
        ("sms_in(30d).count = 0", 2),
        ("sms_out(1d).count = 0 or created in last 1d", 2),
    ):
        counted = await house.call("POST", "/v1/segments/count", {"definition": condition})
        assert (condition, counted.body.get("count")) == (condition, count)


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        pytest.param("height > 5", "definition.field", id="no such field"),
        pytest.param("name > 5", "definition.op", id="a comparison that does not suit"),
        pytest.param({"all": [{"tag": "x"}]}, "definition.all", id="one alone"),
        pytest.param({"colour": 1}, "definition", id="nothing that we know"),
    ],
)
async def test_a_condition_that_means_nothing_here_is_refused_with_its_place(
    desk: Place, definition: object, name: str
) -> None:
    answer = await desk.call("POST", "/v1/segments", {"name": "x", "definition": definition})
    assert (answer.status, [found.startswith(name) for found in answer.params]) == (422, [True])


def keep_people(txn: Txn) -> None:
    """A to D as the vectors have them, with what no call can say: a tier without points, an order that is not told."""
    for place, (name, said) in enumerate(VECTORS["people"].items(), 1):
        known = Customer(
            place,
            8_613_900_000_000 + place,
            name=name,
            granted=consent.bit("marketing") if said["consent"].get("marketing") == "granted" else 0,
            tags=tags.require(txn, said["tags"], 1),
            birthday=dates.parse(said["birthday"], "birthday") if "birthday" in said else None,
            time_zone=VECTORS["time_zone"],
            city=said.get("city", ""),
            last_order_ms=noon_ms(said["last_order"]) if "last_order" in said else 0,
            created_ms=1,
        )
        CUSTOMERS.put(txn, place, known)
        MEMBERS.put(txn, place, Member(State.ACTIVE, said["tier"], said.get("points", {}).get("balance", 0)))
        for kind in {event["type"] for event in said["events"]}:
            lot = [
                Happening(noon_ms(event["at"]), event.get("amount"), event.get("sku", ""), rating=event.get("rating"))
                for event in said["events"]
                if event["type"] == kind
            ]
            HAPPENED.put(txn, (place, KINDS.index(kind), 0), sorted(lot, key=lambda one: one.at_ms))


def noon_ms(day: str) -> int:
    return 1000 * int(datetime.fromisoformat(f"{day}T12:00:00+08:00").timestamp())


async def test_F2_any_mix_of_conditions_picks_the_receivers(desk: Place) -> None:
    desk.engine.set_clock(noon_ms(VECTORS["today"]))
    await desk.engine.store.write(keep_people)
    for case in VECTORS["conditions"]:
        by_text = await desk.call("POST", "/v1/segments/count", {"definition": case["text"]})
        by_json = await desk.call("POST", "/v1/segments/count", {"definition": case["json"]})
        assert (case["text"], by_text.body.get("count")) == (case["text"], len(case["match"]))
        assert (by_json.body["count"], by_json.body["definition"]) == (len(case["match"]), case["json"])
        kept = await desk.call("POST", "/v1/segments", {"name": case["text"], "definition": case["json"]})
        inside = await desk.call("GET", f"{kept.headers['Location']}/customers")
        assert [customer["name"] for customer in inside.body["items"]] == case["match"]


async def test_M4_a_class_in_a_region_is_a_segment(desk: Place) -> None:
    for code, above in (("CN-JS", None), ("CN-JS-NJ", "CN-JS"), ("CN-ZJ", None)):
        region = {"code": code, "name": code, **({"parent": above} if above else {})}
        answer = await desk.call("POST", "/v1/regions", region)
        assert answer.status == 201, answer
    said = [("A", "CN-JS"), ("A", "CN-JS-NJ"), ("B", "CN-JS"), ("A", "CN-ZJ"), ("A", None)]
    for number, (class_, code) in enumerate(said):
        body = {"number": f"+861390000{number:04d}", "name": f"Guest {number}", "class": class_}
        answer = await desk.call("POST", "/v1/customers", {**body, **({"region": code} if code else {})})
        assert answer.status == 201, answer
    kept = await desk.call("POST", "/v1/segments", {"name": "key", "definition": "class = A and region = CN-JS"})
    inside = await desk.call("GET", f"{kept.headers['Location']}/customers")
    assert [customer["name"] for customer in inside.body["items"]] == ["Guest 0", "Guest 1"]
