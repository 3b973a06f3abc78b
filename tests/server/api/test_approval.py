"""Campaigns of people: a second one approves, and a cap is raised; and how a person calls at all."""

import re

import pytest

from engine.access import sessions, tokens
from server.middleware import COOKIE, FORM_HEADER
from tests.server.conftest import PEPPER, Answer, Place

ROWS = b"to\n" + b"".join(b"+86139%08d\n" % at for at in range(101))


class Person:
    """Somebody with a session, as a browser that has read the page."""

    def __init__(self, place: Place, name: str) -> None:
        self.place = place
        cookie = sessions.issue(PEPPER, name, place.engine.now_ms())
        self.headers = {"Cookie": f"{COOKIE}={cookie}", FORM_HEADER: sessions.form_token(PEPPER, cookie)}

    async def call(self, method: str, path: str, body: object = None, **changed: str) -> Answer:
        headers = {**self.headers, **{name.replace("_", "-"): value for name, value in changed.items()}}
        return await self.place.call(method, path, body, token=None, headers=headers)

    async def draft(self) -> str:
        body = {"name": "Spring", "text": "hello", "purpose": "transactional"}
        answer = await self.call("POST", "/v1/campaigns", body)
        assert (answer.status, answer.body["made_by"], answer.body["reason"]) == (201, self.name, None)
        return str(answer.body["id"])

    @property
    def name(self) -> str:
        session = sessions.check(PEPPER, self.headers["Cookie"].partition("=")[2], self.place.engine.now_ms())
        return "" if session is None else session.who


async def test_what_a_person_makes_for_many_is_launched_with_another_ones_word(desk: Place) -> None:
    ann, ben = Person(desk, "ann"), Person(desk, "ben")
    campaign = await ann.draft()
    await desk.upload(campaign, ROWS)
    refused = await ann.call("POST", f"/v1/campaigns/{campaign}/launch")
    assert (refused.status, refused.slug) == (409, "conflict")
    assert "more than 100 recipients" in refused.body["detail"]
    assert (await desk.call("GET", f"/v1/campaigns/{campaign}")).body["reason"] == "approval"
    # A program may not say it for anybody, nor launch it without.
    program = await desk.call("POST", f"/v1/campaigns/{campaign}/approve")
    assert (program.status, program.slug) == (403, "not_a_person")
    assert (await desk.call("POST", f"/v1/campaigns/{campaign}/launch")).status == 409
    assert (await ann.call("POST", f"/v1/campaigns/{campaign}/approve")).status == 409
    approved = await ben.call("POST", f"/v1/campaigns/{campaign}/approve")
    assert approved.status == 200
    assert (approved.body["made_by"], approved.body["approved_by"], approved.body["reason"]) == ("ann", "ben", None)
    assert approved.body["approved_at"]
    assert (await ann.call("POST", f"/v1/campaigns/{campaign}/launch")).status == 202


async def test_a_person_may_repeat_a_call_under_a_key_of_his_own(desk: Place) -> None:
    ann, ben = Person(desk, "ann"), Person(desk, "ben")
    campaign = await ann.draft()
    await desk.upload(campaign, ROWS)
    path = f"/v1/campaigns/{campaign}/approve"
    first = await ben.call("POST", path, Idempotency_Key="k")
    again = await ben.call("POST", path, Idempotency_Key="k")
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await ann.call("POST", path, Idempotency_Key="k")).status == 409, "a key is its caller's own"


async def test_a_program_needs_nobodys_word(desk: Place) -> None:
    campaign = await desk.draft(text="hello")
    await desk.upload(campaign, ROWS)
    answer = await desk.call("POST", f"/v1/campaigns/{campaign}/launch")
    assert (answer.status, answer.body["made_by"]) == (202, None)


async def test_a_waiting_row_says_that_it_waits_for_approval(desk: Place) -> None:
    ann = Person(desk, "ann")
    campaign = await ann.draft()
    await desk.upload(campaign, ROWS)
    row = (await desk.call("GET", f"/v1/campaigns/{campaign}/results?limit=1")).body["items"][0]
    told = await desk.call("GET", f"/v1/messages/{row['message_id']}/explain")
    assert "second person's approval" in told.body["explanation"]


async def test_a_cap_stops_a_campaign_and_raising_it_lets_it_go_on(desk: Place) -> None:
    campaign = await desk.draft(text="hello", parts_most=5)
    shown = (await desk.call("GET", f"/v1/campaigns/{campaign}")).body
    assert (shown["parts_most"], shown["parts_sent"], shown["reason"]) == (5, 0, None)
    raised = await desk.call("PATCH", f"/v1/campaigns/{campaign}", {"parts_most": 9})
    assert (raised.status, raised.body["parts_most"]) == (200, 9)
    lifted = await desk.call("PATCH", f"/v1/campaigns/{campaign}", {"parts_most": 0})
    assert lifted.body["parts_most"] is None
    refused = await desk.call("PATCH", f"/v1/campaigns/{campaign}", {"parts_most": -1})
    assert (refused.status, list(refused.params)) == (422, ["parts_most"])
    assert (await desk.call("PATCH", f"/v1/campaigns/{campaign}", {"name": "x"})).status == 422
    await desk.call("POST", f"/v1/campaigns/{campaign}/cancel")
    assert (await desk.call("PATCH", f"/v1/campaigns/{campaign}", {"parts_most": 1})).status == 409


# -- how a person calls


async def test_a_session_reads_without_a_form_token_and_changes_nothing_without(desk: Place) -> None:
    ann = Person(desk, "ann")
    assert (await ann.call("GET", "/v1/campaigns", X_Form_Token="")).status == 200
    for said in ("", "0" * 48, Person(desk, "ben").headers[FORM_HEADER]):
        answer = await ann.call("POST", "/v1/campaigns", {}, X_Form_Token=said)
        assert (answer.status, answer.slug) == (403, "foreign_form")


@pytest.mark.parametrize(
    ("header", "value"), [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "http://evil")]
)
async def test_another_site_cannot_use_a_session(desk: Place, header: str, value: str) -> None:
    ann = Person(desk, "ann")
    for method, path in (("GET", "/v1/campaigns"), ("POST", "/v1/campaigns")):
        assert (await ann.call(method, path, **{header.replace("-", "_"): value})).status == 403


async def test_a_session_that_has_ended_or_was_never_ours_is_refused(desk: Place) -> None:
    ann = Person(desk, "ann")
    desk.engine.set_clock(desk.engine.now_ms() + sessions.MAX_AGE_MS + 1)
    ended = await ann.call("GET", "/v1/campaigns")
    assert (ended.status, ended.slug) == (401, "unauthorized")
    assert "sign in again" in ended.body["detail"]
    assert (await ann.call("GET", "/v1/campaigns", Cookie=f"{COOKIE}=made-up")).status == 401


async def test_a_wrong_token_is_not_mended_by_a_session(desk: Place) -> None:
    answer = await Person(desk, "ann").call("GET", "/v1/campaigns", Authorization="Bearer unknown")
    assert answer.status == 401


async def test_the_console_signs_a_person_in_for_the_api_too(desk: Place) -> None:
    token = tokens.fresh()
    await desk.engine.store.write(tokens.add, token, "cem", desk.engine.now_ms())
    signed = await desk.client.post("/signin", data={"token": token}, allow_redirects=False)
    cookie = signed.cookies[COOKIE].value
    page = await (await desk.client.get("/", headers={"Cookie": f"{COOKIE}={cookie}"})).text()
    found = re.search(r'name="form" value="([0-9a-f]+)"', page)
    assert found is not None
    headers = {"Cookie": f"{COOKIE}={cookie}", FORM_HEADER: found[1]}
    body = {"name": "x", "text": "hello", "purpose": "service"}
    made = await desk.call("POST", "/v1/campaigns", body, token=None, headers=headers)
    assert (made.status, made.body["made_by"]) == (201, "cem")
