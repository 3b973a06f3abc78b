"""Conditions as the small text form that staff write: `city = Nanjing and not tag:vip`.

    expr  = and { ("or"|"或") and } ;      and = not { ("and"|"且"|"并且") not } ;
    not   = ["not"|"非"] ( "(" expr ")" | cond ) ;
    cond  = "tag:" name | "segment:" name | "consent:" name
          | path ("="|"!="|"<"|"<="|">"|">=") value | path ("~"|"^=") name
          | path "in" "(" value {"," value} ")" | path "is" ("set"|"missing")
          | path "in" ("last"|"next") dur | path "older" "than" dur
          | path "anniversary" ["from" ["-"] dur] ["in" "next" dur] ["lunar"|"solar"]
          | event "(" [dur|"ever"] ["," expr] ")" "." ("count" | ("sum"|"max"|"min") "(" path ")") cmp number ;

A name is a word or a text in quotes, `\\"` and `\\\\` in it for a quote and a backslash.  A value is one too, but
without quotes it is a number, true or false if it looks like one; a number that begins with a nought is a word.  A
date is a date in quotes as well (`conditions.literal_of`).

`parse(write(tree))` is the tree.  What `write` gives is the normal form: the words in English, no more brackets than
needed, the span of an anniversary in days, `ever` written out, and quotes only where the word alone would say something
else.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Final, NamedTuple, NoReturn

from engine.crm.people.condition_json import wrong
from engine.crm.people.conditions import (
    ANNIVERSARY_LONGEST,
    CONDITIONS_MOST,
    COUNT_MOST,
    DEEPEST,
    IN_TEXT,
    INTEGER_LEAST,
    INTEGER_MOST,
    PRESENCE,
    RESERVED,
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
    Scalar,
    SegmentRef,
    Tag,
    Unit,
    is_path,
    is_text,
    literal_of,
)
from engine.errors import Invalid, InvalidParam

LONGEST: Final = 20_000  # characters of a condition, as read and as written
_SHOWN: Final = 40  # characters of what stands where something else should

_WORD: Final = re.compile(r"[\w+@/#%-][\w.+@/#%-]*")
_TOKEN: Final = re.compile(
    rf'(?P<space>\s+)|(?P<quote>"(?:[^"\\]|\\.)*+")|(?P<word>{_WORD.pattern})|(?P<sign>[!<>^]=|.)', re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_DIGITS: Final = re.compile(r"-?[0-9]+")
_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
_DURATION: Final = re.compile(r"([0-9]{1,6})(h|d|w|mo|y)")

_SIGNS: Final = {
    "=": Op.EQ,
    "!=": Op.NE,
    "<": Op.LT,
    "<=": Op.LTE,
    ">": Op.GT,
    ">=": Op.GTE,
    "~": Op.CONTAINS,
    "^=": Op.STARTS,
}
_SIGN_OF: Final = {op: sign for sign, op in _SIGNS.items()}
_PREFIXES: Final[dict[str, type[Tag] | type[SegmentRef] | type[Consent]]] = {
    "tag": Tag,
    "segment": SegmentRef,
    "consent": Consent,
}
_OR: Final = ("or", "或")
_AND: Final = ("and", "且", "并且")
_NOT: Final = ("not", "非")
_CALENDARS: Final = {"lunar": Calendar.CHINESE, "solar": Calendar.GREGORIAN}
_DAYS_IN: Final = {Unit.DAYS: 1, Unit.WEEKS: 7}
_TODAY: Final = Duration(0, Unit.DAYS)


class Unreadable(Invalid):
    """A text that is no condition: `reason` for people, `position` in characters from 1."""

    def __init__(self, reason: str, position: int, field: str = "text") -> None:
        super().__init__(InvalidParam(field, reason))
        self.reason = reason
        self.position = position


class _Token(NamedTuple):
    kind: str  # word, quote, sign or end
    text: str
    position: int


Measured = tuple[Condition, int]  # a condition, and how deep it is


def parse(text: str, field: str = "text") -> Condition:
    """The tree that `text` describes.  Raises Unreadable naming what stands where; takes time as the text is long."""
    if len(text) > LONGEST:
        raise Unreadable(f"longer than {LONGEST} characters", LONGEST + 1, field)
    if not is_text(text):
        raise Unreadable("has half of a surrogate pair", 1, field)
    return _Reading(text, field).whole()


class _Reading:
    """One text on its way in.  Every method takes the tokens it is about, and leaves the next."""

    def __init__(self, text: str, field: str) -> None:
        self.field = field
        self.tokens = _tokens(text)
        self.token = next(self.tokens)
        self.conditions = 0
        self.is_of_event = False

    def whole(self) -> Condition:
        condition, _ = self.expression(0)
        if self.token.kind != "end":
            self.unexpected()
        return condition

    def expression(self, nested: int) -> Measured:
        if nested > DEEPEST:
            self.fail(f"nested deeper than {DEEPEST}")
        return self.joined(_OR, AnyOf, lambda: self.joined(_AND, AllOf, lambda: self.negated(nested)))

    def joined(
        self, words: tuple[str, ...], kind: type[AllOf] | type[AnyOf], member: Callable[[], Measured]
    ) -> Measured:
        start = self.token
        members = [member()]
        while self.accept(*words):
            members.append(member())
        if len(members) == 1:
            return members[0]
        return self.measured(kind(tuple(item for item, _ in members)), max(depth for _, depth in members), start)

    def negated(self, nested: int) -> Measured:
        start = self.token
        is_not = self.accept(*_NOT)
        if self.accept("("):
            item, depth = self.expression(nested + 1)
            if not self.accept(")"):
                self.unexpected()
        else:
            item, depth = self.condition(nested)
        return self.measured(Not(item), depth, start) if is_not else (item, depth)

    def measured(self, condition: Condition, depth_inside: int, start: _Token) -> Measured:
        if depth_inside >= DEEPEST:
            self.fail(f"nested deeper than {DEEPEST}", start)
        return condition, depth_inside + 1

    def condition(self, nested: int) -> Measured:
        start = self.token
        if start.kind != "word" or not is_path(start.text):
            self.expected("a condition")
        self.conditions += 1
        if self.conditions > CONDITIONS_MOST:
            self.fail(f"more than {CONDITIONS_MOST} conditions")
        self.advance()
        is_called = self.token.text == "(" and self.token.kind == "sign"
        is_prefix = start.text in _PREFIXES and self.token.text == ":"
        if self.is_of_event and (is_called or is_prefix):
            self.expected("a property of the event", start)
        if is_called:
            return self.happened(start, nested)
        if is_prefix:
            self.advance()
            return _PREFIXES[start.text](self.name("a name", is_empty_too=False)), 1
        return self.compared(start.text), 1

    def compared(self, path: str) -> Condition:
        if self.token.kind == "sign" and self.token.text in _SIGNS:
            op = _SIGNS[self.advance().text]
            return Field(path, op, self.name("a text") if op in IN_TEXT else self.value())
        if self.accept("is"):
            if not self.accept("set", "missing", peek=True):
                self.expected("set or missing")
            return Field(path, Op.IS_SET if self.advance().text == "set" else Op.IS_MISSING)
        if self.accept("older"):
            self.need("than")
            return Field(path, Op.OLDER_THAN, self.duration())
        if self.accept("anniversary"):
            return self.anniversary(path)
        if not self.accept("in"):
            self.expected("a comparison")
        if self.accept("last"):
            return Field(path, Op.WITHIN_LAST, self.duration())
        if self.accept("next"):
            return Field(path, Op.WITHIN_NEXT, self.duration())
        if not self.accept("("):
            self.expected("a list, last or next")
        values = [self.value()]
        while self.accept(","):
            values.append(self.value())
        self.need(")")
        return Field(path, Op.IN, tuple(values))

    def anniversary(self, path: str) -> Field:
        offset, days = _TODAY, 1
        if self.accept("from"):
            is_before = self.accept("-")
            offset = self.offset(is_before)
        if self.accept("in"):
            self.need("next")
            start = self.token
            span = self.duration()
            if span.unit not in _DAYS_IN:
                self.expected("days or weeks", start)
            days = span.count * _DAYS_IN[span.unit]
            if not 1 <= days <= ANNIVERSARY_LONGEST:
                self.expected(f"1 to {ANNIVERSARY_LONGEST} days", start)
        calendar = None
        if self.accept(*_CALENDARS, peek=True):
            calendar = _CALENDARS[self.advance().text]
        return Field(path, Op.ANNIVERSARY, Anniversary(offset, days), calendar)

    def offset(self, is_before: bool) -> Duration:
        start = self.token
        if not is_before and start.kind == "word" and start.text.startswith("-"):
            is_before = True
            self.token = start._replace(text=start.text[1:], position=start.position + 1)
        offset = self.duration()
        if offset.unit is Unit.HOURS:
            self.expected("days, weeks, months or years", start)
        return Duration(-offset.count, offset.unit) if is_before else offset

    def happened(self, event: _Token, nested: int) -> Measured:
        self.need("(")
        within, where, depth = None, None, 0
        if not self.accept("ever") and not self.accept(",", ")", peek=True):
            within = self.duration()
        if self.accept(","):
            self.is_of_event = True
            where, depth = self.expression(nested + 1)
            self.is_of_event = False
        if not self.accept(")"):
            self.unexpected()
        self.need(".")
        if not self.accept(*Aggregate, peek=True):
            self.expected(f"one of {', '.join(Aggregate)}")
        agg = Aggregate(self.advance().text)
        of = None
        if agg is not Aggregate.COUNT:
            self.need("(")
            if self.token.kind != "word" or not is_path(self.token.text):
                self.expected("a property of the event")
            of = self.advance().text
            self.need(")")
        op = _SIGNS.get(self.token.text) if self.token.kind == "sign" else None
        if op is None or op in IN_TEXT:
            self.expected("a comparison")
        self.advance()
        start = self.token
        value = self.value() if start.kind == "word" else None
        if not isinstance(value, int) or isinstance(value, bool):
            self.expected("a number", start)
        return self.measured(Happened(event.text, within, where, agg, of, op, value), depth, event)

    # Values

    def value(self) -> Scalar:
        token = self.token
        text = self.name("a value")
        if token.kind == "quote":
            return literal_of(text)
        if text in ("true", "false"):
            return text == "true"
        if _NUMBER.fullmatch(text) and INTEGER_LEAST <= int(text) <= INTEGER_MOST:
            return int(text)
        if _DIGITS.fullmatch(text) and text.lstrip("-").startswith(tuple("123456789")):
            self.expected("a number of 64 bits", token)
        return literal_of(text)

    def name(self, what: str, *, is_empty_too: bool = True) -> str:
        token = self.token
        if token.kind == "quote":
            if any(escape[1] not in '"\\' for escape in _ESCAPE.finditer(token.text)):
                self.fail('a backslash before neither " nor \\')
            text = _ESCAPE.sub(r"\1", token.text[1:-1])
        elif token.kind == "word" and token.text not in RESERVED:
            text = token.text
        else:
            self.expected(what)
        if not text and not is_empty_too:
            self.expected(what)
        self.advance()
        return text

    def duration(self) -> Duration:
        found = _DURATION.fullmatch(self.token.text) if self.token.kind == "word" else None
        if found is None:
            self.expected("a duration")
        duration = Duration(int(found[1]), Unit(found[2]))
        if duration.count > COUNT_MOST[duration.unit]:
            self.expected(f"at most {COUNT_MOST[duration.unit]}{duration.unit}")
        self.advance()
        return duration

    # Tokens

    def advance(self) -> _Token:
        token = self.token
        if token.kind != "end":
            self.token = next(self.tokens)
        return token

    def accept(self, *texts: str, peek: bool = False) -> bool:
        """Whether the next token is one of these; it is taken then, unless it was only asked for."""
        is_next = self.token.kind in ("word", "sign") and self.token.text in texts
        if is_next and not peek:
            self.advance()
        return is_next

    def need(self, text: str) -> None:
        if not self.accept(text):
            self.expected(text)

    def expected(self, what: str, token: _Token | None = None) -> NoReturn:
        token = token or self.token
        self.refuse(f"expected {what} at {token.position}, got '{token.text[:_SHOWN]}'", token)

    def unexpected(self) -> NoReturn:
        token = self.token
        hint = " (missing and/or?)" if token.kind != "sign" or token.text == "(" else ""
        self.refuse(f"unexpected '{token.text[:_SHOWN]}' at {token.position}{hint}", token)

    def fail(self, what: str, token: _Token | None = None) -> NoReturn:
        token = token or self.token
        self.refuse(f"{what} at {token.position}", token)

    def refuse(self, reason: str, token: _Token) -> NoReturn:
        """The reason, unless something plainer is wrong there: the text ends, or a quote has no fellow."""
        if token.kind == "end":
            reason = "unexpected end of condition"
        elif token.kind == "sign" and token.text == '"':
            reason = f"unclosed quote at {token.position}"
        raise Unreadable(reason, token.position, self.field)


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or ""
        if kind != "space":
            yield _Token(kind, found[0], found.start() + 1)
    yield _Token("end", "", len(text) + 1)


def write(condition: Condition, field: str = "definition") -> str:
    """The normal form.  Raises Invalid naming `field` where it is longer than can be read back."""
    text = _written(condition)
    if len(text) > LONGEST:
        raise wrong(field, f"is longer than {LONGEST} characters as a text")
    return text


def _written(condition: Condition) -> str:
    match condition:
        case AnyOf(items):
            return " or ".join(_grouped(item, AnyOf) for item in items)
        case AllOf(items):
            return " and ".join(_grouped(item, AnyOf, AllOf) for item in items)
        case Not(item):
            return f"not {_grouped(item, AnyOf, AllOf, Not)}"
        case Tag(name):
            return f"tag:{_name(name)}"
        case SegmentRef(name):
            return f"segment:{_name(name)}"
        case Consent(purpose):
            return f"consent:{_name(purpose)}"
        case Field():
            return _comparison(condition)
        case Happened(event, within, where, agg, of, op, value):
            during = "ever" if within is None else _span(within)
            chosen = "" if where is None else f", {_written(where)}"
            made = agg.value if of is None else f"{agg}({of})"
            return f"{event}({during}{chosen}).{made} {_SIGN_OF[op]} {value}"


def _grouped(item: Condition, *kinds: type) -> str:
    """In brackets if it is one of `kinds`, which would bind otherwise without."""
    text = _written(item)
    return f"({text})" if isinstance(item, kinds) else text


def _comparison(field: Field) -> str:
    path, op, value = field.path, field.op, field.value
    match value:
        case None:
            return f"{path} is {'set' if op is PRESENCE[0] else 'missing'}"
        case tuple():
            return f"{path} in ({', '.join(_scalar(member) for member in value)})"
        case Duration():
            words = {Op.WITHIN_LAST: "in last", Op.WITHIN_NEXT: "in next", Op.OLDER_THAN: "older than"}
            return f"{path} {words[op]} {_span(value)}"
        case Anniversary(offset, days):
            start = "" if offset == _TODAY else f" from {_span(offset)}"
            span = "" if days == 1 else f" in next {days}d"
            calendar = {None: "", Calendar.CHINESE: " lunar", Calendar.GREGORIAN: " solar"}[field.calendar]
            return f"{path} anniversary{start}{span}{calendar}"
        case str() if op in IN_TEXT:
            return f"{path} {_SIGN_OF[op]} {_name(value)}"
        case _:
            return f"{path} {_SIGN_OF[op]} {_scalar(value)}"


def _span(duration: Duration) -> str:
    return f"{duration.count}{duration.unit}"


def _scalar(value: Scalar) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case str() if value in ("true", "false") or _DIGITS.fullmatch(value):
            return f'"{value}"'
        case str():
            return _name(value)
        case _:
            return str(value)


def _name(text: str) -> str:
    if _WORD.fullmatch(text) and text not in RESERVED:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
