"""Topics over HTTP: who subscribes to what, and who of them is texted."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.config import NO_CAPS
from tests.server.conftest import Answer, Place, place_in

DAY_MS = 86_400_000
TEXT = "Lotus Hotel: the bath is open. Reply STOP to opt out"


def number(place: int) -> str:
    return f"+861390000{place:04d}"


async def person(place: Place, at: int, *, agrees: bool = False, **fields: Any) -> str:
    """The id of a customer, who agreed to offers or did not."""
    answer = await place.call("POST", "/v1/customers", {"number": number(at), "name": f"Guest {at}", **fields})
    assert answer.status == 201, answer
    if agrees:
        consent = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card"}
        await place.call("POST", f"{answer.headers['Location']}/consents", consent)
    return str(answer.body["id"])


async def topic(place: Place, word: str = "NEWS", **fields: Any) -> str:
    answer = await place.call("POST", "/v1/topics", {"word": word, **fields})
    assert answer.status == 201, answer
    return str(answer.body["id"])


async def subscribe(place: Place, customer: str, word: str = "news", **fields: Any) -> Answer:
    return await place.call("POST", f"/v1/customers/{customer}/subscriptions", {"topic": word, **fields})


async def subscribed(place: Place, customer: str) -> list[Any]:
    return list((await place.call("GET", f"/v1/customers/{customer}/subscriptions")).body["items"])


async def address(place: Place, campaign: str, **body: Any) -> Answer:
    return await place.call("POST", f"/v1/campaigns/{campaign}/audience", body)


async def fates(place: Place, campaign: str) -> dict[str, tuple[str, str | None]]:
    """What became of each customer's row, and why."""
    page = (await place.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
    return {row["client_ref"]: (row["state"], row["reason"]) for row in page}


async def gone(place: Place, campaign: str) -> dict[str, tuple[str, str | None]]:
    """The same, of a campaign that is launched and of which nothing waits any more."""
    assert (await place.call("POST", f"/v1/campaigns/{campaign}/launch")).status == 202
    async with asyncio.timeout(20):
        while set((await place.call("GET", f"/v1/campaigns/{campaign}")).body["counts"]) - {"sent", "suppressed"}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return await fates(place, campaign)


# -- F19


async def test_F19_of_ten_subscribers_the_eight_who_agreed_are_texted(house: Place) -> None:
    house.rack.network.report_delay_ms = None
    news = await topic(house, name={"en": "News", "zh-Hans": "新闻"})
    made = [await person(house, at, agrees=at < 8) for at in range(10)]
    others = await person(house, 10, agrees=True)
    for name in made:
        assert (await subscribe(house, name)).status == 200
    campaign = await house.draft(text=TEXT, purpose="marketing", topic="news")
    assert (await address(house, campaign)).body["accepted"] == 10
    found = await gone(house, campaign)
    assert sorted(one.destination for one in house.rack.network.accepted) == [number(at) for at in range(8)]
    assert found == {
        **dict.fromkeys(made[:8], ("sent", None)),
        **dict.fromkeys(made[8:], ("suppressed", "no_consent")),
    }
    assert others not in found
    view = (await house.call("GET", f"/v1/campaigns/{campaign}")).body
    assert (view["topic_id"], view["audience"], view["counts"]) == (
        news, {"topic": news}, {"sent": 8, "suppressed": 2},
    )  # fmt: skip
    assert house.differences() == []


async def test_a_condition_takes_some_of_the_subscribers_and_an_exclusion_alone_the_others(desk: Place) -> None:
    await topic(desk)
    vips = [await person(desk, at, tags=["vip"]) for at in range(4)]
    plain = [await person(desk, at) for at in range(4, 6)]
    for name in (*vips[:2], *plain):
        await subscribe(desk, name)
    await subscribe(desk, vips[0], state="paused")
    for body, wanted in (
        ({"definition": "tag:vip"}, {vips[1]}),
        ({"exclude": "tag:vip"}, {*plain}),
        ({"definition": "lifecycle = lead", "exclude": "tag:vip"}, {*plain}),
        ({}, {vips[1], *plain}),
    ):
        campaign = await desk.draft(text=TEXT, purpose="marketing", topic="NEWS")
        assert (await address(desk, campaign, **body)).status == 202
        assert {*await fates(desk, campaign)} == wanted
    assert desk.differences() == []


async def test_without_a_topic_an_audience_needs_a_condition(desk: Place) -> None:
    campaign = await desk.draft()
    for body in ({}, {"exclude": "tag:vip"}):
        answer = await address(desk, campaign, **body)
        assert (answer.status, list(answer.params)) == (422, ["definition"])
    assert (await desk.call("GET", f"/v1/campaigns/{campaign}")).body["uploading"] is False


async def test_who_ended_or_paused_meanwhile_or_never_subscribed_is_not_texted(house: Place) -> None:
    house.rack.network.report_delay_ms = None
    await topic(house, purpose="service")
    made = [await person(house, at) for at in range(4)]
    for name in made[:3]:
        await subscribe(house, name)
    campaign = await house.draft(text="x", purpose="service", topic="NEWS")
    assert (await address(house, campaign)).body["accepted"] == 3
    octets = f"to,client_ref\n{number(3)},{made[3]}\n+8613900009999,nobody\n".encode()
    assert (await house.upload(campaign, octets)).body["accepted"] == 2
    await subscribe(house, made[1], state="ended")
    await subscribe(house, made[2], state="paused")
    found = await gone(house, campaign)
    assert found.pop(made[0]) == ("sent", None)
    assert set(found) == {*made[1:], "nobody"}
    assert set(found.values()) == {("suppressed", "not_subscribed")}
    assert [one.destination for one in house.rack.network.accepted] == [number(0)]
    assert house.differences() == []


async def test_E1_daily_news_are_not_sent_to_a_weekly_subscriber(tmp_path: Path) -> None:
    async with place_in(tmp_path, 2, rules={"caps": NO_CAPS}) as place:
        await place.ready()
        place.rack.network.report_delay_ms = None
        # At noon, so that no day ends between two campaigns.
        now_ms = place.engine.now_ms()
        place.engine.set_clock(now_ms - now_ms % DAY_MS + 3 * DAY_MS // 2)
        await topic(place, purpose="service")
        wanted = {}
        for at, often in enumerate(("every", "daily", "weekly", "monthly")):
            wanted[often] = await person(place, at)
            await subscribe(place, wanted[often], frequency=often)
        for days, who in (
            (0, {"every", "daily", "weekly", "monthly"}),
            (0, {"every"}),
            (1, {"every", "daily"}),
            (5, {"every", "daily"}),
            (1, {"every", "daily", "weekly"}),
            (22, {"every", "daily", "weekly"}),
            (1, {"every", "daily", "monthly"}),
        ):
            place.engine.set_clock(place.engine.now_ms() + days * DAY_MS)
            campaign = await place.draft(text="x", purpose="service", topic="NEWS")
            await address(place, campaign)
            found = await gone(place, campaign)
            assert {often for often, name in wanted.items() if found[name] == ("sent", None)} == who
            left = {found[name] for often, name in wanted.items() if often not in who}
            assert left <= {("suppressed", "frequency")}
        (one,) = await subscribed(place, wanted["weekly"])
        assert one["last_text_at"] is not None
        assert place.differences() == []


# -- topics


async def test_a_topic_is_made_found_changed_and_archived(desk: Place) -> None:
    made = await desk.call("POST", "/v1/topics", {"word": " ｎews", "name": {"en": "News"}})
    assert (made.status, made.body["word"], made.body["purpose"], made.body["state"]) == (
        201, "NEWS", "marketing", "active",
    )  # fmt: skip
    path = made.headers["Location"]
    assert (await desk.call("GET", path)).body == made.body
    assert [one["word"] for one in (await desk.call("GET", "/v1/topics")).body["items"]] == ["NEWS"]
    taken = await desk.call("POST", "/v1/topics", {"word": "News"})
    assert (taken.status, taken.slug) == (409, "topic_word")
    body = {"word": "温泉", "name": {"zh": "温泉"}}
    assert (await desk.call("PATCH", path, body, headers={"If-Match": '"9"'})).status == 412
    changed = await desk.call("PATCH", path, body, headers={"If-Match": made.headers["ETag"]})
    assert (changed.status, changed.body["word"], changed.body["version"]) == (200, "温泉", 2)
    assert (await desk.call("POST", "/v1/topics", {"word": "NEWS"})).status == 201
    name = await person(desk, 0)
    assert (await subscribe(desk, name, "温泉")).status == 200
    campaign = await desk.draft(text=TEXT, purpose="marketing", topic=made.body["id"])
    await address(desk, campaign)
    assert (await desk.call("PATCH", path, {"state": "archived"})).body["state"] == "archived"
    for answer in (
        await subscribe(desk, await person(desk, 1), "温泉"),
        await desk.call("POST", "/v1/campaigns", {"name": "x", "text": "x", "purpose": "marketing", "topic": "温泉"}),
        await desk.call("POST", f"/v1/campaigns/{campaign}/launch"),
    ):
        assert (answer.status, answer.slug) == (409, "topic_archived")
    assert (await subscribe(desk, name, "温泉", state="ended")).body["state"] == "ended"
    assert desk.differences() == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        pytest.param("topics", {"word": "TWO WORDS"}, "word", id="two words"),
        pytest.param("topics", {"word": "A" * 21}, "word", id="too long a word"),
        pytest.param("topics", {"word": "NEWS!"}, "word", id="a sign"),
        pytest.param("topics", {"word": "ﷺ"}, "word", id="longer than it looks"),
        pytest.param("topics", {"word": "X", "name": {"en": " "}}, "name.en", id="no name"),
        pytest.param("topics", {"word": "X", "purpose": "survey"}, "purpose", id="another purpose"),
        pytest.param("customers/{customer}/subscriptions", {"topic": "BATH"}, "topic", id="no such topic"),
        pytest.param("customers/{customer}/subscriptions", {"topic": "top_x"}, "topic", id="no id"),
        pytest.param("customers/{customer}/subscriptions", {"topic": "NEWS", "state": "on"}, "state", id="no state"),
        pytest.param(
            "customers/{customer}/subscriptions", {"topic": "NEWS", "frequency": "yearly"}, "frequency", id="too seldom"
        ),
        pytest.param("campaigns", {"purpose": "marketing", "topic": "BATH"}, "topic", id="a campaign on no topic"),
        pytest.param("campaigns", {"purpose": "service", "topic": "NEWS"}, "purpose", id="offers as service"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(desk: Place, path: str, body: dict[str, Any], field: str) -> None:
    await topic(desk)
    customer = await person(desk, 0)
    if path == "campaigns":
        body = {"name": "x", "text": "x", **body}
    answer = await desk.call("POST", f"/v1/{path.format(customer=customer)}", body)
    assert (answer.status, list(answer.params)) == (422, [field])
    assert await subscribed(desk, customer) == []


async def test_what_is_not_there_is_not_found(desk: Place) -> None:
    await topic(desk)
    for method, path, body in (
        ("GET", "/v1/topics/top_0000000000001", None),
        ("PATCH", "/v1/topics/top_0000000000001", {}),
        ("GET", "/v1/topics/top_0000000000001/subscribers", None),
        ("GET", "/v1/customers/cus_0000000000001/subscriptions", None),
        ("POST", "/v1/customers/cus_0000000000001/subscriptions", {"topic": "NEWS"}),
    ):
        assert (await desk.call(method, path, body)).status == 404, path


# -- subscriptions


async def test_a_subscription_begins_pauses_goes_on_and_ends_and_each_step_is_told_once(desk: Place) -> None:
    news, name = await topic(desk), await person(desk, 0)
    steps = [
        {"frequency": "weekly"}, {}, {"state": "paused"}, {"state": "active"}, {"state": "ended"}, {"state": "ended"},
        {"frequency": "daily"},
    ]  # fmt: skip
    seen = [(await subscribe(desk, name, news, **step)).body for step in steps]
    assert [(one["state"], one["frequency"], one["until"] is None) for one in seen] == [
        ("active", "weekly", True), ("active", "weekly", True), ("paused", "weekly", True), ("active", "weekly", True),
        ("ended", "weekly", False), ("ended", "weekly", False), ("active", "daily", True),
    ]  # fmt: skip
    assert seen[0]["since"] == seen[4]["since"]
    assert (seen[0]["source"], seen[0]["by"], seen[0]["topic"]) == ("api", "token:tests", "NEWS")
    assert await subscribed(desk, name) == seen[-1:]
    told = [one for one in (await desk.call("GET", "/v1/events?limit=100")).body["items"]
            if one["type"] == "subscription.changed"]  # fmt: skip
    assert [one["data"]["state"] for one in told] == ["active", "paused", "active", "ended", "active"]
    assert {one["object_id"] for one in told} == {name}
    assert number(0) not in str(told)


async def test_subscribers_are_listed_by_pages_and_states_with_masked_numbers(desk: Place) -> None:
    news = await topic(desk)
    made = [await person(desk, at) for at in range(5)]
    for name in made:
        await subscribe(desk, name)
    await subscribe(desk, made[1], state="ended")
    path, found, cursor = f"/v1/topics/{news}/subscribers", list[Any](), ""
    while cursor is not None:
        page = (await desk.call("GET", f"{path}?limit=2{cursor and f'&cursor={cursor}'}")).body
        found += page["items"]
        cursor = page["next"]
    assert [one["customer_id"] for one in found] == made
    assert not [one for one in found if "*" not in one["number"]]
    ended = (await desk.call("GET", f"{path}?state=ended")).body
    assert ([one["customer_id"] for one in ended["items"]], ended["next"]) == (made[1:2], None)
    wrong = await desk.call("GET", f"{path}?state=gone")
    assert (wrong.status, list(wrong.params)) == (422, ["state"])


# -- a person becomes another, or goes


async def test_of_two_who_become_one_what_was_said_last_holds(desk: Place) -> None:
    for word in ("NEWS", "BATH", "TEA"):
        await topic(desk, word)
    kept, other = await person(desk, 0), await person(desk, 1)
    await subscribe(desk, kept, "NEWS")
    await subscribe(desk, other, "NEWS", state="ended")
    await subscribe(desk, other, "BATH", state="ended")
    await subscribe(desk, kept, "BATH", frequency="weekly")
    await subscribe(desk, other, "TEA", frequency="monthly")
    desk.engine.set_clock(desk.engine.now_ms() + 1000)
    assert (await desk.call("POST", f"/v1/customers/{kept}/merge", {"other_id": other})).status == 200
    found = {one["topic"]: (one["state"], one["frequency"]) for one in await subscribed(desk, kept)}
    assert found == {"NEWS": ("ended", "every"), "BATH": ("active", "weekly"), "TEA": ("active", "monthly")}
    assert desk.differences() == []


async def test_who_is_erased_subscribes_to_nothing_and_a_dossier_tells_what_somebody_does(desk: Place) -> None:
    news, name = await topic(desk), await person(desk, 0)
    await subscribe(desk, name)
    told = (await desk.call("GET", f"/v1/customers/{name}/dossier")).body["subscriptions"]
    assert told == await subscribed(desk, name)
    assert [one["topic"] for one in told] == ["NEWS"]
    asked = await desk.call("POST", f"/v1/customers/{name}/erase", {})
    await desk.call("POST", f"/v1/customers/{name}/erase", {"challenge": asked.body["challenge"]})
    assert (await desk.call("GET", f"/v1/topics/{news}/subscribers")).body["items"] == []
    assert desk.differences() == []
