"""Greeting runs: who is to be greeted now, and greeting them.

1. Somebody is greeted on the day that his occurrence and the rule's offset lead to, by the calendar where he lives (his
   own zone, else his region's, else the house's), from the rule's `send_at` to its `send_until`.  An engine that was
   down in the morning still greets in the afternoon; one that was down all day does not greet a day late.
2. The mark of rule, person and year is written in the change that queues the text.  So a second run, a restart or a
   clock that was set back never makes two.
3. Who may not be texted by the rule's purpose is passed over before a coupon is issued for him, and left without a
   mark; the gate asks again when the text is claimed.  At `send_until` a text that waits expires.
4. Looking is done in snapshots, a few people at a time; only greeting is a change.
"""

import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from engine import sms
from engine.config import House
from engine.crm.marketing import codes, coupons, days, greetings, templates
from engine.crm.marketing.greetings import MARKS, RULES, Rule, State
from engine.crm.marketing.occasions import Occasion
from engine.crm.people import audience, dates, permission, regions, segments
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.programs import compile_condition
from engine.crm.people.zones import clock
from engine.errors import CodecError, Invalid
from engine.store.table import Txn
from engine.traffic import events, messages
from engine.traffic.messages import Message

LOOKED: Final = 200  # people in one step
KEPT_YEARS: Final = 2  # that a mark is kept behind the one it is of

# The first and the last day that it may be anywhere.
_FIRST_ZONE: Final = "Etc/GMT+12"
_LAST_ZONE: Final = "Etc/GMT-14"
_SAMPLE_CODE: Final = "7K3M9QT4"


class Zones:
    """Where people live, by one snapshot."""

    def __init__(self, txn: Txn, house: str) -> None:
        self._txn = txn
        self._house = house
        self._regions: dict[int, str] = {}
        self._known: dict[str, bool] = {}

    def of(self, person: Customer) -> str:
        """The person's own time zone, else that of his region, else the house's."""
        if person.time_zone and self._is_known(person.time_zone):
            return person.time_zone
        if not person.region:
            return self._house
        if person.region not in self._regions:
            self._regions[person.region] = regions.zone_of(self._txn, person.region) or self._house
        return self._regions[person.region]

    def _is_known(self, zone: str) -> bool:
        """Whether there is a clock of that name, still: one that was renamed must not stop everybody's greeting."""
        if zone not in self._known:
            try:
                clock(zone)
                self._known[zone] = True
            except Invalid:
                self._known[zone] = False
        return self._known[zone]


class Found(NamedTuple):
    """Ids of people who are `due`, and zones in which somebody has his day; `after` is where to go on, or None."""

    after: bytes | None
    due: list[int]
    zones: frozenset[str]


class Greeted(NamedTuple):
    """How many were texted, may not be, or lack what the text speaks of; and the messages."""

    refused: int = 0
    incomplete: int = 0
    messages: tuple[int, ...] = ()


# -- looking


def days_now(now_ms: int) -> list[date]:
    """The days that it is somewhere."""
    first, last = dates.today(now_ms, _FIRST_ZONE), dates.today(now_ms, _LAST_ZONE)
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]


def year_now(txn: Txn, rule: Rule, occasion: Occasion, person: Customer, zone: str, now_ms: int) -> int | None:
    """Of which year the person's occurrence is that he is to be greeted for now; None where he is not."""
    today = dates.today(now_ms, zone)
    year = occasion.year_of(txn, person, zone, today - timedelta(days=rule.offset_days))
    if year is None or not dates.moment_ms(today, rule.send_at, zone) <= now_ms < _end_ms(rule, today, zone):
        return None
    return year


def _end_ms(rule: Rule, today: date, zone: str) -> int:
    """When the greeting of that day is too late."""
    return dates.moment_ms(today, rule.send_until, zone)


def look(txn: Txn, rule: Rule, after: bytes, now_ms: int, house_zone: str) -> Found:
    """Whom to greet now among the next few people behind the key `after`.

    Raises Invalid where what the rule speaks of is no more, or a day is beyond the tables of the calendars.
    """
    occasion = greetings.occasion_of(txn, rule)
    asked = [on - timedelta(days=rule.offset_days) for on in days_now(now_ms)]
    behind, people = candidates(txn, rule, occasion, asked, after, now_ms, house_zone)
    zones, due = Zones(txn, house_zone), []
    seen = set[str]()
    for person in people:
        zone = zones.of(person)
        if not any(occasion.year_of(txn, person, zone, on) is not None for on in asked):
            continue
        seen.add(zone)
        year = year_now(txn, rule, occasion, person, zone, now_ms)
        if year is not None and MARKS.find(txn, (rule.id, person.id, year)) is None:
            due.append(person.id)
    return Found(behind, due, frozenset(seen))


def candidates(
    txn: Txn, rule: Rule, occasion: Occasion, days_: Sequence[date], after: bytes, now_ms: int, house_zone: str
) -> tuple[bytes | None, list[Customer]]:
    """(the key to go on behind, None at the end; of the next few people those who may have it on one of these days).

    Whom the rule's segment does not take is left out.
    """
    possible = [on for on in days_ if occasion.could_be(on)]
    if not possible:
        return None, []
    if occasion.index is None:
        items = CUSTOMERS.stretch(txn, after, LOOKED)
        behind = items[-1][0] if len(items) == LOOKED else None
    else:
        behind, found = _by_index(txn, occasion, possible, after)
        packed = [identifier.to_bytes(8, "big") for identifier in sorted(found)]
        items = [(key, octets) for key in packed if (octets := CUSTOMERS.octets(txn, key)) is not None]
    condition = greetings.condition_of(txn, rule)
    if condition is None:
        return behind, [CUSTOMERS.decode(int.from_bytes(key, "big"), octets) for key, octets in items]
    if not items:
        return behind, []
    known, resolve = segments.words_of(txn), segments.resolver(txn)
    compiled = compile_condition(txn, condition, known, resolve, now_ms, house_zone)
    taken = set(audience.judged(txn, compiled, items))
    people = [(int.from_bytes(key, "big"), octets) for key, octets in items]
    return behind, [CUSTOMERS.decode(identifier, octets) for identifier, octets in people if identifier in taken]


def _by_index(txn: Txn, occasion: Occasion, possible: Sequence[date], after: bytes) -> tuple[bytes | None, set[int]]:
    """People who stand under one of the days, a few behind the packed key `after`."""
    index = occasion.index
    if index is None:
        raise TypeError(occasion)
    found, last = set[int](), b""
    for key in sorted({key for on in possible for key in occasion.keys_on(on)}):
        low = index.layout.pack(*key, 0)
        if after > index.layout.pack(*key, (1 << 64) - 1):
            continue
        behind = index.layout.unpack(after) if after > low else None
        for entry in index.scan(txn, *key, after=behind):
            found.add(entry[-1])
            last = index.layout.pack(*entry)
            if len(found) >= LOOKED:
                return last, found
    return None, found


# -- greeting


def greet(
    txn: Txn,
    identifier: int,
    people: Sequence[int],
    now_ms: int,
    house: House,
    pepper: bytes,
    draw: codes.Draw = secrets.token_bytes,
) -> Greeted:
    """Text those of `people` whose day it is and who were not greeted for it: once, with their coupons.

    Whoever is not due any more, or whose rule is not active any more, is passed over.  Raises Invalid as `look` does.
    """
    rule = RULES.find(txn, identifier)
    if rule is None or rule.state is not State.ACTIVE:
        return Greeted()
    occasion, zones, writer = greetings.occasion_of(txn, rule), Zones(txn, house.time_zone), Writer(txn, rule, house)
    chosen: list[tuple[Customer, int, int]] = []
    refused = incomplete = 0
    for customer in people:
        person = CUSTOMERS.find(txn, customer)
        if person is None:
            continue
        zone = zones.of(person)
        year = year_now(txn, rule, occasion, person, zone, now_ms)
        if year is None or MARKS.find(txn, (rule.id, person.id, year)) is not None:
            continue
        expires_ms = _end_ms(rule, dates.today(now_ms, zone), zone)
        if not permission.may_text(txn, _message(rule, person, "", expires_ms), pepper).sends:
            refused += 1
        elif writer.write(person, zone, now_ms, codes.grouped(_SAMPLE_CODE)) is None:
            incomplete += 1
        else:
            chosen.append((person, year, expires_ms))
    given = _issue(txn, rule, [person.id for person, _, _ in chosen], now_ms, house, pepper, draw)
    sent: list[int] = []
    for person, year, expires_ms in chosen:
        text = writer.write(person, zones.of(person), now_ms, given.get(person.id, ""))
        if text is None:
            raise TypeError(person.id)  # it could be written a moment ago
        message = messages.enqueue(txn, _message(rule, person, text, expires_ms), now_ms)
        MARKS.add(txn, (rule.id, person.id, year), message.id)
        sent.append(message.id)
    if sent:
        counts = {"sent": len(sent), "refused": refused, "incomplete": incomplete}
        events.append(txn, "greeting.sent", now_ms, greetings.name_of(rule.id), **counts)
    return Greeted(refused, incomplete, tuple(sent))


def _message(rule: Rule, person: Customer, text: str, expires_ms: int) -> Message:
    return Message(
        0,
        person.number,
        text,
        rule.purpose,
        greetings.SENT_BY,
        client_ref=greetings.name_of(rule.id),
        source=greetings.SOURCE,
        expires_ms=expires_ms,
    )


def _issue(
    txn: Txn,
    rule: Rule,
    people: list[int],
    now_ms: int,
    house: House,
    pepper: bytes,
    draw: codes.Draw,
) -> dict[int, str]:
    """A coupon of its own for each; their codes as they are written."""
    if rule.coupon is None or not people:
        return {}
    terms = rule.coupon
    if rule.coupon_days:
        terms = msgspec.structs.replace(terms, valid_to=days.of(now_ms, house.time_zone) + rule.coupon_days)
    source = greetings.name_of(rule.id)
    issued = coupons.issue(txn, pepper, terms, source, now_ms, customers=people, source=source, draw=draw)
    return {one.coupon.customer: codes.grouped(one.code) for one in issued}


class Writer:
    """Writes what a rule says, to one person after the other."""

    def __init__(self, txn: Txn, rule: Rule, house: House) -> None:
        self._txn = txn
        self._rule = rule
        self._house = house
        self._occasion = greetings.occasion_of(txn, rule)
        self._parsed = {language: templates.parse(text) for language, text in rule.texts.items()}

    def write(self, person: Customer, zone: str, now_ms: int, code: str) -> str | None:
        """The text in the person's language; None where he lacks what it speaks of, or it is too long."""
        return self.write_for(person, zone, dates.today(now_ms, zone), code)

    def write_for(self, person: Customer, zone: str, today: date, code: str) -> str | None:
        """The same as if it were `today`."""
        on = today - timedelta(days=self._rule.offset_days)
        language = nearest(self._rule.texts, person.language, self._house.language)
        values = {
            "name": person.name,
            "house": self._house.name_zh if language.partition("-")[0] == "zh" else self._house.name_en,
            "coupon": code,
            "day": on.isoformat(),
            "years": self._years(person, zone, on),
        }
        festival = self._occasion.festival
        if festival is not None:
            values["festival"] = festival.name[nearest(festival.name, language, self._house.language)]
        try:
            text = templates.render(self._parsed[language], values)
            sms.measure(text)
        except (Invalid, CodecError):
            return None
        return text

    def _years(self, person: Customer, zone: str, on: date) -> str:
        """How often it came since, where the year was said."""
        year = self._occasion.year_of(self._txn, person, zone, on)
        for kept in self._occasion.days_of(self._txn, person, zone):
            if year is not None and kept.day.year and year > kept.day.year:
                window = dates.window(on, 1, leap_month=self._rule.leap_month, feb29=self._rule.feb29)
                if dates.holds(window, kept.day):
                    return str(year - kept.day.year)
        return ""


def nearest(texts: dict[str, str], *languages: str) -> str:
    """Of the languages that there are the first one wanted, or the nearest wider one; the first that there is.

    zh-Hans-CN takes zh-Hans, then zh, and then any other zh.
    """
    for wanted in languages:
        language = wanted
        while language:
            if language in texts:
                return language
            language = language.rpartition("-")[0]
        primary = wanted.partition("-")[0]
        for known in texts:
            if primary and known.partition("-")[0] == primary:
                return known
    return next(iter(texts))


# -- what will be


class Judged(NamedTuple):
    """Somebody who has his day, what becomes of his greeting, and what it says."""

    customer: int
    verdict: Literal["due", "greeted", "refused", "incomplete"]
    text: str


def judge(
    txn: Txn, rule: Rule, day: date, after: bytes, now_ms: int, house: House, pepper: bytes
) -> tuple[bytes | None, list[Judged]]:
    """(the key to go on behind; the people whom the rule greets on `day`) of the next few, whatever hour it is.

    Raises Invalid as `look` does.
    """
    occasion, on = greetings.occasion_of(txn, rule), day - timedelta(days=rule.offset_days)
    behind, people = candidates(txn, rule, occasion, [on], after, now_ms, house.time_zone)
    zones, writer = Zones(txn, house.time_zone), Writer(txn, rule, house)
    judged: list[Judged] = []
    for person in people:
        zone = zones.of(person)
        year = occasion.year_of(txn, person, zone, on)
        if year is None:
            continue
        text = writer.write_for(person, zone, day, codes.grouped(_SAMPLE_CODE))
        if MARKS.find(txn, (rule.id, person.id, year)) is not None:
            judged.append(Judged(person.id, "greeted", text or ""))
        elif not permission.may_text(txn, _message(rule, person, "", 0), pepper).sends:
            judged.append(Judged(person.id, "refused", ""))
        else:
            judged.append(Judged(person.id, "due" if text else "incomplete", text or ""))
    return behind, judged


def days_of(
    txn: Txn, rule: Rule, first: date, count: int, after: bytes, now_ms: int, house_zone: str
) -> tuple[bytes | None, list[tuple[int, date]]]:
    """(the key to go on behind; who is greeted next, and on which day) of the next few people.

    From the day `first` on so many days.  Raises Invalid as `look` does.
    """
    occasion = greetings.occasion_of(txn, rule)
    begin = first - timedelta(days=rule.offset_days)
    asked = [begin + timedelta(days=later) for later in range(count)]
    behind, people = candidates(txn, rule, occasion, asked, after, now_ms, house_zone)
    zones, greeted = Zones(txn, house_zone), list[tuple[int, date]]()
    for person in people:
        on = occasion.next_of(txn, person, zones.of(person), begin)
        if on is not None and on <= asked[-1]:
            greeted.append((person.id, on + timedelta(days=rule.offset_days)))
    return behind, greeted


# -- what is kept


def still_waiting(txn: Txn, sent: Sequence[int]) -> list[int]:
    """Those of the messages that nobody has begun to send."""
    found = ((identifier, messages.find(txn, identifier)) for identifier in sent)
    return [identifier for identifier, message in found if message is not None and message.state in messages.WAITING]


def forget(txn: Txn, after: bytes, now_ms: int, entries: int) -> bytes | None:
    """Remove the marks of what was two years ago or more, and of rules that are gone.

    A step: it begins behind the key `after`, looks at so many, and gives the key to go on behind, or None.
    """
    horizon = dates.today(now_ms, "UTC").year - KEPT_YEARS
    keys = MARKS.keys(txn, after, entries)
    known: dict[int, bool] = {}
    for key in keys:
        rule, customer, year = MARKS.layout.unpack(key)
        if rule not in known:
            known[rule] = RULES.find(txn, rule) is not None
        if year < horizon or not known[rule]:
            MARKS.remove(txn, (rule, customer, year))
    return keys[-1] if len(keys) == entries else None
