"""engine/access/tokens.py: let in by hash, and nothing else kept."""

import pytest

from engine.access import tokens
from engine.access.tokens import TOKENS
from engine.errors import Invalid
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
