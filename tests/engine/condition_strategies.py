"""What conditions are tried on: JSON of every shape, and (condition, person, now) that often nearly match.

`triple(rng)` needs only a `random.Random` and gives conditions that VOCABULARY has checked; TRIPLES is the same for
hypothesis, which then shrinks.  Values are drawn from few, so that they meet; dates and instants lie around now where
durations begin and end; a third of the fields are missing.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from borax.calendars.lunardate import LunarDate
from hypothesis import strategies as st

from bench.baseline.conditions import World, shift
from engine.crm.people import consent
from engine.crm.people.condition_text import parse
from engine.crm.people.conditions import (
    COMPARISONS,
    IN_TEXT,
    Aggregate,
    AllOf,
    Anniversary,
    AnyOf,
    Calendar,
    Condition,
    Consent,
    Duration,
    Field,
    Happened,
    Not,
    Op,
    SegmentRef,
    Tag,
    Unit,
)
from engine.crm.people.vocabulary import EVENTS, Kind, checked

Json = dict[str, Any]
Person = dict[str, Any]
Triple = tuple[Condition, Person, int]

# The house

HOUSE_ZONE = "Asia/Shanghai"
ZONES = ["Asia/Shanghai", "UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Los_Angeles"]
REGIONS = {"JS": "CN", "ZJ": "CN", "NJ": "JS", "SZ": "JS", "HZ": "ZJ", "BY": "DE"}  # each lies in the other
FIELDS = {
    "name": Kind.TEXT,
    "city": Kind.TEXT,
    "class": Kind.CHOICE,
    "tier": Kind.CHOICE,
    "attrs.room": Kind.TEXT,
    "points.balance": Kind.INTEGER,
    "attrs.children": Kind.INTEGER,
    "attrs.newsletter": Kind.YES_NO,
    "last_order": Kind.DATE,
    "attrs.renewal": Kind.DATE,
    "last_seen_at": Kind.TIME,
    "created_at": Kind.TIME,
    "birthday": Kind.DAY,
    "attrs.wedding": Kind.DAY,
    "attrs.hobbies": Kind.LIST,
    "region": Kind.REGION,
}
PROPERTIES = {
    "order": {"amount": Kind.INTEGER, "sku": Kind.TEXT, "paid": Kind.YES_NO, "delivered": Kind.DATE},
    "complaint": {"rating": Kind.INTEGER, "due": Kind.TIME},
    "survey": {"id": Kind.TEXT, "q1": Kind.INTEGER, "q2": Kind.LIST},
    "campaign": {"id": Kind.TEXT},
    "sms_in": {},
    "visit": {"place": Kind.TEXT},
}
SEGMENTS = {
    "sleepers": parse("last_order is missing or last_order older than 6mo"),
    "南京常客": parse("city = 南京 and order(12mo).count >= 2"),
}


class House:
    """The vocabulary of the fields above."""

    def kind_of(self, path: str) -> Kind | None:
        return FIELDS.get(path)

    def event_property(self, event: str, path: str) -> Kind | None:
        return PROPERTIES.get(event, {}).get(path)


VOCABULARY = House()


def world(now_ms: int) -> World:
    return World(now_ms, HOUSE_ZONE, REGIONS, SEGMENTS)


# Values that meet

TEXTS = [
    "Nanjing", "nanjing", "ＮＡＮＪＩＮＧ", "Nan", "南京", "南京市", "Suzhou", "gold", "Gold", "silver", "none",
    "Straße", "STRASSE", "ﬁsh", "fish", "İzmir", "izmir", "true", "7", "2026-02-28", "and", 'the "best"', "a\\b",
    "T10", "t10", "S3", "Ａ", "a", "é", "e\u0301", "👍🏽", "  ",
]  # fmt: skip
TAGS = ["vip", "VIP", "spa", "常客", "and", "two words"]
CODES = ["CN", "JS", "ZJ", "NJ", "SZ", "HZ", "DE", "BY", "XX"]
INTEGERS = [-1, 0, 1, 2, 3, 5, 99, 100, 101, 320, 60_000, -(1 << 40), 1 << 40]
COUNTS = [0, 0, 1, 1, 1, 2, 2, 3, 4]
SPANS = [
    *(Duration(count, Unit.DAYS) for count in (0, 1, 7, 14, 30, 90, 365)),
    *(Duration(count, Unit.WEEKS) for count in (1, 2, 52)),
    *(Duration(count, Unit.MONTHS) for count in (1, 1, 2, 3, 6, 12, 13)),
    *(Duration(count, Unit.YEARS) for count in (1, 1, 4)),
]
HOURS = [Duration(count, Unit.HOURS) for count in (0, 1, 12, 24, 25, 168)]
STATES = ["granted", "granted", "withdrawn", "pending", "expired"]
# Where months, years and summer times end.
DAYS = [
    date(2026, 9, 25), date(2026, 3, 31), date(2026, 4, 30), date(2026, 2, 28), date(2027, 3, 1), date(2028, 2, 29),
    date(2028, 3, 31), date(2028, 8, 31), date(2026, 12, 31), date(2027, 1, 1), date(2027, 2, 5), date(2027, 2, 6),
    date(2026, 3, 8), date(2026, 11, 1), date(2025, 7, 25), date(2025, 8, 29), date(2033, 12, 22),
]  # fmt: skip


class Draw:
    """One triple in the making: who chooses, what time it is, and what day that is for the person."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.zone_name = rng.choice(ZONES) if rng.random() < 0.7 else ""
        self.zone = ZoneInfo(self.zone_name or HOUSE_ZONE)
        self.today = rng.choice(DAYS) if rng.random() < 0.7 else date(2026, 1, 1) + timedelta(rng.randrange(1500))
        self.now_ms = self.midnight_ms(self.today) + rng.choice(
            [0, 1, 43_200_000, 82_799_999, rng.randrange(82_000_000)]
        )
        # An hour is lost or won on a few days of a few zones.
        self.today = datetime.fromtimestamp(self.now_ms / 1000, UTC).astimezone(self.zone).date()

    def midnight_ms(self, day: date) -> int:
        return int(datetime.combine(day, time(), self.zone).timestamp()) * 1000

    def chance(self, part: float) -> bool:
        return self.rng.random() < part

    def text(self) -> str:
        return self.rng.choice(TEXTS[:6] if self.chance(0.5) else TEXTS)

    # Moments near the ends of spans

    def day(self) -> date:
        span = self.rng.choice(SPANS)
        day = shift(self.today, self.rng.choice([-1, -1, -1, 1]) * span.count, span.unit)
        return day + timedelta(self.rng.choice([-1, 0, 0, 1]))

    def instant(self) -> str:
        if self.chance(0.6):
            at_ms = self.midnight_ms(self.day())
        else:
            at_ms = self.now_ms + self.rng.choice([-1, -1, 1]) * self.rng.choice(HOURS).count * 3_600_000
        at_ms += self.rng.choice([-1, 0, 0, 1, 7_200_000])
        return iso(at_ms)

    def birthday(self) -> str | Json:
        day = self.today + timedelta(self.rng.choice([-8, -7, -1, 0, 0, 0, 1, 6, 7, 13, 14, 30, 180]))
        if self.chance(0.4):
            lunar = LunarDate.from_solar(day)
            return {
                "calendar": "chinese",
                "month": lunar.month,
                "day": self.rng.choice([lunar.day, lunar.day, 30]),
                "leap": bool(lunar.leap) or self.chance(0.1),
                "year": self.rng.choice([None, 1984]),
            }
        if self.chance(0.15):
            return self.rng.choice(["--02-29", "2000-02-29", "--02-28", "--03-01"])
        if self.chance(0.5):
            return f"--{day:%m-%d}"
        born = shift(day, -self.rng.choice([0, 1, 20, 36]), Unit.YEARS)
        return born.isoformat()

    # Persons

    def held(self, kind: Kind) -> Any:
        """What a field of the kind holds."""
        makers: dict[Kind, Callable[[], Any]] = {
            Kind.TEXT: self.text,
            Kind.INTEGER: lambda: self.rng.choice(INTEGERS),
            Kind.YES_NO: lambda: self.chance(0.5),
            Kind.DATE: lambda: self.day().isoformat(),
            Kind.TIME: self.instant,
            Kind.DAY: self.birthday,
            Kind.LIST: lambda: self.rng.sample(TEXTS, self.rng.choice([0, 1, 1, 2, 3])),
            Kind.REGION: lambda: self.rng.choice(CODES),
        }
        return makers[kind]()

    def fields(self, kinds: dict[str, Kind]) -> Json:
        """Some of the fields; of the others some are empty, which is missing too."""
        filled: Json = {}
        for path, kind in kinds.items():
            *outer, last = path.split(".")
            inner = filled
            for key in outer:
                inner = inner.setdefault(key, {})
            if self.chance(0.7):
                inner[last] = self.held(kind)
            elif self.chance(0.2):
                inner[last] = {Kind.TEXT: "", Kind.LIST: []}.get(kind)
        return filled

    def person(self) -> Person:
        person = self.fields(FIELDS)
        if self.zone_name:
            person["tz"] = self.zone_name
        if self.chance(0.8):
            person["tags"] = self.rng.sample(TAGS, self.rng.choice([0, 1, 2]))
        if self.chance(0.8):
            purposes = self.rng.sample(consent.NEEDED, self.rng.choice([0, 1, 2, 3]))
            person["consent"] = {purpose: self.rng.choice(STATES) for purpose in purposes}
        if self.chance(0.8):
            types = [self.rng.choice(list(PROPERTIES)) for _ in range(self.rng.choice([0, 1, 2, 4, 8]))]
            person["events"] = [
                {"type": event, "at": self.instant(), **self.fields(PROPERTIES[event])} for event in types
            ]
        return person

    # Conditions

    def condition(self, depth: int = 4) -> Condition:
        if depth > 1 and self.chance(0.45):
            return self.joined(lambda: self.condition(depth - 1))
        pick = self.rng.random()
        if pick < 0.6:
            return self.field(FIELDS)
        if pick < 0.85:
            return self.happened(depth)
        if pick < 0.92:
            return Tag(self.rng.choice(TAGS))
        return Consent(self.rng.choice(consent.NEEDED)) if pick < 0.97 else SegmentRef(self.rng.choice(list(SEGMENTS)))

    def joined(self, member: Callable[[], Condition]) -> Condition:
        if self.chance(0.25):
            return Not(member())
        items = tuple(member() for _ in range(self.rng.choice([2, 2, 3])))
        return self.rng.choice([AllOf, AnyOf])(items)

    def happened(self, depth: int) -> Happened:
        event = self.rng.choice(list(PROPERTIES))
        kinds = PROPERTIES[event]
        where = None
        if kinds and self.chance(0.4):
            where = self.field(kinds) if depth < 2 or self.chance(0.6) else self.joined(lambda: self.field(kinds))
        numbers = [path for path, kind in kinds.items() if kind is Kind.INTEGER]
        agg = self.rng.choice(list(Aggregate)) if numbers and self.chance(0.5) else Aggregate.COUNT
        return Happened(
            event,
            self.rng.choice([None, None, *SPANS, *HOURS]),
            where,
            agg,
            None if agg is Aggregate.COUNT else self.rng.choice(numbers),
            self.rng.choice(COMPARISONS),
            self.rng.choice(COUNTS if agg is Aggregate.COUNT else INTEGERS),
        )

    def field(self, kinds: dict[str, Kind]) -> Field:
        path = self.rng.choice(list(kinds))
        if self.chance(0.12):
            return Field(path, self.rng.choice([Op.IS_SET, Op.IS_MISSING]))
        match kinds[path]:
            case Kind.INTEGER:
                return self.compared(path, COMPARISONS, lambda: self.rng.choice(INTEGERS))
            case Kind.YES_NO:
                return Field(path, self.rng.choice([Op.EQ, Op.NE]), self.chance(0.5))
            case Kind.DATE:
                return self.near(path, SPANS)
            case Kind.TIME:
                return self.near(path, SPANS + HOURS)
            case Kind.DAY:
                return self.anniversary(path)
            case Kind.REGION:
                return self.compared(path, (Op.EQ, Op.EQ, Op.NE), lambda: self.rng.choice(CODES))
            case _ if self.chance(0.35):
                text = self.text()
                return Field(path, self.rng.choice(IN_TEXT), text[: self.rng.choice([1, 2, 3, len(text)])])
            case _:
                return self.compared(path, (Op.EQ, Op.EQ, Op.NE), self.text)

    def compared(self, path: str, ops: tuple[Op, ...], value: Callable[[], Any]) -> Field:
        if self.chance(0.25):
            return Field(path, Op.IN, tuple(value() for _ in range(self.rng.choice([1, 2, 3]))))
        return Field(path, self.rng.choice(ops), value())

    def near(self, path: str, spans: list[Duration]) -> Field:
        if self.chance(0.35):
            return self.compared(path, COMPARISONS, self.day)
        if self.chance(0.2):
            return self.anniversary(path)
        return Field(path, self.rng.choice([Op.WITHIN_LAST, Op.WITHIN_NEXT, Op.OLDER_THAN]), self.rng.choice(spans))

    def anniversary(self, path: str) -> Field:
        offset = Duration(0, Unit.DAYS)
        if self.chance(0.4):
            span = self.rng.choice([Duration(1, Unit.DAYS), Duration(7, Unit.DAYS), *SPANS])
            offset = Duration(self.rng.choice([-1, 1]) * span.count, span.unit)
        days = self.rng.choice([1, 1, 7, 8, 14, 31, 366])
        calendar = self.rng.choice([None, None, None, *Calendar])
        return Field(path, Op.ANNIVERSARY, Anniversary(offset, days), calendar)


def iso(at_ms: int) -> str:
    """As the wire has it: UTC, milliseconds, Z."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def triple(rng: Random) -> Triple:
    """A checked condition, a person, and the time it is."""
    draw = Draw(rng)
    return checked(draw.condition(), VOCABULARY), draw.person(), draw.now_ms


TRIPLES = st.randoms(use_true_random=False).map(triple)

# JSON of every shape, whatever the fields may be

AWKWARD = [
    "", " ", "and", "or", "not", "或", "且", "并且", "非", "in", "is", "set", "last", "older", "than", "ever",
    "anniversary", "true", "false", "null", "0", "-0", "007", "-7", "9223372036854775808", "2026-09-01", "2026-02-30",
    "20260901", "7d", "P7D", '"', "\\", '\\"', "a b", "tag:vip", "a,b", "(a)", "order(90d).count", "-", ".", ".5",
    "1.5", "南京", "城市=南京", "e\u0301", "\u3000", "\n", "\x00", "'", "=", "!=", "12mo", "٣", "²", "_",
    "a.b", "%", "@",
]  # fmt: skip
WILD_TEXTS = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = WILD_TEXTS.filter(bool)
PATHS = st.sampled_from(
    ["city", "points.balance", "tag", "segment", "consent", "in", "is", "order", "ever", "true", "older", "anniversary",
     "lunar", "a-b.c_d", "城市", "attrs.房间", "_", "x1.2", "count"]
)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, -1, (1 << 63) - 1, -(1 << 63)]) | st.integers(-(1 << 63), (1 << 63) - 1)
DATES = st.dates().map(date.isoformat)
WILD_SCALARS = WILD_TEXTS | NUMBERS | st.booleans() | DATES
ISO_SPANS = st.builds(
    lambda count, form: form.format(count),
    st.integers(0, 999),
    st.sampled_from(["PT{}H", "P{}D", "P{}W", "P{}M", "P{}Y"]),
)
OFFSETS = st.builds(
    lambda count, letter: f"{'-' * (count < 0)}P{abs(count)}{letter}", st.integers(-999, 999), st.sampled_from("DWMY")
)


def _field(op: str, value: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Json]:
    shape: dict[str, st.SearchStrategy[Any]] = {"field": PATHS, "op": st.just(op)}
    return st.fixed_dictionaries(shape if value is None else {**shape, "value": value})


_COMPARED = [op.value for op in COMPARISONS]
JSON_FIELDS = st.one_of(
    *(_field(op, WILD_SCALARS) for op in _COMPARED),
    *(_field(op, WILD_TEXTS | DATES) for op in ("contains", "starts")),
    *(_field(op, ISO_SPANS) for op in ("within_last", "within_next", "older_than")),
    *(_field(op) for op in ("is_set", "is_missing")),
    _field("in", st.lists(WILD_SCALARS, min_size=1, max_size=4)),
    st.fixed_dictionaries(
        {
            "field": PATHS,
            "op": st.just("anniversary"),
            "value": st.fixed_dictionaries({"offset": OFFSETS, "days": st.integers(1, 366)}),
        },
        optional={"calendar": st.sampled_from(["chinese", "gregorian"])},
    ),
)


def _several(items: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    lists = st.lists(items, min_size=2, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"all": lists}),
        st.fixed_dictionaries({"any": lists}),
        st.fixed_dictionaries({"not": items}),
    )


_WHERES = JSON_FIELDS | _several(JSON_FIELDS) | _several(_several(JSON_FIELDS))


@st.composite
def _events(draw: st.DrawFn) -> Json:
    agg = draw(st.sampled_from(["count", "sum", "max", "min"]))
    event: Json = {"event": draw(st.sampled_from([*EVENTS, "预约"])), "within": draw(st.just("ever") | ISO_SPANS)}
    if draw(st.booleans()):
        event["where"] = draw(_WHERES)
    event["agg"] = agg
    if agg != "count":
        event["of"] = draw(PATHS)
    return {**event, "op": draw(st.sampled_from(_COMPARED)), "value": draw(NUMBERS)}


_NAMED = st.one_of(*(st.fixed_dictionaries({head: NAMES}) for head in ("tag", "segment", "consent")))
_LEAVES = JSON_FIELDS | _NAMED | _events()
_INNER = _several(_LEAVES) | _LEAVES
JSONS = _LEAVES | _several(_LEAVES) | _several(_INNER) | _several(_several(_INNER))
"""Definitions that `from_json` takes, up to seven deep."""
