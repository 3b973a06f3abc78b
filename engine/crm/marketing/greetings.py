"""Greetings: rules by which a person is texted once a year, on a day of his own or on a festival.

    draft ──activate──► active ◄──activate/pause──► paused

A wish that offers something is marketing and goes to those who agreed to that; a reminder is service.  Who is greeted
when is decided in greeting_runs.py, what the words of `when` mean in occasions.py.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import msgspec

from engine.crm.marketing import coupons, house_days, occasions, templates
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.occasions import Occasion
from engine.crm.people import condition_json, customers, dates, segments
from engine.crm.people.conditions import Condition, SegmentRef, segments_in
from engine.crm.people.dates import Feb29, LeapMonth
from engine.errors import Conflict, Invalid, InvalidParam, NotFound, Stale
from engine.store import ids
from engine.store.table import Line, Txn, Unique
from engine.traffic import events, messages
from engine.traffic.messages import Lane

RULES_MOST: Final = 200
NAME_LONGEST: Final = 200  # characters
TEXT_LONGEST: Final = 10_000  # characters, before merge values
TEXTS_MOST: Final = 50  # languages
OFFSET_DAYS: Final = 365
VALID_DAYS: Final = 3_650
PURPOSES: Final = ("marketing", "service")
# What a text may speak of; the years since are known only where the year was said.
VALUES: Final = ("name", "house", "coupon", "festival", "day", "years")

DAY_MINUTES: Final = 1440
SOURCE: Final = "greeting"  # of the messages
# Nobody waits for it: a single text of somebody who works goes first.
SENT_BY: Final = Lane.BULK
COUPONS_SEEN: Final = 100  # of one person, the newest, that are looked at for one that was never told

_LINK: Final = re.compile(r"https?://|\bwww\.", re.IGNORECASE)
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


class State(StrEnum):
    """Where a rule stands; only an active one greets."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """A rule.  The text goes `offset_days` after the day that `when` names (before it where negative), when clocks
    there show `send_at`, and not after `send_until`, both in minutes from midnight.

    `texts` are templates by language; `segment` is a condition as JSON, None for everybody.  `coupon` is issued to each
    who is greeted, and good for `coupon_days` from then on where that is not 0.  `is_offer` says of a text without
    coupon or link that it offers something.
    """

    id: int
    name: str
    when: str
    texts: dict[str, str]
    offset_days: int = 0
    send_at: int = 9 * 60
    leap_month: LeapMonth = "first"
    feb29: Feb29 = "before"
    purpose: str = "marketing"
    is_offer: bool = False
    segment: dict[str, Any] | None = None
    coupon: Terms | None = None
    coupon_days: int = 0
    state: State = State.DRAFT
    created_ms: int = 0
    created_by: str = ""
    updated_ms: int = 0
    updated_by: str = ""
    version: int = 1
    send_until: int = DAY_MINUTES


RULES: Final = Line("greetings", Rule)
# The message that a person got by a rule for a year's occurrence: written with it, so that there is never a second.
MARKS: Final = Unique("greeting_marks", "QQH")  # rule, customer, year

TABLES: Final = (RULES, MARKS)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("grt", identifier)


def get(txn: Txn, identifier: int) -> Rule:
    """The rule.  Raises NotFound."""
    rule = RULES.find(txn, identifier)
    if rule is None:
        raise NotFound("there is no such greeting")
    return rule


def listed(txn: Txn, after: int, limit: int) -> list[Rule]:
    """Up to `limit` rules behind the id `after`, the oldest first."""
    return [rule for _, rule in islice(RULES.scan(txn, after=after or None), limit)]


def active(txn: Txn) -> Iterator[Rule]:
    """The rules that greet now."""
    return (rule for _, rule in RULES.scan(txn) if rule.state is State.ACTIVE)


def occasion_of(txn: Txn, rule: Rule) -> Occasion:
    """What the rule's words mean now.  Raises Invalid where a field or festival is no more."""
    return occasions.find(txn, rule.when, rule.leap_month, rule.feb29)


def condition_of(txn: Txn, rule: Rule) -> Condition | None:
    """Whom the rule takes, None for everybody.  Raises Invalid where a field that it speaks of is no more."""
    return None if rule.segment is None else segments.read(txn, rule.segment, "segment")


def read_segment(txn: Txn, said: str | dict[str, Any]) -> dict[str, Any]:
    """The condition as JSON that a segment's name or a condition in either form stands for.

    Raises Invalid naming the place, NotFound for a segment that there is not.
    """
    if isinstance(said, str) and segments.find(txn, said) is not None:
        return condition_json.to_json(SegmentRef(" ".join(said.split())))
    condition = segments.read(txn, said, "segment")
    for name in segments_in(condition):
        if segments.find(txn, name) is None:
            raise NotFound(f"there is no segment {name!r}")
    return condition_json.to_json(condition)


# -- what may stand in a rule


def check(txn: Txn, rule: Rule, now_ms: int, zone: str) -> None:
    """Raises Invalid naming every field that is wrong; `offer_needs_marketing` where a service rule offers something.

    A year beyond the tables of the calendars is told here, and not passed over when it comes.
    """
    wrong = [*_wrong(rule), *_wrong_texts(rule)]
    if wrong:
        raise Invalid(*wrong)
    if rule.coupon is not None:
        coupons.check(rule.coupon)
    offers = next(_offers(rule), None)
    if rule.purpose == "service" and offers is not None:
        reason = f"is service, and {offers}: what offers something is marketing"
        raise Invalid(InvalidParam("purpose", reason), code="offer_needs_marketing")
    occasion, today = occasion_of(txn, rule), dates.today(now_ms, zone)
    condition_of(txn, rule)
    # The furthest day that this rule looks at within a year from now must be one that the tables have.
    edge = today + timedelta(days=366 - rule.offset_days)
    try:
        occasion.keys_on(edge)
        comes = occasion.festival is None or house_days.next_on(
            occasion.festival, today - timedelta(days=rule.offset_days)
        )
    except Invalid as error:
        raise Invalid(InvalidParam("when", f"leads to a day in a year that {error.params[0].reason}")) from error
    if not comes:
        raise Invalid(InvalidParam("when", "is a festival that comes no more: give it days to come"))


def _wrong(rule: Rule) -> Iterator[InvalidParam]:
    if not 0 < len(rule.name.strip()) <= NAME_LONGEST:
        yield InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters")
    if abs(rule.offset_days) > OFFSET_DAYS:
        yield InvalidParam("offset_days", f"is not -{OFFSET_DAYS} to {OFFSET_DAYS}")
    if not 0 <= rule.send_at < DAY_MINUTES:
        yield InvalidParam("send_at", "is no time of day")
    elif not rule.send_at < rule.send_until <= DAY_MINUTES:
        yield InvalidParam("send_until", "is not after send_at on the same day")
    if rule.purpose not in PURPOSES:
        yield InvalidParam("purpose", f"is none of {', '.join(PURPOSES)}")
    if not 0 <= rule.coupon_days <= VALID_DAYS:
        yield InvalidParam("coupon_days", f"is not 0 to {VALID_DAYS}")
    if rule.coupon_days and (rule.coupon is None or rule.coupon.valid_to):
        yield InvalidParam("coupon_days", "is for a coupon without a last day")
    if not 0 < len(rule.texts) <= TEXTS_MOST:
        yield InvalidParam("text", f"is not in 1 to {TEXTS_MOST} languages")


def _wrong_texts(rule: Rule) -> Iterator[InvalidParam]:
    known = {name for name in VALUES if name != "coupon" or rule.coupon is not None}
    if not rule.when.startswith("festival:"):
        known.discard("festival")
    for language, text in rule.texts.items():
        field = f"text.{language}"
        if not _LANGUAGE.fullmatch(language):
            yield InvalidParam(field, "is no language tag as en or zh-Hans")
        if not 0 < len(text) <= TEXT_LONGEST:
            yield InvalidParam(field, f"is not 1 to {TEXT_LONGEST} characters")
            continue
        named = templates.parse(text, field).fields
        for name in named:
            if name not in known:
                yield InvalidParam(field, f"{{{name}}} is nothing that this greeting knows")
        if rule.coupon is not None and "coupon" not in named:
            yield InvalidParam(field, "does not tell the code: write {coupon} where it belongs")


def _offers(rule: Rule) -> Iterator[str]:
    """Why the rule's text is an offer."""
    if rule.coupon is not None:
        yield "has a coupon"
    if any(_LINK.search(text) for text in rule.texts.values()):
        yield "has a link"
    if rule.is_offer:
        yield "is an offer"


# -- changing


def add(txn: Txn, rule: Rule, now_ms: int, zone: str, by: str = "") -> Rule:
    """Store a new draft.  Raises Invalid naming the field, Conflict where there are too many."""
    if RULES.count(txn) >= RULES_MOST:
        raise Conflict(f"there are {RULES_MOST} greetings: no more")
    check(txn, rule, now_ms, zone)
    rule = msgspec.structs.replace(
        rule,
        id=ids.take(txn, now_ms),
        state=State.DRAFT,
        created_ms=now_ms,
        created_by=by,
        updated_ms=now_ms,
        updated_by=by,
        version=1,
    )
    RULES.put(txn, rule.id, rule)
    events.append(txn, "greeting.created", now_ms, name_of(rule.id), name=rule.name, when=rule.when)
    return rule


def change(
    txn: Txn, identifier: int, changes: dict[str, Any], version: int | None, now_ms: int, zone: str, by: str = ""
) -> Rule:
    """Replace fields; an active rule goes on by the new ones, and greets nobody twice a year for all that.

    Raises NotFound, Invalid, and Stale where `version` is given and is not the stored one.
    """
    old = get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the greeting has version {old.version}, not {version}")
    new: Rule = msgspec.structs.replace(old, **changes)
    check(txn, new, now_ms, zone)
    return _store(txn, new, "greeting.changed", now_ms, by)


def activate(txn: Txn, identifier: int, version: int | None, now_ms: int, zone: str, by: str = "") -> Rule:
    """Let it greet: from today on, also those whose hour was earlier today.

    Raises NotFound, Stale, Conflict where it is active, and Invalid where what it needs is no more.
    """
    old = _moving(txn, identifier, version, (State.DRAFT, State.PAUSED))
    check(txn, old, now_ms, zone)
    return _store(txn, msgspec.structs.replace(old, state=State.ACTIVE), "greeting.activated", now_ms, by)


def pause(txn: Txn, identifier: int, version: int | None, now_ms: int, by: str = "") -> Rule:
    """Let it greet nobody from now on: texts that wait are cancelled, as if there had been none, coupons with them.

    Raises NotFound, Stale, Conflict unless it is active.
    """
    old = _moving(txn, identifier, version, (State.ACTIVE,))
    cancelled = _recall(txn, old, now_ms, by)
    paused = msgspec.structs.replace(old, state=State.PAUSED)
    return _store(txn, paused, "greeting.paused", now_ms, by, cancelled=cancelled)


def _recall(txn: Txn, rule: Rule, now_ms: int, by: str) -> int:
    """Cancel the rule's texts of which nothing was sent, so that their people can be greeted again; how many."""
    waiting = [
        message
        for (_, _, identifier), due in messages.DUE.scan(txn, SENT_BY)
        if not due.group
        and (message := messages.find(txn, identifier)) is not None
        and (message.source, message.client_ref) == (SOURCE, name_of(rule.id))
        and message.state in messages.WAITING
    ]
    messages.cancel_all(txn, [message.id for message in waiting], "greeting_paused", now_ms)
    for message in waiting:
        person = customers.find_by_number(txn, message.number)
        if person is None:
            continue
        for key, greeted in list(MARKS.scan(txn, rule.id, person.id)):
            if greeted == message.id:
                MARKS.remove(txn, key)
        for identifier, coupon in list(coupons.listed(txn, 0, COUPONS_SEEN, person.id)):
            is_of_it = coupon.source == name_of(rule.id) and coupon.created_ms == ids.created_ms(message.id)
            if is_of_it and coupon.state is coupons.State.ISSUED:
                coupons.void(txn, identifier, by or "carillon", "the greeting was not sent", now_ms)
    return len(waiting)


def remove(txn: Txn, identifier: int, version: int | None, now_ms: int) -> None:
    """Take the rule away; its marks go with upkeep.  Raises NotFound, Stale, Conflict while it is active."""
    _moving(txn, identifier, version, (State.DRAFT, State.PAUSED))
    RULES.remove(txn, identifier)
    events.append(txn, "greeting.removed", now_ms, name_of(identifier))


def _moving(txn: Txn, identifier: int, version: int | None, wanted: tuple[State, ...]) -> Rule:
    old = get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the greeting has version {old.version}, not {version}")
    if old.state not in wanted:
        raise Conflict(f"the greeting is {old.state}, not {' or '.join(wanted)}", code="greeting_state")
    return old


def _store(txn: Txn, rule: Rule, kind: str, now_ms: int, by: str, **detail: Any) -> Rule:
    rule = msgspec.structs.replace(rule, version=rule.version + 1, updated_ms=now_ms, updated_by=by)
    RULES.put(txn, rule.id, rule)
    events.append(txn, kind, now_ms, name_of(rule.id), name=rule.name, **detail)
    return rule


def remove_festival(txn: Txn, identifier: str, now_ms: int) -> None:
    """Take the house's own festival away.  Raises NotFound, and Conflict where a rule would be left without one."""
    house_days.remove_festival(txn, identifier, now_ms)
    if house_days.find_festival(txn, identifier) is None:
        users = [rule.name for _, rule in RULES.scan(txn) if rule.when == f"festival:{identifier}"]
        if users:
            raise Conflict(f"the festival is greeted by {', '.join(users)}")
