"""Members, points, tiers and rewards over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.server.conftest import Answer, Place

PHONE = "+8613912345678"
NOW_MS = int(datetime(2026, 9, 25, 4, 0, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000
CNY_136 = {"amount_minor": 13_600, "currency": "CNY"}
PROGRAMME = {"earn": [{"kind": "amount", "points": 1, "per_minor": 1_000, "currency": "CNY"}], "to_year_end": True}
TWENTY_OFF = {"kind": "amount", "value": {"amount_minor": 2_000, "currency": "CNY"}, "valid_to": "2026-12-31"}
C20 = {"code": "C20", "name": {"en": "CNY 20 off", "zh": "20元券"}, "cost": 200, "coupon": TWENTY_OFF}
TIERS = {
    "tiers": [
        {"code": "silver", "name": {"en": "Silver", "zh": "银卡"}, "points": 100},
        {"code": "gold", "name": {"en": "Gold", "zh": "金卡"}, "points": 500, "benefits": {"en": "Late check-out"}},
    ]
}


async def customer(place: Place, number: str = PHONE) -> str:
    answer = await place.call("POST", "/v1/customers", {"number": number, "name": "李娜"})
    return str(answer.body["id"])


async def joined(place: Place, number: str = PHONE, **fields: Any) -> Answer:
    body = {"customer_id": await customer(place, number), **fields}
    answer = await place.call("POST", "/v1/members", body)
    assert answer.status == 201, answer
    return answer


async def path_of(place: Place, number: str = PHONE) -> str:
    return (await joined(place, number)).headers["Location"]


async def points(place: Place, path: str, **body: Any) -> Answer:
    return await place.call("POST", f"{path}/points", body)


@pytest.fixture
async def club(desk: Place) -> Place:
    """Noon of a day in September, and a programme."""
    desk.engine.set_clock(NOW_MS)
    answer = await desk.call("PUT", "/v1/loyalty", PROGRAMME)
    assert answer.status == 200, answer
    return desk


# -- joining


async def test_a_customer_becomes_a_member_with_a_number_and_a_masked_phone(club: Place) -> None:
    made = await joined(club, join_code="入会")
    found = await club.call("GET", made.headers["Location"])
    assert found.headers["ETag"] == '"1"'
    assert found.body == made.body
    wanted = {"number": "10001", "name": "李娜", "phone": "+8613*****5678", "state": "active", "balance": 0}
    assert wanted.items() <= found.body.items()
    assert (found.body["join_code"], found.body["tier"], found.body["tier_until"]) == ("入会", None, "2027-09-24")


async def test_joining_twice_is_refused(club: Place) -> None:
    made = await joined(club)
    answer = await club.call("POST", "/v1/members", {"customer_id": made.body["customer_id"]})
    assert (answer.status, answer.slug) == (409, "already_member")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"customer_id": "cus_0000000000001"}, 404, id="nobody"),
        pytest.param({"customer_id": "mem_0000000000001"}, 422, id="another noun"),
        pytest.param({}, 422, id="no customer"),
        pytest.param({"customer_id": "cus_0000000000001", "number": "7"}, 422, id="an unknown field"),
    ],
)
async def test_only_a_customer_becomes_one(club: Place, body: dict[str, Any], status: int) -> None:
    assert (await club.call("POST", "/v1/members", body)).status == status


async def test_a_member_is_suspended_closed_and_opened_again_by_version(club: Place) -> None:
    path = await path_of(club)
    first = await club.call("PATCH", path, {"state": "suspended", "reason": "a lost card"}, headers={"If-Match": '"1"'})
    assert (first.status, first.body["state"], first.headers["ETag"]) == (200, "suspended", '"2"')
    assert first.body["reason"] == "a lost card"
    stale = await club.call("PATCH", path, {"state": "active"}, headers={"If-Match": '"1"'})
    again = await club.call("PATCH", path, {"state": "suspended"})
    assert (stale.status, again.status, again.slug) == (412, 409, "member_state")
    earned = await points(club, path, kind="earn", delta=5)
    assert (earned.status, earned.slug) == (409, "member_suspended")


# -- found


async def test_G4_a_till_finds_a_member_by_phone_number_or_last_digits(club: Place) -> None:
    made = await joined(club)
    await joined(club, "+8613800001111")
    for query in ("phone=%2B8613912345678", "number=10001", "number=M10001", "last4=5678"):
        (found,) = (await club.call("GET", f"/v1/members?{query}")).body["items"]
        assert (found["id"], found["phone"]) == (made.body["id"], "+8613*****5678")
    assert (await club.call("GET", "/v1/members?phone=%2B8613912340000")).body == {"items": [], "next": None}
    assert (await club.call("GET", "/v1/members?last4=56")).status == 422
    assert (await club.call("GET", "/v1/members?last4=5678&number=10001")).status == 422


async def test_members_are_listed_in_pages(club: Place) -> None:
    made = [(await joined(club, f"+86139000000{place:02d}")).body["id"] for place in range(3)]
    first = await club.call("GET", "/v1/members?limit=2")
    second = await club.call("GET", f"/v1/members?limit=2&cursor={first.body['next']}")
    assert [one["id"] for page in (first, second) for one in page.body["items"]] == made[::-1]


async def test_G4_a_till_code_is_good_once_for_five_minutes(club: Place) -> None:
    made = await joined(club)
    path = made.headers["Location"]
    given = await club.call("POST", f"{path}/till-code")
    assert (given.status, len(given.body["code"])) == (201, 6)
    body = {"code": given.body["code"]}
    used, again = [await club.call("POST", "/v1/members/by-code", body) for _ in range(2)]
    assert (used.status, used.body["id"]) == (200, made.body["id"])
    assert (again.status, again.slug) == (404, "till_code_unknown")
    late = await club.call("POST", f"{path}/till-code")
    club.engine.set_clock(club.engine.now_ms() + 5 * 60_000)
    answer = await club.call("POST", "/v1/members/by-code", {"code": late.body["code"]})
    assert (answer.status, answer.slug) == (404, "till_code_unknown")


# -- points


async def test_G3_an_order_earns_its_refund_takes_back_and_what_lapsed_is_shown(club: Place) -> None:
    path = await path_of(club)
    earned = await points(club, path, kind="earn", amount=CNY_136, ref="O12")
    assert (earned.status, earned.body["row"]["delta"], earned.body["member"]["balance"]) == (201, 13, 13)
    assert earned.body["member"]["expiring"] == {"points": 13, "last_day": "2026-12-31"}
    again = await points(club, path, kind="earn", amount=CNY_136, ref="O12")
    assert (again.status, again.body["new"], again.body["member"]["balance"]) == (201, False, 13)
    refund = await points(club, path, kind="reverse", ref="O12")
    assert (refund.body["row"]["delta"], refund.body["member"]["balance"]) == (-13, 0)
    await points(club, path, kind="earn", amount=CNY_136, ref="O13")
    club.engine.set_clock(NOW_MS + 120 * DAY_MS)
    await points(club, path, kind="earn", delta=1, ref="O14")
    rows = (await club.call("GET", f"{path}/points")).body["items"]
    assert [(row["kind"], row["delta"], row["balance"]) for row in rows] == [
        ("earn", 1, 1), ("expire", -13, 0), ("earn", 13, 13), ("reverse", -13, 0), ("earn", 13, 13),
    ]  # fmt: skip
    assert rows[1]["lots"] == [{"points": -13, "last_day": "2026-12-31"}]
    assert club.differences() == []


async def test_a_refund_of_what_was_spent_leaves_less_than_nothing(club: Place) -> None:
    path = await path_of(club)
    await points(club, path, kind="earn", delta=13, ref="O12")
    await points(club, path, kind="adjust", delta=-10, reason="a gift")
    refund = await points(club, path, kind="reverse", ref="O12")
    assert (refund.status, refund.body["member"]["balance"]) == (201, -10)
    assert club.differences() == []


async def test_G3_an_adjustment_needs_a_reason(club: Place) -> None:
    path = await path_of(club)
    answer = await points(club, path, kind="adjust", delta=50)
    assert (answer.status, list(answer.params)) == (422, ["reason"])
    answer = await points(club, path, kind="adjust", delta=50, reason="late check-in")
    assert (answer.body["row"]["reason"], answer.body["row"]["by"]) == ("late check-in", "api")
    answer = await points(club, path, kind="adjust", delta=-51, reason="a mistake")
    assert (answer.status, answer.slug) == (409, "insufficient_points")


async def test_what_the_rules_give_nothing_for_makes_no_row(club: Place) -> None:
    path = await path_of(club)
    answer = await points(club, path, kind="earn", visit=True, ref="V1")
    assert (answer.status, answer.body["row"], answer.body["new"]) == (201, None, False)


async def test_points_are_handed_on(club: Place) -> None:
    giver, taker = await path_of(club), await path_of(club, "+8613800001111")
    await points(club, giver, kind="earn", delta=20, ref="O1")
    answer = await points(club, giver, kind="transfer", delta=15, to=taker.rpartition("/")[2], reason="family")
    assert (answer.status, answer.body["member"]["balance"]) == (201, 5)
    assert (await club.call("GET", taker)).body["balance"] == 15


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"kind": "earn"}, "delta", id="nothing earned"),
        pytest.param({"kind": "earn", "delta": 5, "visit": True}, "delta", id="earned twice"),
        pytest.param({"kind": "earn", "delta": -5}, "delta", id="earned less than nothing"),
        pytest.param({"kind": "earn", "amount": {"amount_minor": 1, "currency": "cny"}}, "amount.currency", id="cny"),
        pytest.param({"kind": "earn", "amount": {"amount_minor": 1, "currency": "JPY"}}, "amount.currency", id="JPY"),
        pytest.param({"kind": "adjust", "amount": CNY_136}, "amount", id="adjusted by an amount"),
        pytest.param({"kind": "adjust", "reason": "x"}, "delta", id="adjusted by nothing"),
        pytest.param({"kind": "adjust", "delta": 0, "reason": "x"}, "delta", id="adjusted by 0"),
        pytest.param({"kind": "transfer", "delta": 5}, "to", id="to nobody"),
        pytest.param({"kind": "transfer", "delta": 5, "to": "x"}, "to", id="to what is no member"),
        pytest.param({"kind": "expire", "delta": 5}, "kind", id="a kind nobody may write"),
        pytest.param({"kind": "earn", "delta": 10**10}, "delta", id="too many"),
        pytest.param({"kind": "earn", "delta": 5, "by": "me"}, "by", id="an unknown field"),
    ],
)
async def test_wrong_points_are_refused_by_their_field(club: Place, body: dict[str, Any], field: str) -> None:
    path = await path_of(club)
    answer = await points(club, path, **body)
    assert (answer.status, list(answer.params)) == (422, [field])
    assert (await club.call("GET", f"{path}/points")).body["items"] == []


async def test_the_ledger_is_read_in_pages(club: Place) -> None:
    path = await path_of(club)
    for place in range(3):
        await points(club, path, kind="earn", delta=place + 1, ref=f"O{place}")
    first = await club.call("GET", f"{path}/points?limit=2")
    second = await club.call("GET", f"{path}/points?limit=2&cursor={first.body['next']}")
    assert [row["row"] for page in (first, second) for row in page.body["items"]] == [3, 2, 1]
    assert second.body["next"] is None
    for cursor in ("x", "1", "1.", "-1.2", "1" * 99 + ".1"):
        assert (await club.call("GET", f"{path}/points?cursor={cursor}")).status == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"state": "closed"}),
        ("GET", "/points", None),
        ("POST", "/points", {"kind": "earn", "delta": 5}),
        ("POST", "/points", {"kind": "reverse", "ref": "O1"}),
        ("POST", "/redeem", {"reward": "C20"}),
        ("POST", "/till-code", None),
    ],
)
async def test_nobody_has_no_points(club: Place, method: str, path: str, body: Any) -> None:
    answer = await club.call(method, f"/v1/members/mem_0000000000001{path}", body)
    assert answer.status == 404, answer


# -- rewards


async def test_G5_a_reward_is_had_for_points(club: Place) -> None:
    path = await path_of(club)
    reward = await club.call("POST", "/v1/rewards", {**C20, "stock": 5})
    assert reward.status == 201
    await points(club, path, kind="earn", delta=320, ref="O1")
    given = await club.call("POST", f"{path}/redeem", {"reward": "c20"})
    coupon = given.body["issued"]["coupon"]
    assert (given.status, given.body["member"]["balance"]) == (201, 120)
    assert (coupon["state"], coupon["terms"]["valid_to"], coupon["source"]) == (
        "issued", "2026-12-31", reward.body["id"],
    )  # fmt: skip
    assert given.body["issued"]["code"][4] == "-"
    assert (await club.call("GET", reward.headers["Location"])).body["stock"] == 4
    short = await club.call("POST", f"{path}/redeem", {"reward": "C20"})
    assert (short.status, short.slug) == (409, "insufficient_points")
    assert short.body["detail"] == "C20 takes 200 points, there are 120"
    back = await points(club, path, kind="reverse", of="redeem", ref=coupon["id"])
    assert (back.body["row"]["delta"], back.body["member"]["balance"]) == (200, 320)
    assert (await club.call("GET", f"/v1/coupons/{coupon['id']}")).body["state"] == "void"
    assert club.differences() == []


async def test_rewards_are_made_listed_changed_and_removed(club: Place) -> None:
    made = await club.call("POST", "/v1/rewards", {**C20, "from": "2026-09-01", "to": "2026-12-31"})
    path = made.headers["Location"]
    assert (made.body["from"], made.body["to"], made.body["stock"]) == ("2026-09-01", "2026-12-31", None)
    assert (await club.call("POST", "/v1/rewards", {**C20, "code": "ｃ20"})).slug == "reward_code"
    changed = await club.call(
        "PATCH", path, {"cost": 100, "stock": 3, "to": None, "coupon": {"kind": "percent", "percent": 10}}
    )
    assert (changed.body["cost"], changed.body["stock"], changed.body["to"], changed.body["version"]) == (
        100, 3, None, 2,
    )  # fmt: skip
    assert changed.body["coupon"]["percent"] == 10
    stale = await club.call("PATCH", path, {"cost": 50}, headers={"If-Match": '"1"'})
    assert stale.status == 412
    assert [one["code"] for one in (await club.call("GET", "/v1/rewards")).body["items"]] == ["C20"]
    assert (await club.call("DELETE", path)).status == 204
    assert [(await club.call(method, path)).status for method in ("GET", "DELETE")] == [404, 404]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"cost": 0}, "cost", id="for nothing"),
        pytest.param({"code": "C 20"}, "code", id="a space in the code"),
        pytest.param({"coupon": {"kind": "amount"}}, "value", id="an amount of nothing"),
        pytest.param({"coupon": {"kind": "percent", "percent": 101}}, "coupon.percent", id="more than all"),
        pytest.param({"from": "2026-12-31", "to": "2026-12-30"}, "to", id="ends before it begins"),
        pytest.param({"stock": -1}, "stock", id="less than none"),
    ],
)
async def test_a_wrong_reward_is_refused_by_its_field(club: Place, fields: dict[str, Any], field: str) -> None:
    answer = await club.call("POST", "/v1/rewards", {**C20, **fields})
    assert answer.status == 422
    assert field in answer.params


# -- tiers and the programme


async def test_tiers_lift_who_is_a_member_already(club: Place) -> None:
    path = await path_of(club)
    await points(club, path, kind="earn", delta=320, ref="O1")
    put = await club.call("PUT", "/v1/tiers", TIERS)
    assert (put.status, put.headers["ETag"]) == (200, '"1"')
    assert (await club.call("GET", "/v1/tiers")).body == put.body
    found = (await club.call("GET", path)).body
    assert (found["tier"], found["next_tier"]) == ("silver", {"code": "gold", "points": 180})
    stale = await club.call("PUT", "/v1/tiers", {"tiers": []}, headers={"If-Match": '"0"'})
    assert stale.status == 412


async def test_the_programme_is_read_as_it_was_written(club: Place) -> None:
    body = {
        "earn": [
            {"kind": "amount", "points": 1, "per_minor": 1_000, "currency": "CNY", "from": "2026-09-01", "to": None},
            {"kind": "visit", "points": 2, "per_minor": None, "currency": None, "from": None, "to": "2026-12-31"},
        ],
        "valid_months": 24, "to_year_end": True, "period_months": 12, "first_number": 10_231,
    }  # fmt: skip
    put = await club.call("PUT", "/v1/loyalty", body)
    assert put.body == {**body, "version": 2}
    assert (await club.call("GET", "/v1/loyalty")).body == put.body
    assert (await joined(club)).body["number"] == "10231"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/tiers", {"tiers": [TIERS["tiers"][1], TIERS["tiers"][0]]}, "points"),
        ("/v1/tiers", {"tiers": [{"code": "x", "name": {"1": "x"}, "points": 1}]}, "tiers[0].name"),
        ("/v1/loyalty", {"earn": [{"kind": "amount", "points": 1}]}, "earn.per_minor"),
        ("/v1/loyalty", {"period_months": 0}, "period_months"),
    ],
)
async def test_wrong_rules_are_refused_by_their_field(club: Place, path: str, body: Any, field: str) -> None:
    answer = await club.call("PUT", path, body)
    assert answer.status == 422
    assert any(field in name for name in answer.params), answer.params
