"""Recount: what the rows of a campaign say beside what its counters say, and a crowd among whom every counter moves."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final, NamedTuple

from engine import sms
from engine.config import QuietHours
from engine.crm import quiet
from engine.crm.marketing import campaigns
from engine.crm.marketing.campaigns import Campaign
from engine.crm.people.zones import zones_of
from engine.store.table import Txn
from engine.traffic.messages import OPEN

PURPOSE: Final = "service"  # which has hours, and needs nobody's consent
# The note stands there often enough that a thousand characters of it are more than 255 parts.
TEXTS: Final = {
    "en": "Your parcel is on its way and comes tomorrow between 9 and 11.",
    "zh": "【荷花】{name}您好，您的编号{code}。" + "{note:}" * 18,
}
_HOUR_MS: Final = 3_600_000
_HOURS: Final = QuietHours().of(PURPOSE)
# Places around the globe, each with a free block of numbers: at any moment it is day in some and night in others.
_PLACES: Final = (86_13_000_000_000, 44_7400_000_000, 91_9800_000_000, 64_21_0000_0000, 1_808_200_0000, 1_212_200_0000)


class Kind(NamedTuple):
    """Rows that go the same way, `share` of a hundred."""

    name: str
    share: int
    language: str = "en"
    values: dict[str, str] | None = None

    @property
    def parts(self) -> int:
        """Of each of its texts."""
        template = sms.Template(TEXTS[self.language])
        text = template.render(tuple((self.values or {}).get(name) for name in template.fields))
        return int(sms.measure(text).parts)


_GUEST: Final = {"name": "李娜", "code": "4711"}
PLAIN: Final = Kind("plain", 63)
FILLED: Final = Kind("with values", 18, "zh", _GUEST)
LONG: Final = Kind("of several parts", 4, "zh", {**_GUEST, "note": "请携带会员卡。"})
LACKING: Final = Kind("without a value", 3, "zh", {"name": "李娜"})
ENDLESS: Final = Kind("of too many parts", 1, "zh", {**_GUEST, "note": "长" * 1000})
ASLEEP: Final = Kind("at night", 5)
REFUSED: Final = Kind("refused before", 3)
REFUSING: Final = Kind("refused meanwhile", 3)
KINDS: Final = (PLAIN, FILLED, LONG, LACKING, ENDLESS, ASLEEP, REFUSED, REFUSING)
GOING: Final = (PLAIN, FILLED, LONG)


class Person(NamedTuple):
    """A row."""

    number: int
    kind: Kind


def crowd(random: Random, count: int, now_ms: int, first: int = 0) -> list[Person]:
    """So many people, no number of whom is one of a crowd with another `first`, further away than `count`.

    Who is to get a text is where it is day for an hour to come, who is asleep where it is night for that long.
    """
    day, night = _place(now_ms, is_open=True), _place(now_ms, is_open=False)
    kinds = random.choices(KINDS, [kind.share for kind in KINDS], k=count)
    return [Person((night if kind is ASLEEP else day) + at, kind) for at, kind in enumerate(kinds, first)]


def _place(now_ms: int, *, is_open: bool) -> int:
    for number in _PLACES:
        zones = zones_of(number, "UTC")
        moments = [now_ms + minutes * 60_000 for minutes in range(0, 61, 5)]
        if all(is_open is not bool(quiet.opening(at_ms, zones, *_HOURS)) for at_ms in moments):
            return number
    raise RuntimeError("there is no place where it is day, or none where it is night")


def ndjson(people: Iterable[Person]) -> bytes:
    """The rows as they are uploaded."""
    lines = []
    for number, kind in people:
        row: dict[str, object] = {"to": f"+{number}", "language": kind.language}
        if kind.values:
            row["values"] = kind.values
        lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(lines).encode()


def numbers_of(people: Sequence[Person], kind: Kind) -> bytes:
    """Their numbers, one a line."""
    return "".join(f"+{number}\n" for number, own in people if own is kind).encode()


class Count(NamedTuple):
    """The counters of a campaign, how many of its rows are open by them, and where a recount says otherwise."""

    counters: dict[str, int]
    open: int
    differences: list[str]


def recount(txn: Txn, campaign: Campaign) -> Count:
    """Hold the counters against the rows, one by one, and their sum against the recipients that the campaign has."""
    counters = campaigns.counts(txn, campaign)
    rows: Counter[str] = Counter()
    differences = []
    for place, result in enumerate(campaigns.results(txn, campaign, 0, campaign.rows)):
        rows[result.message.state.slug] += 1
        if result.row != place:
            differences.append(f"row {result.row} stands at place {place}")
    differences += [
        f"{state}: {counters.get(state, 0):,} by the counter, {rows[state]:,} by the rows"
        for state in sorted(counters.keys() | rows.keys())
        if counters.get(state, 0) != rows[state]
    ]
    for what, found in (("counters", sum(counters.values())), ("rows", rows.total())):
        if found != campaign.rows:
            differences.append(f"the {what} sum to {found:,}, and there are {campaign.rows:,} recipients")
    return Count(counters, sum(counters.get(state.slug, 0) for state in OPEN), differences)
