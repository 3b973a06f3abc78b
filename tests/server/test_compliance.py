"""What the law and a person's own word ask of us, as a stranger can try it: each beside what must still work."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.config import QuietHours
from tests.server.conftest import Place, place_in, until

ANN = "+8613900000001"
BOB = "+8613900000002"
LONDON = "+442079460000"
OFFER = "Lotus Hotel: {}. Reply STOP to opt out"


async def customer(place: Place, number: str, *agreed: str, **fields: Any) -> str:
    answer = await place.call("POST", "/v1/customers", {"number": number, **fields})
    assert answer.status == 201, answer
    name = str(answer.body["id"])
    for purpose in agreed:
        body = {"purpose": purpose, "status": "granted", "method": "paper", "evidence": "card 7"}
        assert (await place.call("POST", f"/v1/customers/{name}/consents", body)).status == 201
    return name


async def text(place: Place, number: str, words: str, purpose: str = "marketing", **fields: Any) -> str:
    body = {"to": number, "text": words, "purpose": purpose, **fields}
    answer = await place.call("POST", "/v1/messages", body)
    assert answer.status == 202, answer
    await place.settled()
    return str(answer.body["id"])


async def state(place: Place, name: str) -> tuple[str, str | None]:
    await place.settled()
    found = await place.message(name)
    return found["state"], found["reason"]


async def hear(place: Place, number: str, words: str) -> None:
    assert (await place.call("POST", "/v1/sim/inbound", {"from": number, "text": words})).status == 202
    await place.settled()


async def clock(place: Place, at: str) -> None:
    assert (await place.call("POST", "/v1/sim/clock", {"now": f"{at}Z"})).status == 200


async def through(place: Place, campaign: str, *ends: str) -> None:
    """Wait until all rows of a campaign have ended, or are as `ends` says."""
    path, wanted = f"/v1/campaigns/{campaign}", {"sent", "suppressed", *ends}
    async with asyncio.timeout(20):
        while set((await place.call("GET", path)).body["counts"]) - wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def texts_to(place: Place, number: str) -> list[dict[str, Any]]:
    """The messages to a number, the oldest first."""
    await place.settled()
    answer = await place.call("GET", f"/v1/messages?to={number.replace('+', '%2B')}")
    return list(reversed(answer.body["items"]))


# -- the twelve


async def test_1_people_who_never_agreed_get_no_marketing(house: Place) -> None:
    for place in range(20):
        await customer(house, f"+86139000001{place:02d}", *(["marketing"] if place >= 10 else []))
    rows = "\r\n".join(["to", *(f"+86139000001{place:02d}" for place in range(20))])
    campaign = await house.draft(text=OFFER.format("tea"), purpose="marketing")
    await house.upload(campaign, rows.encode())
    assert (await house.call("POST", f"/v1/campaigns/{campaign}/launch")).status == 202
    await through(house, campaign)
    results = (await house.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
    assert [(row["state"], row["reason"]) for row in results] == [("suppressed", "no_consent")] * 10 + [
        ("sent", None)
    ] * 10
    assert house.differences() == []


async def test_2_a_stop_in_a_running_campaign_stops_what_is_queued_already(tmp_path: Path) -> None:
    async with place_in(tmp_path, 2, latency_ms=5) as place:
        await place.ready()
        rows = [f"+86139{number:08d}" for number in range(1_000)]
        campaign = await place.draft(text="hello")
        await place.upload(campaign, "\r\n".join(["to", *rows]).encode())
        await place.call("POST", f"/v1/campaigns/{campaign}/launch")
        stopped, control = rows[-1], rows[-2]
        assert (await place.call("POST", "/v1/sim/inbound", {"from": stopped, "text": "STOP"})).status == 202
        await through(place, campaign)
        (row,) = [one for one in await texts_to(place, stopped) if one["campaign_id"]]
        assert (row["state"], row["reason"]) == ("suppressed", "stop_all")
        (row,) = await texts_to(place, control)
        assert row["state"] == "sent"
        taken = [one.destination for one in place.rack.network.accepted]
        assert (taken.count(stopped), taken.count(control)) == (1, 1)  # the confirmation, the text


async def test_3_the_confirmation_of_a_stop_arrives_although_its_receiver_is_blocked(house: Place) -> None:
    await hear(house, ANN, "STOP")
    (confirmation,) = await texts_to(house, ANN)
    assert (confirmation["purpose"], confirmation["state"]) == ("legal", "sent")
    assert "no more messages" in confirmation["text"]
    assert await state(house, await text(house, ANN, "Your order is ready", "service")) == ("suppressed", "stop_all")


async def test_4_td_ends_marketing_and_an_order_text_still_arrives(house: Place) -> None:
    await customer(house, ANN, "marketing")
    assert await state(house, await text(house, ANN, OFFER.format("tea"))) == ("sent", None)
    await hear(house, ANN, "TD")
    assert await state(house, await text(house, ANN, OFFER.format("cake"))) == ("suppressed", "no_consent")
    assert await state(house, await text(house, ANN, "Your order is ready", "service")) == ("sent", None)


async def test_5_start_alone_restores_no_marketing_and_start_with_y_does(house: Place) -> None:
    await customer(house, ANN, "marketing")
    await hear(house, ANN, "STOP")
    await hear(house, ANN, "START")
    assert await state(house, await text(house, ANN, "Your order is ready", "service")) == ("sent", None)
    assert await state(house, await text(house, ANN, OFFER.format("tea"))) == ("suppressed", "no_consent")
    await hear(house, ANN, "Y")
    assert await state(house, await text(house, ANN, OFFER.format("cake"))) == ("sent", None)


async def test_6_quiet_hours_are_those_of_the_receivers_zone(tmp_path: Path) -> None:
    async with place_in(tmp_path, 2, rules={"quiet": QuietHours()}) as place:
        await place.ready()
        await clock(place, "2027-06-01T13:00:00")  # 14:00 in London, 21:00 in Shanghai
        for number in (ANN, LONDON):
            await customer(place, number, "marketing")
        shanghai, london = [
            await text(place, number, OFFER.format("tea"), expires_at="2027-06-03T00:00:00Z")
            for number in (ANN, LONDON)
        ]
        assert await state(place, london) == ("sent", None)
        assert await state(place, shanghai) == ("held", "quiet_hours")
        until = (await place.message(shanghai))["until"]
        assert "2027-06-02T01:00" <= until < "2027-06-02T01:30"
        await clock(place, "2027-06-02T00:59:59")
        assert await state(place, shanghai) == ("held", "quiet_hours")
        await clock(place, "2027-06-02T01:30:00")
        assert await state(place, shanghai) == ("sent", None)


async def test_7_the_second_marketing_text_of_a_day_waits_until_the_cap_frees(house: Place) -> None:
    await clock(house, "2027-06-01T10:00:00")  # 18:00 in Shanghai
    await customer(house, ANN, "marketing")
    await customer(house, BOB, "marketing")
    later = "2027-06-04T00:00:00Z"
    assert await state(house, await text(house, ANN, OFFER.format("tea"))) == ("sent", None)
    held = await text(house, ANN, OFFER.format("cake"), expires_at=later)
    too_late = await text(house, ANN, OFFER.format("lunch"), expires_at="2027-06-01T12:00:00Z")
    assert await state(house, held) == ("held", "cap")
    assert (await house.message(held))["until"] == "2027-06-01T16:00:00.000Z"  # midnight there
    assert await state(house, too_late) == ("expired", "cap")
    assert await state(house, await text(house, ANN, "Your order is ready", "service")) == ("sent", None)
    assert await state(house, await text(house, BOB, OFFER.format("cake"))) == ("sent", None)
    explained = await house.call("GET", f"/v1/messages/{held}/explain")
    assert "as many marketing texts as he may get" in str(explained.body)
    preview = await previewed(house)
    assert preview["lines"] == [{"reason": "frequency", "count": 2, "text": "−2 texted as often as they may be"}]
    await clock(house, "2027-06-01T16:00:01")
    assert await state(house, held) == ("sent", None)
    assert house.differences() == []


async def test_7_the_fifth_marketing_text_in_30_days_waits_until_the_first_is_30_days_old(house: Place) -> None:
    await customer(house, ANN, "marketing")
    for day in range(1, 5):
        await clock(house, f"2027-06-0{day}T10:00:00")
        assert await state(house, await text(house, ANN, OFFER.format(f"day {day}"))) == ("sent", None)
    await clock(house, "2027-06-06T10:00:00")
    fifth = await text(house, ANN, OFFER.format("day 6"), expires_at="2027-08-01T00:00:00Z")
    assert await state(house, fifth) == ("held", "cap")
    assert (await house.message(fifth))["until"] == "2027-06-30T16:00:00.000Z"
    await clock(house, "2027-06-30T16:00:01")
    assert await state(house, fifth) == ("sent", None)


async def test_7_the_same_text_goes_to_nobody_twice_within_a_day(house: Place) -> None:
    await clock(house, "2027-06-01T14:00:00")  # 22:00
    for number in (ANN, BOB):
        await customer(house, number, "marketing")
    same = OFFER.format("tea")
    assert await state(house, await text(house, ANN, same)) == ("sent", None)
    await clock(house, "2027-06-01T18:00:00")  # the next day there
    assert await state(house, await text(house, ANN, same)) == ("suppressed", "duplicate")
    assert await state(house, await text(house, BOB, same)) == ("sent", None)
    await clock(house, "2027-06-02T18:30:00")
    assert await state(house, await text(house, ANN, same)) == ("sent", None)


async def test_7_what_was_refused_is_not_counted(house: Place) -> None:
    await customer(house, ANN, "marketing")
    refused: list[str] = []

    def refuse(number: str) -> int:
        refused.append(number)
        return 21

    house.rack.network.refuse = refuse
    body = {"to": ANN, "text": OFFER.format("tea"), "purpose": "marketing"}
    name = (await house.call("POST", "/v1/messages", body)).body["id"]
    await until(lambda: refused)
    await house.settled()
    house.rack.network.refuse = None
    assert (await house.call("POST", f"/v1/messages/{name}/cancel")).body["state"] == "cancelled"
    assert await state(house, await text(house, ANN, OFFER.format("cake"))) == ("sent", None)


async def previewed(place: Place, purpose: str = "marketing", **fields: Any) -> dict[str, Any]:
    body = {"definition": "lifecycle = lead", "purpose": purpose, "text": OFFER.format("tea"), **fields}
    answer = await place.call("POST", "/v1/segments/preview", body)
    assert answer.status == 200, answer
    return dict(answer.body)


# -- beside them


async def newest_from(place: Place, number: str) -> str:
    answer = await place.call("GET", f"/v1/messages?direction=in&from={number.replace('+', '%2B')}&limit=1")
    return str(answer.body["items"][0]["id"])


async def answered(place: Place, number: str, asked: str) -> Any:
    body = {"to": number, "text": "We open at seven", "purpose": "service", "in_reply_to": asked}
    answer = await place.call("POST", "/v1/messages", body)
    return answer.params.get("in_reply_to") if answer.status == 422 else await state(place, answer.body["id"])


async def test_an_answer_to_ones_own_text_passes_a_stop_but_not_its_own_and_not_for_ever(house: Place) -> None:
    await clock(house, "2027-06-01T10:00:00")
    refusal = "is no text from this number within the last 24 hours, or was a STOP"
    await hear(house, ANN, "STOP")
    assert await answered(house, ANN, await newest_from(house, ANN)) == refusal
    await hear(house, ANN, "when do you open?")
    asked = await newest_from(house, ANN)
    assert await answered(house, ANN, asked) == ("sent", None)
    assert await answered(house, BOB, asked) == refusal
    assert await state(house, await text(house, ANN, "Your order is ready", "service")) == ("suppressed", "stop_all")
    await clock(house, "2027-06-02T10:00:01")
    assert await answered(house, ANN, asked) == refusal


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        pytest.param("Tea for two. Reply STOP to opt out", "the sender's name", id="no name"),
        pytest.param("Lotus Hotel: tea for two, stopping by?", "a way to refuse", id="no way to refuse"),
        pytest.param("荷花酒店:今天有茶", "a way to refuse", id="Chinese, no way to refuse"),
    ],
)
async def test_marketing_without_name_or_opt_out_cannot_be_launched(desk: Place, words: str, lacks: str) -> None:
    campaign = await desk.draft(text=words, purpose="marketing")
    await desk.upload(campaign, b"to\r\n+8613900000001")
    answer = await desk.call("POST", f"/v1/campaigns/{campaign}/launch")
    assert (answer.status, answer.slug) == (422, "missing_opt_out")
    assert lacks in answer.params["text.en"]


@pytest.mark.parametrize(
    ("words", "purpose"),
    [
        (OFFER.format("tea"), "marketing"),
        ("【荷花酒店】今天有茶。回TD退订", "marketing"),
        ("Your order is ready", "service"),
    ],
)
async def test_what_says_both_or_needs_neither_is_launched(desk: Place, words: str, purpose: str) -> None:
    campaign = await desk.draft(text=words, purpose=purpose)
    await desk.upload(campaign, b"to\r\n+8613900000001")
    assert (await desk.call("POST", f"/v1/campaigns/{campaign}/launch")).status == 202


async def test_v20_a_stop_in_a_sentence_pauses_marketing_until_a_person_decides(house: Place) -> None:
    people = {number: await customer(house, number, "marketing") for number in (ANN, BOB)}
    for number in people:
        await hear(house, number, "Please do not stop the offers")
    (reply,) = await texts_to(house, ANN)
    assert (reply["text"], reply["state"]) == (
        "Lotus Hotel: thank you, a colleague will read this. To end all messages reply STOP.", "sent",
    )  # fmt: skip
    offers = {number: await text(house, number, OFFER.format("tea")) for number in people}
    for offer in offers.values():
        assert await state(house, offer) == ("held", "possible_optout")
    assert await state(house, await text(house, ANN, "Your order is ready", "service")) == ("sent", None)
    assert (await previewed(house))["waiting"] == {"quiet_hours": 0, "possible_optout": 2}
    waiting = (await house.call("GET", "/v1/marketing/paused")).body["items"]
    assert [one["customer_id"] for one in waiting] == [people[ANN], people[BOB]]
    assert waiting[0]["message_id"] == await newest_from(house, ANN)
    resumed = await house.call("POST", f"/v1/customers/{people[ANN]}/marketing/resume")
    withdrawn = await house.call("POST", f"/v1/customers/{people[BOB]}/marketing/withdraw")
    assert (resumed.body, withdrawn.body) == (
        {"decided": "resumed", "messages": 1}, {"decided": "withdrawn", "messages": 1},
    )  # fmt: skip
    assert await state(house, offers[ANN]) == ("sent", None)
    assert await state(house, offers[BOB]) == ("suppressed", "no_consent")
    again = await house.call("POST", f"/v1/customers/{people[ANN]}/marketing/resume")
    assert (again.status, again.slug) == (409, "not_paused")
    assert house.differences() == []


@pytest.mark.parametrize("offered", [True, False])
async def test_a_single_letter_refuses_only_where_the_last_offer_offered_it(house: Place, offered: bool) -> None:
    await customer(house, ANN, "marketing")
    await text(house, ANN, "【荷花酒店】今天有茶。拒收请回复R" if offered else OFFER.format("tea"))
    await hear(house, ANN, "R")
    answer = await house.call("GET", "/v1/customers?number=%2B8613900000001")
    found = await house.call("GET", f"/v1/customers/{answer.body['items'][0]['id']}")
    assert found.body["consent"]["marketing"]["status"] == ("withdrawn" if offered else "granted")


async def test_a_letter_is_forgotten_after_seven_days(house: Place) -> None:
    name = await customer(house, ANN, "marketing")
    await clock(house, "2027-06-01T10:00:00")
    await text(house, ANN, "【荷花酒店】今天有茶。回T退订")
    await clock(house, "2027-06-08T10:00:01")
    await hear(house, ANN, "T")
    found = await house.call("GET", f"/v1/customers/{name}")
    assert found.body["consent"]["marketing"]["status"] == "granted"


async def test_who_is_asked_has_agreed_once_he_says_so_within_a_day(house: Place) -> None:
    question = {"name": "Web form", "text": {"en": "{house}: offers by text? Reply Y, STOP to end all."}}
    wording = (await house.call("POST", "/v1/wordings", question)).body
    people = {number: await customer(house, number) for number in (ANN, BOB)}
    ask = {"purpose": "marketing", "status": "ask", "method": "web", "evidence": "form 3", "wording": wording["id"]}
    for name in people.values():
        answer = await house.call("POST", f"/v1/customers/{name}/consents", ask)
        assert (answer.status, answer.body["consent"]["status"]) == (201, "pending")
    again = await house.call("POST", f"/v1/customers/{people[ANN]}/consents", ask)
    assert (again.status, again.slug) == (409, "already_asked")
    (asked,) = await texts_to(house, ANN)
    assert (asked["text"], asked["purpose"], asked["state"]) == (
        "Lotus Hotel: offers by text? Reply Y, STOP to end all.", "service", "sent",
    )  # fmt: skip
    await house.call("POST", f"/v1/wordings/{wording['id']}/versions", {"text": {"en": "Another {house} question"}})
    await hear(house, ANN, "Y")
    rows = (await house.call("GET", f"/v1/customers/{people[ANN]}/consents")).body["items"]
    assert [(row["status"], row["wording"]) for row in rows] == [
        ("pending", f"{wording['id']}/1"), ("granted", f"{wording['id']}/1"),
    ]  # fmt: skip
    assert rows[1]["evidence"].startswith(f"form 3 {asked['id']} msg_")
    kept = await house.call("GET", f"/v1/wordings/{wording['id']}?version=1")
    assert kept.body["text"] == question["text"]
    assert await state(house, await text(house, ANN, OFFER.format("tea"))) == ("sent", None)
    assert await state(house, await text(house, BOB, OFFER.format("tea"))) == ("suppressed", "no_consent")


async def test_a_yes_after_a_day_is_none(house: Place) -> None:
    await clock(house, "2027-06-01T10:00:00")
    name = await customer(house, ANN)
    ask = {"purpose": "marketing", "status": "ask", "method": "import"}
    assert (await house.call("POST", f"/v1/customers/{name}/consents", ask)).status == 201
    await house.settled()
    await clock(house, "2027-06-02T10:00:01")
    await hear(house, ANN, "Y")
    found = await house.call("GET", f"/v1/customers/{name}")
    assert found.body["consent"]["marketing"]["status"] == "pending"
    assert await state(house, await text(house, ANN, OFFER.format("tea"))) == ("suppressed", "no_consent")


async def test_whoever_wants_no_texts_is_not_asked(house: Place) -> None:
    name = await customer(house, ANN)
    await hear(house, ANN, "STOP")
    ask = {"purpose": "marketing", "status": "ask", "method": "web"}
    answer = await house.call("POST", f"/v1/customers/{name}/consents", ask)
    assert (answer.status, answer.slug) == (409, "suppressed")


async def test_M6_three_permanent_failures_make_a_number_bad(house: Place) -> None:
    house.rack.network.report_delay_ms = None
    people = {number: await customer(house, number) for number in (ANN, BOB)}

    async def phone_state(number: str) -> str:
        return str((await house.call("GET", f"/v1/customers/{people[number]}")).body["phone_state"])

    async def undelivered(number: str) -> None:
        name = await text(house, number, "hello", "service", delivery_report="all")
        assert (await house.message(name))["state"] == "sent"
        report = {"message": name, "status": "undelivered"}
        for _ in range(2):  # a report that comes twice counts once
            assert (await house.call("POST", "/v1/sim/dlr", report)).status == 202

    await undelivered(ANN)
    assert await phone_state(ANN) == "suspect"
    for _ in range(2):
        await undelivered(ANN)
        await undelivered(BOB)
    assert (await phone_state(ANN), await phone_state(BOB)) == ("bad", "suspect")
    assert await state(house, await text(house, ANN, "hello", "service")) == ("suppressed", "bad_number")
    # Somebody else, who has failed twice, is reached: he is as good as new.
    name = await text(house, BOB, "hello", "service", delivery_report="all")
    await house.call("POST", "/v1/sim/dlr", {"message": name, "status": "delivered"})
    assert await phone_state(BOB) == "ok"
    await undelivered(BOB)
    assert await state(house, await text(house, BOB, "hello", "service")) == ("sent", None)
    # And whoever texts us has a number that works.
    await hear(house, ANN, "hello?")
    assert await phone_state(ANN) == "ok"
    assert await state(house, await text(house, ANN, "hello", "service")) == ("sent", None)
    assert house.differences() == []


async def test_M6_a_network_that_says_thrice_that_a_number_is_nobodys_makes_it_bad(house: Place) -> None:
    house.rack.network.refuse = {ANN: 1, BOB: 50}.get
    name = await customer(house, ANN)
    for _ in range(3):
        assert await state(house, await text(house, ANN, "hello", "service")) == ("failed", "refused_by_network")
    assert (await house.call("GET", f"/v1/customers/{name}")).body["phone_state"] == "bad"
    assert await state(house, await text(house, ANN, "hello", "service")) == ("suppressed", "bad_number")


async def test_rows_of_campaigns_count_as_any_other_text(house: Place) -> None:
    await clock(house, "2027-06-01T10:00:00")
    await customer(house, ANN, "marketing")
    sent = []
    for words in ("tea", "cake"):
        campaign = await house.draft(text=OFFER.format(words), purpose="marketing")
        await house.upload(campaign, f"to\r\n{ANN}\r\n{BOB}".encode())
        await house.call("POST", f"/v1/campaigns/{campaign}/launch")
        await through(house, campaign, "held")
        results = (await house.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
        sent.append([(row["state"], row["reason"]) for row in results])
    assert sent == [
        [("sent", None), ("suppressed", "no_consent")], [("held", "cap"), ("suppressed", "no_consent")],
    ]  # fmt: skip
    assert await state(house, await text(house, ANN, OFFER.format("lunch"))) == ("held", "cap")
    assert house.differences() == []
