"""An upload for tests, and bodies of uploads: lines as they come, lines that are wrong, octets that are no lines."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from bench import intake_baseline
from bench.intake_baseline import Found, Outcome
from engine import _sheet
from engine._intake import Intake, Take
from engine._seen import Seen
from engine._suppressed import Suppressed
from engine.errors import InvalidParam

NUMBERS = [f"+49170123456{last}" for last in range(10)]
SECRET = b"s" * 16
PEPPER = b"p" * 32
COLUMNS = ("client_ref", "to", "name", "language", "city")

LISTED = 491701234567
EXAMPLES = [
    "+442079460958",
    "+4917012345678",
    "+390612345678",
    "+12025550123",
    "+440207946095",
    "+81120000000000000",
    "+1",
]


def digest_of(number: int) -> bytes:
    return Suppressed(PEPPER).digest(number)


@dataclass
class Upload:
    """An intake, its callback, and what was strange."""

    columns: tuple[str, ...] | None = None
    strange: list[tuple[int, bytes]] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)

    def __post_init__(self) -> None:
        suppressed = Suppressed(PEPPER)
        suppressed.load([digest_of(LISTED)])
        self.reader = intake_baseline.Csv(self.columns) if self.columns else intake_baseline.Ndjson()
        self.intake = Intake(Seen(SECRET), suppressed, self.columns, self.judge)

    def judge(self, row: int, line: bytes) -> Found | InvalidParam | None:
        self.strange.append((row, line))
        found = self.reader.read(row, line)
        self.intake.open = self.reader.is_open
        return found

    def outcome(self) -> Outcome:
        """Of all takes together."""
        self.takes.append(self.intake.cut())
        outcome = Outcome()
        for take in self.takes:
            rows = [row for sheet in take.sheets for row in _sheet.rows(sheet.closed(1))]
            assert take.accepted == len(rows)
            assert take.numbers == b"".join(row[0].to_bytes(8, "little") for row in rows)
            outcome.accepted += [
                (number, reference, language, values or {}) for number, reference, language, values in rows
            ]
            outcome.suppressed += take.suppressed
            outcome.duplicates += take.duplicates
            outcome.invalid += take.invalid
            outcome.rows += take.rows
        return outcome


def expected(body: bytes, columns: tuple[str, ...] | None = None) -> Outcome:
    reader = intake_baseline.Csv(columns) if columns else intake_baseline.Ndjson()
    return intake_baseline.take(body, reader, PEPPER, frozenset({digest_of(LISTED)}))


# By RFC 3629 §3 and §4: cut off, longer than needed, surrogates, beyond the last character.
NOT_UTF8 = [
    b"\x80",
    b"\xc0\xaf",
    b"\xc3",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xe2\x82",
    b"\xf0\x80\x80\x80",
    b"\xf0\x9f\x9a",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xff",
    b"\xe2x\x82",
    b"\xf0\x9fx\x9a",
    b"\xf0\x9f\x9ax",
    b"\xc3x",
]

TEXTS = st.sampled_from(
    ["", "a", "Jo", "x,y", 'q"q', "a\\b", "Zoë", "李", "🚚", "\x00", "\t", "\u2028", "v" * 999, "ü" * 600]
)
TOS = st.sampled_from(
    [*NUMBERS, "+491701234567", "+49 170 123456-1", "0170 1234567", "", "+", "+1", "+81120" + "0" * 14, "Jo"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n", b"\r\r\n"])
JUNK = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b" ", b'"', b'""', b'",', b"\xef\xbb\xbf", b"{", b'{"to":"+4917012345678"', b"null", b",,,,"]
    ),
)


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    row: dict[str, object] = {"to": draw(TOS)}
    if draw(st.booleans()):
        row["client_ref"] = draw(TEXTS)
    if draw(st.booleans()):
        row["language"] = draw(TEXTS)
    if draw(st.booleans()):
        row["values"] = draw(st.dictionaries(TEXTS, TEXTS, max_size=4))
    if draw(st.integers(0, 9)) == 0:
        row[draw(st.sampled_from(["more", "values", "client_ref"]))] = draw(
            st.sampled_from([1, None, "x", [], {"a": 2}])
        )
    items = draw(st.permutations(list(row.items())))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    return json.dumps(dict(items), ensure_ascii=draw(st.booleans()), separators=separators).encode()


@st.composite
def csv_lines(draw: st.DrawFn) -> bytes:
    cells = [draw(TEXTS), draw(TOS), draw(TEXTS), draw(st.sampled_from(["", "de"])), draw(TEXTS)]
    if draw(st.integers(0, 9)) == 0:
        cells.append("x")
    if draw(st.booleans()):
        cells = ['"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n') else cell for cell in cells]
    return ",".join(cells).encode()


def bodies(lines: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    line = st.tuples(st.one_of(lines, lines, lines, JUNK), ENDS).map(b"".join)
    return st.tuples(st.lists(line, max_size=12), JUNK).map(lambda parts: b"".join(parts[0]) + parts[1])


def pieces_of(body: bytes, seed: int) -> Iterable[bytes]:
    """In lengths of all kinds, 0 and 1 among them."""
    lengths = random.Random(seed)
    place = 0
    while place < len(body):
        length = lengths.choice([0, 1, 2, 7, 30, 200, 5000])
        yield body[place : place + length]
        place += length


def mangled(body: bytes, seed: int) -> bytes:
    """With a few octets changed, taken out or put in."""
    chance = random.Random(seed)
    octets = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(octets) + 1)
        match chance.randrange(3):
            case 0:
                octets[place:place] = bytes([chance.choice(b'"\\{}:, \r\n\x00\x80\xc3\xed\xf0\xff')])
            case 1:
                del octets[place : place + chance.randint(1, 8)]
            case _:
                octets[place : place + 1] = bytes([chance.randrange(256)])
    return bytes(octets)


WRITTEN = st.text(st.sampled_from("+0123456789 -./()x#,\t\u00a0"), max_size=45)


def spaced(number: str, separators: list[tuple[int, str]]) -> str:
    """With each separator put in at its place, or at the end where the number is too short for that."""
    for place, separator in separators:
        number = number[:place] + separator + number[place:]
    return number


SPACED = st.tuples(
    st.sampled_from(EXAMPLES), st.lists(st.tuples(st.integers(0, 40), st.sampled_from(" -./()")), max_size=30)
).map(lambda drawn: spaced(*drawn))
