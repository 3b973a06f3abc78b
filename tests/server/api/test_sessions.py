"""Signing in as one of the staff: the session may and sees what the role says, until the person is shut out."""

from typing import Any

import pytest

from server.middleware import FORM_HEADER
from tests.server.conftest import Answer, Place

NUMBER = "+8613912340001"
PASSWORD = "a password of the tests"


async def hired(place: Place, *roles: str, number: str = NUMBER) -> str:
    """The path of a new one of the staff, who has a password."""
    answer = await place.call("POST", "/v1/staff", {"number": number, "name": "Chen Jing", "roles": list(roles)})
    path = answer.headers["Location"]
    assert (await place.call("POST", f"{path}/password", {"password": PASSWORD})).status == 200
    return path


async def enter(place: Place, number: str = NUMBER, password: str = PASSWORD) -> Answer:
    answer = await place.call("POST", "/v1/sessions", {"number": number, "password": password}, token=None)
    place.client.session.cookie_jar.clear()  # a browser has one session, we have several
    return answer


def signed(answer: Answer) -> dict[str, str]:
    """The headers of whoever signed in so."""
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return {"Cookie": cookie, FORM_HEADER: answer.body["form_token"]}


async def ask(place: Place, headers: dict[str, str], method: str, path: str, body: Any = None) -> Answer:
    return await place.call(method, path, body, token=None, headers=headers)


async def test_who_signs_in_may_what_the_role_says(desk: Place) -> None:
    await hired(desk, "reader")
    answer = await enter(desk)
    assert (answer.status, answer.body["name"]) == (201, "Chen Jing")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    headers = signed(answer)
    assert (await ask(desk, headers, "GET", "/v1/customers")).status == 200
    refused = await ask(desk, headers, "POST", "/v1/customers", {"number": "+8613900000009"})
    assert (refused.status, refused.slug) == (403, "no_right")


@pytest.mark.parametrize(
    ("number", "password"),
    [
        pytest.param(NUMBER, "another password", id="a wrong password"),
        pytest.param("+8613912340009", PASSWORD, id="nobody's number"),
        pytest.param("reception", PASSWORD, id="no number"),
    ],
)
async def test_whoever_is_not_known_is_not_let_in(desk: Place, number: str, password: str) -> None:
    await hired(desk, "owner")
    answer = await enter(desk, number, password)
    assert (answer.status, answer.slug) == (401, "wrong_secret")
    assert "Set-Cookie" not in answer.headers


async def test_after_three_wrong_tries_the_right_password_has_to_wait_too(desk: Place) -> None:
    await hired(desk, "owner")
    statuses = [(await enter(desk, password="wrong as it can be")).status for _ in range(3)]
    late = await enter(desk)
    assert (statuses, late.status, late.slug) == ([401, 401, 401], 429, "locked")
    assert int(late.headers["Retry-After"]) > 0


async def test_a_session_ends_the_moment_its_person_leaves_or_has_another_password(desk: Place) -> None:
    path = await hired(desk, "owner")
    other = await hired(desk, "owner", number="+8613912340002")
    first, second = signed(await enter(desk)), signed(await enter(desk, "+8613912340002"))
    assert (await ask(desk, first, "GET", "/v1/staff")).status == 200
    await desk.call("POST", f"{path}/deactivate", {})
    await desk.call("POST", f"{other}/password", {"password": "another one of the tests"})
    for headers in (first, second):
        assert (await ask(desk, headers, "GET", "/v1/staff")).status == 401


async def test_what_a_session_changes_carries_its_form_token(desk: Place) -> None:
    await hired(desk, "owner")
    headers = signed(await enter(desk))
    bare = {"Cookie": headers["Cookie"]}
    body = {"number": "+8613900000009"}
    assert (await ask(desk, bare, "POST", "/v1/customers", body)).slug == "foreign_form"
    assert (await ask(desk, headers, "POST", "/v1/customers", body)).status == 201
    gone = await ask(desk, headers, "DELETE", "/v1/sessions")
    assert (gone.status, "Max-Age=0" in gone.headers["Set-Cookie"]) == (204, True)


async def test_F6_who_made_a_campaign_does_not_approve_it_and_another_of_the_staff_does(desk: Place) -> None:
    await hired(desk, "owner")
    await hired(desk, "owner", number="+8613912340002")
    maker, second = signed(await enter(desk)), signed(await enter(desk, "+8613912340002"))
    draft = {"name": "Spring", "text": "Dear", "purpose": "transactional"}
    made = await ask(desk, maker, "POST", "/v1/campaigns", draft)
    assert made.status == 201, made
    campaign = made.body["id"]
    rows = b"to\n" + b"".join(b"+861390000%04d\n" % place for place in range(101))
    await desk.upload(campaign, rows)
    path = f"/v1/campaigns/{campaign}"
    assert (await ask(desk, maker, "POST", f"{path}/launch")).status == 409
    assert (await ask(desk, maker, "POST", f"{path}/approve")).status == 409
    assert (await ask(desk, second, "POST", f"{path}/approve")).status == 200
    assert (await ask(desk, maker, "POST", f"{path}/launch")).status == 202


PERSON = {
    "number": "+8613955550123",
    "numbers": ["+8613955550124"],
    "name": "李娜",
    "email": "lina@example.org",
    "birthday": "1990-10-02",
    "address": {"street": "Zhongshan Road 1", "postcode": "210000", "city": "Nanjing"},
}
HIDDEN = ("13955550123", "13955550124", "lina@", "1990-10-02", "Zhongshan")


async def test_a_role_hides_in_every_answer_what_it_does_not_show(desk: Place) -> None:
    await desk.call("POST", "/v1/roles", {"name": "blind", "rights": ["customers:read", "customers:write"]})
    await hired(desk, "blind")
    await hired(desk, "owner", number="+8613912340002")
    path = (await desk.call("POST", "/v1/customers", PERSON)).headers["Location"]
    segment = (await desk.call("POST", "/v1/segments", {"name": "all", "definition": "name is set"})).headers[
        "Location"
    ]
    blind, owner = signed(await enter(desk)), signed(await enter(desk, "+8613912340002"))
    for method, where, body in (
        ("GET", path, None),
        ("GET", "/v1/customers", None),
        ("GET", "/v1/customers?number=%2B8613955550123", None),
        ("GET", f"{segment}/customers", None),
        ("PATCH", path, {"gender": "female"}),
    ):
        answer = await ask(desk, blind, method, where, body)
        assert answer.status == 200
        assert "Nanjing" in str(answer.body)
        assert [secret for secret in HIDDEN if secret in str(answer.body)] == []
    seen = str((await ask(desk, owner, "GET", path)).body)
    assert [secret for secret in HIDDEN if secret not in seen] == []
