"""Messages over HTTP: sent, looked up, measured, taken back, decided about."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.access import tokens
from tests.server.conftest import Place, until

NUMBER = "+8613912345678"


def text(**fields: Any) -> dict[str, Any]:
    return {"to": NUMBER, "text": "hello", **fields}


# -- sending


async def test_a_message_is_accepted_with_where_to_find_it(desk: Place) -> None:
    answer = await desk.call("POST", "/v1/messages", text(client_ref="r-1", lane="high", tag="t"))
    assert answer.status == 202
    assert answer.headers["Location"] == f"/v1/messages/{answer.body['id']}"
    assert {name: answer.body[name] for name in ("state", "client_ref", "lane", "source", "purpose")} == {
        "state": "queued", "client_ref": "r-1", "lane": "high", "source": "api", "purpose": "service",
    }  # fmt: skip


async def test_what_was_accepted_is_sent(house: Place) -> None:
    name = await house.sent(text="汉" * 71)
    message = await house.message(name)
    assert message["parts"] == {"sent": 2}
    assert [acceptance.destination for acceptance in house.rack.network.accepted] == [NUMBER] * 2


async def test_a_thousand_messages_go_in_one_call(desk: Place) -> None:
    answer = await desk.call("POST", "/v1/messages", {"messages": [text(client_ref=str(n)) for n in range(1000)]})
    assert answer.status == 202
    assert [message["client_ref"] for message in answer.body["messages"]] == [str(n) for n in range(1000)]


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_one_to_a_thousand_messages(desk: Place, count: int) -> None:
    answer = await desk.call("POST", "/v1/messages", {"messages": [text()] * count})
    assert (answer.status, list(answer.params)) == (422, ["messages"])


@pytest.mark.parametrize(
    ("second", "field"),
    [
        pytest.param(text(to="nobody"), "messages[1].to", id="a number that is none"),
        pytest.param(text(not_before="2030-01-01T00:00:00"), "messages[1].not_before", id="a time without a zone"),
        pytest.param(text(lane="fast"), "messages[1].lane", id="a lane that is none"),
        pytest.param(
            text(colour="red"), "messages[1].colour", id="an unknown field",
        ),
        pytest.param(
            text(text="汉", alphabet="gsm7"), "messages[1].text", id="a text outside its alphabet",
        ),
        pytest.param(
            text(expires_at="2001-01-01T00:00:00Z"), "messages[1].expires_at", id="a deadline that has passed",
        ),
    ],
)  # fmt: skip
async def test_a_batch_with_one_wrong_message_is_refused_whole(desk: Place, second: dict[str, Any], field: str) -> None:
    answer = await desk.call("POST", "/v1/messages", {"messages": [text(), second]})
    listed = await desk.call("GET", "/v1/messages")
    assert (answer.status, listed.body["items"]) == (422, [])
    assert list(answer.params) == [field]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"to": "12"}, "to", id="a number that is none"),
        pytest.param({"to": "013912345678"}, "to", id="a national number without a country"),
        pytest.param({"to": "+999123456789"}, "to", id="a country that is none"),
        pytest.param({"to": 8613912345678}, "to", id="a number as a number"),
        pytest.param({"text": ""}, "text", id="no text"),
        pytest.param({"text": "x" * 40_001}, "text", id="a text too long to be read"),
        pytest.param({"text": "汉" * 20_000}, "text", id="a text too long for 255 parts"),
        pytest.param({"text": "汉", "alphabet": "gsm7"}, "text", id="a text outside its alphabet"),
        pytest.param({"purpose": "legal"}, "purpose", id="a purpose that is ours alone"),
        pytest.param({"lane": "OTP"}, "lane", id="a lane in capitals"),
        pytest.param({"expires_at": "tomorrow"}, "expires_at", id="a time that is none"),
        pytest.param({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at", id="a deadline that has passed"),
        pytest.param(
            {"not_before": "2030-01-02T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"}, "expires_at",
            id="a deadline before the beginning",
        ),
        pytest.param({"client_ref": "x" * 201}, "client_ref", id="a reference too long"),
        pytest.param({"colour": "red"}, "colour", id="an unknown field"),
        pytest.param(
            {"expires_at": "1970-01-01T00:00:00Z"}, "expires_at", id="a deadline at the beginning of time",
        ),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_refused_by_its_name(desk: Place, fields: dict[str, Any], field: str) -> None:
    answer = await desk.call("POST", "/v1/messages", text(**fields))
    assert (answer.status, list(answer.params)) == (422, [field])


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"not_before": "9999-12-31T12:00:00Z"}, id="the deadline a day behind the last day there is"),
        pytest.param({"expires_at": "9999-12-31T23:59:59-12:00"}, id="a deadline in a zone that is behind"),
    ],
)
async def test_a_time_beyond_the_calendar_breaks_nothing(desk: Place, fields: dict[str, Any]) -> None:
    answer = await desk.call("POST", "/v1/messages", text(**fields), held=False)
    listed = await desk.call("GET", "/v1/messages", held=False)
    assert (answer.status in (202, 422), listed.status) == (True, 200)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b"to=+8613912345678&text=hello", id="a form"),
        pytest.param(b'{"to":"+8613912345678","text":"\\ud83d"}', id="half a surrogate pair"),
        pytest.param(
            b'{"to":"+8613912345678","text":"\xff"}', id="no UTF-8",
        ),
        pytest.param(
            b"[" * 100_000, id="a thousand brackets deep",
        ),
    ],
)  # fmt: skip
async def test_a_body_that_is_not_json_is_malformed(desk: Place, octets: bytes) -> None:
    answer = await desk.call("POST", "/v1/messages", data=octets)
    assert (answer.status, answer.slug) == (400, "malformed")


# -- looking up


async def test_lists_mask_the_number_and_one_message_shows_it(desk: Place) -> None:
    made = await desk.call("POST", "/v1/messages", text())
    listed = await desk.call("GET", "/v1/messages")
    assert made.body["to"] == listed.body["items"][0]["to"] == "+8613*****5678"
    assert (await desk.message(made.body["id"]))["to"] == NUMBER


async def test_a_list_is_read_in_pages_newest_first(desk: Place) -> None:
    names = [(await desk.call("POST", "/v1/messages", text())).body["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await desk.call("GET", f"/v1/messages?limit=2{cursor}")).body
        seen += [message["id"] for message in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == names[::-1]


async def test_a_list_can_be_of_one_number(desk: Place) -> None:
    for number in ("+8613900000010", "+8613900000011", "+8613900000010"):
        await desk.call("POST", "/v1/messages", text(to=number))
    found = await desk.call("GET", "/v1/messages?to=%2B8613900000010&limit=1")
    rest = await desk.call("GET", f"/v1/messages?to=%2B8613900000010&cursor={found.body['next']}")
    assert [len(found.body["items"]), len(rest.body["items"])] == [1, 1]


async def test_a_plus_sign_may_stand_in_a_query_as_curl_sends_it(desk: Place) -> None:
    await desk.call("POST", "/v1/messages", text())
    found = await desk.client.get(
        f"/v1/messages?to={NUMBER}",
        headers={"Authorization": "Bearer a-token-of-the-tests-and-of-no-other-use"},
    )
    assert found.status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        pytest.param("limit=0", "limit", id="no items"),
        pytest.param("limit=1001", "limit", id="more than a page"),
        pytest.param("limit=five", "limit", id="a word"),
        pytest.param("cursor=5", "cursor", id="a cursor that is none"),
        pytest.param("cursor=cmp_0000000000000", "cursor", id="another noun's cursor"),
        pytest.param("direction=up", "direction", id="no direction"),
        pytest.param("to=nobody", "to", id="a number that is none"),
        pytest.param("colour=red", "colour", id="an unknown parameter"),
        pytest.param("state=gone", "state", id="a state that is none"),
        pytest.param("state=routed", "state", id="a state of what comes in, of what we sent"),
        pytest.param("direction=in&state=sent", "state", id="a state of what we sent, of what came in"),
        pytest.param("since=yesterday", "since", id="a time that is none"),
        pytest.param("until=2030-01-01T00:00:00", "until", id="a time without a zone"),
        pytest.param("text=x", "text", id="one character"),
        pytest.param(f"text={'x' * 101}", "text", id="more words than are looked for"),
        pytest.param("campaign_id=cmp_1", "campaign_id", id="a campaign's id that is none"),
        pytest.param(
            "direction=in&campaign_id=cmp_0000000000001", "campaign_id", id="a campaign, of what came in",
        ),
        pytest.param(
            "from=%2B8613912345678", "from", id="whom it is from, of what we sent",
        ),
        pytest.param(
            "to=", "to", id="an empty number",
        ),
    ],
)  # fmt: skip
async def test_a_wrong_parameter_is_refused_by_its_name(desk: Place, query: str, field: str) -> None:
    answer = await desk.call("GET", f"/v1/messages?{query}")
    assert (answer.status, list(answer.params)) == (422, [field])


# -- searching


async def pages(place: Place, query: str, limit: int = 1000) -> list[Any]:
    """All that a search finds, page after page."""
    items: list[Any] = []
    cursor = ""
    while True:
        page = (await place.call("GET", f"/v1/messages?{query}&limit={limit}{cursor}")).body
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


async def table(place: Place, query: str) -> list[list[str]]:
    """The rows of a file, the header first."""
    answer = await place.call("GET", f"/v1/messages.csv?{query}&bom=0")
    assert answer.status == 200, answer
    return list(csv.reader(io.StringIO(answer.body)))


async def filled(place: Place) -> tuple[str, str]:
    """Campaigns of 2,500 rows that wait and of 600 that were cancelled, and some texts of no campaign."""
    made = []
    for name, count, first in (("Spring", 2500, 0), ("Autumn", 600, 2000)):
        made.append(await place.draft(text=f"{name} greets {{name:you}}"))
        rows = b"to,name\n" + b"".join(b"+86139%08d,%s\n" % (at, b"Ada" if at % 50 == 0 else b"")
                                       for at in range(first, first + count))  # fmt: skip
        assert (await place.upload(made[-1], rows)).status == 202
    await place.call("POST", f"/v1/campaigns/{made[1]}/launch")
    await place.call("POST", f"/v1/campaigns/{made[1]}/cancel")
    batch = [text(to=f"+86139{at:08d}", text=said) for at, said in enumerate(["=1+1", "Grüße, ＡＤＡ", "hello"] * 10)]
    assert (await place.call("POST", "/v1/messages", {"messages": batch})).status == 202
    return made[0], made[1]


async def test_A9_messages_are_found_by_number_text_date_state_and_campaign_and_leave_as_a_file(desk: Place) -> None:
    before = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    spring, autumn = await filled(desk)
    after = (datetime.now(UTC) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    found = await desk.call("GET", "/v1/messages?to=%2B8613900002000&limit=20")
    assert [item["campaign_id"] for item in found.body["items"]] == [autumn, spring]
    counts = {
        "direction=out": 3130,
        "state=cancelled": 600,
        "state=failed": 0,
        f"campaign_id={spring}": 2500,
        "text=ada": 50 + 12 + 10,
        f"text=ada&state=cancelled&campaign_id={autumn}": 12,
        "text=GR%C3%9CSSE": 10,
        "text=greets%20you": 2450 + 588,
        f"since={before}&until={after}": 3130,
        f"until={before}": 0,
        f"since={after}": 0,
        f"to=%2B8613900000003&since={before}": 2,
        "campaign_id=cmp_0000000000001": 0,
    }
    for query, count in counts.items():
        items = await pages(desk, query)
        assert len(items) == count, query
        names = [item["id"] for item in items]
        assert names == sorted(set(names), reverse=True)
        header, *rows = await table(desk, query)
        assert [row[0] for row in rows] == names
        for row, item in zip(rows[:20], items[:20], strict=True):
            told = dict(zip(header, row, strict=True))
            assert (told["to"], told["state"], told["created_at"]) == (
                f"'{item['to']}",
                item["state"],
                item["created_at"],
            )
    assert [row[2] for row in await table(desk, "text=%3D1")] == ["text"] + ["'=1+1"] * 10
    assert desk.differences() == []


async def test_a_page_of_a_search_may_be_short_and_goes_on_where_it_stopped(
    desk: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, autumn = await filled(desk)
    monkeypatch.setattr("server.api.messages.LOOKED_MOST", 600)
    first = (await desk.call("GET", "/v1/messages?text=nowhere")).body
    assert (first["items"], first["next"] is None, await pages(desk, "text=nowhere")) == ([], False, [])
    assert len(await pages(desk, "text=ada", 7)) == 72
    assert len(await pages(desk, f"campaign_id={autumn}&text=ada")) == 12


async def test_texts_to_us_are_found_and_leave_as_a_file(house: Place) -> None:
    for said in ("几点关门?", "=cmd|' /C calc'!A0", "STOP"):
        await house.call("POST", "/v1/sim/inbound", {"from": NUMBER, "text": said})
    assert [item["text"] for item in await pages(house, "direction=in&text=%E5%85%B3%E9%97%A8")] == ["几点关门?"]
    assert len(await pages(house, "direction=in&state=routed&from=%2B8613912345678")) == 3
    header, *rows = await table(house, "direction=in")
    assert header[:3] == ["id", "from", "text"]
    assert [row[1:3] for row in rows] == [
        ["'+8613*****5678", "STOP"], ["'+8613*****5678", "'=cmd|' /C calc'!A0"], ["'+8613*****5678", "几点关门?"],
    ]  # fmt: skip


async def test_who_takes_messages_out_of_the_house_needs_the_right_and_is_kept(desk: Place) -> None:
    await desk.call("POST", "/v1/messages", text())
    reader, taker = tokens.fresh(), tokens.fresh()
    for made, right in ((reader, "messages:read"), (taker, "customers:export")):
        await desk.engine.store.write(tokens.add, made, right, desk.engine.now_ms(), (right,), 0, 0, 0)
    assert (await desk.call("GET", "/v1/messages.csv", token=reader)).status == 403
    taken = await desk.call("GET", "/v1/messages.csv?state=queued", token=taker)
    assert taken.body.startswith("\ufeffid,to,text,state")
    assert "13912345678" not in taken.body
    (kept,) = [
        row for row in (await desk.call("GET", "/v1/audit")).body["items"] if row["action"] == "messages.exported"
    ]
    assert (kept["actor"]["name"], kept["changes"][0]["after"]) == ("customers:export", ["state"])
    told = (await desk.call("GET", "/v1/events")).body["items"][-1]
    assert (told["type"], told["data"]) == ("messages.exported", {"filters": ["state"], "rows": 1})
    for wrong in ("limit=5", "cursor=msg_0000000000001", "bom=2", "state=gone"):
        assert (await desk.call("GET", f"/v1/messages.csv?{wrong}")).status == 422


@pytest.mark.parametrize("step", ["", "/explain"])
async def test_what_is_not_there_is_not_found(desk: Place, step: str) -> None:
    assert (await desk.call("GET", f"/v1/messages/msg_0000000000001{step}")).status == 404


@pytest.mark.parametrize("name", ["msg_1", "cmp_0000000000001", "msg_zzzzzzzzzzzzz", "msg_000000000000i", "%ff", "1"])
async def test_an_id_that_is_none_is_refused(desk: Place, name: str) -> None:
    answer = await desk.call("GET", f"/v1/messages/{name}")
    assert (answer.status, list(answer.params)) == (422, ["id"])


async def test_why_a_message_waits_is_said_in_a_sentence(desk: Place) -> None:
    made = await desk.call("POST", "/v1/messages", text())
    answer = await desk.call("GET", f"/v1/messages/{made.body['id']}/explain")
    assert "modem" in answer.body["explanation"]


# -- measuring


@pytest.mark.parametrize(
    ("said", "alphabet", "units", "parts", "forced_by"),
    [
        pytest.param("a" * 160, "gsm7", 160, 1, None, id="160 septets"),
        pytest.param("a" * 161, "gsm7", 161, 2, None, id="161 septets"),
        pytest.param("汉" * 70, "ucs2", 70, 1, "汉", id="70 ideographs"),
        pytest.param("汉" * 71, "ucs2", 71, 2, "汉", id="71 ideographs"),
        pytest.param("a" * 159 + "{", "gsm7", 161, 2, None, id="an escape that does not fit"),
    ],
)
async def test_a_preview_measures(
    desk: Place, said: str, alphabet: str, units: int, parts: int, forced_by: str | None
) -> None:
    answer = await desk.call("POST", "/v1/messages/preview", {"text": said})
    assert answer.status == 200
    assert {name: answer.body[name] for name in ("alphabet", "units", "parts", "forced_by")} == {
        "alphabet": alphabet, "units": units, "parts": parts, "forced_by": forced_by,
    }  # fmt: skip
    assert "".join(answer.body["texts"]) == said
    assert answer.body["estimate_s"] is None  # no modem


async def test_a_preview_says_what_national_tables_would_save(desk: Place) -> None:
    turkish = "Görüşmek üzere, teşekkürler! " * 5
    answer = await desk.call("POST", "/v1/messages/preview", {"text": turkish})
    assert (answer.body["parts"], answer.body["national_parts"]) == (3, 1)
    answer = await desk.call("POST", "/v1/messages/preview", {"text": turkish, "national": "all"})
    assert (answer.body["alphabet"], answer.body["parts"], answer.body["national_parts"]) == ("gsm7", 1, None)
    answer = await desk.call("POST", "/v1/messages/preview", {"text": "“" + "a" * 158 + "”", "transliterate": True})
    assert (answer.body["parts"], answer.body["texts"]) == (1, [f'"{"a" * 158}"'])


# -- taking back, deciding


async def test_a_message_that_waits_can_be_cancelled_and_again(desk: Place) -> None:
    made = await desk.call("POST", "/v1/messages", text())
    path = f"/v1/messages/{made.body['id']}/cancel"
    for _ in range(2):
        answer = await desk.call("POST", path)
        assert (answer.status, answer.body["state"]) == (200, "cancelled")
    assert desk.differences() == []


async def test_a_message_that_went_cannot_be_cancelled(house: Place) -> None:
    answer = await house.call("POST", f"/v1/messages/{await house.sent()}/cancel")
    assert (answer.status, answer.slug) == (409, "conflict")


async def test_only_an_unknown_message_can_be_decided_about(desk: Place) -> None:
    made = await desk.call("POST", "/v1/messages", text())
    answer = await desk.call("POST", f"/v1/messages/{made.body['id']}/resolve", {"as": "sent"})
    assert (answer.status, answer.slug) == (409, "conflict")


@pytest.mark.parametrize("word", ["sent", "failed", "resend"])
async def test_an_unknown_message_becomes_what_a_person_says(house: Place, word: str) -> None:
    house.rack.network.loses_answer = lambda _destination: True
    name = (await house.call("POST", "/v1/messages", text())).body["id"]
    await until(lambda: house.engine.is_settled and house.rack.network.accepted)
    assert (await house.message(name))["state"] == "unknown"
    house.rack.network.loses_answer = None
    headers = {"Idempotency-Key": "k"}
    answer = await house.call("POST", f"/v1/messages/{name}/resolve", {"as": word}, headers=headers)
    again = await house.call("POST", f"/v1/messages/{name}/resolve", {"as": word}, headers=headers)
    assert (answer.status, again.status, again.body) == (200, 200, answer.body)
    await until(lambda: len(house.rack.network.accepted) == 1 + (word == "resend") and house.engine.is_settled)
    assert (await house.message(name))["state"] == {"resend": "sent"}.get(word, word)
    assert house.differences() == []


async def test_a_received_text_is_found_like_one_sent(house: Place) -> None:
    await house.call("POST", "/v1/sim/inbound", {"from": NUMBER, "text": "几点关门?"})
    listed = await house.call("GET", "/v1/messages?direction=in&from=%2B8613912345678")
    (item,) = listed.body["items"]
    assert (item["from"], item["text"], item["complete"]) == ("+8613*****5678", "几点关门?", True)
    assert (await house.message(item["id"]))["from"] == NUMBER


async def test_a_text_survives_the_way_through_json(desk: Place) -> None:
    said = json.loads('"\\u0000\\u001b{}[]~\\\\|€ 😀 👩‍👩‍👧 \\u202e"')
    made = await desk.call("POST", "/v1/messages", text(text=said))
    assert (await desk.message(made.body["id"]))["text"] == said
