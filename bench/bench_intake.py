"""Rows of an upload into sheets: duplicates found, suppressed numbers told, a hundredth of the rows as no machine
writes them.  In pieces of 16 KB, as they come from a socket; the same ten thousand rows in four ways.
"""

from collections.abc import Callable, Iterator
from random import Random

from bench import intake_baseline
from bench.case import Case
from bench.intake_baseline import Found, Outcome
from engine import _sheet
from engine._intake import Intake, Take
from engine._seen import Seen
from engine._suppressed import Suppressed
from engine.errors import InvalidParam

ROWS = 10_000
PIECE_OCTETS = 16_384
PEPPER = b"p" * 32
NAMES = ("name", "city", "code")

FIRST = 4_917_010_000_000
LISTED = range(FIRST, FIRST + ROWS, 100)


def numbers() -> Iterator[str]:
    """One in a hundred twice, one in a hundred with spaces."""
    random = Random(1)
    places = random.sample(range(ROWS), ROWS)
    for row, place in enumerate(places):
        text = f"+{FIRST + (places[row // 2] if row % 100 == 99 else place)}"
        yield f"{text[:3]} {text[3:6]} {text[6:]}" if row % 100 == 50 else text


def values_of(row: int) -> tuple[str, str, str]:
    return f"Johanna {row % 97}", "Zürich" if row % 3 else "Ulm", f"C{row:07}"


def json_body(has_values: bool) -> bytes:
    lines = []
    for row, number in enumerate(numbers()):
        said = ",".join(f'"{name}":"{value}"' for name, value in zip(NAMES, values_of(row), strict=True))
        lines.append(f'{{"to":"{number}","values":{{{said}}}}}\n' if has_values else f'{{"to":"{number}"}}\n')
    return "".join(lines).encode()


def csv_body(has_values: bool) -> bytes:
    lines = [",".join((number, *values_of(row) * has_values)) + "\n" for row, number in enumerate(numbers())]
    return "".join(lines).encode()


SUPPRESSED = Suppressed(PEPPER)
DIGESTS = frozenset(SUPPRESSED.digest(number) for number in LISTED)
SUPPRESSED.load(DIGESTS)


def pieces_of(body: bytes) -> list[bytes]:
    return [body[place : place + PIECE_OCTETS] for place in range(0, len(body), PIECE_OCTETS)]


def reader_of(columns: tuple[str, ...] | None) -> intake_baseline.Ndjson | intake_baseline.Csv:
    return intake_baseline.Csv(columns) if columns else intake_baseline.Ndjson()


def native(pieces: list[bytes], columns: tuple[str, ...] | None) -> Take:
    reader = reader_of(columns)

    def strange(row: int, line: bytes) -> Found | InvalidParam | None:
        found = reader.read(row, line)
        intake.open = reader.is_open
        return found

    intake = Intake(Seen(b"s" * 16), SUPPRESSED, columns, strange)
    for piece in pieces:
        intake.feed(piece)
    intake.end()
    return intake.cut()


def same(results: dict[str, object]) -> None:
    """What both took, and what they left out and why."""
    take, outcome = results["cython"], results["python"]
    assert isinstance(take, Take)
    assert isinstance(outcome, Outcome)
    rows = [row for sheet in take.sheets for row in _sheet.rows(sheet.closed(1))]
    assert [(*row[:3], row[3] or {}) for row in rows] == outcome.accepted
    assert take.suppressed == outcome.suppressed
    assert take.duplicates == outcome.duplicates
    assert take.invalid == outcome.invalid
    assert take.rows == outcome.rows == ROWS
    assert take.suppressed
    assert take.duplicates


def case(name: str, body: bytes, columns: tuple[str, ...] | None) -> Case:
    pieces = pieces_of(body)
    run: dict[str, Callable[[], object]] = {
        "cython": lambda: native(pieces, columns),
        "python": lambda: intake_baseline.take(body, reader_of(columns), PEPPER, DIGESTS),
    }
    return Case(f"intake/{name}", run, check=same, per=ROWS)


CASES: list[Case] = [
    case("ndjson/shared-text", json_body(has_values=False), None),
    case("ndjson/three-values", json_body(has_values=True), None),
    case("csv/shared-text", csv_body(has_values=False), ("to",)),
    case("csv/three-values", csv_body(has_values=True), ("to", *NAMES)),
]
