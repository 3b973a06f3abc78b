"""Coupons over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.server.conftest import Answer, Place

NOW_MS = int(datetime(2026, 9, 25, 4, 0, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000
CNY_136 = {"amount_minor": 13_600, "currency": "CNY"}
TEN_PERCENT = {"kind": "percent", "percent": 10, "valid_to": "2026-09-30"}
WRONG = {"amount_minor": 5, "currency": "X"}
GIFT = {"kind": "gift", "gift": "T10 Green tea 100g"}


@pytest.fixture
async def till(desk: Place) -> Place:
    desk.engine.set_clock(NOW_MS)
    return desk


async def issued(place: Place, terms: dict[str, Any] = TEN_PERCENT, **fields: Any) -> list[dict[str, Any]]:
    answer = await place.call("POST", "/v1/coupons", {"terms": terms, **fields})
    assert answer.status == 201, answer
    return list(answer.body["items"])


async def redeem(till: Place, code: str, **fields: Any) -> Answer:
    body = {"code": code, "place": "front desk", "order_ref": "O12", **fields}
    return await till.call("POST", "/v1/coupons/redeem", body)


async def customer(place: Place, number: str) -> str:
    return str((await place.call("POST", "/v1/customers", {"number": number})).body["id"])


async def test_G6_ten_per_cent_of_136_are_13_60(till: Place) -> None:
    (one,) = await issued(till)
    answer = await redeem(till, one["code"], total=CNY_136)
    assert answer.status == 200
    assert answer.body["discount"] == {"amount_minor": 1_360, "currency": "CNY"}
    assert (answer.body["coupon"]["state"], answer.body["coupon"]["order_ref"]) == ("redeemed", "O12")


async def test_G6_a_gift_is_a_line_without_a_price(till: Place) -> None:
    (one,) = await issued(till, GIFT)
    answer = await redeem(till, one["code"], total=CNY_136)
    assert (answer.body["discount"]["amount_minor"], answer.body["gift"]) == (0, "T10 Green tea 100g")


async def test_G6_an_amount_is_taken_off_an_order_that_is_large_enough(till: Place) -> None:
    terms = {
        "kind": "amount",
        "value": {"amount_minor": 2_000, "currency": "CNY"},
        "min_spend": {"amount_minor": 10_000, "currency": "CNY"},
    }
    (one,) = await issued(till, terms)
    small = await redeem(till, one["code"], total={"amount_minor": 9_999, "currency": "CNY"})
    foreign = await redeem(till, one["code"], total={"amount_minor": 99_999, "currency": "JPY"})
    assert [(answer.status, answer.slug) for answer in (small, foreign)] == [
        (409, "coupon_min_spend"), (409, "coupon_currency"),
    ]  # fmt: skip
    assert (await redeem(till, one["code"], total=CNY_136)).body["discount"]["amount_minor"] == 2_000


async def test_G6_an_expired_coupon_is_refused(till: Place) -> None:
    (one,) = await issued(till)
    till.engine.set_clock(NOW_MS + 6 * DAY_MS)
    answer = await redeem(till, one["code"])
    assert (answer.status, answer.slug) == (409, "coupon_expired")
    found = await till.call("GET", f"/v1/coupons/{one['coupon']['id']}")
    assert found.body["state"] == "expired"


async def test_G8_a_second_use_is_refused_with_time_and_place_of_the_first(till: Place) -> None:
    (one,) = await issued(till)
    assert (await redeem(till, one["code"].lower().replace("-", " "))).status == 200
    answer = await redeem(till, one["code"], place="spa", order_ref="O13")
    assert (answer.status, answer.slug) == (409, "coupon_used")
    assert answer.body["detail"] == "the coupon was used on 2026-09-25 at 04:00, front desk"
    found = (await till.call("GET", f"/v1/coupons/{one['coupon']['id']}")).body
    assert (found["place"], found["used_by"], found["order_ref"]) == ("front desk", "api", "O12")
    assert found["used_at"].startswith("2026-09-25T04:00")
    assert till.differences() == []


async def test_a_mistyped_code_and_an_unknown_one_are_told_apart(till: Place) -> None:
    (one,) = await issued(till)
    wrong = ("0" if one["code"][0] != "0" else "1") + one["code"][1:]
    mistyped, unknown = await redeem(till, wrong), await redeem(till, "7K3M-9QT4")
    assert (mistyped.status, mistyped.slug, list(mistyped.params)) == (422, "coupon_mistyped", ["code"])
    assert (unknown.status, unknown.slug) == (404, "coupon_unknown")


async def test_a_check_changes_nothing_and_says_why_not(till: Place) -> None:
    mine, other = await customer(till, "+8613912345678"), await customer(till, "+8613800001111")
    (one,) = await issued(till, customer_ids=[mine])
    body = {"code": one["code"], "total": CNY_136}
    good = await till.call("POST", "/v1/coupons/check", {**body, "customer_id": mine})
    assert (good.body["refusal"], good.body["discount"]["amount_minor"]) == (None, 1_360)
    wrong = await till.call("POST", "/v1/coupons/check", {**body, "customer_id": other})
    assert (wrong.status, wrong.body["refusal"]["code"]) == (200, "coupon_of_another")
    assert (await redeem(till, one["code"], customer_id=mine)).status == 200
    used = await till.call("POST", "/v1/coupons/check", body)
    assert used.body["refusal"]["code"] == "coupon_used"


async def test_coupons_are_listed_without_their_codes(till: Place) -> None:
    mine = await customer(till, "+8613912345678")
    given = await issued(till, count=3, source="cmp_1")
    (own,) = await issued(till, customer_ids=[mine])
    assert len({one["code"] for one in given}) == 3
    listed = await till.call("GET", "/v1/coupons")
    assert [one["id"] for one in listed.body["items"]] == [one["coupon"]["id"] for one in (own, *given[::-1])]
    assert not any(one["code"].replace("-", "") in str(listed.body) for one in given)
    of_customer = await till.call("GET", f"/v1/coupons?customer_id={mine}")
    assert [one["id"] for one in of_customer.body["items"]] == [own["coupon"]["id"]]
    first = await till.call("GET", "/v1/coupons?limit=3")
    second = await till.call("GET", f"/v1/coupons?limit=3&cursor={first.body['next']}")
    assert [one["id"] for one in second.body["items"]] == [given[0]["coupon"]["id"]]


async def test_a_withdrawn_coupon_is_worth_nothing(till: Place) -> None:
    (one,) = await issued(till)
    path = f"/v1/coupons/{one['coupon']['id']}"
    answer = await till.call("POST", f"{path}/void", {"reason": "printed twice"})
    assert (answer.status, answer.body["state"], answer.body["void_reason"]) == (200, "void", "printed twice")
    refused = await redeem(till, one["code"])
    assert (refused.status, refused.slug) == (409, "coupon_void")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"terms": {"kind": "percent"}}, "percent", id="no per cent"),
        pytest.param({"terms": {"kind": "gift", "percent": 5}}, "gift", id="no gift"),
        pytest.param({"terms": {"kind": "amount", "value": WRONG}}, "terms.value.currency", id="X"),
        pytest.param(
            {"terms": {"kind": "amount", "value": CNY_136, "min_spend": {"amount_minor": 5, "currency": "JPY"}}},
            "min_spend",
            id="two currencies",
        ),
        pytest.param({"terms": TEN_PERCENT, "count": 0}, "count", id="none"),
        pytest.param({"terms": TEN_PERCENT, "count": 10_001}, "count", id="too many"),
        pytest.param({"terms": TEN_PERCENT, "customer_ids": ["x"]}, "customer_ids", id="no customer"),
        pytest.param({"terms": TEN_PERCENT, "code": "ABC"}, "code", id="an unknown field"),
        pytest.param({}, "terms", id="nothing"),
    ],
)  # fmt: skip
async def test_wrong_coupons_are_refused_by_their_field(till: Place, body: dict[str, Any], field: str) -> None:
    answer = await till.call("POST", "/v1/coupons", body)
    assert answer.status == 422
    assert field in answer.params


async def test_what_is_not_there_is_not_found(till: Place) -> None:
    path = "/v1/coupons/cpn_0000000000001"
    assert (await till.call("GET", path)).status == 404
    assert (await till.call("POST", f"{path}/void", {"reason": "x"})).status == 404
    answer = await till.call("POST", "/v1/coupons", {"terms": TEN_PERCENT, "customer_ids": ["cus_0000000000001"]})
    assert answer.status == 404
