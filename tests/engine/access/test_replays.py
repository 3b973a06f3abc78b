"""engine/access/replays.py: one call, one effect, one answer; and nothing of it in clear."""

import pytest

from engine.access import replays
from engine.access.replays import BODY_MOST, BY_TIME, KEPT_MS, REPLAYS, Answer, AtWork, Claim
from engine.errors import Conflict, Invalid
from engine.store.environment import Store
from engine.store.table import Txn

NOW_MS = 1_700_000_000_000
PEPPER = bytes(range(32))
ANSWER = Answer(201, "application/json", {"Location": "/v1/x/1"}, b'{"number": "+8613912345678"}')


def claim(key: str = "k-1", body: bytes = b"{}", caller: str = "token 1", pepper: bytes = PEPPER) -> Claim:
    return replays.claim(pepper, caller, key, b"POST", b"/v1/x", body)


def found(store: Store, one: Claim, now_ms: int = NOW_MS) -> Answer | None:
    with store.read() as txn:
        return replays.find(txn, one, now_ms)


def entries(store: Store) -> tuple[int, int]:
    with store.read() as txn:
        return REPLAYS.count(txn), BY_TIME.count(txn)


def test_the_same_call_under_its_key_finds_its_answer(store: Store) -> None:
    assert found(store, claim()) is None
    store.write_now(replays.keep, claim(), ANSWER, NOW_MS)
    assert found(store, claim()) == ANSWER


@pytest.mark.parametrize("body", [b"", b"x" * BODY_MOST], ids=["empty", "the largest"])
def test_a_body_of_any_size_comes_back_as_it_was(store: Store, body: bytes) -> None:
    answer = Answer(200, "text/plain", {}, body)
    store.write_now(replays.keep, claim(), answer, NOW_MS)
    assert found(store, claim()) == answer


def test_another_call_under_the_key_is_told_so(store: Store) -> None:
    store.write_now(replays.keep, claim(), ANSWER, NOW_MS)
    for other in (
        claim(body=b"{} "),
        replays.claim(PEPPER, "token 1", "k-1", b"POST", b"/v1/y", b"{}"),
        replays.claim(PEPPER, "token 1", "k-1", b"POST", b"/v1/x{", b"}"),
    ):
        with pytest.raises(Invalid) as refused:
            found(store, other)
        assert (refused.value.code, refused.value.params[0].name) == (replays.REUSED, "Idempotency-Key")


def test_a_key_is_the_callers_own(store: Store) -> None:
    store.write_now(replays.keep, claim(), ANSWER, NOW_MS)
    assert found(store, claim(caller="token 2")) is None
    assert found(store, claim(caller="staff 1")) is None
    assert found(store, claim(key="k-2")) is None
    assert found(store, claim(pepper=bytes(32))) is None


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "a\tb", "ä", "\x7f", "\n", "键"])
def test_a_key_is_1_to_255_visible_ascii_characters(key: str) -> None:
    with pytest.raises(Invalid):
        claim(key=key)
    assert claim(key="!" + "~" * 254)


def test_nothing_of_an_answer_or_a_key_is_stored_in_clear(store: Store) -> None:
    store.write_now(replays.keep, claim("a-key-that-is-kept-by-its-caller"), ANSWER, NOW_MS)
    octets = (store.directory / "data.mdb").read_bytes()
    for secret in (b"8613912345678", b"a-key-that-is", b"/v1/x/1"):
        assert secret not in octets


def test_who_reads_the_store_cannot_try_bodies_against_it() -> None:
    assert claim().digest != claim(pepper=bytes(32)).digest


# -- together with the effect


def _twice(txn: Txn, one: Claim, now_ms: int) -> None:
    replays.keep(txn, one, ANSWER, now_ms)
    replays.keep(txn, claim("beside"), ANSWER, now_ms)


def test_the_second_of_two_that_got_this_far_is_undone_with_its_effect(store: Store) -> None:
    store.write_now(replays.keep, claim(), ANSWER, NOW_MS)
    with pytest.raises(Conflict) as refused:
        store.write_now(_twice, claim(), NOW_MS + 1)
    assert refused.value.code == replays.IN_WORK
    assert found(store, claim("beside")) is None
    assert entries(store) == (1, 1)


def test_an_answer_too_large_to_be_kept_undoes_its_effect(store: Store) -> None:
    answer = Answer(200, "text/plain", {}, b"x" * (BODY_MOST + 1))
    with pytest.raises(Invalid):
        store.write_now(replays.keep, claim(), answer, NOW_MS)
    assert entries(store) == (0, 0)


# -- time


def test_after_a_day_a_key_is_free_again(store: Store) -> None:
    store.write_now(replays.keep, claim(), ANSWER, NOW_MS)
    assert found(store, claim(), NOW_MS + KEPT_MS - 1) == ANSWER
    assert found(store, claim(body=b"another"), NOW_MS + KEPT_MS) is None
    store.write_now(replays.keep, claim(body=b"another"), ANSWER, NOW_MS + KEPT_MS)
    assert entries(store) == (1, 1)
    assert found(store, claim(body=b"another"), NOW_MS + KEPT_MS) == ANSWER


def test_a_clock_that_is_set_back_frees_no_key(store: Store) -> None:
    store.write_now(replays.keep, claim(), ANSWER, NOW_MS)
    assert found(store, claim(), NOW_MS - 10 * KEPT_MS) == ANSWER


def test_what_is_over_is_forgotten_a_few_at_a_time(store: Store) -> None:
    for place in range(7):
        store.write_now(replays.keep, claim(str(place)), ANSWER, NOW_MS + place)
    assert not store.write_now(replays.forget, NOW_MS + KEPT_MS - 1, 3)
    assert entries(store) == (7, 7)
    assert store.write_now(replays.forget, NOW_MS + KEPT_MS + 4, 3)
    assert entries(store) == (4, 4)
    assert not store.write_now(replays.forget, NOW_MS + KEPT_MS + 4, 3)
    assert entries(store) == (2, 2)
    assert [found(store, claim(str(place))) for place in (4, 5)] == [None, ANSWER]


# -- at work


def test_a_call_at_work_holds_its_key_until_it_is_over() -> None:
    at_work = AtWork()
    at_work.require_free(claim())
    with at_work.hold(claim()):
        with pytest.raises(Conflict) as refused:
            at_work.require_free(claim())
        assert refused.value.code == replays.IN_WORK
        with pytest.raises(Invalid):
            at_work.require_free(claim(body=b"another"))
        at_work.require_free(claim("k-2"))
    at_work.require_free(claim(body=b"another"))


def test_a_call_that_fails_lets_its_key_go() -> None:
    at_work = AtWork()
    with pytest.raises(ZeroDivisionError), at_work.hold(claim()):
        raise ZeroDivisionError
    at_work.require_free(claim(body=b"another"))
