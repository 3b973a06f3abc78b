import pytest

from engine.wiring import Clock
from server.console.signin import ADDRESSES_MOST, FORM_LARGEST, TRIES_MOST, TRIES_WINDOW_S, Tries

from .conftest import TOKEN, Visitor


async def test_a_stranger_sees_the_form_and_nothing_of_the_house(stranger: Visitor) -> None:
    await stranger.campaign("Secret campaign")
    answer = await stranger.go("/")
    text = await answer.text()
    assert answer.status == 200
    assert 'action="/signin"' in text
    assert "Secret campaign" not in text


async def test_a_token_becomes_a_session(stranger: Visitor) -> None:
    answer = await stranger.post("/signin", {"token": TOKEN})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("carillon_session=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie  # the test's request is not https
    assert TOKEN not in cookie
    assert "front desk" in await stranger.page()


async def test_a_token_in_the_address_leaves_it(stranger: Visitor) -> None:
    answer = await stranger.go(f"/?token={TOKEN}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "front desk" in await stranger.page()


async def test_a_link_of_another_site_signs_nobody_in(stranger: Visitor) -> None:
    answer = await stranger.go(f"/?token={TOKEN}", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("token", ["wrong", "", "x" * 3000, TOKEN + " x", "é"])
async def test_a_wrong_token_gets_the_form_again_and_a_sentence(stranger: Visitor, token: str) -> None:
    answer = await stranger.post("/signin", {"token": token})
    text = await answer.text()
    assert answer.status == 401
    assert "That is not a token of this house." in text
    assert 'action="/signin"' in text
    assert "Set-Cookie" not in answer.headers


async def test_guessing_is_slowed_down_even_for_the_right_guess(stranger: Visitor) -> None:
    for _ in range(TRIES_MOST):
        assert (await stranger.post("/signin", {"token": "wrong"})).status == 401
    answer = await stranger.post("/signin", {"token": TOKEN})
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= TRIES_WINDOW_S + 1
    assert (await stranger.go(f"/?token={TOKEN}")).status == 429


def test_a_try_is_forgotten_after_its_minute() -> None:
    tries = Tries()
    for at in range(TRIES_MOST):
        tries.count("192.0.2.1", float(at))
    assert tries.wait_s("192.0.2.1", 10.0) == 51
    assert tries.wait_s("192.0.2.2", 10.0) == 0
    assert tries.wait_s("192.0.2.1", TRIES_WINDOW_S) == 0


def test_tries_of_one_ipv6_network_count_together() -> None:
    tries = Tries()
    for at in range(TRIES_MOST):
        tries.count(f"2001:db8::{at:x}", 0.0)
    assert tries.wait_s("2001:db8::ffff", 1.0) > 0
    assert tries.wait_s("2001:db8:0:1::1", 1.0) == 0


def test_tries_take_no_more_room_than_they_may() -> None:
    tries = Tries()
    for at in range(ADDRESSES_MOST + 500):
        tries.count(f"10.0.{at // 256}.{at % 256}", 0.0)
    assert len(tries._wrong) == ADDRESSES_MOST


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Sec-Fetch-Site": "same-origin"}, 303, id="our own form"),
        pytest.param({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303, id="our own form without a referrer"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="another port of this machine"),
        pytest.param({"Sec-Fetch-Site": "none"}, 403, id="a form that nobody showed"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="another origin"),
        pytest.param({"Origin": "null"}, 303, id="an origin that our own policy hides"),
        pytest.param({}, 303, id="a client that is no browser"),
    ],
)
async def test_a_form_of_another_site_signs_nobody_in(stranger: Visitor, headers: dict[str, str], status: int) -> None:
    answer = await stranger.post("/signin", {"token": TOKEN}, headers=headers)
    assert answer.status == status
    assert ("Set-Cookie" in answer.headers) is (status == 303)


async def test_our_own_origin_is_no_other_site(stranger: Visitor) -> None:
    origin = str(stranger.client.make_url("/")).rstrip("/")
    assert (await stranger.post("/signin", {"token": TOKEN}, headers={"Origin": origin})).status == 303


async def test_a_session_ends_after_twelve_hours(visitor: Visitor, clock: Clock) -> None:
    assert "front desk" in await visitor.page()
    visitor.engine.set_clock(clock.now_ms() + 12 * 3_600_000 + 1000)
    assert "front desk" not in await visitor.page()


async def test_signing_out_clears_the_session(visitor: Visitor) -> None:
    answer = await visitor.post("/signout", {"form": await visitor.form_token()})
    assert answer.status == 303
    assert "front desk" not in await visitor.page()


async def test_another_site_cannot_sign_anybody_out(visitor: Visitor) -> None:
    assert (await visitor.post("/signout", {"form": "00"})).status == 403
    assert "front desk" in await visitor.page()


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
async def test_a_form_that_is_too_large_is_not_read(stranger: Visitor, chunked: bool) -> None:
    answer = await stranger.client.post("/signin", data=b"token=" + b"x" * FORM_LARGEST, chunked=chunked or None)
    assert answer.status == 413
    assert "Content-Security-Policy" in answer.headers
