"""The preview of an audience over HTTP: whom a text would reach, and who falls out on the way."""

from pathlib import Path
from typing import Any

import pytest

from engine.config import House, QuietHours
from engine.crm.people import agreement, customers, reach, suppressions
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer
from engine.crm.people.frequency import Frequency
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.messages import Message, State
from tests.server.conftest import PEPPER, Answer, Place, place_in, until

FIRST = 8_613_900_000_000
OFFER = {"en": "Lotus Hotel: dear {name:guest}, tea. Reply STOP", "zh": "【荷花酒店】{name:您},今天有茶。回TD退订"}
EVERYBODY = "lifecycle = lead"


async def asked(place: Place, **fields: Any) -> Answer:
    body = {"definition": EVERYBODY, "purpose": "marketing", "text": OFFER, **fields}
    return await place.call("POST", "/v1/segments/preview", body)


def town(txn: Txn, place: Place, people: int) -> None:
    """People of two languages; of each ten the first six agreed."""
    now_ms = place.engine.now_ms()
    for at in range(people):
        language = ("en", "zh")[at % 2]
        customers.add(txn, Customer(0, FIRST + at, f"Guest {at}", language=language), now_ms)
        if at % 10 < 6:
            agreement.add(txn, FIRST + at, "marketing", Consent(Status.GRANTED, "web", "", now_ms))


def spoil(txn: Txn, place: Place) -> None:
    """Of those who agreed one is stopped, one is on a list, one has a bad number, one was texted today."""
    now_ms = place.engine.now_ms()
    suppressions.add(txn, PEPPER, FIRST, "stop_all", now_ms)
    suppressions.add(txn, PEPPER, FIRST + 1, "legal", now_ms)
    for _ in range(3):
        reach.failed(txn, PEPPER, FIRST + 2, now_ms)
    for at in (3, 4):
        message = messages.enqueue(txn, Message(0, FIRST + at, "x", "marketing"), now_ms)
        if at == 3:
            sent = Message(message.id, FIRST + at, "x", "marketing", state=State.SENT, parts=(SENT,))
            messages.leave_line(txn, message)
            messages.store(txn, message, sent, now_ms)
        else:
            messages.cancel(txn, message.id, now_ms)
        counted = Frequency(txn, place.engine.settings.caps, PEPPER, "UTC", now_ms)
        counted.note(message)
        counted.save()


SENT = messages.Part(State.SENT)


async def test_everybody_falls_out_once_at_the_first_line_that_holds(tmp_path: Path) -> None:
    house = House("Lotus Hotel", "荷花酒店", currency="CNY")
    async with place_in(tmp_path, 2, rules={"house": house}) as place:
        await place.ready()
        route = {"name": "all", "cost_minor": 10, "senders": []}
        assert (await place.call("POST", "/v1/routes", route)).status == 201
        await place.engine.store.write(town, place, 20)
        await place.engine.store.write(spoil, place)
        found = (await asked(place)).body
        assert [(line["reason"], line["count"]) for line in found["lines"]] == [
            ("suppressed", 2), ("no_consent", 8), ("bad_number", 1), ("frequency", 1),
        ]  # fmt: skip
        assert (found["matched"], found["people"], found["suppressed"]) == (20, 8, {"legal": 1, "stop_all": 1})
        assert found["matched"] == found["people"] + sum(line["count"] for line in found["lines"])
        assert (found["parts"], found["cost"]) == (8, {"amount_minor": 80, "currency": "CNY"})
        assert found["text"] == (
            "20 match; −2 suppressed; −8 no marketing consent; −1 bad number; −1 texted as often as they may be; "
            "= 8 people, 8 parts, CNY 0.80, about 1 minute on 2 modems"
        )
        assert found["warnings"] == []
        # Of the eight who said nothing a campaign with a basis could text each.
        based = (await asked(place, consent_basis="guest cards")).body
        assert (based["people"], [line["reason"] for line in based["lines"]]) == (
            16, ["suppressed", "bad_number", "frequency"],
        )  # fmt: skip
        # Who needs no consent: only refusals and bad numbers count.
        service = (await asked(place, purpose="service")).body
        assert (service["people"], [line["reason"] for line in service["lines"]]) == (17, ["suppressed", "bad_number"])


async def test_parts_are_those_of_the_longest_name_in_each_language(desk: Place) -> None:
    for number, name, language in (("01", "A" * 150, "en"), ("02", "Bo", "en-GB"), ("03", "李娜", "zh-Hans-CN")):
        body = {"number": f"+86139000000{number}", "name": name, "language": language}
        await desk.call("POST", "/v1/customers", body)
    found = (await asked(desk, purpose="service")).body
    english, chinese = found["languages"]["en"], found["languages"]["zh"]
    assert (english["people"], english["parts"], english["parts_most"], english["alphabet"]) == (2, 3, 2, "gsm7")
    assert (chinese["people"], chinese["parts_most"], chinese["alphabet"]) == (1, 1, "ucs2")
    assert (found["parts"], found["modems"], found["estimate_s"]) == (4, 0, None)
    assert found["text"].endswith("and no modem is ready")


async def test_A17_who_has_no_name_is_greeted_all_the_same_and_the_worst_case_is_shown(house: Place) -> None:
    for number, name in (("01", ""), ("02", "李" * 70)):
        body = {"number": f"+86139000000{number}", "name": name, "language": "zh"}
        assert (await house.call("POST", "/v1/customers", body)).status == 201
    text = {"zh": "{name:您}好,茶已备好"}
    found = (await asked(house, purpose="transactional", text=text)).body
    assert (found["people"], found["parts"], found["languages"]["zh"]["parts_most"]) == (2, 3, 2)
    campaign = await house.draft(text=text)
    said = await house.call("POST", f"/v1/campaigns/{campaign}/audience", {"definition": EVERYBODY})
    assert (said.status, said.body["accepted"]) == (202, 2)
    await house.call("POST", f"/v1/campaigns/{campaign}/launch")
    await until(lambda: len(house.rack.network.accepted) == 3)
    rows = (await house.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
    texts = {(await house.message(row["message_id"]))["text"] for row in rows}
    assert texts == {"您好,茶已备好", "李" * 70 + "好,茶已备好"}


async def test_a_missing_language_or_value_and_a_text_that_law_forbids_are_warned_of(desk: Place) -> None:
    for number, name, language in (("01", "Ann", "fr"), ("02", "", "en")):
        body = {"number": f"+86139000000{number}", "name": name, "language": language}
        made = (await desk.call("POST", "/v1/customers", body)).body["id"]
        said = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card"}
        await desk.call("POST", f"/v1/customers/{made}/consents", said)
    found = (await asked(desk, text="Dear {name}")).body
    assert (found["people"], found["missing_languages"], found["missing_values"]) == (1, {"fr": 1}, {"name": 1})
    assert found["lines"] == [{"reason": "unsendable", "count": 1, "text": "−1 whose text cannot be made"}]
    assert len(found["warnings"]) == 3
    assert "the sender's name" in found["warnings"][2]


async def test_who_must_wait_for_the_morning_is_told(tmp_path: Path) -> None:
    async with place_in(tmp_path, 1, rules={"quiet": QuietHours()}) as place:
        await place.call("POST", "/v1/sim/clock", {"now": "2027-06-01T13:00:00Z"})  # 21:00 in Shanghai, 14:00 in London
        for number in ("+8613900000001", "+442079460000"):
            await place.call("POST", "/v1/customers", {"number": number})
        assert (await asked(place, purpose="survey")).body["people"] == 0
        found = (await asked(place, purpose="service")).body
        assert (found["people"], found["waiting"]["quiet_hours"]) == (2, 1)


async def test_a_segment_is_previewed_by_its_name(desk: Place) -> None:
    await desk.call("POST", "/v1/customers", {"number": "+8613900000001", "address": {"city": "Nanjing"}})
    await desk.call("POST", "/v1/customers", {"number": "+8613900000002"})
    await desk.call("POST", "/v1/segments", {"name": "At home", "definition": "city = Nanjing"})
    found = await desk.call(
        "POST", "/v1/segments/preview", {"segment": "at home", "purpose": "service", "text": "hello"}
    )
    assert (found.status, found.body["people"]) == (200, 1)


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        pytest.param({"definition": "city"}, 422, "text", id="no condition"),
        pytest.param({"segment": "x"}, 422, "definition", id="both"),
        pytest.param({"definition": None, "segment": "x"}, 404, "", id="no such segment"),
        pytest.param({"text": {}}, 422, "text", id="no text"),
        pytest.param({"text": "{name"}, 422, "text.en", id="an open brace"),
        pytest.param({"purpose": "legal"}, 422, "purpose", id="no purpose"),
    ],
)
async def test_what_cannot_be_previewed_is_refused(
    desk: Place, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = await asked(desk, **fields)
    assert (answer.status, list(answer.params)) == (status, [field] if field else [])
