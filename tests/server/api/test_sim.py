"""The laboratory's routes: IN, DLR and CLOCK of a check, on the whole path and not around it."""

from typing import Any

import pytest

from server.api import sim
from tests.server.conftest import Answer, Place, until

NUMBER = "+8613912345678"
IN_ONE_PLACE = pytest.mark.asyncio(loop_scope="module")


async def IN(place: Place, text: str, **fields: Any) -> Answer:
    return await place.call("POST", "/v1/sim/inbound", {"from": NUMBER, "text": text, **fields})


async def DLR(place: Place, message: str, status: str) -> Answer:
    return await place.call("POST", "/v1/sim/dlr", {"message": message, "status": status})


async def CLOCK(place: Place, now: str, **fields: Any) -> Answer:
    return await place.call("POST", "/v1/sim/clock", {"now": now, **fields})


async def test_without_a_laboratory_there_are_no_such_routes(desk: Place) -> None:
    for noun in ("inbound", "dlr", "clock"):
        assert (await desk.call("POST", f"/v1/sim/{noun}", {})).status == 404
    assert not [path for path in desk.document["paths"] if path.startswith("/v1/sim")]


# -- IN


async def test_a_text_is_answered_before_the_call_is(house: Place) -> None:
    answer = await IN(house, "STOP")
    (received,) = (await house.call("GET", "/v1/messages?direction=in")).body["items"]
    await until(lambda: house.engine.is_settled)  # the call waits for the router, not for the reply's way
    (reply,) = (await house.call("GET", "/v1/messages?to=%2B8613912345678")).body["items"]
    assert (answer.status, received["state"]) == (202, "routed")
    assert (reply["in_reply_to"], reply["source"], reply["state"]) == (received["id"], "command", "sent")


@pytest.mark.parametrize(
    "text",
    ["", "x" * 1000, "汉" * 500, "😀" * 100, "zzz\r\n\x1a\x1b"],
    ids=["empty", "long", "ucs2", "pairs", "control"],
)
@IN_ONE_PLACE
async def test_any_text_arrives_as_it_was(shared: Place, text: str) -> None:
    assert (await IN(shared, text)).status == 202
    received = (await shared.call("GET", "/v1/messages?direction=in")).body["items"][0]
    assert (received["text"], received["complete"]) == (text, True)
    assert shared.differences() == []


@IN_ONE_PLACE
async def test_a_text_arrives_at_the_sim_it_is_for(shared: Place) -> None:
    await IN(shared, "hello", to="+8613900000002")
    received = (await shared.call("GET", "/v1/messages?direction=in")).body["items"][0]
    assert received["sim"] == "460000000000002"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"to": "+8613999999999"}, 404, id="a number that is not in the rack"),
        pytest.param({"from": "nobody"}, 422, id="a sender that is none"),
        pytest.param({"text": "x" * 100_000}, 422, id="more than 255 parts"),
        pytest.param({"at": "now"}, 422, id="an unknown field"),
    ],
)
@IN_ONE_PLACE
async def test_a_text_that_cannot_be_is_refused(shared: Place, fields: dict[str, str], status: int) -> None:
    assert (await IN(shared, **{"text": "x", **fields})).status == status


# -- DLR


@pytest.mark.parametrize(
    ("status", "state", "outcome"),
    [
        ("delivered", "delivered", 0x00),
        ("sent", "sent", None),
        ("retrying", "sent", None),
        ("undelivered", "undelivered", 0x46),
        ("reserved", "undelivered", 0x80),
    ],
)
@IN_ONE_PLACE
async def test_a_report_of_every_part_makes_the_state(
    shared: Place, status: str, state: str, outcome: int | None
) -> None:
    name = await shared.sent(text="汉" * 71, delivery_report="all")
    answer = await DLR(shared, name, status)
    message = await shared.message(name)
    assert (answer.status, answer.body) == (202, {"reports": 2})
    assert (message["state"], {part["outcome"] for part in message["part_details"]}) == (state, {outcome})
    assert shared.differences() == []


@pytest.mark.parametrize("later", ["sent", "retrying", "undelivered"])
@IN_ONE_PLACE
async def test_a_later_report_never_downgrades(shared: Place, later: str) -> None:
    name = await shared.sent(delivery_report="all")
    await DLR(shared, name, "delivered")
    assert (await DLR(shared, name, later)).status == 202
    assert (await shared.message(name))["state"] == "delivered"


@IN_ONE_PLACE
async def test_a_report_nobody_asked_for_counts_or_is_refused(shared: Place) -> None:
    name = await shared.sent()
    answer = await DLR(shared, name, "delivered")
    assert answer.status == 409 or (await shared.message(name))["state"] == "delivered"


async def test_a_report_sets_the_time_of_delivery(house: Place) -> None:
    name = await house.sent(delivery_report="all")
    assert "delivered_at" in await house.message(name)


@pytest.mark.parametrize(
    ("message", "status"), [("msg_0000000000001", 404), ("cmp_0000000000001", 422), ("hello", 422)]
)
@IN_ONE_PLACE
async def test_a_report_of_nothing_is_refused(shared: Place, message: str, status: int) -> None:
    assert (await DLR(shared, message, "delivered")).status == status


@IN_ONE_PLACE
async def test_a_report_of_what_was_not_sent_is_a_conflict(shared: Place) -> None:
    fields = {"to": NUMBER, "text": "x", "not_before": "2080-01-01T00:00:00Z"}
    name = (await shared.call("POST", "/v1/messages", fields)).body["id"]
    assert (await DLR(shared, name, "delivered")).status == 409


# -- CLOCK


async def test_what_comes_due_by_the_clock_has_gone_when_it_answers(house: Place) -> None:
    fields = {"to": NUMBER, "text": "happy new year", "not_before": "2090-01-01T00:00:00Z"}
    name = (await house.call("POST", "/v1/messages", fields)).body["id"]
    before = await CLOCK(house, "2089-12-31T23:59:00Z")
    assert (before.status, (await house.message(name))["state"]) == (200, "accepted")
    after = await CLOCK(house, "2090-01-01T01:00:00+01:00")
    message = await house.message(name)
    assert (after.status, after.body["now"][:19]) == (200, "2090-01-01T00:00:00")
    assert (message["state"], message["part_details"][0]["sent_at"][:10]) == ("sent", "2090-01-01")


async def test_what_runs_out_by_the_clock_is_not_sent(house: Place) -> None:
    for name in house.rack.names:
        house.rack.unplug(name)
    await until(lambda: {view.state for view in house.engine.rack()} == {"lost"})
    fields = {"to": NUMBER, "text": "stale", "expires_at": "2089-01-01T00:00:00Z"}
    name = (await house.call("POST", "/v1/messages", fields)).body["id"]
    house.engine.set_clock(3_800_000_000_000)
    for modem in house.rack.names:
        house.rack.plug(modem)
    await house.ready()
    await until(lambda: house.engine.is_settled)
    assert ((await house.message(name))["state"], len(house.rack.network.accepted)) == ("expired", 0)


async def test_the_clock_goes_back_only_when_told_to(house: Place) -> None:
    refused = await CLOCK(house, "2001-01-01T00:00:00Z")
    taken = await CLOCK(house, "2001-01-01T00:00:00Z", back=True)
    assert (refused.status, list(refused.params), taken.status) == (422, ["now"], 200)
    first = await house.sent()
    second = await house.sent()
    assert first < second
    assert house.differences() == []


async def test_a_clock_that_does_not_come_to_rest_says_so_and_then_does(
    house: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "SETTLE_S", 0.3)
    for name in house.rack.names:
        house.rack.unplug(name)
    await until(lambda: {view.state for view in house.engine.rack()} == {"lost"})
    await house.call("POST", "/v1/messages", {"to": NUMBER, "text": "x", "expires_at": "2095-01-01T00:00:00Z"})
    late = await CLOCK(house, "2090-01-01T00:00:00Z")
    assert (late.status, late.slug) == (504, "unsettled")
    for name in house.rack.names:
        house.rack.plug(name)
    await house.ready()
    monkeypatch.setattr(sim, "SETTLE_S", 5.0)
    assert (await CLOCK(house, "2090-01-01T01:00:00Z")).status == 200
    assert len(house.rack.network.accepted) == 1


async def test_a_part_in_the_air_is_waited_for(house: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    house.rack.network.latency_ms = 300
    monkeypatch.setattr(sim, "SETTLE_S", 0.1)
    await house.call("POST", "/v1/messages", {"to": NUMBER, "text": "x", "expires_at": "2095-01-01T00:00:00Z"})
    assert (await CLOCK(house, "2090-01-01T00:00:00Z")).status == 504
    monkeypatch.setattr(sim, "SETTLE_S", 5.0)
    assert (await CLOCK(house, "2090-01-01T01:00:00Z")).status == 200
    assert len(house.rack.network.accepted) == 1


@pytest.mark.parametrize("now", ["2030-01-01T00:00:00", "tomorrow", "", "2030-13-01T00:00:00Z"])
@IN_ONE_PLACE
async def test_a_time_that_is_none_is_refused(shared: Place, now: str) -> None:
    answer = await CLOCK(shared, now)
    assert (answer.status, list(answer.params)) == (422, ["now"])


async def test_a_time_beyond_what_ids_can_tell_is_refused(lab: Place) -> None:
    answer = await CLOCK(lab, "2200-01-01T00:00:00Z")
    later = await lab.call("POST", "/v1/messages", {"to": NUMBER, "text": "x"}, held=False)
    assert (answer.status, later.status) == (422, 202)


async def test_a_time_before_1970_is_refused_or_works(lab: Place) -> None:
    answer = await CLOCK(lab, "1960-01-01T00:00:00Z", back=True)
    made = await lab.call("POST", "/v1/messages", {"to": NUMBER, "text": "x"}, held=False)
    assert answer.status == 422 or made.body["state"] == "queued"
