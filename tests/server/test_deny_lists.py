"""Deny lists over HTTP: what is on one gets nothing, and gets off by two members of the staff alone."""

from typing import Any

import pytest

from engine.access.caller import Caller
from engine.access.rights import EVERY
from server import middleware
from tests.server.conftest import Place
from tests.server.test_compliance import ANN, BOB, customer, hear, previewed, state, text


async def deny(place: Place, octets: bytes, query: str = "", kind: str = "text/csv") -> Any:
    answer = await place.call("POST", f"/v1/suppressions{query}", data=octets, headers={"Content-Type": kind})
    assert answer.status == 200, answer
    return answer.body


async def denied(place: Place, number: str) -> Any:
    return (await place.call("GET", f"/v1/suppressions/check?number={number.replace('+', '%2B')}")).body


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        pytest.param("text/csv", b"name,number\r\nAnn,+8613900000001\r\nx,12\r\n", id="csv"),
        pytest.param("text/csv", b"+8613900000001\n12", id="csv without a header"),
        pytest.param("application/x-ndjson", b'{"number":"+8613900000001"}\n{"number":"12"}', id="ndjson"),
    ],
)
async def test_a_number_in_the_register_gets_nothing(house: Place, kind: str, octets: bytes) -> None:
    found = await deny(house, octets, kind=kind)
    assert (found["reason"], found["rows"], found["new"], found["invalid"]) == ("legal", 2, 1, 1)
    assert found["first_faults"][0]["row"] == 2
    assert (await deny(house, octets, kind=kind))["known"] == 1
    for number in (ANN, BOB):
        await customer(house, number, "marketing")
    assert await state(house, await text(house, ANN, "hello", "service")) == ("suppressed", "legal")
    assert await state(house, await text(house, BOB, "hello", "service")) == ("sent", None)
    assert (await denied(house, ANN))["reasons"] == ["legal"]
    assert (await denied(house, BOB))["suppressed"] is False
    assert (await previewed(house))["suppressed"] == {"legal": 1}


async def test_a_start_takes_only_the_own_stop_back(house: Place) -> None:
    await hear(house, ANN, "STOP")
    await deny(house, ANN.encode(), "?reason=complaint")
    await hear(house, ANN, "START")
    assert (await denied(house, ANN))["reasons"] == ["complaint"]


async def test_two_members_of_the_staff_take_a_number_off(house: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await deny(house, ANN.encode())
    wish = {"number": ANN, "why": "asked by letter"}
    program = await house.call("POST", "/v1/suppressions/removals", wish)
    assert (program.status, program.slug) == (403, "not_a_person")
    rights = EVERY
    monkeypatch.setattr(middleware, "of_token", lambda _: Caller("staff", "Chen Jing", 1 << 22, rights))
    asked = (await house.call("POST", "/v1/suppressions/removals", wish)).body
    path = f"/v1/suppressions/removals/{asked['id']}/confirm"
    same = await house.call("POST", path, {"number": ANN})
    assert (same.status, same.slug, (await denied(house, ANN))["suppressed"]) == (403, "same_person", True)
    monkeypatch.setattr(middleware, "of_token", lambda _: Caller("staff", "Wu Min", 2 << 22, rights))
    other = await house.call("POST", path, {"number": BOB})
    assert (other.status, other.slug) == (409, "other_number")
    done = await house.call("POST", path, {"number": ANN})
    assert (done.body["state"], done.body["asked_by"], done.body["confirmed_by"]) == ("done", "Chen Jing", "Wu Min")
    assert (await denied(house, ANN))["suppressed"] is False
    assert await state(house, await text(house, ANN, "hello", "service")) == ("sent", None)
    assert ANN not in str((await house.call("GET", "/v1/suppressions/removals")).body)
    monkeypatch.undo()
    rows = [row for row in (await house.call("GET", "/v1/audit")).body["items"] if row["target"].startswith("rmv_")]
    assert [(row["action"], row["actor"]["name"]) for row in rows[:2]] == [
        ("suppression.removed", "Wu Min"), ("suppression.removal_asked", "Chen Jing"),
    ]  # fmt: skip
