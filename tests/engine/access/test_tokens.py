"""engine/access/tokens.py: let in by hash, and each with what it may do."""

import msgspec
import pytest

from engine.access import tokens
from engine.access.caller import SYSTEM, Caller
from engine.access.rights import EVERY, NUMBERS, RIGHTS
from engine.access.tokens import TOKENS, Token
from engine.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from engine.store.environment import Store

NOW_MS = 1_700_000_000_000


def test_a_token_is_known_by_its_whole_text(store: Store) -> None:
    token, other = tokens.fresh(), tokens.fresh()
    store.write_now(tokens.add, token, "console", NOW_MS)
    with store.read() as txn:
        found = tokens.find(txn, token)
        assert found is not None
        assert (found.name, found.created_ms) == ("console", NOW_MS)
        for wrong in (other, token[:-1], token + "x", token.upper(), "", " " + token, "\ud800"):
            assert tokens.find(txn, wrong) is None


def test_nothing_of_a_token_is_stored(store: Store) -> None:
    token = tokens.fresh()
    store.write_now(tokens.add, token, "console", NOW_MS)
    with store.read() as txn:
        ((key,), _) = next(iter(TOKENS.scan(txn)))
    assert token.encode() not in key
    assert token.encode() not in (store.directory / "data.mdb").read_bytes()


def test_a_short_token_is_refused(store: Store) -> None:
    with pytest.raises(Invalid):
        store.write_now(tokens.add, "x" * 23, "console", NOW_MS)
    with store.read() as txn:
        assert not tokens.any_known(txn)


def test_fresh_tokens_differ_and_are_long_enough(store: Store) -> None:
    fresh = {tokens.fresh() for _ in range(100)}
    assert len(fresh) == 100
    for token in fresh:
        assert len(token) >= tokens.SHORTEST
    store.write_now(tokens.add, fresh.pop(), "x", NOW_MS)
    with store.read() as txn:
        assert tokens.any_known(txn)


# -- scopes, limits and numbers

TILL = ("messages:read", "messages:send")


def made(store: Store, scopes: tuple[str, ...] = (), **fields: int) -> Token:
    per_minute, burst, parts_a_day = (fields.get(name, 0) for name in ("per_minute", "burst", "parts_a_day"))
    return store.write_now(tokens.add, tokens.fresh(), "till", NOW_MS, scopes, per_minute, burst, parts_a_day, "ann")


def listed(store: Store, after: int = 0, limit: int = 100) -> list[int]:
    with store.read() as txn:
        return [token.number for token in tokens.listed(txn, after, limit)]


def test_a_token_has_the_rights_of_its_scopes_and_without_any_every_right(store: Store) -> None:
    assert made(store, ("messages:send", "messages:read", "messages:send")).scopes == TILL
    assert made(store, TILL).rights == frozenset(TILL)
    assert made(store).rights == EVERY


def test_a_token_sees_numbers_in_full_by_the_right_to_them_alone(store: Store) -> None:
    assert made(store, TILL).sight == {"number": "masked"}
    assert made(store, (*TILL, NUMBERS)).sight == made(store).sight == {}


def test_a_token_that_is_older_than_scopes_reads_and_gets_a_number(store: Store) -> None:
    old = msgspec.msgpack.encode(["console", NOW_MS])
    hashed = tokens.digest("a-token-of-an-older-carillon")

    def put(txn, hashed=hashed):  # type: ignore[no-untyped-def]
        txn.raw.put(hashed, b"\x01" + old, db=txn.handles[TOKENS.name])

    store.write_now(put)
    with store.read() as txn:
        found = tokens.find(txn, "a-token-of-an-older-carillon")
    assert found == Token("console", NOW_MS)
    assert found.rights == EVERY
    assert listed(store) == []
    assert store.write_now(tokens.number_all) == 1
    assert store.write_now(tokens.number_all) == 0
    assert listed(store) == [1]


def test_numbers_are_small_and_never_given_again(store: Store) -> None:
    assert [made(store).number for _ in range(3)] == [1, 2, 3]
    store.write_now(tokens.revoke, 3, SYSTEM)
    store.write_now(tokens.revoke, 1, SYSTEM)
    assert made(store).number == 4
    assert listed(store) == [2, 4]
    assert (listed(store, 2), listed(store, 0, 1)) == ([4], [2])
    for number in (0, -1, 1, 3, 5, 1 << 32):
        with store.read() as txn, pytest.raises(NotFound):
            tokens.get(txn, number)


def test_a_token_that_comes_again_stays_as_it_is_but_is_let_in(store: Store) -> None:
    token = tokens.fresh()
    first = store.write_now(tokens.add, token, "environment", NOW_MS, TILL)
    made(store)
    assert store.write_now(tokens.add, token, "environment", NOW_MS + 1) == first
    store.write_now(tokens.change, 1, {"is_disabled": True}, None, SYSTEM)
    with store.read() as txn:
        assert tokens.find(txn, token) is None
    again = store.write_now(tokens.add, token, "environment", NOW_MS + 1)
    assert (again.number, again.scopes, again.is_disabled) == (1, TILL, False)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": ("messages:send", "everything")}, "scopes"),
        ({"per_minute": -1}, "per_minute"),
        ({"per_minute": 600_001}, "per_minute"),
        ({"burst": 5}, "burst"),
        ({"parts_a_day": 1_000_000_001}, "parts_a_day"),
    ],
)
def test_a_field_out_of_its_bounds_is_refused_by_name(store: Store, changes: dict[str, object], field: str) -> None:
    made(store)
    with pytest.raises(Invalid) as refused:
        store.write_now(tokens.change, 1, changes, None, SYSTEM)
    assert [param.name for param in refused.value.params] == [field]


def test_a_change_of_an_older_version_is_stale(store: Store) -> None:
    made(store, TILL)
    changed = store.write_now(tokens.change, 1, {"parts_a_day": 5}, 1, SYSTEM)
    assert (changed.parts_a_day, changed.version, changed.scopes) == (5, 2, TILL)
    with pytest.raises(Stale):
        store.write_now(tokens.change, 1, {"parts_a_day": 6}, 1, SYSTEM)


def test_nobody_gives_or_touches_rights_that_he_has_not(store: Store) -> None:
    made(store)
    made(store, TILL)
    clerk = Caller("token", "clerk", 7, frozenset({"tokens:write", *TILL}))
    store.write_now(tokens.change, 2, {"scopes": TILL[:1]}, None, clerk)
    with pytest.raises(Forbidden) as refused:
        store.write_now(tokens.change, 2, {"scopes": ("messages:send", "sim")}, None, clerk)
    assert (refused.value.code, "sim" in str(refused.value)) == ("no_right", True)
    with pytest.raises(Forbidden):
        store.write_now(tokens.change, 2, {"scopes": ()}, None, clerk)
    for forbidden in ({"name": "x"}, {"scopes": TILL}, {"is_disabled": True}):
        with pytest.raises(Forbidden):
            store.write_now(tokens.change, 1, forbidden, None, clerk)


def test_a_token_does_not_change_or_remove_itself(store: Store) -> None:
    made(store)
    me = Caller("token", "till", made(store).number, EVERY)
    with pytest.raises(Forbidden) as refused:
        store.write_now(tokens.change, me.id, {"parts_a_day": 0}, None, me)
    assert refused.value.code == "own_token"
    with pytest.raises(Forbidden):
        store.write_now(tokens.revoke, me.id, me)


@pytest.mark.parametrize("changes", [None, {"is_disabled": True}, {"scopes": TILL}], ids=["gone", "disabled", "less"])
def test_the_last_token_that_can_make_tokens_stays(store: Store, changes: dict[str, object] | None) -> None:
    def end(number: int) -> None:
        if changes is None:
            store.write_now(tokens.revoke, number, SYSTEM)
        else:
            store.write_now(tokens.change, number, changes, None, SYSTEM)

    made(store), made(store, TILL), made(store, RIGHTS)
    end(1)
    with pytest.raises(Conflict) as refused:
        end(3)
    assert refused.value.code == "last_token"
    store.write_now(tokens.change, 3, {"scopes": ("tokens:write",)}, None, SYSTEM)
