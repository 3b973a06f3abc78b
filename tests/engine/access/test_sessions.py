import hashlib

import pytest
from itsdangerous import URLSafeSerializer

from engine.access import sessions

PEPPER = b"p" * 32
NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000


def test_a_session_tells_who_signed_in() -> None:
    cookie = sessions.issue(PEPPER, "前台", NOW_MS)
    assert sessions.check(PEPPER, cookie, NOW_MS) == ("token", "前台", NOW_MS)
    cookie = sessions.issue(PEPPER, "stf_0000000000007", NOW_MS, "staff")
    assert sessions.check(PEPPER, cookie, NOW_MS) == ("staff", "stf_0000000000007", NOW_MS)


@pytest.mark.parametrize(
    ("later_ms", "is_good"),
    [
        pytest.param(12 * HOUR_MS, True, id="to the last millisecond of twelve hours"),
        pytest.param(12 * HOUR_MS + 1, False, id="and not a millisecond longer"),
        pytest.param(-sessions.SKEW_MS, True, id="the clock was set back a little"),
        pytest.param(-sessions.SKEW_MS - 1, False, id="it is of the future"),
    ],
)
def test_a_session_lasts_by_the_time_that_is_given(later_ms: int, is_good: bool) -> None:
    cookie = sessions.issue(PEPPER, "desk", NOW_MS)
    assert (sessions.check(PEPPER, cookie, NOW_MS + later_ms) is not None) is is_good


def test_a_shorter_age_can_be_asked_for() -> None:
    cookie = sessions.issue(PEPPER, "desk", NOW_MS)
    assert sessions.check(PEPPER, cookie, NOW_MS + 1001, max_age_ms=1000) is None


def test_no_single_character_of_a_session_can_be_changed() -> None:
    cookie = sessions.issue(PEPPER, "desk", NOW_MS)
    for at, character in enumerate(cookie):
        other = "A" if character != "A" else "Q"
        changed = cookie[:at] + other + cookie[at + 1 :]
        # The last character of base 64 has two bits that say nothing.
        if at != len(cookie) - 1:
            assert sessions.check(PEPPER, changed, NOW_MS) is None


@pytest.mark.parametrize("cookie", ["", ".", "a.b", "é", "x" * 5000, "W10.", "\udcff", "a" * 2048])
def test_what_we_never_signed_is_nobody(cookie: str) -> None:
    assert sessions.check(PEPPER, cookie, NOW_MS) is None


def test_a_session_of_another_house_is_nobody_here() -> None:
    cookie = sessions.issue(b"q" * 32, "desk", NOW_MS)
    assert sessions.check(PEPPER, cookie, NOW_MS) is None


def test_the_pepper_itself_signs_nothing() -> None:
    forged = URLSafeSerializer(
        PEPPER, salt=b"session", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    ).dumps(["desk", NOW_MS])
    assert sessions.check(PEPPER, str(forged), NOW_MS) is None


def test_a_name_of_any_length_makes_a_session_that_is_looked_at() -> None:
    cookie = sessions.issue(PEPPER, "".join(chr(0x4E00 + at * 7) for at in range(900)), NOW_MS)
    assert len(cookie) <= sessions.LONGEST
    assert sessions.check(PEPPER, cookie, NOW_MS) is not None


def test_a_form_token_belongs_to_one_session() -> None:
    mine, yours = sessions.issue(PEPPER, "me", NOW_MS), sessions.issue(PEPPER, "you", NOW_MS)
    said = sessions.form_token(PEPPER, mine)
    assert sessions.is_form_token(PEPPER, mine, said)
    assert not sessions.is_form_token(PEPPER, yours, said)
    assert not sessions.is_form_token(b"q" * 32, mine, said)
    assert not sessions.is_form_token(PEPPER, mine, "")
    assert not sessions.is_form_token(PEPPER, mine, "é\udcff")
