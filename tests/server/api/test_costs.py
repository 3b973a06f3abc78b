"""What is sent costs money: caps of campaigns, and the report."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.config import House
from server.context import LABORATORY
from tests.server.conftest import Place, place_in, until

ONE, TWO = "460000000000001", "460000000000002"
ROWS = b"to\n" + b"".join(b"+86139000%05d\n" % number for number in range(60))
TODAY = "2026-11-10"
NOON_MS = int(datetime(2026, 11, 10, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Place]:
    """Two modems, and a part costs 0.10 by either."""
    house = House("Lotus Hotel", "荷花酒店", currency="CNY")
    async with place_in(tmp_path, 2, rules={"house": house}) as place:
        place.engine.set_clock(NOON_MS)
        await place.call("POST", "/v1/routes", {"name": "all", "cost_minor": 10})
        await place.ready()
        yield place


def yuan(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "CNY"}


async def settle(place: Place) -> None:
    """Wait until nothing is due, nothing is in the air and nothing is to be fed."""
    assert await place.app[LABORATORY].settle(10)


async def running(place: Place, rows: bytes = ROWS, **fields: Any) -> str:
    campaign = await place.draft(text="x", **fields)
    await place.upload(campaign, rows)
    assert (await place.call("POST", f"/v1/campaigns/{campaign}/launch")).status == 202
    return f"/v1/campaigns/{campaign}"


async def shown(place: Place, path: str) -> dict[str, Any]:
    return dict((await place.call("GET", path)).body)


async def paused(place: Place, path: str) -> dict[str, Any]:
    """The campaign, once what was begun has landed and its cap holds the rest."""
    await settle(place)
    found = await shown(place, path)
    assert (found["state"], found["reason"]) == ("paused", "budget")
    return found


async def test_F5_a_cap_of_5_00_at_0_10_a_part_stops_at_50_parts(shop: Place) -> None:
    path = await running(shop, cost_cap=yuan(500), budget=yuan(400))
    found = await paused(shop, path)
    assert (found["parts_sent"], found["cost"], len(shop.rack.network.accepted)) == (50, yuan(500), 50)
    assert (found["cost_cap"], found["budget"], sum(found["counts"].values())) == (yuan(500), yuan(400), 60)
    refused = await shop.call("POST", f"{path}/resume")
    assert (refused.status, "cap" in refused.body["detail"]) == (409, True)
    raised = await shop.call("PATCH", path, {"cost_cap": yuan(555)})
    assert raised.body["state"] == "running"
    assert (await paused(shop, path))["cost"] == yuan(550)
    await shop.call("PATCH", path, {"cost_cap": None})
    await until(lambda: len(shop.rack.network.accepted) == 60)
    assert (await shown(shop, path))["cost"] == yuan(600)
    assert shop.differences() == []


async def test_long_texts_cost_each_of_their_parts_and_no_half_of_one_is_begun(shop: Place) -> None:
    campaign = await shop.draft(text="a" * 300, cost_cap=yuan(50))
    await shop.upload(campaign, ROWS)
    await shop.call("POST", f"/v1/campaigns/{campaign}/launch")
    found = await paused(shop, f"/v1/campaigns/{campaign}")
    assert (found["cost"], found["parts_sent"], len(shop.rack.network.accepted)) == (yuan(40), 4, 4)


async def test_each_sim_has_its_price_and_the_cap_holds_for_the_dearest(shop: Place) -> None:
    senders = [{"sim": ONE, "cost_minor": 7}, {"port": shop.engine.rack()[1].port, "cost_minor": 30}]
    await shop.call("POST", "/v1/routes", {"name": "China", "countries": ["CN"], "senders": senders})
    await shop.sent(sim=TWO)
    await shop.sent(sim=ONE)
    await shop.sent(to="+447700900123")
    report = (await shop.call("GET", f"/v1/stats/cost?since={TODAY}&until={TODAY}")).body
    assert (report["parts"], report["cost"]) == (3, yuan(30 + 7 + 10))
    path = await running(shop, cost_cap=yuan(100))
    # The cheap one sends: 11 parts are 77, and the next might be 30.
    found = await paused(shop, path)
    assert (found["parts_sent"], found["cost"]) == (11, yuan(77))


async def test_what_the_network_refuses_costs_nothing(shop: Place) -> None:
    shop.rack.network.refuse = lambda number: 1 if number.endswith("1") else None  # unassigned number
    path = await running(shop, cost_cap=yuan(1000))
    await settle(shop)
    found = await shown(shop, path)
    assert (found["counts"], found["cost"]) == ({"sent": 54, "failed": 6}, yuan(540))
    assert (await shown(shop, "/v1/stats/cost"))["cost"] == yuan(540)
    assert shop.differences() == []


async def test_A13_the_report_splits_by_tariff_and_a_tariff_that_no_sim_knows_is_refused(shop: Place) -> None:
    await running(shop)
    await shop.sent(text="a" * 300)
    await settle(shop)
    shop.engine.set_clock(NOON_MS + 86_400_000)
    await shop.sent()
    report = (await shop.call("GET", f"/v1/stats/cost?since={TODAY}&until=2026-11-11")).body
    assert report["tariffs"] == [{"tariff": "normal", "parts": 63, "cost": yuan(630)}]
    assert (report["parts"], report["cost"]) == (63, yuan(630))
    assert [(day["date"], day["parts"], day["cost"]) for day in report["days"]] == [
        (TODAY, 62, yuan(620)), ("2026-11-11", 1, yuan(10)),
    ]  # fmt: skip
    for path, body in (
        ("/v1/messages", {"to": "+8613912345678", "text": "x"}),
        ("/v1/campaigns", {"name": "x", "text": "x", "purpose": "service"}),
        ("/v1/routes", {"name": "x"}),
    ):
        answer = await shop.call("POST", path, {**body, "tariff": "premium"})
        assert (answer.status, answer.slug, list(answer.params)) == (422, "tariff_not_supported", ["tariff"])


async def test_days_are_those_of_the_house(tmp_path: Path) -> None:
    house = House("Lotus Hotel", "荷花酒店", time_zone="Asia/Kathmandu")
    async with place_in(tmp_path, 1, rules={"house": house}) as place:
        await place.ready()
        for minutes in (-1, 0, 1):
            # Midnight there is at a quarter past six in the evening.
            at = datetime(2026, 11, 10, 18, 15, tzinfo=UTC) + timedelta(minutes=minutes)
            place.engine.set_clock(int(at.timestamp() * 1000))
            await place.sent()
        report = (await place.call("GET", "/v1/stats/cost")).body
        assert [(day["date"], day["parts"]) for day in report["days"]] == [(TODAY, 1), ("2026-11-11", 2)]
        assert report["cost"] == {"amount_minor": 0, "currency": None}
        assert (report["since"], report["until"]) == ("2026-10-13", "2026-11-11")


@pytest.mark.parametrize(
    ("query", "field"),
    [("since=yesterday", "since"), ("until=2026-13-01", "until"), ("since=2026-11-02&until=2026-11-01", "since"),
     ("since=2020-01-01&until=2026-11-01", "since"), ("since=0001-01-01&until=0001-01-02", None),
     ("until=9999-12-31", None), ("until=0001-01-01", None)],
)  # fmt: skip
async def test_days_that_are_none_are_refused(desk: Place, query: str, field: str | None) -> None:
    answer = await desk.call("GET", f"/v1/stats/cost?{query}")
    assert (answer.status, list(answer.params)) == ((200, []) if field is None else (422, [field]))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cost_cap": {"amount_minor": 5, "currency": "EUR"}}, "cost_cap.currency"),
        ({"cost_cap": yuan(0)}, "cost_cap.amount_minor"),
        ({"budget": yuan(-1)}, "budget.amount_minor"),
        ({"budget": {"amount_minor": 5, "currency": "EUR"}}, "budget.currency"),
    ],
)
async def test_money_that_is_none_is_refused(shop: Place, fields: dict[str, Any], named: str) -> None:
    body = {"name": "x", "text": "x", "purpose": "service", **fields}
    answer = await shop.call("POST", "/v1/campaigns", body)
    assert (answer.status, list(answer.params)) == (422, [named])


async def test_a_house_without_a_currency_has_no_caps_in_money(desk: Place) -> None:
    body = {"name": "x", "text": "x", "purpose": "service", "cost_cap": yuan(5)}
    answer = await desk.call("POST", "/v1/campaigns", body)
    assert answer.params == {"cost_cap": "needs the setting house.currency, which is what routes cost in"}
