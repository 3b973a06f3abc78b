"""Campaigns to whom a condition takes."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Place, place_in


async def people(place: Place, count: int, **fields: Any) -> list[str]:
    """The ids of so many new customers who agreed to offers."""
    made = []
    for number in range(count):
        body = {"number": f"+861390000{number:04d}", "name": f"Guest {number}", **fields}
        answer = await place.call("POST", "/v1/customers", body)
        consent = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card"}
        await place.call("POST", f"{answer.headers['Location']}/consents", consent)
        made.append(answer.body["id"])
    return made


async def address(place: Place, campaign: str, definition: object, **fields: Any) -> Any:
    return await place.call("POST", f"/v1/campaigns/{campaign}/audience", {"definition": definition, **fields})


async def rows(place: Place, campaign: str) -> list[Any]:
    return list((await place.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"])


async def test_everybody_whom_the_condition_takes_is_a_recipient_once(desk: Place) -> None:
    made = await people(desk, 6)
    for name in made[:4]:
        await desk.call("PATCH", f"/v1/customers/{name}", {"tags": ["vip"]})
    await desk.call("PATCH", f"/v1/customers/{made[0]}", {"tags": ["vip", "spa"]})
    campaign = await desk.draft(text="Dear {name} in {city:town}")
    first = await address(desk, campaign, "tag:vip", exclude="tag:spa")
    again = await address(desk, campaign, {"tag": "vip"})
    assert (first.status, first.body["accepted"], again.body["accepted"], again.body["duplicate"]) == (202, 3, 1, 3)
    assert {row["client_ref"] for row in await rows(desk, campaign)} == set(made[:4])
    found = (await desk.call("GET", f"/v1/campaigns/{campaign}")).body
    assert (found["recipients"], found["audience"]) == (4, {"definition": {"tag": "vip"}})
    assert desk.differences() == []


async def test_a_part_of_them_is_held_out_and_always_the_same_one(desk: Place) -> None:
    await people(desk, 60)
    campaign = await desk.draft()
    for _ in range(2):
        answer = await address(desk, campaign, "lifecycle = lead", holdout_percent=50)
        assert answer.status == 202
    found = (await desk.call("GET", f"/v1/campaigns/{campaign}")).body
    assert 15 <= found["recipients"] <= 45
    assert found["held_out"] == 2 * (60 - found["recipients"])


async def test_F3_each_is_texted_in_his_language_and_with_his_values(house: Place) -> None:
    spoken = ("zh-Hans-CN", "zh", "en-GB", "fr", "")
    for place, language in enumerate(spoken):
        body = {"number": f"+861390000{place:04d}", "name": f"G{place}", "language": language or None}
        body["address"] = {"city": "Nanjing"} if place else {}
        await house.call("POST", "/v1/customers", body)
    campaign = await house.draft(text={"en": "Dear {name} in {city:town}", "zh-Hans": "{name}您好"})
    await address(house, campaign, "lifecycle = lead")
    await house.call("POST", f"/v1/campaigns/{campaign}/launch")
    await house.settled()
    sent = {}
    for row in await rows(house, campaign):
        message = (await house.call("GET", f"/v1/messages/{row['message_id']}")).body
        sent[message["to"][-1]] = message["text"]
    assert sent == {
        "0": "G0您好", "1": "G1您好", "2": "Dear G2 in Nanjing", "3": "Dear G3 in Nanjing", "4": "Dear G4 in Nanjing",
    }  # fmt: skip


async def test_F10_a_second_wave_goes_to_whom_the_first_reached_and_who_did_not_order(house: Place) -> None:
    made = await people(house, 10)
    first = await house.draft(name="First")
    await address(house, first, "lifecycle = lead")
    await house.call("POST", f"/v1/campaigns/{first}/launch")
    await house.settled()
    for name in made[:3]:
        now = (await house.call("GET", f"/v1/customers/{name}")).body["created_at"]
        await house.call("POST", f"/v1/customers/{name}/events", {"kind": "order", "at": now, "amount": 6800})
    second = await house.draft(name="Second")
    answer = await address(house, second, f"campaign(30d, id = {first}).count >= 1 and order(7d).count = 0")
    assert answer.body["accepted"] == 7
    assert {row["client_ref"] for row in await rows(house, second)} == set(made[3:])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"definition": "city ="}, "text", id="no condition"),
        pytest.param({"definition": "height = 1"}, "definition.field", id="no such field"),
        pytest.param(
            {"definition": "tag:x", "exclude": "height = 1"}, "exclude.field", id="to leave out: no such field"
        ),
        pytest.param({"definition": "tag:x", "holdout_percent": 91}, "holdout_percent", id="nearly everybody"),
    ],
)
async def test_a_wrong_audience_is_refused_by_its_field(desk: Place, body: dict[str, Any], field: str) -> None:
    campaign = await desk.draft()
    answer = await desk.call("POST", f"/v1/campaigns/{campaign}/audience", body)
    assert (answer.status, list(answer.params)) == (422, [field])
    assert (await desk.call("GET", f"/v1/campaigns/{campaign}")).body["uploading"] is False


async def planned(place: Place, start_at: str, **fields: Any) -> tuple[str, Any]:
    campaign = await place.draft(**fields)
    await place.upload(campaign, b"to\n+8613900000001\n")
    return campaign, await place.call("POST", f"/v1/campaigns/{campaign}/schedule", {"start_at": start_at})


async def test_F4_a_campaign_without_an_objective_cannot_be_scheduled(desk: Place) -> None:
    _, answer = await planned(desk, later(desk, 60))
    assert (answer.status, answer.slug, list(answer.params)) == (422, "no_objective", ["objective"])
    _, answer = await planned(desk, later(desk, 60), objective="fill the spa in March")
    assert (answer.status, answer.body["state"]) == (200, "scheduled")


def later(place: Place, seconds: int) -> str:
    at_ms = place.engine.now_ms() + 1000 * seconds
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


async def test_a_scheduled_campaign_begins_when_its_time_has_come_and_not_before(house: Place) -> None:
    campaign, answer = await planned(house, later(house, 3600), objective="news")
    assert (await house.call("GET", f"/v1/campaigns/{campaign}")).body["starts_at"] == answer.body["starts_at"]
    await house.settled()
    assert (await rows(house, campaign))[0]["state"] == "accepted"
    house.engine.set_clock(house.engine.now_ms() + 3_700_000)
    async with asyncio.timeout(20):
        while (await rows(house, campaign))[0]["state"] == "accepted":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (await house.call("GET", f"/v1/campaigns/{campaign}")).body["state"] in ("running", "completed")


async def test_a_schedule_is_taken_up_again_or_cancelled(desk: Place) -> None:
    for step, state in (("unschedule", "draft"), ("cancel", "cancelled")):
        campaign, _ = await planned(desk, later(desk, 60), objective="news")
        answer = await desk.call("POST", f"/v1/campaigns/{campaign}/{step}")
        assert (answer.status, answer.body["state"]) == (200, state)
        assert (await desk.call("POST", f"/v1/campaigns/{campaign}/unschedule")).status == 409
    desk.engine.set_clock(desk.engine.now_ms() + 120_000)
    assert desk.differences() == []


@pytest.mark.parametrize("seconds", [-1, 367 * 86_400])
async def test_a_start_beyond_the_coming_year_is_refused(desk: Place, seconds: int) -> None:
    _, answer = await planned(desk, later(desk, seconds), objective="news")
    assert (answer.status, list(answer.params)) == (422, ["start_at"])


async def test_F1_ten_thousand_in_one_call_each_once_and_all_to_the_end(tmp_path: Path) -> None:
    numbers = [f"+86139{number:08d}" for number in range(10_000)]
    async with place_in(tmp_path, 8) as place:
        await place.ready()
        place.rack.network.report_delay_ms = None
        campaign = await place.draft(text="x")
        # A number that is in the list twice is one recipient.
        answer = await place.upload(campaign, "\n".join(["to", *numbers, numbers[0]]).encode())
        assert (answer.body["accepted"], answer.body["duplicate"]) == (10_000, 1)
        await place.call("POST", f"/v1/campaigns/{campaign}/launch")
        async with asyncio.timeout(60):
            while (found := (await place.call("GET", f"/v1/campaigns/{campaign}")).body)["state"] != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert sorted(one.destination for one in place.rack.network.accepted) == numbers
        assert found["counts"]["sent"] == 10_000
        assert place.differences() == []
