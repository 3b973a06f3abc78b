"""Rules of greetings: what may stand in one, and how one moves."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from engine.crm.marketing import festivals, greeting_runs, greetings, house_days
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.festivals import Festival, Listed
from engine.crm.marketing.greetings import MARKS, Rule
from engine.crm.people.dates import GREGORIAN, Day
from engine.errors import Conflict, Invalid, NotFound, Stale
from tests.engine.crm.greeted import NOW_MS, ZONE, Town, at


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path / "data")
    yield opened
    opened.store.close()


# -- what may stand in a rule


@pytest.mark.parametrize(
    ("known", "field"),
    [
        ({"name": " "}, "name"),
        ({"when": "easter"}, "when"),
        ({"when": "festival:nothing"}, "when"),
        ({"when": "special:"}, "when"),
        ({"when": "field:nothing"}, "when"),
        ({"offset_days": 366}, "offset_days"),
        ({"send_at": 1440}, "send_at"),
        ({"send_at": 600, "send_until": 600}, "send_until"),
        ({"send_until": 1441}, "send_until"),
        ({"purpose": "survey"}, "purpose"),
        ({"texts": {}}, "text"),
        ({"texts": {"en": ""}}, "text.en"),
        ({"texts": {"en": "Dear {name"}}, "text.en"),
        ({"texts": {"en": "{colour}"}}, "text.en"),
        ({"texts": {"en": "{coupon}"}}, "text.en"),
        ({"texts": {"en": "{festival}"}}, "text.en"),
        ({"texts": {"English": "x"}}, "text.English"),
        ({"coupon": Terms("gift", gift="Tea")}, "text.en"),
        ({"coupon_days": 3}, "coupon_days"),
        ({"coupon": Terms("percent"), "texts": {"en": "{coupon}"}}, "percent"),
    ],
)
def test_a_rule_that_is_wrong_is_refused_by_its_field(town: Town, known: dict[str, Any], field: str) -> None:
    rule = Rule(**{"id": 0, "name": "wish", "when": "birthday", "texts": {"en": "x"}, **known})
    with pytest.raises(Invalid) as refused:
        town.do(greetings.add, rule, NOW_MS, ZONE)
    assert refused.value.params[0].name == field


@pytest.mark.parametrize(
    "known",
    [
        {"coupon": Terms("gift", gift="Tea"), "texts": {"en": "{coupon}"}},
        {"texts": {"en": "See https://example.org"}},
        {"is_offer": True},
    ],
)
def test_an_offer_needs_marketing(town: Town, known: dict[str, Any]) -> None:
    rule = Rule(**{"id": 0, "name": "wish", "when": "birthday", "texts": {"en": "x"}, "purpose": "service", **known})
    with pytest.raises(Invalid) as refused:
        town.do(greetings.add, rule, NOW_MS, ZONE)
    assert (refused.value.code, refused.value.params[0].name) == ("offer_needs_marketing", "purpose")
    plain = town.rule(purpose="service")
    with pytest.raises(Invalid):
        town.do(greetings.change, plain.id, known, None, NOW_MS, ZONE)


def test_a_year_beyond_the_tables_is_refused_when_the_rule_is_saved(town: Town) -> None:
    town.do(house_days.put_festivals, {"past": Festival("past", {"en": "x"}, Listed((date(2020, 1, 1),)))}, NOW_MS)
    for now_ms, when, offset in (
        (at("2099-06-01"), "birthday", -365),
        (at("2099-06-01"), "festival:mid_autumn", 0),
        (at("2100-02-01"), "birthday", 0),
        (NOW_MS, "festival:past", 0),
    ):
        with pytest.raises(Invalid) as refused:
            town.do(greetings.add, Rule(0, "x", when, {"en": "x"}, offset), now_ms, ZONE)
        assert refused.value.params[0].name == "when"
    with pytest.raises(Invalid):
        festivals.parse(b'[{"id": "own", "name": {"en": "x"}, "kind": "listed", "spec": {"dates": ["2100-01-01"]}}]')


def test_rules_are_changed_and_moved_by_their_version(town: Town) -> None:
    rule = town.rule(active=False)
    with pytest.raises(Stale):
        town.do(greetings.activate, rule.id, 7, NOW_MS, ZONE)
    with pytest.raises(Conflict):
        town.do(greetings.pause, rule.id, None, NOW_MS)
    active = town.do(greetings.activate, rule.id, 1, NOW_MS, ZONE)
    assert (active.state, active.version) == (greetings.State.ACTIVE, 2)
    with pytest.raises(Conflict):
        town.do(greetings.remove, rule.id, None, NOW_MS)
    town.do(greetings.pause, rule.id, 2, NOW_MS)
    town.do(greetings.remove, rule.id, 3, NOW_MS)
    with town.store.read() as txn, pytest.raises(NotFound):
        greetings.get(txn, rule.id)


def test_marks_go_two_years_later_or_with_their_rule(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    kept, gone = town.rule(), town.rule()
    town.run(at("2026-09-25"))
    town.do(greetings.pause, gone.id, None, town.now_ms)
    town.do(greetings.remove, gone.id, None, town.now_ms)

    def rules_after(now_ms: int) -> set[int]:
        after: bytes | None = b""
        while after is not None:
            after = town.do(greeting_runs.forget, after, now_ms, 1)
        with town.store.read() as txn:
            return {key[0] for key, _ in MARKS.scan(txn)}

    assert rules_after(at("2028-12-31")) == {kept.id}
    assert rules_after(at("2029-01-02")) == set()
