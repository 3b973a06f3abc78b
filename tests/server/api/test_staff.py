"""Staff, roles and teams over HTTP."""

from typing import Any

import pytest

from engine.access.caller import Caller
from engine.crm.people import staff
from engine.store import ids
from server import middleware
from tests.server.conftest import Answer, Place

NUMBER = "+8613912340001"


async def hired(place: Place, **fields: Any) -> Answer:
    return await place.call("POST", "/v1/staff", {"number": NUMBER, "name": "Chen Jing", **fields})


def become(place: Place, monkeypatch: pytest.MonkeyPatch, name: str) -> Caller:
    """From now on it is this member of the staff who calls."""
    with place.engine.store.read() as txn:
        caller = staff.caller_of(txn, ids.parse("stf", name))
    monkeypatch.setattr(middleware, "of_token", lambda _: caller)
    return caller


async def test_somebody_is_hired_and_found(desk: Place) -> None:
    answer = await hired(desk, roles=["sales"], zones=["north"], language="zh", working_hours="Mon-Fri 9-18")
    assert answer.status == 201
    found = await desk.call("GET", answer.headers["Location"])
    assert found.headers["ETag"] == '"1"'
    wanted = {
        "number": NUMBER, "name": "Chen Jing", "roles": ["sales"], "state": "active", "team_id": None,
        "supervisor_id": None, "zones": ["north"], "skills": [], "working_hours": "Mon-Fri 9-18", "language": "zh",
        "has_pin": False, "has_password": False, "version": 1,
    }  # fmt: skip
    assert {name: found.body[name] for name in wanted} == wanted


async def test_a_list_shows_masks(desk: Place) -> None:
    await hired(desk)
    (item,) = (await desk.call("GET", "/v1/staff")).body["items"]
    assert item["number"] == "+8613*****0001"


async def test_a_list_is_read_in_pages_newest_first(desk: Place) -> None:
    names = [(await hired(desk, number=f"+86139123400{place:02}")).body["id"] for place in range(3)]
    first = await desk.call("GET", "/v1/staff?limit=2")
    second = await desk.call("GET", f"/v1/staff?limit=2&cursor={first.body['next']}")
    assert [one["id"] for page in (first, second) for one in page.body["items"]] == names[::-1]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"number": "12"}, "number", id="a number that is none"),
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"roles": ["sales", "king"]}, "roles[1]", id="a role that is none"),
        pytest.param({"team_id": "tea_0000000000001"}, "team_id", id="a team that is none"),
        pytest.param({"team_id": "stf_0000000000001"}, "team_id", id="not the id of a team"),
        pytest.param({"supervisor_id": "stf_0000000000001"}, "supervisor_id", id="nobody above"),
        pytest.param({"language": "de"}, "language", id="a language we do not speak"),
        pytest.param({"pin": "4711"}, "pin", id="a PIN is not set here"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(desk: Place, fields: dict[str, Any], field: str) -> None:
    answer = await hired(desk, **fields)
    assert (answer.status, list(answer.params)) == (422, [field])


async def test_a_number_is_one_person_s(desk: Place) -> None:
    await hired(desk)
    answer = await hired(desk, name="Wang")
    assert (answer.status, NUMBER in answer.body["detail"]) == (409, False)


async def test_fields_left_out_of_a_change_stay(desk: Place) -> None:
    path = (await hired(desk, language="zh", zones=["north"])).headers["Location"]
    team = (await desk.call("POST", "/v1/teams", {"name": "Front"})).body["id"]
    answer = await desk.call(
        "PATCH", path, {"team_id": team, "language": None, "roles": ["store"]}, headers={"If-Match": '"1"'}
    )
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert {name: answer.body[name] for name in ("team_id", "language", "roles", "zones")} == {
        "team_id": team, "language": None, "roles": ["store"], "zones": ["north"],
    }  # fmt: skip
    late = await desk.call("PATCH", path, {"name": "x"}, headers={"If-Match": '"1"'})
    assert (late.status, late.slug) == (412, "stale")


async def test_a_pin_and_a_password_are_set_and_never_shown(desk: Place) -> None:
    path = (await hired(desk)).headers["Location"]
    pin = await desk.call("POST", f"{path}/pin", {"pin": "4711"})
    password = await desk.call("POST", f"{path}/password", {"password": "a heron in the reeds"})
    assert (pin.status, password.status) == (200, 200)
    assert (password.body["has_pin"], password.body["has_password"]) == (True, True)
    assert "argon2" not in str(password.body)
    for call, body in (("pin", {"pin": "47a1"}), ("pin", {"pin": "1"}), ("password", {"password": "short"})):
        answer = await desk.call("POST", f"{path}/{call}", body)
        assert (answer.status, list(answer.params)) == (422, [call])


async def test_who_leaves_is_out_at_once(desk: Place) -> None:
    path = (await hired(desk)).headers["Location"]
    below = (await hired(desk, number="+8613912340002", supervisor_id=path.rpartition("/")[2])).headers["Location"]
    refused = await desk.call("POST", f"{path}/deactivate", {})
    assert (refused.status, refused.slug) == (409, "owns_records")
    heir = (await hired(desk, number="+8613912340003")).body["id"]
    answer = await desk.call("POST", f"{path}/deactivate", {"successor_id": heir, "reason": "moved away"})
    assert (answer.status, answer.body["state"]) == (200, "inactive")
    assert (await desk.call("GET", below)).body["supervisor_id"] == heir
    assert (await desk.call("PATCH", path, {"state": "active"})).status == 409
    assert (await desk.call("POST", f"{below}/deactivate")).status == 200


async def test_the_house_s_roles_are_there_and_can_be_changed(desk: Place) -> None:
    listed = (await desk.call("GET", "/v1/roles")).body["items"]
    assert [role["name"] for role in listed][:3] == ["owner", "supervisor", "sales"]
    path = f"/v1/roles/{listed[2]['id']}"
    answer = await desk.call("PATCH", path, {"reveals_a_day": 3}, headers={"If-Match": '"1"'})
    assert (answer.status, answer.body["reveals_a_day"], answer.body["rights"]) == (200, 3, listed[2]["rights"])
    assert (await desk.call("GET", path)).headers["ETag"] == '"2"'
    assert (await desk.call("PATCH", path, {}, headers={"If-Match": '"1"'})).status == 412


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"rights": ["customers:steal"]}, "rights", id="no right"),
        pytest.param({"sight": {"shoe": "full"}}, "sight.shoe", id="no field"),
        pytest.param({"reveals_a_day": -1}, "reveals_a_day", id="fewer than none"),
    ],
)
async def test_a_role_that_cannot_be_is_refused(desk: Place, fields: dict[str, Any], field: str) -> None:
    answer = await desk.call("POST", "/v1/roles", {"name": "till", **fields})
    assert (answer.status, list(answer.params)) == (422, [field])


async def test_a_role_and_a_team_are_made_and_found(desk: Place) -> None:
    for path, body in (
        ("/v1/roles", {"name": "till", "rights": ["coupons:redeem"], "sight": {"number": "none"}}),
        ("/v1/teams", {"name": "Front"}),
    ):
        made = await desk.call("POST", path, body)
        assert made.status == 201
        found = await desk.call("GET", made.headers["Location"])
        assert found.body == made.body
        assert (await desk.call("POST", path, body)).status == 409
    assert [team["name"] for team in (await desk.call("GET", "/v1/teams")).body["items"]] == ["Front"]
    answer = await desk.call("PATCH", f"/v1/teams/{found.body['id']}", {"name": "Hall"})
    assert (answer.status, answer.body["name"], answer.body["version"]) == (200, "Hall", 2)


async def test_who_may_not_is_refused(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clerk = (await hired(desk, roles=["store"])).body["id"]
    other = (await hired(desk, number="+8613912340002")).body["id"]
    become(desk, monkeypatch, clerk)
    calls: list[tuple[str, str, Any]] = [
        ("GET", "/v1/staff", None),
        ("GET", f"/v1/staff/{other}", None),
        ("GET", "/v1/roles", None),
        ("GET", "/v1/teams", None),
        ("POST", "/v1/staff", {"number": "+8613912340003", "name": "Friend"}),
        ("PATCH", f"/v1/staff/{other}", {"roles": ["owner"]}),
        ("PATCH", f"/v1/staff/{clerk}", {"roles": ["owner"]}),
        ("POST", f"/v1/staff/{other}/pin", {"pin": "0000"}),
        ("POST", f"/v1/staff/{other}/password", {"password": "a heron in the reeds"}),
        ("POST", f"/v1/staff/{other}/deactivate", {}),
        ("POST", "/v1/roles", {"name": "x"}),
        ("POST", "/v1/teams", {"name": "x"}),
        ("GET", "/v1/audit", None),
        ("GET", "/v1/audit/verify", None),
    ]
    for method, path, body in calls:
        answer = await desk.call(method, path, body)
        assert (answer.status, answer.slug) == (403, "no_right"), (method, path, answer.body)


async def test_a_supervisor_reaches_nobody_above(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = (await hired(desk, roles=["owner"])).body["id"]
    chief = (await hired(desk, number="+8613912340002", roles=["supervisor"])).body["id"]
    become(desk, monkeypatch, chief)
    taken = await desk.call("POST", f"/v1/staff/{owner}/password", {"password": "a heron in the reeds"})
    raised = await desk.call("PATCH", f"/v1/staff/{chief}", {"roles": ["owner"]})
    hiring = await hired(desk, number="+8613912340003", roles=["sales"])
    assert (taken.status, raised.status, hiring.status) == (403, 403, 201)


async def test_who_sets_his_own_secret_knows_the_present_one(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clerk = (await hired(desk, roles=["store"])).body["id"]
    become(desk, monkeypatch, clerk)
    path = f"/v1/staff/{clerk}/pin"
    assert (await desk.call("POST", path, {"pin": "4711"})).status == 200, "there was none yet"
    wrong = await desk.call("POST", path, {"pin": "0815", "current": "4712"})
    right = await desk.call("POST", path, {"pin": "0815", "current": "4711"})
    assert (wrong.status, wrong.slug, right.status) == (403, "wrong_secret", 200)
    statuses = [(await desk.call("POST", path, {"pin": "1234", "current": "9999"})).status for _ in range(4)]
    assert statuses == [403, 403, 403, 429]


async def test_a_staff_number_is_seen_as_the_role_says(desk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    chief = (await hired(desk, roles=["supervisor"])).body["id"]
    become(desk, monkeypatch, chief)
    assert (await desk.call("GET", f"/v1/staff/{chief}")).body["number"] == "+8613*****0001"


async def test_nobody_is_not_found(desk: Place) -> None:
    for method, path, body in (
        ("GET", "/v1/staff/stf_0000000000001", None),
        ("PATCH", "/v1/staff/stf_0000000000001", {"name": "x"}),
        ("POST", "/v1/staff/stf_0000000000001/pin", {"pin": "4711"}),
        ("POST", "/v1/staff/stf_0000000000001/deactivate", {}),
        ("GET", "/v1/roles/rol_0000000000001", None),
        ("PATCH", "/v1/roles/rol_0000000000001", {"name": "x"}),
        ("GET", "/v1/teams/tea_0000000000001", None),
        ("PATCH", "/v1/teams/tea_0000000000001", {"name": "x"}),
    ):
        assert (await desk.call(method, path, body)).status == 404, (method, path)
