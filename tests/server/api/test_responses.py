"""What people do about a campaign's text, over HTTP: they reply, opt out, open its link, and a second wave knows it."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.config import House
from engine.crm.marketing import responses
from engine.errors import StoreFull
from server.api import links
from tests.server.conftest import Answer, Place, place_in

PAGE = "https://example.com/spring?from=sms"
BASE = "https://go.example"
NUMBERS = tuple(f"+861390000000{place}" for place in range(6))
RULES = {"house": House("Lotus Hotel", "荷花酒店", link_base=BASE)}


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[Place]:
    """Two modems, and an address for short links."""
    async with place_in(tmp_path, 2, rules=RULES) as place:
        await place.ready()
        yield place


async def people(place: Place) -> list[str]:
    """The ids of a customer for each number, who agreed to offers."""
    made = []
    for number in NUMBERS:
        answer = await place.call("POST", "/v1/customers", {"number": number, "name": f"Guest {number[-1]}"})
        consent = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card"}
        await place.call("POST", f"{answer.headers['Location']}/consents", consent)
        made.append(answer.body["id"])
    return made


async def sent(place: Place, text: str = "Spring: {link}", link: str | None = PAGE, **fields: Any) -> str:
    """The id of a campaign that went to all the numbers."""
    campaign = await place.draft(text=text, **({"link": link} if link else {}), **fields)
    await place.upload(campaign, "\n".join(["to", *NUMBERS]).encode())
    answer = await place.call("POST", f"/v1/campaigns/{campaign}/launch")
    assert answer.status == 202, answer
    async with asyncio.timeout(10):
        while (await found(place, campaign))["state"] != "completed":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return campaign


async def found(place: Place, campaign: str) -> dict[str, Any]:
    return dict((await place.call("GET", f"/v1/campaigns/{campaign}")).body)


async def came(place: Place, campaign: str) -> dict[str, int]:
    """The counters of what people did; those of states sum to the audience."""
    campaign_ = await found(place, campaign)
    assert sum(campaign_["counts"].values()) == campaign_["recipients"] == len(NUMBERS)
    return {name: campaign_[name] for name in ("replies", "opt_outs", "clicked", "clicks") if campaign_[name]}


async def rows(place: Place, campaign: str) -> list[Any]:
    return list((await place.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"])


async def path_in(place: Place, campaign: str, row: int) -> str:
    """The path of a recipient's short link, as it stands in the text that he got."""
    message = await place.message((await rows(place, campaign))[row]["message_id"])
    (address,) = re.findall(r"https://\S+", message["text"])
    assert address.startswith(f"{BASE}/l/")
    return str(address).removeprefix(BASE)


async def opened(place: Place, path: str, method: str = "GET") -> Answer:
    return await place.call(method, path, token=None, allow_redirects=False)


async def hear(place: Place, number: str, words: str) -> None:
    assert (await place.call("POST", "/v1/sim/inbound", {"from": number, "text": words})).status == 202
    await place.settled()


# -- F8


async def test_F8_replies_and_opt_outs_are_counted_while_it_runs_a_person_once(house: Place) -> None:
    campaign = await sent(house, "Spring", None)
    assert await came(house, campaign) == {}
    for number, words in (
        (NUMBERS[0], "a table for two please"),
        (NUMBERS[0], "at seven"),
        (NUMBERS[1], "TD"),
        (NUMBERS[1], "退订"),
        (NUMBERS[2], "STOP"),
        (NUMBERS[3], "please stop this"),  # perhaps: he is asked, and says it
        (NUMBERS[3], "STOP"),
        ("+8613911111111", "hello"),
    ):
        await hear(house, number, words)
    assert await came(house, campaign) == {"replies": 2, "opt_outs": 3}
    did = [(row["replied_at"] is not None, row["clicked_at"], row["opted_out"]) for row in await rows(house, campaign)]
    assert did == [
        (True, None, False), (False, None, True), (False, None, True), (True, None, True), (False, None, False),
        (False, None, False),
    ]  # fmt: skip
    kinds = [event["type"] for event in (await house.call("GET", "/v1/events?limit=1000")).body["items"]]
    assert (kinds.count("campaign.replied"), kinds.count("campaign.opted_out")) == (2, 3)
    assert house.differences() == []


async def test_F8_a_reply_is_the_newest_campaigns_and_none_is_of_a_text_that_is_of_no_campaign(house: Place) -> None:
    first, second = await sent(house, "Spring", None), await sent(house, "Summer", None)
    await hear(house, NUMBERS[0], "yes please")
    await house.sent(to=NUMBERS[1], text="your table is ready")
    await hear(house, NUMBERS[1], "thank you")
    assert (await came(house, first), await came(house, second)) == ({}, {"replies": 1})


async def test_F8_each_recipient_has_a_link_of_his_own_and_clicks_are_counted(linked: Place) -> None:
    campaign = await sent(linked)
    paths = [await path_in(linked, campaign, row) for row in range(len(NUMBERS))]
    assert len(set(paths)) == len(NUMBERS)
    for path in (paths[0], paths[0], paths[1].upper().replace("/L/", "/l/")):
        answer = await opened(linked, path)
        assert (answer.status, answer.body) == (302, "")
        told = {name: answer.headers[name] for name in ("Location", "Cache-Control", "Referrer-Policy")}
        assert told == {"Location": PAGE, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    assert await came(linked, campaign) == {"clicked": 2, "clicks": 3}
    assert (await found(linked, campaign))["link"] == PAGE
    assert [row["clicked_at"] is not None for row in await rows(linked, campaign)] == [True] * 2 + [False] * 4
    assert linked.differences() == []


async def test_F8_results_as_a_file_say_the_same(linked: Place) -> None:
    campaign = await sent(linked)
    await opened(linked, await path_in(linked, campaign, 1))
    await hear(linked, NUMBERS[2], "TD")
    answer = await linked.call("GET", f"/v1/campaigns/{campaign}/results.csv")
    listed = list(csv.DictReader(io.StringIO(answer.body)))
    for row, told in zip(await rows(linked, campaign), listed, strict=True):
        told["to"] = told["to"].lstrip("'")  # no spreadsheet takes it for a formula
        assert told == {name: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                        for name, value in row.items()}  # fmt: skip
    assert [row["opted_out"] for row in listed] == ["false", "false", "true", "false", "false", "false"]


async def test_F8_a_look_is_no_click_and_a_wrong_code_leads_nowhere(
    linked: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await sent(linked)
    path = await path_in(linked, campaign, 0)
    looked = await opened(linked, path, "HEAD")
    assert (looked.status, looked.headers["Location"]) == (302, PAGE)
    other = path[:-1] + ("0" if path[-1] != "0" else "1")
    with monkeypatch.context() as patch:
        patch.setattr(responses, "click", None)  # whoever wrote would fail
        for wrong in (
            other,
            f"{path}0",
            f"/l/{'0' * 8}",
            "/l/x",
            f"/l/{'z' * 16}",
            f"/l/{'z' * 300}",
            "/l/%C3%A9abcdef",
        ):
            assert (await opened(linked, wrong)).status == 404, wrong
            assert (await linked.client.head(wrong)).status == 404
    assert (await opened(linked, path, "POST")).status == 405
    assert await came(linked, campaign) == {}
    assert linked.differences() == []


async def test_F8_who_guesses_codes_waits_after_thirty(linked: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await sent(linked)
    path = await path_in(linked, campaign, 0)
    for _ in range(links.GUESSES_PER_MINUTE + 1):
        assert (await opened(linked, "/l/0000000")).status == 404
    assert (await opened(linked, path)).status == 302  # a proxy of ours stands for everybody
    monkeypatch.setattr(links, "neighbourhood_of", lambda _: 7)
    statuses = [(await opened(linked, "/l/0000000")).status for _ in range(links.GUESSES_PER_MINUTE + 1)]
    assert statuses == [404] * links.GUESSES_PER_MINUTE + [429]
    refused = await opened(linked, path)
    assert (refused.status, refused.slug) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 2


@pytest.mark.parametrize(
    ("remote", "same", "is_counted"),
    [
        ("8.8.8.8", "::ffff:8.8.8.8", True),
        ("2001:4860:4860:1:2:3:4:5", "2001:4860:4860:1::", True),
        ("127.0.0.1", "::1", False),
        ("10.1.2.3", "fe80::1%eth0", False),
        ("", "unix", False),
    ],
)
def test_F8_guesses_are_counted_by_public_address(remote: str, same: str, is_counted: bool) -> None:
    assert links.neighbourhood_of(remote) == links.neighbourhood_of(same)
    assert bool(links.neighbourhood_of(remote)) == is_counted
    assert links.neighbourhood_of("8.8.4.4") not in (links.neighbourhood_of(remote), 0)


async def test_F8_the_page_is_shown_though_the_disk_is_full(linked: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await sent(linked)
    path = await path_in(linked, campaign, 0)

    async def full(*_args: Any) -> None:
        raise StoreFull("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(linked.engine.store, "write", full)
        assert (await opened(linked, path)).headers["Location"] == PAGE
    assert await came(linked, campaign) == {}


async def test_F8_a_click_after_an_erasure_brings_nothing_back(linked: Place) -> None:
    made = await people(linked)
    campaign = await sent(linked, "Dear {name}: {link}")
    path = await path_in(linked, campaign, 0)
    await opened(linked, path)
    await hear(linked, NUMBERS[0], "hello")
    dossier = (await linked.call("GET", f"/v1/customers/{made[0]}/dossier")).body
    (did,) = dossier["responses"]
    assert (did["campaign_id"], did["clicks"], did["opted_out_at"]) == (campaign, 1, None)
    assert [one["kind"] for one in dossier["happenings"]] == ["click"]
    before = await came(linked, campaign)
    asked = await linked.call("POST", f"/v1/customers/{made[0]}/erase", {})
    done = await linked.call("POST", f"/v1/customers/{made[0]}/erase", {"challenge": asked.body["challenge"]})
    assert done.body["state"] == "done"
    assert (await opened(linked, path)).status == 302  # where it leads is no secret
    row = (await rows(linked, campaign))[0]
    assert (row["replied_at"], row["clicked_at"], row["opted_out"]) == (None, None, False)
    assert await came(linked, campaign) == before == {"replies": 1, "clicked": 1, "clicks": 1}
    assert (await linked.call("GET", f"/v1/customers/{made[0]}")).status == 404
    assert linked.differences() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"text": "Spring: {link}"}, "link", id="a text that says a link without one"),
        pytest.param({"text": "Spring", "link": PAGE}, "text.en", id="a link without a text that says it"),
        pytest.param(
            {"text": {"en": "Spring: {link}", "zh": "春天"}, "link": PAGE}, "text.zh", id="of two texts one does not"
        ),
        pytest.param({"text": "{link}", "link": "ftp://example.com"}, "link", id="no http"),
        pytest.param({"text": "{link}", "link": f"{PAGE}{'x' * 2000}"}, "link", id="too long"),
    ],
)
async def test_F8_a_link_that_does_not_suit_its_text_is_refused_by_its_field(
    linked: Place, fields: dict[str, Any], field: str
) -> None:
    answer = await linked.call("POST", "/v1/campaigns", {"name": "Spring", "purpose": "service", **fields})
    assert (answer.status, list(answer.params)) == (422, [field])


async def test_F8_without_an_address_for_links_no_campaign_has_one(desk: Place) -> None:
    body = {"name": "Spring", "purpose": "service", "text": "{link}", "link": PAGE}
    answer = await desk.call("POST", "/v1/campaigns", body)
    assert (answer.status, list(answer.params)) == (422, ["link"])
    assert "house.link_base" in answer.params["link"]
    preview = {"definition": "lifecycle = lead", "purpose": "service", "text": "{link}"}
    assert list((await desk.call("POST", "/v1/segments/preview", preview)).params) == ["link"]


async def test_F8_the_preview_measures_the_longest_link_that_can_be(linked: Place) -> None:
    await people(linked)
    room = 160 - len(f"{BASE}/l/") - 16
    for length, parts in ((room, 1), (room + 1, 2)):
        body = {"definition": "lifecycle = lead", "purpose": "service", "text": "x" * length + "{link}"}
        previewed = (await linked.call("POST", "/v1/segments/preview", body)).body
        assert (previewed["people"], previewed["languages"]["en"]["parts_most"]) == (len(NUMBERS), parts)


# -- F10


async def test_F10_a_second_wave_goes_to_who_clicked_or_replied(linked: Place) -> None:
    made = await people(linked)
    first = await sent(linked)
    for row in (1, 2):
        await opened(linked, await path_in(linked, first, row))
    for number in NUMBERS[2:4]:
        await hear(linked, number, "tell me more")
    for definition, wanted in (
        ("click(14d).count >= 1", made[1:3]),
        (f"click(14d, ref = {first}).count >= 1", made[1:3]),
        ("click(14d, ref = cmp_0000000000001).count >= 1", []),
        ("sms_in(14d).count >= 1", made[2:4]),
        ("click(14d).count >= 1 and sms_in(14d).count >= 1", made[2:3]),
        (f"campaign(30d, id = {first}).count >= 1 and click(14d).count = 0 and sms_in(14d).count = 0",
         [made[0], *made[4:]]),
    ):  # fmt: skip
        wave = await linked.draft(name="Second", text="Still some left")
        answer = await linked.call("POST", f"/v1/campaigns/{wave}/audience", {"definition": definition})
        assert answer.status == 202, answer
        assert {row["client_ref"] for row in await rows(linked, wave)} == set(wanted), definition
