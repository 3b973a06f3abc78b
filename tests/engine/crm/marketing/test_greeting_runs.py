"""Who is greeted when: one text per rule, person and year, on the day and at the hour of where the person lives."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.config import House
from engine.crm.marketing import coupons, greeting_runs, greetings, house_days, points
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.festivals import Chinese, Festival, Fixed
from engine.crm.marketing.greetings import MARKS
from engine.crm.people import agreement, customers, fields, regions, segments, tags
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import CUSTOMERS, SpecialDay
from engine.crm.people.dates import CHINESE, GREGORIAN, Day
from engine.crm.people.fields import FieldDef
from engine.crm.people.regions import Region
from engine.errors import Conflict, NotFound
from engine.traffic.messages import Lane
from tests.engine.crm.greeted import DAY_MS, HOUR_MS, HOUSE, NOW_MS, PEPPER, ZONE, Town, at, utc


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path / "data")
    yield opened
    opened.store.close()


# -- the dates of the table


@pytest.mark.parametrize(
    ("festival", "days"),
    [
        ("spring_festival", ["2026-02-17", "2027-02-06", "2028-01-26", "2029-02-13", "2030-02-03"]),
        ("mid_autumn", ["2026-09-25", "2027-09-15", "2028-10-03"]),
        ("dragon_boat", ["2026-06-19", "2027-06-09", "2028-05-28"]),
        ("double_seventh", ["2026-08-19"]),
        ("double_ninth", ["2026-10-18"]),
        ("new_years_eve", ["2026-02-16", "2027-02-05", "2028-01-25", "2029-02-12", "2030-02-02"]),
    ],
)
def test_a_festival_is_greeted_on_its_day_of_every_year(town: Town, festival: str, days: list[str]) -> None:
    town.person()
    town.rule(f"festival:{festival}")
    for on in days:
        before, after = (str(date.fromordinal(date.fromisoformat(on).toordinal() + step)) for step in (-1, 1))
        assert town.days_of(before, after) == [on]


def test_the_double_seventh_of_2025_comes_after_a_leap_month(town: Town) -> None:
    town.now_ms = at("2025-07-01")
    town.person()
    town.rule("festival:double_seventh")
    assert town.days_of("2025-07-29", "2025-08-31") == ["2025-08-29"]


@pytest.mark.parametrize(
    ("policy", "days"),
    [("first", ["2026-07-23", "2036-07-03"]), ("leap", ["2026-07-23", "2036-08-01"])],
)
def test_who_was_born_in_a_leap_month_is_greeted_by_the_rules_policy(town: Town, policy: Any, days: list[str]) -> None:
    town.person(birthday=Day(CHINESE, 6, 10, 2025, leap=True))
    town.rule(leap_month=policy)
    assert town.days_of("2026-07-20", "2026-08-31") + town.days_of("2036-06-30", "2036-08-05") == days


def test_a_thirtieth_is_greeted_on_the_last_day_of_a_short_month(town: Town) -> None:
    town.person(birthday=Day(CHINESE, 8, 30))
    town.rule()
    found = town.days_of("2026-10-06", "2026-10-12") + town.days_of("2029-10-04", "2029-10-10")
    assert found == ["2026-10-09", "2029-10-07"]


@pytest.mark.parametrize(("policy", "day"), [("before", "2027-02-28"), ("after", "2027-03-01")])
def test_a_29_february_is_greeted_by_the_rules_policy(town: Town, policy: Any, day: str) -> None:
    town.person(birthday=Day(GREGORIAN, 2, 29, 1996))
    town.rule(feb29=policy)
    assert town.days_of("2027-02-26", "2027-03-03") == [day]
    assert town.days_of("2028-02-27", "2028-03-02") == ["2028-02-29"]


def test_a_birthday_begins_at_the_customers_midnight(town: Town) -> None:
    """The server is in UTC, where it is the 24th still."""
    town.house = House("Lotus Hotel", time_zone="UTC")
    town.restart()
    town.person(birthday=Day(GREGORIAN, 9, 25), time_zone=ZONE)
    town.rule(send_at=9 * 60)
    assert town.run(utc("2026-09-24T16:30")) == []
    assert town.run(utc("2026-09-25T00:59")) == []
    (message,) = town.run(utc("2026-09-25T01:00"))
    assert message.expires_ms == utc("2026-09-25T16:00")
    town.rule(send_at=0)
    assert town.run(utc("2026-09-24T15:59")) == []
    assert len(town.run(utc("2026-09-24T16:30"))) == 1


def test_each_is_greeted_by_the_clock_where_he_lives(town: Town) -> None:
    """His own zone goes before his region's, and that before the house's."""
    region = town.do(regions.add, Region(0, "London", "LDN", time_zone="Europe/London"), NOW_MS).id
    day = Day(GREGORIAN, 9, 25)
    for place, known in (
        ("Tokyo", {"time_zone": "Asia/Tokyo", "region": region}),
        ("London", {"region": region}),
        ("Shanghai", {}),
        ("Honolulu", {"time_zone": "Pacific/Honolulu"}),
    ):
        town.person(name=place, birthday=day, **known)
    town.rule(texts={"en": "{name}"})
    found = {}
    for minutes in range(-15 * 60, 40 * 60, 15):
        for message in town.run(utc("2026-09-25T00:00") + minutes * 60_000):
            found[message.text] = minutes / 60
    assert found == {"Tokyo": 0, "Shanghai": 1, "London": 8, "Honolulu": 19}


# -- once


def test_a_rule_that_runs_twice_greets_once(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    rule = town.rule()
    assert len(town.run(at("2026-09-25"))) == 1
    assert town.run(at("2026-09-25")) == []
    assert town.run(at("2026-09-25", "18:00")) == []
    with town.store.read() as txn:
        found = greeting_runs.look(txn, rule, b"", town.now_ms, ZONE)
        assert found.due == []
    person = town.texts()[0]
    with town.store.read() as txn:
        (customer,) = [customer.id for _, customer in CUSTOMERS.scan(txn)]
    again = town.do(greeting_runs.greet, rule.id, [customer, customer], town.now_ms, HOUSE, PEPPER)
    assert (again.messages, town.texts()) == ((), [person])


def test_a_restart_between_two_runs_greets_once(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    town.rule()
    assert len(town.run(at("2026-09-25", "09:00"))) == 1
    town.restart()
    assert town.run(at("2026-09-25", "09:30")) == []


@pytest.mark.parametrize("back_ms", [HOUR_MS, 5 * HOUR_MS, DAY_MS, 300 * DAY_MS])
def test_a_clock_that_is_set_back_greets_once(town: Town, back_ms: int) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    town.person(birthday=Day(CHINESE, 8, 15))
    town.rule()
    town.rule("festival:mid_autumn")
    assert len(town.run(at("2026-09-25"))) == 4
    assert town.run(at("2026-09-25") - back_ms) == []
    assert town.run(at("2026-09-25")) == []
    assert len(town.run(at("2027-09-15"))) == 3


def test_a_clock_that_was_years_ahead_for_a_while_keeps_nobody_from_his_greeting(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    town.rule()
    town.run(at("2030-01-01"))
    assert len(town.run(at("2026-09-25"))) == 1


def test_what_is_changed_of_a_rule_makes_no_second_text(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    rule = town.rule()
    assert len(town.run(at("2026-09-25", "10:00"))) == 1
    town.do(greetings.change, rule.id, {"send_at": 11 * 60, "texts": {"en": "Again"}}, None, town.now_ms, ZONE)
    assert town.run(at("2026-09-25", "11:30")) == []


def test_two_rules_are_two_texts_and_so_are_two_years(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    town.rule()
    town.rule(offset_days=-30)
    assert town.days_of("2026-08-20", "2026-09-30") == ["2026-08-26", "2026-09-25"]
    assert town.days_of("2027-08-20", "2027-09-30") == ["2027-08-26", "2027-09-25"]


def test_an_offset_over_the_new_year_belongs_to_the_year_of_the_day_itself(town: Town) -> None:
    person = town.person(birthday=Day(GREGORIAN, 1, 10))
    rule = town.rule(offset_days=-30)
    assert town.days_of("2026-12-08", "2026-12-14") == ["2026-12-11"]
    with town.store.read() as txn:
        assert [key for key, _ in MARKS.scan(txn)] == [(rule.id, person.id, 2027)]


def test_a_chinese_day_in_january_belongs_to_the_lunar_year_that_is_ending(town: Town) -> None:
    """12/23 of lunar 2027 and of 2028 both lie in Gregorian 2028 or next to it: both are greeted."""
    person = town.person(birthday=Day(CHINESE, 12, 10))
    rule = town.rule()
    days = town.days_of("2028-01-01", "2029-01-31")
    assert days == ["2028-01-06", "2029-01-24"]
    with town.store.read() as txn:
        assert [key for key, _ in MARKS.scan(txn)] == [(rule.id, person.id, 2027), (rule.id, person.id, 2028)]


# -- late, and not a day late


def test_an_engine_that_was_down_in_the_morning_greets_in_the_afternoon(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    town.rule(send_at=9 * 60)
    town.run(at("2026-09-24", "20:00"))
    town.restart()
    assert len(town.run(at("2026-09-25", "16:10"))) == 1


def test_an_engine_that_was_down_all_day_does_not_greet_a_day_late(town: Town) -> None:
    town.person(birthday=Day(GREGORIAN, 9, 25))
    town.rule(send_at=9 * 60)
    town.run(at("2026-09-24", "20:00"))
    assert town.run(at("2026-09-26", "00:10")) == []
    assert town.run(at("2026-09-26", "10:00")) == []
    with town.store.read() as txn:
        assert MARKS.count(txn) == 0


def test_a_rule_may_end_before_the_day_does(town: Town) -> None:
    for _ in range(2):
        town.person(birthday=Day(GREGORIAN, 9, 25))
    town.rule(send_at=9 * 60, send_until=11 * 60)
    assert [message.expires_ms for message in town.run(at("2026-09-25", "10:59"))] == [at("2026-09-25", "11:00")] * 2
    town.rule(send_at=9 * 60, send_until=11 * 60)
    assert town.run(at("2026-09-25", "11:00")) == []


def test_a_birthday_that_is_entered_in_the_afternoon_is_greeted_by_the_evening(town: Town) -> None:
    person = town.person()
    town.rule()
    assert town.run(at("2026-09-25", "12:00")) == []
    town.do(customers.change, person.id, {"birthday": Day(GREGORIAN, 9, 25)}, None, town.now_ms)
    found = [town.run(at("2026-09-25", f"{hour}:01")) for hour in range(13, 19)]
    assert sum(len(sent) for sent in found) == 1


def test_a_day_of_23_or_25_hours_gives_one_text(town: Town) -> None:
    """Clocks in Berlin skip 02:30 on 29 March 2026, and show it twice on 25 October."""
    for month, day in ((3, 29), (10, 25)):
        town.person(birthday=Day(GREGORIAN, month, day), time_zone="Europe/Berlin")
    town.rule(send_at=2 * 60 + 30)
    found = []
    for eve in ("2026-03-28T22:00", "2026-10-24T22:00"):
        for minutes in range(0, 27 * 60, 10):
            moment = utc(eve) + minutes * 60_000
            found += [datetime.fromtimestamp(moment / 1000, UTC).isoformat()[:16]] * len(town.run(moment))
    assert found == ["2026-03-29T01:30", "2026-10-25T00:30"]


# -- whose day it is


def test_a_special_day_is_greeted_under_its_name_and_from_its_year_on(town: Town) -> None:
    wedding = SpecialDay("Wedding", Day(GREGORIAN, 5, 20, 2027))
    town.person(special_days=(wedding, SpecialDay("car", Day(GREGORIAN, 5, 21))))
    town.rule("special:wedding", texts={"en": "It is {years:no} years"})
    assert town.days_of("2026-05-18", "2026-05-23") == []
    assert town.days_of("2027-05-18", "2027-05-23") == ["2027-05-20"]
    assert town.days_of("2029-05-18", "2029-05-23") == ["2029-05-20"]
    assert [message.text for message in town.texts()] == ["It is no years", "It is 2 years"]


def test_a_field_with_a_day_comes_every_year_and_one_with_a_date_once(town: Town) -> None:
    taken = frozenset[str]()
    yearly = town.do(fields.add, FieldDef(0, "renewal", "day"), taken, NOW_MS).id
    once = town.do(fields.add, FieldDef(0, "policy_end", "date"), taken, NOW_MS).id
    attrs = {yearly: [0, 6, 1, 0, 0], once: date(2027, 7, 1).toordinal()}
    town.person(attrs=attrs)
    town.rule("field:renewal", texts={"en": "a"})
    town.rule("field:policy_end", texts={"en": "b"}, offset_days=-30, purpose="service")
    found = dict[str, list[str]]()
    for year in (2026, 2027, 2028):
        town.days_of(f"{year}-05-29", f"{year}-06-03")
    for message in town.texts():
        found.setdefault(message.text, []).append(str(datetime.fromtimestamp(message.due_ms / 1000, UTC).date()))
    assert found == {"a": ["2026-06-01", "2027-06-01", "2028-06-01"], "b": ["2027-06-01"]}


def test_a_year_of_membership_and_of_acquaintance_is_greeted_from_the_first_on(town: Town) -> None:
    member, _ = town.person(name="M"), town.person(name="C")
    joined_ms = at("2026-03-01", "00:30")  # the day before, in UTC
    town.do(points.enrol, member.id, "tests", joined_ms, ZONE)
    town.rule("membership_year", texts={"en": "{name} {years}"})
    town.rule("created_year", texts={"en": "{name} {years}"})
    assert town.days_of("2026-02-27", "2026-03-03") == []
    assert town.days_of("2028-02-27", "2028-03-03") == ["2028-03-01"]
    assert len(town.days_of("2027-01-03", "2027-01-07")) == 2
    assert sorted(message.text for message in town.texts()) == ["C 1", "M 1", "M 2"]


def test_a_segment_narrows_a_rule_for_a_day_and_for_a_festival(town: Town) -> None:
    gold = town.do(tags.require, ["gold"], NOW_MS)
    town.do(segments.add, "Guests", "tag:gold", NOW_MS)
    for known in ({"tags": gold, "name": "Gold"}, {"name": "Other"}):
        town.person(birthday=Day(GREGORIAN, 9, 25), **known)
    with town.store.read() as txn:
        by_name = greetings.read_segment(txn, " guests ")
        by_text = greetings.read_segment(txn, "tag:gold and name = Gold")
        with pytest.raises(NotFound):
            greetings.read_segment(txn, "segment:nobody")
    town.rule(texts={"en": "{name}"}, segment=by_name)
    town.rule("festival:mid_autumn", texts={"en": "{name} {festival}"}, segment=by_text)
    assert [message.text for message in town.run(at("2026-09-25"))] == ["Gold", "Gold Mid-Autumn Festival"]


def test_a_house_has_festivals_of_its_own_before_those_that_are_shipped(town: Town) -> None:
    town.person()
    own = Festival("founding", {"en": "Founding Day"}, Fixed(5, 4))
    moved = Festival("mid_autumn", {"en": "Moon Day"}, Chinese(8, 16))
    town.do(house_days.put_festivals, {"founding": own, "mid_autumn": moved}, NOW_MS)
    rule = town.rule("festival:founding", texts={"en": "{festival}"})
    town.rule("festival:mid_autumn", texts={"en": "{festival}"})
    assert town.days_of("2026-05-02", "2026-05-06") == ["2026-05-04"]
    assert town.days_of("2026-09-24", "2026-09-27") == ["2026-09-26"]
    assert [message.text for message in town.texts()] == ["Founding Day", "Moon Day"]
    with pytest.raises(Conflict):
        town.do(greetings.remove_festival, "founding", NOW_MS)
    town.do(greetings.remove_festival, "mid_autumn", NOW_MS)
    assert town.days_of("2027-09-14", "2027-09-17") == ["2027-09-15"]
    town.do(greetings.pause, rule.id, None, NOW_MS)
    town.do(greetings.remove, rule.id, None, NOW_MS)
    town.do(greetings.remove_festival, "founding", NOW_MS)


# -- what is sent


def test_the_text_is_in_the_persons_language_and_says_what_it_knows(town: Town) -> None:
    texts = {"en": "{house} {name:guest} {day}", "zh": "{house}祝{name:您}"}
    for language in ("zh-Hans-CN", "en-GB", "fr", ""):
        town.person(birthday=Day(GREGORIAN, 9, 25), language=language, name="")
    town.rule(texts=texts)
    assert [message.text for message in town.run(at("2026-09-25"))] == [
        "荷花酒店祝您", "Lotus Hotel guest 2026-09-25", "Lotus Hotel guest 2026-09-25", "Lotus Hotel guest 2026-09-25",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("zh-Hans-CN", "zh-Hans"), ("zh-Hant", "zh-Hans"), ("en-GB", "en"), ("fr", "de"), ("", "de")],
)
def test_the_nearest_language_is_taken(wanted: str, found: str) -> None:
    assert greeting_runs.nearest({"en": "", "zh-Hans": "", "de": ""}, wanted, "de-AT") == found


def test_a_greeting_is_a_text_of_its_own_that_ends_with_the_day(town: Town) -> None:
    person = town.person(birthday=Day(GREGORIAN, 9, 25))
    rule = town.rule()
    (message,) = town.run(at("2026-09-25"))
    assert (message.source, message.client_ref) == ("greeting", greetings.name_of(rule.id))
    assert (message.number, message.purpose, message.lane) == (person.number, "marketing", Lane.BULK)
    assert message.expires_ms == at("2026-09-26", "00:00")
    (told,) = town.told("greeting.sent")
    assert (told.subject, told.detail) == (greetings.name_of(rule.id), {"sent": 1, "refused": 0, "incomplete": 0})


def test_a_coupon_is_each_receivers_own_and_issued_with_the_text(town: Town) -> None:
    people = [town.person(birthday=Day(GREGORIAN, 9, 25)) for _ in range(110)]
    terms = Terms("amount", 2_000, "CNY")
    rule = town.rule(texts={"en": "Your code is {coupon}"}, coupon=terms, coupon_days=30)
    sent = town.run(at("2026-09-25"))
    with town.store.read() as txn:
        given = list(coupons.listed(txn, 0, 1_000))
        for message in sent:
            _, coupon = coupons.find(txn, PEPPER, message.text.rpartition(" ")[2])
            assert CUSTOMERS.get(txn, coupon.customer).number == message.number
            assert coupon.terms.valid_to == date(2026, 10, 25).toordinal()
            assert coupon.source == greetings.name_of(rule.id)
    assert (len(given), len({message.text for message in sent})) == (len(people), 110)
    assert [event.detail["count"] for event in town.told("coupon.issued")] == [100, 10]


def test_who_did_not_agree_gets_no_marketing_and_no_coupon_but_a_reminder(town: Town) -> None:
    person = town.person(birthday=Day(GREGORIAN, 9, 25), agrees=False)
    town.rule(texts={"en": "{coupon}"}, coupon=Terms("gift", gift="Tea"))
    town.rule(texts={"en": "Your table is laid"}, purpose="service")
    (message,) = town.run(at("2026-09-25"))
    assert (message.purpose, town.told("coupon.issued")) == ("service", [])
    town.do(agreement.add, person.number, "marketing", Consent(Status.GRANTED, "web", "", NOW_MS))
    later = [town.run(at("2026-09-25", f"{hour}:00")) for hour in range(13, 20)]
    assert [message.purpose for sent in later for message in sent] == ["marketing"]


def test_who_lacks_what_the_text_speaks_of_is_passed_over_and_counted(town: Town) -> None:
    for name in ("", "Ann"):
        town.person(birthday=Day(GREGORIAN, 9, 25), name=name)
    town.rule(texts={"en": "Dear {name}"})
    assert [message.text for message in town.run(at("2026-09-25"))] == ["Dear Ann"]
    assert town.told("greeting.sent")[0].detail == {"sent": 1, "refused": 0, "incomplete": 1}
