"""engine/access/budgets.py: so many parts a day, by the house's clock."""

from zoneinfo import ZoneInfo

import pytest

from engine.access import budgets, tokens
from engine.access.budgets import SPENT
from engine.errors import TooMany
from engine.store.environment import Store

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON_MS = 1_700_020_800_000  # 2023-11-15 12:00 in Shanghai
HOUR_MS = 3_600_000


def token(store: Store, parts_a_day: int) -> int:
    return store.write_now(tokens.add, tokens.fresh(), "till", NOON_MS, (), 0, 0, parts_a_day).number


def spent(store: Store, number: int, now_ms: int) -> int:
    with store.read() as txn:
        return budgets.spent(txn, number, now_ms, SHANGHAI)


def test_what_does_not_fit_is_refused_whole_until_midnight(store: Store) -> None:
    number = token(store, 10)
    store.write_now(budgets.spend, number, 8, NOON_MS, SHANGHAI)
    with pytest.raises(TooMany) as refused:
        store.write_now(budgets.spend, number, 3, NOON_MS, SHANGHAI)
    assert (refused.value.code, refused.value.retry_after_s) == ("budget_spent", 12 * 3600)
    assert "2 are left today" in str(refused.value)
    store.write_now(budgets.spend, number, 2, NOON_MS, SHANGHAI)
    assert spent(store, number, NOON_MS) == 10


def test_a_new_day_begins_at_the_houses_midnight_and_only_it_is_kept(store: Store) -> None:
    number = token(store, 10)
    store.write_now(budgets.spend, number, 10, NOON_MS, SHANGHAI)
    with pytest.raises(TooMany):
        store.write_now(budgets.spend, number, 1, NOON_MS + 12 * HOUR_MS - 1, SHANGHAI)
    store.write_now(budgets.spend, number, 4, NOON_MS + 12 * HOUR_MS, SHANGHAI)
    assert spent(store, number, NOON_MS + 12 * HOUR_MS) == 4
    with store.read() as txn:
        assert SPENT.count(txn) == 1


@pytest.mark.parametrize("parts_a_day", [0, None], ids=["a token without a budget", "a caller who is no token"])
def test_without_a_budget_nothing_is_counted(store: Store, parts_a_day: int | None) -> None:
    number = 0 if parts_a_day is None else token(store, parts_a_day)
    store.write_now(budgets.spend, number, 1_000_000, NOON_MS, SHANGHAI)
    assert spent(store, number, NOON_MS) == 0
